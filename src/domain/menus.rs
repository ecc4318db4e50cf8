//! What the kitchen serves at one meal of one day.

/// A meal of the day, in the order in which they are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Meal {
    /// 早餐
    Breakfast,
    /// 午餐
    Lunch,
    /// 晚餐
    Dinner,
}

impl Meal {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Meal::Breakfast => "breakfast",
            Meal::Lunch => "lunch",
            Meal::Dinner => "dinner",
        }
    }
}

/// A word that names no meal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("餐型只能是breakfast、lunch或dinner")]
pub struct UnknownMeal;

impl std::str::FromStr for Meal {
    type Err = UnknownMeal;

    fn from_str(word: &str) -> Result<Self, UnknownMeal> {
        match word {
            "breakfast" => Ok(Meal::Breakfast),
            "lunch" => Ok(Meal::Lunch),
            "dinner" => Ok(Meal::Dinner),
            _ => Err(UnknownMeal),
        }
    }
}
