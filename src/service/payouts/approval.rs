//! People's say in a payout: who makes it, who agrees to it, who takes it back, and who has it made anew.

use super::settle::short;
use super::{
    Checked, NewPayout, change, check, deed, image, is_payee, new_number, record_deed, send, take_up, tell_maker,
};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::payments::{OrderNo, OrderStatus, PaymentMethod};
use crate::domain::payouts::is_unknown;
use crate::error::{Error, Result};
use crate::store::payment_orders::{self, PaymentOrder};
use crate::store::payment_tasks::{self, Subject};
use crate::store::{ReadTx, WriteTx, payouts};

const NO_SUCH: Error = Error::NotFound("付款单不存在");

/// Makes a payout.
///
/// # Errors
/// As [`check`].
pub fn open(tx: &WriteTx<'_>, actor: &Actor, new: &NewPayout) -> Result<PaymentOrder> {
    let checked = check(tx, new)?;
    make(tx, actor, new, &checked, None)
}

fn make(
    tx: &WriteTx<'_>,
    actor: &Actor,
    new: &NewPayout,
    checked: &Checked,
    replaces: Option<&PaymentOrder>,
) -> Result<PaymentOrder> {
    let id = payment_orders::next_id(tx)?;
    let number = new_number(tx, id)?;
    let order = PaymentOrder {
        id,
        order_no: number.clone(),
        out_no: number,
        order_type: new.order_type,
        payment_method: new.payment_method,
        trade: checked.trade,
        amount: new.amount,
        related_id: new.related_id,
        subject: checked.subject.clone(),
        category: checked.category.clone(),
        status: checked.status,
        payment_url: None,
        platform_no: None,
        slip: None,
        failure: None,
        refund_due: false,
        replaces_id: replaces.map(|replaced| replaced.id),
        created_at: tx.now,
        created_by: actor.user_id(),
        sent_at: None,
        expires_at: None,
        paid_at: None,
        closed_at: None,
        approved_by: None,
        approved_at: None,
        confirmed_by: None,
        updated_at: tx.now,
    };
    payment_orders::insert(tx, &order)?;
    take_up(tx, &order, checked)?;
    let before = replaces.map(image);
    record_deed(tx, actor, deed(Action::Create, order.id, before, Some(image(&order))))?;
    Ok(order)
}

/// Agrees to a payout that somebody else made; it goes out at once, or with the next file.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] unless it waits for that; [`Error::Forbidden`] when the actor made it, or is to get the
/// money.
pub fn approve(tx: &WriteTx<'_>, actor: &Actor, number: &OrderNo) -> Result<PaymentOrder> {
    let before = waiting(tx, number)?;
    // Nobody of this site stands behind what headquarters makes, so nobody at headquarters may agree to that either.
    if before.created_by == actor.user_id() {
        return Err(Error::Forbidden("制单人不能审批自己的付款，请由另一人审批"));
    }
    if is_payee(tx, actor, &before)? {
        return Err(Error::Forbidden("不能审批付给本人的款项"));
    }
    let after = PaymentOrder {
        status: OrderStatus::Queued,
        approved_by: actor.user_id(),
        approved_at: Some(tx.now),
        ..before.clone()
    };
    let after = change(tx, actor, &before, after)?;
    send(tx, &after)?;
    tell_maker(
        tx,
        &after,
        "付款已审批",
        &format!("付款单{}（{}，{}元）已审批", after.order_no, after.subject, after.amount),
    )?;
    Ok(after)
}

/// Does not agree to a payout.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] unless it waits for approval.
pub fn reject(tx: &WriteTx<'_>, actor: &Actor, number: &OrderNo, reason: &str) -> Result<PaymentOrder> {
    let before = waiting(tx, number)?;
    let after = change(tx, actor, &before, cancelled(tx, &before, reason))?;
    let content = format!("付款单{}（{}，{}元）未获批准：{reason}", after.order_no, after.subject, after.amount);
    tell_maker(tx, &after, "付款未获批准", &content)?;
    Ok(after)
}

