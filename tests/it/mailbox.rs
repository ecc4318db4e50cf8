//! The mailbox, on a real relay and a real MySQL, with a box that the test plays itself: order, expiry, bounds, what happens with
//! the box away, and that no site sees another's.

use std::io::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use canshi::service::tokens::{Claims, Tokens};
use canshi::store::keys::{Keys, Secret, hex, random_bytes};
use canshi_sync::chain::Mark;
use canshi_sync::wire::{EnrolAnswer, EnrolRequest, Hello, Message, OnBehalf, PollAnswer, PollRequest, Replies, Reply};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::mariadb::MariaDb;
use crate::relay::{Relay, add_site};

const BOOKING: &str = "/api/wechat/customer/appointment";
const OWN: &str = "/api/wechat/customer/appointments";
const MENU: &str = "/api/wechat/customer/menu";

/// A database of its own with a relay.
pub struct Center {
    pub database: String,
    pub relay: Relay,
}

impl Center {
    pub fn start() -> Self {
        let database = MariaDb::shared().new_database();
        let relay = Relay::start(&MariaDb::shared().url(&database));
        Self { database, relay }
    }

    pub fn url(&self) -> String {
        MariaDb::shared().url(&self.database)
    }

    pub fn query(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        MariaDb::shared().query(&self.database, sql)
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.query(sql)[0][0].as_deref().unwrap().parse().unwrap()
    }
}

pub fn client() -> Client {
    // Another test may have installed it.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    Client::builder().no_proxy().build().unwrap()
}

/// Status, `X-Data-As-Of` and body of an answer.
pub struct Said {
    pub status: u16,
    pub as_of: Option<String>,
    pub body: Value,
}

impl Said {
    pub async fn of(response: Response) -> Self {
        let as_of = response.headers().get("x-data-as-of").map(|value| value.to_str().unwrap().to_owned());
        Self { status: response.status().as_u16(), as_of, body: response.json().await.unwrap() }
    }

    #[track_caller]
    pub fn expect(&self, status: u16) -> &Value {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["code"], status, "{}", self.body);
        &self.body["data"]
    }
}

/// A box that does what the test says.
pub struct HandBox {
    client: Client,
    pub relay: String,
    pub site: i64,
    credential: String,
    token_key: Secret,
    pub epoch: String,
    boot: String,
}

impl HandBox {
    pub async fn enrol(center: &Center, name: &str) -> Self {
        Self::enrol_on(MariaDb::shared(), center, name).await
    }

    /// The same with a center on a server of its own.
    pub async fn enrol_on(server: &MariaDb, center: &Center, name: &str) -> Self {
        let (site, code) = add_site(&server.url(&center.database), name);
        let (credential, token_key) = (hex(&random_bytes::<32>().unwrap()), Secret::random().unwrap());
        let mut boxed = Self {
            client: client(),
            relay: center.relay.url(),
            site,
            credential: credential.clone(),
            token_key: token_key.clone(),
            epoch: String::new(),
            boot: hex(&random_bytes::<8>().unwrap()),
        };
        let request = EnrolRequest {
            code,
            credential,
            time_zone: "Asia/Shanghai".to_owned(),
            keys: Keys::generate().unwrap().for_another_box().unwrap(),
            keys_id: hex(&random_bytes::<8>().unwrap()),
            token_key: token_key.to_base64(),
            layouts: Vec::new(),
            tip: Mark::START,
            complete: true,
        };
        let answer = boxed.say("enroll", &json!(request)).await;
        let enrolled: EnrolAnswer = serde_json::from_value(answer.expect(200).clone()).unwrap();
        assert_eq!(enrolled.site_id, site);
        boxed.epoch = enrolled.epoch;
        boxed.people(server, center);
        boxed
    }

