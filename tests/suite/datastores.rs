//! Datastores from outside: over a real decoder, through the program itself, and beside replies on
//! the engine.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tiller::engine::{
    Engine, EngineHandle, Event, Opening, Outcome, Prompt, Recipe, ReplyRequest, Request, Turn,
};
use tiller::model::load::Checkpoints;
use tiller::model::toy::{SENTENCE, ToyLoader, ToyOptions};
use tiller::model::{LoadOptions, Loader, Model, Wanted};
use tiller::session::{Role, TokenReferences};
use tiller::steer::datastore::build::{Advance, Builder};
use tiller::steer::datastore::{Datastore, Manifest};
use tiller::steer::{Plan, Sampling, ScorerChoice, StoreSetting};

use super::small_model::model;

/// Longer than anything here takes; reached only by a hang.
const HANG: Duration = Duration::from_secs(120);
const TEXT: &str = "The ferry leaves Oldwick at eight. It comes back at nine.\n";

fn load(folder: &Path) -> Model {
    Checkpoints.load(folder, &LoadOptions::default(), &mut |_, _| true).unwrap()
}

fn built(model: &mut Model, folder: &Path, files: &[PathBuf]) -> Datastore {
    let mut builder = Builder::begin(folder, &model.facts, files).unwrap();
    while builder.advance(&model.language, model.runner.as_mut()).unwrap() != Advance::Finished {}
    Datastore::open(folder).unwrap()
}

#[test]
fn a_key_is_what_the_head_reads_and_what_a_step_comes_to() {
    let (home, folder) = model();
    let file = home.path().join("ferry.txt");
    std::fs::write(&file, TEXT).unwrap();
    let mut model = load(&folder);
    let store = built(&mut model, &home.path().join("store"), &[file]);
    let ids = model.language.vocabulary.encode(TEXT, false).unwrap();
    let front: Vec<u32> = model.language.vocabulary.beginning_of_text().into_iter().collect();
    let all: Vec<u32> = front.iter().chain(&ids).copied().collect();
    assert_eq!(store.len(), ids.len() - 1);

    let runner = model.runner.as_mut();
    runner.truncate(0).unwrap();
    let whole = runner.prefill(&all, Wanted::All).unwrap();
    runner.truncate(0).unwrap();
    let bare = runner.prefill(&all, Wanted::Hidden).unwrap();
    assert_eq!(bare.hidden, whole.hidden, "to the bit");
    assert!(bare.logits.is_empty() && bare.rows == all.len());

    // The head over a key gives the logits of its position.
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let name = ["lm_head.weight", "model.embed_tokens.weight"]
        .into_iter()
        .find(|name| file.tensor(name).is_ok())
        .unwrap();
    let head = file.tensor(name).unwrap();
    let width = store.width();
    let weights: Vec<f32> = match head.dtype() {
        safetensors::Dtype::F32 => {
            head.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        }
        _ => head
            .data()
            .chunks(2)
            .map(|b| half::bf16::from_le_bytes(b.try_into().unwrap()).to_f32())
            .collect(),
    };
    let blocks = store.blocks();
    for entry in [0, 7, store.len() - 1] {
        let key = &blocks[0].keys[entry * width..(entry + 1) * width];
        let logits = whole.logits_of(front.len() + entry);
        for (token, logit) in logits.iter().enumerate() {
            let row = &weights[token * width..(token + 1) * width];
            let product: f32 = row.iter().zip(key).map(|(w, k)| w * k.to_f32()).sum();
            assert!((product - logit).abs() < 2e-2 * logit.abs().max(1.0), "{product} {logit}");
        }
    }
    // Step by step over the cache the same place is found again.
    runner.truncate(0).unwrap();
    for (at, id) in all.iter().enumerate().take(all.len() - 1) {
        let output = runner.step(&[*id]).unwrap();
        if at < front.len() {
            continue;
        }
        let nearest = store.nearest(output.hidden_of(0), 1, 1)[0][0];
        let size: f32 = output.hidden_of(0).iter().map(|value| value * value).sum();
        assert!(nearest.distance < 1e-5 * f64::from(size), "{nearest:?} of {size}");
        assert_eq!(store.value(nearest.entry), all[at + 1]);
    }
}

