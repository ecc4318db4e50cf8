//! Appointments (seed API, section 3.8.1.2): customers make them, the staff takes them from step to step.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{AppointmentsBook, AppointmentsRead, AppointmentsWrite};
use crate::domain::appointments::AppointmentStatus;
use crate::domain::ids::{AppointmentId, CustomerId, EmployeeId, UserId};
use crate::domain::time::Zone;
use crate::error::Error;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, get, post};
use crate::http::wire::{Day, Line, LocalTime, Paragraph, TimeOfDay, Word};
use crate::service::appointments::{self, NewAppointment};
use crate::store::appointments::{Appointment, AppointmentFilter};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        post("/api/wechat/customer/appointment", May(AppointmentsBook), book).summary("提交预约"),
        get("/api/wechat/customer/appointments", May(AppointmentsBook), list_own).summary("获取本人预约列表"),
        post("/api/wechat/customer/appointments/{id}/cancel", May(AppointmentsBook), cancel_own)
            .summary("取消本人预约"),
        get("/api/appointments", May(AppointmentsRead), list).summary("获取预约列表"),
        post("/api/appointments/{id}/confirm", May(AppointmentsWrite), confirm).summary("确认预约"),
        post("/api/appointments/{id}/assign", May(AppointmentsWrite), assign).summary("为预约安排员工"),
        post("/api/appointments/{id}/start", May(AppointmentsWrite), start).summary("开始服务"),
        post("/api/appointments/{id}/complete", May(AppointmentsWrite), complete).summary("完成服务"),
        post("/api/appointments/{id}/cancel", May(AppointmentsWrite), cancel).summary("取消预约"),
    ]
}

/// An appointment to be made.
#[derive(Deserialize, ToSchema)]
pub struct AppointmentBody {
    /// 服务类型
    #[schema(example = "陪护")]
    service_type: Word,
    /// 预约日期
    #[schema(example = "2024-01-02")]
    date: Day,
    /// 预约时间
    #[schema(example = "14:00")]
    time: TimeOfDay,
    /// 特殊需求
    #[schema(example = "无")]
    requirements: Option<Paragraph>,
}

impl Labels for AppointmentBody {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("service_type", "服务类型"), ("date", "预约日期"), ("time", "预约时间"), ("requirements", "特殊需求")];
}

impl From<AppointmentBody> for NewAppointment {
    fn from(body: AppointmentBody) -> Self {
        Self {
            service_type: body.service_type.into(),
            date: body.date.0,
            time: body.time.0,
            requirements: body.requirements.map(String::from),
        }
    }
}

/// What was booked.
#[derive(Serialize, ToSchema)]
pub struct BookedView {
    appointment_id: AppointmentId,
    /// 服务类型
    service_type: String,
    /// 预约日期
    date: Day,
    /// 预约时间
    time: TimeOfDay,
    /// 特殊需求
    requirements: Option<String>,
    /// 状态
    status: AppointmentStatus,
}

impl BookedView {
    /// What the relay has received for the site, under the id that it will have there.
    pub fn accepted(appointment_id: AppointmentId, new: NewAppointment) -> Self {
        Self {
            appointment_id,
            service_type: new.service_type,
            date: Day(new.date),
            time: TimeOfDay(new.time),
            requirements: new.requirements,
            status: AppointmentStatus::Pending,
        }
    }
}

impl From<Appointment> for BookedView {
    fn from(appointment: Appointment) -> Self {
        Self {
            appointment_id: appointment.id,
            service_type: appointment.service_type,
            date: Day(appointment.date),
            time: TimeOfDay(appointment.time),
            requirements: appointment.requirements,
            status: appointment.status,
        }
    }
}

/// An appointment.
#[derive(Serialize, ToSchema)]
pub struct AppointmentView {
    id: AppointmentId,
    /// 预约的用户
    user_id: UserId,
    /// 客户ID, if the user is one
    customer_id: Option<CustomerId>,
    /// 客户姓名
    customer_name: String,
    /// 服务类型
    service_type: String,
    /// 预约日期
    date: Day,
    /// 预约时间
    time: TimeOfDay,
    /// 特殊需求
    requirements: Option<String>,
    /// 状态
    status: AppointmentStatus,
    /// 服务员工ID
    employee_id: Option<EmployeeId>,
    /// 服务员工姓名
    employee_name: Option<String>,
    /// 取消原因
    reason: Option<String>,
    /// 提交时间
    created_at: LocalTime,
    /// 确认时间
    confirmed_at: Option<LocalTime>,
    /// 开始服务时间
    started_at: Option<LocalTime>,
    /// 完成服务时间
    completed_at: Option<LocalTime>,
    /// 取消时间
    cancelled_at: Option<LocalTime>,
}

