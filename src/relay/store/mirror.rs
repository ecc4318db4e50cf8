//! Statements on the mirror, for what a site's users may read while their site is away. Each names the one site that it is about.

use jiff::civil::{Date, Time};
use mysql_async::prelude::Queryable;
use mysql_async::{Row, params};

use crate::domain::appointments::AppointmentStatus;
use crate::domain::ids::{AppointmentId, CustomerId, DishId, EmployeeId, MenuId, NotificationId, RoleId, UserId};
use crate::domain::menus::Meal;
use crate::domain::time::{Instant, Zone};
use crate::error::{Error, Result};
use crate::store::appointments::Appointment;
use crate::store::menus::{Menu, MenuDish};
use crate::store::notifications::Notification;

fn corrupt(what: &str) -> Error {
    Error::Corrupt(format!("the mirror: {what}"))
}

/// The zone that a site's books are kept in.
pub async fn zone(conn: &mut impl Queryable, site: i64) -> Result<Zone> {
    let name: Option<Option<String>> =
        conn.exec_first("select time_zone from canshi_sites where id = ?", (site,)).await?;
    let name = name.flatten().ok_or(Error::NotFound("门店不存在"))?;
    Zone::named(&name).map_err(|error| corrupt(&error.to_string()))
}

/// As of when the mirror shows the site; none while it is being filled for the first time.
pub async fn as_of(conn: &mut impl Queryable, site: i64) -> Result<Option<Instant>> {
    let row: Option<(i64, i64)> = conn
        .exec_first(
            "select timestampdiff(microsecond, '1970-01-01',
                 if(tip <= seq, told_at, least(committed_at, told_at))) div 1000, state = 'loading'
             from canshi_positions where site_id = ?",
            (site,),
        )
        .await?;
    let (ms, loading) = row.ok_or(Error::NotFound("门店不存在"))?;
    Ok((loading == 0).then_some(Instant(ms)))
}

/// The menus of a day, in the order of the meals.
pub async fn menus_of(conn: &mut impl Queryable, site: i64, day: Date) -> Result<Vec<Menu>> {
    let rows: Vec<(i64, String)> = conn
        .exec(
            "select id, type from menus where site_id = ? and date = ? and deleted_at is null
             order by case type when 'breakfast' then 1 when 'lunch' then 2 else 3 end, id",
            (site, day.to_string()),
        )
        .await?;
    let mut menus = Vec::with_capacity(rows.len());
    for (id, meal) in rows {
        menus.push(Menu {
            id: MenuId::try_from(id).map_err(|_| corrupt("a menu"))?,
            date: day,
            meal: meal.parse::<Meal>().map_err(|_| corrupt("a menu"))?,
            dishes: dishes_of(conn, site, id).await?,
            created_at: Instant(0),
            updated_at: Instant(0),
        });
    }
    Ok(menus)
}

async fn dishes_of(conn: &mut impl Queryable, site: i64, menu: i64) -> Result<Vec<MenuDish>> {
    let rows: Vec<(i64, String, String, Option<String>, i64)> = conn
        .exec(
            "select md.dish_id, d.name, d.category, d.description, md.quantity
             from menu_dishes as md join dishes as d on d.site_id = md.site_id and d.id = md.dish_id
             where md.site_id = ? and md.menu_id = ? order by md.position",
            (site, menu),
        )
        .await?;
    rows.into_iter()
        .map(|(id, name, category, description, quantity)| {
            let dish_id = DishId::try_from(id).map_err(|_| corrupt("a dish"))?;
            Ok(MenuDish { dish_id, name, category, description, quantity })
        })
        .collect()
}

/// How many active customers are in house on this day.
pub async fn count_in_house(conn: &mut impl Queryable, site: i64, day: Date) -> Result<i64> {
    let day = day.to_string();
    let count: Option<i64> = conn
        .exec_first(
            "select count(*) from customers
             where site_id = ? and status = 'active' and deleted_at is null and check_in_date <= ?
                 and (check_out_date is null or check_out_date >= ?)",
            (site, &day, &day),
        )
        .await?;
    Ok(count.unwrap_or(0))
}

/// How many orders families were asked to pay on a day.
pub async fn count_orders(conn: &mut impl Queryable, site: i64, day: Date, zone: &Zone) -> Result<i64> {
    let start = |day: Date| zone.instant(day.at(0, 0, 0, 0)).map(|instant| instant.0);
    let (Some(from), Some(until)) = (start(day), day.tomorrow().ok().and_then(start)) else { return Ok(0) };
    let sql = "select count(*) from payment_orders where site_id = ? and order_type = 'customer_order'
                   and created_at >= timestampadd(microsecond, ?, '1970-01-01 00:00:00')
                   and created_at < timestampadd(microsecond, ?, '1970-01-01 00:00:00')";
    Ok(conn.exec_first(sql, (site, from * 1000, until * 1000)).await?.unwrap_or(0))
}

/// How many appointments wait for a confirmation.
pub async fn count_pending(conn: &mut impl Queryable, site: i64) -> Result<i64> {
    let sql = "select count(*) from appointments where site_id = ? and status = 'pending'";
    Ok(conn.exec_first(sql, (site,)).await?.unwrap_or(0))
}

