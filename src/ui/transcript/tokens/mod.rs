//! The token view of a reply.

use egui::Ui;

use super::look::Look;
use super::markdown::plain_ui;
use super::message::Entry;
use super::state::TranscriptState;
use crate::ui::Command;

/// Draw the tokens.
pub fn tokens_ui(
    ui: &mut Ui,
    entry: &Entry<'_>,
    look: &Look,
    _state: &mut TranscriptState,
    _commands: &mut Vec<Command>,
) {
    let text: String = entry.tokens.iter().map(|token| token.text.as_str()).collect();
    plain_ui(ui, &text, look);
}
