//! Runs a reader on a thread of its own, so that a library that panics, digs too deep or never
//! comes back costs one file and not the program.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::platform::{Problem, crash};

/// Broken files nest deeply, and the libraries that read them recurse.
const STACK_BYTES: usize = 64 << 20;

/// The reader's result, or why there is none.
pub fn run<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let (done, result) = bounded(1);
    std::thread::Builder::new()
        .name(crash::CONTAINED.into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(broken()));
            // Nobody may be waiting any more.
            done.send(outcome).ok();
        })
        .map_err(|error| Problem::new(format!("no thread can be started for it: {error}")))?;
    match result.recv_timeout(patience) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => {
            let secs = patience.as_secs();
            Err(Problem::new(format!("reading it takes longer than {secs} s"))
                .hint("it may be broken: save it anew, or as plain text"))
        }
        Err(RecvTimeoutError::Disconnected) => Err(broken()),
    }
}

fn broken() -> Problem {
    Problem::new("the file is broken").hint("save it anew, or as plain text")
}
