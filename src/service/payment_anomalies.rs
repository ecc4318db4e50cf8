//! What was refused from a platform or does not fit, and what people made of it.

use serde_json::json;

use super::audit::{Deed, record};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::AnomalyId;
use crate::error::{Error, Result};
use crate::store::page::{Listed, Page};
use crate::store::payment_anomalies::{self, Anomaly, AnomalyFilter, NOUN, Resolved};
use crate::store::{ReadTx, WriteTx};

const NO_SUCH: Error = Error::NotFound("支付异常不存在");

/// A page of the anomalies that pass the filter, the newest first.
///
/// # Errors
/// When the database fails.
pub fn list(tx: &ReadTx<'_>, filter: &AnomalyFilter, page: Page) -> Result<Listed<Anomaly>> {
    payment_anomalies::list(tx, filter, page)
}

/// Notes what a person made of an anomaly.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when somebody did so before.
pub fn resolve(tx: &WriteTx<'_>, actor: &Actor, id: AnomalyId, reason: &str) -> Result<Anomaly> {
    let open = payment_anomalies::find(tx, id)?.ok_or(NO_SUCH)?;
    if open.resolved.is_some() {
        return Err(Error::Conflict("该异常已处理".into()));
    }
    let resolved = Resolved { at: tx.now, by: actor.user_id(), reason: reason.to_owned() };
    payment_anomalies::resolve(tx, id, &resolved)?;
    let after = Some(json!({"kind": open.kind.as_str(), "number": open.number, "resolution": reason}));
    let noun_id = Some(id.get());
    record(tx, actor, Deed { action: Action::Update, noun: NOUN, noun_id, before: None, after })?;
    Ok(Anomaly { resolved: Some(resolved), ..open })
}
