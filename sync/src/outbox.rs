//! The outbox: every change, in commit order, until the center has had it for long enough.

use rusqlite::{Connection, Row};

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The row came into being.
    Insert,
    /// The row changed.
    Update,
    /// The row went away.
    Delete,
}

impl Op {
    /// The operation as a byte: 0, 1, 2.
    pub const fn code(self) -> u8 {
        match self {
            Op::Insert => 0,
            Op::Update => 1,
            Op::Delete => 2,
        }
    }

    /// The operation of a byte.
    pub const fn from_code(code: u8) -> Option<Op> {
        match code {
            0 => Some(Op::Insert),
            1 => Some(Op::Update),
            2 => Some(Op::Delete),
            _ => None,
        }
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place in the one order of the site's changes, without gaps.
    pub seq: i64,
    /// The transaction that it is part of.
    pub txn: i64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The table.
    pub table: String,
    /// What happened.
    pub op: Op,
    /// The row's key, a JSON array in key order.
    pub pk: String,
    /// The row after the change, a JSON array in column order; none for a deletion.
    pub image: Option<String>,
    /// The schema version that the image's columns follow.
    pub schema: i64,
}

impl Change {
    /// How much of a batch's bytes the change takes up, before compression.
    pub fn weight(&self) -> usize {
        /// The numbers around key and image.
        const FRAME: usize = 16;
        FRAME + self.pk.len() + self.image.as_ref().map_or(0, String::len)
    }
}

/// The newest change's place and transaction; `(0, 0)` for an empty outbox.
pub fn tip(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let mut statement = connection.prepare_cached("select seq, txn from outbox order by seq desc limit 1")?;
    let mut rows = statement.query([])?;
    match rows.next()? {
        Some(row) => Ok((row.get(0)?, row.get(1)?)),
        None => Ok((0, 0)),
    }
}

/// The oldest change that is still there; none for an empty outbox.
pub fn oldest(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("select min(seq) from outbox")?.query_row([], |row| row.get(0))
}

/// Up to `limit` changes after place `after`, in order.
pub fn changes_after(connection: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<Change>> {
    let mut changes = Vec::new();
    each_after(connection, after, |change| {
        changes.push(change);
        Ok(changes.len() < limit)
    })?;
    Ok(changes)
}

/// Hands over the changes after place `after`, in order, for as long as `take` says that it wants more.
pub fn each_after(
    connection: &Connection,
    after: i64,
    mut take: impl FnMut(Change) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("select seq, txn, at, tbl, op, pk, image, schema from outbox where seq > ?1 order by seq")?;
    let mut rows = statement.query([after])?;
    while let Some(row) = rows.next()? {
        if !take(read(row)?)? {
            break;
        }
    }
    Ok(())
}

/// When the oldest change after place `after` was made, in milliseconds since the Unix epoch.
pub fn oldest_at(connection: &Connection, after: i64) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("select at from outbox where seq > ?1 order by seq limit 1")?;
    let mut rows = statement.query([after])?;
    rows.next()?.map(|row| row.get(0)).transpose()
}

/// Whether a row has changed after place `after`.
pub fn changed_after(connection: &Connection, after: i64, table: &str, pk: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("select 1 from outbox where seq > ?1 and tbl = ?2 and pk = ?3")?
        .exists((after, table, pk))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        seq: row.get(0)?,
        txn: row.get(1)?,
        at: row.get(2)?,
        table: row.get(3)?,
        op: match row.get_ref(4)?.as_str()? {
            "insert" => Op::Insert,
            "update" => Op::Update,
            _ => Op::Delete,
        },
        pk: row.get(5)?,
        image: row.get(6)?,
        schema: row.get(7)?,
    })
}
