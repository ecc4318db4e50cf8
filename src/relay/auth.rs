//! Logging in and out at the relay, as on a site (seed API, sections 3.1.1 and 3.1.3). People of headquarters log in here; with
//! `site_id`, a user of that site does, and the site decides.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::center::Center;
use super::store::users::{self, HeadquartersUser};
use crate::domain::access::Access::{Public, Refresh, SignedIn};
use crate::domain::access::{Actor, Permission};
use crate::domain::ids::{CustomerId, EmployeeId, UserId};
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::http::answer::{Answer, Fields, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels};
use crate::http::route::{Route, get, post};
use crate::http::wire::Line;

/// The routes of this noun.
pub fn routes() -> Vec<Route<Center>> {
    vec![
        post("/api/auth/login", Public, login).summary("登录"),
        post("/api/auth/refresh", Refresh, refresh).summary("刷新token"),
        post("/api/auth/logout", SignedIn, logout).summary("退出登录"),
        get("/api/auth/me", SignedIn, me).summary("当前用户"),
    ]
}

const WRONG: Error = Error::Unauthenticated("用户名或密码错误");

#[derive(Deserialize, ToSchema)]
struct LoginBody {
    /// 用户名
    #[schema(example = "admin")]
    username: Line,
    /// 密码
    #[schema(example = "correct horse battery")]
    password: Line,
    /// 门店编号：门店用户登录时填写，总部人员不填
    site_id: Option<i64>,
}

impl Labels for LoginBody {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("username", "用户名"), ("password", "密码"), ("site_id", "门店编号")];
}

#[derive(Serialize, ToSchema)]
struct LoginView {
    /// The access token, for the `Authorization: Bearer` header.
    token: String,
    /// Whose it is.
    user: LoginUserView,
}

#[derive(Serialize, ToSchema)]
struct LoginUserView {
    id: UserId,
    username: String,
    role: String,
    name: String,
}

async fn login(
    State(center): State<Center>,
    caller: Caller,
    Body(body): Body<LoginBody>,
) -> std::result::Result<Answer<LoginView>, Refusal> {
    if let Some(site) = body.site_id {
        return log_in_at_site(&center, &caller, site, body).await;
    }
    let user = check(&center, &caller, body.username.into(), body.password.into()).await?;
    let token = center.open_session(None, user.id, &user.role).await?;
    let user = LoginUserView { id: user.id, username: user.username, role: user.role, name: user.name };
    Ok(Answer::new("登录成功", LoginView { token, user })?)
}

/// Has a site check a name and a password of its own, live.
async fn log_in_at_site(
    _: &Center,
    _: &Caller,
    _: i64,
    _: LoginBody,
) -> std::result::Result<Answer<LoginView>, Refusal> {
    Err(Error::Busy.into())
}

/// Checks a name and a password of headquarters.
///
/// # Errors
/// [`Error::Unauthenticated`], the same and after the same time for a wrong password, an unknown name and a user who is not
/// active; [`Error::TooMany`] when the name or the address has failed too often.
async fn check(center: &Center, actor: &Actor, username: String, password: String) -> Result<HeadquartersUser> {
    let may_try = || center.failures().check(center.settings(), center.now(), &username, actor.address());
    may_try()?;
    let mut conn = center.connection().await?;
    let user = users::find_by_username(&mut conn, &username).await?;
    // Hashing takes long, and connections are few.
    drop(conn);
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    // Whoever waited for the pool behind others' failures is judged by those failures too.
    let Some(matches) = center.passwords().verify(|| may_try().is_ok(), password, hash).await? else {
        may_try()?;
        return Err(Error::Busy);
    };
    match user {
        Some(user) if matches && user.status == Status::Active => {
            center.failures().forgive(&username);
            Ok(user)
        }
        _ => {
            center.failures().add(center.now(), &username, actor.address());
            tracing::warn!(address = actor.whence(), "a login at headquarters failed");
            Err(WRONG)
        }
    }
}

#[derive(Serialize, ToSchema)]
struct TokenView {
    /// The new access token; the old one is dead.
    token: String,
}

async fn refresh(State(center): State<Center>, caller: Caller) -> std::result::Result<Answer<TokenView>, Refusal> {
    // The guard of this route puts both there.
    let token = caller.token.as_ref().ok_or(Error::Panicked)?;
    let person = caller.person.as_ref().ok_or(Error::Panicked)?;
    let token = center.refresh(caller.site(), token, &person.role).await?;
    Ok(Answer::new("刷新成功", TokenView { token })?)
}

async fn logout(State(center): State<Center>, caller: Caller) -> std::result::Result<Answer<Nothing>, Refusal> {
    let person = caller.person.as_ref().ok_or(Error::Panicked)?;
    let session = person.session_id.as_deref().ok_or(Error::Unauthenticated("请在门店退出登录"))?;
    center.log_out(session).await?;
    Ok(Answer::new("退出成功", Nothing)?)
}

#[derive(Serialize, ToSchema)]
struct MeView {
    id: UserId,
    username: String,
    role: String,
    name: String,
    employee_id: Option<EmployeeId>,
    customer_id: Option<CustomerId>,
    /// The site whose user it is; `null` for headquarters.
    site_id: Option<i64>,
    /// What the user's role allows.
    permissions: Vec<Permission>,
}

async fn me(State(_): State<Center>, caller: Caller, fields: Fields) -> std::result::Result<Answer<MeView>, Refusal> {
    // The guard of this route lets nobody through without a person.
    let person = caller.person.as_ref().ok_or(Error::Panicked)?;
    let view = MeView {
        id: person.user_id,
        username: person.username.clone(),
        role: person.role.clone(),
        name: person.name.clone(),
        employee_id: person.employee_id,
        customer_id: person.customer_id,
        site_id: caller.site(),
        permissions: person.permissions.iter().collect(),
    };
    Ok(Answer::only("获取成功", &view, &fields)?)
}
