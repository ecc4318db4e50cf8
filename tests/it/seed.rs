//! The examples of the seed API, replayed: what it promises is there, with the types that it shows.

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::{PASSWORD, Reply, TestApp};

const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Checks that every key of the seed's example is there, with a value of the same type. What is null in the seed may be
/// anything.
#[track_caller]
pub fn assert_has(answer: &Value, seed: &Value) {
    if seed.is_null() {
        return;
    }
    assert_eq!(type_of(answer), type_of(seed), "{answer} is not like {seed}");
    match seed {
        Value::Object(members) => {
            for (key, value) in members {
                let found = answer.get(key).unwrap_or_else(|| panic!("{key} is missing in {answer}"));
                assert_has(found, value);
            }
        }
        Value::Array(items) => {
            let Some(example) = items.first() else { return };
            let found = answer.as_array().unwrap();
            assert!(!found.is_empty(), "nothing like {example} in {answer}");
            for item in found {
                assert_has(item, example);
            }
        }
        _ => {}
    }
}

/// Checks that what was entered came back.
#[track_caller]
fn assert_says(answer: &Value, entered: &Value) {
    for (key, value) in entered.as_object().unwrap() {
        let same = match (answer[key].as_f64(), value.as_f64()) {
            (Some(found), Some(wanted)) => (found - wanted).abs() < f64::EPSILON,
            _ => answer[key] == *value,
        };
        assert!(same, "{key} is {} and not {value}", answer[key]);
    }
}

/// Checks code and message, and gives `data`.
#[track_caller]
fn said(reply: &Reply, code: u16, message: &str) -> Value {
    let data = reply.expect(code);
    assert_eq!(reply.json()["message"], message, "{}", reply.text);
    data
}

fn encoded(word: &str) -> String {
    form_urlencoded::byte_serialize(word.as_bytes()).collect()
}

fn zhang_san() -> Value {
    json!({
        "name": "张三",
        "age": 30,
        "gender": "女",
        "contact": "13800138000",
        "delivery_date": "2024-01-01",
        "check_in_date": "2024-01-02",
        "dietary_restrictions": "海鲜、辣",
        "preferences": "清淡",
    })
}

fn steamed_fish() -> Value {
    json!({
        "name": "清蒸鱼",
        "category": "肉菜",
        "description": "清淡可口",
        "ingredients": "鱼、姜、葱",
        "restrictions": "无",
        "calories": 200,
        "price": 58.00,
    })
}

fn wang_wu() -> Value {
    json!({
        "name": "王五",
        "position": "厨师",
        "contact": "13700137000",
        "base_salary": 5000.00,
        "joining_date": "2023-01-01",
    })
}

/// The example with the id and the status that the site itself gives.
fn with(mut entered: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        entered[key] = value.clone();
    }
    entered
}

#[tokio::test]
async fn logging_in_answers_as_in_3_1_1() {
    let app = TestApp::new().await;
    let body = json!({"username": "admin", "password": PASSWORD});
    let reply = app.send(Method::POST, "/api/auth/login", &[], Some(body)).await;
    let data = said(&reply, 200, "登录成功");
    let user = json!({"id": 1, "username": "admin", "role": "admin", "name": "管理员"});
    assert_has(&data, &json!({"token": "jwt_token", "user": user}));
    assert_says(&data["user"], &json!({"id": 1, "username": "admin", "role": "admin"}));
}

#[tokio::test]
async fn refreshing_the_token_answers_as_in_3_1_3() {
    let app = TestApp::new().await;
    let token = app.login("admin", PASSWORD).await;
    let reply = app.by(&token, Method::POST, "/api/auth/refresh", None).await;
    let data = said(&reply, 200, "刷新成功");
    assert_has(&data, &json!({"token": "new_jwt_token"}));
    let new = data["token"].as_str().unwrap();
    assert_ne!(new, token);
    app.by(new, Method::GET, "/api/customers", None).await.expect(200);
}

