//! Appointments, from the mini-program to the end of the service, and what the mini-program shows beside them.

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::{Reply, TestApp};
use crate::seed::assert_has;

const BOOK: &str = "/api/wechat/customer/appointment";
const OWN: &str = "/api/wechat/customer/appointments";
const ALL: &str = "/api/appointments";

fn body() -> Value {
    json!({"service_type": "陪护", "date": "2024-01-02", "time": "14:00", "requirements": "轻声"})
}

async fn post(app: &TestApp, token: &str, path: &str, body: Value) -> Reply {
    app.by(token, Method::POST, path, Some(body)).await
}

async fn get(app: &TestApp, token: &str, path: &str) -> Value {
    app.by(token, Method::GET, path, None).await.expect(200)
}

/// A customer named 张三, logged in.
async fn mother(app: &TestApp) -> String {
    let customer = app.post("/api/customers", json!({"name": "张三"})).await.expect(201);
    app.user("customer", json!({"customer_id": customer["id"]})).await
}

/// An employee named 王五, logged in.
async fn nurse(app: &TestApp) -> (String, i64) {
    let employee = app.post("/api/employees", json!({"name": "王五", "position": "护理"})).await.expect(201);
    (app.user("employee", json!({"employee_id": employee["id"]})).await, employee["id"].as_i64().unwrap())
}

async fn booked(app: &TestApp, token: &str) -> i64 {
    post(app, token, BOOK, body()).await.expect(201)["appointment_id"].as_i64().unwrap()
}

async fn step(app: &TestApp, id: i64, step: &str, employee: i64) -> Reply {
    let body = match step {
        "assign" => json!({"employee_id": employee}),
        "cancel" => json!({"reason": "人手不足"}),
        _ => json!({}),
    };
    app.post(&format!("{ALL}/{id}/{step}"), body).await
}

/// The newest notification of whoever holds the token.
async fn newest(app: &TestApp, token: &str) -> (String, String) {
    let list = get(app, token, "/api/notifications?page_size=1").await;
    let item = &list["items"][0];
    (item["title"].as_str().unwrap_or_default().to_owned(), item["content"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn booking_answers_as_in_3_8_1_2() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let reply = post(&app, &token, BOOK, body()).await;
    let data = reply.expect(201);
    assert_eq!(reply.json()["message"], "预约成功");
    let seed = json!({
        "appointment_id": 1, "service_type": "陪护", "date": "2024-01-02", "time": "14:00", "status": "pending",
    });
    assert_has(&data, &seed);
    for (key, value) in seed.as_object().unwrap() {
        assert_eq!(data[key], *value, "{key}");
    }
}

#[tokio::test]
async fn a_time_has_hours_and_minutes_and_maybe_seconds() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    for (given, shown) in [("14:00", "14:00"), ("14:00:00", "14:00"), ("09:05:07", "09:05:07"), ("00:00", "00:00")] {
        let mut body = body();
        body["time"] = json!(given);
        assert_eq!(post(&app, &token, BOOK, body).await.expect(201)["time"], shown);
    }
    for wrong in ["24:00", "14:60", "14:00:60", "1400", "14", "2pm", "14:00Z", "T14:00", "9:00", "", "14:00:0"] {
        let mut body = body();
        body["time"] = json!(wrong);
        post(&app, &token, BOOK, body).await.refused(400, "time");
    }
}

#[tokio::test]
async fn an_appointment_lies_between_today_of_the_sites_zone_and_a_year_ahead() {
    let app = TestApp::new().await;
    app.at("2024-01-01T00:30:00");
    app.user("customer", json!({})).await;
    let token = app.login("customer-user", "password-1").await;
    for (date, status) in [("2023-12-31", 400), ("2024-01-01", 201), ("2025-01-01", 201), ("2025-01-02", 400)] {
        let mut body = body();
        body["date"] = json!(date);
        let reply = post(&app, &token, BOOK, body).await;
        assert_eq!(reply.status, status, "{date}: {}", reply.text);
        if status == 400 {
            reply.refused(400, "date");
        }
    }
    for (field, value) in [("service_type", json!(" ")), ("date", json!("2024-02-30")), ("requirements", json!(1))] {
        let mut body = body();
        body[field] = value;
        post(&app, &token, BOOK, body).await.refused(400, field);
    }
    post(&app, &token, BOOK, json!({"date": "2024-01-02", "time": "14:00"})).await.refused(400, "service_type");
}

#[tokio::test]
async fn a_user_has_at_most_twenty_appointments_waiting() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let mut last = 0;
    for _ in 0..20 {
        last = booked(&app, &token).await;
    }
    post(&app, &token, BOOK, body()).await.refused(409, None);
    post(&app, &token, &format!("{OWN}/{last}/cancel"), json!({})).await.expect(200);
    booked(&app, &token).await;
}

