//! The datastores: build one of files that were dropped, follow its build, show a passage of it,
//! reveal, delete and put back.

use std::path::{Path, PathBuf};

use crate::app::window::state::Window;
use crate::engine::Request;
use crate::platform::desktop;
use crate::session::PassageShare;
use crate::steer::StoreSetting;
use crate::steer::datastore::build::Standing;
use crate::steer::datastore::{Around, Manifest, SourceState};
use crate::ui::Command;
use crate::ui::dialogs::{Dialog, PassageState};
use crate::ui::stores::{Building, StoreEntry};
use crate::ui::words::plural;

/// What a store made by dropping files is called.
const NAME: &str = "Documents";
/// Stores that were deleted lie in here, within the folder of stores, until they are put back.
const TRASH: &str = ".trash";

impl Window {
    fn stores_folder(&self) -> PathBuf {
        self.places.data_folder.join("stores")
    }

    /// Has the stores looked at that lie in our folder or are named by the plan.
    pub(in crate::app::window) fn list_stores(&mut self) {
        let folders = self.chat.plan.stores.iter().map(|store| store.path.clone()).collect();
        self.tell(Request::ListStores { within: self.stores_folder(), folders });
    }

    pub(in crate::app::window) fn take_stores(
        &mut self,
        found: Vec<(PathBuf, Result<Box<Manifest>, String>)>,
    ) {
        for (folder, manifest) in found {
            match self.stores.iter_mut().find(|store| store.folder == folder) {
                Some(store) if store.building.is_some() => {}
                Some(store) => store.manifest = manifest,
                None => {
                    let (building, failure) = (None, None);
                    self.stores.push(StoreEntry { folder, manifest, building, failure });
                }
            }
        }
    }

    /// Builds a store of files beside whatever else is done, or adds them to the one there is.
    pub(super) fn add_documents(&mut self, files: Vec<PathBuf>) {
        if self.engine.model.is_none() {
            self.panels.toasts.warn("Load a model first: documents are read by it");
            return;
        }
        let folder = self.store_to_fill();
        let count = plural(files.len() as u64, "document", "documents");
        self.panels.toasts.info(format!("Reading {count}; you can go on chatting"));
        self.build_store(folder, files);
    }

    /// Builds what is waiting in a store and these files.
    pub(super) fn build_store(&mut self, folder: PathBuf, files: Vec<PathBuf>) {
        match self.stores.iter_mut().find(|store| store.folder == folder) {
            Some(store) => {
                store.building.get_or_insert_default();
                store.failure = None;
            }
            None => self.stores.push(StoreEntry::begun(folder.clone())),
        }
        self.builds_are_paused = false;
        self.tell(Request::BuildStore { folder, files });
    }

    /// One that is on, else any made with this model, else a new one.
    fn store_to_fill(&self) -> PathBuf {
        let fits = |store: &&StoreEntry| match (&store.manifest, &self.engine.model) {
            (Ok(manifest), Some(model)) => manifest.facts.check(model).is_ok(),
            _ => store.building.is_some(),
        };
        let is_on = |store: &&StoreEntry| {
            self.chat.plan.stores_in_play().any(|setting| setting.path == store.folder)
        };
        let fitting = || self.stores.iter().filter(fits);
        if let Some(store) = fitting().find(is_on).or_else(|| fitting().next()) {
            return store.folder.clone();
        }
        let within = self.stores_folder();
        let taken = |folder: &PathBuf| {
            folder.exists() || self.stores.iter().any(|store| store.folder == *folder)
        };
        (1_u32..)
            .map(|number| match number {
                1 => within.join(NAME),
                number => within.join(format!("{NAME} {number}")),
            })
            .find(|folder| !taken(folder))
            .unwrap_or(within)
    }

    pub(in crate::app::window) fn take_store_progress(
        &mut self,
        folder: &Path,
        standing: Box<Standing>,
        tokens_per_sec: f64,
    ) {
        if let Some(store) = self.stores.iter_mut().find(|store| store.folder == folder) {
            store.building = Some(Building { standing: Some(standing), tokens_per_sec });
        }
    }

