//! Operations of clients on objects and the answers to them.
//!
//! One operation is one atomic vector of sub-operations on one object (or a listing of one placement group).
//! It takes effect at most once: a repeat of the same request id gets the first answer.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{
    ClientId, Cursor, Epoch, Error, Extent, LogVersion, ObjectName, OmapPage, PgId, RequestId, SnapshotId, XattrMap,
};

use crate::{InconsistentObject, ScrubOrder, UnfoundFate};

/// How a compare form compares the stored value with the given one: `stored <comparison> given`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Equal bytes.
    Equal,
    /// Other bytes.
    NotEqual,
    /// Greater in byte order.
    Greater,
    /// Greater or equal in byte order.
    GreaterOrEqual,
    /// Less in byte order.
    Less,
    /// Less or equal in byte order.
    LessOrEqual,
}

/// A checksum that an OSD can compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumKind {
    /// xxHash with 32 bits; the seed's lower 32 bits count.
    XxHash32,
    /// xxHash with 64 bits.
    XxHash64,
    /// CRC-32C (Castagnoli) without a final inversion, as Ceph's; the seed's lower 32 bits are the first remainder.
    Crc32c,
}

impl ChecksumKind {
    /// Bytes of one sum.
    pub fn bytes(self) -> usize {
        match self {
            Self::XxHash32 | Self::Crc32c => 4,
            Self::XxHash64 => 8,
        }
    }
}

/// How an object is going to be used: a help for the store, never a promise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllocationHint {
    /// Bytes that the object is expected to have.
    pub object_bytes: u64,
    /// Bytes of a typical write.
    pub write_bytes: u64,
    /// Ceph's `rados_alloc_hint` bits: 1 sequential and 2 random write, 4 sequential and 8 random read, 16
    /// append-only, 32 immutable, 64 short-lived, 128 long-lived, 256 compressible, 512 incompressible.
    pub flags: u32,
}

