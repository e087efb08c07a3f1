//! Conversations in the database: the list, titles, the trash, what is dialled in each.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{Durability, Result, Store};
use crate::platform::Problem;
use crate::session::ask::ListPosition;
use crate::session::id::now_ms;
use crate::session::title;
use crate::session::tree::{ConversationId, ConversationSummary};

/// The columns of a summary, in the order `summary` reads them.
pub(super) const SUMMARY: &str = "c.id, c.title, c.named_by_person, c.created_ms, c.changed_ms";

/// The most lines one page of the list may have.
const LONGEST_PAGE: usize = 1000;

/// Reads a page of the list, or of the trash, off the index that is kept for it.
pub(super) fn page_sql(trash: bool) -> String {
    let (moment, which) =
        if trash { ("trashed_ms", "IS NOT NULL") } else { ("changed_ms", "IS NULL") };
    format!(
        "SELECT {SUMMARY}, c.{moment} FROM conversation c
         WHERE c.trashed_ms {which} AND (c.{moment}, c.id) < (?1, ?2)
           AND EXISTS (SELECT 1 FROM node WHERE node.conversation = c.id)
         ORDER BY c.{moment} DESC, c.id DESC LIMIT ?3"
    )
}

/// A page of the list and where the next one begins.
pub type Page = (Vec<ConversationSummary>, Option<ListPosition>);

pub(super) fn summary(row: &Row<'_>) -> rusqlite::Result<ConversationSummary> {
    Ok(ConversationSummary {
        id: ConversationId(row.get(0)?),
        title: row.get(1)?,
        named_by_person: row.get(2)?,
        created_ms: row.get(3)?,
        changed_ms: row.get(4)?,
    })
}

pub(super) fn summary_of(
    connection: &Connection,
    id: ConversationId,
) -> Result<ConversationSummary> {
    let sql = format!("SELECT {SUMMARY} FROM conversation c WHERE id = ?1");
    let found = connection.prepare_cached(&sql)?.query_row([id.0], summary).optional()?;
    found.ok_or_else(|| Problem::new("there is no such conversation").into())
}

/// The line in the list; `None` for a conversation that is in the trash, where changes go on
/// unseen.
pub(super) fn line_of(
    connection: &Connection,
    id: ConversationId,
) -> Result<Option<ConversationSummary>> {
    let in_trash: bool = connection
        .prepare_cached("SELECT trashed_ms IS NOT NULL FROM conversation WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))
        .optional()?
        .unwrap_or_default();
    if in_trash { Ok(None) } else { summary_of(connection, id).map(Some) }
}

/// Makes the conversation if it has not begun yet.
pub(super) fn begin(transaction: &Transaction<'_>, id: ConversationId, now: i64) -> Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO conversation (id, created_ms, changed_ms) VALUES (?1, ?2, ?2)
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![id.0, now])?;
    Ok(())
}

/// Moves the conversation to the top of the list.
pub(super) fn touch(transaction: &Transaction<'_>, id: ConversationId, now: i64) -> Result<()> {
    transaction
        .prepare_cached("UPDATE conversation SET changed_ms = max(changed_ms, ?2) WHERE id = ?1")?
        .execute(params![id.0, now])?;
    Ok(())
}

/// Takes the title from the person's first message that says something, unless they named it.
pub(super) fn title_by_itself(transaction: &Transaction<'_>, id: ConversationId) -> Result<()> {
    let first: Option<String> = transaction
        .prepare_cached(
            "SELECT n.content FROM node n JOIN conversation c ON c.id = n.conversation
             WHERE c.id = ?1 AND c.named_by_person = 0 AND n.role = 'user'
               AND trim(n.content) <> ''
             ORDER BY n.id LIMIT 1",
        )?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    if let Some(first) = first {
        transaction
            .prepare_cached("UPDATE conversation SET title = ?2 WHERE id = ?1 AND title <> ?2")?
            .execute(params![id.0, title::from_first_message(&first)])?;
    }
    Ok(())
}

impl Store {
    /// Conversations that have a message, most recently changed first.
    pub fn list(&self, after: Option<ListPosition>, limit: usize) -> Result<Page> {
        self.page(false, after, limit)
    }

    /// The trash, most recently thrown away first.
    pub fn list_trash(&self, after: Option<ListPosition>, limit: usize) -> Result<Page> {
        self.page(true, after, limit)
    }

    fn page(&self, trash: bool, after: Option<ListPosition>, limit: usize) -> Result<Page> {
        let limit = limit.clamp(1, LONGEST_PAGE);
        let (moment_ms, id) = after.map_or((i64::MAX, i64::MAX), |at| (at.moment_ms, at.id.0));
        let mut statement = self.connection.prepare_cached(&page_sql(trash))?;
        // One more than asked tells whether there is a next page.
        let rows = statement.query_map(params![moment_ms, id, limit as i64 + 1], |row| {
            Ok((summary(row)?, row.get::<_, i64>(5)?))
        })?;
        let mut rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows
            .last()
            .filter(|_| more)
            .map(|(last, moment_ms)| ListPosition { moment_ms: *moment_ms, id: last.id });
        Ok((rows.into_iter().map(|(summary, _)| summary).collect(), next))
    }

    /// Names a conversation; an empty title goes back to the automatic one.
    pub fn rename(
        &mut self,
        id: ConversationId,
        title: &str,
    ) -> Result<Option<ConversationSummary>> {
        let title = title.trim();
        self.change(Durability::Synced, |transaction| {
            transaction.execute(
                "UPDATE conversation SET title = ?2, named_by_person = ?3 WHERE id = ?1",
                params![id.0, title, !title.is_empty()],
            )?;
            title_by_itself(transaction, id)?;
            line_of(transaction, id)
        })
    }

    /// Into the trash (true) or back out of it.
    pub fn set_trashed(
        &mut self,
        id: ConversationId,
        trashed: bool,
    ) -> Result<ConversationSummary> {
        self.change(Durability::Synced, |transaction| {
            transaction.execute(
                "UPDATE conversation SET trashed_ms = ?2 WHERE id = ?1",
                params![id.0, trashed.then(now_ms)],
            )?;
            summary_of(transaction, id)
        })
    }

    /// Deletes for good what is in the trash; gives how many conversations that were.
    pub fn empty_trash(&mut self) -> Result<usize> {
        self.change(Durability::Synced, |transaction| {
            transaction.execute(
                "DELETE FROM draft WHERE conversation IN
                 (SELECT id FROM conversation WHERE trashed_ms IS NOT NULL)",
                [],
            )?;
            Ok(transaction.execute("DELETE FROM conversation WHERE trashed_ms IS NOT NULL", [])?)
        })
    }

    /// Keeps the conversation's own system prompt.
    pub fn set_system_prompt(&mut self, id: ConversationId, text: Option<&str>) -> Result<()> {
        self.set_column(id, "system_prompt", text)
    }

    /// Keeps what is dialled in the conversation.
    pub fn set_plan(&mut self, id: ConversationId, plan: Option<&str>) -> Result<()> {
        self.set_column(id, "plan", plan)
    }

    fn set_column(&mut self, id: ConversationId, column: &str, value: Option<&str>) -> Result<()> {
        self.change(Durability::Written, |transaction| {
            begin(transaction, id, now_ms())?;
            transaction
                .prepare_cached(&format!("UPDATE conversation SET {column} = ?2 WHERE id = ?1"))?
                .execute(params![id.0, value])?;
            Ok(())
        })
    }
}
