//! Payouts that go to the bank as a file, and the bank's word on them as another.
//!
//! The file is not kept. Its payouts are, and nothing that it says of them ever changes, so it is the same each time that it is
//! taken. A payout of it is paid when the bank's results, or a person who may, say so, and by nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::audit::{Deed, record};
use super::payouts::{BankWord, Effect, bank_effect, payee_of, settle_by_bank, to_the_bank};
use crate::domain::access::Actor;
use crate::domain::audit::Action;
use crate::domain::ids::{PaymentOrderId, PayrollFileId};
use crate::domain::money::Fen;
use crate::domain::payments::{OrderNo, OrderStatus, Trade};
use crate::domain::salaries::PayPeriod;
use crate::error::{Error, Result};
use crate::store::page::{Listed, Page};
use crate::store::payment_orders::{self, PaymentOrder};
use crate::store::payroll_files::{self, NOUN, PayrollFile};
use crate::store::{ReadTx, WriteTx};

const NO_SUCH: Error = Error::NotFound("代发文件不存在");
/// Payouts in one file at most.
pub const ORDERS_MAX: usize = 1_000;
/// The columns of a file for the bank.
const COLUMNS: [&str; 7] = ["序号", "姓名", "账号", "开户行", "金额", "备注", "订单号"];

/// A file as people read of it.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The row.
    pub file: PayrollFile,
    /// How many of its payouts have each state.
    pub states: Vec<(OrderStatus, i64)>,
}

/// What came, or would come, of the bank's results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Lines with a result.
    pub total: usize,
    /// Payouts that were paid.
    pub paid: usize,
    /// Payouts that failed.
    pub failed: usize,
    /// Payouts that came back after they had been paid.
    pub returned: usize,
    /// Payouts of which it was known.
    pub unchanged: usize,
    /// Lines that can't be used: the line, from 1, and why.
    pub bad: Vec<(usize, String)>,
}

/// Collects approved payouts into a file: these, or all that wait, or those of a month's salaries.
///
/// # Errors
/// [`Error::Invalid`] names a payout that can't go into a file; [`Error::Conflict`] when there is none.
pub fn make(
    tx: &WriteTx<'_>,
    actor: &Actor,
    pay_period: Option<PayPeriod>,
    numbers: Option<&[OrderNo]>,
) -> Result<Overview> {
    let orders = match numbers {
        Some(numbers) => named(tx, numbers)?,
        None => load(tx, &payroll_files::waiting(tx, pay_period, ORDERS_MAX)?)?,
    };
    if orders.is_empty() {
        return Err(Error::Conflict("没有待代发的付款单".into()));
    }
    let file = PayrollFile {
        id: payroll_files::next_id(tx)?,
        pay_period,
        orders: orders.len() as i64,
        amount: orders.iter().map(|order| order.amount).sum(),
        created_at: tx.now,
        created_by: actor.user_id(),
    };
    let ids: Vec<PaymentOrderId> = orders.iter().map(|order| order.id).collect();
    payroll_files::insert(tx, &file, &ids)?;
    for order in &orders {
        to_the_bank(tx, actor, order)?;
    }
    let after = json!({
        "pay_period": pay_period.map(|period| period.to_string()),
        "orders": orders.iter().map(|order| order.order_no.as_str()).collect::<Vec<_>>(),
        "amount": file.amount.to_string(),
    });
    record(tx, actor, Deed { after: Some(after), ..deed(Action::Create, file.id) })?;
    overview(tx, file)
}

/// The payouts of these numbers, each of which must wait for a file.
fn named(tx: &ReadTx<'_>, numbers: &[OrderNo]) -> Result<Vec<PaymentOrder>> {
    let mut seen = BTreeSet::new();
    let mut orders = Vec::new();
    for (place, number) in numbers.iter().enumerate() {
        let refused = |why: &'static str| Error::invalid(format!("order_ids[{place}]"), why);
        let order = payment_orders::find_by_number(tx, number)?.filter(|order| order.order_type.is_payout());
        let order = order.ok_or_else(|| refused("付款单不存在"))?;
        if order.trade != Trade::PayrollFile || order.status != OrderStatus::Queued {
            return Err(refused("付款单不在待代发状态"));
        }
        if !seen.insert(order.id) {
            return Err(refused("付款单重复"));
        }
        orders.push(order);
    }
    Ok(orders)
}

