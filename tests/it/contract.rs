//! What holds for every endpoint: the envelope, refusals, input to the letter, money, batches, headers, CORS.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use canshi::http::app::EdgeConfig;
use canshi::store::open::Options;
use serde_json::{Value, json};

use crate::app::{Reply, TestApp};

const ORIGIN: &str = "https://desk.example";
const BODY_BYTES_MAX: usize = 1 << 20;

/// The administrator posts this text as it is.
async fn post_text(app: &TestApp, path: &str, content_type: Option<&str>, text: impl Into<Body>) -> Reply {
    let mut request =
        Request::builder().method(Method::POST).uri(path).header("authorization", format!("Bearer {}", app.admin()));
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    app.raw(request.body(text.into()).unwrap()).await
}

async fn post_json_text(app: &TestApp, path: &str, text: &str) -> Reply {
    post_text(app, path, Some("application/json"), text.to_owned()).await
}

/// Adds a customer and gives its id.
async fn add(app: &TestApp, body: Value) -> i64 {
    app.post("/api/customers", body).await.expect(201)["id"].as_i64().unwrap()
}

async fn total(app: &TestApp, path: &str) -> i64 {
    app.get(path).await.expect(200)["total"].as_i64().unwrap()
}

/// The names of the customers that a search finds.
async fn found(app: &TestApp, word: &str) -> Vec<String> {
    let word: String = form_urlencoded::byte_serialize(word.as_bytes()).collect();
    let data = app.get(&format!("/api/customers?search={word}")).await.expect(200);
    let items = data["items"].as_array().unwrap();
    assert_eq!(data["total"], items.len());
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[track_caller]
fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let app = TestApp::new().await;
    for path in ["/api/nothing", "/nothing", "/", "/api/customers/1/nothing"] {
        let reply = app.get(path).await;
        reply.refused(404, None);
        assert_eq!(reply.json()["message"], "资源不存在");
    }
}

#[tokio::test]
async fn a_wrong_method_is_not_allowed() {
    let app = TestApp::new().await;
    for (method, path) in [
        (Method::DELETE, "/api/customers"),
        (Method::PATCH, "/api/customers/1"),
        (Method::POST, "/api/customers/1"),
        (Method::GET, "/api/auth/login"),
    ] {
        let reply = app.by(app.admin(), method, path, None).await;
        reply.refused(405, None);
        assert_eq!(reply.json()["message"], "请求方法不允许");
    }
}

#[tokio::test]
async fn what_is_not_a_json_object_is_refused() {
    let app = TestApp::new().await;
    for text in ["{nonsense", r#"{"name":"甲"} more"#, r#"{"name":"甲"}{}"#, "", "null", "\"甲\"", "1", "[]"] {
        post_json_text(&app, "/api/customers", text).await.refused(400, None);
    }
    for text in [r#"{"name":"甲""#, r#"{"name":"甲",}"#, r#"{"name":}"#] {
        post_json_text(&app, "/api/customers", text).await.expect(400);
    }
    assert_eq!(total(&app, "/api/customers").await, 0);
}

#[tokio::test]
async fn an_array_is_not_read_by_position() {
    let app = TestApp::new().await;
    let text = r#"["甲",null,null,null,null,null,null,null,null,null]"#;
    post_json_text(&app, "/api/customers", text).await.refused(400, None);
    assert_eq!(total(&app, "/api/customers").await, 0);
}

