//! Letters: what the center's mailbox brings runs under the site's own rules, and once.

use axum::Router;
use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::{Method, Request};
use canshi::domain::access::Access;
use canshi::domain::ids::UserId;
use canshi::domain::settings::Settings;
use canshi::domain::time::{DAY_MS, HOUR_MS, Instant};
use canshi::http::answer::Answer;
use canshi::http::app::EdgeConfig;
use canshi::http::caller::Caller;
use canshi::http::error::Refusal;
use canshi::http::mail::{ANSWER_BYTES_MAX, Letter, OnBehalf, deliver};
use canshi::http::route::{Route, get, post};
use canshi::http::{App, edge};
use canshi::service::housekeeping;
use canshi::store::open::Options;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::{MORNING, PASSWORD, TestApp};

fn letter(message_id: &str, on_behalf: OnBehalf) -> Letter {
    let received_at = Instant(MORNING);
    Letter { message_id: message_id.to_owned(), on_behalf, received_at, assigned_id: None }
}

/// A letter of somebody at headquarters who may do everything.
pub fn headquarters(message_id: &str) -> Letter {
    letter(message_id, OnBehalf::Headquarters { name: "赵总".into(), write: true })
}

fn reader(message_id: &str) -> Letter {
    letter(message_id, OnBehalf::Headquarters { name: "钱会计".into(), write: false })
}

fn of_user(message_id: &str, user: i64) -> Letter {
    letter(message_id, OnBehalf::User(UserId::try_from(user).unwrap()))
}

async fn user(app: &TestApp, role: &str, links: Value) -> i64 {
    let token = app.user(role, links).await;
    app.by(&token, Method::GET, "/api/auth/me", None).await.expect(200)["id"].as_i64().unwrap()
}

async fn employee(app: &TestApp, name: &str) -> i64 {
    let body = json!({"name": name, "position": "护士"});
    app.post("/api/employees", body).await.expect(201)["id"].as_i64().unwrap()
}

