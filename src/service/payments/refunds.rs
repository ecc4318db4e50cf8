//! Refunds: in part, several, never more than was paid. What may still go back is reserved in the transaction that makes the refund.

use serde_json::{Value, json};

use super::{Movement, NO_SUCH, alarm, book, number_parts, tell};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::money::Fen;
use crate::domain::payments::{OrderNo, OrderStatus, RefundStatus};
use crate::domain::time::Instant;
use crate::domain::transactions::Direction;
use crate::error::{Error, Result};
use crate::payments::RefundState;
use crate::service::audit::{Deed, record};
use crate::store::payment_entries::EntryKind;
use crate::store::payment_orders::{self, PaymentOrder};
use crate::store::payment_refunds::{self, NOUN, Refund};
use crate::store::payment_tasks::{self, Subject};
use crate::store::{ReadTx, WriteTx};

/// The category of a refund in the books.
const CATEGORY: &str = "退款";

/// A refund to be made.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// 金额
    pub amount: Fen,
    /// 原因
    pub reason: String,
    /// How the money went back, when a person gave it back.
    pub reference: Option<String>,
}

/// Gives money back.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when the order is not a payment that is there, or when more would go back than was paid;
/// [`Error::Invalid`] when the amount is not positive, or a person has to give the money back and does not say how he did.
pub fn refund(tx: &WriteTx<'_>, actor: &Actor, number: &OrderNo, new: NewRefund) -> Result<Refund> {
    let order = payment_orders::find_by_number(tx, number)?.ok_or(NO_SUCH)?;
    if order.order_type.is_payout() || order.status != OrderStatus::Paid {
        return Err(Error::Conflict("只有已支付的收款订单才能退款".into()));
    }
    if new.amount <= Fen::ZERO {
        return Err(Error::invalid("amount", "金额应大于0"));
    }
    let left = order.amount - payment_refunds::reserved(tx, order.id)?;
    if new.amount > left {
        return Err(Error::Conflict(format!("退款金额超过可退金额{left}").into()));
    }
    let by_hand = !order.trade.is_online();
    if by_hand && new.reference.is_none() {
        return Err(Error::invalid("reference", "线下收款由人工退款，请填写退款凭证号"));
    }
    if !by_hand && new.reference.is_some() {
        return Err(Error::invalid("reference", "线上支付由支付平台退款，没有凭证号"));
    }
    let id = payment_refunds::next_id(tx)?;
    let (site, chance) = number_parts(tx)?;
    let refund_no = OrderNo::of_refund(site, tx.zone.day(tx.now), id, chance);
    let refund = Refund {
        id,
        refund_no: refund_no.clone(),
        out_no: refund_no,
        order_id: order.id,
        amount: new.amount,
        reason: new.reason,
        status: RefundStatus::Queued,
        platform_no: None,
        reference: new.reference,
        failure: None,
        created_at: tx.now,
        created_by: actor.user_id(),
        sent_at: None,
        succeeded_at: None,
        updated_at: tx.now,
    };
    payment_refunds::insert(tx, &refund)?;
    trace(tx, actor, Action::Create, None, &refund)?;
    if order.refund_due && new.amount == left {
        payment_orders::update(tx, order.status, &PaymentOrder { refund_due: false, updated_at: tx.now, ..order })?;
    }
    if by_hand {
        settle_refund(tx, &refund, &RefundState::Succeeded { at_ms: tx.now.0, platform_no: None })?;
    } else {
        payment_tasks::wake(tx, Subject::Refund(id), tx.now)?;
    }
    payment_refunds::find(tx, id)?.ok_or(NO_SUCH)
}

/// The refunds of an order, in order.
///
/// # Errors
/// [`Error::NotFound`].
pub fn list(tx: &ReadTx<'_>, actor: &Actor, number: &OrderNo) -> Result<Vec<Refund>> {
    payment_refunds::of_order(tx, super::orders::read(tx, actor, number)?.id)
}

/// Takes what a platform says of a refund, as often and in whatever order it comes.
///
/// # Errors
/// When the database fails.
pub fn settle_refund(tx: &WriteTx<'_>, refund: &Refund, standing: &RefundState) -> Result<()> {
    let order = payment_orders::find(tx, refund.order_id)?.ok_or(NO_SUCH)?;
    let mut after = refund.clone();
    after.status = match standing {
        RefundState::NotFound => return Ok(()),
        RefundState::Processing => RefundStatus::Processing,
        RefundState::Succeeded { at_ms, platform_no } => {
            after.succeeded_at = Some(Instant(*at_ms).min(tx.now));
            after.platform_no = platform_no.clone().or(after.platform_no);
            after.failure = None;
            RefundStatus::Succeeded
        }
        RefundState::Failed { reason } => {
            after.failure = Some(reason.clone());
            RefundStatus::Failed
        }
        RefundState::Abnormal => RefundStatus::Abnormal,
    };
    // What is older than what is known changes nothing.
    if !refund.status.may_become(after.status) {
        return Ok(());
    }
    let after = change(tx, refund, after)?;
    let what = format!("订单{}退款{}元", order.order_no, after.amount);
    match after.status {
        RefundStatus::Succeeded => {
            payment_tasks::remove(tx, Subject::Refund(after.id))?;
            booked(tx, &order, &after)?;
            tell(tx, &order, "退款成功", &what)
        }
        RefundStatus::Failed => {
            payment_tasks::remove(tx, Subject::Refund(after.id))?;
            let why = after.failure.as_deref().unwrap_or_default();
            tell(tx, &order, "退款失败", &format!("{what}失败：{why}"))
        }
        RefundStatus::Abnormal => alarm(tx, "退款异常", &format!("{what}未能退到付款账户，请在支付平台处理")),
        RefundStatus::Queued | RefundStatus::Processing => Ok(()),
    }
}

fn booked(tx: &WriteTx<'_>, order: &PaymentOrder, refund: &Refund) -> Result<()> {
    let movement = Movement {
        kind: EntryKind::Refund,
        subject_id: refund.id.get(),
        direction: Direction::Expense,
        category: CATEGORY,
        amount: refund.amount,
        at: refund.succeeded_at.unwrap_or(tx.now),
        description: format!("订单{}退款，退款单{}，{}", order.order_no, refund.refund_no, refund.reason),
    };
    book(tx, order, movement)
}

/// Writes a refund's new state and leaves a trace of it.
pub(super) fn change(tx: &WriteTx<'_>, before: &Refund, mut after: Refund) -> Result<Refund> {
    after.updated_at = tx.now;
    payment_refunds::update(tx, before.status, &after)?;
    trace(tx, &Actor::system("payments"), Action::Update, Some(image(before)), &after)?;
    Ok(after)
}

fn trace(tx: &WriteTx<'_>, actor: &Actor, action: Action, before: Option<Value>, after: &Refund) -> Result<()> {
    let after = (after.id.get(), image(after));
    record(tx, actor, Deed { action, noun: NOUN, noun_id: Some(after.0), before, after: Some(after.1) })
}

/// The row as the audit trail may show it.
fn image(refund: &Refund) -> Value {
    json!({
        "refund_no": refund.refund_no.as_str(),
        "order_id": refund.order_id.get(),
        "amount": refund.amount.to_string(),
        "reason": refund.reason,
        "status": refund.status.as_str(),
        "reference": refund.reference,
        "failure": refund.failure,
    })
}
