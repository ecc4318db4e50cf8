//! Statements on `payment_orders`.

use jiff::civil::Date;
use rusqlite::{OptionalExtension, Row, named_params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::page::{Filter, Listed, Page};
use super::rows::on_constraint;
use super::vault::Place;
use super::{ReadTx, WriteTx};
use crate::domain::ids::{PaymentOrderId, UserId};
use crate::domain::money::Fen;
use crate::domain::payments::{OrderNo, OrderStatus, OrderType, PaymentMethod, Trade};
use crate::domain::time::Instant;
use crate::error::{Error, Result};

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "payment_orders";

/// A row, without what is sealed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentOrder {
    /// Identity.
    pub id: PaymentOrderId,
    /// What people know it by.
    pub order_no: OrderNo,
    /// The number at the platform.
    pub out_no: OrderNo,
    /// 订单类型
    pub order_type: OrderType,
    /// 支付方式
    pub payment_method: PaymentMethod,
    /// How the money goes.
    pub trade: Trade,
    /// 金额
    pub amount: Fen,
    /// The customer, the salary or the supplier.
    pub related_id: i64,
    /// What the payer or the payee reads.
    pub subject: String,
    /// The category in the books.
    pub category: String,
    /// 状态
    pub status: OrderStatus,
    /// What the code says that the payer scans.
    pub payment_url: Option<String>,
    /// The platform's own number.
    pub platform_no: Option<String>,
    /// A slip's or a bank's reference.
    pub slip: Option<Slip>,
    /// Why it failed or was closed.
    pub failure: Option<String>,
    /// Paid when nobody should have been able to: the money has to go back.
    pub refund_due: bool,
    /// The payout that this one replaces.
    pub replaces_id: Option<PaymentOrderId>,
    /// When the row came into being.
    pub created_at: Instant,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// When the platform was first told of it.
    pub sent_at: Option<Instant>,
    /// The last moment to pay.
    pub expires_at: Option<Instant>,
    /// When the money went.
    pub paid_at: Option<Instant>,
    /// When it was closed.
    pub closed_at: Option<Instant>,
    /// Who approved the payout.
    pub approved_by: Option<UserId>,
    /// When it was approved.
    pub approved_at: Option<Instant>,
    /// Who confirmed that the money is there.
    pub confirmed_by: Option<UserId>,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// How money that went without a platform can be found again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// 参考号, or the bank's reference of a transfer.
    pub reference: String,
    /// 终端号
    pub terminal: Option<String>,
    /// 批次号
    pub batch: Option<String>,
    /// The last four digits of the card.
    pub card_tail: Option<String>,
}

/// A column whose value is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// The first request to the platform.
    Request,
    /// What the mini-program hands to WeChat.
    Launch,
    /// The payee of a payout.
    Payee,
}

/// Which orders.
#[derive(Debug, Clone, Default)]
pub struct PaymentOrderFilter {
    /// 订单类型
    pub order_type: Option<OrderType>,
    /// 支付方式
    pub payment_method: Option<PaymentMethod>,
    /// 状态
    pub status: Option<OrderStatus>,
    /// The customer, the salary or the supplier.
    pub related_id: Option<i64>,
    /// Made at this moment or later.
    pub from: Option<Instant>,
    /// Made before this moment.
    pub until: Option<Instant>,
    /// Only of money that has to go back.
    pub refund_due: Option<bool>,
}

const COLUMNS: &str = "id, order_no, out_no, order_type, payment_method, trade, amount_fen, related_id, subject, category, \
     status, payment_url, platform_no, reference, terminal, batch, card_tail, failure, refund_due, replaces_id, created_at, \
     created_by, sent_at, expires_at, paid_at, closed_at, approved_by, approved_at, confirmed_by, updated_at";
const ORDER: &str = "created_at desc, id desc";

/// The id that the next order gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<PaymentOrderId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from payment_orders")?
        .query_row([], |row| row.get(0))?;
    Ok(PaymentOrderId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
///
/// # Errors
/// [`Error::Conflict`] when the slip's reference stands for another payment, or another payout of the salary is open or paid.
pub fn insert(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    let sql = "insert into payment_orders (id, order_no, out_no, order_type, payment_method, trade, amount_fen, related_id,
             subject, category, status, payment_url, platform_no, reference, terminal, batch, card_tail, failure,
             refund_due, replaces_id, created_at, created_by, sent_at, expires_at, paid_at, closed_at, approved_by,
             approved_at, confirmed_by, updated_at)
         values (:id, :order_no, :out_no, :order_type, :payment_method, :trade, :amount, :related_id, :subject, :category,
             :status, :payment_url, :platform_no, :reference, :terminal, :batch, :card_tail, :failure, :refund_due,
             :replaces_id, :created_at, :created_by, :sent_at, :expires_at, :paid_at, :closed_at, :approved_by,
             :approved_at, :confirmed_by, :updated_at)";
    save(tx, order, sql)
}

