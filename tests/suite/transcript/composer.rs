//! The composer's keys, input methods, button and limits.

use egui::{Event, ImeEvent, Key, Modifiers};

use super::*;

fn writing() -> Harness<'static, Desk> {
    let mut desk = Desk::default();
    desk.state.focus_composer();
    let mut harness = open(desk);
    assert!(field(&harness).is_focused());
    field(&harness).type_text("hello");
    harness.run();
    harness
}

fn field<'a>(harness: &'a Harness<'static, Desk>) -> egui_kittest::Node<'a> {
    harness.get_by_role_and_label(accesskit::Role::MultilineTextInput, "Message")
}

fn preedit(text: &str) -> Event {
    Event::Ime(ImeEvent::Preedit { text: text.to_owned(), active_range_chars: None })
}

fn enter() -> Event {
    Event::Key {
        key: Key::Enter,
        physical_key: None,
        pressed: true,
        repeat: false,
        modifiers: Modifiers::NONE,
    }
}

#[test]
fn enter_sends_and_shift_enter_breaks_the_line() {
    let mut harness = writing();
    harness.key_press_modifiers(Modifiers::SHIFT, Key::Enter);
    harness.run();
    field(&harness).type_text("world");
    harness.run();
    assert_eq!(harness.state().draft, "hello\nworld");
    assert_eq!(harness.state().commands, []);
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(harness.state().draft, "hello\nworld", "the caller clears its draft, not we");
    assert_eq!(harness.state().commands, [Command::Send]);
}

#[test]
fn enter_that_accepts_an_input_method_does_not_send() {
    let mut harness = writing();
    harness.event(preedit("に"));
    harness.run();
    harness.event(enter());
    harness.run();
    assert_eq!(harness.state().commands, [], "while composing");
    // Some systems deliver the text and the key in one frame.
    let commit = Event::Ime(ImeEvent::Commit("二".to_owned()));
    harness.input_mut().events.extend([commit, enter()]);
    harness.step();
    assert_eq!(harness.state().draft, "hello二");
    assert_eq!(harness.state().commands, [], "with the commit");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(harness.state().commands, [Command::Send], "afterwards");
}

#[test]
fn a_cancelled_composition_leaves_enter_alone_again() {
    let mut harness = writing();
    harness.event(preedit("に"));
    harness.event(preedit(""));
    harness.run();
    assert_eq!(harness.state().draft, "hello");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(harness.state().commands, [Command::Send]);
}

#[test]
fn one_button_sends_and_stops_in_the_same_place() {
    let mut harness = writing();
    let send = harness.get_by_label("Send").rect();
    harness.get_by_label("Send").click();
    harness.run();
    harness.state_mut().draft.clear();
    harness.state_mut().streaming = Some(("On".to_owned(), Vec::new()));
    harness.run();
    let stop = harness.get_by_label("Stop").rect();
    assert!(send.center().distance(stop.center()) < 1.0, "{send:?} {stop:?}");
    harness.get_by_label("Stop").click();
    harness.run();
    harness.key_press(Key::Escape);
    harness.run();
    assert_eq!(harness.state().commands, [Command::Send, Command::Stop, Command::Stop]);
    field(&harness).focus();
    field(&harness).type_text("next");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(harness.state().draft, "next", "one can go on writing");
    assert_eq!(harness.state().commands.len(), 3, "but not send while a reply is written");
}

#[test]
fn nothing_is_sent_without_words_or_a_model() {
    let mut harness = writing();
    harness.state_mut().draft = " \n ".to_owned();
    harness.key_press(Key::Enter);
    harness.run();
    harness.state_mut().draft = "hello".to_owned();
    harness.state_mut().blocked = true;
    harness.run();
    harness.get_by_label("Load a model first");
    harness.key_press(Key::Enter);
    harness.get_by_label("Send").click();
    harness.run();
    assert_eq!(harness.state().commands, []);
}

