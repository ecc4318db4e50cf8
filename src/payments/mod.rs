//! The payment platforms: one adapter each behind [`Gateway`], and the calls that a site makes of them, as data, so that they can be
//! kept before they are made and carried to the center when the merchant's keys are there (`payments.md`).
//!
//! It knows the platforms' protocols. It must not know the database, the site's HTTP edge or what an order is for.

pub mod alipay;
pub mod china_time;
pub mod config;
pub mod fields;
pub mod forwarder;
pub mod gateways;
pub mod http;
pub mod keys;
pub mod relayed;
pub mod signing;
pub mod unionpay;
pub mod wechat;

use std::error::Error as StdError;

use async_trait::async_trait;
use axum::http::HeaderMap;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::domain::money::Fen;
use crate::domain::payments::Channel;
use crate::domain::time::Instant;

/// What a platform is asked to do. Everything in it is fixed before the first attempt and repeated as it is: a platform refuses a known
/// number with other parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// Let somebody pay.
    Create(Create),
    /// How does a payment stand?
    Query(Query),
    /// Let nobody pay it any more.
    Close(Query),
    /// Give money back.
    Refund(Refund),
    /// How does a refund stand?
    QueryRefund(Refund),
    /// Pay somebody.
    Transfer(Transfer),
    /// How does a payout stand?
    QueryTransfer(Transfer),
    /// Take a payout back that its payee has not accepted.
    CancelTransfer(Transfer),
    /// What does the platform's bill of a day say?
    Bill(BillOf),
}

/// A payment to be made possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// The number at the platform.
    pub order_no: String,
    /// For which the platform's own word is the adapter's business.
    pub scene: Scene,
    /// In fen.
    pub amount_fen: i64,
    /// What the payer reads.
    pub subject: String,
    /// When the intent was recorded, in milliseconds UTC; UnionPay's `txnTime`.
    pub at_ms: i64,
    /// The last moment to pay, in milliseconds UTC.
    pub expires_at_ms: i64,
}

/// Where the payer pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scene", rename_all = "snake_case")]
pub enum Scene {
    /// By scanning a code.
    Code,
    /// In the mini-program, as this account of it.
    MiniProgram {
        /// WeChat's name for the account.
        openid: String,
    },
}

/// Which payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The number at the platform.
    pub order_no: String,
    /// In fen, to be compared with what the platform says.
    pub amount_fen: i64,
    /// That of [`Create::at_ms`]: UnionPay knows an order by number and time.
    pub at_ms: i64,
}

/// A refund to be made, whole or in part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The refund's own number.
    pub refund_no: String,
    /// The payment's number at the platform.
    pub order_no: String,
    /// The platform's own number of the payment.
    pub platform_no: String,
    /// How much is given back, in fen.
    pub amount_fen: i64,
    /// How much was paid, in fen.
    pub paid_fen: i64,
    /// Why, for the payer to read.
    pub reason: String,
    /// When the intent was recorded, in milliseconds UTC.
    pub at_ms: i64,
    /// When the payment was made, in milliseconds UTC: UnionPay voids on the same day and refunds later.
    pub paid_at_ms: i64,
}

/// A payout to a wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The number at the platform.
    pub order_no: String,
    /// In fen.
    pub amount_fen: i64,
    /// The payee: WeChat's openid, or Alipay's login name or user id.
    pub account: String,
    /// The payee's real name, which the platform checks.
    pub name: Option<String>,
    /// What the payee reads.
    pub subject: String,
    /// When the intent was recorded, in milliseconds UTC.
    pub at_ms: i64,
}

/// Which bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillOf {
    /// The day, `YYYY-MM-DD`, in China.
    pub date: Date,
}

/// What a platform said. Times are in milliseconds UTC, amounts in fen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The payer may pay.
    Created {
        /// What the code says that the payer scans; none inside the mini-program.
        payment_url: Option<String>,
        /// The signed parameters of `wx.requestPayment`; none for a code.
        launch: Option<serde_json::Value>,
    },
    /// How a payment stands, to [`Call::Query`] and [`Call::Close`].
    Payment(PaymentState),
    /// How a refund stands.
    Refund(RefundState),
    /// How a payout stands.
    Transfer(TransferState),
    /// The bill.
    Bill(Bill),
}

/// How a payment stands at the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PaymentState {
    /// The platform has never heard of it, or not yet: Alipay knows a trade only once its code was scanned.
    NotFound,
    /// Nobody has paid yet.
    Unpaid,
    /// It was paid, whatever happened to the money afterwards.
    Paid(Paid),
    /// Nobody can pay it any more, and nobody has.
    Closed,
    /// The platform says that the payment failed for good.
    Failed {
        /// The platform's reason.
        reason: String,
    },
}

/// A payment that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// The platform's own number.
    pub platform_no: String,
    /// The order's amount as the platform has it; what the payer paid after coupons is not compared with anything.
    pub amount_fen: i64,
    /// When.
    pub paid_at_ms: i64,
    /// WeChat's openid of the payer, where there is one.
    pub payer: Option<String>,
}

