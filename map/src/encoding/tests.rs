//! That bytes stay what they were, and that no bytes do harm.

use std::{env, fs, path::Path};

use types::{Error, ErrorKind, Result, SeededRandom};

use super::envelope::{Kind, Reader, Writer};
use super::*;
use crate::{Change, ClusterMap, Increment, sample};

fn full_increment() -> (ClusterMap, Increment) {
    let base = sample::with_osds(8);
    let increment = Increment::new(&base, base.modified_ms + 1, sample::every_change()).unwrap();
    (base, increment)
}

/// Compares with a file of the repository; `UPDATE=1` writes it anew, which breaks every stored map: raise the version then.
fn compare_with_golden(name: &str, bytes: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, bytes).unwrap();
    }
    assert!(fs::read(&path).unwrap() == bytes, "{name}: the bytes of format 1 are what they were");
}

#[test]
fn bytes_of_format_1_stay_what_they_were() {
    let (base, increment) = full_increment();
    compare_with_golden("map-format-1.bin", &encode_map(&base.apply(&increment).unwrap()));
    compare_with_golden("increment-format-1.bin", &encode_increment(&increment));
}

/// Format 2 brought settings; a map without them still has the bytes of format 1.
#[test]
fn bytes_of_format_2_stay_what_they_were() {
    let (base, increment) = configured();
    compare_with_golden("map-format-2.bin", &encode_map(&base.apply(&increment).unwrap()));
    compare_with_golden("increment-format-2.bin", &encode_increment(&increment));
}

fn configured() -> (ClusterMap, Increment) {
    let base = sample::with_osds(2);
    let change = |target: &str, value: Option<&str>| Change::Configuration {
        option: "mon_osd_down_out_interval".to_owned(),
        target: target.parse().unwrap(),
        value: value.map(str::to_owned),
    };
    let changes = vec![
        change("global", Some("10min")),
        change("osd.1", Some("1h")),
        change("osd/rack:r1", Some("0")),
        change("osd.1", None),
    ];
    let increment = Increment::new(&base, base.modified_ms + 1, changes).unwrap();
    (base, increment)
}

/// Few are written one by one, as always; many as ranges, so that a pool that had a million snapshots stays small.
#[test]
fn removed_snapshots_come_back_however_many_there_are() {
    let (base, increment) = full_increment();
    let map = base.apply(&increment).unwrap();
    for count in [1, 64, 65, 100_000u64] {
        let mut pool = crate::Pool::clone(map.pools.values().next().unwrap());
        pool.snapshot_sequence = 2 * count;
        pool.snapshots.clear();
        pool.removed_snapshots = types::SnapshotRanges::default();
        (1..=count).map(types::SnapshotId).for_each(|id| assert!(pool.removed_snapshots.insert(id)));
        pool.removed_snapshots.insert(types::SnapshotId(count + 2));
        let changes = vec![Change::PoolSet(std::sync::Arc::new(pool))];
        let increment = Increment::new(&map, map.modified_ms + 1, changes).unwrap();
        let next = map.apply(&increment).unwrap();
        let bytes = encode_map(&next);
        assert!(bytes.len() < encode_map(&map).len() + 1000, "{count} take {} bytes", bytes.len());
        assert_eq!(decode_map(&bytes).unwrap(), next);
    }
}

#[test]
fn what_was_encoded_decodes_to_the_same() {
    let (base, increment) = full_increment();
    let map = base.apply(&increment).unwrap();
    for map in [&sample::empty(), &base, &map] {
        let bytes = encode_map(map);
        let decoded = decode_map(&bytes).unwrap();
        assert_eq!(&decoded, map);
        assert_eq!(decoded.checksum(), map.checksum());
        assert_eq!(map.checksum().to_le_bytes(), bytes[8..12]);
    }
    assert_eq!(decode_increment(&encode_increment(&increment)).unwrap(), increment);
    let (base, increment) = configured();
    let map = base.apply(&increment).unwrap();
    assert_eq!(map.configuration.len(), 2);
    assert_eq!(decode_map(&encode_map(&map)).unwrap(), map);
    assert_eq!(decode_increment(&encode_increment(&increment)).unwrap(), increment);
}

/// The same bytes with the CRC that goes with them, so that damage gets past the first gate.
fn with_matching_crc(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..8]);
    hasher.update(&bytes[12..]);
    bytes[8..12].copy_from_slice(&hasher.finalize().to_le_bytes());
    bytes
}

fn damage(bytes: &[u8], random: &mut SeededRandom) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let place = |random: &mut SeededRandom, length: usize| {
        12 + usize::try_from(random.below(u64::try_from(length - 12).unwrap())).unwrap()
    };
    for _ in 0..=random.below(4) {
        let (first, second) = (place(random, bytes.len()), place(random, bytes.len()));
        let value = u8::try_from(random.below(256)).unwrap();
        match random.below(6) {
            0 => bytes[first] ^= 1 << (value % 8),
            1 => bytes[first] = value,
            2 => bytes.truncate(first + 1),
            3 => bytes.insert(first, value),
            4 => bytes.copy_within(first.min(second)..first.max(second), 12),
            _ => {
                let part = bytes[first.min(second)..first.max(second)].to_vec();
                bytes.splice(first..first, part);
            }
        }
        if bytes.len() <= 14 {
            break;
        }
    }
    bytes
}

