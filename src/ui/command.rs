//! Everything a person can ask of the program, as data: buttons, keys, menus and the palette all
//! send these, and one handler in `app/` acts on them.

use std::path::PathBuf;

use crate::session::{ConversationId, NodeId};

/// One wish of the person.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Send the composer's text.
    Send,
    /// Stop the reply, or cancel what is loading.
    Stop,
    /// Make another version of this reply.
    Regenerate(NodeId),
    /// Let the model go on where this reply ends.
    Continue(NodeId),
    /// A new version of a message with this text; for a person's message, answer it again.
    Edit {
        node: NodeId,
        text: String,
        answer: bool,
    },
    /// Continue the conversation from this message in a new one.
    BranchToNewConversation(NodeId),
    /// A new version of this reply: its tokens before `position`, then `token`, then generated.
    BranchAtToken {
        node: NodeId,
        position: usize,
        token: u32,
    },
    /// Show this version (a sibling) and what follows it.
    ShowVersion(NodeId),
    /// Copy to the clipboard.
    CopyText(String),
    NewConversation,
    OpenConversation(ConversationId),
    RenameConversation {
        id: ConversationId,
        title: String,
    },
    /// To the trash, with undo.
    TrashConversation(ConversationId),
    RestoreConversation(ConversationId),
    OpenModel(PathBuf),
    /// Ask for a model file or folder in a dialog.
    ChooseModelFile,
    ChooseModelFolder,
    UnloadModel,
}
