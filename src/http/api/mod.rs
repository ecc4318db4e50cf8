//! The endpoints, one file a noun.

pub mod appointments;
mod attendance;
mod audit;
mod auth;
mod batch;
mod customers;
mod dishes;
mod employees;
mod menus;
pub mod notifications;
mod payees;
mod payment_anomalies;
pub mod payments;
mod payouts;
mod payroll_files;
mod reconciliations;
mod reports;
mod roles;
mod salaries;
mod settings;
mod suppliers;
pub mod sync;
mod transactions;
mod users;
pub mod wechat;

use super::route::Route;

/// Every endpoint below `/api`.
pub fn routes() -> Vec<Route> {
    [
        appointments::routes(),
        attendance::routes(),
        audit::routes(),
        auth::routes(),
        customers::routes(),
        dishes::routes(),
        employees::routes(),
        menus::routes(),
        notifications::routes(),
        payees::routes(),
        payment_anomalies::routes(),
        payments::routes(),
        payouts::routes(),
        payroll_files::routes(),
        reconciliations::routes(),
        reports::routes(),
        roles::routes(),
        salaries::routes(),
        settings::routes(),
        suppliers::routes(),
        sync::routes(),
        transactions::routes(),
        users::routes(),
        wechat::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
