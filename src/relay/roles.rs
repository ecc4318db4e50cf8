//! What people of headquarters may do there.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::center::Center;
use super::store::roles;
use super::users::changing;
use crate::domain::access::Access::Headquarters;
use crate::domain::access::Permission::{RolesRead, RolesWrite};
use crate::domain::access::{ADMIN, Permission};
use crate::domain::ids::RoleId;
use crate::error::Error;
use crate::http::answer::{Answer, Created, Fields, List};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path};
use crate::http::route::{Route, get, post, put};
use crate::http::wire::Word;
use crate::service::roles::grantable;
use crate::store::roles::Role;

/// The routes of this noun.
pub fn routes() -> Vec<Route<Center>> {
    vec![
        get("/api/relay/roles", Headquarters(RolesRead), list).summary("获取总部角色列表"),
        post("/api/relay/roles", Headquarters(RolesWrite), create).summary("添加总部角色"),
        put("/api/relay/roles/{id}/permissions", Headquarters(RolesWrite), set_permissions)
            .summary("设置总部角色的权限"),
    ]
}

const LABELS: &[(&str, &str)] = &[("name", "角色名"), ("title", "角色名称"), ("permissions", "权限")];

/// A role of headquarters to be added.
#[derive(Deserialize, ToSchema)]
struct HeadquartersRoleBody {
    /// 角色名
    #[schema(example = "auditor")]
    name: Word,
    /// 角色名称, the name unless given
    #[schema(example = "审计")]
    title: Option<Word>,
    /// 权限
    permissions: Vec<Permission>,
}

impl Labels for HeadquartersRoleBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

/// All that a role of headquarters allows from now on.
#[derive(Deserialize, ToSchema)]
struct PermissionsBody {
    /// 权限
    permissions: Vec<Permission>,
}

impl Labels for PermissionsBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

/// A role of headquarters.
#[derive(Serialize, ToSchema)]
struct HeadquartersRoleView {
    id: RoleId,
    /// 角色名
    name: String,
    /// 角色名称
    title: String,
    /// 是否内置
    built_in: bool,
    /// 权限
    permissions: Vec<Permission>,
}

impl From<Role> for HeadquartersRoleView {
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

async fn list(
    State(center): State<Center>,
    _: Caller,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<HeadquartersRoleView>>, Refusal> {
    let listed = roles::list(&mut center.connection().await?, paging.page).await?;
    Ok(Answer::list(listed, &paging, &fields, HeadquartersRoleView::from)?)
}

async fn create(
    State(center): State<Center>,
    caller: Caller,
    Body(body): Body<HeadquartersRoleBody>,
) -> Result<Created<HeadquartersRoleView>, Refusal> {
    let permissions = body.permissions.into_iter().collect();
    grantable(&caller, permissions)?;
    let title = body.title.as_ref().unwrap_or(&body.name);
    let mut conn = center.connection().await?;
    let mut tx = changing(&mut conn).await?;
    let role = roles::insert(&mut tx, body.name.as_str(), title.as_str(), permissions).await?;
    tx.commit().await.map_err(Error::from)?;
    Ok(Created::new("添加成功", HeadquartersRoleView::from(role))?)
}

async fn set_permissions(
    State(center): State<Center>,
    caller: Caller,
    Path(id): Path<RoleId>,
    Body(body): Body<PermissionsBody>,
) -> Result<Answer<HeadquartersRoleView>, Refusal> {
    let permissions = body.permissions.into_iter().collect();
    let mut conn = center.connection().await?;
    let mut tx = changing(&mut conn).await?;
    let before = roles::find(&mut tx, id).await?.ok_or(Error::NotFound("角色不存在"))?;
    if before.name == ADMIN {
        return Err(Error::Conflict("管理员角色的权限不可更改".into()).into());
    }
    grantable(&caller, before.permissions)?;
    grantable(&caller, permissions)?;
    roles::set_permissions(&mut tx, id.get(), permissions).await?;
    tx.commit().await.map_err(Error::from)?;
    center.forget_people();
    Ok(Answer::new("更新成功", HeadquartersRoleView::from(Role { permissions, ..before }))?)
}
