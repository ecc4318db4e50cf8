//! Literal search by any part of a word: the suffixes of every searchable word in an index, looked up by prefix.

use rusqlite::types::ToSql;

use super::{ReadTx, WriteTx};
use crate::domain::search::{SUFFIX_CHARACTERS_MAX, folded, suffixes};
use crate::error::Result;

/// A condition on `id` for rows of a noun that contain the word; pair it with [`values`].
pub const CONDITION: &str = "id in (select row_id from search_terms where noun = ? and suffix >= ? and suffix < ?)";

/// The values of [`CONDITION`].
pub fn values(noun: &'static str, word: &str) -> Vec<Box<dyn ToSql>> {
    let from: String = folded(word).chars().take(SUFFIX_CHARACTERS_MAX).collect();
    // No text that begins with `from` sorts after it and the highest character.
    let to = format!("{from}\u{10ffff}");
    vec![Box::new(noun), Box::new(from), Box::new(to)]
}

/// Makes a row findable by its names (also by their pinyin) and texts, and by nothing that it was findable by before.
pub fn index(tx: &WriteTx<'_>, noun: &str, row_id: i64, names: &[&str], texts: &[&str]) -> Result<()> {
    forget(tx, noun, row_id)?;
    let mut insert =
        tx.connection.prepare_cached("insert into search_terms (noun, suffix, row_id) values (?1, ?2, ?3)")?;
    for suffix in suffixes(names, texts) {
        insert.execute((noun, suffix, row_id))?;
    }
    Ok(())
}

/// Makes a row unfindable.
pub fn forget(tx: &WriteTx<'_>, noun: &str, row_id: i64) -> Result<()> {
    tx.connection
        .prepare_cached("delete from search_terms where noun = ?1 and row_id = ?2")?
        .execute((noun, row_id))?;
    Ok(())
}

/// How many rows of a noun can be found at all; the doctor compares it with the rows.
pub fn findable(tx: &ReadTx<'_>, noun: &str) -> Result<i64> {
    Ok(tx
        .connection
        .prepare_cached("select count(distinct row_id) from search_terms where noun = ?1")?
        .query_row([noun], |row| row.get(0))?)
}
