//! A payment order while its site is away: as the mirror has it.

use axum::extract::{FromRequest, FromRequestParts as _, RawPathParams, Request, State};
use axum::response::Response;

use super::center::Center;
use super::forward::{away, site_of};
use super::mirror::{ask, at_one_moment, connection, dated, moment, person_of};
use super::store::mirrored_orders;
use crate::domain::access::{Permission, Person};
use crate::domain::payments::{OrderNo, OrderType};
use crate::error::Error;
use crate::http::answer::{Answer, Fields};
use crate::http::api::payments::PaymentOrderView;
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::store::payment_orders::PaymentOrder;

/// A request with the number of the order in its path; none when that can't be one.
pub struct OfOrder {
    number: Option<OrderNo>,
    request: Request,
}

impl<S: Send + Sync> FromRequest<S> for OfOrder {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, state).await.map_err(|_| Refusal::NoRoute)?;
        let number = params.iter().next().and_then(|(_, text)| text.parse().ok());
        Ok(Self { number, request: Request::from_parts(parts, body) })
    }
}

/// An order. What the mirror does not have, or the caller may not see in it, the site itself has to be asked for: the mirror may be behind.
pub async fn order(
    State(center): State<Center>,
    caller: Caller,
    fields: Fields,
    OfOrder { number, request }: OfOrder,
) -> Result<Response, Refusal> {
    if let Some(answer) = ask(&center, &caller, request).await? {
        return Ok(answer);
    }
    let (site, person) = (site_of(&caller)?, person_of(&caller)?);
    let mut conn = connection(&center).await?;
    let mut tx = conn.start_transaction(at_one_moment()).await.map_err(Error::from)?;
    let (zone, as_of) = moment(&mut tx, site).await?;
    let order = match &number {
        Some(number) => mirrored_orders::find(&mut tx, site, number).await?,
        None => None,
    };
    let Some(order) = order.filter(|order| may_see(person, order)) else {
        drop(tx);
        let standing = center.central().standing(site).await.map_err(Error::from)?;
        return Err(away(&center, site, &standing).await);
    };
    let refunded = mirrored_orders::returned(&mut tx, site, order.id).await?;
    let view = PaymentOrderView::without_params(order, refunded, &zone);
    Ok(dated(Answer::only("获取成功", &view, &fields)?, as_of, &zone))
}

fn may_see(person: &Person, order: &PaymentOrder) -> bool {
    let own = order.order_type == OrderType::CustomerOrder
        && person.customer_id.is_some_and(|id| id.get() == order.related_id);
    person.permissions.has(Permission::PaymentsRead) || (own && person.permissions.has(Permission::PaymentsPay))
}
