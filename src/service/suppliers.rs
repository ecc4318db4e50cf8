//! What people do with suppliers.

use serde_json::{Value, json};

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::SupplierId;
use crate::domain::phone;
use crate::domain::status::Status;
use crate::error::{Error, Result};
use crate::store::page::{Listed, Page};
use crate::store::suppliers::{self, NOUN, Supplier, SupplierFilter};
use crate::store::{ReadTx, WriteTx};

const NO_SUCH: Error = Error::NotFound("供应商不存在");

/// A supplier to be added.
#[derive(Debug, Clone)]
pub struct NewSupplier {
    /// 名称
    pub name: String,
    /// 分类: that of the payments to it in the books.
    pub category: String,
    /// 联系方式
    pub contact: Option<String>,
    /// 状态
    pub status: Status,
}

/// Adds a supplier.
///
/// # Errors
/// When the database fails.
pub fn create(tx: &WriteTx<'_>, actor: &Actor, new: NewSupplier) -> Result<Supplier> {
    let supplier = Supplier {
        id: suppliers::next_id(tx)?,
        name: new.name,
        category: new.category,
        contact: new.contact,
        status: new.status,
        created_at: tx.now,
        updated_at: tx.now,
    };
    suppliers::insert(tx, &supplier)?;
    record(tx, actor, deed(Action::Create, supplier.id, None, Some(image(&supplier))))?;
    Ok(supplier)
}

/// Changes a supplier: `change` gets the row as it is and leaves it as it shall be.
///
/// # Errors
/// [`Error::NotFound`].
pub fn update(tx: &WriteTx<'_>, actor: &Actor, id: SupplierId, change: impl FnOnce(&mut Supplier)) -> Result<Supplier> {
    let before = suppliers::find(tx, id)?.ok_or(NO_SUCH)?;
    let mut after = before.clone();
    change(&mut after);
    after.updated_at = tx.now;
    suppliers::update(tx, &after)?;
    record(tx, actor, deed(Action::Update, id, Some(image(&before)), Some(image(&after))))?;
    Ok(after)
}

/// Hides a supplier; old records still resolve to it, and what it is owed under way is still paid.
///
/// # Errors
/// [`Error::NotFound`].
pub fn delete(tx: &WriteTx<'_>, actor: &Actor, id: SupplierId) -> Result<()> {
    let before = suppliers::find(tx, id)?.ok_or(NO_SUCH)?;
    suppliers::hide(tx, id)?;
    record(tx, actor, deed(Action::Delete, id, Some(image(&before)), None))
}

/// One supplier.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, id: SupplierId) -> Result<Supplier> {
    suppliers::find(tx, id)?.ok_or(NO_SUCH)
}

/// A page of the suppliers that pass the filter.
pub fn list(tx: &ReadTx<'_>, filter: &SupplierFilter, page: Page) -> Result<Listed<Supplier>> {
    suppliers::list(tx, filter, page)
}

fn deed(action: Action, id: SupplierId, before: Option<Value>, after: Option<Value>) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before, after }
}

/// The row as the audit trail may show it.
fn image(supplier: &Supplier) -> Value {
    json!({
        "name": supplier.name,
        "category": supplier.category,
        "contact": supplier.contact.as_deref().map(phone::masked),
        "status": supplier.status.as_str(),
    })
}
