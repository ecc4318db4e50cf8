//! Statements on `users`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::rows::on_constraint;
use super::vault::Place;
use super::{ReadTx, WriteTx};
use crate::domain::ids::{CENTER_IDS_FROM, CustomerId, EmployeeId, RoleId, UserId};
use crate::domain::status::Status;
use crate::domain::time::Instant;
use crate::domain::wechat::Openid;
use crate::error::{Error, Result};

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "users";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Identity.
    pub id: UserId,
    /// The name to log in with.
    pub username: String,
    /// bcrypt.
    pub password_hash: String,
    /// The role.
    pub role_id: RoleId,
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
    /// When the row came into being.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// Which users.
#[derive(Debug, Clone, Default)]
pub struct UserFilter {
    /// Only of this role.
    pub role_id: Option<RoleId>,
    /// Only these.
    pub status: Option<Status>,
}

const COLUMNS: &str = "users.id, username, password_hash, role_id, roles.name as role, users.name, employee_id, \
                       customer_id, status, users.created_at, updated_at";
const FROM: &str = "users join roles on roles.id = users.role_id";

/// The id that the next user of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<UserId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from users where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(UserId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, user: &User) -> Result<()> {
    save(
        tx,
        user,
        "insert into users (id, username, password_hash, role_id, name, employee_id, customer_id, status, created_at,
             updated_at)
         values (:id, :username, :password_hash, :role_id, :name, :employee_id, :customer_id, :status, :created_at,
             :updated_at)",
    )
}

