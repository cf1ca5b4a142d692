//! Both sides of every bound that reading enforces: just inside passes, just outside is refused as `Invalid`.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{
    Error, ErrorKind, Extent, LogVersion, ObjectId, ObjectName, OmapPage, Result, StoreOp, Transaction, limits,
};
use wire::{
    BackfillPage, ClientOp, MapShare, Message, PgBody, PushChunk, Replicate, SubOp, SubOpResult, VerifyPage,
    VerifyRequest, decode_control_request, decode_message, encode_control_request, encode_message,
};

use crate::{samples, travel};

fn read_op(op: ClientOp) -> Result<()> {
    let message = Message::ClientOp(Box::new(op));
    let read = travel(&message)?;
    assert_eq!(read, message);
    Ok(())
}

fn assert_refused(outcome: Result<()>, what: &str) {
    let Err(Error { kind, message }) = outcome else { panic!("{what} just outside its bound passed") };
    assert_eq!(kind, ErrorKind::Invalid, "{what}: {message}");
}

/// Both sides of a bound on one step.
fn check_step(what: &str, limit: usize, step: impl Fn(usize) -> SubOp) {
    read_op(samples::client_op(vec![step(limit)])).unwrap_or_else(|error| panic!("{what} at {limit}: {error}"));
    assert_refused(read_op(samples::client_op(vec![step(limit + 1)])), what);
}

fn zeroes(length: usize) -> Bytes {
    Bytes::from(vec![0; length])
}

fn keys(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| number.to_string().into_bytes()).collect()
}

#[test]
fn both_sides_of_the_bound_on_snapshots_to_preserve() {
    let preserving = |count: usize| {
        let snapshots = (1..=count as u64).rev().map(types::SnapshotId).collect();
        let snapshot_context = wire::SnapshotContext { sequence: count as u64, snapshots };
        ClientOp { snapshot_context, ..samples::client_op(vec![SubOp::Stat]) }
    };
    read_op(preserving(limits::SNAPSHOTS_IN_CONTEXT_MAX)).expect("just inside");
    assert_refused(read_op(preserving(limits::SNAPSHOTS_IN_CONTEXT_MAX + 1)), "snapshots to preserve");
}

