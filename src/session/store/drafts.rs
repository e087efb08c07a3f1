//! What stands in the composer and has not been sent.

use rusqlite::{OptionalExtension, params};

use super::{Durability, Result, Store};
use crate::session::ConversationId;

impl Store {
    /// Keeps a draft; an empty one is forgotten. `None` is the conversation that has not begun.
    pub fn set_draft(&mut self, conversation: Option<ConversationId>, text: &str) -> Result<()> {
        let id = conversation.map_or(0, |id| id.0);
        self.change(Durability::Written, |transaction| {
            if text.is_empty() {
                transaction.execute("DELETE FROM draft WHERE conversation = ?1", [id])?;
            } else {
                transaction
                    .prepare_cached(
                        "INSERT INTO draft (conversation, text) VALUES (?1, ?2)
                         ON CONFLICT (conversation) DO UPDATE SET text = excluded.text",
                    )?
                    .execute(params![id, text])?;
            }
            Ok(())
        })
    }

    /// The draft, or nothing.
    pub fn draft(&self, conversation: Option<ConversationId>) -> Result<String> {
        let id = conversation.map_or(0, |id| id.0);
        let mut statement =
            self.connection.prepare_cached("SELECT text FROM draft WHERE conversation = ?1")?;
        Ok(statement.query_row([id], |row| row.get(0)).optional()?.unwrap_or_default())
    }
}
