//! How the site stands with the center: what waits, since when, and what the center has confirmed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use canshi_sync::chain::Mark;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::UserId;
use crate::domain::time::Instant;
use crate::error::{Error, Result};
use crate::service::audit::{Deed, record};
use crate::service::notifications::{Audience, notify};
use crate::store::idempotency::Kept;
use crate::store::sync::{self, Task};
use crate::store::{ReadTx, WriteTx, mailbox_answers, payment_tasks, users};

/// The kind of the task that makes the mirror equal.
pub const REPAIR: &str = "repair";
/// Confirmed changes are kept for so many milliseconds, for a center that is restored from a backup.
const KEPT_MS: i64 = 30 * crate::domain::time::DAY_MS;

/// How the line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineState {
    /// The site belongs to no center.
    NotEnrolled,
    /// The center has not been heard of since the start.
    Unknown,
    /// The center answered last time.
    Online,
    /// It did not.
    Offline,
    /// It takes nothing of this box any more.
    Fenced,
}

impl LineState {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            LineState::NotEnrolled => "not_enrolled",
            LineState::Unknown => "unknown",
            LineState::Online => "online",
            LineState::Offline => "offline",
            LineState::Fenced => "fenced",
        }
    }
}

/// What the line tells of itself while the program runs.
#[derive(Debug, Clone)]
pub struct LineReport {
    /// How it is.
    pub state: LineState,
    /// The relay's URL, the site's number and its name there.
    pub site: Option<(String, i64, String)>,
    /// When the center was last heard of.
    pub contact_at: Option<Instant>,
    /// When the push loop last came to something, good or bad.
    pub tried_at: Option<Instant>,
    /// The newest change that the center has confirmed since the start.
    pub reached: i64,
    /// The first such change and when it was confirmed: how fast it goes is measured from there.
    pub began: Option<(i64, Instant)>,
    /// What went wrong last, and when.
    pub error: Option<(String, Instant)>,
    /// Messages of the mailbox that are being carried out.
    pub messages: usize,
}

/// A place where the line writes what it does and others read it.
#[derive(Clone)]
pub struct LineStatus {
    report: Arc<Mutex<LineReport>>,
    clock: crate::store::db::Clock,
}

impl LineReport {
    /// How many seconds so many changes will take at the speed so far; none while that is not known.
    pub fn seconds_for(&self, changes: i64) -> Option<i64> {
        let ((first, since), until) = (self.began?, self.contact_at?);
        let (sent, ms) = (self.reached - first, until.ms_since(since));
        (changes > 0 && sent > 0 && ms > 0).then(|| (changes.saturating_mul(ms) / sent).div_euclid(1000) + 1)
    }
}

impl LineStatus {
    /// Nothing is known yet.
    pub fn new(clock: crate::store::db::Clock) -> Self {
        let report = LineReport {
            state: LineState::NotEnrolled,
            site: None,
            contact_at: None,
            tried_at: None,
            reached: 0,
            began: None,
            error: None,
            messages: 0,
        };
        Self { report: Arc::new(Mutex::new(report)), clock }
    }

    /// What is known.
    pub fn read(&self) -> LineReport {
        self.lock().clone()
    }

    /// The site belongs to this relay.
    pub fn set_relay(&self, relay: &str, site_id: i64, name: &str) {
        let mut report = self.lock();
        report.site = Some((relay.to_owned(), site_id, name.to_owned()));
        if report.state == LineState::NotEnrolled || report.state == LineState::Fenced {
            report.state = LineState::Unknown;
        }
    }

    /// The center answered.
    pub fn heard(&self) {
        let now = self.clock.now();
        let mut report = self.lock();
        report.contact_at = Some(now);
        // A box that is fenced for good asks nothing any more.
        report.state = LineState::Online;
    }

    /// The center confirmed everything up to this change.
    pub fn confirmed(&self, seq: i64) {
        self.heard();
        let now = self.clock.now();
        let mut report = self.lock();
        // A center that went back begins anew.
        if report.began.is_none_or(|(first, _)| first > seq) {
            report.began = Some((seq, now));
        }
        report.reached = seq;
        report.tried_at = Some(now);
    }

