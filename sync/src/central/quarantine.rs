//! Transactions that could not be applied: kept whole while the position moves on, and applied later, behind what came since.

use mysql_async::Transaction;
use mysql_async::prelude::Queryable as _;

use super::apply::Order;
use super::{Central, CentralError, position, writing};
use crate::batch::Batch;
use crate::chain::Mark;
use crate::outbox::{Change, Op};

/// Characters of a problem's text that are kept.
const PROBLEM_MAX: usize = 2_000;

/// Keeps one transaction.
pub(super) async fn keep(
    tx: &mut Transaction<'_>,
    site: i64,
    batch: &Batch,
    changes: &[Change],
    problem: &CentralError,
) -> Result<(), CentralError> {
    let (Some(first), Some(last)) = (changes.first(), changes.last()) else { return Ok(()) };
    // A batch of its own; what it follows on no longer matters.
    let from = Mark { seq: first.seq - 1, hash: crate::chain::GENESIS };
    let kept = Batch {
        epoch: batch.epoch.clone(),
        boot: batch.boot.clone(),
        schema: batch.schema,
        from,
        to: changes.iter().fold(from, Mark::after),
        whole: true,
        changes: changes.to_vec(),
    };
    let cause = std::error::Error::source(problem).map_or_else(String::new, |cause| format!(": {cause}"));
    let problem: String = format!("{problem}{cause}").chars().take(PROBLEM_MAX).collect();
    tx.exec_drop(
        "insert into canshi_quarantine (site_id, seq, until_seq, at, problem, batch) values (?, ?, ?, utc_timestamp(3), ?, ?)
         on duplicate key update at = values(at), problem = values(problem)",
        (site, first.seq, last.seq, problem, kept.pack()?),
    )
    .await?;
    Ok(())
}

/// Remembers the deletions among these changes, and forgets those whose rows came back.
pub(super) async fn bury(tx: &mut Transaction<'_>, site: i64, changes: &[Change]) -> Result<(), CentralError> {
    for change in changes {
        if change.op == Op::Delete {
            tx.exec_drop(
                "insert into canshi_tombstones (site_id, tbl, pk, seq) values (?, ?, ?, ?)
                 on duplicate key update seq = greatest(seq, values(seq))",
                (site, &change.table, &change.pk, change.seq),
            )
            .await?;
        }
    }
    Ok(())
}

/// Keeps the rows of a table that this center does not have.
pub(super) async fn keep_unknown(
    tx: &mut Transaction<'_>,
    site: i64,
    schema: i64,
    table: &str,
    changes: &[&Change],
) -> Result<(), CentralError> {
    for change in changes {
        match &change.image {
            Some(image) => {
                tx.exec_drop(
                    "insert into canshi_unknown_rows (site_id, tbl, pk, seq, schema_version, image) values (?, ?, ?, ?, ?, ?)
                     on duplicate key update seq = values(seq), schema_version = values(schema_version), image = values(image)",
                    (site, table, &change.pk, change.seq, schema, image),
                )
                .await?;
            }
            None => {
                tx.exec_drop(
                    "delete from canshi_unknown_rows where site_id = ? and tbl = ? and pk = ?",
                    (site, table, &change.pk),
                )
                .await?;
            }
        }
    }
    Ok(())
}

impl Central {
    /// Tries to apply what is in a site's quarantine, oldest first, each transaction by itself; rows that were changed since
    /// stay as they are. Gives how many were applied, and the problem of each that still can't be.
    ///
    /// # Errors
    /// [`CentralError`] when MySQL fails; what was applied before then is.
    pub async fn replay(&self, site: i64) -> Result<(u64, Vec<(i64, CentralError)>), CentralError> {
        let mut conn = self.connection().await?;
        let seqs: Vec<i64> =
            conn.exec("select seq from canshi_quarantine where site_id = ? order by seq", (site,)).await?;
        let (mut applied, mut failed) = (0, Vec::new());
        for seq in seqs {
            match self.replay_one(&mut conn, site, seq).await {
                Ok(()) => applied += 1,
                Err(error) if error.is_permanent() => failed.push((seq, error)),
                Err(error) => return Err(error),
            }
        }
        Ok((applied, failed))
    }

    async fn replay_one(&self, conn: &mut mysql_async::Conn, site: i64, seq: i64) -> Result<(), CentralError> {
        let mut tx = conn.start_transaction(writing()).await?;
        position::lock(&mut tx, site).await?;
        let packed: Option<Vec<u8>> =
            tx.exec_first("select batch from canshi_quarantine where site_id = ? and seq = ?", (site, seq)).await?;
        let Some(packed) = packed else { return Ok(()) };
        let batch = Batch::unpack(&packed)?;
        let Some(layout) = self.layout(&mut tx, site, batch.schema).await? else {
            return Err(CentralError::Corrupt(format!("schema {} was never told", batch.schema)));
        };
        let mut wanted = Vec::with_capacity(batch.changes.len());
        for change in batch.changes {
            let buried: Option<i64> = tx
                .exec_first(
                    "select seq from canshi_tombstones where site_id = ? and tbl = ? and pk = ? and seq > ?",
                    (site, &change.table, &change.pk, change.seq),
                )
                .await?;
            if buried.is_none() {
                wanted.push(change);
            }
        }
        self.apply(&mut tx, site, &layout, &wanted, Order::Late).await?;
        tx.exec_drop("delete from canshi_quarantine where site_id = ? and seq = ?", (site, seq)).await?;
        tx.exec_drop(
            "update canshi_positions set quarantined = (select count(*) from canshi_quarantine where site_id = ?)
             where site_id = ?",
            (site, site),
        )
        .await?;
        tx.exec_drop(
            "delete from canshi_tombstones where site_id = ?
                 and not exists (select 1 from canshi_quarantine where site_id = ?)",
            (site, site),
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Brings rows that were kept while this center had no table or no column for them to where they belong now. Run after
    /// a migration. Gives how many rows were moved.
    ///
    /// # Errors
    /// [`CentralError`].
    pub async fn promote(&self) -> Result<u64, CentralError> {
        let mut conn = self.connection().await?;
        let kept: Vec<(i64, String, String, i64, i64, String)> =
            conn.query("select site_id, tbl, pk, seq, schema_version, image from canshi_unknown_rows").await?;
        let mut moved = 0;
        for (site, table, pk, seq, schema, image) in kept {
            let mut tx = conn.start_transaction(writing()).await?;
            let Some(layout) = self.layout(&mut tx, site, schema).await? else { continue };
            if self.plan(&layout, &table).is_none() {
                continue;
            }
            let change = Change { seq, txn: 0, at: 0, table, op: Op::Update, pk, image: Some(image), schema };
            self.apply(&mut tx, site, &layout, std::slice::from_ref(&change), Order::Late).await?;
            tx.exec_drop(
                "delete from canshi_unknown_rows where site_id = ? and tbl = ? and pk = ?",
                (site, &change.table, &change.pk),
            )
            .await?;
            tx.commit().await?;
            moved += 1;
        }
        Ok(moved)
    }
}
