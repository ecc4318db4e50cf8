//! Digests of rows, the same from SQLite and from MySQL: computed over values, not over either's text.

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::Value;

use crate::capture::Table;
use crate::chain::Hash;
use crate::wire::Digest;

/// Gathers the digest of a stretch, row by row in key order.
pub struct Digester {
    rows: u64,
    context: Context,
}

impl Default for Digester {
    fn default() -> Self {
        Self { rows: 0, context: Context::new(&SHA256) }
    }
}

impl Digester {
    /// Adds the next row.
    pub fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        self.context.update(&row_hash(row).0);
    }

    /// The digest.
    pub fn finish(self) -> Digest {
        Digest { rows: self.rows, hash: Hash::of(self.context).to_string() }
    }
}

/// The hash of one row: its values in column order, each behind a byte for its type and, for a text, its length.
pub fn row_hash(row: &[Value]) -> Hash {
    let mut context = Context::new(&SHA256);
    for value in row {
        match value {
            Value::Null => context.update(b"n"),
            Value::String(text) => {
                context.update(b"s");
                context.update(&(text.len() as i64).to_be_bytes());
                context.update(text.as_bytes());
            }
            other => {
                let text = other.to_string();
                context.update(b"v");
                context.update(&(text.len() as i64).to_be_bytes());
                context.update(text.as_bytes());
            }
        }
    }
    Hash::of(context)
}

/// The key of a row, in key order.
pub fn key_of(table: &Table, row: &[Value]) -> Vec<Value> {
    let place = |name: &String| table.columns.iter().position(|column| column == name);
    table.key.iter().map(|name| place(name).and_then(|place| row.get(place)).cloned().unwrap_or_default()).collect()
}
