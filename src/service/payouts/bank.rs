//! Payouts that go through the bank: into a file, and to their end by the bank's results or a person who may confirm them.

use super::change;
use super::settle::{Effect, ended, returned, succeeded};
use crate::domain::access::Actor;
use crate::domain::payments::OrderStatus;
use crate::error::{Error, Result};
use crate::store::WriteTx;
use crate::store::payment_orders::PaymentOrder;

/// What the bank says of a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BankWord {
    /// 成功
    Paid,
    /// 失败
    Failed {
        /// The bank's reason.
        reason: String,
    },
    /// 退回: it came back after it had been paid.
    Returned {
        /// The bank's reason.
        reason: String,
    },
}

/// Takes what the bank, by its result file or a person who may confirm it, says of a payout that goes through the bank.
///
/// # Errors
/// [`Error::Conflict`] when the payout is not the bank's, is not approved, or has ended differently.
pub fn settle_by_bank(tx: &WriteTx<'_>, actor: &Actor, order: &PaymentOrder, word: &BankWord) -> Result<Effect> {
    if !order.order_type.is_payout() || order.trade.is_online() {
        return Err(Error::Conflict("该付款单不是通过银行付款".into()));
    }
    match (bank_effect(order.status, word).map_err(|why| Error::Conflict(why.into()))?, word) {
        (Effect::Nothing | Effect::Contradicts, _) => Ok(Effect::Nothing),
        (Effect::Moved, BankWord::Paid) => succeeded(tx, actor, order, tx.now, None),
        (Effect::Moved, BankWord::Returned { reason }) if order.status == OrderStatus::Paid => {
            returned(tx, actor, order, reason)
        }
        (Effect::Moved, BankWord::Failed { reason } | BankWord::Returned { reason }) => {
            ended(tx, actor, order, OrderStatus::Failed, Some(reason))
        }
    }
}

/// What the bank's word does to a payout of this state.
///
/// # Errors
/// Why it does not fit.
pub const fn bank_effect(status: OrderStatus, word: &BankWord) -> std::result::Result<Effect, &'static str> {
    use OrderStatus as S;
    match (status, word) {
        (S::Queued | S::Processing, _) | (S::Paid, BankWord::Returned { .. }) => Ok(Effect::Moved),
        (S::Paid, BankWord::Paid)
        | (S::Failed, BankWord::Failed { .. } | BankWord::Returned { .. })
        | (S::Returned, BankWord::Returned { .. }) => Ok(Effect::Nothing),
        (S::AwaitingApproval, _) => Err("付款单尚未审批"),
        (S::Paid, BankWord::Failed { .. }) => Err("付款单已付款，结果却为失败"),
        (S::Failed | S::Returned, _) => Err("付款单未付成，结果却不同"),
        (S::Cancelled, _) => Err("付款单已撤销"),
        (S::WaitConfirm | S::Cancelling | S::Pending | S::Closing | S::Closed, _) => Err("付款单的状态与结果不符"),
    }
}

/// Notes that a payout is in a file for the bank.
///
/// # Errors
/// [`Error::Corrupt`] when it does not wait for one: a bug.
pub fn to_the_bank(tx: &WriteTx<'_>, actor: &Actor, order: &PaymentOrder) -> Result<()> {
    let after = PaymentOrder { status: OrderStatus::Processing, sent_at: Some(tx.now), ..order.clone() };
    change(tx, actor, order, after).map(drop)
}
