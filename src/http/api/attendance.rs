//! Attendance (seed API, section 3.5.2).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::MayAny;
use crate::domain::access::Permission::{AttendancePunch, AttendanceRead, AttendanceReadOwn, AttendanceWrite};
use crate::domain::attendance::PunchType;
use crate::domain::ids::{AttendanceId, EmployeeId};
use crate::domain::time::Zone;
use crate::error::Error;
use crate::http::App;
use crate::http::answer::{Answer, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Query};
use crate::http::route::{Rate, Route, get, post};
use crate::http::wire::{Clock, Day, LocalTime};
use crate::service::attendance::{self, Punched};
use crate::store::attendance::{AttendanceFilter, NamedRow};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        post("/api/employees/attendance", MayAny(&[AttendancePunch, AttendanceWrite]), punch)
            .rate(Rate::Punch)
            .summary("员工考勤打卡"),
        get("/api/employees/attendance", MayAny(&[AttendanceRead, AttendanceReadOwn]), list).summary("获取考勤记录"),
    ]
}

/// A punch.
#[derive(Deserialize, ToSchema)]
struct PunchBody {
    /// 员工ID
    employee_id: EmployeeId,
    /// 打卡类型
    #[serde(rename = "type")]
    kind: PunchType,
    /// 打卡时间, when a kiosk that was cut off delivers late; now unless given
    punched_at: Option<LocalTime>,
}

impl Labels for PunchBody {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("employee_id", "员工ID"), ("type", "打卡类型"), ("punched_at", "打卡时间")];
}

/// The day that a punch belongs to, and the punch.
#[derive(Serialize, ToSchema)]
struct PunchView {
    id: AttendanceId,
    /// 员工ID
    employee_id: EmployeeId,
    /// 日期
    date: Day,
    /// 上班时间
    check_in_time: Option<Clock>,
    /// 下班时间
    check_out_time: Option<Clock>,
    /// 状态, `present` or `incomplete`
    #[schema(example = "present")]
    status: String,
    /// 打卡时间, as the kiosk gave it
    punched_at: Option<LocalTime>,
    /// 收到时间
    received_at: LocalTime,
    /// Whether the kiosk's clock differs too much from the server's
    clock_suspect: bool,
}

impl PunchView {
    fn of(punched: Punched, zone: &Zone) -> Self {
        let row = punched.row;
        Self {
            id: row.id,
            employee_id: row.employee_id,
            date: Day(row.date),
            check_in_time: row.check_in_at.map(|at| Clock::of(at, zone)),
            check_out_time: row.check_out_at.map(|at| Clock::of(at, zone)),
            status: row.status,
            punched_at: punched.punched_at.map(|at| LocalTime::of(at, zone)),
            received_at: LocalTime::of(punched.received_at, zone),
            clock_suspect: punched.clock_suspect,
        }
    }
}

/// A day of an employee.
#[derive(Serialize, ToSchema)]
struct AttendanceView {
    id: AttendanceId,
    /// 员工ID
    employee_id: EmployeeId,
    /// 员工姓名
    #[schema(example = "王五")]
    employee_name: String,
    /// 日期
    date: Day,
    /// 上班时间
    check_in_time: Option<Clock>,
    /// 下班时间
    check_out_time: Option<Clock>,
    /// 状态, `present` or `incomplete`
    #[schema(example = "present")]
    status: String,
}

impl AttendanceView {
    fn of(named: NamedRow, zone: &Zone) -> Self {
        let row = named.row;
        Self {
            id: row.id,
            employee_id: row.employee_id,
            employee_name: named.employee_name,
            date: Day(row.date),
            check_in_time: row.check_in_at.map(|at| Clock::of(at, zone)),
            check_out_time: row.check_out_at.map(|at| Clock::of(at, zone)),
            status: row.status,
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct AttendanceQuery {
    /// 员工ID
    employee_id: Option<EmployeeId>,
    /// 开始日期
    start_date: Option<Day>,
    /// 结束日期，含当日
    end_date: Option<Day>,
}

impl Labels for AttendanceQuery {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("employee_id", "员工ID"), ("start_date", "开始日期"), ("end_date", "结束日期")];
}

async fn punch(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<PunchBody>,
) -> Result<Answer<PunchView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let punched_at = body
            .punched_at
            .map(|local| tx.zone.instant(local.0).ok_or_else(|| Error::invalid("punched_at", "打卡时间超出范围")))
            .transpose()?;
        let punched = attendance::punch(tx, actor, body.employee_id, body.kind, punched_at)?;
        let repeated = body.kind == PunchType::CheckIn && !punched.changed;
        let message = if repeated { "今日已打卡" } else { "打卡成功" };
        Answer::new(message, PunchView::of(punched, tx.zone))
    })
    .await
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AttendanceQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<AttendanceView>>, Refusal> {
    let filter = AttendanceFilter {
        employee_id: query.employee_id,
        start_date: query.start_date.map(|day| day.0),
        end_date: query.end_date.map(|day| day.0),
    };
    let listed = app.read(&caller, move |tx, actor| attendance::list(tx, actor, filter, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |named| AttendanceView::of(named, zone))?)
}
