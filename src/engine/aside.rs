//! What is answered beside the model: counting tokens, scanning stores, inspecting files. A thread
//! of its own, so that none of it waits for a reply and no reply waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crossbeam_channel::{Receiver, Sender};

use super::shared::{Shared, Teller};
use super::worker::{Work, panic_message};
use super::{Event, Opening, Prompt, building, prompt, vectors};
use crate::model::{FileKind, Loader, vector};
use crate::steer::datastore;

/// A request that needs no model pass.
pub enum Aside {
    Count { ticket: u64, prompt: Prompt },
    Scan { folders: Vec<PathBuf> },
    Inspect { path: PathBuf },
    InspectVector { path: PathBuf },
    InspectReward { path: PathBuf },
    Identify { path: PathBuf },
    RemoveFromStore { folder: PathBuf, file: PathBuf },
    RenameStore { folder: PathBuf, name: String },
    ReadAround { folder: PathBuf, file: PathBuf, passage: String, place: String },
    ListStores { within: PathBuf, folders: Vec<PathBuf> },
    OpenVector { path: PathBuf, any_base: bool },
}

/// Answers until the handle is gone. `work` wakes the worker when something waits for it.
pub fn run(
    requests: &Receiver<Aside>,
    shared: &Shared,
    loader: &dyn Loader,
    teller: &Teller,
    work: &Sender<Work>,
) {
    while let Ok(aside) = requests.recv() {
        let event = match aside {
            Aside::Count { ticket, prompt } => {
                Event::Counted { ticket, tokens: contained(|| count(shared, &prompt)) }
            }
            Aside::Scan { folders } => scan(loader, folders),
            Aside::Inspect { path } => {
                let outcome = contained(|| loader.inspect(&path).map(Box::new));
                Event::Inspected { path, outcome }
            }
            Aside::InspectVector { path } => {
                let outcome = contained(|| vector::about(&path).map(Box::new));
                Event::VectorInspected { path, outcome }
            }
            Aside::Identify { path } => {
                let kind = FileKind::of(&path);
                Event::Identified { path, kind }
            }
            Aside::InspectReward { path } => {
                let facts = shared.facts.read().clone();
                let outcome = contained(|| loader.inspect_reward(&path, facts.as_deref()));
                Event::RewardInspected { path, outcome: outcome.map(Box::new) }
            }
            Aside::RemoveFromStore { folder, file } => {
                changed(folder, |folder| Ok(datastore::build::remove(folder, &file)?))
            }
            Aside::RenameStore { folder, name } => changed(folder, |folder| {
                let mut manifest = listed(folder)?;
                manifest.name = name;
                Ok(manifest.write(folder)?)
            }),
            Aside::ReadAround { folder, file, passage, place } => {
                let read = contained(|| datastore::around(&folder, &file, &passage, &place));
                Event::PassageRead { file, outcome: read.map(Box::new) }
            }
            Aside::ListStores { within, folders } => {
                Event::StoresFound(building::listed(&within, &folders))
            }
            Aside::OpenVector { path, any_base } => {
                match contained(|| open_vector(shared, loader, &path, any_base)) {
                    Ok(()) => {
                        // A full queue is no matter: the worker looks before whatever it does next.
                        work.try_send(Work::TakeVectors).ok();
                        continue;
                    }
                    Err(message) => {
                        shared.vectors.lock().opening.remove(&path);
                        Event::VectorFailed { path, message }
                    }
                }
            }
        };
        teller.tell(event);
    }
}

/// Changes a store and tells what is in it now.
fn changed(folder: PathBuf, change: impl FnOnce(&Path) -> anyhow::Result<()>) -> Event {
    match contained(|| change(&folder).and_then(|()| listed(&folder))) {
        Ok(manifest) => Event::StoreListed { folder, manifest: Box::new(manifest), is_over: false },
        Err(message) => Event::StoreFailed { folder, message },
    }
}

fn listed(folder: &Path) -> anyhow::Result<datastore::Manifest> {
    let gone = || crate::platform::Problem::new("there is no datastore in this folder").at(folder);
    Ok(datastore::Manifest::read(folder)?.ok_or_else(gone)?)
}

fn count(shared: &Shared, prompt: &Prompt) -> anyhow::Result<usize> {
    let language = shared.language.read().clone();
    let language = language.ok_or_else(|| anyhow::anyhow!("no model is loaded"))?;
    Ok(prompt::assemble(&language, prompt, &Opening::None)?.ids.len())
}

fn open_vector(
    shared: &Shared,
    loader: &dyn Loader,
    path: &std::path::Path,
    any_base: bool,
) -> anyhow::Result<()> {
    let facts = shared.facts.read().clone();
    let facts = facts.ok_or_else(|| {
        crate::platform::Problem::new("no model is loaded").hint("choose a model first")
    })?;
    let opened = vectors::open(loader, path, &facts, any_base)?;
    shared.arrivals.lock().push((facts.fingerprint.clone(), opened));
    Ok(())
}

fn scan(loader: &dyn Loader, folders: Vec<PathBuf>) -> Event {
    match catch_unwind(AssertUnwindSafe(|| loader.scan(&folders))) {
        Ok((found, skipped)) => Event::Scanned { found, skipped },
        Err(panic) => {
            let reason = format!("the scan broke off: {}", panic_message(&*panic));
            tracing::error!("{reason}");
            let path = folders.into_iter().next().unwrap_or_default();
            Event::Scanned {
                found: Vec::new(),
                skipped: vec![crate::model::SkippedModel { path, reason }],
            }
        }
    }
}

/// Runs a request's work; a panic in it becomes its error.
pub(super) fn contained<T>(work: impl FnOnce() -> anyhow::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(panic) => Err(format!("broke off: {}", panic_message(&*panic))),
    }
}
