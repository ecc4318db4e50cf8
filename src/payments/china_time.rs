//! Times as the platforms write them: those of China, +08:00, whatever the zone of the machine.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use crate::domain::time::Instant;

const CHINA: Offset = jiff::tz::offset(8);

/// `2026-03-02T12:00:00+08:00`, as WeChat writes it; to the second.
pub fn rfc3339(at: Instant) -> String {
    local(at).strftime("%Y-%m-%dT%H:%M:%S+08:00").to_string()
}

/// `2026-03-02 12:00:00`, as Alipay writes it; to the second.
pub fn spaced(at: Instant) -> String {
    local(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `20260302120000`, as UnionPay writes it; to the second.
pub fn packed(at: Instant) -> String {
    local(at).strftime("%Y%m%d%H%M%S").to_string()
}

/// The day that it is in China at this moment.
pub fn day(at: Instant) -> Date {
    local(at).date()
}

/// Reads RFC 3339 with any offset.
pub fn from_rfc3339(text: &str) -> Option<Instant> {
    text.parse::<Timestamp>().ok().map(|at| Instant(at.as_millisecond()))
}

/// Reads `2026-03-02 12:00:00`, a time in China.
pub fn from_spaced(text: &str) -> Option<Instant> {
    instant(DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?)
}

/// Reads `20260302120000`, a time in China.
pub fn from_packed(text: &str) -> Option<Instant> {
    instant(DateTime::strptime("%Y%m%d%H%M%S", text).ok()?)
}

fn local(at: Instant) -> DateTime {
    let nearest = if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
    CHINA.to_datetime(Timestamp::from_millisecond(at.0).unwrap_or(nearest))
}

/// The moment at which clocks in China show this.
pub fn instant(local: DateTime) -> Option<Instant> {
    TimeZone::fixed(CHINA).to_timestamp(local).ok().map(|at| Instant(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A millisecond before midnight in China, still the afternoon in UTC.
    const LATE: Instant = Instant(1_772_466_599_999);

    #[test]
    fn times_are_those_of_china() {
        assert_eq!(rfc3339(LATE), "2026-03-02T23:49:59+08:00");
        assert_eq!(spaced(LATE), "2026-03-02 23:49:59");
        assert_eq!(packed(LATE), "20260302234959");
        assert_eq!(day(Instant(1_772_467_200_000)).to_string(), "2026-03-03");
    }

    #[test]
    fn what_is_written_reads_back_to_the_second() {
        let second = Some(Instant(1_772_466_599_000));
        assert_eq!(from_rfc3339(&rfc3339(LATE)), second);
        assert_eq!(from_rfc3339("2026-03-02T15:49:59Z"), second);
        assert_eq!(from_spaced(&spaced(LATE)), second);
        assert_eq!(from_packed(&packed(LATE)), second);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in ["", "2026-02-30 00:00:00", "20260302", "2026-03-02T25:00:00+08:00", "0000"] {
            assert_eq!((from_rfc3339(text), from_spaced(text), from_packed(text)), (None, None, None), "{text}");
        }
    }
}
