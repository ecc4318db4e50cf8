//! Lists: a page of rows, their total, and the filters that apply.

use rusqlite::types::ToSql;
use rusqlite::{Row, params_from_iter};

use super::ReadTx;
use crate::error::Result;

/// Rows on one page at most.
pub const PAGE_SIZE_MAX: u32 = 100;
/// Rows on one page unless the caller says otherwise.
pub const PAGE_SIZE_DEFAULT: u32 = 10;

/// Where the log names the statements of lists, without their values.
pub const SQL: &str = "canshi::sql";

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub number: u32,
    /// Rows on it.
    pub size: u32,
}

impl Page {
    /// Rows before the page.
    pub const fn offset(self) -> i64 {
        (self.number as i64 - 1) * self.size as i64
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    /// Rows in the whole list.
    pub total: i64,
    /// The rows of the page.
    pub items: Vec<T>,
}

/// Conditions joined by `and`, with their values.
#[derive(Default)]
pub struct Filter<'v> {
    conditions: Vec<&'static str>,
    values: Vec<Box<dyn ToSql + 'v>>,
}

impl<'v> Filter<'v> {
    /// A condition without a value.
    pub fn only(mut self, condition: &'static str) -> Self {
        self.conditions.push(condition);
        self
    }

    /// A condition with one `?`, when there is a value for it.
    pub fn when(mut self, condition: &'static str, value: Option<impl ToSql + 'v>) -> Self {
        if let Some(value) = value {
            self.conditions.push(condition);
            self.values.push(Box::new(value));
        }
        self
    }

    /// A condition with several `?`.
    pub fn with(mut self, condition: &'static str, values: Vec<Box<dyn ToSql + 'v>>) -> Self {
        self.conditions.push(condition);
        self.values.extend(values);
        self
    }

    fn clause(&self) -> String {
        if self.conditions.is_empty() { String::new() } else { format!(" where {}", self.conditions.join(" and ")) }
    }

    /// How many rows of `from` pass.
    pub fn count(&self, tx: &ReadTx<'_>, from: &str) -> Result<i64> {
        let sql = format!("select count(*) from {from}{}", self.clause());
        tracing::trace!(target: SQL, sql);
        let mut statement = tx.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params_from_iter(self.values.iter()), |row| row.get(0))?)
    }

    /// The rows of `from` that pass, in this order, `limit` of them after the first `offset`.
    pub fn rows<T>(
        &self,
        tx: &ReadTx<'_>,
        (columns, from, order): (&str, &str, &str),
        (limit, offset): (i64, i64),
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let sql = format!("select {columns} from {from}{} order by {order} limit {limit} offset ?", self.clause());
        tracing::trace!(target: SQL, sql);
        let mut statement = tx.connection.prepare_cached(&sql)?;
        let values = self.values.iter().map(|value| &**value).chain([&offset as &dyn ToSql]);
        let mut rows = statement.query(params_from_iter(values))?;
        let mut items = Vec::new();
        while let Some(row) = rows.next()? {
            items.push(read(row)?);
        }
        Ok(items)
    }

    /// A page and the total.
    pub fn list<T>(
        &self,
        tx: &ReadTx<'_>,
        shape: (&str, &str, &str),
        page: Page,
        read: impl Fn(&Row<'_>) -> Result<T>,
    ) -> Result<Listed<T>> {
        Ok(Listed {
            total: self.count(tx, shape.1)?,
            items: self.rows(tx, shape, (i64::from(page.size), page.offset()), read)?,
        })
    }
}
