//! Payouts that go to the bank as a file, and the bank's results.

use std::io::Cursor;

use axum::body::Body;
use axum::http::{Method, Request};
use calamine::{Data, Reader as _, Xlsx};
use canshi::service::sheets;
use serde_json::{Value, json};

use crate::app::{Reply, TestApp};

const CSV: &str = "text/csv";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const HEADING: [&str; 7] = ["序号", "姓名", "账号", "开户行", "金额", "备注", "订单号"];

/// A site with bank payouts that wait for a file: their numbers, in order.
struct Bank {
    app: TestApp,
    numbers: Vec<String>,
}

/// The account of the employee at this place.
fn account(place: usize) -> String {
    format!("62220202000123456{place:02}")
}

impl Bank {
    async fn new(names: &[&str]) -> Self {
        let app = TestApp::new().await;
        app.put("/api/settings", json!({"payout_approval_limit": 99_999_999})).await.expect(200);
        let mut numbers = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let employee = app.post("/api/employees", json!({"name": name, "position": "护理师"})).await.expect(201);
            let employee = employee["id"].as_i64().unwrap();
            let payee = json!({"account": account(place), "account_name": name, "bank_name": "中国工商银行"});
            app.put(&format!("/api/employees/{employee}/payees/bank"), payee).await.expect(200);
            numbers.push(crate::payouts::pay_wages(&app, employee, "2024-01").await);
        }
        Self { app, numbers }
    }

    async fn make(&self, body: Value) -> i64 {
        self.app.post("/api/payment/payroll-files", body).await.expect(201)["id"].as_i64().unwrap()
    }

    async fn take(&self, file: i64, format: &str) -> Vec<u8> {
        let path = format!("/api/payment/payroll-files/{file}?format={format}");
        let request = Request::builder().uri(path).header("authorization", format!("Bearer {}", self.app.admin()));
        let (status, headers, bytes) = self.app.file(request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&bytes));
        let name = format!("attachment; filename=\"payroll-{file}.{format}\"");
        assert_eq!(headers["content-disposition"].to_str().unwrap(), name);
        bytes
    }

    async fn results(&self, file: i64, query: &str, media: &str, body: Vec<u8>) -> Reply {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("/api/payment/payroll-files/{file}/results{query}"))
            .header("authorization", format!("Bearer {}", self.app.admin()))
            .header("content-type", media);
        self.app.raw(request.body(Body::from(body)).unwrap()).await
    }

    fn statuses(&self) -> Vec<String> {
        let connection = self.app.rows();
        let mut statement = connection.prepare("select status from payment_orders order by id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn entries(&self) -> Vec<(String, i64)> {
        let connection = self.app.rows();
        let mut statement = connection.prepare("select kind, subject_id from payment_entries order by 1, 2").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }
}

fn rows(lines: &[&[&str]]) -> Vec<Vec<String>> {
    lines.iter().map(|line| line.iter().map(|cell| (*cell).to_owned()).collect()).collect()
}

#[tokio::test]
async fn approved_payouts_are_collected_once_and_the_file_is_the_same_each_time() {
    let bank = Bank::new(&["王五", "赵,六", "=cmd|'/C calc'!A0"]).await;
    let made = bank.app.post("/api/payment/payroll-files", json!({"pay_period": "2024-01"})).await.expect(201);
    assert_eq!((&made["orders"], &made["amount"]), (&json!(3), &json!(16800.0)));
    assert_eq!(made["states"], json!([{"status": "processing", "orders": 3}]));
    let file = made["id"].as_i64().unwrap();
    bank.app.post("/api/payment/payroll-files", json!({})).await.refused(409, None);

    let csv = bank.take(file, "csv").await;
    let expected: Vec<String> = std::iter::once(HEADING.join(","))
        .chain(["王五", "\"赵,六\"", "'=cmd|'/C calc'!A0"].iter().enumerate().map(|(place, name)| {
            format!("{},{name},{},中国工商银行,5600.00,2024-01工资,{}", place + 1, account(place), bank.numbers[place])
        }))
        .collect();
    assert_eq!(String::from_utf8(csv.clone()).unwrap(), format!("\u{feff}{}\r\n", expected.join("\r\n")));

    let xlsx = bank.take(file, "xlsx").await;
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(xlsx.clone())).unwrap();
    let sheet = book.worksheet_range_at(0).unwrap().unwrap();
    assert_eq!(sheet.rows().next().unwrap(), HEADING.map(|cell| Data::String(cell.to_owned())));
    assert_eq!(sheet.get_value((1, 2)), Some(&Data::String(account(0))));
    assert_eq!(sheet.get_value((3, 1)), Some(&Data::String("'=cmd|'/C calc'!A0".to_owned())));
    assert!(sheet.cells().all(|(_, _, cell)| matches!(cell, Data::String(_))));

    // Later, and after the payees have changed.
    bank.app.put("/api/employees/1/payees/bank", json!({"account": "9999999999"})).await.expect(200);
    bank.app.pass_ms(60_000);
    assert_eq!((bank.take(file, "csv").await, bank.take(file, "xlsx").await), (csv, xlsx));
    let taken: i64 = bank
        .app
        .rows()
        .query_row("select count(*) from audit where action = 'export' and noun = 'payroll_files'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(taken, 4);
    crate::payees::assert_nowhere_in_the_clear(&bank.app, &account(0));
    bank.app.get("/api/payment/payroll-files/99?format=csv").await.refused(404, None);
    bank.app.get(&format!("/api/payment/payroll-files/{file}")).await.refused(400, "format");
    bank.app.get(&format!("/api/payment/payroll-files/{file}?format=pdf")).await.refused(400, "format");
}