#[test]
fn damaged_bytes_are_refused_or_canonical() {
    let (base, increment) = full_increment();
    let map_bytes = encode_map(&base.apply(&increment).unwrap());
    let increment_bytes = encode_increment(&increment);
    let mut survived = 0;
    tests_kit::for_each_seed(0..20_000, |seed| {
        let mut random = SeededRandom::new(seed);
        let bytes = damage(&map_bytes, &mut random);
        if bytes != map_bytes {
            // A CRC of 32 bits finds every burst of up to 32 bits, and the rest but for one in four billion.
            assert!(decode_map(&bytes).is_err());
        }
        let bytes = with_matching_crc(bytes);
        if let Ok(map) = decode_map(&bytes) {
            assert!(encode_map(&map) == bytes);
            // Whatever decodes can be looked at.
            let _breaches = crate::breaches(&map);
            survived += 1;
        }
        let bytes = with_matching_crc(damage(&increment_bytes, &mut random));
        if let Ok(increment) = decode_increment(&bytes) {
            assert!(encode_increment(&increment) == bytes);
        }
        let noise: Vec<u8> = (0..random.below(200)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        assert!(decode_map(&noise).is_err() && decode_increment(&noise).is_err());
    });
    println!("{survived} damaged maps were canonical");
}

fn kind_of<T: std::fmt::Debug>(result: Result<T>) -> (ErrorKind, String) {
    let Error { kind, message } = result.unwrap_err();
    (kind, message)
}

#[test]
fn bytes_for_later_readers_only_are_refused_with_the_reason() {
    let bytes = encode_map(&sample::empty());
    let mut later = bytes.to_vec();
    later[6] = 3;
    let (kind, message) = kind_of(decode_map(&with_matching_crc(later)));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(message.contains("format 3"), "{message}");
    let (kind, message) = kind_of(decode_increment(&bytes));
    assert_eq!(kind, ErrorKind::Damaged);
    assert!(message.contains("do not begin like a map increment"), "{message}");
}

#[test]
fn unknown_records_of_a_later_map_survive_a_rewrite() {
    let mut later = encode_map(&sample::full()).to_vec();
    later[4] = 3;
    let mut extra = Writer::new(Kind::Map, 3);
    extra.raw(15, b"what format 3 adds");
    later.extend_from_slice(&extra.finish()[12..]);
    let later = with_matching_crc(later);
    let map = decode_map(&later).unwrap();
    assert!(map.later_fields.is_some());
    assert!(encode_map(&map) == later);
    // They stay when the map changes.
    let next = sample::changed(&map, vec![]);
    assert_eq!(decode_map(&encode_map(&next)).unwrap().later_fields, map.later_fields);
    // The same record in a map that says it is of format 1 is damage.
    let mut wrong = later;
    wrong[4] = 1;
    assert_eq!(kind_of(decode_map(&with_matching_crc(wrong))).0, ErrorKind::Damaged);
}

#[test]
fn an_unknown_change_refuses() {
    let mut writer = Writer::new(Kind::Increment, 1);
    let mut reader_bytes = encode_increment(&full_increment().1);
    let mut reader = Reader::new(Kind::Increment, &reader_bytes).unwrap();
    writer.records(reader.next_record().unwrap().unwrap().whole);
    writer.raw(99, b"");
    reader_bytes = writer.finish();
    let (kind, message) = kind_of(decode_increment(&reader_bytes));
    assert_eq!(kind, ErrorKind::Invalid);
    assert!(message.contains("record 99 at byte"), "{message}");
}

#[test]
fn records_out_of_order_or_twice_are_refused() {
    let bytes = encode_map(&sample::full());
    let mut reader = Reader::new(Kind::Map, &bytes).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        records.push(record.whole);
    }
    let rebuilt = |records: &[&[u8]]| {
        let mut writer = Writer::new(Kind::Map, 1);
        records.iter().for_each(|record| writer.records(record));
        writer.finish()
    };
    assert!(rebuilt(&records) == bytes);
    for index in 1..records.len() {
        let mut twice = records.clone();
        twice.insert(index, records[index]);
        assert_eq!(kind_of(decode_map(&rebuilt(&twice))).0, ErrorKind::Damaged, "record {index} twice");
        let mut swapped = records.clone();
        swapped.swap(index, index - 1);
        assert_eq!(kind_of(decode_map(&rebuilt(&swapped))).0, ErrorKind::Damaged, "record {index} moved");
    }
}

#[test]
fn numbers_are_bounded_on_both_sides() {
    use super::values::{osd_id, pg_id};
    use types::limits;
    assert!(osd_id(limits::OSD_COUNT_MAX - 1).is_ok());
    assert!(osd_id(limits::OSD_COUNT_MAX).is_err());
    assert!(pg_id(1, limits::POOL_PG_NUM_MAX - 1).is_ok());
    assert!(pg_id(1, limits::POOL_PG_NUM_MAX).is_err());
}
