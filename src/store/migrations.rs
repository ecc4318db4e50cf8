//! The schema's versions, embedded from `migrations/site`.

use canshi_sync::capture::{self, Layout};
use canshi_sync::ledger;
use rusqlite::Connection;

use crate::error::{Error, Result};

mod embedded {
    refinery::embed_migrations!("migrations/site");
}

/// The tables whose every change travels to the center. Sessions, bind codes, answers kept for a day, search terms, totals
/// and the facts in `site` are this box's own affair or follow from the others.
pub const TRAVELLING: [&str; 30] = [
    "roles",
    "role_permissions",
    "users",
    "customers",
    "dishes",
    "menus",
    "menu_dishes",
    "employees",
    "attendance",
    "punches",
    "transactions",
    "notifications",
    "notification_reads",
    "settings",
    "audit",
    "boots",
    "mailbox_answers",
    "appointments",
    "payment_orders",
    "payment_refunds",
    "payment_entries",
    "payment_callbacks",
    "payment_anomalies",
    "suppliers",
    "payees",
    "salaries",
    "reconciliations",
    "reconciliation_differences",
    "payroll_files",
    "payroll_file_orders",
];

/// The newest version that this program knows.
pub fn newest() -> i64 {
    embedded::migrations::runner()
        .get_migrations()
        .iter()
        .map(|migration| i64::from(migration.version()))
        .max()
        .unwrap_or(0)
}

/// The version of a database; 0 for an empty one.
pub fn version_of(connection: &Connection) -> Result<i64> {
    let history: bool = connection.query_row(
        "select exists (select 1 from sqlite_schema where type = 'table' and name = 'refinery_schema_history')",
        [],
        |row| row.get(0),
    )?;
    if !history {
        return Ok(0);
    }
    Ok(connection.query_row("select coalesce(max(version), 0) from refinery_schema_history", [], |row| row.get(0))?)
}

/// Brings the schema and its capture triggers to the newest version, and checks the triggers.
pub fn migrate(connection: &mut Connection) -> Result<()> {
    let before = version_of(connection)?;
    // Changes that wait in the outbox have the columns of the version that captured them.
    let captured_by = (before > 0).then(|| layout_of(connection, before)).transpose()?;
    make_tables(connection)?;
    let newest = newest();
    let installed: Option<i64> = connection
        .prepare("select cast(value as integer) from site where key = 'capture_schema'")?
        .query_map([], |row| row.get(0))?
        .next()
        .transpose()?;
    if installed != Some(newest) {
        let transaction = connection.transaction()?;
        transaction.execute(
            "insert into site (key, value) values ('capture_schema', ?1) on conflict (key) do update set value = excluded.value",
            [newest.to_string()],
        )?;
        let layout = Layout::describe(&transaction, &TRAVELLING, newest).map_err(captured)?;
        for layout in captured_by.iter().chain([&layout]) {
            ledger::keep_layout(&transaction, layout)?;
        }
        capture::install(&transaction, &TRAVELLING, newest).map_err(captured)?;
        transaction.commit()?;
    }
    capture::verify(connection, &TRAVELLING, newest).map_err(captured)
}

/// Brings the tables to the newest version, and leaves capture alone.
pub fn make_tables(connection: &mut Connection) -> Result<()> {
    embedded::migrations::runner()
        .run(connection)
        .map_err(|error| Error::Corrupt(format!("the schema could not be migrated: {error}")))?;
    Ok(())
}

/// The columns of those travelling tables that a database of an earlier version has.
fn layout_of(connection: &Connection, version: i64) -> Result<Layout> {
    let mut tables = Vec::new();
    for table in TRAVELLING {
        let there: bool = connection.query_row(
            "select exists (select 1 from sqlite_schema where type = 'table' and name = ?1)",
            [table],
            |row| row.get(0),
        )?;
        if there {
            tables.push(table);
        }
    }
    Layout::describe(connection, &tables, version).map_err(captured)
}

fn captured(error: capture::CaptureError) -> Error {
    Error::Corrupt(format!("change capture: {error}"))
}
