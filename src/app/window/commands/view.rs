//! How the window looks, and the settings that say so.

use crate::app::window::state::Window;
use crate::session::{Ask, Settings, Theme};

/// The settings' theme in egui's words.
pub fn theme_preference(theme: Theme) -> egui::ThemePreference {
    match theme {
        Theme::System => egui::ThemePreference::System,
        Theme::Light => egui::ThemePreference::Light,
        Theme::Dark => egui::ThemePreference::Dark,
    }
}

impl Window {
    pub(super) fn set_theme(&mut self, theme: egui::ThemePreference) {
        let theme = match theme {
            egui::ThemePreference::System => Theme::System,
            egui::ThemePreference::Light => Theme::Light,
            egui::ThemePreference::Dark => Theme::Dark,
        };
        self.change_settings(|settings| settings.theme = theme);
        self.apply_look();
    }

    /// In steps of a tenth, from half to twice the size.
    pub(super) fn set_zoom(&mut self, zoom: f32) {
        let zoom = ((zoom * 10.0).round() / 10.0).clamp(0.5, 2.0);
        self.change_settings(|settings| settings.zoom = zoom);
        self.apply_look();
    }

    /// Puts theme and zoom of the settings into force.
    pub(in crate::app::window) fn apply_look(&self) {
        self.context.set_theme(theme_preference(self.settings.theme));
        self.context.set_zoom_factor(self.settings.zoom);
    }

    /// Changes the settings and keeps what changed.
    pub(in crate::app::window) fn change_settings(&mut self, change: impl FnOnce(&mut Settings)) {
        let before = self.settings.clone();
        change(&mut self.settings);
        if self.settings != before {
            self.ask(Ask::SaveSettings {
                path: self.places.settings.clone(),
                before: Box::new(before),
                after: Box::new(self.settings.clone()),
            });
        }
    }
}
