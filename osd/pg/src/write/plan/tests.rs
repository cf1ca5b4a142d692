//! The meaning of each step, on an object that is there and on one that is not.

use std::collections::BTreeMap;

use types::{ClientId, Epoch, ErrorKind, ObjectName, PgId, PoolId, RequestId, SnapshotId};
use wire::{OpFlags, OpTarget, SnapshotContext};

use super::*;

fn object() -> ObjectId {
    ObjectId::head(PoolId(1), 7, ObjectName::new("o"))
}

fn operation(ops: Vec<SubOp>) -> ClientOp {
    ClientOp {
        request: RequestId { client: ClientId(1), sequence: 1 },
        lowest_open: 1,
        epoch: Epoch(1),
        pg: PgId { pool: PoolId(1), seed: 0 },
        target: OpTarget::Object { name: ObjectName::new("o"), hash: 7 },
        snapshot: SnapshotId::HEAD,
        snapshot_context: SnapshotContext::default(),
        flags: OpFlags::default(),
        modified_ms: 99,
        ops,
    }
}

fn numbers() -> Numbers {
    Numbers { version: LogVersion::new(Epoch(2), 10), user_version: 5 }
}

/// "hello" with attribute a=1 and header h.
fn there() -> Loaded {
    let meta = ObjectMeta {
        size: 5,
        xattrs: [(b"a".to_vec(), Bytes::from_static(b"1"))].into(),
        omap_header: Bytes::from_static(b"h"),
    };
    let info = ObjectInfo {
        version: LogVersion::new(Epoch(1), 3),
        user_version: 3,
        modified_ms: 50,
        size: 5,
        snapshot_context: SnapshotContext::default(),
    };
    Loaded { state: ObjectState { existing: Some(Existing { meta, info }) }, steps: BTreeMap::new() }
}

fn planned(ops: Vec<SubOp>, loaded: &Loaded) -> Result<Plan, OpFailure> {
    plan(&object(), &operation(ops), loaded, numbers())
}

fn size_after(ops: Vec<SubOp>, loaded: &Loaded) -> Option<u64> {
    let effect = planned(ops, loaded).expect("plans").effect.expect("is a write");
    effect.next.existing.map(|existing| {
        assert_eq!(existing.meta.size, existing.info.size);
        assert_eq!(existing.info.version, numbers().version);
        existing.meta.size
    })
}

fn failure(ops: Vec<SubOp>, loaded: &Loaded) -> (ErrorKind, Option<u32>) {
    let failure = planned(ops, loaded).expect_err("must fail");
    (failure.error.kind, failure.step)
}

