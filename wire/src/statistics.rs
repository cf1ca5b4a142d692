//! What daemons report of themselves and what the manager makes of it (FOUNDATIONS 9).

use types::{Epoch, LogVersion, OsdId, PgId, PoolId, StoreUsage};

use crate::ScrubRecord;

/// Operations and bytes since the daemon started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// Client reads.
    pub read_ops: u64,
    /// Bytes of them.
    pub read_bytes: u64,
    /// Client writes.
    pub write_ops: u64,
    /// Bytes of them.
    pub write_bytes: u64,
    /// Objects recovered or backfilled.
    pub recovered_objects: u64,
    /// Bytes of them.
    pub recovered_bytes: u64,
}

/// What a PG's state consists of, as a set of bits; shown joined by `+` as Ceph does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PgStateFlags(pub u32);

impl PgStateFlags {
    /// Serves.
    pub const ACTIVE: Self = Self(1);
    /// All copies are whole and where they belong.
    pub const CLEAN: Self = Self(1 << 1);
    /// Agreeing on history.
    pub const PEERING: Self = Self(1 << 2);
    /// A needed past member is not there.
    pub const DOWN: Self = Self(1 << 3);
    /// No whole copy can be found.
    pub const INCOMPLETE: Self = Self(1 << 4);
    /// Some object has fewer copies than it should.
    pub const DEGRADED: Self = Self(1 << 5);
    /// The acting set is smaller than the pool's size.
    pub const UNDERSIZED: Self = Self(1 << 6);
    /// Copying by log.
    pub const RECOVERING: Self = Self(1 << 7);
    /// Waiting for a place to copy by log.
    pub const RECOVERY_WAIT: Self = Self(1 << 8);
    /// Copying by scan.
    pub const BACKFILLING: Self = Self(1 << 9);
    /// Waiting for a place to copy by scan.
    pub const BACKFILL_WAIT: Self = Self(1 << 10);
    /// The acting set is not the up set.
    pub const REMAPPED: Self = Self(1 << 11);
    /// Fewer members than `min_size`: no writes.
    pub const PEERED: Self = Self(1 << 12);
    /// Nobody reports it any more.
    pub const STALE: Self = Self(1 << 13);
    /// Was never peered.
    pub const CREATING: Self = Self(1 << 14);
    /// A target is too full.
    pub const BACKFILL_TOOFULL: Self = Self(1 << 15);
    /// Copies differ or are damaged.
    pub const INCONSISTENT: Self = Self(1 << 16);
    /// Waiting until reads by an earlier primary have ended for sure.
    pub const WAIT: Self = Self(1 << 17);
    /// The read lease ran out.
    pub const LAGGY: Self = Self(1 << 18);

    /// A scrub is under way.
    pub const SCRUBBING: Self = Self(1 << 19);
    /// It reads the data.
    pub const DEEP: Self = Self(1 << 20);
    /// It repairs what it finds.
    pub const REPAIR: Self = Self(1 << 21);

    /// Every bit with its name, in the order in which Ceph prints them.
    pub const NAMES: [(&'static str, Self); 22] = [
        ("creating", Self::CREATING),
        ("active", Self::ACTIVE),
        ("clean", Self::CLEAN),
        ("down", Self::DOWN),
        ("incomplete", Self::INCOMPLETE),
        ("peering", Self::PEERING),
        ("peered", Self::PEERED),
        ("recovery_wait", Self::RECOVERY_WAIT),
        ("recovering", Self::RECOVERING),
        ("backfill_wait", Self::BACKFILL_WAIT),
        ("backfilling", Self::BACKFILLING),
        ("backfill_toofull", Self::BACKFILL_TOOFULL),
        ("undersized", Self::UNDERSIZED),
        ("degraded", Self::DEGRADED),
        ("remapped", Self::REMAPPED),
        ("scrubbing", Self::SCRUBBING),
        ("deep", Self::DEEP),
        ("inconsistent", Self::INCONSISTENT),
        ("repair", Self::REPAIR),
        ("stale", Self::STALE),
        ("wait", Self::WAIT),
        ("laggy", Self::LAGGY),
    ];

    /// Whether all bits of `other` are set here.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set too.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the bits of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is wrong or under way but a scrub.
    pub fn is_healthy(self) -> bool {
        self.without(Self::SCRUBBING).without(Self::DEEP) == Self::ACTIVE.with(Self::CLEAN)
    }
}

impl std::fmt::Display for PgStateFlags {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut separator = "";
        for (name, flag) in Self::NAMES {
            if self.contains(flag) {
                write!(f, "{separator}{name}")?;
                separator = "+";
            }
        }
        if separator.is_empty() { f.write_str("unknown") } else { Ok(()) }
    }
}

/// A primary's report on a PG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgStatistics {
    /// Which PG.
    pub pg: PgId,
    /// Its state.
    pub state: PgStateFlags,
    /// The primary's map.
    pub epoch: Epoch,
    /// Newest log entry.
    pub last_update: LogVersion,
    /// The up set.
    pub up: Vec<OsdId>,
    /// The acting set.
    pub acting: Vec<OsdId>,
    /// Objects.
    pub objects: u64,
    /// Bytes of user data in them, one copy counted.
    pub bytes: u64,
    /// Copies that are missing, over all objects.
    pub degraded_copies: u64,
    /// Copies that are whole but not where they belong.
    pub misplaced_copies: u64,
    /// Objects of which no good copy can be found.
    pub unfound_objects: u64,
    /// Last epoch in which the PG was clean.
    pub last_epoch_clean: Epoch,
    /// Client and recovery counters since the primary started.
    pub io: IoCounters,
    /// What is known of its scrubs; `None` when it never was scrubbed and none is due yet.
    pub scrub: Option<ScrubRecord>,
}

/// An OSD's report on itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OsdStatistics {
    /// Which OSD.
    pub osd: OsdId,
    /// How full it is.
    pub usage: StoreUsage,
    /// Placement groups it holds.
    pub pgs: u32,
    /// Milliseconds that a commit took, mean over the last report interval, in thousandths.
    pub commit_latency_microseconds: u64,
    /// Client operations that have waited for more than 30 seconds.
    pub slow_ops: u32,
    /// Bytes that it brought to other members, or fetched from them as primary, since its process started.
    pub recovered_bytes: u64,
}

/// One report of one OSD to the active manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatisticsReport {
    /// The OSD itself.
    pub osd: OsdStatistics,
    /// The PGs it leads.
    pub pgs: Vec<PgStatistics>,
}

/// What the manager tells the monitors: small enough to keep in memory, with its age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterDigest {
    /// Every OSD that reported.
    pub osds: Vec<OsdStatistics>,
    /// Per pool: objects, bytes stored.
    pub pools: Vec<(PoolId, u64, u64)>,
    /// How many PGs are in which state.
    pub pg_states: Vec<(PgStateFlags, u32)>,
    /// PGs that are not active and clean, at most 1,000 of them.
    pub pgs_not_clean: Vec<PgStatistics>,
    /// Per second: client reads, their bytes, writes, their bytes, recovered objects, their bytes.
    pub rates: IoCounters,
    /// Copies missing.
    pub degraded_copies: u64,
    /// Copies misplaced.
    pub misplaced_copies: u64,
    /// Copies that should be, over all objects.
    pub copies: u64,
    /// Objects unfound.
    pub unfound_objects: u64,
    /// Objects that scrubs found inconsistent.
    pub scrub_errors: u64,
}
