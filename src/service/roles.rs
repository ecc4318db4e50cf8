//! Roles and what they allow.

use serde_json::{Value, json};

use super::audit::{Deed, record};
use super::auth::AccessEpoch;
use crate::domain::access::{ADMIN, Actor, Permissions};
use crate::domain::audit::Action;
use crate::domain::ids::RoleId;
use crate::error::{Error, Result};
use crate::store::WriteTx;
use crate::store::roles::{self, NOUN, Role};

/// Adds a role.
///
/// # Errors
/// [`Error::Conflict`] when the name is taken; [`Error::Forbidden`] when it allows more than its maker may.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, name: String, title: String, permissions: Permissions) -> Result<Role> {
    grantable(actor, permissions)?;
    let role = Role { id: roles::next_id(tx)?, name, title, built_in: false, permissions };
    roles::insert(tx, &role)?;
    record(tx, actor, deed(Action::Create, role.id, None, Some(image(&role))))?;
    Ok(role)
}

/// Changes what a role is called and allows; whoever holds it is affected at once.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] for the administrator's role, which may always do everything;
/// [`Error::Forbidden`] when it would allow more than its changer may.
pub fn update(
    tx: &WriteTx<'_>,
    actor: &Actor,
    epoch: &AccessEpoch,
    id: RoleId,
    change: impl FnOnce(&mut Role),
) -> Result<Role> {
    let before = roles::find(tx, id)?.ok_or(Error::NotFound("角色不存在"))?;
    let mut after = before.clone();
    change(&mut after);
    if before.name == ADMIN && after.permissions != before.permissions {
        return Err(Error::Conflict("管理员角色的权限不可更改".into()));
    }
    grantable(actor, before.permissions)?;
    grantable(actor, after.permissions)?;
    roles::update(tx, &after)?;
    epoch.changes(tx);
    record(tx, actor, deed(Action::Update, id, Some(image(&before)), Some(image(&after))))?;
    Ok(after)
}

/// Nobody gives, takes or changes more than he holds.
pub fn grantable(actor: &Actor, permissions: Permissions) -> Result<()> {
    if actor.permissions().covers(permissions) {
        Ok(())
    } else {
        Err(Error::Forbidden("不能授予或更改超出本人权限的角色"))
    }
}

fn deed(action: Action, id: RoleId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

fn image(role: &Role) -> Value {
    let permissions: Vec<&str> = role.permissions.iter().map(|permission| permission.as_str()).collect();
    json!({"name": role.name, "title": role.title, "permissions": permissions})
}
