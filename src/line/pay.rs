//! Payments by way of the center: the calls of platforms for which there is no key on the site.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::client::Client;
use crate::domain::payments::Channel;
use crate::error::Error;
use crate::payments::forwarder::Forwarder;
use crate::payments::relayed::{Answer, Request};
use crate::payments::{Call, Outcome, Platform, Refusal, Trouble};

/// How long the center may take: it gives a platform ten seconds.
const ANSWER_WAIT: Duration = Duration::from_secs(12);

/// The center, as whoever makes the calls.
pub struct ViaRelay {
    client: Client,
    epoch: String,
}

impl ViaRelay {
    /// The way over the center for the box with this epoch.
    pub fn new(client: Client, epoch: String) -> Self {
        Self { client, epoch }
    }
}

#[async_trait]
impl Platform for ViaRelay {
    async fn make(&self, channel: Channel, call: &Call) -> Result<Outcome, Trouble> {
        let request = Request { epoch: self.epoch.clone(), channel: channel.into(), call: call.clone() };
        let told = self.client.ask_for::<_, Value>("pay", &request, ANSWER_WAIT).await.map_err(trouble)?;
        match serde_json::from_value::<Answer>(told) {
            Ok(answer) if fits(call, &answer) => answer.into(),
            Ok(_) => Err(Trouble::unknown("the center answered something else than it was asked")),
            Err(error) => Err(Trouble::Unknown("the center's answer can't be read".to_owned(), Some(error.into()))),
        }
    }
}

/// Whether an outcome is of the kind that the call asks for.
fn fits(call: &Call, answer: &Answer) -> bool {
    let Answer::Outcome(outcome) = answer else { return true };
    match call {
        Call::Create(_) => matches!(outcome, Outcome::Created { .. }),
        Call::Query(_) | Call::Close(_) => matches!(outcome, Outcome::Payment(_)),
        Call::Refund(_) | Call::QueryRefund(_) => matches!(outcome, Outcome::Refund(_)),
        Call::Transfer(_) | Call::QueryTransfer(_) | Call::CancelTransfer(_) => matches!(outcome, Outcome::Transfer(_)),
        Call::Bill(_) => matches!(outcome, Outcome::Bill(_)),
    }
}

/// What it means that the center gave no answer of ours. Only a refusal of this box is certain: whatever else is between may have passed the
/// request on and lost the answer.
fn trouble(error: Error) -> Trouble {
    match error {
        Error::Unauthenticated(why) => Trouble::Refused {
            refusal: Refusal::Configuration,
            code: "NOT_ENROLLED".to_owned(),
            message: why.to_owned(),
        },
        Error::Unreachable(cause) => Trouble::Unknown("the center can't be reached".to_owned(), Some(cause)),
        Error::Busy => Trouble::unknown("the center is busy"),
        other => Trouble::Unknown("the center gave no answer".to_owned(), Some(other.into())),
    }
}

/// The way over the center, open for as long as this is kept.
pub struct Open(Forwarder);

impl Open {
    /// Opens it.
    pub fn new(payments: &Forwarder, way: ViaRelay) -> Self {
        payments.set_relay(std::sync::Arc::new(way));
        Self(payments.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.clear_relay();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::{PaymentState, Query};

    #[test]
    fn only_a_refusal_of_the_box_is_certain() {
        let refused = trouble(Error::Unauthenticated("gone"));
        assert!(matches!(refused, Trouble::Refused { refusal: Refusal::Configuration, .. }), "{refused:?}");
        for error in [Error::Busy, Error::Unreachable("502".into()), Error::invalid("relay", "413")] {
            assert!(matches!(trouble(error), Trouble::Unknown(..)));
        }
    }

    #[test]
    fn an_answer_to_another_question_says_nothing() {
        let query = Call::Query(Query { order_no: "P".to_owned(), amount_fen: 1, at_ms: 1 });
        assert!(fits(&query, &Answer::Outcome(Outcome::Payment(PaymentState::Closed))));
        assert!(!fits(&query, &Answer::Outcome(Outcome::Created { payment_url: None, launch: None })));
    }
}
