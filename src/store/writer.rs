//! The one writer, with group commit.
//!
//! # Decision
//! One thread owns the only writing connection. It takes whatever writes wait, never waits for more, runs each in a
//! savepoint of its own inside one SQLite transaction, and answers them all after one commit, so that one `fsync` serves
//! them all: at shift change the disk is the bottleneck, and this is what removes it. A write that fails rolls back to its
//! savepoint and the others stay. When the commit itself fails, none of the group has happened and each caller is told so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant as Stopwatch;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use tokio::sync::{Notify, oneshot};

use super::db::Context;
use super::tx::{AfterCommit, ReadTx, WriteTx};
use crate::error::{Error, Result};

/// Writes that may wait; one more is refused at once.
pub const QUEUE_MAX: usize = 4096;
/// Writes that share one commit at most, so that the first of them is not kept waiting for long.
pub const GROUP_MAX: usize = 512;

/// Sends work to the writer.
pub struct Writer {
    queue: SyncSender<Box<dyn Job>>,
    waiting: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread on this connection.
    pub fn start(
        connection: Connection,
        context: Arc<Context>,
        changed: Arc<Notify>,
    ) -> Result<(Self, JoinHandle<()>)> {
        let txn = Arc::new(AtomicI64::new(canshi_sync::outbox::tip(&connection)?.1));
        let current = txn.clone();
        connection.create_scalar_function(
            canshi_sync::capture::TXN_FUNCTION,
            0,
            FunctionFlags::SQLITE_UTF8,
            move |_| Ok(current.load(Ordering::Relaxed)),
        )?;
        let clock = context.clone();
        connection.create_scalar_function(
            canshi_sync::capture::NOW_FUNCTION,
            0,
            FunctionFlags::SQLITE_UTF8,
            move |_| Ok(clock.clock.now().0),
        )?;
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let waiting = Arc::new(AtomicU64::new(0));
        let counter = waiting.clone();
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || work(&connection, &jobs, &context, &counter, &txn, &changed))?;
        Ok((Self { queue, waiting }, thread))
    }

    /// Runs `work` in the next group and gives its outcome once that is on the disk.
    ///
    /// # Errors
    /// [`Error::Busy`] at once when [`QUEUE_MAX`] writes wait already; what `work` gave; [`Error::StorageFull`] and
    /// [`Error::Db`] when the commit failed. In each of these nothing was done.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Work { work: Some(work), outcome: None, reply: Some(reply) };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(Box::new(job)).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) | TrySendError::Disconnected(_) => Error::Busy,
            }
        })?;
        answer.await.map_err(|_| Error::Busy)?
    }

    /// How many writes wait or run.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

trait Job: Send {
    /// Runs the work; whether its changes are to be kept.
    fn run(&mut self, tx: &WriteTx<'_>) -> bool;
    /// Tells the caller; `failed` when the group could not be committed.
    fn answer(self: Box<Self>, failed: Option<&rusqlite::Error>);
}

struct Work<T, F> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T, F> Job for Work<T, F>
where
    T: Send + 'static,
    F: FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
{
    fn run(&mut self, tx: &WriteTx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or(Err(Error::Panicked));
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn answer(mut self: Box<Self>, failed: Option<&rusqlite::Error>) {
        let outcome = match (self.outcome.take(), failed) {
            (Some(Ok(_)) | None, Some(error)) => Err(Error::from(again(error))),
            (Some(outcome), _) => outcome,
            (None, None) => Err(Error::Busy),
        };
        // A caller that hung up is not told; what it asked for is done all the same.
        if let Some(reply) = self.reply.take() {
            drop(reply.send(outcome));
        }
    }
}

/// The same error once more: one failed commit is told to every caller of the group.
fn again(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(code, message) => rusqlite::Error::SqliteFailure(*code, message.clone()),
        other => rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(other.to_string()),
        ),
    }
}

fn work(
    connection: &Connection,
    jobs: &Receiver<Box<dyn Job>>,
    context: &Context,
    waiting: &AtomicU64,
    txn: &AtomicI64,
    changed: &Notify,
) {
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let Ok(next) = jobs.try_recv() else { break };
            group.push(next);
        }
        let size = group.len();
        let started = Stopwatch::now();
        let failed = commit_group(connection, context, &mut group, txn);
        metrics::histogram!("canshi_commit_group_size").record(size as f64);
        metrics::histogram!("canshi_commit_seconds").record(started.elapsed().as_secs_f64());
        if let Some(error) = &failed {
            tracing::error!(error = %error, group = size, "a group of writes could not be committed");
        }
        if failed.is_none() {
            changed.notify_one();
        }
        for job in group {
            waiting.fetch_sub(1, Ordering::Relaxed);
            job.answer(failed.as_ref());
        }
    }
}

/// Runs the group in one transaction. When it can't be committed, nothing of it has happened and the error is given back.
fn commit_group(
    connection: &Connection,
    context: &Context,
    group: &mut [Box<dyn Job>],
    txn: &AtomicI64,
) -> Option<rusqlite::Error> {
    let mut effects: Vec<AfterCommit> = Vec::new();
    let outcome = execute(connection, "begin immediate").and_then(|()| {
        for job in group.iter_mut() {
            txn.fetch_add(1, Ordering::Relaxed);
            effects.extend(run_one(connection, context, job)?);
        }
        execute(connection, "commit")
    });
    match outcome {
        Ok(()) => {
            for effect in effects {
                effect();
            }
            None
        }
        Err(error) => {
            if !connection.is_autocommit()
                && let Err(error) = execute(connection, "rollback")
            {
                tracing::error!(error = %error, "a failed group could not be rolled back");
            }
            Some(error)
        }
    }
}

/// Runs one job in its savepoint. An error here is one of the transaction as a whole, not of the job.
fn run_one(connection: &Connection, context: &Context, job: &mut Box<dyn Job>) -> rusqlite::Result<Vec<AfterCommit>> {
    execute(connection, "savepoint job")?;
    let tx = WriteTx::new(ReadTx { connection, vault: &context.vault, zone: &context.zone, now: context.clock.now() });
    let keep = job.run(&tx);
    let effects = tx.into_effects();
    if connection.is_autocommit() {
        // SQLite rolls the whole transaction back by itself on some failures, such as a full disk.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
            Some("the transaction was rolled back by the database".to_owned()),
        ));
    }
    if keep {
        execute(connection, "release job")?;
        return Ok(effects);
    }
    execute(connection, "rollback to job")?;
    execute(connection, "release job")?;
    Ok(Vec::new())
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(|_| ())
}
