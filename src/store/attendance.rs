//! Statements on `punches` and `attendance`.

use jiff::civil::Date;
use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::rows::Day;
use super::{ReadTx, WriteTx};
use crate::domain::attendance::{Day as DayPunches, DayStatus, Punch, PunchType};
use crate::domain::ids::{AttendanceId, CENTER_IDS_FROM, EmployeeId, PunchId, UserId};
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "attendance";

/// One day of one employee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttendanceRow {
    /// Identity.
    pub id: AttendanceId,
    /// Whose day.
    pub employee_id: EmployeeId,
    /// Which day.
    pub date: Date,
    /// The first check-in.
    pub check_in_at: Option<Instant>,
    /// The last check-out.
    pub check_out_at: Option<Instant>,
    /// `present` or `incomplete`.
    pub status: String,
}

impl AttendanceRow {
    /// The day as its punches made it.
    pub fn day(&self) -> DayPunches {
        DayPunches { check_in_at: self.check_in_at, check_out_at: self.check_out_at }
    }
}

/// A day and the name of whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRow {
    /// The day.
    pub row: AttendanceRow,
    /// 姓名, also of an employee that is hidden.
    pub employee_name: String,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PunchRow {
    /// Identity.
    pub id: PunchId,
    /// Who punched.
    pub employee_id: EmployeeId,
    /// In or out.
    pub kind: PunchType,
    /// The moment that counts.
    pub effective_at: Instant,
    /// When the server received it.
    pub received_at: Instant,
    /// The kiosk's own time, if it gave one.
    pub punched_at: Option<Instant>,
    /// Whether the two clocks differ too much.
    pub clock_suspect: bool,
    /// The user who sent it.
    pub recorded_by: Option<UserId>,
}

/// Which days.
#[derive(Debug, Clone, Default)]
pub struct AttendanceFilter {
    /// Only of this employee.
    pub employee_id: Option<EmployeeId>,
    /// From this day.
    pub start_date: Option<Date>,
    /// To this day, inclusive.
    pub end_date: Option<Date>,
}

/// The id that the next punch of this site gets.
pub fn next_punch_id(tx: &WriteTx<'_>) -> Result<PunchId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from punches where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(PunchId::try_from(id).expect("the largest id plus one is an id"))
}

/// Appends a punch to the log.
pub fn insert_punch(tx: &WriteTx<'_>, punch: &PunchRow) -> Result<()> {
    let sql = "insert into punches (id, employee_id, type, effective_at, received_at, punched_at, clock_suspect,
                   recorded_by)
               values (:id, :employee_id, :type, :effective_at, :received_at, :punched_at, :clock_suspect,
                   :recorded_by)";
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": punch.id,
        ":employee_id": punch.employee_id,
        ":type": punch.kind,
        ":effective_at": punch.effective_at,
        ":received_at": punch.received_at,
        ":punched_at": punch.punched_at,
        ":clock_suspect": punch.clock_suspect,
        ":recorded_by": punch.recorded_by,
    })?;
    Ok(())
}

/// The punches of an employee in this stretch of time, both ends included, by the moment that counts.
pub fn punches_between(tx: &ReadTx<'_>, employee: EmployeeId, from: Instant, until: Instant) -> Result<Vec<Punch>> {
    let sql = "select effective_at, type from punches
               where employee_id = ?1 and effective_at between ?2 and ?3
               order by effective_at";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let mut rows = statement.query((employee, from, until))?;
    let mut punches = Vec::new();
    while let Some(row) = rows.next()? {
        punches.push(Punch { effective_at: row.get("effective_at")?, kind: row.get("type")? });
    }
    Ok(punches)
}

/// When the employee's latest punch counts.
pub fn latest_punch(tx: &ReadTx<'_>, employee: EmployeeId) -> Result<Option<Instant>> {
    let sql = "select max(effective_at) from punches where employee_id = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([employee], |row| row.get(0))?)
}

/// The employee's latest check-in after one moment and not after another.
pub fn latest_check_in(
    tx: &ReadTx<'_>,
    employee: EmployeeId,
    after: Instant,
    until: Instant,
) -> Result<Option<Instant>> {
    let sql = "select effective_at from punches
               where employee_id = ?1 and effective_at > ?2 and effective_at <= ?3 and type = 'check_in'
               order by effective_at desc limit 1";
    Ok(tx.connection.prepare_cached(sql)?.query_row((employee, after, until), |row| row.get(0)).optional()?)
}

/// The id that the next day of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<AttendanceId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from attendance where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(AttendanceId::try_from(id).expect("the largest id plus one is an id"))
}

/// Writes a day's row: a new one, or the day's own, which comes back if it was hidden.
pub fn save_day(
    tx: &WriteTx<'_>,
    employee: EmployeeId,
    date: Date,
    day: &DayPunches,
    status: DayStatus,
) -> Result<AttendanceRow> {
    let sql = "insert into attendance (id, employee_id, date, check_in_at, check_out_at, status)
               values (:id, :employee_id, :date, :check_in_at, :check_out_at, :status)
               on conflict (employee_id, date) do update set check_in_at = excluded.check_in_at,
                   check_out_at = excluded.check_out_at, status = excluded.status, deleted_at = null
               returning id, employee_id, date, check_in_at, check_out_at, status";
    let row = tx.connection.prepare_cached(sql)?.query_row(
        named_params! {
            ":id": next_id(tx)?,
            ":employee_id": employee,
            ":date": Day(date),
            ":check_in_at": day.check_in_at,
            ":check_out_at": day.check_out_at,
            ":status": status,
        },
        read,
    )?;
    Ok(row)
}

/// Hides a day that has no punches any more.
pub fn hide_day(tx: &WriteTx<'_>, id: AttendanceId) -> Result<()> {
    tx.connection.prepare_cached("update attendance set deleted_at = ?2 where id = ?1")?.execute((id, tx.now))?;
    Ok(())
}

/// The visible days of an employee from one day to another, both included.
pub fn days_between(tx: &ReadTx<'_>, employee: EmployeeId, from: Date, until: Date) -> Result<Vec<AttendanceRow>> {
    let sql = "select id, employee_id, date, check_in_at, check_out_at, status from attendance
               where employee_id = ?1 and date between ?2 and ?3 and deleted_at is null
               order by date";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let mut rows = statement.query((employee, Day(from), Day(until)))?;
    let mut days = Vec::new();
    while let Some(row) = rows.next()? {
        days.push(read(row)?);
    }
    Ok(days)
}

/// A page of the days that pass the filter, the latest first.
pub fn list(tx: &ReadTx<'_>, filter: &AttendanceFilter, page: Page) -> Result<Listed<NamedRow>> {
    let columns = "id, employee_id, date, check_in_at, check_out_at, status,
                   (select name from employees where employees.id = attendance.employee_id) as employee_name";
    Filter::default()
        .only("deleted_at is null")
        .when("employee_id = ?", filter.employee_id)
        .when("date >= ?", filter.start_date.map(Day))
        .when("date <= ?", filter.end_date.map(Day))
        .list(tx, (columns, "attendance", "date desc, employee_id, id"), page, |row| {
            Ok(NamedRow { row: read(row)?, employee_name: row.get("employee_name")? })
        })
}

fn read(row: &Row<'_>) -> rusqlite::Result<AttendanceRow> {
    Ok(AttendanceRow {
        id: row.get("id")?,
        employee_id: row.get("employee_id")?,
        date: row.get::<_, Day>("date")?.0,
        check_in_at: row.get("check_in_at")?,
        check_out_at: row.get("check_out_at")?,
        status: row.get("status")?,
    })
}
