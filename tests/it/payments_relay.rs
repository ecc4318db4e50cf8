//! Payments by way of the relay, on a real relay, a real MySQL and the platforms in `tests/platform`, with boxes that the test plays itself.

use canshi::domain::ids::PaymentOrderId;
use canshi::domain::payments::OrderNo;
use canshi::payments::{Event, Notice, PaymentState};
use canshi_sync::wire::{Message, OnBehalf};
use jiff::civil::date;
use serde_json::{Value, json};

use crate::mailbox::{Center, HandBox};
use crate::mariadb::MariaDb;
use crate::platform::Platform;
use crate::process::{lasting_address, request};
use crate::relay::Relay;

/// The settings with which a relay finds WeChat Pay and is found by it.
fn settings(platform: &Platform, notified_at: &str) -> Vec<(&'static str, String)> {
    let wechat = platform.payments_config().wechat;
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    vec![
        ("CANSHI_PAYMENT_NOTIFY_URL", notified_at.to_owned()),
        ("CANSHI_WECHATPAY_BASE_URL", wechat.base_url),
        ("CANSHI_WECHATPAY_MCHID", wechat.mchid),
        ("CANSHI_WECHATPAY_APPID", wechat.appid),
        ("CANSHI_WECHATPAY_CERTIFICATE_SERIAL", wechat.certificate_serial),
        ("CANSHI_WECHATPAY_PRIVATE_KEY", path(&wechat.private_key)),
        ("CANSHI_WECHATPAY_API_V3_KEY", path(&wechat.api_v3_key)),
        ("CANSHI_WECHATPAY_PUBLIC_KEY_ID", wechat.public_key_id),
        ("CANSHI_WECHATPAY_PUBLIC_KEY", path(&wechat.public_key.unwrap())),
    ]
}

fn relay(mysql: &str, platform: &Platform) -> Relay {
    let address = lasting_address();
    let settings = settings(platform, &format!("http://{address}"));
    let variables: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Relay::start_with(mysql, address, &variables)
}

async fn center() -> (Platform, Center) {
    let platform = Platform::start().await;
    platform.notify_by_hand().await;
    let database = MariaDb::shared().new_database();
    let relay = relay(&MariaDb::shared().url(&database), &platform);
    (platform, Center { database, relay })
}

fn number(site: i64, row: i64) -> String {
    OrderNo::of_order(site, date(2026, 3, 2), PaymentOrderId::try_from(row).unwrap(), 123_456).to_string()
}

fn create(number: &str, amount_fen: i64) -> Value {
    let now = jiff::Timestamp::now().as_millisecond();
    // Fixed before the first attempt and repeated as it is: a whole hour is the same for both.
    let at_ms = now - now % 3_600_000;
    json!({
        "call": "create", "order_no": number, "scene": {"scene": "code"}, "amount_fen": amount_fen, "subject": "月子餐",
        "at_ms": at_ms, "expires_at_ms": at_ms + 7_200_000,
    })
}

/// What the relay says to a site's call.
async fn pay(site: &HandBox, call: Value) -> Value {
    let body = json!({"epoch": site.epoch, "channel": "wechat", "call": call});
    site.say("pay", &body).await.expect(200).clone()
}

async fn orders(platform: &Platform) -> usize {
    platform.facts().await["orders"].as_array().unwrap().len()
}

#[track_caller]
fn refused(answer: &Value, refusal: &str, code: &str) {
    let refused = &answer["trouble"]["refused"];
    assert_eq!((&refused["refusal"], &refused["code"]), (&json!(refusal), &json!(code)), "{answer}");
}

