//! How domain values stand in JSON, in queries and in the OpenAPI document.
//!
//! Each type that a body holds reads itself with its own bounds and says in the document what they are, so that the two
//! can't differ.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use jiff::civil::{Date, DateTime, Time};
use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, schema::OneOfBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::access::Permission;
use crate::domain::appointments::AppointmentStatus;
use crate::domain::attendance::PunchType;
use crate::domain::audit::Action;
use crate::domain::ids::{
    AnomalyId, AppointmentId, AttendanceId, CustomerId, DifferenceId, DishId, EmployeeId, ID_MAX, MenuId,
    NotificationId, PayrollFileId, ReconciliationId, RoleId, SalaryId, SupplierId, TransactionId, UserId,
};
use crate::domain::menus::Meal;
use crate::domain::money::Fen;
use crate::domain::payment_anomalies::AnomalyKind;
use crate::domain::payments::{Channel, OrderStatus, OrderType, PaymentMethod, RefundStatus, Trade};
use crate::domain::reconciliations::{DifferenceClass, ReconciliationStatus};
use crate::domain::reports::ReportType;
use crate::domain::salaries::PayPeriod;
use crate::domain::settings::LogLevel;
use crate::domain::status::Status;
use crate::domain::text::Text;
use crate::domain::time::{Instant, Zone};
use crate::domain::transactions::Direction;
use crate::service::passwords::{BYTES_MAX, BYTES_MIN, Password};

/// A name of a person, a dish, a role.
pub type Name = Text<64>;
/// A short word: a category, a position.
pub type Word = Text<32>;
/// A line.
pub type Line = Text<255>;
/// A paragraph.
pub type Paragraph = Text<2000>;

/// A number on a slip or a bank's statement.
pub type Reference = Text<64>;
/// The last four digits of a card.
pub type CardTail = Text<4>;
/// Why money goes back; WeChat takes 80 characters.
pub type RefundReason = Text<80>;

/// A whole number between `MIN` and `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<const MIN: i64, const MAX: i64>(pub i64);

/// A field of a change: left alone, cleared, or set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The key is not there: leave it.
    #[default]
    Keep,
    /// The key is `null`: clear it.
    Clear,
    /// The new value.
    Set(T),
}

/// A change of a name.
pub type NamePatch = Patch<Name>;
/// A change of a word.
pub type WordPatch = Patch<Word>;
/// A change of a line.
pub type LinePatch = Patch<Line>;
/// A change of a paragraph.
pub type ParagraphPatch = Patch<Paragraph>;
/// A change of a day.
pub type DayPatch = Patch<Day>;

impl<T> Patch<T> {
    /// Applies the change to an optional value.
    pub fn apply<U: From<T>>(self, target: &mut Option<U>) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *target = None,
            Patch::Set(value) => *target = Some(value.into()),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Patch::Clear, Patch::Set))
    }
}

/// Reads a key that may be left out but, when it is there, must have a value.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// An amount of money: a JSON number with at most two decimals in, exactly two out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money(pub Fen);

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Err(D::Error::custom(if raw.get() == "null" { "不能为空" } else { "金额应为数字" }));
        }
        raw.get().parse().map(Money).map_err(D::Error::custom)
    }
}

/// A day, `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day(pub Date);

impl From<Day> for Date {
    fn from(day: Day) -> Date {
        day.0
    }
}

/// A moment as the site's wall clock shows it, `YYYY-MM-DDTHH:MM:SS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime(pub DateTime);

impl LocalTime {
    /// What the zone's clock shows at this moment.
    pub fn of(instant: Instant, zone: &Zone) -> Self {
        Self(zone.local(instant))
    }
}

/// A time of the day, `HH:MM:SS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock(Time);

impl Clock {
    /// What the zone's clock shows at this moment.
    pub fn of(instant: Instant, zone: &Zone) -> Self {
        Self(zone.local(instant).time())
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.strftime("%H:%M:%S").fmt(f)
    }
}

