//! The tokens of messages: whole once a message is finished, in parts while it is written, so that
//! a checkpoint writes no more than came since the one before.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{Result, Store};
use crate::session::tree::NodeId;
use crate::session::{TokenTrace, traces};

impl Store {
    /// The trace of one message; empty when it was typed.
    pub fn tokens(&self, node: NodeId) -> Result<Vec<TokenTrace>> {
        let mut statement =
            self.connection.prepare_cached("SELECT tokens FROM trace WHERE node = ?1")?;
        let blob: Option<Vec<u8>> = statement.query_row([node.0], |row| row.get(0)).optional()?;
        Ok(traces::decode(&blob.unwrap_or_default())?)
    }
}

/// Keeps the whole trace of a message, in place of what was kept of it.
pub fn put_whole(transaction: &Transaction<'_>, node: NodeId, tokens: &[TokenTrace]) -> Result<()> {
    transaction.prepare_cached("DELETE FROM trace_part WHERE node = ?1")?.execute([node.0])?;
    if tokens.is_empty() {
        return Ok(());
    }
    transaction
        .prepare_cached(
            "INSERT INTO trace (node, tokens) VALUES (?1, ?2)
             ON CONFLICT (node) DO UPDATE SET tokens = excluded.tokens",
        )?
        .execute(params![node.0, traces::encode(tokens)])?;
    Ok(())
}

/// Keeps the tokens of a streaming message from a position on.
pub fn put_part(
    transaction: &Transaction<'_>,
    node: NodeId,
    from: usize,
    tokens: &[TokenTrace],
) -> Result<()> {
    if tokens.is_empty() {
        return Ok(());
    }
    transaction
        .prepare_cached(
            "INSERT INTO trace_part (node, start, tokens) VALUES (?1, ?2, ?3)
             ON CONFLICT (node, start) DO UPDATE SET tokens = excluded.tokens",
        )?
        .execute(params![node.0, from as i64, traces::encode(tokens)])?;
    Ok(())
}

/// Makes one trace of the parts that a kill left; what cannot be read of them is left away, and
/// what stands behind it with it.
pub fn join(transaction: &Transaction<'_>, node: NodeId) -> Result<()> {
    let whole: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT tokens FROM trace WHERE node = ?1")?
        .query_row([node.0], |row| row.get(0))
        .optional()?;
    let mut tokens = traces::decode(&whole.unwrap_or_default()).unwrap_or_default();
    let mut statement = transaction
        .prepare_cached("SELECT start, tokens FROM trace_part WHERE node = ?1 ORDER BY start")?;
    let mut rows = statement.query([node.0])?;
    while let Some(row) = rows.next()? {
        let (start, blob): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let follows = usize::try_from(start) == Ok(tokens.len());
        let Some(part) = traces::decode(&blob).ok().filter(|_| follows) else { break };
        tokens.extend(part);
    }
    drop(rows);
    put_whole(transaction, node, &tokens)
}
