//! Whether the database is there and whole.

use super::ReadTx;
use crate::error::{Error, Result};

/// Asks for nothing and gets it.
pub fn answers(tx: &ReadTx<'_>) -> Result<()> {
    Ok(tx.connection.prepare_cached("select 1")?.query_row([], |_| Ok(()))?)
}

/// The database's size, in bytes, without what is still in the log.
pub fn bytes(tx: &ReadTx<'_>) -> Result<i64> {
    let pages: i64 = tx.connection.query_row("pragma page_count", [], |row| row.get(0))?;
    let page: i64 = tx.connection.query_row("pragma page_size", [], |row| row.get(0))?;
    Ok(pages * page)
}

/// Reads every page and checks every index, constraint and reference.
///
/// # Errors
/// [`Error::Corrupt`] names the first problem.
pub fn check_integrity(tx: &ReadTx<'_>) -> Result<()> {
    let found: String = tx.connection.query_row("pragma integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Error::Corrupt(found));
    }
    let mut statement = tx.connection.prepare("pragma foreign_key_check")?;
    let mut rows = statement.query([])?;
    match rows.next()? {
        None => Ok(()),
        Some(row) => Err(Error::Corrupt(format!("a row of {} refers to nothing", row.get::<_, String>(0)?))),
    }
}
