//! The list of vectors of a conversation: look at one, put it on, take it off.

use std::path::{Path, PathBuf};

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::model::vector::{About, is_of_adapter};
use crate::steer::{MixtureSetting, Plan, VectorSetting};
use crate::ui::Command;
use crate::ui::engine_state::AlignedState;
use crate::ui::vectors::{Known, file_name, name_of};

impl Window {
    /// Has a vector looked at and fitted to the model in memory; it comes onto the list when it is
    /// one and fits.
    pub(in crate::app::window) fn add_vector(&mut self, chosen: &Path) {
        let path = folder_of_adapter(chosen);
        if self.lists_vector(&path) {
            let name = self.name_of_vector(&path);
            self.panels.toasts.info(format!("“{name}” is on the list already"));
            return;
        }
        self.adding_vectors.push(path.clone());
        self.tell(Request::InspectVector { path });
    }

    /// What a vector that was looked at is.
    pub(in crate::app::window) fn take_vector(
        &mut self,
        path: PathBuf,
        outcome: Result<Box<About>, String>,
    ) {
        let is_added = self.adding_vectors.contains(&path);
        match outcome {
            Err(why) if is_added => self.give_vector_up(&path, why),
            Err(why) => {
                self.vectors.insert(path, Known::Refused(why));
            }
            Ok(about) => {
                self.vectors.insert(path.clone(), Known::About(about));
                if is_added && self.engine.model.is_some() {
                    // Whether its shapes fit; the base it names is a matter for its row.
                    self.tell(Request::AddVector { path, any_base: true });
                } else if is_added {
                    self.put_checked_vector(&path);
                }
            }
        }
    }

    /// The model takes it.
    pub(in crate::app::window) fn put_checked_vector(&mut self, path: &Path) {
        if self.adding_vectors.iter().any(|adding| adding == path) {
            self.adding_vectors.retain(|adding| adding != path);
            // Off until it is turned up: nothing changes unasked.
            self.put_vector(VectorSetting::new(path, 0.0));
        }
    }

    /// The engine cannot use it: said beside it where it is on the list.
    pub(in crate::app::window) fn refuse_vector(&mut self, path: PathBuf, why: String) {
        if self.lists_vector(&path) {
            self.vectors.insert(path, Known::Refused(why));
        } else {
            self.give_vector_up(&path, why);
        }
    }

    fn give_vector_up(&mut self, path: &Path, why: String) {
        self.adding_vectors.retain(|adding| adding != path);
        self.vectors.remove(path);
        self.panels.toasts.error(why);
    }

    /// It is on the list: dialled in this conversation, or come with the model.
    fn lists_vector(&self, path: &Path) -> bool {
        let came = self.engine.model.iter().flat_map(|model| &model.vectors);
        self.chat.plan.vectors.iter().map(|vector| &vector.path).chain(came).any(|at| at == path)
    }

    /// Another model may take what the last one refused.
    pub(in crate::app::window) fn forget_refusals(&mut self) {
        self.vectors.retain(|_, known| !matches!(known, Known::Refused(_)));
    }

    pub(super) fn put_vector(&mut self, vector: VectorSetting) {
        let mut plan = self.chat.plan.clone();
        if plan.vectors.iter().all(|other| other.path != vector.path) {
            plan.vectors.push(vector);
            self.set_plan(plan);
        }
    }

    pub(super) fn remove_vector(&mut self, path: &Path) {
        let mut plan = self.chat.plan.clone();
        let Some(at) = plan.vectors.iter().position(|vector| vector.path == path) else { return };
        let removed = plan.vectors.remove(at);
        let name = self.name_of_vector(path);
        self.set_plan(plan);
        // Put on again it is read again.
        self.vectors.remove(path);
        if self.engine.vectors.iter().any(|held| held.path == path) {
            self.tell(Request::RemoveVector { path: path.to_path_buf() });
        }
        let undo = Command::PutVector(removed);
        self.panels.toasts.offer(format!("“{name}” is off the list"), "Undo", undo);
    }

    /// Has the listed vectors looked at that nothing is known of yet.
    pub(in crate::app::window) fn look_at_vectors(&mut self) {
        let is_new = |path: &&PathBuf| !self.vectors.contains_key(*path);
        let came = self.engine.model.iter().flat_map(|model| &model.vectors);
        let paths = self.chat.plan.vectors.iter().map(|vector| &vector.path);
        let new: Vec<PathBuf> = paths.chain(came).filter(is_new).cloned().collect();
        for path in new {
            self.vectors.insert(path.clone(), Known::Reading);
            self.tell(Request::InspectVector { path });
        }
    }

    /// Has a model loaded to mix with; it stays at 0 until it is turned up.
    pub(in crate::app::window) fn set_aligned(&mut self, chosen: PathBuf) {
        let path = folder_of_model(chosen);
        let mixture = Some(MixtureSetting { aligned: path.clone(), strength: 0.0 });
        self.set_plan(Plan { mixture, ..self.chat.plan.clone() });
        self.tell(Request::LoadAligned { path });
    }

    pub(super) fn remove_aligned(&mut self) {
        self.set_plan(Plan { mixture: None, ..self.chat.plan.clone() });
        if matches!(self.engine.aligned, Some(AlignedState::Loading(..))) {
            self.handle.cancel_load();
        }
        self.tell(Request::DropAligned);
    }

    fn name_of_vector(&self, path: &Path) -> String {
        match self.vectors.get(path) {
            Some(Known::About(about)) => name_of(about),
            _ => file_name(path),
        }
    }
}

fn folder_of_adapter(chosen: &Path) -> PathBuf {
    match chosen.parent() {
        Some(folder) if is_of_adapter(chosen) => folder.to_path_buf(),
        _ => chosen.to_path_buf(),
    }
}

/// A file of a model's folder stands for the folder; a GGUF file is a model by itself.
fn folder_of_model(chosen: PathBuf) -> PathBuf {
    let of_folder = chosen
        .extension()
        .is_some_and(|extension| extension == "json" || extension == "safetensors");
    match chosen.parent() {
        Some(folder) if of_folder => folder.to_path_buf(),
        _ => chosen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_adapter_stands_for_its_folder() {
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            let chosen = Path::new("/adapters/calm").join(name);
            assert_eq!(folder_of_adapter(&chosen), Path::new("/adapters/calm"));
        }
        let model = PathBuf::from("/models/calm");
        assert_eq!(folder_of_model(model.join("config.json")), model);
        assert_eq!(folder_of_model(model.clone()), model);
        assert_eq!(folder_of_model(model.join("calm.gguf")), model.join("calm.gguf"));
        let own = Path::new("/vectors/medical.safetensors");
        assert_eq!(folder_of_adapter(own), own);
    }
}
