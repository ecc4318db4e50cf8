//! The sites' door for payments: a site's call of a platform, made here, where the merchant's keys are.
//!
//! # Decision
//! The relay holds no rule of payments. It looks only at what would harm others: that a number is of the site that asks, that a number
//! stands for one request for ever, and that the intent is in MySQL before the platform hears of it, so that whatever the platform tells
//! later finds its site even if this relay is gone by then. The right to make a call is a mark in the intent's row and not a lock of MySQL's:
//! a platform may take ten seconds, and a connection that is held for so long is missing elsewhere.

use std::time::Duration;

use axum::extract::State;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::center::Center;
use super::door::Wire;
use super::payment_bills;
use super::store::payment_intents::{self, Intent, Taken};
use crate::domain::access::Access::Site;
use crate::domain::payments::{Channel, OrderNo};
use crate::error::{Error, Result};
use crate::http::answer::Answer;
use crate::http::caller::Caller;
use crate::http::error::Refusal as Refused;
use crate::http::route::{Rate, Route, post};
use crate::payments::relayed::{Answer as Said, Request};
use crate::payments::{Call, Outcome, Platform as _, Refusal, Scene, Trouble};
use crate::store::keys::{hex, random_bytes};
use crate::store::vault::Place;

/// Calls that one relay makes at a time; whoever finds them all under way comes again.
const CALLS_MAX: usize = 128;
/// How long a call of a platform may take here: the adapters end within ten seconds, and the site waits for twelve.
const CALL_WAIT: Duration = Duration::from_millis(10_500);
/// How long the right to make a call lasts when whoever took it is gone: longer than the call.
const HOLD: Duration = Duration::from_secs(15);
/// How long a repeat waits for the first to come to its end, and how often it looks.
const TURN_WAIT: Duration = Duration::from_secs(2);
const TURN_LOOK: Duration = Duration::from_millis(100);
/// Characters of what came of a call that are kept.
const OUTCOME_CHARS_MAX: usize = 100;

const TABLE: &str = "canshi_payment_intents";

/// The routes of the door.
pub fn routes() -> Vec<Route<Center>> {
    vec![post("/sync/v1/pay", Site, pay).rate(Rate::Unlimited).summary("门店支付请求")]
}

/// The places for calls that are under way.
pub struct Calls(Semaphore);

impl Default for Calls {
    fn default() -> Self {
        Self(Semaphore::new(CALLS_MAX))
    }
}

async fn pay(
    State(center): State<Center>,
    caller: Caller,
    Wire(request): Wire<Request>,
) -> std::result::Result<Answer<Wire<Said>>, Refused> {
    let site = caller.site().ok_or(Error::Panicked)?;
    let _place = center.calls().0.try_acquire().map_err(|_| Error::Busy)?;
    let channel = Channel::from(request.channel);
    let came = call(&center, site, channel, &request).await?;
    let word = match &came {
        Ok(_) => "outcome",
        Err(Trouble::Unknown(..)) => "unknown",
        Err(Trouble::Refused { .. }) => "refused",
    };
    metrics::counter!("canshi_relay_payment_calls_total", "channel" => channel.as_str(), "answer" => word).increment(1);
    Ok(Answer::new("已处理", Wire(Said::from(came)))?)
}

