//! The platforms' bills against the books: with the platforms' own bills, spoiled and not.

use axum::http::Method;
use canshi::domain::money::Fen;
use canshi::domain::payment_anomalies::AnomalyKind;
use canshi::domain::payments::{Channel, OrderStatus};
use canshi::domain::reconciliations::{Line, Movement};
use canshi::service::payments::errands::forward_due;
use canshi::service::reconciliations::{self, run_due};
use canshi::store::payment_anomalies;
use canshi::store::payment_orders::{self, PaymentOrder};
use canshi::store::payment_tasks::{self, Subject};
use jiff::civil::{Date, date};
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::platform::Platform;

const RECONCILIATIONS: &str = "/api/payment/reconciliations";
const DIFFERENCES: &str = "/api/payment/differences";
const FIRST_DAY: Date = date(2024, 1, 1);

/// A site that takes payments by WeChat; no notification ever reaches it.
struct Books {
    platform: Platform,
    app: TestApp,
}

impl Books {
    async fn new() -> Self {
        let platform = Platform::start().await;
        let app = TestApp::with_payments(platform.payments_config()).await;
        app.post("/api/customers", json!({"name": "张三", "contact": "13800138000"})).await.expect(201);
        let books = Self { platform, app };
        books.platform.notify_by_hand().await;
        books.at("2024-01-01T09:00:00").await;
        books
    }

    async fn at(&self, local: &str) {
        self.app.at(local);
        self.platform.set_clock_ms(self.app.db().now().0).await;
    }

    async fn order(&self, yuan: i64) -> String {
        let order =
            json!({"amount": yuan, "payment_method": "wechat", "order_type": "customer_order", "related_id": 1});
        let made = self.app.post("/api/payment/orders", order).await.expect(201);
        made["order_id"].as_str().unwrap().to_owned()
    }

    /// An order that was paid, and of which the site knows.
    async fn paid(&self, yuan: i64) -> String {
        let number = self.order(yuan).await;
        self.platform.pay("wechat", &number).await.unwrap();
        self.ask().await;
        assert_eq!(self.status(&number), "paid");
        number
    }

    /// What is due is asked, a few minutes long.
    async fn ask(&self) {
        for _ in 0..5 {
            self.app.pass_ms(60_000);
            self.platform.set_clock_ms(self.app.db().now().0).await;
            forward_due(self.app.db(), self.app.app().payments()).await.unwrap();
        }
    }

    async fn reconcile(&self) {
        run_due(self.app.db(), self.app.app().payments()).await.unwrap();
    }

    async fn spoil(&self, day: &str, how: &str) {
        self.platform.post("bill", json!({"channel": "wechat", "date": day, "tamper": how})).await;
    }

    /// A bill of a day as it was read.
    async fn take(&self, date: Date, lines: Vec<Line>) {
        let channel = Channel::Wechat;
        let taken = self.app.db().write(move |tx| reconciliations::take(tx, (channel, date), lines, None));
        taken.await.unwrap();
    }

    async fn days(&self) -> Vec<Value> {
        let listed = self.app.get(&format!("{RECONCILIATIONS}?page_size=100")).await.expect(200);
        listed["items"].as_array().unwrap().clone()
    }

    async fn differences(&self, query: &str) -> Vec<Value> {
        let listed = self.app.get(&format!("{DIFFERENCES}{query}")).await.expect(200);
        listed["items"].as_array().unwrap().clone()
    }

    fn status(&self, number: &str) -> String {
        let sql = "select status from payment_orders where order_no = ?1";
        self.app.rows().query_row(sql, [number], |row| row.get(0)).unwrap()
    }

