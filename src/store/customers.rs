//! Statements on `customers`.

use jiff::civil::Date;
use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::rows::{Day, optional_day};
use super::vault::Place;
use super::{ReadTx, WriteTx, search};
use crate::domain::ids::{CENTER_IDS_FROM, CustomerId};
use crate::domain::phone;
use crate::domain::status::Status;
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables, search terms and audit rows.
pub const NOUN: &str = "customers";

/// A row, its contact opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Identity.
    pub id: CustomerId,
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
    /// When the row came into being.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// Which customers.
#[derive(Debug, Clone, Default)]
pub struct CustomerFilter {
    /// A part of the name, its pinyin or initials, or a whole telephone number.
    pub search: Option<String>,
    /// Only these.
    pub status: Option<Status>,
    /// Only this one.
    pub id: Option<CustomerId>,
}

const COLUMNS: &str = "id, name, age, gender, contact, delivery_date, check_in_date, check_out_date, \
                       dietary_restrictions, preferences, status, created_at, updated_at";

/// The id that the next customer of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<CustomerId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from customers where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(CustomerId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, customer: &Customer) -> Result<()> {
    save(
        tx,
        customer,
        "insert into customers (id, name, age, gender, contact, contact_index, delivery_date, check_in_date,
             check_out_date, dietary_restrictions, preferences, status, created_at, updated_at)
         values (:id, :name, :age, :gender, :contact, :contact_index, :delivery_date, :check_in_date,
             :check_out_date, :dietary_restrictions, :preferences, :status, :created_at, :updated_at)",
    )
}

/// Writes a row's new state.
pub fn update(tx: &WriteTx<'_>, customer: &Customer) -> Result<()> {
    save(
        tx,
        customer,
        "update customers set name = :name, age = :age, gender = :gender, contact = :contact,
             contact_index = :contact_index, delivery_date = :delivery_date, check_in_date = :check_in_date,
             check_out_date = :check_out_date, dietary_restrictions = :dietary_restrictions,
             preferences = :preferences, status = :status, created_at = :created_at, updated_at = :updated_at
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, customer: &Customer, sql: &str) -> Result<()> {
    let contact = customer.contact.as_deref().map(|text| tx.vault.seal(contact_of(customer.id), text)).transpose()?;
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": customer.id,
        ":name": customer.name,
        ":age": customer.age,
        ":gender": customer.gender,
        ":contact": contact,
        ":contact_index": customer.contact.as_deref().map(|text| contact_index(tx, text)),
        ":delivery_date": customer.delivery_date.map(Day),
        ":check_in_date": customer.check_in_date.map(Day),
        ":check_out_date": customer.check_out_date.map(Day),
        ":dietary_restrictions": customer.dietary_restrictions,
        ":preferences": customer.preferences,
        ":status": customer.status,
        ":created_at": customer.created_at,
        ":updated_at": customer.updated_at,
    })?;
    search::index(tx, NOUN, customer.id.get(), &[&customer.name], &[])
}

/// Hides a row; its history stays.
pub fn hide(tx: &WriteTx<'_>, id: CustomerId) -> Result<()> {
    tx.connection.prepare_cached("update customers set deleted_at = ?2 where id = ?1")?.execute((id, tx.now))?;
    search::forget(tx, NOUN, id.get())
}

/// The customer, unless it is hidden.
pub fn find(tx: &ReadTx<'_>, id: CustomerId) -> Result<Option<Customer>> {
    let sql = "select id, name, age, gender, contact, delivery_date, check_in_date, check_out_date,
                      dietary_restrictions, preferences, status, created_at, updated_at
               from customers where id = ?1 and deleted_at is null";
    tx.connection.prepare_cached(sql)?.query_row([id], |row| Ok(read(tx, row))).optional()?.transpose()
}

/// How many active customers are in house on this day.
pub fn count_in_house(tx: &ReadTx<'_>, day: Date) -> Result<i64> {
    let sql = "select count(*) from customers
               where status = 'active' and deleted_at is null and check_in_date is not null and check_in_date <= ?1
                   and (check_out_date is null or check_out_date >= ?1)";
    Ok(tx.connection.prepare_cached(sql)?.query_row([Day(day)], |row| row.get(0))?)
}

/// The active customers who are reached by this number, up to `limit` of them.
pub fn find_by_contact(tx: &ReadTx<'_>, contact: &str, limit: u32) -> Result<Vec<Customer>> {
    Filter::default()
        .only("deleted_at is null")
        .only("status = 'active'")
        .when("contact_index = ?", Some(contact_index(tx, contact)))
        .rows(tx, (COLUMNS, "customers", "id"), (i64::from(limit), 0), |row| read(tx, row))
}

/// A page of the customers that pass the filter, by id.
pub fn list(tx: &ReadTx<'_>, filter: &CustomerFilter, page: Page) -> Result<Listed<Customer>> {
    let mut conditions =
        Filter::default().only("deleted_at is null").when("status = ?", filter.status).when("id = ?", filter.id);
    if let Some(word) = &filter.search {
        let mut values = search::values(NOUN, word);
        values.push(Box::new(contact_index(tx, word)));
        conditions = conditions.with(
            "id in (select row_id from search_terms where noun = ? and suffix >= ? and suffix < ?
                    union select id from customers where contact_index = ?)",
            values,
        );
    }
    conditions.list(tx, (COLUMNS, "customers", "id"), page, |row| read(tx, row))
}

fn contact_of(id: CustomerId) -> Place<'static> {
    Place { table: "customers", column: "contact", id: id.get() }
}

fn contact_index(tx: &ReadTx<'_>, contact: &str) -> String {
    tx.vault.index("customers.contact", &phone::normalized(contact))
}

fn read(tx: &ReadTx<'_>, row: &Row<'_>) -> Result<Customer> {
    let id: CustomerId = row.get("id")?;
    let contact: Option<String> = row.get("contact")?;
    Ok(Customer {
        id,
        name: row.get("name")?,
        age: row.get("age")?,
        gender: row.get("gender")?,
        contact: contact.map(|sealed| tx.vault.open(contact_of(id), &sealed)).transpose()?,
        delivery_date: optional_day(row, "delivery_date")?,
        check_in_date: optional_day(row, "check_in_date")?,
        check_out_date: optional_day(row, "check_out_date")?,
        dietary_restrictions: row.get("dietary_restrictions")?,
        preferences: row.get("preferences")?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
