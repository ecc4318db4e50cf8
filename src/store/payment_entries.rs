//! Statements on `payment_entries`: the one entry in the books for each movement of money.

use super::rows::on_constraint;
use super::{ReadTx, WriteTx};
use crate::domain::ids::TransactionId;
use crate::domain::money::Fen;
use crate::error::Result;

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A family paid: the subject is the order.
    Payment,
    /// Money was given back: the subject is the refund.
    Refund,
    /// Somebody was paid: the subject is the order.
    Payout,
    /// A payout came back: the subject is the order.
    Return,
}

impl EntryKind {
    const fn as_str(self) -> &'static str {
        match self {
            EntryKind::Payment => "payment",
            EntryKind::Refund => "refund",
            EntryKind::Payout => "payout",
            EntryKind::Return => "return",
        }
    }
}

/// Whether the movement is in the books.
pub fn is_booked(tx: &ReadTx<'_>, kind: EntryKind, subject_id: i64) -> Result<bool> {
    let sql = "select exists (select 1 from payment_entries where kind = ?1 and subject_id = ?2)";
    Ok(tx.connection.prepare_cached(sql)?.query_row((kind.as_str(), subject_id), |row| row.get(0))?)
}

/// Whether an entry of the books stands for a payment, a refund or a payout.
pub fn holds(tx: &ReadTx<'_>, id: TransactionId) -> Result<bool> {
    let sql = "select exists (select 1 from payment_entries where transaction_id = ?1)";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
}

/// Notes that the transaction is the movement's entry.
///
/// # Errors
/// [`crate::error::Error::Conflict`] when it has one already.
pub fn insert(tx: &WriteTx<'_>, kind: EntryKind, subject_id: i64, entry: (TransactionId, Fen)) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into payment_entries (kind, subject_id, transaction_id, amount_fen, created_at) values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((kind.as_str(), subject_id, entry.0, entry.1, tx.now))
        .map_err(on_constraint("payment_entries", "该笔款项已入账"))?;
    Ok(())
}
