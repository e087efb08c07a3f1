//! What the transcript remembers between frames: where it is scrolled, what is open, and the
//! parsed and measured form of every message. None of it is saved.

use std::collections::HashMap;

use crate::session::{ConversationId, NodeId};

use super::composer::ComposerState;
use super::edit::Editor;
use super::markdown::{BlockHeights, Document};
use super::tokens::{Tint, TokenBlocks, TokenOptions};

/// The state of one transcript; keep one for the window.
#[derive(Default)]
pub struct TranscriptState {
    pub(super) conversation: Option<ConversationId>,
    pub(super) messages: HashMap<NodeId, MessageState>,
    pub(super) editor: Option<Editor>,
    pub(super) scroll: Scroll,
    pub(super) token_options: TokenOptions,
    /// The token whose card stays open.
    pub(super) pinned: Option<(NodeId, usize)>,
    /// The token to be brought into sight.
    pub(super) jump_to: Option<(NodeId, usize)>,
    pub(super) composer: ComposerState,
    pub(super) counts: Counts,
}

/// Work done so far; tests hold the transcript to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages drawn, added up over all frames.
    pub messages_drawn: usize,
    /// Blocks of messages laid out, added up over all frames.
    pub blocks_drawn: usize,
    /// Runs of the Markdown parser.
    pub parses: usize,
    /// Bytes given to the Markdown parser.
    pub parsed_bytes: usize,
}

/// One message's cached form and what is open on it.
#[derive(Default)]
pub(super) struct MessageState {
    pub document: Document,
    pub heights: BlockHeights,
    pub token_blocks: TokenBlocks,
    /// The token the arrow keys are on.
    pub token_cursor: usize,
    /// Room the tokens took when last drawn.
    pub token_area: egui::Vec2,
    pub token_view: bool,
    pub details: bool,
    /// Height when it was last drawn, and the width and form it had then.
    pub measured: Option<Measured>,
    /// One of its buttons has the keyboard.
    pub has_focus: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub width: f32,
    pub height: f32,
}

/// Where the list stands.
#[derive(Default)]
pub(super) struct Scroll {
    /// Offset at the end of the last frame, in points.
    pub offset: f32,
    /// The list ends inside the window.
    pub at_end: bool,
    /// What to add to the offset, since something above grew or shrank.
    pub correction: f32,
    /// Go to the end in the next frame.
    pub jump: bool,
    pub width: f32,
    /// The first message in sight, and how far above the window's edge it begins.
    pub anchor: Option<(NodeId, f32)>,
    pub last_message: Option<NodeId>,
}

impl TranscriptState {
    /// Go to the newest message in the next frame.
    pub fn jump_to_latest(&mut self) {
        self.scroll.jump = true;
    }

    /// Give the keyboard to the composer in the next frame.
    pub fn focus_composer(&mut self) {
        self.composer.take_focus = true;
    }

    /// The draft was replaced other than by typing: go on writing behind it.
    pub fn draft_replaced(&mut self) {
        self.composer.caret_to_end = true;
    }

    /// Show or hide the tokens of a reply.
    pub fn set_token_view(&mut self, node: NodeId, shown: bool) {
        self.messages.entry(node).or_default().token_view = shown;
    }

    /// Show the tokens of a reply with the card of one of them, and bring it into sight.
    pub fn pin_token(&mut self, node: NodeId, token: usize) {
        let message = self.messages.entry(node).or_default();
        message.token_view = true;
        message.token_cursor = token;
        self.pinned = Some((node, token));
        self.jump_to = Some((node, token));
    }

    /// Whether the tokens of a reply are shown.
    pub fn token_view(&self, node: NodeId) -> bool {
        self.messages.get(&node).is_some_and(|message| message.token_view)
    }

    /// What the tint behind tokens means, and whether their percentages stand beside them.
    pub fn set_token_options(&mut self, tint: Tint, numbers: bool) {
        self.token_options = TokenOptions { tint, numbers };
    }

    /// Whether Esc closes something in the transcript (an editor, a token's card) rather than
    /// stopping a reply.
    pub fn wants_escape(&self) -> bool {
        self.editor.is_some() || self.pinned.is_some()
    }

    /// Open the editor on a message.
    pub fn edit(&mut self, node: NodeId, text: &str) {
        self.editor = Some(Editor::new(node, text));
    }

    /// The work done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Forget what belongs to another conversation.
    pub(super) fn enter(&mut self, conversation: ConversationId) {
        if self.conversation != Some(conversation) {
            self.conversation = Some(conversation);
            self.messages.clear();
            self.editor = None;
            self.pinned = None;
            self.jump_to = None;
            self.scroll = Scroll { jump: true, ..Scroll::default() };
            self.draft_replaced();
        }
    }
}
