//! The mailbox: requests to a site's own router, kept in MySQL in the site's order until the site has answered them.
//!
//! # Decision
//! Several relays work on one MySQL, so whoever waits, a box for mail or a caller for an answer, may be connected to another
//! relay than the one that hears of it. Each relay looks into MySQL for all who wait at it, ten times a second with two
//! statements, and only while somebody waits; at the same relay the word goes directly. Nothing of that has to survive: a
//! waiter that goes away leaves nothing behind, and the message is done or expires without it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use canshi_sync::wire::{Message, Reply};
use tokio::sync::watch;

use super::center::Center;
use super::payment_anomalies;
use super::store::mailbox::{self, Answered, Kind, NewMessage, Pending, Posted, Receipt};
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::error::{Error, Result};
use crate::http::error::Refusal;

/// How long a message that somebody waits for may wait for the site.
pub const LIVE_LIFE: Duration = Duration::from_secs(10);
/// How long an appointment may wait for the site.
pub const QUEUED_LIFE: Duration = Duration::from_millis(7 * DAY_MS as u64);
/// How long a punch may wait for the site: it counts from when it was received, so it is good for as long as wages may be open.
pub const PUNCH_LIFE: Duration = Duration::from_millis(62 * DAY_MS as u64);
/// Messages that one poll brings at most.
const MESSAGES_MAX: usize = 64;
/// Bytes of the sealed bodies that one poll brings at most; a single larger one goes alone.
const BYTES_MAX: usize = 1 << 20;
/// How often MySQL is asked for all who wait here.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long one look may take: a connection can be dead without a word.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// The same while MySQL does not answer.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long answers to live messages are kept for a repeat.
const LIVE_KEPT: Duration = Duration::from_millis(HOUR_MS as u64);
/// How long answers to queued messages are kept for a repeat.
const QUEUED_KEPT: Duration = Duration::from_millis(30 * DAY_MS as u64);
/// How often what is too old is removed.
const CLEAR_EVERY: Duration = Duration::from_millis(10 * MINUTE_MS as u64);

/// Who waits at this relay.
#[derive(Default)]
pub struct Waiting(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    closed: bool,
    looking: bool,
    polls: HashMap<i64, watch::Sender<Ring>>,
    answers: HashMap<(i64, String), watch::Sender<Option<Answered>>>,
}

/// What makes a held poll look again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ring {
    last_no: i64,
    contended: bool,
    closed: bool,
}

/// What woke a held poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// There may be mail.
    Mail,
    /// Another start of the site's program wants its place.
    Contended,
    /// The relay stops.
    Closed,
}

/// Somebody who holds a site's poll.
pub struct Listener {
    center: Center,
    site: i64,
    rings: watch::Receiver<Ring>,
}

/// Somebody who waits for an answer.
struct Expected {
    center: Center,
    message: (i64, String),
    answer: watch::Receiver<Option<Answered>>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Lists> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of whoever holds a poll, and of whoever comes to hold one: the relay stops.
    pub fn close(&self) {
        let mut lists = self.lock();
        lists.closed = true;
        for poll in lists.polls.values() {
            poll.send_modify(|ring| ring.closed = true);
        }
    }

    /// Whether somebody holds a poll of this site.
    pub fn holds_poll_of(&self, site: i64) -> bool {
        self.lock().polls.contains_key(&site)
    }

    fn ring(&self, site: i64, last_no: i64) {
        if let Some(poll) = self.lock().polls.get(&site) {
            poll.send_if_modified(|ring| {
                let news = last_no > ring.last_no;
                ring.last_no = ring.last_no.max(last_no);
                news
            });
        }
    }

    fn tell(&self, message: &(i64, String), answered: Answered) {
        if let Some(waiter) = self.lock().answers.get(message) {
            waiter.send_replace(Some(answered));
        }
    }
}

