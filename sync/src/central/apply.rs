//! Applying batches: in one MySQL transaction with the position, so that the mirror shows a state that the site was in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Params, Transaction, Value as Sql, params};
use serde_json::Value;

use super::position::{self, Place, Verdict};
use super::shape::{OVERFLOW_COLUMN, Plan, SEQ_COLUMN};
use super::{Central, CentralError, quarantine, writing};
use crate::batch::Batch;
use crate::capture::Layout;
use crate::chain::Mark;
use crate::outbox::Change;
use crate::wire::Answer;

/// Rows of one statement at most.
const STATEMENT_ROWS_MAX: usize = 512;
/// Statements have numbers of rows whose binary digits after the first so many are zero, so that few different ones are prepared
/// and few are needed for any number.
const STATEMENT_SIZE_DIGITS: u32 = 3;
/// Placeholders of one statement at most (MySQL's protocol counts them in 16 bits).
const PLACEHOLDERS_MAX: usize = 60_000;
/// Bytes of one statement's values at most, below the smallest usual `max_allowed_packet`; a single larger row goes alone.
const STATEMENT_BYTES_MAX: usize = 4 << 20;

/// What happens to rows that are newer than the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// There are none: the change is the newest.
    Newest,
    /// They stay: the change comes late, out of quarantine.
    Late,
}

/// How the changes of a batch are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// All at once: only what a row is in the end is written.
    Together,
    /// Transaction by transaction, and one that fails goes into quarantine.
    Apart,
}

impl Central {
    /// Applies a batch, or says why not; `packed` is what it was unpacked from.
    ///
    /// # Errors
    /// [`CentralError`]; nothing was done, or, when the connection broke in the commit, all of it: a repeat tells.
    pub async fn push(&self, site: i64, batch: &Batch, packed: &[u8]) -> Result<Answer, CentralError> {
        match self.try_push(site, batch, packed, Manner::Together).await {
            Err(error) if error.is_permanent() => {
                tracing::warn!(site.id = site, error = %error, "a batch can't be applied as a whole");
                self.try_push(site, batch, packed, Manner::Apart).await
            }
            other => other,
        }
    }

    async fn try_push(&self, site: i64, batch: &Batch, packed: &[u8], manner: Manner) -> Result<Answer, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(writing()).await?;
        let place = position::lock(&mut tx, site).await?;
        let continues = match place.judge(&mut tx, site, batch).await? {
            Verdict::Answer(answer) => {
                tx.commit().await?;
                return Ok(answer);
            }
            Verdict::Next => false,
            Verdict::NextPart => place.staged != place.applied,
        };
        let Some(layout) = self.layout(&mut tx, site, batch.schema).await? else {
            // The hello that follows brings it.
            return Ok(Answer::Rewind(place.applied));
        };
        if !continues && place.staged != place.applied {
            tx.exec_drop("delete from canshi_parts where site_id = ?", (site,)).await?;
        }
        if !batch.whole {
            set_aside(&mut tx, site, batch, packed).await?;
            tx.commit().await?;
            return Ok(Answer::Applied(batch.to));
        }
        let mut changes = if continues { parts(&mut tx, site).await? } else { Vec::new() };
        changes.extend(batch.changes.iter().cloned());
        let tombs = place.quarantined > 0;
        let quarantined = match manner {
            Manner::Together => {
                self.apply(&mut tx, site, &layout, &changes, Order::Newest).await?;
                if tombs {
                    quarantine::bury(&mut tx, site, &changes).await?;
                }
                0
            }
            Manner::Apart => self.apply_apart(&mut tx, site, &layout, &changes, batch, tombs).await?,
        };
        if continues {
            tx.exec_drop("delete from canshi_parts where site_id = ?", (site,)).await?;
        }
        advance(&mut tx, site, &place, batch, quarantined).await?;
        tx.commit().await?;
        if quarantined > 0 {
            tracing::error!(site.id = site, transactions = quarantined, "transactions went into quarantine");
        }
        Ok(Answer::Applied(batch.to))
    }

    /// Applies each transaction by itself; gives how many went into quarantine.
    async fn apply_apart(
        &self,
        tx: &mut Transaction<'_>,
        site: i64,
        layout: &Layout,
        changes: &[Change],
        batch: &Batch,
        tombs: bool,
    ) -> Result<i64, CentralError> {
        let mut quarantined = 0;
        for changes in changes.chunk_by(|one, other| one.txn == other.txn) {
            tx.query_drop("savepoint one").await?;
            match self.apply(tx, site, layout, changes, Order::Newest).await {
                Ok(()) => tx.query_drop("release savepoint one").await?,
                Err(error) if error.is_permanent() => {
                    tx.query_drop("rollback to savepoint one").await?;
                    quarantine::keep(tx, site, batch, changes, &error).await?;
                    quarantined += 1;
                }
                Err(error) => return Err(error),
            }
            if tombs || quarantined > 0 {
                quarantine::bury(tx, site, changes).await?;
            }
        }
        Ok(quarantined)
    }

    /// Makes the rows what the changes, in order, make of them.
    pub(super) async fn apply(
        &self,
        tx: &mut Transaction<'_>,
        site: i64,
        layout: &Layout,
        changes: &[Change],
        order: Order,
    ) -> Result<(), CentralError> {
        for (table, last) in last_of_each_row(changes) {
            let Some(described) = layout.table(table) else {
                return Err(CentralError::BadRow { table: table.to_owned(), problem: "its layout was never told" });
            };
            let Some(plan) = self.shapes.plan(described) else {
                quarantine::keep_unknown(tx, site, layout.schema, table, &last).await?;
                continue;
            };
            let mut gone = Vec::new();
            let mut rows = Vec::new();
            for change in last {
                match &change.image {
                    Some(image) => rows.push(plan.encode(site, change.seq, &array(table, image)?)?),
                    None => gone.push((change.seq, plan.encode_key(&array(table, &change.pk)?)?)),
                }
            }
            delete(tx, site, &plan, gone, order).await?;
            upsert(tx, &plan, rows, order).await?;
        }
        Ok(())
    }
}

