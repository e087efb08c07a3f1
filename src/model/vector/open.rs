//! Opens a vector, whatever form it has: one of our files or a PEFT folder.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Facts, Vector, file, peft};
use crate::model::checkpoint::Checkpoint;
use crate::platform::Problem;

/// Reads a vector whole: one of our safetensors files, or a PEFT LoRA folder as it is.
///
/// # Errors
/// When the file is neither, lies about itself, or holds what the method cannot use; the message
/// names the file and the key.
pub fn open(path: &Path) -> Result<Vector> {
    Ok(open_with_facts(path)?.0)
}

/// [`open`], and what the file says of how the vector was made.
pub fn open_with_facts(path: &Path) -> Result<(Vector, Facts)> {
    let facts = std::fs::metadata(path)
        .with_context(|| Problem::new("there is no vector to open").at(path))?;
    if !facts.is_dir() {
        return file::read(path);
    }
    match peft::find(path)? {
        Some(adapter) => peft::read(&adapter),
        None => Err(Problem::new(format!("the folder holds no {}", peft::CONFIG))
            .at(path)
            .hint("give a vector's file or the folder of a LoRA adapter")
            .into()),
    }
}

/// [`open`] for use with this base: fitted to its parameters ([`Vector::fit`]) and, unless
/// `any_base`, refused on a model it was not made with.
///
/// # Errors
/// As [`open`], and when it does not fit; the message names the file and the key.
pub fn open_for(path: &Path, base: &Checkpoint, any_base: bool) -> Result<Vector> {
    let vector = open(path)?;
    if !any_base {
        vector.check_base(base).map_err(|error| of_file(error, path))?;
    }
    vector.fit(base).map_err(|error| of_file(error, path))
}

/// Adds the vector's file to an error that does not name one.
pub(super) fn of_file(error: anyhow::Error, path: &Path) -> anyhow::Error {
    match error.downcast::<Problem>() {
        Ok(problem) if problem.file.is_none() => problem.at(path).into(),
        Ok(problem) => problem.into(),
        Err(error) => error,
    }
}

/// True for what [`open`] would try: a PEFT folder, or a safetensors file of ours. Reads no more
/// than a file's header.
pub fn is_vector(path: &Path) -> bool {
    if path.is_dir() { path.join(peft::CONFIG).is_file() } else { file::read_facts(path).is_ok() }
}
