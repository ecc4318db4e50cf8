//! Alipay's OpenAPI for a merchant of its own (`payments.md`, section 3): codes that the payer scans, refunds, transfers to accounts, the
//! daily bill, and notifications. In key mode or in certificate mode, which transfers need.
//!
//! It knows the platform's words and signatures. It must not know what an order is for, or what becomes of an answer.

mod ask;
mod bills;
mod certificates;
mod notices;
mod orders;
mod refunds;
mod refusals;
mod setup;
mod transfers;

use std::fmt;

use async_trait::async_trait;
use axum::http::HeaderMap;
use jiff::civil::Date;

use super::http::in_time;
use super::signing::{SigningKey, VerifyingKey};
use super::{
    Acknowledgement, Bill, Create, Distrust, Gateway, Notice, Outcome, PaymentState, Query, Refund, RefundState,
    Transfer, TransferState, Trouble,
};
use crate::domain::time::Instant;

/// Alipay with one merchant's keys.
pub struct Alipay {
    client: reqwest::Client,
    /// The whole URL of the gateway.
    base_url: String,
    callback_url: String,
    app_id: String,
    seller_id: String,
    signing: SigningKey,
    /// Alipay's own key.
    alipay_key: VerifyingKey,
    /// Whose keys they are, in certificate mode.
    certificates: Option<certificates::Serials>,
}

impl fmt::Debug for Alipay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alipay").field("app_id", &self.app_id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Gateway for Alipay {
    async fn create(&self, call: &Create, now: Instant) -> Result<Outcome, Trouble> {
        in_time(self.precreate(call, now)).await
    }

    async fn query(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        in_time(self.query_trade(call, now)).await
    }

    async fn close(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        in_time(self.close_trade(call, now)).await
    }

    async fn refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        in_time(self.refund_trade(call, now)).await
    }

    async fn query_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        in_time(self.ask_refund(call, now)).await
    }

    async fn transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        in_time(self.create_transfer(call, now)).await
    }

    async fn query_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        in_time(self.ask_transfer(call, now)).await
    }

    async fn cancel_transfer(&self, _: &Transfer, _: Instant) -> Result<TransferState, Trouble> {
        Err(Trouble::final_refusal("NOT_OFFERED", "Alipay takes no transfer back"))
    }

    async fn bill(&self, date: Date, now: Instant) -> Result<Bill, Trouble> {
        in_time(self.fetch_bill(date, now)).await
    }

    fn read_notice(&self, _: &HeaderMap, body: &[u8], _: Instant) -> Result<Notice, Distrust> {
        notices::read(self, body)
    }

    fn acknowledgement(&self, taken: bool) -> Acknowledgement {
        // Whatever is not these seven bytes is sent again.
        let (status, body) = if taken { (200, "success") } else { (400, "failure") };
        Acknowledgement { status, content_type: "text/plain", body }
    }
}
