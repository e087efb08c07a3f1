//! What can be done with a message: a row of buttons below it, seen when the pointer or the
//! keyboard is on the message, and always on the last one.

use egui::{Align, Layout, Response, RichText, Ui, vec2};

use super::buttons::{self, SMALL};
use super::look::Look;
use super::message::Entry;
use super::state::TranscriptState;
use crate::session::{NodeState, Role};
use crate::steer::Plan;
use crate::ui::Command;
use crate::ui::icons::Icon;

/// Draw the row. It takes its room even while it cannot be seen, so that nothing moves.
pub fn actions_ui(
    ui: &mut Ui,
    entry: &Entry<'_>,
    hovered: bool,
    look: &Look,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    let message = state.messages.entry(entry.id).or_default();
    let shown = hovered || message.has_focus || message.token_view || message.details;
    let align = if entry.role == Role::User { Align::Max } else { Align::Min };
    let layout = match align {
        Align::Max => Layout::right_to_left(Align::Center),
        _ => Layout::left_to_right(Align::Center),
    };
    ui.add_space(3.0);
    let size = vec2(ui.available_width(), SMALL);
    let mut focused = false;
    let mut start_edit = false;
    ui.allocate_ui_with_layout(size, layout, |ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        if align == Align::Min {
            versions_ui(ui, entry, look, commands, &mut focused);
        }
        ui.scope(|ui| {
            if !shown {
                ui.set_opacity(0.0);
            }
            let mut act = |response: Response| {
                focused |= response.has_focus();
                response.clicked()
            };
            if act(buttons::small(ui, Icon::Copy, "Copy message")) {
                commands.push(Command::CopyText(entry.text.to_owned()));
            }
            if !entry.is_streaming() {
                ui.add_enabled_ui(!entry.busy, |ui| {
                    start_edit = act(buttons::small(ui, Icon::Pencil, "Edit message"));
                    if entry.role == Role::Assistant {
                        if act(buttons::small(ui, Icon::Restart, "Regenerate reply")) {
                            commands.push(Command::Regenerate(entry.id));
                        }
                        if act(buttons::small(ui, Icon::Continue, "Continue reply")) {
                            commands.push(Command::Continue(entry.id));
                        }
                        let recipe = entry.node.and_then(|node| node.recipe.as_deref());
                        if recipe.is_some_and(Plan::names_steering)
                            && act(buttons::small(ui, Icon::Undo, "Reply without steering"))
                        {
                            commands.push(Command::ReplyUnsteered(entry.id));
                        }
                    }
                });
                if act(buttons::small(ui, Icon::Branch, "Branch to a new conversation")) {
                    commands.push(Command::BranchToNewConversation(entry.id));
                }
            }
            if !entry.tokens.is_empty() {
                let name = if message.token_view { "Hide tokens" } else { "Show tokens" };
                if act(buttons::toggle(ui, Icon::Tokens, name, message.token_view)) {
                    message.token_view = !message.token_view;
                }
            }
            if entry.node.is_some_and(|node| node.recipe.is_some() || node.outcome.is_some()) {
                let name = if message.details { "Hide details" } else { "Show details" };
                if act(buttons::toggle(ui, Icon::Info, name, message.details)) {
                    message.details = !message.details;
                }
            }
        });
        if align == Align::Max {
            versions_ui(ui, entry, look, commands, &mut focused);
        }
    });
    message.has_focus = focused;
    if start_edit {
        state.edit(entry.id, entry.text);
    }
}

/// "‹ 2 / 3 ›"; in a row from the right, its parts come from the right too.
fn versions_ui(
    ui: &mut Ui,
    entry: &Entry<'_>,
    look: &Look,
    commands: &mut Vec<Command>,
    focused: &mut bool,
) {
    if entry.versions.ids.len() < 2 {
        return;
    }
    let partial = entry.node.is_some_and(|node| node.state == NodeState::Streaming);
    let layout = Layout::left_to_right(Align::Center);
    let text = format!("{} / {}", entry.versions.index + 1, entry.versions.ids.len());
    ui.allocate_ui_with_layout(vec2(104.0, SMALL), layout, |ui| {
        ui.spacing_mut().item_spacing.x = 1.0;
        let previous = entry.versions.previous().filter(|_| !entry.busy && !partial);
        let next = entry.versions.next().filter(|_| !entry.busy && !partial);
        ui.add_enabled_ui(previous.is_some(), |ui| {
            let response = buttons::small(ui, Icon::ChevronLeft, "Previous version");
            *focused |= response.has_focus();
            if let (true, Some(node)) = (response.clicked(), previous) {
                commands.push(Command::ShowVersion(node));
            }
        });
        let label = RichText::new(text).font(look.small.clone()).color(look.tokens.text_weak);
        ui.label(label);
        ui.add_enabled_ui(next.is_some(), |ui| {
            let response = buttons::small(ui, Icon::ChevronRight, "Next version");
            *focused |= response.has_focus();
            if let (true, Some(node)) = (response.clicked(), next) {
                commands.push(Command::ShowVersion(node));
            }
        });
    });
}