#[test]
fn both_sides_of_every_bound_on_steps() {
    check_step("attribute name", limits::XATTR_NAME_BYTES_MAX, |n| SubOp::GetXattr(vec![b'x'; n]));
    check_step("attribute name", limits::XATTR_NAME_BYTES_MAX, |n| SubOp::RemoveXattr(vec![b'x'; n]));
    check_step("attribute name", limits::XATTR_NAME_BYTES_MAX, |n| SubOp::SetXattr {
        name: vec![b'x'; n],
        value: Bytes::new(),
    });
    check_step("attribute value", limits::XATTR_VALUE_BYTES_MAX, |n| SubOp::SetXattr {
        name: b"x".to_vec(),
        value: zeroes(n),
    });
    check_step("compared value", limits::XATTR_VALUE_BYTES_MAX, |n| SubOp::CompareXattr {
        name: b"x".to_vec(),
        comparison: wire::Comparison::Equal,
        value: zeroes(n),
    });
    check_step("omap key", limits::OMAP_KEY_BYTES_MAX, |n| SubOp::OmapGetKeys(vec![vec![0; n]]));
    check_step("omap key", limits::OMAP_KEY_BYTES_MAX, |n| SubOp::OmapRemoveKeys(vec![vec![0; n]]));
    check_step("omap key", limits::OMAP_KEY_BYTES_MAX, |n| SubOp::OmapRemoveRange(vec![0; n], vec![0]));
    check_step("omap key", limits::OMAP_KEY_BYTES_MAX, |n| SubOp::OmapRemoveRange(vec![0], vec![0; n]));
    check_step("omap key", limits::OMAP_KEY_BYTES_MAX, |n| {
        SubOp::OmapSet(BTreeMap::from([(vec![0; n], Bytes::new())]))
    });
    check_step("omap key", limits::OMAP_KEY_BYTES_MAX, |n| SubOp::OmapGet {
        after: vec![0; n],
        prefix: Vec::new(),
        keys_max: 1,
    });
    check_step("omap prefix", limits::OMAP_KEY_BYTES_MAX, |n| SubOp::OmapGet {
        after: Vec::new(),
        prefix: vec![0; n],
        keys_max: 1,
    });
    check_step("omap key", limits::OMAP_KEY_BYTES_MAX, |n| SubOp::CompareOmap {
        key: vec![0; n],
        comparison: wire::Comparison::Less,
        value: Bytes::new(),
    });
    check_step("compared omap value", limits::OMAP_VALUE_BYTES_MAX, |n| SubOp::CompareOmap {
        key: vec![0],
        comparison: wire::Comparison::Less,
        value: zeroes(n),
    });
    check_step("omap value", limits::OMAP_VALUE_BYTES_MAX, |n| SubOp::OmapSet(BTreeMap::from([(vec![0], zeroes(n))])));
    check_step("omap header", limits::OMAP_VALUE_BYTES_MAX, |n| SubOp::OmapSetHeader(zeroes(n)));
    check_step("omap batch", limits::OMAP_BATCH_BYTES_MAX, |n| {
        // Nine keys of one byte: eight values at their limit less the keys, and the rest in the ninth.
        let rest = n - 9 - 8 * (limits::OMAP_VALUE_BYTES_MAX - 9);
        let value = |key: u8| if key == 8 { zeroes(rest) } else { zeroes(limits::OMAP_VALUE_BYTES_MAX - 9) };
        SubOp::OmapSet((0..9).map(|key| (vec![key], value(key))).collect())
    });
    check_step("keys asked for", limits::PAGE_KEYS_MAX, |n| SubOp::OmapGetKeys(keys(n)));
    check_step("keys removed", limits::PAGE_KEYS_MAX, |n| SubOp::OmapRemoveKeys(keys(n)));
    check_step("page of keys", limits::PAGE_KEYS_MAX, |n| SubOp::OmapGet {
        after: Vec::new(),
        prefix: Vec::new(),
        keys_max: u32::try_from(n).expect("small"),
    });
    let object = usize::try_from(limits::OBJECT_BYTES_MAX).expect("64 bits");
    check_step("truncated size", object, |n| SubOp::Truncate(n as u64));
    check_step("zeroed end", object, |n| SubOp::Zero(Extent { offset: n as u64 - 4, length: 4 }));
    check_step("written end", object, |n| SubOp::Write { offset: n as u64 - 4, data: zeroes(4) });
    check_step("compared end", object, |n| SubOp::CompareExtent { offset: n as u64 - 4, data: zeroes(4) });
    check_step("bytes read", limits::OPERATION_PAYLOAD_BYTES_MAX, |n| {
        SubOp::Read(Extent { offset: 0, length: n as u64 })
    });
    check_step("bytes written", limits::OPERATION_PAYLOAD_BYTES_MAX, |n| SubOp::WriteFull(zeroes(n)));
    let overflow = SubOp::Write { offset: u64::MAX, data: zeroes(2) };
    assert_refused(read_op(samples::client_op(vec![overflow])), "an end beyond 64 bits");
    let huge = SubOp::Read(Extent { offset: 0, length: u64::MAX });
    assert_refused(read_op(samples::client_op(vec![huge.clone(), huge])), "a sum beyond 64 bits");
}