    /// Gives the site a customer with a user, number 1, and an employee with one, number 2.
    fn people(&self, server: &MariaDb, center: &Center) {
        let site = self.site;
        let run = |sql: &str| drop(server.query(&center.database, sql));
        let roles =
            [(1, "customer", "appointments.book,menus.read"), (2, "employee", "attendance.punch,appointments.read")];
        for (id, role, permissions) in roles {
            run(&format!("insert into roles (site_id, id, name, mirror_seq) values ({site}, {id}, '{role}', 1)"));
            for permission in permissions.split(',') {
                run(&format!(
                    "insert into role_permissions (site_id, role_id, permission, mirror_seq)
                     values ({site}, {id}, '{permission}', 1)"
                ));
            }
            let employee = if id == 2 { "7" } else { "null" };
            run(&format!(
                "insert into users (site_id, id, username, role_id, name, status, employee_id, mirror_seq)
                 values ({site}, {id}, '{role}', {id}, '{role} {site}', 'active', {employee}, 1)"
            ));
        }
    }

    /// A token as the site itself gives it to one of its users.
    fn token(&self, user: i64) -> String {
        let now = jiff::Timestamp::now().as_second();
        let claims = Claims {
            iss: String::new(),
            sub: user,
            role: "customer".to_owned(),
            sid: "s".to_owned(),
            jti: "j".to_owned(),
            iat: now,
            exp: now + 3600,
            site: None,
        };
        Tokens::of_site(&self.token_key).sign(claims).unwrap()
    }

    pub async fn say(&self, word: &str, body: &Value) -> Said {
        let url = format!("{}/sync/v1/{word}", self.relay);
        Said::of(self.client.post(url).bearer_auth(&self.credential).json(body).send().await.unwrap()).await
    }

    pub async fn hello(&self) {
        let hello = Hello {
            epoch: self.epoch.clone(),
            boot: self.boot.clone(),
            version: "test".to_owned(),
            layouts: Vec::new(),
            at: Mark::START,
            tip: 0,
        };
        let answer = self.say("hello", &json!(hello)).await;
        assert_eq!(answer.expect(200)["answer"], "applied");
    }

    async fn poll(&self, running: &[&str], hold_ms: u64) -> PollAnswer {
        let request = PollRequest {
            epoch: self.epoch.clone(),
            boot: self.boot.clone(),
            echo: None,
            tip: 0,
            confirmed: 0,
            running: running.iter().map(|id| (*id).to_owned()).collect(),
            hold_ms,
        };
        let answer = self.say("poll", &json!(request)).await;
        serde_json::from_value(answer.expect(200).clone()).unwrap()
    }

    pub async fn mail(&self, running: &[&str], hold_ms: u64) -> Vec<Message> {
        match self.poll(running, hold_ms).await {
            PollAnswer::Mail { messages } => messages,
            other => panic!("{other:?} is no mail"),
        }
    }

    pub async fn answer(&self, id: &str, status: u16, data: Value) {
        let body = json!({"code": status, "message": "来自门店", "data": data}).to_string();
        let replies = Replies { replies: vec![Reply { id: id.to_owned(), status, body }] };
        self.say("answer", &json!(replies)).await.expect(200);
    }

    /// Comes online: takes the place and holds it for a moment.
    pub async fn online(&self) {
        self.hello().await;
        assert_eq!(self.mail(&[], 0).await.len(), 0);
    }

    /// Answers the next message with this, as a site would.
    pub async fn serve_one(&self, status: u16, data: Value) -> Message {
        let message = self.mail(&[], 20_000).await.remove(0);
        self.answer(&message.id, status, data).await;
        message
    }

    pub fn leave(&self, center: &Center) {
        center.query(&format!("update canshi_positions set lease_until = null where site_id = {}", self.site));
    }

