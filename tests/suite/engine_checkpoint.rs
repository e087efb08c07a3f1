//! The engine over a real checkpoint: what the toy cannot show.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tiller::engine::{
    Engine, EngineHandle, Event, Opening, Prompt, Recipe, ReplyRequest, Request, StopReason, Turn,
};
use tiller::model::LoadOptions;
use tiller::session::{Role, TokenTrace};
use tiller::steer::{GuidePair, Plan, Sampling};

use super::small_model::model;

const HANG: Duration = Duration::from_secs(120);

fn next(engine: &EngineHandle) -> Event {
    engine.recv_timeout(HANG).expect("the engine tells something")
}

fn load(engine: &EngineHandle, path: &Path, options: LoadOptions) -> Result<usize, String> {
    engine.send(Request::Load { path: path.to_path_buf(), options }).unwrap();
    loop {
        match next(engine) {
            Event::Loaded(facts) => return Ok(facts.cache_length),
            Event::LoadFailed { message, .. } => return Err(message),
            _ => {}
        }
    }
}

struct Made {
    tokens: Vec<TokenTrace>,
    prompt: usize,
    reused: usize,
    reason: StopReason,
    recipe: Recipe,
}

fn finish(engine: &EngineHandle) -> Made {
    let mut tokens = Vec::new();
    loop {
        match next(engine) {
            Event::Token { trace, .. } => tokens.push(*trace),
            Event::ReplyDone { reason, timings, recipe, .. } => {
                let (prompt, reused) = (timings.prompt_tokens, timings.reused_tokens);
                return Made { tokens, prompt, reused, reason, recipe: *recipe };
            }
            Event::ReplyFailed { message, .. } => panic!("{message}"),
            _ => {}
        }
    }
}

fn turn(role: Role, content: &str) -> Turn {
    Turn { role, content: content.into() }
}

fn request(id: u64, turns: &[Turn]) -> ReplyRequest {
    let sampling = Sampling {
        temperature: 1.0,
        // The end of text, so that every reply has its full length.
        logit_bias: [("2".to_owned(), f32::NEG_INFINITY)].into(),
        ..Sampling::default()
    };
    let plan = Plan { seed: 11, max_tokens: Some(12), sampling, ..Plan::default() };
    ReplyRequest { id, prompt: Prompt::Chat(turns.to_vec()), opening: Opening::None, plan }
}

fn reply(engine: &EngineHandle, request: ReplyRequest) -> Made {
    engine.send(Request::Reply(Box::new(request))).unwrap();
    finish(engine)
}

fn started(folder: &Path) -> EngineHandle {
    let engine = Engine::start(|| {}).unwrap();
    assert_eq!(load(&engine, folder, LoadOptions::default()), Ok(128), "the model's own context");
    engine
}

/// Two turns: the second reuses what the first left in the cache.
fn converse(engine: &EngineHandle) -> (Made, Made, [Turn; 3]) {
    let hello = turn(Role::User, "Hello there");
    let first = reply(engine, request(1, std::slice::from_ref(&hello)));
    let answer: String = first.tokens.iter().map(|token| token.text.as_str()).collect();
    let turns = [hello, turn(Role::Assistant, &answer), turn(Role::User, "And?")];
    let second = reply(engine, request(2, &turns));
    (first, second, turns)
}

#[test]
fn a_conversation_that_reuses_its_cache_says_the_same() {
    let (_home, folder) = model();
    let (first, second, turns) = converse(&started(&folder));
    assert_eq!((first.reused, first.reason), (0, StopReason::MaxTokens));
    assert!(second.reused >= first.prompt, "{} of {} reused", second.reused, second.prompt);
    let fresh = reply(&started(&folder), request(2, &turns));
    assert_eq!(fresh.reused, 0);
    assert_eq!(fresh.tokens.len(), second.tokens.len());
    for (fresh, reused) in fresh.tokens.iter().zip(&second.tokens) {
        assert_eq!(fresh.id, reused.id);
        assert!((fresh.logprob - reused.logprob).abs() < 1e-4, "{fresh:?} {reused:?}");
    }
}

#[test]
fn a_recipe_read_back_from_json_makes_the_reply_again_to_the_last_bit() {
    let (_home, folder) = model();
    let engine = started(&folder);
    let (first, second, turns) = converse(&engine);
    assert_eq!(second.recipe.passes.positions(), second.reused);
    for (made, turns) in [(&second, &turns[..]), (&first, &turns[..1])] {
        let json = serde_json::to_string(&made.recipe).unwrap();
        let replay = |engine: &EngineHandle| {
            let recipe = Box::new(serde_json::from_str(&json).unwrap());
            let prompt = Prompt::Chat(turns.to_vec());
            engine.send(Request::Replay { id: 8, recipe, prompt, opening: Opening::None }).unwrap();
            finish(engine)
        };
        for again in [replay(&engine), replay(&started(&folder))] {
            assert_eq!(again.tokens, made.tokens, "ids, texts, log-probabilities, entropies");
            assert_eq!(again.recipe, made.recipe);
        }
    }
}

