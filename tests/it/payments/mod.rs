//! Payments of families, from the order to the books, on a site that has the platforms' keys, against the platforms of `tests/platform`.

mod chances;
mod notices;
mod offline;
mod orders;
mod refunds;

use axum::body::Body;
use axum::http::{Method, Request};
use canshi::service::payments::errands;
use serde_json::{Value, json};

use crate::app::{Reply, TestApp};
use crate::platform::Platform;

/// The ways to pay that a platform carries out.
pub const WAYS: [(&str, &str); 3] = [("wechat", "wechat"), ("alipay", "alipay"), ("bank", "unionpay")];

/// A site and the platforms, with one clock.
pub struct World {
    pub app: TestApp,
    pub platform: Platform,
    pub customer: i64,
}

impl World {
    pub async fn new() -> Self {
        let platform = Platform::start().await;
        let mut config = platform.payments_config();
        config.notify_url = "https://relay.example.com".to_owned();
        let app = TestApp::with_payments(config).await;
        let customer = app.post("/api/customers", json!({"name": "张三"})).await.expect(201)["id"].as_i64().unwrap();
        platform.notify_by_hand().await;
        let world = Self { app, platform, customer };
        world.pass(0).await;
        world
    }

    /// Moves both clocks.
    pub async fn pass(&self, ms: i64) {
        self.app.pass_ms(ms);
        self.platform.set_clock_ms(self.app.app().db().now().0).await;
    }

    pub fn order(&self, method: &str, amount: f64) -> Value {
        json!({"amount": amount, "payment_method": method, "order_type": "customer_order", "related_id": self.customer})
    }

    pub async fn place(&self, method: &str) -> Reply {
        self.app.post("/api/payment/orders", self.order(method, 128.5)).await
    }

    pub async fn placed(&self, method: &str) -> String {
        self.place(method).await.expect(201)["order_id"].as_str().unwrap().to_owned()
    }

    pub async fn status(&self, order: &str) -> Value {
        self.app.get(&format!("/api/payment/orders/{order}")).await.expect(200)["status"].clone()
    }

    /// What the loop of the site does by itself.
    pub async fn work_off(&self) {
        let app = self.app.app();
        while errands::forward_due(app.db(), app.payments()).await.unwrap() > 0 {}
    }

    /// Lets time pass in steps, and the site work at each.
    pub async fn live(&self, seconds: i64) {
        for _ in 0..seconds.div_euclid(5).max(1) {
            self.pass(5_000).await;
            self.work_off().await;
        }
    }

    /// The platform notifies the site.
    pub async fn notify(&self, event: &str, number: &str, variant: &str) -> Reply {
        let raw = self.platform.notice(event, number, variant).await.unwrap();
        self.arrive(&raw).await
    }

    /// The platform notifies the site, if it has anything to say.
    pub async fn notify_if_any(&self, event: &str, number: &str) {
        if let Ok(raw) = self.platform.notice(event, number, "plain").await {
            self.arrive(&raw).await;
        }
    }

    async fn arrive(&self, raw: &Value) -> Reply {
        let path = raw["url"].as_str().unwrap().strip_prefix("https://relay.example.com").unwrap().to_owned();
        let mut request = Request::builder().method(Method::POST).uri(path);
        for (name, value) in raw["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        self.app.raw(request.body(Body::from(raw["body"].as_str().unwrap().to_owned())).unwrap()).await
    }

    /// Income and expense in the books, in fen, of what payments have brought and taken.
    pub fn books(&self) -> (i64, i64) {
        let sql = "select coalesce(sum(case when type = 'income' then transactions.amount_fen end), 0),
                       coalesce(sum(case when type = 'expense' then transactions.amount_fen end), 0)
                   from payment_entries join transactions on transactions.id = transaction_id";
        self.app.rows().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    /// The kinds of anomaly that wait for a person.
    pub fn anomalies(&self) -> Vec<String> {
        let rows = self.app.rows();
        let mut statement = rows.prepare("select kind from payment_anomalies order by id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    pub fn now_ms(&self) -> i64 {
        self.app.app().db().now().0
    }
}
