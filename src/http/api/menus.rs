//! Menus (seed API, section 3.4.1).

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::access::Access::May;
use crate::domain::access::Permission::{MenusRead, MenusWrite};
use crate::domain::ids::{DishId, MenuId};
use crate::domain::menus::Meal;
use crate::http::App;
use crate::http::answer::{Answer, Created, Fields, Items, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, Path, Query};
use crate::http::route::{Route, delete, get, post, put};
use crate::http::wire::{Day, Whole, present};
use crate::service::menus::{self, MenuChange, NewMenu, Portion};
use crate::store::menus::{Menu, MenuDish, MenuFilter};
use crate::store::page::{PAGE_SIZE_MAX, Page};

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        get("/api/menus", May(MenusRead), list).summary("获取排餐列表"),
        post("/api/menus", May(MenusWrite), create).summary("添加餐单"),
        get("/api/menus/{id}", May(MenusRead), read).summary("获取餐单详情"),
        put("/api/menus/{id}", May(MenusWrite), update).summary("更新餐单"),
        delete("/api/menus/{id}", May(MenusWrite), remove).summary("删除餐单"),
    ]
}

const LABELS: &[(&str, &str)] =
    &[("date", "日期"), ("type", "餐型"), ("dishes", "菜品"), ("dish_id", "菜品编号"), ("quantity", "数量")];

type Quantity = Whole<1, 100_000>;
type PageNumber = Whole<1, 1_000_000_000>;
type PageSize = Whole<1, 100>;

/// How much of which dish.
#[derive(Deserialize, ToSchema)]
struct MenuDishBody {
    /// 菜品编号
    dish_id: DishId,
    /// 数量
    #[schema(example = 2)]
    quantity: Quantity,
}

impl From<MenuDishBody> for Portion {
    fn from(body: MenuDishBody) -> Self {
        Self { dish_id: body.dish_id, quantity: body.quantity.into() }
    }
}

fn portions(dishes: Vec<MenuDishBody>) -> Vec<Portion> {
    dishes.into_iter().map(Portion::from).collect()
}

/// A menu to be added.
#[derive(Deserialize, ToSchema)]
struct MenuBody {
    /// 日期
    date: Day,
    /// 餐型
    #[serde(rename = "type")]
    meal: Meal,
    /// 菜品, in order, each once, at most 200
    #[serde(default)]
    dishes: Vec<MenuDishBody>,
}

impl Labels for MenuBody {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<MenuBody> for NewMenu {
    fn from(body: MenuBody) -> Self {
        Self { date: body.date.0, meal: body.meal, dishes: portions(body.dishes) }
    }
}

/// A change of a menu: what is not there stays.
#[derive(Deserialize, ToSchema)]
struct MenuPatch {
    /// 日期
    #[serde(default, deserialize_with = "present")]
    date: Option<Day>,
    /// 餐型
    #[serde(rename = "type", default, deserialize_with = "present")]
    meal: Option<Meal>,
    /// 菜品, in order, each once, at most 200; they take the place of those that are there
    #[serde(default, deserialize_with = "present")]
    dishes: Option<Vec<MenuDishBody>>,
}

impl Labels for MenuPatch {
    const LABELS: &'static [(&'static str, &'static str)] = LABELS;
}

impl From<MenuPatch> for MenuChange {
    fn from(patch: MenuPatch) -> Self {
        Self { date: patch.date.map(|day| day.0), meal: patch.meal, dishes: patch.dishes.map(portions) }
    }
}

/// A dish on a menu.
#[derive(Serialize, ToSchema)]
struct MenuDishView {
    /// 菜品编号
    id: DishId,
    /// 菜品名称
    #[schema(example = "清蒸鱼")]
    name: String,
    /// 分类
    #[schema(example = "肉菜")]
    category: String,
    /// 数量
    #[schema(example = 2)]
    quantity: i64,
}

impl From<MenuDish> for MenuDishView {
    fn from(dish: MenuDish) -> Self {
        Self { id: dish.dish_id, name: dish.name, category: dish.category, quantity: dish.quantity }
    }
}

/// A menu.
#[derive(Serialize, ToSchema)]
struct MenuView {
    id: MenuId,
    /// 日期
    date: Day,
    /// 餐型
    #[serde(rename = "type")]
    meal: Meal,
    /// 菜品, in order
    dishes: Vec<MenuDishView>,
}

impl From<Menu> for MenuView {
    fn from(menu: Menu) -> Self {
        Self {
            id: menu.id,
            date: Day(menu.date),
            meal: menu.meal,
            dishes: menu.dishes.into_iter().map(MenuDishView::from).collect(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
struct MenuQuery {
    /// 日期
    date: Option<Day>,
    /// 餐型
    #[serde(rename = "type")]
    meal: Option<Meal>,
    /// 开始日期
    start_date: Option<Day>,
    /// 结束日期
    end_date: Option<Day>,
    /// 页码（默认1）
    page: Option<PageNumber>,
    /// 每页数量（默认100）
    page_size: Option<PageSize>,
}

impl Labels for MenuQuery {
    const LABELS: &'static [(&'static str, &'static str)] = &[
        ("date", "日期"),
        ("type", "餐型"),
        ("start_date", "开始日期"),
        ("end_date", "结束日期"),
        ("page", "页码"),
        ("page_size", "每页数量"),
    ];
}

impl MenuQuery {
    fn filter(&self) -> MenuFilter {
        MenuFilter {
            date: self.date.map(|day| day.0),
            meal: self.meal,
            from: self.start_date.map(|day| day.0),
            to: self.end_date.map(|day| day.0),
        }
    }

    fn page(&self) -> Page {
        Page {
            number: self.page.and_then(|number| u32::try_from(number.0).ok()).unwrap_or(1),
            size: self.page_size.and_then(|size| u32::try_from(size.0).ok()).unwrap_or(PAGE_SIZE_MAX),
        }
    }
}

async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<MenuQuery>,
    fields: Fields,
) -> Result<Answer<Items<MenuView>>, Refusal> {
    let (filter, page) = (query.filter(), query.page());
    let listed = app.read(&caller, move |tx, _| menus::list(tx, &filter, page)).await?;
    let views: Vec<MenuView> = listed.items.into_iter().map(MenuView::from).collect();
    Ok(Answer::items(&views, &fields)?)
}

async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<MenuBody>,
) -> Result<Created<MenuView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Created::new("添加成功", MenuView::from(menus::create(tx, actor, body.into())?))
    })
    .await
}

async fn read(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MenuId>,
    fields: Fields,
) -> Result<Answer<MenuView>, Refusal> {
    let menu = app.read_rows(&caller, |tx, _| menus::read(tx, id)).await?;
    Ok(Answer::only("获取成功", &menu.into(), &fields)?)
}

async fn update(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<MenuId>,
    Body(patch): Body<MenuPatch>,
) -> Result<Answer<MenuView>, Refusal> {
    app.write(&caller, move |tx, actor| {
        Answer::new("更新成功", MenuView::from(menus::update(tx, actor, id, patch.into())?))
    })
    .await
}

async fn remove(State(app): State<App>, caller: Caller, Path(id): Path<MenuId>) -> Result<Answer<Nothing>, Refusal> {
    app.write(&caller, move |tx, actor| {
        menus::delete(tx, actor, id)?;
        Answer::new("删除成功", Nothing)
    })
    .await
}
