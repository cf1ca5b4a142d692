//! The bytes of format 1. A change here is a new format: the version goes up and the old one stays readable.

use std::sync::Arc;

use bytes::Bytes;
use types::{ObjectId, ObjectName, PoolId, ShardId, SnapshotId};

use super::{
    super::{
        group::{DirectRun, GroupHeader, JournaledUnit, Record, encode_group},
        keys::{header_key, omap_key, segment_key},
        object::{Header, Segment, Unit},
        replay::encode_identity,
        superblock::{Layout, Superblock},
    },
    identity,
};
use crate::key_value::KeyChange;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn keys_and_values_of_the_database() {
    let object = ObjectId {
        pool: PoolId(5),
        hash: 0x8000_0001,
        name: ObjectName { namespace: b"n".to_vec(), key: Vec::new(), name: b"a\0b".to_vec() },
        snapshot: SnapshotId(9),
        generation: 7,
        shard: ShardId(2),
    };
    assert_eq!(
        hex(&header_key(&object)),
        "4f0000000000000005800000016e0000000061 00ff620000 0000000000000009000000000000000782".replace(' ', "")
    );
    assert_eq!(hex(&segment_key(0x1_0000, 3)), "53000000000001000000000003");
    assert_eq!(hex(&omap_key(0x1_0000, b"k")), "4d00000000000100006b");

    let mut header = Header { number: 0x1_0000, size: 5000, has_omap: true, ..Header::default() };
    header.segments.insert(0);
    header.omap_header = Bytes::from_static(b"h");
    header.xattrs.insert(b"_".to_vec(), Bytes::from_static(b"v"));
    assert_eq!(hex(&header.encode()), "01010100000100000000008827010101680101 5f0176".replace(' ', ""));

    let mut segment = Segment::EMPTY;
    segment.units[2] = Unit { place: 300, crc: 0x0403_0201, damaged: false };
    segment.units[3] = Unit { place: 301, crc: 0x0807_0605, damaged: false };
    segment.units[5] = Unit { place: 9, crc: 1, damaged: true };
    assert_eq!(hex(&segment.encode()), "0101020200ac020102030405060708010101090100 0000".replace(' ', ""));

    assert_eq!(
        hex(&encode_identity(&identity(), 6)),
        format!("0101{}{}{}030000000600000000000000", "01".repeat(16), "02".repeat(16), "03".repeat(16))
    );
}

#[test]
fn superblock_and_journal_group() {
    let superblock = Superblock {
        identity: identity(),
        layout: Layout::plan(4 << 20, None).expect("large enough"),
        generation: 5,
        writes: 6,
        tail_position: 8192,
        tail_sequence: 9,
        flushed_through: 8,
    };
    assert_eq!(crc32fast::hash(&superblock.encode()), GOLDEN_SUPERBLOCK);

    let record = Record {
        sequence: 9,
        changes: vec![
            KeyChange::Put { key: Bytes::from_static(b"a"), value: Bytes::from_static(b"1") },
            KeyChange::Delete { key: Bytes::from_static(b"b") },
            KeyChange::DeleteRange { begin: Bytes::from_static(b"c"), end: Bytes::from_static(b"d") },
        ],
        units: vec![JournaledUnit { place: 77, crc: 3, data: Bytes::from(vec![5; 4096]) }],
        runs: vec![Arc::new(DirectRun { place: 100, crcs: vec![1, 2], data: Vec::new() })],
        ..Record::default()
    };
    let records = [record];
    let header = GroupHeader::of(&records, identity().store_uuid, 5, 8192, 9, 8);
    let group = encode_group(header, &records);
    assert_eq!(group.buffer.len(), 8192);
    assert_eq!(crc32fast::hash(&group.buffer), GOLDEN_GROUP);
}

/// CRC-32 of the whole block above.
const GOLDEN_SUPERBLOCK: u32 = 1_585_786_282;
/// CRC-32 of the whole group above.
const GOLDEN_GROUP: u32 = 1_871_386_289;
