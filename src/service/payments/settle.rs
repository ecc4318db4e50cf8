//! A platform's word on a payment or a refund, whoever brings it: a notification, an answer or a question. In any order and as often as it
//! comes, the money is booked once.

use super::refunds::settle_refund;
use super::{Movement, alarm, book, change, name_of, tell};
use crate::domain::access::Actor;
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::{Channel, OrderNo, OrderStatus, Trade};
use crate::domain::time::Instant;
use crate::domain::transactions::Direction;
use crate::error::{Error, Result};
use crate::payments::{Event, Notice, Paid, PaymentState, Scene};
use crate::service::payouts;
use crate::store::WriteTx;
use crate::store::payment_anomalies;
use crate::store::payment_callbacks::{self, NewCallback};
use crate::store::payment_entries::EntryKind;
use crate::store::payment_orders::{self, PaymentOrder, Sealed};
use crate::store::payment_refunds;
use crate::store::payment_tasks::{self, Subject};

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was taken, now or before.
    Taken,
    /// It does not fit, and changed nothing; a person will look at it.
    Refused,
}

/// Takes a verified notification.
///
/// # Errors
/// When the database fails: then the platform has to send it again.
pub fn settle(tx: &WriteTx<'_>, notice: &Notice) -> Result<Settled> {
    let channel = Channel::from(notice.channel);
    if payment_callbacks::is_known(tx, channel, &notice.event_key)? {
        return Ok(Settled::Taken);
    }
    let number = notice.event.number();
    let outcome = match apply(tx, channel, &notice.event)? {
        Ok(outcome) => outcome,
        Err((kind, why)) => {
            payment_anomalies::record(tx, channel, kind, Some(number), &why)?;
            return Ok(Settled::Refused);
        }
    };
    let event = serde_json::to_string(&notice.event).map_err(|error| Error::Corrupt(error.to_string()))?;
    let new = NewCallback { channel, event_key: &notice.event_key, number, event: &event, outcome };
    payment_callbacks::insert(tx, new)?;
    Ok(Settled::Taken)
}

/// What a notification did, or why it does not fit.
type Applied = std::result::Result<&'static str, (AnomalyKind, String)>;

fn apply(tx: &WriteTx<'_>, channel: Channel, event: &Event) -> Result<Applied> {
    let unknown = || Ok(Err((AnomalyKind::UnknownNumber, "没有这个订单号".to_owned())));
    let Ok(number) = event.number().parse::<OrderNo>() else { return unknown() };
    if let Event::Refund { amount_fen, standing, .. } = event {
        let Some(refund) = payment_refunds::find_by_out_number(tx, &number)? else { return unknown() };
        if amount_fen.is_some_and(|fen| fen != refund.amount.0) {
            return Ok(Err((AnomalyKind::Amount, format!("退款金额应为{}", refund.amount))));
        }
        settle_refund(tx, &refund, standing)?;
        return Ok(Ok("refund"));
    }
    let Some(order) = payment_orders::find_by_out_number(tx, &number)? else { return unknown() };
    if !order.trade.is_online() || order.payment_method.channel() != channel {
        return Ok(Err((AnomalyKind::Mismatch, "支付渠道与订单不符".to_owned())));
    }
    match event {
        Event::Payment { standing, .. } => settle_payment(tx, &order, standing),
        Event::Transfer { amount_fen, standing, .. } => {
            if amount_fen.is_some_and(|fen| fen != order.amount.0) {
                return Ok(Err((AnomalyKind::Amount, format!("付款金额应为{}", order.amount))));
            }
            let effect = payouts::settle_transfer(tx, &order, standing)?;
            hurry_if_open(tx, &order)?;
            Ok(Ok(effect.as_str()))
        }
        Event::Nothing { .. } => Ok(Ok("nothing")),
        Event::Refund { .. } => unknown(),
    }
}

/// A payout that a notification moved may have something new to be asked or told.
fn hurry_if_open(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    match payment_orders::find(tx, order.id)? {
        Some(now) if now.status.is_open_payout() => Ok(()),
        _ => payment_tasks::remove(tx, Subject::Order(order.id)),
    }
}

