//! The conversation on screen and the reply under way. Pure state: nothing here talks to anybody.

use std::time::Instant;

use super::history::PlanHistory;
use crate::engine::Turn;
use crate::session::{
    Conversation, ConversationId, ConversationSummary, ConversationTree, Node, NodeId, NodeState,
    Role, TokenReferences, TokenTrace,
};
use crate::steer::Plan;

/// The conversation on screen.
#[derive(Debug, Clone)]
pub struct Chat {
    pub id: ConversationId,
    /// Its line in the list; `None` until its first message is kept.
    pub summary: Option<ConversationSummary>,
    pub tree: ConversationTree,
    /// Its own system prompt; `None` takes the one of the settings.
    pub system_prompt: Option<String>,
    pub plan: Plan,
    /// The plans dialled before.
    pub history: PlanHistory,
    pub draft: String,
}

/// The reply under way, whichever conversation is on screen.
#[derive(Debug, Clone)]
pub struct LiveReply {
    pub conversation: ConversationId,
    /// Content and tokens grow as they come.
    pub node: Node,
    /// The number the engine knows it by.
    pub id: u64,
    /// When its text was last handed to the keeper, and how many of its tokens went with it.
    pub checkpointed: Instant,
    pub kept_tokens: usize,
    /// Tokens of the beginning that was given.
    pub given_tokens: usize,
    /// What datastores did to its tokens, numbered as in `node`.
    pub references: Vec<TokenReferences>,
}

impl Chat {
    /// An empty page.
    pub fn fresh(plan: Plan) -> Self {
        Self {
            id: ConversationId::fresh(),
            summary: None,
            tree: ConversationTree::default(),
            system_prompt: None,
            plan,
            history: PlanHistory::default(),
            draft: String::new(),
        }
    }

    /// A conversation read back; what it does not say of the plan is as given.
    pub fn opened(conversation: Conversation, plan: Plan) -> Self {
        let kept = conversation.plan.as_deref().and_then(|text| toml::from_str(text).ok());
        Self {
            id: conversation.summary.id,
            summary: Some(conversation.summary),
            tree: conversation.tree,
            system_prompt: conversation.system_prompt,
            plan: kept.unwrap_or(plan),
            history: PlanHistory::default(),
            draft: conversation.draft,
        }
    }

    /// Something was said here, so that it exists in the database.
    pub fn has_begun(&self) -> bool {
        !self.tree.is_empty()
    }

    /// As shown above the transcript.
    pub fn title(&self) -> &str {
        match &self.summary {
            Some(summary) if !summary.title.is_empty() => &summary.title,
            _ => "New conversation",
        }
    }

    /// The last message on screen, if it is a reply.
    pub fn last_reply(&self) -> Option<&Node> {
        let leaf = self.tree.node(self.tree.active_leaf()?)?;
        (leaf.role == Role::Assistant).then_some(leaf)
    }

    /// The person's last message on screen.
    pub fn last_own(&self) -> Option<&Node> {
        self.tree.active_path().into_iter().rev().find(|node| node.role == Role::User)
    }

    /// What the model is shown to answer this message: system prompt and the path down to it.
    pub fn turns_to(&self, node: Option<NodeId>, default_system: &str) -> Vec<Turn> {
        let system = self.system_prompt.as_deref().unwrap_or(default_system);
        let mut turns = Vec::new();
        if !system.trim().is_empty() {
            turns.push(Turn { role: Role::System, content: system.to_owned() });
        }
        let path = node.map(|node| self.tree.path_to(node)).unwrap_or_default();
        let nodes = path.iter().filter_map(|id| self.tree.node(*id));
        turns.extend(nodes.map(|node| Turn { role: node.role, content: node.content.clone() }));
        turns
    }

    /// How many versions of an answer to this message there are already: the number of the next.
    pub fn answers_to(&self, parent: Option<NodeId>) -> u64 {
        self.tree.children(parent).len() as u64
    }
}

/// A message as it is first kept.
pub fn new_node(
    parent: Option<NodeId>,
    role: Role,
    content: String,
    state: NodeState,
    now_ms: i64,
) -> Node {
    Node {
        id: NodeId::fresh(),
        parent,
        role,
        content,
        state,
        created_ms: now_ms,
        tokens: Vec::new(),
        recipe: None,
        outcome: None,
    }
}

/// The tokens of a reply up to a position, and then another one of those the model considered
/// there. `None` when the reply has no such token.
pub fn branched(tokens: &[TokenTrace], position: usize, token: u32) -> Option<Vec<TokenTrace>> {
    let at = tokens.get(position)?;
    let alternative = at.alternatives.iter().find(|alternative| alternative.id == token)?;
    let mut kept = tokens[..position].to_vec();
    // Half a character and markers show as <…>; they add nothing readable by themselves.
    let is_readable = !(alternative.text.starts_with('<') && alternative.text.ends_with('>'));
    kept.push(TokenTrace {
        id: token,
        text: if is_readable { alternative.text.clone() } else { String::new() },
        logprob: alternative.logprob,
        entropy: at.entropy,
        alternatives: at.alternatives.clone(),
        reward: None,
    });
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Alternative;

    fn token(id: u32, text: &str, alternatives: &[(u32, &str)]) -> TokenTrace {
        let alternatives = alternatives
            .iter()
            .map(|&(id, text)| Alternative { id, text: text.into(), logprob: -1.5 })
            .collect();
        TokenTrace {
            id,
            text: text.into(),
            logprob: -0.5,
            entropy: 1.0,
            alternatives,
            reward: None,
        }
    }

    #[test]
    fn a_branch_keeps_what_came_before_and_takes_the_other_token() {
        let tokens = [
            token(1, "The", &[(1, "The"), (2, "A")]),
            token(3, " cat", &[(3, " cat"), (4, " dog"), (5, "<0xE4>")]),
            token(6, " sat", &[]),
        ];
        let branch = branched(&tokens, 1, 4).unwrap();
        assert_eq!(branch.iter().map(|token| token.id).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(branch[1].text, " dog");
        assert_eq!(branch[1].logprob, -1.5);
        assert_eq!(branched(&tokens, 1, 5).unwrap()[1].text, "");
        assert_eq!(branched(&tokens, 1, 99), None);
        assert_eq!(branched(&tokens, 7, 4), None);
    }

    #[test]
    fn the_prompt_is_the_path_with_the_system_prompt_in_front() {
        let mut chat = Chat::fresh(Plan::default());
        let first = new_node(None, Role::User, "Hi".into(), NodeState::Finished, 1);
        let reply = new_node(Some(first.id), Role::Assistant, "Ho".into(), NodeState::Finished, 2);
        let other = new_node(Some(first.id), Role::Assistant, "Ha".into(), NodeState::Finished, 3);
        for node in [&first, &reply, &other] {
            chat.tree.add(node.clone()).unwrap();
        }
        let said =
            |turns: Vec<Turn>| turns.into_iter().map(|turn| turn.content).collect::<Vec<_>>();
        assert_eq!(said(chat.turns_to(Some(reply.id), "")), ["Hi", "Ho"]);
        assert_eq!(said(chat.turns_to(Some(first.id), "Be kind")), ["Be kind", "Hi"]);
        chat.system_prompt = Some(String::new());
        assert_eq!(said(chat.turns_to(Some(first.id), "Be kind")), ["Hi"], "own one, left empty");
        assert_eq!(chat.answers_to(Some(first.id)), 2);
        assert_eq!(chat.last_reply().map(|node| node.id), Some(other.id));
    }
}
