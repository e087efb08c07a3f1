//! `store.json`: what a store was made with and the list of its sources, each with its state.
//! Written in one step, so that whatever happens there is a whole one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::approximate::IndexFacts;
use super::calibration::{MIDDLE, NEIGHBOURS};
use super::{Calibration, Chosen, StoreFacts};
use crate::documents;
use crate::platform::{Problem, atomic, fnv};
use crate::steer::{FIRST_LAMBDA, StoreSetting};

const NAME: &str = "store.json";
const FORMAT: &str = "tiller datastore 1";
/// A list of a million files is larger than any manifest may be.
const MOST_BYTES: u64 = 512 << 20;

/// What `store.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    format: String,
    /// What the person calls it.
    pub name: String,
    pub facts: StoreFacts,
    /// None until the first source is done.
    pub calibration: Option<Calibration>,
    /// How it is asked until that was tried on questions: found on ones made of its own text. None
    /// before the first source is done, or when nothing can be asked of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_itself: Option<Chosen>,
    /// How it is best asked; None until that was tried on questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// The graph over its entries, once there are very many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexFacts>,
    pub sources: Vec<Source>,
    /// When it was last changed, in seconds since 1970.
    pub changed_secs: u64,
}

/// One file a store is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Names its file under `sources/`.
    pub id: String,
    pub path: PathBuf,
    pub state: SourceState,
    /// SHA-256 of the bytes its entries were made of; empty until then.
    #[serde(default)]
    pub hash: String,
    #[serde(default)]
    pub byte_count: u64,
    #[serde(default)]
    pub modified_nanos: u64,
    /// The kind of file, in a word.
    #[serde(default)]
    pub format: String,
    /// Entries made of it.
    #[serde(default)]
    pub entries: usize,
    /// What was left out, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How far a source is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceState {
    Waiting,
    Done,
    /// Why there are no entries of it.
    Failed(String),
}

impl Source {
    /// A file nothing has been made of yet.
    pub fn waiting(path: &Path) -> Self {
        let bytes = path.as_os_str().as_encoded_bytes();
        Self {
            id: format!("{:016x}", fnv::hash(bytes.iter().copied())),
            path: path.to_path_buf(),
            state: SourceState::Waiting,
            hash: String::new(),
            byte_count: 0,
            modified_nanos: 0,
            format: String::new(),
            entries: 0,
            notes: Vec::new(),
        }
    }

    pub fn is_done(&self) -> bool {
        self.state == SourceState::Done
    }

    /// The file is no longer what the entries were made of, as far as size and time tell.
    pub fn is_outdated(&self) -> bool {
        self.is_done()
            && documents::looked_at(&self.path)
                .is_none_or(|now| now != (self.byte_count, self.modified_nanos))
    }
}

impl Manifest {
    /// A store with nothing in it.
    pub fn new(name: String, facts: StoreFacts) -> Self {
        let (format, changed_secs) = (FORMAT.to_owned(), now());
        let (calibration, by_itself, chosen, index, sources) = Default::default();
        Self { format, name, facts, calibration, by_itself, chosen, index, sources, changed_secs }
    }

    /// Reads a folder's; `None` when there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is of another program.
    pub fn read(folder: &Path) -> Result<Option<Self>, Problem> {
        let path = folder.join(NAME);
        let size = match std::fs::metadata(&path) {
            Ok(facts) => facts.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(Problem::new(format!("the store cannot be read: {error}")).at(path));
            }
        };
        if size > MOST_BYTES {
            return Err(Problem::new("this is no store: its list is far too long").at(path));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Problem::new(format!("the store cannot be read: {error}")).at(&path)
        })?;
        let manifest: Self = serde_json::from_str(&text).map_err(|error| {
            Problem::new(format!("the store's list cannot be read: {error}"))
                .at(&path)
                .hint("build the store again in another folder")
        })?;
        if manifest.format != FORMAT {
            let what = format!("this store is a `{}`, not a `{FORMAT}`", manifest.format);
            return Err(Problem::new(what).at(path).hint("take a newer Tiller"));
        }
        // An id becomes a file's name: nothing else may.
        let odd = |source: &&Source| !source.id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(source) = manifest.sources.iter().find(odd) {
            let what = format!("the store's list names a source `{}`", source.id);
            return Err(Problem::new(what).at(path));
        }
        Ok(Some(manifest))
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written; the old one is then still there.
    pub fn write(&mut self, folder: &Path) -> Result<(), Problem> {
        self.changed_secs = now();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Problem::new(format!("the store's list: {error}")).at(folder))?;
        atomic::write(&folder.join(NAME), &text)
    }

    /// Where a source's entries lie.
    pub fn file_of(folder: &Path, source: &Source) -> PathBuf {
        folder.join("sources").join(format!("{}.safetensors", source.id))
    }

    /// Entries of all sources that are done.
    pub fn entries(&self) -> usize {
        self.sources.iter().filter(|source| source.is_done()).map(|source| source.entries).sum()
    }

    /// How it is asked as far as that was found out: on questions, else on its own text.
    pub fn found(&self) -> Option<Chosen> {
        self.chosen.or(self.by_itself)
    }

    /// The share it is switched on with.
    pub fn first_lambda(&self) -> f32 {
        let found = self.found().map_or(0.0, |found| found.lambda as f32);
        if found > 0.0 { found } else { FIRST_LAMBDA }
    }

    /// Neighbours asked for and the softmax's temperature: what a plan says, else what was found on
    /// questions or the store's own text, else what was measured.
    pub fn asked_with(&self, setting: &StoreSetting) -> (usize, f64) {
        let found = self.found();
        let neighbours = setting.neighbours.or(found.map(|found| found.neighbours));
        let found = found.map(|found| found.temperature);
        let measured = found.or(self.calibration.map(|calibration| calibration.temperature));
        let temperature = setting.temperature.map(f64::from).or(measured);
        (neighbours.unwrap_or(NEIGHBOURS), temperature.unwrap_or(1.0))
    }

    /// How far the gate is open for a query whose nearest key is at this squared distance; 1 where
    /// nothing was measured.
    pub fn gate(&self, nearest: f64) -> f64 {
        let middle = self.found().map_or(MIDDLE, |found| found.middle);
        self.calibration.map_or(1.0, |calibration| calibration.gate(nearest, middle))
    }

    pub fn source_mut(&mut self, id: &str) -> Option<&mut Source> {
        self.sources.iter_mut().find(|source| source.id == id)
    }
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
