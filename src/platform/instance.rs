//! One window per data folder: the first start holds a lock; a second one leaves a note in the
//! first one's inbox, which model to open, and ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Problem, atomic};

/// How often the inbox is looked into.
const LOOK: Duration = Duration::from_millis(400);

/// How long a second start waits for its note to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a second start hands to the first; with no model it only asks the window to come forward.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Note {
    /// The model to open, an absolute path.
    pub model: Option<PathBuf>,
}

/// The lock on a data folder, held until dropped.
#[derive(Debug)]
pub struct Instance {
    _lock: File,
    inbox: PathBuf,
}

impl Instance {
    /// Takes the data folder for this process; `None` when another one has it.
    pub fn claim(data: &Path) -> Result<Option<Self>, Problem> {
        let path = data.join("tiller.lock");
        let unusable = |error| Problem::new(format!("cannot be opened: {error}")).at(&path);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            // Some network folders cannot lock; better two windows than none.
            Err(TryLockError::Error(error)) => {
                tracing::warn!("no lock on the data folder: {error}")
            }
        }
        let inbox = data.join("inbox");
        // Notes that nobody took are of another day.
        for (path, _) in notes(&inbox) {
            fs::remove_file(path).ok();
        }
        Ok(Some(Self { _lock: lock, inbox }))
    }

    /// Calls `take` with every note, from a thread of its own, until the listener is dropped.
    pub fn listen(&self, take: impl Fn(Note) + Send + 'static) -> std::io::Result<Listener> {
        let inbox = self.inbox.clone();
        let over = Arc::new(AtomicBool::new(false));
        let stop = over.clone();
        let thread = std::thread::Builder::new().name("tiller-inbox".into()).spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for (path, note) in notes(&inbox) {
                    // Removing it tells the second start that it is taken.
                    fs::remove_file(&path).ok();
                    if let Some(note) = note {
                        take(note);
                    }
                }
                std::thread::park_timeout(LOOK);
            }
        })?;
        Ok(Listener { over, thread: Some(thread) })
    }
}

/// Looks into the inbox until dropped.
#[derive(Debug)]
pub struct Listener {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().ok();
        }
    }
}

/// Leaves a note for the process that has the data folder and waits until it is taken. False when
/// nobody took it: that process is ending or does not answer.
pub fn hand_over(data: &Path, note: &Note) -> Result<bool, Problem> {
    leave(data, note, PATIENCE)
}

fn leave(data: &Path, note: &Note, patience: Duration) -> Result<bool, Problem> {
    let inbox = data.join("inbox");
    fs::create_dir_all(&inbox)
        .map_err(|error| Problem::new(format!("cannot be made: {error}")).at(&inbox))?;
    let stamp = jiff::Timestamp::now().as_nanosecond();
    let path = inbox.join(format!("{stamp}-{}.json", std::process::id()));
    let text = serde_json::to_vec(note)
        .map_err(|error| Problem::new(format!("the model's path cannot be passed on: {error}")))?;
    atomic::write(&path, &text)?;
    let until = Instant::now() + patience;
    while path.exists() {
        if Instant::now() >= until {
            // Taken in this very moment counts as well.
            return Ok(fs::remove_file(&path).is_err());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

/// The notes in an inbox, oldest first; `None` for one that cannot be read.
fn notes(inbox: &Path) -> Vec<(PathBuf, Option<Note>)> {
    let Ok(entries) = fs::read_dir(inbox) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: &Path| serde_json::from_slice(&fs::read(path).ok()?).ok();
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_second_start_hands_its_model_to_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = Instance::claim(folder.path()).unwrap().expect("nobody else is here");
        assert!(Instance::claim(folder.path()).unwrap().is_none());
        let (tell, told) = channel();
        let listener = first.listen(move |note| tell.send(note).unwrap()).unwrap();
        let note = Note { model: Some("/models/small".into()) };
        assert!(hand_over(folder.path(), &note).unwrap());
        assert_eq!(told.recv().unwrap(), note);
        drop(listener);
        // Nobody listens any more: the second start learns it and takes its note back.
        assert!(!leave(folder.path(), &note, Duration::from_millis(30)).unwrap());
        assert!(notes(&folder.path().join("inbox")).is_empty());
        drop(first);
        assert!(Instance::claim(folder.path()).unwrap().is_some());
    }

    #[test]
    fn an_unreadable_note_is_thrown_away_and_old_ones_too() {
        let folder = tempfile::tempdir().unwrap();
        let inbox = folder.path().join("inbox");
        fs::create_dir_all(&inbox).unwrap();
        fs::write(inbox.join("1.json"), "{ nonsense").unwrap();
        let first = Instance::claim(folder.path()).unwrap().unwrap();
        assert!(notes(&inbox).is_empty(), "old notes are gone");
        fs::write(inbox.join("1.json"), "{ nonsense").unwrap();
        let (tell, told) = channel();
        let _listener = first.listen(move |note| tell.send(note).unwrap()).unwrap();
        assert!(hand_over(folder.path(), &Note::default()).unwrap());
        assert_eq!(told.recv().unwrap(), Note::default());
        assert!(told.try_recv().is_err());
    }
}
