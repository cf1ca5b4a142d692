//! The meaning of each step, on an object that is there and on one that is not.

use types::{ClientId, Epoch, ErrorKind, ObjectName, OmapPage, PgId, PoolId, RequestId, SnapshotId, StoreReadResult};
use wire::{Comparison, OpFlags, OpTarget, SnapshotContext};

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
        allocation_hint: None,
        watchers: Vec::new(),
        overlap: None,
        cloned_at: None,
    };
    Loaded { state: ObjectState { existing: Some(Existing { meta, info }) }, ..Loaded::default() }
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
    loaded.steps.insert(0, vec![StoreReadResult::Omap(page)]);
    let guard = |value| SubOp::CompareOmap { key: b"k".to_vec(), comparison: Comparison::Equal, value: data(value) };
    assert!(planned(vec![guard("v")], &loaded).is_ok());
    assert_eq!(failure(vec![guard("w")], &loaded), (ErrorKind::Exists, Some(0)));
    loaded.steps.insert(0, vec![StoreReadResult::Data(data("he"))]);
    let guard = |text| SubOp::CompareExtent { offset: 0, data: data(text) };
    assert!(planned(vec![guard("he")], &loaded).is_ok());
    assert_eq!(failure(vec![guard("hello")], &loaded), (ErrorKind::Exists, Some(0)));
}

