//! WeChat Pay, Alipay and UnionPay as tests meet them: the program in `tests/platform`, one process for each [`Platform`], and thin
//! functions over its interface under `/_sim/`.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use canshi::config::Config;
use canshi::payments::config::Config as PaymentsConfig;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The platforms at work; they end with the value.
pub struct Platform {
    child: Child,
    client: Client,
    base_url: String,
    directory: TempDir,
}

/// What a notification was answered with.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub body: String,
}

impl Platform {
    /// Starts the platforms with the keys that all tests share.
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let (child, base_url) = tokio::task::spawn_blocking(move || spawn(&path)).await.unwrap();
        Self { child, client: crate::mailbox::client(), base_url, directory }
    }

    /// Where all three platforms and the interface for tests are.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The configuration with which a real process finds the platforms.
    pub fn config_toml(&self) -> PathBuf {
        self.directory.path().join("canshi.toml")
    }

    /// The same for a site inside the test; its `notify_url` is for the test to set when notifications are to arrive.
    pub fn payments_config(&self) -> PaymentsConfig {
        Config::load(Some(&self.config_toml()), std::iter::empty()).unwrap().payments
    }

    /// Stops the platforms' clock at this time.
    pub async fn set_clock_ms(&self, now_ms: i64) {
        self.post("clock", json!({"now_ms": now_ms})).await;
    }

    /// A payer pays.
    ///
    /// # Errors
    /// Why the platform did not let him.
    pub async fn pay(&self, channel: &str, order_no: &str) -> Result<(), String> {
        let (status, answer) = self.send(Method::POST, "pay", json!({"channel": channel, "order_no": order_no})).await;
        done(status, &answer)
    }

    /// A payee accepts a transfer of WeChat Pay.
    ///
    /// # Errors
    /// Why the platform did not let him.
    pub async fn confirm(&self, transfer_no: &str) -> Result<(), String> {
        let (status, answer) = self.send(Method::POST, "confirm", json!({"out_bill_no": transfer_no})).await;
        done(status, &answer)
    }

    /// The next calls to the channel's `op` go wrong, as many as `times`, or all until [`Self::clear_faults`].
    pub async fn fault(&self, channel: &str, op: &str, fault: &str, times: Option<u32>) {
        self.post("faults", json!({"channel": channel, "op": op, "fault": fault, "times": times})).await;
    }

    /// Everything goes right again.
    pub async fn clear_faults(&self) {
        self.post("faults/clear", json!({})).await;
    }

    /// The line to all platforms breaks, or is there again.
    pub async fn down(&self, down: bool) {
        self.post("down", json!({"down": down})).await;
    }

    /// From now on anything may go wrong, the same with the same seed, until the rate is 0.
    pub async fn chaos(&self, seed: u64, rate: f64) {
        self.post("chaos", json!({"seed": seed, "rate": rate})).await;
    }

    /// From now on only [`Self::deliver`] sends notifications.
    pub async fn notify_by_hand(&self) {
        self.post("notify", json!({"mode": "manual"})).await;
    }

    /// Sends a notification of this event (`payment`, `refund` or `transfer`) to where the caller asked for it.
    ///
    /// # Errors
    /// Why there is nothing to tell.
    pub async fn deliver(&self, event: &str, no: &str, variant: &str) -> Result<Answered, String> {
        let asked = json!({"event": event, "no": no, "variant": variant});
        let (status, answer) = self.send(Method::POST, "deliver", asked).await;
        done(status, &answer)?;
        let status = u16::try_from(answer["status"].as_u64().unwrap()).unwrap();
        Ok(Answered { status, body: answer["body"].as_str().unwrap().to_owned() })
    }

    /// A notification as it would be sent: `url`, `headers` and `body`.
    ///
    /// # Errors
    /// Why there is nothing to tell.
    pub async fn notice(&self, event: &str, no: &str, variant: &str) -> Result<Value, String> {
        let asked = json!({"event": event, "no": no, "variant": variant, "raw": true});
        let (status, answer) = self.send(Method::POST, "deliver", asked).await;
        done(status, &answer).map(|()| answer)
    }

    /// Waits until the notifications that were under way have been answered or given up.
    pub async fn quiet(&self) {
        self.get("quiet").await;
    }

    /// All orders, refunds and transfers as the platforms have them, and how often money moved.
    pub async fn facts(&self) -> Value {
        self.get("facts").await
    }

    /// What a platform refused. One of the kind `protocol` is a mistake in the caller.
    pub async fn refusals(&self) -> Vec<Value> {
        self.get("refusals").await.as_array().unwrap().clone()
    }

    /// Any other question to the interface for tests.
    pub async fn ask(&self, question: &str) -> Value {
        self.get(question).await
    }

    /// Any other call to the interface for tests.
    pub async fn post(&self, name: &str, body: Value) -> Value {
        let (status, answer) = self.send(Method::POST, name, body).await;
        assert_eq!(status, 200, "{name}: {answer}");
        answer
    }

    async fn get(&self, name: &str) -> Value {
        let (status, answer) = self.send(Method::GET, name, Value::Null).await;
        assert_eq!(status, 200, "{name}: {answer}");
        answer
    }

    async fn send(&self, method: Method, name: &str, body: Value) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}/_sim/{name}", self.base_url));
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Starts the program and waits for the line that says where it listens. It ends by itself when this process does, however that ends.
fn spawn(directory: &Path) -> (Child, String) {
    let mut child = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/platform/main.mjs"))
        .args(["--until-stdin-closes", "--keys", concat!(env!("CARGO_TARGET_TMPDIR"), "/platform-keys"), "--dir"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node 18 or newer is there: tests/run installs it");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let Some(base_url) = line.trim_end().strip_prefix("listening on ") else {
        drop(child.kill());
        drop(child.wait());
        panic!("tests/platform does not start; does it have its packages? npm ci --prefix tests/platform");
    };
    (child, base_url.to_owned())
}

fn done(status: u16, answer: &Value) -> Result<(), String> {
    let why = answer["why"].as_str().or(answer["error"].as_str());
    if status == 200 { Ok(()) } else { Err(why.unwrap().to_owned()) }
}
