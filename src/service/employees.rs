//! What people do with employees.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::{Actor, Permission};
use crate::domain::audit::Action;
use crate::domain::ids::EmployeeId;
use crate::domain::money::Fen;
use crate::domain::phone;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::store::employees::{self, Employee, EmployeeFilter, NOUN};
use crate::store::page::{Listed, Page};
use crate::store::{ReadTx, WriteTx};

const NO_SUCH: Error = Error::NotFound("员工不存在");

/// An employee to be added.
#[derive(Debug, Clone)]
pub struct NewEmployee {
    /// 姓名
    pub name: String,
    /// 职位
    pub position: String,
    /// 联系方式
    pub contact: Option<String>,
    /// 基本工资, a month.
    pub base_salary: Option<Fen>,
    /// 入职日期
    pub joining_date: Option<Date>,
    /// 状态
    pub status: Status,
}

/// What a change says of the base salary.
///
/// It is apart from the rest of the change, since to name it at all takes a right: whoever may not see the salary could
/// otherwise find it out by setting it to one amount after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SalaryChange {
    /// Nothing.
    Keep,
    /// The new salary, or that there is none.
    Set(Option<Fen>),
}

/// Adds an employee.
///
/// # Errors
/// [`Error::Forbidden`] when a salary is given and the actor may not set it; [`Error::Invalid`] when it is negative.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, new: NewEmployee) -> Result<Employee> {
    let employee = Employee {
        id: employees::next_id(tx)?,
        name: new.name,
        position: new.position,
        contact: new.contact,
        base_salary: new.base_salary,
        joining_date: new.joining_date,
        status: new.status,
        created_at: tx.now,
        updated_at: tx.now,
    };
    if employee.base_salary.is_some() {
        check_salary_right(actor)?;
    }
    check(&employee)?;
    employees::insert(tx, &employee)?;
    record(tx, actor, deed(Action::Create, employee.id, None, Some(image(&employee))))?;
    Ok(employee)
}

/// Changes an employee: `change` gets the row as it is and leaves it as it shall be, but for the salary.
///
/// # Errors
/// [`Error::Forbidden`] when the salary is named and the actor may not set it; [`Error::NotFound`]; [`Error::Invalid`] when
/// the salary would be negative.
pub fn update(
    tx: &WriteTx<'_>,
    actor: &Actor,
    id: EmployeeId,
    salary: SalaryChange,
    change: impl FnOnce(&mut Employee),
) -> Result<Employee> {
    let before = employees::find(tx, id)?.ok_or(NO_SUCH)?;
    let mut after = before.clone();
    change(&mut after);
    if let SalaryChange::Set(salary) = salary {
        check_salary_right(actor)?;
        after.base_salary = salary;
    }
    let salary_changed = after.base_salary != before.base_salary;
    if salary_changed {
        check_salary_right(actor)?;
    }
    check(&after)?;
    after.updated_at = tx.now;
    employees::update(tx, &after)?;
    let mut image_after = image(&after);
    if salary_changed {
        image_after["base_salary_changed"] = json!(true);
    }
    record(tx, actor, deed(Action::Update, id, Some(image(&before)), Some(image_after)))?;
    Ok(after)
}

/// Hides an employee; old records still resolve to it.
///
/// # Errors
/// [`Error::NotFound`].
pub fn delete(tx: &WriteTx<'_>, actor: &Actor, id: EmployeeId) -> Result<()> {
    let before = employees::find(tx, id)?.ok_or(NO_SUCH)?;
    employees::hide(tx, id)?;
    record(tx, actor, deed(Action::Delete, id, Some(image(&before)), None))
}

/// One employee.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, id: EmployeeId) -> Result<Employee> {
    employees::find(tx, id)?.ok_or(NO_SUCH)
}

/// A page of the employees that pass the filter.
pub fn list(tx: &ReadTx<'_>, filter: &EmployeeFilter, page: Page) -> Result<Listed<Employee>> {
    employees::list(tx, filter, page)
}

fn check_salary_right(actor: &Actor) -> Result<()> {
    if actor.may(Permission::FinanceWrite) {
        Ok(())
    } else {
        Err(Error::Forbidden("没有设置基本工资的权限"))
    }
}

fn check(employee: &Employee) -> Result<()> {
    match employee.base_salary {
        Some(salary) if salary < Fen::ZERO => Err(Error::invalid("base_salary", "基本工资不能为负数")),
        _ => Ok(()),
    }
}

fn deed(action: Action, id: EmployeeId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it: whoever reads the trail may not be allowed to see salaries.
fn image(employee: &Employee) -> Value {
    json!({
        "name": employee.name,
        "position": employee.position,
        "contact": employee.contact.as_deref().map(phone::masked),
        "base_salary": employee.base_salary.map(|_| "***"),
        "joining_date": employee.joining_date.map(|date| date.to_string()),
        "status": employee.status.as_str(),
    })
}
