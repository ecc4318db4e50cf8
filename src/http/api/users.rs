//! Users: who may log in, as what, and as whom.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{UsersRead, UsersWrite};
use crate::domain::ids::{CustomerId, EmployeeId, UserId};
use crate::domain::status::Status;
use crate::domain::time::Zone;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, delete, get, post, put};
use crate::http::wire::{LocalTime, Name, Patch, Word, present};
use crate::service::directory;
use crate::service::passwords::Password;
use crate::service::users::{self, NewUser};
use crate::service::wechat::{self, BindCode};
use crate::store::users::User;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/users", May(UsersRead), list).summary("获取用户列表"),
        post("/api/users", May(UsersWrite), create).summary("添加用户"),
        get("/api/users/{id}", May(UsersRead), read).summary("获取用户详情"),
        put("/api/users/{id}", May(UsersWrite), update).summary("更新用户"),
        delete("/api/users/{id}", May(UsersWrite), remove).summary("删除用户"),
        post("/api/users/{id}/bind-code", May(UsersWrite), issue_bind_code).summary("生成微信绑定码"),
    ]
}

const LABELS: &[(&str, &str)] = &[
    ("username", "用户名"),
    ("password", "密码"),
    ("role", "角色"),
    ("name", "姓名"),
    ("employee_id", "员工编号"),
    ("customer_id", "客户编号"),
    ("status", "状态"),
];

type EmployeeIdPatch = Patch<EmployeeId>;
type CustomerIdPatch = Patch<CustomerId>;

/// A user to be added.
#[derive(Deserialize, ToSchema)]
struct UserBody {
    /// 用户名
    #[schema(example = "lisi")]
    username: Name,
    /// 密码
    #[schema(example = "correct horse battery")]
    password: Password,
    /// 角色
    #[schema(example = "employee")]
    role: Word,
    /// 姓名
    #[schema(example = "李四")]
    name: Name,
    /// 员工编号
    employee_id: Option<EmployeeId>,
    /// 客户编号
    customer_id: Option<CustomerId>,
    /// 状态, `active` unless given
    status: Option<Status>,
}

impl Labels for UserBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

/// A change of a user: what is not there stays, `null` clears.
#[derive(Deserialize, ToSchema)]
struct UserPatch {
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
    /// 员工编号
    #[serde(default)]
    employee_id: EmployeeIdPatch,
    /// 客户编号
    #[serde(default)]
    customer_id: CustomerIdPatch,
    /// 状态
    #[serde(default, deserialize_with = "present")]
    status: Option<Status>,
}

impl Labels for UserPatch {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl UserPatch {
    /// Applies the change; the hash of the new password, if there is one, was made before.
    fn apply(self, password_hash: Option<String>, user: &mut User) {
        if let Some(username) = self.username {
            user.username = username.into();
        }
        if let Some(hash) = password_hash {
            user.password_hash = hash;
        }
        if let Some(role) = self.role {
            user.role = role.into();
        }
        if let Some(name) = self.name {
            user.name = name.into();
        }
        self.employee_id.apply(&mut user.employee_id);
        self.customer_id.apply(&mut user.customer_id);
        if let Some(status) = self.status {
            user.status = status;
        }
    }
}

/// A user, without the password.
#[derive(Serialize, ToSchema)]
struct UserView {
    id: UserId,
    /// 用户名
    username: String,
    /// 角色
    role: String,
    /// 姓名
    name: String,
    /// 员工编号
    employee_id: Option<EmployeeId>,
    /// 客户编号
    customer_id: Option<CustomerId>,
    /// 状态
    status: Status,
    /// 创建时间
    created_at: LocalTime,
}

impl UserView {
    fn of(user: User, zone: &Zone) -> Self {
        Self {
            id: user.id,
            username: user.username,
            role: user.role,
            name: user.name,
            employee_id: user.employee_id,
            customer_id: user.customer_id,
            status: user.status,
            created_at: LocalTime::of(user.created_at, zone),
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct UserQuery {
    /// 角色筛选
    role: Option<Word>,
    /// 状态筛选
    status: Option<Status>,
}

impl Labels for UserQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[("role", "角色"), ("status", "状态")];
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<UserQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<UserView>>, Refusal> {
    let listed = app
        .read(&caller, move |tx, _| {
            directory::users(tx, query.role.as_ref().map(Word::as_str), query.status, paging.page)
        })
        .await?;
    let zone = app.db().zone();
    Ok(Answer::list(listed, &paging, &fields, |user| UserView::of(user, zone))?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<UserBody>,
) -> Result<Created<UserView>, Refusal> {
    let password_hash = app.auth().passwords().hash(body.password).await?;
    let new = NewUser {
        username: body.username.into(),
        password_hash,
        role: body.role.into(),
        name: body.name.into(),
        employee_id: body.employee_id,
        customer_id: body.customer_id,
        status: body.status.unwrap_or(Status::Active),
    };
    app.write(&caller, move |tx, actor| Created::new("添加成功", UserView::of(users::create(tx, actor, new)?, tx.zone)))
        .await
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<UserId>,
    fields: Fields,
) -> Result<Answer<UserView>, Refusal> {
    let user = app.read_rows(&caller, |tx, _| users::read(tx, id)).await?;
    Ok(Answer::only("获取成功", &UserView::of(user, app.db().zone()), &fields)?)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<UserId>,
    Body(mut patch): Body<UserPatch>,
) -> Result<Answer<UserView>, Refusal> {
    let password_hash = match patch.password.take() {
        Some(password) => Some(app.auth().passwords().hash(password).await?),
        None => None,
    };
    let epoch = app.auth().epoch().clone();
    app.write(&caller, move |tx, actor| {
        let user = users::update(tx, actor, &epoch, id, |user| patch.apply(password_hash, user))?;
        Answer::new("更新成功", UserView::of(user, tx.zone))
    })
    .await
}

async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<UserId>) -> Result<Answer<Nothing>, Refusal> {
    let epoch = app.auth().epoch().clone();
    app.write(&caller, move |tx, actor| {
        users::delete(tx, actor, &epoch, id)?;
        Answer::new("删除成功", Nothing)
    })
    .await
}

/// A code that binds a WeChat account to the user, once.
#[derive(Serialize, ToSchema)]
struct BindCodeView {
    /// 绑定码
    #[schema(example = "7KMP4XQ9")]
    bind_code: String,
    /// 有效期至
    expires_at: LocalTime,
}

impl BindCodeView {
    fn of(issued: BindCode, zone: &Zone) -> Self {
        Self { bind_code: issued.code, expires_at: LocalTime::of(issued.expires_at, zone) }
    }
}

async fn issue_bind_code(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<UserId>,
) -> Result<Created<BindCodeView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Created::new("生成成功", BindCodeView::of(wechat::issue_bind_code(tx, actor, id)?, tx.zone))
    })
    .await
}
