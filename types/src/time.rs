//! Time and randomness as values: pure code receives them, it never asks for them.

use std::{fmt, ops, time::Duration};

/// A point on one host's monotonic clock, in nanoseconds since an origin of that host's own.
///
/// Shells read it from CLOCK_BOOTTIME, the simulator counts it. Two hosts' `Time` values are never compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time {
    nanoseconds: u64,
}

impl Time {
    /// The origin.
    pub const ZERO: Self = Self { nanoseconds: 0 };
    /// Later than anything that happens.
    pub const FAR_FUTURE: Self = Self { nanoseconds: u64::MAX };

    /// A point so many nanoseconds after the origin.
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self { nanoseconds }
    }

    /// A point so many milliseconds after the origin.
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self { nanoseconds: milliseconds * 1_000_000 }
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanoseconds(self) -> u64 {
        self.nanoseconds
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.nanoseconds.saturating_sub(earlier.nanoseconds))
    }
}

impl ops::Add<Duration> for Time {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        let added = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self { nanoseconds: self.nanoseconds.saturating_add(added) }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.nanoseconds / 1_000_000_000, self.nanoseconds / 1_000 % 1_000_000)
    }
}

/// Where a run's randomness comes from. Printed by every randomised test, accepted by its replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seed(pub u64);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A small seeded generator (SplitMix64, Steele, Lea and Flood 2014): same seed, same sequence, on every machine.
///
/// For jitter in machines and for choices in tests. Not for secrets.
#[derive(Debug, Clone)]
pub struct SeededRandom {
    state: u64,
}

impl SeededRandom {
    /// A generator at the start of the seed's sequence.
    pub fn new(seed: Seed) -> Self {
        Self { state: seed.0 }
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which must not be zero. The bias is below 2^-32 for bounds below 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a bound of zero leaves no number to draw");
        self.draw() % bound
    }

    /// Whether an event of `numerator` in `denominator` happens.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }

    /// An independent generator for a part of the run, so that parts do not disturb each other's sequences.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self { state: self.draw() }
    }
}