/// One step of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubOp {
    // Reads
    /// Bytes of the object; what lies past its end is left out. Answers `Data`.
    Read(Extent),
    /// Size and times. Answers `Stat`.
    Stat,
    /// One attribute. Answers `Data`; `NotFound` when the attribute is not there.
    GetXattr(Vec<u8>),
    /// All attributes. Answers `Xattrs`.
    GetXattrs,
    /// A page of omap entries: keys greater than `after` that begin with `prefix`. Answers `Omap`.
    OmapGet {
        /// Only greater keys; empty begins at the first.
        after: Vec<u8>,
        /// Only keys that begin with this.
        prefix: Vec<u8>,
        /// Most keys, at most `PAGE_KEYS_MAX`.
        keys_max: u32,
    },
    /// The values of these keys, those that exist. Answers `Omap`.
    OmapGetKeys(Vec<Vec<u8>>),
    /// The omap header. Answers `Data`.
    OmapGetHeader,
    /// A page of omap entries from `begin` (inclusive) to `end` (exclusive; empty is no end). Answers `Omap`.
    OmapGetRange {
        /// The first key that may be answered.
        begin: Vec<u8>,
        /// The first key that is not; empty is none.
        end: Vec<u8>,
        /// Most keys, at most `PAGE_KEYS_MAX`.
        keys_max: u32,
    },
    /// A page of omap keys without their values, chosen as by `OmapGet`. Answers `Omap` with empty values.
    OmapGetNames {
        /// Only greater keys; empty begins at the first.
        after: Vec<u8>,
        /// Only keys that begin with this.
        prefix: Vec<u8>,
        /// Most keys, at most `PAGE_KEYS_MAX`.
        keys_max: u32,
    },
    /// The parts of a range that hold data, and their bytes. Answers `Sparse`.
    SparseRead(Extent),
    /// The parts of a range that hold data. Answers `Extents`.
    MapExtents(Extent),
    /// A checksum of each chunk of a range. Answers `Data`: the sums one after the other, little-endian.
    Checksum {
        /// Which sum.
        kind: ChecksumKind,
        /// What each sum begins with.
        seed: u64,
        /// Of which bytes; it must lie within the object. A length of zero is all from the offset on.
        extent: Extent,
        /// Bytes of one chunk, a divisor of the length; zero is one chunk.
        chunk: u32,
    },
    /// Runs a method of an object class. Whether it may change the object is the method's; the OSD knows. Answers
    /// `Data`.
    Call {
        /// Which class.
        class: String,
        /// Which of its methods.
        method: String,
        /// Its argument, as the class understands it.
        input: Bytes,
    },
    // Guards: the operation fails, with this step's index, when one does not hold.
    /// The object exists.
    AssertExists,
    /// The object's user version is this.
    AssertVersion(u64),
    /// The object's bytes at `offset` are these.
    CompareExtent {
        /// Where.
        offset: u64,
        /// What must stand there.
        data: Bytes,
    },
    /// An attribute compares so with a value; an absent attribute compares as empty.
    CompareXattr {
        /// Which attribute.
        name: Vec<u8>,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Bytes,
    },
    /// An attribute that is a decimal number compares so with a number; an absent or empty attribute is zero.
    CompareXattrNumber {
        /// Which attribute.
        name: Vec<u8>,
        /// How.
        comparison: Comparison,
        /// With what.
        value: u64,
    },
    /// An omap value compares so with a value; an absent key compares as empty.
    CompareOmap {
        /// Which key.
        key: Vec<u8>,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Bytes,
    },
    // Writes
    /// Makes the object exist; `exclusive` fails with `Exists` when it does.
    Create {
        /// Whether it must be new.
        exclusive: bool,
    },
    /// Replaces bytes; a gap reads as zeroes.
    Write {
        /// Where.
        offset: u64,
        /// What.
        data: Bytes,
    },
    /// Fills a range with repeats of some bytes.
    WriteSame {
        /// Which range; its length is a multiple of the data's.
        extent: Extent,
        /// What is repeated.
        data: Bytes,
    },
    /// The object's bytes become these.
    WriteFull(Bytes),
    /// Bytes behind the end.
    Append(Bytes),
    /// A range reads as zeroes; the size stays.
    Zero(Extent),
    /// The size becomes this.
    Truncate(u64),
    /// The object is removed; `NotFound` when it does not exist.
    Remove,
    /// Sets an attribute.
    SetXattr {
        /// Its name.
        name: Vec<u8>,
        /// Its value.
        value: Bytes,
    },
    /// Removes an attribute.
    RemoveXattr(Vec<u8>),
    /// Removes all attributes of the user.
    ClearXattrs,
    /// Says how the object is going to be used. Makes it exist; the hint is kept with it and may be ignored.
    SetAllocationHint(AllocationHint),
    /// Sets omap keys.
    OmapSet(BTreeMap<Vec<u8>, Bytes>),
    /// Removes omap keys.
    OmapRemoveKeys(Vec<Vec<u8>>),
    /// Removes omap keys from the first (inclusive) to the second (exclusive).
    OmapRemoveRange(Vec<u8>, Vec<u8>),
    /// Removes all omap keys and the header.
    OmapClear,
    /// Sets the omap header.
    OmapSetHeader(Bytes),
    // Watches
    /// Registers the caller as one who is told of notifications, or registers it again with another time-out. The
    /// object must exist.
    Watch {
        /// Tells watches of one client apart.
        cookie: u64,
        /// Milliseconds without a `WatchPing` after which the watch ends.
        timeout_ms: u32,
    },
    /// Ends the caller's watch of this number, if there is one.
    Unwatch {
        /// Which watch of the caller's.
        cookie: u64,
    },
    /// The caller still watches, and is reached by this session. `NotFound` when the watch has ended.
    WatchPing {
        /// Which watch of the caller's.
        cookie: u64,
    },
    /// Who watches. Answers `Watchers`.
    ListWatchers,
    /// Tells everybody who watches, and waits until all have acknowledged it. The only step of its operation. Answers
    /// `Notified`.
    Notify {
        /// Milliseconds after which nobody is waited for any more.
        timeout_ms: u32,
        /// What they are told.
        payload: Bytes,
    },
    /// The caller has heard a notification.
    NotifyAcknowledge {
        /// Which notification.
        notify: u64,
        /// By which of the caller's watches.
        cookie: u64,
        /// What the notifier is answered.
        payload: Bytes,
    },
    // Snapshots
    /// The object becomes what it was at this snapshot: its bytes, attributes and omap, or its absence. The first step that
    /// writes, and beside no `Call`.
    Rollback(SnapshotId),
    /// A page of the object's clones in order, and the object itself behind them. The only step of its operation. Answers
    /// `Snapshots`.
    ListSnapshots {
        /// Only clones of greater numbers.
        after: SnapshotId,
    },
    /// The placement group's own: the clone preserves the snapshot no longer, and goes when it preserves none.
    TrimClone {
        /// Which clone of the object.
        clone: SnapshotId,
        /// Which snapshot was removed.
        snapshot: SnapshotId,
        /// The log entry that made the clone.
        cloned_at: LogVersion,
    },
    // On a placement group
    /// A page of the PG's objects, in object order. Answers `List`.
    ListObjects {
        /// Where to begin; `Cursor::Start` is the PG's first object.
        begin: Cursor,
        /// Only this namespace; `None` is all.
        namespace: Option<Vec<u8>>,
        /// Most names, at most `PAGE_KEYS_MAX`.
        objects_max: u32,
    },
    /// Scrub the PG. Answers `Done` when it is noted; it begins when there is a place for it.
    ScrubPg(ScrubOrder),
    /// A page of the PG's inconsistent objects. Answers `Inconsistents`.
    ListInconsistent {
        /// How many to skip.
        skip: u32,
        /// Most objects, at most `INCONSISTENT_PAGE_OBJECTS`.
        objects_max: u32,
    },
    /// Everything that tells where the PG stands. Answers `Data`, a JSON object.
    QueryPg,
    /// Give up the objects of which no copy can be found. Answers `Data`: their number, in decimal digits.
    MarkUnfoundLost(UnfoundFate),
}

