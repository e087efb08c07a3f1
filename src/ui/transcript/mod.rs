//! The middle of the window: the messages of the open conversation and the composer below them.
//! Values in, commands out; nothing here changes a conversation.

mod actions;
mod bidi;
mod buttons;
mod composer;
mod details;
mod edit;
mod empty;
mod grounded;
mod list;
mod look;
pub mod markdown;
mod message;
mod ribbon;
mod selectable;
mod state;
mod tokens;
mod view;

use egui::{CentralPanel, Frame, Margin, Panel, Ui};

use super::Command;

pub use composer::composer_ui;
pub use state::{Counts, TranscriptState};
pub use tokens::Tint;
pub use view::{ComposerView, EmptyContent, MessageView, StreamingReply, TranscriptView, Versions};

/// Draw the messages into all the room `ui` has.
pub fn transcript_ui(
    ui: &mut Ui,
    view: &TranscriptView<'_>,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    state.enter(view.conversation);
    if view.messages.is_empty() && view.streaming.is_none() {
        empty::empty_ui(ui, &view.empty, commands);
    } else {
        list::list_ui(ui, view, state, commands);
    }
}

/// Draw the messages and, at the bottom, the composer.
pub fn conversation_ui(
    ui: &mut Ui,
    view: &TranscriptView<'_>,
    composer: &ComposerView<'_>,
    draft: &mut String,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    let margin = Margin { left: 16, right: 16, top: 4, bottom: 14 };
    Panel::bottom("composer")
        .show_separator_line(false)
        .resizable(false)
        .frame(Frame::new().inner_margin(margin))
        .show(ui, |ui| composer_ui(ui, composer, draft, state, commands));
    CentralPanel::default()
        .frame(Frame::new())
        .show(ui, |ui| transcript_ui(ui, view, state, commands));
}
