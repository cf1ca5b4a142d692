//! One operation in the table.

use std::sync::Arc;

use types::{Epoch, ObjectName, OsdId, PoolId, Time};
use wire::SubOp;

use crate::{Submission, Target, target::Interval};

/// Operations that must take effect in the order submitted: all of one object; a listing stands alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// The fingerprint of the name stands before it because names that begin alike are slow to compare; measured,
    /// comparing them was 40 % of a client's time.
    Object {
        pool: PoolId,
        fingerprint: u64,
        name: ObjectName,
    },
    Alone(u64),
}

impl Lane {
    pub fn of(pool: PoolId, target: &Target, sequence: u64) -> Self {
        match target {
            Target::Object(name) => Self::Object { pool, fingerprint: fingerprint(&name.name), name: name.clone() },
            Target::Pg(_) => Self::Alone(sequence),
        }
    }
}

/// FNV-1a (Fowler, Noll, Vo) in 64 bits.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Where an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It shall be sent: not before this time, not before the map has this epoch, and when there is a primary.
    Waiting { not_before: Time, wants: Epoch },
    /// It is on its way to this OSD, chosen by the map of this epoch.
    Sent { to: OsdId, epoch: Epoch, at: Time },
    /// Its caller gave up. It is never sent again; its id stays open until then at most.
    Abandoned { until: Time },
}

/// One operation that is open.
#[derive(Debug)]
pub(crate) struct Operation {
    pub lane: Arc<Lane>,
    pub submission: Submission,
    pub is_write: bool,
    /// Payload bytes, as counted against the bound.
    pub bytes: usize,
    pub submitted: Time,
    pub stage: Stage,
    /// The interval it was last sent in; `None` when it never was.
    pub interval: Option<Arc<Interval>>,
    /// How often it was sent in a row without an answer of any kind.
    pub silences: u32,
    /// How often it was refused in a row.
    pub refusals: u32,
    pub warnings: u32,
    pub warn_at: Time,
    /// When the table looks at it again; its entry in the table's index.
    pub wake: Time,
}

impl Operation {
    pub fn is_abandoned(&self) -> bool {
        matches!(self.stage, Stage::Abandoned { .. })
    }

    /// Whether a copy of it may exist outside.
    pub fn was_sent(&self) -> bool {
        self.interval.is_some()
    }

    pub fn writes(ops: &[SubOp]) -> bool {
        ops.iter().any(SubOp::is_write)
    }
}
