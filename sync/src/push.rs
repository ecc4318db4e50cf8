//! The push loop: for as long as the site has a change that the center has not confirmed, it tries to send it.
//!
//! # Decision
//! The loop is level-triggered. What wakes it early (a commit) is only a hint; it looks at the outbox itself at least every
//! second, so a lost hint costs a second and never a standstill. It holds nothing that a restart would lose: where the
//! center is, the center says.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::batch::{Batch, Malformed};
use crate::chain::Mark;
use crate::wire::{Answer, Hello};

/// How long the loop waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// It looks at the outbox at least this often.
    pub tick: Duration,
    /// After a commit it waits this long for more to come along in the same batch.
    pub linger: Duration,
    /// The first wait after a failure; each further one is twice as long.
    pub backoff_min: Duration,
    /// The longest wait after a failure.
    pub backoff_max: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            tick: Duration::from_secs(1),
            linger: Duration::from_millis(20),
            backoff_min: Duration::from_millis(250),
            backoff_max: Duration::from_secs(60),
        }
    }
}

/// The center's position is written down at most this often while there is more to send.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Why the journal can't do its part; the site's own trouble, such as a full disk.
pub type JournalError = Box<dyn std::error::Error + Send + Sync>;

/// The site's side: its outbox and what it remembers of its sending.
pub trait Journal: Send + Sync {
    /// What to say first.
    fn hello(&self) -> impl Future<Output = Result<Hello, JournalError>> + Send;
    /// The next batch after this place; `within` when the batch before ended inside a transaction. None when there is nothing.
    fn cut(&self, after: Mark, within: bool) -> impl Future<Output = Result<Option<Batch>, JournalError>> + Send;
    /// The place of the site's own chain at `seq`; none when it has no such place.
    fn mark_at(&self, seq: i64) -> impl Future<Output = Result<Option<Mark>, JournalError>> + Send;
    /// Notes where the center is.
    fn confirm(&self, mark: Mark) -> impl Future<Output = Result<(), JournalError>> + Send;
    /// Notes that the center takes nothing of this box any more.
    fn fence(&self, reason: &str) -> impl Future<Output = Result<(), JournalError>> + Send;
}

/// Why the other side did not answer the question.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Nothing, or nothing whole, came back; what was sent may have been applied.
    #[error("the center can't be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The center asks to come again later.
    #[error("the center is busy")]
    Busy {
        /// How much later.
        after: Duration,
    },
    /// The center does not know the credential: it was taken back, or another box has this one's place.
    #[error("the center does not know this box: its credential was taken back, or another box has taken its place")]
    Unknown,
    /// The center refuses: the format, its own trouble.
    #[error("the center refuses: {0}")]
    Refused(String),
}

/// The way to the center.
pub trait Transport: Send + Sync {
    /// Says hello.
    fn hello(&self, hello: &Hello) -> impl Future<Output = Result<Answer, LineError>> + Send;
    /// Sends a packed batch.
    fn push(&self, packed: Vec<u8>) -> impl Future<Output = Result<Answer, LineError>> + Send;
}

/// What makes the loop look before its next tick.
#[derive(Debug, Default)]
pub struct Hints {
    /// Something was committed.
    pub changed: Arc<Notify>,
    /// The center, asked for something else, wants a hello first.
    pub hello: Notify,
    /// The center answered something else again after it had not: waiting any longer makes no sense.
    pub online: Notify,
}

/// What the loop tells of itself, as it goes.
pub trait Watch: Send + Sync {
    /// The center has answered: it is at this place.
    fn reached(&self, mark: Mark);
    /// An attempt failed; the next one comes after the wait.
    fn failed(&self, why: &PushError, wait: Duration);
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The line or the center.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The site itself.
    #[error("the site's own database")]
    Journal(#[source] JournalError),
    /// A batch could not be packed.
    #[error("a batch can't be packed")]
    Pack(#[from] Malformed),
    /// The center's answer does not fit what was sent.
    #[error("the center answered with a place that was not asked for")]
    Nonsense,
    /// Not a failure: the center wants a hello.
    #[error("the center wants a hello")]
    HelloWanted,
}

/// Sends until the center fences this box, and gives the reason. Dropping the future stops it at any moment without harm.
pub async fn run<J: Journal, T: Transport, W: Watch>(
    journal: &J,
    transport: &T,
    watch: &W,
    hints: &Hints,
    pace: Pace,
) -> String {
    let mut backoff = pace.backoff_min;
    loop {
        let mut session = Session { journal, transport, watch, hints, pace, reached: false };
        let error = match session.run().await {
            Ok(reason) => match journal.fence(&reason).await {
                Ok(()) => return reason,
                Err(error) => PushError::Journal(error),
            },
            Err(error) => error,
        };
        if session.reached {
            backoff = pace.backoff_min;
        }
        let wait = match &error {
            PushError::Line(LineError::Busy { after }) => jittered((*after).clamp(pace.backoff_min, pace.backoff_max)),
            _ => jittered(backoff),
        };
        watch.failed(&error, wait);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = hints.online.notified() => {}
        }
        backoff = (backoff * 2).min(pace.backoff_max);
    }
}

/// Between half of the wait and all of it, so that sites that lost the center together do not come back together.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness the wait is simply the whole one.
    let part = aws_lc_rs::rand::fill(&mut byte).map_or(1.0, |()| 0.5 + f64::from(byte[0]) / 510.0);
    wait.mul_f64(part)
}

