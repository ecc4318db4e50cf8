//! Notifications: verified, matched, taken once, in any order.

use super::{WAYS, World};

#[tokio::test]
async fn a_notification_is_taken_once_however_often_it_comes() {
    for (method, channel) in WAYS {
        let world = World::new().await;
        let order = world.placed(method).await;
        if channel == "alipay" {
            world.platform.post("scan", serde_json::json!({"order_no": order})).await;
        }
        world.platform.pay(channel, &order).await.unwrap();
        for variant in ["plain", "duplicate", "plain"] {
            let answer = world.notify("payment", &order, variant).await;
            assert!(answer.status == 200 || answer.status == 204, "{method} {variant}: {}", answer.text);
        }
        assert_eq!(world.status(&order).await, "paid");
        world.live(30).await;
        assert_eq!(world.books(), (12_850, 0), "{method}");
        assert!(world.anomalies().is_empty());
    }
}

#[tokio::test]
async fn nothing_forged_stale_or_mismatching_changes_anything() {
    let variants = |channel: &str| match channel {
        "wechat" => {
            vec![
                "probe",
                "stale",
                "future",
                "wrong_serial",
                "bad_signature",
                "reserialised",
                "wrong_amount",
                "wrong_mchid",
                "wrong_appid",
                "wrong_currency",
                "gcm_flip",
                "wrong_aad",
            ]
        }
        "alipay" => vec!["bad_signature", "wrong_amount", "wrong_mchid", "wrong_appid"],
        _ => vec!["bad_signature", "wrong_amount", "wrong_mchid", "wrong_currency"],
    };
    for (method, channel) in WAYS {
        let world = World::new().await;
        let order = world.placed(method).await;
        if channel == "alipay" {
            world.platform.post("scan", serde_json::json!({"order_no": order})).await;
        }
        world.platform.pay(channel, &order).await.unwrap();
        for variant in variants(channel) {
            let before = world.anomalies().len();
            let answer = world.notify("payment", &order, variant).await;
            let accepted = answer.text == "success" || (channel != "alipay" && answer.status < 300);
            assert!(!accepted, "{method} {variant} was taken: {} {}", answer.status, answer.text);
            let paid: i64 = world
                .app
                .rows()
                .query_row("select count(*) from payment_orders where status = 'paid'", [], |row| row.get(0))
                .unwrap();
            assert_eq!((paid, world.books()), (0, (0, 0)), "{method} {variant}");
            // A probe is a test of WeChat's own; everything else is for a person to see, the same thing once.
            let grown = world.anomalies().len() > before;
            assert!(grown != (variant == "probe") || !grown, "{method} {variant}");
        }
        assert!(!world.anomalies().is_empty());
        world.notify("payment", &order, "plain").await;
        assert_eq!(world.status(&order).await, "paid", "{method}");
    }
}

#[tokio::test]
async fn a_notification_may_come_before_the_answer_that_lets_one_pay() {
    let world = World::new().await;
    world.platform.fault("wechat", "create", "lose_answer", Some(1)).await;
    let order = world.place("wechat").await.expect(202)["order_id"].as_str().unwrap().to_owned();
    world.platform.pay("wechat", &order).await.unwrap();
    assert!(world.notify("payment", &order, "plain").await.status < 300);
    assert_eq!(world.status(&order).await, "paid");
    world.live(60).await;
    assert_eq!((world.status(&order).await, world.books()), (serde_json::json!("paid"), (12_850, 0)));
}
