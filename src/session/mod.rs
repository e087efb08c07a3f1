//! Conversation trees, recipes, presets, settings; SQLite behind them. Neither the window nor the tensors are known here.

mod accents;
pub mod ask;
pub mod conversation;
mod desk;
pub mod exchange;
pub mod id;
pub mod keeper;
pub mod matching;
pub mod presets;
pub mod references;
pub mod settings;
mod store;
pub mod title;
pub mod token;
mod traces;
pub mod tree;

pub use ask::{
    Answer, Ask, BranchOut, ExportFormat, FinishedNode, ListPosition, MessageHit, Ready, SearchHit,
};
pub use conversation::{Branch, Conversation, ConversationTree};
pub use keeper::Keeper;
pub use presets::Preset;
pub use references::{PassageShare, TokenReferences, Weighed};
pub use settings::{LoadSettings, Settings, Theme, TokenColours, WindowPlace};
pub use token::{Alternative, TokenTrace};
pub use tree::{ConversationId, ConversationSummary, Node, NodeId, NodeState, Role};
