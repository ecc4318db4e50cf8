//! Logging in and out (seed API, sections 3.1.1 and 3.1.3).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::{Public, Refresh, SignedIn};
use crate::domain::access::Permission;
use crate::domain::ids::{CustomerId, EmployeeId, UserId};
use crate::error::Error;
use crate::http::App;
use crate::http::answer::{Answer, Fields, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels};
use crate::http::route::{Route, get, post, put};
use crate::http::wire::Line;
use crate::service::auth::Login;
use crate::service::passwords::Password;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        post("/api/auth/login", Public, login).summary("登录"),
        post("/api/auth/refresh", Refresh, refresh).summary("刷新token"),
        post("/api/auth/logout", SignedIn, logout).summary("退出登录"),
        get("/api/auth/me", SignedIn, me).summary("当前用户"),
        put("/api/auth/password", SignedIn, change_password).summary("修改本人密码"),
    ]
}

#[derive(Deserialize, ToSchema)]
struct LoginBody {
    /// 用户名
    #[schema(example = "admin")]
    username: Line,
    /// 密码
    #[schema(example = "correct horse battery")]
    password: Line,
}

impl Labels for LoginBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("username", "用户名"), ("password", "密码")];
}

#[derive(Serialize, ToSchema)]
pub(super) struct LoginView {
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

impl From<Login> for LoginView {
    fn from(login: Login) -> Self {
        let user = login.user;
        let user = LoginUserView { id: user.id, username: user.username, role: user.role, name: user.name };
        Self { token: login.token, user }
    }
}

async fn login(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<LoginBody>,
) -> Result<Answer<LoginView>, Refusal> {
    let checked = app.auth().check(&caller, body.username.into(), body.password.into()).await?;
    let auth = app.auth().clone();
    app.write(&caller, move |tx, actor| {
        Answer::new("登录成功", LoginView::from(auth.open_session(tx, actor, &checked)?))
    })
    .await
}

#[derive(Serialize, ToSchema)]
struct TokenView {
    /// The new access token; the old one is dead.
    token: String,
}

async fn refresh(State(app): State<App>, caller: Caller) -> Result<Answer<TokenView>, Refusal> {
    let auth = app.auth().clone();
    // The guard of this route puts the token there.
    let token = caller.token.clone().ok_or(Error::Panicked)?;
    app.write(&caller, move |tx, actor| Answer::new("刷新成功", TokenView { token: auth.refresh(tx, actor, &token)? }))
        .await
}

async fn logout(State(app): State<App>, caller: Caller) -> Result<Answer<Nothing>, Refusal> {
    let auth = app.auth().clone();
    app.write(&caller, move |tx, actor| {
        auth.logout(tx, actor)?;
        Answer::new("退出成功", Nothing)
    })
    .await
}

#[derive(Serialize, ToSchema)]
struct MeView {
    id: UserId,
    username: String,
    role: String,
    name: String,
    employee_id: Option<EmployeeId>,
    customer_id: Option<CustomerId>,
    /// What the user's role allows.
    permissions: Vec<Permission>,
}

async fn me(State(_): State<App>, caller: Caller, fields: Fields) -> Result<Answer<MeView>, Refusal> {
    // The guard of this route lets nobody through without a person.
    let person = caller.person.as_ref().ok_or(Error::Panicked)?;
    let view = MeView {
        id: person.user_id,
        username: person.username.clone(),
        role: person.role.clone(),
        name: person.name.clone(),
        employee_id: person.employee_id,
        customer_id: person.customer_id,
        permissions: person.permissions.iter().collect(),
    };
    Ok(Answer::only("获取成功", &view, &fields)?)
}

#[derive(Deserialize, ToSchema)]
struct PasswordBody {
    /// 原密码
    old_password: Line,
    /// 新密码
    new_password: Password,
}

impl Labels for PasswordBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[("old_password", "原密码"), ("new_password", "新密码")];
}

async fn change_password(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<PasswordBody>,
) -> Result<Answer<Nothing>, Refusal> {
    let (checked, hash) = app.auth().check_own_password(&caller, body.old_password.into(), body.new_password).await?;
    let auth = app.auth().clone();
    app.write(&caller, move |tx, actor| {
        auth.set_own_password(tx, actor, &checked, hash)?;
        Answer::new("密码修改成功", Nothing)
    })
    .await
}
