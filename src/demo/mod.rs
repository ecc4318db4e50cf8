//! A believable care center, for whoever tries canshi out: its people, its kitchen, a quarter of punches, a year of books.
//!
//! Everything goes through the services, but for the punches, which lie further back than a kiosk may deliver them. The same
//! day gives the same center: chance comes from a counter, not from the system.

mod chance;
mod past;

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::domain::access::Actor;
use crate::domain::ids::{CustomerId, DishId, EmployeeId};
use crate::domain::menus::Meal;
use crate::domain::money::Fen;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::service::customers::{self, NewCustomer};
use crate::service::dishes::{self, NewDish};
use crate::service::employees::{self, NewEmployee};
use crate::service::menus::{self, NewMenu, Portion};
use crate::service::notifications::{Audience, notify};
use crate::service::passwords::{Password, Passwords};
use crate::service::users::{self, NewUser};
use crate::store::{Db, WriteTx};

/// The password of the demonstration's people, the administrator apart.
const DEMO_PASSWORD: &str = "canshi-demo";

/// What the demonstration prints of its logins.
pub const LOGINS: &str = "\nThe demonstration's logins:
  nurse   canshi-demo   (an employee: customers, dishes, menus, own attendance)
  mother  canshi-demo   (a customer: herself, dishes, menus)";

/// Days before and after today that have menus.
const MENU_DAYS: (i64, i64) = (-3, 3);

/// Someone who works at the center, and in which shift.
struct Staff {
    id: EmployeeId,
    shift: String,
    joined: Date,
}

/// Fills an empty site.
pub async fn fill(db: &Db, passwords: &Passwords) -> Result<()> {
    let hash = passwords.hash(Password::new(DEMO_PASSWORD.to_owned()).map_err(|_| Error::Panicked)?).await?;
    let (staff, mothers) = db
        .write(move |tx| {
            let actor = Actor::system("demo");
            let dishes = kitchen(tx, &actor)?;
            let staff = people_who_work(tx, &actor)?;
            let mothers = people_who_stay(tx, &actor)?;
            plan(tx, &actor, &dishes)?;
            logins(tx, &actor, &staff, &mothers, &hash)?;
            notify(tx, Audience::Everyone, "欢迎使用", "这是演示数据，可以随意试用。")?;
            Ok((staff, mothers))
        })
        .await?;
    past::punches(db, staff).await?;
    past::books(db, mothers).await
}

/// The rows of an embedded file, by column name.
fn rows(text: &'static str) -> Result<Vec<BTreeMap<String, String>>> {
    csv::Reader::from_reader(text.as_bytes())
        .deserialize()
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| Error::Corrupt(format!("demonstration data: {error}")))
}

fn number(row: &BTreeMap<String, String>, column: &str) -> Result<i64> {
    row[column].parse().map_err(|_| Error::Corrupt(format!("demonstration data: {column} {:?}", row[column])))
}

fn money(row: &BTreeMap<String, String>, column: &str) -> Result<Fen> {
    row[column].parse().map_err(|_| Error::Corrupt(format!("demonstration data: {column} {:?}", row[column])))
}

fn said(row: &BTreeMap<String, String>, column: &str) -> Option<String> {
    Some(row[column].clone()).filter(|text| !text.is_empty())
}

fn kitchen(tx: &WriteTx<'_>, actor: &Actor) -> Result<BTreeMap<String, Vec<DishId>>> {
    let mut by_category: BTreeMap<String, Vec<DishId>> = BTreeMap::new();
    for row in rows(include_str!("dishes.csv"))? {
        let new = NewDish {
            name: row["name"].clone(),
            category: row["category"].clone(),
            description: said(&row, "description"),
            ingredients: said(&row, "ingredients"),
            restrictions: said(&row, "restrictions"),
            calories: Some(number(&row, "calories")?),
            price: Some(money(&row, "price")?),
            status: Status::Active,
        };
        let dish = dishes::create(tx, actor, new)?;
        by_category.entry(dish.category).or_default().push(dish.id);
    }
    Ok(by_category)
}

