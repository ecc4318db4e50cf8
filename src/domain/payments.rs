//! Payment orders: what they are for, how they are paid, and from which state to which they may go (`payments.md`, section 6).

use std::fmt;

use jiff::civil::Date;

use super::ids::{PaymentOrderId, RefundId};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident ($unknown:literal) { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word in rows and answers.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word).ok_or(UnknownWord($unknown))
            }
        }
    )+};
}
pub(super) use words;

/// A word that names nothing known; the text says what it should have named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownWord(pub &'static str);

words! {
    /// The seed's three ways to pay.
    PaymentMethod ("支付方式只能是wechat、alipay或bank") {
        /// 微信支付
        Wechat = "wechat",
        /// 支付宝
        Alipay = "alipay",
        /// 银行卡、银联二维码或银行转账
        Bank = "bank",
    }
    /// What an order is for.
    OrderType ("订单类型只能是customer_order、salary或supplier_payment") {
        /// A family pays.
        CustomerOrder = "customer_order",
        /// An employee is paid.
        Salary = "salary",
        /// A supplier is paid.
        SupplierPayment = "supplier_payment",
    }
    /// A platform that is spoken to over the internet.
    Channel ("支付渠道只能是wechat、alipay或unionpay") {
        /// WeChat Pay v3.
        Wechat = "wechat",
        /// Alipay OpenAPI.
        Alipay = "alipay",
        /// UnionPay 5.1.0.
        Unionpay = "unionpay",
    }
    /// How the money goes.
    Trade ("交易方式只能是native、jsapi、qr、pos、bank_transfer、transfer或payroll_file") {
        /// WeChat: the payer scans a code.
        Native = "native",
        /// WeChat: inside the mini-program.
        Jsapi = "jsapi",
        /// Alipay or UnionPay: the payer scans a code.
        Qr = "qr",
        /// A card at a POS terminal: a recorded fact.
        Pos = "pos",
        /// A transfer to or from the bank account: a recorded fact.
        BankTransfer = "bank_transfer",
        /// A payout to a wallet.
        Transfer = "transfer",
        /// A payout by a file for the bank.
        PayrollFile = "payroll_file",
    }
    /// The state of an order: of a payment (`queued` to `failed`) or of a payout (`awaiting_approval` to `returned`, and `queued`,
    /// `paid`, `failed`).
    OrderStatus ("订单状态不存在") {
        /// A payout that a second person has to approve.
        AwaitingApproval = "awaiting_approval",
        /// Recorded; the platform does not have it yet, or it is not known whether it has.
        Queued = "queued",
        /// The platform has it and waits for the payer.
        Pending = "pending",
        /// Its time is over, or somebody closed it; the platform has not confirmed that yet.
        Closing = "closing",
        /// The platform, or a person who may, says that the money is there; final.
        Paid = "paid",
        /// It can't be paid any more.
        Closed = "closed",
        /// The platform refused it.
        Failed = "failed",
        /// A payout that the platform or the bank is working on.
        Processing = "processing",
        /// A payout that its payee has to accept in WeChat, within 24 hours.
        WaitConfirm = "wait_confirm",
        /// A payout that is being taken back before its payee has accepted it.
        Cancelling = "cancelling",
        /// A payout that was taken back or never approved.
        Cancelled = "cancelled",
        /// A payout that came back after it had been paid.
        Returned = "returned",
    }
    /// The state of a refund.
    RefundStatus ("退款状态不存在") {
        /// Recorded; the platform does not have it yet, or it is not known whether it has.
        Queued = "queued",
        /// The platform is working on it.
        Processing = "processing",
        /// The money is back with the payer; final.
        Succeeded = "succeeded",
        /// It will not be made; the amount may be refunded anew.
        Failed = "failed",
        /// The platform can't give the money back by itself: a person has to.
        Abnormal = "abnormal",
    }
}

impl PaymentMethod {
    /// The platform behind the method, for orders that a platform carries out.
    pub const fn channel(self) -> Channel {
        match self {
            PaymentMethod::Wechat => Channel::Wechat,
            PaymentMethod::Alipay => Channel::Alipay,
            PaymentMethod::Bank => Channel::Unionpay,
        }
    }
}

