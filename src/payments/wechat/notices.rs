//! Notifications (`payments.md`, sections 2.3 and 2.4): verified first, over the bytes as they came; then opened; then compared with the
//! merchant and the app. Opening alone proves nothing of when it was sent.

use axum::http::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::orders::Transaction;
use super::refunds::Refunded;
use super::transfers::Transferred;
use super::trust::Sealed;
use super::{Wechat, cut};
use crate::domain::time::Instant;
use crate::payments::{Distrust, Event, Notice, NoticeChannel, PaymentState};

/// How the signatures of WeChat's own tests begin, whether signatures are checked.
const PROBE: &str = "WECHATPAY/SIGNTEST/";
const ID_BYTES_MAX: usize = 128;

#[derive(Deserialize)]
struct Body {
    id: String,
    event_type: String,
    resource: Sealed,
}

/// Reads a notification.
///
/// # Errors
/// [`Distrust`].
pub fn read(wechat: &Wechat, headers: &HeaderMap, body: &[u8], now: Instant) -> Result<Notice, Distrust> {
    wechat.trust.check(headers, body, now).map_err(|doubt| match is_probe(headers) {
        true => Distrust::Probe,
        false => Distrust::Forged(doubt.to_string()),
    })?;
    let Body { id, event_type, resource } =
        serde_json::from_slice(body).map_err(|_| forged("it is not what a notification looks like"))?;
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(forged("it has no id"));
    }
    let text = wechat.trust.open(&resource).ok_or_else(|| forged("it can't be opened with the API v3 key"))?;
    let event = match event_type.split('.').next() {
        Some("TRANSACTION") => payment(wechat, parse(&text)?)?,
        Some("REFUND") => refund(wechat, parse(&text)?)?,
        Some("MCHTRANSFER") => transfer(wechat, parse(&text)?)?,
        _ => return Err(mismatch(&format!("it is about {:?}", cut(&event_type, 64)))),
    };
    Ok(Notice { channel: NoticeChannel::Wechat, event_key: id, event })
}

fn payment(wechat: &Wechat, transaction: Transaction) -> Result<Event, Distrust> {
    let order_no = transaction.out_trade_no.clone();
    match wechat.standing(transaction).map_err(|problem| mismatch(&problem))? {
        standing @ PaymentState::Paid(_) => Ok(Event::Payment { order_no, standing }),
        PaymentState::NotFound | PaymentState::Unpaid | PaymentState::Closed | PaymentState::Failed { .. } => {
            Err(mismatch("it announces a payment that was not made"))
        }
    }
}

fn refund(wechat: &Wechat, refunded: Refunded) -> Result<Event, Distrust> {
    if refunded.mchid.as_ref() != Some(&wechat.mchid) {
        return Err(mismatch("it belongs to another merchant"));
    }
    let (refund_no, amount_fen) = (refunded.out_refund_no.clone(), Some(refunded.amount.refund));
    let standing = refunded.standing().map_err(|problem| mismatch(&problem))?;
    Ok(Event::Refund { refund_no, amount_fen, standing })
}

fn transfer(wechat: &Wechat, transferred: Transferred) -> Result<Event, Distrust> {
    let merchants = [&transferred.mch_id, &transferred.mchid];
    let named = merchants.iter().any(|merchant| merchant.is_some());
    let ours = merchants.iter().all(|merchant| merchant.as_ref().is_none_or(|merchant| *merchant == wechat.mchid));
    if !(named && ours) || transferred.appid.as_ref().is_some_and(|appid| *appid != wechat.appid) {
        return Err(mismatch("it belongs to another merchant or app"));
    }
    let (order_no, amount_fen) = (transferred.out_bill_no.clone(), transferred.transfer_amount);
    let standing = wechat.transfer_standing(transferred).map_err(|problem| mismatch(&problem))?;
    Ok(Event::Transfer { order_no, amount_fen, standing })
}

fn is_probe(headers: &HeaderMap) -> bool {
    headers.get("Wechatpay-Signature").is_some_and(|signature| signature.as_bytes().starts_with(PROBE.as_bytes()))
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, Distrust> {
    serde_json::from_slice(text).map_err(|_| mismatch("what is sealed in it can't be read"))
}

fn forged(problem: &str) -> Distrust {
    Distrust::Forged(problem.to_owned())
}

fn mismatch(problem: &str) -> Distrust {
    Distrust::Mismatch(problem.to_owned())
}
