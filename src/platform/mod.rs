//! Folders, atomic files, logs, crash report, single instance, and how an error is said.

pub mod atomic;
pub mod problem;

pub use problem::{Cancelled, Problem};
