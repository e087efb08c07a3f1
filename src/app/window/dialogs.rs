//! The dialog that is open over the window, with what it shows of the window's state.

use egui::Ui;

use super::state::Window;
use crate::ui::Command;
use crate::ui::dialogs::{self, Dialog, SettingsView};
use crate::ui::making::{LearningView, MakingView, learning_ui, making_ui};
use crate::ui::model::{PickerView, picker_ui};

/// Draws it; closed, it gives the keyboard back to the composer.
pub(super) fn dialogs_ui(ui: &mut Ui, window: &mut Window, commands: &mut Vec<Command>) {
    let situation = window.situation();
    let Some(dialog) = &mut window.panels.dialog else { return };
    let context = ui.ctx().clone();
    let closes = match dialog {
        Dialog::Palette(state) => dialogs::palette_ui(&context, situation, state, commands),
        Dialog::Shortcuts => dialogs::dialog_ui(&context, "Keyboard shortcuts", 460.0, |ui| {
            dialogs::shortcuts_ui(ui);
            false
        }),
        Dialog::Settings(state) => {
            let view = SettingsView {
                theme: super::commands::theme_preference(window.settings.theme),
                zoom: window.settings.zoom,
                model_folders: &window.settings.model_folders,
                system_prompt: &window.settings.system_prompt,
                token_view: window.settings.token_view,
                tint: super::commands::tint(window.settings.token_colours),
                about: &window.about,
            };
            dialogs::dialog_ui(&context, "Settings", 560.0, |ui| {
                dialogs::settings_ui(ui, &view, state, commands);
                false
            })
        }
        Dialog::Passage(state) => {
            let title = state.title();
            dialogs::dialog_ui(&context, &title, 620.0, |ui| {
                dialogs::passage_ui(ui, state, commands);
                false
            })
        }
        Dialog::Making => {
            let (folder, models) = (window.vectors_folder(), window.models_folder());
            let dialled: Vec<_> = window.chat.plan.vectors_in_play().cloned().collect();
            let device = &window.settings.load.device;
            let view = MakingView {
                under_way: window.making.as_ref(),
                folder: &folder,
                models: &models,
                dialled: &dialled,
                // Training takes a device by name.
                device: if device.starts_with("cuda") { device } else { "cpu" },
            };
            let form = &mut window.panels.making;
            dialogs::dialog_ui(&context, "Make a vector", 560.0, |ui| {
                making_ui(ui, &view, form, commands);
                false
            })
        }
        Dialog::Learning => {
            let folder = window.rewards_folder();
            let options = super::commands::load_options(&window.settings);
            let view = LearningView {
                under_way: window.making.as_ref(),
                model: window.engine.model.as_deref(),
                model_name: window.engine.model_name(),
                options: &options,
                folder: &folder,
            };
            let form = &mut window.panels.learning;
            dialogs::dialog_ui(&context, "Learn rewards", 560.0, |ui| {
                learning_ui(ui, &view, form, commands);
                false
            })
        }
        Dialog::Model(state) => {
            let options = super::commands::load_options(&window.settings);
            let view = PickerView {
                engine: &window.engine,
                recent: &window.settings.recent_models,
                free_memory: window.free_memory,
                options: &options,
            };
            dialogs::dialog_ui(&context, "Choose a model", 620.0, |ui| {
                picker_ui(ui, &view, state, commands)
            })
        }
    };
    if closes {
        window.panels.dialog = None;
        window.panels.transcript.focus_composer();
    }
}
