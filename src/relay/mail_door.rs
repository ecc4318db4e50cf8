//! The sites' door for mail: a box asks for what it is to do and is held until there is something, and it brings answers.

use std::time::Duration;

use axum::extract::State;
use canshi_sync::central::{Poll, Polled};
use canshi_sync::wire::{PollAnswer, PollRequest, Replies};
use tokio::time::{Instant, timeout_at};

use super::center::Center;
use super::door::Wire;
use super::mailbox::{self, Woken};
use crate::domain::access::Access::Site;
use crate::error::{Error, Result};
use crate::http::answer::{Answer, Nothing};
use crate::http::caller::Caller;
use crate::http::error::Refusal;
use crate::http::route::{Rate, Route, post};

/// How long a poll is held at most.
const HOLD_MAX: Duration = Duration::from_secs(25);
/// Answers of one request at most.
const REPLIES_MAX: usize = 64;

/// The routes of the door.
pub fn routes() -> Vec<Route<Center>> {
    vec![
        post("/sync/v1/poll", Site, poll).rate(Rate::Unlimited).summary("门店收取消息"),
        post("/sync/v1/answer", Site, answer).rate(Rate::Unlimited).summary("门店答复消息"),
    ]
}

/// A box that is connected. When the connection goes before its poll is answered, it keeps its place for a moment only.
struct Held {
    center: Center,
    site: i64,
    boot: String,
    answered: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        // With another poll of the site held here, losing this one's connection says nothing.
        if self.answered || self.center.waiting().holds_poll_of(self.site) {
            return;
        }
        let (center, site, boot) = (self.center.clone(), self.site, std::mem::take(&mut self.boot));
        // Nobody is left to tell that it failed; then the place is kept until its time is over.
        tokio::spawn(async move {
            if let Err(error) = center.central().cut_off(site, &boot).await {
                tracing::warn!(site.id = site, error = %error, "a site's lost connection could not be noted");
            }
        });
    }
}

async fn poll(
    State(center): State<Center>,
    caller: Caller,
    Wire(request): Wire<PollRequest>,
) -> std::result::Result<Answer<Wire<PollAnswer>>, Refusal> {
    let site = caller.site().ok_or(Error::Panicked)?;
    Ok(Answer::new("获取成功", Wire(hold(&center, site, request).await?))?)
}

async fn hold(center: &Center, site: i64, request: PollRequest) -> Result<PollAnswer> {
    let hold = Duration::from_millis(request.hold_ms).min(HOLD_MAX);
    let until = Instant::now() + hold;
    let mut poll = Poll {
        epoch: request.epoch,
        boot: request.boot,
        echo: request.echo,
        tip: request.tip,
        confirmed: request.confirmed,
        hold,
    };
    if let Some(answer) = stand(center, site, &poll).await? {
        return Ok(answer);
    }
    poll.echo = None;
    let mut held = Held { center: center.clone(), site, boot: poll.boot.clone(), answered: false };
    let answer = wait(center, site, &poll, &request.running, until).await;
    // Whatever comes of it, the box hears of it.
    held.answered = true;
    answer
}

async fn wait(center: &Center, site: i64, poll: &Poll, running: &[String], until: Instant) -> Result<PollAnswer> {
    let mut listener = mailbox::listen(center, site);
    loop {
        let messages = mailbox::next(center, site, running).await?;
        if !messages.is_empty() {
            return Ok(PollAnswer::Mail { messages });
        }
        match timeout_at(until, listener.woken()).await {
            Ok(Woken::Mail) => {}
            Ok(Woken::Contended) => {
                if let Some(answer) = stand(center, site, poll).await? {
                    return Ok(answer);
                }
            }
            Ok(Woken::Closed) | Err(_) => return Ok(PollAnswer::Mail { messages }),
        }
    }
}

/// The answer to a box that may not have the site's mail, or not yet.
async fn stand(center: &Center, site: i64, poll: &Poll) -> Result<Option<PollAnswer>> {
    Ok(match center.central().poll(site, poll).await? {
        Polled::Holds => None,
        Polled::Challenged(word) => Some(PollAnswer::Challenged { word }),
        Polled::HelloFirst => Some(PollAnswer::HelloFirst),
        Polled::Fenced(reason) => Some(PollAnswer::Fenced { reason }),
    })
}

async fn answer(
    State(center): State<Center>,
    caller: Caller,
    Wire(request): Wire<Replies>,
) -> std::result::Result<Answer<Nothing>, Refusal> {
    let site = caller.site().ok_or(Error::Panicked)?;
    if request.replies.len() > REPLIES_MAX {
        return Err(Error::invalid("replies", format!("不能超过{REPLIES_MAX}条")).into());
    }
    mailbox::answer(&center, site, &request.replies).await?;
    Ok(Answer::new("已收到", Nothing)?)
}
