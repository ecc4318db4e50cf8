//! Repeats of a write.

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::{PASSWORD, Reply, TestApp};

const DAY_MS: i64 = 86_400_000;

/// Posts with a token and an `Idempotency-Key`.
async fn post(app: &TestApp, token: &str, key: &str, path: &str, body: Option<Value>) -> Reply {
    let bearer = format!("Bearer {token}");
    app.send(Method::POST, path, &[("authorization", bearer.as_str()), ("idempotency-key", key)], body).await
}

/// The administrator adds a customer.
async fn add(app: &TestApp, key: &str, body: &Value) -> Reply {
    post(app, app.admin(), key, "/api/customers", Some(body.clone())).await
}

fn customer() -> Value {
    json!({"name": "李四", "age": 28, "contact": "13900139000"})
}

fn count(app: &TestApp, table: &str) -> i64 {
    app.rows().query_row(&format!("select count(*) from {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_does_nothing() {
    let app = TestApp::new().await;
    let first = add(&app, "k1", &customer()).await;
    first.expect(201);
    let audited = count(&app, "audit");
    app.pass_ms(1000);
    let second = add(&app, "k1", &customer()).await;
    assert_eq!((first.status, &first.text), (second.status, &second.text));
    assert_eq!(first.headers["content-type"], second.headers["content-type"]);
    assert_eq!(count(&app, "customers"), 1);
    assert_eq!(count(&app, "audit"), audited);
    add(&app, "k2", &customer()).await.expect(201);
    assert_eq!(count(&app, "customers"), 2);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_even_when_the_row_has_changed_since() {
    let app = TestApp::new().await;
    let first = add(&app, "k1", &customer()).await;
    let path = format!("/api/customers/{}", first.expect(201)["id"]);
    app.put(&path, json!({"name": "王芳"})).await.expect(200);
    app.delete(&path).await.expect(200);
    assert_eq!(add(&app, "k1", &customer()).await.text, first.text);
}

#[tokio::test]
async fn a_key_used_for_another_request_is_a_conflict() {
    let app = TestApp::new().await;
    add(&app, "k1", &customer()).await.expect(201);
    add(&app, "k1", &json!({"name": "王芳"})).await.refused(409, None);
    let dish = json!({"name": "鲫鱼汤", "category": "汤"});
    post(&app, app.admin(), "k1", "/api/dishes", Some(dish)).await.refused(409, None);
    post(&app, app.admin(), "k1", "/api/customers?x=1", Some(customer())).await.refused(409, None);
    assert_eq!(count(&app, "customers"), 1);
    assert_eq!(count(&app, "dishes"), 0);
}

#[tokio::test]
async fn a_key_belongs_to_its_user() {
    let app = TestApp::new().await;
    let other = app.user("admin", json!({})).await;
    let first = add(&app, "k1", &customer()).await.expect(201);
    let second = post(&app, &other, "k1", "/api/customers", Some(customer())).await.expect(201);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(count(&app, "customers"), 2);
}

#[tokio::test]
async fn a_key_outlives_the_session_of_its_user() {
    let app = TestApp::new().await;
    let first = add(&app, "k1", &customer()).await;
    first.expect(201);
    let token = app.login("admin", PASSWORD).await;
    let second = post(&app, &token, "k1", "/api/customers", Some(customer())).await;
    assert_eq!(first.text, second.text);
    assert_eq!(count(&app, "customers"), 1);
}

#[tokio::test]
async fn a_refused_write_does_not_use_the_key_up() {
    let app = TestApp::new().await;
    // Refused before the transaction.
    add(&app, "k1", &json!({})).await.expect(400);
    add(&app, "k1", &customer()).await.expect(201);
    // Refused inside it.
    let user = json!({"username": "zhou", "password": "password-1", "role": "nurse", "name": "周"});
    post(&app, app.admin(), "k2", "/api/users", Some(user.clone())).await.refused(400, "role");
    app.post("/api/roles", json!({"name": "nurse", "permissions": ["menus.read"]})).await.expect(201);
    post(&app, app.admin(), "k2", "/api/users", Some(user.clone())).await.expect(201);
    post(&app, app.admin(), "k2", "/api/users", Some(user)).await.expect(201);
    assert_eq!(count(&app, "users where username = 'zhou'"), 1);
}

#[tokio::test]
async fn a_key_is_kept_for_a_day() {
    let app = TestApp::new().await;
    let first = add(&app, "k1", &customer()).await;
    first.expect(201);
    app.pass_ms(DAY_MS - 1);
    let token = app.login("admin", PASSWORD).await;
    let repeat = post(&app, &token, "k1", "/api/customers", Some(customer())).await;
    assert_eq!(repeat.text, first.text);
    assert_eq!(count(&app, "customers"), 1);
    app.pass_ms(2);
    let anew = post(&app, &token, "k1", "/api/customers", Some(customer())).await;
    assert_ne!(anew.expect(201)["id"], first.data()["id"]);
    assert_eq!(count(&app, "customers"), 2);
    // It is kept anew from here.
    let repeat = post(&app, &token, "k1", "/api/customers", Some(customer())).await;
    assert_eq!(repeat.text, anew.text);
    assert_eq!(count(&app, "customers"), 2);
}

#[tokio::test]
async fn an_old_key_may_stand_for_another_request() {
    let app = TestApp::new().await;
    add(&app, "k1", &customer()).await.expect(201);
    app.pass_ms(DAY_MS + 1);
    let token = app.login("admin", PASSWORD).await;
    post(&app, &token, "k1", "/api/customers", Some(json!({"name": "王芳"}))).await.expect(201);
    assert_eq!(count(&app, "customers"), 2);
}

#[tokio::test]
async fn two_requests_at_once_with_the_same_key_make_one_row() {
    let app = TestApp::new().await;
    let body = customer();
    let (first, second) = tokio::join!(add(&app, "k1", &body), add(&app, "k1", &body));
    first.expect(201);
    assert_eq!((first.status, &first.text), (second.status, &second.text));
    assert_eq!(count(&app, "customers"), 1);
    assert_eq!(count(&app, "idempotency_keys"), 1);
}

#[tokio::test]
async fn a_kept_answer_is_sealed() {
    let app = TestApp::new().await;
    let reply = add(&app, "k1", &customer()).await;
    reply.expect(201);
    assert!(reply.text.contains("13900139000"));
    let (fingerprint, sealed): (String, String) = app
        .rows()
        .query_row("select fingerprint, answer_sealed from idempotency_keys", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert!(sealed.starts_with("v1."), "{sealed}");
    for plain in ["13900139000", "李四"] {
        assert!(!sealed.contains(plain) && !fingerprint.contains(plain));
    }
}

#[tokio::test]
async fn a_repeated_refresh_gives_the_same_new_token() {
    let app = TestApp::new().await;
    let old = app.login("admin", PASSWORD).await;
    let first = post(&app, &old, "r1", "/api/auth/refresh", None).await;
    let token = first.expect(200)["token"].as_str().unwrap().to_owned();
    app.pass_ms(1000);
    let second = post(&app, &old, "r1", "/api/auth/refresh", None).await;
    assert_eq!((first.status, &first.text), (second.status, &second.text));
    app.by(&token, Method::GET, "/api/auth/me", None).await.expect(200);
    app.by(&old, Method::GET, "/api/auth/me", None).await.refused(401, None);
    // Without the key, or with another, the old token is dead.
    post(&app, &old, "r2", "/api/auth/refresh", None).await.refused(401, None);
    app.by(&old, Method::POST, "/api/auth/refresh", None).await.refused(401, None);
}

#[tokio::test]
async fn a_bad_key_is_refused() {
    let app = TestApp::new().await;
    let long = "k".repeat(129);
    for key in ["", long.as_str(), "a b", " "] {
        add(&app, key, &customer()).await.refused(400, "Idempotency-Key");
    }
    assert_eq!(count(&app, "customers"), 0);
    add(&app, &"k".repeat(128), &customer()).await.expect(201);
    add(&app, "!~", &customer()).await.expect(201);
}

#[tokio::test]
async fn a_read_takes_no_notice_of_the_key() {
    let app = TestApp::new().await;
    let bearer = format!("Bearer {}", app.admin());
    let headers = [("authorization", bearer.as_str()), ("idempotency-key", "a b")];
    app.send(Method::GET, "/api/customers", &headers, None).await.expect(200);
    assert_eq!(count(&app, "idempotency_keys"), 0);
}
