//! The token view: hover, pin, branch, by pointer, keyboard and screen reader.

use egui::Key;

use super::*;

fn traced() -> Harness<'static, Desk> {
    let nodes = vec![demo::node(1, Role::User, "Tell me"), demo::traced_reply(4)];
    let mut harness = open(Desk::with(nodes));
    harness.get_by_label("Show tokens").click();
    harness.run();
    harness
}

#[test]
fn every_token_has_a_name_with_its_probability() {
    let harness = traced();
    harness.get_by_role_and_label(accesskit::Role::Button, "token 3 ‘ferry’, 34 %");
    harness.get_by_label("token 8 ‘dawn’, 0.4 %");
    // Line breaks, tabs and tokens inside a character can be found too.
    harness.get_by_label("token 15 ‘\\n\\n’, 48 %");
    harness.get_by_label("token 24 ‘\\t’, 2.0 %");
    harness.get_by_label("token 20 ‘<0xC3>’, 15 %");
    assert_eq!(harness.get_all_by_label_contains("token ").count(), 24);
}

#[test]
fn hover_shows_what_else_it_might_have_been() {
    let mut harness = traced();
    assert!(harness.query_by_label("Branch with ‘·boat’, 16 %").is_none());
    harness.get_by_label("token 3 ‘ferry’, 34 %").hover();
    harness.run();
    harness.get_by_label("Branch with ‘·boat’, 16 %");
    harness.get_by_label("‘·ferry’, 34 %, taken");
    harness.get_by_label("token 3, id 12");
    harness.hover_at(egui::pos2(450.0, 5.0));
    harness.run();
    assert!(harness.query_by_label("Branch with ‘·boat’, 16 %").is_none(), "gone with the pointer");
}

#[test]
fn a_click_pins_the_card_and_an_alternative_branches() {
    let mut harness = traced();
    harness.get_by_label("token 3 ‘ferry’, 34 %").click();
    harness.run();
    harness.hover_at(egui::pos2(450.0, 5.0));
    harness.run();
    harness.get_by_label("Branch with ‘·boat’, 16 %").click();
    harness.run();
    let branch = Command::BranchAtToken { node: NodeId(4), position: 2, token: 1001 };
    assert_eq!(harness.state().commands, [branch]);
    assert!(harness.query_by_label("Close the token's card").is_none(), "the card is closed");
}

#[test]
fn escape_and_the_cross_close_a_pinned_card() {
    let mut harness = traced();
    for way in 0..2 {
        harness.get_by_label("token 3 ‘ferry’, 34 %").click();
        harness.run();
        assert!(harness.state().state.wants_escape());
        if way == 0 {
            harness.key_press(Key::Escape);
        } else {
            harness.get_by_label("Close the token's card").click();
        }
        harness.run();
        assert!(!harness.state().state.wants_escape());
    }
}

#[test]
fn the_arrow_keys_walk_and_enter_pins() {
    let mut harness = traced();
    harness.get_by_role_and_label(accesskit::Role::ListBox, "Tokens of this reply").focus();
    harness.run();
    for _ in 0..2 {
        harness.key_press(Key::ArrowRight);
        harness.run();
    }
    harness.get_by_label("token 3, id 12");
    harness.key_press(Key::Enter);
    harness.run();
    harness.get_by_label("Branch with ‘·boat’, 16 %").click();
    harness.run();
    let branch = Command::BranchAtToken { node: NodeId(4), position: 2, token: 1001 };
    assert_eq!(harness.state().commands, [branch]);
}

#[test]
fn a_screen_reader_can_press_tokens_and_alternatives() {
    let mut harness = traced();
    harness.get_by_label("token 4 ‘crosses’, 3.0 %").click_accesskit();
    harness.run();
    harness.get_by_label_contains("Branch with ‘·slowly’").click_accesskit();
    harness.run();
    let branch = Command::BranchAtToken { node: NodeId(4), position: 3, token: 1002 };
    assert_eq!(harness.state().commands, [branch]);
}

#[test]
fn the_legend_changes_tint_and_numbers() {
    let mut harness = traced();
    harness.get_by_label("≥ 50 %");
    harness.get_by_label("Entropy").click();
    harness.run();
    harness.get_by_label("> 2.5 nats");
    assert!(harness.query_by_label("≥ 50 %").is_none());
    harness.get_by_label("Numbers").click();
    harness.run();
    harness.get_by_label_contains("ferry34");
}

#[test]
fn tokens_appear_while_the_reply_streams_in_but_do_not_branch() {
    let reply = demo::traced_reply(4);
    let mut desk = Desk::with(vec![demo::node(1, Role::User, "Tell me")]);
    desk.streaming = Some((String::new(), Vec::new()));
    let mut harness = open(desk);
    for count in 1..=6 {
        let tokens = reply.tokens[..count].to_vec();
        let text = tokens.iter().map(|token| token.text.as_str()).collect();
        harness.state_mut().streaming = Some((text, tokens));
        harness.run();
        if count == 1 {
            harness.get_by_label("Show tokens").click();
            harness.run();
            harness.remove_cursor();
            harness.run();
        }
        assert_eq!(harness.get_all_by_label_contains("token ").count(), count);
    }
    harness.get_by_label("token 3 ‘ferry’, 34 %").click();
    harness.run();
    harness.get_by_label("Branch with ‘·boat’, 16 %").click();
    harness.run();
    harness.get_by_label("Stop the reply to branch from here");
    assert_eq!(harness.state().commands, []);
}

#[test]
fn of_a_long_reply_only_the_tokens_in_sight_are_made() {
    let mut reply = demo::node(4, Role::Assistant, "");
    for index in 0..3_000 {
        let text = if index % 12 == 11 { " end.\n" } else { " word" };
        reply.tokens.push(demo::token(index, text, 40.0, 0));
        reply.content.push_str(text);
    }
    let mut harness = open(Desk::with(vec![reply]));
    harness.get_by_label("Show tokens").click();
    harness.run();
    let made = harness.get_all_by_label_contains("token ").count();
    assert!((50..1_000).contains(&made), "{made} tokens in a window of 700 points");
}
