//! The worker thread that owns the model: requests in, events out. No egui here or below.

pub mod event;
pub mod request;

pub use event::{Event, ModelFacts, ReplyTimings, StopReason};
pub use request::{LoadOptions, Opening, Prompt, ReplyRequest, Request, Role, Turn};
