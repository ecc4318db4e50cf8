//! A transaction as the statements see it.

use std::cell::RefCell;
use std::ops::Deref;

use rusqlite::Connection;

use super::vault::Vault;
use crate::domain::time::{Instant, Zone};

/// A consistent view of the database.
pub struct ReadTx<'a> {
    pub(super) connection: &'a Connection,
    /// Seals and opens sensitive fields.
    pub vault: &'a Vault,
    /// The zone that the books are kept in.
    pub zone: &'a Zone,
    /// The one moment at which all of the operation happens.
    pub now: Instant,
}

/// Something to do once the transaction is on the disk and before anybody is told.
pub type AfterCommit = Box<dyn FnOnce() + Send>;

/// A change of the database: part of a group that is committed at once, alone in whether it happens.
pub struct WriteTx<'a> {
    read: ReadTx<'a>,
    after_commit: RefCell<Vec<AfterCommit>>,
}

impl<'a> WriteTx<'a> {
    pub(super) fn new(read: ReadTx<'a>) -> Self {
        Self { read, after_commit: RefCell::new(Vec::new()) }
    }

    /// Does this once the change is on the disk, before its caller hears of it; never if the change is not made.
    pub fn after_commit(&self, effect: impl FnOnce() + Send + 'static) {
        self.after_commit.borrow_mut().push(Box::new(effect));
    }

    pub(super) fn into_effects(self) -> Vec<AfterCommit> {
        self.after_commit.into_inner()
    }
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &ReadTx<'a> {
        &self.read
    }
}
