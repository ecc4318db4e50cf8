//! Punching, and the days that follow from it.

use serde_json::json;

use super::audit::{Deed, record};
use crate::domain::access::{Actor, Permission};
use crate::domain::attendance::{Punch, PunchTime, PunchType, SHIFT_MS_MAX, date_of, days, punch_time};
use crate::domain::audit::Action;
use crate::domain::ids::EmployeeId;
use crate::domain::status::Status;
use crate::domain::time::{DAY_MS, Instant, check_period};
use crate::error::{Error, Result};
use crate::store::attendance::{self, AttendanceFilter, AttendanceRow, NOUN, NamedRow, PunchRow};
use crate::store::employees;
use crate::store::page::{Listed, Page};
use crate::store::{ReadTx, WriteTx};

/// A punch may be delivered this late.
pub const LATE_MS_MAX: i64 = 62 * DAY_MS;

/// The punches that the days around a punch depend on lie within this of it: the day before begins at most two days
/// earlier, the day after ends at most two days later, and each reaches one shift further; the rest is for days of 25 hours.
const WINDOW_MS: i64 = 3 * DAY_MS;

const _: () = assert!(WINDOW_MS > 2 * DAY_MS + SHIFT_MS_MAX, "the window holds the three days and their shifts");

/// What came of a punch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Punched {
    /// The day that the punch belongs to, as it is now.
    pub row: AttendanceRow,
    /// Whether the punch changed the day's first check-in or last check-out.
    pub changed: bool,
    /// The moment that counts.
    pub effective_at: Instant,
    /// Whether the kiosk's clock differs too much from the server's.
    pub clock_suspect: bool,
    /// The kiosk's own time, if it gave one.
    pub punched_at: Option<Instant>,
    /// When the server received it: the relay, when it came in a letter.
    pub received_at: Instant,
}

/// Adds a punch to the log and brings the days around it up to date. One that came in a letter counts as if the site had
/// received it when the relay did, whose clock is believed.
///
/// # Errors
/// [`Error::Forbidden`] when it is for somebody else and the actor may punch only for itself; [`Error::NotFound`];
/// [`Error::Conflict`] when the employee is not active; [`Error::Invalid`] when it comes too late.
pub fn punch(
    tx: &WriteTx<'_>,
    actor: &Actor,
    employee_id: EmployeeId,
    kind: PunchType,
    punched_at: Option<Instant>,
) -> Result<Punched> {
    check(tx, actor, employee_id, punched_at)?;
    let received_at = actor.received_at().map_or(tx.now, |received_at| received_at.min(tx.now));
    let PunchTime { effective_at, clock_suspect } = punch_time(received_at, punched_at);
    let entry = PunchRow {
        id: attendance::next_punch_id(tx)?,
        employee_id,
        kind,
        effective_at,
        received_at,
        punched_at,
        clock_suspect,
        recorded_by: actor.user_id(),
    };
    let latest = attendance::latest_punch(tx, employee_id)?;
    attendance::insert_punch(tx, &entry)?;
    let logged = Punch { effective_at, kind };
    let (row, changed) = if latest.is_none_or(|latest| latest < effective_at) {
        extend(tx, employee_id, logged)?
    } else {
        derive(tx, employee_id, logged)?
    };
    let after = json!({
        "employee_id": employee_id.get(),
        "type": kind.as_str(),
        "effective_at": effective_at.0,
        "clock_suspect": clock_suspect,
    });
    record(
        tx,
        actor,
        Deed { action: Action::Punch, noun: NOUN, noun_id: Some(row.id.get()), before: None, after: Some(after) },
    )?;
    Ok(Punched { row, changed, effective_at, clock_suspect, punched_at, received_at })
}

/// Punches for the employee that the actor is.
///
/// # Errors
/// As [`punch`]; [`Error::Forbidden`] when the actor is no employee.
pub fn punch_own(tx: &WriteTx<'_>, actor: &Actor, kind: PunchType) -> Result<Punched> {
    let employee_id = actor.employee_id().ok_or(Error::Forbidden("当前用户未关联员工，不能打卡"))?;
    punch(tx, actor, employee_id, kind, None)
}