/// How a refund stands at the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RefundState {
    /// The platform does not know it, or not yet.
    NotFound,
    /// It is being worked on.
    Processing,
    /// The payer has the money.
    Succeeded {
        /// When.
        at_ms: i64,
        /// The platform's own number, if it gave one.
        platform_no: Option<String>,
    },
    /// It will not be made.
    Failed {
        /// The platform's reason.
        reason: String,
    },
    /// The platform can't reach the payer's account: a person has to act.
    Abnormal,
}

/// How a payout stands at the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TransferState {
    /// The platform does not know it, or not yet.
    NotFound,
    /// It is being worked on.
    Processing,
    /// Its payee has to accept it.
    WaitConfirm {
        /// What `wx.requestMerchantTransfer` wants, where the platform still tells it.
        launch: Option<serde_json::Value>,
    },
    /// It is being taken back.
    Cancelling,
    /// The payee has the money.
    Succeeded {
        /// When.
        at_ms: i64,
        /// The platform's own number.
        platform_no: String,
    },
    /// It will not be made, or was not accepted in time.
    Failed {
        /// The platform's reason.
        reason: String,
    },
    /// It was taken back.
    Cancelled,
    /// It came back after it had been made.
    Returned {
        /// The platform's reason.
        reason: String,
    },
}

/// A day's bill of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Bill {
    /// It is not made yet; ask later.
    NotReady,
    /// Nothing happened on that day.
    Empty,
    /// It is here.
    Ready {
        /// What it says.
        rows: Vec<BillRow>,
        /// SHA-256 of the file as it was downloaded, in hexadecimal.
        sha256: String,
        /// The file as it was downloaded, Base64.
        raw: String,
    },
}

/// A line of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillRow {
    /// What happened.
    pub kind: BillKind,
    /// The payment's, or the payout's, number at the platform.
    pub order_no: String,
    /// The refund's number, for a refund.
    pub refund_no: Option<String>,
    /// The platform's own number.
    pub platform_no: String,
    /// How much, in fen, never negative.
    pub amount_fen: i64,
    /// What the platform kept for itself, in fen; negative when it gave a fee back.
    pub fee_fen: i64,
    /// When, in milliseconds UTC.
    pub at_ms: i64,
}

/// What a line of a bill is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillKind {
    /// Somebody paid.
    Payment,
    /// Money was given back.
    Refund,
    /// Somebody was paid.
    Transfer,
}

/// Why a call came to nothing that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It is not known what the platform did: no whole answer, one that does not verify, or one that says nothing final. Ask, or repeat the same.
    #[error("it is not known what came of it: {0}")]
    Unknown(String, #[source] Option<Box<dyn StdError + Send + Sync>>),
    /// The platform certainly refused.
    #[error("refused: {code} {message}")]
    Refused {
        /// What that means for what happens next.
        refusal: Refusal,
        /// The platform's code.
        code: String,
        /// The platform's text; it holds no secret.
        message: String,
    },
}

/// What a certain refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The platform is not configured, or the configuration is wrong: nothing went wrong with this order. Alarm, keep, repeat later.
    Configuration,
    /// The same request will do later: too often, or the merchant's balance is too low.
    Later,
    /// The order was paid already: ask and book.
    AlreadyPaid,
    /// The order is closed at the platform.
    Closed,
    /// The number is known with other parameters, or the parameters are wrong, or the business says no: this very request will never do. Before
    /// anything is decided about the order, ask how it stands.
    Final,
}

impl Trouble {
    /// Nothing is known.
    pub fn unknown(what: impl Into<String>) -> Self {
        Trouble::Unknown(what.into(), None)
    }

    /// This program refuses by itself, before anything is sent, what the platform would refuse for good.
    pub fn final_refusal(code: &str, message: &str) -> Self {
        Trouble::Refused { refusal: Refusal::Final, code: code.to_owned(), message: message.to_owned() }
    }

    /// Nothing is known, for this reason. A URL is left out of it, since it may hold a secret.
    pub fn unreachable(error: reqwest::Error) -> Self {
        Trouble::Unknown("no whole answer came".to_owned(), Some(Box::new(error.without_url())))
    }
}

/// One platform, with one merchant's keys.
///
/// Each call may be repeated with the same arguments. None retries by itself; each ends within ten seconds.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Lets somebody pay; gives [`Outcome::Created`].
    async fn create(&self, call: &Create, now: Instant) -> Result<Outcome, Trouble>;

    /// Asks how a payment stands.
    async fn query(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble>;

    /// Lets nobody pay any more; gives how it stands then: [`PaymentState::Closed`], or [`PaymentState::Paid`] when that came first.
    async fn close(&self, call: &Query, now: Instant) -> Result<PaymentState, Trouble>;

    /// Gives money back.
    async fn refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble>;

    /// Asks how a refund stands.
    async fn query_refund(&self, call: &Refund, now: Instant) -> Result<RefundState, Trouble>;

    /// Pays somebody.
    async fn transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble>;

    /// Asks how a payout stands.
    async fn query_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble>;

    /// Takes a payout back that its payee has not accepted.
    async fn cancel_transfer(&self, call: &Transfer, now: Instant) -> Result<TransferState, Trouble>;

    /// Fetches the bill of a day.
    async fn bill(&self, date: Date, now: Instant) -> Result<Bill, Trouble>;

    /// Reads a notification: verifies it first, and gives what it says of an order of this very merchant and app.
    ///
    /// # Errors
    /// [`Distrust`] when nothing of it may be believed.
    fn read_notice(&self, headers: &HeaderMap, body: &[u8], now: Instant) -> Result<Notice, Distrust>;

    /// What the platform wants to hear when a notification was taken or not.
    fn acknowledgement(&self, taken: bool) -> Acknowledgement;
}

