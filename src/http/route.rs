//! Routes: a method, a path, what it demands, a handler. There is no way to declare one without its access.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::App;
use super::edge::Edge;
use super::endpoint::{Draft, Endpoint};
use super::guard::{self, Guarded};
use crate::domain::access::Access;

/// How often a route may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// As any other, per address and per user.
    Usual,
    /// By a kiosk for hundreds of people within minutes: per address only, and generously.
    Punch,
    /// By whoever watches over the site: never refused.
    Unlimited,
}

/// One endpoint of the site, or of another edge.
pub struct Route<S = App> {
    /// The method.
    pub method: Method,
    /// The path, with `{id}` for the parameter.
    pub path: &'static str,
    /// What it demands of the caller.
    pub access: Access,
    /// How often it may be called.
    pub rate: Rate,
    /// What it is for, in one line.
    pub summary: &'static str,
    handler: MethodRouter<S>,
    describe: fn(&mut Draft),
}

/// A route that reads.
pub fn get<S: Edge, H, T>(path: &'static str, access: Access, handler: H) -> Route<S>
where
    H: Handler<T, S> + Endpoint<T>,
    T: 'static,
{
    route(Method::GET, MethodFilter::GET, path, access, handler)
}

/// A route that makes or does something.
pub fn post<S: Edge, H, T>(path: &'static str, access: Access, handler: H) -> Route<S>
where
    H: Handler<T, S> + Endpoint<T>,
    T: 'static,
{
    route(Method::POST, MethodFilter::POST, path, access, handler)
}

/// A route that changes something.
pub fn put<S: Edge, H, T>(path: &'static str, access: Access, handler: H) -> Route<S>
where
    H: Handler<T, S> + Endpoint<T>,
    T: 'static,
{
    route(Method::PUT, MethodFilter::PUT, path, access, handler)
}

/// A route that removes something.
pub fn delete<S: Edge, H, T>(path: &'static str, access: Access, handler: H) -> Route<S>
where
    H: Handler<T, S> + Endpoint<T>,
    T: 'static,
{
    route(Method::DELETE, MethodFilter::DELETE, path, access, handler)
}

fn route<S: Edge, H, T>(
    method: Method,
    filter: MethodFilter,
    path: &'static str,
    access: Access,
    handler: H,
) -> Route<S>
where
    H: Handler<T, S> + Endpoint<T>,
    T: 'static,
{
    Route {
        method,
        path,
        access,
        rate: Rate::Usual,
        summary: "",
        handler: on(filter, handler),
        describe: <H as Endpoint<T>>::describe,
    }
}

impl<S: Edge> Route<S> {
    /// The same route at another edge, which answers it in its own way.
    ///
    /// # Panics
    /// Never: every route has a method that the router knows.
    pub fn at<E: Edge, H, T>(&self, handler: H) -> Route<E>
    where
        H: Handler<T, E>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(self.method.clone()).expect("a route's method is one of the router's");
        Route {
            method: self.method.clone(),
            path: self.path,
            access: self.access,
            rate: self.rate,
            summary: self.summary,
            handler: on(filter, handler),
            describe: self.describe,
        }
    }

    /// Says in one line what the route is for.
    pub fn summary(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    /// Says how often it may be called.
    pub fn rate(self, rate: Rate) -> Self {
        Self { rate, ..self }
    }

    /// What the handler's types say of it.
    pub fn draft(&self) -> Draft {
        let mut draft = Draft::default();
        (self.describe)(&mut draft);
        draft
    }

    /// Puts the route, behind its guard, into the router.
    pub fn mount(self, router: Router<S>, edge: &S) -> Router<S> {
        let guarded = Guarded { edge: edge.clone(), path: self.path, access: self.access, rate: self.rate };
        let guard = axum::middleware::from_fn_with_state(guarded, guard::admit::<S>);
        router.route(self.path, self.handler.layer(guard))
    }
}
