//! Sending, stopping, and everything that makes another version of a message.

use std::time::Instant;

use crate::app::window::chat::{self, LiveReply};
use crate::app::window::draw::needs_tokens;
use crate::app::window::state::{TreeOf, Window};
use crate::engine::{Opening, Prompt, Recipe, ReplyRequest, Request};
use crate::session::id::now_ms;
use crate::session::{Ask, Node, NodeId, NodeState, Role, TokenTrace};
use crate::steer::Plan;
use crate::ui::Command;
use crate::ui::engine_state::ReplyProgress;

/// What a reply answers, and what is given of it.
#[derive(Default)]
struct Given {
    parent: Option<NodeId>,
    opening: Opening,
    content: String,
    tokens: Vec<TokenTrace>,
}

impl Window {
    /// Keeps the composer's text as a message and lets the model answer.
    pub(super) fn send(&mut self) {
        let text = self.chat.draft.trim().to_owned();
        if text.is_empty() || !self.can_reply() {
            return;
        }
        let parent = self.chat.tree.active_leaf();
        let node = chat::new_node(parent, Role::User, text, NodeState::Finished, now_ms());
        let id = node.id;
        if !self.put(node) {
            return;
        }
        self.set_draft(String::new());
        self.panels.transcript.jump_to_latest();
        self.answer(Some(id), Vec::new());
    }

    /// Ends the reply, or cancels the load.
    pub(super) fn stop(&mut self) {
        if self.reply.is_some() {
            self.handle.stop();
            if let Some(reply) = &mut self.engine.reply {
                reply.is_stopping = true;
            }
        } else if let Some(loading) = &mut self.engine.loading {
            self.handle.cancel_load();
            loading.is_cancelling = true;
        }
    }

    /// Another version of a reply.
    pub(super) fn regenerate(&mut self, node: NodeId) {
        let Some(node) = self.chat.tree.node(node) else { return };
        let parent = node.parent;
        if node.role == Role::Assistant && self.can_reply() {
            self.answer(parent, Vec::new());
        }
    }

    /// Another version as the model makes it by itself, with the seed and the draws of this one: the
    /// two stand beside each other as versions.
    pub(super) fn reply_unsteered(&mut self, node: NodeId) {
        if !self.can_reply() {
            return;
        }
        let Some(node) = self.chat.tree.node(node) else { return };
        let parent = node.parent;
        let recipe = node.recipe.as_deref().unwrap_or_default();
        let recipe = serde_json::from_str::<Recipe>(recipe).ok();
        let made = recipe.and_then(|recipe| {
            Some((recipe.reply, toml::from_str::<Plan>(&recipe.plan).ok()?.unsteered()))
        });
        let Some((id, plan)) = made else {
            self.panels.toasts.warn("Nobody knows any more how this reply was made");
            return;
        };
        self.begin_reply_as(id, plan, Given { parent, ..Given::default() });
    }

    /// Another version that begins with the whole of this one.
    pub(super) fn continue_reply(&mut self, node: NodeId) {
        if !self.can_reply() || !self.has_tokens(node, Command::Continue(node)) {
            return;
        }
        let Some(node) = self.chat.tree.node(node) else { return };
        let (parent, tokens, content) = (node.parent, node.tokens.clone(), node.content.clone());
        if tokens.is_empty() {
            // Typed or edited by hand: the text is all there is.
            self.begin_reply(parent, Opening::Text(content.clone()), content, Vec::new());
        } else {
            self.answer(parent, tokens);
        }
    }

    /// A new version of a message. A person's message is answered again, a reply gone on from.
    pub(super) fn edit(&mut self, node: NodeId, text: String, answer: bool) {
        let is_writing_it = self.reply.as_ref().is_some_and(|live| live.node.id == node);
        if is_writing_it || (answer && !self.can_reply()) {
            return;
        }
        let Some(old) = self.chat.tree.node(node) else { return };
        let (role, parent) = (old.role, old.parent);
        if role == Role::Assistant && answer {
            self.begin_reply(parent, Opening::Text(text.clone()), text, Vec::new());
            return;
        }
        match self.chat.tree.edit(node, text, now_ms()) {
            Ok(edited) => {
                let id = edited.id;
                self.ask(Ask::PutNode { conversation: self.chat.id, node: Box::new(edited) });
                if answer && role == Role::User {
                    self.answer(Some(id), Vec::new());
                }
            }
            Err(problem) => self.panels.toasts.error(problem.to_string()),
        }
    }

