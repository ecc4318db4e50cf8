//! How the site stands with the center.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::SettingsRead;
use crate::domain::time::{Instant, Zone};
use crate::http::App;
use crate::http::answer::Answer;
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::route::{Route, get};
use crate::http::wire::LocalTime;
use crate::service::sync::{self, Progress, Standing};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![get("/api/system/sync", May(SettingsRead), standing).summary("同步状态")]
}

/// How the site stands with the center: what waits, since when, and what the center has confirmed.
#[derive(Serialize, ToSchema)]
pub struct SyncView {
    /// `not_enrolled`, `unknown`, `online`, `offline` or `fenced`
    #[schema(example = "online")]
    state: &'static str,
    /// The relay's URL; null when the site belongs to no center.
    relay: Option<String>,
    /// The site's number at the center.
    site_id: Option<i64>,
    /// The site's name at the center.
    site_name: Option<String>,
    /// Changes that the center has not confirmed.
    pending_changes: i64,
    /// When the oldest of them was made.
    oldest_pending_at: Option<LocalTime>,
    /// How long ago that was, in seconds.
    oldest_pending_s: Option<i64>,
    /// Orders that no payment platform has heard of yet.
    pending_payments: i64,
    /// When the oldest of them was made.
    oldest_pending_payment_at: Option<LocalTime>,
    /// How long the changes that wait will take at the speed so far, in seconds; null when that is not known.
    eta_s: Option<i64>,
    /// The newest change that the center has confirmed.
    confirmed_seq: Option<i64>,
    /// When it was last heard to have it.
    confirmed_at: Option<LocalTime>,
    /// The site's newest change.
    tip_seq: i64,
    /// When the center was last heard of since the program started.
    last_contact_at: Option<LocalTime>,
    /// What went wrong last.
    last_error: Option<String>,
    /// When it did.
    last_error_at: Option<LocalTime>,
    /// Messages from the center that are being carried out.
    messages_running: usize,
    /// Why the center takes nothing of this box any more.
    fenced: Option<String>,
    /// What the repair of the mirror is at.
    repair: Option<RepairView>,
}

/// What a repair of the mirror is at.
#[derive(Serialize, ToSchema)]
pub struct RepairView {
    /// `wanted`, `running`, `done` or `failed`
    state: String,
    /// Rows that were compared.
    rows: u64,
    /// Rows altogether.
    rows_total: u64,
    /// Rows that differed.
    different: u64,
}

impl SyncView {
    /// The standing as it was at this moment, with times of this zone.
    pub fn of(standing: Standing, now: Instant, zone: &Zone) -> Self {
        let local = |at: Instant| LocalTime::of(at, zone);
        let eta_s = standing.line.seconds_for(standing.pending_changes);
        let (relay, site_id, site_name) = match standing.line.site {
            Some((relay, id, name)) => (Some(relay), Some(id), Some(name)),
            None => (None, None, None),
        };
        let (last_error, last_error_at) = standing.line.error.unzip();
        let oldest = standing.oldest_pending_at;
        Self {
            state: if standing.fenced.is_some() { "fenced" } else { standing.line.state.as_str() },
            relay,
            site_id,
            site_name,
            pending_changes: standing.pending_changes,
            oldest_pending_at: oldest.map(local),
            oldest_pending_s: oldest.map(|at| now.ms_since(at).max(0) / 1000),
            pending_payments: standing.pending_payments.0,
            oldest_pending_payment_at: standing.pending_payments.1.map(local),
            eta_s,
            confirmed_seq: standing.confirmed.map(|(seq, _)| seq),
            confirmed_at: standing.confirmed.map(|(_, at)| local(at)),
            tip_seq: standing.tip,
            last_contact_at: standing.line.contact_at.map(local),
            last_error,
            last_error_at: last_error_at.map(local),
            messages_running: standing.line.messages,
            fenced: standing.fenced,
            repair: standing.repair.map(|task| {
                let progress = Progress::of(&task).unwrap_or_default();
                RepairView {
                    state: task.state,
                    rows: progress.rows,
                    rows_total: progress.rows_total,
                    different: progress.different,
                }
            }),
        }
    }
}

async fn standing(State(app): State<App>, caller: Caller) -> Result<Answer<SyncView>, Refusal> {
    let (now, zone) = (app.db().now(), app.db().zone().clone());
    let standing = app.read_rows(&caller, |tx, _| sync::standing(tx, app.line())).await?;
    Ok(Answer::new("获取成功", SyncView::of(standing, now, &zone))?)
}
