//! The OpenAPI document, made of the routes themselves.

use serde_json::{Map, Value, json};

use super::edge::Edge;
use super::endpoint::Draft;
use super::error::{ErrorBody, message_of};
use super::route::{Rate, Route};
use crate::domain::access::Access;

/// What the document says of the whole.
pub struct About {
    /// Whose API it is.
    pub title: &'static str,
    /// What it is for.
    pub description: &'static str,
}

/// The document of these routes.
pub fn document<S: Edge>(about: &About, routes: &[Route<S>]) -> Value {
    let mut paths = Map::new();
    let mut components = Draft::default();
    components.component::<ErrorBody>();
    let mut schemas = components.components;
    // What is there for the relay alone is no part of the API.
    for route in routes.iter().filter(|route| route.access != Access::Relay) {
        let draft = route.draft();
        let operation = operation(route, &draft);
        let item = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        item[route.method.as_str().to_ascii_lowercase()] = operation;
        for (name, schema) in draft.components {
            schemas.entry(name).or_insert(schema);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": about.title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": about.description,
            "license": {"name": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    })
}

fn operation<S: Edge>(route: &Route<S>, draft: &Draft) -> Value {
    let mut parameters = draft.parameters.clone();
    let writes = route.method != axum::http::Method::GET;
    if writes {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "同一键的重复请求得到同一答复，保留24小时",
            "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
        }));
    }
    let mut responses = Map::new();
    responses.insert(draft.status.to_string(), good(draft));
    for status in refusals(route, draft, writes) {
        responses.insert(status.to_string(), refusal(status));
    }
    let mut operation = json!({
        "operationId": operation_id(route),
        "tags": [route.path.split('/').nth(2).unwrap_or("system")],
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(schema) = &draft.body {
        operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    if !draft.body_media.is_empty() {
        operation["requestBody"] = json!({"required": true, "content": files(draft.body_media)});
    }
    match route.access {
        Access::Public | Access::Relay => operation["security"] = json!([]),
        Access::SignedIn | Access::Refresh | Access::Site => operation["security"] = json!([{"token": []}]),
        Access::May(permission) | Access::Headquarters(permission) => {
            operation["security"] = json!([{"token": []}]);
            operation["x-permissions"] = json!([permission.as_str()]);
        }
        Access::MayAny(permissions) => {
            operation["security"] = json!([{"token": []}]);
            operation["x-permissions"] = permissions.iter().map(|permission| json!(permission.as_str())).collect();
        }
    }
    operation
}

/// The content of a body that is a file of one of these types.
fn files(media: &[&str]) -> Value {
    media.iter().map(|media| ((*media).to_owned(), json!({"schema": {"type": "string", "format": "binary"}}))).collect()
}

fn good(draft: &Draft) -> Value {
    if !draft.answer_media.is_empty() {
        return json!({"description": "成功", "content": files(draft.answer_media)});
    }
    match &draft.answer {
        Some(schema) => json!({"description": "成功", "content": {"application/json": {"schema": schema}}}),
        None => json!({"description": "成功", "content": {"*/*": {}}}),
    }
}

/// The statuses that a route may refuse with.
fn refusals<S>(route: &Route<S>, draft: &Draft, writes: bool) -> Vec<u16> {
    if draft.answer.is_none() && draft.answer_media.is_empty() {
        return vec![404, 500];
    }
    let mut statuses = vec![];
    if writes || !draft.parameters.is_empty() {
        statuses.push(400);
    }
    // Logging in is public, but a wrong password is told with the same status as a bad token.
    if route.access != Access::Public || draft.body.is_some() {
        statuses.push(401);
    }
    if matches!(route.access, Access::May(_) | Access::MayAny(_) | Access::Headquarters(_)) {
        statuses.push(403);
    }
    statuses.push(404);
    if draft.body.is_some() || !draft.body_media.is_empty() {
        statuses.extend([408, 413, 415]);
    }
    if writes {
        statuses.extend([409, 507]);
    }
    if route.rate != Rate::Unlimited {
        statuses.push(429);
    }
    statuses.extend([500, 503]);
    statuses
}

fn refusal(status: u16) -> Value {
    json!({
        "description": message_of(status),
        "content": {"application/json": {
            "schema": {"$ref": "#/components/schemas/ErrorBody"},
            "example": {"code": status, "message": message_of(status), "data": {"field": null, "error": "…"}},
        }},
    })
}

/// Such as `get_customers_id`.
fn operation_id<S>(route: &Route<S>) -> String {
    let path: Vec<&str> = route
        .path
        .split('/')
        .filter(|part| !part.is_empty() && *part != "api")
        .map(|part| part.trim_matches(['{', '*', '}']))
        .collect();
    format!("{}_{}", route.method.as_str().to_ascii_lowercase(), path.join("_").replace(['-', '.'], "_"))
}