/// Makes a site's call, if it may be made. An error is one of this side, and then no platform was called.
async fn call(
    center: &Center,
    site: i64,
    channel: Channel,
    request: &Request,
) -> Result<std::result::Result<Outcome, Trouble>> {
    if let Err(number) = owned(site, &request.call) {
        tracing::error!(site.id = site, number, "a site asks for a number that is not its own");
        return Ok(Err(refused(Refusal::Configuration, "NOT_YOURS", "the number is not one of this site")));
    }
    if !payment_intents::stands(&mut center.connection().await?, site, &request.epoch).await? {
        tracing::error!(site.id = site, "a box asks for a payment whose place another box has taken");
        return Ok(Err(refused(Refusal::Configuration, "FENCED", "another box has taken the place of this one")));
    }
    match &request.call {
        Call::Create(create) => {
            let payer = match &create.scene {
                Scene::MiniProgram { openid } => Some(payer_index(center, openid)),
                Scene::Code => None,
            };
            let what = Asked { kind: "create", number: &create.order_no, amount_fen: create.amount_fen, payer };
            intend(center, site, channel, &request.call, what).await
        }
        Call::Refund(refund) => {
            let (number, amount_fen) = (&refund.refund_no, refund.amount_fen);
            intend(center, site, channel, &request.call, Asked { kind: "refund", number, amount_fen, payer: None })
                .await
        }
        Call::Transfer(transfer) => {
            let (number, amount_fen) = (&transfer.order_no, transfer.amount_fen);
            intend(center, site, channel, &request.call, Asked { kind: "transfer", number, amount_fen, payer: None })
                .await
        }
        Call::Bill(bill) => payment_bills::of_site(center, site, channel, bill.date).await,
        Call::Query(_) | Call::Close(_) | Call::QueryRefund(_) | Call::QueryTransfer(_) | Call::CancelTransfer(_) => {
            Ok(make(center, channel, &request.call).await)
        }
    }
}

/// The keyed index that a payer's openid is compared by.
pub fn payer_index(center: &Center, openid: &str) -> String {
    center.vault().index("payment-payer", openid)
}

fn refused(refusal: Refusal, code: &str, message: &str) -> Trouble {
    Trouble::Refused { refusal, code: code.to_owned(), message: message.to_owned() }
}

/// Whether all numbers of a call are this site's; gives the first that is not.
fn owned(site: i64, call: &Call) -> std::result::Result<(), &str> {
    let orders = |number: &'_ str| number.parse::<OrderNo>().is_ok_and(|no| no.site() == site && !no.is_refund());
    let refunds = |number: &'_ str| number.parse::<OrderNo>().is_ok_and(|no| no.site() == site && no.is_refund());
    let (number, is_owned) = match call {
        Call::Create(create) => (&create.order_no, orders(&create.order_no)),
        Call::Query(query) | Call::Close(query) => (&query.order_no, orders(&query.order_no)),
        Call::Refund(refund) | Call::QueryRefund(refund) if !orders(&refund.order_no) => (&refund.order_no, false),
        Call::Refund(refund) | Call::QueryRefund(refund) => (&refund.refund_no, refunds(&refund.refund_no)),
        Call::Transfer(transfer) | Call::QueryTransfer(transfer) | Call::CancelTransfer(transfer) => {
            (&transfer.order_no, orders(&transfer.order_no))
        }
        Call::Bill(_) => return Ok(()),
    };
    if is_owned { Ok(()) } else { Err(number) }
}

/// What is kept of a call in the clear.
struct Asked<'a> {
    kind: &'static str,
    number: &'a str,
    amount_fen: i64,
    payer: Option<String>,
}

/// Makes a call that moves money: only what is in MySQL goes to the platform, and never twice at once.
async fn intend(
    center: &Center,
    site: i64,
    channel: Channel,
    call: &Call,
    what: Asked<'_>,
) -> Result<std::result::Result<Outcome, Trouble>> {
    let request = serde_json::to_string(call).map_err(|error| Error::Corrupt(error.to_string()))?;
    let fingerprint = center.vault().index("payment-intent", &format!("{site}\n{}\n{request}", channel.as_str()));
    let column = format!("request.{}", what.number);
    let request_sealed = center.vault().seal(Place { table: TABLE, column: &column, id: site }, &request)?;
    let intent = Intent {
        number: what.number,
        site,
        channel: channel.as_str(),
        kind: what.kind,
        amount_fen: what.amount_fen,
        payer_index: what.payer.as_deref(),
        request_sealed: &request_sealed,
        fingerprint: &fingerprint,
    };
    let holder = hex(&random_bytes::<16>()?);
    match take(center, &intent, &holder).await? {
        Taken::Held => {}
        Taken::UnderWay => return Ok(Err(Trouble::unknown("the same call is under way"))),
        Taken::Changed => {
            tracing::error!(site.id = site, number = what.number, "a site repeats a number with another request");
            return Ok(Err(refused(Refusal::Final, "CHANGED_REPEAT", "the number stands for another request")));
        }
    }
    let came = make(center, channel, call).await;
    // The platform has answered, whether or not that can be noted: a repeat finds the mark free after its time.
    let noted = async {
        payment_intents::settle(&mut center.connection().await?, what.number, &holder, &in_a_word(&came)).await
    };
    if let Err(error) = noted.await {
        tracing::error!(site.id = site, number = what.number, error = %error, "what came of a call could not be noted");
    }
    Ok(came)
}

