//! Answers: `{"code":…,"message":…,"data":…}`, written once, so that the bytes kept for a repeat are the bytes sent.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::de::{MapAccess, Visitor};
use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Ref, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::extract::Paging;
use crate::error::{Error, Result};
use crate::store::page::{Listed, PAGE_SIZE_MAX};

/// An answer of this status whose `data` is a `T`.
pub struct Answer<T, const STATUS: u16 = 200> {
    body: String,
    data: PhantomData<fn() -> T>,
}

/// An answer to a write that makes something.
pub type Created<T> = Answer<T, 201>;

/// The `data` of an answer that has nothing to say.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Nothing;

#[derive(Serialize)]
struct Envelope<'a, T> {
    code: u16,
    message: &'a str,
    data: T,
}

impl<T: Serialize, const STATUS: u16> Answer<T, STATUS> {
    /// The answer with this message and data.
    pub fn new(message: &str, data: T) -> Result<Self> {
        Self::write(message, &data)
    }

    /// The answer with only the named keys of its data.
    pub fn only(message: &str, data: &T, fields: &Fields) -> Result<Self> {
        Self::write(message, &Filtered { value: data, fields })
    }

    fn write(message: &str, data: impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(&Envelope { code: STATUS, message, data })
            .map_err(|error| Error::Corrupt(format!("an answer could not be written: {error}")))?;
        Ok(Self { body, data: PhantomData })
    }
}

impl<T: Serialize> Answer<List<T>> {
    /// The answer with one page of a list, each item with only the named keys.
    pub fn list<R>(listed: Listed<R>, paging: &Paging, fields: &Fields, view: impl FnMut(R) -> T) -> Result<Self> {
        let items: Vec<T> = listed.items.into_iter().map(view).collect();
        let list = List {
            total: listed.total,
            page: paging.page.number,
            page_size: paging.page.size,
            items: items.iter().map(|value| Filtered { value, fields }).collect(),
        };
        Self::write("获取成功", &list)
    }
}

impl<T: Serialize> Answer<Items<T>> {
    /// The answer with all of a bounded list, each item with only the named keys.
    pub fn items(items: &[T], fields: &Fields) -> Result<Self> {
        let items: Vec<_> = items.iter().map(|value| Filtered { value, fields }).collect();
        Self::write("获取成功", &items)
    }
}

impl<T, const STATUS: u16> Answer<T, STATUS> {
    /// The answer that was sent before.
    pub(super) fn again(body: String) -> Self {
        Self { body, data: PhantomData }
    }

    /// What is sent.
    pub(super) fn body(&self) -> &str {
        &self.body
    }
}

impl<T, const STATUS: u16> IntoResponse for Answer<T, STATUS> {
    fn into_response(self) -> Response<Body> {
        written(STATUS, self.body)
    }
}

/// The response that an answer is, once it is written.
pub fn written(status: u16, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// One page of a list.
#[derive(Debug, Serialize)]
pub struct List<T> {
    /// Items in the whole list.
    pub total: i64,
    /// The page, from 1.
    pub page: u32,
    /// Items on a page.
    pub page_size: u32,
    /// The items of this page.
    pub items: Vec<T>,
}

impl<T: ToSchema> PartialSchema for List<T> {
    fn schema() -> RefOr<Schema> {
        let number = |least: i64| ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).minimum(Some(least));
        ObjectBuilder::new()
            .property("total", number(0))
            .property("page", number(1))
            .property("page_size", number(1).maximum(Some(PAGE_SIZE_MAX)))
            .property("items", array_of::<T>())
            .required("total")
            .required("page")
            .required("page_size")
            .required("items")
            .into()
    }
}

impl<T: ToSchema> ToSchema for List<T> {
    fn name() -> Cow<'static, str> {
        format!("ListOf{}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// All of a bounded list, as a bare array.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Items<T>(pub Vec<T>);

impl<T: ToSchema> PartialSchema for Items<T> {
    fn schema() -> RefOr<Schema> {
        array_of::<T>().into()
    }
}

impl<T: ToSchema> ToSchema for Items<T> {
    fn name() -> Cow<'static, str> {
        format!("ItemsOf{}", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        List::<T>::schemas(schemas);
    }
}

fn array_of<T: ToSchema>() -> ArrayBuilder {
    ArrayBuilder::new().items(Ref::from_schema_name(T::name()))
}

/// Which keys of an object are asked for; none named is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<String>);

struct Filtered<'a, T> {
    value: &'a T,
    fields: &'a Fields,
}

impl<T: Serialize> Serialize for Filtered<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        if self.fields.0.is_empty() {
            return self.value.serialize(serializer);
        }
        let text = serde_json::to_string(self.value).map_err(S::Error::custom)?;
        // The members stay as they were written, so that an amount keeps its two decimals.
        let Members(members) = serde_json::from_str(&text).map_err(S::Error::custom)?;
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in members.into_iter().filter(|(key, _)| self.fields.0.iter().any(|field| field == key)) {
            map.serialize_entry(&key, value)?;
        }
        map.end()
    }
}

/// The members of a JSON object, in order, unread.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_keys_are_kept_in_order_and_to_the_letter() {
        let data: Box<RawValue> = serde_json::from_str(r#"{"id":1,"price":58.00,"name":"鱼"}"#).expect("JSON");
        let fields = Fields(vec!["name".into(), "price".into(), "nothing".into()]);
        let answer = Answer::<_>::only("获取成功", &data, &fields).expect("writes");
        assert_eq!(answer.body(), r#"{"code":200,"message":"获取成功","data":{"price":58.00,"name":"鱼"}}"#);
    }
}
