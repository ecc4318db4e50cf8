//! Statements on `appointments`.

use jiff::civil::{Date, Time};
use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::rows::{Day, TimeOfDay, on_constraint};
use super::{ReadTx, WriteTx};
use crate::domain::appointments::AppointmentStatus;
use crate::domain::ids::{AppointmentId, CENTER_IDS_FROM, CustomerId, EmployeeId, UserId};
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "appointments";

/// A row, with the names of its people as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appointment {
    /// Identity.
    pub id: AppointmentId,
    /// Who booked.
    pub user_id: UserId,
    /// The customer that the user was when booking.
    pub customer_id: Option<CustomerId>,
    /// The customer's name, or the user's.
    pub customer_name: String,
    /// 服务类型
    pub service_type: String,
    /// 预约日期
    pub date: Date,
    /// 预约时间
    pub time: Time,
    /// 特殊需求
    pub requirements: Option<String>,
    /// 状态
    pub status: AppointmentStatus,
    /// Who is to serve.
    pub employee_id: Option<EmployeeId>,
    /// That employee's name.
    pub employee_name: Option<String>,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// When the row came into being.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// When it was confirmed.
    pub confirmed_at: Option<Instant>,
    /// When the service began.
    pub started_at: Option<Instant>,
    /// When the service ended.
    pub completed_at: Option<Instant>,
    /// When it was cancelled.
    pub cancelled_at: Option<Instant>,
}

/// Which appointments.
#[derive(Debug, Clone, Copy, Default)]
pub struct AppointmentFilter {
    /// Only of this user.
    pub user_id: Option<UserId>,
    /// Only these.
    pub status: Option<AppointmentStatus>,
    /// Only of this day and later.
    pub start_date: Option<Date>,
    /// Only of this day and earlier.
    pub end_date: Option<Date>,
    /// Only those that this employee serves.
    pub employee_id: Option<EmployeeId>,
    /// Only of this customer.
    pub customer_id: Option<CustomerId>,
}

// The names by look-ups and not by joins, so that counting the list costs an index and no more.
const COLUMNS: &str = "id, user_id, customer_id, \
     coalesce((select name from customers where customers.id = appointments.customer_id), \
              (select name from users where users.id = appointments.user_id), '') as customer_name, \
     service_type, date, time, requirements, status, employee_id, \
     (select name from employees where employees.id = appointments.employee_id) as employee_name, \
     reason, created_at, updated_at, confirmed_at, started_at, completed_at, cancelled_at";
const ORDER: &str = "date desc, time desc, id desc";

/// The id that the next appointment of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<AppointmentId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from appointments where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(AppointmentId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, appointment: &Appointment) -> Result<()> {
    save(
        tx,
        appointment,
        "insert into appointments (id, user_id, customer_id, service_type, date, time, requirements, status,
             employee_id, reason, created_at, updated_at, confirmed_at, started_at, completed_at, cancelled_at)
         values (:id, :user_id, :customer_id, :service_type, :date, :time, :requirements, :status,
             :employee_id, :reason, :created_at, :updated_at, :confirmed_at, :started_at, :completed_at,
             :cancelled_at)",
    )
}

/// Writes a row's new state.
pub fn update(tx: &WriteTx<'_>, appointment: &Appointment) -> Result<()> {
    save(
        tx,
        appointment,
        "update appointments set user_id = :user_id, customer_id = :customer_id, service_type = :service_type,
             date = :date, time = :time, requirements = :requirements, status = :status, employee_id = :employee_id,
             reason = :reason, created_at = :created_at, updated_at = :updated_at, confirmed_at = :confirmed_at,
             started_at = :started_at, completed_at = :completed_at, cancelled_at = :cancelled_at
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, appointment: &Appointment, sql: &str) -> Result<()> {
    tx.connection
        .prepare_cached(sql)?
        .execute(named_params! {
            ":id": appointment.id,
            ":user_id": appointment.user_id,
            ":customer_id": appointment.customer_id,
            ":service_type": appointment.service_type,
            ":date": Day(appointment.date),
            ":time": TimeOfDay(appointment.time),
            ":requirements": appointment.requirements,
            ":status": appointment.status,
            ":employee_id": appointment.employee_id,
            ":reason": appointment.reason,
            ":created_at": appointment.created_at,
            ":updated_at": appointment.updated_at,
            ":confirmed_at": appointment.confirmed_at,
            ":started_at": appointment.started_at,
            ":completed_at": appointment.completed_at,
            ":cancelled_at": appointment.cancelled_at,
        })
        .map_err(on_constraint("appointments.id", "该编号的预约已存在"))?;
    Ok(())
}

/// Gives one user's appointments to another, who is this customer.
pub fn hand_over(tx: &WriteTx<'_>, from: UserId, to: UserId, customer_id: Option<CustomerId>) -> Result<()> {
    tx.connection
        .prepare_cached(
            "update appointments set user_id = ?2, customer_id = coalesce(customer_id, ?3), updated_at = ?4
             where user_id = ?1",
        )?
        .execute((from, to, customer_id, tx.now))?;
    Ok(())
}

/// The appointment.
pub fn find(tx: &ReadTx<'_>, id: AppointmentId) -> Result<Option<Appointment>> {
    let sql = format!("select {COLUMNS} from appointments where id = ?1");
    Ok(tx.connection.prepare_cached(&sql)?.query_row([id], read).optional()?)
}

/// How many of a user's appointments are pending or confirmed.
pub fn count_waiting(tx: &ReadTx<'_>, user_id: UserId) -> Result<i64> {
    let sql = "select count(*) from appointments where user_id = ?1 and status in ('pending', 'confirmed')";
    Ok(tx.connection.prepare_cached(sql)?.query_row([user_id], |row| row.get(0))?)
}

/// How many appointments have this status.
pub fn count(tx: &ReadTx<'_>, status: AppointmentStatus) -> Result<i64> {
    let sql = "select count(*) from appointments where status = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([status], |row| row.get(0))?)
}

/// A page of the appointments that pass the filter, the latest day first.
pub fn list(tx: &ReadTx<'_>, filter: &AppointmentFilter, page: Page) -> Result<Listed<Appointment>> {
    Filter::default()
        .when("user_id = ?", filter.user_id)
        .when("status = ?", filter.status)
        .when("date >= ?", filter.start_date.map(Day))
        .when("date <= ?", filter.end_date.map(Day))
        .when("employee_id = ?", filter.employee_id)
        .when("customer_id = ?", filter.customer_id)
        .list(tx, (COLUMNS, "appointments", ORDER), page, |row| Ok(read(row)?))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Appointment> {
    let (Day(date), TimeOfDay(time)) = (row.get("date")?, row.get("time")?);
    Ok(Appointment {
        id: row.get("id")?,
        user_id: row.get("user_id")?,
        customer_id: row.get("customer_id")?,
        customer_name: row.get("customer_name")?,
        service_type: row.get("service_type")?,
        date,
        time,
        requirements: row.get("requirements")?,
        status: row.get("status")?,
        employee_id: row.get("employee_id")?,
        employee_name: row.get("employee_name")?,
        reason: row.get("reason")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        confirmed_at: row.get("confirmed_at")?,
        started_at: row.get("started_at")?,
        completed_at: row.get("completed_at")?,
        cancelled_at: row.get("cancelled_at")?,
    })
}
