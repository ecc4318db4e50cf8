//! The people of headquarters.

use axum::extract::State;
use mysql_async::{Transaction, TxOpts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::center::Center;
use super::store::users::HeadquartersUser;
use super::store::{roles, sessions, users};
use crate::domain::access::Access::Headquarters;
use crate::domain::access::Permission::{UsersRead, UsersWrite};
use crate::domain::ids::UserId;
use crate::domain::status::Status;
use crate::domain::time::Zone;
use crate::error::{Error, Result};
use crate::http::answer::{Answer, Created, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path};
use crate::http::route::{Route, get, post, put};
use crate::http::wire::{LocalTime, Name, Word, present};
use crate::service::passwords::Password;
use crate::service::roles::grantable;
use crate::store::roles::Role;

/// The routes of this noun.
pub fn routes() -> Vec<Route<Center>> {
    vec![
        get("/api/relay/users", Headquarters(UsersRead), list).summary("获取总部用户列表"),
        post("/api/relay/users", Headquarters(UsersWrite), create).summary("添加总部用户"),
        put("/api/relay/users/{id}", Headquarters(UsersWrite), update).summary("更新总部用户"),
    ]
}

const LABELS: &[(&str, &str)] =
    &[("username", "用户名"), ("password", "密码"), ("role", "角色"), ("name", "姓名"), ("status", "状态")];

/// Somebody to be added at headquarters.
#[derive(Deserialize, ToSchema)]
struct HeadquartersUserBody {
    /// 用户名
    #[schema(example = "wangwu")]
    username: Name,
    /// 密码
    #[schema(example = "correct horse battery")]
    password: Password,
    /// 角色
    #[schema(example = "viewer")]
    role: Word,
    /// 姓名
    #[schema(example = "王五")]
    name: Name,
    /// 状态, `active` unless given
    status: Option<Status>,
}

impl Labels for HeadquartersUserBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

/// A change of somebody at headquarters: what is not there stays.
#[derive(Deserialize, ToSchema)]
struct HeadquartersUserPatch {
    /// 用户名
    #[serde(default, deserialize_with = "present")]
    username: Option<Name>,
    /// 密码
    #[serde(default, deserialize_with = "present")]
    password: Option<Password>,
    /// 角色
    #[serde(default, deserialize_with = "present")]
    role: Option<Word>,
    /// 姓名
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    /// 状态
    #[serde(default, deserialize_with = "present")]
    status: Option<Status>,
}

impl Labels for HeadquartersUserPatch {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

/// Somebody at headquarters, without the password.
#[derive(Serialize, ToSchema)]
struct HeadquartersUserView {
    id: UserId,
    /// 用户名
    username: String,
    /// 角色
    role: String,
    /// 姓名
    name: String,
    /// 状态
    status: Status,
    /// 创建时间
    created_at: LocalTime,
}

impl HeadquartersUserView {
    fn of(user: HeadquartersUser, zone: &Zone) -> Self {
        Self {
            id: user.id,
            username: user.username,
            role: user.role,
            name: user.name,
            status: user.status,
            created_at: LocalTime::of(user.created_at, zone),
        }
    }
}

async fn list(
    State(center): State<Center>,
    _: Caller,
    paging: Paging,
    fields: Fields,
) -> std::result::Result<Answer<List<HeadquartersUserView>>, Refusal> {
    let listed = users::list(&mut center.connection().await?, paging.page).await?;
    let zone = &center.configuration().zone;
    Ok(Answer::list(listed, &paging, &fields, |user| HeadquartersUserView::of(user, zone))?)
}

async fn create(
    State(center): State<Center>,
    caller: Caller,
    Body(body): Body<HeadquartersUserBody>,
) -> std::result::Result<Created<HeadquartersUserView>, Refusal> {
    let hash = center.passwords().hash(body.password).await?;
    let status = body.status.unwrap_or(Status::Active);
    let mut conn = center.connection().await?;
    let mut tx = changing(&mut conn).await?;
    let role = role_named(&mut tx, body.role.as_str()).await?;
    grantable(&caller, role.permissions)?;
    let id = users::insert(&mut tx, (body.username.as_str(), body.name.as_str()), &hash, role.id, status).await?;
    let user = users::find(&mut tx, id).await?.ok_or(Error::Panicked)?;
    tx.commit().await.map_err(Error::from)?;
    tracing::info!(user_id = caller.user_id().map(UserId::get), created = id.get(), "a user of headquarters was added");
    Ok(Created::new("添加成功", HeadquartersUserView::of(user, &center.configuration().zone))?)
}

async fn update(
    State(center): State<Center>,
    caller: Caller,
    Path(id): Path<UserId>,
    Body(mut patch): Body<HeadquartersUserPatch>,
) -> std::result::Result<Answer<HeadquartersUserView>, Refusal> {
    let hash = match patch.password.take() {
        Some(password) => Some(center.passwords().hash(password).await?),
        None => None,
    };
    let mut conn = center.connection().await?;
    let mut tx = changing(&mut conn).await?;
    let user = change(&mut tx, &caller, id, patch, hash).await?;
    tx.commit().await.map_err(Error::from)?;
    center.forget_people();
    tracing::info!(
        user_id = caller.user_id().map(UserId::get),
        changed = id.get(),
        "a user of headquarters was changed"
    );
    Ok(Answer::new("更新成功", HeadquartersUserView::of(user, &center.configuration().zone))?)
}

/// Changes a user. One who loses access, or whose password or role changes, is logged out everywhere.
async fn change(
    tx: &mut Transaction<'_>,
    caller: &Caller,
    id: UserId,
    patch: HeadquartersUserPatch,
    password_hash: Option<String>,
) -> Result<HeadquartersUser> {
    let mut user = users::find(tx, id).await?.ok_or(Error::NotFound("用户不存在"))?;
    grantable(caller, role_named(tx, &user.role).await?.permissions)?;
    let ends = password_hash.is_some() || patch.role.is_some() || patch.status == Some(Status::Inactive);
    if let Some(role) = patch.role {
        let role = role_named(tx, role.as_str()).await?;
        grantable(caller, role.permissions)?;
        (user.role_id, user.role) = (role.id, role.name);
    }
    user.username = patch.username.map_or(user.username, String::from);
    user.name = patch.name.map_or(user.name, String::from);
    user.status = patch.status.unwrap_or(user.status);
    user.password_hash = password_hash.unwrap_or(user.password_hash);
    users::update(tx, &user).await?;
    if users::count_active_admins(tx).await? == 0 {
        return Err(Error::Conflict("至少保留一个启用的管理员".into()));
    }
    if ends {
        sessions::end_all_of(tx, id).await?;
    }
    Ok(user)
}

/// A transaction that changes people or roles, one after the other at all relays.
pub(super) async fn changing(conn: &mut mysql_async::Conn) -> Result<Transaction<'_>> {
    let mut tx = conn.start_transaction(TxOpts::default()).await?;
    roles::lock(&mut tx).await?;
    Ok(tx)
}

async fn role_named(tx: &mut Transaction<'_>, name: &str) -> Result<Role> {
    roles::find_by_name(tx, name).await?.ok_or_else(|| Error::invalid("role", "没有这个角色"))
}
