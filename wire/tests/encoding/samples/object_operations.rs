//! Samples of what came to objects' operations after the first release.

use bytes::Bytes;
use types::{ClientId, Epoch, Extent, LogVersion, SnapshotId};
use wire::{
    AllocationHint, ChecksumKind, CloneRecord, Comparison, LogEntry, Message, Notification, NotifyAnswer, ObjectInfo,
    Overlap, RequestOutcome, SubOp, SubOpResult, Watcher,
};

use super::{client_op, client_reply, log_entry, object_info, object_name, pg, request_outcome, small};

fn allocation_hint() -> AllocationHint {
    AllocationHint { object_bytes: 4 << 20, write_bytes: 4096, flags: 18 }
}

pub fn hinted_object_info() -> ObjectInfo {
    ObjectInfo { allocation_hint: Some(allocation_hint()), ..object_info() }
}

pub fn log_entry_with_outputs() -> LogEntry {
    LogEntry { outputs: vec![(0, small("output")), (3, Bytes::new())], ..log_entry() }
}

pub fn request_outcome_with_outputs() -> RequestOutcome {
    RequestOutcome { outputs: vec![(1, small("5"))], ..request_outcome() }
}

fn sub_ops() -> Vec<SubOp> {
    let extent = Extent { offset: 4096, length: 8192 };
    vec![
        SubOp::Call { class: "hello".to_owned(), method: "say_hello".to_owned(), input: small("ika") },
        SubOp::WriteSame { extent, data: small("same") },
        SubOp::Checksum { kind: ChecksumKind::XxHash32, seed: 1, extent, chunk: 4096 },
        SubOp::Checksum { kind: ChecksumKind::XxHash64, seed: u64::MAX, extent, chunk: 0 },
        SubOp::Checksum { kind: ChecksumKind::Crc32c, seed: 0, extent, chunk: 8192 },
        SubOp::SparseRead(extent),
        SubOp::MapExtents(extent),
        SubOp::CompareXattrNumber { name: b"n".to_vec(), comparison: Comparison::Greater, value: 7 },
        SubOp::OmapGetRange { begin: b"a".to_vec(), end: b"z".to_vec(), keys_max: 10 },
        SubOp::OmapGetNames { after: b"a".to_vec(), prefix: b"p".to_vec(), keys_max: 10 },
        SubOp::ClearXattrs,
        SubOp::SetAllocationHint(allocation_hint()),
    ]
}

fn watcher() -> Watcher {
    Watcher { client: ClientId(4711), cookie: 3, timeout_ms: 30_000 }
}

pub fn watched_object_info() -> ObjectInfo {
    ObjectInfo { watchers: vec![watcher()], ..object_info() }
}

fn watch_sub_ops() -> Vec<SubOp> {
    vec![
        SubOp::Watch { cookie: 3, timeout_ms: 30_000 },
        SubOp::Unwatch { cookie: 3 },
        SubOp::WatchPing { cookie: 3 },
        SubOp::ListWatchers,
        SubOp::Notify { timeout_ms: 10_000, payload: small("news") },
        SubOp::NotifyAcknowledge { notify: 1 << 40, cookie: 3, payload: small("heard") },
    ]
}

fn watch_results() -> Vec<SubOpResult> {
    let answer = NotifyAnswer { client: ClientId(4711), cookie: 3, payload: small("heard") };
    vec![
        SubOpResult::Watchers(vec![watcher()]),
        SubOpResult::Notified { answers: vec![answer], missed: vec![(ClientId(4712), 9)] },
    ]
}

pub fn clone_info() -> ObjectInfo {
    let overlap = Overlap { clone: SnapshotId(3), extents: vec![Extent { offset: 0, length: 4096 }] };
    ObjectInfo { overlap: Some(overlap), cloned_at: Some(LogVersion::new(Epoch(16), 9)), ..object_info() }
}

fn snapshot_sub_ops() -> Vec<SubOp> {
    vec![
        SubOp::Rollback(SnapshotId(4)),
        SubOp::ListSnapshots { after: SnapshotId(0) },
        SubOp::TrimClone { clone: SnapshotId(5), snapshot: SnapshotId(4), cloned_at: LogVersion::new(Epoch(16), 9) },
    ]
}

fn snapshot_results() -> Vec<SubOpResult> {
    let clone = CloneRecord {
        clone: SnapshotId(5),
        snapshots: vec![SnapshotId(5), SnapshotId(4)],
        size: 8192,
        overlap: vec![Extent { offset: 4096, length: 4096 }],
    };
    let head = CloneRecord { clone: SnapshotId::HEAD, snapshots: Vec::new(), size: 0, overlap: Vec::new() };
    vec![
        SubOpResult::Snapshots { sequence: 5, clones: vec![clone.clone(), head], next: None },
        SubOpResult::Snapshots { sequence: 0, clones: vec![clone], next: Some(SnapshotId(5)) },
    ]
}

fn notification() -> Notification {
    Notification {
        pg: pg(),
        epoch: Epoch(17),
        object: object_name(),
        cookie: 3,
        notify: 1 << 40,
        notifier: ClientId(5),
        payload: small("news"),
    }
}

fn results() -> Vec<SubOpResult> {
    vec![
        SubOpResult::Sparse { extents: vec![Extent { offset: 0, length: 5 }], data: small("bytes") },
        SubOpResult::Extents(vec![Extent { offset: 4096, length: 4096 }]),
    ]
}

pub fn messages() -> Vec<(String, Message)> {
    vec![
        ("client_op more".into(), Message::ClientOp(Box::new(client_op(sub_ops())))),
        ("client_reply more".into(), Message::ClientReply(Box::new(client_reply(results())))),
        ("client_op watch".into(), Message::ClientOp(Box::new(client_op(watch_sub_ops())))),
        ("client_reply watch".into(), Message::ClientReply(Box::new(client_reply(watch_results())))),
        ("client_op snapshots".into(), Message::ClientOp(Box::new(client_op(snapshot_sub_ops())))),
        ("client_reply snapshots".into(), Message::ClientReply(Box::new(client_reply(snapshot_results())))),
        ("notification".into(), Message::Notification(Box::new(notification()))),
    ]
}
