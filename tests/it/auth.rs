//! Logging in and out, and what kills a token.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canshi::service::tokens::{Claims, Tokens};
use canshi::store::keys::Secret;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::app::{MORNING, PASSWORD, Reply, TestApp};

const MINUTE_MS: i64 = 60_000;
const TWO_HOURS_MS: i64 = 120 * MINUTE_MS;
const WEEK_MS: i64 = 7 * 24 * 60 * MINUTE_MS;

async fn try_login(app: &TestApp, username: &str, password: &str) -> Reply {
    let body = json!({"username": username, "password": password});
    app.send(Method::POST, "/api/auth/login", &[], Some(body)).await
}

async fn me(app: &TestApp, token: &str) -> Reply {
    app.by(token, Method::GET, "/api/auth/me", None).await
}

async fn id_of(app: &TestApp, token: &str) -> i64 {
    me(app, token).await.expect(200)["id"].as_i64().unwrap()
}

async fn refresh(app: &TestApp, token: &str) -> Reply {
    app.by(token, Method::POST, "/api/auth/refresh", None).await
}

#[tokio::test]
async fn a_login_gives_a_token_and_says_whose_it_is() {
    let app = TestApp::new().await;
    let reply = try_login(&app, "admin", PASSWORD).await;
    let data = reply.expect(200);
    assert_eq!(reply.json()["message"], "登录成功");
    assert_eq!(data["user"]["username"], "admin");
    assert_eq!(data["user"]["role"], "admin");
    let token = data["token"].as_str().unwrap();
    let me = me(&app, token).await.expect(200);
    assert_eq!(me["id"], data["user"]["id"]);
    assert_eq!(me["username"], "admin");
}

#[tokio::test]
async fn a_wrong_password_an_unknown_name_and_an_inactive_user_look_the_same() {
    let app = TestApp::new().await;
    let token = app.user("employee", json!({})).await;
    let id = id_of(&app, &token).await;
    app.put(&format!("/api/users/{id}"), json!({"status": "inactive"})).await.expect(200);
    let wrong = try_login(&app, "admin", "not-the-password").await;
    let unknown = try_login(&app, "nobody", "not-the-password").await;
    let inactive = try_login(&app, "employee-user", "password-1").await;
    wrong.refused(401, None);
    assert_eq!((wrong.status, &wrong.text), (unknown.status, &unknown.text));
    assert_eq!((wrong.status, &wrong.text), (inactive.status, &inactive.text));
}

#[tokio::test]
async fn a_name_that_failed_five_times_waits_for_a_quarter_of_an_hour() {
    let app = TestApp::new().await;
    app.user("employee", json!({})).await;
    for _ in 0..5 {
        try_login(&app, "employee-user", "not-the-password").await.refused(401, None);
    }
    let reply = try_login(&app, "employee-user", "password-1").await;
    reply.refused(429, None);
    let wait: i64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert_eq!(wait, 15 * 60);
    try_login(&app, "admin", PASSWORD).await.expect(200);
    app.pass_ms(15 * MINUTE_MS - 1);
    let reply = try_login(&app, "employee-user", "password-1").await;
    reply.refused(429, None);
    assert_eq!(reply.headers["retry-after"], "1");
    app.pass_ms(1);
    try_login(&app, "employee-user", "password-1").await.expect(200);
}

#[tokio::test]
async fn an_unknown_name_waits_like_a_known_one() {
    let app = TestApp::new().await;
    for _ in 0..5 {
        try_login(&app, "nobody", "not-the-password").await.refused(401, None);
    }
    try_login(&app, "nobody", "not-the-password").await.refused(429, None);
}

#[tokio::test]
async fn a_success_forgives_the_failures_before_it() {
    let app = TestApp::new().await;
    for _ in 0..3 {
        for _ in 0..4 {
            try_login(&app, "admin", "not-the-password").await.refused(401, None);
        }
        try_login(&app, "admin", PASSWORD).await.expect(200);
    }
}

#[tokio::test]
async fn a_token_lasts_two_hours() {
    let app = TestApp::new().await;
    app.pass_ms(TWO_HOURS_MS - 1);
    me(&app, app.admin()).await.expect(200);
    app.pass_ms(1);
    me(&app, app.admin()).await.refused(401, None);
}

#[tokio::test]
async fn an_expired_token_can_be_refreshed_for_seven_days() {
    let app = TestApp::new().await;
    app.pass_ms(TWO_HOURS_MS + WEEK_MS - 1);
    let token = refresh(&app, app.admin()).await.expect(200)["token"].as_str().unwrap().to_owned();
    me(&app, &token).await.expect(200);
}

