//! Batches: whole transactions, cut off the outbox in order, packed for the line, and unpacked and checked at the center.

use std::io::Read as _;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chain::{Hash, Mark};
use crate::outbox::{self, Change, Op};

/// The version of the batch format.
pub const VERSION: u32 = 1;
/// The level of zstd: more gains little on batches of this size and costs the site's processor.
const LEVEL: i32 = 3;
/// What a batch may have unpacked, in bytes: one row of the largest body that the site takes, escaped, with room to spare.
pub const UNPACKED_MAX: usize = 64 << 20;
/// What a batch may have packed, in bytes.
pub const PACKED_MAX: usize = 16 << 20;

/// How much goes into one batch. A single change goes whatever its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Changes.
    pub rows: usize,
    /// Bytes of keys and images before compression.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 1_000, bytes: 1 << 20 }
    }
}

/// A stretch of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The epoch of the box that sends it.
    pub epoch: String,
    /// The random word of the box's last start.
    pub boot: String,
    /// The schema version of every change in it.
    pub schema: i64,
    /// The place before the first change.
    pub from: Mark,
    /// The place after the last change.
    pub to: Mark,
    /// Whether it ends where a transaction ends; if not, the next batch goes on with the same transaction.
    pub whole: bool,
    /// The changes.
    pub changes: Vec<Change>,
}

/// Why bytes are not a batch. Sending them again does not help.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// They can't be unpacked.
    #[error("not zstd")]
    Packed(#[source] std::io::Error),
    /// They are longer than a batch may be.
    #[error("longer than {UNPACKED_MAX} bytes")]
    TooLong,
    /// They are not the JSON of a batch.
    #[error("not a batch")]
    Json(#[from] serde_json::Error),
    /// The format is another version's.
    #[error("batch format {0} is not known here")]
    Version(u32),
    /// Numbers contradict each other.
    #[error("{0}")]
    Contradiction(&'static str),
}

/// Cuts the next batch off the outbox, from one consistent view of it. `within` says that the batch before ended inside a
/// transaction. None when there is nothing more.
pub fn cut(
    connection: &Connection,
    after: Mark,
    within: bool,
    limits: Limits,
) -> rusqlite::Result<Option<(Mark, bool, Vec<Change>)>> {
    let mut changes: Vec<Change> = Vec::new();
    // How many changes end with a whole transaction, and what all of them weigh.
    let (mut whole_until, mut weight) = (0, 0);
    let mut more = false;
    outbox::each_after(connection, after.seq, |change| {
        if let Some(last) = changes.last()
            && last.txn != change.txn
        {
            whole_until = changes.len();
            // The rest of a large transaction travels alone, and no batch has two layouts.
            if within || last.schema != change.schema {
                return Ok(false);
            }
        }
        let full = changes.len() >= limits.rows || weight + change.weight() > limits.bytes;
        if full && !changes.is_empty() {
            more = true;
            return Ok(false);
        }
        weight += change.weight();
        changes.push(change);
        Ok(true)
    })?;
    if changes.is_empty() {
        return Ok(None);
    }
    if !more {
        whole_until = changes.len();
    }
    // Whole transactions, or else as much of the first one as fits.
    let whole = whole_until > 0;
    if whole {
        changes.truncate(whole_until);
    }
    let to = changes.iter().fold(after, Mark::after);
    Ok(Some((to, whole, changes)))
}

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u32,
    epoch: String,
    boot: String,
    schema: i64,
    from: i64,
    to: i64,
    prev_hash: Hash,
    hash: Hash,
    whole: bool,
    tables: Vec<String>,
    txns: Vec<WireTxn>,
}

/// The transaction's number and time, each as the difference to the one before, and its changes.
type WireTxn = (i64, i64, Vec<WireChange>);

/// The table's place in `tables`, the operation, the key, the image.
type WireChange = (usize, u8, Box<RawValue>, Option<Box<RawValue>>);

impl Batch {
    /// Packs the batch for the line.
    ///
    /// # Errors
    /// [`Malformed`] when a key or an image is not JSON, or zstd fails.
    pub fn pack(&self) -> Result<Vec<u8>, Malformed> {
        let mut tables: Vec<String> = Vec::new();
        let mut txns: Vec<WireTxn> = Vec::new();
        let (mut txn, mut at) = (0, 0);
        let mut last = None;
        for change in &self.changes {
            let table = tables.iter().position(|table| *table == change.table).unwrap_or_else(|| {
                tables.push(change.table.clone());
                tables.len() - 1
            });
            let raw = |text: &str| RawValue::from_string(text.to_owned());
            let image = change.image.as_deref().map(raw).transpose()?;
            let wire = (table, change.op.code(), raw(&change.pk)?, image);
            match txns.last_mut() {
                Some(open) if last == Some((change.txn, change.at)) => open.2.push(wire),
                _ => {
                    txns.push((change.txn.wrapping_sub(txn), change.at.wrapping_sub(at), vec![wire]));
                    (txn, at) = (change.txn, change.at);
                    last = Some((txn, at));
                }
            }
        }
        let wire = Wire {
            v: VERSION,
            epoch: self.epoch.clone(),
            boot: self.boot.clone(),
            schema: self.schema,
            from: self.from.seq + 1,
            to: self.to.seq,
            prev_hash: self.from.hash,
            hash: self.to.hash,
            whole: self.whole,
            tables,
            txns,
        };
        zstd::bulk::compress(&serde_json::to_vec(&wire)?, LEVEL).map_err(Malformed::Packed)
    }

    /// Unpacks a batch and checks that its numbers and its hash are those of its changes.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn unpack(packed: &[u8]) -> Result<Batch, Malformed> {
        let mut text = Vec::new();
        let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(Malformed::Packed)?;
        decoder.take(UNPACKED_MAX as u64 + 1).read_to_end(&mut text).map_err(Malformed::Packed)?;
        if text.len() > UNPACKED_MAX {
            return Err(Malformed::TooLong);
        }
        let wire: Wire = serde_json::from_slice(&text)?;
        if wire.v != VERSION {
            return Err(Malformed::Version(wire.v));
        }
        wire.into_batch()
    }

    /// When the last of its transactions was committed, in milliseconds since the Unix epoch.
    pub fn at(&self) -> i64 {
        self.changes.last().map_or(0, |change| change.at)
    }
}