impl Channel {
    /// The word after `/api/payment/callback/`: the seed's payment method.
    pub const fn method(self) -> PaymentMethod {
        match self {
            Channel::Wechat => PaymentMethod::Wechat,
            Channel::Alipay => PaymentMethod::Alipay,
            Channel::Unionpay => PaymentMethod::Bank,
        }
    }
}

impl OrderType {
    /// Whether money leaves the center.
    pub const fn is_payout(self) -> bool {
        match self {
            OrderType::CustomerOrder => false,
            OrderType::Salary | OrderType::SupplierPayment => true,
        }
    }
}

impl Trade {
    /// Whether a platform carries it out; the others are facts that people record.
    pub const fn is_online(self) -> bool {
        match self {
            Trade::Native | Trade::Jsapi | Trade::Qr | Trade::Transfer => true,
            Trade::Pos | Trade::BankTransfer | Trade::PayrollFile => false,
        }
    }
}

impl OrderStatus {
    /// Whether an incoming payment may still be in flight, so that the platform has to be asked.
    pub const fn is_open_payment(self) -> bool {
        matches!(self, OrderStatus::Queued | OrderStatus::Pending | OrderStatus::Closing)
    }

    /// Whether an order may go from this state to that one. `paid` is final for a payment, and beats every other state; a payout that was paid
    /// may still come back.
    pub const fn may_become(self, next: OrderStatus) -> bool {
        use OrderStatus as S;
        match self {
            S::AwaitingApproval => matches!(next, S::Queued | S::Cancelled),
            S::Queued => !matches!(next, S::AwaitingApproval | S::Queued | S::Returned),
            S::Pending => matches!(next, S::Closing | S::Paid | S::Closed | S::Failed),
            S::Closing => matches!(next, S::Paid | S::Closed | S::Failed),
            S::Closed => matches!(next, S::Paid),
            // A payout that failed stays so; a payment that was said to have failed and is there all the same is paid.
            S::Failed => matches!(next, S::Paid),
            S::Processing | S::WaitConfirm | S::Cancelling => {
                matches!(next, S::Processing | S::WaitConfirm | S::Cancelling | S::Paid | S::Failed | S::Cancelled)
            }
            S::Paid => matches!(next, S::Returned),
            S::Cancelled | S::Returned => false,
        }
    }

    /// Whether a payout may still be in flight.
    pub const fn is_open_payout(self) -> bool {
        matches!(
            self,
            OrderStatus::AwaitingApproval
                | OrderStatus::Queued
                | OrderStatus::Processing
                | OrderStatus::WaitConfirm
                | OrderStatus::Cancelling
        )
    }
}

impl RefundStatus {
    /// Whether a refund may go from this state to that one. `succeeded` is final; one that was said to have failed and has reached the payer
    /// all the same has succeeded.
    pub const fn may_become(self, next: RefundStatus) -> bool {
        use RefundStatus as R;
        match self {
            R::Queued => !matches!(next, R::Queued),
            R::Processing => matches!(next, R::Succeeded | R::Failed | R::Abnormal),
            R::Abnormal => matches!(next, R::Processing | R::Succeeded | R::Failed),
            R::Failed => matches!(next, R::Succeeded),
            R::Succeeded => false,
        }
    }
}

/// A number by which an order or a refund is known at a platform and to people: at most 32 characters of `[0-9A-Za-z]`.
///
/// `P` (or `R` for a refund), the day, then the digits: one that says how many digits the site's number has, the site's number, the
/// row's number in the site (at least four digits), and six of chance. The first two make it unique over all sites of a merchant, the third
/// within the site; chance keeps a box that was put back to an older backup, which counts on from there, from giving out a number that a
/// platform knows already.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderNo(String);

/// A text that can't be the number of an order of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("订单号不正确")]
pub struct NotAnOrderNo;

/// Digits of chance in an order's number.
const CHANCE_DIGITS: usize = 6;
/// What the six digits of chance are taken modulo.
pub const CHANCE_MODULUS: u32 = 1_000_000;
const ORDER_NO_MAX: usize = 32;

impl OrderNo {
    /// The number of an order; `site` is 0 for a site that belongs to no center.
    ///
    /// # Panics
    /// When the site's number has more than 9 digits.
    pub fn of_order(site: i64, day: Date, id: PaymentOrderId, chance: u32) -> Self {
        Self::make('P', site, day, id.get(), chance)
    }

    /// The number of a refund.
    ///
    /// # Panics
    /// As [`OrderNo::of_order`].
    pub fn of_refund(site: i64, day: Date, id: RefundId, chance: u32) -> Self {
        Self::make('R', site, day, id.get(), chance)
    }

