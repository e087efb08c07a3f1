//! How an error is said: one line with what happened, to which file, and what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// An error a person can act on. Put into `anyhow::Error` by the rooms and printed as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What happened.
    pub what: String,
    /// The file or folder it happened to.
    pub file: Option<PathBuf>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with no file and no hint yet.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), file: None, hint: None }
    }

    /// Names the file or folder it happened to.
    #[must_use]
    pub fn at(mut self, file: impl AsRef<Path>) -> Self {
        self.file = Some(file.as_ref().to_path_buf());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        if let Some(file) = &self.file {
            write!(f, ": {}", file.display())?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// The person asked for this to end; nobody needs to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}
