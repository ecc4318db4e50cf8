//! The outbox: every change, in commit order, until the center has it.

use rusqlite::Connection;

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

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place in the one order of the site's changes, without gaps.
    pub seq: i64,
    /// The transaction that it is part of.
    pub txn: i64,
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

/// The newest change's place and transaction; `(0, 0)` for an empty outbox.
pub fn tip(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let mut statement = connection.prepare_cached("select seq, txn from outbox order by seq desc limit 1")?;
    let mut rows = statement.query([])?;
    match rows.next()? {
        Some(row) => Ok((row.get(0)?, row.get(1)?)),
        None => Ok((0, 0)),
    }
}

/// Up to `limit` changes after place `after`, in order.
pub fn changes_after(connection: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<Change>> {
    let mut statement = connection.prepare_cached(
        "select seq, txn, tbl, op, pk, image, schema from outbox where seq > ?1 order by seq limit ?2",
    )?;
    let changes = statement.query_map((after, limit as i64), |row| {
        Ok(Change {
            seq: row.get(0)?,
            txn: row.get(1)?,
            table: row.get(2)?,
            op: match row.get_ref(3)?.as_str()? {
                "insert" => Op::Insert,
                "update" => Op::Update,
                _ => Op::Delete,
            },
            pk: row.get(4)?,
            image: row.get(5)?,
            schema: row.get(6)?,
        })
    })?;
    changes.collect()
}
