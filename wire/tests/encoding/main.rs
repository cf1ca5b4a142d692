//! Bytes of messages and persisted values: fixed for ever, equal after a round trip, bounded, and never a panic.

use std::{
    collections::BTreeMap,
    env, fmt,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use types::{
    Error, ErrorKind, Extent, LogVersion, ObjectId, ObjectName, OmapPage, Result, Seed, SeededRandom, StoreOp,
    Transaction, limits,
};
use wire::{
    BackfillPage, ClientOp, EncodedMessage, LogEntry, MapShare, Message, PgBody, PgLogSlice, PgMessage, PushChunk,
    Replicate, SubOp, SubOpResult, VerifyPage, VerifyRequest, decode_control_reply, decode_control_request,
    decode_history, decode_log_entry, decode_map_share, decode_message, decode_missing_object, decode_object_info,
    decode_past_intervals, decode_pg_info, decode_request_outcome, encode_control_reply, encode_control_request,
    encode_history, encode_log_entry, encode_map_share, encode_message, encode_missing_object, encode_object_info,
    encode_past_intervals, encode_pg_info, encode_request_outcome,
};

mod samples;

fn gather(payload: &[Bytes]) -> Bytes {
    let mut gathered = BytesMut::new();
    payload.iter().for_each(|piece| gathered.extend_from_slice(piece));
    gathered.freeze()
}

fn travel(message: &Message) -> Result<Message> {
    let EncodedMessage { kind, body, payload } = encode_message(message);
    decode_message(kind, body, gather(&payload))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn from_hexadecimal(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2) && text.is_ascii(), "`{text}` is not whole bytes");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal")).collect()
}

/// Bytes with runs written as `COUNTxBYTE`, so that a payload of a thousand sevens is readable.
fn runs(bytes: &[u8]) -> String {
    let runs: Vec<String> =
        bytes.chunk_by(|left, right| left == right).map(|run| format!("{}x{:02x}", run.len(), run[0])).collect();
    runs.join(" ")
}

/// One line of a golden file: a name and what it stands for.
type GoldenLines = BTreeMap<String, String>;