#[test]
fn the_field_grows_to_a_limit_and_takes_long_pastes() {
    let mut harness = writing();
    let one = field(&harness).rect().height();
    let messages_end = |harness: &Harness<'static, Desk>| harness.get_by_label("Send").rect().top();
    harness.event(Event::Paste("a\n".repeat(4)));
    harness.run();
    let five = field(&harness).rect().height();
    assert!(five > one * 2.0, "{one} {five}");
    harness.event(Event::Paste("many words\n".repeat(20_000)));
    harness.run();
    assert_eq!(harness.state().draft.len(), 5 + 8 + 220_000);
    harness.get_by_label_contains(" tokens");
    assert!(messages_end(&harness) < 700.0, "the button stays in the window");
    assert!(harness.get_by_label("Starter is ready").rect().top() > 0.0);
}

#[test]
fn scripts_from_the_right_can_be_written() {
    let mut harness = writing();
    field(&harness).type_text(" שלום עולם");
    harness.run();
    harness.key_press(Key::ArrowLeft);
    harness.run();
    harness.key_press(Key::Backspace);
    field(&harness).type_text("!");
    harness.run();
    assert_eq!(harness.state().draft, "hello שלום עו!ם");
    harness.key_press(Key::Home);
    harness.key_press_modifiers(Modifiers::SHIFT, Key::End);
    harness.key_press(Key::Delete);
    harness.run();
    assert_eq!(harness.state().draft, "");
}

#[test]
fn an_empty_conversation_offers_prompts() {
    let mut harness = open(Desk::default());
    harness.get_by_label("Starter is ready");
    harness.get_by_label("Write a haiku").click();
    harness.run();
    assert_eq!(harness.state().commands, [Command::UsePrompt("Write a haiku".to_owned())]);
}

fn typed(text: &str) -> impl Iterator<Item = Event> + '_ {
    text.chars().map(|c| Event::Text(c.to_string()))
}

/// A click as the window system sends it, without a frame between its parts.
fn click(position: egui::Pos2) -> [Event; 3] {
    let button = |pressed| Event::PointerButton {
        pos: position,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    [Event::PointerMoved(position), button(true), button(false)]
}

#[test]
fn words_typed_after_a_click_go_where_it_was_though_frames_are_slow() {
    let mut harness = open(Desk::default());
    let left = field(&harness).rect().left_center() + egui::vec2(1.0, 0.0);
    // The click that gives the keyboard and the first words, all in one frame.
    let events = &mut harness.input_mut().events;
    events.extend(click(left));
    events.extend(typed("Why is the sky "));
    harness.step();
    harness.input_mut().events.extend(typed("blue?"));
    harness.step();
    harness.run();
    assert_eq!(harness.state().draft, "Why is the sky blue?");
    // The same with the keyboard there already: what comes before the click stays at the old
    // caret, what comes after it goes to the new one.
    let events = &mut harness.input_mut().events;
    events.extend(typed("!"));
    events.extend(click(left));
    events.extend(typed("Now"));
    events.push(Event::Text(": ".into()));
    harness.step();
    harness.run();
    assert_eq!(harness.state().draft, "Now: Why is the sky blue?!");
}

#[test]
fn many_words_in_one_frame_keep_their_order() {
    let mut desk = Desk::default();
    desk.state.focus_composer();
    let mut harness = open(desk);
    for words in ["Why is ", "the sky ", "blue?"] {
        harness.input_mut().events.extend(typed(words));
        harness.step();
    }
    assert_eq!(harness.state().draft, "Why is the sky blue?");
}

#[test]
fn a_draft_put_in_by_others_is_gone_on_from_behind() {
    let mut desk = Desk::default();
    desk.state.focus_composer();
    let mut harness = open(desk);
    assert!(field(&harness).is_focused());
    // The caret stands in the empty field when the draft of the last time arrives, in the very
    // frame in which the person types.
    harness.state_mut().draft = "Why is the sky ".to_owned();
    harness.state_mut().state.draft_replaced();
    harness.input_mut().events.extend(typed("blue?"));
    harness.step();
    assert_eq!(harness.state().draft, "Why is the sky blue?");
    harness.run();
    // What could be undone belongs to another text.
    harness.state_mut().draft = "Another".to_owned();
    harness.state_mut().state.draft_replaced();
    harness.run();
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Z);
    harness.run();
    assert_eq!(harness.state().draft, "Another");
}
