//! Answers kept for repeats: the same key gets the same answer for 24 hours. The answer is sealed, since it may hold
//! telephone numbers or a token.

use rusqlite::OptionalExtension;

use super::vault::Place;
use super::{ReadTx, WriteTx};
use crate::domain::time::DAY_MS;
use crate::error::Result;

/// How long a key is kept, in milliseconds.
pub const KEPT_MS: i64 = DAY_MS;

/// Bound to its key, so that an answer can't be passed off as that of another.
fn seal(tx: &WriteTx<'_>, scope: &str, key: &str, answer: &str) -> Result<String> {
    tx.vault.seal(Place { table: "idempotency_keys", column: &format!("{scope}/{key}"), id: 0 }, answer)
}

fn open(tx: &ReadTx<'_>, scope: &str, key: &str, sealed: &str) -> Result<String> {
    tx.vault.open(Place { table: "idempotency_keys", column: &format!("{scope}/{key}"), id: 0 }, sealed)
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What the request was, as a keyed hash.
    pub fingerprint: String,
    /// The HTTP status of its answer.
    pub status: u16,
    /// The body of its answer.
    pub answer: String,
}

/// The answer kept under this key, if it is not older than [`KEPT_MS`].
pub fn find(tx: &ReadTx<'_>, scope: &str, key: &str) -> Result<Option<Kept>> {
    let found = tx
        .connection
        .prepare_cached(
            "select fingerprint, status, answer_sealed from idempotency_keys
             where scope = ?1 and key = ?2 and created_at > ?3",
        )?
        .query_row((scope, key, tx.now.0 - KEPT_MS), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, u16>(1)?, row.get::<_, String>(2)?))
        })
        .optional()?;
    let Some((fingerprint, status, sealed)) = found else { return Ok(None) };
    Ok(Some(Kept { fingerprint, status, answer: open(tx, scope, key, &sealed)? }))
}

/// Keeps an answer, in the transaction of its effect.
pub fn keep(tx: &WriteTx<'_>, scope: &str, key: &str, kept: &Kept) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into idempotency_keys (scope, key, fingerprint, status, answer_sealed, created_at)
             values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict (scope, key) do update set fingerprint = excluded.fingerprint, status = excluded.status,
                 answer_sealed = excluded.answer_sealed, created_at = excluded.created_at",
        )?
        .execute((scope, key, &kept.fingerprint, kept.status, seal(tx, scope, key, &kept.answer)?, tx.now))?;
    Ok(())
}

/// Forgets up to `limit` keys that are old enough; gives how many.
pub fn forget_old(tx: &WriteTx<'_>, limit: u32) -> Result<usize> {
    Ok(tx
        .connection
        .prepare_cached(
            "delete from idempotency_keys where (scope, key) in
                 (select scope, key from idempotency_keys where created_at <= ?1 limit ?2)",
        )?
        .execute((tx.now.0 - KEPT_MS, limit))?)
}
