//! Editing a message where it stands.

use egui::{Button, CornerRadius, Frame, Key, Margin, Modifiers, Stroke, TextEdit, Ui};

use super::look::Look;
use super::message::Entry;
use super::selectable;
use super::state::TranscriptState;
use crate::session::{NodeId, Role};
use crate::ui::Command;

/// The one editor that is open.
#[derive(Debug, Clone)]
pub struct Editor {
    pub node: NodeId,
    text: String,
    take_focus: bool,
}

impl Editor {
    pub fn new(node: NodeId, text: &str) -> Self {
        Self { node, text: text.to_owned(), take_focus: true }
    }
}

/// What the editor's keys and buttons ask for.
enum Outcome {
    Stay,
    Cancel,
    Save { answer: bool },
}

/// Draw the editor in place of the message.
pub fn editor_ui(
    ui: &mut Ui,
    entry: &Entry<'_>,
    look: &Look,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    let Some(editor) = &mut state.editor else { return };
    let outcome = Frame::new()
        .fill(look.tokens.surface)
        .stroke(Stroke::new(1.0, look.tokens.accent))
        .corner_radius(CornerRadius::same(12))
        .inner_margin(Margin::same(12))
        .show(ui, |ui| fields_ui(ui, entry, look, editor))
        .inner;
    match outcome {
        Outcome::Stay => {}
        Outcome::Cancel => state.editor = None,
        Outcome::Save { answer } => {
            if let Some(editor) = state.editor.take() {
                commands.push(Command::Edit { node: editor.node, text: editor.text, answer });
            }
        }
    }
}

fn fields_ui(ui: &mut Ui, entry: &Entry<'_>, look: &Look, editor: &mut Editor) -> Outcome {
    let mut layout = selectable::field_layout(look);
    let response = ui
        .add(
            TextEdit::multiline(&mut editor.text)
                .id_salt("editor")
                .frame(Frame::new())
                .font(look.body.clone())
                .text_color(look.tokens.text)
                .layouter(&mut layout)
                .desired_width(f32::INFINITY)
                .desired_rows(2),
        )
        .accessible_name("Edit message");
    if std::mem::take(&mut editor.take_focus) {
        response.request_focus();
    }
    let answer_name = match entry.role {
        Role::User => Some("Save & answer"),
        Role::Assistant => Some("Save & continue"),
        Role::System => None,
    };
    let mut outcome = Outcome::Stay;
    // The field has given up the keyboard by the time it sees Esc.
    if ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
        outcome = Outcome::Cancel;
    }
    if response.has_focus()
        && ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter))
    {
        outcome = Outcome::Save { answer: answer_name.is_some() && !entry.busy };
    }
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        if let Some(name) = answer_name {
            let text = egui::RichText::new(name).color(look.tokens.on_accent);
            let button = Button::new(text).fill(look.tokens.accent);
            if ui.add_enabled(!entry.busy, button).clicked() {
                outcome = Outcome::Save { answer: true };
            }
        }
        if ui.button("Save").clicked() {
            outcome = Outcome::Save { answer: false };
        }
        if ui.button("Cancel").clicked() {
            outcome = Outcome::Cancel;
        }
    });
    outcome
}
