use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use canshi::payments::china_time::day;
use canshi::payments::signing::sha256_hex;
use canshi::payments::{Bill, BillKind, BillRow, Gateway as _};
use serde_json::json;

use super::*;

/// The next morning at eleven.
const MORNING: Instant = NOON.plus_ms(23 * HOUR_MS);

async fn spoil(pay: &Pay, how: &str) {
    let spoilt = json!({"channel": "wechat", "date": "2026-03-02", "tamper": how});
    pay.platform.post("bill", spoilt).await;
}

async fn day_with_a_payment_and_a_refund() -> Pay {
    let pay = Pay::start().await;
    pay.paid().await;
    pay.refund(&refund(), NOON).await.unwrap();
    pay.platform.quiet().await;
    pay.at(MORNING).await;
    pay
}

#[tokio::test]
async fn the_bill_of_a_day_has_each_payment_and_each_refund() {
    let pay = day_with_a_payment_and_a_refund().await;
    let Bill::Ready { rows, sha256, raw } = pay.bill(day(NOON), MORNING).await.unwrap() else { panic!("it is ready") };
    let said =
        |row: &BillRow| (row.kind, row.order_no.clone(), row.refund_no.clone(), row.amount_fen, row.fee_fen, row.at_ms);
    let refund_no = Some(refund().refund_no);
    assert_eq!(
        rows.iter().map(said).collect::<Vec<_>>(),
        [
            (BillKind::Payment, ORDER.to_owned(), None, 12_800, 77, NOON.0),
            (BillKind::Refund, ORDER.to_owned(), refund_no, 2_800, -17, NOON.0),
        ]
    );
    let raw = STANDARD.decode(raw).unwrap();
    assert!(raw.starts_with(&[0x1f, 0x8b]) && sha256_hex(&raw) == sha256);
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn a_day_without_trades_is_empty_and_an_early_question_comes_too_soon() {
    let pay = Pay::start().await;
    assert_eq!(pay.bill(day(NOON), pay.at(MORNING).await).await.unwrap(), Bill::Empty);
    let early = pay.at(NOON.plus_ms(20 * HOUR_MS)).await;
    assert_eq!(pay.bill(day(NOON), early).await.unwrap(), Bill::NotReady);
}

#[tokio::test]
async fn a_bill_with_another_hash_is_not_used() {
    let pay = day_with_a_payment_and_a_refund().await;
    spoil(&pay, "bad_hash").await;
    let what = unknown(pay.bill(day(NOON), MORNING).await);
    assert!(what.contains("hash"), "{what}");
}

#[tokio::test]
async fn a_download_that_breaks_off_is_not_used() {
    let pay = day_with_a_payment_and_a_refund().await;
    for fault in ["truncated", "reset", "status_500", "business:NOT_FOUND"] {
        pay.platform.fault("wechat", "download", fault, Some(1)).await;
        unknown(pay.bill(day(NOON), MORNING).await);
    }
    assert!(matches!(pay.bill(day(NOON), MORNING).await.unwrap(), Bill::Ready { .. }));
}

#[tokio::test]
async fn a_place_that_does_not_verify_is_not_visited() {
    let pay = day_with_a_payment_and_a_refund().await;
    pay.platform.fault("wechat", "bill", "bad_signature", Some(1)).await;
    unknown(pay.bill(day(NOON), MORNING).await);
    assert_eq!(pay.asked("download").await, 0);
}
