//! The mailbox: requests that the center keeps for this site, fetched over a connection that the site holds open, and carried out
//! through the site's own router.
//!
//! Writes run one after the other in the center's order; reads run beside them. A message is answered for good only when its
//! effect is on the disk; whatever goes wrong before that, the center gives it again, and what was done stays done once.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use canshi_sync::push::Hints;
use canshi_sync::wire::{self, Message, PollAnswer, PollRequest, Replies, Reply};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::Means;
use super::client::Client;
use crate::domain::ids::UserId;
use crate::domain::time::Instant;
use crate::error::{Error, Result};
use crate::http::mail::{Letter, OnBehalf, deliver};
use crate::service::sync::{Closed, close_message};
use crate::store::sync;

/// How long the center may hold a poll.
const HOLD: Duration = Duration::from_secs(25);
/// The wait after a poll that failed, doubled each time up to the other.
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(20);
/// The wait before asking again when the center wants a hello first, doubled each time up to the other.
const HELLO_MIN: Duration = Duration::from_millis(100);
const HELLO_MAX: Duration = Duration::from_secs(2);
/// Writes that wait for their turn at most.
const WAITING_MAX: usize = 256;
/// Reads at work at once.
const READS_MAX: usize = 8;
/// The wait before a message that the site could not do just now is tried again.
const AGAIN_WAIT: Duration = Duration::from_secs(1);
/// The status that stands for a message whose time was over.
const GONE: u16 = 410;

/// What fetching and carrying out share.
struct Carrier {
    router: Router,
    means: Means,
    client: Client,
    running: Mutex<HashSet<String>>,
}

/// Fetches mail and carries it out, for as long as it is polled.
pub async fn fetch(router: &Router, means: &Means, client: &Client, hints: &Hints) {
    let (router, means, client) = (router.clone(), means.clone(), client.clone());
    let carrier = Arc::new(Carrier { router, means, client, running: Mutex::default() });
    let (writes, queue) = mpsc::channel(WAITING_MAX);
    let (reads, read_queue) = mpsc::channel(WAITING_MAX);
    tokio::join!(poll(&carrier, hints, writes, reads), in_order(&carrier, queue), side_by_side(&carrier, read_queue));
}

async fn poll(carrier: &Carrier, hints: &Hints, writes: mpsc::Sender<Message>, reads: mpsc::Sender<Message>) {
    let mut echo = None;
    let (mut retry, mut hello) = (RETRY_MIN, HELLO_MIN);
    loop {
        let answer = match carrier.ask(echo.take()).await {
            Ok(answer) => answer,
            Err(error) => {
                carrier.means.status.failed(&error);
                tracing::debug!(error = %error, "mail could not be fetched");
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(RETRY_MAX);
                continue;
            }
        };
        if retry != RETRY_MIN {
            hints.online.notify_one();
            retry = RETRY_MIN;
        }
        carrier.means.status.heard();
        match answer {
            PollAnswer::Mail { messages } => {
                hello = HELLO_MIN;
                for message in messages {
                    if !carrier.lock().insert(message.id.clone()) {
                        continue;
                    }
                    let to = if message.method == "GET" && !message.expired { &reads } else { &writes };
                    // The workers live as long as this loop.
                    if to.send(message).await.is_err() {
                        return;
                    }
                }
            }
            PollAnswer::Challenged { word } => echo = Some(word),
            PollAnswer::HelloFirst | PollAnswer::Fenced { .. } => {
                // The push loop says hello, and hears why if the box is fenced.
                hints.hello.notify_one();
                tokio::time::sleep(hello).await;
                hello = (hello * 2).min(HELLO_MAX);
            }
        }
    }
}

async fn in_order(carrier: &Carrier, mut queue: mpsc::Receiver<Message>) {
    while let Some(message) = queue.recv().await {
        carrier.carry(message).await;
    }
}

async fn side_by_side(carrier: &Arc<Carrier>, mut queue: mpsc::Receiver<Message>) {
    let places = Arc::new(Semaphore::new(READS_MAX));
    // Dropped with this future, and its tasks with it.
    let mut reads = JoinSet::new();
    while let Some(message) = queue.recv().await {
        while reads.try_join_next().is_some() {}
        let (carrier, places) = (carrier.clone(), places.clone());
        reads.spawn(async move {
            let _place = places.acquire().await;
            carrier.carry(message).await;
        });
    }
}

