//! What a platform says of a payout, and the one way in which a payout, whoever speaks of it, ends and gets into the books.
//!
//! Notifications, questions and imported files all end here, in any order and as often as they come.

use serde_json::Value;

use super::{change, tell_admins, tell_maker};
use crate::domain::access::Actor;
use crate::domain::ids::{EmployeeId, SalaryId};
use crate::domain::payments::{OrderStatus, OrderType};
use crate::domain::time::{DAY_MS, Instant};
use crate::domain::transactions::Direction;
use crate::error::{Error, Result};
use crate::payments::TransferState;
use crate::service::notifications::{Audience, notify};
use crate::service::transactions::{self, NewTransaction};
use crate::store::payment_entries::{self, EntryKind};
use crate::store::payment_orders::{self, PaymentOrder, Sealed};
use crate::store::payment_tasks::{self, Subject};
use crate::store::{WriteTx, payouts, salaries, users};

/// The category in the books of money that came back. The expense stays as it was: the bank's statement shows both lines, and an
/// entry of the books is never changed.
const CAME_BACK: &str = "付款退回";
/// Characters of a platform's reason that are kept.
const REASON_CHARACTERS_MAX: usize = 200;

/// What a word about a payout did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The payout moved.
    Moved,
    /// Nothing: it was known, or older than what is known.
    Nothing,
    /// It can't be true together with what is known; people were told.
    Contradicts,
}

impl Effect {
    /// The word in rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Effect::Moved => "moved",
            Effect::Nothing => "nothing",
            Effect::Contradicts => "contradicts",
        }
    }
}

/// Takes what a platform says of a payout.
///
/// # Errors
/// When the database fails.
pub fn settle_transfer(tx: &WriteTx<'_>, order: &PaymentOrder, state: &TransferState) -> Result<Effect> {
    use OrderStatus as S;
    let actor = Actor::system("payouts");
    let order = payment_orders::find(tx, order.id)?;
    let order = &order.ok_or_else(|| Error::Corrupt("a payout is gone".to_owned()))?;
    if !order.order_type.is_payout() || !order.trade.is_online() || order.status == S::AwaitingApproval {
        return contradicts(tx, order, "平台回报了一笔并未提交的付款");
    }
    let open = order.status.is_open_payout();
    match state {
        TransferState::NotFound => Ok(Effect::Nothing),
        TransferState::Processing if open => progress(tx, order, S::Processing, None),
        TransferState::WaitConfirm { launch } if open => progress(tx, order, S::WaitConfirm, launch.as_ref()),
        TransferState::Cancelling if open => progress(tx, order, S::Cancelling, None),
        TransferState::Processing | TransferState::WaitConfirm { .. } | TransferState::Cancelling => {
            Ok(Effect::Nothing)
        }
        TransferState::Succeeded { at_ms, platform_no } => {
            succeeded(tx, &actor, order, when(tx, order, *at_ms), Some(platform_no))
        }
        TransferState::Failed { reason } => ended(tx, &actor, order, S::Failed, Some(reason)),
        TransferState::Cancelled => ended(tx, &actor, order, S::Cancelled, None),
        TransferState::Returned { reason } if order.status == S::Paid => returned(tx, &actor, order, reason),
        // Nobody here ever saw it paid, so nothing is in the books.
        TransferState::Returned { reason } if open => ended(tx, &actor, order, S::Failed, Some(reason)),
        TransferState::Returned { .. } => Ok(Effect::Nothing),
    }
}

/// The platform works on it. What is being taken back stays so until the platform says what came of that.
fn progress(tx: &WriteTx<'_>, order: &PaymentOrder, next: OrderStatus, launch: Option<&Value>) -> Result<Effect> {
    if launch.is_some() {
        payment_orders::keep(tx, order.id, Sealed::Launch, launch)?;
    }
    if order.status == next || order.status == OrderStatus::Cancelling {
        return Ok(Effect::Nothing);
    }
    let after = PaymentOrder { status: next, sent_at: order.sent_at.or(Some(tx.now)), ..order.clone() };
    let after = change(tx, &Actor::system("payouts"), order, after)?;
    if next == OrderStatus::WaitConfirm {
        tell_payee(tx, &after)?;
    }
    Ok(Effect::Moved)
}

/// Tells an employee to accept the money in WeChat.
fn tell_payee(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    let Some(employee_id) = employee_of(tx, order)? else { return Ok(()) };
    let Some(user) = users::find_by_employee(tx, employee_id)? else { return Ok(()) };
    let content = format!(
        "{}（{}元）已发起，请在24小时内到小程序确认收款，订单号{}",
        order.subject, order.amount, order.order_no
    );
    notify(tx, Audience::User(user.id), "请确认收款", &content).map(drop)
}

