//! What was refused from a payment platform or does not fit, for a person to look at.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{PaymentsConfirm, PaymentsRead};
use crate::domain::ids::{AnomalyId, UserId};
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::Channel;
use crate::domain::time::Zone;
use crate::http::App;
use crate::http::answer::{Answer, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, get, post};
use crate::http::wire::{Line, LocalTime, Whole};
use crate::service::payment_anomalies;
use crate::store::payment_anomalies::{Anomaly, AnomalyFilter, Resolved};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/payment/anomalies", May(PaymentsRead), list).summary("获取支付异常列表"),
        post("/api/payment/anomalies/{id}/resolve", May(PaymentsConfirm), resolve).summary("处理支付异常"),
    ]
}

#[derive(Deserialize, ToSchema)]
struct AnomalyQuery {
    /// 支付渠道
    channel: Option<Channel>,
    /// 异常类型
    kind: Option<AnomalyKind>,
    /// 1为未处理，0为已处理
    open: Option<Whole<0, 1>>,
}

impl Labels for AnomalyQuery {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("channel", "支付渠道"), ("kind", "异常类型"), ("open", "是否未处理")];
}

impl From<AnomalyQuery> for AnomalyFilter {
    fn from(query: AnomalyQuery) -> Self {
        Self { channel: query.channel, kind: query.kind, open: query.open.map(|open| open == Whole(1)) }
    }
}

/// What a person found or did.
#[derive(Deserialize, ToSchema)]
pub struct ResolutionBody {
    /// 处理说明
    pub reason: Line,
}

impl Labels for ResolutionBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("reason", "处理说明")];
}

/// What became of something that waited for a person.
#[derive(Serialize, ToSchema)]
pub struct ResolutionView {
    /// 处理时间
    at: LocalTime,
    /// 处理人，系统自动处理时为空
    by: Option<UserId>,
    /// 处理说明
    reason: String,
}

impl ResolutionView {
    /// As people read it.
    pub fn of(resolved: Resolved, zone: &Zone) -> Self {
        Self { at: LocalTime::of(resolved.at, zone), by: resolved.by, reason: resolved.reason }
    }
}

/// Something that does not fit.
#[derive(Serialize, ToSchema)]
struct AnomalyView {
    id: AnomalyId,
    /// 支付渠道
    channel: Channel,
    /// 异常类型
    kind: AnomalyKind,
    /// 单号
    number: Option<String>,
    /// 说明
    detail: String,
    /// 发现时间
    created_at: LocalTime,
    /// 处理结果，未处理时为空
    resolution: Option<ResolutionView>,
}

impl AnomalyView {
    fn of(anomaly: Anomaly, zone: &Zone) -> Self {
        Self {
            id: anomaly.id,
            channel: anomaly.channel,
            kind: anomaly.kind,
            number: anomaly.number,
            detail: anomaly.detail,
            created_at: LocalTime::of(anomaly.created_at, zone),
            resolution: anomaly.resolved.map(|resolved| ResolutionView::of(resolved, zone)),
        }
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AnomalyQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<AnomalyView>>, Refusal> {
    let filter = query.into();
    let listed = app.read(&caller, move |tx, _| payment_anomalies::list(tx, &filter, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |anomaly| AnomalyView::of(anomaly, zone))?)
}

async fn resolve(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<AnomalyId>,
    Body(body): Body<ResolutionBody>,
) -> Result<Answer<AnomalyView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let resolved = payment_anomalies::resolve(tx, actor, id, body.reason.as_str())?;
        Answer::new("处理成功", AnomalyView::of(resolved, tx.zone))
    })
    .await
}
