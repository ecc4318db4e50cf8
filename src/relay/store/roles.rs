//! Statements on `canshi_roles` and `canshi_role_permissions`: what people at headquarters may do.

use mysql_async::prelude::Queryable;

use super::taken;
use crate::domain::access::{ADMIN, Permission, Permissions};
use crate::domain::ids::RoleId;
use crate::error::{Error, Result};
use crate::store::page::{Listed, Page};
use crate::store::roles::Role;

type RoleRow = (i64, String, String, i64);

/// Adds a role under the next id and gives it.
///
/// # Errors
/// [`Error::Conflict`] when the name is taken; [`Error::Center`].
pub async fn insert(conn: &mut impl Queryable, name: &str, title: &str, permissions: Permissions) -> Result<Role> {
    let last: Option<i64> = conn.query_first("select id from canshi_roles order by id desc limit 1 for update").await?;
    let id = last.unwrap_or(0) + 1;
    conn.exec_drop("insert into canshi_roles (id, name, title, built_in) values (?, ?, ?, 0)", (id, name, title))
        .await
        .map_err(taken("角色名称已存在"))?;
    set_permissions(conn, id, permissions).await?;
    role(conn, (id, name.to_owned(), title.to_owned(), 0)).await
}

/// Adds a role that is there from the start.
///
/// # Errors
/// [`Error::Conflict`] when it is there already; [`Error::Center`].
pub async fn insert_built_in(
    conn: &mut impl Queryable,
    id: i64,
    (name, title): (&str, &str),
    permissions: Permissions,
) -> Result<()> {
    conn.exec_drop("insert into canshi_roles (id, name, title, built_in) values (?, ?, ?, 1)", (id, name, title))
        .await
        .map_err(taken("角色名称已存在"))?;
    set_permissions(conn, id, permissions).await
}

/// Writes what a role allows.
///
/// # Errors
/// [`Error::Center`].
pub async fn set_permissions(conn: &mut impl Queryable, id: i64, permissions: Permissions) -> Result<()> {
    conn.exec_drop("delete from canshi_role_permissions where role_id = ?", (id,)).await?;
    for permission in permissions.iter() {
        let sql = "insert into canshi_role_permissions (role_id, permission) values (?, ?)";
        conn.exec_drop(sql, (id, permission.as_str())).await?;
    }
    Ok(())
}

/// The role of this id.
///
/// # Errors
/// [`Error::Center`].
pub async fn find(conn: &mut impl Queryable, id: RoleId) -> Result<Option<Role>> {
    let sql = "select id, name, title, built_in from canshi_roles where id = ?";
    let row: Option<RoleRow> = conn.exec_first(sql, (id.get(),)).await?;
    match row {
        Some(row) => role(conn, row).await.map(Some),
        None => Ok(None),
    }
}

/// The role of this name.
///
/// # Errors
/// [`Error::Center`].
pub async fn find_by_name(conn: &mut impl Queryable, name: &str) -> Result<Option<Role>> {
    let sql = "select id, name, title, built_in from canshi_roles where name = ?";
    let row: Option<RoleRow> = conn.exec_first(sql, (name,)).await?;
    match row {
        Some(row) => role(conn, row).await.map(Some),
        None => Ok(None),
    }
}

/// A page of the roles, by id.
///
/// # Errors
/// [`Error::Center`].
pub async fn list(conn: &mut impl Queryable, page: Page) -> Result<Listed<Role>> {
    let total: Option<i64> = conn.query_first("select count(*) from canshi_roles").await?;
    let rows: Vec<RoleRow> = conn
        .exec(
            "select id, name, title, built_in from canshi_roles order by id limit ? offset ?",
            (page.size, page.offset()),
        )
        .await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(role(conn, row).await?);
    }
    Ok(Listed { total: total.unwrap_or(0), items })
}

/// Locks the administrator's role: whoever changes people or roles does so one after the other.
///
/// # Errors
/// [`Error::Center`].
pub async fn lock(conn: &mut impl Queryable) -> Result<()> {
    conn.exec_drop("select id from canshi_roles where name = ? for update", (ADMIN,)).await?;
    Ok(())
}

async fn role(conn: &mut impl Queryable, (id, name, title, built_in): RoleRow) -> Result<Role> {
    // The administrator may do everything, also what a newer version has added.
    let permissions = if name == ADMIN {
        Permissions::all()
    } else {
        let sql = "select permission from canshi_role_permissions where role_id = ?";
        let names: Vec<String> = conn.exec(sql, (id,)).await?;
        names.iter().filter_map(|name| name.parse::<Permission>().ok()).collect()
    };
    let id = RoleId::try_from(id).map_err(|error| Error::Corrupt(format!("a role: {error}")))?;
    Ok(Role { id, name, title, built_in: built_in != 0, permissions })
}
