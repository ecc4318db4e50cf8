//! The merchant's bill of a day, cut down to what is one site's.

use jiff::civil::Date;

use super::center::Center;
use super::pay;
use crate::domain::payments::{Channel, OrderNo};
use crate::error::Result;
use crate::payments::{Bill, BillOf, BillRow, Call, Outcome, Trouble};

/// The rows of a day's bill that are this site's. The file itself stays here: it says what other sites took.
pub async fn of_site(
    center: &Center,
    site: i64,
    channel: Channel,
    date: Date,
) -> Result<std::result::Result<Outcome, Trouble>> {
    let came = pay::make(center, channel, &Call::Bill(BillOf { date })).await;
    Ok(came.map(|outcome| match outcome {
        Outcome::Bill(Bill::Ready { rows, sha256, raw: _ }) => Outcome::Bill(cut(site, rows, sha256)),
        other => other,
    }))
}

fn cut(site: i64, rows: Vec<BillRow>, sha256: String) -> Bill {
    let rows: Vec<BillRow> = rows.into_iter().filter(|row| site_of(row) == Some(site)).collect();
    if rows.is_empty() { Bill::Empty } else { Bill::Ready { rows, sha256, raw: String::new() } }
}

/// The site that a row's numbers name. A refund that somebody made by hand at the platform has no number of ours, but its payment has.
fn site_of(row: &BillRow) -> Option<i64> {
    let refund = row.refund_no.as_deref().and_then(|number| number.parse::<OrderNo>().ok());
    refund.or_else(|| row.order_no.parse().ok()).map(|number| number.site())
}
