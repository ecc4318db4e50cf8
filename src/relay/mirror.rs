//! What a site's users may read while their site is away: the site's last known state, with its time.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Response};
use canshi_sync::central::CentralError;
use mysql_async::{Conn, IsolationLevel, Transaction, TxOpts};

use super::center::Center;
use super::forward::{Forward, pass, site_of};
use super::store::mailbox::{Asked, asked_by};
use super::store::mirror;
use crate::domain::access::Person;
use crate::domain::appointments::AppointmentStatus;
use crate::domain::ids::AppointmentId;
use crate::domain::time::{Instant, Zone};
use crate::error::{Error, Result};
use crate::http::answer::{Answer, Fields};
use crate::http::api::appointments::{AppointmentBody, AppointmentView};
use crate::http::api::wechat::{DashboardView, TodayMenuView};
use crate::http::caller::Caller;
use crate::http::edge::DATA_AS_OF;
use crate::http::error::Refusal;
use crate::http::extract::{Paging, read_object};
use crate::http::wire::LocalTime;
use crate::service::appointments::NewAppointment;
use crate::service::dashboard::Dashboard;
use crate::store::appointments::Appointment;
use crate::store::page::{Listed, Page};

/// How long the caller waits for a site that is online before the mirror has to do.
const WAIT: Duration = Duration::from_secs(3);
/// How long the mirror may take for a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Notifications on the dashboard at most.
const RECENT_MAX: u32 = 10;
/// Appointments of one user that are looked through at most; nobody turns so many pages.
const APPOINTMENTS_MAX: i64 = 10_000;
/// The endpoint that appointments are made by.
const BOOKING: &str = "/api/wechat/customer/appointment";

/// Today's menu.
pub async fn menu(
    State(center): State<Center>,
    caller: Caller,
    fields: Fields,
    request: Request,
) -> std::result::Result<Response, Refusal> {
    if let Some(answer) = ask(&center, &caller, request).await? {
        return Ok(answer);
    }
    let (site, mut conn) = (site_of(&caller)?, connection(&center).await?);
    let mut tx = conn.start_transaction(at_one_moment()).await.map_err(Error::from)?;
    let (zone, as_of) = moment(&mut tx, site).await?;
    let today = zone.day(center.now());
    let menus = mirror::menus_of(&mut tx, site, today).await?;
    let answer = Answer::only("获取成功", &TodayMenuView::of(today, menus), &fields)?;
    Ok(dated(answer, as_of, &zone))
}

/// The day at a glance.
pub async fn dashboard(
    State(center): State<Center>,
    caller: Caller,
    fields: Fields,
    request: Request,
) -> std::result::Result<Response, Refusal> {
    if let Some(answer) = ask(&center, &caller, request).await? {
        return Ok(answer);
    }
    let (site, mut conn) = (site_of(&caller)?, connection(&center).await?);
    let person = person_of(&caller)?;
    let mut tx = conn.start_transaction(at_one_moment()).await.map_err(Error::from)?;
    let (zone, as_of) = moment(&mut tx, site).await?;
    let reader = (person.user_id, person.role_id);
    let dashboard = Dashboard {
        today_customers: mirror::count_in_house(&mut tx, site, zone.day(center.now())).await?,
        today_orders: mirror::count_orders(&mut tx, site, zone.day(center.now()), &zone).await?,
        pending_tasks: mirror::count_pending(&mut tx, site).await?,
        recent_notifications: mirror::notifications_for(&mut tx, site, reader, RECENT_MAX).await?,
    };
    let answer = Answer::only("获取成功", &DashboardView::of(dashboard, &zone), &fields)?;
    Ok(dated(answer, as_of, &zone))
}

/// The caller's own appointments: those that the site has told of, and those that still wait to reach it.
pub async fn appointments(
    State(center): State<Center>,
    caller: Caller,
    paging: Paging,
    fields: Fields,
    request: Request,
) -> std::result::Result<Response, Refusal> {
    if let Some(answer) = ask(&center, &caller, request).await? {
        return Ok(answer);
    }
    let (site, person) = (site_of(&caller)?, person_of(&caller)?);
    // From the one that writes: a replica may not have heard of them.
    let asked = {
        let mut conn = center.connection().await?;
        asked_by(&mut conn, center.vault(), site, person.user_id.get(), BOOKING).await?
    };
    let mut conn = connection(&center).await?;
    let mut tx = conn.start_transaction(at_one_moment()).await.map_err(Error::from)?;
    let (zone, as_of) = moment(&mut tx, site).await?;
    let listed = own_appointments(&mut tx, (site, person), asked, paging.page).await?;
    let answer = Answer::list(listed, &paging, &fields, |appointment| AppointmentView::of(appointment, &zone))?;
    Ok(dated(answer, as_of, &zone))
}