fn load(tx: &ReadTx<'_>, ids: &[PaymentOrderId]) -> Result<Vec<PaymentOrder>> {
    let gone = |id: &PaymentOrderId| Error::Corrupt(format!("payout {id} is gone"));
    ids.iter().map(|id| payment_orders::find(tx, *id)?.ok_or_else(|| gone(id))).collect()
}

/// A page of the files, the latest first.
///
/// # Errors
/// When the database fails.
pub fn list(tx: &ReadTx<'_>, page: Page) -> Result<Listed<Overview>> {
    let Listed { total, items } = payroll_files::list(tx, page)?;
    let items = items.into_iter().map(|file| overview(tx, file)).collect::<Result<_>>()?;
    Ok(Listed { total, items })
}

fn overview(tx: &ReadTx<'_>, file: PayrollFile) -> Result<Overview> {
    Ok(Overview { states: payroll_files::states(tx, file.id)?, file })
}

/// The file for the bank, as a table; that somebody took it is on record, since whole account numbers are in it. For the same reason
/// it does not leave the site by mail.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Forbidden`] when the request came by mail.
pub fn export(tx: &WriteTx<'_>, actor: &Actor, id: PayrollFileId) -> Result<(PayrollFile, Vec<Vec<String>>)> {
    if actor.received_at().is_some() {
        return Err(Error::Forbidden("代发文件只能在门店下载"));
    }
    let file = payroll_files::find(tx, id)?.ok_or(NO_SUCH)?;
    let orders = load(tx, &payroll_files::orders(tx, id)?)?;
    let mut rows = vec![COLUMNS.map(str::to_owned).to_vec()];
    for (place, order) in (1..).zip(&orders) {
        let payee = payee_of(tx, order)?;
        rows.push(vec![
            i64::to_string(&place),
            payee.account_name,
            payee.account.as_str().to_owned(),
            payee.bank_name.unwrap_or_default(),
            order.amount.to_string(),
            order.subject.clone(),
            order.order_no.to_string(),
        ]);
    }
    record(tx, actor, Deed { after: Some(json!({"orders": orders.len()})), ..deed(Action::Export, id) })?;
    Ok((file, rows))
}

/// What the bank's results would do.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] when the table has no results.
pub fn rehearse(tx: &ReadTx<'_>, id: PayrollFileId, table: &[Vec<String>]) -> Result<Outcome> {
    Ok(plan(tx, id, table)?.0)
}

/// Takes the bank's results: all of them, or none. The same again changes nothing.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] names the first line that can't be used.
pub fn take_results(tx: &WriteTx<'_>, actor: &Actor, id: PayrollFileId, table: &[Vec<String>]) -> Result<Outcome> {
    let (outcome, words) = plan(tx, id, table)?;
    if let Some((line, why)) = outcome.bad.first() {
        return Err(Error::invalid(format!("results[{line}]"), format!("第{line}行：{why}")));
    }
    for (order, word) in &words {
        settle_by_bank(tx, actor, order, word)?;
    }
    let after = json!({
        "paid": outcome.paid,
        "failed": outcome.failed,
        "returned": outcome.returned,
        "unchanged": outcome.unchanged,
    });
    record(tx, actor, Deed { after: Some(after), ..deed(Action::Update, id) })?;
    Ok(outcome)
}

/// The payouts of a file and what the bank says of each.
type Words = Vec<(PaymentOrder, BankWord)>;

fn plan(tx: &ReadTx<'_>, id: PayrollFileId, table: &[Vec<String>]) -> Result<(Outcome, Words)> {
    payroll_files::find(tx, id)?.ok_or(NO_SUCH)?;
    let mut lines = Lines::of(tx, load(tx, &payroll_files::orders(tx, id)?)?)?;
    let heading = table.iter().position(|row| row.iter().any(|cell| cell == "结果"));
    let heading = heading.ok_or_else(|| Error::invalid("", "表格没有名为结果的列"))?;
    let columns = Columns::of(&table[heading])?;
    let (mut outcome, mut words) = (Outcome::default(), Vec::new());
    for (place, row) in table.iter().enumerate().skip(heading + 1) {
        if row.iter().all(String::is_empty) {
            continue;
        }
        outcome.total += 1;
        match read_line(&columns, row, &mut lines) {
            Ok((order, word, effect)) => {
                match (effect, &word) {
                    (Effect::Nothing | Effect::Contradicts, _) => outcome.unchanged += 1,
                    (Effect::Moved, BankWord::Paid) => outcome.paid += 1,
                    (Effect::Moved, BankWord::Failed { .. }) => outcome.failed += 1,
                    (Effect::Moved, BankWord::Returned { .. }) => outcome.returned += 1,
                }
                words.push((order, word));
            }
            Err(why) => outcome.bad.push((place + 1, why)),
        }
    }
    if outcome.total == 0 {
        return Err(Error::invalid("", "表格没有结果"));
    }
    Ok((outcome, words))
}

