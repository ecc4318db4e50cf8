//! Chance that comes out the same every time.

/// A generator for believable variety, not for secrets (splitmix64).
pub struct Chance(u64);

impl Chance {
    /// Begins a series of its own.
    pub fn new(series: u64) -> Self {
        Self(series)
    }

    /// A number from `least` to `most`, both included.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        least + (mixed % (most - least + 1).unsigned_abs()) as i64
    }
}
