//! What people do with payments: make one, look at it, close it, confirm that recorded money is there.

use super::settle::received;
use super::{NO_SUCH, change, image, number_parts};
use crate::domain::access::{Actor, Permission};
use crate::domain::audit::Action;
use crate::domain::ids::{CustomerId, PaymentOrderId};
use crate::domain::money::Fen;
use crate::domain::payment_anomalies::safe_number;
use crate::domain::payments::{Channel, OrderNo, OrderStatus, OrderType, PaymentMethod, Trade};
use crate::domain::time::MINUTE_MS;
use crate::error::{Error, Result};
use crate::payments::Scene;
use crate::service::audit::{Deed, record};
use crate::service::payouts::{self, BankWord, NewPayout};
use crate::store::page::{Listed, Page};
use crate::store::payment_orders::{self, NOUN, PaymentOrder, PaymentOrderFilter, Sealed, Slip};
use crate::store::payment_refunds;
use crate::store::payment_requests;
use crate::store::payment_tasks::{self, Subject};
use crate::store::{ReadTx, WriteTx, customers, users};

/// How long a code can be paid unless it is said, in minutes.
pub const EXPIRES_MINUTES: i64 = 30;
/// What a platform said so long ago, in milliseconds, is asked again before it is shown.
const NEWS_MS: i64 = 3_000;
/// The category in the books unless it is said.
const CATEGORY: &str = "餐费";
/// The least that a platform takes.
const LEAST: Fen = Fen(1);

/// An order to be made.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// 金额
    pub amount: Fen,
    /// 支付方式
    pub payment_method: PaymentMethod,
    /// 订单类型
    pub order_type: OrderType,
    /// The customer, the salary or the supplier.
    pub related_id: i64,
    /// How the money goes; what the method does by itself, unless it is said.
    pub trade: Option<Trade>,
    /// What the payer reads.
    pub subject: Option<String>,
    /// The category in the books.
    pub category: Option<String>,
    /// How long it can be paid, in minutes.
    pub expires_minutes: Option<i64>,
    /// The slip of money that went already.
    pub slip: Option<Slip>,
}

/// What makes a request for an order the same request.
#[derive(Debug, Clone)]
pub struct RequestKey {
    /// The key, with whose it is.
    pub key: String,
    /// What was asked.
    pub fingerprint: String,
}

/// Makes an order, or finds the one that the same request has made before.
///
/// # Errors
/// [`Error::Invalid`] names what can't be; [`Error::Conflict`] when the key stands for another request, or the slip for another
/// payment; [`Error::Forbidden`] when the actor may only pay for himself.
pub fn create(
    tx: &WriteTx<'_>,
    actor: &Actor,
    new: NewOrder,
    reaches: impl Fn(Channel) -> bool,
    request: Option<&RequestKey>,
) -> Result<PaymentOrder> {
    if let Some(request) = request
        && let Some((fingerprint, id)) = payment_requests::find(tx, &request.key)?
    {
        if fingerprint != request.fingerprint {
            return Err(Error::Conflict("Idempotency-Key已用于另一个请求".into()));
        }
        return payment_orders::find(tx, id)?.ok_or(NO_SUCH);
    }
    let order = match new.order_type {
        OrderType::CustomerOrder => make(tx, actor, new, reaches)?,
        OrderType::Salary | OrderType::SupplierPayment => {
            if !actor.may(Permission::PaymentsWrite) {
                return Err(Error::Forbidden("没有此操作的权限"));
            }
            let payout = NewPayout {
                order_type: new.order_type,
                payment_method: new.payment_method,
                amount: new.amount,
                related_id: new.related_id,
                subject: new.subject,
            };
            payouts::open(tx, actor, &payout)?
        }
    };
    if let Some(request) = request {
        payment_requests::insert(tx, &request.key, &request.fingerprint, order.id)?;
    }
    Ok(order)
}

