//! A host's own monotonic clock, as a function of the simulation's time.
//!
//! Hosts start at different origins and run at slightly different rates, so a machine that compares times of two
//! hosts, or trusts a lease without margin, fails in simulation as it would in a machine room.

use std::time::Duration;

use types::Time;

/// Millionths per unit; the rate of a clock without drift.
const MILLION: u128 = 1_000_000;

/// How one host's clock relates to the simulation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostClock {
    origin: Duration,
    /// Nanoseconds that the host counts in a million of the simulation's.
    rate: u128,
}

impl HostClock {
    /// A clock that shows `origin` when the simulation begins and gains `drift_ppm` microseconds per second (loses,
    /// when negative). Drift stays within ten percent: beyond it no lease could hold.
    pub fn new(origin: Duration, drift_ppm: i32) -> Self {
        assert!(drift_ppm.unsigned_abs() <= 100_000, "a drift of {drift_ppm} ppm is more than ten percent");
        let drift = u128::from(drift_ppm.unsigned_abs());
        Self { origin, rate: if drift_ppm < 0 { MILLION - drift } else { MILLION + drift } }
    }

    /// What this host's clock shows at the simulation's time `global`.
    pub fn local(&self, global: Time) -> Time {
        let counted = u128::from(global.as_nanoseconds()) * self.rate / MILLION;
        from_wide(self.origin.as_nanos() + counted)
    }

    /// The earliest simulation time at which this host's clock shows `local` or later: when its deadline is due.
    pub fn global(&self, local: Time) -> Time {
        if local == Time::FAR_FUTURE {
            return Time::FAR_FUTURE;
        }
        let counted = u128::from(local.as_nanoseconds()).saturating_sub(self.origin.as_nanos());
        from_wide((counted * MILLION).div_ceil(self.rate))
    }
}

impl Default for HostClock {
    fn default() -> Self {
        Self::new(Duration::ZERO, 0)
    }
}

fn from_wide(nanoseconds: u128) -> Time {
    u64::try_from(nanoseconds).map_or(Time::FAR_FUTURE, Time::from_nanoseconds)
}

#[cfg(test)]
mod tests {
    use types::{Seed, SeededRandom};

    use super::*;

    #[test]
    fn a_deadline_is_due_at_the_first_instant_that_shows_it() {
        let mut random = SeededRandom::new(Seed(1));
        for _ in 0..10_000 {
            let drift = i32::try_from(random.below(200_001)).unwrap() - 100_000;
            let clock = HostClock::new(Duration::from_nanos(random.below(1 << 50)), drift);
            let local = clock.local(Time::ZERO) + Duration::from_nanos(1 + random.below(1 << 50));
            let due = clock.global(local);
            assert!(clock.local(due) >= local, "{clock:?} {local}");
            let before = Time::from_nanoseconds(due.as_nanoseconds() - 1);
            assert!(clock.local(before) < local, "{clock:?} {local}");
        }
    }

    #[test]
    fn the_far_future_stays_far() {
        assert_eq!(HostClock::new(Duration::from_secs(5), 300).global(Time::FAR_FUTURE), Time::FAR_FUTURE);
    }
}