/// For each table the last change of each row, in the order of the changes.
fn last_of_each_row(changes: &[Change]) -> BTreeMap<&str, Vec<&Change>> {
    let mut last: HashMap<(&str, &str), usize> = HashMap::with_capacity(changes.len());
    for (place, change) in changes.iter().enumerate() {
        last.insert((&change.table, &change.pk), place);
    }
    let mut places: Vec<usize> = last.into_values().collect();
    places.sort_unstable();
    let mut tables: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for place in places {
        tables.entry(&changes[place].table).or_default().push(&changes[place]);
    }
    tables
}

fn array(table: &str, text: &str) -> Result<Vec<Value>, CentralError> {
    serde_json::from_str(text)
        .map_err(|_| CentralError::BadRow { table: table.to_owned(), problem: "its key or image is not an array" })
}

async fn upsert(tx: &mut Transaction<'_>, plan: &Plan, rows: Vec<Vec<Sql>>, order: Order) -> Result<(), CentralError> {
    let columns = plan.columns();
    let quoted: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    let keys = plan.key_columns()?;
    let key = |column: &str| column == "site_id" || keys.iter().any(|place| place.name == column);
    // `mirror_seq` is the last of the columns: the comparisons before it still see the row's old one.
    let sets: Vec<String> = columns
        .iter()
        .filter(|column| !key(column))
        .map(|column| match order {
            Order::Newest => format!("`{column}` = values(`{column}`)"),
            Order::Late => {
                format!("`{column}` = if(values({SEQ_COLUMN}) > {SEQ_COLUMN}, values(`{column}`), `{column}`)")
            }
        })
        .collect();
    let one = format!("({})", vec!["?"; columns.len()].join(", "));
    for rows in statements(rows, columns.len()) {
        let sql = format!(
            "insert into `{}` ({}) values {} on duplicate key update {}",
            plan.table.name,
            quoted.join(", "),
            vec![one.as_str(); rows.len()].join(", "),
            sets.join(", ")
        );
        tx.exec_drop(sql, Params::Positional(rows.into_iter().flatten().collect())).await?;
    }
    Ok(())
}

async fn delete(
    tx: &mut Transaction<'_>,
    site: i64,
    plan: &Plan,
    gone: Vec<(i64, Vec<Sql>)>,
    order: Order,
) -> Result<(), CentralError> {
    let keys = plan.key_columns()?;
    let one = keys.iter().map(|place| format!("`{}` = ?", place.name)).collect::<Vec<_>>().join(" and ");
    let one = match order {
        Order::Newest => format!("({one})"),
        Order::Late => format!("({one} and {SEQ_COLUMN} < ?)"),
    };
    let rows: Vec<Vec<Sql>> = gone
        .into_iter()
        .map(|(seq, mut key)| {
            if order == Order::Late {
                key.push(Sql::Int(seq));
            }
            key
        })
        .collect();
    for rows in statements(rows, keys.len() + 1) {
        let sql = format!(
            "delete from `{}` where site_id = ? and ({})",
            plan.table.name,
            vec![one.as_str(); rows.len()].join(" or ")
        );
        let values = std::iter::once(Sql::Int(site)).chain(rows.into_iter().flatten()).collect();
        tx.exec_drop(sql, Params::Positional(values)).await?;
    }
    Ok(())
}

