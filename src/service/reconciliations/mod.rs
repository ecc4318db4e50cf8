//! The platforms' bills against the books, day by day (`payments.md`, section 6.4).
//!
//! # Decision
//! Nothing is ever booked from a bill. A payment that the platform has and the books lack is asked about, and is booked by its answer as any
//! other; its difference closes by itself at the next look. So there is one way into the books, and a bill that is wrong can't open another.

mod differences;

pub use differences::{list_differences, resolve};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::Date;

use super::payments::SITE_FACT;
use crate::domain::ids::ReconciliationId;
use crate::domain::money::Fen;
use crate::domain::payments::{Channel, OrderNo};
use crate::domain::reconciliations::{
    Comparison, DAYS_BACK, Line, Movement, ReconciliationStatus, Window, compare, day_in_china, gather, newest_day,
};
use crate::domain::time::{DAY_MS, check_period};
use crate::error::{Error, Result};
use crate::payments::forwarder::Forwarder;
use crate::payments::signing::sha256_hex;
use crate::payments::{Bill, BillKind, BillOf, BillRow, Call, Outcome, Platform as _, Refusal, Trouble};
use crate::store::page::{Listed, PAGE_SIZE_MAX, Page};
use crate::store::reconciliation_differences::{self, Difference, DifferenceFilter};
use crate::store::reconciliations::{self, Reconciliation, ReconciliationFilter};
use crate::store::{Db, ReadTx, WriteTx, bills, site};

/// There is no such day.
const NO_SUCH: Error = Error::NotFound("对账记录不存在");
/// Days for which a person may ask: the platforms keep bills for three months.
const DAYS_ASKED_MAX: i64 = 90;
/// Characters of a number on a bill at most.
const NUMBER_CHARACTERS_MAX: usize = 64;
/// The codes of a platform that nobody configured, which has no bills.
const NO_PLATFORM: [&str; 2] = ["NOT_CONFIGURED", "NO_WAY"];

/// What came of asking for a bill.
enum Answer {
    /// What it says; the hash of its file, when there was anything on that day.
    Said(Vec<Line>, Option<String>),
    /// It is not here, for this reason.
    NotHere(String),
    /// There is no such platform.
    NoPlatform,
}

/// Fetches the bills that should be there and are not, the oldest first, and looks again at what was compared before.
///
/// # Errors
/// When the database or the disk fails.
pub async fn run_due(db: &Db, platforms: &Forwarder) -> Result<()> {
    for channel in Channel::ALL.iter().copied().filter(|channel| platforms.reaches(*channel)) {
        for date in db.read(move |tx| missing(tx, channel)).await? {
            if run(db, platforms, channel, date).await?.is_none() {
                break;
            }
        }
        db.write(move |tx| review_again(tx, channel)).await?;
    }
    Ok(())
}

/// The days of a platform whose bills should be there and are not: none before its first order.
fn missing(tx: &ReadTx<'_>, channel: Channel) -> Result<Vec<Date>> {
    let (Some(first), Some(newest)) = (reconciliations::first_order_at(tx, channel)?, newest_day(tx.now)) else {
        return Ok(Vec::new());
    };
    let first = day_in_china(first);
    let mut days = Vec::new();
    for back in (0..DAYS_BACK).rev() {
        let Ok(date) = newest.checked_sub(jiff::Span::new().days(back)) else { continue };
        let known = reconciliations::find_of(tx, channel, date)?;
        if date >= first && known.is_none_or(|known| known.status == ReconciliationStatus::Waiting) {
            days.push(date);
        }
    }
    Ok(days)
}

/// Fetches the bill of a day and compares it with the books; none when there is no such platform.
///
/// # Errors
/// When the database or the disk fails.
pub async fn run(db: &Db, platforms: &Forwarder, channel: Channel, date: Date) -> Result<Option<Reconciliation>> {
    match ask(db, platforms, channel, date).await? {
        Answer::Said(lines, sha256) => db.write(move |tx| take(tx, (channel, date), lines, sha256)).await.map(Some),
        Answer::NotHere(why) => {
            tracing::warn!(channel = channel.as_str(), %date, why, "a bill is not here yet");
            db.write(move |tx| wait(tx, (channel, date), &why)).await.map(Some)
        }
        Answer::NoPlatform => Ok(None),
    }
}

/// As [`run`], for a person who asks.
///
/// # Errors
/// [`Error::Invalid`] for a day that has no bill; [`Error::Conflict`] when the platform is not configured.
pub async fn run_for(db: &Db, platforms: &Forwarder, channel: Channel, date: Date) -> Result<Reconciliation> {
    let today = day_in_china(db.now());
    let earliest = today.checked_sub(jiff::Span::new().days(DAYS_ASKED_MAX)).unwrap_or(Date::MIN);
    if date >= today || date < earliest {
        return Err(Error::invalid("date", format!("只能对最近{DAYS_ASKED_MAX}天内、今天以前的账")));
    }
    let made = run(db, platforms, channel, date).await?;
    made.ok_or_else(|| Error::Conflict("该支付渠道未配置".into()))
}

