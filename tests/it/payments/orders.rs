//! Orders: made, paid, looked at, closed, and facts that need no line.

use canshi::domain::payments::OrderStatus;
use canshi::store::payment_orders::{self, PaymentOrder};
use serde_json::json;

use super::{WAYS, World};
use crate::app::TestApp;

#[tokio::test]
async fn a_family_pays_by_each_platform_and_the_books_have_it_once() {
    let world = World::new().await;
    for (number, (method, channel)) in WAYS.into_iter().enumerate() {
        let placed = world.place(method).await.expect(201);
        let order = placed["order_id"].as_str().unwrap();
        assert!(order.starts_with("P20240101") && order.len() <= 32, "{order}");
        assert!(placed["payment_url"].as_str().is_some_and(|url| !url.is_empty()), "{placed}");
        assert_eq!(placed["expire_time"], "2024-01-01T08:30:00");
        assert_eq!(world.status(order).await, "pending");
        if channel == "alipay" {
            world.platform.post("scan", json!({"order_no": order})).await;
        }
        world.platform.pay(channel, order).await.unwrap();
        world.pass(4_000).await;
        // The platform is asked when the order is looked at.
        let shown = world.app.get(&format!("/api/payment/orders/{order}")).await.expect(200);
        assert_eq!((&shown["status"], &shown["amount"].to_string()), (&json!("paid"), &"128.5".to_owned()), "{shown}");
        assert!(shown["transaction_time"].is_string() && shown["payment_url"].is_null());
        world.live(60).await;
        assert_eq!(world.books(), (12_850 * (number as i64 + 1), 0));
        world.pass(-64_000).await;
    }
    let account = world.app.get(&format!("/api/customers/{}/account", world.customer)).await.expect(200);
    assert_eq!(account["paid_amount"].to_string(), "385.5");
    assert!(world.anomalies().is_empty());
    let refused = world.platform.refusals().await;
    assert!(refused.iter().all(|refusal| refusal["kind"] != "protocol"), "{refused:?}");
}

