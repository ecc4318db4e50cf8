//! What a platform's bill of a day says against what the books say (`payments.md`, section 6.4).
//!
//! # Decision
//! A bill's day and ours are cut by different clocks, so a payment of the last minutes may be on the next day's bill. Each movement of ours is
//! therefore judged once, with the bill of the day that begins [`SLACK_MS`] earlier; by then the bill on which it may be instead is there.
//! The price is that a movement of the last ten minutes that no bill has is noticed a day later.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::{TimeZone, offset};

use super::money::Fen;
use super::payments::{Channel, UnknownWord, words};
use super::time::{HOUR_MS, Instant, MINUTE_MS};

/// Days, up to yesterday, whose bills are still fetched when they were missed.
pub const DAYS_BACK: i64 = 7;
/// A bill is there this long after the day is over in China: at 10:30.
const BILL_READY_MS: i64 = 10 * HOUR_MS + 30 * MINUTE_MS;
/// How far the platform's clock and ours may be apart.
pub const SLACK_MS: i64 = 10 * MINUTE_MS;
/// UnionPay's day ends an hour before that of everybody else.
const UNIONPAY_EARLY_MS: i64 = HOUR_MS;

words! {
    /// What moved money.
    Movement ("没有这种款项") {
        /// Somebody paid.
        Payment = "payment",
        /// Money was given back.
        Refund = "refund",
        /// Somebody was paid.
        Transfer = "transfer",
    }
    /// How far the comparison of a day has come.
    ReconciliationStatus ("对账状态只能是waiting、matched、different或resolved") {
        /// The bill is not here yet.
        Waiting = "waiting",
        /// Bill and books agree.
        Matched = "matched",
        /// They do not, and somebody has to look at it.
        Different = "different",
        /// They did not, and everything was looked at.
        Resolved = "resolved",
    }
    /// What kind of difference it is.
    DifferenceClass ("没有这种差异") {
        /// Both have a payment, with other amounts.
        Amount = "amount",
        /// Only the platform has a payment.
        PlatformOnly = "platform_only",
        /// Only the books have a payment.
        LocalOnly = "local_only",
        /// Any of these, of a refund.
        Refund = "refund",
        /// Any of these, of a payout.
        Transfer = "transfer",
    }
}

/// By what a movement is known to both sides.
pub type Key = (Movement, String);

/// What a bill says of one movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What moved.
    pub movement: Movement,
    /// Our number: the refund's for a refund, else the order's at the platform.
    pub number: String,
    /// The platform's own number.
    pub platform_no: String,
    /// How much, never negative.
    pub amount: Fen,
    /// What the platform kept for itself; negative when it gave a fee back.
    pub fee: Fen,
    /// How many rows of the bill say so: more than one only when the platform made it more than once.
    pub rows: i64,
}

/// What the books say of one movement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What moved.
    pub movement: Movement,
    /// As in [`Line::number`].
    pub number: String,
    /// How much.
    pub amount: Fen,
    /// When the money went, by what the platform told; none while it has not.
    pub settled_at: Option<Instant>,
}

/// Why a movement does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Both sides have it, with other amounts.
    AmountDiffers,
    /// The platform has it, and nobody here gave out its number.
    Unknown,
    /// The platform has it, and here its money has not gone yet: the platform has to be asked.
    Unsettled,
    /// Only the books have it.
    Missing,
}

/// A movement that does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// What moved.
    pub movement: Movement,
    /// As in [`Line::number`].
    pub number: String,
    /// Why it does not match.
    pub finding: Finding,
    /// The platform's own number.
    pub platform_no: Option<String>,
    /// What the platform says.
    pub platform: Option<Fen>,
    /// What the books say.
    pub local: Option<Fen>,
}

impl Discrepancy {
    /// Its class.
    pub const fn class(&self) -> DifferenceClass {
        match (self.movement, self.finding) {
            (Movement::Refund, _) => DifferenceClass::Refund,
            (Movement::Transfer, _) => DifferenceClass::Transfer,
            (Movement::Payment, Finding::AmountDiffers) => DifferenceClass::Amount,
            (Movement::Payment, Finding::Unknown | Finding::Unsettled) => DifferenceClass::PlatformOnly,
            (Movement::Payment, Finding::Missing) => DifferenceClass::LocalOnly,
        }
    }

    /// What the books count of it.
    fn settled(&self) -> Fen {
        match self.finding {
            Finding::AmountDiffers | Finding::Missing => self.local.unwrap_or_default(),
            Finding::Unknown | Finding::Unsettled => Fen::ZERO,
        }
    }
}

