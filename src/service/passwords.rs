//! Passwords: bcrypt, on a pool of its own size, so that logins never starve anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// Bytes of a password at least.
pub const BYTES_MIN: usize = 8;
/// Bytes of a password at most: bcrypt looks at no more.
pub const BYTES_MAX: usize = 72;
/// Hashes that may wait; one more is refused at once.
const WAITING_MAX: usize = 256;

/// The hash of a user who has no password: no password matches it.
pub const NO_PASSWORD: &str = "none";

/// Why a password can't be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("密码长度应为8到72字节")]
pub struct BadPassword;

/// A password of a length that bcrypt can tell from every other. It never shows itself.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes the password as it is.
    pub fn new(text: String) -> std::result::Result<Self, BadPassword> {
        if (BYTES_MIN..=BYTES_MAX).contains(&text.len()) && !text.contains('\0') {
            Ok(Self(text))
        } else {
            Err(BadPassword)
        }
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    cost: u32,
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    decoy: Arc<str>,
}

impl Passwords {
    /// A pool of half the cores; `cost` is bcrypt's (each step doubles the work).
    pub fn new(cost: u32) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            cost,
            permits: Arc::new(Semaphore::new((cores / 2).max(1))),
            waiting: Arc::new(AtomicUsize::new(0)),
            decoy: hash_now("no user has this password", cost)?.into(),
        })
    }

    /// The hash to keep of a password.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait.
    pub async fn hash(&self, password: Password) -> Result<String> {
        let cost = self.cost;
        self.run(|| true, move || hash_now(&password.0, cost)).await?.ok_or(Error::Busy)
    }

    /// Whether this is the password of the hash. Without a hash (nobody has that name), and for [`NO_PASSWORD`], it takes as long
    /// and says no. `go_on`
    /// is asked again right before the work, when its turn has come; `None` when it then says no.
    ///
    /// # Errors
    /// [`Error::Busy`] when too many wait.
    pub async fn verify(
        &self,
        go_on: impl FnOnce() -> bool,
        password: String,
        hash: Option<String>,
    ) -> Result<Option<bool>> {
        let decoy = self.decoy.clone();
        let hash = hash.filter(|hash| hash != NO_PASSWORD);
        self.run(go_on, move || {
            let fits = password.len() <= BYTES_MAX && !password.contains('\0');
            let probe = if fits { password.as_str() } else { "" };
            let matches = bcrypt::verify(probe, hash.as_deref().unwrap_or(&decoy))
                .map_err(|error| Error::Corrupt(format!("a password hash can't be read: {error}")))?;
            Ok(matches && fits && hash.is_some())
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        go_on: impl FnOnce() -> bool,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<Option<T>> {
        let _place = Place::take(&self.waiting)?;
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| Error::Busy)?;
        if !go_on() {
            return Ok(None);
        }
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work();
            drop(permit);
            outcome
        });
        done.await.map_err(|_| Error::Panicked)?.map(Some)
    }
}

/// One of the [`WAITING_MAX`] places, free again when dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(waiting: &Arc<AtomicUsize>) -> Result<Self> {
        let place = Self(waiting.clone());
        if place.0.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX { Err(Error::Busy) } else { Ok(place) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hashes on the calling thread, for the command line.
pub fn hash_now(password: &str, cost: u32) -> Result<String> {
    bcrypt::hash(password, cost).map_err(|error| Error::Corrupt(format!("bcrypt: {error}")))
}
