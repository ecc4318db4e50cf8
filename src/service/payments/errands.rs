//! What has to be asked or told next, and what came of it. Each call is noted in a committed transaction before it is made, and its outcome
//! in another; a box that dies in between does it again, with the same number and the same parameters.

use tokio::task::JoinSet;

use super::refunds::{self, settle_refund};
use super::settle::{end, settle_payment};
use super::{NO_SUCH, alarm, change, number_parts};
use crate::domain::access::Actor;
use crate::domain::ids::{PaymentOrderId, RefundId};
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::{Channel, OrderStatus, RefundStatus, next_question_ms};
use crate::domain::time::{DAY_MS, HOUR_MS, Instant, MINUTE_MS};
use crate::error::Result;
use crate::payments::forwarder::Forwarder;
use crate::payments::{
    Call, Create, Outcome, PaymentState, Platform as _, Query, Refund, RefundState, Refusal, Scene, Trouble,
};
use crate::service::payouts::{self, NextDue};
use crate::store::payment_orders::{self, PaymentOrder, Sealed};
use crate::store::payment_refunds::{self, Refund as RefundRow};
use crate::store::payment_tasks::{self, Subject, Task};
use crate::store::{Db, ReadTx, WriteTx, payment_anomalies};

/// A call that was noted and is not made yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// What it is about.
    pub subject: Subject,
    /// Whom it goes to.
    pub channel: Channel,
    /// What is said.
    pub call: Call,
}

/// Calls at once at most.
const AT_ONCE: usize = 16;
/// Calls about one thing in a row at most, while somebody waits.
const STEPS_MAX: usize = 4;
/// A call that was noted is made again after so many milliseconds if nobody says what came of it: longer than any call takes.
const LEASE_MS: i64 = 20_000;
/// Our own close, so long after the last moment to pay, in milliseconds.
const GRACE_MS: i64 = 2 * MINUTE_MS;
/// A platform that has not heard of a number so long after it was told of it never will.
const ARRIVED_MS: i64 = 60_000;
/// A code lives so long, whatever its order says (`payments.md`, 2.6 and 3.2).
const CODE_LIFE_MS: i64 = 2 * HOUR_MS;
/// The longest wait between attempts to tell a platform of an order that somebody waits for.
const RETRY_MAX_MS: i64 = 15_000;
/// The code that stands for a platform that is not set up at all.
const NOT_CONFIGURED: &str = "NOT_CONFIGURED";

/// Does everything about one thing that is due, until it has to wait.
///
/// # Errors
/// When the database fails.
pub async fn forward(db: &Db, platforms: &Forwarder, subject: Subject) -> Result<()> {
    for _ in 0..STEPS_MAX {
        let Some(errand) = db.write(move |tx| claim(tx, subject)).await? else { return Ok(()) };
        carry_out(db, platforms, errand).await?;
    }
    Ok(())
}

/// Does what is due, as much as fits; gives how much that was.
///
/// # Errors
/// When the database fails.
pub async fn forward_due(db: &Db, platforms: &Forwarder) -> Result<usize> {
    let any = db.read_rows(|tx| Ok(payment_tasks::next_due(tx)?.is_some_and(|at| at <= tx.now))).await?;
    if !any {
        return Ok(0);
    }
    let (looked_at, errands) = db.write(claim_due).await?;
    let mut calls = JoinSet::new();
    for errand in errands {
        let (db, platforms) = (db.clone(), platforms.clone());
        calls.spawn(async move { carry_out(&db, &platforms, errand).await });
    }
    let mut outcome = Ok(looked_at);
    while let Some(done) = calls.join_next().await {
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => outcome = Err(error),
            Err(error) => tracing::error!(error = %error, "a call of a platform panicked"),
        }
    }
    outcome
}

async fn carry_out(db: &Db, platforms: &Forwarder, errand: Errand) -> Result<()> {
    let result = platforms.make(errand.channel, &errand.call).await;
    db.write(move |tx| record(tx, &errand, &result)).await
}

fn claim_due(tx: &WriteTx<'_>) -> Result<(usize, Vec<Errand>)> {
    let due = payment_tasks::due(tx, tx.now, AT_ONCE)?;
    let mut errands = Vec::new();
    for task in &due {
        errands.extend(note(tx, task)?);
    }
    Ok((due.len(), errands))
}