/// What a comparison found. In and out are seen from the merchant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Rows of the bill.
    pub rows_total: i64,
    /// Rows that match.
    pub rows_matched: i64,
    /// Payments on the bill.
    pub platform_in: Fen,
    /// Refunds and payouts on the bill.
    pub platform_out: Fen,
    /// Payments in the books that this bill has or should have.
    pub local_in: Fen,
    /// Refunds and payouts in the books that this bill has or should have.
    pub local_out: Fen,
    /// What the platform kept for itself.
    pub fee: Fen,
    /// What does not match, by movement and number.
    pub discrepancies: Vec<Discrepancy>,
}

/// The moments whose movements are judged with a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub from: Instant,
    /// The first that is not.
    pub until: Instant,
}

impl Window {
    /// That of a platform's day; none for a day beyond the calendar.
    pub fn of(channel: Channel, date: Date) -> Option<Self> {
        let early_ms = SLACK_MS
            + match channel {
                Channel::Wechat | Channel::Alipay => 0,
                Channel::Unionpay => UNIONPAY_EARLY_MS,
            };
        let start = |date: Date| midnight(date).map(|at| at.plus_ms(-early_ms));
        Some(Self { from: start(date)?, until: start(date.tomorrow().ok()?)? })
    }

    /// Whether a movement of this moment is judged here.
    pub fn judges(self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }
}

/// When a day begins in China.
fn midnight(date: Date) -> Option<Instant> {
    let start = TimeZone::fixed(offset(8)).to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    Some(Instant(start.as_millisecond()))
}

/// The day whose bill is the newest that should be there.
pub fn newest_day(now: Instant) -> Option<Date> {
    day_in_china(now.plus_ms(-BILL_READY_MS)).yesterday().ok()
}

/// The day that it is in China.
pub fn day_in_china(at: Instant) -> Date {
    let nearest = if at.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(nearest);
    offset(8).to_datetime(at).date()
}

/// Puts the lines of the same movement together, by movement and number.
pub fn gather(lines: impl IntoIterator<Item = Line>) -> BTreeMap<Key, Line> {
    let mut gathered: BTreeMap<Key, Line> = BTreeMap::new();
    for line in lines {
        match gathered.get_mut(&(line.movement, line.number.clone())) {
            Some(same) => {
                same.amount = same.amount + line.amount;
                same.fee = same.fee + line.fee;
                same.rows += line.rows;
                // Whichever came first must not matter.
                same.platform_no = std::mem::take(&mut same.platform_no).min(line.platform_no);
            }
            None => {
                gathered.insert((line.movement, line.number.clone()), line);
            }
        }
    }
    gathered
}

/// Compares a bill with the books: `facts` are those whose numbers are on it and those of the window; `elsewhere` are movements that another
/// bill of the platform has.
pub fn compare(lines: &BTreeMap<Key, Line>, facts: &[Fact], window: Window, elsewhere: &BTreeSet<Key>) -> Comparison {
    let known: BTreeMap<Key, &Fact> = facts.iter().map(|fact| ((fact.movement, fact.number.clone()), fact)).collect();
    // The bills of wallets have no payouts: one that has none says nothing of them.
    let speaks_of_transfers = lines.keys().any(|(movement, _)| *movement == Movement::Transfer);
    let mut found = Comparison::default();
    for (key, line) in lines {
        found.take_line(line, known.get(key).copied());
    }
    for (key, fact) in known {
        let is_judged = fact.settled_at.is_some_and(|at| window.judges(at))
            && (fact.movement != Movement::Transfer || speaks_of_transfers);
        if is_judged && !lines.contains_key(&key) && !elsewhere.contains(&key) {
            found.take(Discrepancy {
                movement: fact.movement,
                number: fact.number.clone(),
                finding: Finding::Missing,
                platform_no: None,
                platform: None,
                local: Some(fact.amount),
            });
        }
    }
    found.discrepancies.sort_unstable_by(|a, b| (a.movement, &a.number).cmp(&(b.movement, &b.number)));
    found
}

impl Comparison {
    fn take_line(&mut self, line: &Line, fact: Option<&Fact>) {
        self.rows_total += line.rows;
        self.fee = self.fee + line.fee;
        match line.movement {
            Movement::Payment => self.platform_in = self.platform_in + line.amount,
            Movement::Refund | Movement::Transfer => self.platform_out = self.platform_out + line.amount,
        }
        let finding = match fact {
            None => Finding::Unknown,
            Some(fact) if fact.amount != line.amount => Finding::AmountDiffers,
            Some(Fact { settled_at: None, .. }) => Finding::Unsettled,
            Some(fact) => {
                self.rows_matched += line.rows;
                return self.count(fact.movement, fact.amount);
            }
        };
        self.take(Discrepancy {
            movement: line.movement,
            number: line.number.clone(),
            finding,
            platform_no: Some(line.platform_no.clone()),
            platform: Some(line.amount),
            local: fact.map(|fact| fact.amount),
        });
    }

