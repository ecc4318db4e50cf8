//! The talk with the platform about a payout. Each call is noted before it is made, and its answer moves the payout or nothing.

use super::settle::{settle_transfer, short};
use super::{tell_admins, tell_maker};
use crate::domain::payments::{Channel, OrderStatus};
use crate::domain::payouts::{ALARM_MS, Step, is_unknown, next_step, wait_ms};
use crate::domain::time::{Instant, MINUTE_MS};
use crate::error::{Error, Result};
use crate::payments::{Call, Outcome, Refusal, Transfer, TransferState, Trouble};
use crate::store::payment_orders::{self, PaymentOrder, Sealed};
use crate::store::{ReadTx, WriteTx, payouts};

/// How long to leave a platform alone that is not configured, or whose account is empty.
const LATER_MS: i64 = 5 * MINUTE_MS;

/// When to go on with a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextDue {
    /// At this moment.
    At(Instant),
    /// Not at all: it has come to its end.
    Never,
}

/// What to call next about a payout, noted in the transaction that the caller commits before it makes the call; nothing when there
/// is nothing to say. `tries` counts the calls since the payout last changed.
///
/// # Errors
/// When the database fails.
pub fn next_call(tx: &WriteTx<'_>, order: &PaymentOrder, tries: u32) -> Result<Option<(Channel, Call)>> {
    if !order.order_type.is_payout() || !order.trade.is_online() {
        return Ok(None);
    }
    let Some(step) = next_step(order.status, payouts::talk(tx, order)?, tries) else { return Ok(None) };
    let transfer = request(tx, order)?;
    let call = match step {
        Step::Pay => {
            note_told(tx, order)?;
            Call::Transfer(transfer)
        }
        Step::Ask => {
            payouts::note_asked(tx, order.id)?;
            Call::QueryTransfer(transfer)
        }
        Step::TakeBack => {
            payouts::note_asked(tx, order.id)?;
            Call::CancelTransfer(transfer)
        }
    };
    Ok(Some((order.payment_method.channel(), call)))
}

/// The request to the platform: made once, and the same for as long as the payout lives.
fn request(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<Transfer> {
    if let Some(kept) = payment_orders::kept(tx, order.id, Sealed::Request)? {
        return Ok(kept);
    }
    let payee = payouts::payee(tx, order.id, order.payment_method)?;
    let transfer = Transfer {
        order_no: order.out_no.as_str().to_owned(),
        amount_fen: order.amount.0,
        account: payee.account.as_str().to_owned(),
        name: Some(payee.account_name),
        subject: order.subject.clone(),
        at_ms: order.created_at.0,
    };
    payment_orders::keep(tx, order.id, Sealed::Request, Some(&transfer))?;
    Ok(transfer)
}

fn note_told(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    payouts::note_told(tx, order.id)?;
    if order.sent_at.is_none() {
        let sent = PaymentOrder { sent_at: Some(tx.now), updated_at: tx.now, ..order.clone() };
        payment_orders::update(tx, order.status, &sent)?;
    }
    Ok(())
}

/// Takes what came of a call about a payout, and says when to go on.
///
/// # Errors
/// When the database fails.
pub fn record(
    tx: &WriteTx<'_>,
    order: &PaymentOrder,
    result: &std::result::Result<Outcome, Trouble>,
) -> Result<NextDue> {
    // A notification may have come while the call was made.
    let order = load(tx, order)?;
    let mut least_ms = 0;
    match result {
        Ok(Outcome::Transfer(TransferState::NotFound)) => missing(tx, &order)?,
        Ok(Outcome::Transfer(state)) => {
            settle_transfer(tx, &order, state)?;
        }
        // The platform answered something else than it was asked: nothing is known.
        Ok(_) | Err(Trouble::Unknown(..)) => {}
        Err(Trouble::Refused { refusal, code, message }) => match refusal {
            Refusal::Final => refused(tx, &order, &format!("{code} {message}"))?,
            Refusal::Configuration | Refusal::Later => least_ms = LATER_MS,
            Refusal::AlreadyPaid | Refusal::Closed => {}
        },
    }
    let order = load(tx, &order)?;
    if !order.status.is_open_payout() {
        return Ok(NextDue::Never);
    }
    alarm_if_late(tx, &order)?;
    let told_at = payouts::talk(tx, &order)?.told_at.unwrap_or(order.updated_at);
    let age_ms = tx.now.ms_since(told_at.max(order.updated_at));
    Ok(NextDue::At(tx.now.plus_ms(wait_ms(age_ms).max(least_ms))))
}

fn load(tx: &ReadTx<'_>, order: &PaymentOrder) -> Result<PaymentOrder> {
    payment_orders::find(tx, order.id)?.ok_or_else(|| Error::Corrupt(format!("order {} is gone", order.order_no)))
}

/// The platform does not know it. That moves nothing, unless the platform had refused the request for good, it is Alipay, and no
/// request can still be on its way: of such a refusal Alipay says that the transfer failed. WeChat never says so, and has a payout
/// keep its number for ever; a person has to look at it.
fn missing(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    if order.status != OrderStatus::Queued {
        return Ok(());
    }
    payouts::note_missing(tx, order.id)?;
    let Some(why) = payouts::refused(tx, order.id)? else { return Ok(()) };
    if order.payment_method.channel() == Channel::Alipay && is_unknown(payouts::talk(tx, order)?) {
        settle_transfer(tx, order, &TransferState::Failed { reason: why })?;
    }
    Ok(())
}

/// The platform refused for good, perhaps to pay: people have to hear of that.
fn refused(tx: &WriteTx<'_>, order: &PaymentOrder, why: &str) -> Result<()> {
    let why = short(why);
    if order.status != OrderStatus::Queued || !payouts::note_refused(tx, order.id, &why)? {
        return Ok(());
    }
    let content = format!("付款单{}被平台拒绝：{why}。款项未付出，正在向平台核实", order.order_no);
    tell_maker(tx, order, "付款被平台拒绝", &content)
}

/// Tells people once of a payout that does not come to an end: the platforms answer questions only for so long.
fn alarm_if_late(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    let late = order.sent_at.is_some_and(|sent_at| tx.now.ms_since(sent_at) >= ALARM_MS);
    if !late || !payouts::note_alarm(tx, order.id)? {
        return Ok(());
    }
    tracing::error!(order.id = order.order_no.as_str(), "a payout has not come to its end in three days");
    let content = format!("付款单{}已三天没有结果，请到支付平台核实，不要另行付款", order.order_no);
    tell_admins(tx, "付款长时间没有结果", &content)
}
