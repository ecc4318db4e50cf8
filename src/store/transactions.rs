//! Statements on `transactions`, and on the totals that are kept beside them.

use jiff::civil::Date;
use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::rows::Day;
use super::{ReadTx, WriteTx};
use crate::domain::ids::{CENTER_IDS_FROM, TransactionId, UserId};
use crate::domain::money::Fen;
use crate::domain::time::Instant;
use crate::domain::transactions::Direction;
use crate::error::Result;

/// The noun's name in tables and audit rows.
pub const NOUN: &str = "transactions";

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Identity.
    pub id: TransactionId,
    /// 类型
    pub direction: Direction,
    /// 分类
    pub category: String,
    /// 金额
    pub amount: Fen,
    /// 描述
    pub description: Option<String>,
    /// When the money went.
    pub transaction_at: Instant,
    /// The site's day of that moment, which the entry counts for.
    pub local_date: Date,
    /// 支付方式
    pub payment_method: Option<String>,
    /// Why, when and by whom it was voided, if it was.
    pub void: Option<Voided>,
    /// 关联ID
    pub related_id: Option<i64>,
    /// 关联类型
    pub related_type: Option<String>,
    /// When the row came into being.
    pub created_at: Instant,
    /// Who made it.
    pub created_by: Option<UserId>,
}

/// That an entry was voided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voided {
    /// 作废原因
    pub reason: String,
    /// When.
    pub at: Instant,
    /// By whom.
    pub by: Option<UserId>,
}

/// Which transactions.
#[derive(Debug, Clone, Default)]
pub struct TransactionFilter {
    /// Only these.
    pub direction: Option<Direction>,
    /// Only of this category.
    pub category: Option<String>,
    /// Only paid in this way.
    pub payment_method: Option<String>,
    /// Only from this day on.
    pub start_date: Option<Date>,
    /// Only until this day, which is included.
    pub end_date: Option<Date>,
    /// Only those about a thing of this kind.
    pub related_type: Option<String>,
    /// Only those about the thing with this id.
    pub related_id: Option<i64>,
}

/// What the entries of one day, direction and category come to, without the voided ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// The site's day.
    pub date: Date,
    /// Which way the money went.
    pub direction: Direction,
    /// 分类
    pub category: String,
    /// The sum of the amounts.
    pub sum: Fen,
}

const COLUMNS: &str = "id, type, category, amount_fen, description, transaction_at, local_date, payment_method, \
                       status, related_id, related_type, void_reason, voided_at, voided_by, created_at, created_by";

/// The id that the next transaction of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<TransactionId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from transactions where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(TransactionId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row that is not void, and counts it in the totals.
pub fn insert(tx: &WriteTx<'_>, transaction: &Transaction) -> Result<()> {
    let sql = "insert into transactions (id, type, category, amount_fen, description, transaction_at, local_date,
                   payment_method, status, related_id, related_type, created_at, created_by)
               values (:id, :type, :category, :amount_fen, :description, :transaction_at, :local_date,
                   :payment_method, 'completed', :related_id, :related_type, :created_at, :created_by)";
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": transaction.id,
        ":type": transaction.direction,
        ":category": transaction.category,
        ":amount_fen": transaction.amount,
        ":description": transaction.description,
        ":transaction_at": transaction.transaction_at,
        ":local_date": Day(transaction.local_date),
        ":payment_method": transaction.payment_method,
        ":related_id": transaction.related_id,
        ":related_type": transaction.related_type,
        ":created_at": transaction.created_at,
        ":created_by": transaction.created_by,
    })?;
    let sql = "insert into transaction_totals (date, type, category, payment_method, entries, sum_fen)
               values (:date, :type, :category, :payment_method, 1, :sum_fen)
               on conflict (date, type, category, payment_method)
               do update set entries = entries + 1, sum_fen = sum_fen + excluded.sum_fen";
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":date": Day(transaction.local_date),
        ":type": transaction.direction,
        ":category": transaction.category,
        ":payment_method": transaction.payment_method.as_deref().unwrap_or_default(),
        ":sum_fen": transaction.amount,
    })?;
    Ok(())
}

/// Marks a row that is not void yet as void, and takes its amount out of the totals; it still counts as an entry.
pub fn mark_void(tx: &WriteTx<'_>, transaction: &Transaction, voided: &Voided) -> Result<()> {
    let sql = "update transactions set status = 'void', void_reason = :reason, voided_at = :at, voided_by = :by
               where id = :id";
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": transaction.id,
        ":reason": voided.reason,
        ":at": voided.at,
        ":by": voided.by,
    })?;
    let sql = "update transaction_totals set sum_fen = sum_fen - :amount_fen
               where date = :date and type = :type and category = :category and payment_method = :payment_method";
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":amount_fen": transaction.amount,
        ":date": Day(transaction.local_date),
        ":type": transaction.direction,
        ":category": transaction.category,
        ":payment_method": transaction.payment_method.as_deref().unwrap_or_default(),
    })?;
    Ok(())
}