/// Takes what the platform says of a payment.
///
/// # Errors
/// When the database fails.
pub fn settle_payment(tx: &WriteTx<'_>, order: &PaymentOrder, standing: &PaymentState) -> Result<Applied> {
    if order.order_type.is_payout() {
        return Ok(Err((AnomalyKind::Mismatch, "该订单是付款单，不是收款单".to_owned())));
    }
    match standing {
        PaymentState::Paid(paid) => pay(tx, order, paid),
        PaymentState::Closed if order.status.is_open_payment() => {
            end(tx, order, None)?;
            Ok(Ok("closed"))
        }
        PaymentState::Failed { reason } if order.status.is_open_payment() => {
            end(tx, order, Some(reason))?;
            Ok(Ok("failed"))
        }
        PaymentState::NotFound | PaymentState::Unpaid | PaymentState::Closed | PaymentState::Failed { .. } => {
            Ok(Ok("nothing"))
        }
    }
}

/// The platform says that the money is there. That is final, and beats whatever was believed before.
fn pay(tx: &WriteTx<'_>, order: &PaymentOrder, paid: &Paid) -> Result<Applied> {
    if paid.amount_fen != order.amount.0 {
        let why = format!("平台金额{}分，订单金额{}分", paid.amount_fen, order.amount.0);
        return Ok(Err((AnomalyKind::Amount, why)));
    }
    if order.trade == Trade::Jsapi
        && let Some(payer) = &paid.payer
        && let Some(Scene::MiniProgram { openid }) = super::errands::scene(tx, order)?
        && *payer != openid
    {
        return Ok(Err((AnomalyKind::Payer, "付款人不是下单的微信用户".to_owned())));
    }
    if order.status == OrderStatus::Paid {
        let same = order.platform_no.as_deref().is_none_or(|known| known == paid.platform_no);
        return Ok(if same {
            Ok("known")
        } else {
            Err((AnomalyKind::Contradiction, "该订单已由另一笔平台交易支付".to_owned()))
        });
    }
    let late = matches!(order.status, OrderStatus::Closed | OrderStatus::Failed);
    let paid_at = Instant(paid.paid_at_ms).min(tx.now);
    let after = PaymentOrder {
        status: OrderStatus::Paid,
        platform_no: Some(paid.platform_no.clone()),
        paid_at: Some(paid_at),
        refund_due: late,
        failure: if late { order.failure.clone() } else { None },
        ..order.clone()
    };
    let after = change(tx, &Actor::system("payments"), order, after)?;
    payment_orders::keep::<Scene>(tx, order.id, Sealed::Launch, None)?;
    payment_tasks::remove(tx, Subject::Order(order.id))?;
    received(tx, &after)?;
    if late {
        let content = format!("订单{}关闭后仍被支付{}元，已入账，请退款", after.order_no, after.amount);
        alarm(tx, "已关闭订单被支付", &content)?;
    }
    Ok(Ok("paid"))
}

/// Books the money of an order that has just become paid, and tells of it.
pub(super) fn received(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    let movement = Movement {
        kind: EntryKind::Payment,
        subject_id: order.id.get(),
        direction: Direction::Income,
        category: &order.category,
        amount: order.amount,
        at: order.paid_at.unwrap_or(tx.now),
        description: format!("{}，订单{}", order.subject, order.order_no),
    };
    book(tx, order, movement)?;
    let content = format!("{}支付{}元，订单{}", name_of(tx, order)?, order.amount, order.order_no);
    tell(tx, order, "支付成功", &content)
}

/// Ends a payment that nobody has made and nobody can make any more. It failed if the platform, now or when it was told, said why it can't be.
pub(super) fn end(tx: &WriteTx<'_>, order: &PaymentOrder, reason: Option<&str>) -> Result<PaymentOrder> {
    let failed = reason.is_some() || order.failure.is_some();
    let expired = order.expires_at.is_some_and(|at| at <= tx.now);
    let after = PaymentOrder {
        status: if failed { OrderStatus::Failed } else { OrderStatus::Closed },
        failure: match (reason, &order.failure) {
            (Some(reason), _) => Some(reason.to_owned()),
            (None, Some(failure)) => Some(failure.clone()),
            (None, None) => Some(if expired { "超时未支付" } else { "已关闭" }.to_owned()),
        },
        closed_at: Some(tx.now),
        ..order.clone()
    };
    let after = change(tx, &Actor::system("payments"), order, after)?;
    payment_orders::keep::<Scene>(tx, order.id, Sealed::Launch, None)?;
    payment_tasks::remove(tx, Subject::Order(order.id))?;
    Ok(after)
}
