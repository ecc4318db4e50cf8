//! Looking into the audit trail.

use crate::error::Result;
use crate::store::ReadTx;
use crate::store::audit::{self, AuditFilter, AuditRow};
use crate::store::page::{Listed, Page};

/// A page of the trail, newest first.
pub fn list(tx: &ReadTx<'_>, filter: &AuditFilter, page: Page) -> Result<Listed<AuditRow>> {
    audit::list(tx, filter, page)
}
