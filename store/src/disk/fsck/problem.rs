//! What can be wrong with a store.

use std::fmt;

use types::{Error, ObjectId};

/// A segment by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentPlace {
    /// The number of the object that it belongs to.
    pub number: u64,
    /// Which 256 KiB of the object.
    pub index: u32,
}

/// A unit of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitPlace {
    /// The object.
    pub object: ObjectId,
    /// The unit's first byte within the object.
    pub offset: u64,
    /// The segment that describes it.
    pub segment: SegmentPlace,
}

/// What was found where a unit should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundBytes {
    /// Bytes with this checksum.
    Checksum(u32),
    /// None: the device cannot read them.
    Unreadable(Error),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// One of the two superblocks is not whole. The other tells everything.
    Superblock {
        /// Which copy.
        copy: &'static str,
        /// Where on the device it should be.
        offset: u64,
    },
    /// The store cannot be read far enough to check the rest: halves that do not belong together, a damaged journal,
    /// a database that does not answer.
    Unreadable(Error),
    /// A range of keys could not be read to its end.
    Range {
        /// What is in the range.
        what: &'static str,
        /// Why.
        error: Error,
    },
    /// An object's header makes no sense, so the object cannot be read.
    Header {
        /// The key under which it is.
        key: String,
        /// What is wrong with it.
        error: Error,
    },
    /// Two objects claim the same segments and omap.
    SharedNumber {
        /// The number that both have.
        number: u64,
    },
    /// A segment that the object's header tells of is not there, or makes no sense. Its bytes are lost.
    SegmentLost {
        /// The object.
        object: ObjectId,
        /// The segment.
        segment: SegmentPlace,
        /// What is wrong.
        error: Error,
    },
    /// A segment that no read can reach.
    SegmentStray {
        /// The segment.
        segment: SegmentPlace,
        /// The object with this number, if there is one; its header does not tell of the segment.
        object: Option<ObjectId>,
    },
    /// Omap entries that no read can reach.
    OmapStray {
        /// The number that the entries hang on.
        number: u64,
    },
    /// Data past the object's end, which would come to light when the object grows.
    UnitPastEnd {
        /// The unit.
        unit: UnitPlace,
        /// The object's size.
        size: u64,
    },
    /// A unit that is said to lie outside of the data area. Its bytes are lost.
    UnitOutside {
        /// The unit.
        unit: UnitPlace,
        /// Where it is said to lie.
        place: u64,
    },
    /// The stored bytes are not those that were written.
    UnitDamaged {
        /// The unit.
        unit: UnitPlace,
        /// The checksum that they should have.
        expected: u32,
        /// What is there.
        found: FoundBytes,
    },
    /// A unit that is marked as damaged: it must come from another copy.
    UnitKnownDamaged {
        /// The unit.
        unit: UnitPlace,
    },
    /// The bitmap in memory is wrong. Only a store that is open has one.
    Allocation {
        /// The unit.
        unit: u64,
        /// Whether the metadata refers to it.
        is_referred_to: bool,
    },
    /// The count of references in memory is wrong. Only a store that is open has one.
    References {
        /// The unit.
        unit: u64,
        /// References that there are.
        references: u32,
        /// References that are counted.
        counted: u32,
    },
}

impl Problem {
    /// The stable name used in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Superblock { .. } => "superblock",
            Self::Unreadable(_) => "unreadable",
            Self::Range { .. } => "range",
            Self::Header { .. } => "header",
            Self::SharedNumber { .. } => "shared_number",
            Self::SegmentLost { .. } => "segment_lost",
            Self::SegmentStray { .. } => "segment_stray",
            Self::OmapStray { .. } => "omap_stray",
            Self::UnitPastEnd { .. } => "unit_past_end",
            Self::UnitOutside { .. } => "unit_outside",
            Self::UnitDamaged { .. } => "unit_damaged",
            Self::UnitKnownDamaged { .. } => "unit_known_damaged",
            Self::Allocation { .. } => "allocation",
            Self::References { .. } => "references",
        }
    }

    /// The object that it is about.
    pub fn object(&self) -> Option<&ObjectId> {
        match self {
            Self::SegmentLost { object, .. } => Some(object),
            Self::SegmentStray { object, .. } => object.as_ref(),
            Self::UnitPastEnd { unit, .. }
            | Self::UnitOutside { unit, .. }
            | Self::UnitDamaged { unit, .. }
            | Self::UnitKnownDamaged { unit } => Some(&unit.object),
            _ => None,
        }
    }
}

impl fmt::Display for UnitPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object {} at offset {}", self.object, self.offset)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superblock { copy, offset } => write!(f, "superblock {copy} at {offset} is not whole"),
            Self::Unreadable(error) => write!(f, "the store cannot be opened: {error}"),
            Self::Range { what, error } => write!(f, "the {what} cannot be read to their end: {error}"),
            Self::Header { key, error } => write!(f, "the header under {key}: {error}"),
            Self::SharedNumber { number } => write!(f, "more than one object has the number {number}"),
            Self::SegmentLost { object, segment, error } => {
                write!(f, "object {object} has lost its segment {}: {error}", segment.index)
            }
            Self::SegmentStray { segment, object: Some(object) } => {
                write!(f, "object {object} has a segment {} that its header does not tell of", segment.index)
            }
            Self::SegmentStray { segment, object: None } => {
                write!(f, "segment {} belongs to object number {}, which does not exist", segment.index, segment.number)
            }
            Self::OmapStray { number } => {
                write!(f, "omap entries hang on object number {number}, which has none or does not exist")
            }
            Self::UnitPastEnd { unit, size } => write!(f, "{unit}: data past its end {size}"),
            Self::UnitOutside { unit, place } => write!(f, "{unit}: unit {place} lies outside of the data area"),
            Self::UnitDamaged { unit, expected, found: FoundBytes::Checksum(found) } => {
                write!(f, "{unit}: the unit should have checksum {expected:08x}, and has {found:08x}")
            }
            Self::UnitDamaged { unit, found: FoundBytes::Unreadable(error), .. } => write!(f, "{unit}: {error}"),
            Self::UnitKnownDamaged { unit } => write!(f, "{unit}: marked as damaged; it must come from another copy"),
            Self::Allocation { unit, is_referred_to: true } => {
                write!(f, "unit {unit} is referred to and not marked as used")
            }
            Self::Allocation { unit, is_referred_to: false } => {
                write!(f, "unit {unit} is marked as used and nothing refers to it")
            }
            Self::References { unit, references, counted } => {
                write!(f, "unit {unit} has {references} references, and {counted} are counted")
            }
        }
    }
}
