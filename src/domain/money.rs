//! Money: integer fen inside, two decimals outside, never a float.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// An amount in fen (0.01 yuan).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Fen(pub i64);

impl Fen {
    /// The largest amount that one entry may hold: 99,999,999.99 yuan.
    pub const MAX: Fen = Fen(9_999_999_999);

    /// No money.
    pub const ZERO: Fen = Fen(0);
}

/// Why a text is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMoney {
    /// Not a decimal number.
    #[error("金额应为数字")]
    NotANumber,
    /// More than two digits after the point.
    #[error("金额最多两位小数")]
    TooPrecise,
    /// Beyond ±99,999,999.99.
    #[error("金额不能超过99999999.99")]
    TooLarge,
}

impl FromStr for Fen {
    type Err = NotMoney;

    /// Reads a JSON number's own text (`58`, `58.00`, `5.8e1`), so that no float ever stands between.
    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let decimal =
            if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { Decimal::from_str_exact(text) }
                .map_err(|_| NotMoney::NotANumber)?;
        if decimal.scale() > 2 {
            return Err(NotMoney::TooPrecise);
        }
        let fen = decimal.checked_mul(Decimal::ONE_HUNDRED).and_then(|fen| fen.to_i64()).ok_or(NotMoney::TooLarge)?;
        if fen.abs() > Self::MAX.0 { Err(NotMoney::TooLarge) } else { Ok(Self(fen)) }
    }
}

impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fen = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", fen / 100, fen % 100)
    }
}

impl Add for Fen {
    type Output = Fen;

    fn add(self, other: Fen) -> Fen {
        Fen(self.0 + other.0)
    }
}

impl Sub for Fen {
    type Output = Fen;

    fn sub(self, other: Fen) -> Fen {
        Fen(self.0 - other.0)
    }
}

impl Neg for Fen {
    type Output = Fen;

    fn neg(self) -> Fen {
        Fen(-self.0)
    }
}

impl Sum for Fen {
    fn sum<I: Iterator<Item = Fen>>(amounts: I) -> Fen {
        amounts.fold(Fen::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, fen) in
            [("58", 5800), ("58.0", 5800), ("58.00", 5800), ("0.29", 29), ("5.8e1", 5800), ("-1.5", -150)]
        {
            assert_eq!(text.parse(), Ok(Fen(fen)), "{text}");
        }
        assert_eq!("99999999.99".parse(), Ok(Fen::MAX));
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        assert_eq!("58.001".parse::<Fen>(), Err(NotMoney::TooPrecise));
        assert_eq!("1e-3".parse::<Fen>(), Err(NotMoney::TooPrecise));
        assert_eq!("100000000.00".parse::<Fen>(), Err(NotMoney::TooLarge));
        assert_eq!("9e20".parse::<Fen>(), Err(NotMoney::TooLarge));
        for text in ["", "NaN", "1e999", "12,3", "\"5\""] {
            assert!(text.parse::<Fen>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(fen in -Fen::MAX.0..=Fen::MAX.0) {
            prop_assert_eq!(Fen(fen).to_string().parse(), Ok(Fen(fen)));
        }
    }
}