/// What was said last to this user, to this role or to everyone.
pub async fn notifications_for(
    conn: &mut impl Queryable,
    site: i64,
    (user, role): (UserId, RoleId),
    limit: u32,
) -> Result<Vec<Notification>> {
    let rows: Vec<(i64, String, String, i64)> = conn
        .exec(
            "select id, title, content, timestampdiff(microsecond, '1970-01-01', created_at) div 1000
             from notifications
             where site_id = ? and (user_id = ? or role_id = ? or (user_id is null and role_id is null))
             order by id desc limit ?",
            (site, user.get(), role.get(), limit),
        )
        .await?;
    rows.into_iter()
        .map(|(id, title, content, created_at)| {
            Ok(Notification {
                id: NotificationId::try_from(id).map_err(|_| corrupt("a notification"))?,
                title,
                content,
                user_id: None,
                role_id: None,
                created_at: Instant(created_at),
                read: false,
            })
        })
        .collect()
}

/// How many appointments a user has.
pub async fn count_appointments(conn: &mut impl Queryable, site: i64, user: UserId) -> Result<i64> {
    let sql = "select count(*) from appointments where site_id = ? and user_id = ?";
    Ok(conn.exec_first(sql, (site, user.get())).await?.unwrap_or(0))
}

/// Whether the mirror has this appointment.
pub async fn has_appointment(conn: &mut impl Queryable, site: i64, id: AppointmentId) -> Result<bool> {
    let sql = "select 1 from appointments where site_id = ? and id = ?";
    Ok(conn.exec_first::<i64, _, _>(sql, (site, id.get())).await?.is_some())
}

/// How a site's customer is called.
pub async fn customer_name(conn: &mut impl Queryable, site: i64, id: CustomerId) -> Result<Option<String>> {
    let sql = "select name from customers where site_id = ? and id = ?";
    Ok(conn.exec_first::<Option<String>, _, _>(sql, (site, id.get())).await?.flatten())
}

/// A user's first appointments, the latest day first.
pub async fn appointments_of(
    conn: &mut impl Queryable,
    site: i64,
    user: UserId,
    limit: u64,
) -> Result<Vec<Appointment>> {
    let rows: Vec<Row> = conn
        .exec(
            "select a.id, a.user_id, a.customer_id, coalesce(c.name, u.name, ''), a.service_type, cast(a.date as char),
                 a.time, a.requirements, a.status, a.employee_id, e.name, a.reason,
                 timestampdiff(microsecond, '1970-01-01', a.created_at) div 1000,
                 timestampdiff(microsecond, '1970-01-01', a.updated_at) div 1000,
                 timestampdiff(microsecond, '1970-01-01', a.confirmed_at) div 1000,
                 timestampdiff(microsecond, '1970-01-01', a.started_at) div 1000,
                 timestampdiff(microsecond, '1970-01-01', a.completed_at) div 1000,
                 timestampdiff(microsecond, '1970-01-01', a.cancelled_at) div 1000
             from appointments as a
                 left join customers as c on c.site_id = a.site_id and c.id = a.customer_id
                 left join users as u on u.site_id = a.site_id and u.id = a.user_id
                 left join employees as e on e.site_id = a.site_id and e.id = a.employee_id
             where a.site_id = :site and a.user_id = :user
             order by a.date desc, a.time desc, a.id desc limit :limit",
            params! { "site" => site, "user" => user.get(), "limit" => limit },
        )
        .await?;
    rows.into_iter().map(|row| appointment(row).ok_or_else(|| corrupt("an appointment"))).collect()
}

fn appointment(mut row: Row) -> Option<Appointment> {
    let moment = |row: &mut Row, at: usize| row.take::<Option<i64>, _>(at).map(|ms| ms.map(Instant));
    let customer_id: Option<i64> = row.take(2)?;
    let employee_id: Option<i64> = row.take(9)?;
    Some(Appointment {
        id: AppointmentId::try_from(row.take::<i64, _>(0)?).ok()?,
        user_id: UserId::try_from(row.take::<i64, _>(1)?).ok()?,
        customer_id: customer_id.and_then(|id| CustomerId::try_from(id).ok()),
        customer_name: row.take(3)?,
        service_type: row.take(4)?,
        date: row.take::<String, _>(5)?.parse::<Date>().ok()?,
        time: row.take::<String, _>(6)?.parse::<Time>().ok()?,
        requirements: row.take(7)?,
        status: row.take::<String, _>(8)?.parse::<AppointmentStatus>().ok()?,
        employee_id: employee_id.and_then(|id| EmployeeId::try_from(id).ok()),
        employee_name: row.take(10)?,
        reason: row.take(11)?,
        created_at: Instant(row.take(12)?),
        updated_at: Instant(row.take(13)?),
        confirmed_at: moment(&mut row, 14)?,
        started_at: moment(&mut row, 15)?,
        completed_at: moment(&mut row, 16)?,
        cancelled_at: moment(&mut row, 17)?,
    })
}
