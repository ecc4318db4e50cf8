//! Income and expense, reports on them, and menus.

use rusqlite::params;
use serde_json::{Value, json};

use crate::app::TestApp;

const PATH: &str = "/api/finance/transactions";

async fn add(app: &TestApp, direction: &str, category: &str, fen: i64, at: &str) -> i64 {
    let body = json!({"type": direction, "category": category, "amount": yuan(fen), "transaction_date": at});
    app.post(PATH, body).await.expect(201)["id"].as_i64().unwrap()
}

async fn void(app: &TestApp, id: i64) -> Value {
    app.post(&format!("{PATH}/{id}/void"), json!({"reason": "录入错误"})).await.expect(200)
}

async fn report(app: &TestApp, query: &str) -> Value {
    app.get(&format!("/api/finance/reports?{query}")).await.expect(200)
}

/// The nearest float of so many fen prints with at most two decimals.
fn yuan(fen: i64) -> f64 {
    fen as f64 / 100.0
}

fn fen(amount: &Value) -> i64 {
    (amount.as_f64().unwrap() * 100.0).round() as i64
}

fn sums(report: &Value) -> (i64, i64, i64) {
    (fen(&report["income"]), fen(&report["expense"]), fen(&report["profit"]))
}

#[tokio::test]
async fn an_entry_is_added_read_and_listed() {
    let app = TestApp::new().await;
    let body = json!({
        "type": "expense", "category": "食材采购", "amount": 500.00, "description": "购买蔬菜",
        "payment_method": "alipay", "related_id": 1, "related_type": "supplier",
        "transaction_date": "2024-01-01T10:00:00",
    });
    let reply = app.post(PATH, body).await;
    assert!(reply.text.contains(r#""amount":500.00"#), "{}", reply.text);
    assert_eq!(reply.json()["message"], "添加成功");
    let made = reply.expect(201);
    assert_eq!(made["type"], "expense");
    assert_eq!(made["category"], "食材采购");
    assert_eq!(made["description"], "购买蔬菜");
    assert_eq!(made["payment_method"], "alipay");
    assert_eq!(made["related_id"], 1);
    assert_eq!(made["related_type"], "supplier");
    assert_eq!(made["transaction_date"], "2024-01-01T10:00:00");
    assert_eq!(made["status"], "completed");
    assert_eq!(app.get(&format!("{PATH}/{}", made["id"])).await.expect(200), made);
    let list = app.get(PATH).await.expect(200);
    assert_eq!(list["total"], 1);
    assert_eq!(list["items"][0], made);
    let now = json!({"type": "income", "category": "餐费", "amount": 0.01});
    assert_eq!(app.post(PATH, now).await.expect(201)["transaction_date"], "2024-01-01T08:00:00");
    for amount in [json!(0), json!(-1), json!(0.001), json!("1")] {
        let bad = json!({"type": "income", "category": "餐费", "amount": amount});
        app.post(PATH, bad).await.refused(400, "amount");
    }
    app.get(&format!("{PATH}/99")).await.refused(404, None);
}

#[tokio::test]
async fn a_voided_entry_stays_in_the_list_and_leaves_the_report() {
    let app = TestApp::new().await;
    let wrong = add(&app, "income", "餐费", 10_000, "2024-01-01T10:00:00").await;
    add(&app, "income", "餐费", 2_500, "2024-01-01T11:00:00").await;
    let path = format!("{PATH}/{wrong}/void");
    app.post(&path, json!({})).await.refused(400, "reason");
    app.post(&path, json!({"reason": ""})).await.refused(400, "reason");
    let before = report(&app, "report_type=daily&start_date=2024-01-01&end_date=2024-01-01").await;
    assert_eq!(sums(&before), (12_500, 0, 12_500));
    let voided = void(&app, wrong).await;
    assert_eq!(voided["status"], "void");
    assert_eq!(voided["void_reason"], "录入错误");
    assert_eq!(voided["voided_at"], "2024-01-01T08:00:00");
    app.post(&path, json!({"reason": "再次"})).await.refused(409, None);
    app.post(&format!("{PATH}/99/void"), json!({"reason": "无"})).await.refused(404, None);
    let after = report(&app, "report_type=daily&start_date=2024-01-01&end_date=2024-01-01").await;
    assert_eq!(sums(&after), (2_500, 0, 2_500));
    let list = app.get(PATH).await.expect(200);
    assert_eq!(list["total"], 2);
    let shown = list["items"].as_array().unwrap().iter().find(|item| item["id"] == wrong).unwrap();
    assert_eq!(*shown, voided);
}

#[tokio::test]
async fn sums_are_exact_to_the_fen() {
    let app = TestApp::new().await;
    let create: Vec<Value> = (1..=100)
        .map(|n| json!({"type": if n % 2 == 0 { "income" } else { "expense" }, "category": "零", "amount": yuan(n)}))
        .collect();
    app.post("/api/finance/transactions/batch", json!({"create": create})).await.expect(200);
    let reply = app.get("/api/finance/reports?report_type=daily").await;
    reply.expect(200);
    // 0.02 + 0.04 + … + 1.00 and 0.01 + 0.03 + … + 0.99.
    for part in [r#""income":25.50"#, r#""expense":25.00"#, r#""profit":0.50"#] {
        assert!(reply.text.contains(part), "{part}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_day_begins_and_ends_at_midnight_of_the_zone_and_both_ends_count() {
    let app = TestApp::new().await;
    let times = ["2023-12-31T23:59:59", "2024-01-01T00:00:00", "2024-01-01T23:59:59", "2024-01-02T00:00:00"];
    for (n, at) in times.into_iter().enumerate() {
        add(&app, "income", "餐费", 10_i64.pow(n as u32), at).await;
    }
    let cases = [
        ("start_date=2024-01-01&end_date=2024-01-01", 2, 110),
        ("start_date=2023-12-31&end_date=2023-12-31", 1, 1),
        ("start_date=2024-01-02&end_date=2024-01-02", 1, 1000),
        ("start_date=2023-12-31&end_date=2024-01-02", 4, 1111),
        ("start_date=2024-01-01&end_date=2024-01-02", 3, 1110),
    ];
    for (range, total, income) in cases {
        let list = app.get(&format!("{PATH}?{range}")).await.expect(200);
        assert_eq!(list["total"], total, "{range}");
        assert_eq!(list["items"].as_array().unwrap().len(), total, "{range}");
        assert_eq!(fen(&report(&app, &format!("report_type=daily&{range}")).await["income"]), income, "{range}");
    }
    app.get(&format!("{PATH}?start_date=2024-01-02&end_date=2024-01-01")).await.refused(400, "end_date");
    let backwards = "/api/finance/reports?report_type=daily&start_date=2024-01-02&end_date=2024-01-01";
    app.get(backwards).await.refused(400, "end_date");
}

#[tokio::test]
async fn periods_are_named_after_their_kind() {
    let app = TestApp::new().await;
    for (kind, label) in [("daily", "2024-01-01"), ("weekly", "2024-W01"), ("monthly", "2024-01"), ("yearly", "2024")] {
        for range in ["", "&start_date=2024-01-01&end_date=2024-01-01"] {
            let data = report(&app, &format!("report_type={kind}{range}")).await;
            assert_eq!(data["report_type"], kind);
            assert_eq!(data["period"], label);
            assert_eq!(sums(&data), (0, 0, 0));
            assert_eq!(data["details"], json!({"income": [], "expense": []}));
            assert!(data.get("series").is_none(), "{data}");
        }
    }
    let week = report(&app, "report_type=weekly&start_date=2021-01-03&end_date=2021-01-03").await;
    assert_eq!(week["period"], "2020-W53");
    app.get("/api/finance/reports?report_type=hourly").await.refused(400, "report_type");
    app.get("/api/finance/reports").await.refused(400, "report_type");
}

#[tokio::test]
async fn several_periods_come_as_a_series_with_the_empty_ones() {
    let app = TestApp::new().await;
    add(&app, "income", "餐费", 10_000, "2024-01-31T23:59:59").await;
    add(&app, "expense", "房租", 4_000, "2024-03-01T00:00:00").await;
    let data = report(&app, "report_type=monthly&start_date=2024-01-01&end_date=2024-03-31").await;
    assert_eq!(data["period"], "2024-01-01至2024-03-31");
    assert_eq!(sums(&data), (10_000, 4_000, 6_000));
    let series: Vec<_> =
        data["series"].as_array().unwrap().iter().map(|part| (part["period"].as_str().unwrap(), sums(part))).collect();
    let expected = [("2024-01", (10_000, 0, 10_000)), ("2024-02", (0, 0, 0)), ("2024-03", (0, 4_000, -4_000))];
    assert_eq!(series, expected);
    let weeks = report(&app, "report_type=weekly&start_date=2024-01-01&end_date=2024-01-14").await;
    let names: Vec<_> = weeks["series"].as_array().unwrap().iter().map(|part| part["period"].clone()).collect();
    assert_eq!(names, [json!("2024-W01"), json!("2024-W02")]);
    let days = report(&app, "report_type=daily&start_date=2024-02-28&end_date=2024-03-01").await;
    assert_eq!(days["series"].as_array().unwrap().len(), 3);
    let years = report(&app, "report_type=yearly&start_date=2023-12-31&end_date=2024-01-31").await;
    assert_eq!(years["series"][0]["period"], "2023");
    assert_eq!(fen(&years["series"][1]["income"]), 10_000);
}

#[tokio::test]
async fn categories_come_by_amount_the_largest_first() {
    let app = TestApp::new().await;
    let entries = [("small", 100), ("large", 900), ("middle", 300), ("small", 150), ("middle", 400)];
    for (category, amount) in entries {
        add(&app, "expense", category, amount, "2024-01-01T09:00:00").await;
    }
    add(&app, "income", "meal", 5, "2024-01-01T09:00:00").await;
    let gone = add(&app, "expense", "gone", 99_999, "2024-01-01T09:00:00").await;
    void(&app, gone).await;
    let data = report(&app, "report_type=daily").await;
    let parts = |side: &str| -> Vec<(String, i64)> {
        let parts = data["details"][side].as_array().unwrap();
        parts.iter().map(|part| (part["category"].as_str().unwrap().to_owned(), fen(&part["amount"]))).collect()
    };
    let expected = [("large", 900), ("middle", 700), ("small", 250)].map(|(name, sum)| (name.to_owned(), sum));
    assert_eq!(parts("expense"), expected);
    assert_eq!(parts("income"), [("meal".to_owned(), 5)]);
}

/// A small generator, the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

/// Adds 200 random entries of the first three months of 2024 and voids some of them.
async fn fill(app: &TestApp, seed: u64) {
    let mut dice = Dice(seed);
    let create: Vec<Value> = (0..200)
        .map(|_| {
            let (month, day, hour) = (1 + dice.below(3), 1 + dice.below(28), dice.below(24));
            let mut entry = json!({
                "type": dice.pick(&["income", "expense"]),
                "category": dice.pick(&["food", "rent", "other"]),
                "amount": yuan(1 + dice.below(1_000_000) as i64),
                "transaction_date": format!("2024-{month:02}-{day:02}T{hour:02}:59:59"),
            });
            let method = dice.pick(&["", "cash", "alipay"]);
            if !method.is_empty() {
                entry["payment_method"] = json!(method);
            }
            entry
        })
        .collect();
    let made = app.post("/api/finance/transactions/batch", json!({"create": create})).await.expect(200);
    for entry in made["created"].as_array().unwrap() {
        if dice.below(5) == 0 {
            void(app, entry["id"].as_i64().unwrap()).await;
        }
    }
}

#[tokio::test]
async fn the_total_of_a_list_is_the_number_of_its_rows_whatever_the_filter() {
    let app = TestApp::new().await;
    fill(&app, 7).await;
    let connection = app.rows();
    let sql = "select count(*) from transactions
               where (?1 is null or type = ?1) and (?2 is null or category = ?2) and (?3 is null or payment_method = ?3)
                 and (?4 is null or local_date >= ?4) and (?5 is null or local_date <= ?5)";
    let ranges = [
        (None, None),
        (Some("2024-02-10"), None),
        (None, Some("2024-02-10")),
        (Some("2024-01-15"), Some("2024-02-15")),
    ];
    for direction in [None, Some("income"), Some("expense")] {
        for category in [None, Some("food"), Some("rent"), Some("nothing")] {
            for method in [None, Some("cash"), Some("alipay")] {
                for (start, end) in ranges {
                    let given = [
                        ("type", direction),
                        ("category", category),
                        ("payment_method", method),
                        ("start_date", start),
                        ("end_date", end),
                    ];
                    let mut query = "page_size=100".to_owned();
                    for (key, value) in given {
                        if let Some(value) = value {
                            query.push_str(&format!("&{key}={value}"));
                        }
                    }
                    let rows: i64 = connection
                        .query_row(sql, params![direction, category, method, start, end], |row| row.get(0))
                        .unwrap();
                    let list = app.get(&format!("{PATH}?{query}")).await.expect(200);
                    assert_eq!(list["total"], rows, "{query}");
                    let shown = list["items"].as_array().unwrap().len() as i64;
                    assert_eq!(shown, rows.min(100), "{query}");
                }
            }
        }
    }
}

#[tokio::test]
async fn totals_and_reports_are_what_the_rows_come_to() {
    for seed in 1..=3 {
        let app = TestApp::new().await;
        fill(&app, seed).await;
        let connection = app.rows();
        let voided: i64 = connection
            .query_row("select count(*) from transactions where status = 'void'", [], |row| row.get(0))
            .unwrap();
        assert!(voided > 0);
        let kept = "select date, type, category, payment_method, entries, sum_fen from transaction_totals";
        let summed = "select local_date, type, category, coalesce(payment_method, ''), count(*),
                             sum(case status when 'completed' then amount_fen else 0 end)
                      from transactions group by 1, 2, 3, 4";
        for (one, other) in [(kept, summed), (summed, kept)] {
            let differ: i64 = connection
                .query_row(&format!("select count(*) from ({one} except {other})"), [], |row| row.get(0))
                .unwrap();
            assert_eq!(differ, 0, "seed {seed}");
        }
        let sql = "select coalesce(sum(amount_fen), 0) from transactions
                   where status = 'completed' and type = ?1 and local_date between ?2 and ?3";
        for (start, end) in [("2024-01-01", "2024-12-31"), ("2024-01-20", "2024-03-05"), ("2024-02-02", "2024-02-02")] {
            let sum = |direction: &str| -> i64 {
                connection.query_row(sql, params![direction, start, end], |row| row.get(0)).unwrap()
            };
            let (income, expense) = (sum("income"), sum("expense"));
            for kind in ["daily", "weekly", "monthly", "yearly"] {
                let data = report(&app, &format!("report_type={kind}&start_date={start}&end_date={end}")).await;
                assert_eq!(sums(&data), (income, expense, income - expense), "seed {seed}: {kind} {start} {end}");
                for (side, whole) in [("income", income), ("expense", expense)] {
                    let parts = data["details"][side].as_array().unwrap();
                    assert_eq!(parts.iter().map(|part| fen(&part["amount"])).sum::<i64>(), whole);
                    if let Some(series) = data.get("series") {
                        assert_eq!(series.as_array().unwrap().iter().map(|part| fen(&part[side])).sum::<i64>(), whole);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_batch_that_changes_or_removes_an_entry_is_refused_whole() {
    let app = TestApp::new().await;
    let id = add(&app, "income", "餐费", 100, "2024-01-01T09:00:00").await;
    let new = json!({"type": "income", "category": "餐费", "amount": 1});
    let path = "/api/finance/transactions/batch";
    let change = json!({"create": [new], "update": [{"id": id}]});
    assert_eq!(app.post(path, change).await.refused(409, "update[0]"), "收支记录不可修改或删除，请作废");
    let removal = json!({"create": [new], "delete": [id]});
    assert_eq!(app.post(path, removal).await.refused(409, "delete[0]"), "收支记录不可修改或删除，请作废");
    let bad = json!({"create": [new, {"type": "income", "category": "餐费", "amount": 0}]});
    app.post(path, bad).await.refused(400, "create[1].amount");
    assert_eq!(app.get(PATH).await.expect(200)["total"], 1);
    assert_eq!(sums(&report(&app, "report_type=daily").await), (100, 0, 100));
}

#[tokio::test]
async fn a_day_has_one_menu_for_each_meal() {
    let app = TestApp::new().await;
    let lunch = json!({"date": "2024-01-01", "type": "lunch"});
    let first = app.post("/api/menus", lunch.clone()).await.expect(201);
    app.post("/api/menus", lunch.clone()).await.expect(409);
    let dinner = app.post("/api/menus", json!({"date": "2024-01-01", "type": "dinner"})).await.expect(201);
    app.post("/api/menus", json!({"date": "2024-01-02", "type": "lunch"})).await.expect(201);
    app.put(&format!("/api/menus/{}", dinner["id"]), json!({"type": "lunch"})).await.expect(409);
    app.delete(&format!("/api/menus/{}", first["id"])).await.expect(200);
    let again = app.post("/api/menus", lunch).await.expect(201);
    assert_ne!(again["id"], first["id"]);
}

#[tokio::test]
async fn a_dish_that_is_there_twice_or_hidden_is_named() {
    let app = TestApp::new().await;
    let dish = app.post("/api/dishes", json!({"name": "清蒸鱼", "category": "肉菜"})).await.expect(201)["id"].clone();
    let gone = app.post("/api/dishes", json!({"name": "白米饭", "category": "主食"})).await.expect(201)["id"].clone();
    app.delete(&format!("/api/dishes/{gone}")).await.expect(200);
    let menu = |dishes: Value| json!({"date": "2024-01-01", "type": "lunch", "dishes": dishes});
    let twice = menu(json!([{"dish_id": dish, "quantity": 1}, {"dish_id": dish, "quantity": 2}]));
    assert_eq!(app.post("/api/menus", twice).await.refused(400, "dishes[1].dish_id"), "菜品重复");
    let hidden = menu(json!([{"dish_id": dish, "quantity": 1}, {"dish_id": gone, "quantity": 1}]));
    assert_eq!(app.post("/api/menus", hidden).await.refused(400, "dishes[1].dish_id"), "菜品不存在");
    let none = menu(json!([{"dish_id": dish, "quantity": 0}]));
    app.post("/api/menus", none).await.refused(400, "dishes[0].quantity");
    assert_eq!(app.get("/api/menus").await.expect(200), json!([]));
    let good = app.post("/api/menus", menu(json!([{"dish_id": dish, "quantity": 2}]))).await.expect(201);
    let expected = json!([{"id": dish, "name": "清蒸鱼", "category": "肉菜", "quantity": 2}]);
    assert_eq!(good["dishes"], expected);
}
