//! Every kind of problem is planted, told by its name, and put right as far as that invents nothing.

#![expect(clippy::cast_possible_truncation, reason = "numbers of a test are bounded far below every type's limit")]

use std::sync::Arc;

use bytes::Bytes;
use types::{ErrorKind, Extent, Seed, SeededRandom, StoreOp, StoreRead, StoreReadResult, Transaction};

use super::{FsckDepth, FsckReport, Problem, RepairMode, repair};
use crate::{
    device::MemoryDevice,
    disk::{
        checkpoint::Scope,
        engine::Engine,
        keys::{all_headers, header_key, omap_key, segment_key},
        object::{Header, Segment, Unit},
        state::Change,
        superblock::SUPERBLOCK_OFFSETS,
        tests::{
            formatted, open,
            workload::{compare, object, random_step, settle, transaction},
        },
    },
    key_value::{KeyChange, KeyValue, MemoryKeyValue},
    memory::MemoryStore,
    object_store::ObjectStore,
};

/// A closed store with three objects of 300 KiB (two segments each), the third a clone of the second.
fn planted() -> (Arc<MemoryDevice>, Arc<MemoryKeyValue>, MemoryStore) {
    let (device, keys) = formatted(8 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let engine = open(&device, &keys).expect("open");
    let model = MemoryStore::new();
    let mut ops = Vec::new();
    for number in 0..2 {
        let data = Bytes::from(vec![number as u8 + 1; 300 << 10]);
        ops.push(StoreOp::Write { object: object(number), offset: 0, data });
        let entries = [(b"k".to_vec(), Bytes::from_static(b"v"))].into();
        ops.push(StoreOp::OmapSet { object: object(number), entries });
    }
    ops.push(StoreOp::Clone { source: object(1), target: object(2) });
    let transaction = Transaction { ops };
    model.apply(&transaction).expect("the model is large enough");
    submit(&engine, transaction);
    settle(&engine);
    engine.step_checkpoint(Scope::Trim);
    (device, keys, model)
}

fn submit(engine: &Engine, transaction: Transaction) {
    engine.submit(Change::Objects(transaction), Box::new(|result| assert_eq!(result, Ok(()))));
}

fn run(device: &MemoryDevice, keys: &MemoryKeyValue, mode: RepairMode) -> FsckReport {
    repair(device, keys, FsckDepth::Data, mode, &mut |_| {}).expect("check")
}

fn names(report: &FsckReport) -> Vec<&'static str> {
    report.problems.iter().map(Problem::name).collect()
}

fn header_of(keys: &MemoryKeyValue, number: u64) -> (Bytes, Header) {
    let key = header_key(&object(number));
    let content = keys.content();
    let (_, value) = content.iter().find(|(found, _)| *found == key).expect("the object is there");
    (key, Header::decode(value.clone()).expect("a header"))
}

fn put(keys: &MemoryKeyValue, key: Bytes, value: Bytes) {
    keys.write(&[&[KeyChange::Put { key, value }]]).expect("write");
}

fn read(engine: &Engine, number: u64) -> types::Result<StoreReadResult> {
    engine.read(&StoreRead::Data { object: object(number), extent: Extent { offset: 0, length: 1 << 20 } })
}

#[test]
fn a_whole_store_has_no_problems_open_or_closed_at_any_moment() {
    for seed in 0..20 {
        let mut random = SeededRandom::new(Seed(seed));
        let (device, keys) = formatted(8 << 20);
        let (device, keys) = (Arc::new(device), Arc::new(keys));
        let engine = open(&device, &keys).expect("open");
        let model = MemoryStore::new();
        for _ in 0..80 {
            let transaction = transaction(&mut random);
            model.apply(&transaction).expect("the model is large enough");
            submit(&engine, transaction);
            random_step(&engine, &mut random);
        }
        settle(&engine);
        let (before_device, before_keys) = (device.content(), keys.content());
        // The store is looked at as a crash of the process would leave it: its journal has still to be carried out.
        let report = run(&device, &keys, RepairMode::DryRun);
        assert_eq!(report.problems, [], "seed {seed}");
        let StoreReadResult::List { objects, .. } = model
            .read(&StoreRead::List { begin: types::Cursor::Start, end: types::Cursor::End, objects_max: 100 })
            .expect("list")
        else {
            panic!("a list")
        };
        assert_eq!(report.objects, objects.len() as u64);
        assert!(
            before_device == device.content() && before_keys == keys.content(),
            "seed {seed}: a check writes nothing"
        );
        assert_eq!(engine.fsck(FsckDepth::Data).expect("fsck").problems, []);
    }
}