fn count(app: &TestApp, table: &str) -> i64 {
    app.rows().query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_letter_books_under_the_id_of_the_center_and_punches_when_the_relay_heard_of_it() {
    let app = TestApp::new().await;
    let employee = employee(&app, "王五").await;
    let (mother, nurse) =
        (user(&app, "customer", json!({})).await, user(&app, "employee", json!({"employee_id": employee})).await);
    app.pass_ms(HOUR_MS);
    let body = Some(json!({"service_type": "陪护", "date": "2024-01-02", "time": "14:00"}));
    let assigned_id = Some(1_704_067_200_001);
    let book = Letter { assigned_id, ..of_user("m1", mother) };
    let booked = app.deliver(book, Method::POST, "/api/wechat/customer/appointment", body.clone()).await.expect(201);
    assert_eq!(booked["appointment_id"].as_i64(), assigned_id);
    let taken = Letter { assigned_id, ..of_user("m2", mother) };
    app.deliver(taken, Method::POST, "/api/wechat/customer/appointment", body.clone()).await.refused(409, None);
    app.deliver(headquarters("m3"), Method::POST, "/api/wechat/customer/appointment", body).await.refused(403, None);
    let punch = Some(json!({"type": "check_in"}));
    let punched =
        app.deliver(of_user("m4", nurse), Method::POST, "/api/wechat/admin/attendance", punch).await.expect(200);
    assert_eq!(punched["message"], "上班打卡成功，时间：08:00:00");
}

#[tokio::test]
async fn the_relay_asks_who_stands_behind_a_wechat_account() {
    const PATH: &str = "/api/auth/wechat/resolve";
    let app = TestApp::new().await;
    let ask = |id: &str, body: Value| app.deliver(letter(id, OnBehalf::Relay), Method::POST, PATH, Some(body));
    let made = ask("m1", json!({"openid": "openid-1", "user_id": 1_704_067_200_001_i64})).await.expect(200);
    assert_eq!((&made["user_id"], &made["role"]), (&json!(1_704_067_200_001_i64), &json!("customer")));
    // Whoever is known already keeps his id.
    let again = ask("m2", json!({"openid": "openid-1", "user_id": 1_704_067_200_002_i64})).await.expect(200);
    assert_eq!(again, made);
    let target = user(&app, "customer", json!({})).await;
    let code = app.post(&format!("/api/users/{target}/bind-code"), json!({})).await.expect(201)["bind_code"].clone();
    let bound = ask("m3", json!({"openid": "openid-1", "bind_code": code})).await.expect(200);
    assert_eq!(bound["user_id"], target);
    app.post("/api/customers", json!({"name": "李四", "contact": "13900139000"})).await.expect(201);
    let bound = ask("m4", json!({"openid": "openid-2", "phone": "13900139000"})).await.expect(200);
    assert_eq!(bound["name"], "李四");
    ask("m5", json!({"openid": "open id"})).await.refused(400, "openid");
    app.post(PATH, json!({"openid": "openid-1"})).await.refused(404, None);
}

fn customer(name: &str) -> Option<Value> {
    Some(json!({"name": name, "contact": "13900139000"}))
}

#[tokio::test]
async fn a_letter_has_the_rights_of_its_user_and_no_others() {
    let app = TestApp::new().await;
    let id = user(&app, "employee", json!({})).await;
    let me = app.deliver(of_user("m1", id), Method::GET, "/api/auth/me", None).await.expect(200);
    assert_eq!((me["id"].as_i64(), &me["role"]), (Some(id), &json!("employee")));
    app.deliver(of_user("m2", id), Method::GET, "/api/customers", None).await.expect(200);
    app.deliver(of_user("m3", id), Method::POST, "/api/customers", customer("李四")).await.refused(403, None);
    app.deliver(of_user("m4", id), Method::GET, "/api/finance/transactions", None).await.refused(403, None);
    app.deliver(of_user("m5", 999), Method::GET, "/api/auth/me", None).await.refused(401, None);
    app.deliver(of_user("m6", id), Method::GET, "/api/nothing", None).await.refused(404, None);
    assert_eq!(count(&app, "mailbox_answers"), 0);
}

#[tokio::test]
async fn the_rights_of_a_letter_are_those_of_its_arrival() {
    let app = TestApp::new().await;
    let role = app.post("/api/roles", json!({"name": "desk", "permissions": ["customers.write"]})).await.expect(201);
    let id = user(&app, "desk", json!({})).await;
    app.deliver(of_user("m1", id), Method::POST, "/api/customers", customer("甲")).await.expect(201);
    app.put(&format!("/api/roles/{}", role["id"]), json!({"permissions": ["menus.read"]})).await.expect(200);
    app.deliver(of_user("m2", id), Method::POST, "/api/customers", customer("乙")).await.refused(403, None);
    app.put(&format!("/api/users/{id}"), json!({"role": "admin"})).await.expect(200);
    app.deliver(of_user("m3", id), Method::POST, "/api/customers", customer("丙")).await.expect(201);
    app.put(&format!("/api/users/{id}"), json!({"status": "inactive"})).await.expect(200);
    app.deliver(of_user("m4", id), Method::POST, "/api/customers", customer("丁")).await.refused(401, None);
    assert_eq!(count(&app, "customers"), 2);
}

#[tokio::test]
async fn a_message_that_comes_again_has_its_effect_once_however_late() {
    let app = TestApp::new().await;
    let id = user(&app, "admin", json!({})).await;
    let first = app.deliver(of_user("m1", id), Method::POST, "/api/customers", customer("李四")).await;
    first.expect(201);
    for days in [0, 1, 400] {
        app.pass_ms(days * DAY_MS + 1);
        housekeeping::forget_old(app.db()).await.unwrap();
        let again = app.deliver(of_user("m1", id), Method::POST, "/api/customers", customer("李四")).await;
        assert_eq!((again.status, &again.text), (201, &first.text));
    }
    // On whose behalf it comes is no part of what it is.
    let again = app.deliver(headquarters("m1"), Method::POST, "/api/customers", customer("李四")).await;
    assert_eq!(again.text, first.text);
    assert_eq!((count(&app, "customers"), count(&app, "mailbox_answers"), count(&app, "idempotency_keys")), (1, 1, 0));
    let other = app.deliver(of_user("m1", id), Method::POST, "/api/customers", customer("王芳")).await;
    other.refused(409, None);
    app.deliver(of_user("m2", id), Method::POST, "/api/customers", customer("李四")).await.expect(201);
    assert_eq!(count(&app, "customers"), 2);
}

#[tokio::test]
async fn a_message_that_comes_again_is_answered_as_before_even_if_its_user_may_no_longer() {
    let app = TestApp::new().await;
    let id = user(&app, "admin", json!({})).await;
    let send = || app.deliver(of_user("m1", id), Method::POST, "/api/customers", customer("李四"));
    let first = send().await;
    first.expect(201);
    for change in [json!({"role": "employee"}), json!({"status": "inactive"})] {
        app.put(&format!("/api/users/{id}"), change).await.expect(200);
        let again = send().await;
        assert_eq!((again.status, &again.text), (201, &first.text));
    }
    app.deliver(of_user("m2", id), Method::POST, "/api/customers", customer("李四")).await.refused(401, None);
    assert_eq!(count(&app, "customers"), 1);
}

#[tokio::test]
async fn a_refused_letter_is_not_kept() {
    let app = TestApp::new().await;
    app.deliver(headquarters("m1"), Method::POST, "/api/customers/99/nothing", None).await.refused(404, None);
    app.deliver(headquarters("m1"), Method::PUT, "/api/customers/99", customer("李四")).await.refused(404, None);
    app.deliver(headquarters("m1"), Method::POST, "/api/customers", customer("李四")).await.expect(201);
    assert_eq!(count(&app, "mailbox_answers"), 1);
}

#[tokio::test]
async fn headers_of_a_letter_change_neither_its_sender_nor_its_key() {
    let app = TestApp::new().await;
    let id = user(&app, "employee", json!({})).await;
    let router = canshi::http::router(app.app());
    let request = || {
        let request = Request::post("/api/customers").header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", app.admin())).header("idempotency-key", "k");
        request.body(HttpBody::from(customer("李四").unwrap().to_string())).unwrap()
    };
    assert_eq!(deliver(&router, request(), of_user("m1", id)).await.0, 403);
    assert_eq!(deliver(&router, request(), headquarters("m2")).await.0, 201);
    assert_eq!(deliver(&router, request(), headquarters("m3")).await.0, 201);
    assert_eq!(count(&app, "customers"), 2);
    assert_eq!(count(&app, "idempotency_keys"), 0);
}

#[tokio::test]
async fn nothing_from_the_network_is_a_letter() {
    let app = TestApp::new().await;
    let forged =
        json!({"message_id": "m1", "on_behalf": {"Headquarters": {"name": "赵总", "write": true}}}).to_string();
    for name in ["letter", "x-letter", "x-canshi-letter", "x-on-behalf", "x-message-id"] {
        let headers = [(name, forged.as_str())];
        app.send(Method::GET, "/api/customers", &headers, None).await.refused(401, None);
    }
    assert_eq!(count(&app, "mailbox_answers"), 0);
}

#[tokio::test]
async fn headquarters_may_do_everything_or_only_read() {
    let app = TestApp::new().await;
    app.deliver(headquarters("m1"), Method::POST, "/api/customers", customer("李四")).await.expect(201);
    let entry = || Some(json!({"type": "income", "category": "餐费", "amount": 10.00}));
    app.deliver(headquarters("m2"), Method::POST, "/api/finance/transactions", entry()).await.expect(201);
    for path in ["/api/customers", "/api/finance/transactions", "/api/employees", "/api/users", "/api/audit"] {
        app.deliver(reader("m3"), Method::GET, path, None).await.expect(200);
    }
    app.deliver(reader("m4"), Method::POST, "/api/customers", customer("王芳")).await.refused(403, None);
    app.deliver(reader("m5"), Method::PUT, "/api/customers/1", customer("王芳")).await.refused(403, None);
    app.deliver(reader("m6"), Method::DELETE, "/api/customers/1", None).await.refused(403, None);
    app.deliver(reader("m7"), Method::POST, "/api/finance/transactions", entry()).await.refused(403, None);
    app.deliver(reader("m8"), Method::POST, "/api/notifications/1/read", Some(json!({}))).await.refused(403, None);
    let login = Some(json!({"username": "admin", "password": PASSWORD}));
    app.deliver(reader("m9"), Method::POST, "/api/auth/login", login).await.refused(403, None);
    assert_eq!((count(&app, "customers"), count(&app, "transactions")), (1, 1));
}

#[tokio::test]
async fn the_trail_says_who_at_headquarters_it_was_and_by_which_message() {
    let app = TestApp::new().await;
    app.deliver(headquarters("m1"), Method::POST, "/api/customers", customer("李四")).await.expect(201);
    let id = user(&app, "admin", json!({})).await;
    app.deliver(of_user("m2", id), Method::PUT, "/api/customers/1", customer("王芳")).await.expect(200);
    let trail = app.get("/api/audit?noun=customers").await.expect(200);
    let entry = &trail["items"][1];
    assert_eq!((&entry["role"], &entry["address"]), (&json!("headquarters"), &json!("赵总")));
    assert_eq!((&entry["user_id"], &entry["request_id"]), (&Value::Null, &json!("m1")));
    let entry = &trail["items"][0];
    assert_eq!((&entry["role"], &entry["address"]), (&json!("admin"), &json!("mailbox")));
    assert_eq!((&entry["user_id"], &entry["request_id"]), (&json!(id), &json!("m2")));
}

#[tokio::test]
async fn a_letter_has_no_session_and_no_password() {
    let app = TestApp::new().await;
    let id = user(&app, "employee", json!({})).await;
    let password = || Some(json!({"old_password": "password-1", "new_password": "password-2"}));
    app.deliver(of_user("m1", id), Method::POST, "/api/auth/refresh", None).await.refused(401, None);
    app.deliver(of_user("m2", id), Method::POST, "/api/auth/logout", None).await.refused(401, None);
    app.deliver(of_user("m3", id), Method::PUT, "/api/auth/password", password()).await.refused(401, None);
    app.deliver(headquarters("m4"), Method::POST, "/api/auth/refresh", None).await.refused(401, None);
    for (method, path) in [(Method::GET, "/api/auth/me"), (Method::POST, "/api/auth/logout")] {
        app.deliver(headquarters("m5"), method, path, None).await.refused(403, None);
    }
    app.login("employee-user", "password-1").await;
}

/// Says what it was told: the id that was promised, the time, the rights.
async fn told(State(_): State<App>, caller: Caller) -> Result<Answer<Vec<String>>, Refusal> {
    let told = vec![
        format!("{:?}", caller.assigned_id()),
        format!("{:?}", caller.received_at()),
        format!("{} {}", caller.role(), caller.permissions().iter().count()),
    ];
    Ok(Answer::new("获取成功", told)?)
}

async fn much(State(_): State<App>) -> Result<Answer<String>, Refusal> {
    Ok(Answer::new("获取成功", "长".repeat(ANSWER_BYTES_MAX / 3))?)
}

fn with(app: &TestApp, route: Route) -> Router {
    edge::around(route.mount(Router::new(), app.app()), app.app())
}

fn request(method: Method, path: &str) -> Request<HttpBody> {
    Request::builder().method(method).uri(path).body(HttpBody::empty()).unwrap()
}

#[tokio::test]
async fn a_route_for_the_relay_is_there_for_nobody_else() {
    let app = TestApp::new().await;
    let router = with(&app, post("/api/told", Access::Relay, told));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (status, unknown) = deliver(&router, request(Method::POST, "/api/unknown"), headquarters("m0")).await;
    assert_eq!(status, 404);
    assert!(text(&unknown).contains("没有这个接口"));
    let mut from_admin = request(Method::POST, "/api/told");
    from_admin.headers_mut().insert("authorization", format!("Bearer {}", app.admin()).parse().unwrap());
    for request in [request(Method::POST, "/api/told"), from_admin] {
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 404);
        assert_eq!(axum::body::to_bytes(response.into_body(), 4096).await.unwrap(), unknown);
    }
    let id = user(&app, "admin", json!({})).await;
    for letter in [headquarters("m1"), of_user("m2", id)] {
        let (status, body) = deliver(&router, request(Method::POST, "/api/told"), letter).await;
        assert_eq!((status.as_u16(), body), (404, unknown.clone()));
    }
    let letter = Letter { assigned_id: Some(1_000_000_000_001), ..letter("m3", OnBehalf::Relay) };
    let (status, body) = deliver(&router, request(Method::POST, "/api/told"), letter).await;
    assert_eq!(status, 200);
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(told["data"], json!(["Some(1000000000001)", format!("Some(Instant({MORNING}))"), "relay 0"]));
}

