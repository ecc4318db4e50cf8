//! Choices for fault tests: random, yet the same again from the same seed.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// A sequence of choices that says its seed when the test that uses it fails.
pub struct Seed {
    variable: &'static str,
    seed: u64,
    state: u64,
}

impl Seed {
    /// The seed in this environment variable, or a new one.
    pub fn from_env(variable: &'static str) -> Self {
        let given = std::env::var(variable).ok().map(|seed| seed.parse().unwrap());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        Self::new(variable, given.unwrap_or_else(now))
    }

    /// The sequence of this seed.
    pub fn of(variable: &'static str, seed: u64) -> Self {
        Self::new(variable, seed)
    }

    fn new(variable: &'static str, seed: u64) -> Self {
        Self { variable, seed, state: seed }
    }

    /// The next number under the bound (SplitMix64).
    pub fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test fails already, whether or not this can be said.
            drop(writeln!(std::io::stderr(), "to repeat: {}={}", self.variable, self.seed));
        }
    }
}

/// How many rounds this environment variable asks for.
pub fn rounds(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |rounds| rounds.parse().unwrap())
}

#[test]
fn a_seed_gives_the_same_choices_again() {
    let choices = |seed| {
        let mut seed = Seed::new("CANSHI_FAULT_SEED", seed);
        (0..100).map(|_| (seed.below(1000), *seed.pick(&["site", "relay", "line"]))).collect::<Vec<_>>()
    };
    assert_eq!(choices(7), choices(7));
    assert_ne!(choices(7), choices(8));
    for one_of in ["site", "relay", "line"] {
        assert!(choices(7).iter().any(|(_, picked)| *picked == one_of), "{one_of} is never picked");
    }
}
