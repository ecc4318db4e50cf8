//! A database made anew from the center's mirror: filled under another name, and given its own only when it is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use canshi_sync::capture::Table;
use canshi_sync::chain::Mark;
use canshi_sync::ledger;
use rusqlite::Connection;
use serde_json::Value;

use super::db::Context;
use super::open::{self, DATABASE, Options};
use super::sync::bind;
use super::tx::{ReadTx, WriteTx};
use super::{migrations, search, site};
use crate::domain::access::{LATER_PERMISSIONS, granted_fact};
use crate::error::{Error, Result};

/// What can be searched: the noun, and a query for the id, the name and the searchable text of its visible rows.
const SEARCHABLE: [(&str, &str); 4] = [
    ("customers", "select id, name, null from customers where deleted_at is null"),
    ("dishes", "select id, name, ingredients from dishes where deleted_at is null"),
    ("employees", "select id, name, null from employees where deleted_at is null"),
    ("suppliers", "select id, name, null from suppliers where deleted_at is null"),
];

/// A database that is being filled.
pub struct Rebuild {
    connection: Connection,
    context: Context,
    partial: PathBuf,
    whole: PathBuf,
}

impl Rebuild {
    /// Opens the database to be filled, or goes on with one that was being filled.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the directory has a whole database.
    pub fn open(data: &Path, context: Context) -> Result<Self> {
        let (partial, whole) = (data.join(format!("{DATABASE}.partial")), data.join(DATABASE));
        if whole.exists() {
            return Err(Error::Conflict(format!("{} exists already", whole.display()).into()));
        }
        let mut connection = open::writer(&partial, Options::default())?;
        migrations::make_tables(&mut connection)?;
        // Rows come table by table; what they refer to may come later, and is checked at the end.
        connection.pragma_update(None, "foreign_keys", false)?;
        Ok(Self { connection, context, partial, whole })
    }

    /// The key of the last row that a table has.
    ///
    /// # Errors
    /// When the database fails.
    pub fn last_key(&self, table: &Table) -> Result<Option<Vec<Value>>> {
        let key = table.key.join(", ");
        let order: Vec<String> = table.key.iter().map(|column| format!("{column} desc")).collect();
        let sql = format!("select json_array({key}) from {} order by {} limit 1", table.name, order.join(", "));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let text: String = row.get(0)?;
        serde_json::from_str(&text).map(Some).map_err(|error| Error::Corrupt(format!("a key: {error}")))
    }

    /// Adds rows of a table: each the values of its columns in the table's order.
    ///
    /// # Errors
    /// [`Error::Db`] when a row does not fit; nothing of the call is kept then.
    pub fn add(&mut self, table: &Table, rows: &[Vec<Value>]) -> Result<()> {
        let holes = vec!["?"; table.columns.len()].join(", ");
        let sql = format!("insert into {} ({}) values ({holes})", table.name, table.columns.join(", "));
        let transaction = self.connection.transaction()?;
        {
            let mut statement = transaction.prepare_cached(&sql)?;
            for row in rows {
                statement.execute(rusqlite::params_from_iter(row.iter().map(bind)))?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// How many rows a table has by now.
    ///
    /// # Errors
    /// When the database fails.
    pub fn count(&self, table: &Table) -> Result<u64> {
        let sql = format!("select count(*) from {}", table.name);
        let count: i64 = self.connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    /// Derives what follows from the rows, starts the chain where the center is, checks the whole and gives the database its
    /// name. `schema` is the version of the rows that were added.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a row refers to another that is not there.
    pub fn finish(self, schema: i64, epoch: &str, base: Mark) -> Result<()> {
        let Self { connection, context, partial, whole } = self;
        let transaction = connection.unchecked_transaction()?;
        {
            let read = ReadTx {
                connection: &transaction,
                vault: &context.vault,
                zone: &context.zone,
                now: context.clock.now(),
            };
            let tx = WriteTx::new(read);
            derive(&tx)?;
            note_facts(&tx, schema)?;
            start_chain(&tx, epoch, base)?;
        }
        let orphans: i64 =
            transaction.query_row("select count(*) from pragma_foreign_key_check", [], |row| row.get(0))?;
        if orphans > 0 {
            return Err(Error::Corrupt(format!("{orphans} rows of the mirror refer to rows that it does not have")));
        }
        transaction.commit()?;
        connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
        connection.close().map_err(|(_, error)| error)?;
        File::open(&partial)?.sync_all()?;
        fs::rename(&partial, &whole)?;
        if let Some(directory) = whole.parent() {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

fn derive(tx: &WriteTx<'_>) -> Result<()> {
    tx.connection.execute("delete from transaction_totals", [])?;
    tx.connection.execute(
        "insert into transaction_totals (date, type, category, payment_method, entries, sum_fen)
         select local_date, type, category, coalesce(payment_method, ''), count(*),
                sum(case status when 'completed' then amount_fen else 0 end)
         from transactions group by 1, 2, 3, 4",
        [],
    )?;
    for (noun, sql) in SEARCHABLE {
        let mut statement = tx.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, text): (String, Option<String>) = (row.get(1)?, row.get(2)?);
            let texts: Vec<&str> = text.as_deref().into_iter().collect();
            search::index(tx, noun, row.get(0)?, &[&name], &texts)?;
        }
    }
    Ok(())
}

/// Begins where the center is. The row in the outbox stands for all that came before: it holds the place, so that the next
/// change gets the next number, and it is never sent, since the center has confirmed it.
fn start_chain(tx: &WriteTx<'_>, epoch: &str, base: Mark) -> Result<()> {
    tx.connection.execute("delete from outbox", [])?;
    if base.seq > 0 {
        tx.connection.execute(
            "insert into outbox (seq, txn, tbl, op, pk, image, schema, at) values (?1, ?1, 'boots', 'delete', '[0]', null, ?2, ?3)",
            (base.seq, migrations::newest(), tx.now),
        )?;
    }
    Ok(ledger::begin(tx.connection, epoch, base, tx.now.0)?)
}

/// Facts that do not travel and follow from what does: the zone of the books, and that the roles of a box of this very version
/// have been granted everything that they ever will be, so that what somebody took away since is not given back.
fn note_facts(tx: &WriteTx<'_>, schema: i64) -> Result<()> {
    site::record(tx, "time_zone", tx.zone.name())?;
    if schema == migrations::newest() {
        for permission in LATER_PERMISSIONS {
            site::record(tx, &granted_fact(permission), "1")?;
        }
    }
    Ok(())
}