#[tokio::test]
async fn the_relay_itself_may_do_nothing_else() {
    let app = TestApp::new().await;
    let attempts = [
        (Method::GET, "/api/customers", None),
        (Method::POST, "/api/customers", customer("李四")),
        (Method::GET, "/api/auth/me", None),
    ];
    for (method, path, body) in attempts {
        app.deliver(letter("m1", OnBehalf::Relay), method, path, body).await.refused(403, None);
    }
    assert_eq!(count(&app, "customers"), 0);
}

#[tokio::test]
async fn the_relay_passes_on_a_login_whose_answer_is_kept_nowhere() {
    let app = TestApp::new().await;
    let login = json!({"username": "admin", "password": PASSWORD});
    let passed =
        app.deliver(letter("m1", OnBehalf::Relay), Method::POST, "/api/auth/login", Some(login)).await.expect(200);
    app.by(passed["token"].as_str().unwrap(), Method::GET, "/api/auth/me", None).await.expect(200);
    assert_eq!(count(&app, "mailbox_answers"), 0);
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_refused() {
    let app = TestApp::new().await;
    let router = with(&app, get("/api/much", Access::Public, much));
    let (status, body) = deliver(&router, request(Method::GET, "/api/much"), headquarters("m1")).await;
    assert_eq!(status, 413);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["code"], &body["data"]["error"]), (&json!(413), &json!("答复超过1MiB，请缩小查询范围")));
}

