//! `boots`: each start of the program.

use rusqlite::OptionalExtension as _;

use super::{ReadTx, WriteTx};
use crate::error::Result;

/// Adds a row for this start.
pub fn insert(tx: &WriteTx<'_>, nonce: &str, version: &str) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into boots (id, nonce, version, started_at)
             values ((select coalesce(max(id), 0) + 1 from boots), ?1, ?2, ?3)",
        )?
        .execute((nonce, version, tx.now))?;
    Ok(())
}

/// The random word of the newest start.
pub fn newest(tx: &ReadTx<'_>) -> Result<Option<String>> {
    Ok(tx
        .connection
        .prepare_cached("select nonce from boots order by id desc limit 1")?
        .query_row([], |row| row.get(0))
        .optional()?)
}
