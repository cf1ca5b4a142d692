//! The doors at which bytes of a device or database become values, for the fuzz rig alone: refused or not, nothing else.

use bytes::Bytes;
use types::Result;

use crate::disk::{GroupHeader, Header, Segment, Superblock, decode_group, decode_header_key, decode_segment_key};

/// Whether the bytes are a superblock; those that are none are no error.
///
/// # Errors
/// As opening the store would fail.
pub fn check_superblock(bytes: &[u8]) -> Result<bool> {
    Superblock::decode(bytes).map(|found| found.is_some())
}

/// How many records the journal group at the beginning of the bytes has; `None` when there is no whole one.
pub fn check_journal_group(bytes: &Bytes) -> Option<usize> {
    let header = GroupHeader::decode(bytes)?;
    decode_group(&header, bytes).map(|records| records.len())
}

/// Whether the bytes are the header of an object.
///
/// # Errors
/// `Damaged`, as a read of the object would fail.
pub fn check_object_header(bytes: Bytes) -> Result<()> {
    Header::decode(bytes).map(|_| ())
}

/// Whether the bytes are a segment of an object.
///
/// # Errors
/// As for [`check_object_header`].
pub fn check_object_segment(bytes: Bytes) -> Result<()> {
    Segment::decode(bytes).map(|_| ())
}

/// Whether the bytes are a key of an object's header or segment.
///
/// # Errors
/// `Damaged`, as a walk over the database would fail.
pub fn check_tree_key(bytes: &[u8]) -> Result<()> {
    decode_header_key(bytes).map(|_| ()).or_else(|_| decode_segment_key(bytes).map(|_| ()))
}
