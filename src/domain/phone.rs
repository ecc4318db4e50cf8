//! Telephone numbers and other ways to reach a person.

/// The number as it is compared: digits and a leading plus, without spaces, dashes, brackets and China's country code.
pub fn normalized(contact: &str) -> String {
    let bare: String =
        contact.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '（' | '）' | '\u{a0}')).collect();
    let bare = bare.strip_prefix("+86").or_else(|| bare.strip_prefix("0086")).unwrap_or(&bare);
    bare.to_lowercase()
}

/// The contact as logs and audit rows may show it: the first three and the last two characters at most.
pub fn masked(contact: &str) -> String {
    let characters: Vec<char> = contact.chars().collect();
    if characters.len() < 8 {
        return "***".to_owned();
    }
    let head: String = characters[..3].iter().collect();
    let tail: String = characters[characters.len() - 2..].iter().collect();
    format!("{head}******{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number_compare_equal() {
        for spelling in ["13800138000", "138 0013 8000", "+86 138-0013-8000", "008613800138000"] {
            assert_eq!(normalized(spelling), "13800138000", "{spelling}");
        }
    }

    #[test]
    fn a_masked_number_cannot_be_called() {
        assert_eq!(masked("13800138000"), "138******00");
        assert_eq!(masked("12345"), "***");
    }
}
