use axum::http::HeaderMap;
use canshi::payments::{
    Acknowledgement, Distrust, Event, Gateway as _, Notice, NoticeChannel, Paid, PaymentState, RefundState,
    TransferState,
};
use serde_json::{Value, json};

use super::*;

/// A notification as it would be sent.
pub struct Message {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Message {
    pub fn of(raw: &Value) -> Self {
        let headers = raw["headers"].as_object().unwrap().iter();
        Self {
            headers: headers
                .map(|(name, value)| (name.parse().unwrap(), value.as_str().unwrap().parse().unwrap()))
                .collect(),
            body: raw["body"].as_str().unwrap().as_bytes().to_vec(),
        }
    }
}

impl Pay {
    /// What the platform would send of this.
    pub async fn message(&self, event: &str, no: &str, variant: &str) -> Message {
        let asked = json!({"channel": "wechat", "event": event, "no": no, "variant": variant, "raw": true});
        Message::of(&self.platform.post("deliver", asked).await)
    }

    pub async fn notice(&self, event: &str, no: &str, variant: &str) -> Result<Notice, Distrust> {
        let message = self.message(event, no, variant).await;
        self.read_notice(&message.headers, &message.body, NOON)
    }
}

fn kind(distrust: Result<Notice, Distrust>) -> &'static str {
    match distrust {
        Ok(_) => "taken",
        Err(Distrust::Probe) => "probe",
        Err(Distrust::Forged(_)) => "forged",
        Err(Distrust::Mismatch(_)) => "mismatch",
    }
}

#[tokio::test]
async fn a_payment_is_announced() {
    let pay = Pay::start().await;
    pay.paid().await;
    let notice = pay.notice("payment", ORDER, "plain").await.unwrap();
    let Event::Payment { order_no, standing: PaymentState::Paid(Paid { amount_fen, paid_at_ms, platform_no, payer }) } =
        notice.event.clone()
    else {
        panic!("{notice:?}");
    };
    assert_eq!((order_no.as_str(), amount_fen, paid_at_ms), (ORDER, 12_800, NOON.0));
    assert!(platform_no.starts_with("42000") && payer.is_some());
    assert_eq!((notice.channel, notice.event_key.len()), (NoticeChannel::Wechat, 36));
    let again = pay.notice("payment", ORDER, "duplicate").await.unwrap();
    assert_eq!(again, notice);
}

#[tokio::test]
async fn what_was_tampered_with_is_not_believed() {
    let pay = Pay::start().await;
    pay.paid().await;
    for (variant, expected) in [
        ("plain", "taken"),
        ("duplicate", "taken"),
        ("serial_certificate", "taken"),
        // Only those who have the order know its price and its payer.
        ("wrong_amount", "taken"),
        ("wrong_payer", "taken"),
        ("unknown_order", "taken"),
        ("wrong_mchid", "mismatch"),
        ("wrong_appid", "mismatch"),
        ("wrong_currency", "mismatch"),
        ("not_success", "mismatch"),
        ("gcm_flip", "forged"),
        ("wrong_aad", "forged"),
        ("stale", "forged"),
        ("future", "forged"),
        ("wrong_serial", "forged"),
        ("bad_signature", "forged"),
        ("reserialised", "forged"),
        ("probe", "probe"),
    ] {
        assert_eq!(kind(pay.notice("payment", ORDER, variant).await), expected, "{variant}");
    }
}

#[tokio::test]
async fn every_header_and_every_byte_counts() {
    let pay = Pay::start().await;
    pay.paid().await;
    let message = pay.message("payment", ORDER, "plain").await;
    for name in ["timestamp", "nonce", "signature", "serial"] {
        let mut headers = message.headers.clone();
        headers.remove(format!("wechatpay-{name}"));
        assert_eq!(kind(pay.read_notice(&headers, &message.body, NOON)), "forged", "{name}");
    }
    for position in (0..message.body.len()).step_by(97) {
        let mut body = message.body.clone();
        body[position] ^= 1;
        assert_eq!(kind(pay.read_notice(&message.headers, &body, NOON)), "forged", "{position}");
    }
    let mut headers = message.headers.clone();
    headers.remove("wechatpay-signature-type");
    assert_eq!(kind(pay.read_notice(&headers, &message.body, NOON)), "taken");
    headers.insert("wechatpay-signature-type", "WECHATPAY2-SM2-WITH-SM3".parse().unwrap());
    assert_eq!(kind(pay.read_notice(&headers, &message.body, NOON)), "forged");
    for body in [&b""[..], b"null", b"\xff", b"{}"] {
        assert_eq!(kind(pay.read_notice(&message.headers, body, NOON)), "forged");
    }
}