/// Divides rows among statements, within the limits of a statement.
fn statements(rows: Vec<Vec<Sql>>, width: usize) -> Vec<Vec<Vec<Sql>>> {
    let most = STATEMENT_ROWS_MAX.min(PLACEHOLDERS_MAX / width.max(1)).max(1);
    let mut statements = Vec::new();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let left = rows.len().min(most);
        let size = round_down(left.max(1));
        let (mut statement, mut bytes) = (Vec::with_capacity(size), 0);
        while statement.len() < size {
            let Some(row) = rows.next() else { break };
            bytes += weight(&row);
            statement.push(row);
            if rows.peek().is_some_and(|next| bytes + weight(next) > STATEMENT_BYTES_MAX) {
                break;
            }
        }
        statements.push(statement);
    }
    statements
}

/// The largest number up to this one that a statement may have as its number of rows.
fn round_down(rows: usize) -> usize {
    let spare = (rows.ilog2() + 1).saturating_sub(STATEMENT_SIZE_DIGITS);
    rows >> spare << spare
}

fn weight(row: &[Sql]) -> usize {
    row.iter().map(|value| if let Sql::Bytes(bytes) = value { bytes.len() } else { 8 }).sum()
}

async fn set_aside(tx: &mut Transaction<'_>, site: i64, batch: &Batch, packed: &[u8]) -> Result<(), CentralError> {
    tx.exec_drop(
        "insert into canshi_parts (site_id, seq, batch) values (?, ?, ?) on duplicate key update batch = values(batch)",
        (site, batch.from.seq + 1, packed),
    )
    .await?;
    tx.exec_drop(
        "update canshi_positions set staged_seq = ?, staged_hash = ? where site_id = ?",
        (batch.to.seq, batch.to.hash.to_string(), site),
    )
    .await?;
    Ok(())
}

async fn parts(tx: &mut Transaction<'_>, site: i64) -> Result<Vec<Change>, CentralError> {
    let parts: Vec<Vec<u8>> = tx.exec("select batch from canshi_parts where site_id = ? order by seq", (site,)).await?;
    let mut changes = Vec::new();
    for part in parts {
        changes.extend(Batch::unpack(&part)?.changes);
    }
    Ok(changes)
}

async fn advance(
    tx: &mut Transaction<'_>,
    site: i64,
    place: &Place,
    batch: &Batch,
    quarantined: i64,
) -> Result<(), CentralError> {
    let Mark { seq, hash } = batch.to;
    let committed_at = super::shape::datetime(batch.at());
    tx.exec_drop(
        "update canshi_positions
         set seq = :seq, hash = :hash, staged_seq = :seq, staged_hash = :hash, applied_at = utc_timestamp(3),
             committed_at = coalesce(:committed_at, committed_at), tip = greatest(tip, :seq), told_at = utc_timestamp(3),
             quarantined = :quarantined
         where site_id = :site",
        params! {
            "seq" => seq,
            "hash" => hash.to_string(),
            "committed_at" => committed_at,
            "quarantined" => place.quarantined + quarantined,
            "site" => site,
        },
    )
    .await?;
    Ok(())
}

impl Central {
    /// The plan of a table in a layout, for reading.
    pub(super) fn plan(&self, layout: &Arc<Layout>, table: &str) -> Option<Plan> {
        self.shapes.plan(layout.table(table)?)
    }
}

/// The columns that reading a table selects, quoted, in the order of [`Plan::columns`].
pub(super) fn selection(plan: &Plan) -> String {
    let columns: Vec<String> =
        plan.columns().into_iter().filter(|column| *column != SEQ_COLUMN).map(|column| format!("`{column}`")).collect();
    debug_assert!(columns.last().is_some_and(|column| column.contains(OVERFLOW_COLUMN)), "the overflow comes last");
    columns.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_takes_few_statements_of_few_sizes() {
        let mut sizes = std::collections::BTreeSet::new();
        for rows in 0..=1_000_usize {
            let divided = statements(vec![vec![Sql::Int(1)]; rows], 1);
            assert_eq!(divided.iter().map(Vec::len).sum::<usize>(), rows);
            assert!(divided.len() <= 5, "{} statements for {rows} rows", divided.len());
            sizes.extend(divided.iter().map(Vec::len));
        }
        assert!(sizes.len() <= 32, "{sizes:?}");
        assert!(sizes.iter().all(|size| *size <= STATEMENT_ROWS_MAX));
    }

    #[test]
    fn a_statement_stays_within_its_bytes_but_for_a_single_row() {
        let row = |bytes: usize| vec![Sql::Bytes(vec![0; bytes])];
        let rows = vec![
            row(STATEMENT_BYTES_MAX / 2),
            row(STATEMENT_BYTES_MAX / 2),
            row(1),
            row(STATEMENT_BYTES_MAX * 2),
            row(1),
        ];
        let divided: Vec<usize> = statements(rows, 1).iter().map(Vec::len).collect();
        assert_eq!(divided.iter().sum::<usize>(), 5);
        assert_eq!(divided, [2, 1, 1, 1]);
    }
}
