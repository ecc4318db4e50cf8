//! The endpoints, one file a noun.

mod auth;
mod batch;
mod customers;

use super::route::Route;

/// Every endpoint below `/api`.
pub fn routes() -> Vec<Route> {
    [auth::routes(), customers::routes()].into_iter().flatten().collect()
}
