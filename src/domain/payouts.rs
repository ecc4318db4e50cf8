//! Paying out without ever paying twice: what a platform is told or asked next about a payout (`payments.md`, sections 2.8, 3.5
//! and 6.3).
//!
//! # Decision
//! The first request, and every repeat of it, carries the same number and the same words for as long as the payout lives. A
//! platform carries out a number once; so nothing that is lost on the way, and no error that we do not understand, can pay twice,
//! while a new number could. A payout gets another number only as another payout, which a person asks for and another approves
//! after the platform has said that the first one failed. The price is that a payout whose request a platform will never take stays
//! open until a person looks at it; they are told after [`ALARM_MS`].

use super::money::Fen;
use super::payments::OrderStatus;
use super::time::{DAY_MS, HOUR_MS, Instant, MINUTE_MS};

/// After so long a request that was lost on its way can't arrive any more: several times the ten seconds that a call may take.
pub const IN_FLIGHT_MS: i64 = 60_000;
/// After so long without an end a person is told. The platforms answer questions about 30 days.
pub const ALARM_MS: i64 = 3 * DAY_MS;

/// What is known of the talk with the platform about a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Talk {
    /// When the platform was last told to pay; none when it never was.
    pub told_at: Option<Instant>,
    /// When it last said that it knows nothing of the payout.
    pub missing_at: Option<Instant>,
    /// Whether it said that the last request will never do.
    pub refused: bool,
}

/// What to say to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Pay: the first time, or word for word the same again.
    Pay,
    /// How does it stand?
    Ask,
    /// Take it back.
    TakeBack,
}

/// What to say next about a payout; nothing when the platform has no more to do with it, or not yet. `tries` counts what was said
/// since the payout last changed.
pub fn next_step(status: OrderStatus, talk: Talk, tries: u32) -> Option<Step> {
    match status {
        OrderStatus::Queued => match talk.told_at {
            None => Some(Step::Pay),
            Some(_) if !talk.refused && is_unknown(talk) => Some(Step::Pay),
            Some(_) => Some(Step::Ask),
        },
        OrderStatus::Processing | OrderStatus::WaitConfirm => Some(Step::Ask),
        // Told and asked in turns: the request to take it back may itself be lost.
        OrderStatus::Cancelling => Some(if tries.is_multiple_of(2) { Step::TakeBack } else { Step::Ask }),
        OrderStatus::AwaitingApproval
        | OrderStatus::Paid
        | OrderStatus::Failed
        | OrderStatus::Cancelled
        | OrderStatus::Returned
        | OrderStatus::Pending
        | OrderStatus::Closing
        | OrderStatus::Closed => None,
    }
}

/// Whether the platform said that it does not know the payout, so long after the last request that none can still arrive.
pub const fn is_unknown(talk: Talk) -> bool {
    match (talk.told_at, talk.missing_at) {
        (Some(told_at), Some(missing_at)) => missing_at.ms_since(told_at) >= IN_FLIGHT_MS,
        _ => false,
    }
}

/// How long to wait before the next word about a payout that the platform was told of so long ago: ever longer, since most are
/// decided within seconds and the rest wait for a person.
pub fn wait_ms(age_ms: i64) -> i64 {
    if age_ms >= ALARM_MS { HOUR_MS } else { (age_ms / 4).clamp(3_000, 10 * MINUTE_MS) }
}

/// Whether a payout of this amount takes a second person; a limit of zero is every payout.
pub fn takes_approval(amount: Fen, limit: Fen) -> bool {
    amount > limit
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: Instant = Instant(1_000_000);

    fn talk(missing_after_ms: Option<i64>) -> Talk {
        Talk { told_at: Some(TOLD), missing_at: missing_after_ms.map(|ms| TOLD.plus_ms(ms)), refused: false }
    }

    #[test]
    fn after_a_lost_answer_the_platform_is_asked_and_told_again_only_when_it_surely_knows_nothing() {
        use OrderStatus::Queued;
        assert_eq!(next_step(Queued, Talk::default(), 0), Some(Step::Pay));
        assert_eq!(next_step(Queued, talk(None), 1), Some(Step::Ask));
        // An answer of before the last request says nothing about it.
        for missing_after_ms in [-120_000, 0, 5_000, IN_FLIGHT_MS - 1] {
            assert_eq!(next_step(Queued, talk(Some(missing_after_ms)), 2), Some(Step::Ask), "{missing_after_ms}");
        }
        assert_eq!(next_step(Queued, talk(Some(IN_FLIGHT_MS)), 2), Some(Step::Pay));
        // What will never do is not said again.
        let refused = Talk { refused: true, ..talk(Some(IN_FLIGHT_MS)) };
        assert_eq!(next_step(Queued, refused, 2), Some(Step::Ask));
    }

    #[test]
    fn what_the_platform_has_is_never_told_again() {
        for status in [OrderStatus::Processing, OrderStatus::WaitConfirm] {
            for missing in [None, Some(IN_FLIGHT_MS)] {
                assert_eq!(next_step(status, talk(missing), 7), Some(Step::Ask));
            }
        }
        let steps = [0, 1, 2].map(|tries| next_step(OrderStatus::Cancelling, talk(None), tries));
        assert_eq!(steps, [Some(Step::TakeBack), Some(Step::Ask), Some(Step::TakeBack)]);
    }

    #[test]
    fn nothing_is_said_before_approval_or_after_the_end() {
        for status in OrderStatus::ALL {
            let open = status.is_open_payout() && *status != OrderStatus::AwaitingApproval;
            assert_eq!(next_step(*status, Talk::default(), 0).is_some(), open, "{status:?}");
        }
    }

    #[test]
    fn the_wait_grows_with_the_age() {
        assert_eq!([0, 60_000, 24 * HOUR_MS, ALARM_MS].map(wait_ms), [3_000, 15_000, 10 * MINUTE_MS, HOUR_MS]);
    }

    #[test]
    fn a_limit_of_zero_is_every_payout() {
        assert!(takes_approval(Fen(1), Fen::ZERO));
        assert!(!takes_approval(Fen(100_000), Fen(100_000)) && takes_approval(Fen(100_001), Fen(100_000)));
    }
}
