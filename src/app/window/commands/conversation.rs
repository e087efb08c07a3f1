//! Conversations: begin, open, rename, throw away, bring back, search, branch out.

use crate::app::window::chat::Chat;
use crate::app::window::history::PlanHistory;
use crate::app::window::library::HITS;
use crate::app::window::state::Window;
use crate::session::{Ask, BranchOut, ConversationId, NodeId};

impl Window {
    /// An empty page; the one that is empty already stays.
    pub(super) fn new_conversation(&mut self) {
        self.opening = None;
        if self.chat.has_begun() {
            self.keep_now();
            let plan = self.chat.plan.clone();
            self.chat = Chat::fresh(plan);
            // What was begun there and never sent.
            self.ask(Ask::Draft);
        }
        self.panels.conversations.shows_trash = false;
        self.panels.transcript.focus_composer();
    }

    pub(super) fn open_conversation(&mut self, id: ConversationId) {
        if self.chat.id == id {
            return;
        }
        self.opening = Some(id);
        self.ask(Ask::Open(id));
    }

    /// The one above or below in the list.
    pub(super) fn step_conversation(&mut self, below: bool) {
        if let Some(id) = self.library.neighbour(self.chat.id, below) {
            self.open_conversation(id);
        }
    }

    pub(super) fn rename(&mut self, id: ConversationId, title: String) {
        let known = self.library.conversations.iter().find(|line| line.id == id);
        if known.is_none_or(|line| line.title != title) {
            self.ask(Ask::Rename { id, title });
        }
    }

    /// To the trash. The reply being written there is stopped first.
    pub(super) fn trash(&mut self, id: ConversationId) {
        if self.reply.as_ref().is_some_and(|live| live.conversation == id) {
            self.stop();
        }
        self.ask(Ask::Trash(id));
        if self.chat.id == id {
            self.unkept.forget_conversation();
            self.chat = Chat::fresh(self.chat.plan.clone());
            self.panels.transcript.focus_composer();
        }
    }

    pub(super) fn restore(&mut self, id: ConversationId) {
        self.ask(Ask::Restore(id));
    }

    pub(super) fn empty_trash(&mut self) {
        self.ask(Ask::EmptyTrash);
    }

    /// Looks in titles and messages; an empty query goes back to the list.
    pub(super) fn search(&mut self, query: String) {
        let query = query.trim().to_owned();
        self.library.query.clone_from(&query);
        self.library.ticket += 1;
        if query.is_empty() {
            self.library.hits = None;
            return;
        }
        self.ask(Ask::Search { ticket: self.library.ticket, query, limit: HITS });
    }

    /// The path down to a message as a conversation of its own, and shows it.
    pub(super) fn branch_out(&mut self, leaf: NodeId) {
        if self.reply.as_ref().is_some_and(|live| live.node.id == leaf) {
            self.panels.toasts.warn("Wait until the reply is finished, or stop it first");
            return;
        }
        let Some(branch) = self.chat.tree.branch_out(leaf) else { return };
        let to = ConversationId::fresh();
        let copies = branch.copies;
        self.ask(Ask::BranchOut(Box::new(BranchOut { from: self.chat.id, to, copies })));
        let chat = Chat {
            id: to,
            summary: None,
            tree: branch.tree,
            system_prompt: self.chat.system_prompt.clone(),
            plan: self.chat.plan.clone(),
            history: PlanHistory::default(),
            draft: String::new(),
        };
        self.show(chat);
        self.panels.toasts.info("This is a copy; the first conversation is as it was");
    }

    /// What stands in the composer.
    pub(super) fn set_draft(&mut self, text: String) {
        self.chat.draft = text;
        self.keep_later(|unkept| unkept.draft = true);
    }
}
