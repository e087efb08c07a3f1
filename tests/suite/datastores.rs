//! Datastores from outside: over a real decoder, through the program itself, and beside replies on
//! the engine.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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
use tiller::steer::{Plan, Sampling, StoreSetting};

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
        let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
        let plan = Plan { sampling, stores, max_tokens: Some(80), ..Plan::default() };
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
