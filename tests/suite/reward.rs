//! Reward adapters from outside: through the engine over the toy, and through the program over a
//! golden checkpoint.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use candle_core::{Device, Tensor};
use serde_json::Value;
use tiller::engine::{
    Engine, EngineHandle, Event, Opening, Prompt, Recipe, ReplyRequest, Request, Turn,
};
use tiller::model::checkpoint::Checkpoint;
use tiller::model::decoder::{DecoderSpec, initialise};
use tiller::model::load::Checkpoints;
use tiller::model::reward::{
    Adapter, Base, Deviation, Facts, Heads, Initialisation, Precision, Shape, Sizes, file,
};
use tiller::model::scorer::Scorer;
use tiller::model::toy::{SENTENCE, ToyLoader};
use tiller::model::{LoadOptions, Loader, Wanted};
use tiller::session::{Role, TokenTrace};
use tiller::steer::{Plan, RewardSetting, Sampling};

use super::small_model::model;

/// Longer than anything here takes; reached only by a hang.
const HANG: Duration = Duration::from_secs(120);

fn toy() -> EngineHandle {
    let engine = Engine::start_with(Arc::new(ToyLoader::default()), || {}).unwrap();
    engine.send(Request::Load { path: "toy".into(), options: LoadOptions::default() }).unwrap();
    while !matches!(engine.recv_timeout(HANG).unwrap(), Event::Loaded(_)) {}
    engine
}

fn greedy(reward: Option<RewardSetting>) -> Plan {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    Plan { sampling, reward, max_tokens: Some(30), ..Plan::default() }
}

/// Tokens with the rewards told of them, and the recipe or why there is none.
fn reply(engine: &EngineHandle, request: Request) -> (Vec<TokenTrace>, Result<Recipe, String>) {
    engine.send(request).unwrap();
    let mut tokens: Vec<TokenTrace> = Vec::new();
    loop {
        match engine.recv_timeout(HANG).expect("the engine tells something") {
            Event::Token { trace, .. } => tokens.push(*trace),
            Event::Rewarded { reward, .. } => {
                if let Some(last) = tokens.last_mut() {
                    last.reward = Some(reward);
                }
            }
            Event::ReplyDone { recipe, .. } => return (tokens, Ok(*recipe)),
            Event::ReplyFailed { message, .. } => return (tokens, Err(message)),
            _ => {}
        }
    }
}

fn chat() -> Prompt {
    Prompt::Chat(vec![Turn { role: Role::User, content: "Hi".into() }])
}

fn ask(plan: Plan) -> Request {
    let prompt = chat();
    Request::Reply(Box::new(ReplyRequest { id: 1, prompt, opening: Opening::None, plan }))
}

fn text(tokens: &[TokenTrace]) -> String {
    tokens.iter().map(|token| token.text.as_str()).collect()
}

#[test]
fn rewards_come_with_a_reply_whose_text_they_leave_alone() {
    let engine = toy();
    let (plain, recipe) = reply(&engine, ask(greedy(None)));
    assert_eq!((text(&plain).as_str(), recipe.unwrap().reward), (SENTENCE, None));
    let shown = greedy(Some(RewardSetting::shown("civil")));
    let (tokens, recipe) = reply(&engine, ask(shown));
    assert_eq!(text(&tokens), SENTENCE);
    assert!(tokens.iter().all(|token| token.reward.is_some_and(f32::is_finite)), "{tokens:?}");
    assert_eq!(recipe.unwrap().reward.unwrap().name, "civil");
    let (after, _) = reply(&engine, ask(greedy(None)));
    assert!(after.iter().all(|token| token.reward.is_none()), "taken away with the plan");
}

