//! Refunds: in part, several, never more than was paid.

use serde_json::json;

use super::{WAYS, World};

#[tokio::test]
async fn refunds_in_part_never_exceed_what_was_paid() {
    for (method, channel) in WAYS {
        let world = World::new().await;
        let order = world.placed(method).await;
        if channel == "alipay" {
            world.platform.post("scan", json!({"order_no": order})).await;
        }
        let refunds = format!("/api/payment/orders/{order}/refunds");
        let refund = |amount: f64| world.app.post(&refunds, json!({"amount": amount, "reason": "提前出所"}));
        refund(1.0).await.refused(409, None);
        world.platform.pay(channel, &order).await.unwrap();
        world.pass(4_000).await;
        assert_eq!(world.status(&order).await, "paid");
        // UnionPay voids on the same day, and that only wholly; a part is a refund.
        refund(28.5).await.expect(201);
        refund(100.01).await.refused(409, None);
        refund(60.0).await.expect(201);
        refund(40.01).await.refused(409, None);
        refund(0.0).await.refused(400, "amount");
        refund(40.0).await.expect(201);
        for _ in 0..40 {
            world.live(30).await;
        }
        let listed = world.app.get(&refunds).await.expect(200);
        let states: Vec<_> = listed.as_array().unwrap().iter().map(|refund| refund["status"].clone()).collect();
        assert_eq!(states, ["succeeded", "succeeded", "succeeded"], "{method}: {listed}");
        assert_eq!(world.books(), (12_850, 12_850), "{method}");
        assert_eq!(world.status(&order).await, "paid");
    }
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_made_once() {
    for (method, channel) in WAYS {
        let world = World::new().await;
        let order = world.placed(method).await;
        if channel == "alipay" {
            world.platform.post("scan", json!({"order_no": order})).await;
        }
        world.platform.pay(channel, &order).await.unwrap();
        world.pass(4_000).await;
        assert_eq!(world.status(&order).await, "paid");
        world.platform.fault(channel, "refund", "lose_answer", Some(2)).await;
        let refunds = format!("/api/payment/orders/{order}/refunds");
        world.app.post(&refunds, json!({"amount": 28.5, "reason": "提前出所"})).await.expect(201);
        for _ in 0..40 {
            world.live(30).await;
        }
        assert_eq!(world.books(), (12_850, 2_850), "{method}");
        let facts = world.platform.facts().await;
        assert_eq!(facts["refunds"].as_array().unwrap().len(), 1, "{method}: {facts}");
    }
}
