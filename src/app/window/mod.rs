//! The window: opens it, and owns what is on screen. Split by verb: `logic` takes in what the
//! threads told, `draw` draws, `commands` changes things.

mod answers;
mod chat;
mod commands;
mod counting;
mod dialogs;
mod draw;
mod history;
mod jobs;
mod keeping;
mod library;
mod logic;
mod place;
mod start;
mod state;
mod trajectories;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

pub use jobs::{Dialogs, Question};
pub use state::{Parts, Places, Window};

/// Opens the window, on this model if one is given; returns when it is closed.
pub fn run(model: Option<PathBuf>) -> ExitCode {
    start::run(model)
}