fn make(tx: &WriteTx<'_>, actor: &Actor, new: NewOrder, reaches: impl Fn(Channel) -> bool) -> Result<PaymentOrder> {
    let name = check_customer(tx, actor, new.related_id)?;
    if new.amount < LEAST {
        return Err(Error::invalid("amount", "金额应大于0"));
    }
    let trade = trade_of(&new, &reaches)?;
    let channel = new.payment_method.channel();
    if trade.is_online() && !reaches(channel) {
        return Err(Error::Conflict(format!("未开通{}", title(channel)).into()));
    }
    if let Some(slip) = &new.slip {
        check_slip(slip)?;
    }
    let scene = scene_of(tx, actor, trade)?;
    let id = payment_orders::next_id(tx)?;
    let (site, chance) = number_parts(tx)?;
    let number = OrderNo::of_order(site, tx.zone.day(tx.now), id, chance);
    let minutes = new.expires_minutes.unwrap_or(EXPIRES_MINUTES);
    let order = PaymentOrder {
        id,
        order_no: number.clone(),
        out_no: number,
        order_type: new.order_type,
        payment_method: new.payment_method,
        trade,
        amount: new.amount,
        related_id: new.related_id,
        subject: new.subject.unwrap_or_else(|| format!("{name}的费用")),
        category: new.category.unwrap_or_else(|| CATEGORY.to_owned()),
        status: if trade.is_online() { OrderStatus::Queued } else { OrderStatus::Pending },
        payment_url: None,
        platform_no: None,
        slip: new.slip,
        failure: None,
        refund_due: false,
        replaces_id: None,
        created_at: tx.now,
        created_by: actor.user_id(),
        sent_at: None,
        expires_at: trade.is_online().then(|| tx.now.plus_ms(minutes * MINUTE_MS)),
        paid_at: None,
        closed_at: None,
        approved_by: None,
        approved_at: None,
        confirmed_by: None,
        updated_at: tx.now,
    };
    payment_orders::insert(tx, &order)?;
    let deed =
        Deed { action: Action::Create, noun: NOUN, noun_id: Some(id.get()), before: None, after: Some(image(&order)) };
    record(tx, actor, deed)?;
    if trade.is_online() {
        payment_orders::keep(tx, id, Sealed::Request, Some(&scene))?;
        payment_tasks::wake(tx, Subject::Order(id), tx.now)?;
    } else if order.slip.is_some() && actor.may(Permission::PaymentsConfirm) {
        return confirmed(tx, actor, &order, None);
    }
    Ok(order)
}

/// The customer's name; a customer may pay for himself only.
fn check_customer(tx: &ReadTx<'_>, actor: &Actor, related_id: i64) -> Result<String> {
    let missing = || Error::invalid("related_id", "客户不存在");
    let id = CustomerId::try_from(related_id).map_err(|_| missing())?;
    if !actor.may(Permission::PaymentsWrite) && actor.customer_id() != Some(id) {
        return Err(missing());
    }
    Ok(customers::find(tx, id)?.ok_or_else(missing)?.name)
}

fn trade_of(new: &NewOrder, reaches: &impl Fn(Channel) -> bool) -> Result<Trade> {
    let fits = |trade| match new.payment_method {
        PaymentMethod::Wechat => matches!(trade, Trade::Native | Trade::Jsapi),
        PaymentMethod::Alipay => matches!(trade, Trade::Qr),
        PaymentMethod::Bank => matches!(trade, Trade::Qr | Trade::Pos | Trade::BankTransfer),
    };
    let trade = match (new.trade, new.payment_method) {
        (Some(trade), _) => trade,
        (None, PaymentMethod::Wechat) => Trade::Native,
        (None, PaymentMethod::Alipay) => Trade::Qr,
        (None, PaymentMethod::Bank) if new.slip.is_some() => Trade::Pos,
        (None, PaymentMethod::Bank) if reaches(Channel::Unionpay) => Trade::Qr,
        (None, PaymentMethod::Bank) => Trade::BankTransfer,
    };
    if !fits(trade) {
        return Err(Error::invalid("trade", "交易方式与支付方式不符"));
    }
    match (trade, &new.slip) {
        (Trade::Pos, None) => Err(Error::invalid("pos", "请填写POS签购单信息")),
        (Trade::Native | Trade::Jsapi | Trade::Qr, Some(_)) => Err(Error::invalid("pos", "线上支付没有签购单")),
        _ => Ok(trade),
    }
}