#[tokio::test]
async fn a_key_that_is_there_twice_is_refused() {
    let app = TestApp::new().await;
    post_json_text(&app, "/api/customers", r#"{"name":"甲","name":"乙"}"#).await.refused(400, "name");
    assert_eq!(total(&app, "/api/customers").await, 0);
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    let app = TestApp::new().await;
    let text = r#"{"name":"甲"}"#;
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let reply = post_text(&app, "/api/customers", content_type, text).await;
        reply.refused(415, None);
        assert_eq!(reply.json()["message"], "不支持的内容类型");
    }
    post_text(&app, "/api/customers", Some("application/json; charset=utf-8"), text).await.expect(201);
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_refused() {
    let app = TestApp::new().await;
    let (start, end) = (r#"{"name":"甲","padding":""#, r#""}"#);
    let padding = BODY_BYTES_MAX - start.len() - end.len();
    let largest = format!("{start}{}{end}", "p".repeat(padding));
    let larger = format!("{start}{}{end}", "p".repeat(padding + 1));
    let reply = post_json_text(&app, "/api/customers", &larger).await;
    reply.refused(413, None);
    assert_eq!(reply.json()["message"], "请求体过大");
    assert_eq!(total(&app, "/api/customers").await, 0);
    post_json_text(&app, "/api/customers", &largest).await.expect(201);
}

#[tokio::test]
async fn whoever_has_no_token_is_not_let_in() {
    let app = TestApp::new().await;
    let headers: [&[(&str, &str)]; 4] = [
        &[],
        &[("authorization", "Bearer nonsense")],
        &[("authorization", "Basic YWRtaW46YWRtaW5hZG1pbg==")],
        &[("authorization", "nonsense")],
    ];
    for headers in headers {
        for (method, path) in [
            (Method::GET, "/api/customers"),
            (Method::POST, "/api/customers"),
            (Method::DELETE, "/api/dishes/1"),
            (Method::GET, "/api/finance/reports"),
        ] {
            let reply = app.send(method, path, headers, None).await;
            reply.refused(401, None);
            assert_eq!(reply.json()["message"], "未授权");
            assert_eq!(header(&reply, "www-authenticate"), Some("Bearer"));
        }
    }
}

#[tokio::test]
async fn a_missing_parameter_is_named() {
    let app = TestApp::new().await;
    assert_eq!(app.post("/api/customers", json!({"age": 30})).await.refused(400, "name"), "姓名不能为空");
    assert_eq!(app.post("/api/dishes", json!({"name": "鱼"})).await.refused(400, "category"), "分类不能为空");
    assert_eq!(app.post("/api/dishes", json!({"category": "肉菜"})).await.refused(400, "name"), "菜品名称不能为空");
    app.post("/api/employees", json!({"name": "王五"})).await.refused(400, "position");
    app.post("/api/menus", json!({"type": "lunch"})).await.refused(400, "date");
    app.post("/api/menus", json!({"date": "2024-01-01"})).await.refused(400, "type");
    app.post("/api/employees/attendance", json!({"type": "check_in"})).await.refused(400, "employee_id");
    app.post("/api/finance/transactions", json!({"type": "income", "category": "餐费"})).await.refused(400, "amount");
    app.get("/api/finance/reports").await.refused(400, "report_type");
}

#[tokio::test]
async fn values_of_the_wrong_type_are_refused() {
    let app = TestApp::new().await;
    for (field, value) in [
        ("name", json!(1)),
        ("name", json!(["甲"])),
        ("age", json!("30")),
        ("age", json!(30.5)),
        ("age", json!(-1)),
        ("age", json!(151)),
        ("gender", json!(true)),
        ("contact", json!(13_800_138_000_i64)),
        ("check_in_date", json!(20_240_101)),
        ("preferences", json!({})),
        ("status", json!("gone")),
        ("status", json!(1)),
    ] {
        let mut body = json!({"name": "甲"});
        body[field] = value;
        app.post("/api/customers", body).await.refused(400, field);
    }
    assert_eq!(total(&app, "/api/customers").await, 0);
}

#[tokio::test]
async fn null_is_refused_for_what_is_required() {
    let app = TestApp::new().await;
    assert_eq!(app.post("/api/customers", json!({"name": null})).await.refused(400, "name"), "姓名不能为空");
    let id = add(&app, json!({"name": "甲"})).await;
    let path = format!("/api/customers/{id}");
    assert_eq!(app.put(&path, json!({"name": null})).await.refused(400, "name"), "姓名不能为空");
    app.put(&path, json!({"status": null})).await.refused(400, "status");
    app.put(&path, json!({"name": " "})).await.refused(400, "name");
    assert_eq!(app.get(&path).await.expect(200)["name"], "甲");
    let amount = json!({"type": "income", "category": "餐费", "amount": null});
    app.post("/api/finance/transactions", amount).await.refused(400, "amount");
}

#[tokio::test]
async fn a_name_has_64_characters_at_most() {
    let app = TestApp::new().await;
    for character in ["a", "张"] {
        let longest = character.repeat(64);
        let data = app.post("/api/customers", json!({"name": longest})).await.expect(201);
        assert_eq!(data["name"], longest);
        app.post("/api/customers", json!({"name": character.repeat(65)})).await.refused(400, "name");
    }
    assert_eq!(total(&app, "/api/customers").await, 2);
}

#[tokio::test]
async fn a_date_that_does_not_exist_is_refused() {
    let app = TestApp::new().await;
    for date in ["2024-02-30", "2023-02-29", "2024-13-01", "2024-1-1", "2024/01/01", "2024-01-01T00:00:00", "", "明天"]
    {
        app.post("/api/customers", json!({"name": "甲", "check_in_date": date})).await.refused(400, "check_in_date");
    }
    for date in ["2024-02-30", "tomorrow"] {
        app.get(&format!("/api/menus?date={date}")).await.refused(400, "date");
    }
    assert_eq!(total(&app, "/api/customers").await, 0);
    let data = app.post("/api/customers", json!({"name": "甲", "check_in_date": "2024-02-29"})).await.expect(201);
    assert_eq!(data["check_in_date"], "2024-02-29");
}

#[tokio::test]
async fn a_page_out_of_range_is_refused() {
    let app = TestApp::new().await;
    for path in ["/api/customers", "/api/dishes", "/api/employees", "/api/finance/transactions"] {
        for value in ["0", "101", "abc", "-1", "1.5"] {
            app.get(&format!("{path}?page_size={value}")).await.refused(400, "page_size");
        }
        for value in ["0", "abc", "-1", "99999999999999999999"] {
            app.get(&format!("{path}?page={value}")).await.refused(400, "page");
        }
        let data = app.get(&format!("{path}?page=101&page_size=100")).await.expect(200);
        assert_eq!(data, json!({"total": 0, "page": 101, "page_size": 100, "items": []}));
    }
}

#[tokio::test]
async fn an_unknown_filter_value_is_refused_and_an_empty_one_is_none() {
    let app = TestApp::new().await;
    add(&app, json!({"name": "甲"})).await;
    app.get("/api/customers?status=gone").await.refused(400, "status");
    app.get("/api/finance/transactions?type=gift").await.refused(400, "type");
    app.get("/api/finance/reports?report_type=hourly").await.refused(400, "report_type");
    assert_eq!(total(&app, "/api/customers?status=&search=&page=").await, 1);
}

#[tokio::test]
async fn an_id_that_is_no_id_is_refused() {
    let app = TestApp::new().await;
    for id in ["abc", "0", "-1", "1.5", "99999999999999999999"] {
        app.get(&format!("/api/customers/{id}")).await.refused(400, "id");
    }
    app.get("/api/customers/1").await.refused(404, None);
}

#[tokio::test]
async fn unknown_keys_are_ignored() {
    let app = TestApp::new().await;
    let data = app.post("/api/customers", json!({"name": "甲", "id": 99, "nonsense": {"deep": [1]}})).await.expect(201);
    assert_eq!(data["id"], 1);
    assert_eq!(data.get("nonsense"), None);
    let data = app.put("/api/customers/1", json!({"id": 99, "nonsense": 1})).await.expect(200);
    assert_eq!((data["id"].as_i64(), data["name"].as_str()), (Some(1), Some("甲")));
    app.get("/api/customers?nonsense=1").await.expect(200);
}

#[tokio::test]
async fn a_change_leaves_what_it_does_not_name() {
    let app = TestApp::new().await;
    let id = add(&app, json!({"name": "甲", "age": 30, "contact": "13800138000", "preferences": "清淡"})).await;
    let path = format!("/api/customers/{id}");
    let mut expected = app.get(&path).await.expect(200);
    assert_eq!(app.put(&path, json!({})).await.expect(200), expected);
    expected["age"] = json!(31);
    assert_eq!(app.put(&path, json!({"age": 31})).await.expect(200), expected);
    assert_eq!(app.get(&path).await.expect(200), expected);
}

#[tokio::test]
async fn a_change_with_one_bad_parameter_changes_nothing() {
    let app = TestApp::new().await;
    let id = add(&app, json!({"name": "甲", "age": 30, "check_in_date": "2024-01-02"})).await;
    let path = format!("/api/customers/{id}");
    let before = app.get(&path).await.expect(200);
    for (field, value) in [
        ("age", json!(-1)),
        ("contact", json!(1)),
        ("check_out_date", json!("2024-02-30")),
        ("check_out_date", json!("2024-01-01")),
        ("status", json!("gone")),
    ] {
        let mut change = json!({"name": "乙", "preferences": "辣"});
        change[field] = value;
        app.put(&path, change).await.refused(400, field);
        assert_eq!(app.get(&path).await.expect(200), before);
    }
}

#[tokio::test]
async fn null_clears_what_is_optional() {
    let app = TestApp::new().await;
    let full = json!({
        "name": "甲",
        "age": 30,
        "gender": "女",
        "contact": "13800138000",
        "delivery_date": "2024-01-01",
        "check_in_date": "2024-01-02",
        "check_out_date": "2024-01-10",
        "dietary_restrictions": "辣",
        "preferences": "清淡",
    });
    let id = add(&app, full.clone()).await;
    let path = format!("/api/customers/{id}");
    for field in full.as_object().unwrap().keys().filter(|field| *field != "name") {
        let mut change = json!({});
        change[field] = Value::Null;
        let data = app.put(&path, change).await.expect(200);
        assert!(data[field].is_null(), "{field} is still {}", data[field]);
    }
    assert_eq!(app.get(&path).await.expect(200)["name"], "甲");
    assert_eq!(found(&app, "13800138000").await, Vec::<String>::new());
    app.post("/api/dishes", json!({"name": "鱼", "category": "肉菜", "price": 58})).await.expect(201);
    assert!(app.put("/api/dishes/1", json!({"price": null})).await.expect(200)["price"].is_null());
}

#[tokio::test]
async fn strings_are_kept_to_the_letter() {
    let app = TestApp::new().await;
    for text in ["  张 三 ", "O'Brien; drop table customers --", "<b>&amp;\"\\", "line\nbreak\ttab", "é e\u{301} 👩‍🍼"]
    {
        let id = add(&app, json!({"name": text, "contact": text, "preferences": text})).await;
        let data = app.get(&format!("/api/customers/{id}")).await.expect(200);
        for field in ["name", "contact", "preferences"] {
            assert_eq!(data[field], text, "{field}");
        }
    }
    app.post("/api/customers", json!({"name": "a\u{0}b"})).await.refused(400, "name");
}

#[tokio::test]
async fn a_search_is_literal() {
    let app = TestApp::new().await;
    for name in ["张三", "李四"] {
        add(&app, json!({"name": name})).await;
    }
    for word in ["%", "_", "%三", "张_", "*", "'", "\\"] {
        assert_eq!(found(&app, word).await, Vec::<String>::new(), "{word}");
    }
    for name in ["100%", "1000"] {
        add(&app, json!({"name": name})).await;
    }
    assert_eq!(found(&app, "0%").await, ["100%"]);
    assert_eq!(found(&app, "%").await, ["100%"]);
    assert_eq!(found(&app, "00").await, ["100%", "1000"]);
}

#[tokio::test]
async fn a_name_is_found_by_its_parts_and_its_pinyin() {
    let app = TestApp::new().await;
    for name in ["张三", "李四"] {
        add(&app, json!({"name": name})).await;
    }
    for word in ["zs", "zhangsan", "zhang", "san", "ZS", "ZhangSan", "张", "三", "张三"] {
        assert_eq!(found(&app, word).await, ["张三"], "{word}");
    }
    for word in ["王", "zl", "angsan", "三张"] {
        assert_eq!(found(&app, word).await, Vec::<String>::new(), "{word}");
    }
    app.put("/api/customers/1", json!({"name": "王五"})).await.expect(200);
    assert_eq!(found(&app, "zs").await, Vec::<String>::new());
    assert_eq!(found(&app, "ww").await, ["王五"]);
}

#[tokio::test]
async fn a_contact_is_found_whole_however_it_is_spaced() {
    let app = TestApp::new().await;
    add(&app, json!({"name": "张三", "contact": "138 0013 8000"})).await;
    add(&app, json!({"name": "李四", "contact": "13900139000"})).await;
    for word in ["13800138000", "138 0013 8000", "138-0013-8000", "+86 13800138000"] {
        assert_eq!(found(&app, word).await, ["张三"], "{word}");
    }
    for word in ["1380013", "8000", "13800138001"] {
        assert_eq!(found(&app, word).await, Vec::<String>::new(), "{word}");
    }
    assert_eq!(app.get("/api/customers/1").await.expect(200)["contact"], "138 0013 8000");
}

#[tokio::test]
async fn only_the_named_fields_are_answered() {
    let app = TestApp::new().await;
    add(&app, json!({"name": "甲", "age": 30})).await;
    let list = app.get("/api/customers?fields=id,name").await.expect(200);
    assert_eq!(keys(&list), ["items", "page", "page_size", "total"]);
    assert_eq!(list["items"], json!([{"id": 1, "name": "甲"}]));
    let one = app.get("/api/customers/1?fields=name,%20age,nonsense").await.expect(200);
    assert_eq!(one, json!({"name": "甲", "age": 30}));
    app.post("/api/dishes", json!({"name": "鱼", "category": "肉菜", "price": 58})).await.expect(201);
    let reply = app.get("/api/dishes/1?fields=price").await;
    assert!(reply.text.ends_with(r#""data":{"price":58.00}}"#), "{}", reply.text);
    let reply = app.get("/api/dishes?fields=price").await;
    assert!(reply.text.contains(r#""items":[{"price":58.00}]"#), "{}", reply.text);
    app.post("/api/menus", json!({"date": "2024-01-01", "type": "lunch"})).await.expect(201);
    assert_eq!(app.get("/api/menus?fields=type").await.expect(200), json!([{"type": "lunch"}]));
}

#[tokio::test]
async fn an_id_is_not_given_twice() {
    let app = TestApp::new().await;
    let first = add(&app, json!({"name": "甲"})).await;
    let second = add(&app, json!({"name": "乙"})).await;
    app.delete(&format!("/api/customers/{second}")).await.expect(200);
    let third = add(&app, json!({"name": "丙"})).await;
    assert_eq!([first, second, third], [1, 2, 3]);
}

#[tokio::test]
async fn what_is_deleted_is_gone() {
    let app = TestApp::new().await;
    let id = add(&app, json!({"name": "张三", "contact": "13800138000"})).await;
    add(&app, json!({"name": "李四"})).await;
    let path = format!("/api/customers/{id}");
    app.delete(&path).await.expect(200);
    app.get(&path).await.refused(404, None);
    app.put(&path, json!({"name": "王五"})).await.refused(404, None);
    app.delete(&path).await.refused(404, None);
    assert_eq!(total(&app, "/api/customers").await, 1);
    for word in ["张三", "zs", "13800138000"] {
        assert_eq!(found(&app, word).await, Vec::<String>::new(), "{word}");
    }
}

#[tokio::test]
async fn a_batch_makes_changes_and_removes_in_one_go() {
    let app = TestApp::new().await;
    for name in ["甲", "乙"] {
        add(&app, json!({"name": name})).await;
    }
    let batch = json!({
        "create": [{"name": "丙"}, {"name": "丁"}],
        "update": [{"id": 1, "age": 30}],
        "delete": [2],
    });
    let reply = app.post("/api/customers/batch", batch).await;
    let data = reply.expect(200);
    assert_eq!(reply.json()["message"], "批量操作成功");
    assert_eq!((data["created"][0]["id"].as_i64(), data["created"][1]["id"].as_i64()), (Some(3), Some(4)));
    assert_eq!((data["updated"][0]["name"].as_str(), data["updated"][0]["age"].as_i64()), (Some("甲"), Some(30)));
    assert_eq!(data["deleted"], json!([2]));
    assert_eq!(total(&app, "/api/customers").await, 3);
}

#[tokio::test]
async fn a_batch_with_one_bad_item_does_nothing_and_names_it() {
    let app = TestApp::new().await;
    add(&app, json!({"name": "甲"})).await;
    let before = app.get("/api/customers").await.expect(200);
    let backwards = json!({"name": "丙", "check_in_date": "2024-01-02", "check_out_date": "2024-01-01"});
    let batches = [
        (json!({"create": [{"name": "乙"}, backwards]}), 400, "create[1].check_out_date"),
        (json!({"create": [{"name": "乙"}, {"age": 1}]}), 400, "create[1].name"),
        (json!({"create": [{"name": "乙"}], "update": [{"id": 1, "name": 5}]}), 400, "update[0].name"),
        (json!({"create": [{"name": "乙"}], "update": [{"name": "丙"}]}), 400, "update[0].id"),
        (json!({"update": [{"id": 1, "name": "丙"}, {"id": 99, "name": "丁"}]}), 404, "update[1]"),
        (json!({"create": [{"name": "乙"}], "delete": [1, 99]}), 404, "delete[1]"),
        (json!({"delete": [1, 1]}), 404, "delete[1]"),
    ];
    for (batch, status, field) in batches {
        app.post("/api/customers/batch", batch).await.refused(status, field);
        assert_eq!(app.get("/api/customers").await.expect(200), before, "{field}");
    }
}

#[tokio::test]
async fn a_batch_has_500_items_at_most() {
    let app = TestApp::new().await;
    let items = |count: usize| vec![json!({"name": "甲"}); count];
    app.post("/api/customers/batch", json!({"create": items(501)})).await.refused(400, None);
    let split = json!({"create": items(500), "delete": [1]});
    app.post("/api/customers/batch", split).await.refused(400, None);
    assert_eq!(total(&app, "/api/customers").await, 0);
    let data = app.post("/api/customers/batch", json!({"create": items(500)})).await.expect(200);
    assert_eq!(data["created"].as_array().unwrap().len(), 500);
    assert_eq!(total(&app, "/api/customers").await, 500);
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let app = TestApp::new().await;
    let replies = [
        app.get("/api/customers").await,
        app.get("/api/nothing").await,
        app.delete("/api/customers").await,
        app.post("/api/customers", json!({})).await,
        app.send(Method::GET, "/api/customers", &[], None).await,
    ];
    let mut ids = Vec::new();
    for reply in &replies {
        assert_eq!(header(reply, "x-content-type-options"), Some("nosniff"));
        assert_eq!(header(reply, "x-frame-options"), Some("DENY"));
        assert_eq!(header(reply, "cache-control"), Some("no-store"));
        assert_eq!(header(reply, "content-type"), Some("application/json"));
        ids.push(header(reply, "x-request-id").expect("an answer has an id"));
    }
    assert!(ids.iter().all(|id| !id.is_empty()));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), replies.len());
    let reply = app.get("/healthz").await;
    assert_eq!(header(&reply, "x-content-type-options"), Some("nosniff"));
    assert_eq!(header(&reply, "x-frame-options"), Some("DENY"));
    assert!(header(&reply, "x-request-id").is_some());
}

#[tokio::test]
async fn amounts_are_read_exactly_and_written_with_two_decimals() {
    let app = TestApp::new().await;
    for (given, written) in [
        ("58", "58.00"),
        ("58.0", "58.00"),
        ("58.00", "58.00"),
        ("0.29", "0.29"),
        ("1e2", "100.00"),
        ("0", "0.00"),
        ("99999999.99", "99999999.99"),
    ] {
        let body = format!(r#"{{"name":"鱼","category":"肉菜","price":{given}}}"#);
        let reply = post_json_text(&app, "/api/dishes", &body).await;
        let id = reply.expect(201)["id"].clone();
        let written = format!(r#""price":{written},"#);
        assert!(reply.text.contains(&written), "{given}: {}", reply.text);
        let reply = app.get(&format!("/api/dishes/{id}")).await;
        assert!(reply.text.contains(&written), "{given}: {}", reply.text);
    }
}

#[tokio::test]
async fn what_is_not_an_amount_is_refused() {
    let app = TestApp::new().await;
    for given in ["58.001", "1e-3", "\"58\"", "100000000", "1e30", "-0.01", "-58", "true", "[58]", "{}"] {
        let body = format!(r#"{{"name":"鱼","category":"肉菜","price":{given}}}"#);
        post_json_text(&app, "/api/dishes", &body).await.refused(400, "price");
    }
    assert_eq!(total(&app, "/api/dishes").await, 0);
    for given in ["0", "-1", "0.001", "\"1\"", "100000000"] {
        let body = format!(r#"{{"type":"income","category":"餐费","amount":{given}}}"#);
        post_json_text(&app, "/api/finance/transactions", &body).await.refused(400, "amount");
    }
    assert_eq!(total(&app, "/api/finance/transactions").await, 0);
}

#[tokio::test]
async fn amounts_in_a_batch_are_as_exact() {
    let app = TestApp::new().await;
    let text = r#"{"create":[{"name":"鱼","category":"肉菜","price":99999999.99}]}"#;
    let reply = post_json_text(&app, "/api/dishes/batch", text).await;
    reply.expect(200);
    assert!(reply.text.contains(r#""price":99999999.99,"#), "{}", reply.text);
    let reply = post_json_text(&app, "/api/dishes/batch", r#"{"update":[{"id":1,"price":0.29}]}"#).await;
    reply.expect(200);
    assert!(reply.text.contains(r#""price":0.29,"#), "{}", reply.text);
    let text = r#"{"update":[{"id":1,"price":0.291}]}"#;
    post_json_text(&app, "/api/dishes/batch", text).await.refused(400, "update[0].price");
}

async fn preflight(app: &TestApp, origin: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    app.send(Method::OPTIONS, "/api/customers", &headers, None).await
}

#[tokio::test]
async fn no_other_origin_is_let_in_unless_it_is_configured() {
    let app = TestApp::new().await;
    let refused = preflight(&app, ORIGIN).await;
    refused.refused(405, None);
    let read = app.send(Method::GET, "/api/customers", &[("origin", ORIGIN)], None).await;
    for reply in [refused, read] {
        assert_eq!(header(&reply, "access-control-allow-origin"), None);
        assert_eq!(header(&reply, "access-control-allow-methods"), None);
    }
}

#[tokio::test]
async fn a_configured_origin_is_let_in_and_may_read_refusals() {
    let edge = EdgeConfig { cors_origins: vec![HeaderValue::from_static(ORIGIN)], ..Default::default() };
    let app = TestApp::with(edge, Options::default()).await;
    let reply = preflight(&app, ORIGIN).await;
    assert_eq!(reply.status, 200);
    assert_eq!(header(&reply, "access-control-allow-origin"), Some(ORIGIN));
    let methods = header(&reply, "access-control-allow-methods").unwrap();
    assert!(["GET", "POST", "PUT", "DELETE"].iter().all(|method| methods.contains(method)), "{methods}");
    let allowed = header(&reply, "access-control-allow-headers").unwrap().to_ascii_lowercase();
    assert!(["authorization", "content-type"].iter().all(|name| allowed.contains(name)), "{allowed}");
    assert_eq!(header(&reply, "access-control-allow-credentials"), None);

    let refused = app.send(Method::GET, "/api/customers", &[("origin", ORIGIN)], None).await;
    refused.refused(401, None);
    assert_eq!(header(&refused, "access-control-allow-origin"), Some(ORIGIN));
    let missing = app.send(Method::GET, "/api/nothing", &[("origin", ORIGIN)], None).await;
    missing.refused(404, None);
    assert_eq!(header(&missing, "access-control-allow-origin"), Some(ORIGIN));
}

#[tokio::test]
async fn another_origin_than_the_configured_one_is_not_let_in() {
    let edge = EdgeConfig { cors_origins: vec![HeaderValue::from_static(ORIGIN)], ..Default::default() };
    let app = TestApp::with(edge, Options::default()).await;
    for origin in ["https://evil.example", "http://desk.example", "https://desk.example.evil", "null"] {
        assert_eq!(header(&preflight(&app, origin).await, "access-control-allow-origin"), None, "{origin}");
        let read = app.send(Method::GET, "/api/customers", &[("origin", origin)], None).await;
        assert_eq!(header(&read, "access-control-allow-origin"), None, "{origin}");
    }
}
