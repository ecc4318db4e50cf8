//! Giving money back: the whole payment on its own day as a void, anything else as a refund. Both have a number and time of their own.

use super::Unionpay;
use super::ask::{CHANGES, Kind};
use super::codes::{self, DONE, Origin, REPEATED};
use super::orders::{YUAN, amount_fen, traced};
use crate::domain::time::{HOUR_MS, Instant};
use crate::payments::china_time::{day, packed};
use crate::payments::{Refund, RefundState, Refusal, Trouble};

const VOID: Kind = Kind { txn_type: "31", txn_sub_type: "00" };
const REFUND: Kind = Kind { txn_type: "04", txn_sub_type: "00" };

impl Unionpay {
    pub(super) async fn create_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        let is_void = can_be_voided(call);
        let made = self.undo(if is_void { &VOID } else { &REFUND }, call, now).await;
        match made {
            // UnionPay knows best when its day ends. A refund goes where a void certainly did not.
            Err(Trouble::Refused { refusal: Refusal::Final, .. }) if is_void => self.undo(&REFUND, call, now).await,
            made => made,
        }
    }

    async fn undo(&self, kind: &Kind, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        let request = self.request(
            kind,
            [
                ("channelType", "08"),
                ("orderId", &call.refund_no),
                ("txnTime", &packed(Instant(call.at_ms))),
                ("txnAmt", &call.amount_fen.to_string()),
                ("currencyCode", YUAN),
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

/// Whether the whole payment is undone on its own day, by the refund's own time, so that a repeat is the same request. UnionPay's day ends at
/// 23:00; a void is for those whose days are the same both for it and in China.
fn can_be_voided(call: &Refund) -> bool {
    let same_day =
        |shift_ms| day(Instant(call.at_ms).plus_ms(shift_ms)) == day(Instant(call.paid_at_ms).plus_ms(shift_ms));
    call.amount_fen == call.paid_fen && same_day(0) && same_day(HOUR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::china_time::from_spaced;

    #[test]
    fn the_whole_payment_on_its_own_day_is_voided() {
        let is_void = |amount_fen, paid: &str, at: &str| {
            let at_ms = |text: &str| from_spaced(text).unwrap().0;
            can_be_voided(&Refund {
                refund_no: "R1".to_owned(),
                order_no: "P1".to_owned(),
                platform_no: "2026".to_owned(),
                amount_fen,
                paid_fen: 1_990,
                reason: String::new(),
                at_ms: at_ms(at),
                paid_at_ms: at_ms(paid),
            })
        };
        // Seven in the morning in China is still the day before in UTC.
        let morning = "2026-03-02 07:00:00";
        assert!(is_void(1_990, morning, "2026-03-02 22:59:59"));
        assert!(!is_void(1_989, morning, "2026-03-02 22:59:59"));
        assert!(!is_void(1_990, morning, "2026-03-02 23:00:00"));
        assert!(!is_void(1_990, morning, "2026-03-03 00:00:00"));
        assert!(!is_void(1_990, "2026-03-02 23:30:00", "2026-03-03 00:30:00"));
        assert!(is_void(1_990, "2026-03-02 23:30:00", "2026-03-02 23:40:00"));
    }
}
