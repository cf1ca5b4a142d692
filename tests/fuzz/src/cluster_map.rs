//! Cluster maps and increments, as they arrive from others and come back from disks.

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use map::{ClusterMap, PublishedMap, check, decode_increment, decode_map, encode_increment, encode_map};
use types::{Error, ErrorKind};

use crate::placement::use_map;

/// Where the checksum stands in both forms (the drawing in `map/src/encoding.rs`).
const CRC: Range<usize> = 8..12;

/// Placement groups that are placed per pool.
const GROUPS_PLACED: usize = 4;

/// The map that increments are tried on.
static SAMPLE: LazyLock<ClusterMap> = LazyLock::new(|| {
    decode_map(include_bytes!("../../../map/tests/vectors/map-format-1.bin")).expect("the golden map is readable")
});

/// The bytes with the checksum that they should have.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    if sealed.len() >= CRC.end {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[..CRC.start]);
        hasher.update(&bytes[CRC.end..]);
        sealed[CRC].copy_from_slice(&hasher.finalize().to_le_bytes());
    }
    sealed
}

fn check_refusal(error: &Error) {
    assert!(matches!(error.kind, ErrorKind::Damaged | ErrorKind::Invalid), "{error:?}");
    assert!(error.message.contains("decode"), "{error}: does not say what was done");
}

/// A full map: decoded, checked, placed by.
pub(crate) fn full(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), sealed(bytes)] {
        match decode_map(&bytes) {
            Ok(map) => {
                assert!(encode_map(&map) == bytes, "a map that was read back is encoded differently");
                use_map(&map.crush);
                publish(map);
            }
            Err(error) => check_refusal(&error),
        }
    }
}

fn publish(map: ClusterMap) {
    if check(&map).is_err() || map.crush.tunables().choose_total_tries > 100 {
        return;
    }
    let Ok(map) = PublishedMap::new(map) else { return };
    place_some(&map);
}

fn place_some(map: &Arc<PublishedMap>) {
    for pool in map.map().pools.values().take(4) {
        for pg in pool.pgs().take(GROUPS_PLACED) {
            let placement = map.place(pg);
            assert!(placement.acting.len() <= 64 && placement.up.len() <= 64, "{pg} has {placement:?}");
        }
    }
}

/// An increment: decoded, applied to a map with something of everything in it.
pub(crate) fn increment(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), sealed(bytes)] {
        match decode_increment(&bytes) {
            Ok(increment) => {
                assert!(
                    encode_increment(&increment) == bytes,
                    "an increment that was read back is encoded differently"
                );
                for change in &increment.changes {
                    let mut map = SAMPLE.clone();
                    if map.apply_change(change).is_ok() {
                        publish(map);
                    }
                }
                if let Ok(map) = SAMPLE.apply(&increment) {
                    assert_eq!(map.checksum(), increment.result_checksum);
                }
            }
            Err(error) => check_refusal(&error),
        }
    }
}
