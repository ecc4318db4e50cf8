//! A day without the line.

use serde_json::json;

use super::World;

/// Two hundred orders of all kinds over a day without the line; then it returns, and within a minute each is in a right state.
#[tokio::test]
async fn a_day_offline_ends_well_within_a_minute_of_the_lines_return() {
    let world = World::new().await;
    world.platform.down(true).await;
    let mut orders = Vec::new();
    for number in 0..200 {
        // One every seven minutes.
        world.pass(420_000).await;
        let method = ["wechat", "alipay", "bank"][number % 3];
        let mut body = world.order(method, 1.0 + number as f64);
        if number % 10 == 9 {
            body = json!({"amount": 100, "payment_method": "bank", "order_type": "customer_order",
                "related_id": world.customer, "pos": {"reference": format!("{number:012}")}});
            world.app.post("/api/payment/orders", body).await.expect(201);
            continue;
        }
        let answer = world.app.post("/api/payment/orders", body).await;
        orders.push((answer.expect(202)["order_id"].as_str().unwrap().to_owned(), world.now_ms()));
        world.work_off().await;
    }
    world.platform.down(false).await;
    let returned = world.now_ms();
    world.live(60).await;
    for (order, made_at) in orders {
        // Those of the last half hour can be paid; a code that the platform may have had is closed there.
        let fresh = returned + 60_000 - made_at < 30 * 60_000;
        let status = world.status(&order).await;
        let right = if fresh { status == "pending" } else { status == "closed" || status == "closing" };
        assert!(right, "{order} made {} minutes before: {status}", (returned - made_at) / 60_000);
    }
    let facts = world.platform.facts().await;
    assert!(facts["orders"].as_array().unwrap().len() <= 8, "expired orders were forwarded: {facts}");
    assert_eq!(world.books().0, 20 * 10_000);
}