/// Takes a payout back: at once when no platform was told of it, by the platform when its payee has not accepted it yet.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it may be on its way, or has ended.
pub fn cancel(tx: &WriteTx<'_>, actor: &Actor, number: &OrderNo) -> Result<PaymentOrder> {
    let before = find(tx, number)?;
    match before.status {
        OrderStatus::AwaitingApproval => {}
        OrderStatus::Queued => check_not_sent(tx, &before)?,
        OrderStatus::WaitConfirm => {
            let after = PaymentOrder { status: OrderStatus::Cancelling, ..before.clone() };
            let after = change(tx, actor, &before, after)?;
            payment_tasks::wake(tx, Subject::Order(after.id), tx.now)?;
            return Ok(after);
        }
        OrderStatus::Cancelling => return Err(Error::Conflict("付款单正在撤销".into())),
        OrderStatus::Processing => return Err(Error::Conflict("付款单正在付款，不能撤销".into())),
        OrderStatus::Paid
        | OrderStatus::Failed
        | OrderStatus::Cancelled
        | OrderStatus::Returned
        | OrderStatus::Pending
        | OrderStatus::Closing
        | OrderStatus::Closed => return Err(Error::Conflict("付款单已结束，不能撤销".into())),
    }
    let after = change(tx, actor, &before, cancelled(tx, &before, "已撤销"))?;
    payment_tasks::remove(tx, Subject::Order(after.id))?;
    payouts::forget_talk(tx, after.id)?;
    Ok(after)
}

/// Whether the platform can't pay it any more: it was never told, or it refused the request for good and, asked so long after that
/// nothing can still be on its way, knows nothing of it.
fn check_not_sent(tx: &ReadTx<'_>, order: &PaymentOrder) -> Result<()> {
    let talk = payouts::talk(tx, order)?;
    if talk.told_at.is_none() || (talk.refused && is_unknown(talk)) {
        Ok(())
    } else {
        Err(Error::Conflict("付款单已提交支付平台，结果未明，不能撤销".into()))
    }
}

/// Makes a payout anew that did not come about, under a new number; somebody else has to agree to it again, whatever the amount.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] unless the platform or the bank said that it failed, was taken back or came back, or when
/// it was made anew already; as [`check`].
pub fn reissue(
    tx: &WriteTx<'_>,
    actor: &Actor,
    number: &OrderNo,
    payment_method: Option<PaymentMethod>,
) -> Result<PaymentOrder> {
    let before = find(tx, number)?;
    if !matches!(before.status, OrderStatus::Failed | OrderStatus::Cancelled | OrderStatus::Returned) {
        return Err(Error::Conflict("只有平台或银行确认失败、撤销或退回的付款单才能重新付款".into()));
    }
    if before.refund_due {
        return Err(Error::Conflict("该付款单可能已付款，请先核实".into()));
    }
    if let Some(replacement) = payouts::replacement(tx, before.id)? {
        return Err(Error::Conflict(format!("已重新付款，付款单{replacement}").into()));
    }
    let new = NewPayout {
        order_type: before.order_type,
        payment_method: payment_method.unwrap_or(before.payment_method),
        amount: before.amount,
        related_id: before.related_id,
        subject: Some(before.subject.clone()),
    };
    let checked = Checked { status: OrderStatus::AwaitingApproval, ..check(tx, &new)? };
    make(tx, actor, &new, &checked, Some(&before))
}

fn cancelled(tx: &WriteTx<'_>, before: &PaymentOrder, reason: &str) -> PaymentOrder {
    PaymentOrder {
        status: OrderStatus::Cancelled,
        failure: Some(short(reason)),
        closed_at: Some(tx.now),
        ..before.clone()
    }
}

fn waiting(tx: &ReadTx<'_>, number: &OrderNo) -> Result<PaymentOrder> {
    let order = find(tx, number)?;
    if order.status == OrderStatus::AwaitingApproval {
        Ok(order)
    } else {
        Err(Error::Conflict("付款单不在待审批状态".into()))
    }
}

/// The payout of this number; a payment is none.
fn find(tx: &ReadTx<'_>, number: &OrderNo) -> Result<PaymentOrder> {
    payment_orders::find_by_number(tx, number)?.filter(|order| order.order_type.is_payout()).ok_or(NO_SUCH)
}
