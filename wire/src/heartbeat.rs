//! How OSDs watch each other.

use std::time::Duration;

use types::Epoch;

/// Are you there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// The sender's map.
    pub epoch: Epoch,
    /// The sender's clock, echoed.
    pub sent_nanoseconds: u64,
}

/// I am here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pong {
    /// The sender's map.
    pub epoch: Epoch,
    /// The echo.
    pub sent_nanoseconds: u64,
    /// How long ago the slowest shard last made progress: beyond the grace the OSD counts as missing (FOUNDATIONS 16).
    pub progress_age: Duration,
}
