//! Recording who did what. Every write calls [`record`] in its own transaction.

use serde_json::Value;

use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::error::Result;
use crate::store::WriteTx;
use crate::store::audit::{AuditRow, append};

/// What was done to which row, and how the row looked before and after: without secrets, with masked contacts.
pub struct Deed<'a> {
    /// The kind of deed.
    pub action: Action,
    /// The noun, as its table is called.
    pub noun: &'a str,
    /// The row, if it is about one.
    pub noun_id: Option<i64>,
    /// The row before.
    pub before: Option<Value>,
    /// The row after.
    pub after: Option<Value>,
}

/// Appends a deed to the trail.
pub fn record(tx: &WriteTx<'_>, actor: &Actor, deed: Deed<'_>) -> Result<()> {
    append(
        tx,
        AuditRow {
            id: 0,
            at: tx.now.0,
            user_id: actor.user_id().map(|id| id.get()),
            role: actor.role().to_owned(),
            address: actor.whence(),
            request_id: actor.request_id.to_string(),
            action: deed.action.as_str().to_owned(),
            noun: deed.noun.to_owned(),
            noun_id: deed.noun_id,
            before: deed.before.map(|image| image.to_string()),
            after: deed.after.map(|image| image.to_string()),
        },
    )?;
    Ok(())
}
