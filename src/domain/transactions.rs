//! Income and expense. An entry is never changed; a wrong one is voided.

/// Which way the money went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// 收入
    Income,
    /// 支出
    Expense,
}

impl Direction {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Income => "income",
            Direction::Expense => "expense",
        }
    }
}

/// A word that names no direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("类型只能是income或expense")]
pub struct UnknownDirection;

impl std::str::FromStr for Direction {
    type Err = UnknownDirection;

    fn from_str(word: &str) -> Result<Self, UnknownDirection> {
        match word {
            "income" => Ok(Direction::Income),
            "expense" => Ok(Direction::Expense),
            _ => Err(UnknownDirection),
        }
    }
}
