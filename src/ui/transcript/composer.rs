//! Where the person writes: Enter sends, Shift+Enter breaks the line, Esc stops a reply. One
//! button sends or stops, always in the same place.

use egui::text::{CCursor, CCursorRange};
use egui::text_edit::TextEditState;
use egui::{
    Align, CornerRadius, Event, Frame, Id, ImeEvent, Key, KeyboardShortcut, Layout, Margin,
    Modifiers, PointerButton, RichText, ScrollArea, Stroke, TextEdit, Ui,
};

use super::buttons;
use super::look::Look;
use super::selectable;
use super::state::TranscriptState;
use super::view::ComposerView;
use crate::ui::Command;
use crate::ui::icons::Icon;
use crate::ui::theme::READING_WIDTH;

/// The field scrolls when the draft is higher than this many lines.
const MOST_LINES: f32 = 10.0;

/// What the composer remembers between frames.
#[derive(Debug, Default)]
pub struct ComposerState {
    /// An input method is composing: Enter belongs to it.
    composing: bool,
    /// Ask for the keyboard in the next frame.
    pub take_focus: bool,
    /// The draft was replaced by other hands than the person's: go on writing behind it.
    pub caret_to_end: bool,
    /// What was typed after a click, until the click has been taken in.
    put_off: Vec<Event>,
}

/// Draw the composer. `draft` is the caller's and is not cleared here: `Command::Send` does that.
pub fn composer_ui(
    ui: &mut Ui,
    view: &ComposerView<'_>,
    draft: &mut String,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    let look = Look::of(ui);
    if view.streaming
        && !state.wants_escape()
        && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape))
    {
        commands.push(Command::Stop);
    }
    let width = ui.available_width().min(READING_WIDTH + 32.0);
    ui.vertical_centered(|ui| {
        ui.set_max_width(width);
        let focused = ui.memory(|memory| memory.has_focus(field_id()));
        let line = if focused { look.tokens.accent } else { look.tokens.line };
        Frame::new()
            .fill(look.tokens.surface)
            .stroke(Stroke::new(1.0, line))
            .corner_radius(CornerRadius::same(16))
            .inner_margin(Margin { left: 16, right: 8, top: 8, bottom: 8 })
            .show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 4.0;
                let wants_send = field_ui(ui, view, draft, &look, &mut state.composer);
                footer_ui(ui, view, draft, &look, wants_send, commands);
            });
    });
}

fn field_id() -> Id {
    Id::unique("tiller composer")
}

/// Draw the field; true when Enter asks to send.
fn field_ui(
    ui: &mut Ui,
    view: &ComposerView<'_>,
    draft: &mut String,
    look: &Look,
    state: &mut ComposerState,
) -> bool {
    let placeholder = match view.model_name {
        Some(name) => format!("Message {name}"),
        None => "Message".to_owned(),
    };
    put_off_typing_after_click(ui, &mut state.put_off);
    if std::mem::take(&mut state.caret_to_end) {
        caret_to_end(ui, draft);
    }
    let enter = ui.input(|input| {
        input.events.iter().any(|event| {
            matches!(event, Event::Key { key: Key::Enter, pressed: true, modifiers, .. }
                if modifiers.is_none())
        })
    });
    let composing = is_composing(ui, state);
    let mut layout = selectable::field_layout(look);
    let response = ScrollArea::vertical()
        .id_salt("draft")
        .max_height(MOST_LINES * look.line_height)
        .stick_to_bottom(false)
        .show(ui, |ui| {
            ui.add(
                TextEdit::multiline(draft)
                    .id(field_id())
                    .frame(Frame::new())
                    .margin(Margin::symmetric(0, 4))
                    .font(look.body.clone())
                    .text_color(look.tokens.text)
                    .layouter(&mut layout)
                    .hint_text(RichText::new(placeholder).color(look.tokens.text_weak))
                    .return_key(KeyboardShortcut::new(Modifiers::SHIFT, Key::Enter))
                    .desired_width(f32::INFINITY)
                    .desired_rows(1),
            )
            .accessible_name("Message")
        })
        .inner;
    if std::mem::take(&mut state.take_focus) {
        response.request_focus();
    }
    if !response.has_focus() {
        state.composing = false;
    }
    enter && response.has_focus() && !composing
}

/// A field takes in the text of a frame before its clicks, whichever came first. When frames are
/// slow, words typed after a click into the field would land where the caret was before it, or be
/// lost, so they wait for the next frame.
fn put_off_typing_after_click(ui: &Ui, put_off: &mut Vec<Event>) {
    let Some(field) = ui.ctx().read_response(field_id()).map(|response| response.rect) else {
        return;
    };
    let is_typing = |event: &Event| {
        matches!(event, Event::Text(_) | Event::Key { .. } | Event::Paste(_) | Event::Ime(_))
    };
    let is_click = |event: &Event| {
        matches!(event, Event::PointerButton { pos, button: PointerButton::Primary, pressed: true, .. }
            if field.contains(*pos))
    };
    ui.input_mut(|input| {
        input.events.splice(0..0, put_off.drain(..));
        if let Some(click) = input.events.iter().rposition(is_click) {
            let after = input.events.split_off(click + 1);
            let (typed, rest): (Vec<Event>, Vec<Event>) = after.into_iter().partition(is_typing);
            input.events.extend(rest);
            *put_off = typed;
        }
    });
    if !put_off.is_empty() {
        ui.ctx().request_repaint();
    }
}

/// Puts the caret behind the draft, and forgets what could be undone: that was another text.
fn caret_to_end(ui: &Ui, draft: &str) {
    let mut field = TextEditState::load(ui.ctx(), field_id()).unwrap_or_default();
    let end = CCursor::new(draft.chars().count());
    field.cursor.set_char_range(Some(CCursorRange::one(end)));
    field.clear_undoer();
    field.store(ui.ctx(), field_id());
}

/// Whether an input method is at work, or was until this very frame: the Enter that accepts its
/// proposal may arrive together with the text.
fn is_composing(ui: &Ui, state: &mut ComposerState) -> bool {
    let mut involved = state.composing;
    ui.input(|input| {
        for event in &input.events {
            if let Event::Ime(event) = event {
                state.composing =
                    matches!(event, ImeEvent::Preedit { text, .. } if !text.is_empty());
                involved = true;
            }
        }
    });
    involved
}

fn footer_ui(
    ui: &mut Ui,
    view: &ComposerView<'_>,
    draft: &str,
    look: &Look,
    wants_send: bool,
    commands: &mut Vec<Command>,
) {
    let sendable = view.can_send && !view.streaming && !draft.trim().is_empty();
    ui.horizontal(|ui| {
        ui.label(
            RichText::new(hint(view, draft)).font(look.small.clone()).color(look.tokens.text_weak),
        );
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if view.streaming {
                if buttons::round(ui, Icon::Stop, "Stop", true).clicked() {
                    commands.push(Command::Stop);
                }
            } else if buttons::round(ui, Icon::ArrowUp, "Send", sendable).clicked()
                || (wants_send && sendable)
            {
                commands.push(Command::Send);
            }
        });
    });
}

fn hint(view: &ComposerView<'_>, draft: &str) -> String {
    match (view.blocked, view.draft_tokens) {
        (Some(reason), _) if !view.can_send => reason.to_owned(),
        (_, Some(1)) if !draft.is_empty() => "1 token".to_owned(),
        (_, Some(count)) if !draft.is_empty() => format!("{count} tokens"),
        _ => String::new(),
    }
}