impl AppointmentView {
    /// The appointment, with the times of this zone.
    pub fn of(appointment: Appointment, zone: &Zone) -> Self {
        Self {
            id: appointment.id,
            user_id: appointment.user_id,
            customer_id: appointment.customer_id,
            customer_name: appointment.customer_name,
            service_type: appointment.service_type,
            date: Day(appointment.date),
            time: TimeOfDay(appointment.time),
            requirements: appointment.requirements,
            status: appointment.status,
            employee_id: appointment.employee_id,
            employee_name: appointment.employee_name,
            reason: appointment.reason,
            created_at: LocalTime::of(appointment.created_at, zone),
            confirmed_at: appointment.confirmed_at.map(|at| LocalTime::of(at, zone)),
            started_at: appointment.started_at.map(|at| LocalTime::of(at, zone)),
            completed_at: appointment.completed_at.map(|at| LocalTime::of(at, zone)),
            cancelled_at: appointment.cancelled_at.map(|at| LocalTime::of(at, zone)),
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct AppointmentQuery {
    /// 状态筛选
    status: Option<AppointmentStatus>,
    /// 开始日期
    start_date: Option<Day>,
    /// 结束日期，含当日
    end_date: Option<Day>,
    /// 服务员工ID
    employee_id: Option<EmployeeId>,
    /// 客户ID
    customer_id: Option<CustomerId>,
}

impl Labels for AppointmentQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[
        ("status", "状态"),
        ("start_date", "开始日期"),
        ("end_date", "结束日期"),
        ("employee_id", "员工ID"),
        ("customer_id", "客户ID"),
    ];
}

#[derive(Deserialize, ToSchema)]
struct AssignBody {
    /// 员工ID
    employee_id: EmployeeId,
}

impl Labels for AssignBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("employee_id", "员工ID")];
}

#[derive(Deserialize, ToSchema)]
struct CancelBody {
    /// 取消原因
    #[schema(example = "当日人手不足")]
    reason: Line,
}

impl Labels for CancelBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("reason", "取消原因")];
}

async fn book(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<AppointmentBody>,
) -> Result<Created<BookedView>, Refusal> {
    // A letter's appointment has its id from the center.
    let assigned_id = caller
        .assigned_id()
        .map(AppointmentId::try_from)
        .transpose()
        .map_err(|error| Error::invalid("id", error.to_string()))?;
    app.write(&caller, move |tx, actor| {
        Created::new("预约成功", BookedView::from(appointments::book(tx, actor, body.into(), assigned_id)?))
    })
    .await
}

async fn list_own(
    State(app): State<App>,
    caller: Caller,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<AppointmentView>>, Refusal> {
    let listed = app.read(&caller, move |tx, actor| appointments::list_own(tx, actor, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |appointment| AppointmentView::of(appointment, zone))?)
}

async fn cancel_own(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
) -> Result<Answer<AppointmentView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("取消成功", AppointmentView::of(appointments::cancel_own(tx, actor, id)?, tx.zone))
    })
    .await
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AppointmentQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<AppointmentView>>, Refusal> {
    let filter = AppointmentFilter {
        user_id: None,
        status: query.status,
        start_date: query.start_date.map(|day| day.0),
        end_date: query.end_date.map(|day| day.0),
        employee_id: query.employee_id,
        customer_id: query.customer_id,
    };
    let listed = app.read(&caller, move |tx, _| appointments::list(tx, &filter, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |appointment| AppointmentView::of(appointment, zone))?)
}

async fn confirm(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
) -> Result<Answer<AppointmentView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("确认成功", AppointmentView::of(appointments::confirm(tx, actor, id)?, tx.zone))
    })
    .await
}

async fn assign(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
    Body(body): Body<AssignBody>,
) -> Result<Answer<AppointmentView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let appointment = appointments::assign(tx, actor, id, body.employee_id)?;
        Answer::new("安排成功", AppointmentView::of(appointment, tx.zone))
    })
    .await
}

async fn start(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
) -> Result<Answer<AppointmentView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("服务已开始", AppointmentView::of(appointments::start(tx, actor, id)?, tx.zone))
    })
    .await
}

async fn complete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
) -> Result<Answer<AppointmentView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("服务已完成", AppointmentView::of(appointments::complete(tx, actor, id)?, tx.zone))
    })
    .await
}

async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AppointmentId>,
    Body(body): Body<CancelBody>,
) -> Result<Answer<AppointmentView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let appointment = appointments::cancel(tx, actor, id, body.reason.into())?;
        Answer::new("取消成功", AppointmentView::of(appointment, tx.zone))
    })
    .await
}