#[tokio::test]
async fn a_token_that_ended_seven_days_ago_cannot_be_refreshed() {
    let app = TestApp::new().await;
    app.pass_ms(TWO_HOURS_MS + WEEK_MS);
    refresh(&app, app.admin()).await.refused(401, None);
}

#[tokio::test]
async fn a_refreshed_token_replaces_the_old_one() {
    let app = TestApp::new().await;
    let old = app.login("admin", PASSWORD).await;
    me(&app, &old).await.expect(200);
    let new = refresh(&app, &old).await.expect(200)["token"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    me(&app, &old).await.refused(401, None);
    refresh(&app, &old).await.refused(401, None);
    me(&app, &new).await.expect(200);
    me(&app, app.admin()).await.expect(200);
}

#[tokio::test]
async fn a_logout_ends_its_own_session_only() {
    let app = TestApp::new().await;
    let token = app.login("admin", PASSWORD).await;
    me(&app, &token).await.expect(200);
    app.by(&token, Method::POST, "/api/auth/logout", None).await.expect(200);
    me(&app, &token).await.refused(401, None);
    refresh(&app, &token).await.refused(401, None);
    me(&app, app.admin()).await.expect(200);
}

#[tokio::test]
async fn deactivating_a_user_kills_its_tokens_at_once() {
    let app = TestApp::new().await;
    let token = app.user("employee", json!({})).await;
    let path = format!("/api/users/{}", id_of(&app, &token).await);
    app.put(&path, json!({"status": "inactive"})).await.expect(200);
    me(&app, &token).await.refused(401, None);
    refresh(&app, &token).await.refused(401, None);
    app.put(&path, json!({"status": "active"})).await.expect(200);
    me(&app, &token).await.refused(401, None);
    app.login("employee-user", "password-1").await;
}

#[tokio::test]
async fn deleting_a_user_kills_its_tokens_at_once() {
    let app = TestApp::new().await;
    let token = app.user("employee", json!({})).await;
    let id = id_of(&app, &token).await;
    app.delete(&format!("/api/users/{id}")).await.expect(200);
    me(&app, &token).await.refused(401, None);
    refresh(&app, &token).await.refused(401, None);
    try_login(&app, "employee-user", "password-1").await.refused(401, None);
}

#[tokio::test]
async fn a_password_set_by_the_administrator_kills_tokens_at_once() {
    let app = TestApp::new().await;
    let token = app.user("employee", json!({})).await;
    let id = id_of(&app, &token).await;
    app.put(&format!("/api/users/{id}"), json!({"password": "password-2"})).await.expect(200);
    me(&app, &token).await.refused(401, None);
    refresh(&app, &token).await.refused(401, None);
    try_login(&app, "employee-user", "password-1").await.refused(401, None);
    app.login("employee-user", "password-2").await;
}

#[tokio::test]
async fn changing_ones_own_password_kills_all_of_ones_tokens_at_once() {
    let app = TestApp::new().await;
    let token = app.user("employee", json!({})).await;
    let other = app.login("employee-user", "password-1").await;
    me(&app, &other).await.expect(200);
    let change = json!({"old_password": "password-1", "new_password": "password-2"});
    app.by(&token, Method::PUT, "/api/auth/password", Some(change)).await.expect(200);
    for token in [&token, &other] {
        me(&app, token).await.refused(401, None);
        refresh(&app, token).await.refused(401, None);
    }
    try_login(&app, "employee-user", "password-1").await.refused(401, None);
    app.login("employee-user", "password-2").await;
}

#[tokio::test]
async fn a_wrong_old_password_is_named() {
    let app = TestApp::new().await;
    let change = json!({"old_password": "not-the-password", "new_password": "password-2"});
    app.put("/api/auth/password", change).await.refused(400, "old_password");
    me(&app, app.admin()).await.expect(200);
    app.login("admin", PASSWORD).await;
}

#[tokio::test]
async fn a_token_that_the_site_did_not_sign_is_refused() {
    let app = TestApp::new().await;
    let mut parts = app.admin().split('.');
    let (header, payload, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    let mut other_user = claims.clone();
    other_user["sub"] = json!(999_999);
    let other_user = URL_SAFE_NO_PAD.encode(other_user.to_string());
    let key = EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef");
    let forged = [
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{other_user}.{signature}"),
        encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap(),
        "nonsense".to_owned(),
        String::new(),
    ];
    for token in &forged {
        me(&app, token).await.refused(401, None);
        refresh(&app, token).await.refused(401, None);
    }
    me(&app, app.admin()).await.expect(200);
}

#[tokio::test]
async fn a_token_is_taken_from_the_authorization_header_only() {
    let app = TestApp::new().await;
    let token = app.admin();
    for name in ["token", "access_token", "authorization"] {
        let path = format!("/api/auth/me?{name}={token}");
        app.send(Method::GET, &path, &[], None).await.refused(401, None);
    }
    let cookie = format!("token={token}");
    app.send(Method::GET, "/api/auth/me", &[("cookie", cookie.as_str())], None).await.refused(401, None);
    app.send(Method::GET, "/api/auth/me", &[("authorization", token)], None).await.refused(401, None);
    let basic = format!("Basic {token}");
    app.send(Method::GET, "/api/auth/me", &[("authorization", basic.as_str())], None).await.refused(401, None);
}

#[tokio::test]
async fn a_password_has_eight_to_seventy_two_bytes() {
    let app = TestApp::new().await;
    let user = |username: &str, password: String| json!({"username": username, "password": password, "role": "employee", "name": "某人"});
    for bytes in [7, 73] {
        app.post("/api/users", user("u", "x".repeat(bytes))).await.refused(400, "password");
        let change = json!({"old_password": PASSWORD, "new_password": "x".repeat(bytes)});
        app.put("/api/auth/password", change).await.refused(400, "new_password");
    }
    // 25 characters, 75 bytes.
    app.post("/api/users", user("u", "密".repeat(25))).await.refused(400, "password");
    for bytes in [8, 72] {
        let username = format!("u{bytes}");
        app.post("/api/users", user(&username, "x".repeat(bytes))).await.expect(201);
        app.login(&username, &"x".repeat(bytes)).await;
    }
    try_login(&app, "u72", &"x".repeat(73)).await.refused(401, None);
}

#[tokio::test]
async fn no_answer_and_no_audit_row_holds_a_password() {
    let app = TestApp::new().await;
    let secrets = ["secret-one-1", "secret-two-2", "secret-three-3", "secret-wrong-4"];
    let new = json!({"username": "zhou", "password": secrets[0], "role": "employee", "name": "周"});
    let created = app.post("/api/users", new.clone()).await;
    let id = created.expect(201)["id"].as_i64().unwrap();
    let path = format!("/api/users/{id}");
    let mut replies = vec![created, app.post("/api/users", new).await];
    replies.push(try_login(&app, "zhou", secrets[0]).await);
    replies.push(app.put(&path, json!({"password": secrets[1]})).await);
    replies.push(try_login(&app, "zhou", secrets[3]).await);
    // The password in the name's place.
    replies.push(try_login(&app, secrets[1], "zhou").await);
    let token = app.login("zhou", secrets[1]).await;
    let wrong = json!({"old_password": secrets[3], "new_password": secrets[2]});
    replies.push(app.by(&token, Method::PUT, "/api/auth/password", Some(wrong)).await);
    let change = json!({"old_password": secrets[1], "new_password": secrets[2]});
    let changed = app.by(&token, Method::PUT, "/api/auth/password", Some(change)).await;
    changed.expect(200);
    replies.push(changed);
    for path in ["/api/users", path.as_str(), "/api/audit", "/api/audit?page_size=100"] {
        replies.push(app.get(path).await);
    }
    let rows = app.rows();
    let sql = "select coalesce(before, '') || ' ' || coalesce(after, '') || ' ' || request_id from audit";
    let mut audit = rows.prepare(sql).unwrap();
    let audit: Vec<String> = audit.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(audit.len() >= 6, "{audit:?}");
    let hash: String = rows.query_row("select password_hash from users where id = ?1", [id], |row| row.get(0)).unwrap();
    for text in replies.iter().map(|reply| &reply.text).chain(&audit) {
        for secret in secrets.into_iter().chain([hash.as_str(), "$2b$"]) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn a_telephone_number_is_sealed_at_rest() {
    let app = TestApp::new().await;
    let customer = json!({"name": "李四", "contact": "13900139000"});
    let created = app.post("/api/customers", customer).await.expect(201);
    assert_eq!(created["contact"], "13900139000");
    let path = format!("/api/customers/{}", created["id"]);
    let changed = app.put(&path, json!({"contact": "13900139001"})).await.expect(200);
    assert_eq!(changed["contact"], "13900139001");
    let rows = app.rows();
    let texts = [
        "select coalesce(contact, '') || ' ' || coalesce(contact_index, '') from customers",
        "select coalesce(before, '') || ' ' || coalesce(after, '') from audit",
        "select coalesce(image, '') from outbox",
        "select suffix from search_terms",
    ];
    for sql in texts {
        let mut statement = rows.prepare(sql).unwrap();
        let found: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert!(!found.is_empty(), "{sql}");
        for text in found {
            assert!(!text.contains("1390013900"), "{sql}: {text}");
        }
    }
}

#[tokio::test]
async fn the_last_active_administrator_stays() {
    let app = TestApp::new().await;
    let path = format!("/api/users/{}", id_of(&app, app.admin()).await);
    app.put(&path, json!({"status": "inactive"})).await.refused(409, None);
    app.put(&path, json!({"role": "employee"})).await.refused(409, None);
    app.delete(&path).await.refused(409, None);
    let user = me(&app, app.admin()).await.expect(200);
    assert_eq!(user["role"], "admin");

    // An inactive one does not count.
    let second = app.user("admin", json!({})).await;
    let second_path = format!("/api/users/{}", id_of(&app, &second).await);
    app.put(&second_path, json!({"status": "inactive"})).await.expect(200);
    app.delete(&path).await.refused(409, None);

    app.put(&second_path, json!({"status": "active"})).await.expect(200);
    app.delete(&path).await.expect(200);
    me(&app, app.admin()).await.refused(401, None);
    let second = app.login("admin-user", "password-1").await;
    app.by(&second, Method::DELETE, &second_path, None).await.refused(409, None);
}

/// What a token of a user says; whoever signs it puts himself and the site into it.
fn claims_of(user: i64) -> Claims {
    let iat = MORNING / 1000;
    let (role, sid, jti) = ("employee".to_owned(), "session".to_owned(), "token".to_owned());
    Claims { iss: String::new(), sub: user, role, sid, jti, iat, exp: iat + 7200, site: None }
}

/// A site that trusts the relay as its site 7, with the key and the id of an employee's user.
async fn enrolled() -> (TestApp, Secret, i64) {
    let app = TestApp::new().await;
    let token = app.user("employee", json!({})).await;
    let user = id_of(&app, &token).await;
    let key = Secret::random().unwrap();
    app.app().auth().trust_relay(&key, 7);
    (app, key, user)
}

#[tokio::test]
async fn a_token_of_the_relay_for_this_site_is_good_without_a_session() {
    let (app, key, user) = enrolled().await;
    let token = Tokens::of_relay(&key, 7).sign(claims_of(user)).unwrap();
    assert_eq!(id_of(&app, &token).await, user);
    app.by(&token, Method::GET, "/api/customers", None).await.expect(200);
    app.by(&token, Method::GET, "/api/finance/transactions", None).await.refused(403, None);
    app.pass_ms(TWO_HOURS_MS - 1);
    me(&app, &token).await.expect(200);
    app.pass_ms(1);
    me(&app, &token).await.refused(401, None);
}

#[tokio::test]
async fn a_token_of_the_relay_follows_the_user_as_the_site_has_it() {
    let (app, key, user) = enrolled().await;
    let token = Tokens::of_relay(&key, 7).sign(claims_of(user)).unwrap();
    me(&app, &token).await.expect(200);
    let path = format!("/api/users/{user}");
    app.put(&path, json!({"status": "inactive"})).await.expect(200);
    me(&app, &token).await.refused(401, None);
    app.put(&path, json!({"status": "active"})).await.expect(200);
    app.put(&path, json!({"role": "customer"})).await.expect(200);
    assert_eq!(me(&app, &token).await.expect(200)["role"], "customer");
    app.delete(&path).await.expect(200);
    me(&app, &token).await.refused(401, None);
}

#[tokio::test]
async fn a_token_of_the_relay_has_no_session_to_end_or_prolong_and_no_password() {
    let (app, key, user) = enrolled().await;
    let token = Tokens::of_relay(&key, 7).sign(claims_of(user)).unwrap();
    let logout = app.by(&token, Method::POST, "/api/auth/logout", None).await;
    assert_eq!(logout.refused(401, None), "请在小程序中退出");
    refresh(&app, &token).await.refused(401, None);
    let change = json!({"old_password": "password-1", "new_password": "password-2"});
    app.by(&token, Method::PUT, "/api/auth/password", Some(change)).await.refused(401, None);
    me(&app, &token).await.expect(200);
    app.login("employee-user", "password-1").await;
}

#[tokio::test]
async fn a_token_that_the_relay_did_not_issue_for_this_site_is_refused() {
    let (app, key, user) = enrolled().await;
    let sign = |claims: Value| {
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
    };
    let good = serde_json::to_value(Claims { iss: "canshi-relay".into(), site: Some(7), ..claims_of(user) }).unwrap();
    me(&app, &sign(good.clone())).await.expect(200);
    for (name, value) in [("iss", json!("canshi")), ("site", json!(8)), ("site", Value::Null), ("sub", json!(999_999))]
    {
        let mut claims = good.clone();
        claims[name] = value.clone();
        assert_eq!(me(&app, &sign(claims)).await.status, 401, "{name} {value}");
    }
    let other_key = Tokens::of_relay(&Secret::random().unwrap(), 7).sign(claims_of(user)).unwrap();
    me(&app, &other_key).await.refused(401, None);

    let stranger = TestApp::new().await;
    me(&stranger, &sign(good)).await.refused(401, None);
}
