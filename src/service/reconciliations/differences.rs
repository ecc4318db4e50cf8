//! What does not match: kept, told once, asked about, and closed by itself or by a person.

use std::collections::BTreeMap;

use serde_json::json;

use super::{count, save};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::DifferenceId;
use crate::domain::payments::{Channel, OrderNo};
use crate::domain::reconciliations::{Discrepancy, Finding, Movement};
use crate::error::{Error, Result};
use crate::service::audit::{Deed, record};
use crate::service::payments::alarm;
use crate::store::page::{Listed, Page};
use crate::store::payment_anomalies::Resolved;
use crate::store::payment_tasks::{self, Subject};
use crate::store::reconciliation_differences::{self, Difference, DifferenceFilter, NOUN};
use crate::store::reconciliations::{self, Reconciliation};
use crate::store::{ReadTx, WriteTx, payment_orders, payment_refunds};

const NO_SUCH: Error = Error::NotFound("对账差异不存在");
/// Why a difference closes by itself.
const AGREES_NOW: &str = "复核时双方已一致";

/// Brings a day's differences to what was found: new ones are told once, and those that are gone close by themselves. One that a person has
/// closed stays so as long as it says the same.
pub(super) fn keep(tx: &WriteTx<'_>, row: &Reconciliation, found: &[Discrepancy]) -> Result<()> {
    let known = reconciliation_differences::of_reconciliation(tx, row.id)?;
    let mut known: BTreeMap<_, _> =
        known.into_iter().map(|difference| ((difference.class, difference.number.clone()), difference)).collect();
    let mut news = 0;
    for discrepancy in found {
        let before = known.remove(&(discrepancy.class(), discrepancy.number.clone()));
        if keep_one(tx, row, discrepancy, before)? {
            news += 1;
        }
        if discrepancy.finding == Finding::Unsettled {
            ask_platform(tx, discrepancy)?;
        }
    }
    for gone in known.into_values().filter(|difference| difference.resolved.is_none()) {
        let resolved = Resolved { at: tx.now, by: None, reason: AGREES_NOW.to_owned() };
        close(tx, &Actor::system("reconciliations"), gone, resolved)?;
    }
    measure(tx)?;
    if news > 0 {
        let platform = name_of(row.channel);
        alarm(tx, "对账差异", &format!("{platform}{}的对账发现{news}笔新的差异，请处理", row.date))?;
    }
    Ok(())
}

/// Keeps one; says whether it is news.
fn keep_one(
    tx: &WriteTx<'_>,
    row: &Reconciliation,
    discrepancy: &Discrepancy,
    before: Option<Difference>,
) -> Result<bool> {
    let now = |id, created_at| Difference {
        id,
        reconciliation_id: row.id,
        class: discrepancy.class(),
        number: discrepancy.number.clone(),
        platform_no: discrepancy.platform_no.clone(),
        platform: discrepancy.platform,
        local: discrepancy.local,
        note: note_of(discrepancy).to_owned(),
        created_at,
        resolved: None,
    };
    let Some(before) = before else {
        let new = now(reconciliation_differences::next_id(tx)?, tx.now);
        reconciliation_differences::insert(tx, &new)?;
        return Ok(true);
    };
    let after = now(before.id, before.created_at);
    let by_person = before.resolved.as_ref().is_some_and(|resolved| resolved.reason != AGREES_NOW);
    let same = Difference { resolved: None, ..before.clone() } == after;
    match before.resolved {
        None if same => Ok(false),
        Some(_) if same && by_person => Ok(false),
        None => reconciliation_differences::update(tx, &after).map(|()| false),
        Some(_) => reconciliation_differences::update(tx, &after).map(|()| true),
    }
}

/// Has the platform asked how a movement stands that its bill has and the books lack.
fn ask_platform(tx: &WriteTx<'_>, discrepancy: &Discrepancy) -> Result<()> {
    let Ok(number) = discrepancy.number.parse::<OrderNo>() else { return Ok(()) };
    let subject = match discrepancy.movement {
        Movement::Payment | Movement::Transfer => {
            payment_orders::find_by_out_number(tx, &number)?.map(|order| Subject::Order(order.id))
        }
        Movement::Refund => payment_refunds::find_by_out_number(tx, &number)?.map(|refund| Subject::Refund(refund.id)),
    };
    match subject {
        Some(subject) => payment_tasks::wake(tx, subject, tx.now),
        None => Ok(()),
    }
}

const fn note_of(discrepancy: &Discrepancy) -> &'static str {
    match (discrepancy.finding, discrepancy.movement) {
        (Finding::AmountDiffers, _) => "平台与本店的金额不一致",
        (Finding::Unknown, _) => "平台有此款项，本店没有这个单号",
        (Finding::Unsettled, Movement::Payment) => "平台已收款，本店尚未入账，已向平台查询",
        (Finding::Unsettled, Movement::Refund) => "平台已退款，本店尚未完成，已向平台查询",
        (Finding::Unsettled, Movement::Transfer) => "平台已付款，本店尚未完成，已向平台查询",
        (Finding::Missing, _) => "本店已入账，平台账单没有此款项",
    }
}

const fn name_of(channel: Channel) -> &'static str {
    match channel {
        Channel::Wechat => "微信支付",
        Channel::Alipay => "支付宝",
        Channel::Unionpay => "银联",
    }
}

/// A page of the differences that pass the filter, the newest first.
///
/// # Errors
/// When the database fails.
pub fn list_differences(tx: &ReadTx<'_>, filter: &DifferenceFilter, page: Page) -> Result<Listed<Difference>> {
    reconciliation_differences::list(tx, filter, page)
}

/// Notes what a person made of a difference.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it was closed before.
pub fn resolve(tx: &WriteTx<'_>, actor: &Actor, id: DifferenceId, reason: &str) -> Result<Difference> {
    let open = reconciliation_differences::find(tx, id)?.ok_or(NO_SUCH)?;
    if open.resolved.is_some() {
        return Err(Error::Conflict("该差异已处理".into()));
    }
    let resolved = Resolved { at: tx.now, by: actor.user_id(), reason: reason.to_owned() };
    let closed = close(tx, actor, open, resolved)?;
    let gone = || Error::Corrupt(format!("the reconciliation of difference {id} is gone"));
    let row = reconciliations::find(tx, closed.reconciliation_id)?.ok_or_else(gone)?;
    let counted = count(tx, row.clone())?;
    save(tx, &row, counted)?;
    measure(tx)?;
    Ok(closed)
}

fn close(tx: &WriteTx<'_>, actor: &Actor, open: Difference, resolved: Resolved) -> Result<Difference> {
    let after = json!({"class": open.class.as_str(), "number": open.number, "resolution": resolved.reason});
    let noun_id = Some(open.id.get());
    let closed = Difference { resolved: Some(resolved), ..open };
    reconciliation_differences::update(tx, &closed)?;
    record(tx, actor, Deed { action: Action::Update, noun: NOUN, noun_id, before: None, after: Some(after) })?;
    Ok(closed)
}

/// Brings the gauge of open differences up to date.
fn measure(tx: &WriteTx<'_>) -> Result<()> {
    let open = reconciliation_differences::count_open(tx)?;
    tx.after_commit(move || metrics::gauge!("canshi_reconciliation_differences_open").set(open as f64));
    Ok(())
}
