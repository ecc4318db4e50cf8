use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::StatusCode;
use bytes::Bytes;
use canshi::payments::keys::signing_key;
use canshi::payments::{Gateway as _, Paid, PaymentState};
use tokio::net::TcpListener;

use super::*;

fn in_the_mini_program() -> Create {
    Create { scene: Scene::MiniProgram { openid: OPENID.to_owned() }, ..code() }
}

#[tokio::test]
async fn a_code_is_shown_and_paid() {
    let pay = Pay::start().await;
    let made = pay.create(&code(), NOON).await.unwrap();
    assert!(url(&made).starts_with("weixin://wxpay/bizpayurl?pr="));
    assert_eq!(pay.query(&question(), NOON).await.unwrap(), PaymentState::Unpaid);
    pay.platform.post("pay", serde_json::json!({"channel": "wechat", "order_no": ORDER, "coupon_fen": 1_000})).await;
    let PaymentState::Paid(Paid { platform_no, amount_fen, paid_at_ms, payer }) =
        pay.query(&question(), NOON).await.unwrap()
    else {
        panic!("it was paid");
    };
    assert_eq!((amount_fen, paid_at_ms), (12_800, NOON.0), "a coupon does not change what was paid for");
    assert!(platform_no.starts_with("42000") && payer.is_some());
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn the_mini_program_gets_parameters_that_the_merchant_signed() {
    let pay = Pay::start().await;
    let Outcome::Created { payment_url: None, launch: Some(launch) } =
        pay.create(&in_the_mini_program(), NOON).await.unwrap()
    else {
        panic!("the mini-program needs no code");
    };
    let text = |name: &str| launch[name].as_str().unwrap().to_owned();
    assert_eq!(launch.as_object().unwrap().len(), 6);
    assert_eq!((text("signType").as_str(), text("timeStamp").as_str()), ("RSA", "1772424000"));
    assert!(text("package").starts_with("prepay_id=wx"));
    let config = pay.platform.payments_config().wechat;
    let key = signing_key("wechatpay_private_key", &config.private_key).unwrap().verifying_key();
    let message = format!("{}\n{}\n{}\n{}\n", text("appId"), text("timeStamp"), text("nonceStr"), text("package"));
    assert!(text("appId") == config.appid && key.verify(message.as_bytes(), &text("paySign")));
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn a_repeat_gets_a_fresh_code_and_a_changed_one_is_refused() {
    let pay = Pay::start().await;
    let first = pay.create(&code(), NOON).await.unwrap();
    let later = pay.at(NOON.plus_ms(20 * MINUTE_MS)).await;
    let second = pay.create(&code(), later).await.unwrap();
    assert_ne!(url(&first), url(&second));
    for changed in [
        Create { amount_fen: 12_801, ..code() },
        Create { subject: "其他".to_owned(), ..code() },
        Create { expires_at_ms: code().expires_at_ms + 1_000, ..code() },
    ] {
        assert_eq!(refused(pay.create(&changed, later).await), (Refusal::Final, "INVALID_REQUEST".to_owned()));
    }
    assert_eq!(refused(pay.create(&in_the_mini_program(), later).await).0, Refusal::Final);
    assert_eq!(pay.platform.facts().await["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_body_of_a_repeat_is_the_same_to_the_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let sink = heard.clone();
    let router = Router::new().fallback(async move |body: Bytes| {
        sink.lock().unwrap().push(body);
        StatusCode::BAD_GATEWAY
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    let pay = Pay::with(|config, _| {
        config.base_url = format!("http://{address}");
        // Nothing but the call itself is to be heard.
        config.certificates.clear();
    })
    .await;
    for minutes in [0, 1, 25] {
        let now = NOON.plus_ms(minutes * MINUTE_MS + 1);
        unknown(pay.create(&code(), now).await);
        unknown(pay.create(&in_the_mini_program(), now).await);
        unknown(pay.refund(&refund(), now).await);
        unknown(pay.transfer(&Transfer { name: None, ..wage(5_000) }, now).await);
    }
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 12);
    let (first, repeats) = heard.split_at(4);
    assert!(repeats.chunks(4).all(|repeat| repeat == first));
    let text = str::from_utf8(&first[0]).unwrap();
    assert!(text.contains(r#""time_expire":"2026-03-02T12:30:00+08:00""#), "{text}");
}

#[tokio::test]
async fn closing_tells_how_the_order_stands_then() {
    let pay = Pay::start().await;
    assert_eq!(pay.close(&question(), NOON).await.unwrap(), PaymentState::NotFound);
    pay.create(&code(), NOON).await.unwrap();
    for _ in 0..2 {
        assert_eq!(pay.close(&question(), NOON).await.unwrap(), PaymentState::Closed);
    }
    assert_eq!(pay.query(&question(), NOON).await.unwrap(), PaymentState::Closed);
    assert_eq!(refused(pay.create(&code(), NOON).await).0, Refusal::Closed);
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn closing_what_was_paid_meanwhile_says_that_it_was_paid() {
    let pay = Pay::start().await;
    pay.paid().await;
    assert!(matches!(pay.close(&question(), NOON).await.unwrap(), PaymentState::Paid(_)));
    assert_eq!(refused(pay.create(&code(), NOON).await).0, Refusal::AlreadyPaid);
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn a_refunded_payment_was_still_paid() {
    let pay = Pay::start().await;
    pay.paid().await;
    pay.refund(&refund(), NOON).await.unwrap();
    assert!(matches!(pay.query(&question(), NOON).await.unwrap(), PaymentState::Paid(_)));
}

#[tokio::test]
async fn what_nobody_made_is_not_found() {
    let pay = Pay::start().await;
    assert_eq!(pay.query(&question(), NOON).await.unwrap(), PaymentState::NotFound);
    let elsewhere = Query { order_no: "../../certificates".to_owned(), ..question() };
    assert_eq!(refused(pay.query(&elsewhere, NOON).await), (Refusal::Final, "BAD_NUMBER".to_owned()));
}

#[tokio::test]
async fn without_a_whole_and_signed_answer_nothing_is_known() {
    let pay = Pay::start().await;
    for fault in [
        "lose_answer",
        "reset",
        "status_500",
        "status_500_after",
        "status_502_html",
        "truncated",
        "bad_signature",
        "no_signature",
        "wrong_serial",
    ] {
        for op in ["create", "query", "close"] {
            pay.platform.fault("wechat", op, fault, Some(1)).await;
        }
        unknown(pay.create(&code(), NOON).await);
        unknown(pay.query(&question(), NOON).await);
        unknown(pay.close(&question(), NOON).await);
        pay.platform.post("reset", serde_json::json!({})).await;
        pay.at(NOON).await;
    }
}

#[tokio::test]
async fn a_refusal_that_does_not_verify_is_no_refusal() {
    let pay = Pay::start().await;
    pay.platform.fault("wechat", "query", "bad_signature", Some(1)).await;
    let what = unknown(pay.query(&question(), NOON).await);
    assert!(what.contains("404 ORDER_NOT_EXIST does not verify"), "{what}");
    assert_eq!(pay.query(&question(), NOON).await.unwrap(), PaymentState::NotFound);
}

#[tokio::test]
async fn an_answer_lost_after_the_order_was_made_leaves_one_order() {
    let pay = Pay::start().await;
    pay.platform.fault("wechat", "create", "lose_answer", Some(1)).await;
    unknown(pay.create(&code(), NOON).await);
    pay.create(&code(), NOON).await.unwrap();
    assert_eq!(pay.platform.facts().await["orders"].as_array().unwrap().len(), 1);
    pay.nothing_was_wrong().await;
}

#[tokio::test]
async fn each_code_of_the_platform_has_its_meaning() {
    let pay = Pay::start().await;
    for (code_of_platform, meaning) in [
        ("PARAM_ERROR", Refusal::Final),
        ("APPID_MCHID_NOT_MATCH", Refusal::Configuration),
        ("NO_AUTH", Refusal::Configuration),
        ("ORDERPAID", Refusal::AlreadyPaid),
        ("ORDER_CLOSED", Refusal::Closed),
        ("OUT_TRADE_NO_USED", Refusal::Final),
        ("FREQUENCY_LIMITED", Refusal::Later),
        ("NOT_ENOUGH", Refusal::Later),
        ("RULE_LIMIT", Refusal::Final),
    ] {
        pay.platform.fault("wechat", "create", &format!("business:{code_of_platform}"), Some(1)).await;
        assert_eq!(refused(pay.create(&code(), NOON).await), (meaning, code_of_platform.to_owned()));
    }
    for code_of_platform in ["SYSTEM_ERROR", "BANK_ERROR", "ACCEPTED", "USERPAYING", "NEVER_SEEN_BEFORE"] {
        pay.platform.fault("wechat", "create", &format!("business:{code_of_platform}"), Some(1)).await;
        let what = unknown(pay.create(&code(), NOON).await);
        assert!(what.contains(code_of_platform), "{what}");
    }
}

#[tokio::test]
async fn a_clock_that_is_five_minutes_off_is_named() {
    let pay = Pay::start().await;
    for (skew_ms, works) in [(299_000, true), (301_000, false), (-299_000, true), (-301_000, false)] {
        pay.platform.set_clock_ms(NOON.0 + skew_ms).await;
        let said = pay.query(&question(), NOON).await;
        match works {
            true => assert_eq!(said.unwrap(), PaymentState::NotFound),
            false => {
                let what = unknown(said);
                assert!(what.contains("401 SIGN_ERROR") && what.contains("301 s away from this clock"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_serial_number_of_the_merchant_is_a_matter_of_configuration() {
    let pay = Pay::with(|config, _| config.certificate_serial = "0123456789ABCDEF".to_owned()).await;
    assert_eq!(refused(pay.create(&code(), NOON).await), (Refusal::Configuration, "SIGN_ERROR".to_owned()));
}