/// A time of the day that somebody names, `HH:MM` or `HH:MM:SS`; given out without seconds where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(pub Time);

fn day_of(text: &str) -> Option<Date> {
    let date: Date = if text.len() == 10 { text.parse().ok()? } else { return None };
    (date.year() >= 1000).then_some(date)
}

fn local_time_of(text: &str) -> Option<DateTime> {
    if text.len() != 19 || text.as_bytes()[10] != b'T' || &text[17..] == "60" {
        return None;
    }
    let moment: DateTime = text.parse().ok()?;
    (moment.year() >= 1000).then_some(moment)
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.strftime("%Y-%m-%dT%H:%M:%S").fmt(f)
    }
}

impl Serialize for PayPeriod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PayPeriod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| text.parse().map_err(|error| format!("{error}")))
    }
}

impl PartialSchema for PayPeriod {
    fn schema() -> RefOr<Schema> {
        string().pattern(Some(r"^\d{4}-\d{2}$")).examples([json!("2024-01")]).into()
    }
}

impl ToSchema for PayPeriod {}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.strftime("%Y-%m-%dT%H:%M:%S"))
    }
}

impl Serialize for Clock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let format = if self.0.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
        serializer.collect_str(&self.0.strftime(format))
    }
}

fn time_of_day_of(text: &str) -> Option<Time> {
    if !matches!(text.len(), 5 | 8) || text.get(6..) == Some("60") {
        return None;
    }
    text.parse().ok()
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| {
            time_of_day_of(text).map(TimeOfDay).ok_or_else(|| "时间应为存在的时间，格式HH:MM".to_owned())
        })
    }
}

/// Reads a value from text with a function that refuses with a message for people.
struct FromText<T, F>(F, PhantomData<T>);

impl<T, F: FnOnce(&str) -> Result<T, String>> Visitor<'_> for FromText<T, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

fn from_text<'de, T, D: Deserializer<'de>>(
    deserializer: D,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    deserializer.deserialize_str(FromText(read, PhantomData))
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| {
            day_of(text).map(Day).ok_or_else(|| "日期应为存在的日期，格式YYYY-MM-DD".to_owned())
        })
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, |text| {
            local_time_of(text).map(LocalTime).ok_or_else(|| "时间应为存在的时间，格式YYYY-MM-DDTHH:MM:SS".to_owned())
        })
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Text::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Password::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

struct WholeNumber;

impl Visitor<'_> for WholeNumber {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_i64(WholeNumber)?;
        if (MIN..=MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(D::Error::custom(format_args!("应为{MIN}到{MAX}的整数")))
        }
    }
}

impl<const MIN: i64, const MAX: i64> From<Whole<MIN, MAX>> for i64 {
    fn from(number: Whole<MIN, MAX>) -> i64 {
        number.0
    }
}