fn claim(tx: &WriteTx<'_>, subject: Subject) -> Result<Option<Errand>> {
    match payment_tasks::find(tx, subject)? {
        Some(task) if task.due_at <= tx.now => note(tx, &task),
        _ => Ok(None),
    }
}

/// Notes the next call about a task's subject; none when there is nothing to say.
fn note(tx: &WriteTx<'_>, task: &Task) -> Result<Option<Errand>> {
    let next = match task.subject {
        Subject::Order(id) => {
            let order = payment_orders::find(tx, id)?.ok_or(NO_SUCH)?;
            if order.order_type.is_payout() {
                payouts::next_call(tx, &order, task.tries)?
            } else {
                next_of_payment(tx, order, task.tries)?
            }
        }
        Subject::Refund(id) => next_of_refund(tx, id)?,
    };
    let Some((channel, call)) = next else {
        payment_tasks::remove(tx, task.subject)?;
        return Ok(None);
    };
    payment_tasks::take(tx, task, tx.now.plus_ms(LEASE_MS))?;
    Ok(Some(Errand { subject: task.subject, channel, call }))
}

/// Where the payer of an order pays.
pub(super) fn scene(tx: &ReadTx<'_>, order: &PaymentOrder) -> Result<Option<Scene>> {
    payment_orders::kept(tx, order.id, Sealed::Request)
}

fn next_of_payment(tx: &WriteTx<'_>, order: PaymentOrder, tries: u32) -> Result<Option<(Channel, Call)>> {
    let channel = order.payment_method.channel();
    let over = |grace_ms| order.expires_at.is_some_and(|at| at.plus_ms(grace_ms) <= tx.now);
    let call = match order.status {
        OrderStatus::Queued if order.sent_at.is_none() && over(0) => {
            end(tx, &order, None)?;
            return Ok(None);
        }
        OrderStatus::Queued if order.sent_at.is_none() => {
            let sent = PaymentOrder { sent_at: Some(tx.now), updated_at: tx.now, ..order };
            payment_orders::update(tx, sent.status, &sent)?;
            Call::Create(create(tx, &sent)?)
        }
        OrderStatus::Queued if over(0) => Call::Close(query(&closing(tx, &order, None)?)),
        // UnionPay takes a number once: what came of the first attempt has to be asked.
        OrderStatus::Queued if channel == Channel::Unionpay => Call::Query(query(&order)),
        OrderStatus::Queued => Call::Create(create(tx, &order)?),
        OrderStatus::Pending if over(GRACE_MS) => Call::Close(query(&closing(tx, &order, None)?)),
        OrderStatus::Pending => Call::Query(query(&order)),
        // A platform that refuses to close says why when it is asked.
        OrderStatus::Closing if tries % 2 == 1 => Call::Query(query(&order)),
        OrderStatus::Closing => Call::Close(query(&order)),
        // Somebody has a reason to ask, such as a bill that shows it paid.
        OrderStatus::Closed | OrderStatus::Failed => Call::Query(query(&order)),
        _ => return Ok(None),
    };
    Ok(Some((channel, call)))
}

/// The request that lets somebody pay: the same from the first time to the last, since it is made of what never changes.
fn create(tx: &ReadTx<'_>, order: &PaymentOrder) -> Result<Create> {
    Ok(Create {
        order_no: order.out_no.to_string(),
        scene: scene(tx, order)?.unwrap_or(Scene::Code),
        amount_fen: order.amount.0,
        subject: order.subject.clone(),
        at_ms: sent_ms(order),
        expires_at_ms: order.expires_at.unwrap_or(order.created_at).0,
    })
}

fn query(order: &PaymentOrder) -> Query {
    Query { order_no: order.out_no.to_string(), amount_fen: order.amount.0, at_ms: sent_ms(order) }
}

fn sent_ms(order: &PaymentOrder) -> i64 {
    order.sent_at.unwrap_or(order.created_at).0
}

fn closing(tx: &WriteTx<'_>, order: &PaymentOrder, failure: Option<String>) -> Result<PaymentOrder> {
    let failure = failure.or_else(|| order.failure.clone());
    let after = PaymentOrder { status: OrderStatus::Closing, failure, ..order.clone() };
    change(tx, &Actor::system("payments"), order, after)
}

