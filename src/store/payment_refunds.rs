//! Statements on `payment_refunds`.

use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::vault::Place;
use super::{ReadTx, WriteTx};
use crate::domain::ids::{PaymentOrderId, RefundId, UserId};
use crate::domain::money::Fen;
use crate::domain::payments::{OrderNo, RefundStatus};
use crate::domain::time::Instant;
use crate::error::{Error, Result};

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "payment_refunds";

/// A row, without what is sealed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// Identity.
    pub id: RefundId,
    /// What people know it by.
    pub refund_no: OrderNo,
    /// The number at the platform.
    pub out_no: OrderNo,
    /// The order whose payment goes back.
    pub order_id: PaymentOrderId,
    /// 金额
    pub amount: Fen,
    /// 原因
    pub reason: String,
    /// 状态
    pub status: RefundStatus,
    /// The platform's own number.
    pub platform_no: Option<String>,
    /// How a refund that a person made can be found at the bank.
    pub reference: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// When the row came into being.
    pub created_at: Instant,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When the platform was first told of it.
    pub sent_at: Option<Instant>,
    /// When the payer had the money back.
    pub succeeded_at: Option<Instant>,
    /// When it was last changed.
    pub updated_at: Instant,
}

const COLUMNS: &str = "id, refund_no, out_no, order_id, amount_fen, reason, status, platform_no, reference, failure, \
     created_at, created_by, sent_at, succeeded_at, updated_at";

/// The id that the next refund gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<RefundId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from payment_refunds")?
        .query_row([], |row| row.get(0))?;
    Ok(RefundId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, refund: &Refund) -> Result<()> {
    save(
        tx,
        refund,
        "insert into payment_refunds (id, refund_no, out_no, order_id, amount_fen, reason, status, platform_no, reference,
             failure, created_at, created_by, sent_at, succeeded_at, updated_at)
         values (:id, :refund_no, :out_no, :order_id, :amount, :reason, :status, :platform_no, :reference, :failure,
             :created_at, :created_by, :sent_at, :succeeded_at, :updated_at)",
    )
}

/// Writes a row's new state, if it still has the status that the change started from.
///
/// # Errors
/// [`Error::Corrupt`] when it has another: a bug.
pub fn update(tx: &WriteTx<'_>, from: RefundStatus, refund: &Refund) -> Result<()> {
    let sql = "select status from payment_refunds where id = ?1";
    let now: RefundStatus = tx.connection.prepare_cached(sql)?.query_row([refund.id], |row| row.get(0))?;
    if now != from || (from != refund.status && !from.may_become(refund.status)) {
        let (now, to) = (now.as_str(), refund.status.as_str());
        return Err(Error::Corrupt(format!("refund {} can't go from {now} to {to}", refund.refund_no)));
    }
    save(
        tx,
        refund,
        "update payment_refunds set refund_no = :refund_no, out_no = :out_no, order_id = :order_id, amount_fen = :amount,
             reason = :reason, status = :status, platform_no = :platform_no, reference = :reference, failure = :failure,
             created_at = :created_at, created_by = :created_by, sent_at = :sent_at, succeeded_at = :succeeded_at,
             updated_at = :updated_at
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, refund: &Refund, sql: &str) -> Result<()> {
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": refund.id,
        ":refund_no": refund.refund_no,
        ":out_no": refund.out_no,
        ":order_id": refund.order_id,
        ":amount": refund.amount,
        ":reason": refund.reason,
        ":status": refund.status,
        ":platform_no": refund.platform_no,
        ":reference": refund.reference,
        ":failure": refund.failure,
        ":created_at": refund.created_at,
        ":created_by": refund.created_by,
        ":sent_at": refund.sent_at,
        ":succeeded_at": refund.succeeded_at,
        ":updated_at": refund.updated_at,
    })?;
    Ok(())
}

