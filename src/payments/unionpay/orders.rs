//! Payments: a code for the payer to scan, and how its order stands.
//!
//! # Decision
//! UnionPay has no request that closes an order: `payTimeout` is the last moment to pay, and then it is over. So a close asks how the order
//! stands. An order that has failed is closed; one that was not paid or is not known is closed once nobody can have paid it any more. A query
//! does not tell when that is, so no order is given more than [`PAY_WINDOW_MS`] from its own time, and an earlier close finds the order as it
//! is; the caller asks again. A shorter wait would need the order's end in the question.

use super::Unionpay;
use super::ask::{CHANGES, Kind, QUESTIONS};
use super::codes::{self, DONE, NOT_FOUND, Origin};
use crate::domain::time::{HOUR_MS, Instant, MINUTE_MS};
use crate::payments::china_time::{from_packed, packed};
use crate::payments::fields::Fields;
use crate::payments::{Create, Outcome, Paid, PaymentState, Query, Scene, Trouble};

const CODE: Kind = Kind { txn_type: "01", txn_sub_type: "07" };
const QUESTION: Kind = Kind { txn_type: "00", txn_sub_type: "00" };
/// The currency.
pub const YUAN: &str = "156";
/// The longest time to pay, from the order's own time.
const PAY_WINDOW_MS: i64 = 2 * HOUR_MS;
/// How long a payment of the last moment may be on its way.
const GRACE_MS: i64 = 2 * MINUTE_MS;

impl Unionpay {
    pub(super) async fn create_order(&self, call: &Create, now: Instant) -> Result<Outcome, Trouble> {
        match &call.scene {
            Scene::Code => {}
            Scene::MiniProgram { .. } => {
                return Err(Trouble::final_refusal("NOT_OFFERED", "银联不支持在微信小程序内支付"));
            }
        }
        let last_moment = call.expires_at_ms.min(call.at_ms.saturating_add(PAY_WINDOW_MS));
        let request = self.request(
            &CODE,
            [
                ("channelType", "08"),
                ("orderId", &call.order_no),
                ("txnTime", &packed(Instant(call.at_ms))),
                ("txnAmt", &call.amount_fen.to_string()),
                ("currencyCode", YUAN),
                ("payTimeout", &packed(Instant(last_moment))),
                ("backUrl", &self.callback_url),
            ],
        );
        let answer = self.ask(CHANGES, request, now).await?;
        if codes::response(&answer) != DONE {
            return Err(codes::trouble(&answer));
        }
        match answer.get("qrCode").filter(|code| !code.is_empty()) {
            Some(code) => Ok(Outcome::Created { payment_url: Some(code.clone()), launch: None }),
            None => Err(Trouble::unknown("the answer has no code")),
        }
    }

    pub(super) async fn query_order(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        let Some(answer) = self.question(&call.order_no, Instant(call.at_ms), now).await? else {
            return Ok(PaymentState::NotFound);
        };
        match codes::origin(&answer)? {
            Origin::Done => paid(&answer, Instant(call.at_ms), now).map(PaymentState::Paid).map_err(Trouble::unknown),
            Origin::Open => Ok(PaymentState::Unpaid),
            Origin::Failed(reason) => Ok(PaymentState::Failed { reason }),
        }
    }

    pub(super) async fn close_order(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        let is_over = now.ms_since(Instant(call.at_ms)) >= PAY_WINDOW_MS + GRACE_MS;
        match self.query_order(call, now).await? {
            PaymentState::Failed { .. } => Ok(PaymentState::Closed),
            PaymentState::NotFound | PaymentState::Unpaid if is_over => Ok(PaymentState::Closed),
            state => Ok(state),
        }
    }

    /// What UnionPay knows of the transaction with this number and time; none when nothing.
    pub(super) async fn question(&self, number: &str, at: Instant, now: Instant) -> Result<Option<Fields>, Trouble> {
        let request = self.request(&QUESTION, [("orderId", number), ("txnTime", &packed(at))]);
        let answer = self.ask(QUESTIONS, request, now).await?;
        match codes::response(&answer) {
            NOT_FOUND => Ok(None),
            DONE if answer.get("orderId").map(String::as_str) == Some(number) => Ok(Some(answer)),
            DONE => Err(Trouble::unknown("the answer is about no order")),
            _ => Err(codes::trouble(&answer)),
        }
    }
}

/// A payment, as a query's answer or a notification tells of it.
///
/// # Errors
/// What does not fit.
pub fn paid(fields: &Fields, at: Instant, now: Instant) -> Result<Paid, &'static str> {
    if fields.get("currencyCode").is_none_or(|currency| currency != YUAN) {
        return Err("it is in another currency");
    }
    let amount_fen = fields.get("txnAmt").and_then(|amount| amount_fen(amount)).ok_or("its amount is none")?;
    let platform_no = fields.get("queryId").filter(|number| !number.is_empty());
    Ok(Paid {
        platform_no: platform_no.ok_or("it has no number of UnionPay's own")?.clone(),
        amount_fen,
        paid_at_ms: traced(fields, at).unwrap_or(now).0,
        payer: None,
    })
}

/// Fen from digits.
pub fn amount_fen(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// When it happened, from `traceTime` (`MMDDhhmmss`, from memory of UnionPay's fields): in the year of the order's own time or, around New
/// Year, in the next.
pub fn traced(fields: &Fields, at: Instant) -> Option<Instant> {
    const HALF_A_YEAR_MS: i64 = 183 * 24 * HOUR_MS;
    let trace = fields.get("traceTime").filter(|trace| trace.len() == 10)?;
    let year: i32 = packed(at).get(..4)?.parse().ok()?;
    [year, year + 1, year - 1]
        .into_iter()
        .filter_map(|year| from_packed(&format!("{year:04}{trace}")))
        .find(|moment| moment.ms_since(at).abs() <= HALF_A_YEAR_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::fields::fields;

    #[test]
    fn a_payment_needs_yuan_an_amount_and_a_number() {
        let told = |name: &str, value: &str| {
            let mut all = fields([("currencyCode", YUAN), ("txnAmt", "1990"), ("queryId", "2026"), ("traceTime", "")]);
            all.insert(name.to_owned(), value.to_owned());
            paid(&all, Instant(0), Instant(7))
        };
        let expected = Paid { platform_no: "2026".to_owned(), amount_fen: 1_990, paid_at_ms: 7, payer: None };
        assert_eq!(told("more", ""), Ok(expected));
        assert_eq!(told("currencyCode", "840"), Err("it is in another currency"));
        for amount in ["", "-1", "+1", "19.90", "1e3", "99999999999999999999"] {
            assert_eq!(told("txnAmt", amount), Err("its amount is none"), "{amount}");
        }
        assert_eq!(told("queryId", ""), Err("it has no number of UnionPay's own"));
    }

    #[test]
    fn a_time_without_a_year_is_the_nearest() {
        let near =
            |trace: &str, at: &str| traced(&fields([("traceTime", trace)]), from_packed(at).unwrap()).map(packed);
        assert_eq!(near("0302120005", "20260302120000").as_deref(), Some("20260302120005"));
        assert_eq!(near("0101000010", "20251231235950").as_deref(), Some("20260101000010"));
        assert_eq!(near("1231235959", "20260101000000").as_deref(), Some("20251231235959"));
        assert_eq!(near("1332000000", "20260101000000"), None);
        assert_eq!(near("", "20260101000000"), None);
    }
}
