//! Making vectors and learning rewards from the window: the dialogs, the job, and what becomes of it.

use std::path::PathBuf;

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::engine::making::Making;
use crate::model::FileKind;
use crate::ui::Command;
use crate::ui::dialogs::Dialog;
use crate::ui::making::{Field, UnderWay};

impl Window {
    /// Opens the dialog, on the model that is loaded.
    pub(super) fn open_making(&mut self) {
        if let Some(model) = self.engine.model.as_ref().filter(|_| !self.panels.making.has_base()) {
            self.panels.making.set(Field::Base, &model.path);
        }
        self.panels.dialog = Some(Dialog::Making);
    }

    pub(super) fn make(&mut self, making: Making, only_estimates: bool) {
        let request = match only_estimates {
            true => Request::EstimateMaking(Box::new(making.clone())),
            false => Request::Make(Box::new(making.clone())),
        };
        match self.handle.send(request) {
            Ok(()) => self.making = Some(UnderWay::begin(making, only_estimates)),
            Err(problem) => self.panels.toasts.error(problem.to_string()),
        }
    }

    pub(super) fn cancel_making(&mut self) {
        self.handle.cancel_making();
        if let Some(under_way) = &mut self.making {
            "Cancelling".clone_into(&mut under_way.words);
        }
    }

    /// It is made: a vector comes onto the list, off until it is turned up; an adapter's rewards are
    /// shown from the next reply on; a model is opened when the person says so.
    pub(in crate::app::window) fn take_made(&mut self, path: PathBuf, kind: FileKind) {
        let name = self.making.take().map(|under_way| under_way.making.name).unwrap_or_default();
        if matches!(self.panels.dialog, Some(Dialog::Making | Dialog::Learning)) {
            self.panels.dialog = None;
        }
        let told = format!("“{name}” is made: {}", path.display());
        match kind {
            FileKind::Model => {
                return self.panels.toasts.offer(told, "Open it", Command::OpenModel(path));
            }
            FileKind::Reward => self.add_reward(&path),
            FileKind::Judge => self.set_judge(Some(&path)),
            FileKind::Vector => self.add_vector(&path),
        }
        self.panels.toasts.info(told);
    }

    /// How long it would take; the form says so as long as it asks for the same.
    pub(in crate::app::window) fn take_estimate(&mut self, words: String) {
        if let Some(under_way) = self.making.take() {
            self.panels.learning.take_estimate(under_way.making, words);
        }
    }

    pub(in crate::app::window) fn making_failed(&mut self, message: String, cancelled: bool) {
        let under_way = self.making.take();
        match under_way.filter(|_| cancelled) {
            None => self.panels.toasts.error(message),
            Some(one) if one.only_estimates => {}
            Some(one) => {
                self.panels.toasts.info(format!("Making “{}” was cancelled", one.making.name));
            }
        }
    }

    /// Where vectors made here are written.
    pub(in crate::app::window) fn vectors_folder(&self) -> PathBuf {
        self.places.data_folder.join("vectors")
    }

    /// Where models are written that vectors were merged into.
    pub(in crate::app::window) fn models_folder(&self) -> PathBuf {
        self.places.data_folder.join("models")
    }

    /// Where reward adapters learnt here are written.
    pub(in crate::app::window) fn rewards_folder(&self) -> PathBuf {
        self.places.data_folder.join("rewards")
    }
}
