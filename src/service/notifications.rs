//! What people are told, and whether they have read it.

use serde_json::json;

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::{NotificationId, RoleId, UserId};
use crate::error::{Error, Result};
use crate::store::notifications::{self, NOUN, NewNotification, Notification, Reader};
use crate::store::page::{Listed, Page};
use crate::store::{ReadTx, WriteTx};

const NO_SUCH: Error = Error::NotFound("通知不存在");

/// Whom a notification is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Every user.
    Everyone,
    /// One user.
    User(UserId),
    /// Whoever holds this role.
    Role(RoleId),
}

/// Tells the audience something, in the transaction of what it is about; that deed is what the audit trail shows.
pub fn notify(tx: &WriteTx<'_>, audience: Audience, title: &str, content: &str) -> Result<NotificationId> {
    let (user_id, role_id) = match audience {
        Audience::Everyone => (None, None),
        Audience::User(id) => (Some(id), None),
        Audience::Role(id) => (None, Some(id)),
    };
    notifications::insert(tx, &NewNotification { title, content, user_id, role_id })
}

/// Tells everybody something that stands for itself.
pub fn announce(tx: &WriteTx<'_>, actor: &Actor, title: &str, content: &str) -> Result<NotificationId> {
    let id = notify(tx, Audience::Everyone, title, content)?;
    let after = Some(json!({"title": title, "content": content}));
    record(tx, actor, Deed { action: Action::Create, noun: NOUN, noun_id: Some(id.get()), before: None, after })?;
    Ok(id)
}

/// A page of the actor's notifications, newest first; only unread or only read ones if so asked.
pub fn list(tx: &ReadTx<'_>, actor: &Actor, unread: Option<bool>, page: Page) -> Result<Listed<Notification>> {
    match reader(actor) {
        Some(reader) => notifications::list(tx, reader, unread, page),
        None => Ok(Listed { total: 0, items: Vec::new() }),
    }
}

/// Notes that the actor has read a notification.
///
/// # Errors
/// [`Error::NotFound`] also when it is somebody else's.
pub fn mark_read(tx: &WriteTx<'_>, actor: &Actor, id: NotificationId) -> Result<Notification> {
    let reader = reader(actor).ok_or(NO_SUCH)?;
    let mut notification = notifications::find(tx, reader, id)?.ok_or(NO_SUCH)?;
    if !notification.read {
        notifications::mark_read(tx, id, reader.user)?;
        let deed = Deed {
            action: Action::Read,
            noun: NOUN,
            noun_id: Some(id.get()),
            before: Some(json!({"read": false})),
            after: Some(json!({"read": true})),
        };
        record(tx, actor, deed)?;
        notification.read = true;
    }
    Ok(notification)
}

fn reader(actor: &Actor) -> Option<Reader> {
    actor.person.as_ref().map(|person| Reader { user: person.user_id, role: person.role_id })
}
