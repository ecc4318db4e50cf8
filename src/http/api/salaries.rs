//! What employees are owed, month by month.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{FinanceRead, FinanceWrite};
use crate::domain::ids::{EmployeeId, SalaryId};
use crate::domain::money::Fen;
use crate::domain::payments::OrderStatus;
use crate::domain::salaries::{Pay, PayPeriod};
use crate::domain::time::Zone;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, get, post};
use crate::http::wire::{Line, LocalTime, Money};
use crate::service::salaries::{self, NewSalary, Payslip};
use crate::store::salaries::SalaryFilter;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/finance/salaries", May(FinanceRead), list).summary("获取薪资列表"),
        post("/api/finance/salaries", May(FinanceWrite), create).summary("录入薪资"),
        get("/api/finance/salaries/{id}", May(FinanceRead), read).summary("获取薪资详情"),
    ]
}

const LABELS: &[(&str, &str)] = &[
    ("employee_id", "员工编号"),
    ("pay_period", "薪资周期"),
    ("base_salary", "基本工资"),
    ("overtime_pay", "加班费"),
    ("allowance", "津贴"),
    ("deductions", "扣款"),
    ("note", "备注"),
];

/// A salary to be entered; one that is there already gets a new version.
#[derive(Deserialize, ToSchema)]
struct SalaryBody {
    /// 员工编号
    employee_id: EmployeeId,
    /// 薪资周期
    pay_period: PayPeriod,
    /// 基本工资
    base_salary: Money,
    /// 加班费, none unless given
    overtime_pay: Option<Money>,
    /// 津贴, none unless given
    allowance: Option<Money>,
    /// 扣款, none unless given
    deductions: Option<Money>,
    /// 备注
    #[schema(example = "含全勤奖")]
    note: Option<Line>,
}

impl Labels for SalaryBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<SalaryBody> for NewSalary {
    fn from(body: SalaryBody) -> Self {
        let part = |money: Option<Money>| money.map_or(Fen::ZERO, |money| money.0);
        Self {
            employee_id: body.employee_id,
            pay_period: body.pay_period,
            pay: Pay {
                base_salary: body.base_salary.0,
                overtime_pay: part(body.overtime_pay),
                allowance: part(body.allowance),
                deductions: part(body.deductions),
            },
            note: body.note.map(String::from),
        }
    }
}

/// A salary.
#[derive(Serialize, ToSchema)]
struct SalaryView {
    id: SalaryId,
    /// 员工编号
    employee_id: EmployeeId,
    /// 员工姓名
    employee_name: String,
    /// 薪资周期
    pay_period: PayPeriod,
    /// 版本，从1开始
    version: i64,
    /// 基本工资
    base_salary: Money,
    /// 加班费
    overtime_pay: Money,
    /// 津贴
    allowance: Money,
    /// 扣款
    deductions: Money,
    /// 实发工资
    net_salary: Money,
    /// 备注
    note: Option<String>,
    /// 录入时间
    created_at: LocalTime,
    /// 最近一次付款
    payout: Option<SalaryPayoutView>,
}

/// How the payout of a salary stands.
#[derive(Serialize, ToSchema)]
struct SalaryPayoutView {
    /// 订单号
    order_id: String,
    /// 订单状态
    status: OrderStatus,
}

impl SalaryView {
    fn of(slip: Payslip, zone: &Zone) -> Self {
        let Payslip { salary, employee_name, payout } = slip;
        Self {
            id: salary.id,
            employee_id: salary.employee_id,
            employee_name,
            pay_period: salary.pay_period,
            version: salary.version,
            base_salary: Money(salary.pay.base_salary),
            overtime_pay: Money(salary.pay.overtime_pay),
            allowance: Money(salary.pay.allowance),
            deductions: Money(salary.pay.deductions),
            net_salary: Money(salary.net_salary),
            note: salary.note,
            created_at: LocalTime::of(salary.created_at, zone),
            payout: payout.map(|(number, status)| SalaryPayoutView { order_id: number.to_string(), status }),
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct SalaryQuery {
    /// 员工筛选
    employee_id: Option<EmployeeId>,
    /// 薪资周期筛选
    pay_period: Option<PayPeriod>,
}

impl Labels for SalaryQuery {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<SalaryQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<SalaryView>>, Refusal> {
    let filter = SalaryFilter { employee_id: query.employee_id, pay_period: query.pay_period };
    let listed = app.read(&caller, move |tx, _| salaries::list(tx, &filter, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |slip| SalaryView::of(slip, zone))?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<SalaryBody>,
) -> Result<Created<SalaryView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Created::new("录入成功", SalaryView::of(salaries::create(tx, actor, body.into())?, tx.zone))
    })
    .await
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<SalaryId>,
    fields: Fields,
) -> Result<Answer<SalaryView>, Refusal> {
    let slip = app.read_rows(&caller, |tx, _| salaries::read(tx, id)).await?;
    Ok(Answer::only("获取成功", &SalaryView::of(slip, app.db().zone()), &fields)?)
}
