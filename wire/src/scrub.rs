//! What scrubs say, keep and find: the orders of operators, the record of a placement group, its inconsistent objects.

use types::{Cursor, LogVersion, ObjectId, OsdId};

use crate::ObjectDigest;

/// How deep a scrub looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrubDepth {
    /// Which objects there are, their sizes, versions and attributes.
    Metadata,
    /// The bytes and the omap too, each read from the device and held against its checksum.
    Data,
}

/// What an operator asks of a placement group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrubOrder {
    /// A scrub of metadata.
    Scrub,
    /// A scrub of data.
    DeepScrub,
    /// A scrub of data that repairs whatever an intact copy proves, however many objects that are.
    Repair,
}

/// What becomes of an object of which no copy of the newest version can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnfoundFate {
    /// It goes back to the newest older version that somebody has; it is removed when there is none.
    Revert,
    /// It is removed.
    Delete,
}

/// What is known of a placement group's scrubs. Every member keeps it, so that the next primary goes on by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScrubRecord {
    /// Counts changes of the record; the higher number is the newer record.
    pub number: u64,
    /// The group's newest entry when the last scrub of metadata began.
    pub scrub_version: LogVersion,
    /// The primary's wall clock then, in milliseconds since 1970; zero when there was none.
    pub scrub_stamp_ms: u64,
    /// The same of the last scrub of data, which is one of metadata too.
    pub deep_version: LogVersion,
    /// Wall clock of that.
    pub deep_stamp_ms: u64,
    /// When the next scrub of metadata is due, in milliseconds since 1970.
    pub scrub_due_ms: u64,
    /// When the next scrub of data is due.
    pub deep_due_ms: u64,
    /// Objects that are inconsistent, as far as is known.
    pub errors: u64,
    /// Copies that were repaired, ever.
    pub repaired: u64,
    /// Where an interrupted scrub goes on: all before it was looked at and was consistent.
    pub cursor: Option<Cursor>,
    /// How deep that scrub looks.
    pub cursor_depth: Option<ScrubDepth>,
    /// The wall clock when that scrub began.
    pub cursor_stamp_ms: u64,
}

/// What is wrong with an object or a copy, as a set of bits; names are Ceph's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InconsistencyFlags(pub u32);

impl InconsistencyFlags {
    /// The copy does not exist.
    pub const MISSING: Self = Self(1);
    /// The copy cannot be read: a checksum fails, or the device.
    pub const READ_ERROR: Self = Self(1 << 1);
    /// Copies have different sizes.
    pub const SIZE_MISMATCH: Self = Self(1 << 2);
    /// Copies have different bytes.
    pub const DATA_DIGEST_MISMATCH: Self = Self(1 << 3);
    /// Copies have different attributes.
    pub const ATTRIBUTE_MISMATCH: Self = Self(1 << 4);
    /// Copies have different omaps.
    pub const OMAP_DIGEST_MISMATCH: Self = Self(1 << 5);
    /// Copies are of different versions.
    pub const INFO_MISMATCH: Self = Self(1 << 6);
    /// The copy should not exist: the log says that the object was removed.
    pub const REMOVED: Self = Self(1 << 7);

    /// Every bit with the name that Ceph gives it (`removed` is our own).
    pub const NAMES: [(&'static str, Self); 8] = [
        ("missing", Self::MISSING),
        ("read_error", Self::READ_ERROR),
        ("size_mismatch", Self::SIZE_MISMATCH),
        ("data_digest_mismatch", Self::DATA_DIGEST_MISMATCH),
        ("attr_value_mismatch", Self::ATTRIBUTE_MISMATCH),
        ("omap_digest_mismatch", Self::OMAP_DIGEST_MISMATCH),
        ("object_info_inconsistency", Self::INFO_MISMATCH),
        ("removed", Self::REMOVED),
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

    /// Whether nothing is wrong.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the bits that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(_, flag)| self.contains(*flag)).map(|(name, _)| name)
    }
}

/// One member's copy of an inconsistent object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InconsistentCopy {
    /// Whose it is.
    pub osd: OsdId,
    /// What is wrong with it, held against the proven copy where there is one.
    pub errors: InconsistencyFlags,
    /// What it is; `None` when it does not exist.
    pub digest: Option<ObjectDigest>,
}

/// An object whose copies are not equal and intact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InconsistentObject {
    /// Which.
    pub object: ObjectId,
    /// The version that it should have; zero when it should not exist.
    pub version: LogVersion,
    /// In what its copies differ.
    pub errors: InconsistencyFlags,
    /// Whose copy is proven by its checksums and its version, if there is one and no other contradicts it.
    pub proven: Option<OsdId>,
    /// Every member's copy.
    pub copies: Vec<InconsistentCopy>,
}
