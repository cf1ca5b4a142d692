//! What members of a placement group say to each other.
//!
//! Every message carries the sender's map epoch and the first epoch of the interval it belongs to; a member drops
//! what belongs to an older interval than its own, and waits with what is of a newer map than its own. Each may
//! arrive twice or late: receivers decide by versions, never by count.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use types::{Cursor, Epoch, Extent, LogVersion, ObjectId, PgId, Transaction, XattrMap};

use crate::{
    LogEntry, MissingSet, ObjectDigest, ObjectInfo, PastInterval, PgInfo, RequestOutcome, ScrubDepth, ScrubRecord,
};

/// A message between two members of one PG.
#[derive(Debug, Clone, PartialEq)]
pub struct PgMessage {
    /// Which PG.
    pub pg: PgId,
    /// The sender's map.
    pub epoch: Epoch,
    /// First epoch of the interval the sender speaks for.
    pub interval: Epoch,
    /// What is said.
    pub body: PgBody,
}

/// A part of a log: entries newer than `tail`, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct PgLogSlice {
    /// The version before the first entry.
    pub tail: LogVersion,
    /// Entries in order.
    pub entries: Vec<LogEntry>,
    /// Answers to remember that have no entry here.
    pub requests: Vec<RequestOutcome>,
}

/// A primary's order to begin to serve an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivatePg {
    /// The authoritative account.
    pub info: PgInfo,
    /// The authoritative log from a version that both sides have, or whole for a backfill target.
    pub log: PgLogSlice,
    /// The intervals that still matter.
    pub past_intervals: Vec<PastInterval>,
    /// Whether the receiver's copy is filled by scanning, and from where; otherwise by its log.
    pub backfill: Option<Cursor>,
}

/// One write on its way to a member.
#[derive(Debug, Clone, PartialEq)]
pub struct Replicate {
    /// Its version: that of the last of `entries`.
    pub version: LogVersion,
    /// The version just before: a receiver that is not there yet waits or asks.
    pub previous: LogVersion,
    /// The new log entries.
    pub entries: Vec<LogEntry>,
    /// The change to the object. Empty for a backfill target whose cursor has not passed the object.
    pub transaction: Transaction,
    /// Log entries up to here may be trimmed.
    pub trim_to: LogVersion,
    /// Everything up to here is committed on all members.
    pub committed_to: LogVersion,
    /// The client has the answers of its requests below this (request's client is in the entry).
    pub lowest_open: u64,
    /// Objects in the PG after this write, so that whoever leads next knows without counting.
    pub objects: u64,
    /// Bytes of user data in them.
    pub bytes: u64,
}

/// How full an OSD is, by the map's ratios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Fullness {
    /// Room.
    #[default]
    Room,
    /// Takes no backfill.
    BackfillFull,
    /// Takes no writes but removals.
    Full,
}

/// Which copy a push brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushSource {
    /// Asked for, or given, because the receiver's log says that it is missing.
    Recovery,
    /// Brought by the scan.
    Backfill,
}

/// A part of an object on its way to a member that lacks it.
///
/// Data comes in offset order, omap in key order; the receiver gathers the parts beside the object and puts them in
/// its place when the last has come.
#[derive(Debug, Clone, PartialEq)]
pub struct PushChunk {
    /// Which object.
    pub object: ObjectId,
    /// Its version.
    pub version: LogVersion,
    /// Why it is sent.
    pub source: PushSource,
    /// `None`: the object does not exist at this version.
    pub info: Option<ObjectInfo>,
    /// Position of this part: bytes before it. The first part has zero and carries the attributes.
    pub data_offset: u64,
    /// Bytes.
    pub data: Bytes,
    /// Attributes; in the first part only.
    pub xattrs: XattrMap,
    /// Omap header; in the first part only.
    pub omap_header: Bytes,
    /// The key after which this part's entries begin; empty at the beginning.
    pub omap_after: Vec<u8>,
    /// Omap entries.
    pub omap: BTreeMap<Vec<u8>, Bytes>,
    /// Whether it is the last part.
    pub last: bool,
}

/// What changed of an object since a version that the receiver has, on its way to it.
///
/// The part's data are the bytes of `extents`, one behind the other; what lies between is as it was in `base`. Its
/// position is counted as in a whole object, so that parts follow each other in the same way; omap is as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedPart {
    /// The version that the receiver must have to build upon.
    pub base: LogVersion,
    /// Where the bytes belong, in order, none touching another.
    pub extents: Vec<Extent>,
    /// The rest, as for a whole object.
    pub part: PushChunk,
}

/// A page of a member's objects with their versions, for backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillPage {
    /// Where the page begins.
    pub begin: Cursor,
    /// Where it ends.
    pub end: Cursor,
    /// What lies between.
    pub objects: Vec<(ObjectId, LogVersion)>,
}

