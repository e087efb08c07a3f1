//! Vectors made beside a running engine: out of two models, of an adapter, from preferences; refused,
//! cancelled, taken up again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tiller::engine::making::{MadeFrom, Making, Objective};
use tiller::engine::{Engine, EngineHandle, Event, Request};
use tiller::model::checkpoint::Checkpoint;
use tiller::model::vector::{Kind, about, open_for};

use super::made::golden;
use super::mixed::aligned;
use super::talk::home;
use crate::learn_vector::vector_stage;

const HANG: Duration = Duration::from_secs(120);

fn making(base: &Path, from: MadeFrom, out: &Path) -> Making {
    let (name, domain) = ("calm".to_owned(), "manners".to_owned());
    Making { name, domain, base: base.into(), from, out: out.into() }
}

/// How it ended, and what was told on the way. Cancelled as soon as it is asked for, if at all:
/// what is made here is so small that it could be done before a word of it was heard.
fn made(
    engine: &EngineHandle,
    making: &Making,
    cancels: bool,
) -> (Result<PathBuf, (String, bool)>, Vec<String>) {
    engine.send(Request::Make(Box::new(making.clone()))).unwrap();
    if cancels {
        engine.cancel_making();
    }
    let mut told = Vec::new();
    loop {
        match engine.recv_timeout(HANG).expect("the engine tells something") {
            Event::MakingProgress(progress) => told.push(progress.words),
            Event::Made { path, .. } => return (Ok(path), told),
            Event::MakingFailed { message, cancelled } => return (Err((message, cancelled)), told),
            _ => {}
        }
    }
}

#[test]
fn the_difference_of_two_models_is_made_and_never_written_over() {
    let home = home();
    let model = aligned(&home);
    let engine = Engine::start(|| {}).unwrap();
    let out = home.model.with_file_name("vectors").join("calm.safetensors");
    for every_value in [false, true] {
        let from = MadeFrom::Aligned { model: model.clone(), every_value };
        let making = making(&home.model, from, &out);
        let (path, told) = made(&engine, &making, false);
        assert_eq!(path.as_ref(), Ok(&out));
        assert!(told[0].contains("Comparing the models, 0 %"), "{told:?}");
        let known = about(&out).unwrap();
        assert_eq!((known.name.as_str(), known.facts.domain.as_str()), ("calm", "manners"));
        assert_eq!(known.facts.kind, if every_value { Kind::Full } else { Kind::LowRank });
        let base = Checkpoint::open(&home.model).unwrap();
        assert!(open_for(&out, &base, false).is_ok());
        let (again, _) = made(&engine, &making, false);
        let (message, cancelled) = again.unwrap_err();
        assert!(message.contains("calm.safetensors") && !cancelled, "{message}");
        std::fs::remove_file(&out).unwrap();
    }
    let from = MadeFrom::Aligned { model, every_value: true };
    let (cancelled, _) = made(&engine, &making(&home.model, from, &out), true);
    assert!(cancelled.unwrap_err().1 && !out.exists(), "nothing is left of it");
}

#[test]
fn what_cannot_be_made_is_said_in_one_line_that_names_the_file() {
    let home = home();
    let engine = Engine::start(|| {}).unwrap();
    let out = home.model.with_file_name("calm.safetensors");
    let other = golden("families/llama");
    for (base, from, said) in [
        (&home.model, MadeFrom::Aligned { model: other, every_value: false }, "llama"),
        (&home.model, MadeFrom::Adapter(home.model.clone()), "adapter_config.json"),
        (&home.model.join("nowhere"), MadeFrom::Adapter(golden("peft/plain")), "nowhere"),
        (
            &home.model,
            MadeFrom::Preferences {
                pairs: home.model.join("absent.jsonl"),
                objective: Objective::Dpo,
                rank: 2,
                epochs: 1,
                device: "cpu".into(),
            },
            "",
        ),
    ] {
        let (message, cancelled) = made(&engine, &making(base, from, &out), false).0.unwrap_err();
        assert!(!cancelled && message.contains(said), "{said}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(!out.exists());
    }
}

#[test]
fn a_vector_is_learnt_from_preferences_and_a_cancelled_run_is_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    vector_stage(folder.path());
    let engine = Engine::start(|| {}).unwrap();
    let base = folder.path().join("base");
    let out = folder.path().join("fox.safetensors");
    let from = MadeFrom::Preferences {
        pairs: folder.path().join("pairs.jsonl"),
        objective: Objective::Ipo,
        rank: 2,
        epochs: 3,
        device: "cpu".into(),
    };
    let making = making(&base, from, &out);
    let (cancelled, _) = made(&engine, &making, true);
    let (message, was_cancelled) = cancelled.unwrap_err();
    assert!(was_cancelled && !out.exists(), "{message}");
    let (path, told) = made(&engine, &making, false);
    assert_eq!(path, Ok(out.clone()), "{told:?}");
    assert!(!told.is_empty());
    let known = about(&out).unwrap();
    assert_eq!((known.name.as_str(), known.facts.kind), ("calm", Kind::Lora));
    assert!(open_for(&out, &Checkpoint::open(&base).unwrap(), false).is_ok());
}
