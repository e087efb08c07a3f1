//! Reads the files of a build ahead, on a thread of its own: a slow PDF never holds up a pass.

use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

use crate::documents::{self, Document, Origin};
use crate::platform::Problem;

/// How long one look for the next file waits.
const LOOK: Duration = Duration::from_millis(20);

type Outcome = Result<(Origin, Document), Problem>;

/// The files of a build, in order, as they become readable.
pub struct Reader {
    waiting: std::collections::VecDeque<String>,
    read: Receiver<(String, Outcome)>,
}

impl Reader {
    /// Starts to read; ends when it is dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(files: Vec<(String, PathBuf)>) -> Result<Self, Problem> {
        let waiting = files.iter().map(|(id, _)| id.clone()).collect();
        let (out, read) = bounded(1);
        std::thread::Builder::new()
            .name("tiller-reader".into())
            .spawn(move || {
                for (id, path) in files {
                    let outcome = documents::read(&path);
                    if out.send((id, outcome)).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| Problem::new(format!("no thread can be started: {error}")))?;
        Ok(Self { waiting, read })
    }

    /// The next file: its id, and what came out of it if that is known already. `None` when all
    /// have been taken.
    pub fn next(&mut self) -> Option<(String, Option<Outcome>)> {
        let id = self.waiting.front()?.clone();
        match self.read.recv_timeout(LOOK) {
            Ok((id, outcome)) => {
                self.waiting.pop_front();
                Some((id, Some(outcome)))
            }
            Err(RecvTimeoutError::Timeout) => Some((id, None)),
            Err(RecvTimeoutError::Disconnected) => {
                self.waiting.pop_front();
                Some((id, Some(Err(Problem::new("the reader broke off")))))
            }
        }
    }
}
