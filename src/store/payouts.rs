//! Statements on payouts: their payees, which of them a salary has, and the talk with the platform about them (`payout_calls`).

use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::payment_orders::{self, PaymentOrder, Sealed};
use super::{ReadTx, WriteTx};
use crate::domain::ids::{PaymentOrderId, SalaryId};
use crate::domain::payees::{Account, Payee};
use crate::domain::payments::{OrderNo, OrderStatus, PaymentMethod};
use crate::domain::payouts::Talk;
use crate::error::{Error, Result};

/// A payee as it is sealed into an order.
#[derive(Serialize, Deserialize)]
struct KeptPayee {
    account: String,
    account_name: String,
    bank_name: Option<String>,
}

/// Seals the payee into its order.
pub fn keep_payee(tx: &WriteTx<'_>, id: PaymentOrderId, payee: &Payee) -> Result<()> {
    let kept = KeptPayee {
        account: payee.account.as_str().to_owned(),
        account_name: payee.account_name.clone(),
        bank_name: payee.bank_name.clone(),
    };
    payment_orders::keep(tx, id, Sealed::Payee, Some(&kept))
}

/// The payee of an order.
pub fn payee(tx: &ReadTx<'_>, id: PaymentOrderId, method: PaymentMethod) -> Result<Payee> {
    let kept: KeptPayee = payment_orders::kept(tx, id, Sealed::Payee)?
        .ok_or_else(|| Error::Corrupt(format!("payout {id} has no payee")))?;
    let account = Account::new(method, kept.account)
        .map_err(|error| Error::Corrupt(format!("the payee of payout {id}: {error}")))?;
    Ok(Payee { account, account_name: kept.account_name, bank_name: kept.bank_name })
}

/// Whether any version of this salary has a payout that is under way or paid, but for the one that is excepted.
pub fn unfinished_of_salary(tx: &ReadTx<'_>, id: SalaryId, but: Option<PaymentOrderId>) -> Result<bool> {
    let sql = "select exists (
                   select 1 from salaries as this
                   join salaries as version
                       on version.employee_id = this.employee_id and version.pay_period = this.pay_period
                   join payment_orders as payout on payout.related_id = version.id
                   where this.id = ?1 and payout.order_type = 'salary'
                       and payout.status not in ('failed', 'cancelled', 'returned') and payout.id <> ?2)";
    let but = but.map_or(0, PaymentOrderId::get);
    Ok(tx.connection.prepare_cached(sql)?.query_row((id, but), |row| row.get(0))?)
}

/// The latest payout of any version of this salary: its number, and how it stands.
pub fn latest_of_salary(tx: &ReadTx<'_>, id: SalaryId) -> Result<Option<(OrderNo, OrderStatus)>> {
    let sql = "select payout.order_no, payout.status from payment_orders as payout
               where payout.order_type = 'salary' and payout.related_id = ?1
               order by payout.created_at desc, payout.id desc limit 1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The payout that was made in place of this one, if one was.
pub fn replacement(tx: &ReadTx<'_>, id: PaymentOrderId) -> Result<Option<OrderNo>> {
    let sql = "select order_no from payment_orders where replaces_id = ?1 order by id limit 1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
}

/// What is known of the talk about a payout. Where nothing was noted, because the box was restored from the center, the order
/// says whether the platform was ever told.
pub fn talk(tx: &ReadTx<'_>, order: &PaymentOrder) -> Result<Talk> {
    let sql = "select told_at, missing_at, refused is not null from payout_calls where order_id = ?1";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let noted = statement
        .query_row([order.id], |row| Ok(Talk { told_at: row.get(0)?, missing_at: row.get(1)?, refused: row.get(2)? }))
        .optional()?
        .unwrap_or_default();
    Ok(Talk { told_at: noted.told_at.or(order.sent_at), ..noted })
}

/// Notes that the platform is about to be told to pay.
pub fn note_told(tx: &WriteTx<'_>, id: PaymentOrderId) -> Result<()> {
    let sql = "insert into payout_calls (order_id, told_at, paying) values (?1, ?2, 1)
               on conflict (order_id) do update set told_at = excluded.told_at, paying = 1, refused = null";
    tx.connection.prepare_cached(sql)?.execute((id, tx.now))?;
    Ok(())
}

/// Notes that the platform is about to be asked, or told to take it back.
pub fn note_asked(tx: &WriteTx<'_>, id: PaymentOrderId) -> Result<()> {
    tx.connection.prepare_cached("update payout_calls set paying = 0 where order_id = ?1")?.execute([id])?;
    Ok(())
}

/// Notes that the platform knows nothing of it.
pub fn note_missing(tx: &WriteTx<'_>, id: PaymentOrderId) -> Result<()> {
    let sql = "insert into payout_calls (order_id, missing_at) values (?1, ?2)
               on conflict (order_id) do update set missing_at = excluded.missing_at";
    tx.connection.prepare_cached(sql)?.execute((id, tx.now))?;
    Ok(())
}

/// Notes that the platform said that the last request will never do, and why; gives whether that is news. A refusal of anything else
/// than to pay says nothing of the request.
pub fn note_refused(tx: &WriteTx<'_>, id: PaymentOrderId, why: &str) -> Result<bool> {
    let sql = "update payout_calls set refused = ?2 where order_id = ?1 and paying = 1 and refused is null";
    Ok(tx.connection.prepare_cached(sql)?.execute((id, why))? == 1)
}

/// Why the platform said that the last request will never do, if it did.
pub fn refused(tx: &ReadTx<'_>, id: PaymentOrderId) -> Result<Option<String>> {
    let sql = "select refused from payout_calls where order_id = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?.flatten())
}

/// Notes that a person is told that it does not come to an end; gives whether this is the first time.
pub fn note_alarm(tx: &WriteTx<'_>, id: PaymentOrderId) -> Result<bool> {
    let sql = "insert into payout_calls (order_id, alarmed_at) values (?1, ?2)
               on conflict (order_id) do update set alarmed_at = excluded.alarmed_at where alarmed_at is null";
    Ok(tx.connection.prepare_cached(sql)?.execute((id, tx.now))? == 1)
}

/// Forgets the talk about a payout that has come to its end.
pub fn forget_talk(tx: &WriteTx<'_>, id: PaymentOrderId) -> Result<()> {
    tx.connection.prepare_cached("delete from payout_calls where order_id = ?1")?.execute([id])?;
    Ok(())
}
