//! Statements on `payment_requests`: which order a repeatable request has made.

use rusqlite::OptionalExtension;

use super::{ReadTx, WriteTx};
use crate::domain::ids::PaymentOrderId;
use crate::domain::time::DAY_MS;
use crate::error::Result;

/// How long a request is known, in milliseconds: longer than any answer is kept under its key.
const KEPT_MS: i64 = 62 * DAY_MS;

/// The fingerprint of the first request under this key, and the order that it made.
pub fn find(tx: &ReadTx<'_>, request_key: &str) -> Result<Option<(String, PaymentOrderId)>> {
    let sql = "select fingerprint, order_id from payment_requests where request_key = ?1";
    let mut statement = tx.connection.prepare_cached(sql)?;
    Ok(statement.query_row([request_key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Notes which order the request made.
pub fn insert(tx: &WriteTx<'_>, request_key: &str, fingerprint: &str, order_id: PaymentOrderId) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into payment_requests (request_key, fingerprint, order_id, created_at) values (?1, ?2, ?3, ?4)",
        )?
        .execute((request_key, fingerprint, order_id, tx.now))?;
    Ok(())
}

/// Forgets up to `limit` requests that are old enough; gives how many.
pub fn forget_old(tx: &WriteTx<'_>, limit: u32) -> Result<usize> {
    let sql = "delete from payment_requests where request_key in
                   (select request_key from payment_requests where created_at < ?1 limit ?2)";
    Ok(tx.connection.prepare_cached(sql)?.execute((tx.now.plus_ms(-KEPT_MS), limit))?)
}
