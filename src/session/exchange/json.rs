//! A whole conversation as JSON: every version of every message with its tokens. The form is this
//! file's own, so that what is inside the program can change without breaking what was exported.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::platform::Problem;
use crate::session::conversation::{Conversation, ConversationTree};
use crate::session::id::now_ms;
use crate::session::token::{Alternative, TokenTrace};
use crate::session::tree::{ConversationId, ConversationSummary, Node, NodeId, NodeState, Role};

const FORMAT: &str = "tiller-conversation";
const VERSION: u32 = 1;

/// A larger file is refused before it is read.
const LARGEST_BYTES: u64 = 1 << 30;

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    version: u32,
    title: String,
    #[serde(default)]
    named_by_person: bool,
    created_ms: i64,
    changed_ms: i64,
    system_prompt: Option<String>,
    plan: Option<String>,
    /// Number of the last message of the path that is shown.
    active: Option<u64>,
    messages: Vec<Message>,
}

#[derive(Serialize, Deserialize)]
struct Message {
    /// Numbered from 1; a parent stands before its children.
    id: u64,
    parent: Option<u64>,
    role: Role,
    state: NodeState,
    created_ms: i64,
    content: String,
    /// False for a version that another one hides.
    #[serde(default)]
    shown: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipe: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<Token>,
}

#[derive(Serialize, Deserialize)]
struct Token {
    id: u32,
    text: String,
    /// JSON has no infinity: `null` is minus infinity.
    logprob: Option<f32>,
    entropy: Option<f32>,
    #[serde(default)]
    alternatives: Vec<Other>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reward: Option<f32>,
}

#[derive(Serialize, Deserialize)]
struct Other {
    id: u32,
    text: String,
    logprob: Option<f32>,
}

/// The conversation as JSON. Its nodes must hold their tokens.
pub fn json(conversation: &Conversation) -> String {
    let tree = &conversation.tree;
    let number: HashMap<NodeId, u64> = tree.nodes().map(|node| node.id).zip(1..).collect();
    let chosen: HashSet<NodeId> = tree.chosen().map(|(_, child)| child).collect();
    let message = |node: &Node| Message {
        id: number[&node.id],
        parent: node.parent.map(|parent| number[&parent]),
        role: node.role,
        state: node.state,
        created_ms: node.created_ms,
        content: node.content.clone(),
        shown: chosen.contains(&node.id),
        recipe: node.recipe.as_deref().map(value_of),
        outcome: node.outcome.as_deref().map(value_of),
        tokens: node.tokens.iter().map(token_out).collect(),
    };
    let file = File {
        format: FORMAT.into(),
        version: VERSION,
        title: conversation.summary.title.clone(),
        named_by_person: conversation.summary.named_by_person,
        created_ms: conversation.summary.created_ms,
        changed_ms: conversation.summary.changed_ms,
        system_prompt: conversation.system_prompt.clone(),
        plan: conversation.plan.clone(),
        active: tree.active_leaf().map(|leaf| number[&leaf]),
        messages: tree.nodes().map(message).collect(),
    };
    serde_json::to_string_pretty(&file).expect("strings, numbers and lists are always JSON")
}

/// Reads a conversation from a file; its ids are fresh.
pub fn read_json(path: &Path) -> Result<Conversation, Problem> {
    let unreadable =
        |error: std::io::Error| Problem::new(format!("cannot be read: {error}")).at(path);
    let size_bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if size_bytes > LARGEST_BYTES {
        return Err(Problem::new("too large for a conversation").at(path));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    parse_json(&text).map_err(|problem| problem.at(path))
}

/// Reads a conversation from JSON; its ids are fresh, so that it never lands on another one.
pub fn parse_json(text: &str) -> Result<Conversation, Problem> {
    #[derive(Deserialize)]
    struct Kind {
        format: String,
        version: u32,
    }
    let kind: Kind = serde_json::from_str(text)
        .map_err(|error| Problem::new(format!("not a conversation of Tiller: {error}")))?;
    if kind.format != FORMAT {
        return Err(Problem::new("not a conversation of Tiller"));
    }
    if kind.version > VERSION {
        return Err(Problem::new("exported by a newer Tiller").hint("import it there"));
    }
    let file: File = serde_json::from_str(text)
        .map_err(|error| Problem::new(format!("the conversation is not whole: {error}")))?;
    if file.messages.is_empty() {
        return Err(Problem::new("the conversation has no messages"));
    }
    let mut ids: HashMap<u64, NodeId> = HashMap::new();
    let mut nodes = Vec::with_capacity(file.messages.len());
    let mut chosen = Vec::new();
    for message in file.messages {
        let lost = || Problem::new(format!("message {} answers none before it", message.id));
        let parent =
            message.parent.map(|parent| ids.get(&parent).copied().ok_or_else(lost)).transpose()?;
        let id = NodeId::fresh();
        if ids.insert(message.id, id).is_some() {
            return Err(Problem::new(format!("there are two messages {}", message.id)));
        }
        if message.shown {
            chosen.push((parent, id));
        }
        nodes.push(Node {
            id,
            parent,
            role: message.role,
            content: message.content,
            state: match message.state {
                NodeState::Streaming => NodeState::Partial,
                state => state,
            },
            created_ms: message.created_ms,
            tokens: message.tokens.into_iter().map(token_in).collect(),
            recipe: message.recipe.map(text_of),
            outcome: message.outcome.map(text_of),
        });
    }
    let active = file.active.and_then(|number| ids.get(&number).copied());
    let now = now_ms();
    Ok(Conversation {
        summary: ConversationSummary {
            id: ConversationId::fresh(),
            title: file.title,
            named_by_person: file.named_by_person,
            created_ms: file.created_ms.clamp(0, now),
            changed_ms: file.changed_ms.clamp(0, now),
        },
        tree: ConversationTree::from_nodes(nodes, chosen, active)?,
        system_prompt: file.system_prompt,
        plan: file.plan,
        draft: String::new(),
    })
}

/// JSON kept as text becomes JSON in the file where that gives the same text back.
fn value_of(text: &str) -> Value {
    let again = serde_json::from_str::<Value>(text).ok().filter(|value| !value.is_string());
    // Text that would not come back letter for letter stays a string.
    again
        .filter(|value| serde_json::to_string(value).is_ok_and(|written| written == text))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn finite(number: f32) -> Option<f32> {
    number.is_finite().then_some(number)
}

fn token_out(token: &TokenTrace) -> Token {
    let other = |other: &Alternative| Other {
        id: other.id,
        text: other.text.clone(),
        logprob: finite(other.logprob),
    };
    Token {
        id: token.id,
        text: token.text.clone(),
        logprob: finite(token.logprob),
        entropy: finite(token.entropy),
        alternatives: token.alternatives.iter().map(other).collect(),
        reward: token.reward,
    }
}

fn token_in(token: Token) -> TokenTrace {
    let alternative = |other: Other| Alternative {
        id: other.id,
        text: other.text,
        logprob: other.logprob.unwrap_or(f32::NEG_INFINITY),
    };
    TokenTrace {
        id: token.id,
        text: token.text,
        logprob: token.logprob.unwrap_or(f32::NEG_INFINITY),
        entropy: token.entropy.unwrap_or(0.0),
        alternatives: token.alternatives.into_iter().map(alternative).collect(),
        reward: token.reward,
    }
}