/// The refund of this id.
pub fn find(tx: &ReadTx<'_>, id: RefundId) -> Result<Option<Refund>> {
    let sql = format!("select {COLUMNS} from payment_refunds where id = ?1");
    Ok(tx.connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// The refund that the platform knows by this number.
pub fn find_by_out_number(tx: &ReadTx<'_>, out_no: &OrderNo) -> Result<Option<Refund>> {
    let sql = format!("select {COLUMNS} from payment_refunds where out_no = ?1");
    Ok(tx.connection.prepare_cached(&sql)?.query_row([out_no], read).optional()?)
}

/// All refunds of an order, in order; there are never many.
pub fn of_order(tx: &ReadTx<'_>, order_id: PaymentOrderId) -> Result<Vec<Refund>> {
    let sql = format!("select {COLUMNS} from payment_refunds where order_id = ?1 order by id");
    let mut statement = tx.connection.prepare_cached(&sql)?;
    let refunds = statement.query_map([order_id], read)?.collect::<rusqlite::Result<_>>()?;
    Ok(refunds)
}

/// How much of an order has gone back or may still go back: everything but what has certainly failed.
pub fn reserved(tx: &ReadTx<'_>, order_id: PaymentOrderId) -> Result<Fen> {
    let sql = "select coalesce(sum(amount_fen), 0) from payment_refunds where order_id = ?1 and status <> 'failed'";
    Ok(tx.connection.prepare_cached(sql)?.query_row([order_id], |row| row.get(0))?)
}

/// How much of an order has gone back.
pub fn returned(tx: &ReadTx<'_>, order_id: PaymentOrderId) -> Result<Fen> {
    let sql = "select coalesce(sum(amount_fen), 0) from payment_refunds where order_id = ?1 and status = 'succeeded'";
    Ok(tx.connection.prepare_cached(sql)?.query_row([order_id], |row| row.get(0))?)
}

/// How much of a customer's payments has gone back.
pub fn returned_to(tx: &ReadTx<'_>, customer_id: i64) -> Result<Fen> {
    let sql = "select coalesce(sum(payment_refunds.amount_fen), 0)
               from payment_orders join payment_refunds on payment_refunds.order_id = payment_orders.id
               where order_type = 'customer_order' and related_id = ?1 and payment_refunds.status = 'succeeded'";
    Ok(tx.connection.prepare_cached(sql)?.query_row([customer_id], |row| row.get(0))?)
}

/// The ids of refunds that are not final and have no task.
pub fn without_task(tx: &ReadTx<'_>) -> Result<Vec<RefundId>> {
    let sql = "select id from payment_refunds where status in ('queued', 'processing') and reference is null
                   and not exists (select 1 from payment_tasks where kind = 'refund' and subject_id = payment_refunds.id)";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let ids = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids)
}

const fn place(id: RefundId) -> Place<'static> {
    Place { table: NOUN, column: "request", id: id.get() }
}

/// Seals the first request to the platform.
pub fn keep_request<T: Serialize>(tx: &WriteTx<'_>, id: RefundId, request: &T) -> Result<()> {
    let text = serde_json::to_string(request).map_err(|error| Error::Corrupt(error.to_string()))?;
    let sealed = tx.vault.seal(place(id), &text)?;
    tx.connection.prepare_cached("update payment_refunds set request = ?2 where id = ?1")?.execute((id, sealed))?;
    Ok(())
}

/// The first request to the platform, if there was one.
pub fn request<T: DeserializeOwned>(tx: &ReadTx<'_>, id: RefundId) -> Result<Option<T>> {
    let sql = "select request from payment_refunds where id = ?1";
    let sealed: Option<String> =
        tx.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?.flatten();
    let Some(sealed) = sealed else { return Ok(None) };
    let text = tx.vault.open(place(id), &sealed)?;
    serde_json::from_str(&text).map(Some).map_err(|error| Error::Corrupt(format!("refund {id}: {error}")))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Refund> {
    Ok(Refund {
        id: row.get("id")?,
        refund_no: row.get("refund_no")?,
        out_no: row.get("out_no")?,
        order_id: row.get("order_id")?,
        amount: row.get("amount_fen")?,
        reason: row.get("reason")?,
        status: row.get("status")?,
        platform_no: row.get("platform_no")?,
        reference: row.get("reference")?,
        failure: row.get("failure")?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
        sent_at: row.get("sent_at")?,
        succeeded_at: row.get("succeeded_at")?,
        updated_at: row.get("updated_at")?,
    })
}