#[test]
fn a_reply_decided_by_rewards_is_replayed_by_its_recipe_and_by_no_other_adapter() {
    let engine = toy();
    let strong = RewardSetting { strength: 5.0, ..RewardSetting::shown("civil") };
    let (tokens, recipe) = reply(&engine, ask(greedy(Some(strong))));
    assert_ne!(text(&tokens), SENTENCE);
    let recipe = recipe.unwrap();
    let again = |recipe: &Recipe| Request::Replay {
        id: 2,
        recipe: Box::new(recipe.clone()),
        prompt: chat(),
        opening: Opening::None,
    };
    let (replayed, _) = reply(&engine, again(&recipe));
    assert_eq!(replayed, tokens);
    let mut other = recipe;
    other.reward.as_mut().unwrap().fingerprint = "another".into();
    let (_, refused) = reply(&engine, again(&other));
    assert!(refused.unwrap_err().contains("has changed since this reply was made"));
}

#[test]
fn what_cannot_be_decided_by_is_refused_and_the_next_reply_is_made() {
    let engine = toy();
    let strong = |path: &str| RewardSetting { strength: 1.0, ..RewardSetting::shown(path) };
    for (path, what) in [
        ("stranger", "made with another model"),
        ("broken", "no reward adapter"),
        ("loose", "never measured"),
        ("hollow", "NaN"),
    ] {
        let (_, refused) = reply(&engine, ask(greedy(Some(strong(path)))));
        let message = refused.unwrap_err();
        assert!(message.contains(what), "{path}: {message}");
        let (tokens, _) = reply(&engine, ask(greedy(None)));
        assert_eq!(text(&tokens), SENTENCE, "after {path}");
    }
}

/// An adapter for the small model, its reward head drawn so that texts differ.
pub fn adapter(model: &Path, out: &Path) -> PathBuf {
    let checkpoint = Checkpoint::open(model).unwrap();
    let spec = DecoderSpec::from_config(&checkpoint.config).unwrap();
    let loaded = Checkpoints.load(model, &LoadOptions::default(), &mut |_, _| true).unwrap();
    let facts = Facts {
        name: "civil".into(),
        base: Base {
            fingerprint: loaded.facts.fingerprint.clone(),
            name: loaded.facts.name.clone(),
            stored_as: loaded.facts.stored_as.clone(),
            rounded_to: loaded.facts.rounded_to.clone(),
            template_fingerprint: loaded.facts.template_fingerprint.clone(),
        },
        sizes: Sizes::one_in(4, &spec),
        deviation: Some(Deviation { value: 0.05, candidates: 10, prefixes: 1 }),
        ..Facts::default()
    };
    let shape = Shape::new(&facts, Heads::default(), &spec).unwrap();
    let mut tensors = initialise(&checkpoint, &shape, Initialisation::Mirror, 1).unwrap();
    let head = tensors.get_mut("head.reward.weight").unwrap();
    head.values.iter_mut().enumerate().for_each(|(at, value)| *value = (at as f32).sin());
    let path = out.join("civil.safetensors");
    file::write(&path, &Adapter { facts, tensors, precision: Precision::F32 }).unwrap();
    path
}

fn tiller(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    command.args(args).stdin(Stdio::null());
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.output().unwrap()
}

