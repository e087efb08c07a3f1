//! The scrolling list. Only the messages in sight are drawn; the others are as high as they were
//! when last drawn, or as their length suggests.

use std::collections::HashSet;

use egui::{Rect, ScrollArea, Ui, UiBuilder, pos2, vec2};

use super::buttons;
use super::look::Look;
use super::message::{Entry, entries, message_ui};
use super::state::{Measured, TranscriptState};
use super::view::TranscriptView;
use crate::session::NodeId;
use crate::ui::Command;
use crate::ui::icons::Icon;
use crate::ui::theme::READING_WIDTH;

/// Space above the first and below the last message, in points.
const EDGE: f32 = 24.0;
/// Least space left and right of the messages, in points.
const SIDE: f32 = 20.0;

/// Draw the list.
pub fn list_ui(
    ui: &mut Ui,
    view: &TranscriptView<'_>,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    let look = Look::of(ui);
    let entries = entries(view);
    forget_others(state, &entries);
    follow_new_message(state, view);

    let width = (ui.available_width() - 2.0 * SIDE).clamp(120.0, READING_WIDTH);
    let mut heights: Vec<f32> =
        entries.iter().map(|entry| expected_height(state, entry, width, &look)).collect();
    let known: Vec<bool> = entries.iter().map(|entry| is_measured(state, entry, width)).collect();
    let tops = tops_of(&heights);

    let mut area = ScrollArea::vertical()
        .id_salt(("transcript", view.conversation))
        .auto_shrink(false)
        .stick_to_bottom(true);
    let jumped = state.scroll.jump;
    if let Some(offset) = wanted_offset(state, &entries, &tops, width, ui.available_height()) {
        area = area.vertical_scroll_offset(offset);
    }

    let mut first_in_sight = None;
    let output = area.show_viewport(ui, |ui, viewport| {
        let origin = ui.max_rect().min;
        let left = origin.x + ((ui.available_width() - width) / 2.0).max(0.0);
        let first = tops.partition_point(|top| *top < viewport.top()).saturating_sub(1);
        let mut top = tops[first.min(entries.len())];
        let mut index = first;
        while index < entries.len() && top < viewport.bottom() {
            let rect = Rect::from_min_size(pos2(left, origin.y + top), vec2(width, heights[index]));
            let entry = &entries[index];
            let builder = UiBuilder::new()
                .id_salt(("message", entry.id))
                .max_rect(rect)
                .accessibility_role(egui::Role::Article)
                .accessibility_label(entry.name());
            let height = ui
                .scope_builder(builder, |ui| {
                    message_ui(ui, entry, index + 1 == entries.len(), &look, state, commands);
                    ui.min_rect().height()
                })
                .inner;
            state.counts.messages_drawn += 1;
            heights[index] = height;
            state.messages.entry(entry.id).or_default().measured = Some(Measured { width, height });
            if top + height > viewport.top() && first_in_sight.is_none() {
                first_in_sight = Some((entry.id, top));
            }
            top += height;
            index += 1;
        }
        let total = tops_of(&heights).last().copied().unwrap_or(0.0) + EDGE;
        let size = vec2(ui.max_rect().width(), total);
        ui.expand_to_include_rect(Rect::from_min_size(origin, size));
        (first..index, viewport.top())
    });

    let scroll = &mut state.scroll;
    let (drawn, drawn_offset) = output.inner;
    let offset = output.state.clamped_offset().y;
    let bottom = output.content_size.y - output.inner_rect.height();
    scroll.at_end = offset >= bottom - 4.0;
    scroll.offset = offset;
    scroll.width = width;
    scroll.anchor = first_in_sight.map(|(node, top)| (node, top - offset));

    // What was in sight already must not move because something above it turned out taller.
    let new_tops = tops_of(&heights);
    let anchor = drawn.clone().find(|index| known[*index]);
    let moved = anchor.map_or(0.0, |index| new_tops[index] - tops[index]);
    if jumped && bottom - offset > 0.5 {
        // What was only estimated has been measured now.
        scroll.jump = true;
        draw_again(ui, "the end of the list lies elsewhere");
    } else if moved.abs() > 0.5 && !scroll.at_end {
        scroll.correction = moved;
        draw_again(ui, "a message above turned out taller or shorter");
    } else if (drawn_offset - offset).abs() > 0.5 {
        draw_again(ui, "the list was scrolled after it was drawn");
    } else if drawn.clone().any(|index| !known[index]) {
        ui.ctx().request_repaint();
    }

    if !state.scroll.at_end {
        let center = pos2(output.inner_rect.center().x, output.inner_rect.bottom() - 28.0);
        if buttons::pill(ui, center, Icon::ArrowDown, "Jump to latest").clicked() {
            state.scroll.jump = true;
            ui.ctx().request_repaint();
        }
    }
}