#[test]
fn both_sides_of_every_bound_on_operations() {
    let steps = |count: usize| samples::client_op(vec![SubOp::Stat; count]);
    read_op(steps(limits::SUB_OPERATIONS_MAX)).expect("just inside");
    assert_refused(read_op(steps(limits::SUB_OPERATIONS_MAX + 1)), "sub-operations");
    assert_refused(read_op(steps(0)), "an operation without steps");

    let half = limits::OPERATION_PAYLOAD_BYTES_MAX / 2;
    let sum =
        |extra: usize| samples::client_op(vec![SubOp::WriteFull(zeroes(half)), SubOp::Append(zeroes(half + extra))]);
    read_op(sum(0)).expect("just inside");
    assert_refused(read_op(sum(1)), "sum of written bytes");

    let named = |name: ObjectName| ClientOp {
        target: wire::OpTarget::Object { name, hash: 1 },
        ..samples::client_op(vec![SubOp::Stat])
    };
    let name = |length| ObjectName::new(vec![b'n'; length]);
    read_op(named(name(limits::OBJECT_NAME_BYTES_MAX))).expect("just inside");
    assert_refused(read_op(named(name(limits::OBJECT_NAME_BYTES_MAX + 1))), "object name");
    assert_refused(read_op(named(name(0))), "an empty object name");
    let namespace = |length| ObjectName { namespace: vec![b'n'; length], ..ObjectName::new("x") };
    read_op(named(namespace(limits::NAMESPACE_BYTES_MAX))).expect("just inside");
    assert_refused(read_op(named(namespace(limits::NAMESPACE_BYTES_MAX + 1))), "namespace");
    let key = |length| ObjectName { key: vec![b'n'; length], ..ObjectName::new("x") };
    read_op(named(key(limits::LOCATOR_KEY_BYTES_MAX))).expect("just inside");
    assert_refused(read_op(named(key(limits::LOCATOR_KEY_BYTES_MAX + 1))), "locator key");

    let page = u32::try_from(limits::PAGE_KEYS_MAX).expect("small");
    read_op(samples::listing(page, None)).expect("just inside");
    assert_refused(read_op(samples::listing(page + 1, None)), "objects of a listing");
    read_op(samples::listing(1, Some(vec![0; limits::NAMESPACE_BYTES_MAX]))).expect("just inside");
    assert_refused(read_op(samples::listing(1, Some(vec![0; limits::NAMESPACE_BYTES_MAX + 1]))), "namespace");
    let on_object = samples::client_op(samples::listing(1, None).ops);
    assert_refused(read_op(on_object), "a listing of an object");
    let on_pg = ClientOp { target: wire::OpTarget::Pg, ..samples::client_op(vec![SubOp::Stat]) };
    assert_refused(read_op(on_pg), "a stat of a placement group");
}

fn read_message(message: &Message) -> Result<()> {
    assert_eq!(&travel(message)?, message);
    Ok(())
}

fn check_message(what: &str, limit: usize, message: impl Fn(usize) -> Message) {
    read_message(&message(limit)).unwrap_or_else(|error| panic!("{what} at {limit}: {error}"));
    assert_refused(read_message(&message(limit + 1)), what);
}

#[test]
fn both_sides_of_every_bound_on_replies() {
    let reply = |results| Message::ClientReply(Box::new(samples::client_reply(results)));
    check_message("results", limits::SUB_OPERATIONS_MAX, |n| reply(vec![SubOpResult::Done; n]));
    check_message("data", limits::OPERATION_PAYLOAD_BYTES_MAX, |n| reply(vec![SubOpResult::Data(zeroes(n))]));
    let half = limits::OPERATION_PAYLOAD_BYTES_MAX / 2;
    check_message("sum of data", limits::OPERATION_PAYLOAD_BYTES_MAX, |n| {
        reply(vec![SubOpResult::Data(zeroes(half)), SubOpResult::Data(zeroes(n - half))])
    });
    check_message("names of a page", limits::PAGE_KEYS_MAX, |n| {
        reply(vec![SubOpResult::List { names: vec![ObjectName::new("n"); n], next: None }])
    });
    check_message("keys of a page", limits::PAGE_KEYS_MAX, |n| {
        let entries = keys(n).into_iter().map(|key| (key, Bytes::new())).collect();
        reply(vec![SubOpResult::Omap(OmapPage { entries, more: false })])
    });
    check_message("key of a page", limits::OMAP_KEY_BYTES_MAX, |n| {
        reply(vec![SubOpResult::Omap(OmapPage { entries: vec![(vec![0; n], Bytes::new())], more: false })])
    });
    check_message("value of a page", limits::OMAP_VALUE_BYTES_MAX, |n| {
        reply(vec![SubOpResult::Omap(OmapPage { entries: vec![(vec![0], zeroes(n))], more: false })])
    });
    // Sixteen attributes at their limit, one for the reserved ones of the object, and the names.
    let full = limits::XATTR_SUM_BYTES_MAX + limits::XATTR_VALUE_BYTES_MAX;
    check_message("sum of attributes", full, |n| {
        let rest = n - 18 - 16 * limits::XATTR_VALUE_BYTES_MAX;
        let xattrs = (0..18u8)
            .map(|name| (vec![name], if name < 16 { zeroes(limits::XATTR_VALUE_BYTES_MAX) } else { Bytes::new() }))
            .map(|(name, value)| if name == [16] { (name, zeroes(rest)) } else { (name, value) })
            .collect();
        reply(vec![SubOpResult::Xattrs(xattrs)])
    });
}

