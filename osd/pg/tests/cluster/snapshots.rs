//! Snapshots of one object on one member: what reads, listings and rollbacks answer, and what trims leave.

use std::time::Duration;

use bytes::Bytes;
use osd_pg::Event;
use store::ObjectStore;
use types::{Cursor, ErrorKind, Extent, ObjectId, SnapshotId, StoreRead, StoreReadResult};
use wire::{CloneRecord, SnapshotContext, SubOp, SubOpResult};

use crate::{monitor::PG, single::Single};

const WHOLE: Extent = Extent { offset: 0, length: 1 << 20 };

/// Writes preserve these snapshots from now on.
fn under(single: &mut Single, sequence: u64, snapshots: &[u64]) {
    let snapshots = snapshots.iter().copied().map(SnapshotId).collect();
    single.context = SnapshotContext { sequence, snapshots };
}

fn write(single: &mut Single, text: &'static str) {
    single.one(1, SubOp::WriteFull(Bytes::from_static(text.as_bytes()))).expect("is written");
}

fn read(single: &mut Single) -> Result<String, ErrorKind> {
    match single.one(1, SubOp::Read(WHOLE))? {
        SubOpResult::Data(data) => Ok(String::from_utf8(data.to_vec()).expect("text")),
        other => panic!("{other:?} is no data"),
    }
}

fn read_at(single: &mut Single, snapshot: u64) -> Result<String, ErrorKind> {
    single.snapshot = SnapshotId(snapshot);
    let text = read(single);
    single.snapshot = SnapshotId::HEAD;
    text
}

fn clones(single: &mut Single) -> Vec<CloneRecord> {
    match single.one(1, SubOp::ListSnapshots { after: SnapshotId(0) }) {
        Ok(SubOpResult::Snapshots { clones, next: None, .. }) => clones,
        other => panic!("{other:?} is no listing of snapshots"),
    }
}

fn numbers(single: &mut Single) -> Vec<(u64, Vec<u64>)> {
    let numbers = |clone: &CloneRecord| (clone.clone.0, clone.snapshots.iter().map(|snapshot| snapshot.0).collect());
    clones(single).iter().filter(|clone| clone.clone != SnapshotId::HEAD).map(numbers).collect()
}

fn remove_snapshot(single: &mut Single, snapshot: u64) {
    single.monitor.remove_snapshot(SnapshotId(snapshot));
    let map = single.monitor.newest().clone();
    single.hear(Event::NewMap(map));
    single.advance(Duration::from_secs(5));
}

/// What the store holds besides the group's own.
fn stored(single: &Single) -> Vec<ObjectId> {
    let list = StoreRead::List { begin: Cursor::Start, end: Cursor::End, objects_max: 1000 };
    match single.store.read(&list) {
        Ok(StoreReadResult::List { objects, .. }) => {
            objects.into_iter().filter(|object| !object.is_pg_meta()).collect()
        }
        other => panic!("{other:?} is no listing"),
    }
}

fn index_entries(single: &Single) -> usize {
    let object = ObjectId::snapshot_index(PG);
    let read = StoreRead::Omap { object, after: Vec::new(), prefix: Vec::new(), keys_max: 1000 };
    match single.store.read(&read) {
        Ok(StoreReadResult::Omap(page)) => page.entries.len(),
        other => panic!("{other:?} is no omap"),
    }
}

/// "one" at 1, "two" at 2 and 3, "three" now.
fn with_history() -> Single {
    let mut single = Single::new();
    write(&mut single, "one");
    under(&mut single, 1, &[1]);
    write(&mut single, "two");
    under(&mut single, 3, &[3, 2, 1]);
    write(&mut single, "three");
    single
}

#[test]
fn a_snapshot_shows_what_was_there_and_the_object_what_is() {
    let mut single = with_history();
    assert_eq!(read(&mut single).as_deref(), Ok("three"));
    for (snapshot, text) in [(1, "one"), (2, "two"), (3, "two"), (4, "three")] {
        assert_eq!(read_at(&mut single, snapshot).as_deref(), Ok(text), "at {snapshot}");
    }
    assert_eq!(numbers(&mut single), [(1, vec![1]), (3, vec![3, 2])]);
    assert_eq!(index_entries(&single), 3);
}

#[test]
fn only_the_first_write_after_a_snapshot_clones() {
    let mut single = with_history();
    write(&mut single, "four");
    write(&mut single, "five");
    single.one(1, SubOp::Watch { cookie: 1, timeout_ms: 30_000 }).expect("is watched");
    under(&mut single, 9, &[9, 3, 2, 1]);
    single.one(1, SubOp::Unwatch { cookie: 1 }).expect("ends");
    assert_eq!(stored(&single).len(), 3, "to watch changes nothing that a snapshot keeps");
    let refused = single.one(1, SubOp::Create { exclusive: true });
    assert_eq!(refused, Err(ErrorKind::Exists));
    assert_eq!(stored(&single).len(), 3, "what failed has changed nothing");
    assert_eq!(read_at(&mut single, 9).as_deref(), Ok("five"));
}

