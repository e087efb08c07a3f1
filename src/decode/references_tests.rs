//! The rule over stores built with the toy model: off is exact, on follows the store, far is left
//! alone.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::decode::mix::Knobs;
use crate::decode::passes::Passes;
use crate::decode::reply::{Progress, Reply, ReplyStart};
use crate::learn::preference::encoding;
use crate::model::Loader;
use crate::model::toy::{ToyLoader, ToyOptions, ToyRunner, toy_language};
use crate::steer::datastore::build::{Advance, Builder};
use crate::steer::{Plan, Sampling};

const PAIRS: &str = r#"{"question": "When?", "answer": "At eight, from the harbour."}
{"question": "Where to?", "answer": "North, with the wind."}"#;

fn built(folder: &TempDir) -> PathBuf {
    let (file, store) = (folder.path().join("pairs.jsonl"), folder.path().join("ferry"));
    std::fs::write(&file, PAIRS).unwrap();
    let model = ToyLoader::default().inspect(Path::new("toy")).unwrap();
    let mut builder = Builder::begin(&store, &model, &[file]).unwrap();
    let mut runner = ToyRunner::new(ToyOptions::default());
    while builder.advance(&toy_language(), &mut runner).unwrap() != Advance::Finished {}
    store
}

fn rule(store: &Path, change: impl Fn(&mut StoreSetting)) -> References {
    let mut setting = StoreSetting::new(store, 0.9);
    change(&mut setting);
    let store = Arc::new(Datastore::open(store).unwrap());
    References::new(vec![StoreInPlay { store, setting }]).unwrap()
}

/// A greedy reply's text, traces' log-probabilities and what passages did.
fn reply(question: &str, rule: Option<References>) -> (String, Vec<f32>, Vec<TokenReferences>) {
    let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
    let ids = encoding::encode(&language, question, &[]).unwrap().prompt;
    let start = ReplyStart { prompt_len: ids.len(), ids, ..ReplyStart::default() };
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let plan = Plan { sampling, max_tokens: Some(60), ..Plan::default() };
    let (mut passes, mut knobs) = (Passes::default(), Knobs::default());
    let begun = Reply::begin(&language, &mut runner, &mut passes, &mut knobs, start, plan);
    let (mut reply, _) = begun.unwrap();
    let mut rules: Vec<Box<dyn TokenRule>> = Vec::new();
    rules.extend(rule.map(|rule| Box::new(rule) as Box<dyn TokenRule>));
    let (mut text, mut logprobs, mut told) = (String::new(), Vec::new(), Vec::new());
    loop {
        let (tokens, over) = match reply.advance(&mut runner, &mut rules).unwrap() {
            Progress::Prefilled { .. } => continue,
            Progress::Tokens(tokens) => (tokens, false),
            Progress::Ended(tokens, _) => (tokens, true),
        };
        told.extend(reply.take_references());
        for token in tokens {
            text += &token.text;
            logprobs.push(token.logprob);
        }
        if over {
            return (text, logprobs, told);
        }
    }
}

#[test]
fn a_reply_follows_the_store_and_tells_which_passage_moved_it() {
    let folder = TempDir::new().unwrap();
    let store = built(&folder);
    let (plain, _, none) = reply("Where to?", None);
    assert!(none.is_empty() && plain.starts_with("The wind"));
    let (text, _, told) = reply("Where to?", Some(rule(&store, |_| {})));
    assert_eq!(text, "North, with the wind.");
    // One more than there are traces: the end of the reply was moved, too.
    assert_eq!(
        told.iter().map(|t| t.token).collect::<Vec<_>>(),
        (0..told.len()).collect::<Vec<_>>()
    );
    let first = &told[0];
    assert!(first.is_moved() && first.after > 0.5 && first.moved > 0.5, "{first:?}");
    let passage = &first.passages[0];
    assert!(passage.agrees && passage.file.ends_with("pairs.jsonl") && passage.store == "ferry");
    assert_eq!(
        (passage.place.as_str(), &passage.text[passage.start..passage.end]),
        ("line 2", "N")
    );
    assert!(passage.distance < 1e-4 && passage.share > 0.2);
}

#[test]
fn off_far_and_empty_are_the_plain_model_to_the_bit() {
    let folder = TempDir::new().unwrap();
    let store = built(&folder);
    let (plain, logprobs, _) = reply("Something else?", None);
    let (text, same, _) = reply("Something else?", Some(rule(&store, |s| s.lambda = 0.0)));
    assert_eq!((&text, &same), (&plain, &logprobs));
    assert!(rule(&store, |s| s.lambda = 0.0).is_empty());

    // The toy's states are noise: what is not stored is as far as anything can be.
    let mut asked = rule(&store, |_| {});
    let original: Vec<f32> = (0..285).map(|at| (at as f32 * 0.7).sin()).collect();
    let mut logits = original.clone();
    let hidden = [9.0_f32; 8];
    let position = Position { ids: &[1], reply_start: 0, hidden: &hidden };
    asked.apply(&mut logits, position).unwrap();
    assert_eq!(logits, original);
    let told = asked.references(3).unwrap();
    assert_eq!((told.lambda, told.moved, told.passages.len()), (0.0, 0.0, 0));
    assert!((told.before - told.after).abs() < 1e-9 && !told.is_moved());
    assert!(asked.references(3).is_none(), "asked once for each position");
    let mut ungated = rule(&store, |s| s.gate = false);
    ungated.apply(&mut logits, position).unwrap();
    assert_ne!(logits, original);
}

#[test]
fn what_is_told_is_what_was_done() {
    let folder = TempDir::new().unwrap();
    let store = built(&folder);
    let mut asked = References::new(
        [0.3, 0.4]
            .map(|lambda| StoreInPlay {
                store: Arc::new(Datastore::open(&store).unwrap()),
                setting: StoreSetting { gate: false, ..StoreSetting::new(&store, lambda) },
            })
            .to_vec(),
    )
    .unwrap();
    let before: Vec<f32> = (0..285).map(|at| (at as f32 * 0.7).sin()).collect();
    let mut logits = before.clone();
    let hidden: Vec<f32> = (0..8).map(|at| at as f32 / 8.0 - 0.5).collect();
    asked.apply(&mut logits, Position { ids: &[1], reply_start: 0, hidden: &hidden }).unwrap();
    let probability =
        |logits: &[f32], id: usize| f64::from(logits[id] - observe::log_mass(logits)).exp();
    let apart: f64 =
        (0..285).map(|id| (probability(&logits, id) - probability(&before, id)).abs() / 2.0).sum();
    let told = asked.references(78).unwrap();
    assert!((f64::from(told.moved) - apart).abs() < 1e-4, "{} {apart}", told.moved);
    assert!((f64::from(told.after) - probability(&logits, 78)).abs() < 1e-5);
    assert!((f64::from(told.before) - probability(&before, 78)).abs() < 1e-5);
    assert!((told.lambda - 0.7).abs() < 1e-6 && told.passages.len() == TOLD);
}

#[test]
fn heads_that_do_not_divide_are_refused_with_those_that_do() {
    let folder = TempDir::new().unwrap();
    let store = built(&folder);
    let setting = StoreSetting { heads: 3, ..StoreSetting::new(&store, 0.5) };
    let store = Arc::new(Datastore::open(&store).unwrap());
    let error = References::new(vec![StoreInPlay { store, setting }]).unwrap_err().to_string();
    assert!(error.contains("3 heads") && error.contains("1, 2, 4, 8"), "{error}");
}
