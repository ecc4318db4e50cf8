//! Payments: a code for the payer to scan, and how its trade stands.
//!
//! # Decision
//! Alipay makes the trade only when the payer scans the code. Until then a query and a close both answer `ACQ.TRADE_NOT_EXIST`, and
//! somebody may still scan. `alipay.trade.cancel` would end that at once, but it gives the money back when the payer was faster, which nobody
//! here decided and the books would have to be mended for. So nothing is cancelled: a code that was never scanned counts as closed two
//! hours after it was asked for, when no code works any more; before that the caller keeps asking. It costs a row that is `closing` for
//! as long, and would be decided anew if Alipay had a cancel that never refunds.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Alipay;
use super::refusals::{Failure, OF_PAYMENTS};
use crate::domain::time::{HOUR_MS, Instant};
use crate::payments::amounts::{fen, yuan};
use crate::payments::china_time::{from_spaced, spaced};
use crate::payments::{Create, Outcome, Paid, PaymentState, Query, Scene, Trouble, cut};

/// How long a code works, whatever is asked for.
const CODE_LIFE_MS: i64 = 2 * HOUR_MS;
const SUBJECT_CHARACTERS_MAX: usize = 256;
/// What no subject may hold, and what would break the lines of a bill.
const SUBJECT_BANNED: [char; 6] = ['/', '=', '&', ',', '"', '#'];

pub(super) const TRADE_NOT_EXIST: &str = "ACQ.TRADE_NOT_EXIST";
/// Why a close was not made: the trade has to be looked at.
const NOT_CLOSED: [&str; 4] =
    ["ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.TRADE_HAS_SUCCESS", "ACQ.TRADE_HAS_FINISHED", "ACQ.TRADE_HAS_CLOSE"];

/// Nothing in it depends on when it is sent: a repeat has to be the same.
#[derive(Serialize)]
struct NewTrade<'a> {
    out_trade_no: &'a str,
    total_amount: String,
    subject: String,
    product_code: &'static str,
    time_expire: String,
}

#[derive(Deserialize)]
struct Code {
    out_trade_no: String,
    qr_code: String,
}

#[derive(Deserialize)]
struct Trade {
    out_trade_no: String,
    trade_no: String,
    trade_status: String,
    total_amount: String,
    /// When it was paid; none as long as it was not.
    send_pay_date: Option<String>,
}

#[derive(Deserialize)]
struct Closed {
    out_trade_no: Option<String>,
}

impl Alipay {
    pub(super) async fn precreate(&self, call: &Create, now: Instant) -> Result<Outcome, Trouble> {
        match &call.scene {
            Scene::Code => {}
            Scene::MiniProgram { .. } => {
                return Err(Trouble::final_refusal("NOT_OFFERED", "支付宝不支持在微信小程序内支付"));
            }
        }
        let trade = NewTrade {
            out_trade_no: &call.order_no,
            total_amount: yuan(call.amount_fen),
            subject: subject(&call.subject),
            product_code: "FACE_TO_FACE_PAYMENT",
            time_expire: spaced(Instant(call.expires_at_ms)),
        };
        let code: Code = self
            .ask_and_be_told("alipay.trade.precreate", &trade, now)
            .await
            .map_err(|failure| failure.trouble(OF_PAYMENTS))?;
        if code.out_trade_no != call.order_no || code.qr_code.is_empty() {
            return Err(Trouble::unknown("the answer is about another order, or has no code"));
        }
        Ok(Outcome::Created { payment_url: Some(code.qr_code), launch: None })
    }

    pub(super) async fn query_trade(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        let asked = json!({ "out_trade_no": call.order_no });
        match self.ask::<Trade>("alipay.trade.query", &asked, now).await {
            Ok(trade) => standing(&trade, call, now),
            Err(Failure::Refused(refused)) if refused.is(TRADE_NOT_EXIST) => Ok(PaymentState::NotFound),
            Err(failure) => Err(failure.trouble(OF_PAYMENTS)),
        }
    }

    pub(super) async fn close_trade(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        let asked = json!({ "out_trade_no": call.order_no });
        match self.ask::<Closed>("alipay.trade.close", &asked, now).await {
            Ok(closed) if closed.out_trade_no.as_ref().is_none_or(|number| *number == call.order_no) => {
                Ok(PaymentState::Closed)
            }
            Ok(_) => Err(Trouble::unknown("the answer is about another order")),
            Err(Failure::Refused(refused)) if refused.is(TRADE_NOT_EXIST) => Ok(never_scanned(call, now)),
            Err(Failure::Refused(refused)) if NOT_CLOSED.iter().any(|code| refused.is(code)) => {
                self.query_trade(call, now).await
            }
            Err(failure) => Err(failure.trouble(OF_PAYMENTS)),
        }
    }
}