    fn take(&mut self, discrepancy: Discrepancy) {
        self.count(discrepancy.movement, discrepancy.settled());
        self.discrepancies.push(discrepancy);
    }

    fn count(&mut self, movement: Movement, local: Fen) {
        match movement {
            Movement::Payment => self.local_in = self.local_in + local,
            Movement::Refund | Movement::Transfer => self.local_out = self.local_out + local,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;

    fn window() -> Window {
        Window::of(Channel::Wechat, date(2026, 3, 2)).expect("in the calendar")
    }

    fn noon() -> Instant {
        window().from.plus_ms(12 * HOUR_MS)
    }

    fn line(movement: Movement, number: &str, fen: i64) -> Line {
        let (number, platform_no) = (number.to_owned(), format!("4200{number}"));
        Line { movement, number, platform_no, amount: Fen(fen), fee: Fen(fen / 100), rows: 1 }
    }

    fn fact(movement: Movement, number: &str, fen: i64, settled_at: Option<Instant>) -> Fact {
        Fact { movement, number: number.to_owned(), amount: Fen(fen), settled_at }
    }

    fn findings(
        lines: Vec<Line>,
        facts: &[Fact],
        elsewhere: &BTreeSet<Key>,
    ) -> Vec<(String, DifferenceClass, Finding)> {
        let found = compare(&gather(lines), facts, window(), elsewhere).discrepancies;
        found.into_iter().map(|found| (found.number.clone(), found.class(), found.finding)).collect()
    }

    #[test]
    fn every_kind_of_difference_has_its_class() {
        use DifferenceClass as C;
        use Finding as F;
        use Movement::{Payment, Refund, Transfer};
        let lines = vec![
            line(Payment, "P1", 100),
            line(Payment, "P2", 200),
            line(Payment, "P3", 300),
            line(Payment, "P4", 400),
            line(Refund, "R1", 50),
            line(Refund, "R2", 60),
            line(Transfer, "T1", 70),
        ];
        let facts = [
            fact(Payment, "P1", 100, Some(noon())),
            fact(Payment, "P2", 199, Some(noon())),
            fact(Payment, "P3", 300, None),
            fact(Payment, "P5", 500, Some(noon())),
            fact(Refund, "R2", 60, None),
            fact(Refund, "R3", 80, Some(noon())),
            fact(Transfer, "T2", 90, Some(noon())),
        ];
        assert_eq!(
            findings(lines.clone(), &facts, &BTreeSet::new()),
            [
                ("P2".to_owned(), C::Amount, F::AmountDiffers),
                ("P3".to_owned(), C::PlatformOnly, F::Unsettled),
                ("P4".to_owned(), C::PlatformOnly, F::Unknown),
                ("P5".to_owned(), C::LocalOnly, F::Missing),
                ("R1".to_owned(), C::Refund, F::Unknown),
                ("R2".to_owned(), C::Refund, F::Unsettled),
                ("R3".to_owned(), C::Refund, F::Missing),
                ("T1".to_owned(), C::Transfer, F::Unknown),
                ("T2".to_owned(), C::Transfer, F::Missing),
            ]
        );
        let found = compare(&gather(lines), &facts, window(), &BTreeSet::new());
        assert_eq!((found.rows_total, found.rows_matched, found.fee), (7, 1, Fen(10)));
        assert_eq!((found.platform_in, found.platform_out), (Fen(1_000), Fen(180)));
        assert_eq!((found.local_in, found.local_out), (Fen(100 + 199 + 500), Fen(80 + 90)));
    }

    #[test]
    fn a_payment_that_the_platform_made_twice_does_not_match() {
        let twice = vec![line(Movement::Payment, "P1", 100), line(Movement::Payment, "P1", 100)];
        let facts = [fact(Movement::Payment, "P1", 100, Some(noon()))];
        let found = compare(&gather(twice), &facts, window(), &BTreeSet::new());
        assert_eq!((found.rows_total, found.rows_matched), (2, 0));
        assert_eq!(found.discrepancies[0].platform, Some(Fen(200)));
    }

    #[test]
    fn a_movement_around_midnight_may_be_on_either_bill_and_is_judged_once() {
        let midnight = window().from.plus_ms(SLACK_MS);
        let before = Window::of(Channel::Wechat, date(2026, 3, 1)).expect("in the calendar");
        for (ms, is_judged) in [(-SLACK_MS - 1, false), (-SLACK_MS, true), (0, true), (DAY_MS - SLACK_MS, false)] {
            let at = midnight.plus_ms(ms);
            let facts = [fact(Movement::Payment, "P1", 100, Some(at))];
            assert_eq!(findings(Vec::new(), &facts, &BTreeSet::new()).len(), usize::from(is_judged), "{ms}");
            assert!(!(before.judges(at) && window().judges(at)), "{ms}");
            let elsewhere = BTreeSet::from([(Movement::Payment, "P1".to_owned())]);
            assert!(findings(Vec::new(), &facts, &elsewhere).is_empty());
        }
    }

    const DAY_MS: i64 = 24 * HOUR_MS;

    #[test]
    fn the_day_of_unionpay_ends_at_eleven_in_the_evening() {
        let unionpay = Window::of(Channel::Unionpay, date(2026, 3, 2)).expect("in the calendar");
        assert_eq!(unionpay.from, window().from.plus_ms(-HOUR_MS));
        assert_eq!(Window::of(Channel::Alipay, date(2026, 3, 2)), Some(window()));
        assert_eq!(midnight(date(2024, 1, 1)), Some(Instant(1_704_038_400_000)));
    }

    #[test]
    fn a_bill_is_expected_from_half_past_ten_in_china() {
        let half_past_ten = midnight(date(2026, 3, 3)).expect("in the calendar").plus_ms(BILL_READY_MS);
        assert_eq!(newest_day(half_past_ten), Some(date(2026, 3, 2)));
        assert_eq!(newest_day(half_past_ten.plus_ms(-1)), Some(date(2026, 3, 1)));
    }

    #[test]
    fn a_bill_without_payouts_says_nothing_of_them() {
        let facts = [fact(Movement::Transfer, "T1", 100, Some(noon()))];
        assert!(findings(vec![line(Movement::Payment, "P1", 1)], &facts, &BTreeSet::new()).len() == 1);
    }

    fn movement() -> impl Strategy<Value = Movement> {
        prop::sample::select(Movement::ALL.to_vec())
    }

    prop_compose! {
        fn any_line()(movement in movement(), number in 0_u8..12, fen in 0_i64..5) -> Line {
            line(movement, &number.to_string(), fen)
        }
    }

    prop_compose! {
        fn any_fact()(movement in movement(), number in 0_u8..12, fen in 0_i64..5, hours in prop::option::of(-30_i64..30)) -> Fact {
            fact(movement, &number.to_string(), fen, hours.map(|hours| noon().plus_ms(hours * HOUR_MS)))
        }
    }

    proptest! {
        #[test]
        fn every_row_ends_in_one_class_and_the_sums_add_up(
            lines in prop::collection::vec(any_line(), 0..20),
            facts in prop::collection::vec(any_fact(), 0..20),
        ) {
            let found = compare(&gather(lines.clone()), &facts, window(), &BTreeSet::new());
            prop_assert_eq!(found.rows_total, lines.len() as i64);
            let mut keys: Vec<_> = found.discrepancies.iter().map(|found| (found.class(), found.number.clone())).collect();
            keys.dedup();
            prop_assert_eq!(keys.len(), found.discrepancies.len());
            let told = |discrepancy: &Discrepancy| {
                lines.iter().filter(|line| (line.movement, &line.number) == (discrepancy.movement, &discrepancy.number)).count()
            };
            let differing: usize = found.discrepancies.iter().map(told).sum();
            prop_assert_eq!(found.rows_matched + differing as i64, found.rows_total);
            for is_in in [true, false] {
                let (platform, local) =
                    if is_in { (found.platform_in, found.local_in) } else { (found.platform_out, found.local_out) };
                let differences: Fen = found
                    .discrepancies
                    .iter()
                    .filter(|found| (found.movement == Movement::Payment) == is_in)
                    .map(|found| found.platform.unwrap_or_default() - found.settled())
                    .sum();
                prop_assert_eq!(platform - local, differences);
            }
        }

        #[test]
        fn the_order_of_rows_does_not_matter(
            (lines, shuffled) in prop::collection::vec(any_line(), 0..20)
                .prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
            facts in prop::collection::btree_map((movement(), 0_u8..12), 0_i64..5, 0..20),
        ) {
            let facts: Vec<Fact> = facts
                .into_iter()
                .map(|((movement, number), fen)| fact(movement, &number.to_string(), fen, Some(noon())))
                .collect();
            let reversed: Vec<Fact> = facts.iter().rev().cloned().collect();
            prop_assert_eq!(
                compare(&gather(lines), &facts, window(), &BTreeSet::new()),
                compare(&gather(shuffled), &reversed, window(), &BTreeSet::new())
            );
        }
    }
}
