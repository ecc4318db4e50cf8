//! What people do with income and expense: enter it, and void what was entered wrongly.

use jiff::ToSpan;
use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::TransactionId;
use crate::domain::money::Fen;
use crate::domain::time::{Instant, check_period};
use crate::domain::transactions::Direction;
use crate::error::{Error, Result};
use crate::store::page::{Listed, Page};
use crate::store::transactions::{self, NOUN, Transaction, TransactionFilter, Voided};
use crate::store::{ReadTx, WriteTx, payment_entries};

const NO_SUCH: Error = Error::NotFound("收支记录不存在");

/// How many days ahead an entry may be dated.
const DAYS_AHEAD_MAX: i64 = 366;

/// A transaction to be added.
#[derive(Debug, Clone)]
pub struct NewTransaction {
    /// 类型
    pub direction: Direction,
    /// 分类
    pub category: String,
    /// 金额
    pub amount: Fen,
    /// 描述
    pub description: Option<String>,
    /// When the money went; now, unless said.
    pub transaction_at: Option<Instant>,
    /// 支付方式
    pub payment_method: Option<String>,
    /// 关联ID
    pub related_id: Option<i64>,
    /// 关联类型
    pub related_type: Option<String>,
}

/// Adds a transaction.
///
/// # Errors
/// [`Error::Invalid`] when the amount is not positive, the date is more than a year ahead, or only one half of what the
/// entry is about is given.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, new: NewTransaction) -> Result<Transaction> {
    let transaction_at = new.transaction_at.unwrap_or(tx.now);
    let transaction = Transaction {
        id: transactions::next_id(tx)?,
        direction: new.direction,
        category: new.category,
        amount: new.amount,
        description: new.description,
        transaction_at,
        local_date: tx.zone.day(transaction_at),
        payment_method: new.payment_method,
        void: None,
        related_id: new.related_id,
        related_type: new.related_type,
        created_at: tx.now,
        created_by: actor.user_id(),
    };
    check(tx, &transaction)?;
    transactions::insert(tx, &transaction)?;
    record(tx, actor, deed(Action::Create, transaction.id, None, Some(image(&transaction))))?;
    Ok(transaction)
}

/// Voids a transaction, for good; nothing else ever changes one.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is void already, or stands for money that a platform or a bank moved.
pub fn void(tx: &WriteTx<'_>, actor: &Actor, id: TransactionId, reason: String) -> Result<Transaction> {
    let before = transactions::find(tx, id)?.ok_or(NO_SUCH)?;
    if before.void.is_some() {
        return Err(Error::Conflict("该记录已作废".into()));
    }
    if payment_entries::holds(tx, id)? {
        return Err(Error::Conflict("该记录由支付订单生成，不能作废，请退款或冲正".into()));
    }
    let voided = Voided { reason, at: tx.now, by: actor.user_id() };
    transactions::mark_void(tx, &before, &voided)?;
    let mut after = before.clone();
    after.void = Some(voided);
    record(tx, actor, deed(Action::Void, id, Some(image(&before)), Some(image(&after))))?;
    Ok(after)
}

/// One transaction, void or not.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, id: TransactionId) -> Result<Transaction> {
    transactions::find(tx, id)?.ok_or(NO_SUCH)
}

/// A page of the transactions that pass the filter, the latest first.
///
/// # Errors
/// [`Error::Invalid`] when the period ends before it begins.
pub fn list(tx: &ReadTx<'_>, filter: &TransactionFilter, page: Page) -> Result<Listed<Transaction>> {
    check_period(filter.start_date, filter.end_date)?;
    transactions::list(tx, filter, page)
}

fn check(tx: &ReadTx<'_>, transaction: &Transaction) -> Result<()> {
    if transaction.amount <= Fen::ZERO {
        return Err(Error::invalid("amount", "金额应大于0"));
    }
    if transaction.local_date > tx.zone.day(tx.now).saturating_add(DAYS_AHEAD_MAX.days()) {
        return Err(Error::invalid("transaction_date", "日期不能晚于一年后"));
    }
    check_related(transaction.related_id, transaction.related_type.as_deref())
}

fn check_related(id: Option<i64>, kind: Option<&str>) -> Result<()> {
    let missing = match (id, kind) {
        (Some(_), None) => "related_type",
        (None, Some(_)) => "related_id",
        _ => return Ok(()),
    };
    Err(Error::invalid(missing, "关联ID和关联类型应同时提供"))
}

fn deed(action: Action, id: TransactionId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it.
fn image(transaction: &Transaction) -> Value {
    json!({
        "type": transaction.direction.as_str(),
        "category": transaction.category,
        "amount": transaction.amount.to_string(),
        "description": transaction.description,
        "transaction_at": transaction.transaction_at.0,
        "local_date": transaction.local_date.to_string(),
        "payment_method": transaction.payment_method,
        "status": if transaction.void.is_some() { "void" } else { "completed" },
        "related_id": transaction.related_id,
        "related_type": transaction.related_type,
        "void_reason": transaction.void.as_ref().map(|void| void.reason.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_entry_is_about_is_said_wholly_or_not_at_all() {
        assert!(check_related(None, None).is_ok());
        assert!(check_related(Some(1), Some("customer")).is_ok());
        for (id, kind, field) in [(Some(1), None, "related_type"), (None, Some("customer"), "related_id")] {
            match check_related(id, kind) {
                Err(Error::Invalid(invalid)) => assert_eq!(invalid.field, field),
                other => panic!("{other:?}"),
            }
        }
    }
}
