//! What an employee is owed for a month.

use std::fmt;

use super::money::Fen;

/// A month that wages are paid for, `YYYY-MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayPeriod {
    year: u16,
    month: u8,
}

/// A text that is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("薪资周期应为存在的月份，格式YYYY-MM")]
pub struct NotAPayPeriod;

impl std::str::FromStr for PayPeriod {
    type Err = NotAPayPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPayPeriod> {
        let digits =
            text.bytes().enumerate().all(|(place, byte)| if place == 4 { byte == b'-' } else { byte.is_ascii_digit() });
        if text.len() != 7 || !digits {
            return Err(NotAPayPeriod);
        }
        let year: u16 = text[..4].parse().map_err(|_| NotAPayPeriod)?;
        let month: u8 = text[5..].parse().map_err(|_| NotAPayPeriod)?;
        if year >= 1000 && (1..=12).contains(&month) { Ok(Self { year, month }) } else { Err(NotAPayPeriod) }
    }
}

impl fmt::Display for PayPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

/// The parts of a month's pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pay {
    /// 基本工资
    pub base_salary: Fen,
    /// 加班费
    pub overtime_pay: Fen,
    /// 津贴
    pub allowance: Fen,
    /// 扣款
    pub deductions: Fen,
}

/// Why parts make no pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPay {
    /// A part is below zero: it belongs to another part.
    #[error("不能为负数")]
    Negative(&'static str),
    /// More is deducted than there is.
    #[error("扣款不能超过应发金额")]
    Overdrawn,
    /// More than an entry in the books may hold.
    #[error("实发工资不能超过99999999.99")]
    TooLarge,
}

impl Pay {
    /// 实发工资
    ///
    /// # Errors
    /// [`BadPay`].
    pub fn net(&self) -> Result<Fen, BadPay> {
        let parts = [
            ("base_salary", self.base_salary),
            ("overtime_pay", self.overtime_pay),
            ("allowance", self.allowance),
            ("deductions", self.deductions),
        ];
        if let Some((name, _)) = parts.iter().find(|(_, part)| *part < Fen::ZERO) {
            return Err(BadPay::Negative(name));
        }
        let net = self.base_salary + self.overtime_pay + self.allowance - self.deductions;
        match net {
            net if net < Fen::ZERO => Err(BadPay::Overdrawn),
            net if net > Fen::MAX => Err(BadPay::TooLarge),
            net => Ok(net),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pay_period_is_a_month_that_exists() {
        for text in ["2024-01", "2024-12", "1000-01"] {
            assert_eq!(text.parse::<PayPeriod>().map(|period| period.to_string()), Ok(text.to_owned()));
        }
        for text in ["2024-00", "2024-13", "2024-1", "2024/01", "2024-01-01", "0999-01", "", "２024-1", "+024-01"] {
            assert_eq!(text.parse::<PayPeriod>(), Err(NotAPayPeriod), "{text}");
        }
    }

    #[test]
    fn the_net_salary_is_what_is_left_and_never_below_zero() {
        let pay = |base, overtime, allowance, deductions| Pay {
            base_salary: Fen(base),
            overtime_pay: Fen(overtime),
            allowance: Fen(allowance),
            deductions: Fen(deductions),
        };
        assert_eq!(pay(500_000, 50_000, 30_000, 20_000).net(), Ok(Fen(560_000)));
        assert_eq!(pay(1, 0, 0, 1).net(), Ok(Fen::ZERO));
        assert_eq!(pay(1, 0, 0, 2).net(), Err(BadPay::Overdrawn));
        assert_eq!(pay(1, -1, 0, 0).net(), Err(BadPay::Negative("overtime_pay")));
        assert_eq!(pay(Fen::MAX.0, 1, 0, 0).net(), Err(BadPay::TooLarge));
        assert_eq!(pay(Fen::MAX.0, 1, 0, 1).net(), Ok(Fen::MAX));
    }
}
