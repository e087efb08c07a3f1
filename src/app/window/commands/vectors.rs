//! The list of vectors of a conversation: look at one, put it on, take it off.

use std::path::{Path, PathBuf};

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::model::vector::About;
use crate::steer::VectorSetting;
use crate::ui::Command;
use crate::ui::vectors::{Known, file_name, name_of};

/// Files of a LoRA adapter's folder that stand for the folder when one of them is chosen.
const OF_AN_ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

impl Window {
    /// Has a vector looked at; it comes onto the list when it is one.
    pub(in crate::app::window) fn add_vector(&mut self, chosen: &Path) {
        let path = folder_of_adapter(chosen);
        if self.chat.plan.vectors.iter().any(|vector| vector.path == path) {
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
        let was_added = self.adding_vectors.contains(&path);
        self.adding_vectors.retain(|adding| *adding != path);
        match outcome {
            Err(why) if was_added => self.panels.toasts.error(why),
            Err(why) => {
                self.vectors.insert(path, Known::Refused(why));
            }
            Ok(about) => {
                self.vectors.insert(path.clone(), Known::About(about));
                if was_added {
                    // Off until it is turned up: nothing changes unasked.
                    self.put_vector(VectorSetting::new(path, 0.0));
                }
            }
        }
    }

    /// The engine cannot use it: said beside it where it is on the list.
    pub(in crate::app::window) fn refuse_vector(&mut self, path: PathBuf, why: String) {
        if self.chat.plan.vectors.iter().any(|vector| vector.path == path) {
            self.vectors.insert(path, Known::Refused(why));
        } else {
            self.panels.toasts.error(why);
        }
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

    /// Has the vectors of the plan looked at that nothing is known of yet.
    pub(in crate::app::window) fn look_at_vectors(&mut self) {
        let is_new = |path: &&PathBuf| !self.vectors.contains_key(*path);
        let paths = self.chat.plan.vectors.iter().map(|vector| &vector.path);
        let new: Vec<PathBuf> = paths.filter(is_new).cloned().collect();
        for path in new {
            self.vectors.insert(path.clone(), Known::Reading);
            self.tell(Request::InspectVector { path });
        }
    }

    fn name_of_vector(&self, path: &Path) -> String {
        match self.vectors.get(path) {
            Some(Known::About(about)) => name_of(about),
            _ => file_name(path),
        }
    }
}

fn folder_of_adapter(chosen: &Path) -> PathBuf {
    let is_of_adapter =
        chosen.file_name().is_some_and(|name| OF_AN_ADAPTER.iter().any(|known| name == *known));
    match chosen.parent() {
        Some(folder) if is_of_adapter => folder.to_path_buf(),
        _ => chosen.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_adapter_stands_for_its_folder() {
        for name in OF_AN_ADAPTER {
            let chosen = Path::new("/adapters/calm").join(name);
            assert_eq!(folder_of_adapter(&chosen), Path::new("/adapters/calm"));
        }
        let own = Path::new("/vectors/medical.safetensors");
        assert_eq!(folder_of_adapter(own), own);
    }
}
