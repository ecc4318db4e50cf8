//! What platforms and the center say of payments. A platform is answered in its own words, not in our envelope.

use std::borrow::Cow;

use axum::extract::{FromRequest, FromRequestParts as _, RawPathParams, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::access::Access::{Public, Relay};
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::{Channel, PaymentMethod};
use crate::http::App;
use crate::http::answer::Answer;
use crate::http::caller::Caller;
use crate::http::endpoint::{Draft, Gives, Takes};
use crate::http::error::Refusal;
use crate::http::extract::{Body, Labels, read_body};
use crate::http::route::{Rate, Route, post};
use crate::payments::{Acknowledgement, Distrust, Notice};
use crate::service::payments::settle::{Settled, settle};
use crate::store::payment_anomalies;

/// Bytes of a notification at most.
pub const NOTICE_BYTES_MAX: usize = 64 << 10;

/// The routes of this noun.
pub fn routes() -> Vec<Route> {
    vec![
        post("/api/payment/callback/{payment_method}", Public, receive).rate(Rate::Unlimited).summary("支付回调"),
        post("/api/payment/notices", Relay, take).summary("总部转来的支付结果"),
    ]
}

/// A notification as it came: its bytes are what is signed.
pub struct RawNotice {
    /// From which platform it says that it is.
    pub channel: Channel,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its bytes.
    pub body: bytes::Bytes,
}

impl<S: Send + Sync> FromRequest<S> for RawNotice {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let params = RawPathParams::from_request_parts(&mut parts, state).await.map_err(|_| Refusal::NoRoute)?;
        let method = params.iter().next().and_then(|(_, method)| method.parse::<PaymentMethod>().ok());
        let channel = method.ok_or(Refusal::NoRoute)?.channel();
        let headers = parts.headers.clone();
        let body = read_body(Request::from_parts(parts, body), NOTICE_BYTES_MAX).await?;
        Ok(Self { channel, headers, body })
    }
}

impl Takes for RawNotice {
    fn describe(draft: &mut Draft) {
        let schema = json!({"type": "string", "enum": ["wechat", "alipay", "bank"]});
        draft.parameters.push(json!({"name": "payment_method", "in": "path", "required": true, "schema": schema}));
    }
}

/// What a platform wants to hear.
pub struct Acknowledged(pub Acknowledgement);

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

async fn receive(State(app): State<App>, notice: RawNotice) -> Result<Acknowledged, Refusal> {
    let RawNotice { channel, headers, body } = notice;
    let gateway = app.payments().direct().get(channel).ok_or(Refusal::NoRoute)?.clone();
    let taken = match gateway.read_notice(&headers, &body, app.db().now()) {
        Ok(notice) => app.db().write(move |tx| settle(tx, &notice)).await? == Settled::Taken,
        Err(distrust) => {
            tracing::warn!(channel = channel.as_str(), why = %distrust, "a notification was refused");
            let kind = match &distrust {
                Distrust::Probe => None,
                Distrust::Forged(_) => Some(AnomalyKind::Forged),
                Distrust::Mismatch(_) => Some(AnomalyKind::Mismatch),
            };
            if let Some(kind) = kind {
                let why = distrust.to_string();
                app.db().write(move |tx| payment_anomalies::record(tx, channel, kind, None, &why)).await?;
            }
            false
        }
    };
    Ok(Acknowledged(gateway.acknowledgement(taken)))
}

/// A notification that the center has verified.
#[derive(Deserialize)]
#[serde(transparent)]
struct NoticeBody(Notice);

impl Labels for NoticeBody {
    const LABELS: &'static [(&'static str, &'static str)] = &[];
}

impl PartialSchema for NoticeBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().into()
    }
}

impl ToSchema for NoticeBody {
    fn name() -> Cow<'static, str> {
        "NoticeBody".into()
    }
}

/// What became of it.
#[derive(Serialize, ToSchema)]
struct NoticeView {
    /// 是否入账；否则已记为异常
    taken: bool,
}

async fn take(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<NoticeBody>,
) -> Result<Answer<NoticeView>, Refusal> {
    app.write(&caller, move |tx, _| {
        let taken = settle(tx, &body.0)? == Settled::Taken;
        Answer::new("处理成功", NoticeView { taken })
    })
    .await
}
