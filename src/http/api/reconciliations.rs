//! The platforms' bills against the books, and what does not match.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::payment_anomalies::{ResolutionBody, ResolutionView};
use crate::domain::access::Access::May;
use crate::domain::access::Permission::{PaymentsConfirm, PaymentsRead};
use crate::domain::ids::{DifferenceId, ReconciliationId};
use crate::domain::payments::Channel;
use crate::domain::reconciliations::{DifferenceClass, ReconciliationStatus};
use crate::domain::time::Zone;
use crate::http::App;
use crate::http::answer::{Answer, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, get, post};
use crate::http::wire::{Day, LocalTime, Money, Whole};
use crate::service::reconciliations;
use crate::store::reconciliation_differences::{Difference, DifferenceFilter};
use crate::store::reconciliations::{Reconciliation, ReconciliationFilter};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/payment/reconciliations", May(PaymentsRead), list).summary("获取对账列表"),
        post("/api/payment/reconciliations", May(PaymentsConfirm), run).summary("立即对账"),
        get("/api/payment/reconciliations/{id}", May(PaymentsRead), read).summary("获取对账详情"),
        get("/api/payment/differences", May(PaymentsRead), list_differences).summary("获取对账差异列表"),
        post("/api/payment/differences/{id}/resolve", May(PaymentsConfirm), resolve).summary("处理对账差异"),
    ]
}

const LABELS: &[(&str, &str)] = &[
    ("channel", "支付渠道"),
    ("status", "对账状态"),
    ("date", "日期"),
    ("start_date", "开始日期"),
    ("end_date", "结束日期"),
    ("reconciliation_id", "对账编号"),
    ("open", "是否未处理"),
];

#[derive(Deserialize, ToSchema)]
struct ReconciliationQuery {
    /// 支付渠道
    channel: Option<Channel>,
    /// 对账状态
    status: Option<ReconciliationStatus>,
    /// 开始日期
    start_date: Option<Day>,
    /// 结束日期
    end_date: Option<Day>,
}