    /// Another version: the tokens before a position, another token there, the rest generated.
    pub(super) fn branch_at_token(&mut self, node: NodeId, position: usize, token: u32) {
        let again = Command::BranchAtToken { node, position, token };
        if !self.can_reply() || !self.has_tokens(node, again) {
            return;
        }
        let Some(node) = self.chat.tree.node(node) else { return };
        let parent = node.parent;
        match chat::branched(&node.tokens, position, token) {
            Some(tokens) => self.answer(parent, tokens),
            None => self.panels.toasts.warn("That token was not among those considered there"),
        }
    }

    /// Shows a version and what was last shown below it.
    pub(super) fn show_version(&mut self, node: NodeId) {
        if let Some(leaf) = self.chat.tree.show_version(node) {
            self.ask(Ask::SetActiveLeaf { conversation: self.chat.id, leaf });
            for node in self.chat.tree.active_path().iter().filter(|node| needs_tokens(node)) {
                self.ask(Ask::Tokens(node.id));
            }
        }
    }

    pub(super) fn can_reply(&mut self) -> bool {
        self.engine.model.is_some() && self.reply.is_none()
    }

    /// Whether a reply's tokens are here; if not they are read, and the command runs then.
    fn has_tokens(&mut self, node: NodeId, command: Command) -> bool {
        let lacks = self.chat.tree.node(node).is_some_and(needs_tokens)
            && !self.without_tokens.contains(&node);
        if lacks && !self.waiting.iter().any(|(_, waiting)| *waiting == command) {
            self.waiting.push((node, command));
            self.ask(Ask::Tokens(node));
        }
        !lacks
    }

    /// Shows a message and hands it to the keeper.
    fn put(&mut self, node: Node) -> bool {
        match self.chat.tree.add(node.clone()) {
            Ok(()) => {
                let is_first = self.chat.tree.len() == 1;
                self.ask(Ask::PutNode { conversation: self.chat.id, node: Box::new(node) });
                if is_first {
                    self.keep_settings_of_chat();
                }
                true
            }
            Err(problem) => {
                self.panels.toasts.error(problem.to_string());
                false
            }
        }
    }

    /// What was dialled before the first message exists in the database only now.
    fn keep_settings_of_chat(&self) {
        let conversation = self.chat.id;
        if let Some(text) = self.chat.system_prompt.clone() {
            self.ask(Ask::SetSystemPrompt { conversation, text: Some(text) });
        }
        let plan = toml::to_string(&self.chat.plan).ok();
        self.ask(Ask::SetPlan { conversation, plan });
        self.ask(Ask::SetDraft { conversation: None, text: String::new() });
    }

    /// A reply to a message, beginning with these tokens.
    fn answer(&mut self, parent: Option<NodeId>, tokens: Vec<TokenTrace>) {
        let opening = if tokens.is_empty() {
            Opening::None
        } else {
            Opening::Tokens(tokens.iter().map(|token| token.id).collect())
        };
        let content = tokens.iter().map(|token| token.text.as_str()).collect();
        self.begin_reply(parent, opening, content, tokens);
    }

    /// A reply as it is dialled now.
    pub(super) fn begin_reply(
        &mut self,
        parent: Option<NodeId>,
        opening: Opening,
        content: String,
        tokens: Vec<TokenTrace>,
    ) {
        let id = self.chat.answers_to(parent);
        let plan = self.chat.plan.clone();
        self.begin_reply_as(id, plan, Given { parent, opening, content, tokens });
    }

    /// The reply's node is kept before the engine is asked, so that nothing can be lost. The id fixes
    /// every draw together with the plan's seed.
    fn begin_reply_as(&mut self, id: u64, plan: Plan, given: Given) {
        let Given { parent, opening, content, tokens } = given;
        let turns = self.chat.turns_to(parent, &self.settings.system_prompt);
        let node = chat::new_node(parent, Role::Assistant, content, NodeState::Streaming, now_ms());
        let node = Node { tokens, ..node };
        if !self.put(node.clone()) {
            return;
        }
        self.panels.transcript.set_token_view(node.id, self.settings.token_view);
        self.engine.reply = Some(ReplyProgress::asked(id));
        self.engine.search = None;
        self.panels.tree = Default::default();
        self.tree_of = Some(TreeOf {
            conversation: self.chat.id,
            node: node.id,
            parent,
            content: node.content.clone(),
            tokens: node.tokens.clone(),
        });
        self.reply = Some(LiveReply {
            conversation: self.chat.id,
            kept_tokens: node.tokens.len(),
            given_tokens: node.tokens.len(),
            references: Vec::new(),
            node,
            id,
            checkpointed: Instant::now(),
        });
        let asked = self.handle.send(Request::Reply(Box::new(ReplyRequest {
            id,
            prompt: Prompt::Chat(turns),
            opening,
            plan,
        })));
        if let Err(problem) = asked {
            self.fail_reply(id, problem.to_string());
        }
    }
}
