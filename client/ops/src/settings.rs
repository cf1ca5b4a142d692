//! The table's bounds and delays, each with its argument.

use std::time::Duration;

/// Whether the table asserts its invariants after each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    /// After every event; for tests and the simulator.
    On,
    /// Never; for production.
    Off,
}

/// Bounds and delays of a [`crate::Table`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Operations in the table, those given up included. 1,024 keep every OSD of a large cluster busy from one
    /// client; a shell queues what is beyond.
    pub operations_max: usize,
    /// Payload bytes of the operations in the table. Four of the largest operations.
    pub bytes_max: usize,
    /// First pause after a refusal or a broken session: longer than a round trip, shorter than a human notices.
    pub pause_min: Duration,
    /// Longest pause, reached by doubling. A cluster that comes back is noticed within it.
    pub pause_max: Duration,
    /// First silence after which an operation is sent again, in case it was dropped unseen. Longer than a primary
    /// change takes (FOUNDATIONS 16: grace 4 s, then peering), so that it is rare.
    pub silence_min: Duration,
    /// Longest silence, reached by doubling, so that a slow cluster is not buried under repeats.
    pub silence_max: Duration,
    /// How long an operation waits before its caller is warned; doubles with each warning (FOUNDATIONS 21).
    pub warn_after: Duration,
    /// How long the id of a write that its caller gave up stays open when nothing proves that no copy of it is
    /// under way. Sessions are dead after 5 s (FOUNDATIONS 21); this is well beyond.
    pub abandoned_keep: Duration,
    /// Whether invariants are asserted.
    pub checks: Checks,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            operations_max: 1024,
            bytes_max: 128 << 20,
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(2),
            silence_min: Duration::from_secs(10),
            silence_max: Duration::from_secs(60),
            warn_after: Duration::from_secs(30),
            abandoned_keep: Duration::from_secs(60),
            checks: Checks::Off,
        }
    }
}

/// `first` doubled `times` times, at most `longest`.
pub(crate) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1u32.checked_shl(times.min(30)).unwrap_or(u32::MAX)).min(longest)
}