impl Wire {
    fn into_batch(self) -> Result<Batch, Malformed> {
        let seq_before = self.from.checked_sub(1).filter(|seq| *seq >= 0);
        let from = Mark { seq: seq_before.ok_or(Malformed::Contradiction("from is below 1"))?, hash: self.prev_hash };
        let mut changes = Vec::new();
        let (mut txn, mut at, mut place) = (0_i64, 0_i64, from);
        for (txn_step, at_step, wires) in self.txns {
            (txn, at) = (txn.wrapping_add(txn_step), at.wrapping_add(at_step));
            for (table, op, pk, image) in wires {
                let change = Change {
                    seq: place.seq + 1,
                    txn,
                    at,
                    table: self.tables.get(table).ok_or(Malformed::Contradiction("a table is not named"))?.clone(),
                    op: Op::from_code(op).ok_or(Malformed::Contradiction("an operation is not known"))?,
                    pk: pk.get().to_owned(),
                    image: image.map(|image| image.get().to_owned()),
                    schema: self.schema,
                };
                if (change.op == Op::Delete) != change.image.is_none() {
                    return Err(Malformed::Contradiction("an image where there is none, or none where there is one"));
                }
                place = place.after(&change);
                changes.push(change);
            }
        }
        let to = Mark { seq: self.to, hash: self.hash };
        if changes.is_empty() || place != to {
            return Err(Malformed::Contradiction("the changes are not those of the hash"));
        }
        Ok(Batch { epoch: self.epoch, boot: self.boot, schema: self.schema, from, to, whole: self.whole, changes })
    }
}
