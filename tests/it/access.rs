//! Who may do what.

use axum::http::Method;
use canshi::domain::access::{Access, BUILT_IN_ROLES, Permission};
use canshi::http::routes;
use serde_json::{Value, json};

use crate::app::TestApp;

/// Whether somebody who holds these permissions may pass.
fn may(access: Access, held: &[Permission]) -> bool {
    match access {
        Access::Public | Access::SignedIn | Access::Refresh => true,
        Access::Relay | Access::Site | Access::Headquarters(_) => false,
        Access::May(permission) => held.contains(&permission),
        Access::MayAny(permissions) => permissions.iter().any(|permission| held.contains(permission)),
    }
}

async fn add_role(app: &TestApp, name: &str, permissions: &[&str]) -> i64 {
    let role = app.post("/api/roles", json!({"name": name, "permissions": permissions})).await.expect(201);
    role["id"].as_i64().unwrap()
}

async fn add_customer(app: &TestApp, name: &str) -> i64 {
    app.post("/api/customers", json!({"name": name})).await.expect(201)["id"].as_i64().unwrap()
}

async fn add_employee(app: &TestApp, name: &str) -> i64 {
    let body = json!({"name": name, "position": "厨师", "base_salary": 8000});
    app.post("/api/employees", body).await.expect(201)["id"].as_i64().unwrap()
}

async fn read(app: &TestApp, token: &str, path: &str, status: u16) -> Value {
    app.by(token, Method::GET, path, None).await.expect(status)
}

#[tokio::test]
async fn every_route_demands_what_it_declares() {
    let app = TestApp::new().await;
    add_role(&app, "planner", &["menus.read"]).await;
    let mut callers = Vec::new();
    for role in &BUILT_IN_ROLES {
        callers.push((role.name, app.user(role.name, json!({})).await, role.permissions));
    }
    callers.push(("planner", app.user("planner", json!({})).await, &[Permission::MenusRead]));

    for route in routes() {
        let path = route
            .path
            .replace("{id}", "999999")
            .replace("{file}", "index.html")
            .replace("{order_id}", "P20240101101000001234567")
            .replace("{payment_method}", "bank");
        assert!(!path.contains('{'), "{path}");
        let changes = route.method == Method::POST || route.method == Method::PUT;
        let body = changes.then(|| json!({}));
        let what = format!("{} {path}", route.method);

        let reply = app.send(route.method.clone(), &path, &[], body.clone()).await;
        if route.access == Access::Relay {
            // Nothing from the network comes there, whoever sends it.
            reply.refused(404, None);
            for (_, token, _) in &callers {
                app.by(token, route.method.clone(), &path, body.clone()).await.refused(404, None);
            }
            continue;
        }
        if route.access == Access::Public {
            assert!(![401, 403].contains(&reply.status), "{what}: {}", reply.text);
        } else {
            reply.refused(401, None);
        }
        if ["/api/auth/logout", "/api/auth/refresh"].contains(&route.path) {
            // They would end the session that the rest of the walk needs.
            continue;
        }
        for (role, token, held) in &callers {
            let reply = app.by(token, route.method.clone(), &path, body.clone()).await;
            if may(route.access, held) {
                assert!(![401, 403].contains(&reply.status), "{role} {what}: {} {}", reply.status, reply.text);
                assert!(reply.status < 500, "{role} {what}: {} {}", reply.status, reply.text);
            } else {
                assert_eq!(reply.status, 403, "{role} {what}: {}", reply.text);
                reply.refused(403, None);
            }
        }
    }
}

#[tokio::test]
async fn everything_below_api_but_the_login_takes_a_token() {
    for route in routes() {
        let open = route.access == Access::Public;
        // A platform shows a signature, not a token.
        let other = ["/api/auth/login", "/api/auth/wechat/login", "/api/payment/callback/{payment_method}"];
        assert_eq!(
            open,
            other.contains(&route.path) || !route.path.starts_with("/api/"),
            "{} {}",
            route.method,
            route.path
        );
    }
}

