//! Triggers that write every change of a travelling table to the outbox, in the transaction that makes the change.
//!
//! # Decision
//! The triggers are generated from the schema as it stands, not written by hand: a column can't be forgotten. Their text is
//! compared at every start, so a site never runs with a missing or stale one and thus never loses a change unseen.
//! `txn` comes from the function [`TXN_FUNCTION`], which the one writing connection provides: a program that opens the file
//! without it can't change a travelling row at all.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

/// The SQL function that gives the number of the transaction at work; the writing connection registers it.
pub const TXN_FUNCTION: &str = "canshi_txn";
/// The SQL function that gives the time, in milliseconds since the Unix epoch; registered with the other.
pub const NOW_FUNCTION: &str = "canshi_now";

/// What can be wrong with capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// A table of the list is not in the schema.
    #[error("travelling table {0} does not exist")]
    NoTable(String),
    /// A table without a primary key can't be mirrored.
    #[error("travelling table {0} has no primary key")]
    NoKey(String),
    /// A column type that an image can't hold.
    #[error("column {0}.{1} is a blob, which can't travel")]
    Blob(String, String),
    /// A trigger is missing or differs from what the schema demands.
    #[error("trigger {0} is missing or stale: changes would be lost")]
    Stale(String),
    /// The database failed.
    #[error("database")]
    Db(#[from] rusqlite::Error),
}

/// The travelling tables of one schema version: what the values of an image are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// The schema version.
    pub schema: i64,
    /// The tables.
    pub tables: Vec<Table>,
}

impl Layout {
    /// Reads the layout off the schema as it stands.
    ///
    /// # Errors
    /// A [`CaptureError`] for a table that can't travel.
    pub fn describe(connection: &Connection, tables: &[&str], schema: i64) -> Result<Self, CaptureError> {
        let tables = tables.iter().map(|table| describe(connection, table)).collect::<Result<_, _>>()?;
        Ok(Self { schema, tables })
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.name == name)
    }
}

/// A travelling table as its schema stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// The table's name.
    pub name: String,
    /// Every column, in order: what an image holds.
    pub columns: Vec<String>,
    /// The columns of the primary key, in key order.
    pub key: Vec<String>,
}

/// Reads a table's columns and key from the schema.
pub fn describe(connection: &Connection, name: &str) -> Result<Table, CaptureError> {
    let mut statement = connection.prepare("select name, type, pk from pragma_table_info(?1) order by cid")?;
    let rows = statement
        .query_map([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?)))?;
    let mut columns = Vec::new();
    let mut key = BTreeMap::new();
    for row in rows {
        let (column, column_type, position) = row?;
        if column_type.eq_ignore_ascii_case("blob") {
            return Err(CaptureError::Blob(name.to_owned(), column));
        }
        if position > 0 {
            key.insert(position, column.clone());
        }
        columns.push(column);
    }
    if columns.is_empty() {
        return Err(CaptureError::NoTable(name.to_owned()));
    }
    if key.is_empty() {
        return Err(CaptureError::NoKey(name.to_owned()));
    }
    Ok(Table { name: name.to_owned(), columns, key: key.into_values().collect() })
}

/// Replaces the triggers of these tables; call it in the transaction that migrates the schema.
pub fn install(connection: &Connection, tables: &[&str], schema: i64) -> Result<(), CaptureError> {
    for (name, sql) in triggers(connection, tables, schema)? {
        connection.execute_batch(&format!("drop trigger if exists {name}; {sql};"))?;
    }
    Ok(())
}

/// Checks that every trigger is there, word for word.
pub fn verify(connection: &Connection, tables: &[&str], schema: i64) -> Result<(), CaptureError> {
    let mut statement = connection.prepare("select sql from sqlite_schema where type = 'trigger' and name = ?1")?;
    for (name, sql) in triggers(connection, tables, schema)? {
        let mut rows = statement.query([&name])?;
        let found = match rows.next()? {
            Some(row) => row.get::<_, String>(0)? == sql,
            None => false,
        };
        if !found {
            return Err(CaptureError::Stale(name));
        }
    }
    Ok(())
}

fn triggers(connection: &Connection, tables: &[&str], schema: i64) -> Result<Vec<(String, String)>, CaptureError> {
    let mut triggers = Vec::with_capacity(tables.len() * 3);
    for table in tables {
        let table = describe(connection, table)?;
        let new_key = json_array("new", &table.key);
        let old_key = json_array("old", &table.key);
        let image = json_array("new", &table.columns);
        let row = |op: &str, key: &str, image: &str| {
            format!(
                "insert into outbox (txn, tbl, op, pk, image, schema, at) \
                 select {TXN_FUNCTION}(), '{}', '{op}', {key}, {image}, {schema}, {NOW_FUNCTION}()",
                table.name
            )
        };
        // A changed key is a deletion of the old row and an insertion of the new one.
        let update = format!(
            "{} where {new_key} is not {old_key}; {}",
            row("delete", &old_key, "null"),
            row("update", &new_key, &image)
        );
        for (event, body) in [
            ("insert", row("insert", &new_key, &image)),
            ("update", update),
            ("delete", row("delete", &old_key, "null")),
        ] {
            let name = format!("capture_{}_{event}", table.name);
            let sql = format!("CREATE TRIGGER {name} after {event} on {} begin {body}; end", table.name);
            triggers.push((name, sql));
        }
    }
    Ok(triggers)
}

fn json_array(row: &str, columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("{row}.{column}")).collect();
    format!("json_array({})", columns.join(", "))
}
