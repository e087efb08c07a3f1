//! Files mapped into memory: the only place of the checkpoint reader with `unsafe`.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use memmap2::Mmap;

use crate::platform::Problem;

/// A file mapped read-only. An empty file maps to no bytes.
#[derive(Debug)]
pub struct MappedFile {
    pub path: PathBuf,
    map: Option<Mmap>,
}

impl MappedFile {
    /// Maps a whole file. Errors when it cannot be opened or is not a plain file.
    pub fn open(path: &Path) -> Result<Self> {
        let file =
            File::open(path).with_context(|| Problem::new("the file cannot be opened").at(path))?;
        let facts = file
            .metadata()
            .with_context(|| Problem::new("the file cannot be examined").at(path))?;
        if !facts.is_file() {
            return Err(Problem::new("this is not a plain file").at(path).into());
        }
        if facts.len() == 0 {
            return Ok(Self { path: path.to_path_buf(), map: None });
        }
        // SAFETY: the map is private to this process and only ever read. Another program that
        // shortens the file while it is mapped can still end this one with SIGBUS; every reader of
        // models shares that limit, and copying gigabytes at every start is the alternative.
        let map = unsafe { Mmap::map(&file) }
            .with_context(|| Problem::new("the file cannot be mapped into memory").at(path))?;
        Ok(Self { path: path.to_path_buf(), map: Some(map) })
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or(&[])
    }
}