#[test]
fn probe_and_say_give_rewards_from_an_adapters_file() {
    let (home, folder) = model();
    let path = adapter(&folder, home.path());
    let (reward, model) = (path.to_str().unwrap(), folder.to_str().unwrap());
    let out = home.path().join("numbers.safetensors");
    let file = out.to_str().unwrap();
    let ids = "1,5,9,4,30,12";
    let output =
        tiller(&["probe", "--model", model, "--ids", ids, "--reward", reward, "--out", file]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers = candle_core::safetensors::load(&out, &Device::Cpu).unwrap();
    let told: Vec<f32> = numbers["reward"].to_vec1().unwrap();
    let mut loaded = Checkpoints.load(&folder, &LoadOptions::default(), &mut |_, _| true).unwrap();
    loaded.runner.insert(Some(&Checkpoints.open_reward(&path, &loaded.facts).unwrap())).unwrap();
    let ids: Vec<u32> = ids.split(',').map(|id| id.parse().unwrap()).collect();
    assert_eq!(told, loaded.runner.prefill(&ids, Wanted::All).unwrap().reward);
    let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let without = home.path().join("plain.safetensors");
    let args = ["probe", "--model", model, "--ids", "1,5,9,4,30,12", "--out"];
    assert!(tiller(&[&args[..], &[without.to_str().unwrap()]].concat()).status.success());
    let plain = candle_core::safetensors::load(&without, &Device::Cpu).unwrap();
    assert!(!plain.contains_key("reward"));
    assert_eq!(flat(&plain["logits"]), flat(&numbers["logits"]));

    let say = ["say", "Hi", "--json", "--model", model, "--max-tokens", "6", "--temperature", "0"];
    let tokens = |args: &[&str]| -> (Vec<TokenTrace>, Recipe) {
        let output = tiller(&[&say[..], args].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (last, tokens) = lines.split_last().unwrap();
        let last: Value = serde_json::from_str(last).unwrap();
        let recipe = serde_json::from_value(last["recipe"].clone()).unwrap();
        (tokens.iter().map(|line| serde_json::from_str(line).unwrap()).collect(), recipe)
    };
    let ids = |tokens: &[TokenTrace]| tokens.iter().map(|token| token.id).collect::<Vec<_>>();
    let (plain, _) = tokens(&[]);
    let (shown, recipe) = tokens(&["--reward", reward, "--reward-strength", "0"]);
    assert_eq!(ids(&shown), ids(&plain));
    assert!(shown[..shown.len() - 1].iter().all(|token| token.reward.is_some()), "{shown:?}");
    assert_eq!(recipe.reward.unwrap().name, "civil");
    let strong = ["--reward", reward, "--reward-strength", "50", "--candidates", "5"];
    let (decided, recipe) = tokens(&strong);
    assert_ne!(ids(&decided), ids(&plain), "so strong a reward decides");
    assert!(decided.iter().all(|token| token.reward.is_some()));
    let plan: Plan = toml::from_str(&recipe.plan).unwrap();
    assert_eq!(plan.reward.unwrap().candidates, 5);

    let output = tiller(&["say", "Hi", "--model", model, "--candidates", "5"]);
    assert_eq!(output.status.code(), Some(2), "candidates of what?");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families/qwen3");
    let golden = golden.to_str().unwrap();
    let probed = ["probe", "--model", golden, "--ids", "1", "--reward", reward, "--out", file];
    let output = tiller(&probed);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
}

#[test]
fn probe_gives_the_scores_of_a_separate_reward_model() {
    let (home, folder) = model();
    let judge = home.path().join("judge");
    std::fs::create_dir(&judge).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, judge.join(path.file_name().unwrap())).unwrap();
    }
    let weights = judge.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    tensors.remove("lm_head.weight");
    let width = tensors["model.norm.weight"].dim(0).unwrap();
    let head: Vec<f32> = (0..width).map(|at| (at as f32).cos()).collect();
    tensors.insert("score.weight".into(), Tensor::new(head, &Device::Cpu).unwrap());
    let head = tensors["score.weight"].reshape((1, width)).unwrap();
    tensors.insert("score.weight".into(), head);
    candle_core::safetensors::save(&tensors, &weights).unwrap();
    let out = home.path().join("numbers.safetensors");
    let (model, reward, file) =
        (folder.to_str().unwrap(), judge.to_str().unwrap(), out.to_str().unwrap());
    let ids = "1,5,9,4,30,12";
    let output =
        tiller(&["probe", "--model", model, "--ids", ids, "--reward", reward, "--out", file]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers = candle_core::safetensors::load(&out, &Device::Cpu).unwrap();
    let told: Vec<f32> = numbers["reward"].to_vec1().unwrap();
    let options = LoadOptions::default();
    let mut scorer = Scorer::open(&judge, &options, &mut |_, _| true).unwrap();
    let ids: Vec<u32> = ids.split(',').map(|id| id.parse().unwrap()).collect();
    assert_eq!(told, scorer.rewards_along(&ids).unwrap());
    assert!(told.iter().any(|reward| *reward != told[0]));
}