    fn make(kind: char, site: i64, day: Date, id: i64, chance: u32) -> Self {
        let site = site.to_string();
        assert!(site.len() <= 9, "the center has fewer sites");
        let chance = chance % CHANCE_MODULUS;
        let text = format!("{kind}{}{}{site}{id:04}{chance:06}", day.strftime("%Y%m%d"), site.len());
        assert!(text.len() <= ORDER_NO_MAX, "a site has fewer orders");
        Self(text)
    }

    /// The same row under a new number, for a platform that takes an order's number only once.
    pub fn renewed(&self, chance: u32) -> Self {
        let kept = &self.0[..self.0.len() - CHANCE_DIGITS];
        Self(format!("{kept}{:06}", chance % CHANCE_MODULUS))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a refund's.
    pub fn is_refund(&self) -> bool {
        self.0.starts_with('R')
    }

    /// The number of the row in its site.
    pub fn row(&self) -> i64 {
        let site_digits = usize::from(self.0.as_bytes()[9] - b'0');
        self.0[10 + site_digits..self.0.len() - CHANCE_DIGITS].parse().unwrap_or(i64::MAX)
    }

    /// The number of the site that gave it out.
    pub fn site(&self) -> i64 {
        let digits = &self.0[9..];
        let length = usize::from(digits.as_bytes()[0] - b'0');
        digits[1..=length].parse().expect("the constructor checked the digits")
    }
}

impl std::str::FromStr for OrderNo {
    type Err = NotAnOrderNo;

    fn from_str(text: &str) -> Result<Self, NotAnOrderNo> {
        let bytes = text.as_bytes();
        let kind = matches!(bytes.first(), Some(b'P' | b'R'));
        if !kind || bytes.len() > ORDER_NO_MAX || !bytes[1..].iter().all(u8::is_ascii_digit) {
            return Err(NotAnOrderNo);
        }
        let Some(length) = bytes.get(9).map(|digit| usize::from(digit - b'0')) else { return Err(NotAnOrderNo) };
        if length == 0 || bytes.len() < 10 + length + 4 + CHANCE_DIGITS {
            return Err(NotAnOrderNo);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for OrderNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When a pending payment is asked about next, in milliseconds after this question; `asked` counts the questions so far
/// (`payments.md`, section 6.2).
pub const fn next_question_ms(asked: u32) -> i64 {
    const STEPS_MS: [i64; 5] = [3_000, 5_000, 10_000, 15_000, 30_000];
    if (asked as usize) < STEPS_MS.len() { STEPS_MS[asked as usize] } else { 60_000 }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn id(number: i64) -> PaymentOrderId {
        PaymentOrderId::try_from(number).expect("positive")
    }

    #[test]
    fn an_order_number_says_which_site_gave_it_out() {
        for (site, number) in [(0, 1), (1, 12_345), (11, 2), (999_999_999, 9_999)] {
            let made = OrderNo::of_order(site, date(2026, 3, 2), id(number), 7);
            assert!(made.as_str().starts_with("P20260302") && made.as_str().len() <= 32, "{made}");
            assert_eq!(made.as_str().parse::<OrderNo>().map(|read| (read.site(), read.row())), Ok((site, number)));
        }
        assert_eq!(OrderNo::of_order(7, date(2026, 3, 2), id(5), 42).as_str(), "P20260302170005000042");
    }

    #[test]
    fn numbers_of_different_sites_never_meet() {
        // Site 1, row 12345 and site 11, row 2345 would meet without the digit that tells the length.
        let of = |site, number| OrderNo::of_order(site, date(2026, 3, 2), id(number), 0);
        assert_ne!(of(1, 12_345), of(11, 2_345));
        assert_ne!(of(11, 2_345), of(112, 345));
    }

    #[test]
    fn what_is_no_number_of_ours_is_refused() {
        for text in
            ["", "P", "Pé", "P20260302", "X20260302170005000042", "P202603021700050000", "P20260302_70005000042"]
        {
            assert!(text.parse::<OrderNo>().is_err(), "{text}");
        }
        assert!("P20260302970005000042".parse::<OrderNo>().is_err(), "a length beyond its digits");
        assert!("P20260302070005000042".parse::<OrderNo>().is_err(), "a site without a number");
    }
}