#[tokio::test]
async fn every_pair_of_status_and_step_goes_as_the_rules_say() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let (_, employee) = nurse(&app).await;
    let ways: [(&str, &[&str]); 5] = [
        ("pending", &[]),
        ("confirmed", &["confirm", "assign"]),
        ("in_progress", &["confirm", "assign", "start"]),
        ("completed", &["confirm", "assign", "start", "complete"]),
        ("cancelled", &["cancel"]),
    ];
    let legal = [
        ("pending", "confirm", "confirmed"),
        ("pending", "assign", "pending"),
        ("pending", "cancel", "cancelled"),
        ("confirmed", "assign", "confirmed"),
        ("confirmed", "start", "in_progress"),
        ("confirmed", "cancel", "cancelled"),
        ("in_progress", "complete", "completed"),
    ];
    for (from, way) in ways {
        for taken in ["confirm", "assign", "start", "complete", "cancel"] {
            let id = booked(&app, &token).await;
            for earlier in way {
                step(&app, id, earlier, employee).await.expect(200);
            }
            let reply = step(&app, id, taken, employee).await;
            match legal.iter().find(|(status, step, _)| (*status, *step) == (from, taken)) {
                Some((.., to)) => assert_eq!(reply.expect(200)["status"], *to, "{from} {taken}"),
                None => {
                    let why = reply.refused(409, None);
                    assert!(why.starts_with("预约") && why.contains("不能"), "{from} {taken}: {why}");
                }
            }
            // The next round must not meet the limit of waiting appointments.
            post(&app, &token, &format!("{OWN}/{id}/cancel"), json!({})).await;
        }
    }
}

#[tokio::test]
async fn a_service_begins_only_when_somebody_is_to_render_it() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let (_, employee) = nurse(&app).await;
    let id = booked(&app, &token).await;
    step(&app, id, "confirm", employee).await.expect(200);
    assert_eq!(step(&app, id, "start", employee).await.refused(409, None), "请先安排服务员工");
    step(&app, id, "assign", 999).await.refused(400, "employee_id");
    app.put(&format!("/api/employees/{employee}"), json!({"status": "inactive"})).await.expect(200);
    step(&app, id, "assign", employee).await.refused(400, "employee_id");
    app.put(&format!("/api/employees/{employee}"), json!({"status": "active"})).await.expect(200);
    let assigned = step(&app, id, "assign", employee).await.expect(200);
    assert_eq!((&assigned["employee_id"], &assigned["employee_name"]), (&json!(employee), &json!("王五")));
    app.pass_ms(60_000);
    let started = step(&app, id, "start", employee).await.expect(200);
    assert_eq!(started["started_at"], "2024-01-01T08:01:00");
    app.pass_ms(3_600_000);
    let completed = step(&app, id, "complete", employee).await.expect(200);
    assert_eq!(completed["completed_at"], "2024-01-01T09:01:00");
    app.post(&format!("{ALL}/{id}/cancel"), json!({})).await.refused(400, "reason");
    for step in ["confirm", "start", "complete"] {
        app.post(&format!("{ALL}/999999/{step}"), json!({})).await.refused(404, None);
    }
}

#[tokio::test]
async fn each_step_is_audited_and_told_to_whom_it_concerns() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let (nurse, employee) = nurse(&app).await;
    let other = app.post("/api/employees", json!({"name": "赵六", "position": "护理"})).await.expect(201);
    let id = booked(&app, &token).await;
    let told = newest(&app, &nurse).await;
    assert_eq!(told, ("新客户预约".to_owned(), "张三预约了2024-01-02的陪护服务".to_owned()));
    assert_eq!(newest(&app, &token).await.0, "");
    let mut told = Vec::new();
    for taken in ["confirm", "assign", "start", "complete"] {
        step(&app, id, taken, employee).await.expect(200);
        told.push(newest(&app, &token).await.0);
    }
    assert_eq!(told, ["预约已确认", "预约已安排员工", "服务已开始", "服务已完成"]);
    let (title, content) = newest(&app, &nurse).await;
    assert_eq!((title.as_str(), content.as_str()), ("新的服务安排", "张三，2024-01-02 14:00的陪护服务"));

    let second = booked(&app, &token).await;
    // An employee who can't log in is not told.
    step(&app, second, "assign", other["id"].as_i64().unwrap()).await.expect(200);
    step(&app, second, "cancel", employee).await.expect(200);
    let (title, content) = newest(&app, &token).await;
    assert_eq!(title, "预约已取消");
    assert!(content.contains("人手不足"), "{content}");

    let trail = app.get(&format!("/api/audit?noun=appointments&noun_id={id}")).await.expect(200);
    assert_eq!(trail["total"], 5);
    assert_eq!(trail["items"][0]["after"]["status"], "completed");
    assert_eq!(trail["items"][4]["action"], "create");
}

