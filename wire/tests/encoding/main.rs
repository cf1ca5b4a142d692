//! Bytes of messages and persisted values: fixed for ever, equal after a round trip, bounded, and never a panic.

use std::{
    collections::BTreeMap,
    env, fmt,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use types::{ErrorKind, LogVersion, ObjectId, ObjectName, Result, Seed, SeededRandom, limits};
use wire::{
    EncodedMessage, LogEntry, Message, PgBody, PgLogSlice, PgMessage, SubOp, decode_control_reply,
    decode_control_request, decode_history, decode_inconsistent_object, decode_log_entry, decode_map_share,
    decode_message, decode_missing_object, decode_object_info, decode_past_intervals, decode_pg_info,
    decode_request_outcome, decode_scrub_record, encode_control_reply, encode_control_request, encode_history,
    encode_inconsistent_object, encode_log_entry, encode_map_share, encode_message, encode_missing_object,
    encode_object_info, encode_past_intervals, encode_pg_info, encode_request_outcome, encode_scrub_record,
};

mod bounds;
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
        ("object_info hinted", hex(encode_object_info(&samples::hinted_object_info()))),
        ("object_info clone", hex(encode_object_info(&samples::clone_info()))),
        ("object_info watched", hex(encode_object_info(&samples::watched_object_info()))),
        ("log_entry with outputs", hex(encode_log_entry(&samples::log_entry_with_outputs()))),
        ("request_outcome with outputs", hex(encode_request_outcome(&samples::request_outcome_with_outputs()))),
        ("scrub_record", hex(encode_scrub_record(&samples::scrub_record()))),
        ("inconsistent_object", hex(encode_inconsistent_object(&samples::inconsistent_object()))),
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
    check_persisted(&golden, "object_info hinted", &samples::hinted_object_info(), decode_object_info);
    check_persisted(&golden, "log_entry with outputs", &samples::log_entry_with_outputs(), decode_log_entry);
    check_persisted(&golden, "object_info clone", &samples::clone_info(), decode_object_info);
    check_persisted(&golden, "object_info watched", &samples::watched_object_info(), decode_object_info);
    let remembered = samples::request_outcome_with_outputs();
    check_persisted(&golden, "request_outcome with outputs", &remembered, decode_request_outcome);
    check_persisted(&golden, "scrub_record", &samples::scrub_record(), decode_scrub_record);
    check_persisted(&golden, "inconsistent_object", &samples::inconsistent_object(), decode_inconsistent_object);
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
