//! Time: instants in UTC milliseconds, days of the site's zone, and the zone between them.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A moment, in milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

impl Instant {
    /// This moment moved by so many milliseconds.
    pub const fn plus_ms(self, ms: i64) -> Instant {
        Instant(self.0.saturating_add(ms))
    }

    /// How many milliseconds lie between `earlier` and this moment; negative when it is later.
    pub const fn ms_since(self, earlier: Instant) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Milliseconds of a minute.
pub const MINUTE_MS: i64 = 60_000;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds of 24 hours.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// The time zone that a site keeps its books in.
#[derive(Clone)]
pub struct Zone(TimeZone);

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name())
    }
}

/// A period that ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("结束日期不能早于开始日期")]
pub struct EndsBeforeStart;

/// Checks that a period, both days included, ends no earlier than it begins; either end may be open.
pub fn check_period(start: Option<Date>, end: Option<Date>) -> Result<(), EndsBeforeStart> {
    match (start, end) {
        (Some(start), Some(end)) if end < start => Err(EndsBeforeStart),
        _ => Ok(()),
    }
}

/// The name is in no time zone database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone {0:?}")]
pub struct UnknownZone(pub String);

impl Zone {
    /// A zone by its IANA name, such as `Asia/Shanghai`, from the database that is compiled in.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(name).map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// What the wall clock of the zone shows at this moment.
    pub fn local(&self, instant: Instant) -> DateTime {
        let timestamp = jiff::Timestamp::from_millisecond(instant.0).unwrap_or(if instant.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        self.0.to_datetime(timestamp)
    }

    /// The day that it is in the zone at this moment.
    pub fn day(&self, instant: Instant) -> Date {
        self.local(instant).date()
    }

    /// The moment at which the zone's clock shows this; of two such moments the earlier one, in a gap the one after it.
    pub fn instant(&self, local: DateTime) -> Option<Instant> {
        self.0.to_timestamp(local).ok().map(|timestamp| Instant(timestamp.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_the_zone() {
        let zone = Zone::named("Asia/Shanghai").expect("compiled in");
        let midnight = zone.instant(date(2024, 1, 1).at(0, 0, 0, 0)).expect("in range");
        assert_eq!(midnight, Instant(1_704_038_400_000));
        assert_eq!(zone.day(midnight), date(2024, 1, 1));
        assert_eq!(zone.day(midnight.plus_ms(-1)), date(2023, 12, 31));
    }
}
