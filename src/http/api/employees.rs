//! Employees (seed API, section 3.5.1).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::batch::{BatchBody, BatchView, Identified};
use crate::domain::access::Access::May;
use crate::domain::access::Actor;
use crate::domain::access::Permission::{EmployeesRead, EmployeesWrite, FinanceRead};
use crate::domain::ids::EmployeeId;
use crate::domain::status::Status;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, delete, get, post, put};
use crate::http::wire::{Day, DayPatch, Line, Money, Name, NamePatch, Patch, Word, present};
use crate::service::employees::{self, NewEmployee, SalaryChange};
use crate::store::employees::{Employee, EmployeeFilter};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/employees", May(EmployeesRead), list).summary("获取员工列表"),
        post("/api/employees", May(EmployeesWrite), create).summary("添加员工"),
        post("/api/employees/batch", May(EmployeesWrite), batch).summary("批量添加、更新、删除员工"),
        get("/api/employees/{id}", May(EmployeesRead), read).summary("获取员工详情"),
        put("/api/employees/{id}", May(EmployeesWrite), update).summary("更新员工"),
        delete("/api/employees/{id}", May(EmployeesWrite), remove).summary("删除员工"),
    ]
}

const LABELS: &[(&str, &str)] = &[
    ("id", "编号"),
    ("name", "姓名"),
    ("position", "职位"),
    ("contact", "联系方式"),
    ("base_salary", "基本工资"),
    ("joining_date", "入职日期"),
    ("status", "状态"),
];

type MoneyPatch = Patch<Money>;

/// An employee to be added.
#[derive(Deserialize, ToSchema)]
struct EmployeeBody {
    /// 姓名
    #[schema(example = "王五")]
    name: Name,
    /// 职位
    #[schema(example = "厨师")]
    position: Word,
    /// 联系方式
    #[schema(example = "13700137000")]
    contact: Option<Name>,
    /// 基本工资, not negative; takes the right to set it
    base_salary: Option<Money>,
    /// 入职日期
    joining_date: Option<Day>,
    /// 状态, `active` unless given
    status: Option<Status>,
}

impl Labels for EmployeeBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<EmployeeBody> for NewEmployee {
    fn from(body: EmployeeBody) -> Self {
        Self {
            name: body.name.into(),
            position: body.position.into(),
            contact: body.contact.map(String::from),
            base_salary: body.base_salary.map(|money| money.0),
            joining_date: body.joining_date.map(|day| day.0),
            status: body.status.unwrap_or(Status::Active),
        }
    }
}

/// A change of an employee: what is not there stays, `null` clears.
#[derive(Deserialize, ToSchema)]
struct EmployeePatch {
    /// 姓名
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    /// 职位
    #[serde(default, deserialize_with = "present")]
    position: Option<Word>,
    /// 联系方式
    #[serde(default)]
    contact: NamePatch,
    /// 基本工资, not negative; takes the right to set it
    #[serde(default)]
    base_salary: MoneyPatch,
    /// 入职日期
    #[serde(default)]
    joining_date: DayPatch,
    /// 状态
    #[serde(default, deserialize_with = "present")]
    status: Option<Status>,
}

impl Labels for EmployeePatch {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl EmployeePatch {
    fn salary(&self) -> SalaryChange {
        match &self.base_salary {
            Patch::Keep => SalaryChange::Keep,
            Patch::Clear => SalaryChange::Set(None),
            Patch::Set(money) => SalaryChange::Set(Some(money.0)),
        }
    }

    /// Applies everything but the salary, which takes a right of its own.
    fn apply(self, employee: &mut Employee) {
        if let Some(name) = self.name {
            employee.name = name.into();
        }
        if let Some(position) = self.position {
            employee.position = position.into();
        }
        self.contact.apply(&mut employee.contact);
        self.joining_date.apply(&mut employee.joining_date);
        if let Some(status) = self.status {
            employee.status = status;
        }
    }
}

/// An employee.
#[derive(Serialize, ToSchema)]
struct EmployeeView {
    id: EmployeeId,
    /// 姓名
    #[schema(example = "王五")]
    name: String,
    /// 职位
    #[schema(example = "厨师")]
    position: String,
    /// 联系方式
    contact: Option<String>,
    /// 基本工资, only for those who may see it
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Money>, required = false)]
    base_salary: Option<Option<Money>>,
    /// 入职日期
    joining_date: Option<Day>,
    /// 状态
    status: Status,
}

impl EmployeeView {
    /// The employee as this actor may see it.
    fn of(employee: Employee, actor: &Actor) -> Self {
        Self {
            id: employee.id,
            name: employee.name,
            position: employee.position,
            contact: employee.contact,
            base_salary: actor.may(FinanceRead).then(|| employee.base_salary.map(Money)),
            joining_date: employee.joining_date.map(Day),
            status: employee.status,
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct EmployeeQuery {
    /// 搜索关键词：姓名的一部分、拼音、首字母，或完整的联系方式
    search: Option<Line>,
    /// 职位筛选
    position: Option<Word>,
    /// 状态筛选
    status: Option<Status>,
}

impl Labels for EmployeeQuery {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("search", "搜索关键词"), ("position", "职位"), ("status", "状态")];
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<EmployeeQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<EmployeeView>>, Refusal> {
    let filter = EmployeeFilter {
        search: query.search.map(String::from),
        position: query.position.map(String::from),
        status: query.status,
    };
    let listed = app.read(&caller, move |tx, _| employees::list(tx, &filter, paging.page)).await?;
    Ok(Answer::list(listed, &paging, &fields, |employee| EmployeeView::of(employee, &caller.actor))?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<EmployeeBody>,
) -> Result<Created<EmployeeView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Created::new("添加成功", EmployeeView::of(employees::create(tx, actor, body.into())?, actor))
    })
    .await
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<EmployeeId>,
    fields: Fields,
) -> Result<Answer<EmployeeView>, Refusal> {
    let employee = app.read_rows(&caller, |tx, _| employees::read(tx, id)).await?;
    Ok(Answer::only("获取成功", &EmployeeView::of(employee, &caller.actor), &fields)?)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<EmployeeId>,
    Body(patch): Body<EmployeePatch>,
) -> Result<Answer<EmployeeView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let employee = employees::update(tx, actor, id, patch.salary(), |employee| patch.apply(employee))?;
        Answer::new("更新成功", EmployeeView::of(employee, actor))
    })
    .await
}

async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<EmployeeId>,
) -> Result<Answer<Nothing>, Refusal> {
    app.write(&caller, move |tx, actor| {
        employees::delete(tx, actor, id)?;
        Answer::new("删除成功", Nothing)
    })
    .await
}

type Batch = BatchBody<EmployeeBody, Identified<EmployeeId, EmployeePatch>, EmployeeId>;

async fn batch(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Batch>,
) -> Result<Answer<BatchView<EmployeeView, EmployeeId>>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let done = body.carry_out(
            |new| Ok(EmployeeView::of(employees::create(tx, actor, new.into())?, actor)),
            |Identified { id, change }| {
                let employee = employees::update(tx, actor, id, change.salary(), |employee| change.apply(employee))?;
                Ok(EmployeeView::of(employee, actor))
            },
            |id| employees::delete(tx, actor, id),
        )?;
        Answer::new("批量操作成功", done)
    })
    .await
}