    fn count(&self, sql: &str) -> i64 {
        self.app.rows().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn changes(&self) -> i64 {
        self.count("select max(seq) from outbox")
    }

    fn told(&self) -> i64 {
        self.count("select count(*) from notifications where title = '对账差异'")
    }
}

fn payment(number: &str, fen: i64) -> Line {
    let (number, platform_no) = (number.to_owned(), "4200001".to_owned());
    Line { movement: Movement::Payment, number, platform_no, amount: Fen(fen), fee: Fen(0), rows: 1 }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_agrees_is_matched_once_and_its_bill_is_kept() {
    let books = Books::new().await;
    let first = books.paid(128).await;
    books.paid(50).await;
    let refund = json!({"amount": 28, "reason": "少订一天"});
    books.app.post(&format!("/api/payment/orders/{first}/refunds"), refund).await.expect(201);
    books.ask().await;
    books.at("2024-01-02T10:29:00").await;
    books.reconcile().await;
    assert_eq!(books.days().await, Vec::<Value>::new());
    books.at("2024-01-02T10:31:00").await;
    books.reconcile().await;
    let days = books.days().await;
    assert_eq!(days.len(), 1, "{days:?}");
    let day = &days[0];
    assert_eq!((&day["status"], &day["date"]), (&json!("matched"), &json!("2024-01-01")));
    assert_eq!((&day["rows_total"], &day["rows_matched"], &day["differences"]), (&json!(3), &json!(3), &json!(0)));
    assert_eq!((&day["platform_in"], &day["local_in"]), (&json!(178.0), &json!(178.0)));
    assert_eq!((&day["platform_out"], &day["local_out"]), (&json!(28.0), &json!(28.0)));
    assert!(day["fee"].as_f64().unwrap() > 0.0);
    let name = format!("wechat-2024-01-01-{}.bin", day["sha256"].as_str().unwrap());
    assert!(books.app.db().path().with_file_name("bills").join(name).exists());

    let changes = books.changes();
    books.reconcile().await;
    books.app.post(RECONCILIATIONS, json!({"channel": "wechat", "date": "2024-01-01"})).await.expect(200);
    assert_eq!(books.changes(), changes);
    assert_eq!(books.told(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_nobody_told_of_is_found_on_the_bill_and_booked_by_a_question() {
    let books = Books::new().await;
    let waiting = books.order(88).await;
    let closed = books.order(66).await;
    for number in [&waiting, &closed] {
        books.platform.pay("wechat", number).await.unwrap();
    }
    let number = closed.parse().unwrap();
    books
        .app
        .db()
        .write(move |tx| {
            let order = payment_orders::find_by_number(tx, &number)?.unwrap();
            let before = order.status;
            payment_tasks::remove(tx, Subject::Order(order.id))?;
            payment_orders::update(tx, before, &PaymentOrder { status: OrderStatus::Closed, ..order })
        })
        .await
        .unwrap();
    books.at("2024-01-02T11:00:00").await;
    books.reconcile().await;
    let found = books.differences("?open=1").await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .all(|found| found["class"] == "platform_only" && found["local_amount"] == found["platform_amount"])
    );
    assert_eq!(books.count("select count(*) from payment_entries"), 0, "nothing is booked from a bill");
    books.ask().await;
    assert_eq!((books.status(&waiting), books.status(&closed)), ("paid".to_owned(), "paid".to_owned()));
    assert_eq!(books.count("select count(*) from payment_entries where kind = 'payment'"), 2);
    books.reconcile().await;
    assert_eq!(books.differences("?open=1").await, Vec::<Value>::new());
    let closed = books.differences("?open=0").await;
    assert!(closed.iter().all(|closed| closed["resolution"]["reason"] == "复核时双方已一致"), "{closed:?}");
    assert_eq!(books.days().await[0]["status"], "resolved");
    assert_eq!(books.told(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_told_once_and_waits_for_a_person() {
    for (tamper, class, note) in [
        ("amount", "amount", "平台与本店的金额不一致"),
        ("missing_row", "local_only", "本店已入账，平台账单没有此款项"),
        ("empty", "local_only", "本店已入账，平台账单没有此款项"),
        ("extra_row", "platform_only", "平台有此款项，本店没有这个单号"),
    ] {
        let books = Books::new().await;
        books.paid(100).await;
        books.spoil("2024-01-01", tamper).await;
        books.at("2024-01-02T11:00:00").await;
        for _ in 0..2 {
            books.reconcile().await;
        }
        let found = books.differences("").await;
        assert_eq!(found.len(), 1, "{tamper}: {found:?}");
        assert_eq!((&found[0]["class"], &found[0]["note"]), (&json!(class), &json!(note)), "{tamper}");
        let day = &books.days().await[0];
        assert_eq!((&day["status"], &day["differences"]), (&json!("different"), &json!(1)), "{tamper}");
        assert_eq!((books.told(), books.count("select count(*) from payment_entries")), (1, 1), "{tamper}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_that_is_late_or_broken_is_asked_for_until_it_is_there() {
    let books = Books::new().await;
    books.paid(100).await;
    books.at("2024-01-02T11:00:00").await;
    for (how, why) in [("not_ready", "平台尚未生成账单"), ("bad_hash", "hash")] {
        books.spoil("2024-01-01", how).await;
        books.reconcile().await;
        let day = &books.days().await[0];
        assert_eq!((&day["status"], &day["sha256"]), (&json!("waiting"), &Value::Null), "{how}");
        assert!(day["last_error"].as_str().unwrap().contains(why), "{day}");
    }
    books.platform.down(true).await;
    books.reconcile().await;
    assert_eq!(books.days().await[0]["status"], "waiting");
    books.platform.down(false).await;
    books.platform.post("bill", json!({"channel": "wechat", "date": "2024-01-01", "tamper": null})).await;
    books.at("2024-01-03T11:00:00").await;
    books.reconcile().await;
    let days = books.days().await;
    assert_eq!((&days[1]["status"], &days[1]["last_error"]), (&json!("matched"), &Value::Null));
    assert_eq!((&days[0]["status"], &days[0]["rows_total"]), (&json!("matched"), &json!(0)), "a day without trades");
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_days_are_made_up_for_a_week_back_and_none_before_the_first_order() {
    let books = Books::new().await;
    books.at("2024-01-02T11:00:00").await;
    books.reconcile().await;
    assert_eq!(books.days().await, Vec::<Value>::new(), "nobody has ever paid");
    books.paid(100).await;
    books.at("2024-01-04T11:00:00").await;
    books.reconcile().await;
    let dates = |days: Vec<Value>| days.iter().map(|day| day["date"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(dates(books.days().await), ["2024-01-03", "2024-01-02"]);
    books.at("2024-01-20T11:00:00").await;
    books.reconcile().await;
    let days = books.days().await;
    assert!(days.iter().all(|day| day["status"] == "matched"), "{days:?}");
    let expected: Vec<String> = (13..=19).rev().map(|day| format!("2024-01-{day}")).collect();
    assert_eq!(dates(days)[..7], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_around_midnight_may_be_on_the_next_bill() {
    for on_next_bill in [true, false] {
        let books = Books::new().await;
        books.at("2024-01-01T23:52:00").await;
        let number = books.order(1).await;
        books.platform.pay("wechat", &number).await.unwrap();
        books.ask().await;
        books.take(FIRST_DAY, Vec::new()).await;
        assert_eq!(books.differences("").await, Vec::<Value>::new(), "a day's grace");
        let lines = if on_next_bill { vec![payment(&number, 100)] } else { Vec::new() };
        books.take(date(2024, 1, 2), lines).await;
        let found = books.differences("?open=1").await;
        assert_eq!(found.len(), usize::from(!on_next_bill), "{found:?}");
        // A bill that comes late still explains it.
        books.take(FIRST_DAY, if on_next_bill { Vec::new() } else { vec![payment(&number, 100)] }).await;
        assert_eq!(books.differences("?open=1").await, Vec::<Value>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bill_of_the_same_day_replaces_the_first_and_what_a_person_closed_stays_closed() {
    let books = Books::new().await;
    let number = books.paid(1).await;
    books.take(FIRST_DAY, vec![payment(&number, 200), payment("POS-9", 100)]).await;
    for found in books.differences("?open=1").await {
        let path = format!("{DIFFERENCES}/{}/resolve", found["id"]);
        books.app.post(&path, json!({"reason": "已与客户核对"})).await.expect(200);
    }
    assert_eq!(books.days().await[0]["status"], "resolved");
    let changes = books.changes();
    books.take(FIRST_DAY, vec![payment("POS-9", 100), payment(&number, 200)]).await;
    assert_eq!(books.changes(), changes, "the order of rows does not matter");
    books.take(FIRST_DAY, vec![payment("POS-9", 100), payment(&number, 300)]).await;
    let found = books.differences("?open=1").await;
    assert_eq!((found.len(), &found[0]["platform_amount"]), (1, &json!(3.0)), "it says something else now");
    books.take(FIRST_DAY, vec![payment(&number, 100)]).await;
    assert_eq!(books.differences("?open=1").await, Vec::<Value>::new());
    let day = &books.days().await[0];
    assert_eq!((&day["rows_total"], &day["rows_matched"], &day["status"]), (&json!(1), &json!(1), &json!("resolved")));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_other_sites_of_the_merchant_are_not_this_ones_business() {
    let books = Books::new().await;
    let number = books.paid(1).await;
    books.take(FIRST_DAY, vec![payment(&number, 100), payment("P20240101170005000042", 5_000)]).await;
    let day = &books.days().await[0];
    assert_eq!((&day["status"], &day["rows_total"], &day["platform_in"]), (&json!("matched"), &json!(1), &json!(1.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_closed_once_with_a_reason_by_whoever_may() {
    let books = Books::new().await;
    books.take(FIRST_DAY, vec![payment("POS-9", 100)]).await;
    let path = format!("{DIFFERENCES}/1/resolve");
    books.app.post(&path, json!({"reason": " "})).await.refused(400, "reason");
    books.app.post(&path, json!({})).await.refused(400, "reason");
    books.app.post("/api/roles", json!({"name": "reader", "permissions": ["payments.read"]})).await.expect(201);
    let reader = books.app.user("reader", json!({})).await;
    let reason = json!({"reason": "店外收款"});
    books.app.by(&reader, Method::POST, &path, Some(reason.clone())).await.refused(403, None);
    books.app.by(&reader, Method::GET, DIFFERENCES, None).await.expect(200);
    let closed = books.app.post(&path, reason.clone()).await.expect(200);
    assert_eq!((&closed["resolution"]["reason"], &closed["resolution"]["by"]), (&json!("店外收款"), &json!(1)));
    books.app.post(&path, reason.clone()).await.refused(409, None);
    books.app.post(&format!("{DIFFERENCES}/9/resolve"), reason).await.refused(404, None);
    let sql = "select count(*) from audit where noun = 'reconciliation_differences' and user_id = 1";
    assert_eq!(books.count(sql), 1);
    let detail = books.app.get(&format!("{RECONCILIATIONS}/1")).await.expect(200);
    assert_eq!((&detail["reconciliation"]["status"], &detail["differences"][0]), (&json!("resolved"), &closed));
    books.app.get(&format!("{RECONCILIATIONS}/2")).await.refused(404, None);
}

#[tokio::test]
async fn only_days_that_have_a_bill_can_be_asked_for_and_only_of_a_platform_that_there_is() {
    let app = TestApp::new().await;
    for day in ["2024-01-01", "2024-01-02", "2023-09-01"] {
        app.post(RECONCILIATIONS, json!({"channel": "wechat", "date": day})).await.refused(400, "date");
    }
    app.post(RECONCILIATIONS, json!({"channel": "pos", "date": "2023-12-31"})).await.refused(400, "channel");
    app.post(RECONCILIATIONS, json!({"channel": "wechat", "date": "2023-12-31"})).await.refused(409, None);
    app.get(&format!("{RECONCILIATIONS}?start_date=2024-01-02&end_date=2024-01-01")).await.refused(400, "end_date");
}

/// A bill that does not match, and two anomalies.
pub async fn find_something(app: &TestApp) {
    app.db()
        .write(|tx| {
            let (channel, kind) = (Channel::Wechat, AnomalyKind::Amount);
            payment_anomalies::record(tx, channel, kind, Some("P1"), "金额应为1.00")?;
            payment_anomalies::record(tx, Channel::Alipay, AnomalyKind::Forged, None, "签名不正确")?;
            reconciliations::take(tx, (channel, FIRST_DAY), vec![payment("POS-9", 100)], None)
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_anomaly_is_listed_and_closed_once_with_a_reason() {
    let app = TestApp::new().await;
    find_something(&app).await;
    let path = "/api/payment/anomalies";
    assert_eq!(app.get(&format!("{path}?channel=wechat&kind=amount&open=1")).await.expect(200)["total"], 1);
    app.get(&format!("{path}?kind=odd")).await.refused(400, "kind");
    app.post(&format!("{path}/1/resolve"), json!({})).await.refused(400, "reason");
    let closed = app.post(&format!("{path}/1/resolve"), json!({"reason": "已退款"})).await.expect(200);
    assert_eq!((&closed["number"], &closed["resolution"]["by"]), (&json!("P1"), &json!(1)));
    app.post(&format!("{path}/1/resolve"), json!({"reason": "已退款"})).await.refused(409, None);
    app.post(&format!("{path}/9/resolve"), json!({"reason": "无"})).await.refused(404, None);
    let open = app.get(&format!("{path}?open=1")).await.expect(200);
    assert_eq!((&open["total"], &open["items"][0]["kind"]), (&json!(1), &json!("forged")));
    let token = app.user("employee", json!({})).await;
    app.by(&token, Method::GET, path, None).await.refused(403, None);
}