/// At once where egui still allows another pass, else in the next frame.
fn draw_again(ui: &Ui, reason: &'static str) {
    ui.ctx().request_discard(reason);
    ui.ctx().request_repaint();
}

/// The offset to set in this frame, where the list must not simply stay where it is.
fn wanted_offset(
    state: &mut TranscriptState,
    entries: &[Entry<'_>],
    tops: &[f32],
    width: f32,
    visible: f32,
) -> Option<f32> {
    let scroll = &mut state.scroll;
    let correction = std::mem::take(&mut scroll.correction);
    if std::mem::take(&mut scroll.jump) {
        let total = tops.last().copied().unwrap_or(0.0) + EDGE;
        return Some((total - visible).max(0.0));
    }
    if scroll.at_end {
        return None;
    }
    if correction != 0.0 {
        return Some(scroll.offset + correction);
    }
    if scroll.width != width
        && let Some((node, shift)) = scroll.anchor
        && let Some(index) = entries.iter().position(|entry| entry.id == node)
    {
        return Some((tops[index] - shift).max(0.0));
    }
    None
}

fn tops_of(heights: &[f32]) -> Vec<f32> {
    let mut top = EDGE;
    let mut tops = Vec::with_capacity(heights.len() + 1);
    for height in heights {
        tops.push(top);
        top += height;
    }
    tops.push(top);
    tops
}

fn is_measured(state: &TranscriptState, entry: &Entry<'_>, width: f32) -> bool {
    let measured = state.messages.get(&entry.id).and_then(|message| message.measured);
    measured.is_some_and(|measured| measured.width == width)
}

fn expected_height(state: &TranscriptState, entry: &Entry<'_>, width: f32, look: &Look) -> f32 {
    match state.messages.get(&entry.id).and_then(|message| message.measured) {
        Some(measured) if measured.width == width => measured.height,
        Some(measured) => measured.height * measured.width / width,
        None => {
            let per_line = (width / (look.body.size * 0.5)).max(8.0);
            let breaks = entry.text.bytes().filter(|byte| *byte == b'\n').count();
            let lines = (entry.text.len() as f32 / per_line).ceil() + breaks as f32 * 0.6;
            lines.max(1.0) * look.line_height + 70.0
        }
    }
}

/// A message the person sends brings the list to its end, wherever it was scrolled to.
fn follow_new_message(state: &mut TranscriptState, view: &TranscriptView<'_>) {
    let last = view.messages.last().map(|message| message.node);
    let id = last.map(|node| node.id);
    if id != state.scroll.last_message {
        let known = state.scroll.last_message.is_some();
        state.scroll.last_message = id;
        if known && last.is_some_and(|node| node.role == crate::session::Role::User) {
            state.scroll.jump = true;
        }
    }
}

/// Drop what was cached for messages that are not on the path any more, once that is much.
fn forget_others(state: &mut TranscriptState, entries: &[Entry<'_>]) {
    if state.messages.len() > 2 * entries.len() + 64 {
        let present: HashSet<NodeId> = entries.iter().map(|entry| entry.id).collect();
        state.messages.retain(|node, _| present.contains(node));
    }
}
