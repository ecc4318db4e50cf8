//! Text as people type it: kept to the letter, bounded, never cut.

/// Text that says something and holds at most `MAX` characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text<const MAX: usize>(String);

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Nothing but white space.
    #[error("不能为空")]
    Blank,
    /// Longer than this many characters.
    #[error("不能超过{0}个字符")]
    TooLong(usize),
    /// A control character other than a line break or a tab.
    #[error("含有不可见的控制字符")]
    Control,
}

impl<const MAX: usize> Text<MAX> {
    /// Takes the text as it is.
    pub fn new(text: String) -> Result<Self, BadText> {
        if text.trim().is_empty() {
            return Err(BadText::Blank);
        }
        // A string of n bytes has at most n characters, so only long ones are counted.
        if text.len() > MAX && text.chars().count() > MAX {
            return Err(BadText::TooLong(MAX));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            return Err(BadText::Control);
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, given away.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const MAX: usize> From<Text<MAX>> for String {
    fn from(text: Text<MAX>) -> String {
        text.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bounded_in_characters_and_kept_to_the_letter() {
        assert_eq!(Text::<3>::new("张三 ".into()).map(String::from), Ok("张三 ".to_owned()));
        assert_eq!(Text::<3>::new("张三李四".into()), Err(BadText::TooLong(3)));
        assert_eq!(Text::<3>::new(" \t".into()), Err(BadText::Blank));
        assert_eq!(Text::<3>::new("a\0".into()), Err(BadText::Control));
    }
}