fn next_of_refund(tx: &WriteTx<'_>, id: RefundId) -> Result<Option<(Channel, Call)>> {
    let refund = payment_refunds::find(tx, id)?.ok_or(NO_SUCH)?;
    let order = payment_orders::find(tx, refund.order_id)?.ok_or(NO_SUCH)?;
    let channel = order.payment_method.channel();
    let ask = refund.status != RefundStatus::Queued || refund.failure.is_some() || channel == Channel::Unionpay;
    let call = match refund.status {
        RefundStatus::Queued if refund.sent_at.is_none() => {
            let sent = RefundRow { sent_at: Some(tx.now), updated_at: tx.now, ..refund };
            payment_refunds::update(tx, sent.status, &sent)?;
            Call::Refund(refund_call(&order, &sent))
        }
        RefundStatus::Queued | RefundStatus::Processing if ask => Call::QueryRefund(refund_call(&order, &refund)),
        RefundStatus::Queued => Call::Refund(refund_call(&order, &refund)),
        // Once a person has acted at the platform, it says so; and somebody may have a reason to ask about one that failed.
        RefundStatus::Processing | RefundStatus::Abnormal | RefundStatus::Failed => {
            Call::QueryRefund(refund_call(&order, &refund))
        }
        RefundStatus::Succeeded => return Ok(None),
    };
    Ok(Some((channel, call)))
}

fn refund_call(order: &PaymentOrder, refund: &RefundRow) -> Refund {
    Refund {
        refund_no: refund.out_no.to_string(),
        order_no: order.out_no.to_string(),
        platform_no: order.platform_no.clone().unwrap_or_default(),
        amount_fen: refund.amount.0,
        paid_fen: order.amount.0,
        reason: refund.reason.clone(),
        at_ms: refund.sent_at.unwrap_or(refund.created_at).0,
        paid_at_ms: order.paid_at.unwrap_or(order.created_at).0,
    }
}

/// Takes what came of a call, and says when to go on.
///
/// # Errors
/// When the database fails: then the call is made again.
pub fn record(tx: &WriteTx<'_>, errand: &Errand, result: &std::result::Result<Outcome, Trouble>) -> Result<()> {
    if let Err(trouble) = result {
        let cause = std::error::Error::source(trouble).map(tracing::field::display);
        tracing::warn!(number = number_of(&errand.call), error = %trouble, cause, "a platform's answer does not settle it");
    }
    let due = match errand.subject {
        Subject::Order(id) => {
            let order = payment_orders::find(tx, id)?.ok_or(NO_SUCH)?;
            if order.order_type.is_payout() {
                match payouts::record(tx, &order, result)? {
                    NextDue::At(at) => Some(at),
                    NextDue::Never => None,
                }
            } else {
                record_payment(tx, order, &errand.call, result)?;
                due_of_payment(tx, id)?
            }
        }
        Subject::Refund(id) => {
            record_refund(tx, id, &errand.call, result)?;
            due_of_refund(tx, id)?
        }
    };
    let error = result.as_ref().err().map(ToString::to_string);
    match due {
        Some(due) => payment_tasks::put_off(tx, errand.subject, due, error),
        None => payment_tasks::remove(tx, errand.subject),
    }
}

fn number_of(call: &Call) -> &str {
    match call {
        Call::Create(create) => &create.order_no,
        Call::Query(query) | Call::Close(query) => &query.order_no,
        Call::Refund(refund) | Call::QueryRefund(refund) => &refund.refund_no,
        Call::Transfer(transfer) | Call::QueryTransfer(transfer) | Call::CancelTransfer(transfer) => &transfer.order_no,
        Call::Bill(_) => "bill",
    }
}

