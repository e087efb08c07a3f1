//! Panels and widgets: they draw values and send commands. Nothing here knows candle.

pub mod action;
pub mod command;
pub mod controls;
pub mod conversations;
pub mod dialogs;
pub mod drop;
pub mod engine_state;
pub mod guidance;
pub mod header;
pub mod icons;
pub mod making;
pub mod model;
pub mod reward;
pub mod sampling;
pub mod side;
pub mod status;
pub mod stores;
pub mod theme;
pub mod toasts;
pub mod transcript;
pub mod vectors;
pub mod words;

pub use action::{Action, Situation};
pub use command::Command;