impl Carrier {
    async fn ask(&self, echo: Option<String>) -> Result<PollAnswer> {
        let (position, tip) = self.means.db.read(|tx| Ok((sync::position(tx)?, sync::tip(tx)?))).await?;
        let position = position.ok_or_else(|| Error::Corrupt("the site is not enrolled".to_owned()))?;
        let running: Vec<String> = self.lock().iter().cloned().collect();
        let request = PollRequest {
            epoch: position.epoch,
            boot: self.means.boot.clone(),
            echo,
            tip,
            confirmed: self.means.status.reached(),
            running,
            hold_ms: HOLD.as_millis() as u64,
        };
        self.client.ask_held("poll", &request, HOLD).await
    }

    /// Carries one message out and sends its answer. If the answer can't be sent, the message comes again.
    async fn carry(&self, message: Message) {
        self.means.status.carrying(self.lock().len());
        let id = message.id.clone();
        match self.outcome(message).await {
            Ok(Some((status, body))) => {
                let replies = Replies { replies: vec![Reply { id: id.clone(), status, body }] };
                if let Err(error) = self.client.ask::<_, serde_json::Value>("answer", &replies).await {
                    tracing::warn!(message.id = id, error = %error, "an answer could not be sent");
                }
            }
            Ok(None) => tokio::time::sleep(AGAIN_WAIT).await,
            Err(error) => {
                tracing::error!(message.id = id, error = %error, "a message could not be carried out");
                tokio::time::sleep(AGAIN_WAIT).await;
            }
        }
        self.lock().remove(&id);
        self.means.status.carrying(self.lock().len());
    }

    /// The message's answer; none when the site can't do it just now and the message can wait.
    async fn outcome(&self, message: Message) -> Result<Option<(u16, String)>> {
        if message.expired {
            let why = "门店离线过久，请求已过期".to_owned();
            return self.close(&message, why, (GONE, refusal(GONE, "请求已过期"))).await.map(Some);
        }
        let (status, body) = self.run(&message).await?;
        if !message.queued || status.is_success() {
            return Ok(Some((status.as_u16(), body)));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            tracing::warn!(message.id = message.id, status = status.as_u16(), "a message has to wait");
            return Ok(None);
        }
        let why = serde_json::from_str::<serde_json::Value>(&body).ok();
        let why = why.and_then(|body| body["data"]["error"].as_str().map(str::to_owned));
        self.close(&message, why.unwrap_or_else(|| "请求被拒绝".to_owned()), (status.as_u16(), body)).await.map(Some)
    }

    async fn run(&self, message: &Message) -> Result<(StatusCode, String)> {
        let bad = |error: axum::http::Error| Error::Corrupt(format!("a message is not a request: {error}"));
        let request = Request::builder()
            .method(message.method.as_str())
            .uri(message.target.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .body(message.body.clone().map_or_else(Body::empty, Body::from))
            .map_err(bad)?;
        let letter = Letter {
            message_id: message.id.clone(),
            on_behalf: on_behalf(&message.on_behalf)?,
            received_at: Instant(message.received_at),
            assigned_id: message.assigned_id,
        };
        let (status, body) = deliver(&self.router, request, letter).await;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn close(&self, message: &Message, why: String, answer: (u16, String)) -> Result<(u16, String)> {
        let what = match message.target.as_str() {
            target if target.contains("/appointment") => "预约",
            target if target.contains("/attendance") => "打卡",
            target if target.contains("/payment") => "支付通知",
            _ => "请求",
        };
        let user_id = match &message.on_behalf {
            wire::OnBehalf::User { user_id } => UserId::try_from(*user_id).ok(),
            wire::OnBehalf::Relay | wire::OnBehalf::Headquarters { .. } => None,
        };
        let closed = Closed { message_id: message.id.clone(), user_id, what, why, answer };
        self.means.db.write(move |tx| close_message(tx, closed)).await
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn on_behalf(wire: &wire::OnBehalf) -> Result<OnBehalf> {
    Ok(match wire {
        wire::OnBehalf::Relay => OnBehalf::Relay,
        wire::OnBehalf::User { user_id } => OnBehalf::User(
            UserId::try_from(*user_id).map_err(|error| Error::Corrupt(format!("a message's user: {error}")))?,
        ),
        wire::OnBehalf::Headquarters { name, write } => OnBehalf::Headquarters { name: name.clone(), write: *write },
    })
}

fn refusal(status: u16, error: &str) -> String {
    let message = crate::http::error::message_of(status);
    serde_json::json!({"code": status, "message": message, "data": {"field": null, "error": error}}).to_string()
}
