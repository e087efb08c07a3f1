//! Models and vectors brought into memory to be measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::model::checkpoint::Checkpoint;
use crate::model::load::Checkpoints;
use crate::model::vector::{Vector, open_for};
use crate::model::{LoadOptions, Loader, Model};
use crate::platform::Problem;

/// Loads a model for measuring.
///
/// # Errors
/// When it cannot be loaded.
pub fn load(folder: &Path) -> Result<Model> {
    Checkpoints
        .load(folder, &LoadOptions::default(), &mut |_, _| true)
        .with_context(|| Problem::new("cannot measure this model").at(folder))
}

/// The vectors of these files, fitted to a base.
///
/// # Errors
/// When one cannot be opened or does not fit.
pub fn open_all(files: &[PathBuf], base: &Path, any_base: bool) -> Result<Vec<Arc<Vector>>> {
    let checkpoint = Checkpoint::open(base)?;
    files.iter().map(|path| Ok(Arc::new(open_for(path, &checkpoint, any_base)?))).collect()
}
