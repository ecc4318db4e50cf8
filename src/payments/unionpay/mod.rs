//! UnionPay 5.1.0 for a merchant with a number and a certificate of its own (`payments.md`, section 4.2): codes that the payer scans, voids and
//! refunds, the settlement file, and notifications.
//!
//! It knows the platform's words and signatures. It must not know what an order is for, or what becomes of an answer.
//!
//! UnionPay knows an order by its number and its time together, and wants the time to be the present one. So a request that was not answered
//! is never simply repeated: whoever made it asks first, and takes a new number when nothing was found.

mod ask;
mod chain;
mod codes;
mod notices;
mod orders;
mod refunds;
mod settlement;
mod setup;
mod signature;

use std::fmt;

use async_trait::async_trait;
use axum::http::HeaderMap;
use jiff::civil::Date;

use self::chain::Chain;
use super::http::in_time;
use super::signing::SigningKey;
use super::{
    Acknowledgement, Bill, Create, Distrust, Gateway, Notice, Outcome, PaymentState, Query, Refund, RefundState,
    Transfer, TransferState, Trouble,
};
use crate::domain::time::Instant;

/// UnionPay with one merchant's certificate.
pub struct Unionpay {
    client: reqwest::Client,
    base_url: String,
    file_url: String,
    callback_url: String,
    merchant_id: String,
    /// The serial number of the merchant's certificate, decimal.
    certificate_id: String,
    signing: SigningKey,
    chain: Chain,
}

impl fmt::Debug for Unionpay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unionpay").field("merchant_id", &self.merchant_id).finish_non_exhaustive()
    }
}

#[async_trait]
impl Gateway for Unionpay {
    async fn create(&self, call: &Create, now: Instant) -> Result<Outcome, Trouble> {
        in_time(self.create_order(call, now)).await
    }

    async fn query(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        in_time(self.query_order(call, now)).await
    }

    async fn close(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        in_time(self.close_order(call, now)).await
    }

    async fn refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        in_time(self.create_refund(call, now)).await
    }

    async fn query_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble> {
        in_time(self.ask_refund(call, now)).await
    }

    async fn transfer(&self, _: &Transfer, _: Instant) -> Result<TransferState, Trouble> {
        Err(no_transfers())
    }

    async fn query_transfer(&self, _: &Transfer, _: Instant) -> Result<TransferState, Trouble> {
        Err(no_transfers())
    }

    async fn cancel_transfer(&self, _: &Transfer, _: Instant) -> Result<TransferState, Trouble> {
        Err(no_transfers())
    }

    async fn bill(&self, date: Date, now: Instant) -> Result<Bill, Trouble> {
        in_time(self.fetch_settlement(date, now)).await
    }

    fn read_notice(&self, _: &HeaderMap, body: &[u8], now: Instant) -> Result<Notice, Distrust> {
        notices::read(self, body, now)
    }

    fn acknowledgement(&self, taken: bool) -> Acknowledgement {
        // Only the status counts.
        let (status, body) = if taken { (200, "ok") } else { (400, "fail") };
        Acknowledgement { status, content_type: "text/plain", body }
    }
}

/// Wages to bank accounts go by a file for the bank.
fn no_transfers() -> Trouble {
    Trouble::final_refusal("NOT_OFFERED", "银联不支持代付，请使用银行代发文件")
}
