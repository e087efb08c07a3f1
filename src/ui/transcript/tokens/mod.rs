//! The token view of a reply: every token as the model wrote it, tinted by how likely it was or
//! how open the choice, with a card that shows what else it might have been.

mod blocks;
mod card;
mod legend;
mod passages;
mod scale;
mod tokens_block;

use egui::{EventFilter, Key, Modifiers, Rect, Role, Sense, Ui, WidgetInfo};

use super::look::Look;
use super::message::Entry;
use super::state::TranscriptState;
use crate::ui::Command;

pub use blocks::TokenBlocks;
pub use scale::{Tint, own_text, visible};

/// How the person wants tokens drawn.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokenOptions {
    pub tint: Tint,
    /// Percentages beside the tokens.
    pub numbers: bool,
}

/// What the pointer or a click found among the tokens of this frame.
#[derive(Debug, Default)]
struct Found {
    hovered: Option<(usize, Rect)>,
    clicked: Option<usize>,
    /// Where the tokens in sight lie; for keys that move up and down.
    places: Vec<(usize, Rect)>,
}

impl Found {
    fn place_of(&self, token: usize) -> Option<Rect> {
        self.places.iter().find(|(index, _)| *index == token).map(|(_, rect)| *rect)
    }
}

/// Draw the tokens of a reply in place of its Markdown.
pub fn tokens_ui(
    ui: &mut Ui,
    entry: &Entry<'_>,
    look: &Look,
    state: &mut TranscriptState,
    commands: &mut Vec<Command>,
) {
    legend::legend_ui(ui, look, &mut state.token_options);
    let options = state.token_options;
    let message = state.messages.entry(entry.id).or_default();
    message.token_blocks.update(entry.tokens, options);

    let id = ui.unique_id().with(("tokens", entry.id));
    let area = Rect::from_min_size(ui.cursor().min, message.token_area);
    let keyboard = ui.interact(area, id, Sense::focusable_noninteractive());
    let enabled = ui.is_enabled();
    keyboard.widget_info(|| WidgetInfo::labeled(Role::ListBox, enabled, "Tokens of this reply"));
    let cursor = message.token_cursor.min(entry.tokens.len().saturating_sub(1));
    let pinned = state.pinned.filter(|(node, _)| *node == entry.id).map(|(_, token)| token);
    let lit = pinned.or_else(|| keyboard.has_focus().then_some(cursor));

    let mut found = Found::default();
    let start = ui.cursor().min;
    tokens_block::blocks_ui(
        ui,
        entry,
        look,
        options,
        &mut message.token_blocks,
        lit,
        id,
        &mut found,
    );
    message.token_area = egui::vec2(ui.available_width(), ui.cursor().min.y - start.y);
    if let Some((node, token)) = state.jump_to
        && node == entry.id
        && let Some(place) = found.place_of(token)
    {
        state.jump_to = None;
        ui.scroll_to_rect(place.expand(24.0), None);
    }

    if let Some(token) = found.clicked {
        message.token_cursor = token;
        state.pinned = if pinned == Some(token) { None } else { Some((entry.id, token)) };
        keyboard.request_focus();
    }
    if keyboard.has_focus() {
        let filter = EventFilter {
            horizontal_arrows: true,
            vertical_arrows: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
        let next = moved(ui, cursor, entry.tokens.len(), &found.places);
        if next != cursor {
            message.token_cursor = next;
            if let Some(place) = found.place_of(next) {
                ui.scroll_to_rect(place.expand(24.0), None);
            }
            if pinned.is_some() {
                state.pinned = Some((entry.id, next));
            }
        }
        let enter = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if enter(Key::Enter) || enter(Key::Space) {
            state.pinned = Some((entry.id, next));
        }
    }
    if pinned.is_some() && ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
        state.pinned = None;
        return;
    }
    let focused = keyboard.has_focus().then_some(cursor);
    let shown = pinned.or(found.hovered.map(|(token, _)| token)).or(focused);
    let Some(token) = shown else { return };
    let place = match found.hovered {
        Some((hovered, rect)) if hovered == token => Some(rect),
        _ => found.place_of(token),
    };
    if let (Some(place), Some(trace)) = (place, entry.tokens.get(token)) {
        let card = card::Card { entry, trace, token, place, is_pinned: pinned.is_some() };
        match card::card_ui(ui, &card, look, commands) {
            card::Answer::Nothing => {}
            card::Answer::Close if found.clicked.is_none() => state.pinned = None,
            card::Answer::Close => {}
        }
    }
}

/// Where the keys that were pressed move the cursor.
fn moved(ui: &Ui, cursor: usize, count: usize, places: &[(usize, Rect)]) -> usize {
    let pressed = |key| ui.input(|input| input.key_pressed(key));
    let last = count.saturating_sub(1);
    if pressed(Key::ArrowRight) {
        (cursor + 1).min(last)
    } else if pressed(Key::ArrowLeft) {
        cursor.saturating_sub(1)
    } else if pressed(Key::Home) {
        0
    } else if pressed(Key::End) {
        last
    } else if pressed(Key::ArrowDown) {
        neighbour_row(cursor, places, 1.0)
    } else if pressed(Key::ArrowUp) {
        neighbour_row(cursor, places, -1.0)
    } else {
        cursor
    }
}

/// The token nearest to the cursor's in the next row down (1) or up (-1).
fn neighbour_row(cursor: usize, places: &[(usize, Rect)], direction: f32) -> usize {
    let Some((_, from)) = places.iter().find(|(token, _)| *token == cursor) else { return cursor };
    let below = |rect: &Rect| (rect.center().y - from.center().y) * direction;
    let nearest_row = places
        .iter()
        .map(|(_, rect)| below(rect))
        .filter(|distance| *distance > 4.0)
        .fold(f32::INFINITY, f32::min);
    places
        .iter()
        .filter(|(_, rect)| (below(rect) - nearest_row).abs() < 4.0)
        .min_by(|(_, a), (_, b)| {
            let distance = |rect: &Rect| (rect.center().x - from.center().x).abs();
            distance(a).total_cmp(&distance(b))
        })
        .map_or(cursor, |(token, _)| *token)
}