impl SubOp {
    /// Whether the step is asked of a placement group, not of an object.
    pub fn is_of_pg(&self) -> bool {
        matches!(
            self,
            Self::ListObjects { .. }
                | Self::ScrubPg(_)
                | Self::ListInconsistent { .. }
                | Self::QueryPg
                | Self::MarkUnfoundLost(_)
        )
    }

    /// Whether the step may change the object. Whoever does not know the classes counts a call as one that may.
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Call { .. }
                | Self::Watch { .. }
                | Self::Unwatch { .. }
                | Self::Create { .. }
                | Self::Write { .. }
                | Self::WriteSame { .. }
                | Self::ClearXattrs
                | Self::SetAllocationHint(_)
                | Self::WriteFull(_)
                | Self::Append(_)
                | Self::Zero(_)
                | Self::Truncate(_)
                | Self::Remove
                | Self::SetXattr { .. }
                | Self::RemoveXattr(_)
                | Self::OmapSet(_)
                | Self::OmapRemoveKeys(_)
                | Self::OmapRemoveRange(..)
                | Self::OmapClear
                | Self::OmapSetHeader(_)
                | Self::Rollback(_)
                | Self::TrimClone { .. }
        )
    }
}

/// Wishes about how an operation is carried out, as a set of bits; the numbers are on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpFlags(pub u32);

impl OpFlags {
    /// Fail with `Full` at once instead of waiting for space.
    pub const FULL_TRY: Self = Self(1);
    /// Any member may answer a read. A wish: today the primary answers, which spreads reads over OSDs by placement group.
    pub const BALANCE_READS: Self = Self(2);
    /// The nearest member may answer a read. A wish, like `BALANCE_READS`.
    pub const LOCALIZE_READS: Self = Self(4);
    /// A read waits for the writes of the object that were sent before it, also by others. Always so here.
    pub const ORDER_READS_WRITES: Self = Self(8);

    /// Whether all bits of `other` are set here.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Which snapshots a write must preserve: the newest id and the existing ones, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotContext {
    /// Highest id.
    pub sequence: u64,
    /// Existing snapshots, newest first.
    pub snapshots: Vec<SnapshotId>,
}

/// What an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpTarget {
    /// One object; the hash is the placement hash of its name, which the receiver computes again and compares.
    Object {
        /// What the user named.
        name: ObjectName,
        /// Its placement hash.
        hash: u32,
    },
    /// The placement group itself.
    Pg,
}

/// An operation on its way to a primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOp {
    /// Who asks, and the client's count. Read-only operations have one too.
    pub request: RequestId,
    /// The client has the answers of all its requests below this; their memory may go.
    pub lowest_open: u64,
    /// The map by which the client chose the target.
    pub epoch: Epoch,
    /// The placement group.
    pub pg: PgId,
    /// The object, or the PG.
    pub target: OpTarget,
    /// Which snapshot is read; `HEAD` for writes.
    pub snapshot: SnapshotId,
    /// Which snapshots a write preserves.
    pub snapshot_context: SnapshotContext,
    /// Wishes.
    pub flags: OpFlags,
    /// The client's wall clock in milliseconds since 1970: becomes the object's modification time.
    pub modified_ms: u64,
    /// The steps.
    pub ops: Vec<SubOp>,
}