fn notice_of(message: &Message) -> Notice {
    serde_json::from_str(message.body.as_ref().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_over_the_relay_once_whatever_is_repeated() {
    let (platform, center) = center().await;
    let site = HandBox::enrol(&center, "一店").await;
    let number = number(site.site, 1);
    let first = pay(&site, create(&number, 12_888)).await;
    assert!(first["outcome"]["payment_url"].as_str().unwrap().starts_with("weixin://"), "{first}");
    assert!(pay(&site, create(&number, 12_888)).await["outcome"].is_object(), "a repeat is made again");
    refused(&pay(&site, create(&number, 12_889)).await, "final", "CHANGED_REPEAT");
    let facts = platform.facts().await;
    assert_eq!(facts["orders"].as_array().unwrap().len(), 1, "{facts}");
    let kept =
        center.query("select number, site_id, channel, kind, amount_fen, outcome, holder from canshi_payment_intents");
    let expected = [&number, &site.site.to_string(), "wechat", "create", "12888", "created"];
    let kept: Vec<Option<&str>> = kept[0].iter().map(Option::as_deref).collect();
    assert_eq!(kept[..6], expected.map(Some));
    assert_eq!(kept[6], None, "the right to make the call is given back");
    let query = json!({"call": "query", "order_no": number, "amount_fen": 12_888, "at_ms": 1});
    assert_eq!(pay(&site, query).await["outcome"]["state"], "unpaid");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_sites_own_never_reaches_the_platform() {
    let (platform, center) = center().await;
    let (site, other) = (HandBox::enrol(&center, "一店").await, HandBox::enrol(&center, "二店").await);
    for number in [number(other.site, 1), number(0, 1), "X".to_owned()] {
        refused(&pay(&site, create(&number, 100)).await, "configuration", "NOT_YOURS");
    }
    let body = json!({"epoch": "of before", "channel": "wechat", "call": create(&number(site.site, 1), 100)});
    refused(site.say("pay", &body).await.expect(200), "configuration", "FENCED");
    let (status, _) = request(center.relay.address, "POST", "/sync/v1/pay", "nobody", Some(&body)).unwrap();
    assert_eq!(status, 401);
    assert_eq!(orders(&platform).await, 0);
    assert_eq!(center.count("select count(*) from canshi_payment_intents"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_is_kept_before_its_platform_is_asked() {
    let (platform, center) = center().await;
    let site = HandBox::enrol(&center, "一店").await;
    platform.down(true).await;
    let answer = pay(&site, create(&number(site.site, 1), 100)).await;
    assert!(answer["trouble"]["unknown"].is_string(), "{answer}");
    assert_eq!(center.query("select outcome from canshi_payment_intents")[0][0].as_deref(), Some("unknown"));
    platform.down(false).await;
    assert!(pay(&site, create(&number(site.site, 1), 100)).await["outcome"].is_object());
    let sealed = center.query("select request_sealed from canshi_payment_intents")[0][0].clone().unwrap();
    assert!(sealed.starts_with("v1."), "{sealed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_another_relay_makes_is_not_made_beside_it() {
    let (platform, center) = center().await;
    let site = HandBox::enrol(&center, "一店").await;
    pay(&site, create(&number(site.site, 1), 100)).await;
    center.query(
        "update canshi_payment_intents set holder = 'another', held_until = timestampadd(hour, 1, utc_timestamp(3))",
    );
    platform.post("reset", json!({})).await;
    let answer = pay(&site, create(&number(site.site, 1), 100)).await;
    assert!(answer["trouble"]["unknown"].is_string(), "{answer}");
    assert_eq!(orders(&platform).await, 0);
    // Whoever had the right is gone, and its time is over.
    center.query("update canshi_payment_intents set held_until = utc_timestamp(3)");
    assert!(pay(&site, create(&number(site.site, 1), 100)).await["outcome"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_is_in_its_sites_mailbox_once_before_it_is_acknowledged() {
    let (platform, center) = center().await;
    let (site, other) = (HandBox::enrol(&center, "一店").await, HandBox::enrol(&center, "二店").await);
    let number = number(site.site, 1);
    pay(&site, create(&number, 12_888)).await;
    platform.pay("wechat", &number).await.unwrap();
    let second = relay(&center.url(), &platform);
    for variant in ["plain", "duplicate"] {
        let answered = platform.deliver("payment", &number, variant).await.unwrap();
        assert!((200..300).contains(&answered.status), "{answered:?}");
    }
    let to = format!("{}/api/payment/callback/wechat", second.url());
    let asked = json!({"event": "payment", "no": number, "variant": "duplicate", "to": to});
    let answered = platform.post("deliver", asked).await;
    assert!((200..300).contains(&answered["status"].as_u64().unwrap()), "{answered}");
    site.hello().await;
    let messages = site.mail(&[], 0).await;
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.method.as_str(), message.target.as_str()), ("POST", "/api/payment/notices"));
    assert_eq!((&message.on_behalf, message.queued, message.expired), (&OnBehalf::Relay, true, false));
    match notice_of(message).event {
        Event::Payment { order_no, standing: PaymentState::Paid(paid) } => {
            assert_eq!((order_no, paid.amount_fen), (number, 12_888));
        }
        told => panic!("{told:?}"),
    }
    other.hello().await;
    assert_eq!(other.mail(&[], 0).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forged_or_does_not_fit_is_refused_and_seen_by_headquarters() {
    let (platform, center) = center().await;
    let site = HandBox::enrol(&center, "一店").await;
    let number = number(site.site, 1);
    pay(&site, create(&number, 12_888)).await;
    platform.pay("wechat", &number).await.unwrap();
    for variant in ["bad_signature", "probe", "gcm_flip", "wrong_mchid", "wrong_amount"] {
        let answered = platform.deliver("payment", &number, variant).await.unwrap();
        assert!(answered.status >= 400, "{variant}: {answered:?}");
        assert!(!answered.body.contains("\"data\""), "not in our envelope: {answered:?}");
    }
    let kinds = center.query("select kind from canshi_payment_anomalies order by id");
    let kinds: Vec<&str> = kinds.iter().map(|row| row[0].as_deref().unwrap()).collect();
    assert_eq!(kinds, ["forged", "forged", "mismatch", "amount"]);
    assert_eq!(center.count("select count(*) from canshi_messages"), 0);
    let body = json!({"username": "admin", "password": crate::app::PASSWORD});
    let (_, login) = request(center.relay.address, "POST", "/api/auth/login", "", Some(&body)).unwrap();
    let token = login["data"]["token"].as_str().unwrap();
    let path = "/api/sites/payment-anomalies";
    let (status, listed) = request(center.relay.address, "GET", path, token, None).unwrap();
    assert_eq!((status, &listed["data"]["total"]), (200, &json!(4)), "{listed}");
    assert_eq!(listed["data"]["items"][0]["number"], number);
    let own = site.read(1, path).await;
    own.expect(403);
    // Its site is gone since.
    center.query("delete from canshi_sites");
    let answered = platform.deliver("payment", &number, "plain").await.unwrap();
    assert!(answered.status >= 400, "{answered:?}");
    let (status, _) = request(center.relay.address, "POST", "/api/payment/callback/alipay", "", None).unwrap();
    assert_eq!(status, 404, "no keys of it are here");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mysql_no_platform_is_asked_and_nothing_is_acknowledged() {
    let platform = Platform::start().await;
    platform.notify_by_hand().await;
    let mut server = MariaDb::start();
    let database = server.new_database();
    let mut center = Center { relay: relay(&server.url(&database), &platform), database };
    // The boxes of other tests enrol at the shared server.
    let site = HandBox::enrol_on(&server, &center, "一店").await;
    let (first, second) = (number(site.site, 1), number(site.site, 2));
    pay(&site, create(&first, 100)).await;
    platform.pay("wechat", &first).await.unwrap();
    server.kill();
    let body = json!({"epoch": site.epoch, "channel": "wechat", "call": create(&second, 100)});
    site.say("pay", &body).await.expect(503);
    let answered = platform.deliver("payment", &first, "plain").await.unwrap();
    assert!(answered.status >= 400, "{answered:?}");
    assert_eq!(orders(&platform).await, 1);
    server.restart();
    center.relay.kill();
    center.relay = relay(&server.url(&center.database), &platform);
    let to = format!("{}/api/payment/callback/wechat", center.relay.url());
    let asked = json!({"event": "payment", "no": first, "variant": "duplicate", "to": to});
    let answered = platform.post("deliver", asked).await;
    assert!((200..300).contains(&answered["status"].as_u64().unwrap()), "{answered}");
    assert_eq!(server.query(&center.database, "select count(*) from canshi_messages")[0][0].as_deref(), Some("1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_read_from_the_mirror_while_its_site_is_away() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    let id = site.site;
    let (mine, other) = (number(id, 1), number(id, 2));
    center.query(&format!(
        "insert into role_permissions (site_id, role_id, permission, mirror_seq) values ({id}, 1, 'payments.pay', 1)"
    ));
    center.query(&format!("update users set customer_id = 5 where site_id = {id} and id = 1"));
    for (row, number, customer) in [(1, &mine, 5), (2, &other, 6)] {
        center.query(&format!(
            "insert into payment_orders (site_id, id, order_no, out_no, order_type, payment_method, trade, amount, related_id,
                 subject, category, status, payment_url, refund_due, created_at, updated_at, mirror_seq)
             values ({id}, {row}, '{number}', '{number}', 'customer_order', 'wechat', 'native', 128.88, {customer}, '月子餐',
                 '餐费', 'pending', 'weixin://x', 0, '2026-03-02 00:00:00', '2026-03-02 00:00:00', 1)"
        ));
    }
    let said = site.read(1, &format!("/api/payment/orders/{mine}")).await;
    assert!(said.as_of.is_some());
    let order = said.expect(200);
    assert_eq!(
        (&order["order_id"], &order["amount"], &order["status"]),
        (&json!(mine), &json!(128.88), &json!("pending"))
    );
    assert_eq!((&order["refunded_amount"], &order["created_at"]), (&json!(0.0), &json!("2026-03-02T08:00:00")));
    // Somebody else's looks like one that the mirror does not have: the site has to be asked.
    for number in [&other, &number(id, 3), &"X".to_owned()] {
        site.read(1, &format!("/api/payment/orders/{number}")).await.expect(503);
    }
    center.query("update canshi_positions set state = 'loading'");
    for path in [&format!("/api/payment/orders/{mine}"), "/api/wechat/customer/menu"] {
        let said = site.read(1, path).await;
        assert_eq!(said.expect(503)["error"], "门店离线，且数据尚未首次同步完成");
    }
}
