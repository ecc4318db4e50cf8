//! Statements on the mirror of payment orders. Each names the one site that it is about.

use std::str::FromStr;

use mysql_async::prelude::{FromValue, Queryable};
use mysql_async::{FromValueError, Row};

use crate::domain::ids::PaymentOrderId;
use crate::domain::money::Fen;
use crate::domain::payments::OrderNo;
use crate::domain::time::Instant;
use crate::error::{Error, Result};
use crate::store::payment_orders::{PaymentOrder, Slip};

fn corrupt() -> Error {
    Error::Corrupt("the mirror: a payment order".to_owned())
}

/// A column of a row by its name.
fn take<T: FromValue>(row: &mut Row, name: &str) -> Result<T> {
    let taken: Option<std::result::Result<T, FromValueError>> = row.take_opt(name);
    taken.and_then(std::result::Result::ok).ok_or_else(corrupt)
}

fn word<T: FromStr>(row: &mut Row, name: &str) -> Result<T> {
    take::<String>(row, name)?.parse().map_err(|_| corrupt())
}

fn moment(row: &mut Row, name: &str) -> Result<Option<Instant>> {
    Ok(take::<Option<i64>>(row, name)?.map(Instant))
}

/// An order, without what is sealed in it and without who did what.
pub async fn find(conn: &mut impl Queryable, site: i64, number: &OrderNo) -> Result<Option<PaymentOrder>> {
    let row: Option<Row> = conn
        .exec_first(
            "select id, order_no, out_no, order_type, payment_method, trade, cast(round(amount * 100) as signed) as amount_fen,
                 related_id, coalesce(subject, '') as subject, coalesce(category, '') as category, status, payment_url,
                 platform_no, reference, terminal, batch, card_tail, failure, coalesce(refund_due, 0) as refund_due,
                 timestampdiff(microsecond, '1970-01-01', created_at) div 1000 as created_at,
                 timestampdiff(microsecond, '1970-01-01', expires_at) div 1000 as expires_at,
                 timestampdiff(microsecond, '1970-01-01', paid_at) div 1000 as paid_at,
                 timestampdiff(microsecond, '1970-01-01', closed_at) div 1000 as closed_at,
                 timestampdiff(microsecond, '1970-01-01', updated_at) div 1000 as updated_at
             from payment_orders where site_id = ? and id = ? and order_no = ?",
            (site, number.row(), number.as_str()),
        )
        .await?;
    row.map(|mut row| order(&mut row)).transpose()
}

fn order(row: &mut Row) -> Result<PaymentOrder> {
    let (terminal, batch, card_tail) = (take(row, "terminal")?, take(row, "batch")?, take(row, "card_tail")?);
    let slip =
        take::<Option<String>>(row, "reference")?.map(|reference| Slip { reference, terminal, batch, card_tail });
    Ok(PaymentOrder {
        id: PaymentOrderId::try_from(take::<i64>(row, "id")?).map_err(|_| corrupt())?,
        order_no: word(row, "order_no")?,
        out_no: word(row, "out_no")?,
        order_type: word(row, "order_type")?,
        payment_method: word(row, "payment_method")?,
        trade: word(row, "trade")?,
        amount: Fen(take(row, "amount_fen")?),
        related_id: take(row, "related_id")?,
        subject: take(row, "subject")?,
        category: take(row, "category")?,
        status: word(row, "status")?,
        payment_url: take(row, "payment_url")?,
        platform_no: take(row, "platform_no")?,
        slip,
        failure: take(row, "failure")?,
        refund_due: take::<i64>(row, "refund_due")? != 0,
        replaces_id: None,
        created_at: moment(row, "created_at")?.ok_or_else(corrupt)?,
        created_by: None,
        sent_at: None,
        expires_at: moment(row, "expires_at")?,
        paid_at: moment(row, "paid_at")?,
        closed_at: moment(row, "closed_at")?,
        approved_by: None,
        approved_at: None,
        confirmed_by: None,
        updated_at: moment(row, "updated_at")?.ok_or_else(corrupt)?,
    })
}

/// How much of an order has gone back.
pub async fn returned(conn: &mut impl Queryable, site: i64, order: PaymentOrderId) -> Result<Fen> {
    let sql = "select cast(coalesce(round(sum(amount) * 100), 0) as signed) from payment_refunds
               where site_id = ? and order_id = ? and status = 'succeeded'";
    Ok(Fen(conn.exec_first(sql, (site, order.get())).await?.unwrap_or(0)))
}
