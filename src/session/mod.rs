//! Conversation trees, recipes, presets, settings; SQLite behind them. No egui, no candle.

pub mod token;

pub use token::{Alternative, TokenTrace};
