//! Making copies: what a member's log says it lacks, and whole copies by scanning.
//!
//! Owns: which objects are on their way between members, and how far. Does not know: clients; it only knows which objects
//! somebody waits for.
//!
//! ```text
//! missing on the primary:  Pull -> Push, one part each, from any member that has the version; then the object is there
//! missing on a member:     Push -> Pushed, part by part, from the primary
//! an earlier version there: PushChanges instead of Push, only the bytes that the log says have changed since
//! behind a target's cursor: both sides list a page of versions; what differs is pushed, what is too much is removed
//! ```
//! Invariants
//! 1. An object on its way to a member is not written until it has arrived.
//! 2. Parts gather beside the object; its place changes once, with the last part, together with the missing set.
//! 3. `passed` of a backfill never goes back: before it the target is equal, or the object is on its way.
//! 4. A target's stored cursor is never past an object that is on its way.

mod backfill;
mod difference;
mod pull;
mod push;
mod receive;
mod reserve;
mod scan;
mod schedule;

use std::collections::{BTreeMap, BTreeSet};

use types::{Cursor, LogVersion, ObjectId, OsdId, StoreOp, Time, Transaction};
use wire::PushSource;

use crate::{Action, pg::Pg, turn::Turn};

pub use backfill::Backfill;
pub use difference::{Difference, PlannedPart};
pub use receive::Arrival;
pub use reserve::{Given, Reservation};
pub use scan::ScanOwner;

/// The generation under which parts of an object gather. No erasure-coded shard ever has that many rollback copies.
pub const TEMPORARY_GENERATION: u64 = types::GENERATION_NONE - 1;

/// How far an object has come: bytes, then omap keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// Bytes before it.
    pub data_offset: u64,
    /// The last omap key before it; empty at the beginning.
    pub omap_after: Vec<u8>,
}

/// An object on its way to the primary.
#[derive(Debug, Clone)]
pub struct Pull {
    /// From whom.
    pub from: OsdId,
    /// Which version.
    pub version: LogVersion,
    /// The version here that changes may build upon; `None` once the object is fetched whole.
    pub have: Option<LogVersion>,
    /// What has been asked for.
    pub position: Position,
    /// When.
    pub asked_at: Time,
}

/// An object on its way from the primary to a member.
#[derive(Debug, Clone)]
pub struct Push {
    /// Why.
    pub source: PushSource,
    /// Whether the member shall remove it.
    pub removes: Option<LogVersion>,
    /// What the member gets instead of the whole object, when it has something to build upon.
    pub difference: Option<Difference>,
    /// The part that was sent last, or is being read.
    pub position: Position,
    /// The part that the store is being asked for, if it is.
    pub loading: Option<Position>,
    /// When it was sent.
    pub sent_at: Time,
}

/// An object that is being received here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receiving {
    /// Which version.
    pub version: LogVersion,
    /// What is here.
    pub position: Position,
}

/// Somebody asks for a part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// Who.
    pub to: OsdId,
    /// Which object.
    pub object: ObjectId,
    /// Which version.
    pub version: LogVersion,
    /// From where on.
    pub position: Position,
    /// What is given instead of the whole object.
    pub changes: Option<PlannedPart>,
}

/// All of it, for one interval.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Objects that a client waits for.
    pub wanted: BTreeSet<ObjectId>,
    /// To the primary.
    pub pulls: BTreeMap<ObjectId, Pull>,
    /// From the primary.
    pub pushes: BTreeMap<(ObjectId, OsdId), Push>,
    /// Gathering here.
    pub receiving: BTreeMap<ObjectId, Receiving>,
    /// Who was asked for an object and has not got it.
    pub failed_sources: BTreeMap<ObjectId, BTreeSet<OsdId>>,
    /// Parts that a life of the process before this one gathered.
    pub forgotten_parts: Vec<(LogVersion, ObjectId)>,
    /// As primary: places for this work.
    pub reservation: Reservation,
    /// As a member: a place for the primary's work.
    pub given: Given,
    /// As primary: scans, by target.
    pub backfills: BTreeMap<OsdId, Backfill>,
    /// Objects listed in scans whose versions are being read.
    pub listed: BTreeMap<ScanOwner, (Vec<ObjectId>, Cursor)>,
}

/// Where the parts of an object gather.
pub fn temporary_of(object: &ObjectId) -> ObjectId {
    ObjectId { generation: TEMPORARY_GENERATION, ..object.clone() }
}

impl Pg {
    /// The interval ended: what was on its way is dropped, with what of it lies in the store.
    pub(crate) fn abandon_recovery(&mut self, transaction: &mut Transaction, turn: &mut Turn<'_>) {
        let old = std::mem::take(&mut self.recovery);
        let receiving = old.receiving.into_iter().map(|(object, part)| (part.version, object));
        for (version, object) in old.forgotten_parts.into_iter().chain(receiving) {
            transaction.push(StoreOp::Remove { object: temporary_of(&object) });
            self.changes.remove_temporary(version);
        }
        if old.reservation.holds_place() || old.given.holds_place() {
            turn.act(Action::ReleaseLocalReservation);
        }
    }
}