impl Listener {
    /// Waits until something is new since the last time.
    pub async fn woken(&mut self) -> Woken {
        // The sender is in the list for as long as this listener is.
        let changed = self.rings.changed().await;
        let ring = *self.rings.borrow();
        match ring {
            _ if changed.is_err() || ring.closed => Woken::Closed,
            Ring { contended: true, .. } => Woken::Contended,
            _ => Woken::Mail,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut lists = self.center.waiting().lock();
        if let Entry::Occupied(entry) = lists.polls.entry(self.site)
            && entry.get().receiver_count() <= 1
        {
            entry.remove();
        }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let mut lists = self.center.waiting().lock();
        if let Entry::Occupied(entry) = lists.answers.entry(self.message.clone())
            && entry.get().receiver_count() <= 1
        {
            entry.remove();
        }
    }
}

/// Begins to hold a site's poll.
pub fn listen(center: &Center, site: i64) -> Listener {
    let mut lists = center.waiting().lock();
    let ring = Ring { closed: lists.closed, ..Ring::default() };
    let mut rings = lists.polls.entry(site).or_insert_with(|| watch::Sender::new(ring)).subscribe();
    if lists.closed {
        rings.mark_changed();
    }
    look_from_now_on(center, &mut lists);
    Listener { center: center.clone(), site, rings }
}

fn expect(center: &Center, site: i64, id: &str) -> Expected {
    let mut lists = center.waiting().lock();
    let message = (site, id.to_owned());
    let answer = lists.answers.entry(message.clone()).or_insert_with(|| watch::Sender::new(None)).subscribe();
    look_from_now_on(center, &mut lists);
    Expected { center: center.clone(), message, answer }
}

/// Sees to it that somebody looks into MySQL for those who wait.
fn look_from_now_on(center: &Center, lists: &mut Lists) {
    if !lists.looking {
        lists.looking = true;
        tokio::spawn(look_while_needed(Looking { center: center.clone(), ended: false }));
    }
}

/// The one who looks; when it ends otherwise than by saying so, another may begin.
struct Looking {
    center: Center,
    ended: bool,
}

impl Drop for Looking {
    fn drop(&mut self) {
        if !self.ended {
            self.center.waiting().lock().looking = false;
        }
    }
}

async fn look_while_needed(mut looking: Looking) {
    let center = looking.center.clone();
    let mut wait = LOOK_EVERY;
    loop {
        tokio::time::sleep(wait).await;
        let (sites, messages) = {
            let mut lists = center.waiting().lock();
            if lists.polls.is_empty() && lists.answers.is_empty() {
                // Said under the lock, so that whoever comes next to wait finds that nobody looks.
                lists.looking = false;
                looking.ended = true;
                return;
            }
            (lists.polls.keys().copied().collect::<Vec<_>>(), lists.answers.keys().cloned().collect::<Vec<_>>())
        };
        let looked = tokio::time::timeout(LOOK_MAX, look(&center, &sites, &messages)).await;
        wait = match looked.unwrap_or(Err(Error::Busy)) {
            Ok(()) => LOOK_EVERY,
            Err(error) => {
                tracing::warn!(error = %error, "the mailbox could not be looked into");
                LOOK_AGAIN
            }
        };
    }
}

async fn look(center: &Center, sites: &[i64], messages: &[(i64, String)]) -> Result<()> {
    let mut conn = center.connection().await?;
    let bells = mailbox::bells(&mut conn, sites).await?;
    let answers = mailbox::answers(&mut conn, center.vault(), messages).await?;
    drop(conn);
    for (message, answered) in answers {
        center.waiting().tell(&message, answered);
    }
    let lists = center.waiting().lock();
    for bell in bells {
        if let Some(poll) = lists.polls.get(&bell.site) {
            poll.send_if_modified(|ring| {
                let news = bell.last_no > ring.last_no || (bell.contended && !ring.contended);
                ring.last_no = ring.last_no.max(bell.last_no);
                ring.contended = bell.contended;
                news
            });
        }
    }
    Ok(())
}

/// Keeps a message and lets the site know. A repeat under the same id gets what came of the first.
///
/// # Errors
/// [`Error::Conflict`] when the id is that of another request; [`Refusal::Unavailable`] when too many wait.
pub async fn post(center: &Center, site: i64, new: &NewMessage<'_>) -> std::result::Result<Receipt, Refusal> {
    let mut conn = center.connection().await?;
    match mailbox::post(&mut conn, center.vault(), site, new).await? {
        Posted::Kept(receipt) => {
            center.waiting().ring(site, receipt.no);
            Ok(receipt)
        }
        Posted::Taken => Err(Error::Conflict("Idempotency-Key已用于另一个请求".into()).into()),
        Posted::Full => Err(Refusal::Unavailable { error: "门店待处理请求过多，请稍后重试".to_owned() }),
    }
}

/// Keeps a message and waits for its answer, for so long; none when the site did not answer in that time.
///
/// # Errors
/// As [`post`].
pub async fn ask(
    center: &Center,
    site: i64,
    new: &NewMessage<'_>,
    wait: Duration,
) -> std::result::Result<(Receipt, Option<Answered>), Refusal> {
    let mut expected = expect(center, site, new.id);
    let mut receipt = post(center, site, new).await?;
    if let Some(answer) = receipt.answer.take() {
        return Ok((receipt, Some(answer)));
    }
    let answer = match tokio::time::timeout(wait, expected.answer.wait_for(Option::is_some)).await {
        Ok(Ok(answer)) => answer.clone(),
        // The sender is in the list for as long as it is waited for; so what is over is the time.
        Ok(Err(_)) | Err(_) => None,
    };
    Ok((receipt, answer))
}

/// Forgets what a message was answered, since it holds a secret of whoever asked.
///
/// # Errors
/// [`Error::Center`].
pub async fn forget_answer(center: &Center, site: i64, id: &str) -> Result<()> {
    mailbox::forget_answer(&mut center.connection().await?, site, id).await
}

/// The messages that a site is to carry out next, in order, without those that it has already.
///
/// # Errors
/// [`Error::Center`].
pub async fn next(center: &Center, site: i64, running: &[String]) -> Result<Vec<Message>> {
    let mut conn = center.connection().await?;
    let (mut numbers, mut bytes) = (Vec::new(), 0);
    for pending in mailbox::pending(&mut conn, site).await? {
        let Pending { no, kind, expired, over, .. } = pending;
        if running.contains(&pending.id) {
            continue;
        }
        if over && !expired {
            match kind {
                Kind::Live => {
                    mailbox::close(&mut conn, site, no).await?;
                    continue;
                }
                Kind::Queued => mailbox::expire(&mut conn, site, no).await?,
            }
        }
        bytes += pending.bytes;
        if numbers.len() == MESSAGES_MAX || (bytes > BYTES_MAX && !numbers.is_empty()) {
            break;
        }
        numbers.push(no);
    }
    mailbox::read(&mut conn, center.vault(), site, &numbers).await
}

/// Keeps a site's answers to its own messages, and tells whoever waits here.
///
/// # Errors
/// [`Error::Center`].
pub async fn answer(center: &Center, site: i64, replies: &[Reply]) -> Result<()> {
    let mut conn = center.connection().await?;
    for reply in mailbox::answer(&mut conn, center.vault(), site, replies).await? {
        center.waiting().tell(&(site, reply.id), Answered { status: reply.status, body: reply.body });
    }
    Ok(())
}

/// Removes what nobody asks for any more, from time to time, until it is dropped.
pub async fn keep_clear(center: Center) {
    loop {
        tokio::time::sleep(CLEAR_EVERY).await;
        if let Err(error) = clear_up(&center).await {
            tracing::warn!(error = %error, "old messages could not be removed");
        }
    }
}

async fn clear_up(center: &Center) -> Result<()> {
    let mut conn = center.connection().await?;
    for site in mailbox::sites(&mut conn).await? {
        let live = mailbox::purge(&mut conn, site, Kind::Live, LIVE_KEPT).await?;
        let queued = mailbox::purge(&mut conn, site, Kind::Queued, QUEUED_KEPT).await?;
        if live + queued > 0 {
            tracing::debug!(site.id = site, live, queued, "old messages were removed");
        }
    }
    drop(conn);
    payment_anomalies::clear_up(center).await
}