/// What is said.
#[derive(Debug, Clone, PartialEq)]
pub enum PgBody {
    /// Primary: what do you have?
    QueryInfo,
    /// The answer, or said by a stray unasked. `lease_remaining`: how long the sender's grant to an earlier primary may
    /// still let that one serve reads.
    Info {
        /// The account.
        info: PgInfo,
        /// The intervals that still matter to the sender.
        past_intervals: Vec<PastInterval>,
        /// What is left of the grant.
        lease_remaining: Duration,
    },
    /// Primary: your log after this version, and what you are missing.
    QueryLog {
        /// The entry before the first wanted; zero asks for all.
        since: LogVersion,
    },
    /// The answer.
    Log {
        /// The account.
        info: PgInfo,
        /// The log.
        log: PgLogSlice,
        /// What the sender is missing by its own log.
        missing: MissingSet,
    },
    /// Primary: serve.
    Activate(Box<ActivatePg>),
    /// It is on disk; with what the sender is now missing.
    Activated {
        /// The account.
        info: PgInfo,
        /// What the sender is missing.
        missing: MissingSet,
    },
    /// A write.
    Replicate(Box<Replicate>),
    /// Everything up to this version is on disk here.
    Replicated {
        /// The newest committed version.
        version: LogVersion,
    },
    /// A write came whose predecessor did not: send everything after this version again.
    ReplicateGap {
        /// What the sender has.
        have: LogVersion,
    },
    /// Primary: grant me reads. `sent` is the primary's own clock, echoed; `duration` counts from receipt.
    LeaseRequest {
        /// Opaque to the receiver.
        sent_nanoseconds: u64,
        /// How long.
        duration: Duration,
        /// Everything up to here is committed on all members.
        committed_to: LogVersion,
    },
    /// Granted.
    LeaseGrant {
        /// The echo.
        sent_nanoseconds: u64,
        /// The duration granted.
        duration: Duration,
    },
    /// Primary: send me this object, from this position on.
    Pull {
        /// Which object.
        object: ObjectId,
        /// At least this version.
        version: LogVersion,
        /// Bytes that the asker has.
        data_offset: u64,
        /// Last omap key that the asker has.
        omap_after: Vec<u8>,
        /// The version of it that the asker has and could build upon; whoever gives may give only what changed since.
        have: Option<LogVersion>,
    },
    /// A part of an object.
    Push(Box<PushChunk>),
    /// A part of what changed of an object.
    PushChanges(Box<ChangedPart>),
    /// The receiver of changes has not what they build upon: give it whole.
    ChangesUnusable {
        /// Which object.
        object: ObjectId,
        /// Its version.
        version: LogVersion,
    },
    /// The part is on disk; the next may come.
    Pushed {
        /// Which object.
        object: ObjectId,
        /// Its version.
        version: LogVersion,
        /// Bytes that the receiver has.
        data_offset: u64,
        /// Last omap key that the receiver has.
        omap_after: Vec<u8>,
        /// Whether the whole object is in its place.
        complete: bool,
    },
    /// The asked member cannot give the object.
    PullFailed {
        /// Which object.
        object: ObjectId,
        /// Which version was asked for.
        version: LogVersion,
    },
    /// Primary: what lies between these?
    BackfillScan {
        /// Begin.
        begin: Cursor,
        /// Most objects.
        objects_max: u32,
    },
    /// The answer.
    BackfillScanned(BackfillPage),
    /// Primary: your copy is whole up to here.
    BackfillProgress {
        /// The cursor.
        cursor: Cursor,
        /// Objects and bytes up to there.
        objects: u64,
        /// Bytes up to there.
        bytes: u64,
    },
    /// The cursor is on disk.
    BackfillProgressed {
        /// The cursor.
        cursor: Cursor,
    },
    /// Primary: may I recover or backfill to you?
    ReservationRequest {
        /// Which kind of work.
        source: PushSource,
    },
    /// Yes.
    ReservationGrant,
    /// I am done, or no longer want it.
    ReservationRelease,
    /// Primary: all members are clean; the account that says so.
    Clean {
        /// The account.
        info: PgInfo,
    },
    /// Primary to a stray: the PG is clean without you; remove your copy.
    RemoveStray,
    /// Primary: have you a place for a scrub?
    ScrubReserve,
    /// The answer, at once.
    ScrubReserved {
        /// Whether there was one.
        granted: bool,
    },
    /// Primary: the place is no longer needed.
    ScrubRelease,
    /// Primary: what do you have in this range? Nothing in it is written until the answers have come.
    ScrubChunk {
        /// The primary's count of chunks in this interval, echoed.
        number: u64,
        /// Begin.
        begin: Cursor,
        /// End, exclusive.
        end: Cursor,
        /// How deep.
        depth: ScrubDepth,
    },
    /// The answer.
    ScrubDigests {
        /// The echo.
        number: u64,
        /// Up to where the digests are whole: the asked end, or less when there were too many objects.
        end: Cursor,
        /// In object order.
        objects: Vec<ObjectDigest>,
    },
    /// Primary: your copy of this object is not what others prove it to be at this version. It counts as missing now.
    ScrubMark {
        /// Which object.
        object: ObjectId,
        /// The version it should have.
        version: LogVersion,
        /// Whether it should not exist; then it is removed at once.
        deleted: bool,
    },
    /// It is on disk.
    ScrubMarked {
        /// The echo.
        object: ObjectId,
        /// The echo.
        version: LogVersion,
        /// Whether it was done; not when the sender's log says something else of the object.
        taken: bool,
    },
    /// The newest record of scrubs that the sender has.
    ScrubNote(ScrubRecord),
    /// A member to its primary: how full my device is, when that has changed and with each grant while it is not `Room`.
    Space {
        /// How full.
        fullness: Fullness,
    },
}