fn people_who_work(tx: &WriteTx<'_>, actor: &Actor) -> Result<Vec<Staff>> {
    let today = tx.zone.day(tx.now);
    let mut staff = Vec::new();
    for row in rows(include_str!("employees.csv"))? {
        let joined = today.saturating_sub(number(&row, "joined_days_ago")?.days());
        let new = NewEmployee {
            name: row["name"].clone(),
            position: row["position"].clone(),
            contact: said(&row, "contact"),
            base_salary: Some(money(&row, "base_salary")?),
            joining_date: Some(joined),
            status: Status::Active,
        };
        staff.push(Staff { id: employees::create(tx, actor, new)?.id, shift: row["shift"].clone(), joined });
    }
    Ok(staff)
}

fn people_who_stay(tx: &WriteTx<'_>, actor: &Actor) -> Result<Vec<(CustomerId, String)>> {
    let today = tx.zone.day(tx.now);
    let mut mothers = Vec::new();
    for row in rows(include_str!("customers.csv"))? {
        let delivery = today.saturating_sub(number(&row, "day_after_delivery")?.days());
        let check_in = delivery.saturating_add(3.days());
        let check_out = check_in.saturating_add(number(&row, "stay_days")?.days());
        let new = NewCustomer {
            name: row["name"].clone(),
            age: Some(number(&row, "age")?),
            gender: said(&row, "gender"),
            contact: said(&row, "contact"),
            delivery_date: Some(delivery),
            check_in_date: Some(check_in),
            check_out_date: Some(check_out),
            dietary_restrictions: said(&row, "dietary_restrictions"),
            preferences: said(&row, "preferences"),
            status: if check_out < today { Status::Inactive } else { Status::Active },
        };
        mothers.push((customers::create(tx, actor, new)?.id, row["name"].clone()));
    }
    Ok(mothers)
}

/// Menus as a kitchen plans them by hand: so many dishes of each category at each meal, others every day.
fn plan(tx: &WriteTx<'_>, actor: &Actor, dishes: &BTreeMap<String, Vec<DishId>>) -> Result<()> {
    let today = tx.zone.day(tx.now);
    let meals: [(Meal, &[(&str, usize)]); 3] = [
        (Meal::Breakfast, &[("主食", 2), ("汤品", 1), ("点心", 1), ("饮品", 1)]),
        (Meal::Lunch, &[("主食", 1), ("肉菜", 3), ("素菜", 2), ("汤品", 1), ("水果", 1)]),
        (Meal::Dinner, &[("主食", 1), ("肉菜", 2), ("素菜", 2), ("汤品", 1)]),
    ];
    let mut turn = 0;
    for offset in MENU_DAYS.0..=MENU_DAYS.1 {
        for (meal, parts) in meals {
            let mut chosen: Vec<Portion> = Vec::new();
            for (category, count) in parts {
                let of_category = dishes.get(*category).map_or(&[][..], Vec::as_slice);
                for _ in 0..(*count).min(of_category.len()) {
                    chosen.push(Portion { dish_id: of_category[turn % of_category.len()], quantity: 20 });
                    turn += 1;
                }
            }
            let date = today.saturating_add(offset.days());
            menus::create(tx, actor, NewMenu { date, meal, dishes: chosen })?;
        }
    }
    Ok(())
}

fn logins(
    tx: &WriteTx<'_>,
    actor: &Actor,
    staff: &[Staff],
    mothers: &[(CustomerId, String)],
    hash: &str,
) -> Result<()> {
    let user = |username: &str, name: &str| NewUser {
        username: username.to_owned(),
        password_hash: hash.to_owned(),
        role: String::new(),
        name: name.to_owned(),
        employee_id: None,
        customer_id: None,
        status: Status::Active,
    };
    // The third of the staff is a nurse (employees.csv).
    let nurse = staff.get(2).map(|staff| staff.id);
    users::create(tx, actor, NewUser { role: "employee".to_owned(), employee_id: nurse, ..user("nurse", "护士") })?;
    let mother = mothers.first();
    let named = mother.map_or("妈妈", |(_, name)| name);
    let customer_id = mother.map(|(id, _)| *id);
    users::create(tx, actor, NewUser { role: "customer".to_owned(), customer_id, ..user("mother", named) })?;
    Ok(())
}
