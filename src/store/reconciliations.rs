//! Statements on `reconciliations` and `reconciliation_lines`: what the platforms' bills say, and how far that agrees with the books.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::rows::Day;
use super::{ReadTx, WriteTx};
use crate::domain::ids::ReconciliationId;
use crate::domain::money::Fen;
use crate::domain::payments::{Channel, OrderNo};
use crate::domain::reconciliations::{Fact, Key, Line, Movement, ReconciliationStatus, Window};
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "reconciliations";

/// A row: one a platform and day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// Identity.
    pub id: ReconciliationId,
    /// The platform.
    pub channel: Channel,
    /// The day, as the platform cuts it.
    pub date: Date,
    /// How far it has come.
    pub status: ReconciliationStatus,
    /// SHA-256 of the bill's file, in hexadecimal; none without one.
    pub sha256: Option<String>,
    /// Rows of the bill.
    pub rows_total: i64,
    /// Rows that match.
    pub rows_matched: i64,
    /// Differences that are open.
    pub differences: i64,
    /// Payments on the bill.
    pub platform_in: Fen,
    /// Refunds and payouts on the bill.
    pub platform_out: Fen,
    /// Payments in the books.
    pub local_in: Fen,
    /// Refunds and payouts in the books.
    pub local_out: Fen,
    /// What the platform kept for itself.
    pub fee: Fen,
    /// Why the bill is not here, when it was last asked for.
    pub last_error: Option<String>,
    /// When the row came into being.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// Which reconciliations.
#[derive(Debug, Clone, Default)]
pub struct ReconciliationFilter {
    /// Only those of this platform.
    pub channel: Option<Channel>,
    /// Only those that have come this far.
    pub status: Option<ReconciliationStatus>,
    /// Only this day and later ones.
    pub start_date: Option<Date>,
    /// Only this day and earlier ones.
    pub end_date: Option<Date>,
}

const COLUMNS: &str = "id, channel, date, status, sha256, rows_total, rows_matched, differences, platform_in_fen, \
     platform_out_fen, local_in_fen, local_out_fen, fee_fen, last_error, created_at, updated_at";

/// The id that the next reconciliation gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<ReconciliationId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from reconciliations")?
        .query_row([], |row| row.get(0))?;
    Ok(ReconciliationId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, row: &Reconciliation) -> Result<()> {
    save(
        tx,
        row,
        "insert into reconciliations (id, channel, date, status, sha256, rows_total, rows_matched, differences,
             platform_in_fen, platform_out_fen, local_in_fen, local_out_fen, fee_fen, last_error, created_at, updated_at)
         values (:id, :channel, :date, :status, :sha256, :rows_total, :rows_matched, :differences, :platform_in,
             :platform_out, :local_in, :local_out, :fee, :last_error, :created_at, :updated_at)",
    )
}

/// Writes a row's new state.
pub fn update(tx: &WriteTx<'_>, row: &Reconciliation) -> Result<()> {
    save(
        tx,
        row,
        "update reconciliations set channel = :channel, date = :date, status = :status, sha256 = :sha256,
             rows_total = :rows_total, rows_matched = :rows_matched, differences = :differences,
             platform_in_fen = :platform_in, platform_out_fen = :platform_out, local_in_fen = :local_in,
             local_out_fen = :local_out, fee_fen = :fee, last_error = :last_error, created_at = :created_at,
             updated_at = :updated_at
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, row: &Reconciliation, sql: &str) -> Result<()> {
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": row.id,
        ":channel": row.channel,
        ":date": Day(row.date),
        ":status": row.status,
        ":sha256": row.sha256,
        ":rows_total": row.rows_total,
        ":rows_matched": row.rows_matched,
        ":differences": row.differences,
        ":platform_in": row.platform_in,
        ":platform_out": row.platform_out,
        ":local_in": row.local_in,
        ":local_out": row.local_out,
        ":fee": row.fee,
        ":last_error": row.last_error,
        ":created_at": row.created_at,
        ":updated_at": row.updated_at,
    })?;
    Ok(())
}

