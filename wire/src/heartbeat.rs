//! How OSDs watch each other.

use std::time::Duration;

use types::Epoch;

/// Which network stack a process lives in: the kernel's boot and the network namespace, digested. Two processes with the
/// same one see the same listening sockets, with no wire, firewall or proxy between them; zero is unknown and equals
/// nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkStack(pub u64);

impl NetworkStack {
    /// Whether both are known and the same.
    pub fn is_same_as(self, other: Self) -> bool {
        self.0 != 0 && self == other
    }
}

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
    /// Where the sender lives: whoever shares it can tell its death from a broken network (FOUNDATIONS 11).
    pub network_stack: NetworkStack,
}
