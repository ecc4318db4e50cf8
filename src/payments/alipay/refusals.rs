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
    ("ACQ.DISCORDANT_REPEAT_REQUEST", Refusal::Final),
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
            // Called too often; from memory of Alipay's table.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn class(member: &str, meanings: &Meanings) -> Option<Refusal> {
        match Refused::read(member).unwrap().trouble(meanings) {
            Trouble::Refused { refusal, .. } => Some(refusal),
            Trouble::Unknown(..) => None,
        }
    }

    fn business(sub_code: &str, meanings: &Meanings) -> Option<Refusal> {
        let member = format!(r#"{{"code":"40004","msg":"Business Failed","sub_code":"{sub_code}","sub_msg":"x"}}"#);
        class(&member, meanings)
    }

    #[test]
    fn a_code_means_what_it_means_for_the_kind_of_call() {
        assert_eq!(business("ACQ.TRADE_HAS_FINISHED", OF_PAYMENTS), Some(Refusal::AlreadyPaid));
        assert_eq!(business("ACQ.TRADE_HAS_FINISHED", OF_REFUNDS), Some(Refusal::Final));
        assert_eq!(business("aop.ACQ.TRADE_HAS_CLOSE", OF_PAYMENTS), Some(Refusal::Closed));
        assert_eq!(business("ACQ.SELLER_BALANCE_NOT_ENOUGH", OF_REFUNDS), Some(Refusal::Later));
        assert_eq!(business("PAYER_BALANCE_NOT_ENOUGH", OF_TRANSFERS), Some(Refusal::Later));
        assert_eq!(business("EXCEED_LIMIT_SM_AMOUNT", OF_TRANSFERS), Some(Refusal::Final));
    }

    #[test]
    fn what_decides_nothing_stays_unknown() {
        for code in ["ACQ.SYSTEM_ERROR", "aop.ACQ.SYSTEM_ERROR", "isp.unknow-error", "SYSTEM_ERROR", "NEVER_SEEN", ""] {
            for meanings in [OF_PAYMENTS, OF_REFUNDS, OF_TRANSFERS] {
                assert_eq!(business(code, meanings), None, "{code}");
            }
        }
        let unavailable = r#"{"code":"20000","msg":"Service Currently Unavailable","sub_code":"isp.unknow-error"}"#;
        assert_eq!(class(unavailable, OF_PAYMENTS), None);
        assert_eq!(class(r#"{"code":"10003","msg":"order success pay inprocess"}"#, OF_PAYMENTS), None);
    }

    #[test]
    fn the_gateways_refusals_are_of_the_configuration_or_the_request() {
        let gateway = |code: &str, sub_code: &str| {
            class(&format!(r#"{{"code":"{code}","msg":"m","sub_code":"{sub_code}"}}"#), OF_PAYMENTS)
        };
        for sub_code in
            ["isv.invalid-signature", "isv.invalid-app-id", "isv.invalid-timestamp", "isv.invalid-app-cert-sn"]
        {
            assert_eq!(gateway("40002", sub_code), Some(Refusal::Configuration), "{sub_code}");
        }
        assert_eq!(gateway("40006", "isv.insufficient-isv-permissions"), Some(Refusal::Configuration));
        assert_eq!(gateway("40002", "isv.invalid-parameter"), Some(Refusal::Final));
        assert_eq!(gateway("40001", "isv.missing-method"), Some(Refusal::Final));
        assert_eq!(gateway("40002", "never-seen"), None);
    }

    #[test]
    fn yes_is_one_code_without_a_reason() {
        let yes = |member: &str| serde_json::from_str::<Verdict>(member).unwrap().is_yes();
        assert!(yes(r#"{"code":"10000","msg":"Success"}"#));
        assert!(!yes(r#"{"code":"10000","msg":"Success","sub_code":"ACQ.SYSTEM_ERROR"}"#));
        assert!(!yes(r#"{"code":"10003","msg":""}"#));
    }
}
