//! Statements on `payment_tasks`: what a platform has to be asked or told next, and when.

use rusqlite::types::{ToSql, ToSqlOutput};
use rusqlite::{OptionalExtension, Row};

use super::{ReadTx, WriteTx};
use crate::domain::ids::{PaymentOrderId, RefundId};
use crate::domain::time::Instant;
use crate::error::{Error, Result};

/// What a task is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A payment or a payout.
    Order(PaymentOrderId),
    /// A refund.
    Refund(RefundId),
}

impl Subject {
    const fn kind(self) -> &'static str {
        match self {
            Subject::Order(_) => "order",
            Subject::Refund(_) => "refund",
        }
    }

    const fn id(self) -> i64 {
        match self {
            Subject::Order(id) => id.get(),
            Subject::Refund(id) => id.get(),
        }
    }
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What it is about.
    pub subject: Subject,
    /// When it is to be done.
    pub due_at: Instant,
    /// How often it was tried since the subject last changed.
    pub tries: u32,
    /// What came of the last try, when nothing good.
    pub last_error: Option<String>,
}

struct Tries(u32);

impl ToSql for Tries {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(i64::from(self.0)))
    }
}

/// Sets the subject's task, new or not.
pub fn set(tx: &WriteTx<'_>, task: &Task) -> Result<()> {
    let sql = "insert into payment_tasks (kind, subject_id, due_at, tries, last_error) values (?1, ?2, ?3, ?4, ?5)
               on conflict (kind, subject_id) do update set due_at = excluded.due_at, tries = excluded.tries,
                   last_error = excluded.last_error";
    let (kind, id) = (task.subject.kind(), task.subject.id());
    tx.connection.prepare_cached(sql)?.execute((kind, id, task.due_at, Tries(task.tries), &task.last_error))?;
    Ok(())
}

/// Has the subject looked after from this moment on, as if for the first time.
pub fn wake(tx: &WriteTx<'_>, subject: Subject, due_at: Instant) -> Result<()> {
    set(tx, &Task { subject, due_at, tries: 0, last_error: None })
}

/// Removes the subject's task: there is nothing left to ask.
pub fn remove(tx: &WriteTx<'_>, subject: Subject) -> Result<()> {
    let sql = "delete from payment_tasks where kind = ?1 and subject_id = ?2";
    tx.connection.prepare_cached(sql)?.execute((subject.kind(), subject.id()))?;
    Ok(())
}

/// The subject's task.
pub fn find(tx: &ReadTx<'_>, subject: Subject) -> Result<Option<Task>> {
    let sql =
        "select kind, subject_id, due_at, tries, last_error from payment_tasks where kind = ?1 and subject_id = ?2";
    let mut statement = tx.connection.prepare_cached(sql)?;
    statement.query_row((subject.kind(), subject.id()), |row| Ok(read(row))).optional()?.transpose()
}

/// Up to `limit` tasks whose time has come, the longest due first.
pub fn due(tx: &ReadTx<'_>, now: Instant, limit: usize) -> Result<Vec<Task>> {
    let sql = "select kind, subject_id, due_at, tries, last_error from payment_tasks where due_at <= ?1
               order by due_at limit ?2";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let mut rows = statement.query((now, limit as i64))?;
    let mut tasks = Vec::new();
    while let Some(row) = rows.next()? {
        tasks.push(read(row)?);
    }
    Ok(tasks)
}

/// When the next task is due.
pub fn next_due(tx: &ReadTx<'_>) -> Result<Option<Instant>> {
    Ok(tx.connection.prepare_cached("select min(due_at) from payment_tasks")?.query_row([], |row| row.get(0))?)
}

/// How many tasks there are, and the oldest order or refund that none of the platforms has heard of.
pub fn backlog(tx: &ReadTx<'_>) -> Result<(i64, Option<Instant>)> {
    let sql = "select count(*), min(created_at) from payment_orders where status = 'queued' and sent_at is null";
    Ok(tx.connection.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

fn read(row: &Row<'_>) -> Result<Task> {
    let (kind, id): (String, i64) = (row.get("kind")?, row.get("subject_id")?);
    let unknown = || Error::Corrupt(format!("a task of {kind} {id}"));
    let subject = match kind.as_str() {
        "order" => Subject::Order(PaymentOrderId::try_from(id).map_err(|_| unknown())?),
        "refund" => Subject::Refund(RefundId::try_from(id).map_err(|_| unknown())?),
        _ => return Err(unknown()),
    };
    Ok(Task { subject, due_at: row.get("due_at")?, tries: row.get("tries")?, last_error: row.get("last_error")? })
}
