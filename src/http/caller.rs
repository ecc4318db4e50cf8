//! Whoever sent the request, as the guard found it: the one extension that handlers read.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::Refusal;
use super::mail::Letter;
use crate::domain::access::{Actor, Person};
use crate::error::Error;
use crate::service::tokens::Claims;

/// Who stands behind a request, as its edge knows.
#[derive(Default)]
pub struct Identity {
    /// The person, if the route demands one.
    pub person: Option<Arc<Person>>,
    /// The token, where the route exchanges it.
    pub token: Option<Arc<Claims>>,
}

/// The actor, and the key that makes its write repeatable.
#[derive(Clone)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// The token, where the route exchanges it.
    pub token: Option<Arc<Claims>>,
    /// What makes the write repeatable, if anything does.
    pub repeat: Option<Arc<RepeatKey>>,
    pub(super) assigned_id: Option<i64>,
}

impl Caller {
    /// The id that the center has promised to the row that a letter makes.
    pub const fn assigned_id(&self) -> Option<i64> {
        self.assigned_id
    }
}

/// What makes two requests the same request.
pub struct RepeatKey {
    /// What a repeat is known by.
    pub key: Key,
    /// Method, path and query.
    pub target: String,
    /// The body; set by the extractor that reads it.
    pub body: OnceLock<Vec<u8>>,
}

/// What a repeat is known by.
pub enum Key {
    /// The `Idempotency-Key` that the sender chose, for a day.
    Chosen(String),
    /// The id of the message that brought the request, for ever.
    Message(String),
}

/// Characters that an `Idempotency-Key` may have at most.
pub const KEY_CHARACTERS_MAX: usize = 128;

impl RepeatKey {
    /// Reads the header of a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the key is empty, too long or not printable ASCII.
    pub fn of(parts: &Parts) -> Result<Option<Arc<Self>>, Error> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(None) };
        let key = value.to_str().unwrap_or_default();
        if key.is_empty() || key.len() > KEY_CHARACTERS_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid("Idempotency-Key", "应为1到128个可见ASCII字符"));
        }
        Ok(Some(Arc::new(Self::new(Key::Chosen(key.to_owned()), parts))))
    }

    /// That of a letter's request, whatever its header says.
    pub fn of_letter(letter: &Letter, parts: &Parts) -> Arc<Self> {
        Arc::new(Self::new(Key::Message(letter.message_id.clone()), parts))
    }

    fn new(key: Key, parts: &Parts) -> Self {
        let target = format!("{} {}", parts.method, parts.uri.path_and_query().map_or("/", |target| target.as_str()));
        Self { key, target, body: OnceLock::new() }
    }
}

impl Deref for Caller {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.actor
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        // Every route is mounted behind a guard, which puts the caller there.
        parts.extensions.get::<Caller>().cloned().ok_or(Refusal::Error(Error::Panicked))
    }
}
