//! The edge of the center: the sites' door, headquarters, and the mini-program's door to the sites, over one MySQL. It holds no
//! rule of the business: what is done for a site is done by the site.
//!
//! # Decision
//! The relay uses the site's HTTP framework (`http`: routes with their access, guard, envelope, refusals, limits, OpenAPI) rather
//! than a second one: two frameworks would part at once in what clients see. So `relay` may name `http`, and of the layers below
//! it only what knows nothing of SQLite: keys, vault, passwords, tokens. Its own statements are in `relay::store`.

mod admission;
mod auth;
mod callbacks;
pub mod center;
mod door;
mod forward;
mod identify;
mod mail_door;
pub mod mailbox;
mod mirror;
mod mirrored_orders;
mod pay;
mod payment_anomalies;
mod payment_bills;
mod queued;
mod roles;
mod session;
pub mod sites;
pub mod start;
mod store;
mod table;
mod users;
mod wechat;

use axum::Router;

pub use center::Center;

use crate::http::route::Route;
use crate::http::{edge, openapi, system};

/// Every route of the relay.
pub fn routes() -> Vec<Route<Center>> {
    let mut routes = door::routes();
    routes.extend(auth::routes());
    routes.extend(users::routes());
    routes.extend(roles::routes());
    routes.extend(mail_door::routes());
    routes.extend(pay::routes());
    routes.extend(callbacks::routes());
    routes.extend(payment_anomalies::routes());
    routes.extend(sites::routes());
    routes.extend(wechat::routes());
    routes.extend(system::routes());
    routes.extend(table::routes(&routes));
    routes
}

/// The relay's OpenAPI document.
pub fn document() -> serde_json::Value {
    let about = openapi::About {
        title: "餐食 canshi 中心",
        description: "月子中心连锁总部：门店同步、小程序、总部管理。所有响应均为 {code, message, data}。",
    };
    openapi::document(&about, &routes())
}

/// The relay's router, complete with guards, limits and refusals.
pub fn router(center: &Center) -> Router {
    let mut router = Router::new();
    for route in routes() {
        router = route.mount(router, center);
    }
    edge::around(router, center)
}
