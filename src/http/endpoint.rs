//! What a handler takes and gives, read off its type: the OpenAPI document can't say anything else than the code does.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

use super::answer::{Answer, Fields};
use super::caller::Caller;
use super::edge::Edge;
use super::error::Refusal;
use super::extract::{Body, PAGE_MAX, Paging, Path, Query};
use crate::store::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};

/// A route's part of the document, as it is gathered from the types.
#[derive(Debug, Default)]
pub struct Draft {
    /// Parameter objects.
    pub parameters: Vec<Value>,
    /// The body's schema.
    pub body: Option<Value>,
    /// The status of a good answer.
    pub status: u16,
    /// The schema of a good answer's envelope; none when the answer is not ours to describe.
    pub answer: Option<Value>,
    /// Component schemas by name.
    pub components: Map<String, Value>,
    /// Whether the answer may be cut to named keys.
    pub fields: bool,
    /// The media types of a body that is a file.
    pub body_media: &'static [&'static str],
    /// The media types of a good answer that is a file.
    pub answer_media: &'static [&'static str],
}

impl Draft {
    /// Puts a type among the components and gives a reference to it.
    pub fn component<T: ToSchema>(&mut self) -> Value {
        let name = T::name().into_owned();
        self.insert(name.clone(), &T::schema());
        let mut nested = Vec::new();
        T::schemas(&mut nested);
        for (name, schema) in nested {
            self.insert(name, &schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    fn insert(&mut self, name: String, schema: &RefOr<Schema>) {
        let schema = serde_json::to_value(schema).expect("a schema is JSON");
        self.components.entry(name).or_insert(schema);
    }

    fn query(&mut self, name: &str, schema: Value, required: bool, description: &str) {
        let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema});
        if !description.is_empty() {
            parameter["description"] = json!(description);
        }
        self.parameters.push(parameter);
    }
}

/// Something that a handler takes.
pub trait Takes {
    /// Describes it.
    fn describe(draft: &mut Draft);
}

/// Something that a handler gives.
pub trait Gives {
    /// Describes it.
    fn describe(draft: &mut Draft);
}

impl<S: Edge> Takes for axum::extract::State<S> {
    fn describe(_: &mut Draft) {}
}

impl Takes for Caller {
    fn describe(_: &mut Draft) {}
}

impl<T: ToSchema> Takes for Path<T> {
    fn describe(draft: &mut Draft) {
        let schema = draft.component::<T>();
        draft.parameters.push(json!({"name": "id", "in": "path", "required": true, "schema": schema}));
    }
}

impl<T: ToSchema> Takes for Query<T> {
    fn describe(draft: &mut Draft) {
        draft.component::<T>();
        let object = draft.components.remove(&*T::name()).unwrap_or_default();
        let required: Vec<&str> =
            object["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, schema) in object["properties"].as_object().into_iter().flatten() {
            let description = schema["description"].as_str().unwrap_or_default();
            draft.query(name, not_null(schema), required.contains(&name.as_str()), description);
        }
    }
}

/// A query can't hold `null`: an absent parameter is simply absent.
fn not_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(options) = schema["oneOf"].as_array()
        && let [first, second] = options.as_slice()
        && first["type"] == "null"
    {
        return second.clone();
    }
    if let Some(types) = schema["type"].as_array() {
        let types: Vec<Value> = types.iter().filter(|name| *name != "null").cloned().collect();
        schema["type"] = types.first().cloned().unwrap_or_default();
    }
    schema
}

impl Takes for Paging {
    fn describe(draft: &mut Draft) {
        let number =
            |default: u32, max: u32| json!({"type": "integer", "minimum": 1, "maximum": max, "default": default});
        draft.query("page", number(1, PAGE_MAX), false, "页码");
        draft.query("page_size", number(PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX), false, "每页数量");
    }
}

impl Takes for Fields {
    fn describe(draft: &mut Draft) {
        draft.fields = true;
        draft.query("fields", json!({"type": "string", "example": "id,name"}), false, "只返回这些字段，逗号分隔");
    }
}

impl<T: ToSchema> Takes for Body<T> {
    fn describe(draft: &mut Draft) {
        draft.body = Some(draft.component::<T>());
    }
}

/// What stands in an answer's `data`.
pub trait Data {
    /// Its schema.
    fn describe(draft: &mut Draft) -> Value;
}

impl<T: ToSchema> Data for T {
    fn describe(draft: &mut Draft) -> Value {
        draft.component::<T>()
    }
}

impl<T: Data, const STATUS: u16> Gives for Answer<T, STATUS> {
    fn describe(draft: &mut Draft) {
        let mut data = T::describe(draft);
        if draft.fields {
            data = json!({"anyOf": [data, {"type": ["object", "array"], "description": "cut down to `fields`"}]});
        }
        draft.status = STATUS;
        draft.answer = Some(json!({
            "type": "object",
            "required": ["code", "message", "data"],
            "properties": {
                "code": {"type": "integer", "const": STATUS},
                "message": {"type": "string"},
                "data": data,
            },
        }));
    }
}

impl<G: Gives> Gives for Result<G, Refusal> {
    fn describe(draft: &mut Draft) {
        G::describe(draft);
    }
}

/// A handler whose type says what it takes and gives.
pub trait Endpoint<T> {
    /// Describes all of it.
    fn describe(draft: &mut Draft);
}

macro_rules! endpoint {
    ($($argument:ident),*) => {
        impl<F, Fut, Given, Via, $($argument),*> Endpoint<(Via, $($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut,
            Fut: Future<Output = Given>,
            Given: Gives,
            $($argument: Takes),*
        {
            fn describe(draft: &mut Draft) {
                $($argument::describe(draft);)*
                Given::describe(draft);
            }
        }
    };
}

endpoint!(A1);
endpoint!(A1, A2);
endpoint!(A1, A2, A3);
endpoint!(A1, A2, A3, A4);
endpoint!(A1, A2, A3, A4, A5);
