//! Appointments: what a customer asks for, and the steps by which it becomes a service.

use jiff::ToSpan;
use jiff::civil::Date;

/// Appointments of one user that may wait (pending or confirmed) at once.
pub const WAITING_MAX: i64 = 20;

/// Years ahead that an appointment may lie at most.
const YEARS_AHEAD_MAX: i64 = 1;

/// Where an appointment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppointmentStatus {
    /// 待确认
    Pending,
    /// 已确认
    Confirmed,
    /// 服务中
    InProgress,
    /// 已完成
    Completed,
    /// 已取消
    Cancelled,
}

impl AppointmentStatus {
    /// Every status, in the order in which they follow each other.
    pub const ALL: [AppointmentStatus; 5] = [
        AppointmentStatus::Pending,
        AppointmentStatus::Confirmed,
        AppointmentStatus::InProgress,
        AppointmentStatus::Completed,
        AppointmentStatus::Cancelled,
    ];

    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            AppointmentStatus::Pending => "pending",
            AppointmentStatus::Confirmed => "confirmed",
            AppointmentStatus::InProgress => "in_progress",
            AppointmentStatus::Completed => "completed",
            AppointmentStatus::Cancelled => "cancelled",
        }
    }

    /// How people call it.
    const fn title(self) -> &'static str {
        match self {
            AppointmentStatus::Pending => "待确认",
            AppointmentStatus::Confirmed => "已确认",
            AppointmentStatus::InProgress => "服务中",
            AppointmentStatus::Completed => "已完成",
            AppointmentStatus::Cancelled => "已取消",
        }
    }

    /// Where this step leads from here.
    ///
    /// # Errors
    /// [`IllegalStep`] when it can't be taken from here.
    pub const fn after(self, step: Step) -> Result<AppointmentStatus, IllegalStep> {
        match (self, step) {
            (AppointmentStatus::Pending, Step::Confirm) => Ok(AppointmentStatus::Confirmed),
            (AppointmentStatus::Pending | AppointmentStatus::Confirmed, Step::Assign) => Ok(self),
            (AppointmentStatus::Confirmed, Step::Start) => Ok(AppointmentStatus::InProgress),
            (AppointmentStatus::InProgress, Step::Complete) => Ok(AppointmentStatus::Completed),
            (AppointmentStatus::Pending | AppointmentStatus::Confirmed, Step::Cancel) => {
                Ok(AppointmentStatus::Cancelled)
            }
            (_, Step::Confirm | Step::Assign | Step::Start | Step::Complete | Step::Cancel) => {
                Err(IllegalStep { status: self, step })
            }
        }
    }
}

/// A word that names no status of an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("预约状态只能是pending、confirmed、in_progress、completed或cancelled")]
pub struct UnknownAppointmentStatus;

impl std::str::FromStr for AppointmentStatus {
    type Err = UnknownAppointmentStatus;

    fn from_str(word: &str) -> Result<Self, UnknownAppointmentStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or(UnknownAppointmentStatus)
    }
}

/// What is done with an appointment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// 确认
    Confirm,
    /// 安排员工
    Assign,
    /// 开始服务
    Start,
    /// 完成服务
    Complete,
    /// 取消
    Cancel,
}

impl Step {
    /// How people call it.
    const fn title(self) -> &'static str {
        match self {
            Step::Confirm => "确认",
            Step::Assign => "安排员工",
            Step::Start => "开始服务",
            Step::Complete => "完成服务",
            Step::Cancel => "取消",
        }
    }
}

/// A step that can't be taken from where the appointment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("预约{}，不能{}", status.title(), step.title())]
pub struct IllegalStep {
    /// Where the appointment stands.
    pub status: AppointmentStatus,
    /// What was tried.
    pub step: Step,
}

/// A day for which no appointment can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDay {
    /// It is over.
    #[error("预约日期不能早于今天")]
    Past,
    /// It is too far ahead.
    #[error("预约日期不能超过一年")]
    TooFar,
}

/// Checks that an appointment can be made today for this day.
pub fn check_day(day: Date, today: Date) -> Result<(), BadDay> {
    if day < today {
        return Err(BadDay::Past);
    }
    if day > today.saturating_add(YEARS_AHEAD_MAX.years()) {
        return Err(BadDay::TooFar);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::AppointmentStatus::{Cancelled, Completed, Confirmed, InProgress, Pending};
    use super::*;

    const STEPS: [Step; 5] = [Step::Confirm, Step::Assign, Step::Start, Step::Complete, Step::Cancel];

    #[test]
    fn exactly_the_listed_steps_can_be_taken() {
        let legal = [
            (Pending, Step::Confirm, Confirmed),
            (Pending, Step::Assign, Pending),
            (Pending, Step::Cancel, Cancelled),
            (Confirmed, Step::Assign, Confirmed),
            (Confirmed, Step::Start, InProgress),
            (Confirmed, Step::Cancel, Cancelled),
            (InProgress, Step::Complete, Completed),
        ];
        for status in AppointmentStatus::ALL {
            for step in STEPS {
                let expected = legal.iter().find(|(from, by, _)| (*from, *by) == (status, step)).map(|(.., to)| *to);
                assert_eq!(status.after(step).ok(), expected, "{status:?} {step:?}");
            }
        }
    }

    #[test]
    fn a_refusal_says_where_the_appointment_stands_and_what_was_tried() {
        assert_eq!(Completed.after(Step::Cancel).expect_err("over").to_string(), "预约已完成，不能取消");
        assert_eq!(Cancelled.after(Step::Start).expect_err("over").to_string(), "预约已取消，不能开始服务");
    }

    #[test]
    fn a_day_lies_between_today_and_a_year_ahead() {
        let today = date(2024, 2, 29);
        assert_eq!(check_day(date(2024, 2, 28), today), Err(BadDay::Past));
        assert_eq!(check_day(today, today), Ok(()));
        assert_eq!(check_day(date(2025, 2, 28), today), Ok(()));
        assert_eq!(check_day(date(2025, 3, 1), today), Err(BadDay::TooFar));
        assert_eq!(check_day(Date::MAX, Date::MAX), Ok(()));
    }

    #[test]
    fn every_status_has_its_own_word() {
        for status in AppointmentStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }
}
