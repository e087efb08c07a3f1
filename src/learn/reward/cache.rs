//! Records on disk while a run goes over them more than once: one file of fixed places, removed
//! with the value. It holds for one sitting; after a kill it is begun anew.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::platform::Problem;

/// The file, and where each text's values lie in it.
pub struct Cache {
    path: PathBuf,
    file: File,
    /// First value and count of each text, and whether it was written.
    places: Vec<(u64, usize, bool)>,
}

impl Cache {
    /// An empty file for texts of these many positions with `width` values each.
    ///
    /// # Errors
    /// When the folder or the file cannot be made.
    pub fn new(folder: &Path, positions: &[usize], width: usize) -> Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| Problem::new("cannot make this folder").at(folder))?;
        let path = folder.join(format!("tiller-activations-{}", std::process::id()));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .with_context(|| Problem::new("cannot make this file").at(&path))?;
        let mut next = 0;
        let mut places = Vec::with_capacity(positions.len());
        for count in positions {
            places.push((next, count * width, false));
            next += (count * width) as u64;
        }
        Ok(Self { path, file, places })
    }

    /// What the whole file will take.
    pub fn bytes(&self) -> u64 {
        self.places.last().map_or(0, |(first, count, _)| 4 * (first + *count as u64))
    }

    /// A text's values, where they were written and can be read back.
    pub fn read(&mut self, text: usize) -> Option<Vec<f32>> {
        let (first, count, true) = *self.places.get(text)? else { return None };
        let mut bytes = vec![0; 4 * count];
        self.file.seek(SeekFrom::Start(4 * first)).ok()?;
        self.file.read_exact(&mut bytes).ok()?;
        let words = bytes.chunks_exact(4);
        Some(words.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Writes a text's values in their place.
    ///
    /// # Errors
    /// When they cannot be written, as on a full disk; the text then counts as not written.
    pub fn write(&mut self, text: usize, values: &[f32]) -> Result<()> {
        let Some((first, _, written)) = self.places.get_mut(text) else { return Ok(()) };
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut put = || -> std::io::Result<()> {
            self.file.seek(SeekFrom::Start(4 * *first))?;
            self.file.write_all(&bytes)
        };
        put().map_err(|error| {
            Problem::new(format!("the base's activations cannot be kept: {error}")).at(&self.path)
        })?;
        *written = true;
        Ok(())
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_comes_back_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = Cache::new(folder.path(), &[2, 1, 3], 4).unwrap();
        assert_eq!(cache.bytes(), 4 * 24);
        let values = |text: usize, count: usize| -> Vec<f32> {
            (0..count).map(|at| (100 * text + at) as f32).collect()
        };
        assert!(cache.read(2).is_none());
        for (text, count) in [(2, 12), (0, 8)] {
            cache.write(text, &values(text, count)).unwrap();
        }
        assert_eq!(cache.read(0), Some(values(0, 8)));
        assert_eq!(cache.read(2), Some(values(2, 12)));
        assert!(cache.read(1).is_none());
        drop(cache);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
