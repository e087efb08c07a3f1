//! Making vectors from the window: the dialog, the job, and what becomes of it.

use std::path::PathBuf;

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::engine::making::Making;
use crate::ui::dialogs::Dialog;
use crate::ui::making::Field;

/// A vector being made.
#[derive(Debug, Clone)]
pub struct UnderWay {
    pub name: String,
    /// How far it is.
    pub words: String,
}

impl Window {
    /// Opens the dialog, on the model that is loaded.
    pub(super) fn open_making(&mut self) {
        if let Some(model) = self.engine.model.as_ref().filter(|_| !self.panels.making.has_base()) {
            self.panels.making.set(Field::Base, &model.path);
        }
        self.panels.dialog = Some(Dialog::Making);
    }

    pub(super) fn make_vector(&mut self, making: Making) {
        let name = making.name.clone();
        match self.handle.send(Request::MakeVector(Box::new(making))) {
            Ok(()) => self.making = Some(UnderWay { name, words: "Starting".to_owned() }),
            Err(problem) => self.panels.toasts.error(problem.to_string()),
        }
    }

    pub(super) fn cancel_making(&mut self) {
        self.handle.cancel_making();
        if let Some(under_way) = &mut self.making {
            "Cancelling".clone_into(&mut under_way.words);
        }
    }

    /// It is made: it comes onto the list, off until it is turned up.
    pub(in crate::app::window) fn take_made(&mut self, path: PathBuf) {
        let name = self.making.take().map(|under_way| under_way.name).unwrap_or_default();
        if matches!(self.panels.dialog, Some(Dialog::Making)) {
            self.panels.dialog = None;
        }
        self.panels.toasts.info(format!("“{name}” is made: {}", path.display()));
        self.add_vector(&path);
    }

    pub(in crate::app::window) fn making_failed(&mut self, message: String, cancelled: bool) {
        self.making = None;
        if cancelled {
            self.panels.toasts.info("Making the vector was cancelled");
        } else {
            self.panels.toasts.error(message);
        }
    }

    /// Where vectors made here are written.
    pub(in crate::app::window) fn vectors_folder(&self) -> PathBuf {
        self.places.data_folder.join("vectors")
    }
}
