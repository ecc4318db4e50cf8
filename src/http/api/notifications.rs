//! Notifications.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{NotificationsRead, SettingsWrite};
use crate::domain::ids::NotificationId;
use crate::domain::time::Zone;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, get, post};
use crate::http::wire::{Line, LocalTime, Paragraph};
use crate::service::notifications;
use crate::store::notifications::Notification;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        post("/api/notifications", May(SettingsWrite), announce).summary("向所有用户发通知"),
        get("/api/notifications", May(NotificationsRead), list).summary("获取本人通知列表"),
        post("/api/notifications/{id}/read", May(NotificationsRead), mark_read).summary("标记通知为已读"),
    ]
}

/// A notification.
#[derive(Serialize, ToSchema)]
struct NotificationView {
    id: NotificationId,
    /// 标题
    title: String,
    /// 内容
    content: String,
    /// 时间
    time: LocalTime,
    /// 是否已读
    read: bool,
}

impl NotificationView {
    fn of(notification: Notification, zone: &Zone) -> Self {
        Self {
            id: notification.id,
            title: notification.title,
            content: notification.content,
            time: LocalTime::of(notification.created_at, zone),
            read: notification.read,
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct NotificationQuery {
    /// 只看未读（true）或已读（false）
    unread: Option<bool>,
}

impl Labels for NotificationQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[("unread", "是否未读")];
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<NotificationQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<NotificationView>>, Refusal> {
    let listed = app.read(&caller, move |tx, actor| notifications::list(tx, actor, query.unread, paging.page)).await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |notification| NotificationView::of(notification, zone))?)
}

async fn mark_read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<NotificationId>,
) -> Result<Answer<NotificationView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("已读", NotificationView::of(notifications::mark_read(tx, actor, id)?, tx.zone))
    })
    .await
}

/// Something to tell everybody.
#[derive(Deserialize, ToSchema)]
pub struct AnnouncementBody {
    /// 标题
    #[schema(example = "系统维护")]
    pub title: Line,
    /// 内容
    #[schema(example = "今晚22点系统维护")]
    pub content: Paragraph,
}

impl Labels for AnnouncementBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("title", "标题"), ("content", "内容")];
}

/// What everybody was told.
#[derive(Serialize, ToSchema)]
struct AnnouncedView {
    id: NotificationId,
}

async fn announce(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<AnnouncementBody>,
) -> Result<Created<AnnouncedView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let id = notifications::announce(tx, actor, body.title.as_str(), body.content.as_str())?;
        Created::new("发送成功", AnnouncedView { id })
    })
    .await
}
