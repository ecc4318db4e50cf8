//! Statements on the mirror that tell who a user of a site is. Every one names the site.

use mysql_async::prelude::Queryable;

use crate::domain::access::{ADMIN, Permission, Permissions, Person};
use crate::domain::ids::{CENTER_IDS_FROM, CustomerId, EmployeeId, RoleId, UserId};
use crate::error::{Error, Result};

/// The role of whoever logs in with WeChat for the first time.
const CUSTOMER: &str = "customer";

type UserRow = (Option<String>, Option<String>, i64, Option<String>, Option<i64>, Option<i64>, i64);

/// An active user of a site, with the rights of the site's rows as the mirror has them.
///
/// # Errors
/// [`Error::Center`], [`Error::Corrupt`].
pub async fn find(conn: &mut impl Queryable, site: i64, user_id: UserId) -> Result<Option<Person>> {
    let row: Option<UserRow> = conn
        .exec_first(
            "select u.username, u.name, r.id, r.name, u.customer_id, u.employee_id,
                 coalesce(u.status = 'active', 0) and u.deleted_at is null
             from users as u join roles as r on r.site_id = u.site_id and r.id = u.role_id
             where u.site_id = ? and u.id = ?",
            (site, user_id.get()),
        )
        .await?;
    let Some((username, name, role_id, role, customer_id, employee_id, 1)) = row else { return Ok(None) };
    let role = role.unwrap_or_default();
    Ok(Some(Person {
        user_id,
        username: username.unwrap_or_default(),
        name: name.unwrap_or_default(),
        role_id: RoleId::try_from(role_id).map_err(|error| Error::Corrupt(format!("a role: {error}")))?,
        permissions: permissions(conn, site, role_id, &role).await?,
        role,
        customer_id: customer_id.and_then(|id| CustomerId::try_from(id).ok()),
        employee_id: employee_id.and_then(|id| EmployeeId::try_from(id).ok()),
        session_id: None,
    }))
}

/// A user to whom the center gave his id and whose row has not come back from the site: a customer. None when the row is there,
/// whatever it says, or the id is not the center's.
///
/// # Errors
/// [`Error::Center`], [`Error::Corrupt`].
pub async fn provisional(conn: &mut impl Queryable, site: i64, user_id: UserId) -> Result<Option<Person>> {
    if user_id.get() < CENTER_IDS_FROM || is_there(conn, site, user_id.get()).await? {
        return Ok(None);
    }
    let sql = "select id from roles where site_id = ? and name = ?";
    let Some(role_id) = conn.exec_first::<i64, _, _>(sql, (site, CUSTOMER)).await? else { return Ok(None) };
    Ok(Some(Person {
        user_id,
        username: String::new(),
        name: String::new(),
        role_id: RoleId::try_from(role_id).map_err(|error| Error::Corrupt(format!("a role: {error}")))?,
        role: CUSTOMER.to_owned(),
        permissions: permissions(conn, site, role_id, CUSTOMER).await?,
        customer_id: None,
        employee_id: None,
        session_id: None,
    }))
}

/// The user who logs in with the WeChat account of this index, which is the site's own; he may be set aside.
///
/// # Errors
/// [`Error::Center`], [`Error::Corrupt`].
pub async fn find_by_openid(conn: &mut impl Queryable, site: i64, openid_index: &str) -> Result<Option<UserId>> {
    let sql = "select id from users where site_id = ? and openid_index = ? and deleted_at is null";
    let id: Option<i64> = conn.exec_first(sql, (site, openid_index)).await?;
    id.map(UserId::try_from).transpose().map_err(|error| Error::Corrupt(format!("a user: {error}")))
}

/// Whether the mirror has this user, whatever his row says.
///
/// # Errors
/// [`Error::Center`].
pub async fn is_there(conn: &mut impl Queryable, site: i64, id: i64) -> Result<bool> {
    let sql = "select 1 from users where site_id = ? and id = ?";
    Ok(conn.exec_first::<i64, _, _>(sql, (site, id)).await?.is_some())
}

/// What a role of a site allows: never what is headquarters' alone. Names that this program does not know allow nothing.
async fn permissions(conn: &mut impl Queryable, site: i64, role_id: i64, role: &str) -> Result<Permissions> {
    let held = if role == ADMIN {
        Permissions::all()
    } else {
        let sql = "select permission from role_permissions where site_id = ? and role_id = ?";
        let names: Vec<String> = conn.exec(sql, (site, role_id)).await?;
        names.iter().filter_map(|name| name.parse::<Permission>().ok()).collect()
    };
    Ok(held.iter().filter(|held| !matches!(held, Permission::SitesRead | Permission::SitesWrite)).collect())
}
