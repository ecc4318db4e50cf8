//! Attendance: a log of punches, and the days that follow from it.
//!
//! The days are a function of the log alone, whatever the order in which a kiosk that was cut off delivers its punches.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::time::{HOUR_MS, Instant, MINUTE_MS, Zone};

/// A check-out belongs to the day of the latest check-in before it when that was less than this ago.
pub const SHIFT_MS_MAX: i64 = 16 * HOUR_MS;

/// A kiosk's clock is suspect when it differs from the server's by more than this.
pub const CLOCK_SKEW_MS_MAX: i64 = 5 * MINUTE_MS;

/// The direction of a punch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PunchType {
    /// 上班
    CheckIn,
    /// 下班
    CheckOut,
}

impl PunchType {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            PunchType::CheckIn => "check_in",
            PunchType::CheckOut => "check_out",
        }
    }
}

/// A word that names no kind of punch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("打卡类型只能是check_in或check_out")]
pub struct UnknownPunchType;

impl std::str::FromStr for PunchType {
    type Err = UnknownPunchType;

    fn from_str(word: &str) -> Result<Self, UnknownPunchType> {
        match word {
            "check_in" => Ok(PunchType::CheckIn),
            "check_out" => Ok(PunchType::CheckOut),
            _ => Err(UnknownPunchType),
        }
    }
}

/// When a punch counts, and whether the kiosk's clock is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PunchTime {
    /// The moment that counts for the day's row.
    pub effective_at: Instant,
    /// The two clocks differ by more than [`CLOCK_SKEW_MS_MAX`]: a person should look.
    pub clock_suspect: bool,
}

/// The moment of a punch: the kiosk's own when it gives one (it was cut off and delivers late), else the server's. No punch
/// counts later than the server received it.
pub fn punch_time(received_at: Instant, punched_at: Option<Instant>) -> PunchTime {
    match punched_at {
        None => PunchTime { effective_at: received_at, clock_suspect: false },
        Some(punched_at) => PunchTime {
            effective_at: punched_at.min(received_at),
            clock_suspect: received_at.ms_since(punched_at).abs() > CLOCK_SKEW_MS_MAX,
        },
    }
}

/// One entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Punch {
    /// The moment that counts.
    pub effective_at: Instant,
    /// In or out.
    pub kind: PunchType,
}

/// What a day's row says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayStatus {
    /// Somebody came.
    Present,
    /// Somebody left without having come.
    Incomplete,
}

impl DayStatus {
    /// The word in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            DayStatus::Present => "present",
            DayStatus::Incomplete => "incomplete",
        }
    }
}

/// One day of one employee: first check-in, last check-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// The first check-in of the day.
    pub check_in_at: Option<Instant>,
    /// The last check-out that belongs to the day.
    pub check_out_at: Option<Instant>,
}

impl Day {
    /// Adds a punch of the day that is later than all that were added before.
    pub fn add(&mut self, punch: Punch) {
        match punch.kind {
            // A check-out before the first check-in ended something else; the log keeps it.
            PunchType::CheckIn if self.check_in_at.is_none() => {
                *self = Day { check_in_at: Some(punch.effective_at), check_out_at: None };
            }
            PunchType::CheckIn => {}
            PunchType::CheckOut => self.check_out_at = Some(punch.effective_at),
        }
    }

    /// The status that follows from the punches; none for a day without any.
    pub const fn status(&self) -> Option<DayStatus> {
        match (self.check_in_at, self.check_out_at) {
            (Some(_), _) => Some(DayStatus::Present),
            (None, Some(_)) => Some(DayStatus::Incomplete),
            (None, None) => None,
        }
    }
}

/// The date that a punch belongs to; `latest_check_in` is the newest one that is not after it.
pub fn date_of(punch: Punch, latest_check_in: Option<Instant>, zone: &Zone) -> Date {
    let at = punch.effective_at;
    let came = match punch.kind {
        PunchType::CheckIn => None,
        PunchType::CheckOut => latest_check_in.filter(|came| at.ms_since(*came) < SHIFT_MS_MAX),
    };
    zone.day(came.unwrap_or(at))
}

