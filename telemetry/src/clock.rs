//! The two clocks of a host, for shells. Machines get their values in events and never ask.
//!
//! Durations, leases and deadlines are on CLOCK_BOOTTIME: it goes on while the machine sleeps, so a lease does not
//! outlive a suspended host, and nobody can set it. The wall clock is for humans and for times that outlive the host.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use types::Time;

/// The longest wait that [`instant_of`] hands to a timer. A loop asks again after it; the cost is one wake-up.
pub const WAIT_MAX: Duration = Duration::from_secs(3600);

/// The host's monotonic time since boot, suspended time included.
pub fn boot_clock_now() -> Time {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has had CLOCK_BOOTTIME since 2.6.39");
    let since_boot = Duration::from(now);
    Time::from_nanoseconds(u64::try_from(since_boot.as_nanos()).unwrap_or(u64::MAX))
}

/// The host's idea of the time of day. It may jump, also backwards; never subtract two of them for a lease.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn wall_clock_now() -> SystemTime {
    SystemTime::now()
}

/// The wall clock in milliseconds since 1970; zero on a host that believes it is earlier.
pub fn wall_clock_milliseconds() -> u64 {
    let since = wall_clock_now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// When a timer has to ring for a machine's `deadline`: for `tokio::time::sleep_until` (through `from_std`).
///
/// A deadline that has passed is now; one further away than [`WAIT_MAX`] is `WAIT_MAX` from now.
#[expect(clippy::disallowed_methods, reason = "timers of the standard library and of tokio are set on Instant")]
pub fn instant_of(deadline: Time) -> Instant {
    Instant::now() + deadline.since(boot_clock_now()).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_counts_up() {
        let first = boot_clock_now();
        assert!(first > Time::ZERO);
        assert!(boot_clock_now() >= first);
    }

    #[test]
    fn the_wall_clock_is_after_2020() {
        assert!(wall_clock_milliseconds() > 1_577_836_800_000);
    }

    #[test]
    fn timers_ring_now_for_the_past_and_within_bounds_for_the_far_future() {
        let before = instant_of(Time::ZERO);
        let far = instant_of(Time::FAR_FUTURE);
        let wait = far - before;
        assert!(wait >= WAIT_MAX && wait < WAIT_MAX + Duration::from_secs(60), "{wait:?}");
    }
}
