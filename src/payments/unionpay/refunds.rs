//! Giving money back: the whole payment on its own day as a void, anything else as a refund. Both have a number and time of their own.

use super::Unionpay;
use super::ask::{CHANGES, Kind};
use super::codes::{self, DONE, Origin, REPEATED};
use super::orders::{amount_fen, traced};
use crate::domain::time::Instant;
use crate::payments::china_time::{day, packed};
use crate::payments::{Refund, RefundState, Trouble};

const VOID: Kind = Kind { txn_type: "31", txn_sub_type: "00" };
const REFUND: Kind = Kind { txn_type: "04", txn_sub_type: "00" };

impl Unionpay {
    pub(super) async fn create_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        let request = self.request(
            kind(call),
            [
                ("channelType", "08"),
                ("orderId", &call.refund_no),
                ("txnTime", &packed(Instant(call.at_ms))),
                ("txnAmt", &call.amount_fen.to_string()),
                ("origQryId", &call.platform_no),
                ("backUrl", &self.callback_url),
            ],
        );
        let answer = self.ask(CHANGES, request, now).await?;
        match codes::response(&answer) {
            // Taken, not made.
            DONE => Ok(RefundState::Processing),
            // An earlier request of this very refund arrived: what became of it?
            REPEATED => self.ask_refund(call, now).await,
            _ => Err(codes::trouble(&answer)),
        }
    }

    pub(super) async fn ask_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        let Some(answer) = self.question(&call.refund_no, Instant(call.at_ms), now).await? else {
            return Ok(RefundState::NotFound);
        };
        match codes::origin(&answer)? {
            Origin::Done if answer.get("txnAmt").and_then(|amount| amount_fen(amount)) != Some(call.amount_fen) => {
                Err(Trouble::unknown("the answer is about another amount"))
            }
            Origin::Done => Ok(RefundState::Succeeded {
                at_ms: traced(&answer, Instant(call.at_ms)).unwrap_or(now).0,
                platform_no: answer.get("queryId").cloned(),
            }),
            Origin::Open => Ok(RefundState::Processing),
            Origin::Failed(reason) => Ok(RefundState::Failed { reason }),
        }
    }
}

/// By the refund's own time, so that a repeat is the same request.
fn kind(call: &Refund) -> &'static Kind {
    let whole = call.amount_fen == call.paid_fen;
    if whole && day(Instant(call.at_ms)) == day(Instant(call.paid_at_ms)) { &VOID } else { &REFUND }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::china_time::from_spaced;

    #[test]
    fn the_whole_payment_on_its_own_day_in_china_is_voided() {
        let kind_of = |amount_fen, at: &str| {
            let at_ms = |text: &str| from_spaced(text).unwrap().0;
            let call = Refund {
                refund_no: "R1".to_owned(),
                order_no: "P1".to_owned(),
                platform_no: "2026".to_owned(),
                amount_fen,
                paid_fen: 1_990,
                reason: String::new(),
                at_ms: at_ms(at),
                paid_at_ms: at_ms("2026-03-02 07:00:00"),
            };
            kind(&call).txn_type
        };
        // Seven in the morning in China is still the day before in UTC.
        assert_eq!(kind_of(1_990, "2026-03-02 23:59:59"), "31");
        assert_eq!(kind_of(1_989, "2026-03-02 23:59:59"), "04");
        assert_eq!(kind_of(1_990, "2026-03-03 00:00:00"), "04");
    }
}
