//! Payments: native codes and the mini-program (`payments.md`, section 2.6).

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::refusals::{Failure, NOT_FOUND, found};
use super::{Wechat, cut, path_segment};
use crate::domain::time::Instant;
use crate::payments::china_time::{from_rfc3339, rfc3339};
use crate::payments::signing::random_word;
use crate::payments::{Create, Outcome, Paid, PaymentState, Query, Refusal, Scene, Trouble};

const DESCRIPTION_CHARACTERS_MAX: usize = 127;

/// Nothing in it depends on when it is sent: a repeat has to be the same, byte by byte.
#[derive(Serialize)]
struct NewOrder<'a> {
    appid: &'a str,
    mchid: &'a str,
    description: &'a str,
    out_trade_no: &'a str,
    time_expire: String,
    notify_url: &'a str,
    amount: NewAmount,
    #[serde(skip_serializing_if = "Option::is_none")]
    payer: Option<Payer>,
}

#[derive(Serialize)]
struct NewAmount {
    total: i64,
    currency: &'static str,
}

#[derive(Serialize, Deserialize)]
struct Payer {
    openid: String,
}

#[derive(Deserialize)]
struct Code {
    code_url: String,
}

#[derive(Deserialize)]
struct Prepaid {
    prepay_id: String,
}

/// What a query, and a notification, say of a payment.
#[derive(Deserialize)]
pub struct Transaction {
    appid: String,
    mchid: String,
    pub out_trade_no: String,
    transaction_id: Option<String>,
    pub trade_state: String,
    trade_state_desc: Option<String>,
    success_time: Option<String>,
    payer: Option<Payer>,
    amount: Option<Amount>,
}

#[derive(Deserialize)]
struct Amount {
    total: i64,
    currency: Option<String>,
}

impl<'a> NewOrder<'a> {
    fn new(wechat: &'a Wechat, call: &'a Create) -> Self {
        Self {
            appid: &wechat.appid,
            mchid: &wechat.mchid,
            description: cut(&call.subject, DESCRIPTION_CHARACTERS_MAX),
            out_trade_no: &call.order_no,
            time_expire: rfc3339(Instant(call.expires_at_ms)),
            notify_url: &wechat.callback_url,
            amount: NewAmount { total: call.amount_fen, currency: "CNY" },
            payer: match &call.scene {
                Scene::Code => None,
                Scene::MiniProgram { openid } => Some(Payer { openid: openid.clone() }),
            },
        }
    }
}

impl Wechat {
    pub(super) async fn create_order(&self, call: &Create, now: Instant) -> Result<Outcome, Trouble> {
        let body = NewOrder::new(self, call);
        if body.payer.is_none() {
            let code: Code = self.post("/v3/pay/transactions/native", &body, now).await?;
            return Ok(Outcome::Created { payment_url: Some(code.code_url), launch: None });
        }
        let prepaid: Prepaid = self.post("/v3/pay/transactions/jsapi", &body, now).await?;
        Ok(Outcome::Created { payment_url: None, launch: Some(self.launch(&prepaid.prepay_id, now)) })
    }

    /// What `wx.requestPayment` wants, signed.
    fn launch(&self, prepay_id: &str, now: Instant) -> serde_json::Value {
        let (timestamp, nonce) = (now.0.div_euclid(1000).to_string(), random_word());
        let package = format!("prepay_id={prepay_id}");
        json!({
            "appId": self.appid,
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": self.signing.sign(launch_message(&self.appid, &timestamp, &nonce, &package).as_bytes()),
        })
    }

    pub(super) async fn query_order(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        let number = path_segment(&call.order_no)?;
        let target = format!("/v3/pay/transactions/out-trade-no/{number}?mchid={}", self.mchid);
        let Some(transaction) = found(self.get::<Transaction>(&target, now).await)? else {
            return Ok(PaymentState::NotFound);
        };
        if transaction.out_trade_no != call.order_no {
            return Err(Trouble::unknown("the answer is about another order"));
        }
        self.standing(transaction).map_err(Trouble::unknown)
    }

    pub(super) async fn close_order(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble> {
        let target = format!("/v3/pay/transactions/out-trade-no/{}/close", path_segment(&call.order_no)?);
        let body = json!({ "mchid": self.mchid }).to_string().into_bytes();
        match self.ask(self.request(Method::POST, &target, body, now), now).await {
            Err(Failure::Refused(refused)) if refused.is(&NOT_FOUND) => Ok(PaymentState::NotFound),
            Err(Failure::Refused(refused)) => match refused.trouble() {
                Trouble::Refused { refusal: Refusal::AlreadyPaid, .. } => self.query_order(call, now).await,
                Trouble::Refused { refusal: Refusal::Closed, .. } => Ok(PaymentState::Closed),
                trouble => Err(trouble),
            },
            Err(Failure::Trouble(trouble)) => Err(trouble),
            Ok(_) => Ok(PaymentState::Closed),
        }
    }

    /// How a payment stands, if it is this merchant's and app's, and in yuan.
    ///
    /// # Errors
    /// What does not fit.
    pub(super) fn standing(&self, transaction: Transaction) -> Result<PaymentState, String> {
        let Transaction { appid, mchid, trade_state, trade_state_desc, .. } = &transaction;
        if *mchid != self.mchid || *appid != self.appid {
            return Err("it belongs to another merchant or app".to_owned());
        }
        match trade_state.as_str() {
            // A refund changes the state, not that it was paid.
            "SUCCESS" | "REFUND" => paid(transaction).map(PaymentState::Paid),
            "NOTPAY" | "USERPAYING" => Ok(PaymentState::Unpaid),
            "CLOSED" | "REVOKED" => Ok(PaymentState::Closed),
            "PAYERROR" => Ok(PaymentState::Failed { reason: trade_state_desc.clone().unwrap_or_default() }),
            other => Err(format!("its state is {:?}", cut(other, 32))),
        }
    }
}

fn paid(transaction: Transaction) -> Result<Paid, String> {
    let Transaction { transaction_id, success_time, payer, amount, .. } = transaction;
    let amount = amount.ok_or("it has no amount")?;
    if amount.currency.as_deref() != Some("CNY") {
        return Err("it is in another currency".to_owned());
    }
    let paid_at = success_time.as_deref().and_then(from_rfc3339).ok_or("it says not when it was paid")?;
    Ok(Paid {
        platform_no: transaction_id.ok_or("it has no number of WeChat's own")?,
        amount_fen: amount.total,
        paid_at_ms: paid_at.0,
        payer: payer.map(|payer| payer.openid),
    })
}

fn launch_message(appid: &str, timestamp: &str, nonce: &str, package: &str) -> String {
    format!("{appid}\n{timestamp}\n{nonce}\n{package}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::wechat::vectors;

    #[test]
    fn the_published_launch_is_signed_as_published() {
        let package = "prepay_id=wx201410272009395522657a690389285100";
        let message = launch_message("wx2421b1c4370ec43b", "1554208460", "593BEC0C930BF1AFEB40B4A08C8FB242", package);
        assert_eq!(vectors::documented_key().sign(message.as_bytes()), vectors::LAUNCH_SIGNATURE);
    }
}
