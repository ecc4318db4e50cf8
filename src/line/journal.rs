//! The push loop's view of the site's database.

use canshi_sync::batch::Batch;
use canshi_sync::chain::Mark;
use canshi_sync::push::{Journal, JournalError};
use canshi_sync::wire::Hello;

use crate::error::{Error, Result};
use crate::store::{Db, sync};

/// The site's outbox and what it remembers of its sending.
pub struct SiteJournal {
    db: Db,
    boot: String,
}

impl SiteJournal {
    /// The journal of this start of the program.
    pub fn new(db: Db, boot: String) -> Self {
        Self { db, boot }
    }

    /// Why the center takes nothing from this box; none while it does.
    pub async fn fenced(&self) -> Result<Option<String>> {
        Ok(self.db.read(sync::position).await?.and_then(|position| position.fenced))
    }
}

fn not_enrolled() -> Error {
    Error::Corrupt("the site is not enrolled".to_owned())
}

impl Journal for SiteJournal {
    async fn hello(&self) -> std::result::Result<Hello, JournalError> {
        let boot = self.boot.clone();
        let hello = self.db.read(move |tx| {
            let position = sync::position(tx)?.ok_or_else(not_enrolled)?;
            Ok(Hello {
                epoch: position.epoch,
                boot,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                layouts: sync::layouts(tx)?,
                at: position.confirmed,
                tip: sync::tip(tx)?,
            })
        });
        Ok(hello.await?)
    }

    async fn cut(&self, after: Mark, within: bool) -> std::result::Result<Option<Batch>, JournalError> {
        let boot = self.boot.clone();
        let batch = self.db.read(move |tx| {
            let position = sync::position(tx)?.ok_or_else(not_enrolled)?;
            let Some((to, whole, changes)) = sync::cut(tx, after, within)? else { return Ok(None) };
            let schema = changes.first().map_or(0, |change| change.schema);
            Ok(Some(Batch { epoch: position.epoch, boot, schema, from: after, to, whole, changes }))
        });
        Ok(batch.await?)
    }

    async fn mark_at(&self, seq: i64) -> std::result::Result<Option<Mark>, JournalError> {
        Ok(self.db.read(move |tx| sync::mark_at(tx, seq)).await?)
    }

    async fn confirm(&self, mark: Mark) -> std::result::Result<(), JournalError> {
        Ok(self.db.write(move |tx| sync::confirm(tx, mark)).await?)
    }

    async fn fence(&self, reason: &str) -> std::result::Result<(), JournalError> {
        let reason = reason.to_owned();
        Ok(self.db.write(move |tx| sync::fence(tx, &reason)).await?)
    }
}