#[test]
fn reads_answer_what_was_loaded() {
    let mut loaded = there();
    loaded.steps.insert(1, vec![StoreReadResult::Data(data("ell"))]);
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
    loaded.steps.insert(1, vec![StoreReadResult::Data(data("hello"))]);
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

fn loaded_with(step: usize, results: Vec<StoreReadResult>) -> Loaded {
    let mut loaded = there();
    loaded.steps.insert(step, results);
    loaded
}

#[test]
fn repeats_fill_a_range_whole_or_not_at_all() {
    let same = |offset, length, text| SubOp::WriteSame { extent: Extent { offset, length }, data: data(text) };
    assert_eq!(size_after(vec![same(3, 6, "ab")], &there()), Some(9));
    assert_eq!(size_after(vec![same(0, 0, "ab")], &there()), Some(5));
    let effect = planned(vec![same(3, 6, "ab")], &there()).expect("plans").effect.expect("is a write");
    assert!(effect.transaction.ops.contains(&StoreOp::Write { object: object(), offset: 3, data: data("ababab") }));
    assert_eq!(failure(vec![same(0, 5, "ab")], &there()), (ErrorKind::Invalid, Some(0)));
    assert_eq!(failure(vec![same(0, 5, "")], &there()), (ErrorKind::Invalid, Some(0)));
    let limit = limits::OPERATION_PAYLOAD_BYTES_MAX as u64;
    assert_eq!(size_after(vec![same(0, limit, "ab")], &there()), Some(limit));
    assert_eq!(failure(vec![same(0, limit + 2, "ab")], &there()), (ErrorKind::Invalid, Some(0)));
    assert_eq!(failure(vec![same(limits::OBJECT_BYTES_MAX, 2, "ab")], &there()), (ErrorKind::Invalid, Some(0)));
}

#[test]
fn sparse_reads_answer_only_what_holds_data() {
    let asked = Extent { offset: 1, length: 100 };
    let extents = vec![Extent { offset: 1, length: 2 }, Extent { offset: 4, length: 1 }];
    let answers = vec![StoreReadResult::Extents(extents.clone()), StoreReadResult::Data(data("ello"))];
    let loaded = loaded_with(0, answers);
    let plan = planned(vec![SubOp::SparseRead(asked)], &loaded).expect("plans");
    assert_eq!(plan.results, vec![SubOpResult::Sparse { extents: extents.clone(), data: data("elo") }]);
    let loaded = loaded_with(0, vec![StoreReadResult::Extents(extents.clone())]);
    let plan = planned(vec![SubOp::MapExtents(asked)], &loaded).expect("plans");
    assert_eq!(plan.results, vec![SubOpResult::Extents(extents)]);
    assert_eq!(failure(vec![SubOp::MapExtents(asked)], &Loaded::default()), (ErrorKind::NotFound, Some(0)));
    assert_eq!(failure(vec![SubOp::SparseRead(asked)], &Loaded::default()), (ErrorKind::NotFound, Some(0)));
}

#[test]
fn checksums_are_of_ranges_within_the_object() {
    let sum = |offset, length, chunk| {
        let extent = Extent { offset, length };
        vec![SubOp::Checksum { kind: wire::ChecksumKind::Crc32c, seed: 0, extent, chunk }]
    };
    let loaded = loaded_with(0, vec![StoreReadResult::Data(data("ello"))]);
    let plan = planned(sum(1, 4, 2), &loaded).expect("just inside");
    assert!(matches!(&plan.results[..], [SubOpResult::Data(sums)] if sums.len() == 8));
    assert!(planned(sum(1, 0, 0), &loaded).is_ok(), "all from the offset on");
    assert_eq!(failure(sum(1, 5, 0), &loaded), (ErrorKind::Invalid, Some(0)));
    assert_eq!(failure(sum(1, 4, 3), &loaded), (ErrorKind::Invalid, Some(0)));
    assert_eq!(failure(sum(0, 0, 0), &Loaded::default()), (ErrorKind::NotFound, Some(0)));
}

#[test]
fn attributes_compare_as_numbers() {
    let holds = |name: &str, comparison, value| {
        let guard = SubOp::CompareXattrNumber { name: name.as_bytes().to_vec(), comparison, value };
        planned(vec![guard], &there()).map(drop).map_err(|failure| failure.error.kind)
    };
    assert_eq!(holds("a", Comparison::Less, 10), Ok(()), "as text, 10 would be before 2");
    assert_eq!(holds("a", Comparison::Greater, 1), Err(ErrorKind::Exists));
    assert_eq!(holds("absent", Comparison::Equal, 0), Ok(()));
    let set = SubOp::SetXattr { name: b"word".to_vec(), value: data("one") };
    let guard = SubOp::CompareXattrNumber { name: b"word".to_vec(), comparison: Comparison::Equal, value: 1 };
    assert_eq!(failure(vec![set, guard], &there()), (ErrorKind::Invalid, Some(1)));
}

#[test]
fn pages_of_omap_end_at_their_range_and_at_their_bytes() {
    let entry = |key: &str, length: usize| (key.as_bytes().to_vec(), Bytes::from(vec![7; length]));
    let page = |entries, more| StoreReadResult::Omap(OmapPage { entries, more });
    let answer = |op, results| match &planned(vec![op], &loaded_with(0, results)).expect("plans").results[..] {
        [SubOpResult::Omap(page)] => {
            let keys: Vec<String> =
                page.entries.iter().map(|(key, _)| String::from_utf8(key.clone()).expect("text")).collect();
            (keys.join(" "), page.more)
        }
        other => panic!("{other:?} is not one page"),
    };
    let range = |end: &str, keys_max| SubOp::OmapGetRange { begin: b"b".to_vec(), end: end.into(), keys_max };
    let first = || page(vec![entry("b", 1)], false);
    let rest = || page(vec![entry("c", 1), entry("d", 1)], true);
    assert_eq!(answer(range("", 9), vec![first(), rest()]), ("b c d".to_owned(), true));
    assert_eq!(answer(range("d", 9), vec![first(), rest()]), ("b c".to_owned(), false));
    assert_eq!(answer(range("e", 9), vec![first(), rest()]), ("b c d".to_owned(), true));
    assert_eq!(answer(range("d", 1), vec![first(), rest()]), ("b".to_owned(), true));

    let names = SubOp::OmapGetNames { after: Vec::new(), prefix: Vec::new(), keys_max: 9 };
    let large = limits::OMAP_VALUE_BYTES_MAX;
    let entries: Vec<_> = (0..9).map(|number| entry(&number.to_string(), large - 1)).collect();
    assert_eq!(answer(names, vec![page(entries.clone(), false)]), ("0 1 2 3 4 5 6 7 8".to_owned(), false));
    let whole = SubOp::OmapGet { after: Vec::new(), prefix: Vec::new(), keys_max: 9 };
    let fits = entries[..8].to_vec();
    assert_eq!(answer(whole.clone(), vec![page(fits, false)]), ("0 1 2 3 4 5 6 7".to_owned(), false));
    assert_eq!(answer(whole.clone(), vec![page(entries, false)]), ("0 1 2 3 4 5 6 7".to_owned(), true));

    let mut loaded = there();
    let full: Vec<_> = (0..8).map(|number| entry(&number.to_string(), large - 1)).collect();
    (0..5).for_each(|step| drop(loaded.steps.insert(step, vec![page(full.clone(), false)])));
    assert!(planned(vec![whole.clone(); 4], &loaded).is_ok(), "as many bytes as one reply holds");
    assert_eq!(failure(vec![whole; 5], &loaded), (ErrorKind::Invalid, Some(4)));
}

#[test]
fn all_attributes_go_but_ours() {
    let plan = planned(vec![SubOp::ClearXattrs, SubOp::GetXattrs], &there()).expect("plans");
    assert_eq!(plan.results[1], SubOpResult::Xattrs(Default::default()));
    let effect = plan.effect.expect("is a write");
    assert!(effect.transaction.ops.contains(&StoreOp::RemoveXattr { object: object(), name: b"a".to_vec() }));
    assert_eq!(failure(vec![SubOp::ClearXattrs], &Loaded::default()), (ErrorKind::NotFound, Some(0)));
}

#[test]
fn an_allocation_hint_is_kept_until_the_object_goes() {
    let hint = AllocationHint { object_bytes: 1 << 22, write_bytes: 4096, flags: 1 };
    let hint_after = |ops| {
        let effect = planned(ops, &Loaded::default()).expect("plans").effect.expect("is a write");
        effect.next.existing.expect("exists").info.allocation_hint
    };
    let set = SubOp::SetAllocationHint(hint);
    assert_eq!(hint_after(vec![set.clone(), SubOp::Append(data("x"))]), Some(hint));
    assert_eq!(hint_after(vec![set, SubOp::Remove, SubOp::Create { exclusive: true }]), None);
}

/// Runs the operation's class methods on the object and plans with what they did.
fn called(ops: Vec<SubOp>, loaded: &Loaded) -> Result<Plan, OpFailure> {
    let op = operation(ops);
    let source = |_: &types::StoreRead| Ok(StoreReadResult::Omap(OmapPage::default()));
    let calls = super::super::calls::ClassCalls::of(&object(), &op, Some(&loaded.state)).expect("has calls");
    let loaded = Loaded { calls: calls.run(1_000, &source), ..loaded.clone() };
    plan(&object(), &op, &loaded, numbers())
}

fn call(class: &str, method: &str, input: &'static str) -> SubOp {
    SubOp::Call { class: class.to_owned(), method: method.to_owned(), input: data(input) }
}

const ADD_5: &str = r#"{"key": "n", "value": "5"}"#;

#[test]
fn a_call_joins_the_transaction_and_its_output_is_remembered() {
    let plan = called(vec![call("numeric", "add", ADD_5), call("numeric", "mul", ADD_5)], &there()).expect("plans");
    assert_eq!(plan.results, vec![SubOpResult::Data(data("5")), SubOpResult::Data(data("25"))]);
    let effect = plan.effect.expect("is a write");
    assert_eq!(effect.outputs, vec![(0, data("5")), (1, data("25"))]);
    let set = |value| StoreOp::OmapSet { object: object(), entries: [(b"n".to_vec(), data(value))].into() };
    assert!(effect.transaction.ops.contains(&set("5")) && effect.transaction.ops.contains(&set("25")));
}

#[test]
fn a_call_sees_the_steps_before_it_and_the_steps_behind_see_what_it_did() {
    let record = call("hello", "record_hello", "Ika");
    assert_eq!(called(vec![record.clone()], &there()).expect_err("the object is there").error.kind, ErrorKind::Exists);
    let plan = called(vec![SubOp::Remove, record, SubOp::GetXattr(b"hello.to".to_vec()), SubOp::Stat], &there());
    let plan = plan.expect("the object was removed in front of it");
    assert_eq!(plan.results[2], SubOpResult::Data(data("Ika")));
    assert_eq!(plan.results[3], SubOpResult::Stat { size: 11, modified_ms: 50 });
    let read = SubOp::Read(Extent { offset: 0, length: 5 });
    let refused = called(vec![SubOp::Remove, call("hello", "record_hello", ""), read], &there());
    assert_eq!(refused.expect_err("bytes behind a change").step, Some(2));
}

#[test]
fn a_call_that_only_looks_makes_no_write_and_a_refused_one_names_its_step() {
    let plan = called(vec![call("hello", "say_hello", "Ika")], &Loaded::default()).expect("plans");
    assert!(plan.effect.is_none(), "no write");
    assert_eq!(plan.results, vec![SubOpResult::Data(data("Hello, Ika!"))]);
    let assert_locked = call("lock", "assert_locked", r#"{"name": "l", "kind": "exclusive"}"#);
    let refused = called(vec![SubOp::AssertExists, assert_locked, SubOp::Truncate(0)], &there());
    let refused = refused.expect_err("nobody holds it");
    assert_eq!((refused.error.kind, refused.step), (ErrorKind::Exists, Some(1)));
    let refused = called(vec![call("nothing", "at_all", "")], &there()).expect_err("there is no such class");
    assert_eq!((refused.error.kind, refused.step), (ErrorKind::Invalid, Some(0)));
}