#[test]
fn what_the_journal_still_has_to_tell_belongs_to_the_store() {
    let (device, keys) = formatted(8 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let old_keys = {
        let engine = open(&device, &keys).expect("open");
        let old_keys = keys.content();
        for number in 0..4 {
            let data = Bytes::from(vec![7; 4096]);
            submit(&engine, Transaction { ops: vec![StoreOp::Write { object: object(number), offset: 0, data }] });
        }
        settle(&engine);
        old_keys
    };
    let keys = Arc::new(MemoryKeyValue::with_content(old_keys));
    let report = run(&device, &keys, RepairMode::Apply);
    assert_eq!((report.problems.len(), report.objects, report.units_read, report.journal_records), (0, 4, 4, 4));
    assert!(open(&device, &keys).is_ok());
}

#[test]
fn leaks_are_removed() {
    let (device, keys, model) = planted();
    let before = keys.content();
    let (key, header) = header_of(&keys, 0);
    put(&keys, segment_key(7 << 16, 0), Segment::EMPTY.encode());
    put(&keys, omap_key(7 << 16, b"a"), Bytes::from_static(b"b"));
    put(&keys, omap_key(7 << 16, b"c"), Bytes::from_static(b"d"));
    put(&keys, segment_key(header.number, 9), Segment::EMPTY.encode());
    let (segment, units) = segment_of(&keys, header.number, 1);
    let mut longer = units.clone();
    longer.units[63] = Unit { place: 1500, crc: 1, damaged: false };
    put(&keys, segment.clone(), longer.encode());
    let expected = ["unit_past_end", "segment_stray", "segment_stray", "omap_stray", "unit_damaged"];
    let dry = run(&device, &keys, RepairMode::DryRun);
    assert_eq!(names(&dry), expected);
    assert_eq!(dry.repairs.len(), 5);
    let report = run(&device, &keys, RepairMode::Apply);
    assert_eq!(report.problems, [], "{:?}", report.repairs);
    assert!(keys.content() == before, "nothing but the leaks has changed");
    let engine = open(&device, &keys).expect("open");
    compare(&|read| engine.read(read), &model, "after the repair");
    assert!(key.starts_with(&all_headers().0));
}

fn segment_of(keys: &MemoryKeyValue, number: u64, index: u32) -> (Bytes, Segment) {
    let key = segment_key(number, index);
    let content = keys.content();
    let (_, value) = content.iter().find(|(found, _)| *found == key).expect("the segment is there");
    (key, Segment::decode(value.clone()).expect("a segment"))
}

#[test]
fn nothing_is_taken_for_a_leak_while_a_header_cannot_be_read() {
    let (device, keys, _) = planted();
    let (key, _) = header_of(&keys, 0);
    put(&keys, key, Bytes::from_static(&[1, 1, 0xff]));
    let before = keys.content();
    let report = run(&device, &keys, RepairMode::Apply);
    assert_eq!(names(&report), ["header", "segment_stray", "segment_stray", "omap_stray"]);
    assert!(keys.content() == before && report.repairs.is_empty());
}

#[test]
fn lost_bytes_are_marked_as_damaged_and_heal_by_a_whole_write() {
    for lost in ["flipped", "missing", "nonsense", "outside"] {
        let (device, keys, model) = planted();
        let (_, header) = header_of(&keys, 0);
        let (key, mut segment) = segment_of(&keys, header.number, 1);
        match lost {
            "flipped" => device.flip_bit((segment.units[3].place * 4096) as usize + 17, 2),
            "missing" => keys.write(&[&[KeyChange::Delete { key }]]).expect("write"),
            "nonsense" => put(&keys, key, Bytes::from_static(&[1, 1, 0, 0, 0, 0])),
            _ => {
                segment.units[3].place = 1 << 40;
                put(&keys, key, segment.encode());
            }
        }
        let report = run(&device, &keys, RepairMode::Apply);
        let marked = if lost == "missing" || lost == "nonsense" { 11 } else { 1 };
        assert_eq!(names(&report), vec!["unit_known_damaged"; marked], "{lost}");
        assert!(!report.repairs.is_empty(), "{lost}");
        let again = run(&device, &keys, RepairMode::Apply);
        assert!(again.repairs.is_empty() && again.problems.len() == marked, "{lost}: a repair is done once");

        let engine = open(&device, &keys).unwrap_or_else(|error| panic!("{lost}: {error}"));
        assert_eq!(read(&engine, 0).expect_err("never invented").kind, ErrorKind::Damaged, "{lost}");
        let whole = StoreRead::Data { object: object(0), extent: Extent { offset: 0, length: 256 << 10 } };
        assert_eq!(engine.read(&whole), model.read(&whole), "{lost}: the rest is as it was");
        assert_eq!(engine.fsck(FsckDepth::Data).expect("fsck").problems.len(), marked);
        let data = Bytes::from(vec![9; 44 << 10]);
        submit(&engine, Transaction { ops: vec![StoreOp::Write { object: object(0), offset: 256 << 10, data }] });
        settle(&engine);
        let healed = StoreReadResult::Data([vec![1; 256 << 10], vec![9; 44 << 10]].concat().into());
        assert_eq!(read(&engine, 0), Ok(healed), "{lost}");
        assert_eq!(engine.fsck(FsckDepth::Data).expect("fsck").problems, []);
    }
}

#[test]
fn damage_of_a_shared_unit_is_told_for_every_object_that_has_it() {
    let (device, keys, _) = planted();
    let (_, header) = header_of(&keys, 1);
    let (_, segment) = segment_of(&keys, header.number, 0);
    device.flip_bit((segment.units[5].place * 4096) as usize, 0);
    let report = run(&device, &keys, RepairMode::Never);
    assert_eq!(names(&report), ["unit_damaged", "unit_damaged"]);
    assert_eq!(report.unit_references, 3 * 75);
    assert_eq!(report.units_used, 2 * 75);
}

#[test]
fn what_only_another_copy_knows_is_told_and_left() {
    let (device, keys, _) = planted();
    let (key, _) = header_of(&keys, 0);
    let (_, mut header) = header_of(&keys, 1);
    let (_, own) = header_of(&keys, 0);
    header.size = own.size;
    put(&keys, key, header.encode());
    let before = keys.content();
    let report = run(&device, &keys, RepairMode::Apply);
    assert!(keys.content() == before && report.repairs.is_empty());
    assert_eq!(names(&report), ["shared_number", "segment_stray", "segment_stray", "omap_stray"]);

    let (device, keys, _) = planted();
    device.flip_bit(SUPERBLOCK_OFFSETS[1] as usize + 100, 0);
    assert_eq!(names(&run(&device, &keys, RepairMode::Never)), ["superblock"]);
    let other = MemoryKeyValue::new();
    let report = run(&device, &other, RepairMode::Apply);
    assert_eq!(names(&report), ["superblock", "unreadable"]);
    assert!(report.problems[1].to_string().contains("belongs to no store"));
}

#[test]
fn a_bitmap_that_does_not_fit_the_metadata_is_told() {
    let (device, keys, _) = planted();
    let engine = open(&device, &keys).expect("open");
    engine.state().allocator.set_used(1800);
    let (_, header) = header_of(&keys, 1);
    let (_, segment) = segment_of(&keys, header.number, 0);
    engine.state().shared.set_further(segment.units[0].place, 4);
    let report = engine.fsck(FsckDepth::Metadata).expect("fsck");
    assert_eq!(names(&report), ["allocation", "references"]);
}
