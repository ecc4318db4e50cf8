//! Statements on `salaries`. A row is never changed: a later version takes its place.

use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::{ReadTx, WriteTx};
use crate::domain::ids::{CENTER_IDS_FROM, EmployeeId, SalaryId, UserId};
use crate::domain::money::Fen;
use crate::domain::salaries::{Pay, PayPeriod};
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "salaries";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salary {
    /// Identity.
    pub id: SalaryId,
    /// Whose.
    pub employee_id: EmployeeId,
    /// 薪资周期
    pub pay_period: PayPeriod,
    /// From 1; the highest of an employee and month is the one that counts.
    pub version: i64,
    /// The parts.
    pub pay: Pay,
    /// 实发工资
    pub net_salary: Fen,
    /// 备注
    pub note: Option<String>,
    /// When the row came into being.
    pub created_at: Instant,
    /// Who made it.
    pub created_by: Option<UserId>,
}

/// Which salaries.
#[derive(Debug, Clone, Default)]
pub struct SalaryFilter {
    /// Only of this employee.
    pub employee_id: Option<EmployeeId>,
    /// Only of this month.
    pub pay_period: Option<PayPeriod>,
}

const COLUMNS: &str = "id, employee_id, pay_period, version, base_salary_fen, overtime_pay_fen, allowance_fen, \
                       deductions_fen, net_salary_fen, note, created_at, created_by";

/// The id that the next salary of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<SalaryId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from salaries where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(SalaryId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, salary: &Salary) -> Result<()> {
    let sql = "insert into salaries (id, employee_id, pay_period, version, base_salary_fen, overtime_pay_fen,
                   allowance_fen, deductions_fen, net_salary_fen, note, created_at, created_by)
               values (:id, :employee_id, :pay_period, :version, :base_salary_fen, :overtime_pay_fen,
                   :allowance_fen, :deductions_fen, :net_salary_fen, :note, :created_at, :created_by)";
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": salary.id,
        ":employee_id": salary.employee_id,
        ":pay_period": salary.pay_period,
        ":version": salary.version,
        ":base_salary_fen": salary.pay.base_salary,
        ":overtime_pay_fen": salary.pay.overtime_pay,
        ":allowance_fen": salary.pay.allowance,
        ":deductions_fen": salary.pay.deductions,
        ":net_salary_fen": salary.net_salary,
        ":note": salary.note,
        ":created_at": salary.created_at,
        ":created_by": salary.created_by,
    })?;
    Ok(())
}

/// The salary, whether or not a later version has taken its place.
pub fn find(tx: &ReadTx<'_>, id: SalaryId) -> Result<Option<Salary>> {
    let sql = "select id, employee_id, pay_period, version, base_salary_fen, overtime_pay_fen, allowance_fen,
                      deductions_fen, net_salary_fen, note, created_at, created_by
               from salaries where id = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// The newest version for an employee and month.
pub fn newest(tx: &ReadTx<'_>, employee_id: EmployeeId, pay_period: PayPeriod) -> Result<Option<Salary>> {
    let sql = "select id, employee_id, pay_period, version, base_salary_fen, overtime_pay_fen, allowance_fen,
                      deductions_fen, net_salary_fen, note, created_at, created_by
               from salaries where employee_id = ?1 and pay_period = ?2 order by version desc limit 1";
    Ok(tx.connection.prepare_cached(sql)?.query_row((employee_id, pay_period), read).optional()?)
}

/// A page of the newest versions that pass the filter, the latest month first.
pub fn list(tx: &ReadTx<'_>, filter: &SalaryFilter, page: Page) -> Result<Listed<Salary>> {
    Filter::default()
        .when("employee_id = ?", filter.employee_id)
        .when("pay_period = ?", filter.pay_period)
        .only(
            "not exists (select 1 from salaries as later where later.employee_id = salaries.employee_id
                         and later.pay_period = salaries.pay_period and later.version > salaries.version)",
        )
        .list(tx, (COLUMNS, "salaries", "pay_period desc, employee_id desc, version desc"), page, |row| Ok(read(row)?))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Salary> {
    Ok(Salary {
        id: row.get("id")?,
        employee_id: row.get("employee_id")?,
        pay_period: row.get("pay_period")?,
        version: row.get("version")?,
        pay: Pay {
            base_salary: row.get("base_salary_fen")?,
            overtime_pay: row.get("overtime_pay_fen")?,
            allowance: row.get("allowance_fen")?,
            deductions: row.get("deductions_fen")?,
        },
        net_salary: row.get("net_salary_fen")?,
        note: row.get("note")?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
    })
}