    pub(in crate::app::window) fn take_store_list(
        &mut self,
        folder: PathBuf,
        manifest: Box<Manifest>,
        is_over: bool,
    ) {
        let entries = manifest.entries();
        let failed = |source: &&crate::steer::datastore::Source| {
            matches!(source.state, SourceState::Failed(_))
        };
        let failures = manifest.sources.iter().filter(failed).count();
        // One that was thrown away while it was built still tells of its end.
        let Some(store) = self.stores.iter_mut().find(|store| store.folder == folder) else {
            return;
        };
        store.manifest = Ok(manifest);
        if !is_over {
            return;
        }
        store.building = None;
        let (name, first_lambda) = (store.name(), store.first_lambda());
        if failures > 0 {
            let count = plural(failures as u64, "document", "documents");
            self.panels
                .toasts
                .warn(format!("{count} of “{name}” could not be read; its list says why"));
        }
        let mut plan = self.chat.plan.clone();
        if entries > 0 && plan.stores.iter().all(|setting| setting.path != folder) {
            plan.stores.push(StoreSetting::new(&folder, first_lambda));
            self.set_plan(plan);
            self.panels.toasts.info(format!("“{name}” now grounds replies"));
        }
    }

    pub(in crate::app::window) fn take_store_failure(&mut self, folder: &Path, message: String) {
        if let Some(store) = self.stores.iter_mut().find(|store| store.folder == folder) {
            store.building = None;
            store.failure = Some(message.clone());
            self.panels.toasts.error(message);
        }
    }

    pub(super) fn reveal_store(&mut self, folder: &Path) {
        if let Err(problem) = desktop::open_folder(folder) {
            self.panels.toasts.error(problem.to_string());
        }
    }

    /// The desktop's program shows it, at the page where that can be asked for.
    pub(super) fn open_document(&mut self, file: &Path, page: Option<u32>) {
        if let Err(problem) = desktop::open_file(file, page) {
            self.panels.toasts.error(problem.to_string());
        }
    }

    /// Has a passage read with the page around it, out of the store it came from.
    pub(super) fn show_passage(&mut self, passage: PassageShare) {
        let PassageShare { store, file, place, text, start, end, .. } = passage;
        let mut shown = PassageState::new(file.clone(), place.clone(), start..end);
        let holds = |entry: &&StoreEntry| match &entry.manifest {
            Ok(manifest) => {
                manifest.name == store && manifest.sources.iter().any(|held| held.path == file)
            }
            Err(_) => false,
        };
        match self.stores.iter().find(holds).map(|entry| entry.folder.clone()) {
            Some(folder) => {
                self.tell(Request::ReadAround { folder, file, passage: text, place });
            }
            None => {
                let why =
                    "The store it came from is not there any more, or holds nothing of the file";
                shown.around = Some(Err(why.into()));
            }
        }
        self.panels.dialog = Some(Dialog::Passage(shown));
    }

    pub(in crate::app::window) fn take_passage(
        &mut self,
        file: &Path,
        outcome: Result<Box<Around>, String>,
    ) {
        if let Some(Dialog::Passage(shown)) = &mut self.panels.dialog
            && shown.file == file
        {
            shown.around = Some(outcome);
        }
    }

    pub(super) fn cancel_builds(&mut self) {
        self.builds_are_paused = false;
        self.handle.cancel_builds();
    }

    pub(super) fn trash_store(&mut self, folder: &Path) {
        let name = folder.file_name().unwrap_or_default().to_os_string();
        let trash = self.stores_folder().join(TRASH);
        let number = crate::session::id::now_ms();
        let to = trash.join(format!("{number}-{}", name.to_string_lossy()));
        let moved = std::fs::create_dir_all(&trash).and_then(|()| std::fs::rename(folder, &to));
        if let Err(error) = moved {
            let what = format!("The store cannot be moved to the trash: {error}");
            self.panels.toasts.error(what);
            return;
        }
        if self.stores.iter().any(|store| store.folder == folder && store.building.is_some()) {
            self.cancel_builds();
        }
        self.stores.retain(|store| store.folder != folder);
        let mut plan = self.chat.plan.clone();
        let at = plan.stores.iter().position(|setting| setting.path == folder);
        let setting = at.map(|at| plan.stores.remove(at));
        if setting.is_some() {
            self.set_plan(plan);
        }
        let undo = Command::RestoreStore { from: to, to: folder.to_path_buf(), setting };
        let text = format!("“{}” is in the trash", name.to_string_lossy());
        self.panels.toasts.offer(text, "Undo", undo);
    }

    pub(super) fn restore_store(&mut self, from: &Path, to: &Path, setting: Option<StoreSetting>) {
        match std::fs::rename(from, to) {
            Ok(()) => {
                let mut plan = self.chat.plan.clone();
                plan.stores.retain(|setting| setting.path != to);
                plan.stores.extend(setting);
                if plan != self.chat.plan {
                    self.set_plan(plan);
                }
                self.list_stores();
            }
            Err(error) => {
                self.panels.toasts.error(format!("The store cannot be put back: {error}"));
            }
        }
    }
}
