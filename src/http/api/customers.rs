//! Customers (seed API, section 3.2).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::batch::{BatchBody, BatchView, Identified};
use crate::domain::access::Access::{May, MayAny};
use crate::domain::access::Permission::{CustomersRead, CustomersReadOwn, CustomersWrite};
use crate::domain::customers::AGE_MAX;
use crate::domain::ids::CustomerId;
use crate::domain::status::Status;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, delete, get, post, put};
use crate::http::wire::{
    Day, DayPatch, Line, Name, NamePatch, Paragraph, ParagraphPatch, Patch, Whole, Word, WordPatch, present,
};
use crate::service::customers::{self, NewCustomer};
use crate::store::customers::{Customer, CustomerFilter};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    const READ: crate::domain::access::Access = MayAny(&[CustomersRead, CustomersReadOwn]);
    vec![
        get("/api/customers", READ, list).summary("获取客户列表"),
        post("/api/customers", May(CustomersWrite), create).summary("添加客户"),
        post("/api/customers/batch", May(CustomersWrite), batch).summary("批量添加、更新、删除客户"),
        get("/api/customers/{id}", READ, read).summary("获取客户详情"),
        put("/api/customers/{id}", May(CustomersWrite), update).summary("更新客户"),
        delete("/api/customers/{id}", May(CustomersWrite), remove).summary("删除客户"),
    ]
}

const LABELS: &[(&str, &str)] = &[
    ("id", "编号"),
    ("name", "姓名"),
    ("age", "年龄"),
    ("gender", "性别"),
    ("contact", "联系方式"),
    ("delivery_date", "预产期/分娩日期"),
    ("check_in_date", "入住日期"),
    ("check_out_date", "退房日期"),
    ("dietary_restrictions", "饮食禁忌"),
    ("preferences", "口味偏好"),
    ("status", "状态"),
];

type Age = Whole<0, AGE_MAX>;
type AgePatch = Patch<Age>;

/// A customer to be added.
#[derive(Deserialize, ToSchema)]
struct CustomerBody {
    /// 姓名
    #[schema(example = "李四")]
    name: Name,
    /// 年龄
    #[schema(example = 28)]
    age: Option<Age>,
    /// 性别
    #[schema(example = "女")]
    gender: Option<Word>,
    /// 联系方式
    #[schema(example = "13900139000")]
    contact: Option<Name>,
    /// 预产期/分娩日期
    delivery_date: Option<Day>,
    /// 入住日期
    check_in_date: Option<Day>,
    /// 退房日期
    check_out_date: Option<Day>,
    /// 饮食禁忌
    #[schema(example = "海鲜、辣")]
    dietary_restrictions: Option<Paragraph>,
    /// 口味偏好
    #[schema(example = "清淡")]
    preferences: Option<Paragraph>,
    /// 状态, `active` unless given
    status: Option<Status>,
}

impl Labels for CustomerBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<CustomerBody> for NewCustomer {
    fn from(body: CustomerBody) -> Self {
        Self {
            name: body.name.into(),
            age: body.age.map(i64::from),
            gender: body.gender.map(String::from),
            contact: body.contact.map(String::from),
            delivery_date: body.delivery_date.map(|day| day.0),
            check_in_date: body.check_in_date.map(|day| day.0),
            check_out_date: body.check_out_date.map(|day| day.0),
            dietary_restrictions: body.dietary_restrictions.map(String::from),
            preferences: body.preferences.map(String::from),
            status: body.status.unwrap_or(Status::Active),
        }
    }
}

/// A change of a customer: what is not there stays, `null` clears.
#[derive(Deserialize, ToSchema)]
struct CustomerPatch {
    /// 姓名
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    /// 年龄
    #[serde(default)]
    age: AgePatch,
    /// 性别
    #[serde(default)]
    gender: WordPatch,
    /// 联系方式
    #[serde(default)]
    contact: NamePatch,
    /// 预产期/分娩日期
    #[serde(default)]
    delivery_date: DayPatch,
    /// 入住日期
    #[serde(default)]
    check_in_date: DayPatch,
    /// 退房日期
    #[serde(default)]
    check_out_date: DayPatch,
    /// 饮食禁忌
    #[serde(default)]
    dietary_restrictions: ParagraphPatch,
    /// 口味偏好
    #[serde(default)]
    preferences: ParagraphPatch,
    /// 状态
    #[serde(default, deserialize_with = "present")]
    status: Option<Status>,
}