struct Session<'a, J, T, W> {
    journal: &'a J,
    transport: &'a T,
    watch: &'a W,
    hints: &'a Hints,
    pace: Pace,
    /// Whether the center answered at all.
    reached: bool,
}

impl<J: Journal, T: Transport, W: Watch> Session<'_, J, T, W> {
    /// Pushes until something fails, or gives the reason when the box is fenced.
    async fn run(&mut self) -> Result<String, PushError> {
        let mut at = match self.agree().await? {
            Ok(at) => at,
            Err(reason) => return Ok(reason),
        };
        let (mut saved, mut saved_when) = (at, Instant::now());
        let mut within = false;
        let mut next = None;
        loop {
            let (batch, packed) = match next.take() {
                Some(ready) => ready,
                None => match self.ready(at, within).await? {
                    Some(ready) => ready,
                    None => {
                        if saved != at && saved_when.elapsed() >= SAVE_EVERY {
                            self.confirm(at).await?;
                            (saved, saved_when) = (at, Instant::now());
                        }
                        self.wait().await?;
                        continue;
                    }
                },
            };
            let (answer, ahead) = self.send(&batch, packed).await?;
            match answer {
                Answer::Applied(mark) | Answer::AlreadyApplied(mark) if mark == batch.to => {
                    (at, within, next) = (mark, !batch.whole, ahead);
                    // Inside a transaction the center has only set aside what it got.
                    if batch.whole {
                        self.watch.reached(at);
                        if saved_when.elapsed() >= SAVE_EVERY {
                            self.confirm(at).await?;
                            (saved, saved_when) = (at, Instant::now());
                        }
                    }
                }
                Answer::Applied(_) | Answer::AlreadyApplied(_) => return Err(PushError::Nonsense),
                Answer::Rewind(_) => {
                    at = match self.agree().await? {
                        Ok(at) => at,
                        Err(reason) => return Ok(reason),
                    };
                    (within, saved) = (false, at);
                }
                Answer::Fenced { reason } => return Ok(reason),
            }
        }
    }

    /// Finds the place where both sides are one: the outer error is a failure, the inner one the reason of a fence.
    async fn agree(&mut self) -> Result<Result<Mark, String>, PushError> {
        /// The center may move between two hellos, by a batch whose answer was lost; not more often than this.
        const ROUNDS_MAX: usize = 4;
        let mut hello = self.journal.hello().await.map_err(PushError::Journal)?;
        for _ in 0..ROUNDS_MAX {
            let answer = self.transport.hello(&hello).await?;
            self.reached = true;
            match answer {
                Answer::Applied(mark) | Answer::AlreadyApplied(mark) => {
                    self.confirm(mark).await?;
                    self.watch.reached(mark);
                    return Ok(Ok(mark));
                }
                Answer::Rewind(mark) => {
                    // Where the chain is another, or ends before, the hello shows that, and the center decides.
                    let own = self.journal.mark_at(mark.seq).await.map_err(PushError::Journal)?;
                    hello.at = own.unwrap_or(Mark { seq: mark.seq, hash: crate::chain::GENESIS });
                }
                Answer::Fenced { reason } => return Ok(Err(reason)),
            }
        }
        Err(PushError::Nonsense)
    }

    async fn confirm(&self, mark: Mark) -> Result<(), PushError> {
        self.journal.confirm(mark).await.map_err(PushError::Journal)
    }

    /// The next batch, and as it goes on the line.
    async fn ready(&self, after: Mark, within: bool) -> Result<Option<(Batch, Vec<u8>)>, PushError> {
        let Some(batch) = self.journal.cut(after, within).await.map_err(PushError::Journal)? else { return Ok(None) };
        let packed = batch.pack()?;
        Ok(Some((batch, packed)))
    }

    /// Sends a batch and meanwhile gets the next one ready.
    async fn send(&self, batch: &Batch, packed: Vec<u8>) -> Result<(Answer, Option<(Batch, Vec<u8>)>), PushError> {
        let (answer, ahead) = tokio::join!(self.transport.push(packed), self.ready(batch.to, !batch.whole));
        Ok((answer?, ahead?))
    }

    async fn wait(&self) -> Result<(), PushError> {
        tokio::select! {
            () = self.hints.changed.notified() => tokio::time::sleep(self.pace.linger).await,
            () = self.hints.hello.notified() => return Err(PushError::HelloWanted),
            () = tokio::time::sleep(self.pace.tick) => {}
        }
        Ok(())
    }
}
