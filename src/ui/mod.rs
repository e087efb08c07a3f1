//! Panels and widgets: they draw values and send commands. Nothing here knows candle.

pub mod action;
pub mod command;
pub mod icons;
pub mod theme;

pub use action::{Action, Situation};
pub use command::Command;
