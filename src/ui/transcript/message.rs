//! One message: the person's in a quiet bubble, the model's as plain reading text.

use egui::{Align, CornerRadius, Frame, Layout, Margin, RichText, Ui, UiBuilder};

use super::actions::actions_ui;
use super::details::details_ui;
use super::edit::editor_ui;
use super::grounded::grounded_ui;
use super::look::Look;
use super::markdown::{blocks_ui, plain_ui};
use super::ribbon::ribbon_ui;
use super::state::TranscriptState;
use super::tokens::tokens_ui;
use super::view::{TranscriptView, Versions};
use crate::session::{Node, NodeId, NodeState, Role, TokenReferences, TokenTrace};
use crate::ui::Command;

/// A line of the list: a stored message or the reply on its way.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub id: NodeId,
    pub role: Role,
    pub text: &'a str,
    pub tokens: &'a [TokenTrace],
    /// What datastores did to them, rising by token.
    pub references: &'a [TokenReferences],
    pub versions: Versions<'a>,
    /// The stored message; none for the reply on its way.
    pub node: Option<&'a Node>,
    pub prefill: Option<(usize, usize)>,
    /// A reply is being generated somewhere: nothing that would start another is offered.
    pub busy: bool,
}

impl Entry<'_> {
    /// What a screen reader calls it.
    pub fn name(&self) -> &'static str {
        match (self.role, self.node) {
            (Role::User, _) => "Your message",
            (Role::System, _) => "System prompt",
            (Role::Assistant, Some(_)) => "Reply",
            (Role::Assistant, None) => "Reply, being written",
        }
    }

    /// What datastores did to a token.
    pub fn references_of(&self, token: usize) -> Option<&TokenReferences> {
        let at = self.references.binary_search_by_key(&token, |told| told.token).ok()?;
        self.references.get(at)
    }

    pub fn is_streaming(&self) -> bool {
        self.node.is_none()
    }
}

/// Everything to draw, in order.
pub fn entries<'a>(view: &TranscriptView<'a>) -> Vec<Entry<'a>> {
    let busy = view.streaming.is_some();
    let stored = view.messages.iter().map(|message| Entry {
        id: message.node.id,
        role: message.node.role,
        text: &message.node.content,
        tokens: &message.node.tokens,
        references: message.references,
        versions: message.versions,
        node: Some(message.node),
        prefill: None,
        busy,
    });
    let streaming = view.streaming.iter().map(|reply| Entry {
        id: reply.node,
        role: Role::Assistant,
        text: reply.text,
        tokens: reply.tokens,
        references: reply.references,
        versions: reply.versions,
        node: None,
        prefill: reply.prefill,
        busy,
    });
    stored.chain(streaming).collect()
}

/// Draw one message.
pub fn message_ui(
    ui: &mut Ui,
    entry: &Entry<'_>,
    is_last: bool,
    look: &Look,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    ui.spacing_mut().item_spacing.y = 0.0;
    let area = ui.max_rect();
    let hovered = ui.rect_contains_pointer(area) || is_last;
    if state.editor.as_ref().is_some_and(|editor| editor.node == entry.id) {
        editor_ui(ui, entry, look, state, commands);
        ui.add_space(18.0);
        return;
    }
    match entry.role {
        Role::User => bubble_ui(ui, entry, look),
        Role::System => system_ui(ui, entry, look),
        Role::Assistant => reply_ui(ui, entry, look, state, commands),
    }
    actions_ui(ui, entry, hovered, look, state, commands);
    if state.messages.get(&entry.id).is_some_and(|message| message.details) {
        details_ui(ui, entry, look);
    }
    ui.add_space(if entry.role == Role::User { 8.0 } else { 18.0 });
}

/// The person's message: at the right, as wide as its text.
fn bubble_ui(ui: &mut Ui, entry: &Entry<'_>, look: &Look) {
    ui.with_layout(Layout::top_down(Align::Max), |ui| {
        let widest = (ui.available_width() * 0.86).max(120.0);
        Frame::new()
            .fill(look.tokens.surface)
            .corner_radius(CornerRadius { nw: 14, ne: 14, sw: 14, se: 5 })
            .inner_margin(Margin::symmetric(15, 9))
            .show(ui, |ui| {
                ui.set_max_width(widest - 30.0);
                plain_ui(ui, entry.text, look);
            });
    });
}

fn system_ui(ui: &mut Ui, entry: &Entry<'_>, look: &Look) {
    heading_ui(ui, "System prompt", look);
    let mut quiet = look.clone();
    quiet.tokens.text = look.tokens.text_weak;
    plain_ui(ui, entry.text, &quiet);
}

fn reply_ui(
    ui: &mut Ui,
    entry: &Entry<'_>,
    look: &Look,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    let message = state.messages.entry(entry.id).or_default();
    if message.token_view && !entry.tokens.is_empty() {
        tokens_ui(ui, entry, look, state, commands);
    } else {
        let parsed = if entry.is_streaming() {
            message.document.set_growing(entry.text)
        } else {
            message.document.set_finished(entry.text)
        };
        if parsed > 0 {
            state.counts.parses += 1;
            state.counts.parsed_bytes += parsed;
            message.heights.forget_from(message.document.settled().saturating_sub(1));
        }
        let builder = UiBuilder::new().layout(Layout::top_down(Align::Min));
        state.counts.blocks_drawn += ui
            .scope_builder(builder, |ui| {
                blocks_ui(ui, &message.document.blocks, &mut message.heights, look, commands)
            })
            .inner;
    }
    ribbon_ui(ui, entry, look, commands);
    grounded_ui(ui, entry, look, commands);
    if entry.is_streaming() {
        progress_ui(ui, entry, look);
    } else if entry.node.is_some_and(|node| node.state == NodeState::Partial) {
        note_ui(ui, "Stopped before the end", look);
    } else if entry.text.is_empty() {
        note_ui(ui, "The reply is empty", look);
    }
}

fn progress_ui(ui: &mut Ui, entry: &Entry<'_>, look: &Look) {
    if !entry.text.is_empty() {
        return;
    }
    let text = match entry.prefill {
        Some((done, total)) if total > 0 => {
            format!("Reading the prompt, {done} of {total} tokens")
        }
        _ => "Waiting for the first token".to_owned(),
    };
    note_ui(ui, &text, look);
}

fn heading_ui(ui: &mut Ui, text: &str, look: &Look) {
    ui.label(RichText::new(text).font(look.small.clone()).color(look.tokens.text_weak));
    ui.add_space(3.0);
}

fn note_ui(ui: &mut Ui, text: &str, look: &Look) {
    ui.add_space(4.0);
    ui.label(RichText::new(text).font(look.small.clone()).italics().color(look.tokens.text_weak));
}