/// The days that follow from one employee's punches.
pub fn days(punches: &[Punch], zone: &Zone) -> BTreeMap<Date, Day> {
    let mut punches = punches.to_vec();
    punches.sort_unstable();
    let mut days: BTreeMap<Date, Day> = BTreeMap::new();
    let mut latest_check_in: Option<Instant> = None;
    for punch in punches {
        let at = punch.effective_at;
        if punch.kind == PunchType::CheckIn {
            latest_check_in = Some(at);
        }
        days.entry(date_of(punch, latest_check_in, zone)).or_default().add(punch);
    }
    days
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    use super::*;

    fn zone() -> Zone {
        Zone::named("Asia/Shanghai").expect("compiled in")
    }

    fn at(day: i8, hour: i8, minute: i8) -> Instant {
        zone().instant(date(2024, 1, day).to_datetime(time(hour, minute, 0, 0))).expect("in range")
    }

    fn check_in(effective_at: Instant) -> Punch {
        Punch { effective_at, kind: PunchType::CheckIn }
    }

    fn check_out(effective_at: Instant) -> Punch {
        Punch { effective_at, kind: PunchType::CheckOut }
    }

    #[test]
    fn a_day_is_its_first_check_in_and_its_last_check_out() {
        let punches =
            [check_in(at(1, 8, 0)), check_out(at(1, 12, 0)), check_in(at(1, 13, 0)), check_out(at(1, 17, 30))];
        let days = days(&punches, &zone());
        assert_eq!(days[&date(2024, 1, 1)], Day { check_in_at: Some(at(1, 8, 0)), check_out_at: Some(at(1, 17, 30)) });
    }

    #[test]
    fn a_check_out_after_midnight_belongs_to_the_day_of_its_check_in() {
        let days = days(&[check_in(at(1, 22, 0)), check_out(at(2, 6, 0))], &zone());
        assert_eq!(days.len(), 1);
        assert_eq!(days[&date(2024, 1, 1)].check_out_at, Some(at(2, 6, 0)));
    }

    #[test]
    fn sixteen_hours_after_the_check_in_a_check_out_stands_alone() {
        let late = at(2, 0, 0).plus_ms(SHIFT_MS_MAX - 8 * HOUR_MS);
        assert_eq!(late.ms_since(at(1, 16, 0)), SHIFT_MS_MAX);
        let days = days(&[check_in(at(1, 16, 0)), check_out(late)], &zone());
        assert_eq!(days[&date(2024, 1, 1)].check_out_at, None);
        assert_eq!(days[&date(2024, 1, 2)].status(), Some(DayStatus::Incomplete));
        let earlier = super::days(&[check_in(at(1, 16, 0)), check_out(late.plus_ms(-1))], &zone());
        assert_eq!(earlier.len(), 1);
    }

    #[test]
    fn a_check_out_before_the_first_check_in_does_not_end_the_day() {
        let days = days(&[check_out(at(1, 3, 0)), check_in(at(1, 8, 0))], &zone());
        assert_eq!(days[&date(2024, 1, 1)], Day { check_in_at: Some(at(1, 8, 0)), check_out_at: None });
    }

    #[test]
    fn a_kiosk_cannot_punch_in_the_future_and_a_wrong_clock_is_marked() {
        let now = at(1, 8, 0);
        let ahead = punch_time(now, Some(now.plus_ms(CLOCK_SKEW_MS_MAX + 1)));
        assert_eq!(ahead, PunchTime { effective_at: now, clock_suspect: true });
        let behind = punch_time(now, Some(now.plus_ms(-CLOCK_SKEW_MS_MAX)));
        assert_eq!(behind, PunchTime { effective_at: now.plus_ms(-CLOCK_SKEW_MS_MAX), clock_suspect: false });
    }

    proptest! {
        #[test]
        fn the_order_of_delivery_changes_nothing(
            mut minutes in prop::collection::vec((0i64..6000, any::<bool>()), 0..40),
            seed in any::<u64>(),
        ) {
            let punch = |(minute, is_in): &(i64, bool)| Punch {
                effective_at: at(1, 0, 0).plus_ms(minute * MINUTE_MS),
                kind: if *is_in { PunchType::CheckIn } else { PunchType::CheckOut },
            };
            let before = days(&minutes.iter().map(punch).collect::<Vec<_>>(), &zone());
            let length = minutes.len().max(1) as u64;
            for i in 0..minutes.len() {
                minutes.swap(i, (seed.wrapping_mul(i as u64 + 1) % length) as usize);
            }
            prop_assert_eq!(before, days(&minutes.iter().map(punch).collect::<Vec<_>>(), &zone()));
        }
    }
}
