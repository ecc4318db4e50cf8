//! Refunds, whole or in part. A repeat of the same number refunds once.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Alipay;
use super::orders::TRADE_NOT_EXIST;
use super::refusals::{Failure, OF_REFUNDS};
use crate::domain::time::Instant;
use crate::payments::amounts::{fen, yuan};
use crate::payments::china_time::from_spaced;
use crate::payments::{Refund, RefundState, Trouble, cut};

const REASON_CHARACTERS_MAX: usize = 256;
const SUCCESS: &str = "REFUND_SUCCESS";

#[derive(Serialize)]
struct NewRefund<'a> {
    out_trade_no: &'a str,
    refund_amount: String,
    refund_reason: &'a str,
    out_request_no: &'a str,
}

#[derive(Deserialize)]
struct Made {
    out_trade_no: Option<String>,
    /// Whether this very request moved money.
    fund_change: Option<String>,
    gmt_refund_pay: Option<String>,
}

/// Empty when Alipay knows no such refund.
#[derive(Deserialize)]
struct Found {
    out_request_no: Option<String>,
    refund_amount: Option<String>,
    refund_status: Option<String>,
    gmt_refund_pay: Option<String>,
}

impl Alipay {
    pub(super) async fn refund_trade(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        let refund = NewRefund {
            out_trade_no: &call.order_no,
            refund_amount: yuan(call.amount_fen),
            refund_reason: cut(&call.reason, REASON_CHARACTERS_MAX),
            out_request_no: &call.refund_no,
        };
        let made: Made =
            self.ask("alipay.trade.refund", &refund, now).await.map_err(|failure| failure.trouble(OF_REFUNDS))?;
        if made.out_trade_no.is_some_and(|number| number != call.order_no) {
            return Err(Trouble::unknown("the answer is about another order"));
        }
        // Without a change of funds it was a repeat, or is still on its way: the query decides, which Alipay wants 10 seconds later.
        if made.fund_change.as_deref() != Some("Y") {
            return Ok(RefundState::Processing);
        }
        Ok(succeeded(made.gmt_refund_pay.as_deref(), now))
    }

    pub(super) async fn ask_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        let asked = json!({
            "out_trade_no": call.order_no,
            "out_request_no": call.refund_no,
            "query_options": ["gmt_refund_pay"],
        });
        match self.ask::<Found>("alipay.trade.fastpay.refund.query", &asked, now).await {
            Ok(found) => found.standing(call, now),
            Err(Failure::Refused(refused)) if refused.is(TRADE_NOT_EXIST) => Ok(RefundState::NotFound),
            Err(failure) => Err(failure.trouble(OF_REFUNDS)),
        }
    }
}

impl Found {
    fn standing(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        match self.refund_status.as_deref() {
            // It never arrived or was not made: the same request again does no harm, since its number refunds once.
            None | Some("") => Ok(RefundState::NotFound),
            Some(SUCCESS) => {
                let fits = self.out_request_no.as_deref().is_none_or(|number| number == call.refund_no)
                    && self.refund_amount.as_deref().is_none_or(|amount| fen(amount) == Some(call.amount_fen));
                if !fits {
                    return Err(Trouble::unknown("the answer is about another refund or amount"));
                }
                Ok(succeeded(self.gmt_refund_pay.as_deref(), now))
            }
            Some(_) => Ok(RefundState::Processing),
        }
    }
}

/// A refund of Alipay's has no number but ours.
fn succeeded(at: Option<&str>, now: Instant) -> RefundState {
    RefundState::Succeeded { at_ms: at.and_then(from_spaced).unwrap_or(now).0, platform_no: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Refund {
        Refund {
            refund_no: "R1".to_owned(),
            order_no: "P1".to_owned(),
            platform_no: "2026".to_owned(),
            amount_fen: 1_990,
            paid_fen: 5_000,
            reason: String::new(),
            at_ms: 0,
            paid_at_ms: 0,
        }
    }

    fn found(number: &str, amount: &str, status: Option<&str>) -> Option<RefundState> {
        let found = Found {
            out_request_no: Some(number.to_owned()),
            refund_amount: Some(amount.to_owned()),
            refund_status: status.map(str::to_owned),
            gmt_refund_pay: Some("1970-01-01 08:00:05".to_owned()),
        };
        found.standing(&call(), Instant(9)).ok()
    }

    #[test]
    fn only_its_own_status_says_that_a_refund_was_made() {
        let succeeded = Some(RefundState::Succeeded { at_ms: 5_000, platform_no: None });
        assert_eq!(found("R1", "19.90", Some(SUCCESS)), succeeded);
        assert_eq!(found("R1", "19.90", None), Some(RefundState::NotFound));
        assert_eq!(found("R1", "19.90", Some("REFUND_PROCESSING")), Some(RefundState::Processing));
        assert_eq!(found("R2", "19.90", Some(SUCCESS)), None);
        assert_eq!(found("R1", "19.91", Some(SUCCESS)), None);
    }
}
