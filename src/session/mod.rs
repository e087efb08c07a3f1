//! Conversation trees, recipes, presets, settings; SQLite behind them. No egui, no candle.

pub mod token;
pub mod tree;

pub use token::{Alternative, TokenTrace};
pub use tree::{ConversationId, ConversationSummary, Node, NodeId, NodeState, Role};