fn golden_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// Compares with the golden file, or rewrites it when `UPDATE=1`.
fn compare_golden(file: &str, lines: &[(String, String)]) -> GoldenLines {
    let path = golden_path(file);
    if env::var_os("UPDATE").is_some() {
        let text = lines.iter().fold(String::new(), |text, (name, value)| text + name + ": " + value + "\n");
        fs::write(&path, text).expect("write the golden file");
    }
    let text = fs::read_to_string(&path).expect("read the golden file; UPDATE=1 writes it");
    let golden: GoldenLines = text
        .lines()
        .map(|line| line.split_once(": ").expect("a line is `name: value`"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, value) in lines {
        let expected = golden.get(name).unwrap_or_else(|| panic!("{file} has no line `{name}`"));
        assert_eq!(value, expected, "{file}: the bytes of `{name}` are fixed for ever");
    }
    assert_eq!(golden.len(), lines.len(), "{file} has a line that stands for nothing");
    golden
}

#[test]
fn bytes_of_messages_are_fixed() {
    let samples = samples::messages();
    let lines: Vec<(String, String)> = samples
        .iter()
        .map(|(name, message)| {
            let encoded = encode_message(message);
            let payload = gather(&encoded.payload);
            assert_eq!(encoded.payload_bytes(), payload.len());
            assert_eq!(encoded.kind, message.kind());
            let text = format!("{} {} | {}", encoded.kind, hexadecimal(&encoded.body), runs(&payload));
            (name.clone(), text)
        })
        .collect();
    let golden = compare_golden("messages.txt", &lines);
    for (name, message) in samples {
        // What the file says is read, not what was just written: an old peer's bytes stay readable.
        let (kind, rest) = golden[&name].split_once(' ').expect("kind and body");
        let body = rest.split(' ').next().expect("a body");
        let payload = gather(&encode_message(&message).payload);
        let body = Bytes::from(from_hexadecimal(body));
        let read = decode_message(kind.parse().expect("a kind"), body, payload).expect("golden bytes are readable");
        assert_eq!(read, message, "{name}");
    }
}

#[test]
fn bytes_of_control_messages_are_fixed() {
    let mut lines = Vec::new();
    for (name, request) in samples::control_requests() {
        lines.push((format!("request {name}"), hexadecimal(&encode_control_request(&request))));
    }
    for (name, reply) in samples::control_replies() {
        lines.push((format!("reply {name}"), hexadecimal(&encode_control_reply(&reply))));
    }
    lines.push(("map_share".to_owned(), hexadecimal(&encode_map_share(&samples::map_share()))));
    let golden = compare_golden("control.txt", &lines);
    for (name, request) in samples::control_requests() {
        let bytes = from_hexadecimal(&golden[&format!("request {name}")]);
        assert_eq!(decode_control_request(&bytes), Ok(request), "{name}");
    }
    for (name, reply) in samples::control_replies() {
        let bytes = from_hexadecimal(&golden[&format!("reply {name}")]);
        assert_eq!(decode_control_reply(&bytes), Ok(reply), "{name}");
    }
    assert_eq!(decode_map_share(&from_hexadecimal(&golden["map_share"])), Ok(samples::map_share()));
}

/// A persisted value, read from its golden bytes and compared.
fn check_persisted<T: PartialEq + fmt::Debug>(
    golden: &GoldenLines,
    name: &str,
    value: &T,
    read: fn(&[u8]) -> Result<T>,
) {
    let bytes = from_hexadecimal(&golden[name]);
    assert_eq!(read(&bytes).as_ref(), Ok(value), "{name}");
    for length in 0..2 {
        let error = read(&bytes[..length]).expect_err("a value has two bytes at least");
        assert_eq!(error.kind, ErrorKind::Damaged, "{name}");
    }
    let mut newer = bytes.clone();
    newer[0] = 200;
    assert_eq!(read(&newer).as_ref(), Ok(value), "{name}: a newer writer that we can read");
    newer[1] = 2;
    let error = read(&newer).expect_err("needs a newer reader");
    assert!(error.message.contains("needs a reader of at least 2"), "{name}: {error}");
    let mut extended = bytes.clone();
    // Tag 1000 as number, bytes and four bytes: fields that this reader does not know.
    extended.extend_from_slice(&[0xc0, 0x3e, 5, 0xc2, 0x3e, 2, 1, 2, 0xc5, 0x3e, 0, 0, 0, 0]);
    assert_eq!(read(&extended).as_ref(), Ok(value), "{name}: unknown fields are skipped");
}

#[test]
fn bytes_of_persisted_values_are_fixed() {
    let hex = |bytes: Bytes| hexadecimal(&bytes);
    let lines: Vec<(String, String)> = [
        ("object_info", hex(encode_object_info(&samples::object_info()))),
        ("log_entry", hex(encode_log_entry(&samples::log_entry()))),
        ("log_entry failed", hex(encode_log_entry(&samples::failed_entry()))),
        ("pg_info", hex(encode_pg_info(&samples::info()))),
        ("history", hex(encode_history(&samples::history()))),
        ("request_outcome", hex(encode_request_outcome(&samples::request_outcome()))),
        ("past_intervals", hex(encode_past_intervals(&samples::past_intervals()))),
        ("missing_object", hex(encode_missing_object(&samples::missing_object()))),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    let golden = compare_golden("persisted.txt", &lines);
    check_persisted(&golden, "object_info", &samples::object_info(), decode_object_info);
    check_persisted(&golden, "log_entry", &samples::log_entry(), decode_log_entry);
    check_persisted(&golden, "log_entry failed", &samples::failed_entry(), decode_log_entry);
    check_persisted(&golden, "pg_info", &samples::info(), decode_pg_info);
    check_persisted(&golden, "history", &samples::history(), decode_history);
    check_persisted(&golden, "request_outcome", &samples::request_outcome(), decode_request_outcome);
    check_persisted(&golden, "past_intervals", &samples::past_intervals(), decode_past_intervals);
    check_persisted(&golden, "missing_object", &samples::missing_object(), decode_missing_object);
}

#[test]
fn bulk_bytes_are_never_copied() {
    let data = Bytes::from(vec![3; 1 << 20]);
    let op =
        samples::client_op(vec![SubOp::Write { offset: 0, data: data.clone() }, SubOp::Append(data.slice(..4096))]);
    let encoded = encode_message(&Message::ClientOp(Box::new(op)));
    assert_eq!(encoded.payload.iter().map(|piece| piece.as_ptr()).collect::<Vec<_>>(), [data.as_ptr(); 2]);
    assert!(encoded.body.len() < 256, "the body keeps lengths only, not {} bytes", encoded.body.len());
    let payload = gather(&encoded.payload);
    let decoded = decode_message(encoded.kind, encoded.body, payload.clone()).expect("readable");
    let Message::ClientOp(op) = decoded else { panic!("another message came out") };
    let [SubOp::Write { data: first, .. }, SubOp::Append(second)] = &op.ops[..] else { panic!("other steps came out") };
    assert_eq!(first.as_ptr(), payload.as_ptr());
    assert_eq!(second.as_ptr(), payload[1 << 20..].as_ptr());
}

#[test]
fn a_whole_log_passes_although_bodies_are_bounded() {
    let entries: Vec<LogEntry> = (0..limits::PG_LOG_ENTRIES_MAX as u64)
        .map(|number| LogEntry {
            version: LogVersion::new(types::Epoch(17), number),
            object: ObjectId::head(types::PoolId(3), 5, ObjectName::new("n".repeat(1000))),
            ..samples::log_entry()
        })
        .collect();
    let log = PgLogSlice { tail: LogVersion::ZERO, entries, requests: Vec::new() };
    let message = samples::pg_message(PgBody::Log { info: samples::info(), log, missing: BTreeMap::new() });
    let encoded = encode_message(&message);
    assert!(encoded.payload_bytes() > limits::FRAME_BODY_BYTES_MAX);
    assert!(encoded.body.len() <= limits::FRAME_BODY_BYTES_MAX);
    assert_eq!(travel(&message), Ok(message));
}

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

/// A few changes of a few bytes, or a cut, or an insertion.
fn mutate(random: &mut SeededRandom, bytes: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    for _ in 0..=random.below(3) {
        let length = changed.len() as u64;
        let at = |random: &mut SeededRandom| usize::try_from(random.below(length.max(1))).expect("64 bits");
        let byte = random.draw().to_le_bytes()[0];
        match random.below(5) {
            0 if length > 0 => changed.truncate(at(random)),
            1 => {
                let position = at(random).min(changed.len());
                changed.insert(position, byte);
            }
            2 if length > 0 => drop(changed.remove(at(random))),
            3 if length > 0 => {
                let position = at(random);
                changed[position] ^= 1 << random.below(8);
            }
            _ if length > 0 => {
                let position = at(random);
                changed[position] = byte;
            }
            _ => {}
        }
    }
    changed
}

/// Mutations per sample; 50 samples in about a second.
const MUTATIONS: u64 = 3000;

#[test]
fn garbage_is_refused_or_read_and_never_panics() {
    let seed = Seed(env::var("IKA_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261));
    println!("seed {seed}");
    let mut random = SeededRandom::new(seed);
    let (mut read, mut refused) = (0u64, 0u64);
    let mut count = |is_read: bool| if is_read { read += 1 } else { refused += 1 };
    for (_, message) in samples::messages() {
        let EncodedMessage { kind, body, payload } = encode_message(&message);
        let payload = gather(&payload);
        for _ in 0..MUTATIONS {
            let body = Bytes::from(mutate(&mut random, &body));
            let payload =
                if random.chance(1, 4) { Bytes::from(mutate(&mut random, &payload)) } else { payload.clone() };
            let decoded = decode_message(kind, body, payload);
            count(decoded.is_ok());
            if let Ok(decoded) = decoded {
                assert_eq!(travel(&decoded), Ok(decoded.clone()), "what could be read can be written and read");
            }
        }
        for other in 0..12 {
            let encoded = encode_message(&message);
            count(decode_message(other, encoded.body, payload.clone()).is_ok());
        }
    }
    for (_, request) in samples::control_requests() {
        let bytes = encode_control_request(&request);
        for _ in 0..MUTATIONS {
            count(decode_control_request(&mutate(&mut random, &bytes)).is_ok());
        }
    }
    for bytes in [
        encode_log_entry(&samples::log_entry()),
        encode_pg_info(&samples::info()),
        encode_object_info(&samples::object_info()),
        encode_past_intervals(&samples::past_intervals()),
        encode_request_outcome(&samples::request_outcome()),
    ] {
        for _ in 0..MUTATIONS {
            let bytes = mutate(&mut random, &bytes);
            count(decode_log_entry(&bytes).is_ok());
            count(decode_pg_info(&bytes).is_ok());
            count(decode_object_info(&bytes).is_ok());
            count(decode_past_intervals(&bytes).is_ok());
            count(decode_request_outcome(&bytes).is_ok());
        }
    }
    assert!(read > 1000 && refused > 1000, "{read} read and {refused} refused: the mutations prove nothing");
}

#[test]
fn a_message_of_a_newer_format_says_what_it_needs() {
    let Message::Pg(message) = samples::pg_message(PgBody::QueryInfo) else { unreachable!("made as one") };
    let encoded = encode_message(&Message::Pg(Box::new(PgMessage { body: PgBody::RemoveStray, ..*message })));
    let mut body = encoded.body.to_vec();
    (body[0], body[1]) = (9, 2);
    let error = decode_message(encoded.kind, Bytes::from(body), Bytes::new()).expect_err("needs a newer reader");
    assert!(error.message.contains("version 9 and needs a reader of at least 2; this one has 1"), "{error}");
    let error = decode_message(77, encoded.body, Bytes::new()).expect_err("no such kind");
    assert!(error.message.contains("kind 77"), "{error}");
}
