//! The left panel: conversations by day, search with its hits, the trash.

mod list;
mod row;

use egui::{Align, Layout, RichText, Ui};
use jiff::tz::TimeZone;

use super::action::{Action, Situation};
use super::command::Command;
use super::controls::{self, Weight};
use super::icons::{self, Icon};
use super::theme::{self, space};
use super::words;
use crate::session::{ConversationId, ConversationSummary};

pub use row::{Marks, start_renaming, title_of};

/// What the panel is given to draw.
pub struct ConversationsView<'a> {
    /// Most recently changed first.
    pub conversations: &'a [ConversationSummary],
    /// There are more to be read.
    pub has_more: bool,
    pub trash: &'a [ConversationSummary],
    /// What the search found; `None` while nothing is searched for.
    pub hits: Option<&'a [Hit]>,
    pub open: Option<ConversationId>,
    /// The conversation a reply is being written in.
    pub writing: Option<ConversationId>,
    pub now_ms: i64,
    pub zone: &'a TimeZone,
    pub situation: Situation,
}

/// A conversation that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub conversation: ConversationSummary,
    /// Where the title matches, in bytes.
    pub title_marks: Marks,
    /// A piece of a message that matches, and where, in bytes.
    pub snippet: Option<(String, Marks)>,
}

/// What the panel itself remembers between frames.
#[derive(Debug, Default)]
pub struct ConversationsState {
    pub search: String,
    /// The cursor goes to the search field in the next frame.
    pub focus_search: bool,
    pub shows_trash: bool,
    /// The conversation whose title is being typed, and the text so far.
    pub renaming: Option<Renaming>,
    /// What is asked before the trash is emptied.
    confirms_emptying: bool,
}

/// A title being typed.
#[derive(Debug, Clone, PartialEq)]
pub struct Renaming {
    pub id: ConversationId,
    pub title: String,
    /// The cursor has been put into the field.
    pub has_focus: bool,
}

/// Draws the panel.
pub fn conversations_ui(
    ui: &mut Ui,
    view: &ConversationsView<'_>,
    state: &mut ConversationsState,
    commands: &mut Vec<Command>,
) {
    header_ui(ui, commands);
    ui.add_space(space::XS);
    let hover = Action::NewConversation.hover_text(ui.ctx());
    let label = Action::NewConversation.label();
    let new = controls::wide_button(ui, Some(Icon::Plus), label, Weight::Quiet);
    if new.on_hover_text(hover).clicked() {
        commands.push(Command::NewConversation);
    }
    search_ui(ui, state, commands);
    ui.add_space(space::XS);
    let footer = 34.0;
    let list_height = (ui.available_height() - footer).max(0.0);
    let size = egui::vec2(ui.available_width(), list_height);
    ui.allocate_ui_with_layout(size, Layout::top_down(Align::Min), |ui| {
        ui.set_min_size(size);
        if state.shows_trash {
            trash_ui(ui, view, state, commands);
        } else if let Some(hits) = view.hits {
            list::hits_ui(ui, view, hits, state, commands);
        } else {
            list::conversations_ui(ui, view, state, commands);
        }
    });
    footer_ui(ui, view, state, commands);
}

fn header_ui(ui: &mut Ui, commands: &mut Vec<Command>) {
    ui.horizontal(|ui| {
        ui.heading("Tiller");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let hide = Action::ToggleLeftPanel;
            let hover = hide.hover_text(ui.ctx());
            if icons::button(ui, Icon::LeftPanel, "Hide conversations panel", &hover).clicked() {
                commands.push(Command::Act(hide));
            }
        });
    });
}

fn search_ui(ui: &mut Ui, state: &mut ConversationsState, commands: &mut Vec<Command>) {
    let field = egui::TextEdit::singleline(&mut state.search)
        .id_salt("search conversations")
        .hint_text("Search")
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::symmetric(10, 7));
    let response = ui.add(field).accessible_name("Search conversations");
    let response = response.on_hover_text(Action::SearchConversations.hover_text(ui.ctx()));
    if std::mem::take(&mut state.focus_search) {
        response.request_focus();
    }
    let left = response.has_focus() || response.lost_focus();
    let cleared = left && ui.input(|input| input.key_pressed(egui::Key::Escape));
    if cleared {
        state.search.clear();
        response.surrender_focus();
    }
    if cleared || response.changed() {
        state.shows_trash = false;
        commands.push(Command::SearchConversations(state.search.clone()));
    }
}

fn trash_ui(
    ui: &mut Ui,
    view: &ConversationsView<'_>,
    state: &mut ConversationsState,
    commands: &mut Vec<Command>,
) {
    ui.horizontal(|ui| {
        ui.label(RichText::new("Trash").text_style(theme::section()));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icons::button(ui, Icon::Close, "Close trash", "Back to the conversations").clicked()
            {
                state.shows_trash = false;
            }
            let empty = egui::Button::new(RichText::new("Empty").small());
            if !view.trash.is_empty()
                && ui.add(empty).on_hover_text("Delete all of these for good").clicked()
            {
                state.confirms_emptying = true;
            }
        });
    });
    if state.confirms_emptying {
        confirm_ui(ui, view, state, commands);
    }
    if view.trash.is_empty() {
        ui.weak("The trash is empty");
        return;
    }
    list::trash_ui(ui, view, commands);
}

fn confirm_ui(
    ui: &mut Ui,
    view: &ConversationsView<'_>,
    state: &mut ConversationsState,
    commands: &mut Vec<Command>,
) {
    let colors = theme::tokens(ui);
    egui::Frame::new()
        .fill(colors.danger_soft)
        .corner_radius(theme::RADIUS)
        .inner_margin(space::S)
        .show(ui, |ui| {
            let count = words::plural(view.trash.len() as u64, "conversation", "conversations");
            ui.label(RichText::new(format!("Delete {count} for good?")).color(colors.danger));
            ui.horizontal(|ui| {
                if ui.button("Delete for good").clicked() {
                    commands.push(Command::EmptyTrash);
                    state.confirms_emptying = false;
                }
                if ui.button("Keep").clicked() {
                    state.confirms_emptying = false;
                }
            });
        });
}

fn footer_ui(
    ui: &mut Ui,
    view: &ConversationsView<'_>,
    state: &mut ConversationsState,
    commands: &mut Vec<Command>,
) {
    ui.horizontal(|ui| {
        ui.set_min_height(32.0);
        let hover = Action::Settings.hover_text(ui.ctx());
        if icons::button(ui, Icon::Gear, "Settings", &hover).clicked() {
            commands.push(Command::Act(Action::Settings));
        }
        let name = match view.trash.len() {
            0 => "Trash".to_owned(),
            count => format!("Trash, {}", words::plural(count as u64, "item", "items")),
        };
        let trash = icons::button(ui, Icon::Trash, &name, Action::ShowTrash.tooltip());
        if trash.clicked() {
            state.shows_trash = !state.shows_trash;
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let palette = Action::Palette;
            let keys = palette.shortcut_text(ui.ctx());
            let label = RichText::new(format!("Commands  {keys}"))
                .small()
                .color(theme::tokens(ui).text_weak);
            let button = egui::Button::new(label).frame_when_inactive(false);
            if ui.add(button).on_hover_text(palette.tooltip()).clicked() {
                commands.push(Command::Act(palette));
            }
        });
    });
}