    /// The newest change that the center confirmed since the start.
    pub fn reached(&self) -> i64 {
        self.lock().reached
    }

    /// How long ago something was last tried.
    pub fn tried_ago(&self, now: Instant) -> Duration {
        let tried_at = self.lock().tried_at;
        tried_at.map_or(Duration::MAX, |at| Duration::from_millis(now.ms_since(at).max(0).unsigned_abs()))
    }

    /// Something failed.
    pub fn failed(&self, why: &dyn std::fmt::Display) {
        let now = self.clock.now();
        let mut report = self.lock();
        report.tried_at = Some(now);
        report.error = Some((why.to_string(), now));
        if report.state == LineState::Online || report.state == LineState::Unknown {
            report.state = LineState::Offline;
        }
    }

    /// The center takes nothing of this box any more.
    pub fn fenced(&self, reason: &str) {
        let now = self.clock.now();
        let mut report = self.lock();
        report.state = LineState::Fenced;
        report.error = Some((reason.to_owned(), now));
    }

    /// So many messages are being carried out.
    pub fn carrying(&self, messages: usize) {
        self.lock().messages = messages;
    }

    fn lock(&self) -> MutexGuard<'_, LineReport> {
        // Each change is one assignment after the other of plain values: a panic can't leave nonsense.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key: the values of its columns.
pub type Key = Vec<Value>;

/// How far a comparison is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Tables that are done.
    pub tables_done: usize,
    /// The key up to which the next table is done.
    pub after: Option<Key>,
    /// Rows of the site that were compared.
    pub rows: u64,
    /// Rows of the site altogether, roughly.
    pub rows_total: u64,
    /// Rows that differ.
    pub different: u64,
}

impl Progress {
    /// Reads what a task's row says.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when that is not the progress of a repair.
    pub fn of(task: &Task) -> Result<Self> {
        serde_json::from_str(&task.progress)
            .map_err(|error| Error::Corrupt(format!("the progress of a repair: {error}")))
    }
}

/// How the site stands with the center.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What the line tells.
    pub line: LineReport,
    /// Changes that the center has not confirmed.
    pub pending_changes: i64,
    /// When the oldest of them was made.
    pub oldest_pending_at: Option<Instant>,
    /// Orders that no payment platform has heard of yet, and when the oldest of them was made.
    pub pending_payments: (i64, Option<Instant>),
    /// The newest change.
    pub tip: i64,
    /// The newest change that the center has confirmed, and when it did.
    pub confirmed: Option<(i64, Instant)>,
    /// Why the center takes nothing of this box any more.
    pub fenced: Option<String>,
    /// What the repair of the mirror is at, if one was asked for.
    pub repair: Option<Task>,
}

/// How the site stands with the center, from its rows and from what the line tells.
///
/// # Errors
/// When the database fails.
pub fn standing(tx: &ReadTx<'_>, status: &LineStatus) -> Result<Standing> {
    let position = sync::position(tx)?;
    let backlog = sync::backlog(tx)?;
    let line = status.read();
    // What the line heard in this run is newer than what was written down last, also when it is less.
    let written = position.as_ref().map_or(0, |position| position.confirmed.seq);
    let heard = if line.reached > 0 { line.reached } else { written };
    Ok(Standing {
        pending_changes: backlog.tip - heard,
        oldest_pending_at: sync::oldest_after(tx, heard)?,
        pending_payments: payment_tasks::unsent(tx)?,
        tip: backlog.tip,
        confirmed: position.as_ref().map(|position| (heard, line.contact_at.unwrap_or(Instant(position.confirmed_at)))),
        fenced: position.and_then(|position| position.fenced).or_else(|| locked_out(&line)),
        repair: sync::task(tx, REPAIR)?,
        line,
    })
}

