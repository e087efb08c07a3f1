//! Settings of the whole program.

use std::path::PathBuf;

use egui::{RichText, ScrollArea, ThemePreference, Ui};

use super::about::{About, about_ui};
use crate::ui::action::Action;
use crate::ui::command::Command;
use crate::ui::controls;
use crate::ui::icons::{self, Icon};
use crate::ui::theme::{self, space, tokens};
use crate::ui::transcript::Tint;

/// What is drawn.
pub struct SettingsView<'a> {
    pub theme: ThemePreference,
    pub zoom: f32,
    pub model_folders: &'a [PathBuf],
    /// The system prompt of conversations that have none of their own.
    pub system_prompt: &'a str,
    /// Whether replies open with their tokens shown, and what tints tokens.
    pub token_view: bool,
    pub tint: Tint,
    pub about: &'a About,
}

/// What the dialog remembers while it is open.
#[derive(Debug, Default)]
pub struct SettingsState {
    page: Page,
    system_prompt: Option<String>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Page {
    #[default]
    Appearance,
    Models,
    Conversations,
    Data,
    About,
}

const PAGES: [(Page, &str); 5] = [
    (Page::Appearance, "Appearance"),
    (Page::Models, "Models"),
    (Page::Conversations, "Conversations"),
    (Page::Data, "Data"),
    (Page::About, "About"),
];

/// Draws the dialog's inside.
pub fn settings_ui(
    ui: &mut Ui,
    view: &SettingsView<'_>,
    state: &mut SettingsState,
    commands: &mut Vec<Command>,
) {
    ui.horizontal_wrapped(|ui| {
        for (page, label) in PAGES {
            if ui.selectable_label(state.page == page, label).clicked() {
                state.page = page;
            }
        }
    });
    ui.add_space(space::M);
    let height = (ui.ctx().content_rect().height() - 240.0).clamp(160.0, 320.0);
    ScrollArea::vertical().auto_shrink([false, false]).max_height(height).show(
        ui,
        |ui| match state.page {
            Page::Appearance => controls::outlined(ui, |ui| appearance_ui(ui, view, commands)),
            Page::Models => models_ui(ui, view, commands),
            Page::Conversations => conversations_ui(ui, view, state, commands),
            Page::Data => data_ui(ui, view, commands),
            Page::About => about_ui(ui, view.about),
        },
    );
}

fn heading_ui(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).text_style(theme::section()).color(tokens(ui).text_strong));
}

fn appearance_ui(ui: &mut Ui, view: &SettingsView<'_>, commands: &mut Vec<Command>) {
    heading_ui(ui, "Theme");
    let themes = [
        (ThemePreference::System, "As in the system"),
        (ThemePreference::Light, "Light"),
        (ThemePreference::Dark, "Dark"),
    ];
    for (theme, label) in themes {
        if ui.radio(view.theme == theme, label).clicked() {
            commands.push(Command::SetTheme(theme));
        }
    }
    ui.add_space(space::M);
    heading_ui(ui, "Zoom");
    ui.horizontal(|ui| {
        let mut percent = (view.zoom * 100.0).round();
        let slider = egui::Slider::new(&mut percent, 50.0..=200.0).step_by(10.0).show_value(false);
        let room = egui::vec2(220.0, 18.0);
        let layout = egui::Layout::left_to_right(egui::Align::Center);
        let response =
            ui.allocate_ui_with_layout(room, layout, |ui| controls::slider(ui, slider)).inner;
        let response = response.accessible_name("Zoom");
        ui.label(format!("{percent:.0} %"));
        // While it is dragged the window must not change its scale under the pointer.
        if (response.drag_stopped() || (response.changed() && !response.dragged()))
            && percent != (view.zoom * 100.0).round()
        {
            commands.push(Command::SetZoom(percent / 100.0));
        }
        let reset = Action::ZoomReset;
        if ui.button("Reset").on_hover_text(reset.hover_text(ui.ctx())).clicked() {
            commands.push(Command::Act(reset));
        }
    });
}

fn models_ui(ui: &mut Ui, view: &SettingsView<'_>, commands: &mut Vec<Command>) {
    heading_ui(ui, "Folders with models");
    ui.weak("Scanned besides the Hugging Face cache, LM Studio, Ollama and llama.cpp; only read");
    for folder in view.model_folders {
        ui.horizontal(|ui| {
            let name = format!("Forget {}", folder.display());
            let hover = "Forget this folder; its files stay";
            if icons::button(ui, Icon::Close, &name, hover).clicked() {
                commands.push(Command::RemoveModelFolder(folder.clone()));
            }
            ui.add(egui::Label::new(folder.display().to_string()).truncate());
        });
    }
    if ui.button("Add folder…").clicked() {
        commands.push(Command::AddModelFolder);
    }
}

fn conversations_ui(
    ui: &mut Ui,
    view: &SettingsView<'_>,
    state: &mut SettingsState,
    commands: &mut Vec<Command>,
) {
    heading_ui(ui, "System prompt of new conversations");
    ui.weak("What every conversation begins with unless it has one of its own");
    let text = state.system_prompt.get_or_insert_with(|| view.system_prompt.to_owned());
    let field = egui::TextEdit::multiline(text)
        .desired_rows(4)
        .desired_width(f32::INFINITY)
        .hint_text("None");
    let response = ui.add(field).accessible_name("System prompt of new conversations");
    if response.lost_focus() && text != view.system_prompt {
        commands.push(Command::SetDefaultSystemPrompt(text.clone()));
    }
    if !response.has_focus() {
        state.system_prompt = None;
    }
    ui.add_space(space::M);
    heading_ui(ui, "Tokens");
    controls::outlined(ui, |ui| tokens_ui(ui, view, commands));
}

fn tokens_ui(ui: &mut Ui, view: &SettingsView<'_>, commands: &mut Vec<Command>) {
    let mut shown = view.token_view;
    if ui.checkbox(&mut shown, "Open replies with their tokens shown").changed() {
        commands.push(Command::SetTokenView(shown));
    }
    for (tint, label) in [
        (Tint::Probability, "Tint by how unlikely a token was"),
        (Tint::Entropy, "Tint by how undecided the model was"),
    ] {
        if ui.radio(view.tint == tint, label).clicked() {
            commands.push(Command::SetTint(tint));
        }
    }
}

fn data_ui(ui: &mut Ui, view: &SettingsView<'_>, commands: &mut Vec<Command>) {
    heading_ui(ui, "Conversations and settings");
    ui.add(egui::Label::new(RichText::new(&view.about.data_folder).monospace()).wrap());
    ui.horizontal(|ui| {
        for action in [Action::OpenDataFolder, Action::OpenLogFolder] {
            if ui.button(action.label()).on_hover_text(action.tooltip()).clicked() {
                commands.push(Command::Act(action));
            }
        }
    });
}
