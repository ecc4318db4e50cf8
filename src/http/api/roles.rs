//! Roles and permissions.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission;
use crate::domain::access::Permission::{RolesRead, RolesWrite};
use crate::domain::ids::RoleId;
use crate::error::Error;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, Items, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path};
use crate::http::route::{Route, get, post, put};
use crate::http::wire::{Word, present};
use crate::service::{directory, roles};
use crate::store::roles::Role;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/roles", May(RolesRead), list).summary("获取角色列表"),
        post("/api/roles", May(RolesWrite), create).summary("添加角色"),
        get("/api/roles/{id}", May(RolesRead), read).summary("获取角色详情"),
        put("/api/roles/{id}", May(RolesWrite), update).summary("更新角色"),
        get("/api/permissions", May(RolesRead), permissions).summary("获取权限列表"),
    ]
}

const LABELS: &[(&str, &str)] = &[("name", "角色名"), ("title", "角色名称"), ("permissions", "权限")];

/// A role to be added.
#[derive(Deserialize, ToSchema)]
struct RoleBody {
    /// 角色名：小写字母、数字和下划线，以字母开头
    #[schema(example = "nurse")]
    name: Word,
    /// 角色名称, the name unless given
    #[schema(example = "护士")]
    title: Option<Word>,
    /// 权限
    permissions: Vec<Permission>,
}

impl Labels for RoleBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

/// A change of a role: what is not there stays.
#[derive(Deserialize, ToSchema)]
struct RolePatch {
    /// 角色名称
    #[serde(default, deserialize_with = "present")]
    title: Option<Word>,
    /// 权限
    #[serde(default, deserialize_with = "present")]
    permissions: Option<Vec<Permission>>,
}

impl Labels for RolePatch {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl RolePatch {
    fn apply(self, role: &mut Role) {
        if let Some(title) = self.title {
            role.title = title.into();
        }
        if let Some(permissions) = self.permissions {
            role.permissions = permissions.into_iter().collect();
        }
    }
}

/// A role.
#[derive(Serialize, ToSchema)]
struct RoleView {
    id: RoleId,
    /// 角色名
    #[schema(example = "nurse")]
    name: String,
    /// 角色名称
    #[schema(example = "护士")]
    title: String,
    /// 是否内置
    built_in: bool,
    /// 权限
    permissions: Vec<Permission>,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        Self {
            id: role.id,
            name: role.name,
            title: role.title,
            built_in: role.built_in,
            permissions: role.permissions.iter().collect(),
        }
    }
}

/// A permission.
#[derive(Serialize, ToSchema)]
struct PermissionView {
    /// 权限
    name: Permission,
    /// 权限名称
    #[schema(value_type = String)]
    title: &'static str,
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<RoleView>>, Refusal> {
    let listed = app.read(&caller, move |tx, _| directory::roles(tx, paging.page)).await?;
    Ok(Answer::list(listed, &paging, &fields, RoleView::from)?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<RoleBody>,
) -> Result<Created<RoleView>, Refusal> {
    let name = String::from(body.name);
    if !names_a_role(&name) {
        return Err(Error::invalid("name", "角色名只能用小写字母、数字和下划线，以字母开头").into());
    }
    let title = body.title.map_or_else(|| name.clone(), String::from);
    let permissions = body.permissions.into_iter().collect();
    app.write(&caller, move |tx, actor| {
        Created::new("添加成功", RoleView::from(roles::create(tx, actor, name, title, permissions)?))
    })
    .await
}

/// Whether a role may have this name: lower-case letters, digits and underscores after a letter. [`Word`] bounds its length.
fn names_a_role(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|character| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_')
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<RoleId>,
    fields: Fields,
) -> Result<Answer<RoleView>, Refusal> {
    let role = app.read_rows(&caller, |tx, _| directory::role(tx, id)).await?;
    Ok(Answer::only("获取成功", &role.into(), &fields)?)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<RoleId>,
    Body(patch): Body<RolePatch>,
) -> Result<Answer<RoleView>, Refusal> {
    let epoch = app.auth().epoch().clone();
    app.write(&caller, move |tx, actor| {
        let role = roles::update(tx, actor, &epoch, id, |role| patch.apply(role))?;
        Answer::new("更新成功", RoleView::from(role))
    })
    .await
}

async fn permissions(
    State(_): State<App>,
    _: Caller,
    fields: Fields,
) -> Result<Answer<Items<PermissionView>>, Refusal> {
    let views = Permission::ALL.map(|permission| PermissionView { name: permission, title: permission.title() });
    Ok(Answer::items(&views, &fields)?)
}