#[test]
fn a_count_is_the_prompt_the_reply_would_have() {
    let (_home, folder) = model();
    let engine = started(&folder);
    let turns = [turn(Role::User, "How long is this?")];
    engine.send(Request::Count { ticket: 3, prompt: Prompt::Chat(turns.to_vec()) }).unwrap();
    let Event::Counted { ticket: 3, tokens: Ok(tokens) } = next(&engine) else {
        panic!("no count");
    };
    assert_eq!(reply(&engine, request(1, &turns)).prompt, tokens);
}

#[test]
fn a_model_that_cannot_be_loaded_leaves_the_one_that_is() {
    let (home, folder) = model();
    let engine = started(&folder);
    let huge = LoadOptions { context_length: Some(1 << 40), ..LoadOptions::default() };
    let message = load(&engine, &folder, huge).unwrap_err();
    assert!(message.contains("GB") && message.contains("are free"), "{message}");
    assert!(message.contains("tokens or fewer"), "{message}");

    let broken = home.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(folder.join(file), broken.join(file)).unwrap();
    }
    let config = std::fs::read_to_string(broken.join("config.json")).unwrap();
    let wrong = config.replace("\"hidden_size\": 48", "\"hidden_size\": 64");
    assert_ne!(wrong, config);
    std::fs::write(broken.join("config.json"), wrong).unwrap();
    let message = load(&engine, &broken, LoadOptions::default()).unwrap_err();
    assert!(message.contains("shape"), "{message}");

    let made = reply(&engine, request(1, &[turn(Role::User, "Still there?")]));
    assert_eq!(made.tokens.len(), 12);
    assert_eq!(made.recipe.model_name, "small");
}

/// A copy of a model, under another name, with the signs of some weights turned.
fn turned(folder: &Path, name: &str, some: usize) -> PathBuf {
    let copy = folder.with_file_name(name);
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let weights = copy.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    // The high byte of f32 numbers: the tensors are at the end and whole numbers of them.
    let end = bytes.len();
    (0..some).for_each(|at| bytes[end - 1 - 8 * at] ^= 0x80);
    std::fs::write(&weights, bytes).unwrap();
    copy
}

#[test]
fn a_pair_whose_files_vanish_in_mid_reply_guides_it_to_its_end() {
    let (home, folder) = model();
    let guided = |pair: &GuidePair| {
        let mut request = request(1, &[turn(Role::User, "Hello there")]);
        request.plan.max_tokens = Some(80);
        request.plan.guidance.pairs = vec![pair.clone()];
        request
    };
    let mut in_mid_reply = false;
    for attempt in 0..5 {
        let (tuned, untuned) = (format!("tuned-{attempt}"), format!("untuned-{attempt}"));
        let pair = GuidePair {
            tuned: Some(turned(&folder, &tuned, 300)),
            untuned: Some(turned(&folder, &untuned, 40)),
            vector: None,
            beta: 2.0,
        };
        let whole = reply(&started(&folder), guided(&pair));
        assert_eq!(whole.tokens.len(), 80);
        assert_ne!(
            whole.tokens[..12],
            reply(&started(&folder), request(1, &[turn(Role::User, "Hello there")])).tokens
        );

        let engine = started(&folder);
        engine.send(Request::Reply(Box::new(guided(&pair)))).unwrap();
        let first = loop {
            if let Event::Token { trace, .. } = next(&engine) {
                break *trace;
            }
        };
        for path in [&pair.tuned, &pair.untuned].into_iter().flatten() {
            std::fs::remove_dir_all(path).unwrap();
        }
        let mut waiting = Vec::new();
        while let Some(event) = engine.recv_timeout(Duration::ZERO) {
            waiting.push(event);
        }
        in_mid_reply = !waiting.iter().any(|event| matches!(event, Event::ReplyDone { .. }));
        if !in_mid_reply {
            continue;
        }
        let rest = finish(&engine);
        let ids = |event: &Event| match event {
            Event::Token { trace, .. } => Some(trace.id),
            _ => None,
        };
        let said: Vec<u32> = std::iter::once(first.id)
            .chain(waiting.iter().filter_map(ids))
            .chain(rest.tokens.iter().map(|token| token.id))
            .collect();
        let wanted: Vec<u32> = whole.tokens.iter().map(|token| token.id).collect();
        assert_eq!(said, wanted, "as with the files in their place");
        assert_eq!(rest.reason, StopReason::MaxTokens);
        // They stay in memory for the next reply; an engine that has to read them says what is gone.
        assert_eq!(reply(&engine, guided(&pair)).tokens.len(), 80);
        let other = started(&folder);
        other.send(Request::Reply(Box::new(guided(&pair)))).unwrap();
        let message = loop {
            match next(&other) {
                Event::ReplyFailed { message, .. } => break message,
                Event::ReplyDone { .. } => panic!("it replied without its guides"),
                _ => {}
            }
        };
        assert!(message.contains(&tuned) && !message.contains('\n'), "{message}");
        break;
    }
    assert!(in_mid_reply, "five replies were over before their guides were gone");
    drop(home);
}
