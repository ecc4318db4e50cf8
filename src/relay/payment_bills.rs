//! The merchant's bill of a day: downloaded once, kept as it came, and cut down to what is one site's.

use std::collections::BTreeSet;

use jiff::civil::Date;
use tokio::sync::Mutex;

use super::center::Center;
use super::pay;
use super::payment_anomalies;
use super::store::payment_bills::{self, Of};
use super::store::sites;
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::{Channel, OrderNo};
use crate::error::Result;
use crate::payments::{Bill, BillOf, BillRow, Call, Outcome, Trouble};

/// Held by whoever downloads a bill: all sites ask for the same one at the same time.
#[derive(Default)]
pub struct Fetching(Mutex<()>);

/// The rows of a day's bill that are this site's. The file itself stays here: it says what other sites took.
pub async fn of_site(
    center: &Center,
    site: i64,
    channel: Channel,
    date: Date,
) -> Result<std::result::Result<Outcome, Trouble>> {
    let of = Of { channel: channel.as_str(), date };
    if let Some((rows, sha256)) = kept(center, of).await? {
        return Ok(Ok(Outcome::Bill(cut(site, rows, sha256))));
    }
    let _turn = center.fetching().0.lock().await;
    if let Some((rows, sha256)) = kept(center, of).await? {
        return Ok(Ok(Outcome::Bill(cut(site, rows, sha256))));
    }
    let came = pay::make(center, channel, &Call::Bill(BillOf { date })).await;
    let Ok(Outcome::Bill(Bill::Ready { rows, sha256, raw })) = came else { return Ok(came) };
    let mut conn = center.connection().await?;
    let is_first = payment_bills::keep(&mut conn, center.vault(), of, &rows, (&sha256, &raw)).await?;
    drop(conn);
    if is_first {
        record_strangers(center, channel, &rows).await?;
    }
    Ok(Ok(Outcome::Bill(cut(site, rows, sha256))))
}

async fn kept(center: &Center, of: Of<'_>) -> Result<Option<(Vec<BillRow>, String)>> {
    payment_bills::find(&mut center.connection().await?, center.vault(), of).await
}

/// Records the rows that are none of our sites': nobody else will look for them.
async fn record_strangers(center: &Center, channel: Channel, rows: &[BillRow]) -> Result<()> {
    let named: BTreeSet<i64> = rows.iter().filter_map(site_of).collect();
    let mut known = BTreeSet::new();
    for site in named {
        if sites::exists(&mut center.connection().await?, site).await? {
            known.insert(site);
        }
    }
    for row in rows {
        if site_of(row).is_none_or(|site| !known.contains(&site)) {
            let detail = format!("the bill has {} fen under a number of no site", row.amount_fen);
            let number = row.refund_no.as_deref().unwrap_or(&row.order_no);
            payment_anomalies::record(center, channel, AnomalyKind::UnknownNumber, Some(number), &detail).await?;
        }
    }
    Ok(())
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
