//! Statements on `notifications` and `notification_reads`.

use rusqlite::types::ToSql;
use rusqlite::{OptionalExtension, Row};

use super::page::{Filter, Listed, Page};
use super::{ReadTx, WriteTx};
use crate::domain::ids::{CENTER_IDS_FROM, NotificationId, RoleId, UserId};
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "notifications";

/// A row, as one user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Identity.
    pub id: NotificationId,
    /// 标题
    pub title: String,
    /// 内容
    pub content: String,
    /// The user whom it is for, if only one.
    pub user_id: Option<UserId>,
    /// The role that it is for, if only one.
    pub role_id: Option<RoleId>,
    /// When it came into being.
    pub created_at: Instant,
    /// Whether the user has read it.
    pub read: bool,
}

/// A row to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNotification<'a> {
    /// 标题
    pub title: &'a str,
    /// 内容
    pub content: &'a str,
    /// The user whom it is for; with the role also none it is for everyone.
    pub user_id: Option<UserId>,
    /// The role that it is for.
    pub role_id: Option<RoleId>,
}

/// Who looks: a user sees what is for the user, for the user's role, and for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The user.
    pub user: UserId,
    /// The user's role.
    pub role: RoleId,
}

const COLUMNS: &str = "id, title, content, user_id, role_id, created_at";

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, new: &NewNotification<'_>) -> Result<NotificationId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from notifications where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    tx.connection
        .prepare_cached(
            "insert into notifications (id, title, content, user_id, role_id, created_at)
             values (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((id, new.title, new.content, new.user_id, new.role_id, tx.now))?;
    Ok(NotificationId::try_from(id).expect("the largest id plus one is an id"))
}

/// A page of the notifications that the reader sees, newest first; only unread or only read ones if so asked.
pub fn list(tx: &ReadTx<'_>, reader: Reader, unread: Option<bool>, page: Page) -> Result<Listed<Notification>> {
    let own: Vec<Box<dyn ToSql>> = vec![Box::new(reader.user), Box::new(reader.role)];
    Filter::default()
        .with("(user_id = ? or role_id = ? or (user_id is null and role_id is null))", own)
        .when(
            "not exists (select 1 from notification_reads as seen
                         where seen.notification_id = notifications.id and seen.user_id = ?)",
            (unread == Some(true)).then_some(reader.user),
        )
        .when(
            "exists (select 1 from notification_reads as seen
                     where seen.notification_id = notifications.id and seen.user_id = ?)",
            (unread == Some(false)).then_some(reader.user),
        )
        .list(tx, (COLUMNS, "notifications", "id desc"), page, |row| read(tx, row, reader.user))
}

/// The notification, if the reader sees it.
pub fn find(tx: &ReadTx<'_>, reader: Reader, id: NotificationId) -> Result<Option<Notification>> {
    let sql = "select id, title, content, user_id, role_id, created_at from notifications
               where id = ?1 and (user_id = ?2 or role_id = ?3 or (user_id is null and role_id is null))";
    tx.connection
        .prepare_cached(sql)?
        .query_row((id, reader.user, reader.role), |row| Ok(read(tx, row, reader.user)))
        .optional()?
        .transpose()
}

/// Notes that the user has read it; a second time changes nothing.
pub fn mark_read(tx: &WriteTx<'_>, id: NotificationId, user: UserId) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into notification_reads (notification_id, user_id, read_at) values (?1, ?2, ?3)
             on conflict do nothing",
        )?
        .execute((id, user, tx.now))?;
    Ok(())
}

fn read(tx: &ReadTx<'_>, row: &Row<'_>, user: UserId) -> Result<Notification> {
    let id: NotificationId = row.get("id")?;
    // One look-up by key for each of the page's few rows.
    let read = tx
        .connection
        .prepare_cached("select 1 from notification_reads where notification_id = ?1 and user_id = ?2")?
        .exists((id, user))?;
    Ok(Notification {
        id,
        title: row.get("title")?,
        content: row.get("content")?,
        user_id: row.get("user_id")?,
        role_id: row.get("role_id")?,
        created_at: row.get("created_at")?,
        read,
    })
}
