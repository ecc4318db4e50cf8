//! Where employees and suppliers are paid. A payout keeps the account that was known when it was made.

use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::PayeeId;
use crate::domain::payees::{Account, Owner, Payee};
use crate::domain::payments::PaymentMethod;
use crate::error::{Error, Result};
use crate::store::payees::{self, NOUN};
use crate::store::{ReadTx, WriteTx, employees, suppliers, users};

const NO_SUCH: Error = Error::NotFound("没有登记收款账户");

/// A change of where somebody is paid: what is not there stays.
#[derive(Debug, Clone)]
pub struct PayeeChange {
    /// 账号
    pub account: Option<String>,
    /// 户名
    pub account_name: Option<String>,
    /// 开户行
    pub bank_name: BankName,
}

/// What a change says of the bank's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BankName {
    /// Nothing.
    Keep,
    /// The new name, or that there is none.
    Set(Option<String>),
}

/// Where this owner is paid in this way. An employee without an account of WeChat's on record is paid to the WeChat account
/// that the employee logs in with.
///
/// # Errors
/// [`Error::NotFound`] when there is no such owner, or nothing is known.
pub fn read(tx: &ReadTx<'_>, owner: Owner, method: PaymentMethod) -> Result<Payee> {
    let name = name_of(tx, owner)?;
    known(tx, owner, method, &name)?.ok_or(NO_SUCH)
}

/// As [`read`], for an owner of this name who is known to exist.
pub fn known(tx: &ReadTx<'_>, owner: Owner, method: PaymentMethod, name: &str) -> Result<Option<Payee>> {
    if let Some((_, payee)) = payees::find(tx, owner, method)? {
        return Ok(Some(payee));
    }
    let (Owner::Employee(id), PaymentMethod::Wechat) = (owner, method) else { return Ok(None) };
    let Some(openid) = users::openid_of_employee(tx, id)? else { return Ok(None) };
    let account = Account::new(method, openid.as_str().to_owned())
        .map_err(|error| Error::Corrupt(format!("the openid of employee {id}: {error}")))?;
    Ok(Some(Payee { account, account_name: name.to_owned(), bank_name: None }))
}

/// Sets where this owner is paid in this way.
///
/// # Errors
/// [`Error::NotFound`] when there is no such owner; [`Error::Invalid`] when the account does not fit the way to pay, or
/// something is missing and nothing is known yet.
pub fn set(tx: &WriteTx<'_>, actor: &Actor, owner: Owner, method: PaymentMethod, change: PayeeChange) -> Result<Payee> {
    name_of(tx, owner)?;
    let before = payees::find(tx, owner, method)?.map(|(_, payee)| payee);
    let account = match (change.account, &before) {
        (Some(text), _) => Account::new(method, text).map_err(|error| Error::invalid("account", error.to_string()))?,
        (None, Some(before)) => before.account.clone(),
        (None, None) => return Err(Error::invalid("account", "账号不能为空")),
    };
    let account_name = change
        .account_name
        .or_else(|| before.as_ref().map(|before| before.account_name.clone()))
        .ok_or_else(|| Error::invalid("account_name", "户名不能为空"))?;
    let bank_name = match change.bank_name {
        BankName::Set(name) => name,
        BankName::Keep => before.as_ref().and_then(|before| before.bank_name.clone()),
    };
    if method == PaymentMethod::Bank && bank_name.is_none() {
        return Err(Error::invalid("bank_name", "开户行不能为空"));
    }
    let after = Payee { account, account_name, bank_name };
    let id = payees::set(tx, owner, method, &after)?;
    let changed = before.as_ref().is_none_or(|before| before.account != after.account);
    let action = if before.is_some() { Action::Update } else { Action::Create };
    let before = before.map(|before| image(owner, method, &before));
    let mut after_image = image(owner, method, &after);
    // Two accounts may end alike.
    after_image["account_changed"] = json!(changed);
    record(tx, actor, deed(action, id, before, Some(after_image)))?;
    Ok(after)
}

/// Forgets where this owner is paid in this way.
///
/// # Errors
/// [`Error::NotFound`] when there is no such owner, or nothing is on record.
pub fn delete(tx: &WriteTx<'_>, actor: &Actor, owner: Owner, method: PaymentMethod) -> Result<()> {
    name_of(tx, owner)?;
    let (id, before) = payees::find(tx, owner, method)?.ok_or(NO_SUCH)?;
    payees::hide(tx, id)?;
    record(tx, actor, deed(Action::Delete, id, Some(image(owner, method, &before)), None))
}

fn name_of(tx: &ReadTx<'_>, owner: Owner) -> Result<String> {
    match owner {
        Owner::Employee(id) => {
            employees::find(tx, id)?.map(|employee| employee.name).ok_or(Error::NotFound("员工不存在"))
        }
        Owner::Supplier(id) => {
            suppliers::find(tx, id)?.map(|supplier| supplier.name).ok_or(Error::NotFound("供应商不存在"))
        }
    }
}

fn deed(action: Action, id: PayeeId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it.
fn image(owner: Owner, method: PaymentMethod, payee: &Payee) -> Value {
    json!({
        "noun": owner.noun(),
        "noun_id": owner.id(),
        "payment_method": method.as_str(),
        "account": payee.account.masked(),
        "account_name": payee.account_name,
        "bank_name": payee.bank_name,
    })
}