impl Labels for ReconciliationQuery {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<ReconciliationQuery> for ReconciliationFilter {
    fn from(query: ReconciliationQuery) -> Self {
        Self {
            channel: query.channel,
            status: query.status,
            start_date: query.start_date.map(Into::into),
            end_date: query.end_date.map(Into::into),
        }
    }
}

/// Which day is compared.
#[derive(Deserialize, ToSchema)]
struct ReconciliationBody {
    /// 支付渠道
    channel: Channel,
    /// 账单日期
    date: Day,
}

impl Labels for ReconciliationBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

#[derive(Deserialize, ToSchema)]
struct DifferenceQuery {
    /// 对账编号
    reconciliation_id: Option<ReconciliationId>,
    /// 1为未处理，0为已处理
    open: Option<Whole<0, 1>>,
}

impl Labels for DifferenceQuery {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<DifferenceQuery> for DifferenceFilter {
    fn from(query: DifferenceQuery) -> Self {
        Self { reconciliation_id: query.reconciliation_id, open: query.open.map(|open| open == Whole(1)) }
    }
}

/// A day of a platform.
#[derive(Serialize, ToSchema)]
struct ReconciliationView {
    id: ReconciliationId,
    /// 支付渠道
    channel: Channel,
    /// 账单日期
    date: Day,
    /// 对账状态
    status: ReconciliationStatus,
    /// 账单文件的SHA-256，当日无交易时为空
    sha256: Option<String>,
    /// 账单行数
    rows_total: i64,
    /// 一致的行数
    rows_matched: i64,
    /// 未处理的差异数
    differences: i64,
    /// 平台收款
    platform_in: Money,
    /// 平台退款和付款
    platform_out: Money,
    /// 本店收款
    local_in: Money,
    /// 本店退款和付款
    local_out: Money,
    /// 手续费
    fee: Money,
    /// 未取得账单的原因
    last_error: Option<String>,
    /// 创建时间
    created_at: LocalTime,
    /// 更新时间
    updated_at: LocalTime,
}

impl ReconciliationView {
    fn of(row: Reconciliation, zone: &Zone) -> Self {
        Self {
            id: row.id,
            channel: row.channel,
            date: Day(row.date),
            status: row.status,
            sha256: row.sha256,
            rows_total: row.rows_total,
            rows_matched: row.rows_matched,
            differences: row.differences,
            platform_in: Money(row.platform_in),
            platform_out: Money(row.platform_out),
            local_in: Money(row.local_in),
            local_out: Money(row.local_out),
            fee: Money(row.fee),
            last_error: row.last_error,
            created_at: LocalTime::of(row.created_at, zone),
            updated_at: LocalTime::of(row.updated_at, zone),
        }
    }
}

/// A day of a platform, with the first hundred differences that were found on it.
#[derive(Serialize, ToSchema)]
struct ReconciliationDetail {
    /// 对账结果
    reconciliation: ReconciliationView,
    /// 最近的100项差异
    differences: Vec<DifferenceView>,
}

/// A movement of money that does not match.
#[derive(Serialize, ToSchema)]
struct DifferenceView {
    id: DifferenceId,
    /// 对账编号
    reconciliation_id: ReconciliationId,
    /// 差异类型
    class: DifferenceClass,
    /// 本店单号
    number: String,
    /// 平台单号
    platform_no: Option<String>,
    /// 平台金额
    platform_amount: Option<Money>,
    /// 本店金额
    local_amount: Option<Money>,
    /// 说明
    note: String,
    /// 发现时间
    created_at: LocalTime,
    /// 处理结果，未处理时为空
    resolution: Option<ResolutionView>,
}

impl DifferenceView {
    fn of(difference: Difference, zone: &Zone) -> Self {
        Self {
            id: difference.id,
            reconciliation_id: difference.reconciliation_id,
            class: difference.class,
            number: difference.number,
            platform_no: difference.platform_no,
            platform_amount: difference.platform.map(Money),
            local_amount: difference.local.map(Money),
            note: difference.note,
            created_at: LocalTime::of(difference.created_at, zone),
            resolution: difference.resolved.map(|resolved| ResolutionView::of(resolved, zone)),
        }
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ReconciliationQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<ReconciliationView>>, Refusal> {
    let filter = query.into();
    let listed = app.read(&caller, move |tx, _| reconciliations::list(tx, &filter, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |row| ReconciliationView::of(row, zone))?)
}

/// A repeat does the same again, which changes nothing: no answer is kept for it.
async fn run(
    State(app): State<App>,
    Body(body): Body<ReconciliationBody>,
) -> Result<Answer<ReconciliationView>, Refusal> {
    let row = reconciliations::run_for(app.db(), app.payments(), body.channel, body.date.0).await?;
    Ok(Answer::new("对账完成", ReconciliationView::of(row, app.db().zone()))?)
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ReconciliationId>,
    fields: Fields,
) -> Result<Answer<ReconciliationDetail>, Refusal> {
    let (row, differences) = app.read(&caller, move |tx, _| reconciliations::read(tx, id)).await?;
    let zone = app.db().zone();
    let detail = ReconciliationDetail {
        reconciliation: ReconciliationView::of(row, zone),
        differences: differences.into_iter().map(|difference| DifferenceView::of(difference, zone)).collect(),
    };
    Ok(Answer::only("获取成功", &detail, &fields)?)
}

async fn list_differences(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<DifferenceQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<DifferenceView>>, Refusal> {
    let filter = query.into();
    let listed = app.read(&caller, move |tx, _| reconciliations::list_differences(tx, &filter, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |difference| DifferenceView::of(difference, zone))?)
}

async fn resolve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<DifferenceId>,
    Body(body): Body<ResolutionBody>,
) -> Result<Answer<DifferenceView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let resolved = reconciliations::resolve(tx, actor, id, body.reason.as_str())?;
        Answer::new("处理成功", DifferenceView::of(resolved, tx.zone))
    })
    .await
}
