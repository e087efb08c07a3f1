//! Choosing over the toy: what the grid says of greedy replies is what greedy replies are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::decode::TokenRule;
use crate::decode::{Knobs, Mix, Passes, Progress, References, Reply, ReplyStart, StoreInPlay};
use crate::documents::{Pair, Place as At};
use crate::learn::preference::encoding;
use crate::model::Loader;
use crate::model::toy::{ToyLoader, ToyOptions, ToyRunner, toy_language};
use crate::steer::datastore::Datastore;
use crate::steer::datastore::build::{Advance, Builder};
use crate::steer::datastore::choosing::{MOST_HARM, Trial};
use crate::steer::{FIRST_LAMBDA, Plan, Sampling, StoreSetting};

const ANSWERS: [(&str, &str); 3] = [
    ("Where to?", "North, with the wind."),
    ("When?", "At eight."),
    ("Who?", "The hand holds the boat."),
];

fn pairs() -> Vec<Pair> {
    let pair = |(question, answer): &(&str, &str)| Pair {
        question: (*question).into(),
        answer: (*answer).into(),
        place: At::Line(1),
    };
    ANSWERS.iter().map(pair).collect()
}

fn store(folder: &Path) -> Arc<Datastore> {
    let lines = ANSWERS.map(|(q, a)| format!("{{\"question\": \"{q}\", \"answer\": \"{a}\"}}\n"));
    let file: PathBuf = folder.join("pairs.jsonl");
    std::fs::write(&file, lines.concat()).unwrap();
    let model = ToyLoader::default().inspect(Path::new("toy")).unwrap();
    let folder = folder.join("store");
    let mut builder = Builder::begin(&folder, &model, &[file]).unwrap();
    let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
    while builder.advance(&language, &mut runner).unwrap() != Advance::Finished {}
    Arc::new(Datastore::open(&folder).unwrap())
}

/// What a greedy reply says.
fn reply(store: &Arc<Datastore>, setting: StoreSetting, question: &str) -> String {
    let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
    let in_play = StoreInPlay { store: Arc::clone(store), setting };
    let mut rules: Vec<Box<dyn TokenRule>> =
        vec![Box::new(References::new(vec![in_play]).unwrap())];
    let encoded = encoding::encode(&language, question, &[]).unwrap();
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    let plan = Plan { sampling, max_tokens: Some(60), ..Plan::default() };
    let start = ReplyStart {
        reply: 1,
        prompt_len: encoded.prompt.len(),
        ids: encoded.prompt,
        continues_text: false,
        again: None,
        mix: Mix::default(),
        reward_unit: None,
    };
    let (mut passes, mut knobs) = (Passes::default(), Knobs::default());
    let begun = Reply::begin(&language, &mut runner, &mut passes, &mut knobs, start, plan);
    let (mut reply, mut text) = (begun.unwrap().0, String::new());
    loop {
        let (tokens, over) = match reply.advance(&mut runner, &mut rules).unwrap() {
            Progress::Tokens(tokens) => (tokens, false),
            Progress::Ended(tokens, _) => (tokens, true),
            Progress::Prefilled { .. } => continue,
        };
        tokens.iter().for_each(|token| text += &token.text);
        if over {
            return text;
        }
    }
}

#[test]
fn the_grid_counts_the_replies_that_greedy_decoding_makes() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
    let trial = Trial::of(&store, &language, &mut runner, &pairs()).unwrap();
    let best = trial.best();
    assert_eq!((best.questions, best.alone), (3, 0.0), "the toy says its own sentence");
    assert_eq!(best.exact, 1.0, "every question is in the store");
    assert!(best.harm <= MOST_HARM, "{best:?}");
    let tried: Vec<(usize, f64, f64)> = [
        (8, trial.temperature(8), 0.9),
        (8, 4.0 * trial.temperature(8), 0.5),
        (32, trial.temperature(32), 0.75),
        (1, 1.0, 0.0),
    ]
    .into();
    for (neighbours, temperature, lambda) in tried {
        let setting = StoreSetting {
            neighbours: Some(neighbours),
            temperature: Some(temperature as f32),
            ..StoreSetting::new(&store.folder, lambda as f32)
        };
        let right = |(question, answer): &&(&str, &str)| {
            reply(&store, setting.clone(), question) == *answer
        };
        let share = ANSWERS.iter().filter(right).count() as f64 / 3.0;
        assert_eq!(trial.try_one(neighbours, temperature, lambda, 0.5).exact, share, "{setting:?}");
    }
}

#[test]
fn nothing_to_choose_by_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
    let refused = Trial::of(&store, &language, &mut runner, &[]).err().unwrap();
    assert!(refused.to_string().contains("nothing to choose by"));
}

#[test]
fn a_store_that_was_built_asks_itself_how_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let found = store.manifest.by_itself.expect("it holds questions with answers");
    assert_eq!((found.questions, found.lambda), (3, 0.6));
    assert!(found.harm <= MOST_HARM, "{found:?}");
    assert!([8, 32].contains(&found.neighbours) && found.temperature > 0.0, "{found:?}");
    // What a plan leaves open is asked so, and a person's questions go before it.
    let open = StoreSetting::new(&store.folder, 0.6);
    assert_eq!(store.manifest.asked_with(&open), (found.neighbours, found.temperature));
    assert_eq!(store.manifest.first_lambda(), FIRST_LAMBDA);
    let (language, mut runner) = (toy_language(), ToyRunner::new(ToyOptions::default()));
    let trial = Trial::of(&store, &language, &mut runner, &pairs()).unwrap();
    let chosen = trial.best();
    let mut manifest = store.manifest.clone();
    manifest.chosen = Some(chosen);
    assert_eq!(manifest.asked_with(&open), (chosen.neighbours, chosen.temperature));
    // On the person's questions it answers more than where √k neighbours count.
    let flat = manifest.calibration.unwrap().temperature;
    let tried = |neighbours, temperature, middle| {
        trial.try_one(neighbours, temperature, found.lambda, middle)
    };
    let own = tried(found.neighbours, found.temperature, found.middle);
    assert!(own.on_top >= tried(32, flat, 0.5).on_top, "{own:?}");
    for (question, answer) in ANSWERS {
        assert_eq!(reply(&store, open.clone(), question), answer);
    }
}
