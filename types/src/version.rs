//! Epochs of the cluster map and versions in a placement group's log.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a published cluster map. Zero means "before the first map".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);

impl Epoch {
    /// Before the first map.
    pub const ZERO: Self = Self(0);

    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The epoch before this one; zero stays zero.
    #[must_use]
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Position in a placement group's log. Ceph calls it `eversion_t`.
///
/// `epoch` is the map epoch in which the primary wrote the entry, `number` counts entries of the PG and never
/// goes back within one epoch. The derived order (epoch first) is the order of history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogVersion {
    /// Map epoch of the primary when it wrote the entry.
    pub epoch: Epoch,
    /// Count of entries in this PG.
    pub number: u64,
}

impl LogVersion {
    /// Before the first entry.
    pub const ZERO: Self = Self { epoch: Epoch::ZERO, number: 0 };

    /// A version from its two parts.
    pub fn new(epoch: Epoch, number: u64) -> Self {
        Self { epoch, number }
    }

    /// The first version a primary in `epoch` gives after this one.
    #[must_use]
    pub fn next_in(self, epoch: Epoch) -> Self {
        Self { epoch, number: self.number + 1 }
    }
}

impl fmt::Display for LogVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}'{}", self.epoch, self.number)
    }
}
