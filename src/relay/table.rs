//! The one table of what the relay does with each endpoint of a site for that site's users: ask the site while they wait (live), keep
//! the request until the site has done it (queued), or read the mirror while the site is away.
//!
//! Whatever is not in the table is live, so an endpoint that a site gets is at the relay too, behind the access that it
//! declares; there the rights are those of the mirror, and the site checks them once more against its own rows.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;

use super::center::Center;
use super::forward::{Forward, pass};
use super::{mirror, mirrored_orders, queued};
use crate::domain::access::Access;
use crate::http;
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::route::Route;

/// What the relay does with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It asks the site, and has no answer while the site is away.
    Live,
    /// It keeps an appointment until the site has it.
    QueuedAppointment,
    /// It keeps a punch until the site has it.
    QueuedPunch,
    /// It reads today's menu from the mirror while the site is away.
    MirroredMenu,
    /// It reads the dashboard from the mirror while the site is away.
    MirroredDashboard,
    /// It reads the caller's appointments from the mirror, and from those it keeps, while the site is away.
    MirroredAppointments,
    /// It reads an order from the mirror while the site is away.
    MirroredOrder,
}

/// The endpoints that are not simply live.
pub const TABLE: [(Method, &str, Way); 6] = [
    (Method::POST, "/api/wechat/customer/appointment", Way::QueuedAppointment),
    (Method::POST, "/api/wechat/admin/attendance", Way::QueuedPunch),
    (Method::GET, "/api/wechat/customer/menu", Way::MirroredMenu),
    (Method::GET, "/api/wechat/admin/dashboard", Way::MirroredDashboard),
    (Method::GET, "/api/wechat/customer/appointments", Way::MirroredAppointments),
    (Method::GET, "/api/payment/orders/{order_id}", Way::MirroredOrder),
];

/// What the relay does with this endpoint.
pub fn way_of(method: &Method, path: &str) -> Way {
    let found = TABLE.iter().find(|(listed, at, _)| listed == method && *at == path);
    found.map_or(Way::Live, |(.., way)| *way)
}

/// The endpoints of a site, at the relay; but for those that the relay answers itself, and those that are the relay's to call.
pub fn routes(own: &[Route<Center>]) -> Vec<Route<Center>> {
    let is_own = |route: &Route| own.iter().any(|own| own.method == route.method && own.path == route.path);
    http::routes()
        .into_iter()
        .filter(|route| route.path.starts_with("/api/") && route.access != Access::Relay && !is_own(route))
        .map(|route| match way_of(&route.method, route.path) {
            Way::Live => route.at(live),
            Way::QueuedAppointment => route.at(queued::book),
            Way::QueuedPunch => route.at(queued::punch),
            Way::MirroredMenu => route.at(mirror::menu),
            Way::MirroredDashboard => route.at(mirror::dashboard),
            Way::MirroredAppointments => route.at(mirror::appointments),
            Way::MirroredOrder => route.at(mirrored_orders::order),
        })
        .collect()
}

async fn live(State(center): State<Center>, caller: Caller, request: Request) -> Result<Response, Refusal> {
    let forward = Forward::of_user(&center, &caller, request).await?;
    Ok(pass(forward.live(&center).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_an_endpoint_of_the_site() {
        let routes = http::routes();
        for (method, path, way) in TABLE {
            assert!(routes.iter().any(|route| route.method == method && route.path == path), "{method} {path}");
            assert_eq!(way_of(&method, path), way);
        }
    }
}