/// Takes the right to make the call; while another has it, it is waited for, for a moment.
async fn take(center: &Center, intent: &Intent<'_>, holder: &str) -> Result<Taken> {
    let until = Instant::now() + TURN_WAIT;
    loop {
        let taken = payment_intents::take(&mut center.connection().await?, intent, holder, HOLD).await?;
        if taken != Taken::UnderWay || Instant::now() >= until {
            return Ok(taken);
        }
        sleep(TURN_LOOK).await;
    }
}

/// Makes a call, for as long as the site may wait for it.
pub async fn make(center: &Center, channel: Channel, call: &Call) -> std::result::Result<Outcome, Trouble> {
    let came = match timeout(CALL_WAIT, center.platforms().make(channel, call)).await {
        Ok(came) => came,
        Err(_) => Err(Trouble::unknown("the platform did not answer in time")),
    };
    if let Err(trouble) = &came {
        let cause = std::error::Error::source(trouble).map(ToString::to_string);
        tracing::warn!(channel = channel.as_str(), why = %trouble, cause, "a call of a platform came to nothing");
    }
    came
}

/// What came of a call, for the intent's row.
fn in_a_word(came: &std::result::Result<Outcome, Trouble>) -> String {
    let word = match came {
        Ok(Outcome::Created { .. }) => "created".to_owned(),
        Ok(Outcome::Payment(_)) => "payment".to_owned(),
        Ok(Outcome::Refund(_)) => "refund".to_owned(),
        Ok(Outcome::Transfer(_)) => "transfer".to_owned(),
        Ok(Outcome::Bill(_)) => "bill".to_owned(),
        Err(Trouble::Unknown(..)) => "unknown".to_owned(),
        Err(Trouble::Refused { code, .. }) => format!("refused {code}"),
    };
    word.chars().take(OUTCOME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::{BillOf, Query, Refund};

    #[test]
    fn a_call_is_a_sites_own_with_all_its_numbers() {
        let query = |number: &str| Call::Query(Query { order_no: number.to_owned(), amount_fen: 1, at_ms: 1 });
        assert_eq!(owned(7, &query("P20260302170001123456")), Ok(()));
        for number in ["P20260302180001123456", "R20260302170001123456", "", "P2026", "P20260302170001123456 "] {
            assert_eq!(owned(7, &query(number)), Err(number));
        }
        let refund = |refund: &str, order: &str| {
            Call::Refund(Refund {
                refund_no: refund.to_owned(),
                order_no: order.to_owned(),
                platform_no: String::new(),
                amount_fen: 1,
                paid_fen: 1,
                reason: String::new(),
                at_ms: 1,
                paid_at_ms: 1,
            })
        };
        assert_eq!(owned(7, &refund("R20260302170001123456", "P20260302170001123456")), Ok(()));
        let (mine, other) = ("R20260302170001123456", "P20260302180001123456");
        assert_eq!(owned(7, &refund(mine, other)), Err(other));
        assert_eq!(owned(7, &refund(other, "P20260302170001123456")), Err(other));
        assert_eq!(owned(7, &Call::Bill(BillOf { date: Date::constant(2026, 3, 2) })), Ok(()));
    }
}
