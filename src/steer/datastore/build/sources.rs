//! What a store holds of which file: the list is opened or begun, a file comes onto it and leaves it.

use std::path::Path;

use crate::documents::Origin;
use crate::model::ModelFacts;
use crate::platform::Problem;
use crate::steer::datastore::{Manifest, Source, SourceState, StoreFacts};

pub(super) fn done(
    source: &Source,
    origin: &Origin,
    notes: Vec<String>,
    format: &str,
    entries: usize,
) -> Source {
    Source {
        id: source.id.clone(),
        path: source.path.clone(),
        state: SourceState::Done,
        hash: origin.hash.clone(),
        byte_count: origin.byte_count,
        modified_nanos: origin.modified_nanos,
        format: format.to_owned(),
        entries,
        notes,
    }
}

/// Takes a source out of a store: its entries are gone, everything else stays as it is.
///
/// # Errors
/// When there is no such store or source, or the list cannot be written.
pub fn remove(folder: &Path, path: &Path) -> Result<(), Problem> {
    let missing = || Problem::new("there is no datastore in this folder").at(folder);
    let mut manifest = Manifest::read(folder)?.ok_or_else(missing)?;
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let at = manifest.sources.iter().position(|source| source.path == path);
    let at = at.ok_or_else(|| Problem::new("the store holds nothing of this file").at(&path))?;
    let source = manifest.sources.remove(at);
    manifest.write(folder)?;
    // Nothing names it any more: whether it can be removed now is of no matter.
    std::fs::remove_file(Manifest::file_of(folder, &source)).ok();
    Ok(())
}

pub(super) fn open_or_new(folder: &Path, model: &ModelFacts) -> Result<Manifest, Problem> {
    if let Some(manifest) = Manifest::read(folder)? {
        manifest.facts.check(model).map_err(|problem| problem.at(folder))?;
        return Ok(manifest);
    }
    let holds_something = std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "sources"))
    });
    if holds_something {
        let problem = Problem::new("this folder holds other things").at(folder);
        return Err(problem.hint("give a new folder for the store"));
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Manifest::new(name, StoreFacts::of(model)))
}
