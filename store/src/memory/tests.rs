//! The model checked by hand, since everything else is checked against it.

use types::{ErrorKind, ObjectName, PoolId};

use super::*;

fn object(number: u32) -> ObjectId {
    ObjectId::head(PoolId(1), number, ObjectName::new(format!("o{number}")))
}

fn apply(store: &MemoryStore, op: StoreOp) {
    store.apply(&Transaction { ops: vec![op] }).expect("the op is valid");
}

fn write(store: &MemoryStore, offset: u64, data: &[u8]) {
    apply(store, StoreOp::Write { object: object(1), offset, data: Bytes::copy_from_slice(data) });
}

fn data(store: &MemoryStore, offset: u64, length: u64) -> Bytes {
    match store.read(&StoreRead::Data { object: object(1), extent: Extent { offset, length } }) {
        Ok(StoreReadResult::Data(bytes)) => bytes,
        other => panic!("{other:?}"),
    }
}

fn extents(store: &MemoryStore) -> Vec<(u64, u64)> {
    match store.read(&StoreRead::Extents { object: object(1), extent: Extent { offset: 0, length: u64::MAX } }) {
        Ok(StoreReadResult::Extents(found)) => found.iter().map(|extent| (extent.offset, extent.length)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn writes_leave_holes_that_read_as_zeroes() {
    let store = MemoryStore::new();
    write(&store, 10_000, b"abc");
    assert_eq!(data(&store, 9_998, 100), &b"\0\0abc"[..]);
    assert_eq!(data(&store, 20_000, 5), &b""[..]);
    assert_eq!(extents(&store), [(8192, 1811)]);
    write(&store, 4_000, &[7; 200]);
    assert_eq!(extents(&store), [(0, 10_003)]);
}

#[test]
fn zero_drops_covered_units_and_keeps_the_size() {
    let store = MemoryStore::new();
    write(&store, 0, &[1; 10_000]);
    apply(&store, StoreOp::Zero { object: object(1), extent: Extent { offset: 100, length: 50_000 } });
    assert_eq!(extents(&store), [(0, 4096)]);
    assert_eq!(data(&store, 99, 2), &[1, 0][..]);
    assert_eq!(data(&store, 0, 20_000).len(), 10_000);
    assert_eq!(store.usage().map(|usage| usage.used_bytes), Ok(4096));
}

#[test]
fn truncate_cuts_and_growing_again_shows_zeroes() {
    let store = MemoryStore::new();
    write(&store, 0, &[1; 10_000]);
    apply(&store, StoreOp::Truncate { object: object(1), size: 4097 });
    apply(&store, StoreOp::Truncate { object: object(1), size: 9000 });
    assert_eq!(data(&store, 4096, 2), &[1, 0][..]);
    assert_eq!(data(&store, 0, 20_000).len(), 9000);
    assert_eq!(extents(&store), [(0, 8192)]);
}

#[test]
fn clone_is_an_equal_and_goes_its_own_way() {
    let store = MemoryStore::new();
    write(&store, 0, b"source");
    apply(&store, StoreOp::OmapSet { object: object(1), entries: BTreeMap::from([(b"k".to_vec(), Bytes::new())]) });
    apply(&store, StoreOp::Clone { source: object(1), target: object(2) });
    write(&store, 0, b"change");
    let read = StoreRead::Data { object: object(2), extent: Extent { offset: 0, length: 10 } };
    assert_eq!(store.read(&read), Ok(StoreReadResult::Data(Bytes::from_static(b"source"))));
    apply(&store, StoreOp::Clone { source: object(9), target: object(2) });
    assert_eq!(store.read(&StoreRead::Meta { object: object(2) }), Ok(StoreReadResult::Meta(None)));
}

#[test]
fn omap_pages_follow_key_order_within_the_prefix() {
    let store = MemoryStore::new();
    let keys = ["a", "b1", "b2", "b3", "c"];
    let entries = keys.iter().map(|key| (key.as_bytes().to_vec(), Bytes::from_static(b"v"))).collect();
    apply(&store, StoreOp::OmapSet { object: object(1), entries });
    let page = |after: &str, keys_max| {
        let read = StoreRead::Omap { object: object(1), after: after.into(), prefix: b"b".to_vec(), keys_max };
        match store.read(&read) {
            Ok(StoreReadResult::Omap(page)) => {
                (page.entries.into_iter().map(|(key, _)| String::from_utf8(key).expect("text")).collect(), page.more)
            }
            other => panic!("{other:?}"),
        }
    };
    let expect = |keys: &[&str], more| (keys.iter().map(ToString::to_string).collect::<Vec<_>>(), more);
    assert_eq!(page("", 2), expect(&["b1", "b2"], true));
    assert_eq!(page("b2", 2), expect(&["b3"], false));
    assert_eq!(page("zz", 2), expect(&[], false));
    apply(&store, StoreOp::OmapRemoveRange { object: object(1), begin: b"b2".to_vec(), end: b"c".to_vec() });
    assert_eq!(page("", 9), expect(&["b1"], false));
}

#[test]
fn lists_resume_where_they_ended() {
    let store = MemoryStore::new();
    for number in 0..10 {
        apply(&store, StoreOp::Touch { object: object(number) });
    }
    let mut begin = Cursor::Start;
    let mut found = Vec::new();
    while begin != Cursor::End {
        let read = StoreRead::List { begin, end: Cursor::End, objects_max: 3 };
        let Ok(StoreReadResult::List { objects, next }) = store.read(&read) else { panic!("a list") };
        assert!(objects.len() <= 3);
        found.extend(objects);
        begin = next;
    }
    assert_eq!(found.len(), 10);
    assert!(found.is_sorted());
}

#[test]
fn an_object_may_reach_its_limit_and_not_exceed_it() {
    let store = MemoryStore::new();
    let limit = types::limits::OBJECT_BYTES_MAX;
    apply(&store, StoreOp::Write { object: object(1), offset: limit - 1, data: Bytes::from_static(b"x") });
    let beyond = StoreOp::Write { object: object(2), offset: limit, data: Bytes::from_static(b"x") };
    let touch = StoreOp::Touch { object: object(2) };
    let refused = store.apply(&Transaction { ops: vec![touch, beyond] }).expect_err("too large");
    assert_eq!(refused.kind, ErrorKind::Invalid);
    assert_eq!(store.read(&StoreRead::Meta { object: object(2) }), Ok(StoreReadResult::Meta(None)));
}

#[test]
fn a_clone_of_the_store_is_a_snapshot() {
    let store = MemoryStore::new();
    write(&store, 0, b"before");
    let snapshot = store.clone();
    write(&store, 0, b"after!");
    assert_eq!(data(&snapshot, 0, 6), &b"before"[..]);
    assert!(!store.is_same(&snapshot));
}
