//! Someone who works at the center.

/// The employee is set aside and does not take part in the day's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("员工已停用")]
pub struct NotActive;