fn read_line(
    columns: &Columns,
    row: &[String],
    lines: &mut Lines,
) -> std::result::Result<(PaymentOrder, BankWord, Effect), String> {
    let cell = |column: Option<usize>| column.and_then(|column| row.get(column)).map_or("", String::as_str);
    let reason = match cell(columns.reason) {
        "" => "银行未说明原因".to_owned(),
        reason => reason.to_owned(),
    };
    let word = match cell(Some(columns.result)) {
        "成功" => BankWord::Paid,
        "失败" => BankWord::Failed { reason },
        "退回" | "退票" => BankWord::Returned { reason },
        _ => return Err("结果只能是成功、失败或退回".to_owned()),
    };
    let amount = match cell(columns.amount) {
        "" => None,
        text => Some(text.replace(',', "").parse::<Fen>().map_err(|error| error.to_string())?),
    };
    let order = lines.take(cell(columns.number), cell(columns.account), amount)?;
    let effect = bank_effect(order.status, &word).map_err(|why| why.to_owned())?;
    Ok((order, word, effect))
}

/// Where a table of results has what.
struct Columns {
    number: Option<usize>,
    account: Option<usize>,
    amount: Option<usize>,
    result: usize,
    reason: Option<usize>,
}

impl Columns {
    fn of(heading: &[String]) -> Result<Self> {
        let find = |name: &str| heading.iter().position(|cell| cell == name);
        let columns = Self {
            number: find("订单号"),
            account: find("账号"),
            amount: find("金额"),
            result: find("结果").ok_or_else(|| Error::invalid("", "表格没有名为结果的列"))?,
            reason: find("原因"),
        };
        if columns.number.is_none() && (columns.account.is_none() || columns.amount.is_none()) {
            return Err(Error::invalid("", "表格应有订单号列，或账号和金额两列"));
        }
        Ok(columns)
    }
}

/// The payouts of a file, each to be found once.
struct Lines {
    orders: BTreeMap<String, (PaymentOrder, String)>,
    taken: BTreeSet<String>,
}

impl Lines {
    fn of(tx: &ReadTx<'_>, orders: Vec<PaymentOrder>) -> Result<Self> {
        let mut lines = BTreeMap::new();
        for order in orders {
            let account = payee_of(tx, &order)?.account.as_str().to_owned();
            lines.insert(order.order_no.to_string(), (order, account));
        }
        Ok(Self { orders: lines, taken: BTreeSet::new() })
    }

    /// The payout that a line is about: by its number, else by account and amount where only one has both. What else the line says
    /// must agree.
    fn take(&mut self, number: &str, account: &str, amount: Option<Fen>) -> std::result::Result<PaymentOrder, String> {
        let fits = |(order, own): &(PaymentOrder, String)| {
            (account.is_empty() || account == own) && amount.is_none_or(|amount| amount == order.amount)
        };
        let number = if number.is_empty() {
            if account.is_empty() || amount.is_none() {
                return Err("没有订单号，也没有账号和金额".to_owned());
            }
            let mut found = self.orders.iter().filter(|(_, line)| fits(line)).map(|(number, _)| number);
            match (found.next(), found.next()) {
                (Some(number), None) => number.clone(),
                (Some(_), Some(_)) => return Err("账号和金额相同的付款不止一笔，请填写订单号".to_owned()),
                (None, _) => return Err("文件中没有此账号和金额的付款".to_owned()),
            }
        } else {
            number.to_owned()
        };
        let line = self.orders.get(&number).ok_or_else(|| "订单号不在该代发文件中".to_owned())?;
        if !fits(line) {
            return Err("账号或金额与付款单不符".to_owned());
        }
        if !self.taken.insert(number) {
            return Err("同一付款单出现了两次".to_owned());
        }
        Ok(line.0.clone())
    }
}

fn deed(action: Action, id: PayrollFileId) -> Deed<'static> {
    Deed { action, noun: NOUN, noun_id: Some(id.get()), before: None, after: None }
}
