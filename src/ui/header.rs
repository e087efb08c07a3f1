//! The strip above the transcript: what conversation this is, and the menu.

use egui::{Align, Layout, RichText, Ui};

use super::action::{Action, Group, Situation};
use super::command::Command;
use super::icons::{self, Icon};
use super::theme::{self, tokens};

/// What is drawn.
pub struct HeaderView<'a> {
    pub title: &'a str,
    pub shows_left: bool,
    pub shows_right: bool,
    pub situation: Situation,
}

/// Draws the strip.
pub fn header_ui(ui: &mut Ui, view: &HeaderView<'_>, commands: &mut Vec<Command>) {
    ui.horizontal_centered(|ui| {
        if !view.shows_left {
            panel_button(ui, Icon::LeftPanel, Action::ToggleLeftPanel, commands);
            let hover = Action::NewConversation.hover_text(ui.ctx());
            if icons::button(ui, Icon::Plus, "New conversation", &hover).clicked() {
                commands.push(Command::NewConversation);
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if !view.shows_right {
                panel_button(ui, Icon::RightPanel, Action::ToggleRightPanel, commands);
            }
            let more = icons::button(ui, Icon::More, "Menu", "Everything that can be done here");
            egui::Popup::menu(&more).show(|ui| menu_ui(ui, view.situation, commands));
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let title = RichText::new(view.title)
                    .font(theme::strong_font(ui, 15.0))
                    .color(tokens(ui).text_strong);
                ui.add(egui::Label::new(title).truncate());
            });
        });
    });
}

fn panel_button(ui: &mut Ui, icon: Icon, action: Action, commands: &mut Vec<Command>) {
    let hover = action.hover_text(ui.ctx());
    if icons::button(ui, icon, action.label(), &hover).clicked() {
        commands.push(Command::Act(action));
    }
}

/// The whole list of actions, one submenu for each group.
fn menu_ui(ui: &mut Ui, situation: Situation, commands: &mut Vec<Command>) {
    ui.set_min_width(180.0);
    for group in Group::ALL {
        ui.menu_button(group.label(), |ui| {
            ui.set_min_width(230.0);
            for action in Action::all().filter(|action| action.group() == group) {
                item_ui(ui, action, situation, commands);
            }
        });
    }
}

fn item_ui(ui: &mut Ui, action: Action, situation: Situation, commands: &mut Vec<Command>) {
    let keys = RichText::new(action.shortcut_text(ui.ctx())).small();
    let button = egui::Button::new(action.label()).shortcut_text(keys);
    let reason = action.unavailable(situation);
    let response = ui.add_enabled(reason.is_none(), button).on_hover_text(action.tooltip());
    let response = match reason {
        Some(reason) => response.on_disabled_hover_text(reason),
        None => response,
    };
    if response.clicked() {
        commands.push(Command::Act(action));
    }
}
