//! What payment platforms tell: verified, found to be of a site, and durably in that site's mailbox before the platform hears that it was
//! taken. A platform is answered in its own words.
//!
//! # Decision
//! A notification that is not certain is refused, never put off: the platform sends it again, and the site asks by itself. Signatures are
//! checked where the request is, and not on a thread of their own: checking an RSA signature takes some tens of microseconds, about as long as it
//! takes to hand the work over.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts as _, RawPathParams, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use canshi_sync::wire::OnBehalf;
use serde_json::json;
use tokio::time::timeout;

use super::center::Center;
use super::mailbox;
use super::pay::payer_index;
use super::payment_anomalies;
use super::store::mailbox::{Kind, NewMessage};
use super::store::payment_intents;
use crate::domain::access::Access::Public;
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::{Channel, OrderNo, PaymentMethod};
use crate::domain::time::DAY_MS;
use crate::error::Error;
use crate::http::endpoint::{Draft, Gives, Takes};
use crate::http::error::Refusal;
use crate::http::extract::read_body;
use crate::http::route::{Rate, Route, post};
use crate::payments::{Acknowledgement, Distrust, Event, Gateway, Notice, PaymentState};

/// Bytes of a notification at most.
const BYTES_MAX: usize = 64 << 10;
/// A platform waits for five seconds.
const ANSWER_WAIT: Duration = Duration::from_millis(4_500);
/// How long a notification may wait for its site.
const LIFE: Duration = Duration::from_millis(366 * DAY_MS as u64);
/// Where a site takes notifications.
const NOTICES: &str = "/api/payment/notices";

/// The routes of this noun.
pub fn routes() -> Vec<Route<Center>> {
    let receive = post("/api/payment/callback/{payment_method}", Public, receive);
    vec![receive.rate(Rate::Unlimited).summary("支付回调")]
}

/// A request as it came: its bytes are what is signed.
struct Untouched(Request);

impl<S: Sync> FromRequest<S> for Untouched {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        Ok(Self(request))
    }
}

impl Takes for Untouched {
    fn describe(draft: &mut Draft) {
        let schema = json!({"type": "string", "enum": ["wechat", "alipay", "bank"]});
        draft.parameters.push(json!({"name": "payment_method", "in": "path", "required": true, "schema": schema}));
    }
}

/// What a platform wants to hear.
struct Acknowledged(Acknowledgement);

impl IntoResponse for Acknowledged {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, self.0.content_type)], self.0.body).into_response()
    }
}

impl Gives for Acknowledged {
    fn describe(draft: &mut Draft) {
        draft.status = 200;
    }
}

/// What came of a notification.
enum Came {
    /// It is in the mailbox of its site, or asks for nothing.
    Kept,
    /// It is not believed, or fits nothing that is known.
    Doubted(AnomalyKind, Option<String>, String),
    /// A test of the platform's, whether signatures are checked.
    Probed,
    /// It could not be read or kept just now.
    Failed(Refusal),
}

async fn receive(State(center): State<Center>, Untouched(request): Untouched) -> Result<Acknowledged, Refusal> {
    let (mut parts, body) = request.into_parts();
    let params = RawPathParams::from_request_parts(&mut parts, &center).await.map_err(|_| Refusal::NoRoute)?;
    let method = params.iter().next().and_then(|(_, method)| method.parse::<PaymentMethod>().ok());
    let channel = method.ok_or(Refusal::NoRoute)?.channel();
    let gateway = center.platforms().get(channel).ok_or(Refusal::NoRoute)?.clone();
    let taking = take(&center, channel, &*gateway, Request::from_parts(parts, body));
    let taken = timeout(ANSWER_WAIT, taking).await.unwrap_or_else(|_| {
        tracing::error!(channel = channel.as_str(), "a notification could not be kept in time");
        false
    });
    Ok(Acknowledged(gateway.acknowledgement(taken)))
}

/// Takes a notification; whether its platform may forget it.
async fn take(center: &Center, channel: Channel, gateway: &dyn Gateway, request: Request) -> bool {
    let (word, taken) = match keep(center, channel, gateway, request).await {
        Came::Kept => ("kept", true),
        Came::Probed => ("probed", false),
        Came::Doubted(kind, number, why) => {
            let recorded = payment_anomalies::record(center, channel, kind, number.as_deref(), &why).await;
            if let Err(error) = recorded {
                tracing::error!(channel = channel.as_str(), error = %error, "an anomaly could not be recorded");
            }
            ("doubted", false)
        }
        Came::Failed(why) => {
            tracing::error!(channel = channel.as_str(), why = ?why, "a notification could not be kept");
            ("failed", false)
        }
    };
    let labels = [("channel", channel.as_str()), ("outcome", word)];
    metrics::counter!("canshi_relay_payment_callbacks_total", &labels).increment(1);
    taken
}

