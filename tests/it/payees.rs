//! Suppliers, where employees and suppliers are paid, and what employees are owed.

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::TestApp;

const ACCOUNT: &str = "6222020200012345678";

async fn employee(app: &TestApp) -> Value {
    app.post("/api/employees", json!({"name": "王五", "position": "护理师"})).await.expect(201)["id"].clone()
}

async fn supplier(app: &TestApp) -> Value {
    let body = json!({"name": "鲜蔬配送行", "category": "食材采购", "contact": "136 0013 6000"});
    app.post("/api/suppliers", body).await.expect(201)["id"].clone()
}

fn salary(employee: &Value, base: f64) -> Value {
    json!({"employee_id": employee, "pay_period": "2024-01", "base_salary": base, "overtime_pay": 500.00,
           "allowance": 300.00, "deductions": 200.00})
}

#[tokio::test]
async fn a_supplier_is_added_found_changed_and_hidden() {
    let app = TestApp::new().await;
    let id = supplier(&app).await;
    let path = format!("/api/suppliers/{id}");
    let made = app.get(&path).await.expect(200);
    assert_eq!((&made["category"], &made["status"]), (&json!("食材采购"), &json!("active")));
    for word in ["%E9%B2%9C%E8%94%AC", "xsps", "peisong", "13600136000"] {
        assert_eq!(app.get(&format!("/api/suppliers?search={word}")).await.expect(200)["total"], 1, "{word}");
    }
    app.put(&path, json!({"status": "inactive", "contact": null})).await.expect(200);
    assert_eq!(app.get("/api/suppliers?status=active").await.expect(200)["total"], 0);
    assert_eq!(app.get("/api/suppliers?search=13600136000").await.expect(200)["total"], 0);
    app.delete(&path).await.expect(200);
    app.get(&path).await.refused(404, None);
    assert_eq!(app.get("/api/suppliers").await.expect(200)["total"], 0);
    let kept: String = app
        .rows()
        .query_row("select group_concat(coalesce(contact, '')) from suppliers", [], |row| row.get(0))
        .unwrap();
    assert!(!kept.contains("136"));
}

