//! The hash chain over a site's changes: two histories that differ anywhere have different hashes from there on.
//!
//! # Decision
//! The hash is a function of the outbox alone, so it is computed when changes are sent and not in the trigger: a write on the
//! site pays nothing for it, and any place of the chain can be computed again from an earlier one.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::outbox::Change;

/// A SHA-256 hash; 64 hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub [u8; 32]);

/// The hash before the first change.
pub const GENESIS: Hash = Hash([0; 32]);

/// A place in the chain: the hash covers every change up to `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The newest change that the hash covers; 0 before the first.
    pub seq: i64,
    /// The hash.
    pub hash: Hash,
}

impl Mark {
    /// Before the first change.
    pub const START: Mark = Mark { seq: 0, hash: GENESIS };

    /// The place after this change, which has to be the next one.
    pub fn after(self, change: &Change) -> Mark {
        Mark { seq: change.seq, hash: link(&self.hash, change) }
    }
}

/// The hash of a change and of all before it: SHA-256 over the hash before, then `seq`, `txn`, `at`, `schema` as 64-bit
/// big-endian numbers, one byte for the operation (0 insert, 1 update, 2 delete), and table, key and image each behind its
/// length in bytes as a 64-bit big-endian number; a deletion has the length −1 for its image and no image.
pub fn link(before: &Hash, change: &Change) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&before.0);
    for number in [change.seq, change.txn, change.at, change.schema] {
        context.update(&number.to_be_bytes());
    }
    context.update(&[change.op.code()]);
    for text in [&change.table, &change.pk] {
        context.update(&(text.len() as i64).to_be_bytes());
        context.update(text.as_bytes());
    }
    match &change.image {
        Some(image) => {
            context.update(&(image.len() as i64).to_be_bytes());
            context.update(image.as_bytes());
        }
        None => context.update(&(-1_i64).to_be_bytes()),
    }
    Hash::of(context)
}

impl Hash {
    pub(crate) fn of(context: Context) -> Hash {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Hash(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// A text that is not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct NotAHash;

impl FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        if text.len() != 64 || !text.is_ascii() {
            return Err(NotAHash);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| NotAHash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotAHash)?;
        }
        Ok(Hash(bytes))
    }
}

impl TryFrom<String> for Hash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Op;

    fn change() -> Change {
        Change {
            seq: 1,
            txn: 1,
            at: 5,
            table: "users".to_owned(),
            op: Op::Insert,
            pk: "[1]".to_owned(),
            image: Some("[1,\"a\"]".to_owned()),
            schema: 12,
        }
    }

    #[test]
    fn any_other_change_has_another_hash() {
        let hash = link(&GENESIS, &change());
        let others = [
            Change { seq: 2, ..change() },
            Change { txn: 2, ..change() },
            Change { at: 6, ..change() },
            Change { schema: 13, ..change() },
            Change { op: Op::Update, ..change() },
            Change { table: "user".to_owned(), pk: "s[1]".to_owned(), ..change() },
            Change { pk: "[2]".to_owned(), ..change() },
            Change { image: None, ..change() },
            Change { image: Some(String::new()), ..change() },
        ];
        for other in others {
            assert_ne!(link(&GENESIS, &other), hash, "{other:?}");
        }
        assert_ne!(link(&hash, &change()), hash);
    }

    #[test]
    fn a_hash_reads_back_from_its_text() {
        let hash = link(&GENESIS, &change());
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("00".repeat(31).parse::<Hash>(), Err(NotAHash));
        assert_eq!("zz".repeat(32).parse::<Hash>(), Err(NotAHash));
    }
}
