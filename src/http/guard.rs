//! The guard of each route: who is it, may he, how often. It answers before the body is read.

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::written;
use super::caller::{Caller, Identity, RepeatKey};
use super::edge::{Edge, Origin};
use super::error::Refusal;
use super::mail::{Letter, OnBehalf};
use super::route::Rate;
use crate::domain::access::{Access, Actor, Source};
use crate::error::Error;

/// A route and what it demands.
#[derive(Clone)]
pub struct Guarded<S> {
    pub(super) edge: S,
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) rate: Rate,
}

/// What the guard found, for the log.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The route's path, with its parameter's name.
    pub route: &'static str,
    /// The user, if one was known.
    pub user_id: Option<i64>,
}

/// Lets the request through to its handler, or refuses it.
pub async fn admit<S: Edge>(State(guarded): State<Guarded<S>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let origin = parts.extensions.get::<Origin>().cloned();
    let (user_id, mut response) = match guarded.caller(&parts, origin).await {
        Ok(caller) => {
            let user_id = caller.user_id();
            parts.extensions.insert(caller);
            (user_id, next.run(Request::from_parts(parts, body)).await)
        }
        Err(refusal) => (None, guarded.refuse(&parts, refusal).await),
    };
    let user_id = user_id.map(|id| id.get());
    response.extensions_mut().insert(Admitted { route: guarded.path, user_id });
    response
}

impl<S: Edge> Guarded<S> {
    async fn caller(&self, parts: &Parts, origin: Option<Origin>) -> Result<Caller, Refusal> {
        // The edge puts the origin there before any route is reached.
        let Origin { address, request_id } = origin.ok_or(Error::Panicked)?;
        let letter = parts.extensions.get::<Letter>();
        if self.access == Access::Relay && letter.is_none_or(|letter| letter.on_behalf != OnBehalf::Relay) {
            return Err(Refusal::NoRoute);
        }
        let source = match (letter, address) {
            (Some(letter), _) => letter.source(),
            (None, Some(address)) => Source::Network(address),
            (None, None) => return Err(Error::Panicked.into()),
        };
        // Letters are the relay's to limit.
        if let Some(address) = address {
            self.edge.limits().check_address(self.rate, address)?;
        }
        let Identity { person, token, site } = self.edge.identify(self.access, parts).await?;
        let actor = Actor { person, source, request_id };
        self.allow(&actor)?;
        if let (Some(user), None) = (actor.user_id(), letter) {
            self.edge.limits().check_user(self.rate, site, user)?;
        }
        let repeat = match letter {
            _ if parts.method == Method::GET || parts.method == Method::HEAD => None,
            // What anybody may do is to log in: again is another login, and no answer with a token in it is kept.
            Some(_) if self.access == Access::Public => None,
            Some(letter) => Some(RepeatKey::of_letter(letter, parts)),
            None => RepeatKey::of(parts)?,
        };
        Ok(Caller { actor, token, repeat, assigned_id: letter.and_then(|letter| letter.assigned_id), site })
    }

    /// A letter may come again, because its answer was lost, after its sender has lost the right to it. It gets the answer
    /// of then: a refusal would say that nothing was done.
    async fn refuse(&self, parts: &Parts, refusal: Refusal) -> Response {
        let (Some(letter), Refusal::Error(Error::Unauthenticated(_) | Error::Forbidden(_))) =
            (parts.extensions.get::<Letter>(), &refusal)
        else {
            return refusal.into_response();
        };
        match self.edge.answer_to(&letter.message_id).await {
            Ok(Some(kept)) => written(kept.status, kept.answer),
            Ok(None) => refusal.into_response(),
            Err(error) => Refusal::Error(error).into_response(),
        }
    }

    fn allow(&self, actor: &Actor) -> Result<(), Error> {
        let allowed = match self.access {
            Access::Public | Access::SignedIn | Access::Refresh | Access::Relay | Access::Site => true,
            Access::May(permission) | Access::Headquarters(permission) => actor.may(permission),
            Access::MayAny(permissions) => permissions.iter().any(|permission| actor.may(*permission)),
        };
        if allowed { Ok(()) } else { Err(Error::Forbidden("没有此操作的权限")) }
    }
}

/// The token of the Authorization header, the only place where one is looked for.
///
/// # Errors
/// [`Error::Unauthenticated`].
pub fn bearer(parts: &Parts) -> Result<&str, Error> {
    let header = parts.headers.get(header::AUTHORIZATION).ok_or(Error::Unauthenticated("请先登录"))?;
    let text = header.to_str().map_err(|_| Error::Unauthenticated("Authorization头格式不正确"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Error::Unauthenticated("Authorization头格式不正确")),
    }
}
