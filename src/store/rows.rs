//! How values stand in columns, and what a violated constraint means.

use jiff::civil::{Date, Time};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, Row};

use crate::domain::appointments::AppointmentStatus;
use crate::domain::attendance::{DayStatus, PunchType};
use crate::domain::ids::{
    AnomalyId, AppointmentId, AttendanceId, AuditId, CallbackId, CustomerId, DifferenceId, DishId, EmployeeId, MenuId,
    NotificationId, PayeeId, PaymentOrderId, PayrollFileId, PunchId, ReconciliationId, RefundId, RoleId, SalaryId,
    SupplierId, TransactionId, UserId,
};
use crate::domain::menus::Meal;
use crate::domain::money::Fen;
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::{Channel, OrderNo, OrderStatus, OrderType, PaymentMethod, RefundStatus, Trade};
use crate::domain::reconciliations::{DifferenceClass, Movement, ReconciliationStatus};
use crate::domain::salaries::{NotAPayPeriod, PayPeriod};
use crate::domain::status::Status;
use crate::domain::time::Instant;
use crate::domain::transactions::Direction;
use crate::error::Error;

macro_rules! stored_as_integer {
    ($($name:ident),+ $(,)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.get()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                $name::try_from(value.as_i64()?).map_err(|error| FromSqlError::Other(Box::new(error)))
            }
        }
    )+};
}

stored_as_integer!(
    AnomalyId,
    AppointmentId,
    AttendanceId,
    AuditId,
    CallbackId,
    CustomerId,
    DifferenceId,
    DishId,
    EmployeeId,
    MenuId,
    NotificationId,
    PayeeId,
    PaymentOrderId,
    PayrollFileId,
    PunchId,
    ReconciliationId,
    RefundId,
    RoleId,
    SalaryId,
    SupplierId,
    TransactionId,
    UserId,
);

macro_rules! stored_as_number {
    ($($name:ident),+ $(,)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.0))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map($name)
            }
        }
    )+};
}

stored_as_number!(Fen, Instant);

macro_rules! stored_as_word {
    ($($name:ident),+ $(,)?) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.as_str()))
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
            }
        }
    )+};
}

stored_as_word!(
    AnomalyKind,
    AppointmentStatus,
    Channel,
    DifferenceClass,
    Direction,
    Meal,
    Movement,
    OrderNo,
    OrderStatus,
    OrderType,
    PaymentMethod,
    PunchType,
    ReconciliationStatus,
    RefundStatus,
    Status,
    Trade,
);

impl ToSql for PayPeriod {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.to_string()))
    }
}

impl FromSql for PayPeriod {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|error: NotAPayPeriod| FromSqlError::Other(Box::new(error)))
    }
}

impl ToSql for DayStatus {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_str()))
    }
}

/// A day in a column, `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub Date);

impl ToSql for Day {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.to_string()))
    }
}

impl FromSql for Day {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Day).map_err(|error: jiff::Error| FromSqlError::Other(Box::new(error)))
    }
}

/// Reads an optional day.
pub fn optional_day(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Date>> {
    Ok(row.get::<_, Option<Day>>(column)?.map(|day| day.0))
}

/// A time of the day in a column, `HH:MM:SS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(pub Time);

impl ToSql for TimeOfDay {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.strftime("%H:%M:%S").to_string()))
    }
}

impl FromSql for TimeOfDay {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(TimeOfDay).map_err(|error: jiff::Error| FromSqlError::Other(Box::new(error)))
    }
}

/// Turns the violation of this constraint into a conflict that a person can read.
///
/// SQLite names the columns of a violated UNIQUE (`table.column, …`) and the name of a violated CHECK; for a foreign key it
/// says nothing, so pass `"FOREIGN KEY"`.
pub fn on_constraint(constraint: &'static str, why: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| {
        let violated =
            error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) && error.to_string().contains(constraint);
        if violated { Error::Conflict(why.into()) } else { Error::from(error) }
    }
}
