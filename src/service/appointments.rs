//! What people do with appointments: customers make and cancel their own, the staff takes them from step to step.

use jiff::civil::{Date, Time};
use serde_json::{Value, json};

use super::audit::{Deed, record};
use super::notifications::{Audience, notify};
use crate::domain::access::{Actor, EMPLOYEE};
use crate::domain::appointments::{AppointmentStatus, IllegalStep, Step, WAITING_MAX, check_day};
use crate::domain::audit::Action;
use crate::domain::ids::{AppointmentId, EmployeeId};
use crate::domain::status::Status;
use crate::domain::time::check_period;
use crate::error::{Error, Result};
use crate::store::appointments::{self, Appointment, AppointmentFilter, NOUN};
use crate::store::page::{Listed, Page};
use crate::store::{ReadTx, WriteTx, customers, employees, roles, users};

const NO_SUCH: Error = Error::NotFound("预约不存在");
/// Headquarters books for nobody.
const NOBODY: Error = Error::Forbidden("此操作只能由用户本人进行");

/// An appointment to be made.
#[derive(Debug, Clone)]
pub struct NewAppointment {
    /// 服务类型
    pub service_type: String,
    /// 预约日期
    pub date: Date,
    /// 预约时间
    pub time: Time,
    /// 特殊需求
    pub requirements: Option<String>,
}

/// Makes an appointment for the actor, and tells the staff. It gets the id that the center gave to it while the site was
/// away, if one is given.
///
/// # Errors
/// [`Error::Forbidden`] when the actor is no user; [`Error::Invalid`] when the day is over or too far ahead;
/// [`Error::Conflict`] when too many of the actor's wait.
pub fn book(
    tx: &WriteTx<'_>,
    actor: &Actor,
    new: NewAppointment,
    assigned_id: Option<AppointmentId>,
) -> Result<Appointment> {
    let person = actor.person.as_ref().ok_or(NOBODY)?;
    check_day(new.date, tx.zone.day(tx.now)).map_err(|error| Error::invalid("date", error.to_string()))?;
    if appointments::count_waiting(tx, person.user_id)? >= WAITING_MAX {
        return Err(Error::Conflict(format!("待处理的预约不能超过{WAITING_MAX}个").into()));
    }
    let customer = match person.customer_id {
        Some(id) => customers::find(tx, id)?,
        None => None,
    };
    let appointment = Appointment {
        id: assigned_id.map_or_else(|| appointments::next_id(tx), Ok)?,
        user_id: person.user_id,
        customer_id: customer.as_ref().map(|customer| customer.id),
        customer_name: customer.map_or_else(|| person.name.clone(), |customer| customer.name),
        service_type: new.service_type,
        date: new.date,
        time: new.time,
        requirements: new.requirements,
        status: AppointmentStatus::Pending,
        employee_id: None,
        employee_name: None,
        reason: None,
        created_at: tx.now,
        updated_at: tx.now,
        confirmed_at: None,
        started_at: None,
        completed_at: None,
        cancelled_at: None,
    };
    appointments::insert(tx, &appointment)?;
    record(tx, actor, deed(Action::Create, appointment.id, None, Some(image(&appointment))))?;
    tell_staff(tx, &appointment, "新客户预约", "预约了")?;
    Ok(appointment)
}

/// A page of the actor's own appointments, the latest day first.
///
/// # Errors
/// [`Error::Forbidden`] when the actor is no user.
pub fn list_own(tx: &ReadTx<'_>, actor: &Actor, page: Page) -> Result<Listed<Appointment>> {
    let user_id = Some(actor.user_id().ok_or(NOBODY)?);
    appointments::list(tx, &AppointmentFilter { user_id, ..AppointmentFilter::default() }, page)
}

/// Cancels the actor's own appointment, and tells the staff.
///
/// # Errors
/// [`Error::NotFound`] also when it is somebody else's; [`Error::Conflict`] when the service has begun or is over.
pub fn cancel_own(tx: &WriteTx<'_>, actor: &Actor, id: AppointmentId) -> Result<Appointment> {
    let before = appointments::find(tx, id)?.filter(|found| Some(found.user_id) == actor.user_id()).ok_or(NO_SUCH)?;
    let after = take(tx, actor, before, Step::Cancel, |after| after.cancelled_at = Some(tx.now))?;
    tell_staff(tx, &after, "客户取消预约", "取消了")?;
    tell_employee(tx, &after, "预约已取消")?;
    Ok(after)
}

/// A page of the appointments that pass the filter, the latest day first.
///
/// # Errors
/// [`Error::Invalid`] when the period ends before it begins.
pub fn list(tx: &ReadTx<'_>, filter: &AppointmentFilter, page: Page) -> Result<Listed<Appointment>> {
    check_period(filter.start_date, filter.end_date)?;
    appointments::list(tx, filter, page)
}

/// Confirms that the service will take place.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] unless it is pending.
pub fn confirm(tx: &WriteTx<'_>, actor: &Actor, id: AppointmentId) -> Result<Appointment> {
    take(tx, actor, find(tx, id)?, Step::Confirm, |after| after.confirmed_at = Some(tx.now))
}

