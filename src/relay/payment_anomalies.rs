//! What the relay refused from payment platforms, and what of theirs fits none of its sites, for headquarters to look at.
//!
//! # Decision
//! Whoever can reach the relay can send it forged notifications. So only so many of a kind are kept in an hour, and that is counted in the
//! relay's memory, where it costs MySQL nothing; the metric counts all of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::center::Center;
use super::sites::utc;
use super::store::payment_anomalies as store;
use crate::domain::access::Access::Headquarters;
use crate::domain::access::Permission::PaymentsRead;
use crate::domain::payment_anomalies::{AnomalyKind, safe_detail, safe_number};
use crate::domain::payments::Channel;
use crate::domain::time::{DAY_MS, HOUR_MS};
use crate::error::Result;
use crate::http::answer::{Answer, Fields, List};
use crate::http::error::Refusal;
use crate::http::extract::Paging;
use crate::http::route::{Route, get};
use crate::store::page::Listed;

/// Anomalies of one kind that one relay keeps within an hour at most.
const HOURLY_MAX: u32 = 100;
/// How long they are kept.
const KEPT: Duration = Duration::from_millis(180 * DAY_MS as u64);

/// The routes of this noun. The path is not that of a site's own anomalies, which are read through `/api/sites/{id}`.
pub fn routes() -> Vec<Route<Center>> {
    vec![get("/api/sites/payment-anomalies", Headquarters(PaymentsRead), list).summary("中心拒收的支付通知")]
}

/// How many of each kind were kept in which hour.
#[derive(Default)]
pub struct Hourly(Mutex<HashMap<AnomalyKind, (i64, u32)>>);

impl Hourly {
    /// Whether one more may be kept.
    fn admits(&self, kind: AnomalyKind, hour: i64) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, count) = counts.entry(kind).or_insert((hour, 0));
        if *of != hour {
            (*of, *count) = (hour, 0);
        }
        *count = count.saturating_add(1);
        *count <= HOURLY_MAX
    }
}

/// Counts an anomaly, and keeps it unless there are too many already.
///
/// # Errors
/// [`crate::error::Error::Center`].
pub async fn record(
    center: &Center,
    channel: Channel,
    kind: AnomalyKind,
    number: Option<&str>,
    detail: &str,
) -> Result<()> {
    let labels = [("channel", channel.as_str()), ("kind", kind.as_str())];
    metrics::counter!("canshi_relay_payment_anomalies_total", &labels).increment(1);
    if !center.hourly_anomalies().admits(kind, center.now().0.div_euclid(HOUR_MS)) {
        return Ok(());
    }
    let (number, detail) = (number.map(safe_number), safe_detail(detail));
    tracing::warn!(channel = channel.as_str(), kind = kind.as_str(), number, detail, "a payment anomaly");
    let mut conn = center.connection().await?;
    store::insert(&mut conn, (channel.as_str(), kind.as_str()), number.as_deref(), &detail).await
}

/// Removes old ones.
///
/// # Errors
/// [`crate::error::Error::Center`].
pub async fn clear_up(center: &Center) -> Result<()> {
    store::purge(&mut center.connection().await?, KEPT).await.map(drop)
}

/// Something of a platform's that was refused.
#[derive(Serialize, ToSchema)]
struct RelayAnomalyView {
    id: i64,
    /// 支付渠道
    channel: String,
    /// 异常类型
    kind: String,
    /// 订单号或退款单号
    number: Option<String>,
    /// 说明
    detail: String,
    /// When, `YYYY-MM-DDTHH:MM:SSZ`
    at: String,
}

async fn list(
    State(center): State<Center>,
    paging: Paging,
    fields: Fields,
) -> std::result::Result<Answer<List<RelayAnomalyView>>, Refusal> {
    let mut conn = center.connection().await?;
    let (total, items) = store::list(&mut conn, paging.page.offset(), paging.page.size).await?;
    let view = |anomaly: store::Anomaly| {
        let store::Anomaly { id, at, channel, kind, number, detail } = anomaly;
        RelayAnomalyView { id, channel, kind, number, detail, at: utc(at) }
    };
    Ok(Answer::list(Listed { total, items }, &paging, &fields, view)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_leaves_room_for_the_others_and_for_the_next_hour() {
        let hourly = Hourly::default();
        let kept = (0..10 * HOURLY_MAX).filter(|_| hourly.admits(AnomalyKind::Forged, 1)).count();
        assert_eq!(kept, HOURLY_MAX as usize);
        assert!(hourly.admits(AnomalyKind::Amount, 1));
        assert!(hourly.admits(AnomalyKind::Forged, 2));
    }
}
