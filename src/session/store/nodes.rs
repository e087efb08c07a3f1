//! Messages in the database: put before generation, checkpointed while it runs, finished whole.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::conversations::{begin, line_of, summary_of, title_by_itself, touch};
use super::{Durability, Result, Store, parts};
use crate::platform::Problem;
use crate::session::TokenTrace;
use crate::session::ask::{BranchOut, FinishedNode};
use crate::session::conversation::{Conversation, ConversationTree};
use crate::session::id::now_ms;
use crate::session::tree::{ConversationId, ConversationSummary, Node, NodeId, NodeState, Role};

impl Store {
    /// Keeps a new message and makes it the active leaf; begins the conversation if need be. Gives
    /// the conversation's line in the list.
    pub fn put_node(
        &mut self,
        conversation: ConversationId,
        node: &Node,
    ) -> Result<Option<ConversationSummary>> {
        self.change(Durability::Synced, |transaction| {
            let now = now_ms();
            begin(transaction, conversation, now)?;
            insert(transaction, conversation, node)?;
            choose(transaction, conversation, node.id)?;
            touch(transaction, conversation, now)?;
            title_by_itself(transaction, conversation)?;
            line_of(transaction, conversation)
        })
    }

    /// Keeps what a streaming message says so far, and its tokens from a position on; nothing
    /// happens once it is finished.
    pub fn checkpoint(
        &mut self,
        node: NodeId,
        content: &str,
        from: usize,
        tokens: &[TokenTrace],
    ) -> Result<()> {
        self.change(Durability::Written, |transaction| {
            let streams = transaction
                .prepare_cached(
                    "UPDATE node SET content = ?2 WHERE id = ?1 AND state = 'streaming'",
                )?
                .execute(params![node.0, content])?;
            if streams > 0 {
                parts::put_part(transaction, node, from, tokens)?;
            }
            Ok(())
        })
    }

    /// Keeps the whole of a generated message; gives the conversation's line in the list.
    pub fn finish_node(&mut self, finished: &FinishedNode) -> Result<Option<ConversationSummary>> {
        self.change(Durability::Synced, |transaction| {
            let conversation: Option<i64> = transaction
                .prepare_cached(
                    "UPDATE node SET content = ?2, state = ?3, recipe = ?4, outcome = ?5
                     WHERE id = ?1 RETURNING conversation",
                )?
                .query_row(
                    params![
                        finished.node.0,
                        finished.content,
                        state_text(finished.state),
                        finished.recipe,
                        finished.outcome
                    ],
                    |row| row.get(0),
                )
                .optional()?;
            let conversation = ConversationId(conversation.ok_or_else(no_such_message)?);
            parts::put_whole(transaction, finished.node, &finished.tokens)?;
            touch(transaction, conversation, now_ms())?;
            line_of(transaction, conversation)
        })
    }

    /// Keeps which path is shown, and with it the version shown at every step of it.
    pub fn set_active_leaf(&mut self, conversation: ConversationId, leaf: NodeId) -> Result<()> {
        self.change(Durability::Written, |transaction| choose(transaction, conversation, leaf))
    }

    /// Reads a conversation; the tokens are left out.
    pub fn conversation(&self, id: ConversationId) -> Result<Conversation> {
        let summary = summary_of(&self.connection, id)?;
        let (active_leaf, chosen_root, system_prompt, plan) = self
            .connection
            .prepare_cached(
                "SELECT active_leaf, chosen_root, system_prompt, plan FROM conversation
                 WHERE id = ?1",
            )?
            .query_row([id.0], |row| {
                let leaf: Option<i64> = row.get(0)?;
                let root: Option<i64> = row.get(1)?;
                Ok((leaf.map(NodeId), root.map(NodeId), row.get(2)?, row.get(3)?))
            })?;
        let mut statement = self.connection.prepare_cached(
            "SELECT id, parent, role, content, state, created_ms, recipe, outcome, chosen_child
             FROM node WHERE conversation = ?1 ORDER BY id",
        )?;
        let mut nodes = Vec::new();
        let mut chosen: Vec<_> = chosen_root.map(|root| (None, root)).into_iter().collect();
        let mut rows = statement.query([id.0])?;
        while let Some(row) = rows.next()? {
            let node = read(row)?;
            if let Some(child) = row.get::<_, Option<i64>>(8)? {
                chosen.push((Some(node.id), NodeId(child)));
            }
            nodes.push(node);
        }
        let tree = ConversationTree::from_nodes(nodes, chosen, active_leaf)?;
        Ok(Conversation { summary, tree, system_prompt, plan, draft: self.draft(Some(id))? })
    }