/// The reconciliation of this id.
pub fn find(tx: &ReadTx<'_>, id: ReconciliationId) -> Result<Option<Reconciliation>> {
    let sql = format!("select {COLUMNS} from reconciliations where id = ?1");
    Ok(tx.connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// The reconciliation of a platform's day.
pub fn find_of(tx: &ReadTx<'_>, channel: Channel, date: Date) -> Result<Option<Reconciliation>> {
    let sql = format!("select {COLUMNS} from reconciliations where channel = ?1 and date = ?2");
    Ok(tx.connection.prepare_cached(&sql)?.query_row((channel, Day(date)), read).optional()?)
}

/// A page of the reconciliations that pass the filter, the latest day first.
pub fn list(tx: &ReadTx<'_>, filter: &ReconciliationFilter, page: Page) -> Result<Listed<Reconciliation>> {
    Filter::default()
        .when("channel = ?", filter.channel)
        .when("status = ?", filter.status)
        .when("date >= ?", filter.start_date.map(Day))
        .when("date <= ?", filter.end_date.map(Day))
        .list(tx, (COLUMNS, "reconciliations", "date desc, id desc"), page, |row| Ok(read(row)?))
}

/// The days of a platform that were compared and have open differences or are no older than this one, the oldest first.
pub fn to_review(tx: &ReadTx<'_>, channel: Channel, since: Date) -> Result<Vec<Reconciliation>> {
    let sql = format!(
        "select {COLUMNS} from reconciliations
         where channel = ?1 and status <> 'waiting' and (status = 'different' or date >= ?2) order by date"
    );
    let mut statement = tx.connection.prepare_cached(&sql)?;
    let rows = statement.query_map((channel, Day(since)), read)?.collect::<rusqlite::Result<_>>()?;
    Ok(rows)
}

/// When the first order that this platform was to carry out was made.
pub fn first_order_at(tx: &ReadTx<'_>, channel: Channel) -> Result<Option<Instant>> {
    let sql = "select created_at from payment_orders
               where payment_method = ?1 and trade in ('native', 'jsapi', 'qr', 'transfer')
               order by created_at limit 1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([channel.method()], |row| row.get(0)).optional()?)
}

/// Keeps what a bill says, over what one of the same day said before.
pub fn replace_lines(tx: &WriteTx<'_>, id: ReconciliationId, lines: &BTreeMap<Key, Line>) -> Result<()> {
    tx.connection.prepare_cached("delete from reconciliation_lines where reconciliation_id = ?1")?.execute([id])?;
    let mut statement = tx.connection.prepare_cached(
        "insert into reconciliation_lines (reconciliation_id, movement, number, platform_no, amount_fen, fee_fen, rows)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for line in lines.values() {
        let known = (id, line.movement, &line.number, &line.platform_no, line.amount, line.fee, line.rows);
        statement.execute(known)?;
    }
    Ok(())
}

/// What the bill says.
pub fn lines(tx: &ReadTx<'_>, id: ReconciliationId) -> Result<BTreeMap<Key, Line>> {
    let sql = "select movement, number, platform_no, amount_fen, fee_fen, rows from reconciliation_lines
               where reconciliation_id = ?1";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let lines = statement.query_map([id], |row| {
        Ok(Line {
            movement: row.get("movement")?,
            number: row.get("number")?,
            platform_no: row.get("platform_no")?,
            amount: row.get("amount_fen")?,
            fee: row.get("fee_fen")?,
            rows: row.get("rows")?,
        })
    })?;
    let lines: Vec<Line> = lines.collect::<rusqlite::Result<_>>()?;
    Ok(lines.into_iter().map(|line| ((line.movement, line.number.clone()), line)).collect())
}

