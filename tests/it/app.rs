//! The site in a test: its real router over a temporary database, with a clock that stands still until it is set.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request};
use canshi::domain::time::{HOUR_MS, Instant, Zone};
use canshi::http::app::{EdgeConfig, Outside};
use canshi::http::mail::{Letter, deliver};
use canshi::http::{self, App};
use canshi::payments::config::Config as Payments;
use canshi::payments::forwarder::Forwarder;
use canshi::payments::gateways::Gateways;
use canshi::service::auth::Auth;
use canshi::service::passwords::Passwords;
use canshi::service::sync::LineStatus;
use canshi::service::{settings, setup};
use canshi::store::Db;
use canshi::store::db::{Clock, Context, WriterThread};
use canshi::store::open::{DataDir, Options, prepare};
use canshi::store::vault::Vault;
use canshi::telemetry::{self, LogControl};
use canshi::wechat::{self, WeChat};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// The administrator's password in tests.
pub const PASSWORD: &str = "adminadmin";

/// 2024-01-01T08:00:00 in Asia/Shanghai.
pub const MORNING: i64 = 1_704_067_200_000;

/// A site under test.
pub struct TestApp {
    router: Router,
    app: Option<App>,
    pub db: Option<Db>,
    pub clock: Arc<AtomicI64>,
    _directory: tempfile::TempDir,
    writer: Option<WriterThread>,
    admin: String,
    renewed: Mutex<Option<(String, i64)>>,
    /// Set by a test that prunes the outbox, which then no longer replays from the first change.
    pub pruned: AtomicBool,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// `data` of the body.
    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    /// Checks the status and gives `data`.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.json()["code"], status, "{}", self.text);
        self.data()
    }

    /// Checks a refusal: its status and the parameter that it names.
    #[track_caller]
    pub fn refused(&self, status: u16, field: impl Into<Option<&'static str>>) -> String {
        let data = self.expect(status);
        assert_eq!(data["field"].as_str(), field.into(), "{}", self.text);
        data["error"].as_str().expect("a refusal says why").to_owned()
    }
}

impl TestApp {
    /// An empty site with its administrator logged in.
    pub async fn new() -> Self {
        Self::with(EdgeConfig::default(), Options::default()).await
    }

    /// An empty site of this configuration.
    pub async fn with(edge: EdgeConfig, options: Options) -> Self {
        Self::on(edge, options, wechat::Config::default(), Payments::default()).await
    }

    /// An empty site whose people log in with this mini-program.
    pub async fn with_wechat(wechat: wechat::Config) -> Self {
        Self::on(EdgeConfig::default(), Options::default(), wechat, Payments::default()).await
    }

    /// An empty site that has the keys of these payment platforms.
    pub async fn with_payments(payments: Payments) -> Self {
        Self::on(EdgeConfig::default(), Options::default(), wechat::Config::default(), payments).await
    }

