//! Statements on `dishes`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::{ReadTx, WriteTx, search};
use crate::domain::ids::{CENTER_IDS_FROM, DishId};
use crate::domain::money::Fen;
use crate::domain::status::Status;
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables, search terms and audit rows.
pub const NOUN: &str = "dishes";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dish {
    /// Identity.
    pub id: DishId,
    /// 菜品名称
    pub name: String,
    /// 分类
    pub category: String,
    /// 描述
    pub description: Option<String>,
    /// 食材组成
    pub ingredients: Option<String>,
    /// 禁忌食材
    pub restrictions: Option<String>,
    /// 卡路里
    pub calories: Option<i64>,
    /// 价格
    pub price: Option<Fen>,
    /// 状态
    pub status: Status,
    /// When the row came into being.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// Which dishes.
#[derive(Debug, Clone, Default)]
pub struct DishFilter {
    /// A part of the name, its pinyin or initials, or a part of the ingredients.
    pub search: Option<String>,
    /// Only of this category.
    pub category: Option<String>,
    /// Only these.
    pub status: Option<Status>,
}

const COLUMNS: &str = "id, name, category, description, ingredients, restrictions, calories, price_fen, status, \
                       created_at, updated_at";

/// The id that the next dish of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<DishId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from dishes where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(DishId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, dish: &Dish) -> Result<()> {
    save(
        tx,
        dish,
        "insert into dishes (id, name, category, description, ingredients, restrictions, calories, price_fen, status,
             created_at, updated_at)
         values (:id, :name, :category, :description, :ingredients, :restrictions, :calories, :price_fen, :status,
             :created_at, :updated_at)",
    )
}

/// Writes a row's new state.
pub fn update(tx: &WriteTx<'_>, dish: &Dish) -> Result<()> {
    save(
        tx,
        dish,
        "update dishes set name = :name, category = :category, description = :description,
             ingredients = :ingredients, restrictions = :restrictions, calories = :calories, price_fen = :price_fen,
             status = :status, created_at = :created_at, updated_at = :updated_at
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, dish: &Dish, sql: &str) -> Result<()> {
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": dish.id,
        ":name": dish.name,
        ":category": dish.category,
        ":description": dish.description,
        ":ingredients": dish.ingredients,
        ":restrictions": dish.restrictions,
        ":calories": dish.calories,
        ":price_fen": dish.price,
        ":status": dish.status,
        ":created_at": dish.created_at,
        ":updated_at": dish.updated_at,
    })?;
    let texts: Vec<&str> = dish.ingredients.as_deref().into_iter().collect();
    search::index(tx, NOUN, dish.id.get(), &[&dish.name], &texts)
}

/// Hides a row; its history stays.
pub fn hide(tx: &WriteTx<'_>, id: DishId) -> Result<()> {
    tx.connection.prepare_cached("update dishes set deleted_at = ?2 where id = ?1")?.execute((id, tx.now))?;
    search::forget(tx, NOUN, id.get())
}

/// The dish, unless it is hidden.
pub fn find(tx: &ReadTx<'_>, id: DishId) -> Result<Option<Dish>> {
    let sql = "select id, name, category, description, ingredients, restrictions, calories, price_fen, status,
                      created_at, updated_at
               from dishes where id = ?1 and deleted_at is null";
    tx.connection.prepare_cached(sql)?.query_row([id], |row| Ok(read(row))).optional()?.transpose()
}

/// A page of the dishes that pass the filter, by id.
pub fn list(tx: &ReadTx<'_>, filter: &DishFilter, page: Page) -> Result<Listed<Dish>> {
    let mut conditions = Filter::default()
        .only("deleted_at is null")
        .when("category = ?", filter.category.as_deref())
        .when("status = ?", filter.status);
    if let Some(word) = &filter.search {
        conditions = conditions.with(search::CONDITION, search::values(NOUN, word));
    }
    conditions.list(tx, (COLUMNS, "dishes", "id"), page, read)
}

fn read(row: &Row<'_>) -> Result<Dish> {
    Ok(Dish {
        id: row.get("id")?,
        name: row.get("name")?,
        category: row.get("category")?,
        description: row.get("description")?,
        ingredients: row.get("ingredients")?,
        restrictions: row.get("restrictions")?,
        calories: row.get("calories")?,
        price: row.get("price_fen")?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