#[tokio::test]
async fn a_customer_sees_and_cancels_only_its_own() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let id = booked(&app, &token).await;
    let other = json!({"username": "other", "password": "password-1", "role": "customer", "name": "李四"});
    app.post("/api/users", other).await.expect(201);
    let other = app.login("other", "password-1").await;
    assert_eq!(get(&app, &other, OWN).await["total"], 0);
    let foreign = post(&app, &other, &format!("{OWN}/{id}/cancel"), json!({})).await;
    foreign.refused(404, None);
    assert_eq!(foreign.text, post(&app, &other, &format!("{OWN}/999999/cancel"), json!({})).await.text);
    app.by(&other, Method::GET, ALL, None).await.refused(403, None);
    post(&app, &other, &format!("{ALL}/{id}/confirm"), json!({})).await.refused(403, None);

    let list = get(&app, &token, OWN).await;
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &json!(id)));
    assert_eq!(list["items"][0]["customer_name"], "张三");
    assert_eq!(
        get(&app, &token, &format!("{OWN}?fields=id,status")).await["items"],
        json!([{"id": id, "status": "pending"}])
    );
    let cancelled = app.by(&token, Method::POST, &format!("{OWN}/{id}/cancel"), None).await;
    assert_eq!(cancelled.expect(200)["status"], "cancelled");
    let again = post(&app, &token, &format!("{OWN}/{id}/cancel"), json!({})).await;
    assert_eq!(again.refused(409, None), "预约已取消，不能取消");
}

#[tokio::test]
async fn the_staff_filters_and_pages_the_list() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let (nurse, employee) = nurse(&app).await;
    for (date, time) in [("2024-01-03", "09:00"), ("2024-01-02", "10:00"), ("2024-01-02", "09:00")] {
        let body = json!({"service_type": "陪护", "date": date, "time": time});
        post(&app, &token, BOOK, body).await.expect(201);
    }
    step(&app, 2, "confirm", employee).await.expect(200);
    step(&app, 2, "assign", employee).await.expect(200);
    for (query, ids) in [
        ("", vec![1, 2, 3]),
        ("?page_size=1&page=2", vec![2]),
        ("?status=pending", vec![1, 3]),
        ("?status=confirmed", vec![2]),
        ("?start_date=2024-01-03", vec![1]),
        ("?start_date=2024-01-02&end_date=2024-01-02", vec![2, 3]),
        (&format!("?employee_id={employee}"), vec![2]),
        ("?customer_id=1", vec![1, 2, 3]),
        ("?customer_id=1&status=pending&end_date=2024-01-02", vec![3]),
        ("?customer_id=9", vec![]),
    ] {
        let list = get(&app, &nurse, &format!("{ALL}{query}")).await;
        let found: Vec<i64> =
            list["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
        assert_eq!(found, ids, "{query}");
    }
    app.get(&format!("{ALL}?status=gone")).await.refused(400, "status");
    app.get(&format!("{ALL}?start_date=2024-01-02&end_date=2024-01-01")).await.refused(400, "end_date");
}

#[tokio::test]
async fn todays_menu_answers_as_in_3_8_1_1() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let porridge = json!({"name": "小米粥", "category": "汤品", "description": "营养丰富"});
    let dish = app.post("/api/dishes", porridge).await.expect(201);
    for (date, meal) in [("2024-01-01", "breakfast"), ("2024-01-02", "lunch")] {
        let menu = json!({"date": date, "type": meal, "dishes": [{"dish_id": dish["id"], "quantity": 1}]});
        app.post("/api/menus", menu).await.expect(201);
    }
    let today = get(&app, &token, "/api/wechat/customer/menu").await;
    let porridge = json!([{"id": 1, "name": "小米粥", "category": "汤品", "description": "营养丰富"}]);
    assert_eq!(today, json!({"date": "2024-01-01", "breakfast": porridge, "lunch": [], "dinner": []}));
    app.at("2024-01-02T00:00:00");
    let tomorrow = app.get("/api/wechat/customer/menu").await.expect(200);
    assert_eq!(tomorrow, json!({"date": "2024-01-02", "breakfast": [], "lunch": porridge, "dinner": []}));
}

