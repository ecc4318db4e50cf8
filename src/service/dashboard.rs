//! The day at a glance, for whoever runs the center from a telephone.

use jiff::civil::Date;

use super::notifications;
use crate::domain::access::Actor;
use crate::domain::appointments::AppointmentStatus;
use crate::error::Result;
use crate::store::ReadTx;
use crate::store::notifications::Notification;
use crate::store::page::Page;
use crate::store::{appointments, customers, payment_anomalies, payment_orders, reconciliation_differences};

/// Notifications on the dashboard at most.
const RECENT_MAX: u32 = 10;

/// What the dashboard says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dashboard {
    /// Customers who are in house today.
    pub today_customers: i64,
    /// Orders that were created today.
    pub today_orders: i64,
    /// Appointments that wait for a confirmation, and what of the payments does not match or fit.
    pub pending_tasks: i64,
    /// The actor's newest notifications.
    pub recent_notifications: Vec<Notification>,
}

/// The dashboard at this moment.
pub fn read(tx: &ReadTx<'_>, actor: &Actor) -> Result<Dashboard> {
    let page = Page { number: 1, size: RECENT_MAX };
    Ok(Dashboard {
        today_customers: customers::count_in_house(tx, tx.zone.day(tx.now))?,
        today_orders: orders_of(tx, tx.zone.day(tx.now))?,
        pending_tasks: appointments::count(tx, AppointmentStatus::Pending)?
            + reconciliation_differences::count_open(tx)?
            + payment_anomalies::count_open(tx)?,
        recent_notifications: notifications::list(tx, actor, None, page)?.items,
    })
}

/// How many orders families were asked to pay on a day.
fn orders_of(tx: &ReadTx<'_>, day: Date) -> Result<i64> {
    let start = |day: Date| tx.zone.instant(day.at(0, 0, 0, 0));
    let (Some(from), Some(until)) = (start(day), day.tomorrow().ok().and_then(start)) else { return Ok(0) };
    payment_orders::count_made(tx, from, until)
}
