//! What WeChat's error codes mean for what happens next (`payments.md`, section 2.5). A code that is not listed means that nothing is known:
//! above all, a transfer under another number after one would pay twice.

use serde::Deserialize;

use crate::payments::{Refusal, Trouble};

/// An answer that certainly comes from WeChat and says no.
#[derive(Debug)]
pub struct Refused {
    /// As it was sent.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What came instead of an answer.
#[derive(Debug)]
pub enum Failure {
    /// A verified no.
    Refused(Refused),
    /// Anything else.
    Trouble(Trouble),
}

/// The number is known to nobody.
pub const NOT_FOUND: [&str; 3] = ["ORDERNOTEXIST", "RESOURCENOTEXISTS", "NOTFOUND"];

#[derive(Deserialize)]
struct Body {
    code: String,
    #[serde(default)]
    message: String,
}

const MESSAGE_CHARACTERS_MAX: usize = 200;

impl Refused {
    /// Reads the body of a refusal.
    pub fn read(body: &[u8]) -> Option<Self> {
        let Body { code, message } = serde_json::from_slice(body).ok()?;
        let plain = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        plain.then(|| Self { code, message: super::cut(&message, MESSAGE_CHARACTERS_MAX).to_owned() })
    }

    /// Whether the code is one of these, which are written without underscores: two spellings of many are about.
    pub fn is(&self, codes: &[&str]) -> bool {
        let plain = self.code.replace('_', "");
        codes.contains(&plain.as_str())
    }

    /// What it means.
    pub fn trouble(self) -> Trouble {
        match classify(&self.code.replace('_', "")) {
            Some(refusal) => Trouble::Refused { refusal, code: self.code, message: self.message },
            None => Trouble::unknown(format!("WeChat Pay says {} {}", self.code, self.message)),
        }
    }
}

fn classify(code: &str) -> Option<Refusal> {
    match code {
        "APPIDMCHIDNOTMATCH" | "MCHNOTEXISTS" | "SIGNERROR" | "NOAUTH" => Some(Refusal::Configuration),
        "NOTENOUGH" | "FREQUENCYLIMITED" | "FREQUENCYLIMITEXCEED" | "RATELIMITEXCEEDED" => Some(Refusal::Later),
        "ORDERPAID" => Some(Refusal::AlreadyPaid),
        "ORDERCLOSED" => Some(Refusal::Closed),
        "PARAMERROR"
        | "INVALIDREQUEST"
        | "OUTTRADENOUSED"
        | "TRADEERROR"
        | "RULELIMIT"
        | "ACCOUNTERROR"
        | "USERACCOUNTABNORMAL" => Some(Refusal::Final),
        _ => None,
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Failure::Trouble(trouble)
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) => refused.trouble(),
            Failure::Trouble(trouble) => trouble,
        }
    }
}

/// The answer to a question after a number: none when WeChat does not know it.
///
/// # Errors
/// [`Trouble`].
pub fn found<T>(answer: Result<T, Failure>) -> Result<Option<T>, Trouble> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Failure::Refused(refused)) if refused.is(&NOT_FOUND) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: &str) -> Option<Refusal> {
        match (Refused { code: code.to_owned(), message: String::new() }).trouble() {
            Trouble::Refused { refusal, .. } => Some(refusal),
            Trouble::Unknown(..) => None,
        }
    }

    #[test]
    fn each_code_has_its_class_in_both_spellings() {
        for (codes, expected) in [
            (
                &["APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS", "SIGN_ERROR", "NO_AUTH", "NOAUTH"][..],
                Refusal::Configuration,
            ),
            (&["NOT_ENOUGH", "FREQUENCY_LIMITED", "FREQUENCY_LIMIT_EXCEED", "RATELIMIT_EXCEEDED"], Refusal::Later),
            (&["ORDERPAID", "ORDER_PAID"], Refusal::AlreadyPaid),
            (&["ORDER_CLOSED", "ORDERCLOSED"], Refusal::Closed),
            (
                &[
                    "PARAM_ERROR",
                    "INVALID_REQUEST",
                    "OUT_TRADE_NO_USED",
                    "TRADE_ERROR",
                    "RULE_LIMIT",
                    "RULELIMIT",
                    "ACCOUNT_ERROR",
                    "USER_ACCOUNT_ABNORMAL",
                ],
                Refusal::Final,
            ),
        ] {
            for code in codes {
                assert_eq!(class(code), Some(expected), "{code}");
            }
        }
    }

    #[test]
    fn a_code_that_says_nothing_or_was_never_seen_leaves_it_unknown() {
        for code in
            ["SYSTEM_ERROR", "SYSTEMERROR", "BANK_ERROR", "USERPAYING", "USER_PAYING", "ACCEPTED", "NEW_IN_2031"]
        {
            assert_eq!(class(code), None, "{code}");
        }
    }

    #[test]
    fn what_is_not_a_refusal_is_not_read_as_one() {
        for body in [&b""[..], b"[]", b"<html>", br#"{"message":"no code"}"#, br#"{"code":"A\nB"}"#, br#"{"code":5}"#] {
            assert!(Refused::read(body).is_none());
        }
        let refused = Refused::read(r#"{"code":"ORDER_NOT_EXIST","message":"订单不存在","detail":{}}"#.as_bytes());
        assert!(refused.is_some_and(|refused| refused.is(&NOT_FOUND) && refused.message == "订单不存在"));
    }
}