/// Those of these movements that are on another bill of the platform.
pub fn elsewhere(tx: &ReadTx<'_>, row: &Reconciliation, facts: &[Fact]) -> Result<BTreeSet<Key>> {
    let sql = "select exists (select 1 from reconciliation_lines as line
                   join reconciliations as other on other.id = line.reconciliation_id
                   where line.number = ?1 and line.movement = ?2 and other.channel = ?3 and other.id <> ?4)";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let mut found = BTreeSet::new();
    for fact in facts {
        if statement.query_row((&fact.number, fact.movement, row.channel, row.id), |row| row.get(0))? {
            found.insert((fact.movement, fact.number.clone()));
        }
    }
    Ok(found)
}

/// What went by way of a platform in these moments, by the books.
pub fn facts_within(tx: &ReadTx<'_>, channel: Channel, window: Window) -> Result<Vec<Fact>> {
    let orders = "select case when order_type = 'customer_order' then 'payment' else 'transfer' end as movement,
                      out_no as number, amount_fen, paid_at as settled_at
                  from payment_orders
                  where paid_at >= ?1 and paid_at < ?2 and payment_method = ?3
                      and trade in ('native', 'jsapi', 'qr', 'transfer') and status in ('paid', 'returned')";
    // What a person gave back by hand is on no bill.
    let refunds =
        "select 'refund' as movement, refund.out_no as number, refund.amount_fen, refund.succeeded_at as settled_at
                   from payment_refunds as refund join payment_orders as paid on paid.id = refund.order_id
                   where refund.succeeded_at >= ?1 and refund.succeeded_at < ?2 and paid.payment_method = ?3
                       and refund.status = 'succeeded' and refund.reference is null";
    let mut facts = Vec::new();
    for sql in [orders, refunds] {
        let mut statement = tx.connection.prepare_cached(sql)?;
        let rows = statement.query_map((window.from, window.until, channel.method()), read_fact)?;
        for fact in rows {
            facts.push(fact?);
        }
    }
    Ok(facts)
}

/// What the books say of a movement of the platform, by its number there.
pub fn fact(tx: &ReadTx<'_>, channel: Channel, movement: Movement, number: &OrderNo) -> Result<Option<Fact>> {
    let sql = match movement {
        Movement::Payment | Movement::Transfer => {
            "select case when order_type = 'customer_order' then 'payment' else 'transfer' end as movement,
                 out_no as number, amount_fen,
                 case when status in ('paid', 'returned') then paid_at end as settled_at
             from payment_orders
             where out_no = ?1 and payment_method = ?2 and trade in ('native', 'jsapi', 'qr', 'transfer')"
        }
        Movement::Refund => {
            "select 'refund' as movement, refund.out_no as number, refund.amount_fen,
                 case when refund.status = 'succeeded' then refund.succeeded_at end as settled_at
             from payment_refunds as refund join payment_orders as paid on paid.id = refund.order_id
             where refund.out_no = ?1 and paid.payment_method = ?2"
        }
    };
    let mut statement = tx.connection.prepare_cached(sql)?;
    let fact = statement.query_row((number, channel.method()), read_fact).optional()?;
    Ok(fact.filter(|fact| fact.movement == movement))
}

fn read_fact(row: &Row<'_>) -> rusqlite::Result<Fact> {
    Ok(Fact {
        movement: row.get("movement")?,
        number: row.get("number")?,
        amount: row.get("amount_fen")?,
        settled_at: row.get("settled_at")?,
    })
}

fn read(row: &Row<'_>) -> rusqlite::Result<Reconciliation> {
    let Day(date) = row.get("date")?;
    Ok(Reconciliation {
        id: row.get("id")?,
        channel: row.get("channel")?,
        date,
        status: row.get("status")?,
        sha256: row.get("sha256")?,
        rows_total: row.get("rows_total")?,
        rows_matched: row.get("rows_matched")?,
        differences: row.get("differences")?,
        platform_in: row.get("platform_in_fen")?,
        platform_out: row.get("platform_out_fen")?,
        local_in: row.get("local_in_fen")?,
        local_out: row.get("local_out_fen")?,
        fee: row.get("fee_fen")?,
        last_error: row.get("last_error")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