#[tokio::test]
async fn the_list_of_customers_answers_as_in_3_2_1() {
    let app = TestApp::new().await;
    app.post("/api/customers", zhang_san()).await.expect(201);
    let path = format!("/api/customers?page=1&page_size=10&search={}&status=active", encoded("张三"));
    let data = said(&app.get(&path).await, 200, "获取成功");
    let item = json!({
        "id": 1,
        "name": "张三",
        "age": 30,
        "gender": "女",
        "contact": "13800138000",
        "delivery_date": "2024-01-01",
        "check_in_date": "2024-01-02",
        "status": "active",
    });
    assert_has(&data, &json!({"total": 100, "page": 1, "page_size": 10, "items": [item]}));
    assert_says(&data, &json!({"total": 1, "page": 1, "page_size": 10}));
    assert_says(&data["items"][0], &item);
}

#[tokio::test]
async fn pages_are_of_ten_unless_said_otherwise() {
    let app = TestApp::new().await;
    for number in 0..11 {
        app.post("/api/customers", json!({"name": format!("客户{number}")})).await.expect(201);
    }
    let data = app.get("/api/customers").await.expect(200);
    assert_says(&data, &json!({"total": 11, "page": 1, "page_size": 10}));
    assert_eq!(data["items"].as_array().unwrap().len(), 10);
    let data = app.get("/api/customers?page=2").await.expect(200);
    assert_says(&data, &json!({"total": 11, "page": 2, "page_size": 10}));
    assert_eq!(data["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_customer_is_read_as_in_3_2_2() {
    let app = TestApp::new().await;
    app.post("/api/customers", zhang_san()).await.expect(201);
    let data = said(&app.get("/api/customers/1").await, 200, "获取成功");
    let seed = with(zhang_san(), json!({"id": 1, "check_out_date": null, "status": "active"}));
    assert_has(&data, &seed);
    assert_says(&data, &seed);
    assert!(data.as_object().unwrap().contains_key("check_out_date"));
}

#[tokio::test]
async fn a_customer_is_added_as_in_3_2_3() {
    let app = TestApp::new().await;
    app.post("/api/customers", zhang_san()).await.expect(201);
    let entered = json!({
        "name": "李四",
        "age": 28,
        "gender": "女",
        "contact": "13900139000",
        "delivery_date": "2024-02-01",
        "check_in_date": "2024-02-02",
    });
    let data = said(&app.post("/api/customers", entered.clone()).await, 201, "添加成功");
    let seed = with(entered, json!({"id": 2, "status": "active"}));
    assert_has(&data, &seed);
    assert_says(&data, &seed);
}

#[tokio::test]
async fn a_customer_is_changed_as_in_3_2_4() {
    let app = TestApp::new().await;
    app.post("/api/customers", zhang_san()).await.expect(201);
    let change = json!({"check_out_date": "2024-01-10", "status": "inactive"});
    let data = said(&app.put("/api/customers/1", change.clone()).await, 200, "更新成功");
    let seed = with(with(zhang_san(), change), json!({"id": 1}));
    assert_has(&data, &seed);
    assert_says(&data, &seed);
    assert_eq!(app.get("/api/customers/1").await.expect(200), data);
}

#[tokio::test]
async fn a_customer_is_removed_as_in_3_2_5() {
    let app = TestApp::new().await;
    app.post("/api/customers", zhang_san()).await.expect(201);
    let data = said(&app.delete("/api/customers/1").await, 200, "删除成功");
    assert!(data.is_null(), "{data}");
}

#[tokio::test]
async fn the_list_of_dishes_answers_as_in_3_3_1() {
    let app = TestApp::new().await;
    app.post("/api/dishes", steamed_fish()).await.expect(201);
    let path = format!("/api/dishes?page=1&page_size=10&category={}&search={}", encoded("肉菜"), encoded("清蒸"));
    let reply = app.get(&path).await;
    let data = said(&reply, 200, "获取成功");
    let item = with(steamed_fish(), json!({"id": 1, "status": "active"}));
    assert_has(&data, &json!({"total": 50, "page": 1, "page_size": 10, "items": [item]}));
    assert_says(&data, &json!({"total": 1, "page": 1, "page_size": 10}));
    assert_says(&data["items"][0], &item);
    assert!(reply.text.contains(r#""price":58.00"#), "{}", reply.text);
}

#[tokio::test]
async fn a_dish_is_read_as_in_3_3_2() {
    let app = TestApp::new().await;
    app.post("/api/dishes", steamed_fish()).await.expect(201);
    let reply = app.get("/api/dishes/1").await;
    let data = said(&reply, 200, "获取成功");
    let seed = with(steamed_fish(), json!({"id": 1, "status": "active"}));
    assert_has(&data, &seed);
    assert_says(&data, &seed);
    assert!(reply.text.contains(r#""price":58.00"#), "{}", reply.text);
}

#[tokio::test]
async fn a_dish_is_added_as_in_3_3_3() {
    let app = TestApp::new().await;
    app.post("/api/dishes", steamed_fish()).await.expect(201);
    let entered = json!({
        "name": "红烧肉",
        "category": "肉菜",
        "description": "肥而不腻",
        "ingredients": "五花肉、酱油、糖",
        "restrictions": "高血脂患者慎食",
        "calories": 350,
        "price": 68.00,
    });
    let reply = app.post("/api/dishes", entered.clone()).await;
    let data = said(&reply, 201, "添加成功");
    let seed = with(entered, json!({"id": 2, "status": "active"}));
    assert_has(&data, &seed);
    assert_says(&data, &seed);
    assert!(reply.text.contains(r#""price":68.00"#), "{}", reply.text);
}

#[tokio::test]
async fn menus_are_a_bare_array_as_in_3_4_1() {
    let app = TestApp::new().await;
    app.post("/api/dishes", steamed_fish()).await.expect(201);
    let menu = json!({"date": "2024-01-01", "type": "lunch", "dishes": [{"dish_id": 1, "quantity": 2}]});
    app.post("/api/menus", menu).await.expect(201);
    let data = said(&app.get("/api/menus?date=2024-01-01&type=lunch").await, 200, "获取成功");
    let dish = json!({"id": 1, "name": "清蒸鱼", "category": "肉菜", "quantity": 2});
    let seed = json!([{"id": 1, "date": "2024-01-01", "type": "lunch", "dishes": [dish]}]);
    assert_has(&data, &seed);
    assert_eq!(data.as_array().unwrap().len(), 1);
    assert_says(&data[0], &json!({"id": 1, "date": "2024-01-01", "type": "lunch"}));
    assert_says(&data[0]["dishes"][0], &dish);
    let none = said(&app.get("/api/menus?date=2024-01-01&type=dinner").await, 200, "获取成功");
    assert_eq!(none, json!([]));
}

#[tokio::test]
async fn the_list_of_employees_answers_as_in_3_5_1() {
    let app = TestApp::new().await;
    app.post("/api/employees", wang_wu()).await.expect(201);
    let path = format!("/api/employees?page=1&page_size=10&position={}", encoded("厨师"));
    let reply = app.get(&path).await;
    let data = said(&reply, 200, "获取成功");
    let item = with(wang_wu(), json!({"id": 1, "status": "active"}));
    assert_has(&data, &json!({"total": 20, "page": 1, "page_size": 10, "items": [item]}));
    assert_says(&data, &json!({"total": 1, "page": 1, "page_size": 10}));
    assert_says(&data["items"][0], &item);
    assert!(reply.text.contains(r#""base_salary":5000.00"#), "{}", reply.text);
}

#[tokio::test]
async fn punching_answers_as_in_3_5_2() {
    let app = TestApp::new().await;
    app.post("/api/employees", wang_wu()).await.expect(201);
    let reply = app.post("/api/employees/attendance", json!({"employee_id": 1, "type": "check_in"})).await;
    let data = said(&reply, 200, "打卡成功");
    let seed = json!({
        "id": 1,
        "employee_id": 1,
        "date": "2024-01-01",
        "check_in_time": "08:00:00",
        "check_out_time": null,
        "status": "present",
    });
    assert_has(&data, &seed);
    assert_says(&data, &seed);
}

#[tokio::test]
async fn the_list_of_transactions_answers_as_in_3_6_1() {
    let app = TestApp::new().await;
    let entered = json!({
        "type": "income",
        "category": "餐费",
        "amount": 1000.00,
        "description": "张三的餐费",
        "transaction_date": "2024-01-01T10:00:00",
        "payment_method": "wechat",
        "related_id": 1,
        "related_type": "customer",
    });
    app.post("/api/customers", zhang_san()).await.expect(201);
    app.post("/api/finance/transactions", entered.clone()).await.expect(201);
    let query = "page=1&page_size=10&type=income&start_date=2024-01-01&end_date=2024-01-31";
    let reply = app.get(&format!("/api/finance/transactions?{query}")).await;
    let data = said(&reply, 200, "获取成功");
    let item = with(entered, json!({"id": 1, "status": "completed"}));
    assert_has(&data, &json!({"total": 200, "page": 1, "page_size": 10, "items": [item]}));
    assert_says(&data, &json!({"total": 1, "page": 1, "page_size": 10}));
    assert_says(&data["items"][0], &item);
    assert!(reply.text.contains(r#""amount":1000.00"#), "{}", reply.text);
}

#[tokio::test]
async fn a_transaction_is_added_as_in_3_6_2() {
    let app = TestApp::new().await;
    let first = json!({"type": "income", "category": "餐费", "amount": 1000.00});
    app.post("/api/finance/transactions", first).await.expect(201);
    app.at("2024-01-01T14:00:00");
    let token = app.login("admin", PASSWORD).await;
    let entered = json!({
        "type": "expense",
        "category": "食材采购",
        "amount": 500.00,
        "description": "购买蔬菜",
        "payment_method": "alipay",
        "related_id": 1,
        "related_type": "supplier",
    });
    let reply = app.by(&token, Method::POST, "/api/finance/transactions", Some(entered.clone())).await;
    let data = said(&reply, 201, "添加成功");
    let seed = with(entered, json!({"id": 2, "transaction_date": "2024-01-01T14:00:00", "status": "completed"}));
    assert_has(&data, &seed);
    assert_says(&data, &seed);
    assert!(reply.text.contains(r#""amount":500.00"#), "{}", reply.text);
}

#[tokio::test]
async fn a_monthly_report_answers_as_in_3_6_3() {
    let app = TestApp::new().await;
    let entries = [
        ("expense", "其他", 5000.00),
        ("income", "餐费", 40000.00),
        ("expense", "食材采购", 15000.00),
        ("income", "服务费", 10000.00),
        ("expense", "员工薪资", 10000.00),
    ];
    for (direction, category, amount) in entries {
        let entry = json!({"type": direction, "category": category, "amount": amount});
        app.post("/api/finance/transactions", entry).await.expect(201);
    }
    let query = "report_type=monthly&start_date=2024-01-01&end_date=2024-01-31";
    let reply = app.get(&format!("/api/finance/reports?{query}")).await;
    let data = said(&reply, 200, "生成成功");
    let seed = json!({
        "report_type": "monthly",
        "period": "2024-01",
        "income": 50000.00,
        "expense": 30000.00,
        "profit": 20000.00,
        "details": {
            "income": [{"category": "餐费", "amount": 40000.00}, {"category": "服务费", "amount": 10000.00}],
            "expense": [
                {"category": "食材采购", "amount": 15000.00},
                {"category": "员工薪资", "amount": 10000.00},
                {"category": "其他", "amount": 5000.00},
            ],
        },
    });
    assert_has(&data, &seed);
    assert_eq!(data, seed);
    for money in [r#""income":50000.00"#, r#""expense":30000.00"#, r#""profit":20000.00"#, r#""amount":5000.00"#] {
        assert!(reply.text.contains(money), "{money} is not in {}", reply.text);
    }
}

#[tokio::test]
async fn a_refusal_is_the_example_of_5_1_to_the_letter() {
    let app = TestApp::new().await;
    let seed = json!({"code": 400, "message": "请求参数错误", "data": {"field": "name", "error": "姓名不能为空"}});
    for body in [json!({}), json!({"name": null}), json!({"name": ""}), json!({"name": "  "})] {
        let reply = app.post("/api/customers", body).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.json(), seed);
    }
}

#[tokio::test]
async fn each_status_has_the_message_of_5_2() {
    let app = TestApp::new().await;
    app.post("/api/customers", zhang_san()).await.expect(201);
    let customer = app.user("customer", json!({"customer_id": 1})).await;
    let unknown = app.send(Method::GET, "/api/customers", &[], None).await;
    said(&unknown, 401, "未授权");
    let forbidden = app.by(&customer, Method::GET, "/api/finance/transactions", None).await;
    said(&forbidden, 403, "禁止访问");
    said(&app.get("/api/customers/999").await, 404, "资源不存在");
    said(&app.post("/api/customers", json!({"name": 1})).await, 400, "请求参数错误");
}