fn tiller(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tiller"));
    for variable in ["DISPLAY", "WAYLAND_DISPLAY", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.args(args).stdin(Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn complaint(output: &Output, code: i32) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text.lines().last().unwrap().to_owned()
}

#[test]
fn a_store_is_built_asked_and_spoken_from_in_the_terminal() {
    let (home, folder) = model();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (text, bad, store, model) =
        (at("ferry.txt"), at("bad.pdf"), at("store"), folder.to_str().unwrap());
    std::fs::write(&text, TEXT).unwrap();
    std::fs::write(&bad, "no pdf").unwrap();
    let report = said(&tiller(&["store", "build", "--model", model, "--out", &store, &text, &bad]));
    assert!(
        report.contains("done") && report.contains("failed") && report.contains("bad.pdf"),
        "{report}"
    );
    let again = said(&tiller(&["store", "build", "--model", model, "--out", &store]));
    assert!(!again.contains("done") && again.contains("1 file"), "{again}");

    let info = said(&tiller(&["store", "info", &store]));
    assert!(
        info.contains("small (") && info.contains("ferry.txt") && info.contains("Temperature"),
        "{info}"
    );
    let json: Manifest =
        serde_json::from_str(&said(&tiller(&["store", "info", &store, "--json"]))).unwrap();
    // The model has no token for the line's end.
    assert_eq!(json.entries(), TEXT.trim_end().len() - 1);

    let query = said(&tiller(&[
        "store",
        "query",
        &store,
        "--model",
        model,
        "--text",
        "The ferry leaves Old",
        "--neighbours",
        "4",
        "--json",
    ]));
    let query: Value = serde_json::from_str(&query).unwrap();
    let nearest = &query["neighbours"][0];
    assert_eq!((&nearest["token"], &nearest["place"]), (&"w".into(), &"line 1".into()), "{query}");
    assert!(nearest["distance"].as_f64().unwrap() < 1e-2);
    let sum: f64 = query["reference"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["probability"].as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-6);

    let say = |stores: &[&str]| {
        let front =
            ["say", "The ferry leaves Old", "--raw", "--model", model, "--max-tokens", "14"];
        said(&tiller(&[&front[..], &["--temperature", "0"], stores].concat()))
    };
    let plain = say(&[]);
    assert_eq!(say(&["--store", &format!("{store}:0")]), plain);
    let grounded = say(&["--store", &format!("{store}:1"), "--no-gate", "--neighbours", "1"]);
    assert_eq!(grounded.trim_end(), "wick at eight.", "the store's own words");
    assert_ne!(grounded, plain);
    let lines = say(&["--store", &format!("{store}:0.6"), "--no-gate", "--json"]);
    assert!(lines.contains("\"lambda\":0.6,"), "as it was given: {lines}");
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");

    assert!(
        complaint(&tiller(&["say", "x", "--model", model, "--store", &format!("{store}:2")]), 2)
            .contains("share")
    );
    let missing = complaint(&tiller(&["say", "x", "--model", model, "--store", &at("none")]), 1);
    assert!(missing.contains("no datastore"), "{missing}");
    // Another template is another key space.
    let config = r#"{ "chat_template": "{{ messages[0].content }}", "eos_token": "</s>" }"#;
    std::fs::write(folder.join("tokenizer_config.json"), config).unwrap();
    let refused = complaint(&tiller(&["say", "x", "--model", model, "--store", &store]), 1);
    assert!(refused.contains("chat template"), "{refused}");

    said(&tiller(&["store", "remove", &store, &text]));
    assert!(!said(&tiller(&["store", "info", &store])).contains("ferry.txt"));
}

/// A limit on the size of files stands for a disk that is full: writing beyond it fails as well.
#[cfg(unix)]
#[test]
fn a_full_disk_costs_the_file_under_way_and_what_is_done_stays_usable() {
    let (home, folder) = model();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (small, large, store) = (at("small.txt"), at("large.txt"), at("store"));
    std::fs::write(&small, TEXT).unwrap();
    std::fs::write(&large, TEXT.repeat(200)).unwrap();
    let build = |blocks: &str| {
        let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
        let program = env!("CARGO_BIN_EXE_tiller");
        let args = ["store", "build", "--model", folder.to_str().unwrap(), "--out", &store];
        let files = [small.as_str(), large.as_str()];
        let mut command = Command::new("sh");
        command.args(["-c", script, blocks, program]).args(args).args(files);
        command.env_remove("RUST_LOG").stdin(Stdio::null()).output().unwrap()
    };
    let report = said(&build("64"));
    let failed = report.lines().find(|line| line.starts_with("failed")).expect("one row says it");
    assert!(failed.contains("cannot be written"), "{report}");
    let done = |report: &str| report.lines().filter(|line| line.starts_with("done")).count();
    assert_eq!(done(&report), 1, "{report}");
    let sources = Path::new(&store).join("sources");
    assert_eq!(std::fs::read_dir(&sources).unwrap().count(), 1, "nothing half-written is left");
    let half = Datastore::open(Path::new(&store)).unwrap();
    assert!(half.lost.is_empty() && !half.is_empty());
    assert!(half.manifest.calibration.is_some(), "measured, so that it can be used as it is");
    // Room again: only what failed is done.
    let report = said(&build("unlimited"));
    assert_eq!(done(&report), 1, "{report}");
    assert!(Datastore::open(Path::new(&store)).unwrap().len() > half.len());
}

const PAIRS: &str = r#"{"question": "When?", "answer": "At eight, from the harbour."}
{"question": "Where to?", "answer": "North, with the wind."}"#;

struct Rig {
    engine: EngineHandle,
    folder: TempDir,
    /// Lists of builds that were over while something else was waited for.
    over: RefCell<VecDeque<Box<Manifest>>>,
}

impl Rig {
    fn new() -> Self {
        let loader = Arc::new(ToyLoader { options: ToyOptions::default() });
        let engine = Engine::start_with(loader, || {}).unwrap();
        let over = RefCell::default();
        let rig = Self { engine, folder: TempDir::new().unwrap(), over };
        rig.send(Request::Load { path: "toy".into(), options: LoadOptions::default() });
        while !matches!(rig.next(), Event::Loaded(_)) {}
        rig
    }

    fn send(&self, request: Request) {
        self.engine.send(request).unwrap();
    }

    fn next(&self) -> Event {
        let event = self.engine.recv_timeout(HANG).expect("the engine tells something");
        match &event {
            Event::StoreListed { manifest, is_over: true, .. } => {
                self.over.borrow_mut().push_back(manifest.clone());
            }
            Event::StoreFailed { message, .. } => panic!("{message}"),
            _ => {}
        }
        event
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn build(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        self.send(Request::BuildStore { folder: self.store(), files: vec![file] });
    }

    fn built(&self) -> Box<Manifest> {
        loop {
            if let Some(manifest) = self.over.borrow_mut().pop_front() {
                return manifest;
            }
            self.next();
        }
    }

    /// The reply's text, what documents did to it, and its recipe or why there is none.
    fn finish(&self) -> (String, Vec<TokenReferences>, Result<Recipe, String>) {
        let (mut text, mut told) = (String::new(), Vec::new());
        loop {
            match self.next() {
                Event::Token { trace, .. } => text += &trace.text,
                Event::References { references, .. } => told.push(*references),
                Event::ReplyDone { recipe, .. } => return (text, told, Ok(*recipe)),
                Event::ReplyFailed { message, .. } => return (text, told, Err(message)),
                _ => {}
            }
        }
    }

    fn prompt(question: &str) -> Prompt {
        Prompt::Chat(vec![Turn { role: Role::User, content: question.into() }])
    }

    fn ask(&self, question: &str, stores: Vec<StoreSetting>) {
        self.ask_by(question, Plan { stores, ..Self::plan() });
    }

    fn plan() -> Plan {
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        Plan { sampling, max_tokens: Some(80), ..Plan::default() }
    }

    fn ask_by(&self, question: &str, plan: Plan) {
        let request =
            ReplyRequest { id: 1, prompt: Self::prompt(question), opening: Opening::None, plan };
        self.send(Request::Reply(Box::new(request)));
    }

    fn setting(&self) -> StoreSetting {
        StoreSetting { gate: false, ..StoreSetting::new(self.store(), 0.9) }
    }
}

#[test]
fn a_store_is_built_beside_replies_and_grounds_them() {
    let rig = Rig::new();
    rig.build("pairs.jsonl", PAIRS);
    rig.build("long.txt", &"The boat holds north. ".repeat(400));
    rig.ask("Where to?", Vec::new());
    let (text, told, recipe) = rig.finish();
    assert_eq!(text, SENTENCE, "a reply meanwhile is the plain one");
    assert!(told.is_empty() && recipe.unwrap().stores.is_empty());
    assert_eq!(rig.built().sources.len(), 1);
    let manifest = rig.built();
    assert!(manifest.sources.len() == 2 && manifest.sources.iter().all(|source| source.is_done()));

    rig.ask("Where to?", vec![rig.setting()]);
    let (text, told, recipe) = rig.finish();
    assert_eq!(text, "North, with the wind.");
    assert!(told.iter().all(|told| told.passages[0].file.ends_with("pairs.jsonl")));
    let recipe = recipe.unwrap();
    assert_eq!(recipe.stores[0].name, "store");
    let outcome = Outcome { references: told, ..Outcome::default() };
    let json = serde_json::to_string(&outcome).unwrap();
    assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome);

    let replay = |recipe: &Recipe| {
        rig.send(Request::Replay {
            id: 2,
            recipe: Box::new(recipe.clone()),
            prompt: Rig::prompt("Where to?"),
            opening: Opening::None,
        });
        rig.finish()
    };
    assert_eq!(replay(&recipe).0, text);
    rig.build("pairs.jsonl", &PAIRS.replace("North", "South"));
    rig.built();
    let refused = replay(&recipe).2.unwrap_err();
    assert!(refused.contains("has changed since"), "{refused}");
    // The reply itself takes the store as it is now.
    rig.ask("Where to?", vec![rig.setting()]);
    assert_eq!(rig.finish().0, "South, with the wind.");
}

#[test]
fn stores_are_listed_and_lose_files_and_one_that_is_not_there_is_refused() {
    let rig = Rig::new();
    rig.ask("Where to?", vec![StoreSetting::new(rig.folder.path().join("none"), 0.5)]);
    assert!(rig.finish().2.unwrap_err().contains("no datastore"));
    rig.build("pairs.jsonl", PAIRS);
    let manifest = rig.built();
    assert!(manifest.entries() > 0);
    rig.send(Request::ListStores { within: rig.folder.path().into(), folders: Vec::new() });
    let found = loop {
        if let Event::StoresFound(found) = rig.next() {
            break found;
        }
    };
    assert!(found.iter().any(|(folder, manifest)| *folder == rig.store() && manifest.is_ok()));
    let file = rig.folder.path().join("pairs.jsonl");
    rig.send(Request::RemoveFromStore { folder: rig.store(), file });
    loop {
        if let Event::StoreListed { manifest, .. } = rig.next() {
            assert!(manifest.sources.is_empty());
            break;
        }
    }
}

#[test]
fn every_candidate_of_a_search_is_grounded_and_the_best_says_by_what() {
    let rig = Rig::new();
    rig.build("pairs.jsonl", PAIRS);
    rig.built();
    let searching = |stores| {
        let mut plan = Plan { stores, ..Rig::plan() };
        let search = &mut plan.guidance.search;
        (search.beam_width, search.successors, search.chunk_length) = (2, 2, 3);
        search.scorer = ScorerChoice::File("scorer".into());
        plan
    };
    rig.ask_by("Where to?", searching(Vec::new()));
    let (text, told, _) = rig.finish();
    assert!(text == SENTENCE && told.is_empty());
    rig.ask_by("Where to?", searching(vec![rig.setting()]));
    let (text, told, recipe) = rig.finish();
    assert_eq!(text, "North, with the wind.");
    // Of every token once, in order, and of the person's own file.
    let tokens: Vec<usize> = told.iter().map(|told| told.token).collect();
    assert_eq!(tokens, (0..tokens.len()).collect::<Vec<_>>());
    assert!(tokens.len() > 5, "{tokens:?}");
    assert!(told.iter().all(|told| told.passages[0].file.ends_with("pairs.jsonl")));
    let recipe = recipe.unwrap();
    assert_eq!(recipe.stores.len(), 1);
    rig.send(Request::Replay {
        id: 2,
        recipe: Box::new(recipe),
        prompt: Rig::prompt("Where to?"),
        opening: Opening::None,
    });
    let (again, told_again, _) = rig.finish();
    assert_eq!((again, told_again), (text, told));
}

/// Spec section 11, invariant 21.
#[test]
fn no_question_to_judge_or_choose_by_is_in_the_stores() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/starter/documents");
    let hash = |text: &str| {
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        words.join(" ")
    };
    let mut of: BTreeMap<String, HashSet<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(name) = name.strip_suffix(".jsonl") else { continue };
        let (_, document) = tiller::documents::read(&path).unwrap();
        let questions = document.pairs.iter().map(|pair| hash(&pair.question));
        let choices = document.choices.iter().map(|choice| hash(&choice.question));
        of.insert(name.to_owned(), questions.chain(choices).collect());
    }
    let pairs = ["ferry-answers", "house-answers", "country-answers"];
    for (judged, stored) in [
        ("held-out", &pairs[..]),
        ("held-out", &["validation"]),
        ("validation", &pairs[..]),
        ("choices-held-out", &["choices"]),
    ] {
        for stored in stored {
            assert!(!of[judged].is_empty() && !of[*stored].is_empty());
            let shared: Vec<_> = of[judged].intersection(&of[*stored]).collect();
            assert!(shared.is_empty(), "{judged} and {stored} share {shared:?}");
        }
    }
}