#[tokio::test]
async fn a_repeated_request_makes_one_order() {
    let world = World::new().await;
    let token = world.app.admin().to_owned();
    let headers = [("authorization", format!("Bearer {token}")), ("idempotency-key", "desk-1".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let send = |body| world.app.send(axum::http::Method::POST, "/api/payment/orders", &headers, Some(body));
    let first = send(world.order("wechat", 10.0)).await.expect(201);
    let second = send(world.order("wechat", 10.0)).await.expect(201);
    assert_eq!(first, second);
    send(world.order("wechat", 11.0)).await.refused(409, None);
    assert_eq!(world.platform.facts().await["orders"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_lost_after_the_platform_had_it_makes_no_second_order() {
    for (method, channel) in WAYS {
        let world = World::new().await;
        world.platform.fault(channel, "create", "lose_answer", Some(1)).await;
        let placed = world.place(method).await;
        let order = placed.expect(202)["order_id"].as_str().unwrap().to_owned();
        assert!(placed.text.contains("已离线受理，联网后自动转发") && placed.data()["payment_url"].is_null());
        world.live(180).await;
        let shown = world.app.get(&format!("/api/payment/orders/{order}")).await.expect(200);
        assert_eq!(shown["status"], "pending", "{method}: {shown}");
        if method != "bank" {
            assert!(shown["payment_url"].is_string());
        }
        let facts = world.platform.facts().await;
        assert_eq!(facts["orders"].as_array().unwrap().len(), 1, "{method}: {facts}");
    }
}

#[tokio::test]
async fn what_nobody_paid_is_closed_after_its_time_at_the_platform_too() {
    for (method, channel) in WAYS {
        let world = World::new().await;
        let order = world.placed(method).await;
        for _ in 0..40 {
            world.pass(5 * 60_000).await;
            world.work_off().await;
        }
        assert_eq!(world.status(&order).await, "closed", "{method}");
        assert!(world.platform.pay(channel, &order).await.is_err(), "{method} lets a closed order be paid");
        assert_eq!(world.books(), (0, 0));
    }
}

#[tokio::test]
async fn paid_after_it_was_closed_is_booked_and_has_to_go_back() {
    let world = World::new().await;
    let order = world.placed("wechat").await;
    world.platform.pay("wechat", &order).await.unwrap();
    // The site believes that it closed the order: the platform's word beats that.
    let number = order.parse().unwrap();
    let believed = world.app.db().write(move |tx| {
        let known = payment_orders::find_by_number(tx, &number)?.unwrap();
        payment_orders::update(tx, known.status, &PaymentOrder { status: OrderStatus::Closed, ..known.clone() })
    });
    believed.await.unwrap();
    world.notify("payment", &order, "plain").await;
    let shown = world.app.get(&format!("/api/payment/orders/{order}")).await.expect(200);
    assert_eq!((&shown["status"], &shown["refund_due"]), (&json!("paid"), &json!(true)));
    assert_eq!(world.books(), (12_850, 0));
    let due = world.app.get("/api/payment/orders?refund_due=true").await.expect(200);
    assert_eq!(due["total"], 1);
}

#[tokio::test]
async fn a_slip_is_a_fact_that_stands_for_one_payment() {
    let app = TestApp::new().await;
    let customer = app.post("/api/customers", json!({"name": "张三"})).await.expect(201)["id"].clone();
    let order = |reference: &str| {
        json!({"amount": 12_888, "payment_method": "bank", "order_type": "customer_order", "related_id": customer,
            "pos": {"reference": reference, "terminal": "10042", "batch": "000123", "card_tail": "6789"}})
    };
    let paid = app.post("/api/payment/orders", order("012345678901")).await.expect(201);
    assert_eq!((&paid["status"], &paid["payment_url"]), (&json!("paid"), &json!(null)));
    app.post("/api/payment/orders", order("012345678901")).await.refused(409, None);
    app.post("/api/payment/orders", order("6222021234567890128")).await.refused(400, "reference");
    let total = app.get("/api/finance/transactions?payment_method=bank").await.expect(200);
    assert_eq!((&total["total"], total["items"][0]["amount"].to_string()), (&json!(1), "12888.0".to_owned()));
    let entry = total["items"][0]["id"].as_i64().unwrap();
    let void = app.post(&format!("/api/finance/transactions/{entry}/void"), json!({"reason": "错"})).await;
    void.refused(409, None);
}

#[tokio::test]
async fn a_transfer_to_the_account_is_paid_when_somebody_who_may_says_so() {
    let app = TestApp::new().await;
    let customer = app.post("/api/customers", json!({"name": "张三"})).await.expect(201)["id"].clone();
    let new = json!({"amount": 5000, "payment_method": "bank", "order_type": "customer_order", "related_id": customer});
    let order = app.post("/api/payment/orders", new).await.expect(201)["order_id"].as_str().unwrap().to_owned();
    let confirm = format!("/api/payment/orders/{order}/confirm");
    app.post(&confirm, json!({})).await.refused(400, "reference");
    app.post(&confirm, json!({"reference": "B2024010100001"})).await.expect(200);
    assert_eq!(app.post(&confirm, json!({})).await.expect(200)["status"], "paid");
    let income = app.get("/api/finance/transactions?type=income").await.expect(200);
    assert_eq!(income["total"], 1);
    assert!(app.post(&format!("/api/payment/orders/{order}/close"), json!({})).await.status == 409);
}

#[tokio::test]
async fn a_customer_pays_for_himself_alone_and_sees_no_one_elses_orders() {
    let world = World::new().await;
    let own = world.app.user("customer", json!({"customer_id": world.customer})).await;
    let other = world.app.post("/api/customers", json!({"name": "李四"})).await.expect(201)["id"].clone();
    let post = |body| world.app.by(&own, axum::http::Method::POST, "/api/payment/orders", Some(body));
    let order = post(world.order("wechat", 1.0)).await.expect(201)["order_id"].as_str().unwrap().to_owned();
    let mut foreign = world.order("wechat", 1.0);
    foreign["related_id"] = other.clone();
    post(foreign.clone()).await.refused(400, "related_id");
    post(json!({"amount": 1, "payment_method": "wechat", "order_type": "supplier_payment", "related_id": 1}))
        .await
        .refused(403, None);
    let theirs = world.app.post("/api/payment/orders", foreign).await.expect(201)["order_id"].clone();
    let get = async |path: String| world.app.by(&own, axum::http::Method::GET, &path, None).await;
    assert_eq!(get(format!("/api/payment/orders/{order}")).await.status, 200);
    get(format!("/api/payment/orders/{}", theirs.as_str().unwrap())).await.refused(404, None);
    assert_eq!(get("/api/payment/orders".to_owned()).await.expect(200)["total"], 1);
    get(format!("/api/customers/{other}/account")).await.refused(404, None);
}

#[tokio::test]
async fn without_any_way_to_a_platform_nothing_is_promised() {
    let app = TestApp::new().await;
    let customer = app.post("/api/customers", json!({"name": "张三"})).await.expect(201)["id"].clone();
    let body = json!({"amount": 1, "payment_method": "wechat", "order_type": "customer_order", "related_id": customer});
    let why = app.post("/api/payment/orders", body.clone()).await.refused(409, None);
    assert_eq!(why, "未开通微信支付");
    for (field, value) in
        [("amount", json!(0)), ("amount", json!(1.005)), ("related_id", json!(99)), ("trade", json!("qr"))]
    {
        let mut wrong = body.clone();
        wrong[field] = value;
        app.post("/api/payment/orders", wrong).await.refused(400, field);
    }
}
