//! Users: who may log in, as what, and as whom.

use serde_json::{Value, json};

use super::audit::{Deed, record};
use super::auth::AccessEpoch;
use super::roles::grantable;
use crate::domain::access::{ADMIN, Actor};
use crate::domain::audit::Action;
use crate::domain::ids::{CustomerId, EmployeeId, UserId};
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::store::roles::{self, Role};
use crate::store::users::{self, NOUN, User};
use crate::store::{ReadTx, WriteTx, customers, employees, sessions};

const NO_SUCH: Error = Error::NotFound("用户不存在");

/// A user to be added.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name to log in with.
    pub username: String,
    /// bcrypt.
    pub password_hash: String,
    /// The role's name.
    pub role: String,
    /// How people call the user.
    pub name: String,
    /// The employee that the user is.
    pub employee_id: Option<EmployeeId>,
    /// The customer that the user is.
    pub customer_id: Option<CustomerId>,
    /// Whether the user may log in.
    pub status: Status,
}

/// Adds a user.
///
/// # Errors
/// [`Error::Invalid`] when the role, the employee or the customer does not exist; [`Error::Conflict`] when the name is
/// taken; [`Error::Forbidden`] when the role allows more than the actor may.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, new: NewUser) -> Result<User> {
    let role = role_named(tx, &new.role)?;
    grantable(actor, role.permissions)?;
    let user = User {
        id: users::next_id(tx)?,
        username: new.username,
        password_hash: new.password_hash,
        role_id: role.id,
        role: role.name,
        name: new.name,
        employee_id: new.employee_id,
        customer_id: new.customer_id,
        status: new.status,
        created_at: tx.now,
        updated_at: tx.now,
    };
    check_links(tx, &user)?;
    users::insert(tx, &user)?;
    record(tx, actor, deed(Action::Create, user.id, None, Some(image(&user))))?;
    Ok(user)
}

/// Changes a user: `change` gets the row as it is and leaves it as it shall be, with the role's name in `role`. A user who
/// loses access, or whose password or role changes, is logged out everywhere at once.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`]; [`Error::Conflict`] when no active administrator would be left.
pub fn update(
    tx: &WriteTx<'_>,
    actor: &Actor,
    epoch: &AccessEpoch,
    id: UserId,
    change: impl FnOnce(&mut User),
) -> Result<User> {
    let before = users::find(tx, id)?.ok_or(NO_SUCH)?;
    let mut after = before.clone();
    change(&mut after);
    grantable(actor, role_named(tx, &before.role)?.permissions)?;
    let role = role_named(tx, &after.role)?;
    grantable(actor, role.permissions)?;
    after.role_id = role.id;
    after.updated_at = tx.now;
    check_links(tx, &after)?;
    users::update(tx, &after)?;
    keep_an_admin(tx, &before)?;
    if after.password_hash != before.password_hash || after.role_id != before.role_id || after.status != Status::Active
    {
        sessions::end_all_of(tx, id)?;
    }
    epoch.changes(tx);
    let mut image_after = image(&after);
    if after.password_hash != before.password_hash {
        image_after["password"] = json!("changed");
    }
    record(tx, actor, deed(Action::Update, id, Some(image(&before)), Some(image_after)))?;
    Ok(after)
}

/// Hides a user and ends its sessions.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when no active administrator would be left.
pub fn delete(tx: &WriteTx<'_>, actor: &Actor, epoch: &AccessEpoch, id: UserId) -> Result<()> {
    let before = users::find(tx, id)?.ok_or(NO_SUCH)?;
    grantable(actor, role_named(tx, &before.role)?.permissions)?;
    users::hide(tx, id)?;
    keep_an_admin(tx, &before)?;
    sessions::end_all_of(tx, id)?;
    epoch.changes(tx);
    record(tx, actor, deed(Action::Delete, id, Some(image(&before)), None))
}

/// One user.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, id: UserId) -> Result<User> {
    users::find(tx, id)?.ok_or(NO_SUCH)
}

/// Sets the password of the user of this name, makes it active and ends its sessions: for the command line, while no
/// server runs.
///
/// # Errors
/// [`Error::NotFound`].
pub fn reset_password(tx: &WriteTx<'_>, actor: &Actor, username: &str, password_hash: String) -> Result<()> {
    let user = users::find_by_username(tx, username)?.ok_or(NO_SUCH)?;
    let reset = |user: &mut User| {
        user.password_hash = password_hash;
        user.status = Status::Active;
    };
    update(tx, actor, &AccessEpoch::default(), user.id, reset).map(drop)
}

fn role_named(tx: &ReadTx<'_>, name: &str) -> Result<Role> {
    roles::find_by_name(tx, name)?.ok_or_else(|| Error::invalid("role", "没有这个角色"))
}

fn check_links(tx: &ReadTx<'_>, user: &User) -> Result<()> {
    if let Some(id) = user.employee_id
        && employees::find(tx, id)?.is_none()
    {
        return Err(Error::invalid("employee_id", "员工不存在"));
    }
    if let Some(id) = user.customer_id
        && customers::find(tx, id)?.is_none()
    {
        return Err(Error::invalid("customer_id", "客户不存在"));
    }
    Ok(())
}

fn keep_an_admin(tx: &ReadTx<'_>, before: &User) -> Result<()> {
    if before.role == ADMIN && users::count_active(tx, before.role_id)? == 0 {
        return Err(Error::Conflict("至少保留一个启用的管理员".into()));
    }
    Ok(())
}

fn deed(action: Action, id: UserId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

fn image(user: &User) -> Value {
    json!({
        "username": user.username,
        "role": user.role,
        "name": user.name,
        "employee_id": user.employee_id.map(EmployeeId::get),
        "customer_id": user.customer_id.map(CustomerId::get),
        "status": user.status.as_str(),
    })
}
