//! A request that goes on to a site as a message, and what becomes of it.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, Response};
use axum::response::IntoResponse;
use canshi_sync::central::Standing;
use canshi_sync::wire::OnBehalf;

use super::center::Center;
use super::mailbox::{self, LIVE_LIFE};
use super::store::mailbox::{Answered, Kind, NewMessage};
use super::store::mirror;
use crate::domain::time::Instant;
use crate::error::{Error, Result};
use crate::http::answer::written;
use crate::http::caller::{Caller, Key};
use crate::http::endpoint::{Draft, Gives};
use crate::http::error::Refusal;
use crate::http::extract::{BODY_BYTES_MAX, declared_as_json, read_body};
use crate::http::wire::LocalTime;
use crate::store::keys::{hex, random_bytes};

/// How long a caller waits for a site that is online.
const LIVE_WAIT: Duration = LIVE_LIFE;

/// A request for one site.
pub struct Forward {
    /// The site.
    pub site: i64,
    /// The message's identity: the same for a repeat under the same `Idempotency-Key`.
    pub id: String,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// The JSON body.
    pub body: Option<String>,
    /// For whom.
    pub on_behalf: OnBehalf,
    fingerprint: String,
}

/// A site's own answer, passed on.
pub struct Passed(pub axum::response::Response);

impl IntoResponse for Passed {
    fn into_response(self) -> axum::response::Response {
        self.0
    }
}

impl Gives for Passed {
    fn describe(draft: &mut Draft) {
        draft.status = 200;
    }
}

impl From<Answered> for Passed {
    fn from(answered: Answered) -> Self {
        Self(written(answered.status, answered.body))
    }
}

/// The site whose user the caller is.
///
/// # Errors
/// [`Error::Forbidden`] to headquarters, which has its own way to a site.
pub fn site_of(caller: &Caller) -> Result<i64> {
    caller.site().ok_or(Error::Forbidden("请通过/api/sites/{id}访问门店"))
}

impl Forward {
    /// The request of a site's user, for his own site.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the caller is of no site; refusals of a body that can't be read.
    pub async fn of_user(center: &Center, caller: &Caller, request: Request) -> std::result::Result<Self, Refusal> {
        let site = site_of(caller)?;
        let user_id = caller.user_id().ok_or(Error::Unauthenticated("请先登录"))?.get();
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Self::read(center, caller, (site, target), OnBehalf::User { user_id }, request).await
    }

    /// A request for this site and this path with its query.
    ///
    /// # Errors
    /// Refusals of a body that can't be read.
    pub async fn read(
        center: &Center,
        caller: &Caller,
        (site, target): (i64, String),
        on_behalf: OnBehalf,
        request: Request,
    ) -> std::result::Result<Self, Refusal> {
        // A site answers HEAD as it answers GET; the body is cut off on the way out.
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        let is_json = declared_as_json(&request);
        let bytes = read_body(request, BODY_BYTES_MAX).await?;
        if !bytes.is_empty() && !is_json {
            return Err(Refusal::NotJson);
        }
        let text = String::from_utf8(bytes.into()).map_err(|_| Error::invalid("", "请求体不是有效的JSON"))?;
        let body = (!text.is_empty()).then_some(text);
        let id = match caller.repeat.as_ref().map(|repeat| &repeat.key) {
            Some(Key::Chosen(key)) => message_id(center, site, &on_behalf, key)?,
            Some(Key::Message(_)) | None => hex(&random_bytes::<16>()?),
        };
        Ok(Self::new(center, (site, id), on_behalf, (method.as_str(), target), body))
    }

    /// A request under this id.
    pub fn new(
        center: &Center,
        (site, id): (i64, String),
        on_behalf: OnBehalf,
        (method, target): (&str, String),
        body: Option<String>,
    ) -> Self {
        // Keyed, since a body may hold a password.
        let whole = format!("{method} {target}\n{}", body.as_deref().unwrap_or_default());
        let fingerprint = center.vault().index("message", &whole);
        Self { site, id, method: method.to_owned(), target, body, on_behalf, fingerprint }
    }

    /// The message that the request is.
    pub fn message(&self, kind: Kind, life: Duration, assigned_id: Option<i64>) -> NewMessage<'_> {
        NewMessage {
            id: &self.id,
            kind,
            method: &self.method,
            target: &self.target,
            body: self.body.as_deref(),
            fingerprint: &self.fingerprint,
            on_behalf: &self.on_behalf,
            assigned_id,
            life,
        }
    }

    /// What the site says now.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the site is away or does not answer in time.
    pub async fn live(&self, center: &Center) -> std::result::Result<Answered, Refusal> {
        let standing = center.central().standing(self.site).await.map_err(Error::from)?;
        if !standing.online {
            return Err(away(center, self.site, &standing).await);
        }
        let late =
            || Refusal::Unavailable { error: "门店未在规定时间内答复，操作可能已完成".to_owned() };
        self.within(center, LIVE_WAIT).await?.ok_or_else(late)
    }

    /// What the site says within this time; none when it does not.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when too many wait already.
    pub async fn within(&self, center: &Center, wait: Duration) -> std::result::Result<Option<Answered>, Refusal> {
        let message = self.message(Kind::Live, LIVE_LIFE, None);
        Ok(mailbox::ask(center, self.site, &message, wait).await?.1)
    }
}

/// The id of a message under a key that its sender chose. A key is its sender's own.
fn message_id(center: &Center, site: i64, on_behalf: &OnBehalf, key: &str) -> Result<String> {
    let sender = serde_json::to_string(on_behalf).map_err(|error| Error::Corrupt(error.to_string()))?;
    Ok(center.vault().index("message-id", &format!("{site}\n{sender}\n{key}")))
}

/// The refusal of whoever needs a site that is away: it says since when.
pub async fn away(center: &Center, site: i64, standing: &Standing) -> Refusal {
    let zone = async { mirror::zone(&mut center.connection().await?, site).await };
    let error = match (standing.seen_at, zone.await) {
        (Some(seen_at), Ok(zone)) => {
            format!("门店离线，最后在线时间 {}", LocalTime::of(Instant(seen_at), &zone))
        }
        (Some(_) | None, _) => "门店离线".to_owned(),
    };
    Refusal::Unavailable { error }
}

/// An answer, as it goes out.
pub fn pass(answered: Answered) -> Response<axum::body::Body> {
    Passed::from(answered).into_response()
}
