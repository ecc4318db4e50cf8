//! Statements on `canshi_payment_intents`: what platforms are asked for on a site's behalf, kept before they are asked.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, IsolationLevel, Row, TxOpts, params};

use crate::error::{Error, Result};

/// An intent as it is kept.
pub struct Intent<'a> {
    /// The number at the platform.
    pub number: &'a str,
    /// Whose it is.
    pub site: i64,
    /// The platform.
    pub channel: &'a str,
    /// What kind of call.
    pub kind: &'a str,
    /// How much.
    pub amount_fen: i64,
    /// The keyed index of the payer's openid, where only he may pay.
    pub payer_index: Option<&'a str>,
    /// The whole request.
    pub request_sealed: &'a str,
    /// Tells a repeat from another request under the same number.
    pub fingerprint: &'a str,
}

/// Whether the call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is on the disk, and nobody else makes it for as long as was asked.
    Held,
    /// Somebody makes it at this moment.
    UnderWay,
    /// The number is that of another request.
    Changed,
}

fn corrupt() -> Error {
    Error::Corrupt("an intent of a payment".to_owned())
}

/// Puts an intent on the disk and takes the right to make its call, for so long at most.
pub async fn take(conn: &mut Conn, intent: &Intent<'_>, holder: &str, life: Duration) -> Result<Taken> {
    let mut options = TxOpts::default();
    options.with_isolation_level(IsolationLevel::ReadCommitted);
    let mut tx = conn.start_transaction(options).await?;
    tx.exec_drop(
        "insert ignore into canshi_payment_intents (number, site_id, channel, kind, amount_fen, payer_index, request_sealed,
             fingerprint, created_at, updated_at)
         values (:number, :site, :channel, :kind, :amount, :payer, :request, :fingerprint, utc_timestamp(3), utc_timestamp(3))",
        params! {
            "number" => intent.number,
            "site" => intent.site,
            "channel" => intent.channel,
            "kind" => intent.kind,
            "amount" => intent.amount_fen,
            "payer" => intent.payer_index,
            "request" => intent.request_sealed,
            "fingerprint" => intent.fingerprint,
        },
    )
    .await?;
    let row: Option<(i64, String, i64)> = tx
        .exec_first(
            "select site_id, fingerprint, holder is not null and held_until > utc_timestamp(3)
             from canshi_payment_intents where number = ? for update",
            (intent.number,),
        )
        .await?;
    let (site, fingerprint, held) = row.ok_or_else(corrupt)?;
    let taken = match (site == intent.site && fingerprint == intent.fingerprint, held != 0) {
        (false, _) => Taken::Changed,
        (true, true) => Taken::UnderWay,
        (true, false) => Taken::Held,
    };
    if taken != Taken::Held {
        tx.rollback().await?;
        return Ok(taken);
    }
    tx.exec_drop(
        "update canshi_payment_intents
         set holder = ?, held_until = timestampadd(microsecond, ?, utc_timestamp(3)), updated_at = utc_timestamp(3)
         where number = ?",
        (holder, life.as_micros() as i64, intent.number),
    )
    .await?;
    tx.commit().await?;
    Ok(Taken::Held)
}

/// Notes what came of a call and gives the right to make it back, if it is still this holder's.
pub async fn settle(conn: &mut Conn, number: &str, holder: &str, outcome: &str) -> Result<()> {
    let sql =
        "update canshi_payment_intents set outcome = ?, holder = null, held_until = null, updated_at = utc_timestamp(3)
               where number = ? and holder = ?";
    Ok(conn.exec_drop(sql, (outcome, number, holder)).await?)
}

/// What is known of a number that a platform tells of.
pub struct Known {
    /// The intent's platform, amount and payer, where the center made the call.
    pub intent: Option<(String, i64, Option<String>)>,
}

/// What is known of this number of this site; none when there is no such site.
pub async fn find(conn: &mut Conn, site: i64, number: &str) -> Result<Option<Known>> {
    let row: Option<Row> = conn
        .exec_first(
            "select i.channel, i.amount_fen, i.payer_index
             from canshi_sites as s left join canshi_payment_intents as i on i.number = ? and i.site_id = s.id
             where s.id = ?",
            (number, site),
        )
        .await?;
    let Some(mut row) = row else { return Ok(None) };
    let channel: Option<String> = row.take(0).ok_or_else(corrupt)?;
    let amount: Option<i64> = row.take(1).ok_or_else(corrupt)?;
    let payer: Option<String> = row.take(2).ok_or_else(corrupt)?;
    Ok(Some(Known { intent: channel.zip(amount).map(|(channel, amount)| (channel, amount, payer)) }))
}

/// Whether the box with this epoch is the one that stands for the site.
pub async fn stands(conn: &mut Conn, site: i64, epoch: &str) -> Result<bool> {
    let sql = "select 1 from canshi_positions where site_id = ? and epoch = ?";
    Ok(conn.exec_first::<i64, _, _>(sql, (site, epoch)).await?.is_some())
}
