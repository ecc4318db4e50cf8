//! Statements on `employees`.

use jiff::civil::Date;
use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::rows::{Day, optional_day};
use super::vault::Place;
use super::{ReadTx, WriteTx, search};
use crate::domain::ids::{CENTER_IDS_FROM, EmployeeId};
use crate::domain::money::Fen;
use crate::domain::phone;
use crate::domain::status::Status;
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables, search terms and audit rows.
pub const NOUN: &str = "employees";

/// A row, its contact opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Employee {
    /// Identity.
    pub id: EmployeeId,
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
    /// When the row came into being.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// Which employees.
#[derive(Debug, Clone, Default)]
pub struct EmployeeFilter {
    /// A part of the name, its pinyin or initials, or a whole telephone number.
    pub search: Option<String>,
    /// Only of this position.
    pub position: Option<String>,
    /// Only these.
    pub status: Option<Status>,
}

const COLUMNS: &str = "id, name, position, contact, base_salary_fen, joining_date, status, created_at, updated_at";

/// The id that the next employee of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<EmployeeId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from employees where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(EmployeeId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, employee: &Employee) -> Result<()> {
    save(
        tx,
        employee,
        "insert into employees (id, name, position, contact, contact_index, base_salary_fen, joining_date, status,
             created_at, updated_at)
         values (:id, :name, :position, :contact, :contact_index, :base_salary_fen, :joining_date, :status,
             :created_at, :updated_at)",
    )
}

/// Writes a row's new state.
pub fn update(tx: &WriteTx<'_>, employee: &Employee) -> Result<()> {
    save(
        tx,
        employee,
        "update employees set name = :name, position = :position, contact = :contact, contact_index = :contact_index,
             base_salary_fen = :base_salary_fen, joining_date = :joining_date, status = :status,
             created_at = :created_at, updated_at = :updated_at
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, employee: &Employee, sql: &str) -> Result<()> {
    let contact = employee.contact.as_deref().map(|text| tx.vault.seal(contact_of(employee.id), text)).transpose()?;
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": employee.id,
        ":name": employee.name,
        ":position": employee.position,
        ":contact": contact,
        ":contact_index": employee.contact.as_deref().map(|text| contact_index(tx, text)),
        ":base_salary_fen": employee.base_salary,
        ":joining_date": employee.joining_date.map(Day),
        ":status": employee.status,
        ":created_at": employee.created_at,
        ":updated_at": employee.updated_at,
    })?;
    search::index(tx, NOUN, employee.id.get(), &[&employee.name], &[])
}

/// Hides a row; its history stays.
pub fn hide(tx: &WriteTx<'_>, id: EmployeeId) -> Result<()> {
    tx.connection.prepare_cached("update employees set deleted_at = ?2 where id = ?1")?.execute((id, tx.now))?;
    search::forget(tx, NOUN, id.get())
}

/// The employee, unless it is hidden.
pub fn find(tx: &ReadTx<'_>, id: EmployeeId) -> Result<Option<Employee>> {
    let sql = "select id, name, position, contact, base_salary_fen, joining_date, status, created_at, updated_at
               from employees where id = ?1 and deleted_at is null";
    tx.connection.prepare_cached(sql)?.query_row([id], |row| Ok(read(tx, row))).optional()?.transpose()
}

/// The employee's name, hidden or not: old records still resolve to it.
pub fn name_of(tx: &ReadTx<'_>, id: EmployeeId) -> Result<String> {
    let sql = "select name from employees where id = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
}

/// Whether the employee may punch: `None` when there is none.
pub fn status_of(tx: &ReadTx<'_>, id: EmployeeId) -> Result<Option<Status>> {
    let sql = "select status from employees where id = ?1 and deleted_at is null";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?)
}

/// The active employees who are reached by this number, up to `limit` of them.
pub fn find_by_contact(tx: &ReadTx<'_>, contact: &str, limit: u32) -> Result<Vec<Employee>> {
    Filter::default()
        .only("deleted_at is null")
        .only("status = 'active'")
        .when("contact_index = ?", Some(contact_index(tx, contact)))
        .rows(tx, (COLUMNS, "employees", "id"), (i64::from(limit), 0), |row| read(tx, row))
}

/// A page of the employees that pass the filter, by id.
pub fn list(tx: &ReadTx<'_>, filter: &EmployeeFilter, page: Page) -> Result<Listed<Employee>> {
    let mut conditions = Filter::default()
        .only("deleted_at is null")
        .when("position = ?", filter.position.as_deref())
        .when("status = ?", filter.status);
    if let Some(word) = &filter.search {
        let mut values = search::values(NOUN, word);
        values.push(Box::new(contact_index(tx, word)));
        conditions = conditions.with(
            "id in (select row_id from search_terms where noun = ? and suffix >= ? and suffix < ?
                    union select id from employees where contact_index = ?)",
            values,
        );
    }
    conditions.list(tx, (COLUMNS, "employees", "id"), page, |row| read(tx, row))
}

fn contact_of(id: EmployeeId) -> Place<'static> {
    Place { table: "employees", column: "contact", id: id.get() }
}

fn contact_index(tx: &ReadTx<'_>, contact: &str) -> String {
    tx.vault.index("employees.contact", &phone::normalized(contact))
}

fn read(tx: &ReadTx<'_>, row: &Row<'_>) -> Result<Employee> {
    let id: EmployeeId = row.get("id")?;
    let contact: Option<String> = row.get("contact")?;
    Ok(Employee {
        id,
        name: row.get("name")?,
        position: row.get("position")?,
        contact: contact.map(|sealed| tx.vault.open(contact_of(id), &sealed)).transpose()?,
        base_salary: row.get("base_salary_fen")?,
        joining_date: optional_day(row, "joining_date")?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
