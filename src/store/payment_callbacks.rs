//! Statements on `payment_callbacks`: each verified notification, once.

use super::vault::Place;
use super::{ReadTx, WriteTx};
use crate::domain::ids::CallbackId;
use crate::domain::payments::Channel;
use crate::error::Result;

/// A notification that was taken.
#[derive(Debug, Clone, Copy)]
pub struct NewCallback<'a> {
    /// The platform.
    pub channel: Channel,
    /// What a repeat of it is known by.
    pub event_key: &'a str,
    /// The number that it is about.
    pub number: &'a str,
    /// What it said, JSON.
    pub event: &'a str,
    /// What came of it.
    pub outcome: &'a str,
}

/// Whether this notification was taken before.
pub fn is_known(tx: &ReadTx<'_>, channel: Channel, event_key: &str) -> Result<bool> {
    let sql = "select exists (select 1 from payment_callbacks where channel = ?1 and event_key = ?2)";
    Ok(tx.connection.prepare_cached(sql)?.query_row((channel, event_key), |row| row.get(0))?)
}

/// Keeps a notification.
pub fn insert(tx: &WriteTx<'_>, new: NewCallback<'_>) -> Result<CallbackId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from payment_callbacks")?
        .query_row([], |row| row.get(0))?;
    let event = tx.vault.seal(Place { table: "payment_callbacks", column: "event", id }, new.event)?;
    tx.connection
        .prepare_cached(
            "insert into payment_callbacks (id, channel, event_key, number, event, outcome, received_at)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((id, new.channel, new.event_key, new.number, event, new.outcome, tx.now))?;
    Ok(CallbackId::try_from(id).expect("the largest id plus one is an id"))
}
