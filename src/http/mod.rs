//! The edge of the site: routes and what they demand, what comes in, what goes out, and how refusals look. No rule of the
//! business and no SQL lives here.

pub mod answer;
pub mod api;
pub mod app;
pub mod caller;
pub mod edge;
pub mod endpoint;
pub mod error;
pub mod extract;
pub mod guard;
pub mod limits;
pub mod openapi;
pub mod route;
pub mod serve;
mod system;
pub mod wire;

use axum::Router;

pub use app::App;
use route::Route;

/// Every route of the site.
pub fn routes() -> Vec<Route> {
    let mut routes = api::routes();
    routes.extend(system::routes());
    routes
}

/// The site's router, complete with guards, limits and refusals.
pub fn router(app: &App) -> Router {
    let mut router = Router::new();
    for route in routes() {
        router = route.mount(router, app);
    }
    edge::around(router, app)
}
