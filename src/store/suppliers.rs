//! Statements on `suppliers`.

use rusqlite::{OptionalExtension, Row, named_params};

use super::page::{Filter, Listed, Page};
use super::vault::Place;
use super::{ReadTx, WriteTx, search};
use crate::domain::ids::{CENTER_IDS_FROM, SupplierId};
use crate::domain::phone;
use crate::domain::status::Status;
use crate::domain::time::Instant;
use crate::error::Result;

/// The noun's name in tables, search terms and audit rows.
pub const NOUN: &str = "suppliers";

/// A row, its contact opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplier {
    /// Identity.
    pub id: SupplierId,
    /// 名称
    pub name: String,
    /// 分类: that of the payments to it in the books.
    pub category: String,
    /// 联系方式
    pub contact: Option<String>,
    /// 状态
    pub status: Status,
    /// When the row came into being.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
}

/// Which suppliers.
#[derive(Debug, Clone, Default)]
pub struct SupplierFilter {
    /// A part of the name, its pinyin or initials, or a whole telephone number.
    pub search: Option<String>,
    /// Only these.
    pub status: Option<Status>,
}

const COLUMNS: &str = "id, name, category, contact, status, created_at, updated_at";

/// The id that the next supplier of this site gets.
pub fn next_id(tx: &WriteTx<'_>) -> Result<SupplierId> {
    let id: i64 = tx
        .connection
        .prepare_cached("select coalesce(max(id), 0) + 1 from suppliers where id < ?1")?
        .query_row([CENTER_IDS_FROM], |row| row.get(0))?;
    Ok(SupplierId::try_from(id).expect("the largest id plus one is an id"))
}

/// Adds a row.
pub fn insert(tx: &WriteTx<'_>, supplier: &Supplier) -> Result<()> {
    save(
        tx,
        supplier,
        "insert into suppliers (id, name, category, contact, contact_index, status, created_at, updated_at)
         values (:id, :name, :category, :contact, :contact_index, :status, :created_at, :updated_at)",
    )
}

/// Writes a row's new state.
pub fn update(tx: &WriteTx<'_>, supplier: &Supplier) -> Result<()> {
    save(
        tx,
        supplier,
        "update suppliers set name = :name, category = :category, contact = :contact, contact_index = :contact_index,
             status = :status, created_at = :created_at, updated_at = :updated_at
         where id = :id",
    )
}

fn save(tx: &WriteTx<'_>, supplier: &Supplier, sql: &str) -> Result<()> {
    let contact = supplier.contact.as_deref().map(|text| tx.vault.seal(contact_of(supplier.id), text)).transpose()?;
    tx.connection.prepare_cached(sql)?.execute(named_params! {
        ":id": supplier.id,
        ":name": supplier.name,
        ":category": supplier.category,
        ":contact": contact,
        ":contact_index": supplier.contact.as_deref().map(|text| contact_index(tx, text)),
        ":status": supplier.status,
        ":created_at": supplier.created_at,
        ":updated_at": supplier.updated_at,
    })?;
    search::index(tx, NOUN, supplier.id.get(), &[&supplier.name], &[])
}

/// Hides a row; its history stays.
pub fn hide(tx: &WriteTx<'_>, id: SupplierId) -> Result<()> {
    tx.connection.prepare_cached("update suppliers set deleted_at = ?2 where id = ?1")?.execute((id, tx.now))?;
    search::forget(tx, NOUN, id.get())
}

/// The supplier, unless it is hidden.
pub fn find(tx: &ReadTx<'_>, id: SupplierId) -> Result<Option<Supplier>> {
    let sql = "select id, name, category, contact, status, created_at, updated_at
               from suppliers where id = ?1 and deleted_at is null";
    tx.connection.prepare_cached(sql)?.query_row([id], |row| Ok(read(tx, row))).optional()?.transpose()
}

/// A page of the suppliers that pass the filter, by id.
pub fn list(tx: &ReadTx<'_>, filter: &SupplierFilter, page: Page) -> Result<Listed<Supplier>> {
    let mut conditions = Filter::default().only("deleted_at is null").when("status = ?", filter.status);
    if let Some(word) = &filter.search {
        let mut values = search::values(NOUN, word);
        values.push(Box::new(contact_index(tx, word)));
        conditions = conditions.with(
            "id in (select row_id from search_terms where noun = ? and suffix >= ? and suffix < ?
                    union select id from suppliers where contact_index = ?)",
            values,
        );
    }
    conditions.list(tx, (COLUMNS, "suppliers", "id"), page, |row| read(tx, row))
}

fn contact_of(id: SupplierId) -> Place<'static> {
    Place { table: "suppliers", column: "contact", id: id.get() }
}

fn contact_index(tx: &ReadTx<'_>, contact: &str) -> String {
    tx.vault.index("suppliers.contact", &phone::normalized(contact))
}

fn read(tx: &ReadTx<'_>, row: &Row<'_>) -> Result<Supplier> {
    let id: SupplierId = row.get("id")?;
    let contact: Option<String> = row.get("contact")?;
    Ok(Supplier {
        id,
        name: row.get("name")?,
        category: row.get("category")?,
        contact: contact.map(|sealed| tx.vault.open(contact_of(id), &sealed)).transpose()?,
        status: row.get("status")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}
