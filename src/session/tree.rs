//! A conversation as a tree: every message is a node with a parent, from day one.

use serde::{Deserialize, Serialize};

use super::TokenTrace;

/// A conversation. Minted by the caller, so that the window never waits for the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ConversationId(pub i64);

/// A message in a conversation; likewise minted by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub i64);

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    System,
    User,
    Assistant,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Being generated; found on start-up it means that the program was killed meanwhile.
    Streaming,
    /// Whole.
    Finished,
    /// Stopped or broken off; what there is stands.
    Partial,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub parent: Option<NodeId>,
    pub role: Role,
    pub content: String,
    pub state: NodeState,
    /// Milliseconds since the Unix epoch.
    pub created_ms: i64,
    /// The trace of a generated message; empty for typed ones.
    pub tokens: Vec<TokenTrace>,
    /// The engine's recipe as JSON, for generated messages.
    pub recipe: Option<String>,
    /// Timings and stop reason as JSON, for generated messages.
    pub outcome: Option<String>,
}

/// A line of the conversation list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationSummary {
    pub id: ConversationId,
    pub title: String,
    /// True once the person named it; an automatic title never overwrites theirs.
    pub named_by_person: bool,
    pub created_ms: i64,
    pub changed_ms: i64,
}