#[tokio::test]
async fn letters_are_the_relays_to_limit() {
    let app = TestApp::with(EdgeConfig::default(), Options::default()).await;
    let id = user(&app, "employee", json!({})).await;
    let one_each = Settings { requests_per_user: 1, requests_per_address: 1, ..Settings::default() };
    app.put("/api/settings", json!({"requests_per_user": 1, "requests_per_address": 1})).await.expect(200);
    assert_eq!(*app.app().settings(), one_each);
    for _ in 0..20 {
        app.deliver(of_user("m1", id), Method::GET, "/api/customers", None).await.expect(200);
    }
}

#[tokio::test]
async fn a_punch_in_a_letter_counts_when_the_relay_received_it() {
    const PATH: &str = "/api/employees/attendance";
    let app = TestApp::new().await;
    let staff = employee(&app, "王五").await;
    let id = user(&app, "employee", json!({"employee_id": staff})).await;
    app.pass_ms(3 * DAY_MS);
    let punch = |kind: &str| json!({"employee_id": staff, "type": kind});
    let came = app.deliver(of_user("m1", id), Method::POST, PATH, Some(punch("check_in"))).await.expect(200);
    assert_eq!((&came["date"], &came["check_in_time"]), (&json!("2024-01-01"), &json!("08:00:00")));
    assert_eq!((&came["received_at"], &came["clock_suspect"]), (&json!("2024-01-01T08:00:00"), &json!(false)));

    // The phone's own time is measured by the relay's clock.
    let with_time = |kind: &str, at: &str| {
        let mut body = punch(kind);
        body["punched_at"] = json!(at);
        Some(body)
    };
    let received_at = Instant(MORNING + 9 * HOUR_MS);
    let left = Letter { received_at, ..of_user("m2", id) };
    let left = app.deliver(left, Method::POST, PATH, with_time("check_out", "2024-01-01T16:58:00")).await.expect(200);
    assert_eq!((&left["check_out_time"], &left["clock_suspect"]), (&json!("16:58:00"), &json!(false)));
    let wrong = Letter { received_at, ..of_user("m3", id) };
    let wrong = app.deliver(wrong, Method::POST, PATH, with_time("check_out", "2024-01-01T16:00:00")).await.expect(200);
    assert_eq!(wrong["clock_suspect"], true);

    // A relay whose clock is ahead makes no punch of tomorrow.
    let ahead = Letter { received_at: Instant(MORNING + 30 * DAY_MS), ..of_user("m4", id) };
    let ahead = app.deliver(ahead, Method::POST, PATH, Some(punch("check_in"))).await.expect(200);
    assert_eq!((&ahead["date"], &ahead["check_in_time"]), (&json!("2024-01-04"), &json!("08:00:00")));
}