#[tokio::test]
async fn a_refund_is_announced() {
    let pay = Pay::start().await;
    pay.paid().await;
    pay.refund(&refund(), NOON).await.unwrap();
    pay.platform.quiet().await;
    let refund_no = refund().refund_no;
    let notice = pay.notice("refund", &refund_no, "plain").await.unwrap();
    let Event::Refund { refund_no: said, amount_fen: Some(2_800), standing: RefundState::Succeeded { at_ms, .. } } =
        notice.event
    else {
        panic!("{notice:?}");
    };
    assert_eq!((said, at_ms), (refund_no.clone(), NOON.0));
    for (variant, expected) in
        [("wrong_mchid", "mismatch"), ("wrong_currency", "mismatch"), ("gcm_flip", "forged"), ("probe", "probe")]
    {
        assert_eq!(kind(pay.notice("refund", &refund_no, variant).await), expected, "{variant}");
    }
}

#[tokio::test]
async fn a_refund_that_is_not_made_is_announced_too() {
    for (state, standing) in
        [("ABNORMAL", RefundState::Abnormal), ("CLOSED", RefundState::Failed { reason: "退款关闭".to_owned() })]
    {
        let pay = Pay::start().await;
        pay.paid().await;
        pay.platform.post("settlement", json!({"mode": "manual"})).await;
        pay.refund(&refund(), NOON).await.unwrap();
        pay.platform.post("settle", json!({"kind": "refund", "no": refund().refund_no, "state": state})).await;
        let event = pay.notice("refund", &refund().refund_no, "plain").await.unwrap().event;
        assert_eq!(event, Event::Refund { refund_no: refund().refund_no, amount_fen: Some(2_800), standing });
    }
}

#[tokio::test]
async fn a_transfer_is_announced() {
    let pay = Pay::start().await;
    pay.transfer(&wage(5_000), NOON).await.unwrap();
    pay.platform.confirm(&wage(0).order_no).await.unwrap();
    let order_no = wage(0).order_no;
    let notice = pay.notice("transfer", &order_no, "plain").await.unwrap();
    let Event::Transfer { amount_fen: Some(5_000), standing: TransferState::Succeeded { at_ms, .. }, .. } =
        notice.event
    else {
        panic!("{notice:?}");
    };
    assert_eq!(at_ms, NOON.0);
    for (variant, expected) in [("wrong_mchid", "mismatch"), ("wrong_appid", "mismatch"), ("bad_signature", "forged")] {
        assert_eq!(kind(pay.notice("transfer", &order_no, variant).await), expected, "{variant}");
    }
}

#[tokio::test]
async fn two_api_v3_keys_open_while_one_replaces_the_other_and_a_wrong_one_does_not() {
    let rotating = |key: fn(&str) -> String| {
        move |config: &mut WechatConfig, directory: &Path| {
            use std::os::unix::fs::PermissionsExt as _;
            let text = key(std::fs::read_to_string(&config.api_v3_key).unwrap().trim());
            config.api_v3_key = directory.join("api_v3_keys");
            std::fs::write(&config.api_v3_key, text).unwrap();
            std::fs::set_permissions(&config.api_v3_key, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    };
    for (key, expected) in [
        ((|now| format!("{now}\n{}\n", "k".repeat(32))) as fn(&str) -> String, "taken"),
        (|now| format!("{}\r\n{now}", "k".repeat(32)), "taken"),
        (|_| "k".repeat(32), "forged"),
    ] {
        let pay = Pay::with(rotating(key)).await;
        pay.paid().await;
        assert_eq!(kind(pay.notice("payment", ORDER, "plain").await), expected);
    }
}

#[tokio::test]
async fn the_platform_hears_what_it_wants_to_hear() {
    let pay = Pay::start().await;
    let Acknowledgement { status, content_type, body } = pay.acknowledgement(true);
    assert_eq!((status, content_type), (200, "application/json"));
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["code"], "SUCCESS");
    let refused = pay.acknowledgement(false);
    assert_eq!(refused.status, 401);
    assert_eq!(serde_json::from_str::<Value>(refused.body).unwrap()["code"], "FAIL");
}
