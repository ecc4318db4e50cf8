//! Statements on `settings`: one row a key, the value as JSON.

use std::collections::BTreeMap;

use super::{ReadTx, WriteTx};
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "settings";

/// Every key that was ever set.
pub fn all(tx: &ReadTx<'_>) -> Result<BTreeMap<String, String>> {
    let mut statement = tx.connection.prepare_cached("select key, value from settings")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Sets a key.
pub fn set(tx: &WriteTx<'_>, key: &str, value: &str) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into settings (key, value, updated_at) values (?1, ?2, ?3)
             on conflict (key) do update set value = excluded.value, updated_at = excluded.updated_at",
        )?
        .execute((key, value, tx.now))?;
    Ok(())
}
