//! Loading a model, and looking for models.

use std::path::PathBuf;

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::model::LoadOptions;
use crate::session::Settings;
use crate::ui::dialogs::Dialog;
use crate::ui::engine_state::Loading;

/// How the settings say that models are loaded.
pub fn load_options(settings: &Settings) -> LoadOptions {
    LoadOptions {
        device: settings.load.device.clone(),
        weights: settings.load.weights.clone(),
        context_length: settings.load.context_length,
    }
}

impl Window {
    /// Replaces the model; the one that is loaded stays until the new one is whole.
    pub(in crate::app::window) fn load(&mut self, path: PathBuf, options: LoadOptions) {
        if self.reply.is_some() {
            self.panels.toasts.warn("Stop the reply before loading another model");
            return;
        }
        if matches!(self.panels.dialog, Some(Dialog::Model(_))) {
            self.panels.dialog = None;
        }
        if options != load_options(&self.settings) {
            let options = options.clone();
            self.change_settings(|settings| {
                settings.load.device = options.device;
                settings.load.weights = options.weights;
                settings.load.context_length = options.context_length;
            });
        }
        self.engine.loading = Some(Loading::asked(path.clone()));
        if let Err(problem) = self.handle.send(Request::Load { path, options }) {
            self.engine.loading = None;
            self.panels.toasts.error(problem.to_string());
        }
    }

    /// With nothing loaded and nothing on its way, opens the model that ships with the program;
    /// once only.
    pub(in crate::app::window) fn open_bundled(&mut self) {
        if self.engine.model.is_some() || self.engine.loading.is_some() || !self.wants_bundled {
            return;
        }
        let bundled = self.engine.found.iter().find(|model| model.store == "bundled");
        if let Some(path) = bundled.map(|model| model.path.clone()) {
            self.wants_bundled = false;
            let options = load_options(&self.settings);
            self.load(path, options);
        }
    }

    /// Looks for models in the known stores and the person's own folders.
    pub(in crate::app::window) fn scan(&mut self) {
        self.engine.is_scanning = true;
        let folders = self.settings.model_folders.clone();
        self.tell(Request::Scan { folders });
    }
}
