//! Whether everything in a database file fits together; it works beside a running server.

use std::path::Path;

use super::keys::Keys;
use super::vault::Vault;
use super::{ReadTx, audit, health, migrations, open, search, transactions};
use crate::domain::time::{Instant, MINUTE_MS, Zone};
use crate::error::{Error, Result};

/// How far the newest entry may be ahead of the clock.
const CLOCK_TOLERANCE_MS: i64 = 5 * MINUTE_MS;

/// The nouns that can be searched, each with the count of its visible rows.
const SEARCHABLE: [(&str, &str); 4] = [
    ("customers", "select count(*) from customers where deleted_at is null"),
    ("dishes", "select count(*) from dishes where deleted_at is null"),
    ("employees", "select count(*) from employees where deleted_at is null"),
    ("suppliers", "select count(*) from suppliers where deleted_at is null"),
];

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked.
    pub what: &'static str,
    /// What is wrong with it, if something is.
    pub problem: Option<String>,
}

/// Checks the file with the keys of its directory, all in one consistent view.
///
/// # Errors
/// Only when the file can't be opened or read at all; whatever else is wrong is a finding.
pub fn examine(path: &Path, keys: &Keys, zone: &Zone, now: Instant) -> Result<Vec<Finding>> {
    let vault = Vault::new(keys)?;
    let connection = open::reader(path)?;
    connection.execute_batch("begin")?;
    let tx = ReadTx { connection: &connection, vault: &vault, zone, now };
    let findings = vec![
        finding("database integrity", health::check_integrity(&tx)),
        finding("schema version", check_version(&tx)),
        finding("change capture", check_capture(&tx)),
        finding("keys belong to the database", open::check_keys(&connection, &vault)),
        finding("audit chain", audit::verify_chain(&tx).map(drop)),
        finding("daily totals", check_totals(&tx)),
        finding("search terms", check_search_terms(&tx)),
        finding("clock", check_clock(&tx)),
    ];
    connection.execute_batch("commit")?;
    Ok(findings)
}

/// An error with all of its causes, in one line.
pub fn explained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn finding(what: &'static str, outcome: Result<()>) -> Finding {
    Finding { what, problem: outcome.err().map(|error| explained(&error)) }
}

fn check_version(tx: &ReadTx<'_>) -> Result<()> {
    let (version, newest) = (migrations::version_of(tx.connection)?, migrations::newest());
    if version == newest {
        Ok(())
    } else {
        Err(Error::Corrupt(format!("the database has schema version {version}, this program knows {newest}")))
    }
}

fn check_capture(tx: &ReadTx<'_>) -> Result<()> {
    canshi_sync::capture::verify(tx.connection, &migrations::TRAVELLING, migrations::newest())
        .map_err(|error| Error::Corrupt(explained(&error)))
}

fn check_totals(tx: &ReadTx<'_>) -> Result<()> {
    match transactions::totals_differ(tx)? {
        0 => Ok(()),
        days => Err(Error::Corrupt(format!("{days} totals differ from the transactions that they sum up"))),
    }
}

fn check_search_terms(tx: &ReadTx<'_>) -> Result<()> {
    for (noun, sql) in SEARCHABLE {
        let rows: i64 = tx.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        let findable = search::findable(tx, noun)?;
        if findable != rows {
            return Err(Error::Corrupt(format!("{findable} of {noun} can be found, {rows} are there")));
        }
    }
    Ok(())
}

fn check_clock(tx: &ReadTx<'_>) -> Result<()> {
    let newest: Option<i64> =
        tx.connection.prepare_cached("select max(at) from audit")?.query_row([], |row| row.get(0))?;
    match newest.map(|at| Instant(at).ms_since(tx.now)) {
        Some(ahead) if ahead > CLOCK_TOLERANCE_MS => {
            Err(Error::Corrupt(format!("the newest entry is {} s ahead of the clock", ahead / 1_000)))
        }
        _ => Ok(()),
    }
}
