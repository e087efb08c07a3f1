//! Where Tiller keeps things: the system's own places, or all in one folder that was named.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use directories::ProjectDirs;

use super::Problem;

/// The environment variable that names one folder for everything, as `--data-dir` does.
pub const DATA_DIR_VARIABLE: &str = "TILLER_DATA_DIR";

/// The folder that the command line named, for the rest of the process.
static NAMED: OnceLock<PathBuf> = OnceLock::new();

/// Keeps everything in one folder from now on, whoever asks; the first one named counts.
pub fn keep_all_in(folder: &Path) {
    NAMED.set(folder.to_path_buf()).ok();
}

/// The folders of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// Settings.
    pub config: PathBuf,
    /// Conversations, and models the person makes.
    pub data: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
    /// Logs and crash reports.
    pub logs: PathBuf,
}

impl Folders {
    /// Takes the folder that is asked for, else the one the command line named, else the one in
    /// `TILLER_DATA_DIR`, else the system's places. Makes nothing yet.
    pub fn find(asked: Option<&Path>) -> Result<Self, Problem> {
        let variable = std::env::var_os(DATA_DIR_VARIABLE).filter(|name| !name.is_empty());
        let named = asked.or(NAMED.get().map(PathBuf::as_path)).map(Path::to_path_buf);
        match named.or(variable.map(PathBuf::from)) {
            Some(folder) => {
                let whole = std::path::absolute(&folder)
                    .map_err(|error| Problem::new(format!("not a folder: {error}")).at(&folder))?;
                Ok(Self::all_in(&whole))
            }
            None => Self::of_system(),
        }
    }

    /// Everything below one folder: for a portable copy, and for tests.
    pub fn all_in(folder: &Path) -> Self {
        Self {
            config: folder.to_path_buf(),
            data: folder.to_path_buf(),
            cache: folder.join("cache"),
            logs: folder.join("log"),
        }
    }

    fn of_system() -> Result<Self, Problem> {
        let places = ProjectDirs::from("", "", "Tiller").ok_or_else(|| {
            Problem::new("this account has no home folder")
                .hint("name a folder with --data-dir or TILLER_DATA_DIR")
        })?;
        let state = places.state_dir().unwrap_or_else(|| places.data_local_dir());
        Ok(Self {
            config: places.config_dir().to_path_buf(),
            data: places.data_dir().to_path_buf(),
            cache: places.cache_dir().to_path_buf(),
            logs: state.join("log"),
        })
    }

    /// Makes the folders that are missing; what a person says is for nobody else to read.
    pub fn make(&self) -> Result<(), Problem> {
        for folder in [&self.config, &self.data, &self.cache, &self.logs] {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder).map_err(|error| {
                Problem::new(format!("the folder cannot be made: {error}"))
                    .at(folder)
                    .hint("name another with --data-dir or TILLER_DATA_DIR")
            })?;
        }
        Ok(())
    }

    /// The settings a person can edit.
    pub fn settings_file(&self) -> PathBuf {
        self.config.join("settings.toml")
    }

    /// Conversations, presets and drafts.
    pub fn database(&self) -> PathBuf {
        self.data.join("tiller.db")
    }

    /// Models the person made with `tiller learn`.
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_folder_holds_everything() {
        let folder = tempfile::tempdir().unwrap();
        let asked = folder.path().join("mine");
        let folders = Folders::find(Some(&asked)).unwrap();
        folders.make().unwrap();
        folders.make().unwrap();
        let all = [&folders.config, &folders.data, &folders.cache, &folders.logs];
        assert!(all.into_iter().all(|place| place.starts_with(&asked) && place.is_dir()));
        assert!(folders.database().starts_with(&asked));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(asked.metadata().unwrap().permissions().mode() & 0o077, 0);
        }
        let relative = Folders::find(Some(Path::new("here"))).unwrap();
        assert!(relative.data.is_absolute() && relative.data.ends_with("here"));
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        std::fs::write(&taken, "").unwrap();
        let problem = Folders::all_in(&taken).make().unwrap_err().to_string();
        assert!(problem.contains("taken") && problem.contains("--data-dir"), "{problem}");
    }
}
