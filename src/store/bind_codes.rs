//! Statements on `bind_codes`: one-time codes that bind a WeChat account to a user, kept as keyed hashes.

use rusqlite::OptionalExtension;

use super::{ReadTx, WriteTx};
use crate::domain::ids::UserId;
use crate::domain::time::{DAY_MS, Instant};
use crate::error::Result;

/// Codes that are over are kept this long for questions about them.
const KEPT_MS: i64 = 30 * DAY_MS;

fn hash(tx: &ReadTx<'_>, code: &str) -> String {
    tx.vault.index("bind_codes.code", code)
}

/// Keeps a code for a user; an earlier one of the same user that was not used is good no more.
pub fn insert(tx: &WriteTx<'_>, code: &str, user_id: UserId, expires_at: Instant) -> Result<()> {
    tx.connection
        .prepare_cached("delete from bind_codes where user_id = ?1 and used_at is null")?
        .execute([user_id])?;
    tx.connection
        .prepare_cached("insert into bind_codes (code_hash, user_id, expires_at) values (?1, ?2, ?3)")?
        .execute((hash(tx, code), user_id, expires_at))?;
    Ok(())
}

/// Whose code it is, if it is good now.
pub fn find_good(tx: &ReadTx<'_>, code: &str) -> Result<Option<UserId>> {
    let sql = "select user_id from bind_codes where code_hash = ?1 and used_at is null and expires_at > ?2";
    Ok(tx.connection.prepare_cached(sql)?.query_row((hash(tx, code), tx.now), |row| row.get(0)).optional()?)
}

/// Notes that the code was used.
pub fn mark_used(tx: &WriteTx<'_>, code: &str) -> Result<()> {
    tx.connection
        .prepare_cached("update bind_codes set used_at = ?2 where code_hash = ?1")?
        .execute((hash(tx, code), tx.now))?;
    Ok(())
}

/// Forgets up to `limit` codes that are long over; gives how many.
pub fn forget_old(tx: &WriteTx<'_>, limit: u32) -> Result<usize> {
    Ok(tx
        .connection
        .prepare_cached(
            "delete from bind_codes where code_hash in
                 (select code_hash from bind_codes where expires_at < ?1 limit ?2)",
        )?
        .execute((tx.now.0 - KEPT_MS, limit))?)
}