    async fn on(edge: EdgeConfig, options: Options, wechat: wechat::Config, payments: Payments) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::lock(directory.path()).unwrap();
        let zone = Zone::named("Asia/Shanghai").unwrap();
        let keys = prepare(&data, zone.name()).unwrap();
        let clock = Arc::new(AtomicI64::new(MORNING));
        let context = Context { vault: Vault::new(&keys).unwrap(), zone, clock: Clock::Fixed(clock.clone()) };
        let (db, writer) = Db::open(&data.database(), options, context).unwrap();
        let passwords = Passwords::new(4).unwrap();
        setup::first_start(&db, &passwords, Some(PASSWORD.to_owned())).await.unwrap();
        let in_force = Arc::new(ArcSwap::from_pointee(db.read(settings::read).await.unwrap()));
        let auth = Auth::new(db.clone(), passwords, &keys.token, in_force.clone());
        let metrics = telemetry::metrics().build_recorder().handle();
        let line = LineStatus::new(Clock::Fixed(clock.clone()));
        let now = Clock::Fixed(clock.clone());
        let payments = Forwarder::new(Gateways::new(&payments, Arc::new(move || now.now())).unwrap());
        let outside = Outside { wechat: WeChat::new(wechat).unwrap(), line, payments };
        let app = App::new(db.clone(), auth, in_force, edge, LogControl::none(), metrics, outside);
        let mut site = Self {
            router: http::router(&app),
            app: Some(app),
            db: Some(db),
            clock,
            _directory: directory,
            writer: Some(writer),
            admin: String::new(),
            renewed: Mutex::new(None),
            pruned: AtomicBool::new(false),
        };
        site.admin = site.login("admin", PASSWORD).await;
        site
    }

    /// The database.
    pub fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    /// The site, as its edge knows it.
    pub fn app(&self) -> &App {
        self.app.as_ref().unwrap()
    }

    /// The mailbox brings a letter.
    pub async fn deliver(&self, letter: Letter, method: Method, path: &str, body: Option<Value>) -> Reply {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let (status, text) = deliver(&self.router, request.body(body).unwrap(), letter).await;
        let text = String::from_utf8(text.to_vec()).unwrap();
        Reply { status: status.as_u16(), headers: HeaderMap::new(), text }
    }

    /// Sets the clock to a time of the site's zone.
    pub fn at(&self, local: &str) {
        let zone = Zone::named("Asia/Shanghai").unwrap();
        let Instant(ms) = zone.instant(local.parse().unwrap()).unwrap();
        self.clock.store(ms, Ordering::SeqCst);
    }

    /// Moves the clock.
    pub fn pass_ms(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// Logs in and gives the token.
    pub async fn login(&self, username: &str, password: &str) -> String {
        let reply =
            self.send(Method::POST, "/api/auth/login", &[], Some(json!({"username": username, "password": password})));
        reply.await.expect(200)["token"].as_str().unwrap().to_owned()
    }

    /// Adds a user of this role and logs it in.
    pub async fn user(&self, role: &str, links: Value) -> String {
        let mut body =
            json!({"username": format!("{role}-user"), "password": "password-1", "role": role, "name": "某人"});
        for (key, value) in links.as_object().unwrap() {
            body[key] = value.clone();
        }
        self.post("/api/users", body.clone()).await.expect(201);
        self.login(body["username"].as_str().unwrap(), "password-1").await
    }

    /// A request as it is.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
            None => request.body(Body::empty()),
        };
        self.raw(request.unwrap()).await
    }

    /// A request that is already made.
    pub async fn raw(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Reply { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// A request whose answer is a file.
    pub async fn file(&self, request: Request<Body>) -> (u16, HeaderMap, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    /// A request with this token.
    pub async fn by(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Reply {
        self.send(method, path, &[("authorization", &format!("Bearer {token}"))], body).await
    }

    /// The administrator's token.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// The administrator's token, a new one when the clock was moved away from the old one's time.
    async fn fresh(&self) -> String {
        let now = self.clock.load(Ordering::SeqCst);
        let kept = self.renewed.lock().unwrap().clone();
        match kept {
            Some((token, at)) if (now - at).abs() < HOUR_MS => token,
            None if (now - MORNING).abs() < HOUR_MS => self.admin.clone(),
            _ => {
                let token = self.login("admin", PASSWORD).await;
                *self.renewed.lock().unwrap() = Some((token.clone(), now));
                token
            }
        }
    }

    /// The administrator reads.
    pub async fn get(&self, path: &str) -> Reply {
        self.by(&self.fresh().await, Method::GET, path, None).await
    }

    /// The administrator makes or does something.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.by(&self.fresh().await, Method::POST, path, Some(body)).await
    }

    /// The administrator changes something.
    pub async fn put(&self, path: &str, body: Value) -> Reply {
        self.by(&self.fresh().await, Method::PUT, path, Some(body)).await
    }

    /// The administrator removes something.
    pub async fn delete(&self, path: &str) -> Reply {
        self.by(&self.fresh().await, Method::DELETE, path, None).await
    }

    /// A connection of its own to the database, to look at rows.
    pub fn rows(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.db().path()).unwrap()
    }
}

impl Drop for TestApp {
    /// Whatever a test did, the outbox says all of it: replayed, it gives the travelling tables as they are.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if !self.pruned.load(Ordering::SeqCst) {
            crate::outbox::assert_replays(&self.rows());
        }
        self.router = Router::new();
        self.app = None;
        self.db = None;
        if let Some(writer) = self.writer.take() {
            drop(writer);
        }
    }
}
