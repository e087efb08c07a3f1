//! How the window looks, and the settings that say so.

use crate::app::window::state::Window;
use crate::session::{Ask, Role, Settings, Theme, TokenColours};
use crate::ui::transcript::Tint;

/// The settings' token colours in the transcript's words.
pub fn tint(colours: TokenColours) -> Tint {
    match colours {
        TokenColours::Logprob => Tint::Probability,
        TokenColours::Entropy => Tint::Entropy,
    }
}

/// Below this width, in points, the two side panels leave too little for the conversation.
const NARROW: f32 = 860.0;

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

    /// Whether replies open with their tokens shown.
    pub(super) fn set_token_view(&mut self, shown: bool) {
        self.change_settings(|settings| settings.token_view = shown);
        self.show_tokens_where_wished();
    }

    pub(super) fn set_tint(&mut self, tint: Tint) {
        let colours = match tint {
            Tint::Probability => TokenColours::Logprob,
            Tint::Entropy => TokenColours::Entropy,
        };
        self.change_settings(|settings| settings.token_colours = colours);
        self.apply_look();
    }

    /// Opens the token view of the replies on screen, if the settings say so.
    pub(in crate::app::window) fn show_tokens_where_wished(&mut self) {
        if self.settings.token_view {
            for node in self.chat.tree.nodes().filter(|node| node.role == Role::Assistant) {
                self.panels.transcript.set_token_view(node.id, true);
            }
        }
    }

    /// Whether the left and the right panel are shown: as the settings say where both fit, the
    /// right one alone where they do not.
    pub(in crate::app::window) fn panels_shown(&self) -> (bool, bool) {
        let (left, right) = (self.settings.sidebar, self.settings.side_panel);
        (left && !(right && self.is_narrow()), right)
    }

    fn is_narrow(&self) -> bool {
        self.context.content_rect().width() < NARROW
    }

    /// Shows or hides the left panel; in a narrow window it takes the place of the other.
    pub(super) fn show_left(&mut self, shown: bool) {
        let is_narrow = self.is_narrow();
        self.change_settings(|settings| {
            settings.sidebar = shown;
            settings.side_panel &= !(shown && is_narrow);
        });
    }

    pub(super) fn show_right(&mut self, shown: bool) {
        self.change_settings(|settings| settings.side_panel = shown);
    }

    /// Puts theme and zoom of the settings into force.
    pub(in crate::app::window) fn apply_look(&mut self) {
        self.panels.transcript.set_token_options(tint(self.settings.token_colours), false);
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
