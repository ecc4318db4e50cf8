//! Financial reports: what came in and went out, per category and per period.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;

use crate::domain::money::Fen;
use crate::domain::reports::ReportType;
use crate::domain::time::check_period;
use crate::domain::transactions::Direction;
use crate::error::{Error, Result};
use crate::store::ReadTx;
use crate::store::transactions::{Total, totals_between};

/// Periods of one report at most.
pub const PERIODS_MAX: usize = 400;

/// What came in and went out within a range of days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How long one period is.
    pub report_type: ReportType,
    /// The name of the one period, or the first and last day of the range.
    pub period: String,
    /// 收入
    pub income: Fen,
    /// 支出
    pub expense: Fen,
    /// 利润
    pub profit: Fen,
    /// Income per category, the largest first.
    pub details_income: Vec<(String, Fen)>,
    /// Expense per category, the largest first.
    pub details_expense: Vec<(String, Fen)>,
    /// Every period of the range in order, when there is more than one.
    pub series: Option<Vec<PeriodSum>>,
}

/// What came in and went out within one period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodSum {
    /// The period's name.
    pub period: String,
    /// 收入
    pub income: Fen,
    /// 支出
    pub expense: Fen,
    /// 利润
    pub profit: Fen,
}

/// The report on the days from `start` until `end`, both included. A side that is not given is the edge of the other
/// side's period; without both it is the current period.
///
/// # Errors
/// [`Error::Invalid`] when the range ends before it begins or has more than [`PERIODS_MAX`] periods.
pub fn report(tx: &ReadTx<'_>, report_type: ReportType, start: Option<Date>, end: Option<Date>) -> Result<Report> {
    let (start, end) = range(report_type, (start, end), tx.zone.day(tx.now));
    check_period(Some(start), Some(end))?;
    let periods = first_days(report_type, start, end)?;
    let totals = totals_between(tx, start, end)?;
    let several = periods.len() > 1;
    let (income, expense) = (sum(&totals, Direction::Income), sum(&totals, Direction::Expense));
    Ok(Report {
        report_type,
        period: if several { format!("{start}至{end}") } else { report_type.label(start) },
        income,
        expense,
        profit: income - expense,
        details_income: by_category(&totals, Direction::Income),
        details_expense: by_category(&totals, Direction::Expense),
        series: several.then(|| series(report_type, &periods, &totals)),
    })
}

fn range(report_type: ReportType, given: (Option<Date>, Option<Date>), today: Date) -> (Date, Date) {
    match given {
        (Some(start), Some(end)) => (start, end),
        (Some(start), None) => (start, report_type.last_day(start)),
        (None, Some(end)) => (report_type.first_day(end), end),
        (None, None) => (report_type.first_day(today), report_type.last_day(today)),
    }
}

/// The first day of every period that has a day in the range.
fn first_days(report_type: ReportType, start: Date, end: Date) -> Result<Vec<Date>> {
    let mut first_days = vec![report_type.first_day(start)];
    let mut last = report_type.last_day(start);
    while last < end {
        if first_days.len() == PERIODS_MAX {
            return Err(Error::invalid("end_date", format!("最多{PERIODS_MAX}个周期")));
        }
        let first = last.saturating_add(1.days());
        first_days.push(first);
        last = report_type.last_day(first);
    }
    Ok(first_days)
}

fn sum(totals: &[Total], direction: Direction) -> Fen {
    totals.iter().filter(|total| total.direction == direction).map(|total| total.sum).sum()
}

/// The sum per category, the largest first, without the categories of which everything was voided.
fn by_category(totals: &[Total], direction: Direction) -> Vec<(String, Fen)> {
    let mut sums: BTreeMap<&str, Fen> = BTreeMap::new();
    for total in totals.iter().filter(|total| total.direction == direction) {
        let sum = sums.entry(total.category.as_str()).or_default();
        *sum = *sum + total.sum;
    }
    let mut details: Vec<(String, Fen)> = sums
        .into_iter()
        .filter(|(_, amount)| *amount != Fen::ZERO)
        .map(|(category, amount)| (category.to_owned(), amount))
        .collect();
    // The sort is stable, so that equal amounts stay in the order of their names.
    details.sort_by_key(|(_, amount)| std::cmp::Reverse(*amount));
    details
}

