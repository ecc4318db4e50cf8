//! What the site keeps for sync, as transactions see it; the statements are `canshi_sync`'s.

use canshi_sync::batch::{self, Limits};
use canshi_sync::capture::{self, Layout};
use canshi_sync::chain::Mark;
use canshi_sync::ledger::{self, Position};
use canshi_sync::outbox::{self, Change};
use rusqlite::OptionalExtension as _;
use serde_json::Value;

use super::{ReadTx, WriteTx, migrations};
use crate::domain::time::Instant;
use crate::error::{Error, Result};

/// Changes that one transaction forgets at most.
const PRUNED_MAX: i64 = 5_000;

/// How far sending is, for whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Changes that the center has not confirmed.
    pub changes: i64,
    /// When the oldest of them was made.
    pub oldest_at: Option<Instant>,
    /// The newest change.
    pub tip: i64,
}

/// The site's position; none before it is enrolled.
pub fn position(tx: &ReadTx<'_>) -> Result<Option<Position>> {
    Ok(ledger::position(tx.connection)?)
}

/// What the center has not confirmed.
pub fn backlog(tx: &ReadTx<'_>) -> Result<Backlog> {
    let confirmed = position(tx)?.map_or(0, |position| position.confirmed.seq);
    let (tip, _) = outbox::tip(tx.connection)?;
    let oldest_at = outbox::oldest_at(tx.connection, confirmed)?.map(Instant);
    Ok(Backlog { changes: tip - confirmed, oldest_at, tip })
}

/// The newest change.
pub fn tip(tx: &ReadTx<'_>) -> Result<i64> {
    Ok(outbox::tip(tx.connection)?.0)
}

/// The place of the site's chain at `seq`; none when it has no such place.
pub fn mark_at(tx: &ReadTx<'_>, seq: i64) -> Result<Option<Mark>> {
    Ok(ledger::mark_at(tx.connection, seq)?)
}

/// Whether every change from the first on is still there.
pub fn is_complete(tx: &ReadTx<'_>) -> Result<bool> {
    Ok(outbox::oldest(tx.connection)?.is_none_or(|oldest| oldest == 1))
}

/// The next stretch of changes to send; see [`batch::cut`].
pub fn cut(tx: &ReadTx<'_>, after: Mark, within: bool) -> Result<Option<(Mark, bool, Vec<Change>)>> {
    Ok(batch::cut(tx.connection, after, within, Limits::default())?)
}

/// The layouts that changes of this site may have.
pub fn layouts(tx: &ReadTx<'_>) -> Result<Vec<Layout>> {
    Ok(ledger::layouts(tx.connection)?)
}

/// The layout of the schema as it stands.
pub fn layout(tx: &ReadTx<'_>) -> Result<Layout> {
    let newest = migrations::newest();
    let layout = layouts(tx)?.into_iter().find(|layout| layout.schema == newest);
    layout.ok_or_else(|| Error::Corrupt(format!("the layout of schema {newest} is missing")))
}

/// Takes up an epoch that the center gave.
pub fn begin(tx: &WriteTx<'_>, epoch: &str, base: Mark) -> Result<()> {
    Ok(ledger::begin(tx.connection, epoch, base, tx.now.0)?)
}

/// Notes where the center is.
pub fn confirm(tx: &WriteTx<'_>, mark: Mark) -> Result<()> {
    Ok(ledger::confirm(tx.connection, mark, tx.now.0)?)
}

/// Notes why the center takes nothing from this box any more.
pub fn fence(tx: &WriteTx<'_>, reason: &str) -> Result<()> {
    Ok(ledger::fence(tx.connection, reason)?)
}

/// Forgets a bounded number of changes that the center confirmed before this moment; gives how many.
pub fn prune(tx: &WriteTx<'_>, before: Instant) -> Result<usize> {
    Ok(ledger::prune(tx.connection, before.0, PRUNED_MAX)?)
}

/// When the oldest change after place `after` was made.
pub fn oldest_after(tx: &ReadTx<'_>, after: i64) -> Result<Option<Instant>> {
    Ok(outbox::oldest_at(tx.connection, after)?.map(Instant))
}

