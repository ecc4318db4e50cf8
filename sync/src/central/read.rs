//! Reading the mirror back for the site that it is of: digests to compare, rows to compare or to rebuild from.

use mysql_async::prelude::Queryable as _;
use mysql_async::{Params, Row, Transaction, Value as Sql};

use super::apply::selection;
use super::shape::Plan;
use super::{Central, CentralError, reading};
use crate::digest::Digester;
use crate::wire::{DigestAnswer, DigestRequest, RowsAnswer, RowsRequest, Stretch};

/// Stretches of one request at most.
pub const STRETCHES_MAX: usize = 64;
/// Rows of one page at most.
const ROWS_MAX: u32 = 1_000;
/// Bytes of one page's values at most; a single larger row goes alone.
const PAGE_BYTES_MAX: usize = 4 << 20;

impl Central {
    /// Digests of stretches of a table.
    ///
    /// # Errors
    /// [`CentralError::NoSite`]; [`CentralError::BadRow`] when the table or the schema is not known here.
    pub async fn digests(&self, site: i64, request: &DigestRequest) -> Result<DigestAnswer, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(reading()).await?;
        let seq = applied(&mut tx, site).await?;
        let plan = self.plan_of(&mut tx, site, request.schema, &request.table).await?;
        let mut digests = Vec::with_capacity(request.stretches.len());
        for stretch in request.stretches.iter().take(STRETCHES_MAX) {
            let (sql, values) = query(&plan, site, stretch, None)?;
            let mut digester = Digester::default();
            let mut rows = tx.exec_iter(sql, Params::Positional(values)).await?;
            while let Some(row) = rows.next().await? {
                digester.add(&plan.decode(row.unwrap())?);
            }
            drop(rows);
            digests.push(digester.finish());
        }
        tx.commit().await?;
        Ok(DigestAnswer { seq, digests })
    }

    /// A page of a table's rows, in key order.
    ///
    /// # Errors
    /// As [`Central::digests`].
    pub async fn rows(&self, site: i64, request: &RowsRequest) -> Result<RowsAnswer, CentralError> {
        let mut conn = self.connection().await?;
        let mut tx = conn.start_transaction(reading()).await?;
        let seq = applied(&mut tx, site).await?;
        let plan = self.plan_of(&mut tx, site, request.schema, &request.table).await?;
        let limit = request.limit.clamp(1, ROWS_MAX);
        let (sql, values) = query(&plan, site, &request.stretch, Some(limit + 1))?;
        let (mut rows, mut bytes, mut more) = (Vec::new(), 0, false);
        let mut found = tx.exec_iter(sql, Params::Positional(values)).await?;
        while let Some(row) = found.next().await? {
            let image = plan.decode(row.unwrap())?;
            bytes += image.iter().map(|value| value.as_str().map_or(8, str::len)).sum::<usize>();
            if rows.len() == limit as usize || (bytes > PAGE_BYTES_MAX && !rows.is_empty()) {
                more = true;
                break;
            }
            rows.push(image);
        }
        drop(found);
        tx.commit().await?;
        Ok(RowsAnswer { seq, rows, more })
    }

    /// Keeps what a repair found: a row as it is on both sides, or null where there is none.
    ///
    /// # Errors
    /// [`CentralError::Db`].
    pub async fn keep_difference(
        &self,
        site: i64,
        table: &str,
        pk: &str,
        images: (Option<String>, Option<String>),
    ) -> Result<(), CentralError> {
        let mut conn = self.connection().await?;
        conn.exec_drop(
            "insert into canshi_differences (site_id, tbl, pk, found_at, center_image, site_image)
             values (?, ?, ?, utc_timestamp(3), ?, ?) on duplicate key update site_image = values(site_image)",
            (site, table, pk, images.0, images.1),
        )
        .await?;
        Ok(())
    }

    async fn plan_of(
        &self,
        tx: &mut Transaction<'_>,
        site: i64,
        schema: i64,
        table: &str,
    ) -> Result<Plan, CentralError> {
        let layout = self.layout(tx, site, schema).await?;
        layout.and_then(|layout| self.plan(&layout, table)).ok_or_else(|| CentralError::BadRow {
            table: table.to_owned(),
            problem: "the center does not know this table of this schema version",
        })
    }
}

async fn applied(tx: &mut Transaction<'_>, site: i64) -> Result<i64, CentralError> {
    let row: Option<Row> = tx.exec_first("select seq from canshi_positions where site_id = ?", (site,)).await?;
    row.and_then(|mut row| row.take(0)).ok_or(CentralError::NoSite)
}

fn query(plan: &Plan, site: i64, stretch: &Stretch, limit: Option<u32>) -> Result<(String, Vec<Sql>), CentralError> {
    let keys: Vec<String> = plan.key_columns()?.iter().map(|place| format!("`{}`", place.name)).collect();
    let key = keys.join(", ");
    let holes = vec!["?"; keys.len()].join(", ");
    let mut sql = format!("select {} from `{}` where site_id = ?", selection(plan), plan.table.name);
    let mut values = vec![Sql::Int(site)];
    for (bound, comparison) in [(&stretch.after, ">"), (&stretch.until, "<=")] {
        if let Some(bound) = bound {
            sql.push_str(&format!(" and ({key}) {comparison} ({holes})"));
            values.extend(plan.encode_key(bound)?);
        }
    }
    sql.push_str(&format!(" order by {key}"));
    if let Some(limit) = limit {
        sql.push_str(&format!(" limit {limit}"));
    }
    Ok((sql, values))
}
