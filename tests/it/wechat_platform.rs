//! WeChat's mini-program server in a test: a real server on a real socket, with codes that are good once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use canshi::wechat::Config;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The mini-program that the platform knows.
pub const APPID: &str = "wx0123456789abcdef";
/// Its secret, which nobody else must ever see.
pub const SECRET: &str = "s3cret-of-the-mini-program";
/// What must never leave the process.
pub const SESSION_KEY: &str = "HyVFkGl5F5OQWJZZaNzBBg==";

/// The platform at work; it ends with the value.
pub struct Platform {
    base_url: String,
    state: Arc<Mutex<Inside>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Inside {
    openids: BTreeMap<String, String>,
    phones: BTreeMap<String, String>,
    given: usize,
    tokens: usize,
    token_dead: bool,
    foreign_phones: bool,
    errcode: Option<i64>,
    broken: bool,
}

type Shared = State<Arc<Mutex<Inside>>>;

impl Platform {
    /// Starts the platform.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Inside::default()));
        let router = Router::new()
            .route("/sns/jscode2session", get(jscode2session))
            .route("/cgi-bin/stable_token", post(stable_token))
            .route("/wxa/business/getuserphonenumber", post(getuserphonenumber))
            .with_state(state.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { base_url, state, task }
    }

    /// How a site finds the platform.
    pub fn config(&self) -> Config {
        Config { base_url: self.base_url.clone(), appid: APPID.to_owned(), secret: SECRET.to_owned() }
    }

    /// A code of `wx.login` for this account.
    pub fn code(&self, openid: &str) -> String {
        let mut inside = self.inside();
        inside.given += 1;
        let code = format!("code+{}/={}", inside.given, "x".repeat(20));
        inside.openids.insert(code.clone(), openid.to_owned());
        code
    }

    /// A code of the `getPhoneNumber` button for this number.
    pub fn phone_code(&self, number: &str) -> String {
        let mut inside = self.inside();
        inside.given += 1;
        let code = format!("phone-{}", inside.given);
        inside.phones.insert(code.clone(), number.to_owned());
        code
    }

    /// Answers everything with this number from now on, or with what was asked again.
    pub fn refuse_with(&self, errcode: impl Into<Option<i64>>) {
        self.inside().errcode = errcode.into();
    }

    /// Answers everything with a page of a broken proxy from now on.
    pub fn break_down(&self) {
        self.inside().broken = true;
    }

    /// Takes the access token back that is out.
    pub fn kill_token(&self) {
        self.inside().token_dead = true;
    }

    /// Confirms numbers for another mini-program from now on.
    pub fn confirm_for_another(&self) {
        self.inside().foreign_phones = true;
    }

    /// How many access tokens were fetched.
    pub fn tokens_fetched(&self) -> usize {
        self.inside().tokens
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.state.lock().unwrap()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn refusal(errcode: i64) -> Value {
    json!({"errcode": errcode, "errmsg": "refused, rid: 1"})
}

impl Inside {
    /// What is answered whatever was asked.
    fn fixed(&self) -> Option<(StatusCode, Json<Value>)> {
        if self.broken {
            return Some((StatusCode::BAD_GATEWAY, Json(json!("<html>bad gateway</html>"))));
        }
        self.errcode.map(|errcode| (StatusCode::OK, Json(refusal(errcode))))
    }
}

async fn jscode2session(
    State(state): Shared,
    Query(query): Query<BTreeMap<String, String>>,
) -> (StatusCode, Json<Value>) {
    let mut inside = state.lock().unwrap();
    if let Some(fixed) = inside.fixed() {
        return fixed;
    }
    let answer = if query["appid"] != APPID {
        refusal(40013)
    } else if query["secret"] != SECRET {
        refusal(40125)
    } else if query["grant_type"] != "authorization_code" {
        refusal(40002)
    } else {
        match inside.openids.remove(&query["js_code"]) {
            Some(openid) => json!({"openid": openid, "session_key": SESSION_KEY}),
            None => refusal(40029),
        }
    };
    (StatusCode::OK, Json(answer))
}

async fn stable_token(State(state): Shared, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let mut inside = state.lock().unwrap();
    if let Some(fixed) = inside.fixed() {
        return fixed;
    }
    let known = body == json!({"grant_type": "client_credential", "appid": APPID, "secret": SECRET});
    if !known {
        return (StatusCode::OK, Json(refusal(40125)));
    }
    inside.tokens += 1;
    inside.token_dead = false;
    (StatusCode::OK, Json(json!({"access_token": format!("token-{}", inside.tokens), "expires_in": 7200})))
}

async fn getuserphonenumber(
    State(state): Shared,
    Query(query): Query<BTreeMap<String, String>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mut inside = state.lock().unwrap();
    if let Some(fixed) = inside.fixed() {
        return fixed;
    }
    if inside.token_dead || query["access_token"] != format!("token-{}", inside.tokens) {
        return (StatusCode::OK, Json(refusal(40001)));
    }
    let Some(number) = inside.phones.remove(body["code"].as_str().unwrap()) else {
        return (StatusCode::OK, Json(refusal(40029)));
    };
    let appid = if inside.foreign_phones { "wx-another" } else { APPID };
    let answer = json!({"errcode": 0, "errmsg": "ok", "phone_info": {
        "phoneNumber": number, "purePhoneNumber": number, "countryCode": "86",
        "watermark": {"timestamp": 1_704_067_200, "appid": appid},
    }});
    (StatusCode::OK, Json(answer))
}
