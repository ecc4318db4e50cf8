//! A call on its way from a site to the center, which has the merchant's keys for a chain, and what came of it on its way back.

use serde::{Deserialize, Serialize};

use super::{Call, NoticeChannel, Outcome, Refusal, Trouble};

/// What a site asks the center to ask of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The epoch of the box: the center makes no call for one that another has taken the place of.
    pub epoch: String,
    /// Which platform.
    pub channel: NoticeChannel,
    /// What is asked of it.
    pub call: Call,
}

/// What came of a call. It says `outcome` or `trouble`; an answer that says anything else is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The platform said this.
    Outcome(Outcome),
    /// It said nothing that can be relied on, or no.
    Trouble(Told),
}

/// A [`Trouble`] as it travels: its cause stays in the log of the center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// [`Trouble::Unknown`].
    Unknown(String),
    /// [`Trouble::Refused`].
    Refused {
        /// What that means for what happens next.
        refusal: Refusal,
        /// The platform's code, or the center's.
        code: String,
        /// The text; it holds no secret.
        message: String,
    },
}

impl From<Result<Outcome, Trouble>> for Answer {
    fn from(result: Result<Outcome, Trouble>) -> Self {
        match result {
            Ok(outcome) => Answer::Outcome(outcome),
            Err(Trouble::Unknown(what, _)) => Answer::Trouble(Told::Unknown(what)),
            Err(Trouble::Refused { refusal, code, message }) => {
                Answer::Trouble(Told::Refused { refusal, code, message })
            }
        }
    }
}

impl From<Answer> for Result<Outcome, Trouble> {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Outcome(outcome) => Ok(outcome),
            Answer::Trouble(Told::Unknown(what)) => Err(Trouble::unknown(what)),
            Answer::Trouble(Told::Refused { refusal, code, message }) => {
                Err(Trouble::Refused { refusal, code, message })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::PaymentState;

    #[test]
    fn an_answer_of_the_wrong_shape_is_none() {
        for text in ["{}", "null", r#"{"outcome":{}}"#, r#"{"trouble":"later"}"#, r#"{"answer":{"state":"closed"}}"#] {
            assert!(serde_json::from_str::<Answer>(text).is_err(), "{text}");
        }
        let text = r#"{"outcome":{"outcome":"payment","state":"closed"}}"#;
        let read: Answer = serde_json::from_str(text).expect("an answer");
        assert_eq!(read, Answer::Outcome(Outcome::Payment(PaymentState::Closed)));
        assert_eq!(serde_json::to_string(&read).expect("writes"), text);
    }
}