#[tokio::test]
async fn an_account_is_kept_sealed_and_shown_by_its_end() {
    let app = TestApp::new().await;
    let id = employee(&app).await;
    let path = format!("/api/employees/{id}/payees/bank");
    app.get(&path).await.refused(404, None);
    app.put(&path, json!({"account_name": "王五", "bank_name": "工行"})).await.refused(400, "account");
    app.put(&path, json!({"account": ACCOUNT, "bank_name": "工行"})).await.refused(400, "account_name");
    app.put(&path, json!({"account": ACCOUNT, "account_name": "王五"})).await.refused(400, "bank_name");
    let whole = json!({"account": ACCOUNT, "account_name": "王五", "bank_name": "中国工商银行上海浦东支行"});
    let set = app.put(&path, whole.clone()).await.expect(200);
    assert_eq!(set["account"], "****5678");
    // What is not said stays; what an answer shows of an account is not one.
    app.put(&path, json!({"account_name": "王 五"})).await.expect(200);
    app.put(&path, json!({"account": "****5678"})).await.refused(400, "account");
    assert_eq!(app.get(&path).await.expect(200)["account_name"], "王 五");
    app.delete(&path).await.expect(200);
    app.get(&path).await.refused(404, None);
    app.delete(&path).await.refused(404, None);
    assert_eq!(app.put(&path, whole).await.expect(200)["account"], "****5678");
    let rows: i64 = app.rows().query_row("select count(*) from payees", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    assert_nowhere_in_the_clear(&app, ACCOUNT);
    app.get(&format!("/api/employees/{id}/payees/cash")).await.refused(400, "payment_method");
    app.get("/api/employees/99/payees/bank").await.refused(404, None);
    app.get("/api/suppliers/99/payees/bank").await.refused(404, None);
}

/// Looks for a text in every column of every table.
pub fn assert_nowhere_in_the_clear(app: &TestApp, secret: &str) {
    let connection = app.rows();
    let mut tables = connection.prepare("select name from sqlite_schema where type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for table in tables {
        let mut statement = connection.prepare(&format!("select * from {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                if let Ok(text) = row.get::<_, String>(column) {
                    assert!(!text.contains(secret), "{table}: {text}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_supplier_has_an_account_for_each_way_to_pay() {
    let app = TestApp::new().await;
    let id = supplier(&app).await;
    let alipay = json!({"account": "pay@example.com", "account_name": "鲜蔬配送行"});
    app.put(&format!("/api/suppliers/{id}/payees/alipay"), alipay).await.expect(200);
    app.get(&format!("/api/suppliers/{id}/payees/alipay")).await.expect(200);
    for method in ["wechat", "bank"] {
        app.get(&format!("/api/suppliers/{id}/payees/{method}")).await.refused(404, None);
    }
}

#[tokio::test]
async fn an_employee_is_paid_to_the_wechat_account_that_it_logs_in_with() {
    let app = TestApp::new().await;
    let id = employee(&app).await;
    let path = format!("/api/employees/{id}/payees/wechat");
    app.user("employee", json!({"employee_id": id})).await;
    app.get(&path).await.refused(404, None);
    bind(&app, 2, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o").await;
    let known = app.get(&path).await.expect(200);
    assert_eq!((&known["account"], &known["account_name"]), (&json!("****eS6o"), &json!("王五")));
    app.put(&path, json!({"account": "oOther-account-0001", "account_name": "王五"})).await.expect(200);
    assert_eq!(app.get(&path).await.expect(200)["account"], "****0001");
}

/// Binds a WeChat account to a user.
pub async fn bind(app: &TestApp, user: i64, openid: &str) {
    use canshi::domain::ids::UserId;
    use canshi::domain::wechat::Openid;
    let (user, openid) = (UserId::try_from(user).unwrap(), Openid::new(openid.to_owned()).unwrap());
    app.db().write(move |tx| canshi::store::users::set_openid(tx, user, &openid)).await.unwrap();
}

#[tokio::test]
async fn a_salary_is_what_is_left_and_a_correction_is_a_new_version() {
    let app = TestApp::new().await;
    let id = employee(&app).await;
    let first = app.post("/api/finance/salaries", salary(&id, 5000.00)).await.expect(201);
    assert_eq!((&first["net_salary"], &first["version"], &first["payout"]), (&json!(5600.0), &json!(1), &Value::Null));
    assert_eq!(first["employee_name"], "王五");
    let second = app.post("/api/finance/salaries", salary(&id, 6000.00)).await.expect(201);
    assert_eq!((&second["net_salary"], &second["version"]), (&json!(6600.0), &json!(2)));
    let later = json!({"employee_id": id, "pay_period": "2024-02", "base_salary": 1});
    app.post("/api/finance/salaries", later).await.expect(201);
    let list = app.get("/api/finance/salaries").await.expect(200);
    let shown: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["pay_period"].clone()).collect();
    assert_eq!((&list["total"], shown), (&json!(2), vec![json!("2024-02"), json!("2024-01")]));
    let month = app.get(&format!("/api/finance/salaries?employee_id={id}&pay_period=2024-01")).await.expect(200);
    assert_eq!(month["items"][0]["id"], second["id"]);
    assert_eq!(app.get(&format!("/api/finance/salaries/{}", first["id"])).await.expect(200)["net_salary"], 5600.0);
    let bad = |key: &str, value: Value| {
        let mut body = salary(&id, 5000.00);
        body[key] = value;
        body
    };
    for (key, value) in [
        ("employee_id", json!(99)),
        ("pay_period", json!("2024-13")),
        ("base_salary", json!(-1)),
        ("allowance", json!(-0.01)),
        ("deductions", json!(5800.01)),
    ] {
        let refused = app.post("/api/finance/salaries", bad(key, value)).await.expect(400);
        assert_eq!(refused["field"], key);
    }
    app.get("/api/finance/salaries/99").await.refused(404, None);
    let trail: String = app
        .rows()
        .query_row("select group_concat(coalesce(\"after\", '')) from audit where noun = 'salaries'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(!trail.contains("5600") && !trail.contains("6600"), "{trail}");
}

#[tokio::test]
async fn whoever_sees_no_money_sees_nothing_of_this() {
    let app = TestApp::new().await;
    let id = employee(&app).await;
    let token = app.user("employee", json!({"employee_id": id})).await;
    for path in ["/api/suppliers", "/api/finance/salaries", &format!("/api/employees/{id}/payees/bank")] {
        app.by(&token, Method::GET, path, None).await.refused(403, None);
    }
}

#[tokio::test]
async fn the_limit_of_approval_is_a_setting() {
    let app = TestApp::new().await;
    assert_eq!(app.get("/api/settings").await.expect(200)["payout_approval_limit"], 1000.0);
    let reply = app.put("/api/settings", json!({"payout_approval_limit": 0})).await;
    assert!(reply.text.contains(r#""payout_approval_limit":0.00"#), "{}", reply.text);
    app.put("/api/settings", json!({"payout_approval_limit": -1})).await.refused(400, "payout_approval_limit");
    assert_eq!(app.get("/api/settings").await.expect(200)["payout_approval_limit"], 0.0);
}