/// Why the center does not let this box in, when that is not written down: somebody may yet let it in again.
fn locked_out(line: &LineReport) -> Option<String> {
    let (why, _) = line.error.as_ref().filter(|_| line.state == LineState::Fenced)?;
    Some(why.clone())
}

/// Takes up an epoch that the center gave, unless it is the site's already. A mirror that has to be loaded is asked for.
///
/// # Errors
/// When the database fails.
pub fn take_up(tx: &WriteTx<'_>, epoch: &str, base: Mark, loading: bool) -> Result<()> {
    if sync::position(tx)?.is_some_and(|position| position.epoch == epoch) {
        return Ok(());
    }
    sync::begin(tx, epoch, base)?;
    if !loading {
        return Ok(());
    }
    // From the beginning: what another epoch's repair had compared says nothing of this one.
    sync::save_task(tx, REPAIR, &Task { state: "wanted".to_owned(), progress: "{}".to_owned() })
}

/// Asks for a repair of the mirror; one that is at work goes on.
///
/// # Errors
/// When the database fails.
pub fn want_repair(tx: &WriteTx<'_>) -> Result<()> {
    match sync::task(tx, REPAIR)? {
        Some(task) if task.state == "wanted" || task.state == "running" => Ok(()),
        _ => sync::save_task(tx, REPAIR, &Task { state: "wanted".to_owned(), progress: "{}".to_owned() }),
    }
}

/// Forgets changes that the center confirmed more than 30 days ago, a bounded number at once; gives how many.
///
/// # Errors
/// When the database fails.
pub fn forget_confirmed(tx: &WriteTx<'_>) -> Result<usize> {
    sync::prune(tx, tx.now.plus_ms(-KEPT_MS))
}

/// A message that the sender was told would be done later, and that comes to nothing.
pub struct Closed {
    /// The message.
    pub message_id: String,
    /// Whose it was.
    pub user_id: Option<UserId>,
    /// What it was, for the person: 预约, 打卡.
    pub what: &'static str,
    /// Why it comes to nothing, for the person.
    pub why: String,
    /// The answer that goes back: the status and the body.
    pub answer: (u16, String),
}

/// Closes a message: its person is told, and the answer is kept, once. If the message was carried out before, gives the
/// answer of then.
///
/// # Errors
/// When the database fails.
pub fn close_message(tx: &WriteTx<'_>, closed: Closed) -> Result<(u16, String)> {
    if let Some(kept) = mailbox_answers::find(tx, &closed.message_id)? {
        return Ok((kept.status, kept.answer));
    }
    let title = format!("{}未成功", closed.what);
    if let Some(user_id) = closed.user_id
        && users::find(tx, user_id)?.is_some()
    {
        notify(tx, Audience::User(user_id), &title, &closed.why)?;
        let after = Some(serde_json::json!({"user_id": user_id.get(), "title": title}));
        let deed = Deed {
            action: Action::Create,
            noun: crate::store::notifications::NOUN,
            noun_id: None,
            before: None,
            after,
        };
        record(tx, &Actor::system("mailbox"), deed)?;
    }
    let (status, answer) = closed.answer;
    let kept = Kept { fingerprint: String::new(), status, answer };
    mailbox_answers::keep(tx, &closed.message_id, &kept)?;
    Ok((kept.status, kept.answer))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::store::db::Clock;

    #[test]
    fn the_time_that_is_left_follows_from_the_speed_so_far() {
        let now = Arc::new(AtomicI64::new(0));
        let status = LineStatus::new(Clock::Fixed(now.clone()));
        assert_eq!(status.read().seconds_for(100), None);
        status.confirmed(1_000);
        assert_eq!(status.read().seconds_for(100), None, "one place is no speed");
        now.store(10_000, Ordering::SeqCst);
        status.confirmed(3_000);
        // 200 a second.
        assert_eq!(status.read().seconds_for(1_000), Some(6));
        assert_eq!(status.read().seconds_for(0), None);
        // The center was restored from an older backup.
        status.confirmed(10);
        assert_eq!(status.read().seconds_for(1_000), None);
    }
}
