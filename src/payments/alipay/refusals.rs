//! What Alipay's codes mean (`payments.md`, section 3.3). The tables are the communities' copies of Alipay's own; a code that is in none of
//! them decides nothing.

use std::fmt;

use serde::Deserialize;

use crate::payments::{Refusal, Trouble, cut};

/// How an answer judges the request.
#[derive(Deserialize)]
pub struct Verdict {
    code: String,
    #[serde(default)]
    msg: String,
    sub_code: Option<String>,
    sub_msg: Option<String>,
}

/// An answer that certainly comes from Alipay and does not say yes.
#[derive(Debug)]
pub struct Refused {
    /// The kind.
    pub code: String,
    /// The reason, without the `aop.` that some answers put before it.
    pub sub_code: String,
    /// For people.
    message: String,
}

/// What came instead of an answer.
#[derive(Debug)]
pub enum Failure {
    /// A verified no.
    Refused(Refused),
    /// Anything else.
    Trouble(Trouble),
}

/// What codes mean for one kind of call.
pub type Meanings = [(&'static str, Refusal)];

/// For payments.
pub const OF_PAYMENTS: &Meanings = &[
    ("ACQ.TRADE_HAS_SUCCESS", Refusal::AlreadyPaid),
    ("ACQ.TRADE_HAS_FINISHED", Refusal::AlreadyPaid),
    ("ACQ.TRADE_HAS_CLOSE", Refusal::Closed),
    ("ACQ.CONTEXT_INCONSISTENT", Refusal::Final),
    ("ACQ.INVALID_PARAMETER", Refusal::Final),
    ("ACQ.TOTAL_FEE_EXCEED", Refusal::Final),
    ("ACQ.ACCESS_FORBIDDEN", Refusal::Configuration),
    ("ACQ.PARTNER_ERROR", Refusal::Configuration),
];

/// For refunds.
pub const OF_REFUNDS: &Meanings = &[
    ("ACQ.SELLER_BALANCE_NOT_ENOUGH", Refusal::Later),
    ("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", Refusal::Final),
    ("ACQ.TRADE_NOT_ALLOW_REFUND", Refusal::Final),
    // A finished trade can't be refunded any more.
    ("ACQ.TRADE_HAS_FINISHED", Refusal::Final),
    ("ACQ.TRADE_HAS_CLOSE", Refusal::Final),
    ("ACQ.TRADE_NOT_EXIST", Refusal::Final),
    ("ACQ.CONTEXT_INCONSISTENT", Refusal::Final),
    ("ACQ.INVALID_PARAMETER", Refusal::Final),
    ("ACQ.ACCESS_FORBIDDEN", Refusal::Configuration),
    ("ACQ.PARTNER_ERROR", Refusal::Configuration),
];

/// For transfers. [`Refusal::Final`] does not mean that the number is free: the caller asks first how it stands.
pub const OF_TRANSFERS: &Meanings = &[
    ("PAYER_BALANCE_NOT_ENOUGH", Refusal::Later),
    ("PAYMENT_INFO_INCONSISTENCY", Refusal::Final),
    ("PAYEE_NOT_EXIST", Refusal::Final),
    ("PAYEE_USER_INFO_ERROR", Refusal::Final),
    ("PERM_AML_NOT_REALNAME_REV", Refusal::Final),
    ("REMARK_HAS_SENSITIVE_WORD", Refusal::Final),
    ("INVALID_PARAMETER", Refusal::Final),
];

/// The beginning of the codes that say that a transfer is above one of many limits.
const ABOVE_A_LIMIT: &str = "EXCEED_LIMIT_";

const MESSAGE_CHARACTERS_MAX: usize = 200;
const CODE_BYTES_MAX: usize = 96;

impl Verdict {
    /// Whether it was done.
    pub fn is_yes(&self) -> bool {
        self.code == "10000" && self.sub_code.as_deref().unwrap_or_default().is_empty()
    }
}

impl From<Verdict> for Refused {
    fn from(verdict: Verdict) -> Self {
        let sub_code = verdict.sub_code.unwrap_or_default();
        let sub_code = sub_code.strip_prefix("aop.").unwrap_or(&sub_code);
        let message = verdict.sub_msg.unwrap_or(verdict.msg);
        Self {
            code: cut(&verdict.code, CODE_BYTES_MAX).to_owned(),
            sub_code: cut(sub_code, CODE_BYTES_MAX).to_owned(),
            message: cut(&message, MESSAGE_CHARACTERS_MAX).to_owned(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.sub_code, self.message)
    }
}

impl Refused {
    /// Reads what may be a refusal.
    pub fn read(member: &str) -> Option<Self> {
        serde_json::from_str::<Verdict>(member).ok().map(Self::from)
    }

    /// Whether this is the reason.
    pub fn is(&self, sub_code: &str) -> bool {
        self.sub_code == sub_code
    }

    /// What it means, by the meanings that codes have for this kind of call.
    pub fn trouble(self, meanings: &Meanings) -> Trouble {
        let known = meanings.iter().find(|(code, _)| self.is(code)).map(|(_, refusal)| *refusal);
        let limit = self.sub_code.starts_with(ABOVE_A_LIMIT).then_some(Refusal::Final);
        match known.or(limit).or_else(|| self.of_gateway()) {
            Some(refusal) => Trouble::Refused { refusal, code: self.sub_code, message: self.message },
            None => Trouble::unknown(format!("Alipay says {self}")),
        }
    }

    /// What the gateway's own refusals mean, which come before anything is done.
    fn of_gateway(&self) -> Option<Refusal> {
        match self.code.as_str() {
            // No right to call the method.
            "40006" => Some(Refusal::Configuration),
            "40001" => Some(Refusal::Final),
            "40002" => match self.sub_code.as_str() {
                "isv.invalid-parameter" => Some(Refusal::Final),
                // The app, its key or certificate, the clock: it is not this order's fault.
                sub_code if sub_code.starts_with("isv.") => Some(Refusal::Configuration),
                _ => None,
            },
            "40005" => Some(Refusal::Later),
            _ => None,
        }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Failure::Trouble(trouble)
    }
}

impl Failure {
    /// What it means, by the meanings that codes have for this kind of call.
    pub fn trouble(self, meanings: &Meanings) -> Trouble {
        match self {
            Failure::Refused(refused) => refused.trouble(meanings),
            Failure::Trouble(trouble) => trouble,
        }
    }
}