/// Says who is to serve, and tells that employee too.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when the service has begun or is over; [`Error::Invalid`] when the employee does
/// not exist or is not active.
pub fn assign(tx: &WriteTx<'_>, actor: &Actor, id: AppointmentId, employee_id: EmployeeId) -> Result<Appointment> {
    let before = find(tx, id)?;
    before.status.after(Step::Assign).map_err(illegal)?;
    let refused = |why: &'static str| Error::invalid("employee_id", why);
    let employee = employees::find(tx, employee_id)?.ok_or_else(|| refused("员工不存在"))?;
    if employee.status != Status::Active {
        return Err(refused("员工已停用"));
    }
    let after = take(tx, actor, before, Step::Assign, |after| {
        after.employee_id = Some(employee.id);
        after.employee_name = Some(employee.name);
    })?;
    tell_employee(tx, &after, "新的服务安排")?;
    Ok(after)
}

/// Notes that the service has begun.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] unless it is confirmed and somebody is to serve.
pub fn start(tx: &WriteTx<'_>, actor: &Actor, id: AppointmentId) -> Result<Appointment> {
    let before = find(tx, id)?;
    before.status.after(Step::Start).map_err(illegal)?;
    if before.employee_id.is_none() {
        return Err(Error::Conflict("请先安排服务员工".into()));
    }
    take(tx, actor, before, Step::Start, |after| after.started_at = Some(tx.now))
}

/// Notes that the service was rendered.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] unless it is in progress.
pub fn complete(tx: &WriteTx<'_>, actor: &Actor, id: AppointmentId) -> Result<Appointment> {
    take(tx, actor, find(tx, id)?, Step::Complete, |after| after.completed_at = Some(tx.now))
}

/// Cancels an appointment for a reason that its customer is told.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when the service has begun or is over.
pub fn cancel(tx: &WriteTx<'_>, actor: &Actor, id: AppointmentId, reason: String) -> Result<Appointment> {
    let after = take(tx, actor, find(tx, id)?, Step::Cancel, |after| {
        after.reason = Some(reason);
        after.cancelled_at = Some(tx.now);
    })?;
    tell_employee(tx, &after, "预约已取消")?;
    Ok(after)
}

fn find(tx: &ReadTx<'_>, id: AppointmentId) -> Result<Appointment> {
    appointments::find(tx, id)?.ok_or(NO_SUCH)
}

fn illegal(error: IllegalStep) -> Error {
    Error::Conflict(error.to_string().into())
}

/// Takes a step: checks it, changes the row, and leaves a trace with the auditor and with whoever booked.
fn take(
    tx: &WriteTx<'_>,
    actor: &Actor,
    before: Appointment,
    step: Step,
    change: impl FnOnce(&mut Appointment),
) -> Result<Appointment> {
    let mut after = before.clone();
    after.status = before.status.after(step).map_err(illegal)?;
    change(&mut after);
    after.updated_at = tx.now;
    appointments::update(tx, &after)?;
    record(tx, actor, deed(Action::Update, after.id, Some(image(&before)), Some(image(&after))))?;
    let title = match step {
        Step::Confirm => "预约已确认",
        Step::Assign => "预约已安排员工",
        Step::Start => "服务已开始",
        Step::Complete => "服务已完成",
        Step::Cancel => "预约已取消",
    };
    let who = match (step, &after.employee_name) {
        (Step::Assign, Some(name)) => format!("，服务员工：{name}"),
        _ => String::new(),
    };
    let why = after.reason.as_ref().map(|reason| format!("，原因：{reason}")).unwrap_or_default();
    let content = format!("您{}的{}：{title}{who}{why}", when(&after), service(&after));
    notify(tx, Audience::User(after.user_id), title, &content)?;
    Ok(after)
}

/// Tells the role that handles appointments.
fn tell_staff(tx: &WriteTx<'_>, appointment: &Appointment, title: &str, verb: &str) -> Result<()> {
    let Some(role) = roles::find_by_name(tx, EMPLOYEE)? else { return Ok(()) };
    let content = format!("{}{verb}{}的{}", appointment.customer_name, appointment.date, service(appointment));
    notify(tx, Audience::Role(role.id), title, &content).map(drop)
}

/// Tells whoever is to serve, if he can log in.
fn tell_employee(tx: &WriteTx<'_>, appointment: &Appointment, title: &str) -> Result<()> {
    let Some(employee_id) = appointment.employee_id else { return Ok(()) };
    let Some(user) = users::find_by_employee(tx, employee_id)? else { return Ok(()) };
    let content = format!("{}，{}的{}", appointment.customer_name, when(appointment), service(appointment));
    notify(tx, Audience::User(user.id), title, &content).map(drop)
}

fn when(appointment: &Appointment) -> String {
    format!("{} {}", appointment.date, appointment.time.strftime("%H:%M"))
}

/// Such as 陪护服务.
fn service(appointment: &Appointment) -> String {
    format!("{}服务", appointment.service_type.trim_end_matches("服务"))
}

fn deed(action: Action, id: AppointmentId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it.
fn image(appointment: &Appointment) -> Value {
    json!({
        "user_id": appointment.user_id.get(),
        "customer_id": appointment.customer_id.map(|id| id.get()),
        "service_type": appointment.service_type,
        "date": appointment.date.to_string(),
        "time": appointment.time.to_string(),
        "requirements": appointment.requirements,
        "status": appointment.status.as_str(),
        "employee_id": appointment.employee_id.map(EmployeeId::get),
        "reason": appointment.reason,
    })
}