#[test]
fn both_sides_of_every_bound_between_members() {
    let replicate = |op: StoreOp| {
        samples::pg_message(PgBody::Replicate(Box::new(Replicate {
            version: LogVersion::ZERO,
            previous: LogVersion::ZERO,
            entries: Vec::new(),
            transaction: Transaction { ops: vec![op] },
            trim_to: LogVersion::ZERO,
            committed_to: LogVersion::ZERO,
            lowest_open: 0,
            objects: 0,
            bytes: 0,
        })))
    };
    let object = samples::object_id;
    let object_bytes = usize::try_from(limits::OBJECT_BYTES_MAX).expect("64 bits");
    check_message("written end", object_bytes, |n| {
        replicate(StoreOp::Write { object: object(), offset: n as u64 - 4, data: zeroes(4) })
    });
    check_message("zeroed end", object_bytes, |n| {
        replicate(StoreOp::Zero { object: object(), extent: Extent { offset: n as u64 - 4, length: 4 } })
    });
    check_message("size", object_bytes, |n| replicate(StoreOp::Truncate { object: object(), size: n as u64 }));
    check_message("attribute value", limits::XATTR_VALUE_BYTES_MAX, |n| {
        replicate(StoreOp::SetXattrs { object: object(), xattrs: BTreeMap::from([(b"x".to_vec(), zeroes(n))]) })
    });
    check_message("attribute name", limits::XATTR_NAME_BYTES_MAX, |n| {
        replicate(StoreOp::RemoveXattr { object: object(), name: vec![0; n] })
    });
    check_message("omap value", limits::OMAP_VALUE_BYTES_MAX, |n| {
        replicate(StoreOp::OmapSet { object: object(), entries: BTreeMap::from([(b"x".to_vec(), zeroes(n))]) })
    });
    check_message("omap key", limits::OMAP_KEY_BYTES_MAX, |n| {
        replicate(StoreOp::OmapRemove { object: object(), keys: vec![vec![0; n]] })
    });
    check_message("omap key", limits::OMAP_KEY_BYTES_MAX, |n| {
        replicate(StoreOp::OmapRemoveRange { object: object(), begin: Vec::new(), end: vec![0; n] })
    });
    check_message("omap header", limits::OMAP_VALUE_BYTES_MAX, |n| {
        replicate(StoreOp::OmapSetHeader { object: object(), header: zeroes(n) })
    });
    check_message("object name", limits::OBJECT_NAME_BYTES_MAX, |n| {
        replicate(StoreOp::Touch { object: ObjectId { name: ObjectName::new(vec![b'n'; n]), ..object() } })
    });
    let nameless = ObjectName { key: b"k".to_vec(), ..ObjectName::default() };
    let nameless = replicate(StoreOp::Touch { object: ObjectId { name: nameless, ..object() } });
    assert_refused(read_message(&nameless), "a key without a name");

    let push = |chunk| samples::pg_message(PgBody::Push(Box::new(chunk)));
    check_message("pushed data", limits::OPERATION_PAYLOAD_BYTES_MAX, |n| {
        push(PushChunk { data: zeroes(n), ..samples::push_chunk() })
    });
    check_message("pushed end", object_bytes, |n| {
        push(PushChunk { data_offset: n as u64 - 1024, ..samples::push_chunk() })
    });
    check_message("omap position", limits::OMAP_KEY_BYTES_MAX, |n| {
        push(PushChunk { omap_after: vec![0; n], ..samples::push_chunk() })
    });
    check_message("omap position", limits::OMAP_KEY_BYTES_MAX, |n| {
        samples::pg_message(PgBody::Pull {
            object: object(),
            version: LogVersion::ZERO,
            data_offset: 0,
            omap_after: vec![0; n],
            have: None,
        })
    });
    let begin = types::Cursor::Start;
    check_message("objects of a scan", limits::SCAN_PAGE_OBJECTS, |n| {
        let objects_max = u32::try_from(n).expect("small");
        samples::pg_message(PgBody::BackfillScan { begin: begin.clone(), objects_max })
    });
    check_message("objects of a page", limits::SCAN_PAGE_OBJECTS, |n| {
        let objects = vec![(object(), LogVersion::ZERO); n];
        samples::pg_message(PgBody::BackfillScanned(BackfillPage { begin: begin.clone(), end: begin.clone(), objects }))
    });
    let samples = samples::messages();
    let verify_request = samples.iter().find_map(|(_, message)| match message {
        Message::VerifyRequest(request) => Some(request.clone()),
        _ => None,
    });
    let verify_request = verify_request.expect("there is one");
    check_message("objects of a verify request", limits::SCAN_PAGE_OBJECTS, |n| {
        Message::VerifyRequest(VerifyRequest {
            objects_max: u32::try_from(n).expect("small"),
            ..verify_request.clone()
        })
    });
    let verify_page = samples.iter().find_map(|(_, message)| match message {
        Message::VerifyPage(page) => Some(page.clone()),
        _ => None,
    });
    let verify_page = verify_page.expect("there is one");
    check_message("objects of a verify page", limits::SCAN_PAGE_OBJECTS, |n| {
        Message::VerifyPage(VerifyPage { objects: vec![verify_page.objects[0].clone(); n], ..verify_page.clone() })
    });
    check_message("increments", limits::MAP_INCREMENTS_PER_MESSAGE_MAX, |n| {
        Message::MapShare(MapShare { increments: vec![(types::Epoch(1), Bytes::new()); n], ..MapShare::default() })
    });
}