fn record_payment(
    tx: &WriteTx<'_>,
    order: PaymentOrder,
    call: &Call,
    result: &std::result::Result<Outcome, Trouble>,
) -> Result<()> {
    let asked_as = number_of(call) == order.out_no.as_str();
    match result {
        _ if !asked_as => Ok(()),
        Ok(Outcome::Created { payment_url, launch }) if order.status == OrderStatus::Queued => {
            payment_orders::keep(tx, order.id, Sealed::Launch, launch.as_ref())?;
            let after =
                PaymentOrder { status: OrderStatus::Pending, payment_url: payment_url.clone(), ..order.clone() };
            change(tx, &Actor::system("payments"), &order, after)?;
            payment_tasks::wake(tx, Subject::Order(order.id), tx.now)
        }
        Ok(Outcome::Payment(PaymentState::NotFound)) => missing(tx, &order),
        Ok(Outcome::Payment(state)) => {
            let channel = order.payment_method.channel();
            if let Err((kind, why)) = settle_payment(tx, &order, state)? {
                payment_anomalies::record(tx, channel, kind, Some(order.order_no.as_str()), &why)?;
            }
            Ok(())
        }
        Ok(_) | Err(Trouble::Unknown(..)) => Ok(()),
        Err(Trouble::Refused { refusal, code, message }) => refused(tx, &order, call, (*refusal, code, message)),
    }
}