/// How many rows a travelling table has.
pub fn count(tx: &ReadTx<'_>, table: &capture::Table) -> Result<u64> {
    let sql = format!("select count(*) from {}", table.name);
    let count: i64 = tx.connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// A page of a travelling table's rows after a key, in key order: each row its values in the order of the columns.
pub fn rows(tx: &ReadTx<'_>, table: &capture::Table, after: Option<&[Value]>, limit: u32) -> Result<Vec<Vec<Value>>> {
    select(tx, table, after, None, &format!("limit {limit}"))
}

/// The rows of a travelling table after one key and up to another.
pub fn rows_between(
    tx: &ReadTx<'_>,
    table: &capture::Table,
    after: Option<&[Value]>,
    until: Option<&[Value]>,
) -> Result<Vec<Vec<Value>>> {
    select(tx, table, after, until, "")
}

fn select(
    tx: &ReadTx<'_>,
    table: &capture::Table,
    after: Option<&[Value]>,
    until: Option<&[Value]>,
    limit: &str,
) -> Result<Vec<Vec<Value>>> {
    let key = table.key.join(", ");
    let holes = vec!["?"; table.key.len()].join(", ");
    let bounds = [(after, ">"), (until, "<=")];
    let conditions: Vec<String> = bounds
        .iter()
        .filter(|(bound, _)| bound.is_some())
        .map(|(_, comparison)| format!("({key}) {comparison} ({holes})"))
        .collect();
    let condition = if conditions.is_empty() { String::new() } else { format!("where {}", conditions.join(" and ")) };
    let sql = format!(
        "select json_array({}) from {} {condition} order by {key} {limit}",
        table.columns.join(", "),
        table.name
    );
    let mut statement = tx.connection.prepare_cached(&sql)?;
    let values = bounds.iter().filter_map(|(bound, _)| *bound).flatten().map(bind);
    let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get::<_, String>(0))?;
    rows.map(|row| parsed(&row?)).collect()
}

/// Whether a row has changed after place `after` of the chain.
pub fn changed_after(tx: &ReadTx<'_>, after: i64, table: &str, key: &[Value]) -> Result<bool> {
    Ok(outbox::changed_after(tx.connection, after, table, &Value::from(key.to_vec()).to_string())?)
}

/// Puts a row as it is now, or that there is none, into the outbox once more, in order with everything else.
pub fn enqueue(tx: &WriteTx<'_>, table: &capture::Table, key: &[Value]) -> Result<()> {
    let schema = migrations::newest();
    let pk = Value::from(key.to_vec()).to_string();
    let sql = format!(
        "insert into outbox (txn, tbl, op, pk, image, schema, at)
         select canshi_txn(), '{name}', 'update', ?1, json_array({columns}), {schema}, canshi_now() from {name} where {key}",
        name = table.name,
        columns = table.columns.join(", "),
        key = by_key(table, 2),
    );
    let mut values = vec![rusqlite::types::Value::from(pk.clone())];
    values.extend(key.iter().map(bind));
    if tx.connection.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(values))? == 0 {
        tx.connection
            .prepare_cached(
                "insert into outbox (txn, tbl, op, pk, image, schema, at)
                 values (canshi_txn(), ?1, 'delete', ?2, null, ?3, canshi_now())",
            )?
            .execute((&table.name, pk, schema))?;
    }
    Ok(())
}

/// The condition that names a row by its key, with holes from `first` on.
fn by_key(table: &capture::Table, first: usize) -> String {
    let columns = table.key.iter().enumerate();
    columns.map(|(at, column)| format!("{column} = ?{}", at + first)).collect::<Vec<_>>().join(" and ")
}

/// A value of an image as SQLite takes it.
pub(super) fn bind(value: &Value) -> rusqlite::types::Value {
    match value {
        Value::Number(number) => number.as_i64().map_or(rusqlite::types::Value::Null, Into::into),
        Value::String(text) => text.clone().into(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => rusqlite::types::Value::Null,
    }
}

fn parsed(text: &str) -> Result<Vec<Value>> {
    serde_json::from_str(text).map_err(|error| Error::Corrupt(format!("an image: {error}")))
}

/// What a long piece of work on the mirror is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// `wanted`, `running`, `done`, `failed`.
    pub state: String,
    /// How far it is: a JSON document of the work's own.
    pub progress: String,
}

/// The work of this kind that was asked for.
pub fn task(tx: &ReadTx<'_>, kind: &str) -> Result<Option<Task>> {
    Ok(tx
        .connection
        .prepare_cached("select state, progress from sync_tasks where kind = ?1")?
        .query_row([kind], |row| Ok(Task { state: row.get(0)?, progress: row.get(1)? }))
        .optional()?)
}

/// Notes what the work is at.
pub fn save_task(tx: &WriteTx<'_>, kind: &str, task: &Task) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into sync_tasks (kind, state, progress, updated_at) values (?1, ?2, ?3, ?4)
             on conflict (kind) do update set state = excluded.state, progress = excluded.progress,
                 updated_at = excluded.updated_at",
        )?
        .execute((kind, &task.state, &task.progress, tx.now))?;
    Ok(())
}