#[tokio::test]
async fn the_dashboard_answers_as_in_3_8_2_1() {
    let app = TestApp::new().await;
    let token = mother(&app).await;
    let (nurse, _) = nurse(&app).await;
    for (check_in, check_out, status) in [
        (Some("2024-01-01"), None, "active"),
        (Some("2023-12-01"), Some("2024-01-01"), "active"),
        (Some("2023-12-01"), Some("2023-12-31"), "active"),
        (Some("2024-01-02"), None, "active"),
        (Some("2023-12-01"), None, "inactive"),
        (None, None, "active"),
    ] {
        let customer = json!({"name": "某", "check_in_date": check_in, "check_out_date": check_out, "status": status});
        app.post("/api/customers", customer).await.expect(201);
    }
    for _ in 0..12 {
        booked(&app, &token).await;
    }
    step(&app, 1, "confirm", 1).await.expect(200);
    let data = get(&app, &nurse, "/api/wechat/admin/dashboard").await;
    let notification = json!({"id": 1, "title": "新客户预约", "content": "张三预约了", "time": "2024-01-01T09:00:00"});
    assert_has(
        &data,
        &json!({"today_customers": 10, "today_orders": 5, "pending_tasks": 3, "recent_notifications": [notification]}),
    );
    assert_eq!(
        (&data["today_customers"], &data["today_orders"], &data["pending_tasks"]),
        (&json!(2), &json!(0), &json!(11))
    );
    let recent = data["recent_notifications"].as_array().unwrap();
    assert_eq!(recent.len(), 10);
    assert!(recent[0]["id"].as_i64() > recent[9]["id"].as_i64());
    assert!(recent.iter().all(|item| item["title"] == "新客户预约"));
    app.by(&token, Method::GET, "/api/wechat/admin/dashboard", None).await.refused(403, None);
}

#[tokio::test]
async fn punching_answers_as_in_3_8_2_2() {
    const PATH: &str = "/api/wechat/admin/attendance";
    let app = TestApp::new().await;
    let (nurse, employee) = nurse(&app).await;
    let reply = post(&app, &nurse, PATH, json!({"type": "check_in"})).await;
    assert_eq!(reply.expect(200), json!({"status": "success", "message": "上班打卡成功，时间：08:00:00"}));
    assert_eq!(reply.json()["message"], "打卡成功");
    app.pass_ms(60_000);
    let again = post(&app, &nurse, PATH, json!({"type": "check_in"})).await.expect(200);
    assert_eq!(again["message"], "今日已打卡，时间：08:00:00");
    let out = post(&app, &nurse, PATH, json!({"type": "check_out"})).await.expect(200);
    assert_eq!(out["message"], "下班打卡成功，时间：08:01:00");
    assert_eq!(app.get("/api/employees/attendance").await.expect(200)["items"][0]["check_out_time"], "08:01:00");
    post(&app, &nurse, PATH, json!({"type": "lunch"})).await.refused(400, "type");
    post(&app, &nurse, PATH, json!({})).await.refused(400, "type");
    app.post(PATH, json!({"type": "check_in"})).await.refused(403, None);
    app.put(&format!("/api/employees/{employee}"), json!({"status": "inactive"})).await.expect(200);
    post(&app, &nurse, PATH, json!({"type": "check_in"})).await.refused(409, None);
}

#[tokio::test]
async fn roles_that_exist_already_get_later_permissions_once() {
    use canshi::service::passwords::Passwords;
    use canshi::service::setup::first_start;

    let app = TestApp::new().await;
    let role = |app: &TestApp, name: &str| -> Vec<String> {
        let rows = app.rows();
        let sql = "select permission from role_permissions join roles on roles.id = role_id where name = ?1";
        let mut statement = rows.prepare(sql).unwrap();
        statement.query_map([name], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let start = async || first_start(app.db(), &Passwords::new(4).unwrap(), None).await.map(drop).unwrap();
    let keep = |keep: &[&str]| json!({"permissions": keep});
    // As an older version left it.
    app.put("/api/roles/2", keep(&["customers.read"])).await.expect(200);
    app.put("/api/roles/3", keep(&[])).await.expect(200);
    assert_eq!(app.rows().execute("delete from site where key like 'granted.%'", []).unwrap(), 4);
    start().await;
    assert_eq!(role(&app, "employee"), ["appointments.read", "appointments.write", "customers.read"]);
    assert_eq!(role(&app, "customer"), ["appointments.book", "payments.pay"]);
    // What is taken away after that stays away.
    app.put("/api/roles/2", keep(&["customers.read"])).await.expect(200);
    start().await;
    assert_eq!(role(&app, "employee"), ["customers.read"]);
}