impl Labels for CustomerPatch {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl CustomerPatch {
    fn apply(self, customer: &mut Customer) {
        if let Some(name) = self.name {
            customer.name = name.into();
        }
        self.age.apply(&mut customer.age);
        self.gender.apply(&mut customer.gender);
        self.contact.apply(&mut customer.contact);
        self.delivery_date.apply(&mut customer.delivery_date);
        self.check_in_date.apply(&mut customer.check_in_date);
        self.check_out_date.apply(&mut customer.check_out_date);
        self.dietary_restrictions.apply(&mut customer.dietary_restrictions);
        self.preferences.apply(&mut customer.preferences);
        if let Some(status) = self.status {
            customer.status = status;
        }
    }
}

/// A customer.
#[derive(Serialize, ToSchema)]
struct CustomerView {
    id: CustomerId,
    /// 姓名
    #[schema(example = "李四")]
    name: String,
    /// 年龄
    age: Option<i64>,
    /// 性别
    gender: Option<String>,
    /// 联系方式
    contact: Option<String>,
    /// 预产期/分娩日期
    delivery_date: Option<Day>,
    /// 入住日期
    check_in_date: Option<Day>,
    /// 退房日期
    check_out_date: Option<Day>,
    /// 饮食禁忌
    dietary_restrictions: Option<String>,
    /// 口味偏好
    preferences: Option<String>,
    /// 状态
    status: Status,
}

impl From<Customer> for CustomerView {
    fn from(customer: Customer) -> Self {
        Self {
            id: customer.id,
            name: customer.name,
            age: customer.age,
            gender: customer.gender,
            contact: customer.contact,
            delivery_date: customer.delivery_date.map(Day),
            check_in_date: customer.check_in_date.map(Day),
            check_out_date: customer.check_out_date.map(Day),
            dietary_restrictions: customer.dietary_restrictions,
            preferences: customer.preferences,
            status: customer.status,
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct CustomerQuery {
    /// 搜索关键词：姓名的一部分、拼音、首字母，或完整的联系方式
    search: Option<Line>,
    /// 状态筛选
    status: Option<Status>,
}

impl Labels for CustomerQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[("search", "搜索关键词"), ("status", "状态")];
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<CustomerQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<CustomerView>>, Refusal> {
    let filter = CustomerFilter { search: query.search.map(String::from), status: query.status, id: None };
    let listed = app.read(&caller, move |tx, actor| customers::list(tx, actor, filter, paging.page)).await?;
    Ok(Answer::list(listed, &paging, &fields, CustomerView::from)?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<CustomerBody>,
) -> Result<Created<CustomerView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Created::new("添加成功", CustomerView::from(customers::create(tx, actor, body.into())?))
    })
    .await
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<CustomerId>,
    fields: Fields,
) -> Result<Answer<CustomerView>, Refusal> {
    let customer = app.read_rows(&caller, |tx, actor| customers::read(tx, actor, id)).await?;
    Ok(Answer::only("获取成功", &customer.into(), &fields)?)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<CustomerId>,
    Body(patch): Body<CustomerPatch>,
) -> Result<Answer<CustomerView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let customer = customers::update(tx, actor, id, |customer| patch.apply(customer))?;
        Answer::new("更新成功", CustomerView::from(customer))
    })
    .await
}

async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<CustomerId>,
) -> Result<Answer<Nothing>, Refusal> {
    app.write(&caller, move |tx, actor| {
        customers::delete(tx, actor, id)?;
        Answer::new("删除成功", Nothing)
    })
    .await
}

type Batch = BatchBody<CustomerBody, Identified<CustomerId, CustomerPatch>, CustomerId>;

async fn batch(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Batch>,
) -> Result<Answer<BatchView<CustomerView, CustomerId>>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let done = body.carry_out(
            |new| Ok(customers::create(tx, actor, new.into())?.into()),
            |Identified { id, change }| Ok(customers::update(tx, actor, id, |customer| change.apply(customer))?.into()),
            |id| customers::delete(tx, actor, id),
        )?;
        Answer::new("批量操作成功", done)
    })
    .await
}
