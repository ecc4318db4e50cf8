//! Suppliers: whom the center buys from.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{FinanceRead, FinanceWrite};
use crate::domain::ids::SupplierId;
use crate::domain::status::Status;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, delete, get, post, put};
use crate::http::wire::{Line, Name, NamePatch, Word, present};
use crate::service::suppliers::{self, NewSupplier};
use crate::store::suppliers::{Supplier, SupplierFilter};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/suppliers", May(FinanceRead), list).summary("获取供应商列表"),
        post("/api/suppliers", May(FinanceWrite), create).summary("添加供应商"),
        get("/api/suppliers/{id}", May(FinanceRead), read).summary("获取供应商详情"),
        put("/api/suppliers/{id}", May(FinanceWrite), update).summary("更新供应商"),
        delete("/api/suppliers/{id}", May(FinanceWrite), remove).summary("删除供应商"),
    ]
}

const LABELS: &[(&str, &str)] =
    &[("name", "名称"), ("category", "分类"), ("contact", "联系方式"), ("status", "状态"), ("search", "搜索关键词")];

/// A supplier to be added.
#[derive(Deserialize, ToSchema)]
struct SupplierBody {
    /// 名称
    #[schema(example = "鲜蔬配送行")]
    name: Name,
    /// 分类，付款时记入收支的分类
    #[schema(example = "食材采购")]
    category: Word,
    /// 联系方式
    #[schema(example = "13600136000")]
    contact: Option<Name>,
    /// 状态, `active` unless given
    status: Option<Status>,
}

impl Labels for SupplierBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<SupplierBody> for NewSupplier {
    fn from(body: SupplierBody) -> Self {
        Self {
            name: body.name.into(),
            category: body.category.into(),
            contact: body.contact.map(String::from),
            status: body.status.unwrap_or(Status::Active),
        }
    }
}

/// A change of a supplier: what is not there stays, `null` clears.
#[derive(Deserialize, ToSchema)]
struct SupplierPatch {
    /// 名称
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    /// 分类，付款时记入收支的分类
    #[serde(default, deserialize_with = "present")]
    category: Option<Word>,
    /// 联系方式
    #[serde(default)]
    contact: NamePatch,
    /// 状态
    #[serde(default, deserialize_with = "present")]
    status: Option<Status>,
}

impl Labels for SupplierPatch {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl SupplierPatch {
    fn apply(self, supplier: &mut Supplier) {
        if let Some(name) = self.name {
            supplier.name = name.into();
        }
        if let Some(category) = self.category {
            supplier.category = category.into();
        }
        self.contact.apply(&mut supplier.contact);
        if let Some(status) = self.status {
            supplier.status = status;
        }
    }
}

/// A supplier.
#[derive(Serialize, ToSchema)]
struct SupplierView {
    id: SupplierId,
    /// 名称
    #[schema(example = "鲜蔬配送行")]
    name: String,
    /// 分类，付款时记入收支的分类
    #[schema(example = "食材采购")]
    category: String,
    /// 联系方式
    contact: Option<String>,
    /// 状态
    status: Status,
}

impl From<Supplier> for SupplierView {
    fn from(supplier: Supplier) -> Self {
        Self {
            id: supplier.id,
            name: supplier.name,
            category: supplier.category,
            contact: supplier.contact,
            status: supplier.status,
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct SupplierQuery {
    /// 搜索关键词：名称的一部分、拼音、首字母，或完整的联系方式
    search: Option<Line>,
    /// 状态筛选
    status: Option<Status>,
}

impl Labels for SupplierQuery {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<SupplierQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<SupplierView>>, Refusal> {
    let filter = SupplierFilter { search: query.search.map(String::from), status: query.status };
    let listed = app.read(&caller, move |tx, _| suppliers::list(tx, &filter, paging.page)).await?;
    Ok(Answer::list(listed, &paging, &fields, SupplierView::from)?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<SupplierBody>,
) -> Result<Created<SupplierView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Created::new("添加成功", SupplierView::from(suppliers::create(tx, actor, body.into())?))
    })
    .await
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<SupplierId>,
    fields: Fields,
) -> Result<Answer<SupplierView>, Refusal> {
    let supplier = app.read_rows(&caller, |tx, _| suppliers::read(tx, id)).await?;
    Ok(Answer::only("获取成功", &supplier.into(), &fields)?)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<SupplierId>,
    Body(patch): Body<SupplierPatch>,
) -> Result<Answer<SupplierView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let supplier = suppliers::update(tx, actor, id, |supplier| patch.apply(supplier))?;
        Answer::new("更新成功", SupplierView::from(supplier))
    })
    .await
}

async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<SupplierId>,
) -> Result<Answer<Nothing>, Refusal> {
    app.write(&caller, move |tx, actor| {
        suppliers::delete(tx, actor, id)?;
        Answer::new("删除成功", Nothing)
    })
    .await
}
