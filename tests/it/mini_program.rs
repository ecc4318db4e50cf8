//! The mini-program and headquarters by way of a real relay, with a real site behind it that comes and goes.

use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::app::PASSWORD;
use crate::mailbox::{Center, Said, client};
use crate::mariadb::MariaDb;
use crate::process::{Site, canshi, lasting_address, spawn_ready};
use crate::relay::{Relay, add_site};
use crate::wechat_platform::{APPID, Platform, SECRET};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A chain of one site, its relay, and WeChat.
struct Chain {
    center: Center,
    platform: Platform,
    site: Option<Site>,
    id: i64,
    data: tempfile::TempDir,
    client: Client,
}

impl Chain {
    async fn start() -> Self {
        let platform = Platform::start().await;
        let database = MariaDb::shared().new_database();
        let (url, address) = (MariaDb::shared().url(&database), lasting_address());
        let mut command = canshi(&["relay", "--mysql", &url, "--listen", &address.to_string()]);
        command.env("CANSHI_WECHAT_BASE_URL", platform.config().base_url);
        command.env("CANSHI_WECHAT_APPID", APPID).env("CANSHI_WECHAT_SECRET", SECRET);
        let relay = Relay { child: spawn_ready(command, address), address };
        let center = Center { database, relay };
        let (id, code) = add_site(&url, "一店");
        let data = tempfile::tempdir().unwrap();
        let site = Some(Site::start_enrolled(data.path(), &center.relay.url(), &code));
        let chain = Self { center, platform, site, id, data, client: client() };
        chain.until(|view| view["online"] == true && view["pending"] == 0).await;
        chain
    }

    async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Said {
        let mut request = self.client.request(method, format!("{}{path}", self.center.relay.url()));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        Said::of(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str, token: &str) -> Said {
        self.ask(Method::GET, path, token, None).await
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Said {
        self.ask(Method::POST, path, token, Some(body)).await
    }

    async fn headquarters(&self) -> String {
        let said = self.post("/api/auth/login", "", json!({"username": "admin", "password": PASSWORD})).await;
        said.expect(200)["token"].as_str().unwrap().to_owned()
    }

    /// Waits until headquarters sees the site so.
    async fn until(&self, seen: impl Fn(&Value) -> bool) {
        let (token, started) = (self.headquarters().await, Instant::now());
        loop {
            let sites = self.get("/api/sites", &token).await;
            if seen(&sites.expect(200)[0]) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{}", sites.body);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn leave(&mut self) {
        self.site = None;
        self.until(|view| view["online"] == false).await;
    }

    async fn come_back(&mut self) {
        self.site = Some(Site::start(self.data.path()));
        self.until(|view| view["online"] == true && view["pending"] == 0 && view["queue"] == 0).await;
    }

    async fn wechat(&self, openid: &str) -> Said {
        let body = json!({"code": self.platform.code(openid)});
        self.post("/api/auth/wechat/login", "", body).await
    }
}

fn token(said: &Said) -> String {
    said.expect(200)["token"].as_str().unwrap().to_owned()
}

fn appointment() -> Value {
    let day = jiff::Timestamp::now().in_tz("Asia/Shanghai").unwrap().date();
    json!({"service_type": "陪护", "date": day.to_string(), "time": "14:00"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_logs_in_with_wechat_books_and_the_site_may_be_away() {
    let mut chain = Chain::start().await;
    let first = chain.wechat("o-first").await;
    assert_eq!(first.expect(200)["user"]["role"], "customer");
    let known = token(&first);
    chain.until(|view| view["pending"] == 0).await;
    let booked = chain.post("/api/wechat/customer/appointment", &known, appointment()).await;
    assert!(booked.expect(201)["appointment_id"].as_i64().unwrap() > 1_000_000_000_000);
    let list = chain.get("/api/wechat/customer/appointments", &known).await;
    assert_eq!((&list.expect(200)["total"], &list.as_of), (&json!(1), &None));
    chain.until(|view| view["pending"] == 0).await;

    chain.leave().await;
    let again = chain.wechat("o-first").await;
    assert_eq!(again.expect(200)["user"]["id"], first.body["data"]["user"]["id"]);
    let new = chain.wechat("o-new").await;
    let (new_token, new_id) = (token(&new), new.body["data"]["user"]["id"].clone());
    assert_eq!(chain.wechat("o-new").await.expect(200)["user"]["id"], new_id, "one account is one user");
    let booked = chain.post("/api/wechat/customer/appointment", &new_token, appointment()).await;
    let id = booked.expect(202)["appointment_id"].clone();
    assert!(chain.get("/api/wechat/customer/menu", &new_token).await.as_of.is_some());
    assert_eq!(chain.get("/api/wechat/customer/appointments", &new_token).await.expect(200)["items"][0]["id"], id);
    assert_eq!(chain.get("/api/wechat/customer/appointments", &known).await.expect(200)["total"], 1);
    let bound = json!({"code": chain.platform.code("o-third"), "bind_code": "ABCDEFGH"});
    chain.post("/api/auth/wechat/login", "", bound).await.expect(503);

    chain.come_back().await;
    let list = chain.get("/api/wechat/customer/appointments", &new_token).await;
    assert_eq!((&list.expect(200)["total"], &list.body["data"]["items"][0]["id"]), (&json!(1), &id));
    assert_eq!(chain.wechat("o-new").await.expect(200)["user"]["id"], new_id);
    let wrong = json!({"code": chain.platform.code("o-third"), "bind_code": "ABCDEFGH"});
    chain.post("/api/auth/wechat/login", "", wrong).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn headquarters_works_in_a_site_and_tells_everybody() {
    let mut chain = Chain::start().await;
    let token = chain.headquarters().await;
    let customers = format!("/api/sites/{}/customers", chain.id);
    chain.post(&customers, &token, json!({"name": "王女士"})).await.expect(201);
    assert_eq!(chain.get(&customers, &token).await.expect(200)["total"], 1);
    chain.get("/api/customers", &token).await.expect(403);
    chain.get("/api/sites/99/customers", &token).await.expect(404);
    chain.post(&format!("/api/sites/{}/auth/wechat/resolve", chain.id), &token, json!({})).await.expect(404);

    chain.leave().await;
    chain.get(&customers, &token).await.expect(503);
    let told = chain.post("/api/broadcast", &token, json!({"title": "维护", "content": "今晚"})).await;
    assert_eq!(told.expect(202), &json!({"sites": 1, "full": []}));
    chain.until(|view| view["queue"] == 1).await;
    chain.come_back().await;

    let login = json!({"username": "admin", "password": PASSWORD, "site_id": chain.id});
    let local = self::token(&chain.post("/api/auth/login", "", login).await);
    let notifications = chain.get("/api/notifications", &local).await;
    assert_eq!(notifications.expect(200)["items"][0]["title"], "维护");
    chain.get("/api/sites", &local).await.expect(403);
    chain.get(&customers, &local).await.expect(403);
    let wrong = json!({"username": "admin", "password": "wrong-password", "site_id": chain.id});
    chain.post("/api/auth/login", "", wrong).await.expect(401);
    assert_eq!(
        chain
            .center
            .query("select count(*) from canshi_messages where answer_sealed is not null and target like '%login%'")[0]
            [0]
        .as_deref(),
        Some("0")
    );
}