/// Writes a row's new state, if it still has the status that the change started from.
///
/// # Errors
/// [`Error::Corrupt`] when the row may not go from that status to this one, or had another already: a bug. [`Error::Conflict`] as
/// [`insert`].
pub fn update(tx: &WriteTx<'_>, from: OrderStatus, order: &PaymentOrder) -> Result<()> {
    if from != order.status && !from.may_become(order.status) {
        let (from, to) = (from.as_str(), order.status.as_str());
        return Err(Error::Corrupt(format!("order {} can't go from {from} to {to}", order.order_no)));
    }
    let sql = "update payment_orders set order_no = :order_no, out_no = :out_no, order_type = :order_type,
             payment_method = :payment_method, trade = :trade, amount_fen = :amount, related_id = :related_id,
             subject = :subject, category = :category, status = :status, payment_url = :payment_url,
             platform_no = :platform_no, reference = :reference, terminal = :terminal, batch = :batch,
             card_tail = :card_tail, failure = :failure, refund_due = :refund_due, replaces_id = :replaces_id,
             created_at = :created_at, created_by = :created_by, sent_at = :sent_at, expires_at = :expires_at,
             paid_at = :paid_at, closed_at = :closed_at, approved_by = :approved_by, approved_at = :approved_at,
             confirmed_by = :confirmed_by, updated_at = :updated_at
         where id = :id";
    let now: OrderStatus = tx
        .connection
        .prepare_cached("select status from payment_orders where id = ?1")?
        .query_row([order.id], |row| row.get(0))?;
    if now != from {
        return Err(Error::Corrupt(format!("order {} is {} already", order.order_no, now.as_str())));
    }
    save(tx, order, sql)
}

fn save(tx: &WriteTx<'_>, order: &PaymentOrder, sql: &str) -> Result<()> {
    let slip = order.slip.as_ref();
    tx.connection
        .prepare_cached(sql)?
        .execute(named_params! {
            ":id": order.id,
            ":order_no": order.order_no,
            ":out_no": order.out_no,
            ":order_type": order.order_type,
            ":payment_method": order.payment_method,
            ":trade": order.trade,
            ":amount": order.amount,
            ":related_id": order.related_id,
            ":subject": order.subject,
            ":category": order.category,
            ":status": order.status,
            ":payment_url": order.payment_url,
            ":platform_no": order.platform_no,
            ":reference": slip.map(|slip| &slip.reference),
            ":terminal": slip.and_then(|slip| slip.terminal.as_ref()),
            ":batch": slip.and_then(|slip| slip.batch.as_ref()),
            ":card_tail": slip.and_then(|slip| slip.card_tail.as_ref()),
            ":failure": order.failure,
            ":refund_due": order.refund_due,
            ":replaces_id": order.replaces_id,
            ":created_at": order.created_at,
            ":created_by": order.created_by,
            ":sent_at": order.sent_at,
            ":expires_at": order.expires_at,
            ":paid_at": order.paid_at,
            ":closed_at": order.closed_at,
            ":approved_by": order.approved_by,
            ":approved_at": order.approved_at,
            ":confirmed_by": order.confirmed_by,
            ":updated_at": order.updated_at,
        })
        .map_err(|error| match error.to_string() {
            text if text.contains("payment_orders.trade, payment_orders.reference") => {
                Error::Conflict("该凭证号已登记过".into())
            }
            _ => on_constraint("payment_orders.related_id", "该薪资已有未完成或已支付的付款单")(error),
        })?;
    Ok(())
}