impl ClientOp {
    /// Whether any step may change the object, by [`SubOp::is_write`].
    pub fn is_write(&self) -> bool {
        self.ops.iter().any(SubOp::is_write)
    }
}

/// The answer to the step of the same index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubOpResult {
    /// It was done, or it held.
    Done,
    /// Bytes.
    Data(Bytes),
    /// Size in bytes, and modification time in milliseconds since 1970.
    Stat {
        /// Bytes from zero to the end.
        size: u64,
        /// The client's clock at the last write.
        modified_ms: u64,
    },
    /// Attributes.
    Xattrs(XattrMap),
    /// Omap entries.
    Omap(OmapPage),
    /// Ranges that hold data, and their bytes one after the other.
    Sparse {
        /// The ranges, in order.
        extents: Vec<Extent>,
        /// Their bytes.
        data: Bytes,
    },
    /// Ranges that hold data, in order.
    Extents(Vec<Extent>),
    /// Who watches, by client and cookie.
    Watchers(Vec<Watcher>),
    /// How a notification went.
    Notified {
        /// Who acknowledged it, by client and cookie.
        answers: Vec<NotifyAnswer>,
        /// Who watched and did not.
        missed: Vec<(ClientId, u64)>,
    },
    /// An object's clones.
    Snapshots {
        /// The newest snapshot that writers of the live object knew of; zero when there is no live object.
        sequence: u64,
        /// In order of their numbers; the live object is the last, where it exists.
        clones: Vec<CloneRecord>,
        /// The clone after which the next page begins; `None` when there is none.
        next: Option<SnapshotId>,
    },
    /// Names in object order, and where the next page begins; `None` when the PG is done.
    List {
        /// The names.
        names: Vec<ObjectName>,
        /// Where to go on.
        next: Option<Cursor>,
    },
    /// Inconsistent objects in object order.
    Inconsistents {
        /// When the scrub that found them began, in milliseconds since 1970; zero when there was none.
        stamp_ms: u64,
        /// How many there are in all; more than can be listed when only their number is known.
        total: u64,
        /// This page of them.
        objects: Vec<InconsistentObject>,
    },
}

/// What an object was at some snapshots, or is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneRecord {
    /// The clone's number; `HEAD` is the live object.
    pub clone: SnapshotId,
    /// Snapshots that it preserves, newest first.
    pub snapshots: Vec<SnapshotId>,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that it is known to share with the next newer one of the list.
    pub overlap: Vec<Extent>,
}

/// A watch, as its object keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watcher {
    /// Whose.
    pub client: ClientId,
    /// Which of the client's.
    pub cookie: u64,
    /// Milliseconds of silence after which it ends.
    pub timeout_ms: u32,
}

/// What a watcher answered to a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyAnswer {
    /// Whose watch.
    pub client: ClientId,
    /// Which of the client's.
    pub cookie: u64,
    /// What it said.
    pub payload: Bytes,
}

/// A notification on its way to one who watches, who acknowledges it with `SubOp::NotifyAcknowledge`. It may come twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The object's placement group.
    pub pg: PgId,
    /// The primary's map.
    pub epoch: Epoch,
    /// The object.
    pub object: ObjectName,
    /// Which of the client's watches.
    pub cookie: u64,
    /// Which notification.
    pub notify: u64,
    /// Who sent it.
    pub notifier: ClientId,
    /// What it says.
    pub payload: Bytes,
}

/// An operation that took effect, or was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpSuccess {
    /// The PG version of the write, or of the object that was read.
    pub version: LogVersion,
    /// The object's version as users see it.
    pub user_version: u64,
    /// One result for each step. A write that is answered again from memory has `Done` for each step but those that
    /// called a writing method of a class: their output is remembered.
    pub results: Vec<SubOpResult>,
}

/// An operation that took no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpFailure {
    /// Why.
    pub error: Error,
    /// Which step, when one is to blame.
    pub step: Option<u32>,
}

/// The answer of a primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientReply {
    /// To which operation.
    pub request: RequestId,
    /// The primary's map.
    pub epoch: Epoch,
    /// What became of it.
    pub outcome: Result<OpSuccess, OpFailure>,
}
