//! Identities. Every noun has its own type, so that one can't be passed for another.

/// Ids from here upward are given out by the center on a site's behalf; the site counts below it.
pub const CENTER_IDS_FROM: i64 = 1_000_000_000_000;

/// The largest integer that JavaScript holds exactly; no id is larger.
pub const ID_MAX: i64 = 9_007_199_254_740_991;

/// A number that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("编号应为正整数")]
pub struct NotAnId;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i64);

        impl $name {
            /// The number as it stands in rows and answers.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = NotAnId;

            fn try_from(value: i64) -> Result<Self, NotAnId> {
                if (1..=ID_MAX).contains(&value) { Ok(Self(value)) } else { Err(NotAnId) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

id! {
    /// A row of `users`.
    UserId,
    /// A row of `roles`.
    RoleId,
    /// A row of `customers`.
    CustomerId,
    /// A row of `dishes`.
    DishId,
    /// A row of `menus`.
    MenuId,
    /// A row of `employees`.
    EmployeeId,
    /// A row of `attendance`: one day of one employee.
    AttendanceId,
    /// A row of `punches`.
    PunchId,
    /// A row of `transactions`.
    TransactionId,
    /// A row of `notifications`.
    NotificationId,
    /// A row of `audit`.
    AuditId,
    /// A row of `appointments`.
    AppointmentId,
    /// A row of `payment_orders`.
    PaymentOrderId,
    /// A row of `payment_refunds`.
    RefundId,
    /// A row of `payment_callbacks`.
    CallbackId,
    /// A row of `payment_anomalies`.
    AnomalyId,
    /// A row of `payees`.
    PayeeId,
    /// A row of `payroll_files`.
    PayrollFileId,
    /// A row of `suppliers`.
    SupplierId,
    /// A row of `salaries`.
    SalaryId,
    /// A row of `reconciliations`.
    ReconciliationId,
    /// A row of `reconciliation_differences`.
    DifferenceId,
}
