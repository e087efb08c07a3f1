//! Writing, reading, stopping, and every way to make another version.

use crossbeam_channel::bounded;
use egui::{Key, Modifiers};
use egui_kittest::kittest::{NodeT, Queryable};
use tiller::model::toy::{SENTENCE, ToyOptions};

use super::stage::{Setup, Stage};

#[test]
fn a_message_is_answered_and_both_are_there_after_a_restart() {
    let mut stage = Stage::new();
    stage.talk("Where does the boat go?");
    assert!(stage.shows(SENTENCE), "{}", stage.text());
    assert!(stage.shows("Ended by itself"));
    assert!(stage.shows("tokens/s"));
    let folder = stage.close();

    let mut again = Stage::reopen(Setup::default(), folder);
    again.until("the list is read", |stage| stage.sees("Where does the boat go?"));
    again.click("Where does the boat go?");
    again.until("the reply is back", |stage| stage.shows(SENTENCE));
}

#[test]
fn stop_ends_a_reply_and_keeps_what_there_is() {
    let (pass, gate) = bounded(64);
    let mut stage = Stage::open(Setup {
        toy: ToyOptions { gate: Some(gate), ..Default::default() },
        ..Setup::default()
    });
    stage.type_into("Message", "Go on");
    stage.press(Modifiers::NONE, Key::Enter);
    for _ in 0..4 {
        pass.send(()).unwrap();
    }
    stage.until("some of the reply is there", |stage| stage.shows("The wind"));
    assert!(stage.sees("Stop"));
    stage.press(Modifiers::NONE, Key::Escape);
    // The pass under way may still want its turn.
    pass.send(()).unwrap();
    stage.until("it has stopped", |stage| stage.shows("Stopped by you"));
    assert!(stage.shows("The wind"));
    assert!(!stage.shows("harbour"), "{}", stage.text());
    drop(pass);
    stage.click("Continue reply");
    stage.until("it has gone on to the end", |stage| stage.shows(SENTENCE));
}

#[test]
fn regenerating_keeps_the_version_before() {
    let mut stage = Stage::new();
    stage.talk("Again");
    stage.press(Modifiers::COMMAND, Key::Enter);
    stage.until("there are two versions", |stage| stage.shows("2 / 2") && stage.sees("Ready"));
    stage.click("Previous version");
    stage.until("the first is shown", |stage| stage.shows("1 / 2"));
}

#[test]
fn an_edited_message_is_answered_again_and_the_first_stays() {
    let mut stage = Stage::new();
    stage.talk("First wording");
    stage.press(Modifiers::COMMAND | Modifiers::SHIFT, Key::ArrowUp);
    stage.retype("Edit message", "Second wording");
    stage.press(Modifiers::COMMAND, Key::Enter);
    stage.until("the new wording is answered", |stage| {
        stage.shows("Second wording") && stage.shows("2 / 2") && stage.sees("Ready")
    });
    assert!(stage.shows(SENTENCE));
    stage.click("Previous version");
    stage.until("the first wording is back", |stage| stage.shows("First wording"));
}

#[test]
fn a_token_can_be_replaced_by_another_the_model_weighed() {
    let mut stage = Stage::new();
    stage.talk("Branch");
    stage.click("Show tokens");
    let second = stage.harness.get_by_label_contains("token 2 ‘");
    second.click();
    stage.settle();
    fn other(stage: &Stage) -> Option<egui_kittest::Node<'_>> {
        let mut all = stage.harness.query_all_by_label_contains("Branch with ‘");
        all.find(|node| !node.accesskit_node().is_disabled())
    }
    stage.until("the alternatives can be chosen", |stage| other(stage).is_some());
    other(&stage).expect("just seen").click();
    stage.until("the branch is a second version", |stage| {
        stage.shows("2 / 2") && stage.sees("Ready")
    });
}

#[test]
fn a_branch_is_a_conversation_of_its_own() {
    let mut stage = Stage::new();
    stage.talk("Original");
    let branch = "Branch to a new conversation";
    let last = stage.harness.query_all_by_label(branch).last().expect("on the reply");
    last.click();
    stage.until("there are two in the list", |stage| {
        stage.harness.query_all_by_label("Original").count() >= 2
    });
    assert!(stage.shows(SENTENCE));
}

#[test]
fn nothing_can_be_sent_without_a_model_and_the_window_says_so() {
    let mut stage = Stage::open(Setup::without_model());
    stage.type_into("Message", "Anyone there?");
    stage.press(Modifiers::NONE, Key::Enter);
    assert!(stage.shows("Load a model first"));
    assert!(stage.shows("Anyone there?"), "the draft stays");
}

#[test]
fn an_idle_window_does_not_repaint() {
    let mut stage = Stage::new();
    stage.talk("Then be still");
    // Animations and the count of the draft come to rest.
    stage.harness.run_steps(60);
    let asked = |stage: &Stage| {
        let output = stage.harness.output();
        output.viewport_output.values().map(|viewport| viewport.repaint_delay).min()
    };
    assert_eq!(asked(&stage), Some(std::time::Duration::MAX));
}

#[test]
fn an_example_is_gone_on_from_behind() {
    let mut stage = Stage::new();
    // The composer had the keyboard, empty, before the words were put into it.
    stage.click("Why is the sky blue?");
    stage.harness.event(egui::Event::Text(" And red?".into()));
    stage.until("the words follow it", |stage| stage.shows("Why is the sky blue? And red?"));
}
