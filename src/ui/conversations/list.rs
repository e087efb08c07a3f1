//! The scrolled lists of the left panel. Only the rows in sight are laid out, so that ten thousand
//! conversations cost as much as ten.

use std::ops::Range;

use egui::{Rect, RichText, ScrollArea, Ui, UiBuilder, pos2, vec2};

use super::row::{self, Row};
use super::{ConversationsState, ConversationsView, Hit};
use crate::session::ConversationSummary;
use crate::ui::command::Command;
use crate::ui::theme;
use crate::ui::words;

const HEADING: f32 = 30.0;
const LINE: f32 = 34.0;
const HIT: f32 = 56.0;

/// A heading or the index of a conversation.
enum Item {
    Heading(String),
    Conversation(usize),
}

/// Conversations under the day they were last changed on.
pub fn conversations_ui(
    ui: &mut Ui,
    view: &ConversationsView<'_>,
    state: &mut ConversationsState,
    commands: &mut Vec<Command>,
) {
    if view.conversations.is_empty() {
        ui.weak("Nothing here yet");
        return;
    }
    let mut items = Vec::with_capacity(view.conversations.len() + 8);
    let mut group = String::new();
    for (index, conversation) in view.conversations.iter().enumerate() {
        let day = words::day_group(conversation.changed_ms, view.now_ms, view.zone);
        if day != group {
            items.push(Item::Heading(day.clone()));
            group = day;
        }
        items.push(Item::Conversation(index));
    }
    let heights: Vec<f32> = items
        .iter()
        .map(|item| if matches!(item, Item::Heading(_)) { HEADING } else { LINE })
        .collect();
    let seen = virtual_rows(ui, "conversations", &heights, |ui, index| match &items[index] {
        Item::Heading(text) => heading_ui(ui, text),
        Item::Conversation(index) => {
            let conversation = &view.conversations[*index];
            let row = Row { conversation, title_marks: &[], snippet: None };
            row::row_ui(ui, view, &row, state, commands);
        }
    });
    if view.has_more && seen.end >= items.len() {
        commands.push(Command::MoreConversations);
    }
}

/// What a search found.
pub fn hits_ui(
    ui: &mut Ui,
    view: &ConversationsView<'_>,
    hits: &[Hit],
    state: &mut ConversationsState,
    commands: &mut Vec<Command>,
) {
    if hits.is_empty() {
        ui.weak("Nothing found");
        return;
    }
    let found = words::plural(hits.len() as u64, "conversation", "conversations");
    ui.label(RichText::new(found).small().color(theme::tokens(ui).text_weak));
    let heights: Vec<f32> =
        hits.iter().map(|hit| if hit.snippet.is_some() { HIT } else { LINE }).collect();
    virtual_rows(ui, "hits", &heights, |ui, index| {
        let hit = &hits[index];
        let snippet = hit.snippet.as_ref().map(|(text, marks)| (text.as_str(), marks.as_slice()));
        let row = Row { conversation: &hit.conversation, title_marks: &hit.title_marks, snippet };
        row::row_ui(ui, view, &row, state, commands);
    });
}

/// What was thrown away.
pub fn trash_ui(ui: &mut Ui, view: &ConversationsView<'_>, commands: &mut Vec<Command>) {
    let heights = vec![LINE; view.trash.len()];
    virtual_rows(ui, "trash", &heights, |ui, index| {
        let conversation: &ConversationSummary = &view.trash[index];
        row::trash_row_ui(ui, conversation, commands);
    });
}

fn heading_ui(ui: &mut Ui, text: &str) {
    let color = theme::tokens(ui).text_weak;
    ui.add_space(10.0);
    ui.label(RichText::new(text).text_style(egui::TextStyle::Small).color(color));
}

/// Lays out the rows in sight; tells which those are.
fn virtual_rows(
    ui: &mut Ui,
    salt: &str,
    heights: &[f32],
    mut row_ui: impl FnMut(&mut Ui, usize),
) -> Range<usize> {
    let mut tops = Vec::with_capacity(heights.len() + 1);
    let mut top = 0.0;
    tops.push(top);
    for height in heights {
        top += height;
        tops.push(top);
    }
    let area = ScrollArea::vertical().id_salt(salt).auto_shrink([false, false]);
    area.show_viewport(ui, |ui, viewport| {
        ui.set_height(top);
        let first = tops.partition_point(|&top| top <= viewport.top()).saturating_sub(1);
        let last = tops.partition_point(|&top| top < viewport.bottom()).min(heights.len());
        let origin = ui.max_rect().left_top();
        let width = ui.available_width();
        for index in first..last {
            let place = Rect::from_min_size(
                pos2(origin.x, origin.y + tops[index]),
                vec2(width, heights[index]),
            );
            let mut row = ui.new_child(UiBuilder::new().max_rect(place).id_salt((salt, index)));
            row_ui(&mut row, index);
        }
        first..last
    })
    .inner
}