/// The transaction, void or not.
pub fn find(tx: &ReadTx<'_>, id: TransactionId) -> Result<Option<Transaction>> {
    let sql = "select id, type, category, amount_fen, description, transaction_at, local_date, payment_method, status,
                      related_id, related_type, void_reason, voided_at, voided_by, created_at, created_by
               from transactions where id = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([id], read).optional()?)
}

/// A page of the transactions that pass the filter, the latest first.
pub fn list(tx: &ReadTx<'_>, filter: &TransactionFilter, page: Page) -> Result<Listed<Transaction>> {
    let conditions = row_conditions(filter);
    // The totals know nothing of what an entry is about.
    let counted = filter.related_id.is_some() || filter.related_type.is_some();
    let total = if counted { conditions.count(tx, "transactions")? } else { entries(tx, filter)? };
    let items = conditions.rows(
        tx,
        (COLUMNS, "transactions", "local_date desc, transaction_at desc, id desc"),
        (i64::from(page.size), page.offset()),
        |row| Ok(read(row)?),
    )?;
    Ok(Listed { total, items })
}

/// What the entries from `from` until `until`, both included, come to per day, direction and category.
pub fn totals_between(tx: &ReadTx<'_>, from: Date, until: Date) -> Result<Vec<Total>> {
    let sql = "select date, type, category, sum(sum_fen) from transaction_totals
               where date between ?1 and ?2 group by date, type, category order by date, type, category";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let mut rows = statement.query((Day(from), Day(until)))?;
    let mut totals = Vec::new();
    while let Some(row) = rows.next()? {
        let date: Day = row.get(0)?;
        totals.push(Total { date: date.0, direction: row.get(1)?, category: row.get(2)?, sum: row.get(3)? });
    }
    Ok(totals)
}

/// How many groups of the totals differ from what the rows come to.
pub fn totals_differ(tx: &ReadTx<'_>) -> Result<i64> {
    let sql = "select count(*) from (
                   select 1 from (
                       select date, type, category, payment_method, entries, sum_fen from transaction_totals
                       union all
                       select local_date, type, category, coalesce(payment_method, ''), -1,
                              case status when 'completed' then -amount_fen else 0 end
                       from transactions)
                   group by date, type, category, payment_method
                   having sum(entries) <> 0 or sum(sum_fen) <> 0)";
    Ok(tx.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn row_conditions(filter: &TransactionFilter) -> Filter<'static> {
    let conditions = Filter::default()
        .when("type = ?", filter.direction)
        .when("category = ?", filter.category.clone())
        .when("payment_method = ?", filter.payment_method.clone())
        .when("local_date >= ?", filter.start_date.map(Day))
        .when("local_date <= ?", filter.end_date.map(Day))
        .when("related_type = ?", filter.related_type.clone())
        .when("related_id = ?", filter.related_id);
    // An entry has both or neither; said, so that the partial index may be used.
    if filter.related_type.is_some() { conditions.only("related_id is not null") } else { conditions }
}

/// How many rows pass, by the totals, which are far fewer than the rows.
fn entries(tx: &ReadTx<'_>, filter: &TransactionFilter) -> Result<i64> {
    let counts = Filter::default()
        .when("type = ?", filter.direction)
        .when("category = ?", filter.category.clone())
        .when("payment_method = ?", filter.payment_method.clone())
        .when("date >= ?", filter.start_date.map(Day))
        .when("date <= ?", filter.end_date.map(Day))
        .rows(tx, ("coalesce(sum(entries), 0)", "transaction_totals", "1"), (1, 0), |row| Ok(row.get::<_, i64>(0)?))?;
    Ok(counts.into_iter().sum())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Transaction> {
    let local_date: Day = row.get("local_date")?;
    let status: String = row.get("status")?;
    let void = if status == "void" {
        Some(Voided { reason: row.get("void_reason")?, at: row.get("voided_at")?, by: row.get("voided_by")? })
    } else {
        None
    };
    Ok(Transaction {
        id: row.get("id")?,
        direction: row.get("type")?,
        category: row.get("category")?,
        amount: row.get("amount_fen")?,
        description: row.get("description")?,
        transaction_at: row.get("transaction_at")?,
        local_date: local_date.0,
        payment_method: row.get("payment_method")?,
        void,
        related_id: row.get("related_id")?,
        related_type: row.get("related_type")?,
        created_at: row.get("created_at")?,
        created_by: row.get("created_by")?,
    })
}
