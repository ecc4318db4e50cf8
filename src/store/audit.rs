//! The audit trail: rows that are only added, each with a hash over itself and the hash before it.

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{OptionalExtension, Row};
use serde::Serialize;

use super::keys::hex;
use super::page::{Filter, Listed, Page};
use super::{ReadTx, WriteTx};
use crate::domain::ids::{AuditId, UserId};
use crate::domain::time::Instant;
use crate::error::{Error, Result};

/// The hash before the first row.
const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A row of the trail. `before` and `after` are JSON objects without secrets and with masked contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Its place in the chain, without gaps.
    pub id: i64,
    /// When.
    pub at: i64,
    /// Who, if known.
    pub user_id: Option<i64>,
    /// In which role.
    pub role: String,
    /// From where: an address, `mailbox`, or the name of somebody at headquarters.
    pub address: Option<String>,
    /// The request that caused it.
    pub request_id: String,
    /// What was done.
    pub action: String,
    /// To which noun.
    pub noun: String,
    /// To which row of it.
    pub noun_id: Option<i64>,
    /// The row before.
    pub before: Option<String>,
    /// The row after.
    pub after: Option<String>,
}

/// Appends a row; `row.id` is set here.
pub fn append(tx: &WriteTx<'_>, mut row: AuditRow) -> Result<AuditId> {
    let newest = tx
        .connection
        .prepare_cached("select id, hash from audit order by id desc limit 1")?
        .query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    let (last, previous) = newest.unwrap_or((0, GENESIS.to_owned()));
    row.id = last + 1;
    let hash = link(&previous, &row)?;
    tx.connection
        .prepare_cached(
            "insert into audit (id, at, user_id, role, address, request_id, action, noun, noun_id, before, after, hash)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute((
            row.id,
            row.at,
            row.user_id,
            &row.role,
            &row.address,
            &row.request_id,
            &row.action,
            &row.noun,
            row.noun_id,
            &row.before,
            &row.after,
            hash,
        ))?;
    Ok(AuditId::try_from(row.id).expect("the largest id plus one is an id"))
}

/// The hash of a row after this one: SHA-256 over the previous hash, a line break and the row as JSON.
fn link(previous: &str, row: &AuditRow) -> Result<String> {
    let row = serde_json::to_string(row).map_err(|error| Error::Corrupt(error.to_string()))?;
    Ok(hex(digest(&SHA256, format!("{previous}\n{row}").as_bytes()).as_ref()))
}

/// Which rows.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only what this user did.
    pub user_id: Option<UserId>,
    /// Only this noun.
    pub noun: Option<String>,
    /// Only this row of the noun.
    pub noun_id: Option<i64>,
    /// Only this action.
    pub action: Option<&'static str>,
    /// From this moment on.
    pub from: Option<Instant>,
    /// Before this moment.
    pub until: Option<Instant>,
}

const COLUMNS: &str = "id, at, user_id, role, address, request_id, action, noun, noun_id, before, after, hash";

/// A page of the trail, newest first.
pub fn list(tx: &ReadTx<'_>, filter: &AuditFilter, page: Page) -> Result<Listed<AuditRow>> {
    Filter::default()
        .when("user_id = ?", filter.user_id)
        .when("noun = ?", filter.noun.as_deref())
        .when("noun_id = ?", filter.noun_id)
        .when("action = ?", filter.action)
        .when("at >= ?", filter.from)
        .when("at < ?", filter.until)
        .list(tx, (COLUMNS, "audit", "at desc, id desc"), page, |row| Ok(read(row)?))
}

/// Follows the whole chain; gives its length.
///
/// # Errors
/// [`Error::Corrupt`] names the first row that does not follow from the one before it.
pub fn verify_chain(tx: &ReadTx<'_>) -> Result<i64> {
    let mut statement = tx.connection.prepare(
        "select id, at, user_id, role, address, request_id, action, noun, noun_id, before, after, hash
         from audit order by id",
    )?;
    let mut rows = statement.query([])?;
    let (mut last, mut previous) = (0, GENESIS.to_owned());
    while let Some(row) = rows.next()? {
        let (entry, hash) = (read(row)?, row.get::<_, String>("hash")?);
        if entry.id != last + 1 {
            return Err(Error::Corrupt(format!("audit row {} is missing", last + 1)));
        }
        if link(&previous, &entry)? != hash {
            return Err(Error::Corrupt(format!("audit row {} was changed", entry.id)));
        }
        (last, previous) = (entry.id, hash);
    }
    Ok(last)
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRow> {
    Ok(AuditRow {
        id: row.get("id")?,
        at: row.get("at")?,
        user_id: row.get("user_id")?,
        role: row.get("role")?,
        address: row.get("address")?,
        request_id: row.get("request_id")?,
        action: row.get("action")?,
        noun: row.get("noun")?,
        noun_id: row.get("noun_id")?,
        before: row.get("before")?,
        after: row.get("after")?,
    })
}
