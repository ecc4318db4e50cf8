//! The document says what the code does: a fuzzer that is driven by its schemas finds no answer outside it and no 5xx.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use canshi::domain::access::Access;
use serde_json::{Map, Value, json};

use crate::app::TestApp;

/// Requests per operation unless `CANSHI_FUZZ_CASES` says otherwise.
const CASES: usize = 60;

/// A generator whose seed makes a run repeatable (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}

/// Values that break programs.
fn nasty(chance: &mut Chance) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(9_223_372_036_854_775_807_i64),
        json!(18_446_744_073_709_551_615_u64),
        json!(1e300),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("😀"),
        json!("'; drop table customers; --"),
        json!("%"),
        json!("2024-02-30"),
        json!("9999-12-31"),
        json!("9999-12-31T23:59:59"),
        json!("1000-01-01T00:00:00"),
        json!("a".repeat(3000)),
        json!([]),
        json!({}),
        json!([[[]]]),
    ];
    chance.of(&values).clone()
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => resolve(document, document.pointer(&reference[1..]).expect("a reference leads somewhere")),
        None => schema,
    }
}

/// A value that fits the schema, mostly.
fn value(document: &Value, schema: &Value, chance: &mut Chance) -> Value {
    if chance.one_in(12) {
        return nasty(chance);
    }
    let schema = resolve(document, schema);
    for key in ["oneOf", "anyOf"] {
        if let Some(options) = schema[key].as_array() {
            return value(document, chance.of(options), chance);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(members) = value(document, part, chance) {
                whole.extend(members);
            }
        }
        return Value::Object(whole);
    }
    if let Some(words) = schema["enum"].as_array() {
        return chance.of(words).clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => chance.of(kinds).as_str().unwrap_or("null").to_owned(),
        kind => kind.as_str().unwrap_or("object").to_owned(),
    };
    match kind.as_str() {
        "integer" => {
            let (least, most) = (schema["minimum"].as_i64().unwrap_or(0), schema["maximum"].as_i64().unwrap_or(50));
            json!(*chance.of(&[least, most, least + 1, (least + 5).min(most), 1, 2, 3]))
        }
        "number" => json!(*chance.of(&[0.01, 1.0, 58.0, 99_999_999.99, 0.0, -1.0])),
        "boolean" => json!(chance.one_in(2)),
        "array" => Value::Array((0..chance.below(4)).map(|_| value(document, &schema["items"], chance)).collect()),
        "null" => Value::Null,
        "string" => text(schema, chance),
        _ => object(document, schema, chance),
    }
}

fn text(schema: &Value, chance: &mut Chance) -> Value {
    if schema["format"] == "date" {
        return json!(*chance.of(&["2024-01-01", "2024-02-29", "2023-12-31", "1000-01-01", "9999-12-31"]));
    }
    if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains('T')) {
        return json!(*chance.of(&["2024-01-01T08:00:00", "2023-12-31T23:59:59", "1000-01-01T00:00:00"]));
    }
    let most = schema["maxLength"].as_u64().unwrap_or(20);
    let length = *chance.of(&[1, 3, 8, most, most + 1]);
    json!((0..length).map(|_| *chance.of(&['张', 'a', '1', ' ', '三', 'z'])).collect::<String>())
}

fn object(document: &Value, schema: &Value, chance: &mut Chance) -> Value {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut members = Map::new();
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let leave_out = if required.contains(&name.as_str()) { chance.one_in(15) } else { chance.one_in(3) };
        if !leave_out {
            members.insert(name.clone(), value(document, schema, chance));
        }
    }
    Value::Object(members)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The path and query of one request.
