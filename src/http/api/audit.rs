//! The audit trail.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::AuditRead;
use crate::domain::audit::Action;
use crate::domain::ids::UserId;
use crate::domain::time::{Instant, Zone};
use crate::http::App;
use crate::http::answer::{Answer, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Labels, Paging, Query};
use crate::http::route::{Route, get};
use crate::http::wire::{Day, LocalTime, Whole, Word};
use crate::service::trail;
use crate::store::audit::{AuditFilter, AuditRow};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![get("/api/audit", May(AuditRead), list).summary("获取操作日志")]
}

type RowId = Whole<1, 9_007_199_254_740_991>;

/// An entry of the trail.
#[derive(Serialize, ToSchema)]
struct AuditView {
    id: i64,
    /// 时间
    time: LocalTime,
    /// 用户编号
    user_id: Option<i64>,
    /// 角色
    role: String,
    /// 地址
    address: Option<String>,
    /// 请求编号
    request_id: String,
    /// 操作
    action: String,
    /// 对象
    noun: String,
    /// 对象编号
    noun_id: Option<i64>,
    /// 操作前
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// 操作后
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

impl AuditView {
    fn of(row: AuditRow, zone: &Zone) -> Self {
        Self {
            id: row.id,
            time: LocalTime::of(Instant(row.at), zone),
            user_id: row.user_id,
            role: row.role,
            address: row.address,
            request_id: row.request_id,
            action: row.action,
            noun: row.noun,
            noun_id: row.noun_id,
            before: row.before.map(image),
            after: row.after.map(image),
        }
    }
}

/// The image as JSON; one that somebody has damaged is shown as it stands.
fn image(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(value) => value,
        Err(_) => Value::String(text),
    }
}

#[derive(Deserialize, ToSchema)]
struct AuditQuery {
    /// 用户编号
    user_id: Option<UserId>,
    /// 对象
    noun: Option<Word>,
    /// 对象编号
    noun_id: Option<RowId>,
    /// 操作
    action: Option<Action>,
    /// 开始日期
    start_date: Option<Day>,
    /// 结束日期（含）
    end_date: Option<Day>,
}

impl Labels for AuditQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[
        ("user_id", "用户编号"),
        ("noun", "对象"),
        ("noun_id", "对象编号"),
        ("action", "操作"),
        ("start_date", "开始日期"),
        ("end_date", "结束日期"),
    ];
}

impl AuditQuery {
    fn filter(self, zone: &Zone) -> AuditFilter {
        // Days at the very end of the calendar have no moment; nothing is that late.
        let end = Instant(i64::MAX);
        AuditFilter {
            user_id: self.user_id,
            noun: self.noun.map(String::from),
            noun_id: self.noun_id.map(i64::from),
            action: self.action.map(Action::as_str),
            from: self.start_date.map(|day| zone.instant(day.0.at(0, 0, 0, 0)).unwrap_or(end)),
            until: self.end_date.map(|day| {
                let next = day.0.tomorrow().ok().and_then(|next| zone.instant(next.at(0, 0, 0, 0)));
                next.unwrap_or(end)
            }),
        }
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<AuditView>>, Refusal> {
    let listed = app.read(&caller, move |tx, _| trail::list(tx, &query.filter(tx.zone), paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |row| AuditView::of(row, zone))?)
}
