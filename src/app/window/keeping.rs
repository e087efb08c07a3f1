//! Keeps what is typed and dialled, a moment after the last change rather than at each.

use crate::app::window::state::Window;
use crate::engine::{Outcome, StopReason};
use crate::session::{Ask, FinishedNode, NodeState};

/// Quiet needed before a change is kept.
const QUIET_SECS: f64 = 0.5;

/// What of the conversation on screen was changed and is not with the keeper yet.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Unkept {
    pub draft: bool,
    pub system_prompt: bool,
    pub plan: bool,
    /// Where the window stands, which belongs to no conversation.
    pub place: bool,
    /// When the last of them changed, in the context's time.
    changed_at: f64,
}

impl Unkept {
    fn is_any(self) -> bool {
        self.draft || self.system_prompt || self.plan || self.place
    }

    /// The conversation on screen is gone, and what was changed in it with it.
    pub fn forget_conversation(&mut self) {
        *self = Self { place: self.place, changed_at: self.changed_at, ..Self::default() };
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.keep_now();
        self.keep_reply_so_far();
    }
}

impl Window {
    /// A reply under way when the window closes is kept as far as it came, tokens and all.
    fn keep_reply_so_far(&mut self) {
        let Some(live) = self.reply.take() else { return };
        let outcome = Outcome { reason: Some(StopReason::Stopped), ..Outcome::default() };
        self.ask(Ask::FinishNode(Box::new(FinishedNode {
            node: live.node.id,
            content: live.node.content,
            state: NodeState::Partial,
            tokens: live.node.tokens,
            recipe: None,
            outcome: serde_json::to_string(&outcome).ok(),
        })));
    }

    /// Notes a change; it is kept when there was quiet for a moment.
    pub(super) fn keep_later(&mut self, note: impl FnOnce(&mut Unkept)) {
        note(&mut self.unkept);
        self.unkept.changed_at = self.context.input(|input| input.time);
    }

    /// Keeps what has been quiet long enough.
    pub(super) fn keep_what_is_quiet(&mut self) {
        if !self.unkept.is_any() {
            return;
        }
        let now = self.context.input(|input| input.time);
        let wait = self.unkept.changed_at + QUIET_SECS - now;
        if wait > 0.0 {
            self.context.request_repaint_after(std::time::Duration::from_secs_f64(wait));
        } else {
            self.keep_now();
        }
    }

    /// Keeps everything: before another conversation is shown, and before the window closes.
    pub(super) fn keep_now(&mut self) {
        let unkept = std::mem::take(&mut self.unkept);
        if unkept.place {
            let place = self.place;
            self.change_settings(|settings| settings.window = place);
        }
        let has_begun = self.chat.has_begun();
        let conversation = self.chat.id;
        if unkept.draft {
            let text = self.chat.draft.clone();
            self.ask(Ask::SetDraft { conversation: has_begun.then_some(conversation), text });
        }
        // What was dialled on an empty page is kept with its first message.
        if unkept.system_prompt && has_begun {
            let text = self.chat.system_prompt.clone();
            self.ask(Ask::SetSystemPrompt { conversation, text });
        }
        if unkept.plan && has_begun {
            let plan = toml::to_string(&self.chat.plan).ok();
            self.ask(Ask::SetPlan { conversation, plan });
        }
    }
}
