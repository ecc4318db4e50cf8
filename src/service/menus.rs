//! What people do with menus.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::{DishId, MenuId};
use crate::domain::menus::Meal;
use crate::domain::time::check_period;
use crate::error::{Error, Result};
use crate::store::menus::{self, Menu, MenuDish, MenuFilter, NOUN};
use crate::store::page::{Listed, PAGE_SIZE_MAX, Page};
use crate::store::{ReadTx, WriteTx, dishes};

/// Dishes on one menu at most.
pub const DISHES_MAX: usize = 200;

const NO_SUCH: Error = Error::NotFound("餐单不存在");

/// How much of which dish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// Which dish.
    pub dish_id: DishId,
    /// 数量
    pub quantity: i64,
}

/// A menu to be added.
#[derive(Debug, Clone)]
pub struct NewMenu {
    /// 日期
    pub date: Date,
    /// 餐型
    pub meal: Meal,
    /// 菜品, in order.
    pub dishes: Vec<Portion>,
}

/// A change of a menu: what is not there stays.
#[derive(Debug, Clone, Default)]
pub struct MenuChange {
    /// 日期
    pub date: Option<Date>,
    /// 餐型
    pub meal: Option<Meal>,
    /// 菜品, in order; they take the place of those that are there.
    pub dishes: Option<Vec<Portion>>,
}

/// Adds a menu.
///
/// # Errors
/// [`Error::Conflict`] when the day has a menu for this meal; [`Error::Invalid`] when a dish is unknown or there twice.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, new: NewMenu) -> Result<Menu> {
    let menu = Menu {
        id: menus::next_id(tx)?,
        date: new.date,
        meal: new.meal,
        dishes: resolve(tx, &new.dishes)?,
        created_at: tx.now,
        updated_at: tx.now,
    };
    menus::insert(tx, &menu)?;
    record(tx, actor, deed(Action::Create, menu.id, None, Some(image(&menu))))?;
    Ok(menu)
}

/// Changes a menu.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when the day has another menu for this meal; [`Error::Invalid`] when a dish is
/// unknown or there twice.
pub fn update(tx: &WriteTx<'_>, actor: &Actor, id: MenuId, change: MenuChange) -> Result<Menu> {
    let before = menus::find(tx, id)?.ok_or(NO_SUCH)?;
    let mut after = before.clone();
    if let Some(date) = change.date {
        after.date = date;
    }
    if let Some(meal) = change.meal {
        after.meal = meal;
    }
    if let Some(portions) = change.dishes {
        after.dishes = resolve(tx, &portions)?;
    }
    after.updated_at = tx.now;
    menus::update(tx, &after)?;
    record(tx, actor, deed(Action::Update, id, Some(image(&before)), Some(image(&after))))?;
    Ok(after)
}

/// Hides a menu; the day may then get another one for this meal.
///
/// # Errors
/// [`Error::NotFound`].
pub fn delete(tx: &WriteTx<'_>, actor: &Actor, id: MenuId) -> Result<()> {
    let before = menus::find(tx, id)?.ok_or(NO_SUCH)?;
    menus::hide(tx, id)?;
    record(tx, actor, deed(Action::Delete, id, Some(image(&before)), None))
}

/// One menu.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, id: MenuId) -> Result<Menu> {
    menus::find(tx, id)?.ok_or(NO_SUCH)
}

/// What the kitchen serves today.
pub fn today(tx: &ReadTx<'_>) -> Result<(Date, Vec<Menu>)> {
    let date = tx.zone.day(tx.now);
    // At most one menu for each of the three meals.
    let page = Page { number: 1, size: PAGE_SIZE_MAX };
    let menus = menus::list(tx, &MenuFilter { date: Some(date), ..MenuFilter::default() }, page)?;
    Ok((date, menus.items))
}

/// A page of the menus that pass the filter.
///
/// # Errors
/// [`Error::Invalid`] when the period ends before it begins.
pub fn list(tx: &ReadTx<'_>, filter: &MenuFilter, page: Page) -> Result<Listed<Menu>> {
    check_period(filter.from, filter.to)?;
    menus::list(tx, filter, page)
}

/// The dishes that these portions are of; each exists, is not hidden and is there once.
fn resolve(tx: &ReadTx<'_>, portions: &[Portion]) -> Result<Vec<MenuDish>> {
    if portions.len() > DISHES_MAX {
        return Err(Error::invalid("dishes", format!("菜品不能超过{DISHES_MAX}道")));
    }
    let mut seen = BTreeSet::new();
    let mut resolved = Vec::with_capacity(portions.len());
    for (index, portion) in portions.iter().enumerate() {
        let refused = |why: &'static str| Error::invalid(format!("dishes[{index}].dish_id"), why);
        if !seen.insert(portion.dish_id) {
            return Err(refused("菜品重复"));
        }
        let dish = dishes::find(tx, portion.dish_id)?.ok_or_else(|| refused("菜品不存在"))?;
        resolved.push(MenuDish {
            dish_id: dish.id,
            name: dish.name,
            category: dish.category,
            description: dish.description,
            quantity: portion.quantity,
        });
    }
    Ok(resolved)
}

fn deed(action: Action, id: MenuId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it.
fn image(menu: &Menu) -> Value {
    let dishes: Vec<Value> =
        menu.dishes.iter().map(|dish| json!({ "dish_id": dish.dish_id.get(), "quantity": dish.quantity })).collect();
    json!({
        "date": menu.date.to_string(),
        "type": menu.meal.as_str(),
        "dishes": dishes,
    })
}