#[tokio::test]
async fn a_file_is_made_of_what_is_named_and_only_of_what_waits() {
    let bank = Bank::new(&["甲", "乙", "丙"]).await;
    let path = "/api/payment/payroll-files";
    for (order_ids, field) in [
        (json!([bank.numbers[0], "P1"]), "order_ids[1]"),
        (json!(["P20240101101000001234567"]), "order_ids[0]"),
        (json!([bank.numbers[0], bank.numbers[0]]), "order_ids[1]"),
    ] {
        bank.app.post(path, json!({"order_ids": order_ids})).await.refused(400, field);
    }
    bank.app.post(path, json!({"order_ids": [], "pay_period": "2024-01"})).await.refused(400, "order_ids");
    bank.app.post(path, json!({"pay_period": "2024-02"})).await.refused(409, None);
    assert_eq!(bank.make(json!({"order_ids": [bank.numbers[2], bank.numbers[0]]})).await, 1);
    bank.app.post(path, json!({"order_ids": [bank.numbers[2]]})).await.refused(400, "order_ids[0]");
    assert_eq!(bank.make(json!({})).await, 2);
    let first = String::from_utf8(bank.take(1, "csv").await).unwrap();
    assert!(first.contains(&format!("1,丙,{}", account(2))), "{first}");
    let list = bank.app.get(path).await.expect(200);
    assert_eq!((&list["total"], &list["items"][1]["orders"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn the_banks_results_are_taken_whole_and_once_in_either_format() {
    for media in [CSV, XLSX] {
        let bank = Bank::new(&["甲", "乙", "丙"]).await;
        let file = bank.make(json!({})).await;
        let account = account(1);
        let table = rows(&[
            &["代发结果", "", "", "", "", ""],
            &["账号", "订单号", "金额", "结果", "原因", "流水"],
            &["", &bank.numbers[0], "", "成功", "", "1"],
            &[&account, "", "5,600.00", "失败", "户名不符", "2"],
            &["", "", "", "", "", ""],
        ]);
        let body = if media == CSV {
            sheets::csv(&table).unwrap()
        } else {
            sheets::xlsx(&table, canshi::domain::time::Instant(0)).unwrap()
        };
        let dry = bank.results(file, "?dry_run=1", media, body.clone()).await.expect(200);
        assert_eq!(
            (&dry["total"], &dry["paid"], &dry["failed"], &dry["bad"]),
            (&json!(2), &json!(1), &json!(1), &json!([]))
        );
        assert_eq!(bank.statuses(), ["processing"; 3]);
        let taken = bank.results(file, "", media, body.clone()).await.expect(200);
        assert_eq!(taken, dry);
        assert_eq!(bank.statuses(), ["paid", "failed", "processing"]);
        assert_eq!(bank.entries(), [("payout".to_owned(), 1)]);
        let again = bank.results(file, "", media, body).await.expect(200);
        assert_eq!((&again["unchanged"], &again["paid"], &again["failed"]), (&json!(2), &json!(0), &json!(0)));
        assert_eq!(
            (bank.statuses(), bank.entries().len()),
            (vec!["paid".into(), "failed".into(), "processing".into()], 1)
        );
        let reissued = bank.app.post(&format!("/api/payment/orders/{}/reissue", bank.numbers[1]), json!({})).await;
        assert_eq!(reissued.expect(201)["status"], "awaiting_approval");
    }
}

#[tokio::test]
async fn a_line_that_does_not_fit_is_named_and_nothing_is_done() {
    let bank = Bank::new(&["甲", "乙", "丙"]).await;
    let file = bank.make(json!({"order_ids": [bank.numbers[0], bank.numbers[1]]})).await;
    let [first, second, third] = &bank.numbers[..] else { panic!("three payouts") };
    let own = account(0);
    let table = rows(&[
        &["订单号", "账号", "金额", "结果", "原因"],
        &[first, "", "", "成功", ""],
        &[third, "", "", "成功", ""],
        &[second, "", "5600.01", "成功", ""],
        &[second, &own, "", "成功", ""],
        &[second, "", "", "已受理", ""],
        &["", &own, "", "成功", ""],
        &["", "6222", "5600", "成功", ""],
        &[first, "", "", "失败", ""],
        &[second, "", "五千六", "成功", ""],
    ]);
    let body = sheets::csv(&table).unwrap();
    let dry = bank.results(file, "?dry_run=1", CSV, body.clone()).await.expect(200);
    let lines: Vec<_> = dry["bad"].as_array().unwrap().iter().map(|bad| bad["line"].as_i64().unwrap()).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 10]);
    let why = bank.results(file, "", CSV, body).await.refused(400, "results[3]");
    assert!(why.contains("第3行"), "{why}");
    assert_eq!(bank.statuses(), ["processing", "processing", "queued"]);
    assert!(bank.entries().is_empty());
}

#[tokio::test]
async fn what_is_no_table_of_results_is_refused() {
    let bank = Bank::new(&["甲"]).await;
    let file = bank.make(json!({})).await;
    for text in ["", "订单号,原因\n", "结果\n成功\n", "账号,结果\n1,成功\n", "订单号,结果\n"] {
        bank.results(file, "", CSV, text.as_bytes().to_vec()).await.refused(400, None);
    }
    bank.results(file, "", XLSX, b"PK\x03\x04 and nothing".to_vec()).await.refused(400, None);
    bank.results(file, "", "application/json", b"{}".to_vec()).await.refused(415, None);
    bank.results(99, "", CSV, b"x\n".to_vec()).await.refused(404, None);
    assert_eq!(bank.statuses(), ["processing"]);
}

#[tokio::test]
async fn what_was_paid_may_come_back_and_what_was_paid_has_not_failed() {
    let bank = Bank::new(&["甲"]).await;
    let file = bank.make(json!({})).await;
    let say = |result: &str| format!("订单号,结果,原因\n{},{result},账户已销户\n", bank.numbers[0]).into_bytes();
    bank.results(file, "", CSV, say("成功")).await.expect(200);
    bank.results(file, "", CSV, say("失败")).await.refused(400, "results[2]");
    assert_eq!(bank.results(file, "", CSV, say("退票")).await.expect(200)["returned"], 1);
    assert_eq!(bank.results(file, "", CSV, say("退票")).await.expect(200)["unchanged"], 1);
    bank.results(file, "", CSV, say("成功")).await.refused(400, "results[2]");
    assert_eq!(bank.statuses(), ["returned"]);
    assert_eq!(bank.entries(), [("payout".to_owned(), 1), ("return".to_owned(), 1)]);
}

#[tokio::test]
async fn a_payout_in_a_file_is_not_taken_back_and_the_file_does_not_travel_by_mail() {
    let bank = Bank::new(&["甲"]).await;
    let file = bank.make(json!({})).await;
    let path = format!("/api/payment/orders/{}", bank.numbers[0]);
    bank.app.post(&format!("{path}/cancel"), json!({})).await.refused(409, None);
    let path = format!("/api/payment/payroll-files/{file}?format=csv");
    bank.app.deliver(crate::mail::headquarters("m1"), Method::GET, &path, None).await.refused(403, None);
    let token = bank.app.user("employee", json!({})).await;
    bank.app.by(&token, Method::GET, &path, None).await.refused(403, None);
}

#[tokio::test]
async fn whoever_takes_results_may_confirm_money() {
    let bank = Bank::new(&["甲"]).await;
    let file = bank.make(json!({})).await;
    bank.app.post("/api/roles", json!({"name": "clerk", "permissions": ["payments.write"]})).await.expect(201);
    let clerk = bank.app.user("clerk", json!({})).await;
    let path = format!("/api/payment/payroll-files/{file}/results");
    let headers = [("authorization", format!("Bearer {clerk}"))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    bank.app.send(Method::POST, &path, &headers, None).await.refused(403, None);
}
