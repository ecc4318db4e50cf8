//! The database as the rest of the program sees it: `read` and `write`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use tokio::sync::{Notify, Semaphore};

use super::open::{self, Options};
use super::tx::{ReadTx, WriteTx};
use super::vault::Vault;
use super::writer::Writer;
use crate::domain::time::{Instant, Zone};
use crate::error::{Error, Result};

/// Read-only connections: enough for the cores of a small box, few enough for its memory.
pub const READERS: usize = 4;
/// How long a read may wait for a connection.
const READER_WAIT: Duration = Duration::from_secs(3);

/// Where the time comes from.
#[derive(Clone)]
pub enum Clock {
    /// The system's clock.
    System,
    /// A clock that stands still until it is set, in milliseconds since the epoch.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// This moment.
    pub fn now(&self) -> Instant {
        match self {
            Clock::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Instant(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Clock::Fixed(now) => Instant(now.load(Ordering::SeqCst)),
        }
    }
}

/// What every transaction works with.
pub struct Context {
    /// Seals and opens sensitive fields.
    pub vault: Vault,
    /// The zone that the books are kept in.
    pub zone: Zone,
    /// The clock.
    pub clock: Clock,
}

/// The site's database.
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

struct Inner {
    writer: Writer,
    readers: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    context: Arc<Context>,
    path: PathBuf,
    changed: Arc<Notify>,
}

/// Ends the writer: joined after the last [`Db`] is gone, so that the file is closed in good order.
pub struct WriterThread(JoinHandle<()>);

impl WriterThread {
    /// Waits until everything that was accepted is on the disk and the file is closed.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("the writer panicked");
        }
    }
}

impl Db {
    /// Opens the database file, which [`open::prepare`] has brought up to date.
    pub fn open(path: &Path, options: Options, context: Context) -> Result<(Self, WriterThread)> {
        let context = Arc::new(context);
        let connection = open::writer(path, options)?;
        let readers = (0..READERS).map(|_| open::reader(path)).collect::<Result<Vec<_>>>()?;
        let changed = Arc::new(Notify::new());
        let (writer, thread) = Writer::start(connection, context.clone(), changed.clone())?;
        let inner = Inner {
            writer,
            readers: Mutex::new(readers),
            permits: Arc::new(Semaphore::new(READERS)),
            context,
            path: path.to_owned(),
            changed,
        };
        Ok((Self { inner: Arc::new(inner) }, WriterThread(thread)))
    }

    /// Changes the database: all of `work` or nothing, on the disk before this returns.
    ///
    /// # Errors
    /// What `work` gives; [`Error::Busy`] at once when too many writes wait; [`Error::StorageFull`] or [`Error::Db`] when the
    /// commit failed.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        self.inner.writer.write(work).await
    }

    /// Reads from one consistent state, on a thread that may wait for the disk.
    ///
    /// # Errors
    /// What `work` gives; [`Error::Busy`] when no connection came free within three seconds.
    pub async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&ReadTx<'_>) -> Result<T> + Send + 'static,
    {
        let permit = self.permit().await?;
        let inner = self.inner.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            let outcome = inner.with_reader(work);
            drop(permit);
            outcome
        });
        outcome.await.map_err(|_| Error::Panicked)?
    }

    /// Reads a few rows by their keys, on the calling thread.
    ///
    /// # Decision
    /// A look-up by key costs some ten microseconds from the page cache, less than handing it to another thread and back,
    /// and most requests are such look-ups. Anything whose cost grows with the data goes through [`Db::read`].
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn read_rows<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        let _permit = self.permit().await?;
        self.inner.with_reader(work)
    }

    /// The zone that the books are kept in.
    pub fn zone(&self) -> &Zone {
        &self.inner.context.zone
    }

    /// The vault, for values that live outside rows.
    pub fn vault(&self) -> &Vault {
        &self.inner.context.vault
    }

    /// This moment, by the clock of the transactions.
    pub fn now(&self) -> Instant {
        self.inner.context.clock.now()
    }

    /// How many writes wait or run.
    pub fn writes_waiting(&self) -> u64 {
        self.inner.writer.waiting()
    }

    /// Told after each commit; one who waits for it, or the next one to wait, hears of it.
    pub fn changed(&self) -> Arc<Notify> {
        self.inner.changed.clone()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    async fn permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        let permits = self.inner.permits.clone();
        if let Ok(permit) = permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        match tokio::time::timeout(READER_WAIT, permits.acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| Error::Busy),
            Err(_) => Err(Error::Busy),
        }
    }
}

impl Inner {
    fn with_reader<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T>) -> Result<T> {
        let connection = self.lock().pop().ok_or(Error::Busy)?;
        let lease = Lease { home: self, connection: Some(connection) };
        let connection = lease.connection.as_ref().expect("the lease holds its connection until it is dropped");
        connection.prepare_cached("begin")?.execute([])?;
        let outcome = work(&ReadTx {
            connection,
            vault: &self.context.vault,
            zone: &self.context.zone,
            now: self.context.clock.now(),
        });
        connection.prepare_cached("commit")?.execute([])?;
        outcome
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic can't leave the list half changed: it is only pushed to and popped from.
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the connection back, also when the read panics.
struct Lease<'a> {
    home: &'a Inner,
    connection: Option<Connection>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            if !connection.is_autocommit()
                && let Err(error) = connection.execute_batch("rollback")
            {
                tracing::error!(error = %error, "a read could not be ended");
            }
            self.home.lock().push(connection);
        }
    }
}