fn never_scanned(call: &Query, now: Instant) -> PaymentState {
    if now.ms_since(Instant(call.at_ms)) >= CODE_LIFE_MS { PaymentState::Closed } else { PaymentState::NotFound }
}

fn standing(trade: &Trade, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
    if trade.out_trade_no != call.order_no {
        return Err(Trouble::unknown("the answer is about another order"));
    }
    match (trade.trade_status.as_str(), &trade.send_pay_date) {
        ("WAIT_BUYER_PAY", _) => Ok(PaymentState::Unpaid),
        // A trade that was paid and then refunded as a whole is closed too.
        ("TRADE_CLOSED", None) => Ok(PaymentState::Closed),
        ("TRADE_SUCCESS" | "TRADE_FINISHED" | "TRADE_CLOSED", paid_at) => {
            let amount_fen = fen(&trade.total_amount).ok_or_else(|| Trouble::unknown("the amount is none"))?;
            let paid_at = paid_at.as_deref().and_then(from_spaced).unwrap_or(now);
            Ok(PaymentState::Paid(Paid {
                platform_no: trade.trade_no.clone(),
                amount_fen,
                paid_at_ms: paid_at.0,
                payer: None,
            }))
        }
        (other, _) => Err(Trouble::unknown(format!("its state is {:?}", cut(other, 32)))),
    }
}

/// The subject without what Alipay does not take in one.
fn subject(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|character| if SUBJECT_BANNED.contains(&character) || character.is_control() { ' ' } else { character })
        .collect();
    cut(plain.trim(), SUBJECT_CHARACTERS_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAID_AT_MS: i64 = 1_772_466_599_000;

    fn call() -> Query {
        Query { order_no: "P1".to_owned(), amount_fen: 1_990, at_ms: 0 }
    }

    fn trade(status: &str, paid_at: Option<&str>) -> Trade {
        Trade {
            out_trade_no: "P1".to_owned(),
            trade_no: "2026".to_owned(),
            trade_status: status.to_owned(),
            total_amount: "19.90".to_owned(),
            send_pay_date: paid_at.map(str::to_owned),
        }
    }

    fn state(status: &str, paid_at: Option<&str>) -> Option<PaymentState> {
        standing(&trade(status, paid_at), &call(), Instant(5)).ok()
    }

    #[test]
    fn each_status_is_a_state() {
        let paid = |paid_at_ms| {
            Some(PaymentState::Paid(Paid {
                platform_no: "2026".to_owned(),
                amount_fen: 1_990,
                paid_at_ms,
                payer: None,
            }))
        };
        let at = Some("2026-03-02 23:49:59");
        assert_eq!(state("WAIT_BUYER_PAY", None), Some(PaymentState::Unpaid));
        assert_eq!(state("TRADE_SUCCESS", at), paid(PAID_AT_MS));
        assert_eq!(state("TRADE_FINISHED", at), paid(PAID_AT_MS));
        assert_eq!(state("TRADE_SUCCESS", None), paid(5), "it is paid, whenever that was");
        assert_eq!(state("TRADE_CLOSED", None), Some(PaymentState::Closed));
        assert_eq!(state("TRADE_CLOSED", at), paid(PAID_AT_MS), "refunded as a whole");
        assert_eq!(state("TRADE_PENDING", at), None);
    }

    #[test]
    fn another_order_and_a_strange_amount_are_not_believed() {
        let other = Query { order_no: "P2".to_owned(), ..call() };
        assert!(standing(&trade("TRADE_SUCCESS", None), &other, Instant(0)).is_err());
        for amount in ["", "19.901", "1e99999", "abc", "19.9.0"] {
            let strange = Trade { total_amount: amount.to_owned(), ..trade("TRADE_SUCCESS", None) };
            assert!(standing(&strange, &call(), Instant(0)).is_err(), "{amount}");
        }
    }

    #[test]
    fn a_code_that_nobody_scanned_is_closed_after_two_hours() {
        assert_eq!(never_scanned(&call(), Instant(CODE_LIFE_MS - 1)), PaymentState::NotFound);
        assert_eq!(never_scanned(&call(), Instant(CODE_LIFE_MS)), PaymentState::Closed);
    }

    #[test]
    fn a_subject_has_nothing_that_alipay_refuses() {
        assert_eq!(subject(" A/B=C&D \"x\",\n#1 "), "A B C D  x    1");
        assert_eq!(subject(&"护".repeat(300)).chars().count(), 256);
    }
}
