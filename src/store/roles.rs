//! Statements on `roles` and `role_permissions`.

use rusqlite::{OptionalExtension, Row};

use super::page::{Filter, Listed, Page};
use super::rows::on_constraint;
use super::{ReadTx, WriteTx};
use crate::domain::access::{ADMIN, Permission, Permissions};
use crate::domain::ids::{CENTER_IDS_FROM, RoleId};
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "roles";

/// A role and what it allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Identity.
    pub id: RoleId,
    /// The word in `users.role`.
    pub name: String,
    /// How people call it.
    pub title: String,
    /// Whether it is there from the start.
    pub built_in: bool,
    /// What it allows.
    pub permissions: Permissions,
}

/// The id that the next role of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<RoleId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from roles where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(RoleId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a role with its permissions.
pub fn insert(tx: &WriteTx<'_>, role: &Role) -> Result<()> {
    tx.connection
        .prepare_cached("insert into roles (id, name, title, built_in, created_at) values (?1, ?2, ?3, ?4, ?5)")?
        .execute((role.id, &role.name, &role.title, role.built_in, tx.now))
        .map_err(on_constraint("roles.name", "角色名称已存在"))?;
    set_permissions(tx, role.id, role.permissions)
}

/// Writes a role's new title and permissions.
pub fn update(tx: &WriteTx<'_>, role: &Role) -> Result<()> {
    tx.connection.prepare_cached("update roles set title = ?2 where id = ?1")?.execute((role.id, &role.title))?;
    set_permissions(tx, role.id, role.permissions)
}

fn set_permissions(tx: &WriteTx<'_>, id: RoleId, wanted: Permissions) -> Result<()> {
    let kept = permissions(tx, id)?;
    let mut add = tx.connection.prepare_cached("insert into role_permissions (role_id, permission) values (?1, ?2)")?;
    let mut remove =
        tx.connection.prepare_cached("delete from role_permissions where role_id = ?1 and permission = ?2")?;
    for permission in Permission::ALL {
        match (wanted.has(permission), kept.has(permission)) {
            (true, false) => add.execute((id, permission.as_str()))?,
            (false, true) => remove.execute((id, permission.as_str()))?,
            (true, true) | (false, false) => 0,
        };
    }
    Ok(())
}

/// What a role's rows allow. Names that this program does not know, of a newer one, allow nothing here.
fn permissions(tx: &ReadTx<'_>, id: RoleId) -> Result<Permissions> {
    let mut statement = tx.connection.prepare_cached("select permission from role_permissions where role_id = ?1")?;
    let names = statement.query_map([id], |row| row.get::<_, String>(0))?;
    let mut known = Vec::new();
    for name in names {
        known.extend(name?.parse::<Permission>());
    }
    Ok(known.into_iter().collect())
}

/// The role of this id.
pub fn find(tx: &ReadTx<'_>, id: RoleId) -> Result<Option<Role>> {
    tx.connection
        .prepare_cached("select id, name, title, built_in from roles where id = ?1")?
        .query_row([id], |row| Ok(read(tx, row)))
        .optional()?
        .transpose()
}

/// The role of this name.
pub fn find_by_name(tx: &ReadTx<'_>, name: &str) -> Result<Option<Role>> {
    tx.connection
        .prepare_cached("select id, name, title, built_in from roles where name = ?1")?
        .query_row([name], |row| Ok(read(tx, row)))
        .optional()?
        .transpose()
}

/// A page of the roles, by id.
pub fn list(tx: &ReadTx<'_>, page: Page) -> Result<Listed<Role>> {
    Filter::default().list(tx, ("id, name, title, built_in", "roles", "id"), page, |row| read(tx, row))
}

fn read(tx: &ReadTx<'_>, row: &Row<'_>) -> Result<Role> {
    let (id, name): (RoleId, String) = (row.get("id")?, row.get("name")?);
    // The administrator may do everything, also what a newer version has added.
    let permissions = if name == ADMIN { Permissions::all() } else { permissions(tx, id)? };
    Ok(Role { id, name, title: row.get("title")?, built_in: row.get("built_in")?, permissions })
}