    /// Copies a path into a conversation of its own, with its title, prompt, plan and tokens.
    pub fn branch_out(&mut self, branch: &BranchOut) -> Result<ConversationSummary> {
        self.change(Durability::Synced, |transaction| {
            let now = now_ms();
            begin(transaction, branch.to, now)?;
            transaction.execute(
                "UPDATE conversation
                 SET (title, named_by_person, system_prompt, plan) =
                     (SELECT title, named_by_person, system_prompt, plan
                      FROM conversation WHERE id = ?2)
                 WHERE id = ?1",
                params![branch.to.0, branch.from.0],
            )?;
            let mut parent: Option<NodeId> = None;
            for &(from, to) in &branch.copies {
                let copied = transaction.execute(
                    "INSERT INTO node (id, conversation, parent, role, content, state,
                                       created_ms, recipe, outcome)
                     SELECT ?1, ?2, ?3, role, content,
                            CASE state WHEN 'streaming' THEN 'partial' ELSE state END,
                            created_ms, recipe, outcome
                     FROM node WHERE id = ?4 AND conversation = ?5",
                    params![to.0, branch.to.0, parent.map(|id| id.0), from.0, branch.from.0],
                )?;
                if copied == 0 {
                    return Err(no_such_message().into());
                }
                transaction.execute(
                    "INSERT INTO trace (node, tokens) SELECT ?1, tokens FROM trace WHERE node = ?2",
                    params![to.0, from.0],
                )?;
                parent = Some(to);
            }
            let leaf = parent.ok_or_else(|| Problem::new("there is nothing to branch from"))?;
            choose(transaction, branch.to, leaf)?;
            summary_of(transaction, branch.to)
        })
    }

    /// Keeps a conversation that came from elsewhere, tokens included; `system_prompt` and `plan`
    /// too, the draft not.
    pub fn put_conversation(&mut self, whole: &Conversation) -> Result<ConversationSummary> {
        self.change(Durability::Synced, |transaction| {
            let summary = &whole.summary;
            transaction.execute(
                "INSERT INTO conversation (id, title, named_by_person, created_ms, changed_ms,
                                           system_prompt, plan)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    summary.id.0,
                    summary.title,
                    summary.named_by_person,
                    summary.created_ms,
                    summary.changed_ms,
                    whole.system_prompt,
                    whole.plan
                ],
            )?;
            // Ids grow from parent to child, so parents come first.
            for node in whole.tree.nodes() {
                insert(transaction, summary.id, node)?;
            }
            for (parent, child) in whole.tree.chosen() {
                if let Some(parent) = parent {
                    transaction.execute(
                        "UPDATE node SET chosen_child = ?2 WHERE id = ?1",
                        params![parent.0, child.0],
                    )?;
                }
            }
            if let Some(leaf) = whole.tree.active_leaf() {
                choose(transaction, summary.id, leaf)?;
            }
            title_by_itself(transaction, summary.id)?;
            summary_of(transaction, summary.id)
        })
    }

    /// Turns replies that a kill cut short into partial ones and says which; forgets conversations
    /// that never began.
    pub(super) fn recover(&mut self) -> Result<Vec<(ConversationId, NodeId)>> {
        self.change(Durability::Synced, |transaction| {
            let mut statement = transaction.prepare(
                "UPDATE node SET state = 'partial' WHERE state = 'streaming'
                 RETURNING conversation, id",
            )?;
            let rows = statement
                .query_map([], |row| Ok((ConversationId(row.get(0)?), NodeId(row.get(1)?))))?;
            let recovered: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
            for &(_, node) in &recovered {
                parts::join(transaction, node)?;
            }
            // What was dialled for conversations in which nothing was ever said.
            transaction.execute_batch(
                "DELETE FROM conversation
                 WHERE NOT EXISTS (SELECT 1 FROM node WHERE conversation = conversation.id);
                 DELETE FROM draft
                 WHERE conversation <> 0 AND conversation NOT IN (SELECT id FROM conversation)",
            )?;
            Ok(recovered)
        })
    }
}

