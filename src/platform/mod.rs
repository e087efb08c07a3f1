//! Folders, atomic files, logs, crash report, single instance, and how an error is said.

pub mod atomic;
pub mod crash;
pub mod desktop;
pub mod figures;
pub mod fnv;
pub mod folders;
pub mod instance;
pub mod interrupt;
pub mod logs;
pub mod problem;
pub mod random;

pub use folders::Folders;
pub use instance::Instance;
pub use problem::{Cancelled, Problem};
