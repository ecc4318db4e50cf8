//! Financial reports (seed API, section 3.6.3).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::FinanceRead;
use crate::domain::money::Fen;
use crate::domain::reports::ReportType;
use crate::http::App;
use crate::http::answer::{Answer, Fields};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Labels, Query};
use crate::http::route::{Route, get};
use crate::http::wire::{Day, Money};
use crate::service::reports::{self, PeriodSum, Report};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![get("/api/finance/reports", May(FinanceRead), report).summary("生成财务报表")]
}

#[derive(Deserialize, ToSchema)]
struct ReportQuery {
    /// 报表类型
    report_type: ReportType,
    /// 开始日期
    start_date: Option<Day>,
    /// 结束日期，包含当天
    end_date: Option<Day>,
}

impl Labels for ReportQuery {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("report_type", "报表类型"), ("start_date", "开始日期"), ("end_date", "结束日期")];
}

/// A financial report.
#[derive(Serialize, ToSchema)]
struct ReportView {
    /// 报表类型
    report_type: ReportType,
    /// 周期，或日期范围
    #[schema(example = "2024-01")]
    period: String,
    /// 收入
    income: Money,
    /// 支出
    expense: Money,
    /// 利润
    profit: Money,
    /// 分类明细
    details: ReportDetailsView,
    /// 各周期的收支, only when the range has more than one period
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    series: Option<Vec<ReportPeriodView>>,
}

/// What the categories of a report come to, the largest first.
#[derive(Serialize, ToSchema)]
struct ReportDetailsView {
    /// 收入
    income: Vec<ReportCategoryView>,
    /// 支出
    expense: Vec<ReportCategoryView>,
}

/// What one category of a report comes to.
#[derive(Serialize, ToSchema)]
struct ReportCategoryView {
    /// 分类
    #[schema(example = "餐费")]
    category: String,
    /// 金额
    amount: Money,
}

/// What one period of a report comes to.
#[derive(Serialize, ToSchema)]
struct ReportPeriodView {
    /// 周期
    #[schema(example = "2024-01")]
    period: String,
    /// 收入
    income: Money,
    /// 支出
    expense: Money,
    /// 利润
    profit: Money,
}

impl From<Report> for ReportView {
    fn from(report: Report) -> Self {
        Self {
            report_type: report.report_type,
            period: report.period,
            income: Money(report.income),
            expense: Money(report.expense),
            profit: Money(report.profit),
            details: ReportDetailsView {
                income: categories(report.details_income),
                expense: categories(report.details_expense),
            },
            series: report.series.map(|series| series.into_iter().map(ReportPeriodView::from).collect()),
        }
    }
}

impl From<PeriodSum> for ReportPeriodView {
    fn from(sum: PeriodSum) -> Self {
        Self { period: sum.period, income: Money(sum.income), expense: Money(sum.expense), profit: Money(sum.profit) }
    }
}

fn categories(details: Vec<(String, Fen)>) -> Vec<ReportCategoryView> {
    details.into_iter().map(|(category, amount)| ReportCategoryView { category, amount: Money(amount) }).collect()
}

async fn report(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ReportQuery>,
    fields: Fields,
) -> Result<Answer<ReportView>, Refusal> {
    let ReportQuery { report_type, start_date, end_date } = query;
    let (start, end) = (start_date.map(|day| day.0), end_date.map(|day| day.0));
    let report = app.read(&caller, move |tx, _| reports::report(tx, report_type, start, end)).await?;
    Ok(Answer::only("生成成功", &report.into(), &fields)?)
}
