//! Long conversations: what is drawn, and where the list stands.

use super::*;

fn long(count: i64) -> Vec<Node> {
    (1..=count)
        .map(|id| {
            let role = if id % 2 == 1 { Role::User } else { Role::Assistant };
            let text = format!(
                "Message {id}.\n\n{}",
                "A line of text to fill it.\n\n".repeat((id % 7) as usize)
            );
            demo::node(id, role, &text)
        })
        .collect()
}

fn shown(harness: &Harness<'static, Desk>, id: i64) -> bool {
    harness.query_by_label_contains(&format!("Message {id}.")).is_some()
}

/// Scroll with what a screen reader uses, 100 points for each.
fn scroll(harness: &mut Harness<'static, Desk>, up: bool, times: usize) {
    for _ in 0..times {
        let messages = harness.get_all_by_label_contains("Message ");
        let node = messages.last().expect("some message is in sight");
        if up {
            node.scroll_up()
        } else {
            node.scroll_down()
        }
        harness.run_ok();
    }
}

#[test]
fn of_two_thousand_messages_only_those_in_sight_are_drawn() {
    let mut harness = open(Desk::with(long(2_000)));
    assert!(shown(&harness, 2_000), "it opens at the end");
    assert!(!shown(&harness, 1_900));
    let start = harness.state().state.counts();
    assert!(start.parses < 40, "{start:?}");
    harness.run_steps(10);
    let end = harness.state().state.counts();
    let per_frame = (end.messages_drawn - start.messages_drawn) / 10;
    assert!((1..20).contains(&per_frame), "{per_frame} messages in each frame");
    assert_eq!(end.parses, start.parses, "nothing is parsed twice");
}

#[test]
fn of_a_very_long_reply_only_the_blocks_in_sight_are_laid_out() {
    let text: String = (0..800).map(|n| format!("Paragraph {n} of a long reply.\n\n")).collect();
    let mut harness = open(Desk::with(vec![demo::node(1, Role::Assistant, &text)]));
    let start = harness.state().state.counts();
    harness.run_steps(10);
    let end = harness.state().state.counts();
    let per_frame = (end.blocks_drawn - start.blocks_drawn) / 10;
    assert!((5..60).contains(&per_frame), "{per_frame} blocks in each frame");
}

#[test]
fn the_list_follows_a_reply_unless_the_person_scrolled_up() {
    let mut desk = Desk::with(long(60));
    desk.streaming = Some(("Beginning".to_owned(), Vec::new()));
    let mut harness = open(desk);
    let mut text = "Beginning".to_owned();
    let grow = |harness: &mut Harness<'static, Desk>, text: &mut String, word: &str| {
        for _ in 0..6 {
            text.push_str("\n\nMore and more of it. ");
            text.push_str(word);
            harness.state_mut().streaming = Some((text.clone(), Vec::new()));
            harness.run();
        }
    };
    grow(&mut harness, &mut text, "followed");
    let window = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(900.0, 700.0));
    let last = harness.get_all_by_label_contains("followed").last().expect("drawn").rect();
    assert!(window.contains_rect(last), "the newest line is in sight: {last:?}");
    assert!(harness.query_by_label("Jump to latest").is_none());

    scroll(&mut harness, true, 8);
    let there = harness.get_all_by_label_contains("Message ").next().expect("drawn").rect();
    grow(&mut harness, &mut text, "unseen");
    let still = harness.get_all_by_label_contains("Message ").next().expect("drawn").rect();
    assert!((there.top() - still.top()).abs() < 1.0, "what is read stays: {there:?} {still:?}");

    harness.get_by_label("Jump to latest").click();
    harness.run();
    harness.run();
    let last = harness.get_all_by_label_contains("unseen").last().expect("drawn").rect();
    assert!(window.contains_rect(last), "at the end again: {last:?}");
    assert!(harness.query_by_label("Jump to latest").is_none());
}

#[test]
fn scrolling_up_into_unmeasured_messages_does_not_jump() {
    let mut harness = open(Desk::with(long(300)));
    for _ in 0..40 {
        let before = harness.get_all_by_label_contains("Message ").next().expect("drawn");
        let (name, top) = (before.value().expect("has text"), before.rect().top());
        scroll(&mut harness, true, 1);
        let after = harness.query_by_label(&name).map(|node| node.rect().top());
        if let Some(after) = after {
            let moved = after - top;
            assert!((moved - 100.0).abs() < 2.0, "moved by {moved} instead of 100 at {name:?}");
        }
    }
}

#[test]
fn a_message_that_is_sent_brings_the_end_into_sight() {
    let mut harness = open(Desk::with(long(100)));
    scroll(&mut harness, true, 10);
    assert!(!shown(&harness, 100));
    harness.state_mut().nodes.push(demo::node(101, Role::User, "Message 101. It is new."));
    harness.run();
    harness.run();
    assert!(shown(&harness, 101));
}

#[test]
fn another_width_keeps_the_message_that_is_read() {
    let mut harness = open(Desk::with(long(200)));
    scroll(&mut harness, true, 30);
    let first = harness.get_all_by_label_contains("Message ").next().expect("drawn");
    let name = first.value().expect("has text");
    harness.set_size(egui::vec2(500.0, 700.0));
    harness.run_ok();
    harness.run_ok();
    assert!(harness.query_by_label(&name).is_some(), "{name:?} is still in sight");
}
