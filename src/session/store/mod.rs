//! The SQLite database of conversations, presets and drafts: one connection, one owner.
//! Knows SQL; knows nothing of threads, asks or answers.

mod conversations;
mod drafts;
mod nodes;
mod opening;
mod parts;
mod presets;
mod schema;
mod search;
#[cfg(test)]
mod test_access;
mod trouble;

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use opening::{in_memory, move_aside, open, reopen};
pub use trouble::Trouble;

type Result<T> = std::result::Result<T, Trouble>;

/// An open database.
pub struct Store {
    connection: Connection,
}

/// How much must have reached the disk before a change counts as kept. Neither loses anything when
/// the process is killed; they differ when the power fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// Synced to the disk: finished turns, titles, presets, the trash.
    Synced,
    /// Handed to the operating system: checkpoints, drafts, which version is shown.
    Written,
}

impl Store {
    /// Makes the search index again from the texts.
    pub fn rebuild_index(&mut self) -> Result<()> {
        self.change(Durability::Synced, |transaction| schema::rebuild_index(transaction))
    }

    /// Runs one change: whole or not at all.
    fn change<T>(
        &mut self,
        durability: Durability,
        change: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let level = match durability {
            Durability::Synced => "FULL",
            Durability::Written => "NORMAL",
        };
        self.connection.pragma_update(None, "synchronous", level)?;
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = change(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }
}
