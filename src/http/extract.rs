//! What comes in: path, query, paging, fields and body, each with refusals of the one shape that name the parameter.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::answer::Fields;
use super::caller::Caller;
use super::error::Refusal;
use crate::error::Error;
use crate::store::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, Page};

/// Bytes of a body at most.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(30);
/// Keys that `fields` may name at most.
const FIELDS_MAX: usize = 64;
/// The largest page number, so that no offset overflows.
pub const PAGE_MAX: u32 = 1_000_000_000;

/// What a person calls the parameters of a body or query, for messages such as `姓名不能为空`.
pub trait Labels {
    /// Key and label.
    const LABELS: &'static [(&'static str, &'static str)];
}

/// The one parameter in the path.
pub struct Path<T>(pub T);

impl<T: TryFrom<i64>, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let refused = || Error::invalid("id", "编号应为正整数");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| refused())?;
        let (_, value) = params.iter().next().ok_or_else(refused)?;
        let number = value.parse::<i64>().map_err(|_| refused())?;
        Ok(Self(T::try_from(number).map_err(|_| refused())?))
    }
}

/// The parameters of the query. Empty ones count as not given, as forms send them.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Labels, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let pairs = pairs(parts)?;
        let encoded = serde_urlencoded::to_string(&pairs).map_err(|_| Error::invalid("", "查询参数格式不正确"))?;
        let deserializer = serde_urlencoded::Deserializer::new(form_urlencoded::parse(encoded.as_bytes()));
        serde_path_to_error::deserialize(deserializer)
            .map(Self)
            .map_err(|error| Refusal::Error(refused(&error, T::LABELS)))
    }
}

/// `page` and `page_size`.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    /// The page that is asked for.
    pub page: Page,
}

impl<S: Sync> FromRequestParts<S> for Paging {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let pairs = pairs(parts)?;
        let number = |name: &'static str, default: u32, max: u32| -> Result<u32, Error> {
            match pairs.iter().filter(|(key, _)| key == name).collect::<Vec<_>>().as_slice() {
                [] => Ok(default),
                [(_, value)] => value
                    .parse::<u32>()
                    .ok()
                    .filter(|number| (1..=max).contains(number))
                    .ok_or_else(|| Error::invalid(name, format!("应为1到{max}的整数"))),
                _ => Err(Error::invalid(name, "参数重复")),
            }
        };
        Ok(Self {
            page: Page {
                number: number("page", 1, PAGE_MAX)?,
                size: number("page_size", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)?,
            },
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Fields {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let pairs = pairs(parts)?;
        let names: Vec<String> = pairs
            .iter()
            .filter(|(key, _)| key == "fields")
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        if names.len() > FIELDS_MAX {
            return Err(Error::invalid("fields", format!("不能超过{FIELDS_MAX}个字段")).into());
        }
        Ok(Self(names))
    }
}

/// The query's pairs, without the empty ones.
fn pairs(parts: &Parts) -> Result<Vec<(String, String)>, Error> {
    let query = parts.uri.query().unwrap_or_default();
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = form_urlencoded::parse(query.as_bytes()).collect();
    if pairs.iter().any(|(_, value)| value.contains(['\0', '\u{fffd}'])) {
        return Err(Error::invalid("", "查询参数含有无效字符"));
    }
    Ok(pairs
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect())
}

/// The JSON body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + Labels + ToSchema, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        if !declared_as_json(&request) {
            return Err(Refusal::NotJson);
        }
        let repeat = request.extensions().get::<Caller>().and_then(|caller| caller.repeat.clone());
        let bytes = read_body(request, BODY_BYTES_MAX).await?;
        let body = read_object(&bytes)?;
        if let Some(repeat) = repeat {
            // Nobody else reads this request's body.
            repeat.body.get_or_init(|| bytes.to_vec());
        }
        Ok(Self(body))
    }
}

/// Reads a JSON object as what it should be.
///
/// # Errors
/// [`Error::Invalid`], which names the parameter.
pub fn read_object<T: DeserializeOwned + Labels>(bytes: &[u8]) -> Result<T, Error> {
    // A struct would also be read from an array, by position.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Error::invalid("", NOT_AN_OBJECT));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let body = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        match serde_json::from_slice::<IgnoredAny>(bytes) {
            Ok(_) => refused(&error, T::LABELS),
            Err(_) => Error::invalid("", NOT_JSON),
        }
    })?;
    deserializer.end().map_err(|_| Error::invalid("", NOT_JSON))?;
    Ok(body)
}

const NOT_JSON: &str = "请求体不是有效的JSON";
const NOT_AN_OBJECT: &str = "请求体应为JSON对象";

/// Whether a request says that its body is JSON.
pub fn declared_as_json(request: &Request) -> bool {
    let Some(declared) = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads a whole body of at most so many bytes.
///
/// # Errors
/// [`Refusal::BodyTooLarge`], [`Refusal::BodyTooSlow`], or [`Error::Invalid`] when the connection broke.
pub async fn read_body(request: Request, bytes_max: usize) -> Result<bytes::Bytes, Refusal> {
    let body = Limited::new(request.into_body(), bytes_max);
    match tokio::time::timeout(BODY_WAIT, body.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
            Err(Refusal::BodyTooLarge { bytes_max })
        }
        Ok(Err(_)) => Err(Error::invalid("", "请求体未能完整接收").into()),
        Err(_) => Err(Refusal::BodyTooSlow),
    }
}

/// Stands before the path in the message of an error that was found in a value read on its own.
const NESTED: char = '\u{1f}';

/// Reads a value that was kept unread, such as an object that is two things at once. The error's message carries the path
/// inside the value, for [`Body`] to put behind the path of the value itself.
pub fn read_kept<T: DeserializeOwned>(raw: &RawValue) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(raw.get());
    serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| format!("{NESTED}{}{NESTED}{}", error.path(), error.inner()))
}

/// Turns a deserialisation error into a refusal that names the parameter, with the label that people know it by.
fn refused<E: std::fmt::Display>(error: &serde_path_to_error::Error<E>, labels: &[(&str, &str)]) -> Error {
    let text = error.inner().to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let mut parts = text.splitn(3, NESTED);
    let (text, inner) = match (parts.next(), parts.next(), parts.next()) {
        (Some(""), Some(path), Some(text)) => (text, path.to_owned()),
        _ => (text, ".".to_owned()),
    };
    let paths = [error.path().to_string(), inner];
    let mut field = paths
        .iter()
        .filter(|path| !matches!(path.as_str(), "." | "?"))
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(".");
    if let Some(name) = between(text, "missing field `") {
        field = if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
    } else if let Some(name) = between(text, "duplicate field `")
        && !field.ends_with(name)
    {
        field = name.to_owned();
    }
    let problem = if text.starts_with("missing field") || text.starts_with("invalid type: null") {
        "不能为空"
    } else if text.starts_with("duplicate field") {
        "参数重复"
    } else if text.chars().next().is_some_and(|first| !first.is_ascii()) {
        text
    } else if field.is_empty() && !text.starts_with("invalid type") {
        NOT_JSON
    } else {
        "类型或格式不正确"
    };
    let name = field.rsplit('.').next().unwrap_or_default();
    let label = labels.iter().find(|(key, _)| *key == name).map_or(name, |(_, label)| label);
    let says_whose = !problem.starts_with(['不', '含', '类']);
    let problem = if says_whose { problem.to_owned() } else { format!("{label}{problem}") };
    Error::invalid(field, problem)
}

fn between<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    text.strip_prefix(before)?.split('`').next()
}