/// A whole card number is never kept.
fn check_slip(slip: &Slip) -> Result<()> {
    check_reference(&slip.reference)?;
    let tail = slip.card_tail.as_deref();
    if tail.is_some_and(|tail| tail.len() != 4 || !tail.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(Error::invalid("pos.card_tail", "应为卡号末四位数字"));
    }
    for (field, value) in [("pos.terminal", &slip.terminal), ("pos.batch", &slip.batch)] {
        if value.as_ref().is_some_and(|value| safe_number(value) != *value) {
            return Err(Error::invalid(field, "不能填写银行卡号"));
        }
    }
    Ok(())
}

fn check_reference(reference: &str) -> Result<()> {
    if safe_number(reference) == reference {
        Ok(())
    } else {
        Err(Error::invalid("reference", "不能填写银行卡号"))
    }
}

fn scene_of(tx: &ReadTx<'_>, actor: &Actor, trade: Trade) -> Result<Scene> {
    if trade != Trade::Jsapi {
        return Ok(Scene::Code);
    }
    let openid = match actor.user_id() {
        Some(id) => users::openid_of(tx, id)?,
        None => None,
    };
    let openid = openid.ok_or_else(|| Error::invalid("trade", "当前用户未绑定微信，不能在小程序内支付"))?;
    Ok(Scene::MiniProgram { openid })
}

/// What people call a platform.
pub const fn title(channel: Channel) -> &'static str {
    match channel {
        Channel::Wechat => "微信支付",
        Channel::Alipay => "支付宝",
        Channel::Unionpay => "银联",
    }
}

/// The order of this number, for whoever may see it: the staff that may, the customer whose it is, the payee of a payout.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, actor: &Actor, number: &OrderNo) -> Result<PaymentOrder> {
    let order = payment_orders::find_by_number(tx, number)?.ok_or(NO_SUCH)?;
    let own = order.order_type == OrderType::CustomerOrder
        && actor.may(Permission::PaymentsPay)
        && actor.customer_id().is_some_and(|id| id.get() == order.related_id);
    if own || actor.may(Permission::PaymentsRead) || payouts::is_payee(tx, actor, &order)? {
        Ok(order)
    } else {
        Err(NO_SUCH)
    }
}

/// A page of the orders that pass the filter, the latest first; a customer sees his own.
///
/// # Errors
/// When the database fails.
pub fn list(tx: &ReadTx<'_>, actor: &Actor, filter: PaymentOrderFilter, page: Page) -> Result<Listed<PaymentOrder>> {
    if actor.may(Permission::PaymentsRead) {
        return payment_orders::list(tx, &filter, page);
    }
    let Some(id) = actor.customer_id() else { return Ok(Listed { total: 0, items: Vec::new() }) };
    if filter.related_id.is_some_and(|asked| asked != id.get())
        || filter.order_type.is_some_and(|asked| asked != OrderType::CustomerOrder)
    {
        return Ok(Listed { total: 0, items: Vec::new() });
    }
    let own = PaymentOrderFilter { order_type: Some(OrderType::CustomerOrder), related_id: Some(id.get()), ..filter };
    payment_orders::list(tx, &own, page)
}

/// Closes a payment: nobody can pay it any more. The platform has the last word on whether somebody has.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is paid, or is no payment.
pub fn close(tx: &WriteTx<'_>, actor: &Actor, number: &OrderNo) -> Result<PaymentOrder> {
    let before = payment_orders::find_by_number(tx, number)?.ok_or(NO_SUCH)?;
    if before.order_type.is_payout() {
        return Err(Error::Conflict("付款单请撤销，不能关闭".into()));
    }
    match before.status {
        OrderStatus::Queued | OrderStatus::Pending if before.sent_at.is_none() => {
            payment_tasks::remove(tx, Subject::Order(before.id))?;
            let after = PaymentOrder {
                status: OrderStatus::Closed,
                closed_at: Some(tx.now),
                failure: Some("已关闭".to_owned()),
                ..before.clone()
            };
            change(tx, actor, &before, after)
        }
        OrderStatus::Queued | OrderStatus::Pending => {
            payment_tasks::wake(tx, Subject::Order(before.id), tx.now)?;
            change(tx, actor, &before, PaymentOrder { status: OrderStatus::Closing, ..before.clone() })
        }
        OrderStatus::Closing | OrderStatus::Closed | OrderStatus::Failed => Ok(before),
        _ => Err(Error::Conflict("订单已支付，不能关闭".into())),
    }
}

