//! Whom a payout goes to: an employee or a supplier, and the account with the platform or the bank.

use std::fmt;

use super::ids::{EmployeeId, SupplierId};
use super::payments::PaymentMethod;
use super::wechat::Openid;

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An employee's.
    Employee(EmployeeId),
    /// A supplier's.
    Supplier(SupplierId),
}

impl Owner {
    /// The owner's noun, as its table is called.
    pub const fn noun(self) -> &'static str {
        match self {
            Owner::Employee(_) => "employees",
            Owner::Supplier(_) => "suppliers",
        }
    }

    /// The owner's id.
    pub const fn id(self) -> i64 {
        match self {
            Owner::Employee(id) => id.get(),
            Owner::Supplier(id) => id.get(),
        }
    }
}

/// An account that money can be sent to. It never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Account(String);

/// Why a text is no account for this way to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAccount {
    /// WeChat knows people by their openid.
    #[error("微信账号应为openid")]
    Wechat,
    /// Alipay knows people by a telephone number, a mail address or a number of its own.
    #[error("支付宝账号应为手机号、邮箱或用户号")]
    Alipay,
    /// Chinese banks' accounts are digits.
    #[error("银行账号应为8到32位数字")]
    Bank,
}

/// Digits of a bank account.
const BANK_DIGITS: std::ops::RangeInclusive<usize> = 8..=32;
/// Characters of an Alipay account at most.
const ALIPAY_CHARACTERS_MAX: usize = 100;
/// Characters of an account that are shown.
const SHOWN: usize = 4;

impl Account {
    /// Takes an account for this way to pay.
    pub fn new(method: PaymentMethod, text: String) -> Result<Self, BadAccount> {
        match method {
            PaymentMethod::Wechat => {
                let openid = Openid::new(text).map_err(|_| BadAccount::Wechat)?;
                // What the answers show of an account is not one.
                if openid.as_str().contains('*') {
                    Err(BadAccount::Wechat)
                } else {
                    Ok(Self(openid.as_str().to_owned()))
                }
            }
            PaymentMethod::Alipay => {
                let sound = (1..=ALIPAY_CHARACTERS_MAX).contains(&text.len())
                    && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*');
                if sound { Ok(Self(text)) } else { Err(BadAccount::Alipay) }
            }
            PaymentMethod::Bank => {
                let sound = BANK_DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
                if sound { Ok(Self(text)) } else { Err(BadAccount::Bank) }
            }
        }
    }

    /// The account, for whoever pays.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The account as answers and the audit trail show it: its last four characters, if that leaves most of it hidden.
    pub fn masked(&self) -> String {
        let shown = if self.0.len() >= 2 * SHOWN { &self.0[self.0.len() - SHOWN..] } else { "" };
        format!("****{shown}")
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

/// Where a payout goes, as it was when the payout was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payee {
    /// 账号
    pub account: Account,
    /// 户名
    pub account_name: String,
    /// 开户行
    pub bank_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(method: PaymentMethod, text: &str) -> Result<Account, BadAccount> {
        Account::new(method, text.to_owned())
    }

    #[test]
    fn an_account_fits_its_way_to_pay_and_shows_only_its_end() {
        for text in ["6222 0000", "1234567", "６２２２００００", "", "****0123", &"1".repeat(33)] {
            assert_eq!(account(PaymentMethod::Bank, text), Err(BadAccount::Bank), "{text}");
        }
        let bank = account(PaymentMethod::Bank, "6222020200012345678").expect("sound");
        assert_eq!((bank.masked().as_str(), format!("{bank:?}").as_str()), ("****5678", "Account"));
        assert_eq!(account(PaymentMethod::Wechat, "o-1_2").map(|account| account.masked()), Ok("****".to_owned()));
        assert_eq!(account(PaymentMethod::Wechat, "****1234"), Err(BadAccount::Wechat));
        assert!(account(PaymentMethod::Alipay, "a@example.com").is_ok());
        for text in ["", "张三", "****.com", "a b"] {
            assert_eq!(account(PaymentMethod::Alipay, text), Err(BadAccount::Alipay), "{text}");
        }
    }
}