/// A page of the days that the actor may see.
///
/// # Errors
/// [`Error::Forbidden`] when it asks for somebody else's and may see only its own; [`Error::Invalid`] when the period ends
/// before it begins.
pub fn list(tx: &ReadTx<'_>, actor: &Actor, mut filter: AttendanceFilter, page: Page) -> Result<Listed<NamedRow>> {
    check_period(filter.start_date, filter.end_date)?;
    if !actor.may(Permission::AttendanceRead) {
        let own = actor.employee_id();
        if filter.employee_id.is_some() && filter.employee_id != own {
            return Err(Error::Forbidden("只能查看本人考勤"));
        }
        if own.is_none() {
            return Ok(Listed { total: 0, items: Vec::new() });
        }
        filter.employee_id = own;
    }
    attendance::list(tx, &filter, page)
}

fn check(tx: &WriteTx<'_>, actor: &Actor, employee_id: EmployeeId, punched_at: Option<Instant>) -> Result<()> {
    if !actor.may(Permission::AttendanceWrite) && actor.employee_id() != Some(employee_id) {
        return Err(Error::Forbidden("只能为本人打卡"));
    }
    match employees::status_of(tx, employee_id)? {
        None => return Err(Error::NotFound("员工不存在")),
        Some(Status::Inactive) => return Err(Error::Conflict("员工已停用".into())),
        Some(Status::Active) => {}
    }
    if punched_at.is_some_and(|punched_at| punched_at < tx.now.plus_ms(-LATE_MS_MAX)) {
        return Err(Error::invalid("punched_at", "补传的打卡不能早于62天前"));
    }
    Ok(())
}

/// Makes the rows of the days that a logged punch can affect equal what the log says. Gives the row of the day that the
/// punch belongs to, and whether that row changed.
fn derive(tx: &WriteTx<'_>, employee_id: EmployeeId, punch: Punch) -> Result<(AttendanceRow, bool)> {
    let at = punch.effective_at;
    let punches = attendance::punches_between(tx, employee_id, at.plus_ms(-WINDOW_MS), at.plus_ms(WINDOW_MS))?;
    let derived = days(&punches, tx.zone);
    let check_ins = punches.iter().filter(|other| other.kind == PunchType::CheckIn && other.effective_at <= at);
    let own_date = date_of(punch, check_ins.map(|other| other.effective_at).max(), tx.zone);
    let today = tx.zone.day(at);
    let from = today.yesterday().unwrap_or(today);
    let until = today.tomorrow().unwrap_or(today);
    let rows = attendance::days_between(tx, employee_id, from, until)?;
    let mut own = None;
    let mut date = from;
    loop {
        let before = rows.iter().find(|row| row.date == date);
        let day = derived.get(&date).copied().unwrap_or_default();
        let same = before.is_some_and(|row| row.day() == day);
        let after = match (day.status(), before) {
            (Some(_), Some(row)) if same => Some(row.clone()),
            (Some(status), _) => Some(attendance::save_day(tx, employee_id, date, &day, status)?),
            (None, Some(row)) => {
                attendance::hide_day(tx, row.id)?;
                None
            }
            (None, None) => None,
        };
        if date == own_date {
            own = after.map(|row| (row, !same));
        }
        match date.tomorrow() {
            Ok(next) if next <= until => date = next,
            _ => break,
        }
    }
    own.ok_or_else(|| Error::Corrupt(format!("a punch of employee {employee_id} belongs to no day")))
}

/// What `derive` gives, for a punch that is later than all others of the employee: only its own day can change, whatever
/// the length of the log.
fn extend(tx: &WriteTx<'_>, employee_id: EmployeeId, punch: Punch) -> Result<(AttendanceRow, bool)> {
    let at = punch.effective_at;
    let latest_check_in = attendance::latest_check_in(tx, employee_id, at.plus_ms(-SHIFT_MS_MAX), at)?;
    let date = date_of(punch, latest_check_in, tx.zone);
    let before = attendance::days_between(tx, employee_id, date, date)?.pop();
    let was = before.as_ref().map(AttendanceRow::day).unwrap_or_default();
    let mut day = was;
    day.add(punch);
    match (before, day.status()) {
        (Some(row), _) if day == was => Ok((row, false)),
        (_, Some(status)) => Ok((attendance::save_day(tx, employee_id, date, &day, status)?, true)),
        (_, None) => Err(Error::Corrupt(format!("a punch of employee {employee_id} belongs to no day"))),
    }
}