/// Notes that recorded money is there: a slip, a transfer to or from the bank account. Again is no harm.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] when no reference is known; [`Error::Conflict`] when a platform has to say it, when the reference
/// stands for another payment, or when the order has ended otherwise.
pub fn confirm(tx: &WriteTx<'_>, actor: &Actor, number: &OrderNo, reference: Option<String>) -> Result<PaymentOrder> {
    let order = payment_orders::find_by_number(tx, number)?.ok_or(NO_SUCH)?;
    if order.trade.is_online() {
        return Err(Error::Conflict("线上支付以支付平台的结果为准".into()));
    }
    if order.order_type.is_payout() {
        payouts::settle_by_bank(tx, actor, &order, &BankWord::Paid)?;
        return payment_orders::find(tx, order.id)?.ok_or(NO_SUCH);
    }
    match order.status {
        OrderStatus::Paid => Ok(order),
        OrderStatus::Pending => confirmed(tx, actor, &order, reference),
        _ => Err(Error::Conflict("订单已关闭".into())),
    }
}

fn confirmed(tx: &WriteTx<'_>, actor: &Actor, order: &PaymentOrder, reference: Option<String>) -> Result<PaymentOrder> {
    if let Some(reference) = &reference {
        check_reference(reference)?;
    }
    let slip = match (&order.slip, reference) {
        (Some(slip), None) => slip.clone(),
        (Some(slip), Some(reference)) => Slip { reference, ..slip.clone() },
        (None, Some(reference)) => Slip { reference, terminal: None, batch: None, card_tail: None },
        (None, None) => return Err(Error::invalid("reference", "请填写银行流水号")),
    };
    let after = PaymentOrder {
        status: OrderStatus::Paid,
        slip: Some(slip),
        paid_at: Some(tx.now),
        confirmed_by: actor.user_id(),
        ..order.clone()
    };
    let after = change(tx, actor, order, after)?;
    received(tx, &after)?;
    Ok(after)
}

/// What a customer has paid and got back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Paid in all.
    pub paid: Fen,
    /// Given back in all.
    pub refunded: Fen,
}

/// What a customer has paid and got back, for the staff that may see it and for the customer himself.
///
/// # Errors
/// [`Error::NotFound`].
pub fn account(tx: &ReadTx<'_>, actor: &Actor, id: CustomerId) -> Result<Account> {
    const NO_CUSTOMER: Error = Error::NotFound("客户不存在");
    if !actor.may(Permission::PaymentsRead) && actor.customer_id() != Some(id) {
        return Err(NO_CUSTOMER);
    }
    customers::find(tx, id)?.ok_or(NO_CUSTOMER)?;
    Ok(Account { paid: payment_orders::paid_by(tx, id.get())?, refunded: payment_refunds::returned_to(tx, id.get())? })
}

/// Has the platform asked about an order before it is shown, when its news may be older than three seconds; says whether.
///
/// # Errors
/// When the database fails.
pub fn refresh(tx: &WriteTx<'_>, id: PaymentOrderId) -> Result<bool> {
    let order = payment_orders::find(tx, id)?.ok_or(NO_SUCH)?;
    let waits = matches!(order.status, OrderStatus::Pending | OrderStatus::Closing) && order.trade.is_online();
    let Some(task) = payment_tasks::find(tx, Subject::Order(order.id))? else { return Ok(false) };
    let asked_at = task.asked_at.unwrap_or(order.created_at);
    if !waits || tx.now.ms_since(asked_at) < NEWS_MS {
        return Ok(false);
    }
    payment_tasks::hurry(tx, Subject::Order(order.id))?;
    Ok(true)
}
