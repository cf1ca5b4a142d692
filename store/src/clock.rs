//! The time, for pacing and for measuring. Nothing that is stored depends on it.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since some fixed moment; never goes back.
pub(crate) fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every kernel that runs this has a monotonic clock").into()
}
