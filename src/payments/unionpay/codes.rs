//! What UnionPay's two digits mean (`payments.md`, section 4.2).

use crate::payments::fields::Fields;
use crate::payments::{Refusal, Trouble, cut};

/// Done; of a request that makes something, only that it was taken.
pub const DONE: &str = "00";
/// Nobody knows the number and time.
pub const NOT_FOUND: &str = "34";
/// The number was used before.
pub const REPEATED: &str = "12";
/// There is no such file.
pub const NO_FILE: &str = "98";
/// The platform itself does not know yet.
const STILL_UNKNOWN: [&str; 3] = ["03", "04", "05"];
/// What several integrations have seen although something was done.
const DOUBTFUL: [&str; 4] = ["01", REPEATED, NOT_FOUND, "60"];
/// The signature or the certificate is not good: nothing is wrong with the order. From memory of UnionPay's table.
const BAD_SIGNATURE: &str = "11";
const MESSAGE_CHARACTERS_MAX: usize = 200;

/// How the transaction stands that a query asked about.
#[derive(Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was made.
    Done,
    /// It may still be made.
    Open,
    /// It was not made.
    Failed(String),
}

/// Reads `origRespCode` of an answer to a query.
pub fn origin(answer: &Fields) -> Result<Origin, Trouble> {
    match code(answer, "origRespCode") {
        "" => Err(Trouble::unknown("the answer says nothing of the transaction")),
        DONE => Ok(Origin::Done),
        code if STILL_UNKNOWN.contains(&code) => Ok(Origin::Open),
        code => {
            let message = answer.get("origRespMsg").map_or("", String::as_str);
            Ok(Origin::Failed(cut(&format!("{code} {message}"), MESSAGE_CHARACTERS_MAX).to_owned()))
        }
    }
}

/// The code of an answer.
pub fn response(answer: &Fields) -> &str {
    code(answer, "respCode")
}

/// What an answer means that is not [`DONE`].
pub fn trouble(answer: &Fields) -> Trouble {
    let code = response(answer);
    let message = answer.get("respMsg").map_or("", |message| cut(message, MESSAGE_CHARACTERS_MAX));
    tracing::warn!(code, "UnionPay did not do it");
    if code.is_empty() || STILL_UNKNOWN.contains(&code) || DOUBTFUL.contains(&code) {
        return Trouble::unknown(format!("UnionPay says {code} {message}"));
    }
    let refusal = if code == BAD_SIGNATURE { Refusal::Configuration } else { Refusal::Final };
    Trouble::Refused { refusal, code: code.to_owned(), message: message.to_owned() }
}

fn code<'a>(answer: &'a Fields, name: &str) -> &'a str {
    answer.get(name).map_or("", |code| cut(code, 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::fields::fields;

    #[test]
    fn each_code_has_its_class() {
        let class = |code: &str| match trouble(&fields([("respCode", code), ("respMsg", "x")])) {
            Trouble::Refused { refusal, .. } => Some(refusal),
            Trouble::Unknown(..) => None,
        };
        for code in ["", "03", "04", "05", "01", "12", "34", "60"] {
            assert_eq!(class(code), None, "{code}");
        }
        assert_eq!(class("11"), Some(Refusal::Configuration));
        for code in ["02", "10", "13", "37", "99", "A6"] {
            assert_eq!(class(code), Some(Refusal::Final), "{code}");
        }
    }

    #[test]
    fn the_code_of_the_query_is_not_that_of_the_transaction() {
        let of = |code: &str| {
            origin(&fields([("respCode", "00"), ("origRespCode", code), ("origRespMsg", "余额不足")])).ok()
        };
        assert_eq!(of("00"), Some(Origin::Done));
        for code in ["03", "04", "05"] {
            assert_eq!(of(code), Some(Origin::Open));
        }
        assert_eq!(of("51"), Some(Origin::Failed("51 余额不足".to_owned())));
        assert_eq!(of(""), None);
    }
}
