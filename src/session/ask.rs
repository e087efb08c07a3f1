//! What the window may ask of the keeper of conversations, and what it is told.

use std::ops::Range;
use std::path::PathBuf;

use super::TokenTrace;
use super::conversation::Conversation;
use super::presets::Preset;
use super::settings::Settings;
use super::tree::{ConversationId, ConversationSummary, Node, NodeId, NodeState};
use crate::platform::Problem;

/// A wish to the keeper. What changes something is kept in the order it was asked; if the disk
/// refuses, it is held in memory and tried again until it is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// A page of the conversations, most recently changed first; `Answer::Listed`.
    List {
        after: Option<ListPosition>,
        limit: usize,
    },
    /// The same of the trash, most recently thrown away first; `Answer::TrashListed`.
    ListTrash {
        after: Option<ListPosition>,
        limit: usize,
    },
    /// Look for words or their beginnings in titles and messages; `Answer::Found`, unless a newer
    /// search is waiting already.
    Search {
        ticket: u64,
        query: String,
        limit: usize,
    },
    /// Read a conversation, its tokens left out; `Answer::Opened`.
    Open(ConversationId),
    /// Read the trace of one message; `Answer::Tokens`.
    Tokens(NodeId),
    /// Keep a new message, before generation starts with `NodeState::Streaming`, and make it the
    /// active leaf. The conversation begins with its first message; `Answer::Kept`, and
    /// `Answer::Changed` for the line in the list.
    PutNode {
        conversation: ConversationId,
        node: Box<Node>,
    },
    /// Keep what a streaming message says so far, and what came of its tokens since the checkpoint
    /// before: `tokens` from position `from` on. No answer; ignored once it is finished.
    Checkpoint {
        node: NodeId,
        content: String,
        from: usize,
        tokens: Vec<TokenTrace>,
    },
    /// Keep the whole of a generated message; `Answer::Finished` once it is durable.
    FinishNode(Box<FinishedNode>),
    /// Keep which path is shown.
    SetActiveLeaf {
        conversation: ConversationId,
        leaf: NodeId,
    },
    /// Keep this conversation's system prompt; `None` goes back to the one in the settings.
    SetSystemPrompt {
        conversation: ConversationId,
        text: Option<String>,
    },
    /// Keep what is dialled in this conversation, as TOML; `None` goes back to the default preset.
    SetPlan {
        conversation: ConversationId,
        plan: Option<String>,
    },
    /// Keep what stands in the composer; `None` is the conversation that has not begun yet.
    SetDraft {
        conversation: Option<ConversationId>,
        text: String,
    },
    /// Read that back for a conversation that has not begun; `Answer::Draft`. For the others it
    /// comes with `Answer::Opened`.
    Draft,
    /// Name a conversation; an empty title goes back to the automatic one. `Answer::Changed`.
    Rename {
        id: ConversationId,
        title: String,
    },
    /// To the trash; `Answer::Trashed`, and undone by `Restore`.
    Trash(ConversationId),
    /// Back from the trash; `Answer::Restored`.
    Restore(ConversationId),
    /// Delete for good what is in the trash; `Answer::TrashEmptied`.
    EmptyTrash,
    /// Copy a path into a conversation of its own, tokens included; `Answer::Changed`.
    BranchOut(Box<BranchOut>),
    /// The built-in presets and the person's own; `Answer::Presets`, as after every change of them.
    ListPresets,
    /// Keep a preset under its name, in place of the person's own of that name.
    SavePreset {
        name: String,
        plan: String,
    },
    RenamePreset {
        from: String,
        to: String,
    },
    DeletePreset(String),
    /// Write a conversation to a file; `Answer::Exported`.
    Export {
        id: ConversationId,
        format: ExportFormat,
        path: PathBuf,
    },
    /// Read a conversation from a JSON file into a new one; `Answer::Imported`.
    Import {
        path: PathBuf,
    },
    /// Keep what changed between the two, leaving the rest of the file as the person wrote it;
    /// `Answer::SettingsSaved`.
    SaveSettings {
        path: PathBuf,
        before: Box<Settings>,
        after: Box<Settings>,
    },
}

/// The whole of a generated message.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedNode {
    pub node: NodeId,
    pub content: String,
    /// `Finished`, or `Partial` when stopped or broken off.
    pub state: NodeState,
    pub tokens: Vec<TokenTrace>,
    /// The engine's recipe as JSON.
    pub recipe: Option<String>,
    /// Timings and stop reason as JSON.
    pub outcome: Option<String>,
}

/// A path to copy: what `ConversationTree::branch_out` gives.
#[derive(Debug, Clone, PartialEq)]
pub struct BranchOut {
    pub from: ConversationId,
    pub to: ConversationId,
    /// Every message's id and its copy's, first message first.
    pub copies: Vec<(NodeId, NodeId)>,
}

/// Where a page of the list ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListPosition {
    pub moment_ms: i64,
    pub id: ConversationId,
}

/// The form of an exported conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Everything, to be read back.
    Json,
    /// The path that is shown, to be read by people.
    Markdown,
}

/// What the keeper tells.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The first answer: how the database was found.
    Ready(Ready),
    Listed {
        conversations: Vec<ConversationSummary>,
        next: Option<ListPosition>,
    },
    TrashListed {
        conversations: Vec<ConversationSummary>,
        next: Option<ListPosition>,
    },
    Found {
        ticket: u64,
        hits: Vec<SearchHit>,
    },
    Opened(Box<Conversation>),
    Tokens {
        node: NodeId,
        tokens: Vec<TokenTrace>,
    },
    /// A line of the list is new or different; not told of what is in the trash.
    Changed(ConversationSummary),
    /// The message is in the database.
    Kept(NodeId),
    /// The whole message with its tokens is in the database.
    Finished(NodeId),
    Trashed(ConversationSummary),
    Restored(ConversationSummary),
    /// How many conversations were deleted for good.
    TrashEmptied(usize),
    Draft(String),
    Presets(Vec<Preset>),
    Exported {
        id: ConversationId,
        path: PathBuf,
    },
    Imported(ConversationSummary),
    SettingsSaved,
    /// Something could not be done. `waiting` wishes are held in memory and tried again.
    Failed {
        problem: Problem,
        waiting: usize,
    },
    /// All that waited is kept now.
    CaughtUp,
    /// The database broke while in use and was moved aside; a fresh one is begun.
    MovedAside {
        to: PathBuf,
    },
}

/// How the database was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ready {
    /// Replies that were under way when the program was last killed; now `NodeState::Partial`.
    pub recovered: Vec<(ConversationId, NodeId)>,
    /// Where a database that could not be read was moved; a fresh one is begun.
    pub moved_aside: Option<PathBuf>,
    /// The copy that was made before the database was brought to this version's form.
    pub backup: Option<PathBuf>,
    /// Why nothing can be kept, if so: the program runs on, its conversations live in memory.
    pub not_kept: Option<Problem>,
}

/// A conversation that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    pub conversation: ConversationSummary,
    /// Where the title matches, in bytes; empty when it does not.
    pub title_marks: Vec<Range<usize>>,
    /// The newest message that matches.
    pub message: Option<MessageHit>,
}

/// A message that a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageHit {
    pub node: NodeId,
    /// A piece of the message around the first match, on one line.
    pub snippet: String,
    /// Where it matches, in bytes of `snippet`.
    pub marks: Vec<Range<usize>>,
}
