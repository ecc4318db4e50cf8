use canshi::payments::{Gateway as _, PaymentState, RefundState};
use serde_json::json;

use super::*;

async fn hold_refunds(pay: &Pay) {
    pay.platform.post("settlement", json!({"mode": "manual"})).await;
}

async fn settle(pay: &Pay, state: &str) {
    pay.platform.post("settle", json!({"kind": "refund", "no": refund().refund_no, "state": state})).await;
}

#[tokio::test]
async fn a_refund_is_worked_on_and_then_made() {
    let pay = Pay::start().await;
    pay.paid().await;
    hold_refunds(&pay).await;
    assert_eq!(pay.query_refund(&refund(), NOON).await.unwrap(), RefundState::NotFound);
    assert_eq!(pay.refund(&refund(), NOON).await.unwrap(), RefundState::Processing);
    assert_eq!(pay.refund(&refund(), NOON).await.unwrap(), RefundState::Processing, "a repeat is the same refund");
    settle(&pay, "SUCCESS").await;
    let RefundState::Succeeded { at_ms, platform_no: Some(platform_no) } =
        pay.query_refund(&refund(), NOON).await.unwrap()
    else {
        panic!("it was made");
    };
    assert!(at_ms == NOON.0 && platform_no.starts_with("50000"));
    assert_eq!(pay.platform.facts().await["refunds"][0]["moves"], 1);
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn a_refund_by_the_platforms_number_is_the_same() {
    let pay = Pay::start().await;
    pay.paid().await;
    let PaymentState::Paid(paid) = pay.query(&question(), NOON).await.unwrap() else { panic!("it was paid") };
    let call = Refund { platform_no: paid.platform_no, ..refund() };
    pay.refund(&call, NOON).await.unwrap();
    pay.platform.quiet().await;
    assert!(matches!(pay.query_refund(&call, NOON).await.unwrap(), RefundState::Succeeded { .. }));
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn a_refund_may_end_otherwise() {
    let pay = Pay::start().await;
    pay.paid().await;
    hold_refunds(&pay).await;
    pay.refund(&refund(), NOON).await.unwrap();
    settle(&pay, "ABNORMAL").await;
    assert_eq!(pay.query_refund(&refund(), NOON).await.unwrap(), RefundState::Abnormal);
    settle(&pay, "CLOSED").await;
    assert!(matches!(pay.query_refund(&refund(), NOON).await.unwrap(), RefundState::Failed { .. }));
}

#[tokio::test]
async fn a_payment_that_is_not_found_yet_and_a_low_balance_are_for_later() {
    let pay = Pay::start().await;
    pay.create(&code(), NOON).await.unwrap();
    assert_eq!(refused(pay.refund(&refund(), NOON).await), (Refusal::Later, "RESOURCE_NOT_EXISTS".to_owned()));
    pay.platform.pay("wechat", ORDER).await.unwrap();
    pay.platform.post("balance", json!({"channel": "wechat", "fen": 2_799})).await;
    assert_eq!(refused(pay.refund(&refund(), NOON).await), (Refusal::Later, "NOT_ENOUGH".to_owned()));
    pay.platform.post("balance", json!({"channel": "wechat", "fen": 2_800})).await;
    pay.refund(&refund(), NOON).await.unwrap();
    let second = Refund { refund_no: "R20260302110001000003".to_owned(), ..refund() };
    assert_eq!(refused(pay.refund(&second, NOON).await), (Refusal::Later, "FREQUENCY_LIMITED".to_owned()));
}

#[tokio::test]
async fn more_than_was_paid_and_a_changed_repeat_are_refused_for_good() {
    let pay = Pay::start().await;
    pay.paid().await;
    let too_much = Refund { amount_fen: 12_801, ..refund() };
    assert_eq!(refused(pay.refund(&too_much, NOON).await).0, Refusal::Final);
    pay.refund(&refund(), NOON).await.unwrap();
    let changed = Refund { amount_fen: 2_801, ..refund() };
    assert_eq!(refused(pay.refund(&changed, NOON).await).0, Refusal::Final);
    let what = unknown(pay.query_refund(&changed, NOON).await);
    assert!(what.contains("another amount"), "{what}");
}

#[tokio::test]
async fn a_lost_answer_refunds_once() {
    let pay = Pay::start().await;
    pay.paid().await;
    pay.platform.fault("wechat", "refund", "lose_answer", Some(1)).await;
    unknown(pay.refund(&refund(), NOON).await);
    pay.refund(&refund(), NOON).await.unwrap();
    pay.platform.quiet().await;
    let facts = pay.platform.facts().await;
    assert_eq!((&facts["refunds"][0]["moves"], facts["refunds"].as_array().unwrap().len()), (&json!(1), 1));
}
