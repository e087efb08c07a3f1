//! The worker thread that owns the model: requests in, events out. No egui here or below.

pub mod event;
pub mod request;

pub use event::{Event, Outcome, Recipe, ReplyTimings, StopReason};
pub use request::{Opening, Prompt, ReplyRequest, Request, Turn};