/// Writes a row's new state.
pub fn update(tx: &WriteTx<'_>, user: &User) -> Result<()> {
    save(
        tx,
        user,
        "update users set username = :username, password_hash = :password_hash, role_id = :role_id, name = :name,
             employee_id = :employee_id, customer_id = :customer_id, status = :status, created_at = :created_at,
             updated_at = :updated_at
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, user: &User, sql: &str) -> Result<()> {
    tx.connection
        .prepare_cached(sql)?
        .execute(named_params! {
            ":id": user.id,
            ":username": user.username,
            ":password_hash": user.password_hash,
            ":role_id": user.role_id,
            ":name": user.name,
            ":employee_id": user.employee_id,
            ":customer_id": user.customer_id,
            ":status": user.status,
            ":created_at": user.created_at,
            ":updated_at": user.updated_at,
        })
        .map_err(on_constraint("users.username", "用户名已存在"))?;
    Ok(())
}

/// Hides a row; its name stays taken, its WeChat account comes free.
pub fn hide(tx: &WriteTx<'_>, id: UserId) -> Result<()> {
    tx.connection
        .prepare_cached("update users set deleted_at = ?2, openid = null, openid_index = null where id = ?1")?
        .execute((id, tx.now))?;
    Ok(())
}

/// Makes this WeChat account the one that the user logs in with.
pub fn set_openid(tx: &WriteTx<'_>, id: UserId, openid: &Openid) -> Result<()> {
    let sealed = tx.vault.seal(Place { table: "users", column: "openid", id: id.get() }, openid.as_str())?;
    tx.connection
        .prepare_cached("update users set openid = ?2, openid_index = ?3, updated_at = ?4 where id = ?1")?
        .execute((id, sealed, openid_index(tx, openid), tx.now))
        .map_err(on_constraint("users.openid_index", "该微信已绑定其他用户"))?;
    Ok(())
}

/// Lets the user log in with no WeChat account.
pub fn clear_openid(tx: &WriteTx<'_>, id: UserId) -> Result<()> {
    tx.connection
        .prepare_cached("update users set openid = null, openid_index = null, updated_at = ?2 where id = ?1")?
        .execute((id, tx.now))?;
    Ok(())
}

/// Whether the user can log in with some WeChat account.
pub fn has_openid(tx: &ReadTx<'_>, id: UserId) -> Result<bool> {
    let sql = "select 1 from users where id = ?1 and openid_index is not null";
    Ok(tx.connection.prepare_cached(sql)?.exists([id])?)
}

/// The WeChat account of the first active user who is this employee and logs in with one.
pub fn openid_of_employee(tx: &ReadTx<'_>, id: EmployeeId) -> Result<Option<Openid>> {
    let sql = "select id, openid from users
               where employee_id = ?1 and openid is not null and status = 'active' and deleted_at is null
               order by id limit 1";
    let found: Option<(UserId, String)> =
        tx.connection.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((user, sealed)) = found else { return Ok(None) };
    let text = tx.vault.open(Place { table: "users", column: "openid", id: user.get() }, &sealed)?;
    Openid::new(text).map(Some).map_err(|error| Error::Corrupt(format!("users.openid.{user}: {error}")))
}

fn openid_index(tx: &ReadTx<'_>, openid: &Openid) -> String {
    tx.vault.index("users.openid", openid.as_str())
}

/// The user, unless it is hidden.
pub fn find(tx: &ReadTx<'_>, id: UserId) -> Result<Option<User>> {
    let sql = "select users.id, username, password_hash, role_id, roles.name as role, users.name, employee_id,
                      customer_id, status, users.created_at, updated_at
               from users join roles on roles.id = users.role_id where users.id = ?1 and deleted_at is null";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// The user who logs in with this name, unless it is hidden.
pub fn find_by_username(tx: &ReadTx<'_>, username: &str) -> Result<Option<User>> {
    let sql = "select users.id, username, password_hash, role_id, roles.name as role, users.name, employee_id,
                      customer_id, status, users.created_at, updated_at
               from users join roles on roles.id = users.role_id where username = ?1 and deleted_at is null";
    Ok(tx.connection.prepare_cached(sql)?.query_row([username], read).optional()?)
}

/// The user who logs in with this WeChat account, unless it is hidden.
pub fn find_by_openid(tx: &ReadTx<'_>, openid: &Openid) -> Result<Option<User>> {
    let sql = "select users.id, username, password_hash, role_id, roles.name as role, users.name, employee_id,
                      customer_id, status, users.created_at, updated_at
               from users join roles on roles.id = users.role_id where openid_index = ?1 and deleted_at is null";
    Ok(tx.connection.prepare_cached(sql)?.query_row([openid_index(tx, openid)], read).optional()?)
}

/// The first active user who is this employee.
pub fn find_by_employee(tx: &ReadTx<'_>, id: EmployeeId) -> Result<Option<User>> {
    let sql = "select users.id, username, password_hash, role_id, roles.name as role, users.name, employee_id,
                      customer_id, status, users.created_at, updated_at
               from users join roles on roles.id = users.role_id
               where employee_id = ?1 and status = 'active' and deleted_at is null order by users.id limit 1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// The first active user who is this customer.
pub fn find_by_customer(tx: &ReadTx<'_>, id: CustomerId) -> Result<Option<User>> {
    let sql = "select users.id, username, password_hash, role_id, roles.name as role, users.name, employee_id,
                      customer_id, status, users.created_at, updated_at
               from users join roles on roles.id = users.role_id
               where customer_id = ?1 and status = 'active' and deleted_at is null order by users.id limit 1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// How many active users hold this role.
pub fn count_active(tx: &ReadTx<'_>, role_id: RoleId) -> Result<i64> {
    let sql = "select count(*) from users where role_id = ?1 and status = 'active' and deleted_at is null";
    Ok(tx.connection.prepare_cached(sql)?.query_row([role_id], |row| row.get(0))?)
}

/// A page of the users that pass the filter, by id.
pub fn list(tx: &ReadTx<'_>, filter: &UserFilter, page: Page) -> Result<Listed<User>> {
    Filter::default()
        .only("users.deleted_at is null")
        .when("users.role_id = ?", filter.role_id)
        .when("users.status = ?", filter.status)
        .list(tx, (COLUMNS, FROM, "users.id"), page, |row| Ok(read(row)?))
}

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get("id")?,
        username: row.get("username")?,
        password_hash: row.get("password_hash")?,
        role_id: row.get("role_id")?,
        role: row.get("role")?,
        name: row.get("name")?,
        employee_id: row.get("employee_id")?,
        customer_id: row.get("customer_id")?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