#[tokio::test]
async fn a_customer_sees_only_its_own_customer() {
    let app = TestApp::new().await;
    let other = add_customer(&app, "李四").await;
    let own = add_customer(&app, "王芳").await;
    let token = app.user("customer", json!({"customer_id": own})).await;
    for path in ["/api/customers", "/api/customers?page_size=100", "/api/customers?status=active"] {
        let list = read(&app, &token, path, 200).await;
        assert_eq!(list["total"], 1, "{path}");
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        assert_eq!(list["items"][0]["id"], own);
    }
    assert_eq!(read(&app, &token, "/api/customers?search=lisi", 200).await["total"], 0);
    assert_eq!(read(&app, &token, &format!("/api/customers/{own}"), 200).await["name"], "王芳");
    let foreign = app.by(&token, Method::GET, &format!("/api/customers/{other}"), None).await;
    let missing = app.by(&token, Method::GET, "/api/customers/999999", None).await;
    foreign.refused(404, None);
    assert_eq!(foreign.text, missing.text);
    assert_eq!(app.get("/api/customers").await.expect(200)["total"], 2);
}

#[tokio::test]
async fn a_customer_user_without_a_customer_sees_none() {
    let app = TestApp::new().await;
    let id = add_customer(&app, "李四").await;
    let token = app.user("customer", json!({})).await;
    assert_eq!(read(&app, &token, "/api/customers", 200).await["total"], 0);
    read(&app, &token, &format!("/api/customers/{id}"), 404).await;
}

#[tokio::test]
async fn an_employee_sees_no_pay_and_no_finance() {
    let app = TestApp::new().await;
    let id = add_employee(&app, "王五").await;
    let token = app.user("employee", json!({"employee_id": id})).await;
    let path = format!("/api/employees/{id}");
    let one = read(&app, &token, &path, 200).await;
    assert!(!one.as_object().unwrap().contains_key("base_salary"), "{one}");
    let one = read(&app, &token, &format!("{path}?fields=id,base_salary"), 200).await;
    assert!(!one.as_object().unwrap().contains_key("base_salary"), "{one}");
    let list = read(&app, &token, "/api/employees", 200).await;
    assert_eq!(list["total"], 1);
    assert!(!list["items"][0].as_object().unwrap().contains_key("base_salary"), "{list}");
    assert!(app.get(&path).await.expect(200)["base_salary"].is_number());

    let finance = routes().into_iter().filter(|route| route.path.starts_with("/api/finance"));
    let mut refused = 0;
    for route in finance {
        let path = route.path.replace("{id}", "1");
        let body = (route.method == Method::POST).then(|| json!({}));
        app.by(&token, route.method, &path, body).await.refused(403, None);
        refused += 1;
    }
    assert!(refused >= 5);
}

#[tokio::test]
async fn setting_pay_takes_the_right_to_it() {
    let app = TestApp::new().await;
    let id = add_employee(&app, "王五").await;
    add_role(&app, "staffing", &["employees.read", "employees.write"]).await;
    let token = app.user("staffing", json!({})).await;
    let path = format!("/api/employees/{id}");
    app.by(&token, Method::PUT, &path, Some(json!({"base_salary": 1}))).await.expect(403);
    app.by(&token, Method::PUT, &path, Some(json!({"position": "护士"}))).await.expect(200);
    let one = app.get(&path).await.expect(200);
    assert_eq!(one["position"], "护士");
    assert_eq!(one["base_salary"].as_f64(), Some(8000.0));
}

#[tokio::test]
async fn an_employee_punches_and_sees_attendance_only_for_itself() {
    const PATH: &str = "/api/employees/attendance";
    let app = TestApp::new().await;
    let own = add_employee(&app, "王五").await;
    let other = add_employee(&app, "赵六").await;
    let token = app.user("employee", json!({"employee_id": own})).await;
    let punch = |id: i64| Some(json!({"employee_id": id, "type": "check_in"}));
    app.by(&token, Method::POST, PATH, punch(own)).await.expect(200);
    app.by(&token, Method::POST, PATH, punch(other)).await.refused(403, None);
    assert_eq!(app.get(PATH).await.expect(200)["total"], 1);
    app.post(PATH, punch(other).unwrap()).await.expect(200);
    assert_eq!(app.get(PATH).await.expect(200)["total"], 2);

    let list = read(&app, &token, PATH, 200).await;
    assert_eq!(list["total"], 1);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["employee_id"], own);
    assert_eq!(read(&app, &token, &format!("{PATH}?employee_id={own}"), 200).await["total"], 1);
    read(&app, &token, &format!("{PATH}?employee_id={other}"), 403).await;
}

