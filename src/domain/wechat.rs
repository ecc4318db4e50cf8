//! WeChat accounts, and the codes that the front desk gives out to bind one to a user.

use std::fmt;

use super::time::MINUTE_MS;

/// Who somebody is to this mini-program. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Openid(String);

/// Characters of an openid at most; WeChat's have 28.
const OPENID_CHARACTERS_MAX: usize = 128;

/// A text that is no openid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("openid格式不正确")]
pub struct NotAnOpenid;

impl Openid {
    /// Takes what WeChat said.
    pub fn new(text: String) -> Result<Self, NotAnOpenid> {
        let sound =
            (1..=OPENID_CHARACTERS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(Self(text)) } else { Err(NotAnOpenid) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Openid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Openid")
    }
}

/// How long a bind code is good.
pub const BIND_CODE_MS: i64 = 30 * MINUTE_MS;
/// Characters of a bind code.
const BIND_CODE_CHARACTERS: usize = 8;
/// Capitals and digits that nobody takes for another: without 0 and O, 1, I and L.
const BIND_CODE_ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/// The code that random bytes spell, each character equally likely; `None` when they were too few.
pub fn bind_code(random: &[u8]) -> Option<String> {
    let characters = random.iter().filter_map(|byte| BIND_CODE_ALPHABET.get(usize::from(byte & 31)));
    let code: String = characters.take(BIND_CODE_CHARACTERS).map(|byte| char::from(*byte)).collect();
    (code.len() == BIND_CODE_CHARACTERS).then_some(code)
}

/// A bind code as it is compared, whatever the case and spacing in which it was typed.
pub fn normalized_bind_code(typed: &str) -> String {
    typed.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_code_has_eight_characters_that_cannot_be_confused() {
        let random: Vec<u8> = (0..=255).collect();
        let code = bind_code(&random).expect("enough bytes");
        assert_eq!(code, "23456789");
        assert_eq!(bind_code(&[31, 63, 95, 0, 1, 2, 3, 4, 5, 6]), None);
        assert!(!BIND_CODE_ALPHABET.iter().any(|byte| b"01OIL".contains(byte)));
    }

    #[test]
    fn a_bind_code_is_the_same_however_it_is_typed() {
        assert_eq!(normalized_bind_code(" abcd-2345 "), "ABCD2345");
    }

    #[test]
    fn an_openid_is_short_and_visible_and_never_shows_itself() {
        assert!(Openid::new(String::new()).is_err());
        assert!(Openid::new("a b".to_owned()).is_err());
        assert!(Openid::new("o".repeat(129)).is_err());
        let openid = Openid::new("oABC-1_x".to_owned()).expect("sound");
        assert_eq!(format!("{openid:?}"), "Openid");
    }
}
