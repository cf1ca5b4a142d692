//! What a method does to its object, as data.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::Extent;

/// One change to the object that a method was called on. Every change but `Remove` makes the object exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The object exists.
    Create,
    /// Replaces bytes; a gap reads as zeroes.
    Write {
        /// Where.
        offset: u64,
        /// What.
        data: Bytes,
    },
    /// A range reads as zeroes; the size stays.
    Zero(Extent),
    /// The size in bytes becomes this.
    Truncate(u64),
    /// The object is gone, with everything in it.
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
    /// Sets omap keys.
    OmapSet(BTreeMap<Vec<u8>, Bytes>),
    /// Removes omap keys.
    OmapRemove(Vec<Vec<u8>>),
    /// Removes omap keys from the first (inclusive) to the second (exclusive).
    OmapRemoveRange(Vec<u8>, Vec<u8>),
    /// Removes all omap keys and the header.
    OmapClear,
    /// Sets the omap header.
    OmapSetHeader(Bytes),
}

impl Effect {
    /// Bytes of names, keys and values that it carries to every copy.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Create | Self::Zero(_) | Self::Truncate(_) | Self::Remove | Self::OmapClear => 0,
            Self::Write { data, .. } => data.len(),
            Self::SetXattr { name, value } => name.len() + value.len(),
            Self::RemoveXattr(name) => name.len(),
            Self::OmapSet(entries) => entries.iter().map(|(key, value)| key.len() + value.len()).sum(),
            Self::OmapRemove(keys) => keys.iter().map(Vec::len).sum(),
            Self::OmapRemoveRange(begin, end) => begin.len() + end.len(),
            Self::OmapSetHeader(header) => header.len(),
        }
    }
}