async fn keep(center: &Center, channel: Channel, gateway: &dyn Gateway, request: Request) -> Came {
    let headers = request.headers().clone();
    let body = match read_body(request, BYTES_MAX).await {
        Ok(body) => body,
        Err(Refusal::BodyTooLarge { .. }) => {
            return Came::Doubted(AnomalyKind::Forged, None, "it is too long for a notification".to_owned());
        }
        Err(refusal) => return Came::Failed(refusal),
    };
    let notice = match gateway.read_notice(&headers, &body, center.platforms().now()) {
        Ok(notice) => notice,
        Err(Distrust::Probe) => return Came::Probed,
        Err(Distrust::Forged(why)) => return Came::Doubted(AnomalyKind::Forged, None, why),
        Err(Distrust::Mismatch(why)) => return Came::Doubted(AnomalyKind::Mismatch, None, why),
    };
    if let Event::Nothing { .. } = notice.event {
        return Came::Kept;
    }
    let site = match site_of(center, channel, &notice).await {
        Ok(Ok(site)) => site,
        Ok(Err((kind, why))) => return Came::Doubted(kind, Some(notice.event.number().to_owned()), why.to_owned()),
        Err(error) => return Came::Failed(error.into()),
    };
    match put(center, site, channel, &notice).await {
        Ok(()) => Came::Kept,
        Err(refusal) => Came::Failed(refusal),
    }
}

/// The site that a notification is for, if it fits what is known of its number.
async fn site_of(
    center: &Center,
    channel: Channel,
    notice: &Notice,
) -> Result<Result<i64, (AnomalyKind, &'static str)>, Error> {
    let Ok(number) = notice.event.number().parse::<OrderNo>() else {
        return Ok(Err((AnomalyKind::UnknownNumber, "the number is none of ours")));
    };
    let known = payment_intents::find(&mut center.connection().await?, number.site(), number.as_str()).await?;
    let Some(known) = known else {
        return Ok(Err((AnomalyKind::UnknownNumber, "the number names no site")));
    };
    // A site with keys of its own may have made the call; it knows what fits.
    let Some((of, amount_fen, payer_index)) = known.intent else { return Ok(Ok(number.site())) };
    let (amount, payer) = told(&notice.event);
    let doubt = if of != channel.as_str() {
        Some((AnomalyKind::Mismatch, "the number was given to another platform"))
    } else if amount.is_some_and(|amount| amount != amount_fen) {
        Some((AnomalyKind::Amount, "the amount is not the one that was asked for"))
    } else if is_another(center, payer_index.as_deref(), payer) {
        Some((AnomalyKind::Payer, "somebody else has paid than was asked to"))
    } else {
        None
    };
    Ok(doubt.map_or(Ok(number.site()), Err))
}

fn is_another(center: &Center, asked: Option<&str>, payer: Option<&str>) -> bool {
    asked.zip(payer).is_some_and(|(asked, payer)| payer_index(center, payer) != asked)
}

/// The amount and the payer that a notification tells, where it does.
fn told(event: &Event) -> (Option<i64>, Option<&str>) {
    match event {
        Event::Payment { standing: PaymentState::Paid(paid), .. } => (Some(paid.amount_fen), paid.payer.as_deref()),
        Event::Refund { amount_fen, .. } | Event::Transfer { amount_fen, .. } => (*amount_fen, None),
        Event::Payment { .. } | Event::Nothing { .. } => (None, None),
    }
}

/// Puts a notification durably into its site's mailbox, once however often it comes.
async fn put(center: &Center, site: i64, channel: Channel, notice: &Notice) -> Result<(), Refusal> {
    let body = serde_json::to_string(notice).map_err(|error| Error::Corrupt(error.to_string()))?;
    let id = center.vault().index("payment-notice", &format!("{}\n{}", channel.as_str(), notice.event_key));
    let message = NewMessage {
        id: &id,
        kind: Kind::Queued,
        method: "POST",
        target: NOTICES,
        body: Some(&body),
        // The platform says that it is the same by the same key, and may word it otherwise.
        fingerprint: &id,
        on_behalf: &OnBehalf::Relay,
        assigned_id: None,
        life: LIFE,
    };
    mailbox::post(center, site, &message).await.map(drop)
}