#[test]
fn an_object_that_is_removed_stays_in_its_snapshots_and_nowhere_else() {
    let mut single = with_history();
    under(&mut single, 4, &[4, 3, 2, 1]);
    single.one(1, SubOp::Remove).expect("is removed");
    assert_eq!(read(&mut single), Err(ErrorKind::NotFound));
    assert_eq!(read_at(&mut single, 4).as_deref(), Ok("three"));
    assert_eq!(read_at(&mut single, 5), Err(ErrorKind::NotFound));
    under(&mut single, 5, &[5, 4, 3, 2, 1]);
    write(&mut single, "anew");
    assert_eq!(read_at(&mut single, 5), Err(ErrorKind::NotFound), "it did not exist then");
    assert_eq!(read_at(&mut single, 6).as_deref(), Ok("anew"));
}

/// A writer that knows of fewer snapshots than those who wrote before must not give a clone's number twice.
#[test]
fn an_object_made_anew_by_one_who_knows_less_keeps_older_clones() {
    let mut single = with_history();
    single.one(1, SubOp::Remove).expect("is removed");
    under(&mut single, 1, &[1]);
    write(&mut single, "stale");
    under(&mut single, 3, &[3, 2, 1]);
    write(&mut single, "newer");
    assert_eq!(read_at(&mut single, 3).as_deref(), Ok("two"));
    assert_eq!(read_at(&mut single, 1).as_deref(), Ok("one"));
    assert_eq!(numbers(&mut single), [(1, vec![1]), (3, vec![3, 2])]);
}

#[test]
fn going_back_brings_all_of_the_object_and_preserves_what_it_leaves() {
    let mut single = Single::new();
    write(&mut single, "one");
    single.one(1, SubOp::SetXattr { name: b"a".to_vec(), value: Bytes::from_static(b"1") }).expect("is set");
    single.one(1, SubOp::OmapSet([(b"k".to_vec(), Bytes::from_static(b"v"))].into())).expect("is set");
    under(&mut single, 1, &[1]);
    write(&mut single, "two, and longer");
    single.one(1, SubOp::ClearXattrs).expect("are cleared");
    single.one(1, SubOp::OmapClear).expect("is cleared");
    under(&mut single, 2, &[2, 1]);
    let guarded = vec![SubOp::AssertExists, SubOp::Rollback(SnapshotId(1)), SubOp::Append(Bytes::from_static(b"!"))];
    single.ask(1, guarded).expect("goes back");
    assert_eq!(read(&mut single).as_deref(), Ok("one!"));
    assert_eq!(single.one(1, SubOp::GetXattr(b"a".to_vec())), Ok(SubOpResult::Data(Bytes::from_static(b"1"))));
    let Ok(SubOpResult::Omap(page)) = single.one(1, SubOp::OmapGetKeys(vec![b"k".to_vec()])) else { panic!("no omap") };
    assert_eq!(page.entries.len(), 1);
    assert_eq!(read_at(&mut single, 1).as_deref(), Ok("one"));
    assert_eq!(read_at(&mut single, 2).as_deref(), Ok("two, and longer"));
}

#[test]
fn going_back_to_before_an_object_existed_removes_it_and_to_what_is_does_nothing() {
    let mut single = Single::new();
    under(&mut single, 5, &[5]);
    write(&mut single, "new");
    single.one(1, SubOp::Rollback(SnapshotId(6))).expect("nobody wrote since");
    assert_eq!(read(&mut single).as_deref(), Ok("new"));
    single.one(1, SubOp::Rollback(SnapshotId(5))).expect("it was not there");
    assert_eq!(read(&mut single), Err(ErrorKind::NotFound));
    single.one(1, SubOp::Rollback(SnapshotId(5))).expect("nor is it now");
    assert!(stored(&single).is_empty());
}

#[test]
fn a_repeated_rollback_is_not_carried_out_again() {
    let mut single = with_history();
    single.one(1, SubOp::Rollback(SnapshotId(1))).expect("goes back");
    let sequence = single.sequence;
    write(&mut single, "later");
    single.sequence = sequence - 1;
    assert_eq!(single.one(1, SubOp::Rollback(SnapshotId(1))), Ok(SubOpResult::Done));
    single.sequence += 10;
    assert_eq!(read(&mut single).as_deref(), Ok("later"));
}

