//! Dishes (seed API, section 3.3).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::batch::{BatchBody, BatchView, Identified};
use crate::domain::access::Access::May;
use crate::domain::access::Permission::{DishesRead, DishesWrite};
use crate::domain::ids::DishId;
use crate::domain::status::Status;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, List, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Paging, Path, Query};
use crate::http::route::{Route, delete, get, post, put};
use crate::http::wire::{Line, Money, Name, Paragraph, ParagraphPatch, Patch, Whole, Word, present};
use crate::service::dishes::{self, NewDish};
use crate::store::dishes::{Dish, DishFilter};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/dishes", May(DishesRead), list).summary("获取菜品列表"),
        post("/api/dishes", May(DishesWrite), create).summary("添加菜品"),
        post("/api/dishes/batch", May(DishesWrite), batch).summary("批量添加、更新、删除菜品"),
        get("/api/dishes/{id}", May(DishesRead), read).summary("获取菜品详情"),
        put("/api/dishes/{id}", May(DishesWrite), update).summary("更新菜品"),
        delete("/api/dishes/{id}", May(DishesWrite), remove).summary("删除菜品"),
    ]
}

const LABELS: &[(&str, &str)] = &[
    ("id", "编号"),
    ("name", "菜品名称"),
    ("category", "分类"),
    ("description", "描述"),
    ("ingredients", "食材组成"),
    ("restrictions", "禁忌食材"),
    ("calories", "卡路里"),
    ("price", "价格"),
    ("status", "状态"),
];

type Calories = Whole<0, 100_000>;
type CaloriesPatch = Patch<Calories>;
type MoneyPatch = Patch<Money>;

/// A dish to be added.
#[derive(Deserialize, ToSchema)]
struct DishBody {
    /// 菜品名称
    #[schema(example = "清蒸鱼")]
    name: Name,
    /// 分类
    #[schema(example = "肉菜")]
    category: Word,
    /// 描述
    #[schema(example = "清淡可口")]
    description: Option<Paragraph>,
    /// 食材组成
    #[schema(example = "鱼、姜、葱")]
    ingredients: Option<Paragraph>,
    /// 禁忌食材
    #[schema(example = "无")]
    restrictions: Option<Paragraph>,
    /// 卡路里
    #[schema(example = 200)]
    calories: Option<Calories>,
    /// 价格, not negative
    price: Option<Money>,
    /// 状态, `active` unless given
    status: Option<Status>,
}

impl Labels for DishBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<DishBody> for NewDish {
    fn from(body: DishBody) -> Self {
        Self {
            name: body.name.into(),
            category: body.category.into(),
            description: body.description.map(String::from),
            ingredients: body.ingredients.map(String::from),
            restrictions: body.restrictions.map(String::from),
            calories: body.calories.map(i64::from),
            price: body.price.map(|price| price.0),
            status: body.status.unwrap_or(Status::Active),
        }
    }
}

/// A change of a dish: what is not there stays, `null` clears.
#[derive(Deserialize, ToSchema)]
struct DishPatch {
    /// 菜品名称
    #[serde(default, deserialize_with = "present")]
    name: Option<Name>,
    /// 分类
    #[serde(default, deserialize_with = "present")]
    category: Option<Word>,
    /// 描述
    #[serde(default)]
    description: ParagraphPatch,
    /// 食材组成
    #[serde(default)]
    ingredients: ParagraphPatch,
    /// 禁忌食材
    #[serde(default)]
    restrictions: ParagraphPatch,
    /// 卡路里
    #[serde(default)]
    calories: CaloriesPatch,
    /// 价格, not negative
    #[serde(default)]
    price: MoneyPatch,
    /// 状态
    #[serde(default, deserialize_with = "present")]
    status: Option<Status>,
}

