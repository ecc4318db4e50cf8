//! Statements on `reconciliation_differences`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::payment_anomalies::Resolved;
use super::{ReadTx, WriteTx};
use crate::domain::ids::{DifferenceId, ReconciliationId};
use crate::domain::money::Fen;
use crate::domain::reconciliations::DifferenceClass;
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "reconciliation_differences";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Identity.
    pub id: DifferenceId,
    /// Where it was found.
    pub reconciliation_id: ReconciliationId,
    /// What kind it is.
    pub class: DifferenceClass,
    /// The number at the platform.
    pub number: String,
    /// The platform's own number.
    pub platform_no: Option<String>,
    /// What the platform says.
    pub platform: Option<Fen>,
    /// What the books say.
    pub local: Option<Fen>,
    /// What is wrong, for people.
    pub note: String,
    /// When it was found.
    pub created_at: Instant,
    /// What became of it, if anything has.
    pub resolved: Option<Resolved>,
}

/// Which differences.
#[derive(Debug, Clone, Default)]
pub struct DifferenceFilter {
    /// Only those of this reconciliation.
    pub reconciliation_id: Option<ReconciliationId>,
    /// Only those that wait for a person, or only the others.
    pub open: Option<bool>,
}

const COLUMNS: &str = "id, reconciliation_id, class, number, platform_no, platform_fen, local_fen, note, created_at, \
     resolved_at, resolved_by, resolution";

/// The id that the next difference gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<DifferenceId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from reconciliation_differences")?
        .query_row([], |row| row.get(0))?;
    Ok(DifferenceId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, difference: &Difference) -> Result<()> {
    save(
        tx,
        difference,
        "insert into reconciliation_differences (id, reconciliation_id, class, number, platform_no, platform_fen, local_fen,
             note, created_at, resolved_at, resolved_by, resolution)
         values (:id, :reconciliation_id, :class, :number, :platform_no, :platform, :local, :note, :created_at,
             :resolved_at, :resolved_by, :resolution)",
    )
}

/// Writes a row's new state.
pub fn update(tx: &WriteTx<'_>, difference: &Difference) -> Result<()> {
    save(
        tx,
        difference,
        "update reconciliation_differences set reconciliation_id = :reconciliation_id, class = :class, number = :number,
             platform_no = :platform_no, platform_fen = :platform, local_fen = :local, note = :note,
             created_at = :created_at, resolved_at = :resolved_at, resolved_by = :resolved_by, resolution = :resolution
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, difference: &Difference, sql: &str) -> Result<()> {
    let resolved = difference.resolved.as_ref();
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": difference.id,
        ":reconciliation_id": difference.reconciliation_id,
        ":class": difference.class,
        ":number": difference.number,
        ":platform_no": difference.platform_no,
        ":platform": difference.platform,
        ":local": difference.local,
        ":note": difference.note,
        ":created_at": difference.created_at,
        ":resolved_at": resolved.map(|resolved| resolved.at),
        ":resolved_by": resolved.and_then(|resolved| resolved.by),
        ":resolution": resolved.map(|resolved| &resolved.reason),
    })?;
    Ok(())
}

/// The difference of this id.
pub fn find(tx: &ReadTx<'_>, id: DifferenceId) -> Result<Option<Difference>> {
    let sql = format!("select {COLUMNS} from reconciliation_differences where id = ?1");
    Ok(tx.connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// Everything that was found on a day of a platform.
pub fn of_reconciliation(tx: &ReadTx<'_>, id: ReconciliationId) -> Result<Vec<Difference>> {
    let sql = format!("select {COLUMNS} from reconciliation_differences where reconciliation_id = ?1");
    let mut statement = tx.connection.prepare_cached(&sql)?;
    let found = statement.query_map([id], read)?.collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

/// A page of the differences that pass the filter, the newest first.
pub fn list(tx: &ReadTx<'_>, filter: &DifferenceFilter, page: Page) -> Result<Listed<Difference>> {
    let conditions = Filter::default().when("reconciliation_id = ?", filter.reconciliation_id);
    let conditions = match filter.open {
        Some(true) => conditions.only("resolved_at is null"),
        Some(false) => conditions.only("resolved_at is not null"),
        None => conditions,
    };
    let shape = (COLUMNS, "reconciliation_differences", "created_at desc, id desc");
    conditions.list(tx, shape, page, |row| Ok(read(row)?))
}

/// How many wait for a person.
pub fn count_open(tx: &ReadTx<'_>) -> Result<i64> {
    let sql = "select count(*) from reconciliation_differences where resolved_at is null";
    Ok(tx.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Difference> {
    let resolved = match row.get("resolved_at")? {
        Some(at) => Some(Resolved {
            at,
            by: row.get("resolved_by")?,
            reason: row.get::<_, Option<String>>("resolution")?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(Difference {
        id: row.get("id")?,
        reconciliation_id: row.get("reconciliation_id")?,
        class: row.get("class")?,
        number: row.get("number")?,
        platform_no: row.get("platform_no")?,
        platform: row.get("platform_fen")?,
        local: row.get("local_fen")?,
        note: row.get("note")?,
        created_at: row.get("created_at")?,
        resolved,
    })
}
