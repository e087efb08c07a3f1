//! Panels and widgets: they draw values and send commands. Nothing here knows candle.

pub mod command;

pub use command::Command;