/// The platform has not heard of the order. Right after it was told that may be so for a moment, and Alipay knows a trade only once its code
/// was scanned.
fn missing(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    let arrived = order.sent_at.is_none_or(|at| tx.now.ms_since(at) >= ARRIVED_MS);
    let channel = order.payment_method.channel();
    match order.status {
        OrderStatus::Queued if channel == Channel::Unionpay && arrived => {
            let (_, chance) = number_parts(tx)?;
            let out_no = order.out_no.renewed(chance);
            payment_orders::update(
                tx,
                order.status,
                &PaymentOrder { out_no, sent_at: None, updated_at: tx.now, ..order.clone() },
            )?;
            payment_tasks::wake(tx, Subject::Order(order.id), tx.now)
        }
        OrderStatus::Closing => {
            let dead = order.expires_at.is_none_or(|at| at.plus_ms(CODE_LIFE_MS) <= tx.now);
            if dead || (arrived && channel != Channel::Alipay) { end(tx, order, None).map(drop) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

fn refused(
    tx: &WriteTx<'_>,
    order: &PaymentOrder,
    call: &Call,
    (refusal, code, message): (Refusal, &str, &str),
) -> Result<()> {
    let first = matches!(call, Call::Create(_)) && order.status == OrderStatus::Queued;
    match refusal {
        Refusal::AlreadyPaid if order.status == OrderStatus::Queued => {
            let after = PaymentOrder { status: OrderStatus::Pending, ..order.clone() };
            change(tx, &Actor::system("payments"), order, after)?;
            payment_tasks::wake(tx, Subject::Order(order.id), tx.now)
        }
        Refusal::Closed if matches!(order.status, OrderStatus::Queued | OrderStatus::Pending) => {
            closing(tx, order, None)?;
            payment_tasks::wake(tx, Subject::Order(order.id), tx.now)
        }
        Refusal::Configuration if code == NOT_CONFIGURED && first => end(tx, order, Some("支付平台未配置")).map(drop),
        Refusal::Configuration => {
            let detail = format!("{code} {message}");
            let channel = order.payment_method.channel();
            if payment_anomalies::record(tx, channel, AnomalyKind::Configuration, None, &detail)?.is_some() {
                alarm(tx, "支付配置错误", &detail)?;
            }
            Ok(())
        }
        // Before anything is decided, the platform is asked how the order stands.
        Refusal::Final if first => {
            closing(tx, order, Some(format!("{code} {message}").chars().take(200).collect()))?;
            payment_tasks::wake(tx, Subject::Order(order.id), tx.now)
        }
        Refusal::AlreadyPaid | Refusal::Closed | Refusal::Final | Refusal::Later => Ok(()),
    }
}

/// When to go on with a payment (`payments.md`, section 6.2).
fn due_of_payment(tx: &WriteTx<'_>, id: PaymentOrderId) -> Result<Option<Instant>> {
    let order = payment_orders::find(tx, id)?.ok_or(NO_SUCH)?;
    let Some(task) = payment_tasks::find(tx, Subject::Order(id))? else { return Ok(None) };
    // A change of state has set a time of its own.
    if task.tries == 0 && order.status != OrderStatus::Pending {
        return Ok(Some(task.due_at));
    }
    let over_ms = order.expires_at.map_or(0, |at| tx.now.ms_since(at));
    let wait_ms = match order.status {
        OrderStatus::Queued => (1_000_i64 << task.tries.min(4)).min(RETRY_MAX_MS),
        OrderStatus::Pending => next_question_ms(task.tries),
        OrderStatus::Closing if over_ms > CODE_LIFE_MS + 10 * MINUTE_MS => DAY_MS,
        OrderStatus::Closing if over_ms > 10 * MINUTE_MS => 10 * MINUTE_MS,
        OrderStatus::Closing => next_question_ms(task.tries),
        _ => return Ok(None),
    };
    Ok(Some(tx.now.plus_ms(wait_ms)))
}

fn record_refund(
    tx: &WriteTx<'_>,
    id: RefundId,
    call: &Call,
    result: &std::result::Result<Outcome, Trouble>,
) -> Result<()> {
    let refund = payment_refunds::find(tx, id)?.ok_or(NO_SUCH)?;
    if number_of(call) != refund.out_no.as_str() {
        return Ok(());
    }
    let arrived = refund.sent_at.is_none_or(|at| tx.now.ms_since(at) >= ARRIVED_MS);
    match result {
        Ok(Outcome::Refund(RefundState::NotFound)) if refund.status == RefundStatus::Queued && arrived => {
            match (&refund.failure, call) {
                // It was refused, and asked so long after it is not there: it will not come.
                (Some(reason), Call::QueryRefund(_)) => {
                    settle_refund(tx, &refund, &RefundState::Failed { reason: reason.clone() })
                }
                // Told once, lost on the way: a platform that takes a number once gets another.
                (None, Call::QueryRefund(_)) => {
                    let (_, chance) = number_parts(tx)?;
                    let out_no = refund.out_no.renewed(chance);
                    refunds::change(tx, &refund, RefundRow { out_no, sent_at: None, ..refund.clone() }).map(drop)
                }
                _ => Ok(()),
            }
        }
        Ok(Outcome::Refund(state)) => settle_refund(tx, &refund, state),
        Err(Trouble::Refused { refusal: Refusal::Final | Refusal::Closed, code, message })
            if refund.status == RefundStatus::Queued && matches!(call, Call::Refund(_)) =>
        {
            let failure = Some(format!("{code} {message}").chars().take(200).collect());
            refunds::change(tx, &refund, RefundRow { failure, ..refund.clone() }).map(drop)
        }
        Err(Trouble::Refused { refusal: Refusal::Configuration | Refusal::Later, code, message }) => {
            let what = format!("退款单{}暂未受理：{code} {message}", refund.refund_no);
            let order = payment_orders::find(tx, refund.order_id)?.ok_or(NO_SUCH)?;
            let channel = order.payment_method.channel();
            let number = Some(refund.refund_no.as_str());
            if payment_anomalies::record(tx, channel, AnomalyKind::Configuration, number, &what)?.is_some() {
                alarm(tx, "退款暂未受理", &what)?;
            }
            Ok(())
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn due_of_refund(tx: &WriteTx<'_>, id: RefundId) -> Result<Option<Instant>> {
    let refund = payment_refunds::find(tx, id)?.ok_or(NO_SUCH)?;
    let Some(task) = payment_tasks::find(tx, Subject::Refund(id))? else { return Ok(None) };
    let wait_ms = match refund.status {
        RefundStatus::Queued => (3_000_i64 << task.tries.min(8)).min(10 * MINUTE_MS),
        RefundStatus::Processing => (10_000_i64 << task.tries.min(8)).min(30 * MINUTE_MS),
        RefundStatus::Abnormal => 6 * HOUR_MS,
        RefundStatus::Succeeded | RefundStatus::Failed => return Ok(None),
    };
    Ok(Some(tx.now.plus_ms(wait_ms)))
}

/// Gives tasks to whatever is open and has none: a box that was restored from the center has no tasks.
///
/// # Errors
/// When the database fails.
pub fn take_up(tx: &WriteTx<'_>) -> Result<usize> {
    let (orders, refunds) = (payment_orders::without_task(tx)?, payment_refunds::without_task(tx)?);
    let subjects = orders.into_iter().map(Subject::Order).chain(refunds.into_iter().map(Subject::Refund));
    let mut taken = 0;
    for subject in subjects {
        payment_tasks::wake(tx, subject, tx.now)?;
        taken += 1;
    }
    Ok(taken)
}
