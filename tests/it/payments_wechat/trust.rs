use canshi::payments::{Distrust, Gateway as _, PaymentState};
use serde_json::json;

use super::*;

async fn sign_with(pay: &Pay, mode: &str) {
    pay.platform.post("keys", json!({"mode": mode})).await;
}

fn without_public_key(config: &mut WechatConfig, _: &Path) {
    (config.public_key, config.public_key_id) = (None, String::new());
}

fn without_anything(config: &mut WechatConfig, _: &Path) {
    without_public_key(config, Path::new(""));
    config.certificates.clear();
}

#[tokio::test]
async fn both_kinds_of_keys_are_believed_side_by_side() {
    let pay = Pay::start().await;
    for mode in ["public_key", "certificate", "public_key"] {
        sign_with(&pay, mode).await;
        assert_eq!(pay.query(&question(), NOON).await.unwrap(), PaymentState::NotFound, "{mode}");
    }
}

#[tokio::test]
async fn without_any_key_of_the_platform_its_certificates_are_fetched_first() {
    let pay = Pay::with(without_anything).await;
    sign_with(&pay, "certificate").await;
    assert_eq!(pay.query(&question(), NOON).await.unwrap(), PaymentState::NotFound);
    pay.query(&question(), NOON).await.unwrap();
    assert_eq!(pay.asked("certificates").await, 1);
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn many_who_need_the_certificates_at_once_fetch_them_once() {
    let pay = Pay::with(without_anything).await;
    sign_with(&pay, "certificate").await;
    let question = question();
    let (first, second, third) =
        tokio::join!(pay.query(&question, NOON), pay.query(&question, NOON), pay.query(&question, NOON));
    for answer in [first, second, third] {
        assert_eq!(answer.unwrap(), PaymentState::NotFound);
    }
    assert_eq!(pay.asked("certificates").await, 1);
}

#[tokio::test]
async fn a_new_certificate_is_fetched_when_it_first_signs_an_answer() {
    let pay = Pay::with(without_public_key).await;
    sign_with(&pay, "certificate").await;
    pay.query(&question(), NOON).await.unwrap();
    sign_with(&pay, "rotate").await;
    // Too soon after the fetch at the start: serial numbers can be made up.
    let what = unknown(pay.query(&question(), NOON).await);
    assert!(what.contains("no key has the serial number"), "{what}");
    let later = pay.at(NOON.plus_ms(MINUTE_MS)).await;
    assert_eq!(pay.query(&question(), later).await.unwrap(), PaymentState::NotFound);
    assert_eq!(pay.asked("certificates").await, 2);
}

#[tokio::test]
async fn certificates_are_fetched_again_after_twelve_hours() {
    let pay = Pay::with(without_public_key).await;
    sign_with(&pay, "certificate").await;
    for (hours, fetched) in [(0, 1), (11, 1), (12, 2), (13, 2), (24, 3)] {
        let now = pay.at(NOON.plus_ms(hours * HOUR_MS)).await;
        pay.query(&question(), now).await.unwrap();
        assert_eq!(pay.asked("certificates").await, fetched, "{hours}");
    }
}

#[tokio::test]
async fn a_notification_by_a_new_certificate_is_believed_once_the_next_call_has_fetched_it() {
    let pay = Pay::with(|config, _| config.certificates.clear()).await;
    pay.paid().await;
    assert_eq!(pay.asked("certificates").await, 0, "with a public key alone there is nothing to fetch");
    sign_with(&pay, "rotate").await;
    assert!(matches!(pay.notice("payment", ORDER, "plain").await, Err(Distrust::Forged(_))));
    assert!(matches!(pay.query(&question(), NOON).await.unwrap(), PaymentState::Paid(_)));
    pay.notice("payment", ORDER, "plain").await.unwrap();
    assert_eq!(pay.asked("certificates").await, 1);
}

#[tokio::test]
async fn forged_serial_numbers_cause_no_more_than_one_fetch_a_minute() {
    let pay = Pay::with(|config, _| config.certificates.clear()).await;
    pay.paid().await;
    for second in 0..59 {
        assert!(matches!(pay.notice("payment", ORDER, "wrong_serial").await, Err(Distrust::Forged(_))));
        let now = pay.at(NOON.plus_ms(second * 1_000)).await;
        pay.query(&question(), now).await.unwrap();
    }
    assert_eq!(pay.asked("certificates").await, 1);
}

#[tokio::test]
async fn certificates_that_are_not_sealed_with_the_api_v3_key_are_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;
    let pay = Pay::with(|config, directory| {
        without_anything(config, directory);
        config.api_v3_key = directory.join("another_api_v3_key");
        std::fs::write(&config.api_v3_key, "k".repeat(32)).unwrap();
        std::fs::set_permissions(&config.api_v3_key, std::fs::Permissions::from_mode(0o600)).unwrap();
    })
    .await;
    sign_with(&pay, "certificate").await;
    unknown(pay.query(&question(), NOON).await);
}

#[tokio::test]
async fn a_list_of_certificates_that_does_not_verify_is_not_believed() {
    for fault in ["bad_signature", "no_signature", "wrong_serial", "truncated", "status_500"] {
        let pay = Pay::with(without_anything).await;
        sign_with(&pay, "certificate").await;
        pay.platform.fault("wechat", "certificates", fault, Some(1)).await;
        unknown(pay.query(&question(), NOON).await);
        let later = pay.at(NOON.plus_ms(MINUTE_MS)).await;
        assert_eq!(pay.query(&question(), later).await.unwrap(), PaymentState::NotFound, "{fault}");
    }
}

#[tokio::test]
async fn a_merchant_without_certificates_works_with_the_public_key() {
    let pay = Pay::start().await;
    for hours in [0, 1, 2] {
        let now = pay.at(NOON.plus_ms(hours * HOUR_MS)).await;
        pay.query(&question(), now).await.unwrap();
    }
    assert_eq!(pay.asked("certificates").await, 1, "it was told that there are none");
}
