use canshi::payments::{Gateway as _, TransferState};
use serde_json::json;

use super::*;

fn launch(state: &TransferState) -> &serde_json::Value {
    match state {
        TransferState::WaitConfirm { launch: Some(launch) } => launch,
        other => panic!("{other:?}"),
    }
}

async fn name_as_the_platform_read_it(pay: &Pay) -> serde_json::Value {
    pay.platform.facts().await["transfers"][0]["request"]["user_name"].clone()
}

#[tokio::test]
async fn a_payee_accepts_a_transfer() {
    let pay = Pay::start().await;
    assert_eq!(pay.query_transfer(&wage(250_000), NOON).await.unwrap(), TransferState::NotFound);
    let made = pay.transfer(&wage(250_000), NOON).await.unwrap();
    let config = pay.platform.payments_config().wechat;
    assert_eq!((&launch(&made)["mchId"], &launch(&made)["appId"]), (&json!(config.mchid), &json!(config.appid)));
    assert!(launch(&made)["package"].is_string());
    let waiting = pay.query_transfer(&wage(250_000), NOON).await.unwrap();
    assert_eq!(waiting, TransferState::WaitConfirm { launch: None }, "a question does not give it again");
    let repeated = pay.transfer(&wage(250_000), NOON).await.unwrap();
    assert_eq!(launch(&repeated), launch(&made), "but a repeat does");
    pay.platform.confirm(&wage(0).order_no).await.unwrap();
    let TransferState::Succeeded { at_ms, platform_no } = pay.query_transfer(&wage(250_000), NOON).await.unwrap()
    else {
        panic!("it was accepted");
    };
    assert!(at_ms == NOON.0 && platform_no.starts_with("133"));
    assert_eq!(name_as_the_platform_read_it(&pay).await, "张三丰");
    assert_eq!(pay.platform.facts().await["transfers"][0]["moves"], 1);
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn the_name_goes_with_an_amount_that_may_have_it_and_must_with_a_large_one() {
    for (amount_fen, name, sent) in [
        (29, Some("张三丰"), json!(null)),
        (30, Some("张三丰"), json!("张三丰")),
        (199_999, None, json!(null)),
        (200_000, Some("张三丰"), json!("张三丰")),
    ] {
        let pay = Pay::start().await;
        pay.transfer(&Transfer { name: name.map(str::to_owned), ..wage(amount_fen) }, NOON).await.unwrap();
        assert_eq!(name_as_the_platform_read_it(&pay).await, sent, "{amount_fen}");
        pay.nothing_was_wrong().await;
    }
    let pay = Pay::start().await;
    let nameless = Transfer { name: None, ..wage(200_000) };
    assert_eq!(refused(pay.transfer(&nameless, NOON).await), (Refusal::Final, "NAME_REQUIRED".to_owned()));
    assert_eq!(pay.asked("transfer").await, 0);
}

#[tokio::test]
async fn without_a_public_key_the_name_is_for_the_certificate() {
    let pay = Pay::with(|config, _| (config.public_key, config.public_key_id) = (None, String::new())).await;
    pay.platform.post("keys", json!({"mode": "certificate"})).await;
    pay.transfer(&wage(250_000), NOON).await.unwrap();
    assert_eq!(name_as_the_platform_read_it(&pay).await, "张三丰");
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn a_transfer_is_taken_back_before_it_was_accepted() {
    let pay = Pay::start().await;
    assert_eq!(pay.cancel_transfer(&wage(5_000), NOON).await.unwrap(), TransferState::NotFound);
    pay.platform.post("settlement", json!({"mode": "manual"})).await;
    pay.transfer(&wage(5_000), NOON).await.unwrap();
    assert_eq!(pay.cancel_transfer(&wage(5_000), NOON).await.unwrap(), TransferState::Cancelling);
    assert_eq!(pay.query_transfer(&wage(5_000), NOON).await.unwrap(), TransferState::Cancelling);
    let state = json!({"kind": "transfer", "no": wage(0).order_no, "state": "CANCELLED"});
    pay.platform.post("settle", state).await;
    assert_eq!(pay.query_transfer(&wage(5_000), NOON).await.unwrap(), TransferState::Cancelled);
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn what_was_accepted_can_not_be_taken_back() {
    let pay = Pay::start().await;
    pay.transfer(&wage(5_000), NOON).await.unwrap();
    pay.platform.confirm(&wage(0).order_no).await.unwrap();
    assert_eq!(refused(pay.cancel_transfer(&wage(5_000), NOON).await).0, Refusal::Final);
    assert!(matches!(pay.query_transfer(&wage(5_000), NOON).await.unwrap(), TransferState::Succeeded { .. }));
}

#[tokio::test]
async fn a_transfer_that_nobody_accepts_within_a_day_fails() {
    let pay = Pay::start().await;
    pay.transfer(&wage(5_000), NOON).await.unwrap();
    let next_day = pay.at(NOON.plus_ms(24 * HOUR_MS + 1_000)).await;
    let failed = pay.query_transfer(&wage(5_000), next_day).await.unwrap();
    assert_eq!(failed, TransferState::Failed { reason: "OVERDUE_CLOSE".to_owned() });
}

#[tokio::test]
async fn no_error_makes_a_transfer_fail_and_a_repeat_pays_once() {
    let pay = Pay::start().await;
    for fault in
        ["lose_answer", "status_500_after", "bad_signature", "business:NEVER_SEEN_BEFORE", "business:SYSTEM_ERROR"]
    {
        pay.platform.fault("wechat", "transfer", fault, Some(1)).await;
        unknown(pay.transfer(&wage(5_000), NOON).await);
    }
    pay.transfer(&wage(5_000), NOON).await.unwrap();
    pay.platform.confirm(&wage(0).order_no).await.unwrap();
    let facts = pay.platform.facts().await;
    assert_eq!((&facts["transfers"][0]["moves"], facts["transfers"].as_array().unwrap().len()), (&json!(1), 1));
}

#[tokio::test]
async fn a_low_balance_is_for_later_and_a_changed_repeat_is_refused() {
    let pay = Pay::start().await;
    pay.platform.post("balance", json!({"channel": "wechat", "fen": 4_999})).await;
    assert_eq!(refused(pay.transfer(&wage(5_000), NOON).await), (Refusal::Later, "NOT_ENOUGH".to_owned()));
    pay.platform.post("balance", json!({"channel": "wechat", "fen": 5_000})).await;
    pay.transfer(&wage(5_000), NOON).await.unwrap();
    let changed = Transfer { name: Some("李四".to_owned()), ..wage(5_000) };
    assert_eq!(refused(pay.transfer(&changed, NOON).await), (Refusal::Final, "INVALID_REQUEST".to_owned()));
    let what = unknown(pay.query_transfer(&wage(5_001), NOON).await);
    assert!(what.contains("another amount"), "{what}");
}

#[tokio::test]
async fn without_a_scene_there_are_no_transfers() {
    let pay = Pay::with(|config, _| config.transfer_scene.clear()).await;
    let nothing = (Refusal::Configuration, "NO_TRANSFER_SCENE".to_owned());
    assert_eq!(refused(pay.transfer(&wage(5_000), NOON).await), nothing);
}
