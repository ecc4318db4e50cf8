//! The relay's own statements, besides those of sync: one file per noun. They are portable MySQL, as `canshi_sync::central` says.

pub mod counters;
pub mod mailbox;
pub mod mirror;
pub mod mirrored_orders;
pub mod payment_anomalies;
pub mod payment_bills;
pub mod payment_intents;
pub mod people;
pub mod roles;
pub mod secrets;
pub mod sessions;
pub mod sites;
pub mod users;
pub mod wechat;

use mysql_async::Error as MySql;

use crate::error::Error;

/// MySQL's number for a unique key that is there already.
const DUPLICATE: u16 = 1062;

/// Turns a violated unique key into the conflict that it is.
fn taken(why: &'static str) -> impl FnOnce(MySql) -> Error {
    move |error| match error {
        MySql::Server(error) if error.code == DUPLICATE => Error::Conflict(why.into()),
        other => other.into(),
    }
}