async fn ask(db: &Db, platforms: &Forwarder, channel: Channel, date: Date) -> Result<Answer> {
    match platforms.make(channel, &Call::Bill(BillOf { date })).await {
        Ok(Outcome::Bill(Bill::Ready { rows, sha256, raw })) => {
            let Some(file) = STANDARD.decode(&raw).ok().filter(|file| sha256_hex(file) == sha256) else {
                return Ok(Answer::NotHere("账单文件与其校验值不符".to_owned()));
            };
            let Some(lines) = rows.iter().map(line).collect::<Option<Vec<_>>>() else {
                return Ok(Answer::NotHere("账单中有无法使用的金额或单号".to_owned()));
            };
            let (directory, hash) = (bills::directory(db.path()), sha256.clone());
            tokio::task::spawn_blocking(move || bills::keep(&directory, (channel, date, &hash), &file))
                .await
                .map_err(|_| Error::Panicked)??;
            Ok(Answer::Said(lines, Some(sha256)))
        }
        Ok(Outcome::Bill(Bill::Empty)) => Ok(Answer::Said(Vec::new(), None)),
        Ok(Outcome::Bill(Bill::NotReady)) => Ok(Answer::NotHere("平台尚未生成账单".to_owned())),
        Ok(Outcome::Created { .. } | Outcome::Payment(_) | Outcome::Refund(_) | Outcome::Transfer(_)) => {
            Ok(Answer::NotHere("平台的回答不是账单".to_owned()))
        }
        Err(Trouble::Refused { refusal: Refusal::Configuration, code, .. }) if NO_PLATFORM.contains(&&*code) => {
            Ok(Answer::NoPlatform)
        }
        Err(trouble) => Ok(Answer::NotHere(trouble.to_string())),
    }
}

/// A row of a bill as it is compared; none when no movement of money can look like that.
pub fn line(row: &BillRow) -> Option<Line> {
    let movement = match row.kind {
        BillKind::Payment => Movement::Payment,
        BillKind::Refund => Movement::Refund,
        BillKind::Transfer => Movement::Transfer,
    };
    let fits = |number: &&str| !number.is_empty() && number.chars().count() <= NUMBER_CHARACTERS_MAX;
    let ours = match movement {
        Movement::Payment | Movement::Transfer => row.order_no.as_str(),
        Movement::Refund => row.refund_no.as_deref().unwrap_or_default(),
    };
    let platform_no = Some(row.platform_no.as_str()).filter(fits)?;
    let is_amount = (0..=Fen::MAX.0).contains(&row.amount_fen) && (-Fen::MAX.0..=Fen::MAX.0).contains(&row.fee_fen);
    is_amount.then(|| Line {
        movement,
        // What was made in the platform's own pages may have no number of ours.
        number: Some(ours).filter(fits).unwrap_or(platform_no).to_owned(),
        platform_no: platform_no.to_owned(),
        amount: Fen(row.amount_fen),
        fee: Fen(row.fee_fen),
        rows: 1,
    })
}

/// Takes what a bill says. The same bill again changes nothing; another of the same day replaces it.
///
/// # Errors
/// When the database fails.
pub fn take(
    tx: &WriteTx<'_>,
    (channel, date): (Channel, Date),
    lines: Vec<Line>,
    sha256: Option<String>,
) -> Result<Reconciliation> {
    let before = begin(tx, channel, date)?;
    let own = own_site(tx)?;
    let lines = gather(lines.into_iter().filter(|line| !is_of_another_site(line, own)));
    reconciliations::replace_lines(tx, before.id, &lines)?;
    let after = Reconciliation { sha256, last_error: None, ..before.clone() };
    let after = review(tx, &before, after)?;
    // What another day lacked may be here.
    review_again(tx, channel)?;
    Ok(reconciliations::find(tx, after.id)?.unwrap_or(after))
}

/// Notes why the bill of a day is not here. A day that was compared stays so.
///
/// # Errors
/// When the database fails.
pub fn wait(tx: &WriteTx<'_>, (channel, date): (Channel, Date), why: &str) -> Result<Reconciliation> {
    let before = begin(tx, channel, date)?;
    save(tx, &before, Reconciliation { last_error: Some(why.to_owned()), ..before.clone() })
}

