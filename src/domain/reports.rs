//! The periods that a financial report is cut into.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

/// How long one period of a report is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportType {
    /// A day.
    Daily,
    /// An ISO week, Monday to Sunday.
    Weekly,
    /// A calendar month.
    Monthly,
    /// A calendar year.
    Yearly,
}

impl ReportType {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReportType::Daily => "daily",
            ReportType::Weekly => "weekly",
            ReportType::Monthly => "monthly",
            ReportType::Yearly => "yearly",
        }
    }

    /// The first day of the period that this day lies in.
    pub fn first_day(self, day: Date) -> Date {
        match self {
            ReportType::Daily => day,
            ReportType::Weekly => day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days()),
            ReportType::Monthly => day.first_of_month(),
            ReportType::Yearly => day.first_of_year(),
        }
    }

    /// The last day of the period that this day lies in.
    pub fn last_day(self, day: Date) -> Date {
        match self {
            ReportType::Daily => day,
            ReportType::Weekly => self.first_day(day).saturating_add(6.days()),
            ReportType::Monthly => day.last_of_month(),
            ReportType::Yearly => day.last_of_year(),
        }
    }

    /// The name of the period that this day lies in: `2024-01-01`, `2024-W05`, `2024-01`, `2024`.
    pub fn label(self, day: Date) -> String {
        match self {
            ReportType::Daily => day.to_string(),
            ReportType::Weekly => {
                let week = day.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            ReportType::Monthly => format!("{:04}-{:02}", day.year(), day.month()),
            ReportType::Yearly => format!("{:04}", day.year()),
        }
    }
}

/// A word that names no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("报表类型只能是daily、weekly、monthly或yearly")]
pub struct UnknownReportType;

impl std::str::FromStr for ReportType {
    type Err = UnknownReportType;

    fn from_str(word: &str) -> Result<Self, UnknownReportType> {
        match word {
            "daily" => Ok(ReportType::Daily),
            "weekly" => Ok(ReportType::Weekly),
            "monthly" => Ok(ReportType::Monthly),
            "yearly" => Ok(ReportType::Yearly),
            _ => Err(UnknownReportType),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_week_is_the_iso_week_and_may_belong_to_the_year_before() {
        assert_eq!(ReportType::Weekly.label(date(2024, 1, 31)), "2024-W05");
        assert_eq!(ReportType::Weekly.label(date(2021, 1, 3)), "2020-W53");
        assert_eq!(ReportType::Weekly.first_day(date(2024, 1, 31)), date(2024, 1, 29));
        assert_eq!(ReportType::Weekly.first_day(date(2024, 1, 29)), date(2024, 1, 29));
        assert_eq!(ReportType::Weekly.last_day(date(2024, 1, 31)), date(2024, 2, 4));
    }

    #[test]
    fn periods_are_named_as_the_contract_says() {
        let day = date(2024, 2, 9);
        assert_eq!(ReportType::Daily.label(day), "2024-02-09");
        assert_eq!(ReportType::Monthly.label(day), "2024-02");
        assert_eq!(ReportType::Yearly.label(day), "2024");
        assert_eq!(ReportType::Monthly.last_day(day), date(2024, 2, 29));
    }
}
