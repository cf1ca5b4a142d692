//! What the primary knows of another member.

use std::collections::BTreeMap;

use types::{LogVersion, OsdId, Time};
use wire::{Fullness, MissingSet, PgInfo};

/// A member, or a stray, that has answered in this interval.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its account.
    pub info: PgInfo,
    /// When what it granted to earlier primaries has ended, on this OSD's clock.
    pub earlier_grants_end: Time,
    /// What it is missing; known since it was activated.
    pub missing: MissingSet,
    /// Whether it serves in this interval.
    pub activated: bool,
    /// Everything up to here is on its disk.
    pub committed: LogVersion,
    /// Until when it lets this primary serve reads.
    pub granted_until: Time,
    /// When it was last sent something that it must answer.
    pub asked_at: Time,
    /// How full its device is, as it last said.
    pub fullness: Fullness,
}

impl Peer {
    /// From its first answer.
    pub fn new(info: PgInfo, earlier_grants_end: Time, now: Time) -> Self {
        Self {
            committed: LogVersion::ZERO,
            info,
            earlier_grants_end,
            missing: MissingSet::new(),
            activated: false,
            granted_until: Time::ZERO,
            asked_at: now,
            fullness: Fullness::Room,
        }
    }
}

/// Everyone who has answered.
pub type Peers = BTreeMap<OsdId, Peer>;
