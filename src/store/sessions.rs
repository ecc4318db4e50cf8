//! Statements on `sessions`: which token of which login is good.

use rusqlite::OptionalExtension;

use super::{ReadTx, WriteTx};
use crate::domain::ids::UserId;
use crate::domain::time::{DAY_MS, Instant};
use crate::error::Result;

/// Ended or outlived sessions are kept this long for questions about them.
const KEPT_MS: i64 = 30 * DAY_MS;

/// A login that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Identity, random.
    pub id: String,
    /// Whose.
    pub user_id: UserId,
    /// The one token of the session that is good.
    pub token_id: String,
    /// Until when that token may be exchanged for a new one.
    pub refreshable_until: Instant,
}

/// Opens a session.
pub fn insert(tx: &WriteTx<'_>, session: &Session) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into sessions (id, user_id, token_id, created_at, refreshable_until) values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((&session.id, session.user_id, &session.token_id, tx.now, session.refreshable_until))?;
    Ok(())
}

/// The session, if it has not been ended.
pub fn find_live(tx: &ReadTx<'_>, id: &str) -> Result<Option<Session>> {
    Ok(tx
        .connection
        .prepare_cached(
            "select id, user_id, token_id, refreshable_until from sessions where id = ?1 and ended_at is null",
        )?
        .query_row([id], |row| {
            Ok(Session { id: row.get(0)?, user_id: row.get(1)?, token_id: row.get(2)?, refreshable_until: row.get(3)? })
        })
        .optional()?)
}

/// Makes another token the good one.
pub fn renew(tx: &WriteTx<'_>, id: &str, token_id: &str, refreshable_until: Instant) -> Result<()> {
    tx.connection
        .prepare_cached("update sessions set token_id = ?2, refreshable_until = ?3 where id = ?1")?
        .execute((id, token_id, refreshable_until))?;
    Ok(())
}

/// Ends one session.
pub fn end(tx: &WriteTx<'_>, id: &str) -> Result<()> {
    tx.connection
        .prepare_cached("update sessions set ended_at = ?2 where id = ?1 and ended_at is null")?
        .execute((id, tx.now))?;
    Ok(())
}

/// Ends every session of a user.
pub fn end_all_of(tx: &WriteTx<'_>, user_id: UserId) -> Result<()> {
    tx.connection
        .prepare_cached("update sessions set ended_at = ?2 where user_id = ?1 and ended_at is null")?
        .execute((user_id, tx.now))?;
    Ok(())
}

/// Forgets up to `limit` sessions that are long over; gives how many.
pub fn forget_old(tx: &WriteTx<'_>, limit: u32) -> Result<usize> {
    Ok(tx
        .connection
        .prepare_cached(
            "delete from sessions where id in (select id from sessions where refreshable_until < ?1 limit ?2)",
        )?
        .execute((tx.now.0 - KEPT_MS, limit))?)
}
