//! Logging in with WeChat, and binding a WeChat account to a person whom the center knows.

use std::io::Write;
use std::sync::{Arc, Mutex};

use axum::http::Method;
use canshi::wechat::Config;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::app::{Reply, TestApp};
use crate::seed::assert_has;
use crate::wechat_platform::{APPID, Platform, SECRET, SESSION_KEY};

const LOGIN: &str = "/api/auth/wechat/login";
const MINUTE_MS: i64 = 60_000;

async fn site() -> (Platform, TestApp) {
    let platform = Platform::start().await;
    let app = TestApp::with_wechat(platform.config()).await;
    (platform, app)
}

async fn send(app: &TestApp, body: Value) -> Reply {
    app.send(Method::POST, LOGIN, &[], Some(body)).await
}

/// Logs in with a fresh code for this account, and with more in the body.
async fn login(platform: &Platform, app: &TestApp, openid: &str, more: Value) -> Reply {
    let mut body = json!({"code": platform.code(openid)});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    send(app, body).await
}

async fn id_of(platform: &Platform, app: &TestApp, openid: &str) -> i64 {
    login(platform, app, openid, json!({})).await.expect(200)["user"]["id"].as_i64().unwrap()
}

async fn add_user(app: &TestApp, username: &str, role: &str, links: Value) -> i64 {
    let mut body = json!({"username": username, "password": "password-1", "role": role, "name": "某人"});
    for (key, value) in links.as_object().unwrap() {
        body[key] = value.clone();
    }
    app.post("/api/users", body).await.expect(201)["id"].as_i64().unwrap()
}

async fn bind_code(app: &TestApp, id: i64) -> String {
    let reply = app.post(&format!("/api/users/{id}/bind-code"), json!({})).await;
    reply.expect(201)["bind_code"].as_str().unwrap().to_owned()
}

async fn me(app: &TestApp, token: &Value) -> Reply {
    app.by(token.as_str().unwrap(), Method::GET, "/api/auth/me", None).await
}

