//! Looking up users and roles.

use crate::domain::ids::RoleId;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::store::ReadTx;
use crate::store::page::{Listed, Page};
use crate::store::roles::{self, Role};
use crate::store::users::{self, User, UserFilter};

/// A page of the roles.
pub fn roles(tx: &ReadTx<'_>, page: Page) -> Result<Listed<Role>> {
    roles::list(tx, page)
}

/// One role.
///
/// # Errors
/// [`Error::NotFound`].
pub fn role(tx: &ReadTx<'_>, id: RoleId) -> Result<Role> {
    roles::find(tx, id)?.ok_or(Error::NotFound("角色不存在"))
}

/// A page of the users, of one role only when its name is given; nobody has a role that does not exist.
pub fn users(tx: &ReadTx<'_>, role: Option<&str>, status: Option<Status>, page: Page) -> Result<Listed<User>> {
    let role_id = match role {
        None => None,
        Some(name) => match roles::find_by_name(tx, name)? {
            Some(role) => Some(role.id),
            None => return Ok(Listed { total: 0, items: Vec::new() }),
        },
    };
    users::list(tx, &UserFilter { role_id, status }, page)
}
