//! What employees are owed, month by month. A salary that is not paid yet is corrected by a new version; one that is being paid
//! or was paid stays as it is.

use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::{EmployeeId, SalaryId};
use crate::domain::payments::{OrderNo, OrderStatus};
use crate::domain::salaries::{BadPay, Pay, PayPeriod};
use crate::error::{Error, Result};
use crate::store::page::{Listed, Page};
use crate::store::payouts;
use crate::store::salaries::{self, NOUN, Salary, SalaryFilter};
use crate::store::{ReadTx, WriteTx, employees};

const NO_SUCH: Error = Error::NotFound("薪资记录不存在");

/// A salary to be entered.
#[derive(Debug, Clone)]
pub struct NewSalary {
    /// Whose.
    pub employee_id: EmployeeId,
    /// 薪资周期
    pub pay_period: PayPeriod,
    /// The parts.
    pub pay: Pay,
    /// 备注
    pub note: Option<String>,
}

/// A salary as people read it.
#[derive(Debug, Clone)]
pub struct Payslip {
    /// The row.
    pub salary: Salary,
    /// 员工姓名
    pub employee_name: String,
    /// The latest payout of it: the order's number, and how it stands.
    pub payout: Option<(OrderNo, OrderStatus)>,
}

/// Enters a salary: the first version, or one that takes the place of the last.
///
/// # Errors
/// [`Error::Invalid`] when there is no such employee or the parts make no pay; [`Error::Conflict`] when the salary is being
/// paid or was paid.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, new: NewSalary) -> Result<Payslip> {
    let employee = employees::find(tx, new.employee_id)?;
    let employee = employee.ok_or_else(|| Error::invalid("employee_id", "员工不存在"))?;
    let net_salary = new.pay.net().map_err(refused)?;
    let before = salaries::newest(tx, new.employee_id, new.pay_period)?;
    if let Some(before) = &before
        && payouts::unfinished_of_salary(tx, before.id, None)?
    {
        return Err(Error::Conflict("该月薪资正在付款或已付款，不能再改".into()));
    }
    let salary = Salary {
        id: salaries::next_id(tx)?,
        employee_id: new.employee_id,
        pay_period: new.pay_period,
        version: before.as_ref().map_or(1, |before| before.version + 1),
        pay: new.pay,
        net_salary,
        note: new.note,
        created_at: tx.now,
        created_by: actor.user_id(),
    };
    salaries::insert(tx, &salary)?;
    record(
        tx,
        actor,
        Deed {
            action: Action::Create,
            noun: NOUN,
            noun_id: Some(salary.id.get()),
            before: before.as_ref().map(image),
            after: Some(image(&salary)),
        },
    )?;
    Ok(Payslip { salary, employee_name: employee.name, payout: None })
}

/// One salary, whether or not a later version has taken its place.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, id: SalaryId) -> Result<Payslip> {
    payslip(tx, salaries::find(tx, id)?.ok_or(NO_SUCH)?)
}

/// A page of the newest versions that pass the filter, the latest month first.
///
/// # Errors
/// When the database fails.
pub fn list(tx: &ReadTx<'_>, filter: &SalaryFilter, page: Page) -> Result<Listed<Payslip>> {
    let Listed { total, items } = salaries::list(tx, filter, page)?;
    let items = items.into_iter().map(|salary| payslip(tx, salary)).collect::<Result<_>>()?;
    Ok(Listed { total, items })
}

fn payslip(tx: &ReadTx<'_>, salary: Salary) -> Result<Payslip> {
    Ok(Payslip {
        employee_name: employees::name_of(tx, salary.employee_id)?,
        payout: payouts::latest_of_salary(tx, salary.id)?,
        salary,
    })
}

fn refused(error: BadPay) -> Error {
    match error {
        BadPay::Negative(field) => Error::invalid(field, error.to_string()),
        BadPay::Overdrawn => Error::invalid("deductions", error.to_string()),
        BadPay::TooLarge => Error::invalid("base_salary", error.to_string()),
    }
}

/// The row as the audit trail may show it: whoever reads the trail may not be allowed to see salaries.
fn image(salary: &Salary) -> Value {
    json!({
        "employee_id": salary.employee_id.get(),
        "pay_period": salary.pay_period.to_string(),
        "version": salary.version,
        "net_salary": "***",
        "note": salary.note,
    })
}
