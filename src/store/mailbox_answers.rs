//! Answers to messages of the center's mailbox, kept for ever: a message that comes again gets the same answer, whoever it is
//! on behalf of. The answer is sealed, as that to any other repeat.

use rusqlite::OptionalExtension;

use super::idempotency::Kept;
use super::vault::Place;
use super::{ReadTx, WriteTx};
use crate::error::Result;

/// Bound to its message, so that an answer can't be passed off as that to another.
const fn place(id: &str) -> Place<'_> {
    Place { table: "mailbox_answers", column: id, id: 0 }
}

/// The answer to this message, if it has had its effect.
pub fn find(tx: &ReadTx<'_>, id: &str) -> Result<Option<Kept>> {
    let found = tx
        .connection
        .prepare_cached("select fingerprint, status, answer_sealed from mailbox_answers where id = ?1")?
        .query_row([id], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u16>(1)?, row.get::<_, String>(2)?)))
        .optional()?;
    let Some((fingerprint, status, sealed)) = found else { return Ok(None) };
    Ok(Some(Kept { fingerprint, status, answer: tx.vault.open(place(id), &sealed)? }))
}

/// Keeps an answer, in the transaction of its effect.
pub fn keep(tx: &WriteTx<'_>, id: &str, kept: &Kept) -> Result<()> {
    tx.connection
        .prepare_cached(
            "insert into mailbox_answers (id, fingerprint, status, answer_sealed, created_at)
             values (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((id, &kept.fingerprint, kept.status, tx.vault.seal(place(id), &kept.answer)?, tx.now))?;
    Ok(())
}
