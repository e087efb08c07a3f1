//! Choosing, loading, cancelling, refusing a model.

use std::path::PathBuf;

use crossbeam_channel::bounded;
use egui::{Key, Modifiers};
use tiller::model::toy::ToyOptions;

use super::stage::{Setup, Stage};

#[test]
fn a_found_model_is_described_before_it_is_loaded() {
    let mut stage = Stage::open(Setup::without_model());
    stage.press(Modifiers::COMMAND, Key::M);
    stage.until("the stores are read", |stage| stage.shows("bundled, 10 kB"));
    stage.click("toy, bundled, 10 kB");
    stage.until("it is described", |stage| stage.shows("10 thousand parameters"));
    assert!(stage.shows("tokens of context"), "{}", stage.text());
    stage.click("Load");
    stage.until("it is loaded", |stage| stage.sees("Ready"));
    assert!(stage.shows("Device") && stage.shows("CPU"));
}

#[test]
fn the_first_start_opens_the_model_that_ships_with_the_program() {
    let mut stage = Stage::open(Setup { model: None, ..Setup::default() });
    stage.until("it is loaded by itself", |stage| stage.sees("Ready"));
    assert!(stage.shows("Why is the sky blue?"), "and an example is a click away");
    stage.click("Why is the sky blue?");
    stage.press(Modifiers::NONE, Key::Enter);
    stage.until("it is answered", |stage| stage.shows("harbour"));
}

#[test]
fn a_refused_model_leaves_the_one_that_is_loaded() {
    let mut stage = Stage::new();
    *stage.answer.lock().unwrap() = Some(PathBuf::from("broken.gguf"));
    stage.press(Modifiers::COMMAND, Key::O);
    stage.until("the error says what to do", |stage| stage.shows("take another"));
    assert!(stage.sees("Ready"), "{}", stage.text());
    stage.click("Dismiss");
    stage.talk("Still there?");
    assert!(stage.shows("harbour"));
}

#[test]
fn loading_can_be_cancelled() {
    let (pass, gate) = bounded(64);
    let toy = ToyOptions { gate: Some(gate), ..Default::default() };
    let mut stage = Stage::open(Setup { toy, model: Some("slow model"), ..Setup::default() });
    for _ in 0..3 {
        pass.send(()).unwrap();
    }
    stage.until("bytes are shown", |stage| stage.shows("of 10 kB"));
    stage.click("Cancel");
    for _ in 0..3 {
        pass.send(()).unwrap();
    }
    stage.until("it is cancelled", |stage| stage.shows("Loading was cancelled"));
    assert!(stage.shows("No model loaded"));
}

#[test]
fn a_file_dropped_on_the_window_is_opened() {
    let mut stage = Stage::open(Setup::without_model());
    stage.drop_files(&["dropped model".into()]);
    stage.until("it is loaded", |stage| stage.sees("Ready"));
    assert!(stage.shows("dropped model"));
}
