//! WeChat Pay v3 for a merchant of its own (`payments.md`, section 2): native codes, mini-program payments, refunds, transfers to users, the
//! daily bill, and notifications. Public-key mode and certificate mode work side by side.
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
mod trust;
#[cfg(test)]
mod vectors;

use std::fmt;

use async_trait::async_trait;
use axum::http::HeaderMap;
use jiff::civil::Date;

use self::trust::Trust;
use super::http::in_time;
use super::signing::SigningKey;
use super::{
    Acknowledgement, Bill, Create, Distrust, Gateway, Notice, Outcome, PaymentState, Query, Refund, RefundState,
    Transfer, TransferState, Trouble, cut,
};
use crate::domain::time::Instant;

/// WeChat Pay with one merchant's keys.
pub struct Wechat {
    client: reqwest::Client,
    base_url: String,
    callback_url: String,
    mchid: String,
    appid: String,
    /// The serial number of the merchant's own certificate.
    certificate_serial: String,
    signing: SigningKey,
    trust: Trust,
    transfer_scene: String,
    transfer_report: Vec<transfers::Report>,
}

impl fmt::Debug for Wechat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wechat").field("mchid", &self.mchid).field("appid", &self.appid).finish_non_exhaustive()
    }
}

#[async_trait]
impl Gateway for Wechat {
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

    async fn transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        in_time(self.create_transfer(call, now)).await
    }

    async fn query_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        in_time(self.ask_transfer(call, now)).await
    }

    async fn cancel_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble> {
        in_time(self.take_transfer_back(call, now)).await
    }

    async fn bill(&self, date: Date, now: Instant) -> Result<Bill, Trouble> {
        in_time(self.fetch_bill(date, now)).await
    }

    fn read_notice(&self, headers: &HeaderMap, body: &[u8], now: Instant) -> Result<Notice, Distrust> {
        notices::read(self, headers, body, now)
    }

    fn acknowledgement(&self, taken: bool) -> Acknowledgement {
        let (status, body) = match taken {
            true => (200, r#"{"code":"SUCCESS","message":"成功"}"#),
            // Whatever is not 2xx is sent again. Signature probes end here every day and must not look like failures of this program.
            false => (401, r#"{"code":"FAIL","message":"失败"}"#),
        };
        Acknowledgement { status, content_type: "application/json", body }
    }
}

/// A number of ours in a path. It comes over the wire at a center, so it is looked at before it is put into a path that gets signed.
fn path_segment(number: &str) -> Result<&str, Trouble> {
    let plain = !number.is_empty() && number.len() <= 64 && number.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain { Ok(number) } else { Err(Trouble::final_refusal("BAD_NUMBER", "the number is not letters and digits")) }
}
