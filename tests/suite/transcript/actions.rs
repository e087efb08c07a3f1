//! What can be done with a message.

use egui::Key;
use tiller::engine::{Outcome, Recipe, ReplyTimings, StopReason};

use super::*;

fn reply() -> Desk {
    Desk::with(vec![
        demo::node(1, Role::User, "Tell me about ferries"),
        demo::node(2, Role::Assistant, "They *cross* rivers."),
    ])
}

/// Press the button of this name on the n-th message that has one.
fn press(harness: &mut Harness<'static, Desk>, name: &str, nth: usize) {
    harness.get_all_by_label(name).nth(nth).expect("is there").click();
    harness.run();
}

#[test]
fn each_button_sends_its_command() {
    let mut harness = open(reply());
    press(&mut harness, "Copy message", 1);
    press(&mut harness, "Regenerate reply", 0);
    press(&mut harness, "Continue reply", 0);
    press(&mut harness, "Branch to a new conversation", 0);
    let expected = [
        Command::CopyText("They *cross* rivers.".to_owned()),
        Command::Regenerate(NodeId(2)),
        Command::Continue(NodeId(2)),
        Command::BranchToNewConversation(NodeId(1)),
    ];
    assert_eq!(harness.state().commands, expected);
}

#[test]
fn an_edited_question_can_be_answered_again_saved_or_left() {
    for (button, answer) in [("Save & answer", Some(true)), ("Save", Some(false)), ("Cancel", None)]
    {
        let mut harness = open(reply());
        press(&mut harness, "Edit message", 0);
        let field =
            harness.get_by_role_and_label(accesskit::Role::MultilineTextInput, "Edit message");
        assert!(field.is_focused());
        assert_eq!(field.value().as_deref(), Some("Tell me about ferries"));
        harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::End);
        field_text(&mut harness, "!");
        press(&mut harness, button, 0);
        let expected: Vec<Command> = answer
            .map(|answer| Command::Edit {
                node: NodeId(1),
                text: "Tell me about ferries!".to_owned(),
                answer,
            })
            .into_iter()
            .collect();
        assert_eq!(harness.state().commands, expected, "{button}");
        assert!(harness.query_by_label("Save").is_none(), "the editor is closed");
    }
}

fn field_text(harness: &mut Harness<'static, Desk>, text: &str) {
    harness
        .get_by_role_and_label(accesskit::Role::MultilineTextInput, "Edit message")
        .type_text(text);
    harness.run();
}

#[test]
fn escape_leaves_the_editor_and_not_the_reply_that_streams() {
    let mut desk = reply();
    desk.state.edit(NodeId(1), "x");
    let mut harness = open(desk);
    // Entering the conversation closes what was open in another.
    assert!(harness.query_by_label("Cancel").is_none());
    harness.state_mut().state.edit(NodeId(1), "x");
    harness.state_mut().streaming = Some(("On".to_owned(), Vec::new()));
    harness.run();
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.query_by_label("Cancel").is_none());
    assert_eq!(harness.state().commands, []);
    harness.key_press(Key::Escape);
    harness.run();
    assert_eq!(harness.state().commands, [Command::Stop]);
}

#[test]
fn versions_are_counted_and_stepped_through() {
    let mut desk = reply();
    desk.versions.push((NodeId(2), vec![NodeId(7), NodeId(2), NodeId(9)], 1));
    let mut harness = open(desk);
    harness.get_by_label("2 / 3");
    harness.get_by_label("Previous version").click();
    harness.run();
    harness.get_by_label("Next version").click();
    harness.run();
    let expected = [Command::ShowVersion(NodeId(7)), Command::ShowVersion(NodeId(9))];
    assert_eq!(harness.state().commands, expected);
    harness.state_mut().versions[0].2 = 2;
    harness.run();
    harness.get_by_label("Next version").click();
    harness.run();
    assert_eq!(harness.state().commands.len(), 2, "there is none after the last");
}

#[test]
fn while_a_reply_streams_nothing_starts_another() {
    let mut desk = reply();
    desk.streaming = Some(("The ferry".to_owned(), Vec::new()));
    let mut harness = open(desk);
    for name in ["Regenerate reply", "Continue reply", "Edit message"] {
        press(&mut harness, name, 0);
    }
    assert_eq!(harness.state().commands, []);
    assert!(harness.query_by_label("Save").is_none());
    press(&mut harness, "Copy message", 2);
    assert_eq!(harness.state().commands, [Command::CopyText("The ferry".to_owned())]);
}

#[test]
fn buttons_can_be_reached_with_the_tab_key() {
    let mut harness = open(reply());
    for _ in 0..30 {
        harness.key_press(Key::Tab);
        harness.run();
        if harness.get_by_label("Regenerate reply").is_focused() {
            harness.key_press(Key::Enter);
            harness.run();
            assert_eq!(harness.state().commands, [Command::Regenerate(NodeId(2))]);
            return;
        }
    }
    panic!("thirty presses of Tab did not reach the button");
}

#[test]
fn details_tell_how_the_reply_was_made() {
    let mut desk = reply();
    let recipe = Recipe {
        model_name: "Starter".to_owned(),
        device: "CPU, 2 threads".to_owned(),
        weights: "f16".to_owned(),
        plan: "seed = 42\n[sampling]\ntemperature = 0.5\ntop-k = 40\n".to_owned(),
        ..Recipe::default()
    };
    let outcome = Outcome {
        reason: Some(StopReason::MaxTokens),
        timings: Some(ReplyTimings { reply_tokens: 21, decode_secs: 2.0, ..Default::default() }),
        ..Outcome::default()
    };
    desk.nodes[1].recipe = serde_json::to_string(&recipe).ok();
    desk.nodes[1].outcome = serde_json::to_string(&outcome).ok();
    let mut harness = open(desk);
    press(&mut harness, "Show details", 0);
    for fact in ["Starter", "CPU, 2 threads", "f16", "42", "0.5", "21 tokens, 10.0 tokens/s"] {
        harness.get_by_label(fact);
    }
    harness.get_by_label_contains("top-k 40");
    harness.get_by_label("Most tokens reached");
    press(&mut harness, "Hide details", 0);
    assert!(harness.query_by_label("CPU, 2 threads").is_none());
}
