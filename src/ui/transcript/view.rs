//! What the transcript is given to draw. All of it is borrowed for one frame; the transcript never
//! changes it, it sends commands.

use std::path::Path;

use crate::session::{ConversationId, Node, NodeId, TokenReferences, TokenTrace};

/// One conversation as it stands in this frame.
#[derive(Debug, Clone, Copy)]
pub struct TranscriptView<'a> {
    /// Which conversation; when it changes, the list starts at its end again.
    pub conversation: ConversationId,
    /// The messages on the active path, oldest first, without the reply that is streaming in.
    pub messages: &'a [MessageView<'a>],
    /// The reply on its way, drawn after `messages`.
    pub streaming: Option<StreamingReply<'a>>,
    /// The loaded model's name; `None` while there is none.
    pub model_name: Option<&'a str>,
    /// Shown while there are no messages.
    pub empty: EmptyContent<'a>,
}

/// A finished or broken-off message with its place among its versions.
#[derive(Debug, Clone, Copy)]
pub struct MessageView<'a> {
    pub node: &'a Node,
    pub versions: Versions<'a>,
    /// What datastores did to its tokens.
    pub references: &'a [TokenReferences],
}

/// The children of one parent that are versions of one message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Versions<'a> {
    /// Every version, oldest first, this one included. Fewer than two: no stepper is drawn.
    pub ids: &'a [NodeId],
    /// Which of them is shown.
    pub index: usize,
}

impl Versions<'_> {
    /// The version before this one.
    pub fn previous(&self) -> Option<NodeId> {
        self.index.checked_sub(1).and_then(|index| self.ids.get(index)).copied()
    }

    /// The version after this one.
    pub fn next(&self) -> Option<NodeId> {
        self.ids.get(self.index + 1).copied()
    }
}

/// A reply while it is generated.
#[derive(Debug, Clone, Copy)]
pub struct StreamingReply<'a> {
    /// The node it will be. Keep it the same when the reply is finished, so that what the person
    /// opened on it (token view, pinned card) stays.
    pub node: NodeId,
    pub versions: Versions<'a>,
    /// The text so far; it only ever grows.
    pub text: &'a str,
    /// The trace so far.
    pub tokens: &'a [TokenTrace],
    /// What datastores did to them.
    pub references: &'a [TokenReferences],
    /// Prompt tokens fed and to feed, before the first token of the reply.
    pub prefill: Option<(usize, usize)>,
}

/// What stands in an empty conversation.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmptyContent<'a> {
    /// For example the model's name, or "No model loaded".
    pub title: &'a str,
    /// One line below it.
    pub hint: &'a str,
    /// Prompts to try; a click puts one into the composer (`Command::UsePrompt`).
    pub suggestions: &'a [&'a str],
    /// Models to open with one click, as name and path (`Command::OpenModel`).
    pub models: &'a [(&'a str, &'a Path)],
}

/// What the composer is told besides the draft.
#[derive(Debug, Clone, Copy, Default)]
pub struct ComposerView<'a> {
    /// A reply is being generated: the button stops it.
    pub streaming: bool,
    /// Whether sending is possible; otherwise `blocked` says why not.
    pub can_send: bool,
    /// Why nothing can be sent, for example "Load a model first".
    pub blocked: Option<&'a str>,
    /// Tokens of the draft, when they have been counted.
    pub draft_tokens: Option<usize>,
    /// The loaded model's name, for the placeholder.
    pub model_name: Option<&'a str>,
}