/// The order of this id.
pub fn find(tx: &ReadTx<'_>, id: PaymentOrderId) -> Result<Option<PaymentOrder>> {
    let sql = format!("select {COLUMNS} from payment_orders where id = ?1");
    Ok(tx.connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// The order of this number.
pub fn find_by_number(tx: &ReadTx<'_>, order_no: &OrderNo) -> Result<Option<PaymentOrder>> {
    let sql = format!("select {COLUMNS} from payment_orders where order_no = ?1");
    Ok(tx.connection.prepare_cached(&sql)?.query_row([order_no], read).optional()?)
}

/// The order that the platform knows by this number.
pub fn find_by_out_number(tx: &ReadTx<'_>, out_no: &OrderNo) -> Result<Option<PaymentOrder>> {
    let sql = format!("select {COLUMNS} from payment_orders where out_no = ?1");
    Ok(tx.connection.prepare_cached(&sql)?.query_row([out_no], read).optional()?)
}

/// A page of the orders that pass the filter, the latest first.
pub fn list(tx: &ReadTx<'_>, filter: &PaymentOrderFilter, page: Page) -> Result<Listed<PaymentOrder>> {
    Filter::default()
        .when("order_type = ?", filter.order_type)
        .when("payment_method = ?", filter.payment_method)
        .when("status = ?", filter.status)
        .when("related_id = ?", filter.related_id)
        .when("created_at >= ?", filter.from)
        .when("created_at < ?", filter.until)
        .when("refund_due = ?", filter.refund_due)
        .list(tx, (COLUMNS, "payment_orders", ORDER), page, |row| Ok(read(row)?))
}

/// How many orders were made from this moment until before the other.
pub fn count_made(tx: &ReadTx<'_>, from: Instant, until: Instant) -> Result<i64> {
    let sql = "select count(*) from payment_orders where created_at >= ?1 and created_at < ?2 and order_type = 'customer_order'";
    Ok(tx.connection.prepare_cached(sql)?.query_row((from, until), |row| row.get(0))?)
}

/// What a customer's paid orders add up to.
pub fn paid_by(tx: &ReadTx<'_>, customer_id: i64) -> Result<Fen> {
    let sql = "select coalesce(sum(amount_fen), 0) from payment_orders
               where order_type = 'customer_order' and related_id = ?1 and status = 'paid'";
    Ok(tx.connection.prepare_cached(sql)?.query_row([customer_id], |row| row.get(0))?)
}

/// The ids of orders that are not final and have no task: the box was restored from the center, which has no tasks.
pub fn without_task(tx: &ReadTx<'_>) -> Result<Vec<PaymentOrderId>> {
    let sql = "select id from payment_orders
               where status in ('queued', 'pending', 'closing', 'processing', 'wait_confirm', 'cancelling')
                   and trade in ('native', 'jsapi', 'qr', 'transfer')
                   and not exists (select 1 from payment_tasks where kind = 'order' and subject_id = payment_orders.id)";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let ids = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(ids)
}

impl Sealed {
    const fn column(self) -> &'static str {
        match self {
            Sealed::Request => "request",
            Sealed::Launch => "launch",
            Sealed::Payee => "payee",
        }
    }
}

/// Seals a value into its column, or clears it.
pub fn keep<T: Serialize>(tx: &WriteTx<'_>, id: PaymentOrderId, what: Sealed, value: Option<&T>) -> Result<()> {
    let place = Place { table: NOUN, column: what.column(), id: id.get() };
    let sealed = match value {
        Some(value) => {
            let text = serde_json::to_string(value).map_err(|error| Error::Corrupt(error.to_string()))?;
            Some(tx.vault.seal(place, &text)?)
        }
        None => None,
    };
    let sql = match what {
        Sealed::Request => "update payment_orders set request = ?2 where id = ?1",
        Sealed::Launch => "update payment_orders set launch = ?2 where id = ?1",
        Sealed::Payee => "update payment_orders set payee = ?2 where id = ?1",
    };
    tx.connection.prepare_cached(sql)?.execute((id, sealed))?;
    Ok(())
}

/// Opens the value that is sealed in a column, if there is one.
pub fn kept<T: DeserializeOwned>(tx: &ReadTx<'_>, id: PaymentOrderId, what: Sealed) -> Result<Option<T>> {
    let sql = match what {
        Sealed::Request => "select request from payment_orders where id = ?1",
        Sealed::Launch => "select launch from payment_orders where id = ?1",
        Sealed::Payee => "select payee from payment_orders where id = ?1",
    };
    let sealed: Option<String> =
        tx.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?.flatten();
    let Some(sealed) = sealed else { return Ok(None) };
    let text = tx.vault.open(Place { table: NOUN, column: what.column(), id: id.get() }, &sealed)?;
    serde_json::from_str(&text).map(Some).map_err(|error| Error::Corrupt(format!("order {id}: {error}")))
}

/// The start of the day after this one and of this one, as bounds of a filter.
pub fn of_day(tx: &ReadTx<'_>, day: Date) -> Option<(Instant, Instant)> {
    let start = |day: Date| tx.zone.instant(day.at(0, 0, 0, 0));
    Some((start(day)?, start(day.tomorrow().ok()?)?))
}

fn read(row: &Row<'_>) -> rusqlite::Result<PaymentOrder> {
    let slip = match row.get::<_, Option<String>>("reference")? {
        Some(reference) => Some(Slip {
            reference,
            terminal: row.get("terminal")?,
            batch: row.get("batch")?,
            card_tail: row.get("card_tail")?,
        }),
        None => None,
    };
    Ok(PaymentOrder {
        id: row.get("id")?,
        order_no: row.get("order_no")?,
        out_no: row.get("out_no")?,
        order_type: row.get("order_type")?,
        payment_method: row.get("payment_method")?,
        trade: row.get("trade")?,
        amount: row.get("amount_fen")?,
        related_id: row.get("related_id")?,
        subject: row.get("subject")?,
        category: row.get("category")?,
        status: row.get("status")?,
        payment_url: row.get("payment_url")?,
        platform_no: row.get("platform_no")?,
        slip,
        failure: row.get("failure")?,
        refund_due: row.get("refund_due")?,
        replaces_id: row.get("replaces_id")?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
        sent_at: row.get("sent_at")?,
        expires_at: row.get("expires_at")?,
        paid_at: row.get("paid_at")?,
        closed_at: row.get("closed_at")?,
        approved_by: row.get("approved_by")?,
        approved_at: row.get("approved_at")?,
        confirmed_by: row.get("confirmed_by")?,
        updated_at: row.get("updated_at")?,
    })
}
