//! What is refused from a payment platform or does not fit what is known, for a person to look at.

use super::payments::{UnknownWord, words};

/// Open anomalies of one kind that are kept at most: whoever forges notifications can't fill the disk.
pub const OPEN_MAX: i64 = 1_000;
/// Characters of an anomaly's detail at most.
const DETAIL_CHARS_MAX: usize = 500;
/// Characters of the number that an anomaly is about at most.
const NUMBER_CHARS_MAX: usize = 64;

words! {
    /// What is wrong.
    AnomalyKind ("没有这种异常") {
        /// A notification that is not the platform's, is too old, or can't be read.
        Forged = "forged",
        /// The platform's, but for another merchant, app or currency.
        Mismatch = "mismatch",
        /// The platform's, about a number that nobody gave out.
        UnknownNumber = "unknown_number",
        /// The platform's, with another amount than the order's.
        Amount = "amount",
        /// The platform's, with another payer than the order's.
        Payer = "payer",
        /// Paid after the order had been closed or had failed: the money has to go back.
        LatePayment = "late_payment",
        /// What it says can't follow on what is known.
        Contradiction = "contradiction",
        /// The platform refuses, or does not say, for too long.
        Unresolved = "unresolved",
        /// The platform says that the configuration is wrong, or that the merchant's account is empty.
        Configuration = "configuration",
    }
}

/// The detail as it may be kept: cut to its limit, without control characters and without anything that could be a card's number.
pub fn safe_detail(text: &str) -> String {
    safe(text, DETAIL_CHARS_MAX)
}

/// The number as it may be kept; by the same rules.
pub fn safe_number(text: &str) -> String {
    safe(text, NUMBER_CHARS_MAX)
}

fn safe(text: &str, chars_max: usize) -> String {
    let text: String = text.chars().filter(|character| !character.is_control()).take(chars_max).collect();
    without_card_numbers(&text)
}

/// Digits of a card's number (ISO/IEC 7812): our own numbers and those of the platforms have more or fewer.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Digits of a card's number that may be shown.
const CARD_TAIL: usize = 4;

/// Hides every run of digits that could be a card's number but for its last four.
fn without_card_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|character: char| !character.is_ascii_digit()).unwrap_or(from.len());
        let (digits, after) = from.split_at(end);
        kept.push_str(before);
        if CARD_DIGITS.contains(&digits.len()) && passes_luhn(digits) {
            kept.push_str("****");
            kept.push_str(&digits[digits.len() - CARD_TAIL..]);
        } else {
            kept.push_str(digits);
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// Whether the last digit checks the others, as on every bank card.
fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            let doubled = digit * 2;
            match place % 2 {
                0 => digit,
                _ if doubled > 9 => doubled - 9,
                _ => doubled,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_hidden_and_ours_are_not() {
        assert_eq!(safe_detail("card 6222021234567890128 was"), "card ****0128 was");
        assert_eq!(safe_detail("4111111111111111"), "****1111");
        for kept in ["P20260302170005000042", "4200001234202603021234567890", "4111111111111112", "参考号012345678901"]
        {
            assert_eq!(safe_detail(kept), kept);
        }
    }

    #[test]
    fn what_is_kept_has_a_limit_and_no_control_characters() {
        assert_eq!(safe_detail(&"鱼".repeat(10_000)).chars().count(), DETAIL_CHARS_MAX);
        assert_eq!(safe_number("P1\r\n\u{7}2"), "P12");
    }
}
