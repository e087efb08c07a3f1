//! Writing files so that a kill at any moment leaves the old one or the new one, never half.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::platform::Problem;

/// Writes beside the file, flushes to the disk, then renames over it.
///
/// # Errors
/// When the folder cannot be written; the old file is then untouched.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let beside = beside(path);
    let attempt = || -> std::io::Result<()> {
        let mut file = std::io::BufWriter::with_capacity(1 << 20, File::create(&beside)?);
        write(&mut file)?;
        file.into_inner()?.sync_all()?;
        fs::rename(&beside, path)?;
        // The rename itself reaches the disk with the folder; not every system can do this.
        if let Some(Ok(folder)) = path.parent().map(File::open) {
            folder.sync_all().ok();
        }
        Ok(())
    };
    attempt().with_context(|| Problem::new("cannot write").at(path))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_breaks_off_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        replace(&path, |out| out.write_all(b"old")).unwrap();
        let broken = replace(&path, |out| {
            out.write_all(b"ne")?;
            Err(std::io::Error::other("the disk is full"))
        });
        assert!(format!("{:#}", broken.unwrap_err()).contains("the disk is full"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        replace(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
