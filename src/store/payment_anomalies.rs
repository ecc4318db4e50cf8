//! Statements on `payment_anomalies`.

use rusqlite::{OptionalExtension, Row};

use super::page::{Filter, Listed, Page};
use super::{ReadTx, WriteTx};
use crate::domain::ids::{AnomalyId, CENTER_IDS_FROM, UserId};
use crate::domain::payment_anomalies::{AnomalyKind, OPEN_MAX, safe_detail, safe_number};
use crate::domain::payments::Channel;
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "payment_anomalies";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// Identity.
    pub id: AnomalyId,
    /// The platform that it came from, or seemed to come from.
    pub channel: Channel,
    /// What is wrong.
    pub kind: AnomalyKind,
    /// The number that it is about, as far as it is known.
    pub number: Option<String>,
    /// What was seen.
    pub detail: String,
    /// When.
    pub created_at: Instant,
    /// What a person made of it, if somebody has.
    pub resolved: Option<Resolved>,
}

/// That a person has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// When.
    pub at: Instant,
    /// Who; none for the program itself.
    pub by: Option<UserId>,
    /// What was found or done.
    pub reason: String,
}

/// Which anomalies.
#[derive(Debug, Clone, Default)]
pub struct AnomalyFilter {
    /// Only those of this platform.
    pub channel: Option<Channel>,
    /// Only those of this kind.
    pub kind: Option<AnomalyKind>,
    /// Only those that wait for a person, or only the others.
    pub open: Option<bool>,
}

/// Keeps what is refused or does not fit; gives the row that says so.
///
/// The same thing, as long as it is open, has one row. Beyond [`OPEN_MAX`] open rows of a kind nothing more is kept, and the metric
/// `canshi_payment_anomalies_dropped_total` counts it. The detail must hold no secret; what could be a card's number is hidden here.
///
/// # Decision
/// A counter in the newest row would turn each forged notification into a write, and into a change that travels to the center; a metric costs
/// nothing, and whoever looks at a thousand rows of a kind knows that there may have been more.
pub fn record(
    tx: &WriteTx<'_>,
    channel: Channel,
    kind: AnomalyKind,
    number: Option<&str>,
    detail: &str,
) -> Result<Option<AnomalyId>> {
    let (number, detail) = (number.map(safe_number), safe_detail(detail));
    let known = tx
        .connection
        .prepare_cached(
            "select id from payment_anomalies
             where kind = ?1 and channel = ?2 and number is ?3 and detail = ?4 and resolved_at is null limit 1",
        )?
        .query_row((kind, channel, &number, &detail), |row| row.get(0))
        .optional()?;
    if known.is_some() {
        return Ok(known);
    }
    let open: i64 = tx
        .connection
        .prepare_cached("select count(*) from payment_anomalies where kind = ?1 and resolved_at is null")?
        .query_row([kind], |row| row.get(0))?;
    if open >= OPEN_MAX {
        metrics::counter!("canshi_payment_anomalies_dropped_total", "kind" => kind.as_str()).increment(1);
        return Ok(None);
    }
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from payment_anomalies where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    tx.connection
        .prepare_cached(
            "insert into payment_anomalies (id, channel, kind, number, detail, created_at) values (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((id, channel, kind, number, detail, tx.now))?;
    Ok(Some(AnomalyId::try_from(id).expect("the largest id plus one is an id")))
}

/// Notes what a person made of an open one.
pub fn resolve(tx: &WriteTx<'_>, id: AnomalyId, resolved: &Resolved) -> Result<()> {
    tx.connection
        .prepare_cached(
            "update payment_anomalies set resolved_at = ?2, resolved_by = ?3, resolution = ?4
             where id = ?1 and resolved_at is null",
        )?
        .execute((id, resolved.at, resolved.by, &resolved.reason))?;
    Ok(())
}

const COLUMNS: &str = "id, channel, kind, number, detail, created_at, resolved_at, resolved_by, resolution";

/// The anomaly.
pub fn find(tx: &ReadTx<'_>, id: AnomalyId) -> Result<Option<Anomaly>> {
    let sql = "select id, channel, kind, number, detail, created_at, resolved_at, resolved_by, resolution
               from payment_anomalies where id = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// A page of the anomalies that pass the filter, the newest first.
pub fn list(tx: &ReadTx<'_>, filter: &AnomalyFilter, page: Page) -> Result<Listed<Anomaly>> {
    let conditions = Filter::default().when("channel = ?", filter.channel).when("kind = ?", filter.kind);
    let conditions = match filter.open {
        Some(true) => conditions.only("resolved_at is null"),
        Some(false) => conditions.only("resolved_at is not null"),
        None => conditions,
    };
    // An index by kind would find fewer rows, but in another order than that of the list.
    conditions.list(tx, (COLUMNS, "payment_anomalies", "created_at desc, id desc"), page, |row| Ok(read(row)?))
}

/// How many wait for a person.
pub fn count_open(tx: &ReadTx<'_>) -> Result<i64> {
    let sql = "select count(*) from payment_anomalies where resolved_at is null";
    Ok(tx.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Anomaly> {
    let resolved = match row.get("resolved_at")? {
        Some(at) => Some(Resolved {
            at,
            by: row.get("resolved_by")?,
            reason: row.get::<_, Option<String>>("resolution")?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(Anomaly {
        id: row.get("id")?,
        channel: row.get("channel")?,
        kind: row.get("kind")?,
        number: row.get("number")?,
        detail: row.get("detail")?,
        created_at: row.get("created_at")?,
        resolved,
    })
}