#[test]
fn what_is_shared_with_the_clone_before_is_known() {
    let mut single = Single::new();
    write(&mut single, "0123456789");
    under(&mut single, 1, &[1]);
    single.one(1, SubOp::Write { offset: 4, data: Bytes::from_static(b"xx") }).expect("is written");
    let shared = |from: u64, length: u64| Extent { offset: from, length };
    assert_eq!(clones(&mut single)[0].overlap, [shared(0, 4), shared(6, 4)]);
    single.one(1, SubOp::Truncate(8)).expect("is cut");
    assert_eq!(clones(&mut single)[0].overlap, [shared(0, 4), shared(6, 2)]);
    under(&mut single, 2, &[2, 1]);
    single.one(1, SubOp::Zero(shared(0, 1))).expect("is zeroed");
    let all = clones(&mut single);
    assert_eq!((&all[0].overlap[..], all[0].size), (&[shared(0, 4), shared(6, 2)][..], 10));
    assert_eq!((&all[1].overlap[..], all[1].size), (&[shared(1, 7)][..], 8));
}

#[test]
fn trims_take_what_was_removed_and_nothing_else() {
    let mut single = with_history();
    remove_snapshot(&mut single, 2);
    assert_eq!(numbers(&mut single), [(1, vec![1]), (3, vec![3])]);
    assert_eq!(read_at(&mut single, 2), Err(ErrorKind::NotFound));
    assert_eq!(single.one(1, SubOp::Rollback(SnapshotId(2))), Err(ErrorKind::NotFound));
    assert_eq!(read_at(&mut single, 3).as_deref(), Ok("two"));
    remove_snapshot(&mut single, 3);
    assert_eq!((numbers(&mut single), index_entries(&single)), (vec![(1, vec![1])], 1));
    remove_snapshot(&mut single, 1);
    assert_eq!((stored(&single).len(), index_entries(&single)), (1, 0));
    // Who has not heard of it makes no clone for what is gone.
    under(&mut single, 3, &[3, 2, 1]);
    single.one(1, SubOp::Remove).expect("is removed");
    write(&mut single, "anew");
    assert_eq!(stored(&single).len(), 1);
}

#[test]
fn many_clones_are_trimmed_within_the_pace_and_all_in_the_end() {
    let mut single = Single::new();
    for snapshot in 1..=100u64 {
        let all: Vec<u64> = (1..=snapshot).rev().collect();
        write(&mut single, "text");
        under(&mut single, snapshot, &all);
    }
    write(&mut single, "text");
    assert_eq!(stored(&single).len(), 101);
    for snapshot in (1..=100).filter(|snapshot| snapshot % 3 > 0) {
        single.monitor.remove_snapshot(SnapshotId(snapshot));
        let map = single.monitor.newest().clone();
        single.hear(Event::NewMap(map));
    }
    single.advance(Duration::from_secs(60));
    assert_eq!((stored(&single).len(), index_entries(&single)), (34, 33));
}

#[test]
fn a_pool_with_named_snapshots_preserves_them_for_clients_that_know_nothing() {
    let mut single = Single::new();
    write(&mut single, "one");
    single.monitor.change_pool(|pool| {
        pool.flags = map::PoolFlags::HASHPSPOOL.with(map::PoolFlags::POOL_SNAPSHOTS);
        pool.snapshot_sequence = 1_000_001;
        pool.snapshots.insert(1_000_001, "monday".to_owned());
    });
    let map = single.monitor.newest().clone();
    single.hear(Event::NewMap(map));
    write(&mut single, "two");
    assert_eq!(read_at(&mut single, 1_000_001).as_deref(), Ok("one"));
    remove_snapshot(&mut single, 1_000_001);
    assert_eq!(stored(&single).len(), 1);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut single = with_history();
    let invalid = |single: &mut Single, ops: Vec<SubOp>| {
        assert_eq!(single.ask(1, ops.clone()).expect_err("is refused").error.kind, ErrorKind::Invalid, "{ops:?}");
    };
    let back = SubOp::Rollback(SnapshotId(1));
    let append = SubOp::Append(Bytes::from_static(b"!"));
    let list = SubOp::ListSnapshots { after: SnapshotId(0) };
    invalid(&mut single, vec![append.clone(), back.clone()]);
    invalid(&mut single, vec![back.clone(), back.clone()]);
    invalid(&mut single, vec![SubOp::Rollback(SnapshotId(0))]);
    invalid(&mut single, vec![SubOp::Rollback(SnapshotId::HEAD)]);
    invalid(&mut single, vec![list.clone(), SubOp::Stat]);
    let trim = SubOp::TrimClone { clone: SnapshotId(1), snapshot: SnapshotId(1), cloned_at: types::LogVersion::ZERO };
    invalid(&mut single, vec![trim]);
    single.snapshot = SnapshotId(1);
    invalid(&mut single, vec![append.clone()]);
    invalid(&mut single, vec![SubOp::ListWatchers]);
    single.snapshot = SnapshotId::HEAD;
    for (sequence, snapshots) in [(2, vec![3]), (3, vec![1, 2]), (3, vec![2, 2]), (3, vec![0]), (u64::MAX, vec![1])] {
        under(&mut single, sequence, &snapshots);
        invalid(&mut single, vec![append.clone()]);
    }
    under(&mut single, 3, &[3, 2, 1]);
    assert_eq!(read(&mut single).as_deref(), Ok("three"));
}
