//! The guard of each route: who is it, may he, how often. It answers before the body is read.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::App;
use super::caller::{Caller, RepeatKey};
use super::edge::Origin;
use super::error::Refusal;
use super::route::Rate;
use crate::domain::access::{Access, Actor, Person};
use crate::error::Error;
use crate::service::tokens::Claims;

/// A route and what it demands.
#[derive(Clone)]
pub struct Guarded {
    pub(super) app: App,
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
pub async fn admit(State(guarded): State<Guarded>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let origin = parts.extensions.get::<Origin>().cloned();
    let (user_id, mut response) = match guarded.caller(&parts, origin).await {
        Ok(caller) => {
            let user_id = caller.user_id();
            parts.extensions.insert(caller);
            (user_id, next.run(Request::from_parts(parts, body)).await)
        }
        Err(refusal) => (None, refusal.into_response()),
    };
    let user_id = user_id.map(|id| id.get());
    response.extensions_mut().insert(Admitted { route: guarded.path, user_id });
    response
}

impl Guarded {
    async fn caller(&self, parts: &axum::http::request::Parts, origin: Option<Origin>) -> Result<Caller, Refusal> {
        // The edge puts the origin there before any route is reached.
        let origin = origin.ok_or(Error::Panicked)?;
        self.app.limits().check_address(self.rate, origin.address)?;
        let (person, token) = self.person(parts).await?;
        if let Some(person) = &person {
            self.allow(person)?;
            self.app.limits().check_user(self.rate, person.user_id)?;
        }
        let repeat =
            if parts.method == Method::GET || parts.method == Method::HEAD { None } else { RepeatKey::of(parts)? };
        let actor = Actor { person, address: Some(origin.address), request_id: origin.request_id };
        Ok(Caller { actor, token, repeat })
    }

    async fn person(
        &self,
        parts: &axum::http::request::Parts,
    ) -> Result<(Option<Arc<Person>>, Option<Arc<Claims>>), Error> {
        match self.access {
            Access::Public => Ok((None, None)),
            Access::Refresh => {
                let (person, claims) = self.app.auth().person_to_refresh(bearer(parts)?).await?;
                Ok((Some(person), Some(Arc::new(claims))))
            }
            Access::SignedIn | Access::May(_) | Access::MayAny(_) => {
                Ok((Some(self.app.auth().person_of(bearer(parts)?).await?), None))
            }
        }
    }

    fn allow(&self, person: &Person) -> Result<(), Error> {
        let allowed = match self.access {
            Access::Public | Access::SignedIn | Access::Refresh => true,
            Access::May(permission) => person.permissions.has(permission),
            Access::MayAny(permissions) => permissions.iter().any(|permission| person.permissions.has(*permission)),
        };
        if allowed { Ok(()) } else { Err(Error::Forbidden("没有此操作的权限")) }
    }
}

/// The token of the Authorization header, the only place where one is looked for.
fn bearer(parts: &axum::http::request::Parts) -> Result<&str, Error> {
    let header = parts.headers.get(header::AUTHORIZATION).ok_or(Error::Unauthenticated("请先登录"))?;
    let text = header.to_str().map_err(|_| Error::Unauthenticated("Authorization头格式不正确"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Error::Unauthenticated("Authorization头格式不正确")),
    }
}
