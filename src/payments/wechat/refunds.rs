//! Refunds (`payments.md`, section 2.7). A number that was sent once refunds once, and stays the number after any trouble.

use serde::{Deserialize, Serialize};

use super::refusals::{Failure, NOT_FOUND, found};
use super::{Wechat, cut, path_segment};
use crate::domain::time::Instant;
use crate::payments::china_time::from_rfc3339;
use crate::payments::{Refund, RefundState, Refusal, Trouble};

const TARGET: &str = "/v3/refund/domestic/refunds";
const REASON_CHARACTERS_MAX: usize = 80;

#[derive(Serialize)]
struct NewRefund<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_trade_no: Option<&'a str>,
    out_refund_no: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    notify_url: &'a str,
    amount: NewAmount,
}

#[derive(Serialize)]
struct NewAmount {
    refund: i64,
    total: i64,
    currency: &'static str,
}

/// What a query, and a notification, say of a refund.
#[derive(Deserialize)]
pub struct Refunded {
    /// Only in a notification.
    pub mchid: Option<String>,
    pub out_refund_no: String,
    refund_id: Option<String>,
    status: Option<String>,
    refund_status: Option<String>,
    success_time: Option<String>,
    pub amount: Amount,
}

#[derive(Deserialize)]
pub struct Amount {
    pub refund: i64,
    /// Only in an answer.
    pub currency: Option<String>,
}

impl Wechat {
    pub(super) async fn create_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        let by_platform_no = !call.platform_no.is_empty();
        let body = NewRefund {
            transaction_id: by_platform_no.then_some(call.platform_no.as_str()),
            out_trade_no: (!by_platform_no).then_some(call.order_no.as_str()),
            out_refund_no: &call.refund_no,
            reason: cut(&call.reason, REASON_CHARACTERS_MAX),
            notify_url: &self.callback_url,
            amount: NewAmount { refund: call.amount_fen, total: call.paid_fen, currency: "CNY" },
        };
        match self.post::<Refunded>(TARGET, &body, now).await {
            Ok(refunded) => answered(call, refunded),
            // For a moment after the payment WeChat does not find it.
            Err(Failure::Refused(refused)) if refused.is(&NOT_FOUND) => {
                Err(Trouble::Refused { refusal: Refusal::Later, code: refused.code, message: refused.message })
            }
            Err(failure) => Err(failure.into()),
        }
    }

    pub(super) async fn ask_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        let target = format!("{TARGET}/{}", path_segment(&call.refund_no)?);
        match found(self.get::<Refunded>(&target, now).await)? {
            Some(refunded) => answered(call, refunded),
            None => Ok(RefundState::NotFound),
        }
    }
}

fn answered(call: &Refund, refunded: Refunded) -> Result<RefundState, Trouble> {
    if refunded.out_refund_no != call.refund_no || refunded.amount.refund != call.amount_fen {
        return Err(Trouble::unknown("the answer is about another refund, or another amount"));
    }
    refunded.standing().map_err(Trouble::unknown)
}

impl Refunded {
    /// How it stands.
    ///
    /// # Errors
    /// What does not fit.
    pub fn standing(self) -> Result<RefundState, String> {
        if self.amount.currency.is_some_and(|currency| currency != "CNY") {
            return Err("it is in another currency".to_owned());
        }
        match self.status.or(self.refund_status).as_deref() {
            Some("PROCESSING") => Ok(RefundState::Processing),
            Some("ABNORMAL") => Ok(RefundState::Abnormal),
            Some("CLOSED") => Ok(RefundState::Failed { reason: "退款关闭".to_owned() }),
            Some("SUCCESS") => {
                let at = self.success_time.as_deref().and_then(from_rfc3339).ok_or("it says not when it was made")?;
                Ok(RefundState::Succeeded { at_ms: at.0, platform_no: self.refund_id })
            }
            other => Err(format!("its state is {:?}", cut(other.unwrap_or_default(), 32))),
        }
    }
}
