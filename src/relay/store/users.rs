//! Statements on `canshi_users`: the people at headquarters.

use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::taken;
use crate::domain::access::ADMIN;
use crate::domain::ids::{RoleId, UserId};
use crate::domain::status::Status;
use crate::domain::time::Instant;
use crate::error::{Error, Result};
use crate::store::page::{Listed, Page};

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadquartersUser {
    /// Identity.
    pub id: UserId,
    /// The name to log in with.
    pub username: String,
    /// bcrypt.
    pub password_hash: String,
    /// How people call the user.
    pub name: String,
    /// The role.
    pub role_id: RoleId,
    /// The role's name.
    pub role: String,
    /// Whether the user may log in.
    pub status: Status,
    /// When the row came into being.
    pub created_at: Instant,
}

const SELECT: &str = "select u.id, u.username, u.password_hash, u.name, u.role_id, r.name, u.status,
     timestampdiff(microsecond, '1970-01-01', u.created_at) div 1000
     from canshi_users as u join canshi_roles as r on r.id = u.role_id";
const NAME_TAKEN: &str = "用户名已存在";

/// Adds a user under the next id and gives the id.
///
/// # Errors
/// [`Error::Conflict`] when the name is taken; [`Error::Center`].
pub async fn insert(
    conn: &mut impl Queryable,
    (username, name): (&str, &str),
    password_hash: &str,
    role_id: RoleId,
    status: Status,
) -> Result<UserId> {
    let last: Option<i64> = conn.query_first("select id from canshi_users order by id desc limit 1 for update").await?;
    let id = last.unwrap_or(0) + 1;
    conn.exec_drop(
        "insert into canshi_users (id, username, password_hash, name, role_id, status, created_at, updated_at)
         values (?, ?, ?, ?, ?, ?, utc_timestamp(3), utc_timestamp(3))",
        (id, username, password_hash, name, role_id.get(), status.as_str()),
    )
    .await
    .map_err(taken(NAME_TAKEN))?;
    UserId::try_from(id).map_err(|error| Error::Corrupt(format!("a user: {error}")))
}

/// Writes a user's row over the one of its id.
///
/// # Errors
/// [`Error::Conflict`] when the name is taken; [`Error::Center`].
pub async fn update(conn: &mut impl Queryable, user: &HeadquartersUser) -> Result<()> {
    conn.exec_drop(
        "update canshi_users set username = ?, password_hash = ?, name = ?, role_id = ?, status = ?,
             updated_at = utc_timestamp(3)
         where id = ?",
        (&user.username, &user.password_hash, &user.name, user.role_id.get(), user.status.as_str(), user.id.get()),
    )
    .await
    .map_err(taken(NAME_TAKEN))
}

/// The user of this id.
///
/// # Errors
/// [`Error::Center`], [`Error::Corrupt`].
pub async fn find(conn: &mut impl Queryable, id: UserId) -> Result<Option<HeadquartersUser>> {
    let row: Option<Row> = conn.exec_first(format!("{SELECT} where u.id = ?"), (id.get(),)).await?;
    row.map(read).transpose()
}

/// The user of this name.
///
/// # Errors
/// [`Error::Center`], [`Error::Corrupt`].
pub async fn find_by_username(conn: &mut impl Queryable, username: &str) -> Result<Option<HeadquartersUser>> {
    let row: Option<Row> = conn.exec_first(format!("{SELECT} where u.username = ?"), (username,)).await?;
    row.map(read).transpose()
}

/// A page of the users, by id.
///
/// # Errors
/// [`Error::Center`], [`Error::Corrupt`].
pub async fn list(conn: &mut impl Queryable, page: Page) -> Result<Listed<HeadquartersUser>> {
    let total: Option<i64> = conn.query_first("select count(*) from canshi_users").await?;
    let sql = format!("{SELECT} order by u.id limit ? offset ?");
    let rows: Vec<Row> = conn.exec(sql, (page.size, page.offset())).await?;
    Ok(Listed { total: total.unwrap_or(0), items: rows.into_iter().map(read).collect::<Result<_>>()? })
}

/// How many active administrators there are.
///
/// # Errors
/// [`Error::Center`].
pub async fn count_active_admins(conn: &mut impl Queryable) -> Result<i64> {
    let sql = "select count(*) from canshi_users as u join canshi_roles as r on r.id = u.role_id
               where r.name = ? and u.status = 'active'";
    Ok(conn.exec_first(sql, (ADMIN,)).await?.unwrap_or(0))
}

fn read(mut row: Row) -> Result<HeadquartersUser> {
    let mut fields = || -> Option<HeadquartersUser> {
        Some(HeadquartersUser {
            id: UserId::try_from(row.take::<i64, _>(0)?).ok()?,
            username: row.take(1)?,
            password_hash: row.take(2)?,
            name: row.take(3)?,
            role_id: RoleId::try_from(row.take::<i64, _>(4)?).ok()?,
            role: row.take(5)?,
            status: row.take::<String, _>(6)?.parse().ok()?,
            created_at: Instant(row.take(7)?),
        })
    };
    fields().ok_or_else(|| Error::Corrupt("a user of headquarters".to_owned()))
}
