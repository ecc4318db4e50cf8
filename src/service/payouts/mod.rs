//! Payouts: money that leaves the center for an employee or a supplier. What one must be before it is made, who has to agree to it,
//! what the platform is told of it, and what its answers mean.

mod approval;
mod bank;
mod calls;
mod settle;

pub use approval::{approve, cancel, open, reissue, reject};
pub use bank::{BankWord, bank_effect, settle_by_bank, to_the_bank};
pub use calls::{NextDue, next_call, record};
pub use settle::{Effect, settle_transfer};

use serde_json::{Value, json};

use super::audit::{Deed, record as record_deed};
use super::notifications::{Audience, notify};
use super::{payees, settings};
use crate::domain::access::{ADMIN, Actor};
use crate::domain::audit::Action;
use crate::domain::ids::{PaymentOrderId, SalaryId, SupplierId};
use crate::domain::money::Fen;
use crate::domain::payees::{Owner, Payee};
use crate::domain::payments::{OrderNo, OrderStatus, OrderType, PaymentMethod, Trade};
use crate::domain::payouts::takes_approval;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::store::keys::random_bytes;
use crate::store::payment_orders::{self, NOUN, PaymentOrder, Sealed};
use crate::store::payment_tasks::{self, Subject};
use crate::store::{ReadTx, WriteTx, employees, payouts, roles, salaries, suppliers};

/// The category of wages in the books.
const WAGES: &str = "员工薪资";
/// The least that WeChat and Alipay transfer.
const WALLET_MIN: Fen = Fen(10);
/// Characters of what the payee reads at most: WeChat's limit, the narrowest.
const SUBJECT_CHARACTERS_MAX: usize = 32;

/// A payout to be made.
#[derive(Debug, Clone)]
pub struct NewPayout {
    /// [`OrderType::Salary`] or [`OrderType::SupplierPayment`].
    pub order_type: OrderType,
    /// 支付方式
    pub payment_method: PaymentMethod,
    /// 金额
    pub amount: Fen,
    /// The salary or the supplier.
    pub related_id: i64,
    /// What the payee reads, if it is said.
    pub subject: Option<String>,
}

/// A payout that may be made.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Where it goes; [`take_up`] seals it into the order's row.
    pub payee: Payee,
    /// How the money goes.
    pub trade: Trade,
    /// The category in the books.
    pub category: String,
    /// What the payee reads.
    pub subject: String,
    /// [`OrderStatus::AwaitingApproval`] or [`OrderStatus::Queued`].
    pub status: OrderStatus,
}

/// Checks a payout that somebody wants to make.
///
/// # Errors
/// [`Error::Invalid`] names `related_id`, `amount`, `payee` or `subject`; [`Error::Conflict`] when the salary is being paid or was
/// paid.
pub fn check(tx: &ReadTx<'_>, new: &NewPayout) -> Result<Checked> {
    let (owner, name, category, subject) = match new.order_type {
        OrderType::Salary => of_salary(tx, new)?,
        OrderType::SupplierPayment => of_supplier(tx, new)?,
        OrderType::CustomerOrder => return Err(Error::invalid("order_type", "订单类型不是付款")),
    };
    check_amount(new)?;
    let payee = payees::known(tx, owner, new.payment_method, &name)?;
    let payee = payee.ok_or_else(|| Error::invalid("payee", "没有登记该支付方式的收款账户"))?;
    let subject = new.subject.clone().unwrap_or(subject);
    if subject.chars().count() > SUBJECT_CHARACTERS_MAX {
        return Err(Error::invalid("subject", format!("付款说明不能超过{SUBJECT_CHARACTERS_MAX}个字符")));
    }
    let limit = settings::read(tx)?.payout_approval_limit;
    let approval = takes_approval(new.amount, limit);
    Ok(Checked {
        payee,
        trade: trade_of(new.payment_method),
        category,
        subject,
        status: if approval { OrderStatus::AwaitingApproval } else { OrderStatus::Queued },
    })
}

fn check_amount(new: &NewPayout) -> Result<()> {
    let wallet = trade_of(new.payment_method).is_online();
    if new.amount <= Fen::ZERO {
        return Err(Error::invalid("amount", "金额应大于0"));
    }
    if wallet && new.amount < WALLET_MIN {
        return Err(Error::invalid("amount", format!("微信和支付宝付款不能少于{WALLET_MIN}元")));
    }
    Ok(())
}

/// Wallets are paid by their platforms, bank accounts by a file for the bank.
const fn trade_of(method: PaymentMethod) -> Trade {
    match method {
        PaymentMethod::Wechat | PaymentMethod::Alipay => Trade::Transfer,
        PaymentMethod::Bank => Trade::PayrollFile,
    }
}

/// Whose account, the owner's name, the category, what the payee reads.
type Purpose = (Owner, String, String, String);