impl Labels for DishPatch {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl DishPatch {
    fn apply(self, dish: &mut Dish) {
        if let Some(name) = self.name {
            dish.name = name.into();
        }
        if let Some(category) = self.category {
            dish.category = category.into();
        }
        self.description.apply(&mut dish.description);
        self.ingredients.apply(&mut dish.ingredients);
        self.restrictions.apply(&mut dish.restrictions);
        self.calories.apply(&mut dish.calories);
        match self.price {
            Patch::Keep => {}
            Patch::Clear => dish.price = None,
            Patch::Set(price) => dish.price = Some(price.0),
        }
        if let Some(status) = self.status {
            dish.status = status;
        }
    }
}

/// A dish.
#[derive(Serialize, ToSchema)]
struct DishView {
    id: DishId,
    /// 菜品名称
    #[schema(example = "清蒸鱼")]
    name: String,
    /// 分类
    #[schema(example = "肉菜")]
    category: String,
    /// 描述
    description: Option<String>,
    /// 食材组成
    ingredients: Option<String>,
    /// 禁忌食材
    restrictions: Option<String>,
    /// 卡路里
    calories: Option<i64>,
    /// 价格
    price: Option<Money>,
    /// 状态
    status: Status,
}

impl From<Dish> for DishView {
    fn from(dish: Dish) -> Self {
        Self {
            id: dish.id,
            name: dish.name,
            category: dish.category,
            description: dish.description,
            ingredients: dish.ingredients,
            restrictions: dish.restrictions,
            calories: dish.calories,
            price: dish.price.map(Money),
            status: dish.status,
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct DishQuery {
    /// 分类筛选
    category: Option<Word>,
    /// 搜索关键词：菜品名称的一部分、拼音、首字母，或食材的一部分
    search: Option<Line>,
    /// 状态筛选
    status: Option<Status>,
}

impl Labels for DishQuery {
    const LABELS: &'static [(&'static str, &'static str)] =
        &[("category", "分类"), ("search", "搜索关键词"), ("status", "状态")];
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<DishQuery>,
    paging: Paging,
    fields: Fields,
) -> Result<Answer<List<DishView>>, Refusal> {
    let filter = DishFilter {
        search: query.search.map(String::from),
        category: query.category.map(String::from),
        status: query.status,
    };
    let listed = app.read(&caller, move |tx, _| dishes::list(tx, &filter, paging.page)).await?;
    Ok(Answer::list(listed, &paging, &fields, DishView::from)?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<DishBody>,
) -> Result<Created<DishView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Created::new("添加成功", DishView::from(dishes::create(tx, actor, body.into())?))
    })
    .await
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<DishId>,
    fields: Fields,
) -> Result<Answer<DishView>, Refusal> {
    let dish = app.read_rows(&caller, |tx, _| dishes::read(tx, id)).await?;
    Ok(Answer::only("获取成功", &dish.into(), &fields)?)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<DishId>,
    Body(patch): Body<DishPatch>,
) -> Result<Answer<DishView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let dish = dishes::update(tx, actor, id, |dish| patch.apply(dish))?;
        Answer::new("更新成功", DishView::from(dish))
    })
    .await
}

async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<DishId>) -> Result<Answer<Nothing>, Refusal> {
    app.write(&caller, move |tx, actor| {
        dishes::delete(tx, actor, id)?;
        Answer::new("删除成功", Nothing)
    })
    .await
}

type Batch = BatchBody<DishBody, Identified<DishId, DishPatch>, DishId>;

async fn batch(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Batch>,
) -> Result<Answer<BatchView<DishView, DishId>>, Refusal> {
    app.write(&caller, move |tx, actor| {
        let done = body.carry_out(
            |new| Ok(dishes::create(tx, actor, new.into())?.into()),
            |Identified { id, change }| Ok(dishes::update(tx, actor, id, |dish| change.apply(dish))?.into()),
            |id| dishes::delete(tx, actor, id),
        )?;
        Answer::new("批量操作成功", done)
    })
    .await
}
