//! The one error of the crate. It knows nothing of HTTP; `http::error` turns it into an answer.

use std::borrow::Cow;

use canshi_sync::central::CentralError;

use crate::domain::time::EndsBeforeStart;

/// A parameter that can't be used, named as the caller named it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {error}")]
pub struct Invalid {
    /// The path of the parameter, such as `name` or `create[3].name`.
    pub field: Cow<'static, str>,
    /// What is wrong with it, for the person who typed it.
    pub error: Cow<'static, str>,
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Who are you? The text says what was wrong with the credentials, without saying which part.
    #[error("unauthenticated: {0}")]
    Unauthenticated(&'static str),
    /// The actor may see it but not do it.
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    /// There is no such thing for this actor.
    #[error("not found: {0}")]
    NotFound(&'static str),
    /// It contradicts what is there already.
    #[error("conflict: {0}")]
    Conflict(Cow<'static, str>),
    /// A parameter can't be used.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// One item of a batch could not be done, and so nothing of the batch was.
    #[error("{item}: {cause}")]
    Item {
        /// The item's path, such as `create[3]`.
        item: String,
        /// Why.
        #[source]
        cause: Box<Error>,
    },
    /// Too often; try again after so many seconds.
    #[error("too many requests, retry after {retry_after_s} s")]
    TooMany {
        /// Seconds until a repeat makes sense.
        retry_after_s: u64,
    },
    /// A bounded queue is full or a bounded wait is over; nothing was done.
    #[error("busy")]
    Busy,
    /// The center, or another service outside, could not be reached.
    #[error("could not be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The disk, or the size that the database may have, is used up; nothing was done.
    #[error("storage is full")]
    StorageFull(#[source] rusqlite::Error),
    /// The database failed; nothing was done.
    #[error("database")]
    Db(#[source] rusqlite::Error),
    /// The center's database failed or has no time; nothing was done, or, when the connection broke in the commit, all of it.
    #[error("the center's database")]
    Center(#[source] CentralError),
    /// Stored data can't be read as what it should be.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// The operation panicked; nothing was done.
    #[error("an operation panicked")]
    Panicked,
    /// A file could not be read or written.
    #[error("file system")]
    Io(#[from] std::io::Error),
}

/// What an operation gives, or why it was not done.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A refusal of one parameter.
    pub fn invalid(field: impl Into<Cow<'static, str>>, error: impl Into<Cow<'static, str>>) -> Self {
        Error::Invalid(Invalid { field: field.into(), error: error.into() })
    }
}

impl From<EndsBeforeStart> for Error {
    fn from(error: EndsBeforeStart) -> Self {
        Error::invalid("end_date", error.to_string())
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Error::StorageFull(error),
            _ => Error::Db(error),
        }
    }
}

impl From<CentralError> for Error {
    fn from(error: CentralError) -> Self {
        match error {
            CentralError::Malformed(_) | CentralError::BadRow { .. } => Error::invalid("", error.to_string()),
            CentralError::BadCode => Error::invalid("code", "代码不正确、已使用或已过期"),
            CentralError::OtherKeys => Error::invalid("keys_id", "密钥与该门店已有数据的密钥不同"),
            CentralError::NoSite => Error::NotFound("门店不存在"),
            CentralError::Corrupt(what) => Error::Corrupt(what),
            // Nothing failed: a box that was just started waits for the one before it to be gone.
            CentralError::Contended => Error::Busy,
            CentralError::Db(_) | CentralError::NoConnection => Error::Center(error),
        }
    }
}

impl From<mysql_async::Error> for Error {
    fn from(error: mysql_async::Error) -> Self {
        Error::Center(CentralError::Db(error))
    }
}
