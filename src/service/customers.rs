//! What people do with customers.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::{Actor, Permission};
use crate::domain::audit::Action;
use crate::domain::customers::check_stay;
use crate::domain::ids::CustomerId;
use crate::domain::phone;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::store::customers::{self, Customer, CustomerFilter, NOUN};
use crate::store::page::{Listed, Page};
use crate::store::{ReadTx, WriteTx};

const NO_SUCH: Error = Error::NotFound("客户不存在");

/// A customer to be added.
#[derive(Debug, Clone)]
pub struct NewCustomer {
    /// 姓名
    pub name: String,
    /// 年龄, in years.
    pub age: Option<i64>,
    /// 性别
    pub gender: Option<String>,
    /// 联系方式
    pub contact: Option<String>,
    /// 预产期/分娩日期
    pub delivery_date: Option<Date>,
    /// 入住日期
    pub check_in_date: Option<Date>,
    /// 退房日期
    pub check_out_date: Option<Date>,
    /// 饮食禁忌
    pub dietary_restrictions: Option<String>,
    /// 口味偏好
    pub preferences: Option<String>,
    /// 状态
    pub status: Status,
}

/// Adds a customer.
///
/// # Errors
/// [`Error::Invalid`] when the stay ends before it begins.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, new: NewCustomer) -> Result<Customer> {
    let customer = Customer {
        id: customers::next_id(tx)?,
        name: new.name,
        age: new.age,
        gender: new.gender,
        contact: new.contact,
        delivery_date: new.delivery_date,
        check_in_date: new.check_in_date,
        check_out_date: new.check_out_date,
        dietary_restrictions: new.dietary_restrictions,
        preferences: new.preferences,
        status: new.status,
        created_at: tx.now,
        updated_at: tx.now,
    };
    check(&customer)?;
    customers::insert(tx, &customer)?;
    record(tx, actor, deed(Action::Create, customer.id, None, Some(image(&customer))))?;
    Ok(customer)
}

/// Changes a customer: `change` gets the row as it is and leaves it as it shall be.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] when the stay would end before it begins.
pub fn update(tx: &WriteTx<'_>, actor: &Actor, id: CustomerId, change: impl FnOnce(&mut Customer)) -> Result<Customer> {
    let before = customers::find(tx, id)?.ok_or(NO_SUCH)?;
    let mut after = before.clone();
    change(&mut after);
    check(&after)?;
    after.updated_at = tx.now;
    customers::update(tx, &after)?;
    record(tx, actor, deed(Action::Update, id, Some(image(&before)), Some(image(&after))))?;
    Ok(after)
}

/// Hides a customer; old records still resolve to it.
///
/// # Errors
/// [`Error::NotFound`].
pub fn delete(tx: &WriteTx<'_>, actor: &Actor, id: CustomerId) -> Result<()> {
    let before = customers::find(tx, id)?.ok_or(NO_SUCH)?;
    customers::hide(tx, id)?;
    record(tx, actor, deed(Action::Delete, id, Some(image(&before)), None))
}

/// One customer that the actor may see.
///
/// # Errors
/// [`Error::NotFound`] also when it is somebody else's and the actor may see only its own.
pub fn read(tx: &ReadTx<'_>, actor: &Actor, id: CustomerId) -> Result<Customer> {
    if !actor.may(Permission::CustomersRead) && actor.customer_id() != Some(id) {
        return Err(NO_SUCH);
    }
    customers::find(tx, id)?.ok_or(NO_SUCH)
}

/// A page of the customers that the actor may see.
pub fn list(tx: &ReadTx<'_>, actor: &Actor, mut filter: CustomerFilter, page: Page) -> Result<Listed<Customer>> {
    if !actor.may(Permission::CustomersRead) {
        match actor.customer_id() {
            Some(own) => filter.id = Some(own),
            None => return Ok(Listed { total: 0, items: Vec::new() }),
        }
    }
    customers::list(tx, &filter, page)
}

fn check(customer: &Customer) -> Result<()> {
    check_stay(customer.check_in_date, customer.check_out_date)
        .map_err(|error| Error::invalid("check_out_date", error.to_string()))
}

fn deed(action: Action, id: CustomerId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it.
fn image(customer: &Customer) -> Value {
    json!({
        "name": customer.name,
        "age": customer.age,
        "gender": customer.gender,
        "contact": customer.contact.as_deref().map(phone::masked),
        "delivery_date": customer.delivery_date.map(|date| date.to_string()),
        "check_in_date": customer.check_in_date.map(|date| date.to_string()),
        "check_out_date": customer.check_out_date.map(|date| date.to_string()),
        "dietary_restrictions": customer.dietary_restrictions,
        "preferences": customer.preferences,
        "status": customer.status.as_str(),
    })
}