fn employee_of(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<Option<EmployeeId>> {
    let (OrderType::Salary, Ok(id)) = (order.order_type, SalaryId::try_from(order.related_id)) else { return Ok(None) };
    Ok(salaries::find(tx, id)?.map(|salary| salary.employee_id))
}

pub(super) fn succeeded(
    tx: &WriteTx<'_>,
    actor: &Actor,
    order: &PaymentOrder,
    paid_at: Instant,
    platform_no: Option<&String>,
) -> Result<Effect> {
    if matches!(order.status, OrderStatus::Paid | OrderStatus::Returned) {
        return Ok(Effect::Nothing);
    }
    let owed = order.status.is_open_payout() || (order.status == OrderStatus::Failed && !is_replaced(tx, order)?);
    let after = PaymentOrder {
        paid_at: Some(paid_at),
        platform_no: platform_no.cloned().or_else(|| order.platform_no.clone()),
        ..order.clone()
    };
    if owed {
        let after = PaymentOrder { status: OrderStatus::Paid, failure: None, closed_at: None, ..after };
        let after = change(tx, actor, order, after)?;
        finish(tx, &after)?;
        book(tx, actor, &after, EntryKind::Payout, paid_at)?;
        let content = format!("付款单{}（{}，{}元）已付款", after.order_no, after.subject, after.amount);
        tell_maker(tx, &after, "付款成功", &content)?;
        return Ok(Effect::Moved);
    }
    if payment_entries::is_booked(tx, EntryKind::Payout, order.id.get())? {
        return Ok(Effect::Nothing);
    }
    // The money went although it had been said that it would not: it is in the books, and people have to get it back.
    let after = change(tx, actor, order, PaymentOrder { refund_due: true, ..after })?;
    book(tx, actor, &after, EntryKind::Payout, paid_at)?;
    contradicts(tx, &after, "平台先报告付款未成功，后又报告已付款，可能重复付款")
}

/// Whether what a payout was for is being paid, or was paid, by another one.
fn is_replaced(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<bool> {
    if payouts::replacement(tx, order.id)?.is_some() {
        return Ok(true);
    }
    match (order.order_type, SalaryId::try_from(order.related_id)) {
        (OrderType::Salary, Ok(id)) => payouts::unfinished_of_salary(tx, id, Some(order.id)),
        _ => Ok(false),
    }
}

/// It will not be paid, and is owed again.
pub(super) fn ended(
    tx: &WriteTx<'_>,
    actor: &Actor,
    order: &PaymentOrder,
    next: OrderStatus,
    reason: Option<&String>,
) -> Result<Effect> {
    if order.status == OrderStatus::Paid {
        return contradicts(tx, order, "平台先报告已付款，后又报告付款未成功");
    }
    if !order.status.is_open_payout() {
        return Ok(Effect::Nothing);
    }
    let failure = reason.map(|reason| short(reason));
    let after = PaymentOrder { status: next, failure, closed_at: Some(tx.now), ..order.clone() };
    let after = change(tx, actor, order, after)?;
    finish(tx, &after)?;
    let why = after.failure.as_ref().map(|why| format!("：{why}")).unwrap_or_default();
    let (title, verb) =
        if next == OrderStatus::Failed { ("付款失败", "未能付出") } else { ("付款已撤销", "已撤销") };
    let content =
        format!("付款单{}（{}，{}元）{verb}{why}。该款项仍未支付", after.order_no, after.subject, after.amount);
    tell_maker(tx, &after, title, &content)?;
    Ok(Effect::Moved)
}

/// It was paid and came back.
pub(super) fn returned(tx: &WriteTx<'_>, actor: &Actor, order: &PaymentOrder, reason: &str) -> Result<Effect> {
    let after = PaymentOrder {
        status: OrderStatus::Returned,
        failure: Some(short(reason)),
        closed_at: Some(tx.now),
        ..order.clone()
    };
    let after = change(tx, actor, order, after)?;
    finish(tx, &after)?;
    book(tx, actor, &after, EntryKind::Return, tx.now)?;
    let content = format!(
        "付款单{}（{}，{}元）付款后被退回：{}。该款项仍未支付",
        after.order_no,
        after.subject,
        after.amount,
        short(reason)
    );
    tell_maker(tx, &after, "付款被退回", &content)?;
    Ok(Effect::Moved)
}

/// There is nothing left to ask, and nothing left to accept.
fn finish(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    payment_tasks::remove(tx, Subject::Order(order.id))?;
    payouts::forget_talk(tx, order.id)?;
    payment_orders::keep::<Value>(tx, order.id, Sealed::Launch, None)
}

/// Enters it into the books. The entry's key makes a second one impossible.
fn book(tx: &WriteTx<'_>, actor: &Actor, order: &PaymentOrder, kind: EntryKind, at: Instant) -> Result<()> {
    let (direction, category) = match kind {
        EntryKind::Return => (Direction::Income, CAME_BACK),
        EntryKind::Payout | EntryKind::Payment | EntryKind::Refund => (Direction::Expense, order.category.as_str()),
    };
    let related = match order.order_type {
        OrderType::Salary => "salary",
        OrderType::SupplierPayment | OrderType::CustomerOrder => "supplier",
    };
    let entry = transactions::create(
        tx,
        actor,
        NewTransaction {
            direction,
            category: category.to_owned(),
            amount: order.amount,
            description: Some(format!("{} {}", order.subject, order.order_no)),
            transaction_at: Some(at),
            payment_method: Some(order.payment_method.as_str().to_owned()),
            related_id: Some(order.related_id),
            related_type: Some(related.to_owned()),
        },
    )?;
    payment_entries::insert(tx, kind, order.id.get(), (entry.id, order.amount))
}

fn contradicts(tx: &WriteTx<'_>, order: &PaymentOrder, what: &str) -> Result<Effect> {
    tracing::error!(
        order.id = order.order_no.as_str(),
        status = order.status.as_str(),
        "a platform contradicts what is known"
    );
    tell_admins(tx, "付款状态异常", &format!("付款单{}：{what}，请到支付平台核实", order.order_no))?;
    Ok(Effect::Contradicts)
}

/// The moment that the platform names, unless it can't be: books are not dated by a clock that is wrong.
fn when(tx: &WriteTx<'_>, order: &PaymentOrder, at_ms: i64) -> Instant {
    let (earliest, latest) = (order.created_at.plus_ms(-DAY_MS), tx.now.plus_ms(DAY_MS));
    if (earliest..=latest).contains(&Instant(at_ms)) { Instant(at_ms) } else { tx.now }
}

/// A reason as it is kept.
pub(super) fn short(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(REASON_CHARACTERS_MAX).collect()
}