/// A platform's own kind of answer to its notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The HTTP status.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: &'static str,
}

/// Why a notification is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// A test of WeChat's, whether signatures are checked: refused, and nobody needs to hear of it.
    #[error("a signature probe")]
    Probe,
    /// It is not signed by the platform, or too old, or can't be read.
    #[error("{0}")]
    Forged(String),
    /// It is the platform's, but not for this merchant or app, or in another currency.
    #[error("{0}")]
    Mismatch(String),
}

/// What a verified notification says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Which platform sent it.
    pub channel: NoticeChannel,
    /// What a repeat of it is known by.
    pub event_key: String,
    /// What happened.
    pub event: Event,
}

/// The platform of a notice, as it travels in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeChannel {
    /// WeChat Pay.
    Wechat,
    /// Alipay.
    Alipay,
    /// UnionPay.
    Unionpay,
}

impl From<Channel> for NoticeChannel {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Wechat => NoticeChannel::Wechat,
            Channel::Alipay => NoticeChannel::Alipay,
            Channel::Unionpay => NoticeChannel::Unionpay,
        }
    }
}

impl From<NoticeChannel> for Channel {
    fn from(channel: NoticeChannel) -> Self {
        match channel {
            NoticeChannel::Wechat => Channel::Wechat,
            NoticeChannel::Alipay => Channel::Alipay,
            NoticeChannel::Unionpay => Channel::Unionpay,
        }
    }
}

/// What a notification is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A payment.
    Payment {
        /// The number at the platform.
        order_no: String,
        /// How it stands.
        standing: PaymentState,
    },
    /// A refund.
    Refund {
        /// The refund's number.
        refund_no: String,
        /// The amount, where the notification tells it.
        amount_fen: Option<i64>,
        /// How it stands.
        standing: RefundState,
    },
    /// A payout.
    Transfer {
        /// The number at the platform.
        order_no: String,
        /// The amount, where the notification tells it.
        amount_fen: Option<i64>,
        /// How it stands.
        standing: TransferState,
    },
    /// Something that asks for nothing, such as a trade that only says that it was refunded.
    Nothing {
        /// The number that it is about.
        order_no: String,
    },
}

impl Event {
    /// The number that it is about.
    pub fn number(&self) -> &str {
        match self {
            Event::Payment { order_no, .. } | Event::Transfer { order_no, .. } | Event::Nothing { order_no } => {
                order_no
            }
            Event::Refund { refund_no, .. } => refund_no,
        }
    }
}

/// Whoever makes a call of a platform: this very program with the merchant's keys, or the center on its behalf.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Makes the call.
    async fn make(&self, channel: Channel, call: &Call) -> Result<Outcome, Trouble>;
}

/// At most so many characters of a text, as platforms count them.
pub fn cut(text: &str, characters_max: usize) -> &str {
    text.char_indices().nth(characters_max).map_or(text, |(end, _)| &text[..end])
}

/// Amounts as platforms want them.
pub mod amounts {
    use super::Fen;

    /// Yuan with two decimals, as Alipay and the bills write them. Never by way of a float.
    pub fn yuan(fen: i64) -> String {
        Fen(fen).to_string()
    }

    /// Fen from yuan with at most two decimals that are not zero; none when it is not such an amount.
    pub fn fen(yuan: &str) -> Option<i64> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, decimals) = yuan.split_once('.').unwrap_or((yuan, ""));
        let unsigned = whole.strip_prefix('-').unwrap_or(whole);
        let kept = decimals.trim_end_matches('0');
        if unsigned.is_empty() || !digits(unsigned) || !digits(decimals) || kept.len() > 2 {
            return None;
        }
        format!("{whole}.{kept:0<2}").parse::<Fen>().ok().map(|fen| fen.0)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn yuan_become_fen_without_a_float() {
            for (text, expected) in [
                ("19.90", 1_990),
                ("19.9", 1_990),
                ("12888", 1_288_800),
                ("0.01", 1),
                ("-15.01", -1_501),
                ("-0.00", 0),
                ("0.60000", 60),
                ("99999999.99", 9_999_999_999),
            ] {
                assert_eq!(fen(text), Some(expected), "{text}");
            }
            assert_eq!(yuan(1_990), "19.90");
        }

        #[test]
        fn what_is_no_amount_is_none() {
            for text in
                ["", ".", "-", ".5", "-.5", "19.901", "1e3", "+1.00", "1,000.00", "19.9.0", "１.00", "9999999999999.00"]
            {
                assert_eq!(fen(text), None, "{text}");
            }
        }
    }
}
