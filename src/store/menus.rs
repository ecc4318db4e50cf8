//! Statements on `menus` and `menu_dishes`.

use jiff::civil::Date;
use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::rows::{Day, on_constraint};
use super::{ReadTx, WriteTx};
use crate::domain::ids::{CENTER_IDS_FROM, DishId, MenuId};
use crate::domain::menus::Meal;
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "menus";

/// A row with its dishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Menu {
    /// Identity.
    pub id: MenuId,
    /// 日期
    pub date: Date,
    /// 餐型
    pub meal: Meal,
    /// 菜品, in the order in which they were given.
    pub dishes: Vec<MenuDish>,
    /// When the row came into being.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// A dish on a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuDish {
    /// Which dish; it may be hidden by now.
    pub dish_id: DishId,
    /// 菜品名称, as the dish is called now.
    pub name: String,
    /// 分类
    pub category: String,
    /// 描述
    pub description: Option<String>,
    /// 数量
    pub quantity: i64,
}

/// Which menus.
#[derive(Debug, Clone, Copy, Default)]
pub struct MenuFilter {
    /// Only of this day.
    pub date: Option<Date>,
    /// Only of this meal.
    pub meal: Option<Meal>,
    /// Only of this day and later.
    pub from: Option<Date>,
    /// Only of this day and earlier.
    pub to: Option<Date>,
}

const COLUMNS: &str = "id, date, type, created_at, updated_at";
const ORDER: &str = "date desc, case type when 'breakfast' then 1 when 'lunch' then 2 else 3 end, id";

/// The id that the next menu of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<MenuId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from menus where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(MenuId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row and its dishes.
pub fn insert(tx: &WriteTx<'_>, menu: &Menu) -> Result<()> {
    save(
        tx,
        menu,
        "insert into menus (id, date, type, created_at, updated_at)
         values (:id, :date, :type, :created_at, :updated_at)",
    )?;
    save_dishes(tx, menu)
}

/// Writes a row's new state; the dishes that it no longer has go, the others are written anew.
pub fn update(tx: &WriteTx<'_>, menu: &Menu) -> Result<()> {
    save(
        tx,
        menu,
        "update menus set date = :date, type = :type, created_at = :created_at, updated_at = :updated_at
         where id = :id",
    )?;
    remove_gone_dishes(tx, menu)?;
    save_dishes(tx, menu)
}

fn save(tx: &WriteTx<'_>, menu: &Menu, sql: &str) -> Result<()> {
    tx.connection
        .prepare_cached(sql)?
        .execute(named_params! {
            ":id": menu.id,
            ":date": Day(menu.date),
            ":type": menu.meal,
            ":created_at": menu.created_at,
            ":updated_at": menu.updated_at,
        })
        .map_err(on_constraint("menus.date", "该日期该餐型已有餐单"))?;
    Ok(())
}

fn remove_gone_dishes(tx: &WriteTx<'_>, menu: &Menu) -> Result<()> {
    let mut delete = tx.connection.prepare_cached("delete from menu_dishes where menu_id = ?1 and dish_id = ?2")?;
    for stored in dishes_of(tx, menu.id)? {
        if !menu.dishes.iter().any(|kept| kept.dish_id == stored.dish_id) {
            delete.execute((menu.id, stored.dish_id))?;
        }
    }
    Ok(())
}

fn save_dishes(tx: &WriteTx<'_>, menu: &Menu) -> Result<()> {
    let mut upsert = tx.connection.prepare_cached(
        "insert into menu_dishes (menu_id, dish_id, position, quantity) values (?1, ?2, ?3, ?4)
         on conflict (menu_id, dish_id) do update set position = excluded.position, quantity = excluded.quantity",
    )?;
    for (position, dish) in (1_i64..).zip(&menu.dishes) {
        upsert.execute((menu.id, dish.dish_id, position, dish.quantity))?;
    }
    Ok(())
}

/// Hides a row; its history stays, and another menu may take its place.
pub fn hide(tx: &WriteTx<'_>, id: MenuId) -> Result<()> {
    tx.connection.prepare_cached("update menus set deleted_at = ?2 where id = ?1")?.execute((id, tx.now))?;
    Ok(())
}

/// The menu, unless it is hidden.
pub fn find(tx: &ReadTx<'_>, id: MenuId) -> Result<Option<Menu>> {
    let sql = "select id, date, type, created_at, updated_at from menus where id = ?1 and deleted_at is null";
    tx.connection.prepare_cached(sql)?.query_row([id], |row| Ok(read(tx, row))).optional()?.transpose()
}

/// A page of the menus that pass the filter: the latest day first, its meals in the order in which they are served.
pub fn list(tx: &ReadTx<'_>, filter: &MenuFilter, page: Page) -> Result<Listed<Menu>> {
    Filter::default()
        .only("deleted_at is null")
        .when("date = ?", filter.date.map(Day))
        .when("type = ?", filter.meal)
        .when("date >= ?", filter.from.map(Day))
        .when("date <= ?", filter.to.map(Day))
        .list(tx, (COLUMNS, "menus", ORDER), page, |row| read(tx, row))
}

fn read(tx: &ReadTx<'_>, row: &Row<'_>) -> Result<Menu> {
    let id: MenuId = row.get("id")?;
    let Day(date) = row.get("date")?;
    Ok(Menu {
        id,
        date,
        meal: row.get("type")?,
        dishes: dishes_of(tx, id)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The dishes of a menu in order, also those that are hidden by now.
fn dishes_of(tx: &ReadTx<'_>, id: MenuId) -> Result<Vec<MenuDish>> {
    let mut statement = tx.connection.prepare_cached(
        "select menu_dishes.dish_id, dishes.name, dishes.category, dishes.description,
                menu_dishes.quantity
         from menu_dishes join dishes on dishes.id = menu_dishes.dish_id
         where menu_dishes.menu_id = ?1
         order by menu_dishes.position, menu_dishes.dish_id",
    )?;
    let mut rows = statement.query([id])?;
    let mut dishes = Vec::new();
    while let Some(row) = rows.next()? {
        dishes.push(MenuDish {
            dish_id: row.get(0)?,
            name: row.get(1)?,
            category: row.get(2)?,
            description: row.get(3)?,
            quantity: row.get(4)?,
        });
    }
    Ok(dishes)
}
