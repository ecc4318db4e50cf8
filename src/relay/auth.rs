//! Logging in and out at the relay, as on a site (seed API, sections 3.1.1 and 3.1.3). People of headquarters log in here; with
//! `site_id`, a user of that site does, and the site decides.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use canshi_sync::wire::OnBehalf;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::center::Center;
use super::forward::{Forward, Passed, pass};
use super::mailbox;
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
use crate::store::keys::{hex, random_bytes};

/// The routes of this noun.
pub fn routes() -> Vec<Route<Center>> {
    vec![
        post(LOGIN, Public, login).summary("登录"),
        post("/api/auth/refresh", Refresh, refresh).summary("刷新token"),
        post("/api/auth/logout", SignedIn, logout).summary("退出登录"),
        get("/api/auth/me", SignedIn, me).summary("当前用户"),
    ]
}

const LOGIN: &str = "/api/auth/login";
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

/// A login that was let in.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginView {
    /// The access token, for the `Authorization: Bearer` header.
    pub(super) token: String,
    /// Whose it is.
    pub(super) user: LoginUserView,
}

/// Who was let in.
#[derive(Serialize, ToSchema)]
pub(super) struct LoginUserView {
    pub(super) id: UserId,
    pub(super) username: String,
    pub(super) role: String,
    pub(super) name: String,
}

async fn login(
    State(center): State<Center>,
    caller: Caller,
    Body(body): Body<LoginBody>,
) -> std::result::Result<Passed, Refusal> {
    if let Some(site) = body.site_id {
        return log_in_at_site(&center, &caller, site, body).await.map(Passed);
    }
    let user = check(&center, &caller, body.username.into(), body.password.into()).await?;
    let token = center.open_session(None, user.id, &user.role).await?;
    let user = LoginUserView { id: user.id, username: user.username, role: user.role, name: user.name };
    Ok(Passed(Answer::<_>::new("登录成功", LoginView { token, user })?.into_response()))
}

/// Has a site check a name and a password of its own, live. The token is the site's; its answer is kept nowhere.
async fn log_in_at_site(
    center: &Center,
    caller: &Caller,
    site: i64,
    body: LoginBody,
) -> std::result::Result<Response, Refusal> {
    let (username, password) = (String::from(body.username), String::from(body.password));
    // The same name at another site is somebody else.
    let name = format!("{site} {username}");
    center.failures().check(center.settings(), center.now(), &name, caller.address())?;
    let id = hex(&random_bytes::<16>()?);
    let body = json!({"username": username, "password": password}).to_string();
    let target = ("POST", LOGIN.to_owned());
    let forward = Forward::new(center, (site, id), OnBehalf::Relay, target, Some(body));
    let answer = forward.live(center).await?;
    mailbox::forget_answer(center, site, &forward.id).await?;
    match answer.status {
        200 => center.failures().forgive(&name),
        401 => center.failures().add(center.now(), &name, caller.address()),
        _ => {}
    }
    Ok(pass(answer))
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