fn of_salary(tx: &ReadTx<'_>, new: &NewPayout) -> Result<Purpose> {
    let missing = || Error::invalid("related_id", "薪资记录不存在");
    let id = SalaryId::try_from(new.related_id).map_err(|_| missing())?;
    let salary = salaries::find(tx, id)?.ok_or_else(missing)?;
    let newest = salaries::newest(tx, salary.employee_id, salary.pay_period)?;
    if newest.is_none_or(|newest| newest.id != id) {
        return Err(Error::invalid("related_id", "该薪资记录已有更新的版本"));
    }
    if new.amount != salary.net_salary {
        return Err(Error::invalid("amount", format!("金额应等于实发工资{}", salary.net_salary)));
    }
    if payouts::unfinished_of_salary(tx, id, None)? {
        return Err(Error::Conflict("该薪资已有未完成或已支付的付款单".into()));
    }
    let name = employees::name_of(tx, salary.employee_id)?;
    Ok((Owner::Employee(salary.employee_id), name, WAGES.to_owned(), format!("{}工资", salary.pay_period)))
}

fn of_supplier(tx: &ReadTx<'_>, new: &NewPayout) -> Result<Purpose> {
    let missing = || Error::invalid("related_id", "供应商不存在");
    let id = SupplierId::try_from(new.related_id).map_err(|_| missing())?;
    let supplier = suppliers::find(tx, id)?.ok_or_else(missing)?;
    if supplier.status != Status::Active {
        return Err(Error::invalid("related_id", "供应商已停用"));
    }
    let subject = supplier.category.clone();
    Ok((Owner::Supplier(id), supplier.name, supplier.category, subject))
}

/// Takes up a payout whose row was just added: seals its payee into it, and has the platform told, or the others that they have to
/// approve.
///
/// # Errors
/// When the database fails.
pub fn take_up(tx: &WriteTx<'_>, order: &PaymentOrder, checked: &Checked) -> Result<()> {
    payouts::keep_payee(tx, order.id, &checked.payee)?;
    match order.status {
        OrderStatus::AwaitingApproval => {
            let content = format!("付款单{}（{}，{}元）等待审批", order.order_no, order.subject, order.amount);
            tell_admins(tx, "付款待审批", &content)
        }
        _ => send(tx, order),
    }
}

/// The payee as answers show it, for whoever approves.
///
/// # Errors
/// [`Error::Corrupt`] when the order is no payout.
pub fn payee_of(tx: &ReadTx<'_>, order: &PaymentOrder) -> Result<Payee> {
    payouts::payee(tx, order.id, order.payment_method)
}

/// Whether the actor is the employee whom the payout goes to, who may see what WeChat wants of him.
///
/// # Errors
/// When the database fails.
pub fn is_payee(tx: &ReadTx<'_>, actor: &Actor, order: &PaymentOrder) -> Result<bool> {
    let (OrderType::Salary, Some(employee_id)) = (order.order_type, actor.employee_id()) else { return Ok(false) };
    let Ok(id) = SalaryId::try_from(order.related_id) else { return Ok(false) };
    Ok(salaries::find(tx, id)?.is_some_and(|salary| salary.employee_id == employee_id))
}

/// The number of a new payout.
fn new_number(tx: &WriteTx<'_>, id: PaymentOrderId) -> Result<OrderNo> {
    let chance = u32::from_le_bytes(random_bytes()?);
    Ok(OrderNo::of_order(0, tx.zone.day(tx.now), id, chance))
}

/// What the mini-program hands to WeChat so that the payee can accept the money, for the payee alone.
///
/// # Errors
/// When the database fails.
pub fn launch(tx: &ReadTx<'_>, actor: &Actor, order: &PaymentOrder) -> Result<Option<Value>> {
    if is_payee(tx, actor, order)? { payment_orders::kept(tx, order.id, Sealed::Launch) } else { Ok(None) }
}

/// Has the platform told of a payout now; one that goes by a file waits for the file.
fn send(tx: &WriteTx<'_>, order: &PaymentOrder) -> Result<()> {
    if order.trade.is_online() { payment_tasks::wake(tx, Subject::Order(order.id), tx.now) } else { Ok(()) }
}

/// Writes a payout's new state and leaves a trace of it.
fn change(tx: &WriteTx<'_>, actor: &Actor, before: &PaymentOrder, mut after: PaymentOrder) -> Result<PaymentOrder> {
    after.updated_at = tx.now;
    payment_orders::update(tx, before.status, &after)?;
    record_deed(tx, actor, deed(Action::Update, after.id, Some(image(before)), Some(image(&after))))?;
    Ok(after)
}

fn deed(action: Action, id: PaymentOrderId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it: whoever reads the trail may not be allowed to see salaries.
fn image(order: &PaymentOrder) -> Value {
    let amount = match order.order_type {
        OrderType::Salary => "***".to_owned(),
        OrderType::SupplierPayment | OrderType::CustomerOrder => order.amount.to_string(),
    };
    json!({
        "order_id": order.order_no.as_str(),
        "order_type": order.order_type.as_str(),
        "payment_method": order.payment_method.as_str(),
        "amount": amount,
        "related_id": order.related_id,
        "status": order.status.as_str(),
        "failure": order.failure,
    })
}

/// Tells whoever made the payout; where that is nobody of this site, those who look after everything.
fn tell_maker(tx: &WriteTx<'_>, order: &PaymentOrder, title: &str, content: &str) -> Result<()> {
    match order.created_by {
        Some(user) => notify(tx, Audience::User(user), title, content).map(drop),
        None => tell_admins(tx, title, content),
    }
}

fn tell_admins(tx: &WriteTx<'_>, title: &str, content: &str) -> Result<()> {
    let Some(role) = roles::find_by_name(tx, ADMIN)? else { return Ok(()) };
    notify(tx, Audience::Role(role.id), title, content).map(drop)
}