    pub async fn ask(&self, user: i64, method: Method, path: &str, key: &str, body: Option<Value>) -> Said {
        let mut request = self.client.request(method, format!("{}{path}", self.relay)).bearer_auth(self.token(user));
        if !key.is_empty() {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Said::of(request.send().await.unwrap()).await
    }

    pub async fn read(&self, user: i64, path: &str) -> Said {
        self.ask(user, Method::GET, path, "", None).await
    }
}

/// An appointment for a day from now; each for another hour.
fn appointment(hour: i64) -> Value {
    let day = jiff::Timestamp::now().in_tz("Asia/Shanghai").unwrap().date().saturating_add(jiff::ToSpan::days(2));
    json!({"service_type": "陪护", "date": day.to_string(), "time": format!("{:02}:00", hour % 24), "requirements": "无"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_request_goes_to_the_site_and_its_answer_comes_back_as_it_is() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    let (said, message) =
        tokio::join!(site.read(1, "/api/menus?date=2024-01-01"), site.serve_one(418, json!({"说": "好😀"})));
    assert_eq!(
        (said.status, &said.body["message"], &said.body["data"]["说"]),
        (418, &json!("来自门店"), &json!("好😀"))
    );
    assert_eq!((message.method.as_str(), message.target.as_str()), ("GET", "/api/menus?date=2024-01-01"));
    assert_eq!((message.on_behalf, message.queued, message.body), (OnBehalf::User { user_id: 1 }, false, None));
    let left = center.count("select count(*) from canshi_messages where state <> 'done' or body_sealed is not null");
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_has_no_right_to_never_reaches_the_site() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    site.read(1, "/api/customers").await.expect(403);
    site.read(1, "/api/nothing").await.expect(404);
    site.ask(1, Method::PUT, OWN, "", None).await.expect(405);
    site.ask(1, Method::POST, "/api/auth/wechat/resolve", "", Some(json!({}))).await.expect(404);
    site.ask(1, Method::POST, BOOKING, "", Some(json!({"date": "2024-13-01"}))).await.expect(400);
    site.ask(2, Method::POST, "/api/wechat/admin/attendance", "", Some(json!({"type": "飞"}))).await.expect(400);
    site.read(1, "/api/sites").await.expect(403);
    assert_eq!(center.count("select count(*) from canshi_messages"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_under_a_key_is_posted_once() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    let path = &format!("{OWN}/5/cancel");
    let first = site.ask(1, Method::POST, path, "key-1", None);
    let (first, _) = tokio::join!(first, site.serve_one(200, json!({"id": 5})));
    first.expect(200);
    let again = site.ask(1, Method::POST, path, "key-1", None).await;
    assert_eq!(again.body, first.body);
    site.ask(1, Method::POST, path, "key-1", Some(json!({"other": 1}))).await.expect(409);
    assert_eq!(center.count("select count(*) from canshi_messages"), 1);
    // A key is its sender's own.
    let another = site.ask(1, Method::POST, path, "key-2", None);
    tokio::join!(another, site.serve_one(200, json!({}))).0.expect(200);
    assert_eq!(center.count("select count(*) from canshi_messages"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_site_is_away_what_needs_it_is_refused_with_since_when() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    site.leave(&center);
    center.query("update canshi_positions set told_at = '2024-01-01 00:00:00.000'");
    let said = site.read(1, "/api/menus").await;
    assert_eq!(said.expect(503)["error"], "门店离线，最后在线时间 2024-01-01T08:00:00");
    assert_eq!(center.count("select count(*) from canshi_messages"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_appointment_is_kept_for_a_site_that_is_away_and_done_once_when_it_returns() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    let body = appointment(14);
    let said = site.ask(1, Method::POST, BOOKING, "k", Some(body.clone())).await;
    let booked = said.expect(202).clone();
    assert_eq!(said.body["message"], "预约已提交，门店恢复联网后处理");
    assert_eq!(
        (&booked["status"], &booked["time"], &booked["date"]),
        (&json!("pending"), &json!("14:00"), &body["date"])
    );
    let id = booked["appointment_id"].as_i64().unwrap();
    assert!(id > 1_000_000_000_000);
    let again = site.ask(1, Method::POST, BOOKING, "k", Some(body.clone())).await;
    assert_eq!(again.body, said.body, "a repeat is the same appointment");
    let list = site.read(1, OWN).await;
    assert!(list.as_of.is_some());
    assert_eq!((&list.expect(200)["total"], &list.body["data"]["items"][0]["id"]), (&json!(1), &json!(id)));

    site.hello().await;
    let messages = site.mail(&[], 0).await;
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!((message.assigned_id, message.queued, message.expired), (Some(id), true, false));
    assert_eq!(serde_json::from_str::<Value>(message.body.as_ref().unwrap()).unwrap(), body);
    assert_eq!(site.mail(&[&message.id], 0).await, [], "what is at work does not come twice");
    assert_eq!(site.mail(&[], 0).await, messages, "what was lost comes again");
    site.answer(&message.id, 201, json!({"appointment_id": id})).await;
    site.answer(&message.id, 500, json!({})).await;
    assert_eq!(site.mail(&[], 0).await, []);
    assert_eq!(site.ask(1, Method::POST, BOOKING, "k", Some(body)).await.expect(201)["appointment_id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_punch_counts_when_the_relay_received_it() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    let body = json!({"type": "check_in"});
    let said = site.ask(2, Method::POST, "/api/wechat/admin/attendance", "", Some(body)).await;
    let told = said.expect(202);
    assert_eq!(told["status"], "success");
    site.hello().await;
    let message = site.mail(&[], 0).await.remove(0);
    let at = jiff::Timestamp::from_millisecond(message.received_at).unwrap();
    let at = at.in_tz("Asia/Shanghai").unwrap().strftime("%H:%M:%S").to_string();
    assert_eq!(told["message"], format!("打卡已受理，时间：{at}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_online_site_answers_a_booking_itself() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    let booking = site.ask(1, Method::POST, BOOKING, "", Some(appointment(9)));
    let (said, message) = tokio::join!(booking, site.serve_one(409, json!({"error": "约满"})));
    assert_eq!(said.expect(409)["error"], "约满");
    assert!(message.queued && message.assigned_id.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_come_in_the_order_in_which_they_were_posted() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    let mut booked = Vec::new();
    for hour in 0..5 {
        let said = site.ask(1, Method::POST, BOOKING, "", Some(appointment(hour))).await;
        booked.push(said.expect(202)["appointment_id"].as_i64().unwrap());
    }
    site.hello().await;
    let got: Vec<i64> = site.mail(&[], 0).await.iter().map(|message| message.assigned_id.unwrap()).collect();
    assert_eq!(got, booked);
    assert!(booked.is_sorted());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poll_brings_so_many_messages_and_no_more() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    fill(&center, site.site, 70);
    site.hello().await;
    let first = site.mail(&[], 0).await;
    assert_eq!(first.len(), 64);
    let running: Vec<&str> = first.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(site.mail(&running, 0).await.len(), 6);
}

/// Fills a mailbox with queued messages without bodies.
fn fill(center: &Center, site: i64, count: i64) {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    let rows: Vec<String> = (0..count)
        .map(|_| {
            let no = NEXT.fetch_add(1, Ordering::Relaxed);
            format!(
                "({site}, {no}, 'filled-{no}', 'queued', 'waiting', 'POST', '/x', 'f', '{{\"kind\":\"relay\"}}',
                  utc_timestamp(3), timestampadd(day, 1, utc_timestamp(3)))"
            )
        })
        .collect();
    center.query(&format!(
        "insert into canshi_messages (site_id, no, id, kind, state, method, target, fingerprint, on_behalf, received_at,
             expires_at) values {}",
        rows.join(", ")
    ));
    center.query(&format!(
        "insert into canshi_mailboxes values ({site}, 100000) on duplicate key update last_no = 100000"
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_takes_no_more_and_others_go_on() {
    let center = Center::start();
    let (full, other) = (HandBox::enrol(&center, "一店").await, HandBox::enrol(&center, "二店").await);
    fill(&center, full.site, 999);
    full.ask(1, Method::POST, BOOKING, "last", Some(appointment(1))).await.expect(202);
    let said = full.ask(1, Method::POST, BOOKING, "", Some(appointment(2))).await;
    assert_eq!(said.expect(503)["error"], "门店待处理请求过多，请稍后重试");
    full.ask(1, Method::POST, BOOKING, "last", Some(appointment(1))).await.expect(202);
    other.ask(1, Method::POST, BOOKING, "", Some(appointment(1))).await.expect(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expired_is_told_when_it_was_promised_and_closed_when_somebody_waited() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.ask(1, Method::POST, BOOKING, "", Some(appointment(1))).await.expect(202);
    fill(&center, site.site, 1);
    center.query("update canshi_messages set kind = 'live' where id like 'filled-%'");
    center.query("update canshi_messages set expires_at = timestampadd(second, -1, utc_timestamp(3))");
    site.hello().await;
    let messages = site.mail(&[], 0).await;
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert!(message.expired && message.queued);
    // It stays so, whatever the clock does.
    center.query("update canshi_messages set expires_at = timestampadd(day, 1, utc_timestamp(3))");
    assert_eq!(site.mail(&[], 0).await, messages);
    site.answer(&message.id, 410, json!({})).await;
    assert_eq!(center.count("select count(*) from canshi_messages where state <> 'done'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_posted_at_one_relay_reaches_a_box_at_another() {
    let center = Center::start();
    let second = Relay::start(&center.url());
    let mut site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    let caller = HandBox { relay: second.url(), ..copy(&site) };
    let (said, _) = tokio::join!(caller.read(1, "/api/menus"), site.serve_one(200, json!([])));
    said.expect(200);
    // The answer may also come by way of the other one.
    site.relay = second.url();
    let caller = HandBox { relay: center.relay.url(), ..copy(&site) };
    let (said, _) = tokio::join!(caller.read(1, "/api/menus"), site.serve_one(200, json!([])));
    said.expect(200);
}

fn copy(site: &HandBox) -> HandBox {
    HandBox {
        client: site.client.clone(),
        relay: site.relay.clone(),
        site: site.site,
        credential: site.credential.clone(),
        token_key: site.token_key.clone(),
        epoch: site.epoch.clone(),
        boot: site.boot.clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_site_sees_or_answers_the_mail_of_another() {
    let center = Center::start();
    let (one, two) = (HandBox::enrol(&center, "一店").await, HandBox::enrol(&center, "二店").await);
    one.ask(1, Method::POST, BOOKING, "k", Some(appointment(1))).await.expect(202);
    two.hello().await;
    assert_eq!(two.mail(&[], 0).await, []);
    one.hello().await;
    let message = one.mail(&[], 0).await.remove(0);
    two.answer(&message.id, 201, json!({"forged": true})).await;
    assert_eq!(one.mail(&[], 0).await.len(), 1, "the other's answer counts for nothing");
    // The same user number and the same key at the other site are somebody else's.
    let said = two.ask(1, Method::POST, BOOKING, "k", Some(appointment(2)));
    let (said, theirs) = tokio::join!(said, two.serve_one(201, json!({})));
    said.expect(201);
    assert_ne!(theirs.id, message.id);
    two.leave(&center);
    one.leave(&center);
    assert_eq!(two.read(1, OWN).await.expect(200)["total"], 0);
    assert_eq!(one.read(1, OWN).await.expect(200)["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mirror_answers_for_a_site_that_is_away_with_its_time() {
    let center = Center::start();
    let (one, two) = (HandBox::enrol(&center, "一店").await, HandBox::enrol(&center, "二店").await);
    let site = one.site;
    let today = jiff::Timestamp::now().in_tz("Asia/Shanghai").unwrap().date();
    center.query(&format!(
        "insert into menus (site_id, id, date, type, mirror_seq) values ({site}, 1, '{today}', 'lunch', 1)"
    ));
    center.query(&format!(
        "insert into dishes (site_id, id, name, category, description, mirror_seq) values ({site}, 3, '鱼汤', '汤品', null, 1)"
    ));
    center.query(&format!(
        "insert into menu_dishes (site_id, menu_id, dish_id, position, quantity, mirror_seq) values ({site}, 1, 3, 1, 1, 1)"
    ));
    center.query(&format!(
        "insert into appointments (site_id, id, user_id, service_type, date, time, status, created_at, updated_at, mirror_seq)
         values ({site}, 9, 1, '陪护', '2024-01-02', '14:00:00', 'pending', '2024-01-01 00:00:00', '2024-01-01 00:00:00', 1)"
    ));
    center.query(&format!(
        "insert into notifications (site_id, id, title, content, role_id, created_at, mirror_seq)
         values ({site}, 4, '通知', '内容', 2, '2024-01-01 00:00:00', 1)"
    ));
    center.query("update canshi_positions set told_at = '2024-01-01 00:00:00', committed_at = '2023-12-31 00:00:00'");
    let menu = one.read(1, MENU).await;
    assert_eq!(menu.as_of.as_deref(), Some("2024-01-01T08:00:00"));
    let dish = json!({"id": 3, "name": "鱼汤", "category": "汤品", "description": null});
    let expected = json!({"date": today.to_string(), "breakfast": [], "lunch": [dish], "dinner": []});
    assert_eq!(menu.expect(200), &expected);
    let list = one.read(1, &format!("{OWN}?fields=id,customer_name,status")).await;
    assert_eq!(
        list.expect(200)["items"],
        json!([{"id": 9, "customer_name": format!("customer {site}"), "status": "pending"}])
    );
    let dashboard = one.read(2, "/api/wechat/admin/dashboard").await;
    assert_eq!(
        (&dashboard.expect(200)["pending_tasks"], &dashboard.body["data"]["today_customers"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(dashboard.body["data"]["recent_notifications"][0]["time"], "2024-01-01T08:00:00");
    let elsewhere = two.read(1, MENU).await;
    assert_eq!(elsewhere.expect(200)["lunch"], json!([]));
    assert_eq!(two.read(1, OWN).await.expect(200)["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_poll_asks_its_box_whether_it_lives_when_another_start_wants_its_place() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    let other = HandBox { boot: "another".to_owned(), ..copy(&site) };
    let contend = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let hello = Hello {
            epoch: other.epoch.clone(),
            boot: other.boot.clone(),
            version: "test".to_owned(),
            layouts: Vec::new(),
            at: Mark::START,
            tip: 0,
        };
        other.say("hello", &json!(hello)).await.expect(503);
    };
    let (answer, ()) = tokio::join!(site.poll(&[], 20_000), contend);
    assert_eq!(answer, PollAnswer::Challenged { word: "another".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_whose_poll_is_cut_off_is_soon_away() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    let request = json!({"epoch": site.epoch, "boot": site.boot, "echo": null, "tip": 0, "confirmed": 0, "running": [], "hold_ms": 20_000});
    let (body, credential) = (request.to_string(), &site.credential);
    let mut line = std::net::TcpStream::connect(center.relay.address).unwrap();
    let head = format!("Host: relay\r\nAuthorization: Bearer {credential}\r\nContent-Length: {}\r\n\r\n", body.len());
    line.write_all(format!("POST /sync/v1/poll HTTP/1.1\r\n{head}{body}").as_bytes()).unwrap();
    let lease = "select timestampdiff(second, utc_timestamp(3), lease_until) from canshi_positions";
    while center.count(lease) < 20 {
        tokio::task::yield_now().await;
    }
    drop(line);
    while center.count(lease) > 5 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_stops_lets_go_of_the_boxes_that_it_holds() {
    let center = Center::start();
    let site = HandBox::enrol(&center, "一店").await;
    site.online().await;
    let stop = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let pid = center.relay.child.id().to_string();
        assert!(std::process::Command::new("kill").arg(pid).status().unwrap().success());
    };
    let (messages, ()) = tokio::join!(site.mail(&[], 20_000), stop);
    assert_eq!(messages, []);
}