#[tokio::test]
async fn a_changed_role_takes_effect_at_once_on_a_live_token() {
    let app = TestApp::new().await;
    let id = add_role(&app, "nurse", &["dishes.read"]).await;
    let token = app.user("nurse", json!({})).await;
    read(&app, &token, "/api/dishes", 200).await;
    read(&app, &token, "/api/customers", 403).await;
    let path = format!("/api/roles/{id}");
    app.put(&path, json!({"permissions": ["customers.read"]})).await.expect(200);
    read(&app, &token, "/api/dishes", 403).await;
    read(&app, &token, "/api/customers", 200).await;
    let me = read(&app, &token, "/api/auth/me", 200).await;
    assert_eq!(me["permissions"], json!(["customers.read"]));
    app.put(&path, json!({"permissions": []})).await.expect(200);
    read(&app, &token, "/api/customers", 403).await;
    read(&app, &token, "/api/auth/me", 200).await;
}

#[tokio::test]
async fn the_administrators_role_keeps_its_permissions() {
    let app = TestApp::new().await;
    let roles = app.get("/api/roles").await.expect(200);
    let admin = roles["items"].as_array().unwrap().iter().find(|role| role["name"] == "admin").unwrap();
    let path = format!("/api/roles/{}", admin["id"]);
    app.put(&path, json!({"permissions": ["menus.read"]})).await.refused(409, None);
    assert_eq!(app.get(&path).await.expect(200)["permissions"].as_array().unwrap().len(), Permission::ALL.len());
}

#[tokio::test]
async fn nobody_grants_a_user_more_than_he_holds() {
    let app = TestApp::new().await;
    add_role(&app, "clerk", &["users.read", "users.write"]).await;
    let clerk = app.user("clerk", json!({})).await;
    let own = read(&app, &clerk, "/api/auth/me", 200).await["id"].clone();
    let admin = read(&app, app.admin(), "/api/auth/me", 200).await["id"].clone();
    let new = |role: &str| {
        Some(json!({"username": format!("new-{role}"), "password": "password-1", "role": role, "name": "某人"}))
    };
    app.by(&clerk, Method::POST, "/api/users", new("admin")).await.refused(403, None);
    app.by(&clerk, Method::POST, "/api/users", new("employee")).await.refused(403, None);
    app.by(&clerk, Method::POST, "/api/users", new("clerk")).await.expect(201);

    let (own, admin) = (format!("/api/users/{own}"), format!("/api/users/{admin}"));
    app.by(&clerk, Method::PUT, &own, Some(json!({"role": "admin"}))).await.refused(403, None);
    app.by(&clerk, Method::PUT, &admin, Some(json!({"password": "password-2"}))).await.refused(403, None);
    app.by(&clerk, Method::PUT, &admin, Some(json!({"role": "clerk"}))).await.refused(403, None);
    app.by(&clerk, Method::DELETE, &admin, None).await.refused(403, None);
    assert_eq!(app.get(&own).await.expect(200)["role"], "clerk");
    assert_eq!(app.get(&admin).await.expect(200)["role"], "admin");
}

#[tokio::test]
async fn nobody_makes_a_role_that_may_more_than_he() {
    let app = TestApp::new().await;
    let id = add_role(&app, "keeper", &["roles.read", "roles.write"]).await;
    let token = app.user("keeper", json!({})).await;
    let role = |permissions: Value| Some(json!({"name": "wide", "permissions": permissions}));
    app.by(&token, Method::POST, "/api/roles", role(json!(["finance.read"]))).await.refused(403, None);
    let wider = json!({"permissions": ["roles.read", "roles.write", "finance.read"]});
    app.by(&token, Method::PUT, &format!("/api/roles/{id}"), Some(wider)).await.refused(403, None);
    app.by(&token, Method::POST, "/api/roles", role(json!(["roles.read"]))).await.expect(201);
}
