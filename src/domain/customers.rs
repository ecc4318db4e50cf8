//! A mother who stays, stayed or is to stay at the center.

use jiff::civil::Date;

/// The check-out lies before the check-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("退房日期不能早于入住日期")]
pub struct LeavesBeforeArriving;

/// Checks that a stay ends no earlier than it begins; either end may be open.
pub fn check_stay(check_in: Option<Date>, check_out: Option<Date>) -> Result<(), LeavesBeforeArriving> {
    match (check_in, check_out) {
        (Some(check_in), Some(check_out)) if check_out < check_in => Err(LeavesBeforeArriving),
        _ => Ok(()),
    }
}

/// Most years that an age may say.
pub const AGE_MAX: i64 = 150;