fn series(report_type: ReportType, periods: &[Date], totals: &[Total]) -> Vec<PeriodSum> {
    let mut sums: BTreeMap<Date, (Fen, Fen)> = periods.iter().map(|first| (*first, (Fen::ZERO, Fen::ZERO))).collect();
    for total in totals {
        let (income, expense) = sums.entry(report_type.first_day(total.date)).or_default();
        match total.direction {
            Direction::Income => *income = *income + total.sum,
            Direction::Expense => *expense = *expense + total.sum,
        }
    }
    sums.into_iter()
        .map(|(first, (income, expense))| PeriodSum {
            period: report_type.label(first),
            income,
            expense,
            profit: income - expense,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn total(day: Date, direction: Direction, category: &str, sum: i64) -> Total {
        Total { date: day, direction, category: category.to_owned(), sum: Fen(sum) }
    }

    #[test]
    fn a_side_that_is_not_given_is_the_edge_of_the_period() {
        let (today, day) = (date(2024, 2, 9), date(2024, 1, 15));
        let monthly = |given| range(ReportType::Monthly, given, today);
        assert_eq!(monthly((None, None)), (date(2024, 2, 1), date(2024, 2, 29)));
        assert_eq!(monthly((Some(day), None)), (day, date(2024, 1, 31)));
        assert_eq!(monthly((None, Some(day))), (date(2024, 1, 1), day));
        assert_eq!(monthly((Some(day), Some(today))), (day, today));
    }

    #[test]
    fn a_range_has_a_bounded_number_of_periods() {
        let start = date(2024, 1, 1);
        let last = start.saturating_add(399.days());
        assert_eq!(first_days(ReportType::Daily, start, last).map(|days| days.len()).ok(), Some(PERIODS_MAX));
        assert!(first_days(ReportType::Daily, start, last.saturating_add(1.days())).is_err());
        assert_eq!(
            first_days(ReportType::Monthly, date(2024, 1, 31), date(2024, 3, 1)).ok(),
            Some(vec![date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)])
        );
        assert_eq!(first_days(ReportType::Yearly, date(9999, 1, 1), Date::MAX).map(|days| days.len()).ok(), Some(1));
    }

    #[test]
    fn categories_come_by_amount_and_then_by_name_without_the_voided() {
        let day = date(2024, 1, 1);
        let totals = [
            total(day, Direction::Income, "b", 100),
            total(day, Direction::Income, "a", 100),
            total(day, Direction::Income, "void", 0),
            total(day, Direction::Expense, "c", 900),
            total(day.saturating_add(1.days()), Direction::Income, "z", 300),
        ];
        let expected = [("z", 300), ("a", 100), ("b", 100)].map(|(name, fen)| (name.to_owned(), Fen(fen)));
        assert_eq!(by_category(&totals, Direction::Income), expected);
        assert_eq!(sum(&totals, Direction::Income), Fen(500));
    }

    #[test]
    fn a_period_without_entries_is_in_the_series() {
        let periods = [date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)];
        let totals = [
            total(date(2024, 1, 5), Direction::Income, "a", 100),
            total(date(2024, 3, 5), Direction::Expense, "b", 40),
        ];
        let series = series(ReportType::Monthly, &periods, &totals);
        let profits: Vec<_> = series.iter().map(|sum| (sum.period.as_str(), sum.profit)).collect();
        assert_eq!(profits, [("2024-01", Fen(100)), ("2024-02", Fen(0)), ("2024-03", Fen(-40))]);
    }
}