fn count(app: &TestApp, sql: &str) -> i64 {
    app.rows().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn logging_in_answers_as_in_3_1_2() {
    let (platform, app) = site().await;
    let reply = login(&platform, &app, "openid-1", json!({"site_id": 7})).await;
    let data = reply.expect(200);
    assert_eq!(reply.json()["message"], "登录成功");
    let user = json!({"id": 2, "username": "wechat_user", "role": "customer", "name": "微信用户"});
    assert_has(&data, &json!({"token": "jwt_token", "user": user}));
    assert_eq!((&data["user"]["role"], &data["user"]["name"]), (&json!("customer"), &json!("微信用户")));
    assert!(data["user"]["username"].as_str().unwrap().starts_with("wechat_"));
    let person = me(&app, &data["token"]).await.expect(200);
    assert_eq!(person["id"], data["user"]["id"]);
    assert!(person["permissions"].as_array().unwrap().contains(&json!("appointments.book")));
    let again = login(&platform, &app, "openid-1", json!({})).await.expect(200);
    assert_eq!(again["user"], data["user"]);
    assert_ne!(login(&platform, &app, "openid-2", json!({})).await.expect(200)["user"]["id"], data["user"]["id"]);
    assert_eq!(count(&app, "select count(*) from users"), 3);
}

#[tokio::test]
async fn a_code_is_good_once_and_a_made_up_one_never() {
    let (platform, app) = site().await;
    let code = platform.code("openid-1");
    send(&app, json!({"code": code})).await.expect(200);
    send(&app, json!({"code": code})).await.refused(400, "code");
    send(&app, json!({"code": "made-up"})).await.refused(400, "code");
    for body in [json!({}), json!({"code": ""}), json!({"code": 1})] {
        send(&app, body).await.refused(400, "code");
    }
    assert_eq!(count(&app, "select count(*) from users"), 2);
}

#[tokio::test]
async fn a_login_whose_answer_was_lost_can_be_repeated_under_its_key() {
    let (platform, app) = site().await;
    let body = json!({"code": platform.code("openid-1")});
    let key = [("idempotency-key", "k1")];
    let first = app.send(Method::POST, LOGIN, &key, Some(body.clone())).await;
    first.expect(200);
    let again = app.send(Method::POST, LOGIN, &key, Some(body.clone())).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    let other = json!({"code": platform.code("openid-2")});
    app.send(Method::POST, LOGIN, &key, Some(other)).await.refused(409, None);
    app.send(Method::POST, LOGIN, &[("idempotency-key", "k2")], Some(body)).await.refused(400, "code");
    assert_eq!(count(&app, "select count(*) from sessions where user_id > 1"), 1);
}

#[tokio::test]
async fn without_a_mini_program_the_login_says_so() {
    let app = TestApp::new().await;
    let reply = send(&app, json!({"code": "any"})).await;
    assert_eq!(reply.refused(503, None), "微信登录未配置");
    assert_eq!(reply.json()["message"], "服务暂不可用");
}

#[tokio::test]
async fn an_unreachable_or_broken_wechat_is_told_apart_from_a_wrong_code() {
    let (platform, app) = site().await;
    for (errcode, status) in [(-1, 503), (40125, 503), (40226, 403), (45011, 429), (40163, 400)] {
        platform.refuse_with(errcode);
        assert_eq!(login(&platform, &app, "openid-1", json!({})).await.status, status, "{errcode}");
    }
    platform.refuse_with(None);
    login(&platform, &app, "openid-1", json!({})).await.expect(200);
    platform.break_down();
    assert_eq!(login(&platform, &app, "openid-1", json!({})).await.refused(503, None), "微信服务不可用，请稍后重试");

    // Nobody listens there any more.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = Config { base_url: format!("http://{nowhere}"), ..platform.config() };
    let app = TestApp::with_wechat(config).await;
    send(&app, json!({"code": "any"})).await.refused(503, None);

    // Somebody listens and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = Config { base_url: format!("http://{}", silent.local_addr().unwrap()), ..platform.config() };
    let app = TestApp::with_wechat(config).await;
    let started = std::time::Instant::now();
    send(&app, json!({"code": "any"})).await.refused(503, None);
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_wechat_user_has_no_password_that_could_be_guessed() {
    let (platform, app) = site().await;
    let data = login(&platform, &app, "openid-1", json!({})).await.expect(200);
    for password in ["none", "", "password-1"] {
        let body = json!({"username": data["user"]["username"], "password": password});
        let reply = app.send(Method::POST, "/api/auth/login", &[], Some(body)).await;
        assert!([400, 401].contains(&reply.status), "{}", reply.text);
    }
}

#[tokio::test]
async fn an_inactive_user_is_not_let_in_and_a_deleted_one_starts_anew() {
    let (platform, app) = site().await;
    let id = id_of(&platform, &app, "openid-1").await;
    app.put(&format!("/api/users/{id}"), json!({"status": "inactive"})).await.expect(200);
    login(&platform, &app, "openid-1", json!({})).await.refused(401, None);
    app.delete(&format!("/api/users/{id}")).await.expect(200);
    assert_ne!(id_of(&platform, &app, "openid-1").await, id);
}

#[tokio::test]
async fn a_bind_code_moves_the_account_and_its_appointments_once() {
    let (platform, app) = site().await;
    let customer = app.post("/api/customers", json!({"name": "张三"})).await.expect(201);
    let target = add_user(&app, "zhangsan", "customer", json!({"customer_id": customer["id"]})).await;
    let stranger = login(&platform, &app, "openid-1", json!({})).await.expect(200);
    let body = json!({"service_type": "陪护", "date": "2024-01-02", "time": "14:00"});
    let token = stranger["token"].as_str().unwrap();
    app.by(token, Method::POST, "/api/wechat/customer/appointment", Some(body)).await.expect(201);

    let code = bind_code(&app, target).await;
    assert_eq!(code.len(), 8);
    assert!(!code.contains(['0', 'O', '1', 'I', 'L']), "{code}");
    let typed = format!("{}-{}", &code[..4].to_lowercase(), &code[4..].to_lowercase());
    let bound = login(&platform, &app, "openid-1", json!({"bind_code": typed})).await.expect(200);
    assert_eq!(bound["user"]["id"], target);
    // The provisional user is set aside, with its sessions.
    me(&app, &stranger["token"]).await.refused(401, None);
    let provisional = app.get(&format!("/api/users/{}", stranger["user"]["id"])).await.expect(200);
    assert_eq!(provisional["status"], "inactive");
    let token = bound["token"].as_str().unwrap();
    let own = app.by(token, Method::GET, "/api/wechat/customer/appointments", None).await.expect(200);
    assert_eq!((&own["total"], &own["items"][0]["customer_id"]), (&json!(1), &customer["id"]));
    assert_eq!(id_of(&platform, &app, "openid-1").await, target);

    login(&platform, &app, "openid-2", json!({"bind_code": code})).await.refused(400, "bind_code");
    let code = bind_code(&app, target).await;
    assert_eq!(
        login(&platform, &app, "openid-2", json!({"bind_code": code})).await.refused(409, None),
        "该用户已绑定其他微信"
    );
    // The refusal did not use it up, and nobody new was made for it.
    login(&platform, &app, "openid-1", json!({"bind_code": code})).await.expect(200);
    assert_eq!(count(&app, "select count(*) from users"), 3);
}

#[tokio::test]
async fn an_account_of_a_known_person_is_not_moved_to_another() {
    let (platform, app) = site().await;
    let customer = app.post("/api/customers", json!({"name": "张三"})).await.expect(201);
    let first = add_user(&app, "first", "customer", json!({"customer_id": customer["id"]})).await;
    let second = add_user(&app, "second", "customer", json!({})).await;
    let code = bind_code(&app, first).await;
    login(&platform, &app, "openid-1", json!({"bind_code": code})).await.expect(200);
    let code = bind_code(&app, second).await;
    let reply = login(&platform, &app, "openid-1", json!({"bind_code": code})).await;
    assert_eq!(reply.refused(409, None), "该微信已绑定其他用户");
}

#[tokio::test]
async fn a_bind_code_lasts_half_an_hour_and_the_newest_alone_is_good() {
    let (platform, app) = site().await;
    let target = add_user(&app, "zhangsan", "customer", json!({})).await;
    let old = bind_code(&app, target).await;
    let reply = app.post(&format!("/api/users/{target}/bind-code"), json!({})).await.expect(201);
    assert_eq!(reply["expires_at"], "2024-01-01T08:30:00");
    let new = reply["bind_code"].as_str().unwrap();
    login(&platform, &app, "openid-1", json!({"bind_code": old})).await.refused(400, "bind_code");
    app.pass_ms(30 * MINUTE_MS);
    login(&platform, &app, "openid-1", json!({"bind_code": new})).await.refused(400, "bind_code");
    app.pass_ms(-1);
    login(&platform, &app, "openid-1", json!({"bind_code": new})).await.expect(200);
    assert_eq!(count(&app, "select count(*) from bind_codes where length(code_hash) = 22"), 1);
}

#[tokio::test]
async fn a_bind_code_is_for_an_active_user_who_may_no_more_than_its_maker() {
    let (_platform, app) = site().await;
    let target = add_user(&app, "zhangsan", "customer", json!({})).await;
    app.put(&format!("/api/users/{target}"), json!({"status": "inactive"})).await.expect(200);
    app.post(&format!("/api/users/{target}/bind-code"), json!({})).await.refused(409, None);
    app.post("/api/users/999/bind-code", json!({})).await.refused(404, None);
    app.post("/api/roles", json!({"name": "clerk", "permissions": ["users.read", "users.write"]})).await.expect(201);
    let clerk = app.user("clerk", json!({})).await;
    app.by(&clerk, Method::POST, "/api/users/1/bind-code", None).await.refused(403, None);
    let customer = app.user("customer", json!({})).await;
    app.by(&customer, Method::POST, "/api/users/1/bind-code", None).await.refused(403, None);
}

#[tokio::test]
async fn whoever_guesses_codes_has_to_wait() {
    let (platform, app) = site().await;
    app.put("/api/settings", json!({"login_failures_per_address": 3})).await.expect(200);
    login(&platform, &app, "openid-1", json!({"bind_code": "22222222"})).await.refused(400, "bind_code");
    send(&app, json!({"code": "made-up"})).await.refused(400, "code");
    login(&platform, &app, "openid-1", json!({"bind_code": "33333333"})).await.refused(400, "bind_code");
    let code = platform.code("openid-1");
    let reply = send(&app, json!({"code": code})).await;
    reply.refused(429, None);
    assert!(reply.headers.contains_key("retry-after"));
    app.pass_ms(15 * MINUTE_MS);
    send(&app, json!({"code": code})).await.expect(200);
    assert_eq!(count(&app, "select count(*) from audit where action = 'login_failed'"), 3);
}

#[tokio::test]
async fn a_number_that_wechat_confirmed_finds_its_customer_or_employee() {
    let (platform, app) = site().await;
    let customer =
        app.post("/api/customers", json!({"name": "张三", "contact": "+86 138-0013-8000"})).await.expect(201);
    let employee = json!({"name": "王五", "position": "护理", "contact": "13700137000"});
    let employee = app.post("/api/employees", employee).await.expect(201);
    let provisional = id_of(&platform, &app, "openid-1").await;

    let code = platform.phone_code("13800138000");
    let mother = login(&platform, &app, "openid-1", json!({"phone_code": code})).await.expect(200);
    assert_eq!((&mother["user"]["role"], &mother["user"]["name"]), (&json!("customer"), &json!("张三")));
    assert_eq!(me(&app, &mother["token"]).await.expect(200)["customer_id"], customer["id"]);
    assert_eq!(app.get(&format!("/api/users/{provisional}")).await.expect(200)["status"], "inactive");
    // A second time it is the same user.
    let code = platform.phone_code("13800138000");
    let again = login(&platform, &app, "openid-1", json!({"phone_code": code})).await.expect(200);
    assert_eq!(again["user"], mother["user"]);

    let existing = add_user(&app, "wangwu", "employee", json!({"employee_id": employee["id"]})).await;
    let code = platform.phone_code("13700137000");
    let nurse = login(&platform, &app, "openid-2", json!({"phone_code": code})).await.expect(200);
    assert_eq!(nurse["user"]["id"], existing);
    // Another account with the same number does not take the user over.
    let code = platform.phone_code("13700137000");
    login(&platform, &app, "openid-3", json!({"phone_code": code})).await.refused(409, None);
    assert_eq!(platform.tokens_fetched(), 1);
}

#[tokio::test]
async fn a_number_of_nobody_or_of_several_binds_nobody() {
    let (platform, app) = site().await;
    let first = app.post("/api/customers", json!({"name": "张三", "contact": "13800138000"})).await.expect(201);
    app.post("/api/employees", json!({"name": "李四", "position": "护理", "contact": "13800138000"})).await.expect(201);
    let with = |number: &str| json!({"phone_code": platform.phone_code(number)});
    login(&platform, &app, "openid-1", with("13900139000")).await.refused(400, "phone_code");
    login(&platform, &app, "openid-1", with("13800138000")).await.refused(409, None);
    assert_eq!(count(&app, "select count(*) from users"), 1);
    app.put(&format!("/api/customers/{}", first["id"]), json!({"status": "inactive"})).await.expect(200);
    let data = login(&platform, &app, "openid-1", with("13800138000")).await.expect(200);
    assert_eq!((&data["user"]["role"], &data["user"]["name"]), (&json!("employee"), &json!("李四")));
}

#[tokio::test]
async fn a_phone_code_is_checked_and_a_dead_access_token_replaced_once() {
    let (platform, app) = site().await;
    app.post("/api/customers", json!({"name": "张三", "contact": "13800138000"})).await.expect(201);
    login(&platform, &app, "openid-1", json!({"phone_code": "made-up"})).await.refused(400, "phone_code");
    platform.kill_token();
    let code = platform.phone_code("13800138000");
    login(&platform, &app, "openid-1", json!({"phone_code": code})).await.expect(200);
    assert_eq!(platform.tokens_fetched(), 2);
    login(&platform, &app, "openid-1", json!({"phone_code": code})).await.refused(400, "phone_code");
    platform.confirm_for_another();
    let code = platform.phone_code("13800138000");
    login(&platform, &app, "openid-1", json!({"phone_code": code})).await.refused(400, "phone_code");
}

/// A log that is kept for reading.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Kept {
    type Writer = Kept;

    fn make_writer(&'a self) -> Kept {
        self.clone()
    }
}

#[tokio::test]
async fn no_answer_no_row_and_no_log_line_holds_what_is_secret() {
    let log = Kept::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // With one subscriber alone, tracing lets the thread that first comes by a line decide for all whether it is heard.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let (platform, app) = site().await;
    app.post("/api/customers", json!({"name": "张三", "contact": "13800138000"})).await.expect(201);
    let target = add_user(&app, "target", "customer", json!({})).await;
    let bind = bind_code(&app, target).await;
    let phone = platform.phone_code("13800138000");
    let mut replies = vec![
        login(&platform, &app, "openid-secret-1", json!({"phone_code": phone})).await,
        login(&platform, &app, "openid-secret-2", json!({"bind_code": bind})).await,
        send(&app, json!({"code": "made-up"})).await,
    ];
    platform.break_down();
    replies.push(login(&platform, &app, "openid-secret-1", json!({})).await);
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let other = Config { base_url: format!("http://{nowhere}"), ..platform.config() };
    assert!(!format!("{other:?}").contains(SECRET));
    let other = TestApp::with_wechat(other).await;
    replies.push(send(&other, json!({"code": "made-up"})).await);
    for path in ["/api/users", "/api/audit?page_size=100"] {
        replies.push(app.get(path).await);
    }
    let mut texts: Vec<String> = replies.into_iter().map(|reply| reply.text).collect();
    let rows = app.rows();
    for sql in ["select coalesce(image, '') from outbox", "select code_hash from bind_codes"] {
        let mut statement = rows.prepare(sql).unwrap();
        let found = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        texts.extend(found.map(Result::unwrap));
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("WeChat can't be reached"), "{log}");
    texts.push(log);
    for text in texts {
        for secret in [SECRET, SESSION_KEY, "openid-secret", "token-1", "secret=", bind.as_str()] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(!text.contains(APPID), "{text}");
    }
}
