//! What a placement group's members keep and compare: info, log, missing objects, history.
//!
//! These values are persisted in the omap of the PG's metadata object and are sent in peering, in the same bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{Cursor, Epoch, Extent, LogVersion, ObjectId, OsdId, PgId, RequestId, SnapshotId};

use crate::{AllocationHint, OpFailure, SnapshotContext, Watcher};

/// What an object's copies have in common beyond bytes, attributes and omap. Kept in a reserved attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// The log entry that made this content.
    pub version: LogVersion,
    /// The object's version as users see it.
    pub user_version: u64,
    /// The client's wall clock at the last write, milliseconds since 1970.
    pub modified_ms: u64,
    /// Bytes from zero to the end; must equal what the store says.
    pub size: u64,
    /// Of a clone: its own number, and the snapshots that it preserves, newest first. Of a live object: the newest snapshot
    /// that its writers knew of, and no list.
    pub snapshot_context: SnapshotContext,
    /// How its users said that it is going to be used.
    pub allocation_hint: Option<AllocationHint>,
    /// Who watches the object, by client and cookie; at most `WATCHERS_PER_OBJECT_MAX`.
    pub watchers: Vec<Watcher>,
    /// What it is known to share with the clone before it.
    pub overlap: Option<Overlap>,
    /// Of a clone: the log entry that made it. Its later entries only take snapshots from its list.
    pub cloned_at: Option<LogVersion>,
}

/// Bytes that an object has in common with an older clone of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// Which clone. When that has been trimmed, nothing is known.
    pub clone: SnapshotId,
    /// Which bytes, in order, at most `OVERLAP_EXTENTS_MAX`; what is not listed may be equal all the same.
    pub extents: Vec<Extent>,
}

/// What a log entry did to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEntryKind {
    /// The object has new content.
    Modify,
    /// The object is gone.
    Delete,
    /// Nothing happened to any object: a failed write whose answer must be remembered.
    Failed,
}

/// One entry of a PG's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// What happened.
    pub kind: LogEntryKind,
    /// To which object.
    pub object: ObjectId,
    /// This entry.
    pub version: LogVersion,
    /// The entry that made the object's content before; zero when it did not exist.
    pub prior_version: LogVersion,
    /// The object's version as users see it, after this entry.
    pub user_version: u64,
    /// Who asked for it; the PG's memory against doing it twice.
    pub request: Option<RequestId>,
    /// For `Failed`: the answer.
    pub failure: Option<OpFailure>,
    /// The client's wall clock, milliseconds since 1970.
    pub modified_ms: u64,
    /// Which bytes changed, for partial recovery; `None` when unknown or all.
    pub changed: Option<Vec<Extent>>,
    /// What rolls the entry back on an erasure-coded shard; empty in replicated pools.
    pub rollback: Bytes,
    /// What class methods that may write answered, by step: a repeat of the request gets it again.
    pub outputs: Vec<(u32, Bytes)>,
}

/// An answer that outlives the trimming of its log entry (FOUNDATIONS 12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestOutcome {
    /// Who asked.
    pub request: RequestId,
    /// The entry that it became.
    pub version: LogVersion,
    /// The object's version as users see it.
    pub user_version: u64,
    /// For a failed write: the answer.
    pub failure: Option<OpFailure>,
    /// As [`LogEntry::outputs`].
    pub outputs: Vec<(u32, Bytes)>,
}

/// What all members of a PG agree on about its past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PgHistory {
    /// Epoch in which the PG was made.
    pub epoch_created: Epoch,
    /// Last epoch in which the PG became active on all its acting set.
    pub last_epoch_started: Epoch,
    /// First epoch of the interval in which that was.
    pub last_interval_started: Epoch,
    /// Last epoch in which the PG was clean.
    pub last_epoch_clean: Epoch,
    /// First epoch of the interval in which that was.
    pub last_interval_clean: Epoch,
    /// First epoch of the present interval.
    pub same_interval_since: Epoch,
    /// First epoch since which the up set is the same.
    pub same_up_since: Epoch,
    /// First epoch since which the primary is the same.
    pub same_primary_since: Epoch,
}

/// One member's account of a PG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgInfo {
    /// Which PG.
    pub pg: PgId,
    /// Newest entry in its log.
    pub last_update: LogVersion,
    /// Every object is as the log says up to here.
    pub last_complete: LogVersion,
    /// Entries up to here (inclusive) have been trimmed.
    pub log_tail: LogVersion,
    /// Highest user version given.
    pub last_user_version: u64,
    /// Objects before this are as the log says, those behind it may be missing altogether. `End`: the copy is whole.
    pub backfill: Cursor,
    /// Last epoch in which this member was activated.
    pub last_epoch_started: Epoch,
    /// First epoch of the interval in which that was.
    pub last_interval_started: Epoch,
    /// Objects and bytes, as this member counts them.
    pub objects: u64,
    /// Bytes of user data.
    pub bytes: u64,
    /// The common past.
    pub history: PgHistory,
}

impl PgInfo {
    /// The account of a member that has nothing.
    pub fn empty(pg: PgId) -> Self {
        Self {
            pg,
            last_update: LogVersion::ZERO,
            last_complete: LogVersion::ZERO,
            log_tail: LogVersion::ZERO,
            last_user_version: 0,
            backfill: Cursor::End,
            last_epoch_started: Epoch::ZERO,
            last_interval_started: Epoch::ZERO,
            objects: 0,
            bytes: 0,
            history: PgHistory::default(),
        }
    }

    /// Whether the member has, or can have by its log, every object.
    pub fn is_whole(&self) -> bool {
        self.backfill == Cursor::End
    }
}

/// An interval of the past: a range of epochs in which the PG's sets did not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastInterval {
    /// First epoch.
    pub first: Epoch,
    /// Last epoch.
    pub last: Epoch,
    /// The up set; holes in erasure-coded pools are `None`.
    pub up: Vec<Option<OsdId>>,
    /// The acting set.
    pub acting: Vec<Option<OsdId>>,
    /// Who led.
    pub primary: Option<OsdId>,
    /// Whether writes may have been accepted: enough members, and the primary's `up_thru` proves it could serve.
    pub maybe_wrote: bool,
}

/// An object that a member should have and has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingObject {
    /// The version it should have.
    pub need: LogVersion,
    /// The version it has; `None` when it has none.
    pub have: Option<LogVersion>,
    /// Whether what it should have is the object's absence.
    pub deleted: bool,
}

/// Objects that a member should have and has not.
pub type MissingSet = BTreeMap<ObjectId, MissingObject>;