/// The row of a day, made when there is none.
fn begin(tx: &WriteTx<'_>, channel: Channel, date: Date) -> Result<Reconciliation> {
    if let Some(known) = reconciliations::find_of(tx, channel, date)? {
        return Ok(known);
    }
    let row = Reconciliation {
        id: reconciliations::next_id(tx)?,
        channel,
        date,
        status: ReconciliationStatus::Waiting,
        sha256: None,
        rows_total: 0,
        rows_matched: 0,
        differences: 0,
        platform_in: Fen::ZERO,
        platform_out: Fen::ZERO,
        local_in: Fen::ZERO,
        local_out: Fen::ZERO,
        fee: Fen::ZERO,
        last_error: None,
        created_at: tx.now,
        updated_at: tx.now,
    };
    reconciliations::insert(tx, &row)?;
    Ok(row)
}

fn save(tx: &WriteTx<'_>, before: &Reconciliation, after: Reconciliation) -> Result<Reconciliation> {
    if after == *before {
        return Ok(after);
    }
    let after = Reconciliation { updated_at: tx.now, ..after };
    reconciliations::update(tx, &after)?;
    Ok(after)
}

/// This site's number at its center; 0 without one.
fn own_site(tx: &ReadTx<'_>) -> Result<i64> {
    Ok(site::fact(tx, SITE_FACT)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Whether a line is another site's of the same merchant. What has no number of ours is everybody's to look at.
fn is_of_another_site(line: &Line, own: i64) -> bool {
    line.number.parse::<OrderNo>().is_ok_and(|number| number.site() != 0 && number.site() != own)
}

/// Looks again at a platform's days that are different, and at those of the last week: what happened on them may only be known since.
///
/// # Errors
/// When the database fails.
pub fn review_again(tx: &WriteTx<'_>, channel: Channel) -> Result<()> {
    let since = day_in_china(tx.now.plus_ms(-DAYS_BACK * DAY_MS));
    for row in reconciliations::to_review(tx, channel, since)? {
        // A box that was restored from the center has the outcome of a bill, and not what it said.
        let is_restored = row.rows_total > 0 && reconciliations::lines(tx, row.id)?.is_empty();
        if !is_restored {
            review(tx, &row, row.clone())?;
        }
    }
    Ok(())
}

fn review(tx: &WriteTx<'_>, before: &Reconciliation, row: Reconciliation) -> Result<Reconciliation> {
    let lines = reconciliations::lines(tx, row.id)?;
    let window = Window::of(row.channel, row.date).ok_or_else(|| Error::invalid("date", "日期超出范围"))?;
    let mut facts = reconciliations::facts_within(tx, row.channel, window)?;
    for line in lines.values() {
        if let Ok(number) = line.number.parse() {
            facts.extend(reconciliations::fact(tx, row.channel, line.movement, &number)?);
        }
    }
    let elsewhere = reconciliations::elsewhere(tx, &row, &facts)?;
    let found = compare(&lines, &facts, window, &elsewhere);
    differences::keep(tx, &row, &found.discrepancies)?;
    let counted = count(tx, row)?;
    save(tx, before, with_sums(counted, &found))
}

fn with_sums(row: Reconciliation, found: &Comparison) -> Reconciliation {
    Reconciliation {
        rows_total: found.rows_total,
        rows_matched: found.rows_matched,
        platform_in: found.platform_in,
        platform_out: found.platform_out,
        local_in: found.local_in,
        local_out: found.local_out,
        fee: found.fee,
        ..row
    }
}

/// The row with its open differences counted, and the status that follows.
fn count(tx: &WriteTx<'_>, row: Reconciliation) -> Result<Reconciliation> {
    let found = reconciliation_differences::of_reconciliation(tx, row.id)?;
    let open = found.iter().filter(|difference| difference.resolved.is_none()).count();
    let status = match (open, found.len()) {
        (0, 0) => ReconciliationStatus::Matched,
        (0, _) => ReconciliationStatus::Resolved,
        _ => ReconciliationStatus::Different,
    };
    Ok(Reconciliation { status, differences: open as i64, ..row })
}

/// A page of the reconciliations that pass the filter, the latest day first.
///
/// # Errors
/// [`Error::Invalid`] when the period ends before it begins.
pub fn list(tx: &ReadTx<'_>, filter: &ReconciliationFilter, page: Page) -> Result<Listed<Reconciliation>> {
    check_period(filter.start_date, filter.end_date)?;
    reconciliations::list(tx, filter, page)
}

/// A day with what was found on it, as much as one page of a list holds.
///
/// # Errors
/// [`Error::NotFound`].
pub fn read(tx: &ReadTx<'_>, id: ReconciliationId) -> Result<(Reconciliation, Vec<Difference>)> {
    let row = reconciliations::find(tx, id)?.ok_or(NO_SUCH)?;
    let filter = DifferenceFilter { reconciliation_id: Some(id), open: None };
    let page = Page { number: 1, size: PAGE_SIZE_MAX };
    Ok((row, reconciliation_differences::list(tx, &filter, page)?.items))
}
