//! What people do with dishes.

use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::DishId;
use crate::domain::money::Fen;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::store::dishes::{self, Dish, DishFilter, NOUN};
use crate::store::page::{Listed, Page};
use crate::store::{ReadTx, WriteTx};

const NO_SUCH: Error = Error::NotFound("菜品不存在");

/// A dish to be added.
#[derive(Debug, Clone)]
pub struct NewDish {
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
}

/// Adds a dish.
///
/// # Errors
/// [`Error::Invalid`] when the price is negative.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, new: NewDish) -> Result<Dish> {
    let dish = Dish {
        id: dishes::next_id(tx)?,
        name: new.name,
        category: new.category,
        description: new.description,
        ingredients: new.ingredients,
        restrictions: new.restrictions,
        calories: new.calories,
        price: new.price,
        status: new.status,
        created_at: tx.now,
        updated_at: tx.now,
    };
    check(&dish)?;
    dishes::insert(tx, &dish)?;
    record(tx, actor, deed(Action::Create, dish.id, None, Some(image(&dish))))?;
    Ok(dish)
}

/// Changes a dish: `change` gets the row as it is and leaves it as it shall be.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] when the price would be negative.
pub fn update(tx: &WriteTx<'_>, actor: &Actor, id: DishId, change: impl FnOnce(&mut Dish)) -> Result<Dish> {
    let before = dishes::find(tx, id)?.ok_or(NO_SUCH)?;
    let mut after = before.clone();
    change(&mut after);
    check(&after)?;
    after.updated_at = tx.now;
    dishes::update(tx, &after)?;
    record(tx, actor, deed(Action::Update, id, Some(image(&before)), Some(image(&after))))?;
    Ok(after)
}

/// Hides a dish; the menus that serve it still resolve to it.
///
/// # Errors
/// [`Error::NotFound`].
pub fn delete(tx: &WriteTx<'_>, actor: &Actor, id: DishId) -> Result<()> {
    let before = dishes::find(tx, id)?.ok_or(NO_SUCH)?;
    dishes::hide(tx, id)?;
    record(tx, actor, deed(Action::Delete, id, Some(image(&before)), None))
}

/// One dish.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, id: DishId) -> Result<Dish> {
    dishes::find(tx, id)?.ok_or(NO_SUCH)
}

/// A page of the dishes that pass the filter.
pub fn list(tx: &ReadTx<'_>, filter: &DishFilter, page: Page) -> Result<Listed<Dish>> {
    dishes::list(tx, filter, page)
}

fn check(dish: &Dish) -> Result<()> {
    match dish.price {
        Some(price) if price < Fen::ZERO => Err(Error::invalid("price", "价格不能为负数")),
        _ => Ok(()),
    }
}

fn deed(action: Action, id: DishId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it.
fn image(dish: &Dish) -> Value {
    json!({
        "name": dish.name,
        "category": dish.category,
        "description": dish.description,
        "ingredients": dish.ingredients,
        "restrictions": dish.restrictions,
        "calories": dish.calories,
        "price": dish.price.map(|price| price.to_string()),
        "status": dish.status.as_str(),
    })
}