fn no_such_message() -> Problem {
    Problem::new("there is no such message")
}

fn insert(transaction: &Transaction<'_>, conversation: ConversationId, node: &Node) -> Result<()> {
    if let Some(parent) = node.parent {
        let home: Option<i64> = transaction
            .prepare_cached("SELECT conversation FROM node WHERE id = ?1")?
            .query_row([parent.0], |row| row.get(0))
            .optional()?;
        if home != Some(conversation.0) {
            return Err(Problem::new("the message to answer is not there any more").into());
        }
    }
    transaction
        .prepare_cached(
            "INSERT INTO node (id, conversation, parent, role, content, state, created_ms,
                               recipe, outcome)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            node.id.0,
            conversation.0,
            node.parent.map(|parent| parent.0),
            role_text(node.role),
            node.content,
            state_text(node.state),
            node.created_ms,
            node.recipe,
            node.outcome
        ])?;
    parts::put_whole(transaction, node.id, &node.tokens)
}

/// Makes a message the active leaf, and each step down to it the chosen child of the one before.
fn choose(connection: &Connection, conversation: ConversationId, leaf: NodeId) -> Result<()> {
    const PATH: &str = "WITH RECURSIVE path (id, parent) AS (
        SELECT id, parent FROM node WHERE id = ?1 AND conversation = ?2
        UNION SELECT node.id, node.parent FROM node JOIN path ON node.id = path.parent)";
    let updated = connection
        .prepare_cached(&format!(
            "{PATH} UPDATE conversation
             SET active_leaf = ?1, chosen_root = (SELECT id FROM path WHERE parent IS NULL)
             WHERE id = ?2 AND EXISTS (SELECT 1 FROM path)"
        ))?
        .execute([leaf.0, conversation.0])?;
    if updated == 0 {
        return Err(no_such_message().into());
    }
    connection
        .prepare_cached(&format!(
            "{PATH} UPDATE node SET chosen_child = path.id FROM path
             WHERE node.id = path.parent AND node.chosen_child IS NOT path.id"
        ))?
        .execute([leaf.0, conversation.0])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Node> {
    let parent: Option<i64> = row.get(1)?;
    Ok(Node {
        id: NodeId(row.get(0)?),
        parent: parent.map(NodeId),
        role: known(row, 2, role_of)?,
        content: row.get(3)?,
        state: known(row, 4, state_of)?,
        created_ms: row.get(5)?,
        tokens: Vec::new(),
        recipe: row.get(6)?,
        outcome: row.get(7)?,
    })
}

fn known<T>(row: &Row<'_>, column: usize, of: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    of(&text).ok_or_else(|| {
        let problem = Problem::new(format!("“{text}” is not known"));
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(problem))
    })
}

fn role_text(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn role_of(text: &str) -> Option<Role> {
    [Role::System, Role::User, Role::Assistant].into_iter().find(|&role| role_text(role) == text)
}

fn state_text(state: NodeState) -> &'static str {
    match state {
        NodeState::Streaming => "streaming",
        NodeState::Finished => "finished",
        NodeState::Partial => "partial",
    }
}

fn state_of(text: &str) -> Option<NodeState> {
    [NodeState::Streaming, NodeState::Finished, NodeState::Partial]
        .into_iter()
        .find(|&state| state_text(state) == text)
}