#[test]
fn both_sides_of_the_bounds_of_frames_and_control_messages() {
    let have = encode_message(&Message::MapRequest { have: types::Epoch(1) });
    // A field that the reader skips, and that fills the body to its bound: key, four bytes of length, content.
    let filled = |length: usize| {
        let mut body = have.body.to_vec();
        let content = length - body.len() - 5;
        body.extend_from_slice(&[0x7a]);
        let bytes = u32::try_from(content).expect("small").to_le_bytes();
        assert_eq!(bytes[3], 0);
        let mut rest = content;
        for index in 0..4 {
            body.push(u8::try_from(rest & 0x7f).expect("seven bits") | if index < 3 { 0x80 } else { 0 });
            rest >>= 7;
        }
        body.resize(length, 0);
        Bytes::from(body)
    };
    let read = |length| decode_message(have.kind, filled(length), Bytes::new()).map(drop);
    read(limits::FRAME_BODY_BYTES_MAX).expect("just inside");
    assert_refused(read(limits::FRAME_BODY_BYTES_MAX + 1), "body");
    let oversized = zeroes(limits::FRAME_PAYLOAD_BYTES_MAX + 1);
    let error = decode_message(have.kind, have.body.clone(), oversized.clone()).expect_err("too long");
    assert!(error.message.contains("limit"), "{error}");
    let error = decode_message(have.kind, have.body.clone(), oversized.slice(1..)).expect_err("belongs to nothing");
    assert!(error.message.contains("belong to no field"), "just inside, refused for another reason: {error}");

    let words = |length: usize| {
        let request = samples::command("p".repeat(length - 4 - 5), "v".repeat(5));
        let bytes = encode_control_request(&request);
        assert_eq!(decode_control_request(&bytes)?, request);
        Ok(())
    };
    words(limits::COMMAND_BYTES_MAX).expect("just inside");
    assert_refused(words(limits::COMMAND_BYTES_MAX + 1), "words of a command");

    let control = |length: usize| {
        let mut body = zeroes(length - 12);
        let mut size = 0;
        while size != length {
            let request = wire::ControlRequest::Consensus { method: String::new(), body: body.clone() };
            let bytes = encode_control_request(&request);
            size = bytes.len();
            if size == length {
                return decode_control_request(&bytes).map(drop);
            }
            body = zeroes(body.len() + length - size);
        }
        unreachable!("the loop returns")
    };
    control(limits::CONTROL_MESSAGE_BYTES_MAX).expect("just inside");
    assert_refused(control(limits::CONTROL_MESSAGE_BYTES_MAX + 1), "control message");

    let farewell = wire::ControlRequest::Farewell { osd: types::OsdId(1), nonce: types::BootNonce(2) };
    let forward = |request| wire::ControlRequest::Forwarded {
        asker: types::EntityName::osd(types::OsdId(1)),
        request: Box::new(request),
    };
    let once = forward(farewell);
    assert_eq!(decode_control_request(&encode_control_request(&once)), Ok(once.clone()));
    let mut deep = once;
    for _ in 0..100 {
        deep = forward(deep);
    }
    assert_refused(decode_control_request(&encode_control_request(&deep)).map(drop), "passed on a hundred times");
}
