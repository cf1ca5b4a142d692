//! What a store reads back from its device and its database.

use std::ops::Range;

use bytes::Bytes;
use store::untrusted::{
    check_journal_group, check_object_header, check_object_segment, check_superblock, check_tree_key,
};

/// Where the checksum stands in superblocks and group headers (the drawings in `store/src/disk`).
const CRC: Range<usize> = 8..12;

/// Bytes of a superblock.
const SUPERBLOCK_BYTES: usize = 4096;

fn sealed(bytes: &[u8], covered: usize) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    if (CRC.end..=sealed.len()).contains(&covered) {
        let crc = crc32fast::hash(&bytes[CRC.end..covered]);
        sealed[CRC].copy_from_slice(&crc.to_le_bytes());
    }
    sealed
}

/// A superblock, filled to its size.
pub(crate) fn superblock(bytes: &[u8]) {
    let mut whole = bytes.to_vec();
    whole.resize(SUPERBLOCK_BYTES, 0);
    for bytes in [sealed(&whole, SUPERBLOCK_BYTES), whole] {
        if let Err(error) = check_superblock(&bytes) {
            assert!(!error.message.is_empty());
        }
    }
}

/// A journal group: header and records.
pub(crate) fn journal_group(bytes: &[u8]) {
    let covered = bytes.get(52..56).map_or(0, |word| u32::from_le_bytes(word.try_into().expect("four bytes")) as usize);
    for bytes in [sealed(bytes, covered), bytes.to_vec()] {
        // No group here is the end of the journal, or damage; which of the two, replay decides.
        let records = check_journal_group(&Bytes::from(bytes.clone()));
        assert!(records.is_none_or(|count| count <= bytes.len()));
    }
}

/// A value or key of the database; the first byte chooses the kind.
pub(crate) fn value(bytes: &[u8]) {
    let Some((which, rest)) = bytes.split_first() else { return };
    let outcome = match which % 3 {
        0 => check_object_header(Bytes::copy_from_slice(rest)),
        1 => check_object_segment(Bytes::copy_from_slice(rest)),
        _ => check_tree_key(rest),
    };
    if let Err(error) = outcome {
        assert!(!error.message.is_empty());
    }
}
