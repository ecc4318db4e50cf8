//! What a site remembers of its own sending: how far the center has confirmed its chain, and where the chain can be picked up.

use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension as _};

use crate::capture::Layout;
use crate::chain::{Hash, Mark};
use crate::outbox;

/// Where the center is, as the site last heard from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The epoch that the center gave to this box.
    pub epoch: String,
    /// The newest place that the center has confirmed.
    pub confirmed: Mark,
    /// When it did, in milliseconds since the Unix epoch.
    pub confirmed_at: i64,
    /// Why the center takes nothing from this box any more; none while it does.
    pub fenced: Option<String>,
}

/// The site's position; none before it is enrolled.
pub fn position(connection: &Connection) -> rusqlite::Result<Option<Position>> {
    connection
        .prepare_cached("select epoch, seq, hash, confirmed_at, fenced from sync_position where id = 1")?
        .query_row([], |row| {
            Ok(Position {
                epoch: row.get(0)?,
                confirmed: Mark { seq: row.get(1)?, hash: hash(&row.get::<_, String>(2)?, 2)? },
                confirmed_at: row.get(3)?,
                fenced: row.get(4)?,
            })
        })
        .optional()
}

fn hash(text: &str, column: usize) -> rusqlite::Result<Hash> {
    Hash::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// Takes up an epoch that the center gave, from the place that it starts at; whatever fenced the box before is over.
pub fn begin(connection: &Connection, epoch: &str, base: Mark, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "insert into sync_position (id, epoch, seq, hash, confirmed_at, fenced) values (1, ?1, ?2, ?3, ?4, null)
             on conflict (id) do update set epoch = excluded.epoch, seq = excluded.seq, hash = excluded.hash,
                 confirmed_at = excluded.confirmed_at, fenced = null",
        )?
        .execute((epoch, base.seq, base.hash.to_string(), now))?;
    keep_mark(connection, base, now)
}

/// Notes how far the center is: further than before, or, when it was restored from a backup, less far.
pub fn confirm(connection: &Connection, mark: Mark, now: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("update sync_position set seq = ?1, hash = ?2, confirmed_at = ?3 where id = 1")?
        .execute((mark.seq, mark.hash.to_string(), now))?;
    keep_mark(connection, mark, now)
}

fn keep_mark(connection: &Connection, mark: Mark, now: i64) -> rusqlite::Result<()> {
    // The first confirmation counts: pruning is measured from it.
    connection
        .prepare_cached("insert into sync_marks (seq, hash, confirmed_at) values (?1, ?2, ?3) on conflict do nothing")?
        .execute((mark.seq, mark.hash.to_string(), now))?;
    Ok(())
}

/// Notes why the center takes nothing from this box any more.
pub fn fence(connection: &Connection, why: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("update sync_position set fenced = ?1 where id = 1")?.execute([why])?;
    Ok(())
}

/// The place of the chain at `seq`, computed from the nearest kept one before it; none when the site has no such change (yet),
/// or no longer has what lies between.
pub fn mark_at(connection: &Connection, seq: i64) -> rusqlite::Result<Option<Mark>> {
    let kept = connection
        .prepare_cached("select seq, hash from sync_marks where seq <= ?1 order by seq desc limit 1")?
        .query_row([seq], |row| Ok(Mark { seq: row.get(0)?, hash: hash(&row.get::<_, String>(1)?, 1)? }))
        .optional()?;
    let mut mark = kept.unwrap_or(Mark::START);
    if mark.seq == seq {
        return Ok(Some(mark));
    }
    let mut whole = true;
    outbox::each_after(connection, mark.seq, |change| {
        whole = change.seq == mark.seq + 1;
        if whole {
            mark = mark.after(&change);
        }
        Ok(whole && mark.seq < seq)
    })?;
    Ok((whole && mark.seq == seq).then_some(mark))
}

/// Forgets changes, and their marks, that the center confirmed before the moment `before`; the newest such place stays, to
/// start from. At most `limit` changes go at once, so that nobody waits long. Gives how many went.
pub fn prune(connection: &Connection, before: i64, limit: i64) -> rusqlite::Result<usize> {
    let until: Option<i64> = connection
        .prepare_cached(
            "select max(seq) from sync_marks where confirmed_at < ?1 and seq <= (select seq from sync_position)
                 and seq <= (select min(seq) from outbox) + ?2",
        )?
        .query_row((before, limit), |row| row.get(0))?;
    // Marks may lie further apart than that: then the next one is gone to.
    let next: Option<i64> = connection
        .prepare_cached(
            "select min(seq) from sync_marks where confirmed_at < ?1 and seq <= (select seq from sync_position)
                 and seq >= (select min(seq) from outbox)",
        )?
        .query_row([before], |row| row.get(0))?;
    let Some(until) = until.max(next) else { return Ok(0) };
    connection.prepare_cached("delete from sync_marks where seq < ?1")?.execute([until])?;
    // The newest change stays whatever its age, or its number would be given out again.
    connection
        .prepare_cached("delete from outbox where seq <= ?1 and seq < (select max(seq) from outbox)")?
        .execute([until])
}

/// Keeps the layout of a schema version.
pub fn keep_layout(connection: &Connection, layout: &Layout) -> rusqlite::Result<()> {
    let text = serde_json::to_string(layout).expect("a layout is JSON");
    connection
        .prepare_cached("insert into sync_layouts (schema, layout) values (?1, ?2) on conflict do nothing")?
        .execute((layout.schema, text))?;
    Ok(())
}

/// The layouts of every schema version that a change in the outbox may have, oldest first.
pub fn layouts(connection: &Connection) -> rusqlite::Result<Vec<Layout>> {
    let mut statement = connection.prepare_cached("select layout from sync_layouts order by schema")?;
    let layouts = statement.query_map([], |row| {
        serde_json::from_str(&row.get::<_, String>(0)?)
            .map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error)))
    })?;
    layouts.collect()
}