async fn own_appointments(
    tx: &mut Transaction<'_>,
    (site, person): (i64, &Person),
    asked: Vec<Asked>,
    page: Page,
) -> Result<Listed<Appointment>> {
    let until = (page.offset() + i64::from(page.size)).min(APPOINTMENTS_MAX);
    let mut items = mirror::appointments_of(tx, site, person.user_id, until as u64).await?;
    let mut total = mirror::count_appointments(tx, site, person.user_id).await?;
    let customer_name = match person.customer_id {
        Some(id) => mirror::customer_name(tx, site, id).await?,
        None => None,
    };
    let name = customer_name.unwrap_or_else(|| person.name.clone());
    for asked in asked {
        let waiting = waiting(asked, person, &name)?;
        // Its row may be here already, and only the site's answer be missing.
        if !mirror::has_appointment(tx, site, waiting.id).await? {
            total += 1;
            items.push(waiting);
        }
    }
    items.sort_by_key(|item| std::cmp::Reverse((item.date, item.time, item.id)));
    let offset = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    Ok(Listed { total, items: items.into_iter().skip(offset).take(page.size as usize).collect() })
}

/// An appointment that the site has not heard of.
fn waiting(asked: Asked, person: &Person, name: &str) -> Result<Appointment> {
    let new = NewAppointment::from(read_object::<AppointmentBody>(asked.body.as_bytes())?);
    let id = AppointmentId::try_from(asked.assigned_id)
        .map_err(|error| Error::Corrupt(format!("an appointment that waits: {error}")))?;
    let at = Instant(asked.received_at);
    Ok(Appointment {
        id,
        user_id: person.user_id,
        customer_id: person.customer_id,
        customer_name: name.to_owned(),
        service_type: new.service_type,
        date: new.date,
        time: new.time,
        requirements: new.requirements,
        status: AppointmentStatus::Pending,
        employee_id: None,
        employee_name: None,
        reason: None,
        created_at: at,
        updated_at: at,
        confirmed_at: None,
        started_at: None,
        completed_at: None,
        cancelled_at: None,
    })
}

/// The zone of the site's books, and the moment that its mirror shows. A mirror that is being filled says nothing.
pub async fn moment(tx: &mut Transaction<'_>, site: i64) -> std::result::Result<(Zone, Instant), Refusal> {
    let (zone, as_of) = (mirror::zone(tx, site).await?, mirror::as_of(tx, site).await?);
    let loading = || Refusal::Unavailable { error: "门店离线，且数据尚未首次同步完成".to_owned() };
    Ok((zone, as_of.ok_or_else(loading)?))
}

/// The site's own answer, if it is there to give one.
pub async fn ask(center: &Center, caller: &Caller, request: Request) -> std::result::Result<Option<Response>, Refusal> {
    let forward = Forward::of_user(center, caller, request).await?;
    let standing = center.central().standing(forward.site).await.map_err(Error::from)?;
    if !standing.online {
        return Ok(None);
    }
    Ok(forward.within(center, WAIT).await?.map(pass))
}

/// The site's user who asks.
pub fn person_of(caller: &Caller) -> Result<&Person> {
    caller.person.as_deref().ok_or(Error::Unauthenticated("请先登录"))
}

/// A connection to where the mirror is read from.
pub async fn connection(center: &Center) -> Result<Conn> {
    let conn = tokio::time::timeout(CONNECT_WAIT, center.mirror().get_conn()).await;
    Ok(conn.map_err(|_| Error::Center(CentralError::NoConnection))??)
}

/// So that the rows are of the moment that is told with them.
pub fn at_one_moment() -> TxOpts {
    let mut options = TxOpts::default();
    options.with_isolation_level(IsolationLevel::RepeatableRead).with_consistent_snapshot(true);
    options
}

/// The answer with the moment that its rows are of.
pub fn dated<T>(answer: Answer<T>, as_of: Instant, zone: &Zone) -> Response
where
    Answer<T>: IntoResponse,
{
    let mut response = answer.into_response();
    if let Ok(value) = HeaderValue::from_str(&LocalTime::of(as_of, zone).to_string()) {
        response.headers_mut().insert(DATA_AS_OF, value);
    }
    response
}
