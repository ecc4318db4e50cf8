//! Letters: requests that the center's mailbox brings, run through the site's own router in process, under the same rules as
//! any other.
//!
//! A letter is known by an extension of its request. Nothing that comes over the network can set one.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tower::ServiceExt as _;

use super::error::Refusal;
use crate::domain::access::Source;
use crate::domain::ids::UserId;
use crate::domain::time::Instant;
use crate::error::Error;

/// Bytes of an answer to a letter at most.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What the mailbox says of a request that it brings.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The message's id. Whatever comes under it again has its effect once; the `Idempotency-Key` is not looked at.
    pub message_id: String,
    /// Whose request it is.
    pub on_behalf: OnBehalf,
    /// When the relay received the request, by the relay's clock.
    pub received_at: Instant,
    /// The id that the center has promised to the row that the request makes.
    pub assigned_id: Option<i64>,
}

/// Whose request a letter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnBehalf {
    /// The relay's own, to the routes that are there for it.
    Relay,
    /// A user's of this site, with the rights that the site's rows give him now.
    User(UserId),
    /// That of somebody at headquarters.
    Headquarters {
        /// How people call him.
        name: String,
        /// Whether he may do everything, or only read.
        write: bool,
    },
}

impl Letter {
    /// Where what the letter causes comes from.
    pub(super) fn source(&self) -> Source {
        let received_at = self.received_at;
        match &self.on_behalf {
            OnBehalf::Relay => Source::Relay { received_at },
            OnBehalf::User(_) => Source::Mailbox { received_at },
            OnBehalf::Headquarters { name, write } => {
                Source::Headquarters { name: Arc::from(name.as_str()), write: *write, received_at }
            }
        }
    }
}

/// Runs a letter's request through the site's router and gives the answer.
///
/// An answer of more than [`ANSWER_BYTES_MAX`] bytes does not travel: in its place comes a refusal of status 413. If the
/// request was a write, its effect stands.
pub async fn deliver(router: &Router, mut request: Request<Body>, letter: Letter) -> (StatusCode, Bytes) {
    request.extensions_mut().insert(letter);
    let Ok(response) = router.clone().oneshot(request).await;
    let refusal = match bounded(response).await {
        Ok(answer) => return answer,
        Err(refusal) => refusal.into_response(),
    };
    let status = refusal.status();
    // A refusal is short and in memory: reading it can't fail.
    (status, axum::body::to_bytes(refusal.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default())
}

async fn bounded(response: Response<Body>) -> Result<(StatusCode, Bytes), Refusal> {
    let status = response.status();
    match Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Ok((status, body.to_bytes())),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(Refusal::AnswerTooLarge),
        Err(_) => Err(Refusal::Error(Error::Panicked)),
    }
}
