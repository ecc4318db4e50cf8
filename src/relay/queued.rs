//! Requests that are kept until the site has done them. While the site is there its own answer is passed on; else the sender is told
//! that it will be done.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};

use super::center::Center;
use super::forward::{Forward, pass, site_of};
use super::mailbox::{self, PUNCH_LIFE, QUEUED_LIFE};
use super::store::counters::{self, IDS};
use super::store::mailbox::{Answered, Kind, Receipt, asked_by, is_kept};
use super::store::mirror;
use crate::domain::appointments::{WAITING_MAX, check_day};
use crate::domain::ids::AppointmentId;
use crate::domain::time::Instant;
use crate::error::Error;
use crate::http::answer::Answer;
use crate::http::api::appointments::{AppointmentBody, BookedView};
use crate::http::api::wechat::{OwnPunchBody, OwnPunchView};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::extract::read_object;
use crate::service::appointments::NewAppointment;

/// How long the sender waits for a site that is online.
const WAIT: Duration = Duration::from_secs(3);

/// An answer to what will be done later.
type Accepted<T> = Answer<T, 202>;

/// Books an appointment under an id that it keeps, whenever the site hears of it.
pub async fn book(State(center): State<Center>, caller: Caller, request: Request) -> Result<Response, Refusal> {
    let forward = Forward::of_user(&center, &caller, request).await?;
    let new = NewAppointment::from(read_object::<AppointmentBody>(bytes_of(&forward))?);
    let user = caller.user_id().ok_or(Error::Unauthenticated("请先登录"))?;
    let mut conn = center.connection().await?;
    let zone = mirror::zone(&mut conn, forward.site).await?;
    check_day(new.date, zone.day(center.now())).map_err(|error| Error::invalid("date", error.to_string()))?;
    let path = forward.target.split('?').next().unwrap_or_default();
    let waiting = asked_by(&mut conn, center.vault(), forward.site, user.get(), path).await?;
    // A repeat adds none.
    if waiting.len() as i64 >= WAITING_MAX && !is_kept(&mut conn, forward.site, &forward.id).await? {
        return Err(Error::Conflict(format!("待处理的预约不能超过{WAITING_MAX}个").into()).into());
    }
    let assigned_id = counters::next(&mut conn, IDS).await?;
    drop(conn);
    let (receipt, answer) = keep(&center, &forward, QUEUED_LIFE, Some(assigned_id)).await?;
    if let Some(answer) = answer {
        return Ok(pass(answer));
    }
    let id = receipt.assigned_id.and_then(|id| AppointmentId::try_from(id).ok());
    let id = id.ok_or_else(|| Error::Corrupt("an appointment was kept without its id".to_owned()))?;
    let view = BookedView::accepted(id, new);
    Ok(Accepted::new("预约已提交，门店恢复联网后处理", view)?.into_response())
}

/// Punches for the caller; it counts when it was received here.
pub async fn punch(State(center): State<Center>, caller: Caller, request: Request) -> Result<Response, Refusal> {
    site_of(&caller)?;
    caller.employee_id().ok_or(Error::Forbidden("当前用户未关联员工，不能打卡"))?;
    let forward = Forward::of_user(&center, &caller, request).await?;
    read_object::<OwnPunchBody>(bytes_of(&forward))?;
    let (receipt, answer) = keep(&center, &forward, PUNCH_LIFE, None).await?;
    if let Some(answer) = answer {
        return Ok(pass(answer));
    }
    let zone = mirror::zone(&mut center.connection().await?, forward.site).await?;
    let view = OwnPunchView::accepted(Instant(receipt.received_at), &zone);
    Ok(Accepted::new("打卡已受理", view)?.into_response())
}

fn bytes_of(forward: &Forward) -> &[u8] {
    forward.body.as_deref().unwrap_or_default().as_bytes()
}

/// Keeps the request on the disk, and then waits a moment for a site that is there.
async fn keep(
    center: &Center,
    forward: &Forward,
    life: Duration,
    assigned_id: Option<i64>,
) -> Result<(Receipt, Option<Answered>), Refusal> {
    let standing = center.central().standing(forward.site).await.map_err(Error::from)?;
    let message = forward.message(Kind::Queued, life, assigned_id);
    if standing.online {
        return mailbox::ask(center, forward.site, &message, WAIT).await;
    }
    let mut receipt = mailbox::post(center, forward.site, &message).await?;
    let answer = receipt.answer.take();
    Ok((receipt, answer))
}
