//! Punching: what the log keeps and which days follow from it.

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::{PASSWORD, Reply, TestApp};

const PATH: &str = "/api/employees/attendance";

async fn employee(app: &TestApp, name: &str) -> i64 {
    let token = app.login("admin", PASSWORD).await;
    let body = json!({"name": name, "position": "厨师"});
    let made = app.by(&token, Method::POST, "/api/employees", Some(body)).await.expect(201);
    made["id"].as_i64().unwrap()
}

/// A punch with a token of this very moment, so that the clock may move.
async fn punch(app: &TestApp, employee: i64, kind: &str, punched_at: Option<&str>) -> Reply {
    let token = app.login("admin", PASSWORD).await;
    let mut body = json!({"employee_id": employee, "type": kind});
    if let Some(at) = punched_at {
        body["punched_at"] = json!(at);
    }
    app.by(&token, Method::POST, PATH, Some(body)).await
}

async fn list(app: &TestApp, query: &str) -> Value {
    let token = app.login("admin", PASSWORD).await;
    app.by(&token, Method::GET, &format!("{PATH}?{query}"), None).await.expect(200)
}

fn count(app: &TestApp, sql: &str) -> i64 {
    app.rows().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Date, check-in, check-out and status of every day of an employee.
async fn days(app: &TestApp, employee: i64) -> Vec<Value> {
    let data = list(app, &format!("employee_id={employee}&page_size=100")).await;
    let items = data["items"].as_array().unwrap();
    assert_eq!(data["total"], items.len());
    items
        .iter()
        .map(|item| json!([item["date"], item["check_in_time"], item["check_out_time"], item["status"]]))
        .collect()
}

#[tokio::test]
async fn a_check_in_and_a_check_out_make_a_day() {
    let app = TestApp::new().await;
    let id = employee(&app, "王五").await;
    let came = punch(&app, id, "check_in", None).await;
    assert_eq!(came.json()["message"], "打卡成功");
    let came = came.expect(200);
    assert_eq!(came["employee_id"], id);
    assert_eq!(came["date"], "2024-01-01");
    assert_eq!(came["check_in_time"], "08:00:00");
    assert_eq!(came["check_out_time"], Value::Null);
    assert_eq!(came["status"], "present");
    assert_eq!(came["punched_at"], Value::Null);
    assert_eq!(came["received_at"], "2024-01-01T08:00:00");
    assert_eq!(came["clock_suspect"], false);
    app.at("2024-01-01T17:30:00");
    let left = punch(&app, id, "check_out", None).await.expect(200);
    assert_eq!(left["id"], came["id"]);
    assert_eq!(left["check_in_time"], "08:00:00");
    assert_eq!(left["check_out_time"], "17:30:00");
    assert_eq!(left["status"], "present");
    let listed = list(&app, &format!("employee_id={id}")).await;
    assert_eq!(listed["items"][0]["employee_name"], "王五");
    assert_eq!(days(&app, id).await, [json!(["2024-01-01", "08:00:00", "17:30:00", "present"])]);
}

#[tokio::test]
async fn a_second_check_in_changes_nothing_but_is_logged() {
    let app = TestApp::new().await;
    let id = employee(&app, "王五").await;
    let first = punch(&app, id, "check_in", None).await.expect(200);
    app.at("2024-01-01T09:00:00");
    let reply = punch(&app, id, "check_in", None).await;
    assert_eq!(reply.json()["message"], "今日已打卡");
    let second = reply.expect(200);
    for key in ["id", "date", "check_in_time", "check_out_time", "status"] {
        assert_eq!(first[key], second[key], "{key}");
    }
    assert_eq!(days(&app, id).await, [json!(["2024-01-01", "08:00:00", null, "present"])]);
    assert_eq!(count(&app, "select count(*) from punches"), 2);
}

#[tokio::test]
async fn a_check_out_without_a_check_in_is_incomplete() {
    let app = TestApp::new().await;
    let id = employee(&app, "王五").await;
    let left = punch(&app, id, "check_out", None).await.expect(200);
    assert_eq!(left["check_in_time"], Value::Null);
    assert_eq!(left["check_out_time"], "08:00:00");
    assert_eq!(left["status"], "incomplete");
}

#[tokio::test]
async fn a_check_out_in_the_morning_belongs_to_the_night_before() {
    let app = TestApp::new().await;
    let id = employee(&app, "王五").await;
    app.at("2024-01-01T22:00:00");
    punch(&app, id, "check_in", None).await.expect(200);
    app.at("2024-01-02T06:00:00");
    let left = punch(&app, id, "check_out", None).await.expect(200);
    assert_eq!(left["date"], "2024-01-01");
    assert_eq!(days(&app, id).await, [json!(["2024-01-01", "22:00:00", "06:00:00", "present"])]);
}

#[tokio::test]
async fn sixteen_hours_later_a_check_out_stands_alone() {
    let app = TestApp::new().await;
    let (within, beyond) = (employee(&app, "甲").await, employee(&app, "乙").await);
    app.at("2024-01-01T16:00:00");
    punch(&app, within, "check_in", None).await.expect(200);
    punch(&app, beyond, "check_in", None).await.expect(200);
    app.at("2024-01-02T07:59:59");
    punch(&app, within, "check_out", None).await.expect(200);
    app.at("2024-01-02T08:00:00");
    let alone = punch(&app, beyond, "check_out", None).await.expect(200);
    assert_eq!(alone["date"], "2024-01-02");
    assert_eq!(alone["status"], "incomplete");
    assert_eq!(days(&app, within).await, [json!(["2024-01-01", "16:00:00", "07:59:59", "present"])]);
    let two =
        [json!(["2024-01-02", null, "08:00:00", "incomplete"]), json!(["2024-01-01", "16:00:00", null, "present"])];
    assert_eq!(days(&app, beyond).await, two);
}

#[tokio::test]
async fn a_kiosk_that_was_cut_off_is_believed_and_its_clock_is_marked() {
    let app = TestApp::new().await;
    app.at("2024-01-01T10:00:00");
    let cases = [("09:00:00", true), ("09:54:59", true), ("09:55:00", false), ("09:59:00", false)];
    for (time, suspect) in cases {
        let id = employee(&app, time).await;
        let at = format!("2024-01-01T{time}");
        let data = punch(&app, id, "check_in", Some(&at)).await.expect(200);
        assert_eq!(data["check_in_time"], time);
        assert_eq!(data["punched_at"], at);
        assert_eq!(data["received_at"], "2024-01-01T10:00:00");
        assert_eq!(data["clock_suspect"], suspect, "{time}");
        let kept: (i64, i64, i64, bool) = app
            .rows()
            .query_row(
                "select effective_at, punched_at, received_at, clock_suspect from punches where employee_id = ?1",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        assert_eq!(kept.0, kept.1);
        assert!(kept.1 < kept.2);
        assert_eq!(kept.3, suspect);
    }
}

#[tokio::test]
async fn an_earlier_check_in_that_comes_late_becomes_the_first() {
    let app = TestApp::new().await;
    let id = employee(&app, "王五").await;
    punch(&app, id, "check_in", None).await.expect(200);
    let reply = punch(&app, id, "check_in", Some("2024-01-01T07:00:00")).await;
    assert_eq!(reply.json()["message"], "打卡成功");
    assert_eq!(reply.expect(200)["check_in_time"], "07:00:00");
}

#[tokio::test]
async fn punches_delivered_in_the_wrong_order_end_as_one_day() {
    let app = TestApp::new().await;
    let id = employee(&app, "王五").await;
    app.at("2024-01-02T12:00:00");
    let stray = punch(&app, id, "check_out", Some("2024-01-02T06:00:00")).await.expect(200);
    assert_eq!(stray["date"], "2024-01-02");
    assert_eq!(stray["status"], "incomplete");
    let whole = punch(&app, id, "check_in", Some("2024-01-01T22:00:00")).await.expect(200);
    assert_eq!(whole["date"], "2024-01-01");
    assert_eq!(whole["check_out_time"], "06:00:00");
    assert_eq!(whole["status"], "present");
    assert_eq!(days(&app, id).await, [json!(["2024-01-01", "22:00:00", "06:00:00", "present"])]);
    assert_eq!(count(&app, "select count(*) from attendance where deleted_at is not null"), 1);
    // The hidden day comes back when it gets a punch of its own.
    punch(&app, id, "check_in", Some("2024-01-02T11:00:00")).await.expect(200);
    let two =
        [json!(["2024-01-02", "11:00:00", null, "present"]), json!(["2024-01-01", "22:00:00", "06:00:00", "present"])];
    assert_eq!(days(&app, id).await, two);
    assert_eq!(count(&app, "select count(*) from attendance"), 2);
}

#[tokio::test]
async fn a_punch_of_more_than_62_days_ago_is_refused() {
    let app = TestApp::new().await;
    let id = employee(&app, "王五").await;
    let late = punch(&app, id, "check_in", Some("2023-10-31T07:59:59")).await;
    assert_eq!(late.refused(400, "punched_at"), "补传的打卡不能早于62天前");
    assert_eq!(count(&app, "select count(*) from punches"), 0);
    punch(&app, id, "check_in", Some("2023-10-31T08:00:00")).await.expect(200);
}

#[tokio::test]
async fn a_punch_from_the_future_counts_as_now_and_is_suspect() {
    let app = TestApp::new().await;
    let id = employee(&app, "王五").await;
    let data = punch(&app, id, "check_in", Some("2024-01-03T09:00:00")).await.expect(200);
    assert_eq!(data["date"], "2024-01-01");
    assert_eq!(data["check_in_time"], "08:00:00");
    assert_eq!(data["punched_at"], "2024-01-03T09:00:00");
    assert_eq!(data["clock_suspect"], true);
    assert_eq!(count(&app, "select count(*) from punches where effective_at = received_at"), 1);
}

#[tokio::test]
async fn nobody_punches_for_who_is_unknown_or_inactive() {
    let app = TestApp::new().await;
    assert_eq!(punch(&app, 99, "check_in", None).await.refused(404, None), "员工不存在");
    let gone = json!({"name": "某人", "position": "厨师", "status": "inactive"});
    let gone = app.post("/api/employees", gone).await.expect(201)["id"].as_i64().unwrap();
    assert_eq!(punch(&app, gone, "check_in", None).await.refused(409, None), "员工已停用");
    let id = employee(&app, "王五").await;
    punch(&app, id, "check_up", None).await.refused(400, "type");
    assert_eq!(count(&app, "select count(*) from punches"), 0);
}

#[tokio::test]
async fn the_list_is_paged_and_filtered_by_employee_and_day() {
    let app = TestApp::new().await;
    app.at("2024-01-07T08:00:00");
    let (one, other) = (employee(&app, "甲").await, employee(&app, "乙").await);
    for day in 1..=5 {
        punch(&app, one, "check_in", Some(&format!("2024-01-0{day}T08:00:00"))).await.expect(200);
    }
    punch(&app, other, "check_in", Some("2024-01-03T08:00:00")).await.expect(200);
    let cases = [
        (String::new(), 6),
        (format!("employee_id={one}"), 5),
        (format!("employee_id={other}"), 1),
        ("start_date=2024-01-03".to_owned(), 4),
        ("end_date=2024-01-03".to_owned(), 4),
        ("start_date=2024-01-03&end_date=2024-01-03".to_owned(), 2),
        (format!("start_date=2024-01-02&end_date=2024-01-04&employee_id={one}"), 3),
        ("start_date=2024-02-01".to_owned(), 0),
    ];
    for (query, total) in cases {
        let data = list(&app, &query).await;
        assert_eq!(data["total"], total, "{query}");
        assert_eq!(data["items"].as_array().unwrap().len(), total, "{query}");
    }
    let whole = list(&app, "").await["items"].as_array().unwrap().clone();
    let mut paged = Vec::new();
    for page in 1..=3 {
        let data = list(&app, &format!("page={page}&page_size=2")).await;
        assert_eq!((&data["total"], &data["page"], &data["page_size"]), (&json!(6), &json!(page), &json!(2)));
        paged.extend(data["items"].as_array().unwrap().clone());
    }
    assert_eq!(paged, whole);
    assert_eq!(list(&app, "page=4&page_size=2").await["items"], json!([]));
    assert_eq!(whole[0]["date"], "2024-01-05");
    let token = app.login("admin", PASSWORD).await;
    let backwards = format!("{PATH}?start_date=2024-01-03&end_date=2024-01-02");
    app.by(&token, Method::GET, &backwards, None).await.refused(400, "end_date");
}

/// A small generator, the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[tokio::test]
async fn the_order_of_delivery_does_not_change_the_days() {
    for seed in 1..=4 {
        let app = TestApp::new().await;
        app.at("2024-01-08T00:00:00");
        let (one, other) = (employee(&app, "甲").await, employee(&app, "乙").await);
        let mut dice = Dice(seed);
        let mut punches: Vec<(String, &str)> = (0..30)
            .map(|_| {
                let minute = dice.below(7 * 24 * 60);
                let (day, hour, minute) = (1 + minute / 1440, minute / 60 % 24, minute % 60);
                let kind = if dice.below(2) == 0 { "check_in" } else { "check_out" };
                (format!("2024-01-{day:02}T{hour:02}:{minute:02}:00"), kind)
            })
            .collect();
        for (at, kind) in &punches {
            punch(&app, one, kind, Some(at)).await.expect(200);
        }
        dice.shuffle(&mut punches);
        for (at, kind) in &punches {
            punch(&app, other, kind, Some(at)).await.expect(200);
        }
        let rows = days(&app, one).await;
        assert!(!rows.is_empty());
        assert_eq!(rows, days(&app, other).await, "seed {seed}: {punches:?}");
        assert_eq!(count(&app, "select count(*) from punches"), 60);
    }
}

#[tokio::test]
async fn a_kiosk_punches_for_five_hundred_people_in_a_row() {
    let app = TestApp::new().await;
    let people: Vec<Value> = (0..500).map(|n| json!({"name": format!("员工{n}"), "position": "护理"})).collect();
    let made = app.post("/api/employees/batch", json!({"create": people})).await.expect(200);
    let ids: Vec<i64> = made["created"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 500);
    let one = |id: i64| app.post(PATH, json!({"employee_id": id, "type": "check_in"}));
    for ids in ids.chunks(5) {
        let (a, b, c, d, e) = tokio::join!(one(ids[0]), one(ids[1]), one(ids[2]), one(ids[3]), one(ids[4]));
        for (id, reply) in ids.iter().zip([a, b, c, d, e]) {
            assert_eq!(reply.expect(200)["employee_id"], *id);
        }
    }
    assert_eq!(count(&app, "select count(*) from punches"), 500);
    assert_eq!(count(&app, "select count(*) from attendance where date = '2024-01-01' and status = 'present'"), 500);
}
