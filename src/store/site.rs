//! Statements on `site`: what is true of this database, one row a fact.

use rusqlite::OptionalExtension;

use super::{ReadTx, WriteTx};
use crate::error::Result;

/// The fact of this name, if it was recorded.
pub fn fact(tx: &ReadTx<'_>, key: &str) -> Result<Option<String>> {
    Ok(tx
        .connection
        .prepare_cached("select value from site where key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()?)
}

/// Records a fact, over what was recorded under its name before.
pub fn record(tx: &WriteTx<'_>, key: &str, value: &str) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into site (key, value) values (?1, ?2) on conflict (key) do update set value = excluded.value",
        )?
        .execute((key, value))?;
    Ok(())
}