macro_rules! id_on_the_wire {
    ($($name:ident),+ $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.get())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $name::try_from(deserializer.deserialize_i64(WholeNumber)?).map_err(D::Error::custom)
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                integer(1, ID_MAX).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

id_on_the_wire!(
    AnomalyId,
    AppointmentId,
    AttendanceId,
    CustomerId,
    DifferenceId,
    DishId,
    EmployeeId,
    MenuId,
    NotificationId,
    PayrollFileId,
    ReconciliationId,
    RoleId,
    SalaryId,
    SupplierId,
    TransactionId,
    UserId,
);

macro_rules! word_on_the_wire {
    ($($name:ident: $words:expr),+ $(,)?) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer, |text| text.parse().map_err(|error| format!("{error}")))
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                string().enum_values(Some($words)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

word_on_the_wire!(
    Action: Action::ALL.map(Action::as_str),
    AnomalyKind: AnomalyKind::ALL.iter().map(|kind| kind.as_str()),
    AppointmentStatus: AppointmentStatus::ALL.map(AppointmentStatus::as_str),
    Channel: Channel::ALL.iter().map(|channel| channel.as_str()),
    DifferenceClass: DifferenceClass::ALL.iter().map(|class| class.as_str()),
    Direction: [Direction::Income, Direction::Expense].map(Direction::as_str),
    LogLevel: [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace].map(LogLevel::as_str),
    Meal: [Meal::Breakfast, Meal::Lunch, Meal::Dinner].map(Meal::as_str),
    OrderStatus: OrderStatus::ALL.iter().map(|status| status.as_str()),
    OrderType: OrderType::ALL.iter().map(|kind| kind.as_str()),
    PaymentMethod: PaymentMethod::ALL.iter().map(|method| method.as_str()),
    RefundStatus: RefundStatus::ALL.iter().map(|status| status.as_str()),
    Trade: Trade::ALL.iter().map(|trade| trade.as_str()),
    Permission: Permission::ALL.map(Permission::as_str),
    PunchType: [PunchType::CheckIn, PunchType::CheckOut].map(PunchType::as_str),
    ReconciliationStatus: ReconciliationStatus::ALL.iter().map(|status| status.as_str()),
    ReportType: [ReportType::Daily, ReportType::Weekly, ReportType::Monthly, ReportType::Yearly].map(ReportType::as_str),
    Status: [Status::Active, Status::Inactive].map(Status::as_str),
);

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
}

fn integer(min: i64, max: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).minimum(Some(min)).maximum(Some(max))
}

impl<const MAX: usize> PartialSchema for Text<MAX> {
    fn schema() -> RefOr<Schema> {
        // Something other than white space, and no control characters but tab and line breaks.
        string().min_length(Some(1)).max_length(Some(MAX)).pattern(Some(r"\S")).into()
    }
}

impl<const MAX: usize> ToSchema for Text<MAX> {
    fn name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }
}

impl PartialSchema for Password {
    fn schema() -> RefOr<Schema> {
        string()
            .min_length(Some(BYTES_MIN))
            .max_length(Some(BYTES_MAX))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .description(Some("8 to 72 bytes of UTF-8"))
            .into()
    }
}

impl ToSchema for Password {}

impl<const MIN: i64, const MAX: i64> PartialSchema for Whole<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        integer(MIN, MAX).into()
    }
}

impl<const MIN: i64, const MAX: i64> ToSchema for Whole<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::new(Type::Number))
            .description(Some("yuan, a number with two decimals"))
            .multiple_of(Some(0.01))
            .examples([json!(58.0)])
            .into()
    }
}

impl ToSchema for Money {}

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date))).examples([json!("2024-01-01")]).into()
    }
}

impl ToSchema for Day {}

impl PartialSchema for LocalTime {
    fn schema() -> RefOr<Schema> {
        string()
            .pattern(Some(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"))
            .description(Some("a moment in the site's zone"))
            .examples([json!("2024-01-01T10:00:00")])
            .into()
    }
}

impl ToSchema for LocalTime {}

impl PartialSchema for Clock {
    fn schema() -> RefOr<Schema> {
        string().pattern(Some(r"^\d{2}:\d{2}:\d{2}$")).examples([json!("08:00:00")]).into()
    }
}

impl ToSchema for Clock {}

impl PartialSchema for TimeOfDay {
    fn schema() -> RefOr<Schema> {
        string().pattern(Some(r"^\d{2}:\d{2}(:\d{2})?$")).examples([json!("14:00")]).into()
    }
}

impl ToSchema for TimeOfDay {}

impl<T: ToSchema> PartialSchema for Patch<T> {
    fn schema() -> RefOr<Schema> {
        let null = ObjectBuilder::new().schema_type(SchemaType::new(Type::Null));
        OneOfBuilder::new().item(null).item(T::schema()).into()
    }
}

impl<T: ToSchema> ToSchema for Patch<T> {
    fn name() -> Cow<'static, str> {
        format!("Nullable{}", T::name()).into()
    }
}

impl PartialSchema for super::answer::Nothing {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(SchemaType::new(Type::Null)).into()
    }
}

impl ToSchema for super::answer::Nothing {}
