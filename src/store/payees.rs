//! Statements on `payees`: where employees and suppliers are paid.

use rusqlite::{OptionalExtension, Row, named_params};

use super::vault::Place;
use super::{ReadTx, WriteTx};
use crate::domain::ids::{CENTER_IDS_FROM, PayeeId};
use crate::domain::payees::{Account, Owner, Payee};
use crate::domain::payments::PaymentMethod;
use crate::error::{Error, Result};

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "payees";

/// The payee of an owner for one way to pay, unless it is hidden.
pub fn find(tx: &ReadTx<'_>, owner: Owner, method: PaymentMethod) -> Result<Option<(PayeeId, Payee)>> {
    let sql = "select id, account, account_name, bank_name from payees
               where noun = ?1 and noun_id = ?2 and payment_method = ?3 and deleted_at is null";
    tx.connection
        .prepare_cached(sql)?
        .query_row((owner.noun(), owner.id(), method), |row| Ok(read(tx, row, method)))
        .optional()?
        .transpose()
}

/// Sets the payee of an owner for one way to pay; one that was hidden gets its row back.
pub fn set(tx: &WriteTx<'_>, owner: Owner, method: PaymentMethod, payee: &Payee) -> Result<PayeeId> {
    let kept: Option<PayeeId> = tx
        .connection
        .prepare_cached("select id from payees where noun = ?1 and noun_id = ?2 and payment_method = ?3")?
        .query_row((owner.noun(), owner.id(), method), |row| row.get(0))
        .optional()?;
    let (id, sql) = match kept {
        Some(id) => (
            id,
            "update payees set account = :account, account_name = :account_name, bank_name = :bank_name,
                 updated_at = :now, deleted_at = null
             where noun = :noun and noun_id = :noun_id and payment_method = :method and id = :id",
        ),
        None => (
            next_id(tx)?,
            "insert into payees (id, noun, noun_id, payment_method, account, account_name, bank_name, created_at,
                 updated_at)
             values (:id, :noun, :noun_id, :method, :account, :account_name, :bank_name, :now, :now)",
        ),
    };
    let bank_name = payee.bank_name.as_deref().map(|name| tx.vault.seal(place(id, "bank_name"), name)).transpose()?;
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": id,
        ":noun": owner.noun(),
        ":noun_id": owner.id(),
        ":method": method,
        ":account": tx.vault.seal(place(id, "account"), payee.account.as_str())?,
        ":account_name": payee.account_name,
        ":bank_name": bank_name,
        ":now": tx.now,
    })?;
    Ok(id)
}

/// Hides a payee.
pub fn hide(tx: &WriteTx<'_>, id: PayeeId) -> Result<()> {
    tx.connection.prepare_cached("update payees set deleted_at = ?2 where id = ?1")?.execute((id, tx.now))?;
    Ok(())
}

fn next_id(tx: &WriteTx<'_>) -> Result<PayeeId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from payees where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(PayeeId::try_from(id).expect("the largest id plus one is an id"))
}

const fn place(id: PayeeId, column: &'static str) -> Place<'static> {
    Place { table: "payees", column, id: id.get() }
}

fn read(tx: &ReadTx<'_>, row: &Row<'_>, method: PaymentMethod) -> Result<(PayeeId, Payee)> {
    let id: PayeeId = row.get("id")?;
    let account: String = row.get("account")?;
    let bank_name: Option<String> = row.get("bank_name")?;
    let account = Account::new(method, tx.vault.open(place(id, "account"), &account)?)
        .map_err(|error| Error::Corrupt(format!("payees.account.{id}: {error}")))?;
    let bank_name = bank_name.map(|sealed| tx.vault.open(place(id, "bank_name"), &sealed)).transpose()?;
    Ok((id, Payee { account, account_name: row.get("account_name")?, bank_name }))
}
