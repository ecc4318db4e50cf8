//! Statements on `payroll_files` and `payroll_file_orders`: payouts that go to the bank together.

use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::{ReadTx, WriteTx};
use crate::domain::ids::{PaymentOrderId, PayrollFileId, UserId};
use crate::domain::money::Fen;
use crate::domain::payments::OrderStatus;
use crate::domain::salaries::PayPeriod;
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "payroll_files";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayrollFile {
    /// Identity.
    pub id: PayrollFileId,
    /// The month that it was collected for, if one was named.
    pub pay_period: Option<PayPeriod>,
    /// How many payouts are in it.
    pub orders: i64,
    /// What they add up to.
    pub amount: Fen,
    /// When it was made.
    pub created_at: Instant,
    /// Who made it.
    pub created_by: Option<UserId>,
}

const COLUMNS: &str = "id, pay_period, orders, amount_fen, created_at, created_by";

/// The id that the next file gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<PayrollFileId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from payroll_files")?
        .query_row([], |row| row.get(0))?;
    Ok(PayrollFileId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a file with its payouts, in this order.
pub fn insert(tx: &WriteTx<'_>, file: &PayrollFile, orders: &[PaymentOrderId]) -> Result<()> {
    let sql = "insert into payroll_files (id, pay_period, orders, amount_fen, created_at, created_by)
               values (:id, :pay_period, :orders, :amount, :created_at, :created_by)";
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": file.id,
        ":pay_period": file.pay_period,
        ":orders": file.orders,
        ":amount": file.amount,
        ":created_at": file.created_at,
        ":created_by": file.created_by,
    })?;
    let sql = "insert into payroll_file_orders (file_id, place, order_id) values (?1, ?2, ?3)";
    let mut statement = tx.connection.prepare_cached(sql)?;
    for (place, order) in (1_i64..).zip(orders) {
        statement.execute((file.id, place, order))?;
    }
    Ok(())
}

/// The file.
pub fn find(tx: &ReadTx<'_>, id: PayrollFileId) -> Result<Option<PayrollFile>> {
    let sql = "select id, pay_period, orders, amount_fen, created_at, created_by from payroll_files where id = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// A page of the files, the latest first.
pub fn list(tx: &ReadTx<'_>, page: Page) -> Result<Listed<PayrollFile>> {
    let order = "created_at desc, id desc";
    Filter::default().list(tx, (COLUMNS, "payroll_files", order), page, |row| Ok(read(row)?))
}

/// The payouts of a file, in its order.
pub fn orders(tx: &ReadTx<'_>, id: PayrollFileId) -> Result<Vec<PaymentOrderId>> {
    let sql = "select order_id from payroll_file_orders where file_id = ?1 order by place";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let ids = statement.query_map([id], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids)
}

/// How many payouts of a file have each state.
pub fn states(tx: &ReadTx<'_>, id: PayrollFileId) -> Result<Vec<(OrderStatus, i64)>> {
    let sql = "select payout.status, count(*) from payroll_file_orders as line
               join payment_orders as payout on payout.id = line.order_id
               where line.file_id = ?1 group by payout.status";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let states = statement.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    Ok(states)
}

/// Up to `limit` payouts that wait for a file, of every kind or only of this month's salaries, the oldest first.
pub fn waiting(tx: &ReadTx<'_>, pay_period: Option<PayPeriod>, limit: usize) -> Result<Vec<PaymentOrderId>> {
    let sql = "select id from payment_orders
               where trade = 'payroll_file' and status = 'queued'
                   and (?1 is null or (order_type = 'salary'
                       and related_id in (select salaries.id from salaries where pay_period = ?1)))
               order by id limit ?2";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let ids = statement.query_map((pay_period, limit as i64), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids)
}

fn read(row: &Row<'_>) -> rusqlite::Result<PayrollFile> {
    Ok(PayrollFile {
        id: row.get("id")?,
        pay_period: row.get("pay_period")?,
        orders: row.get("orders")?,
        amount: row.get("amount_fen")?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
    })
}
