//! What a reply is dialled with: presets, numbers, system prompt, context meter.

use egui_kittest::kittest::Queryable;

use super::stage::{Setup, Stage};

#[test]
fn presets_are_applied_saved_renamed_and_deleted() {
    // High enough that a list opens in full.
    let mut stage = Stage::open(Setup { size: [1200.0, 1000.0], ..Setup::default() });
    stage.choose_preset("Precise");
    assert_eq!(stage.slider("Temperature"), 0.3);
    stage.set_slider("Temperature", 0.55);
    stage.until("it is nobody's preset", |stage| stage.shows("Custom"));
    stage.click("Preset menu");
    stage.click("Save as preset");
    stage.type_into("Preset name", "Mine");
    stage.click("Save preset");
    stage.until("it has a name", |stage| stage.preset() == "Mine");

    stage.click("Preset menu");
    stage.click("Rename preset");
    stage.retype("Preset name", "Still mine");
    stage.click("Save preset");
    stage.until("it has another", |stage| stage.preset() == "Still mine");

    stage.choose_preset("Greedy");
    assert_eq!(stage.slider("Temperature"), 0.0);
    stage.choose_preset("Still mine");
    assert_eq!(stage.slider("Temperature"), 0.55);
    stage.click("Preset menu");
    stage.click("Delete preset");
    stage.until("it is gone", |stage| stage.preset() == "Custom");
}

#[test]
fn a_reset_goes_back_to_the_neutral_value() {
    let mut stage = Stage::new();
    stage.set_slider("Min-p", 0.2);
    stage.harness.get_by_label("Reset min-p").scroll_to_me();
    stage.settle();
    stage.click("Reset min-p");
    assert_eq!(stage.slider("Min-p"), 0.0);
}

#[test]
fn what_is_dialled_belongs_to_the_conversation() {
    let mut stage = Stage::new();
    stage.talk("First");
    stage.set_slider("Top-p", 0.5);
    stage.type_into("System prompt", "Be brief");
    let folder = stage.close();

    let mut again = Stage::reopen(Setup::default(), folder);
    again.until("it is in the list", |stage| stage.sees("First"));
    assert!(!again.shows("Be brief"));
    again.click("First");
    again.until("its system prompt is back", |stage| stage.shows("Be brief"));
    assert_eq!(again.slider("Top-p"), 0.5);
}

#[test]
fn a_model_without_a_place_for_the_system_prompt_is_said_beside_it() {
    let note = "it goes before your first message";
    let stage = Stage::new();
    assert!(!stage.shows(note));
    let stage = Stage::open(Setup { model: Some("a folding toy"), ..Setup::default() });
    assert!(stage.shows(note), "{}", stage.text());
}

#[test]
fn the_context_meter_counts_the_draft() {
    let mut stage = Stage::new();
    stage.until("the empty page counts as nothing", |stage| stage.shows("0 of 2,048 tokens"));
    stage.type_into("Message", "abcdefgh");
    stage.until("the draft is counted", |stage| {
        !stage.shows("0 of 2,048 tokens") && stage.shows("of 2,048 tokens")
    });
    stage.talk("");
    stage.until("the reply counts too", |stage| stage.shows("of 2,048 tokens"));
    assert!(stage.harness.query_by_label("Context").is_some(), "named for the screen reader");
}
