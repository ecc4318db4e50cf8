//! Statements on `canshi_payment_anomalies`: what was refused from a platform.

use std::time::Duration;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::counters;
use crate::error::Result;

/// The counter that gives rows their ids.
const IDS: &str = "payment_anomalies";

/// What was refused.
pub struct Anomaly {
    /// The row.
    pub id: i64,
    /// When, milliseconds since the Unix epoch.
    pub at: i64,
    /// The platform.
    pub channel: String,
    /// What is wrong.
    pub kind: String,
    /// The number that it is about, where one could be read.
    pub number: Option<String>,
    /// What is wrong, for a person.
    pub detail: String,
}

/// Keeps one.
pub async fn insert(conn: &mut Conn, (channel, kind): (&str, &str), number: Option<&str>, detail: &str) -> Result<()> {
    let id = counters::next(conn, IDS).await?;
    let sql = "insert into canshi_payment_anomalies (id, at, channel, kind, number, detail)
               values (?, utc_timestamp(3), ?, ?, ?, ?)";
    Ok(conn.exec_drop(sql, (id, channel, kind, number, detail)).await?)
}

/// A page of them, newest first, and how many there are.
pub async fn list(conn: &mut Conn, offset: i64, limit: u32) -> Result<(i64, Vec<Anomaly>)> {
    let total: Option<i64> = conn.query_first("select count(*) from canshi_payment_anomalies").await?;
    let rows: Vec<(i64, i64, String, String, Option<String>, String)> = conn
        .exec(
            "select id, timestampdiff(microsecond, '1970-01-01', at) div 1000, channel, kind, number, detail
             from canshi_payment_anomalies order by id desc limit ? offset ?",
            (limit, offset),
        )
        .await?;
    let anomalies = rows
        .into_iter()
        .map(|(id, at, channel, kind, number, detail)| Anomaly { id, at, channel, kind, number, detail })
        .collect();
    Ok((total.unwrap_or(0), anomalies))
}

/// Removes those that are older than this; gives how many that were.
pub async fn purge(conn: &mut Conn, older_than: Duration) -> Result<u64> {
    let sql = "delete from canshi_payment_anomalies where at < timestampadd(second, -?, utc_timestamp(3))";
    conn.exec_drop(sql, (older_than.as_secs(),)).await?;
    Ok(conn.affected_rows())
}
