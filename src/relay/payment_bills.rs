//! The merchant's bill of a day: downloaded once, kept as it came, and cut down to what is one site's.

use std::collections::BTreeSet;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;
use tokio::sync::Mutex;

use super::center::Center;
use super::pay;
use super::payment_anomalies;
use super::store::payment_bills::{self, Of};
use super::store::sites;
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::{Channel, OrderNo};
use crate::error::{Error, Result};
use crate::payments::{Bill, BillOf, BillRow, Call, Outcome, Trouble};
use crate::store::keys::hex;

/// Held by whoever downloads a bill: all sites ask for the same one at the same time.
#[derive(Default)]
pub struct Fetching(Mutex<()>);

/// The part of a day's bill that is this site's. The file itself stays here: it says what other sites took.
pub async fn of_site(
    center: &Center,
    site: i64,
    channel: Channel,
    date: Date,
) -> Result<std::result::Result<Outcome, Trouble>> {
    let of = Of { channel: channel.as_str(), date };
    if let Some(rows) = kept(center, of).await? {
        return Ok(Ok(Outcome::Bill(cut(site, rows)?)));
    }
    let _turn = center.fetching().0.lock().await;
    if let Some(rows) = kept(center, of).await? {
        return Ok(Ok(Outcome::Bill(cut(site, rows)?)));
    }
    let came = pay::make(center, channel, &Call::Bill(BillOf { date })).await;
    let Ok(Outcome::Bill(Bill::Ready { rows, sha256, raw })) = came else { return Ok(came) };
    let mut conn = center.connection().await?;
    let is_first = payment_bills::keep(&mut conn, center.vault(), of, &rows, (&sha256, &raw)).await?;
    drop(conn);
    if is_first {
        record_strangers(center, channel, &rows).await?;
    }
    Ok(Ok(Outcome::Bill(cut(site, rows)?)))
}

async fn kept(center: &Center, of: Of<'_>) -> Result<Option<Vec<BillRow>>> {
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

/// A bill with this site's rows only; its file is those rows, JSON.
fn cut(site: i64, rows: Vec<BillRow>) -> Result<Bill> {
    let rows: Vec<BillRow> = rows.into_iter().filter(|row| site_of(row) == Some(site)).collect();
    if rows.is_empty() {
        return Ok(Bill::Empty);
    }
    let file = serde_json::to_vec(&rows).map_err(|error| Error::Corrupt(error.to_string()))?;
    Ok(Bill::Ready { rows, sha256: hex(digest(&SHA256, &file).as_ref()), raw: STANDARD.encode(file) })
}

/// The site that a row's numbers name. A refund that somebody made by hand at the platform has no number of ours, but its payment has.
fn site_of(row: &BillRow) -> Option<i64> {
    let refund = row.refund_no.as_deref().and_then(|number| number.parse::<OrderNo>().ok());
    refund.or_else(|| row.order_no.parse().ok()).map(|number| number.site())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::BillKind;

    fn row(order_no: &str, refund_no: Option<&str>) -> BillRow {
        BillRow {
            kind: if refund_no.is_some() { BillKind::Refund } else { BillKind::Payment },
            order_no: order_no.to_owned(),
            refund_no: refund_no.map(str::to_owned),
            platform_no: "4200".to_owned(),
            amount_fen: 100,
            fee_fen: 1,
            at_ms: 1,
        }
    }

    #[test]
    fn a_site_gets_its_own_rows_and_nothing_of_others() {
        let (mine, other) = ("P20260302170001123456", "P20260302180001123456");
        let by_hand = row(mine, Some("5030000000"));
        let rows = vec![row(mine, None), row(other, None), by_hand.clone(), row("shop-17", None)];
        let Ok(Bill::Ready { rows: own, sha256, raw }) = cut(7, rows.clone()) else { panic!("no bill") };
        assert_eq!(own, [row(mine, None), by_hand]);
        let file = STANDARD.decode(raw).expect("Base64");
        assert_eq!(hex(digest(&SHA256, &file).as_ref()), sha256);
        assert!(!String::from_utf8_lossy(&file).contains(other));
        assert_eq!(cut(9, rows).expect("a bill"), Bill::Empty);
    }
}
