//! Writing a file so that it is either the old one or the new one, whatever happens meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::Problem;

/// Writes `bytes` to `path`: into a new file beside it, synced, then renamed over it, then the
/// folder synced. A link is followed, so that it stays a link; permissions stay as they were.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    write_with(path, |out| out.write_all(bytes))
}

/// [`write`] for what is too large to hold: `fill` writes it piece by piece. When `fill` fails, the
/// old file stays and nothing is left beside it.
pub fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Problem> {
    write_through(path, fill).map_err(|error| cannot(path, &error))
}

fn write_through(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let folder = folder_of(&target);
    let temporary = temporary_name(folder, &target);
    let written = write_new(&temporary, &target, fill)
        .and_then(|()| fs::rename(&temporary, &target))
        .and_then(|()| sync_folder(folder));
    if written.is_err() {
        fs::remove_file(&temporary).ok();
    }
    written
}

/// Removes what kills in the middle of writing `path` left beside it.
pub fn remove_half_written(path: &Path) -> Result<(), Problem> {
    let folder = folder_of(path);
    let begins = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(Problem::new(format!("this folder cannot be read: {error}")).at(folder));
        }
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&begins) && name.ends_with(".new") {
            fs::remove_file(entry.path()).map_err(|error| {
                let what = format!("a half-written save cannot be removed: {error}");
                Problem::new(what).at(entry.path())
            })?;
        }
    }
    Ok(())
}

fn write_new(
    temporary: &Path,
    target: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
    if let Ok(metadata) = fs::metadata(target) {
        file.set_permissions(metadata.permissions())?;
    }
    let mut out = BufWriter::new(&mut file);
    fill(&mut out)?;
    out.flush()?;
    drop(out);
    file.sync_all()
}

/// A file that is written piece by piece over a long time: nothing is to be seen of it under its
/// own name until it is whole. One that is dropped before leaves nothing behind.
#[derive(Debug)]
pub struct Half {
    out: Option<BufWriter<File>>,
    temporary: PathBuf,
    target: PathBuf,
}

impl Half {
    /// Begins a file beside `path`.
    pub fn begin(path: &Path) -> Result<Self, Problem> {
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let temporary = temporary_name(folder_of(&target), &target);
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
        let file = file.map_err(|error| cannot(path, &error))?;
        Ok(Self { out: Some(BufWriter::new(file)), temporary, target })
    }

    /// Syncs it and puts it in its place.
    pub fn finish(mut self) -> Result<(), Problem> {
        let written = self.settle();
        if written.is_err() {
            fs::remove_file(&self.temporary).ok();
        }
        written.map_err(|error| cannot(&self.target, &error))
    }

    fn settle(&mut self) -> io::Result<()> {
        if let Some(out) = self.out.take() {
            out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        }
        fs::rename(&self.temporary, &self.target)?;
        sync_folder(folder_of(&self.target))
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out
            .as_mut()
            .map_or_else(|| Err(io::ErrorKind::BrokenPipe.into()), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        // Taken out once it is in its place.
        if self.out.take().is_some() {
            fs::remove_file(&self.temporary).ok();
        }
    }
}

fn cannot(path: &Path, error: &io::Error) -> Problem {
    Problem::new(format!("cannot be written: {error}")).at(path)
}

fn folder_of(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the rename itself last; elsewhere than on Unix a folder cannot be synced.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn temporary_name(folder: &Path, target: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(".{name}.{}-{count}.new", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.toml");
        write(&path, b"one").unwrap();
        write(&path, b"two, longer").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two, longer");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn says_which_file_could_not_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("settings.toml");
        assert!(write(&path, b"one").unwrap_err().to_string().contains("settings.toml"));
        // A folder in its place: nothing is written and nothing left lying about.
        let taken = folder.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        assert!(write(&taken, b"one").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_written_over_time_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.keys");
        let mut half = Half::begin(&path).unwrap();
        half.write_all(b"one").unwrap();
        assert!(!path.exists());
        drop(half);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut half = Half::begin(&path).unwrap();
        half.write_all(b"one").unwrap();
        half.write_all(b" two").unwrap();
        half.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_fails_half_way_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vector.safetensors");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("cancelled"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn follows_links_and_keeps_permissions() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&real, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