fn data(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn sizes_follow_writes() {
    let absent = Loaded::default();
    assert_eq!(size_after(vec![SubOp::Write { offset: 3, data: data("abc") }], &there()), Some(6));
    assert_eq!(size_after(vec![SubOp::Write { offset: 1, data: data("abc") }], &there()), Some(5));
    assert_eq!(size_after(vec![SubOp::Write { offset: 9, data: data("") }], &there()), Some(5));
    assert_eq!(size_after(vec![SubOp::Append(data("abc")), SubOp::Append(data("d"))], &there()), Some(9));
    assert_eq!(size_after(vec![SubOp::Append(data("abc"))], &absent), Some(3));
    assert_eq!(size_after(vec![SubOp::WriteFull(data("x"))], &there()), Some(1));
    assert_eq!(size_after(vec![SubOp::Zero(Extent { offset: 3, length: 100 })], &there()), Some(5));
    assert_eq!(size_after(vec![SubOp::Zero(Extent { offset: 3, length: 100 })], &absent), Some(0));
    assert_eq!(size_after(vec![SubOp::Truncate(2), SubOp::Truncate(7)], &there()), Some(7));
    assert_eq!(size_after(vec![SubOp::Create { exclusive: false }], &there()), Some(5));
    assert_eq!(size_after(vec![SubOp::Remove], &there()), None);
    assert_eq!(size_after(vec![SubOp::Remove, SubOp::Create { exclusive: true }], &there()), Some(0));
}

#[test]
fn both_sides_of_the_object_limit() {
    let write = |offset| vec![SubOp::Write { offset, data: data("abcd") }];
    assert_eq!(size_after(write(limits::OBJECT_BYTES_MAX - 4), &there()), Some(limits::OBJECT_BYTES_MAX));
    assert_eq!(failure(write(limits::OBJECT_BYTES_MAX - 3), &there()), (ErrorKind::Invalid, Some(0)));
    assert_eq!(failure(write(u64::MAX), &there()), (ErrorKind::Invalid, Some(0)));
    assert_eq!(failure(vec![SubOp::Truncate(limits::OBJECT_BYTES_MAX + 1)], &there()), (ErrorKind::Invalid, Some(0)));
}

#[test]
fn a_guard_that_does_not_hold_names_its_step_and_nothing_happens() {
    let create = SubOp::Create { exclusive: true };
    assert_eq!(failure(vec![SubOp::AssertExists, create.clone()], &there()), (ErrorKind::Exists, Some(1)));
    assert_eq!(failure(vec![SubOp::AssertExists], &Loaded::default()), (ErrorKind::NotFound, Some(0)));
    assert_eq!(
        failure(vec![create.clone(), SubOp::AssertVersion(4)], &Loaded::default()),
        (ErrorKind::Exists, Some(1))
    );
    assert_eq!(size_after(vec![SubOp::AssertVersion(3), SubOp::Truncate(1)], &there()), Some(1));
    assert_eq!(size_after(vec![SubOp::AssertVersion(0), create], &Loaded::default()), Some(0));
    assert_eq!(failure(vec![SubOp::Remove], &Loaded::default()), (ErrorKind::NotFound, Some(0)));
    assert_eq!(failure(vec![SubOp::Remove, SubOp::Remove], &there()), (ErrorKind::NotFound, Some(1)));
}

#[test]
fn comparisons_are_in_byte_order_and_absent_is_empty() {
    let holds = |name: &str, comparison, value| {
        let guard = SubOp::CompareXattr { name: name.as_bytes().to_vec(), comparison, value: data(value) };
        planned(vec![guard], &there()).is_ok()
    };
    assert!(holds("a", Comparison::Equal, "1"));
    assert!(!holds("a", Comparison::NotEqual, "1"));
    assert!(holds("a", Comparison::Less, "10"));
    assert!(holds("a", Comparison::GreaterOrEqual, ""));
    assert!(!holds("a", Comparison::Greater, "2"));
    assert!(holds("b", Comparison::Equal, ""));
    assert!(holds("b", Comparison::LessOrEqual, "0"));
    let mut loaded = there();
    let page = OmapPage { entries: vec![(b"k".to_vec(), data("v"))], more: false };
    loaded.steps.insert(0, StoreReadResult::Omap(page));
    let guard = |value| SubOp::CompareOmap { key: b"k".to_vec(), comparison: Comparison::Equal, value: data(value) };
    assert!(planned(vec![guard("v")], &loaded).is_ok());
    assert_eq!(failure(vec![guard("w")], &loaded), (ErrorKind::Exists, Some(0)));
    loaded.steps.insert(0, StoreReadResult::Data(data("he")));
    let guard = |text| SubOp::CompareExtent { offset: 0, data: data(text) };
    assert!(planned(vec![guard("he")], &loaded).is_ok());
    assert_eq!(failure(vec![guard("hello")], &loaded), (ErrorKind::Exists, Some(0)));
}

#[test]
fn reads_answer_what_was_loaded() {
    let mut loaded = there();
    loaded.steps.insert(1, StoreReadResult::Data(data("ell")));
    let extent = Extent { offset: 1, length: 3 };
    let ops = vec![SubOp::Stat, SubOp::Read(extent), SubOp::GetXattr(b"a".to_vec()), SubOp::OmapGetHeader];
    let plan = planned(ops, &loaded).expect("plans");
    assert!(plan.effect.is_none());
    let expected = vec![
        SubOpResult::Stat { size: 5, modified_ms: 50 },
        SubOpResult::Data(data("ell")),
        SubOpResult::Data(data("1")),
        SubOpResult::Data(data("h")),
    ];
    assert_eq!(plan.results, expected);
    assert_eq!(failure(vec![SubOp::GetXattr(b"b".to_vec())], &there()), (ErrorKind::NotFound, Some(0)));
    assert_eq!(failure(vec![SubOp::Stat], &Loaded::default()), (ErrorKind::NotFound, Some(0)));
}

#[test]
fn a_look_behind_a_change_of_the_same_bytes_is_refused() {
    let mut loaded = there();
    loaded.steps.insert(1, StoreReadResult::Data(data("hello")));
    let read = SubOp::Read(Extent { offset: 0, length: 5 });
    assert_eq!(failure(vec![SubOp::Append(data("x")), read], &loaded), (ErrorKind::Invalid, Some(1)));
    let set = SubOp::SetXattr { name: b"b".to_vec(), value: data("2") };
    let plan = planned(vec![set, SubOp::GetXattr(b"b".to_vec())], &there()).expect("attributes are followed");
    assert_eq!(plan.results, vec![SubOpResult::Done, SubOpResult::Data(data("2"))]);
}

#[test]
fn users_cannot_name_the_reserved_attribute() {
    for name in [OBJECT_INFO_XATTR.to_vec(), b"".to_vec()] {
        let set = SubOp::SetXattr { name: name.clone(), value: data("2") };
        assert_eq!(failure(vec![set], &there()), (ErrorKind::Invalid, Some(0)));
        assert_eq!(failure(vec![SubOp::RemoveXattr(name)], &there()), (ErrorKind::Invalid, Some(0)));
    }
}

#[test]
fn both_sides_of_the_limit_on_attributes() {
    let fill = |last: usize| -> Vec<SubOp> {
        let full = limits::XATTR_VALUE_BYTES_MAX;
        let name = |number: usize| format!("{number:02}").into_bytes();
        let rest = limits::XATTR_SUM_BYTES_MAX - 15 * (full + 2) - 2;
        let mut ops: Vec<SubOp> =
            (0..15).map(|number| SubOp::SetXattr { name: name(number), value: Bytes::from(vec![0; full]) }).collect();
        ops.push(SubOp::SetXattr { name: name(15), value: Bytes::from(vec![0; rest + last]) });
        ops
    };
    assert_eq!(size_after(fill(0), &Loaded::default()), Some(0));
    assert_eq!(failure(fill(1), &Loaded::default()), (ErrorKind::Invalid, Some(15)));
}
