//! The edge of the site, and what any other edge is made of: routes and what they demand, what comes in, what goes out, and how refusals look. No rule of the
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
pub mod mail;
pub mod openapi;
pub mod route;
pub mod serve;
pub mod system;
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

/// The site's OpenAPI document.
pub fn document() -> serde_json::Value {
    let about = openapi::About {
        title: "餐食 canshi",
        description: "月子中心后端：客户、菜品、排餐、员工、考勤、收支。所有响应均为 {code, message, data}。",
    };
    openapi::document(&about, &routes())
}

/// The site's router, complete with guards, limits and refusals.
pub fn router(app: &App) -> Router {
    let mut router = Router::new();
    for route in routes() {
        router = route.mount(router, app);
    }
    edge::around(router, app)
}
