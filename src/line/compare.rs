//! Comparing the mirror with the site: by digests of stretches of keys first, by rows where those differ.
//!
//! # Decision
//! Nothing is stopped for it. Both sides read at their own moment, and a row that has changed since the center's moment is on
//! its way in the outbox, so it is no difference whatever the mirror shows of it; any other row must be the same. So a comparison
//! is exact on a busy site, and costs it one reader.

use canshi_sync::capture::{Layout, Table};
use canshi_sync::digest::{Digester, key_of};
use canshi_sync::wire::{DigestAnswer, DigestRequest, RowsAnswer, RowsRequest, Stretch};
use serde_json::Value;

use super::client::Client;
use crate::error::{Error, Result};
use crate::service::sync::{Key, Progress};
use crate::store::{Db, sync};

/// Rows of one stretch.
const STRETCH_ROWS: u32 = 1_000;
/// Stretches of one question.
const STRETCHES: usize = 32;
/// Rows of one page, where rows are compared.
const ROWS_PAGE: u32 = 1_000;

/// A row that is not the same on both sides; none where there is no row.
#[derive(Debug, Clone, PartialEq)]
pub struct Different {
    /// Its key.
    pub key: Key,
    /// The row at the center.
    pub center: Option<Vec<Value>>,
    /// The row on the site.
    pub site: Option<Vec<Value>>,
}

/// Compares the tables from where `progress` says, a few stretches at a time.
pub struct Comparison<'a> {
    db: &'a Db,
    client: &'a Client,
    layout: Layout,
    /// How far it is.
    pub progress: Progress,
}

impl<'a> Comparison<'a> {
    /// Starts a comparison, or goes on with one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(db: &'a Db, client: &'a Client, mut progress: Progress) -> Result<Self> {
        let layout = db.read(sync::layout).await?;
        let tables = layout.tables.clone();
        progress.rows_total = db.read(move |tx| tables.iter().map(|table| sync::count(tx, table)).sum()).await?;
        Ok(Self { db, client, layout, progress })
    }

    /// Compares the next few stretches; gives the table and the rows that differ. None when all is done.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Busy`] when the center does not answer; [`Error::Invalid`] when it refuses.
    pub async fn next(&mut self) -> Result<Option<(Table, Vec<Different>)>> {
        let Some(table) = self.layout.tables.get(self.progress.tables_done).cloned() else { return Ok(None) };
        let (stretches, own, rows) = self.own_digests(&table).await?;
        let request =
            DigestRequest { schema: self.layout.schema, table: table.name.clone(), stretches: stretches.clone() };
        let answer: DigestAnswer = self.client.ask("digest", &request).await?;
        let mut different = Vec::new();
        for ((stretch, own), theirs) in stretches.iter().zip(own).zip(answer.digests) {
            if own != theirs {
                different.extend(self.compare_rows(&table, stretch).await?);
            }
        }
        self.progress.rows += rows;
        self.progress.different += different.len() as u64;
        match stretches.last().and_then(|stretch| stretch.until.clone()) {
            Some(until) => self.progress.after = Some(until),
            None => (self.progress.tables_done, self.progress.after) = (self.progress.tables_done + 1, None),
        }
        Ok(Some((table, different)))
    }

    /// The next stretches of a table and the site's digests of them; the last stretch of a table has no end.
    async fn own_digests(&self, table: &Table) -> Result<(Vec<Stretch>, Vec<canshi_sync::wire::Digest>, u64)> {
        let (table, mut after) = (table.clone(), self.progress.after.clone());
        let read = self.db.read(move |tx| {
            let (mut stretches, mut digests, mut count) = (Vec::new(), Vec::new(), 0);
            while stretches.len() < STRETCHES {
                let rows = sync::rows(tx, &table, after.as_deref(), STRETCH_ROWS)?;
                let until =
                    (rows.len() == STRETCH_ROWS as usize).then(|| rows.last().map(|row| key_of(&table, row))).flatten();
                let mut digester = Digester::default();
                rows.iter().for_each(|row| digester.add(row));
                count += rows.len() as u64;
                stretches.push(Stretch { after: after.clone(), until: until.clone() });
                digests.push(digester.finish());
                match until {
                    Some(until) => after = Some(until),
                    None => break,
                }
            }
            Ok((stretches, digests, count))
        });
        read.await
    }

    /// The rows of a stretch that differ and are not on their way.
    async fn compare_rows(&self, table: &Table, stretch: &Stretch) -> Result<Vec<Different>> {
        let mut different = Vec::new();
        let mut after = stretch.after.clone();
        loop {
            let request = RowsRequest {
                schema: self.layout.schema,
                table: table.name.clone(),
                stretch: Stretch { after: after.clone(), until: stretch.until.clone() },
                limit: ROWS_PAGE,
            };
            let page: RowsAnswer = self.client.ask("rows", &request).await?;
            let until = match (page.more, page.rows.last()) {
                (true, Some(last)) => Some(key_of(table, last)),
                (true, None) => {
                    return Err(Error::Corrupt("the center gave an empty page and says that more follow".to_owned()));
                }
                (false, _) => stretch.until.clone(),
            };
            different.extend(self.compare_page(table, after, until.clone(), page.rows, page.seq).await?);
            if !page.more {
                return Ok(different);
            }
            after = until;
        }
    }

    async fn compare_page(
        &self,
        table: &Table,
        after: Option<Key>,
        until: Option<Key>,
        theirs: Vec<Vec<Value>>,
        seq: i64,
    ) -> Result<Vec<Different>> {
        let table = table.clone();
        let read = self.db.read(move |tx| {
            let mut theirs: std::collections::BTreeMap<String, Vec<Value>> =
                theirs.into_iter().map(|row| (Value::from(key_of(&table, &row)).to_string(), row)).collect();
            let mut different = Vec::new();
            for site in sync::rows_between(tx, &table, after.as_deref(), until.as_deref())? {
                let key = key_of(&table, &site);
                let center = theirs.remove(&Value::from(key.clone()).to_string());
                if center.as_ref() != Some(&site) && !sync::changed_after(tx, seq, &table.name, &key)? {
                    different.push(Different { key, center, site: Some(site) });
                }
            }
            for center in theirs.into_values() {
                let key = key_of(&table, &center);
                if !sync::changed_after(tx, seq, &table.name, &key)? {
                    different.push(Different { key, center: Some(center), site: None });
                }
            }
            Ok(different)
        });
        read.await
    }
}