fn target(document: &Value, path: &str, operation: &Value, chance: &mut Chance) -> String {
    let (mut path, mut query) = (path.to_owned(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().expect("a parameter has a name");
        match parameter["in"].as_str() {
            Some("path") => {
                let id = if chance.one_in(3) {
                    value(document, &parameter["schema"], chance)
                } else {
                    json!(chance.below(4) + 1)
                };
                path = path.replace(&format!("{{{name}}}"), &escaped(&plain(&id)));
            }
            Some("query") if parameter["required"] == true || chance.one_in(3) => {
                query.push(format!("{name}={}", escaped(&plain(&value(document, &parameter["schema"], chance)))));
            }
            _ => {}
        }
    }
    if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
}

/// What is wrong with an answer, if anything.
fn problem(document: &Value, operation: &Value, status: u16, answer: &str) -> Option<String> {
    if status >= 500 {
        return Some(format!("{status}"));
    }
    let response = &operation["responses"][status.to_string()];
    if response.is_null() {
        return Some(format!("{status} is not documented"));
    }
    let schema = &response["content"]["application/json"]["schema"];
    if schema.is_null() {
        return None;
    }
    let Ok(answer) = serde_json::from_str::<Value>(answer) else { return Some("not JSON".to_owned()) };
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&whole).expect("the schema is one");
    let problems: Vec<String> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
    (!problems.is_empty()).then(|| problems.join("; "))
}

#[tokio::test]
async fn no_answer_is_outside_the_document_and_none_is_a_5xx() {
    let app = TestApp::new().await;
    let document = app.get("/openapi.json").await.json();
    let cases = std::env::var("CANSHI_FUZZ_CASES").map_or(CASES, |cases| cases.parse().expect("a number"));
    let mut chance = Chance(20_240_101);
    let (mut problems, mut good) = (BTreeMap::new(), BTreeSet::new());
    for (path, item) in document["paths"].as_object().expect("paths") {
        // Logging the fuzzer itself out, or locking it out by wrong passwords, is tested elsewhere.
        if path.starts_with("/api/auth/") && path != "/api/auth/me" {
            continue;
        }
        for (method, operation) in item.as_object().expect("operations") {
            for _ in 0..cases {
                let target = target(&document, path, operation, &mut chance);
                let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
                let body = (!schema.is_null()).then(|| value(&document, schema, &mut chance));
                // The administrator that the fuzzer is must not be changed by it.
                if path == "/api/users/{id}" && target.starts_with("/api/users/1") && method != "get" {
                    continue;
                }
                let method: Method = method.to_uppercase().parse().expect("a method");
                let reply = app.by(app.admin(), method.clone(), &target, body.clone()).await;
                if reply.status < 300 {
                    good.insert(format!("{method} {path}"));
                }
                if let Some(problem) = problem(&document, operation, reply.status, &reply.text) {
                    let body = body.map(|body| body.to_string().chars().take(300).collect::<String>());
                    let example = format!("    {target} {body:?}\n    {}", reply.text);
                    problems.entry(format!("{method} {path}: {problem}")).or_insert(example);
                }
            }
        }
    }
    let problems: Vec<String> = problems.into_iter().map(|(what, example)| format!("{what}\n{example}")).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(good.len() > 30, "the fuzzer hardly got through: {good:?}");
}

#[tokio::test]
async fn the_document_names_every_route_with_its_access_and_every_reference_leads_somewhere() {
    let app = TestApp::new().await;
    let document = app.get("/openapi.json").await.json();
    for route in canshi::http::routes() {
        // Whoever reads the document can't call the relay's routes.
        if route.access == Access::Relay {
            assert!(document["paths"][route.path].is_null(), "{}", route.path);
            continue;
        }
        let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{}", route.path);
        assert!(operation["security"].is_array(), "{}", route.path);
    }
    let text = document.to_string();
    for part in text.split("\"$ref\":\"#").skip(1) {
        let pointer = part.split('"').next().expect("a reference ends");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}

#[tokio::test]
async fn the_documentation_page_fetches_nothing_from_outside() {
    let app = TestApp::new().await;
    let page = app.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger-ui"));
    assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
    assert_eq!(app.get("/docs/swagger-ui-bundle.js").await.status, 200);
    assert!(page.headers["content-security-policy"].to_str().expect("text").contains("default-src 'self'"));
}
