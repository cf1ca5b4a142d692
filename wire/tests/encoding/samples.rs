//! One value of everything that has bytes, with no field at its default where that is possible.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use types::{
    BootNonce, ClientId, Cursor, EntityName, Epoch, Error, ErrorKind, Extent, LogVersion, ObjectId, ObjectName,
    OmapPage, OsdId, OsdUuid, PgId, PoolId, RequestId, ShardId, SnapshotId, StoreOp, StoreUsage, Transaction, Uuid,
    XattrMap,
};
use wire::{
    ActivatePg, BackfillPage, ChangedPart, ClientOp, ClientReply, ClusterDigest, CommandAnswer, CommandId,
    CommandRequest, Comparison, ControlReply, ControlRequest, FailureEvidence, Fullness, InconsistencyFlags,
    InconsistentCopy, InconsistentObject, IoCounters, LogEntry, LogEntryKind, MapShare, Message, MissingObject,
    MissingSet, NetworkStack, ObjectDigest, ObjectInfo, OpFailure, OpFlags, OpSuccess, OpTarget, OsdBoot, OsdFailure,
    OsdStatistics, PastInterval, PgBody, PgHistory, PgInfo, PgLogSlice, PgMessage, PgStateFlags, PgStatistics, Ping,
    Pong, PushChunk, PushSource, Replicate, RequestOutcome, ScrubDepth, ScrubOrder, ScrubRecord, SnapshotContext,
    StatisticsReport, SubOp, SubOpResult, UnfoundFate, VerifyPage, VerifyRequest,
};

mod object_operations;

pub use object_operations::{
    clone_info, hinted_object_info, log_entry_with_outputs, request_outcome_with_outputs, watched_object_info,
};

/// Bytes that ride in the payload.
pub fn bulk(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 1024])
}

pub fn small(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub fn object_name() -> ObjectName {
    ObjectName { namespace: b"space".to_vec(), key: b"locator".to_vec(), name: b"an object".to_vec() }
}

pub fn object_id() -> ObjectId {
    ObjectId::head(PoolId(3), 0x89ab_cdef, ObjectName::new("thing"))
}

fn shard_id() -> ObjectId {
    ObjectId {
        pool: PoolId(300),
        hash: 0,
        name: object_name(),
        snapshot: SnapshotId(0),
        generation: 0,
        shard: ShardId(-128),
    }
}

fn version(number: u64) -> LogVersion {
    LogVersion::new(Epoch(17), number)
}

fn pg() -> PgId {
    PgId { pool: PoolId(3), seed: 0x1f }
}

fn request() -> RequestId {
    RequestId { client: ClientId(4711), sequence: 99 }
}

fn failure() -> OpFailure {
    OpFailure { error: Error::exists("the object exists"), step: Some(0) }
}

fn snapshots() -> SnapshotContext {
    SnapshotContext { sequence: 5, snapshots: vec![SnapshotId(5), SnapshotId(0)] }
}

fn xattrs() -> XattrMap {
    BTreeMap::from([(b"empty".to_vec(), Bytes::new()), (b"user.color".to_vec(), small("blue"))])
}

fn omap() -> BTreeMap<Vec<u8>, Bytes> {
    BTreeMap::from([(Vec::new(), small("of the empty key")), (b"large".to_vec(), bulk(7))])
}

pub fn object_info() -> ObjectInfo {
    ObjectInfo {
        overlap: None,
        cloned_at: None,
        version: version(9),
        user_version: 8,
        modified_ms: 1_700_000_000_000,
        size: 4096,
        snapshot_context: snapshots(),
        allocation_hint: None,
        watchers: Vec::new(),
    }
}

pub fn log_entry() -> LogEntry {
    LogEntry {
        kind: LogEntryKind::Modify,
        object: object_id(),
        version: version(10),
        prior_version: version(9),
        user_version: 8,
        request: Some(request()),
        failure: None,
        modified_ms: 1_700_000_000_000,
        changed: Some(vec![Extent { offset: 0, length: 4096 }, Extent { offset: 8192, length: 1 }]),
        rollback: small("rollback"),
        outputs: Vec::new(),
    }
}

pub fn failed_entry() -> LogEntry {
    LogEntry {
        kind: LogEntryKind::Failed,
        object: shard_id(),
        failure: Some(failure()),
        changed: Some(Vec::new()),
        rollback: Bytes::new(),
        request: None,
        ..log_entry()
    }
}

fn delete_entry() -> LogEntry {
    LogEntry { kind: LogEntryKind::Delete, changed: None, ..log_entry() }
}

pub fn history() -> PgHistory {
    PgHistory {
        epoch_created: Epoch(1),
        last_epoch_started: Epoch(2),
        last_interval_started: Epoch(3),
        last_epoch_clean: Epoch(4),
        last_interval_clean: Epoch(5),
        same_interval_since: Epoch(6),
        same_up_since: Epoch(7),
        same_primary_since: Epoch(8),
    }
}

pub fn info() -> PgInfo {
    PgInfo {
        pg: pg(),
        last_update: version(10),
        last_complete: version(9),
        log_tail: version(1),
        last_user_version: 8,
        backfill: Cursor::Before(object_id()),
        last_epoch_started: Epoch(16),
        last_interval_started: Epoch(15),
        objects: 1000,
        bytes: 4_096_000,
        history: history(),
    }
}

pub fn request_outcome() -> RequestOutcome {
    RequestOutcome {
        request: request(),
        version: version(4),
        user_version: 3,
        failure: Some(failure()),
        outputs: Vec::new(),
    }
}

pub fn past_intervals() -> Vec<PastInterval> {
    vec![
        PastInterval {
            first: Epoch(3),
            last: Epoch(9),
            up: vec![Some(OsdId(0)), None, Some(OsdId(u32::MAX))],
            acting: vec![None],
            primary: Some(OsdId(0)),
            maybe_wrote: true,
        },
        PastInterval {
            first: Epoch(10),
            last: Epoch(10),
            up: Vec::new(),
            acting: Vec::new(),
            primary: None,
            maybe_wrote: false,
        },
    ]
}

pub fn missing_object() -> MissingObject {
    MissingObject { need: version(10), have: Some(version(2)), deleted: true }
}

fn missing() -> MissingSet {
    BTreeMap::from([
        (object_id(), missing_object()),
        (shard_id(), MissingObject { need: version(3), have: None, deleted: false }),
    ])
}

fn log_slice() -> PgLogSlice {
    PgLogSlice {
        tail: version(9),
        entries: vec![log_entry(), failed_entry(), delete_entry()],
        requests: vec![request_outcome()],
    }
}

fn io() -> IoCounters {
    IoCounters { read_ops: 1, read_bytes: 2, write_ops: 3, write_bytes: 4, recovered_objects: 5, recovered_bytes: 6 }
}

fn usage() -> StoreUsage {
    StoreUsage { total_bytes: 1 << 40, used_bytes: 1 << 30, metadata_bytes: 1 << 20 }
}

fn osd_statistics() -> OsdStatistics {
    OsdStatistics {
        osd: OsdId(2),
        usage: usage(),
        pgs: 128,
        commit_latency_microseconds: 350,
        slow_ops: 1,
        recovered_bytes: 0,
    }
}

fn pg_statistics() -> PgStatistics {
    PgStatistics {
        pg: pg(),
        state: PgStateFlags::ACTIVE.with(PgStateFlags::LAGGY),
        epoch: Epoch(17),
        last_update: version(10),
        up: vec![OsdId(0), OsdId(1)],
        acting: vec![OsdId(1)],
        objects: 1,
        bytes: 2,
        degraded_copies: 3,
        misplaced_copies: 4,
        unfound_objects: 5,
        last_epoch_clean: Epoch(6),
        io: io(),
        scrub: None,
    }
}

pub fn map_share() -> MapShare {
    MapShare {
        newest: Epoch(20),
        full: Some((Epoch(17), small("a map"))),
        increments: vec![(Epoch(18), small("first")), (Epoch(19), small("second"))],
    }
}

/// All steps that may stand in one operation on an object.
pub fn sub_ops() -> Vec<SubOp> {
    let extent = Extent { offset: 4096, length: 8192 };
    vec![
        SubOp::Read(extent),
        SubOp::Stat,
        SubOp::GetXattr(b"name".to_vec()),
        SubOp::GetXattrs,
        SubOp::OmapGet { after: b"a".to_vec(), prefix: b"p".to_vec(), keys_max: 1000 },
        SubOp::OmapGetKeys(vec![b"one".to_vec(), Vec::new()]),
        SubOp::OmapGetHeader,
        SubOp::AssertExists,
        SubOp::AssertVersion(7),
        SubOp::CompareExtent { offset: 1, data: small("compare") },
        SubOp::CompareXattr { name: b"x".to_vec(), comparison: Comparison::Equal, value: small("1") },
        SubOp::CompareXattr { name: b"x".to_vec(), comparison: Comparison::NotEqual, value: small("2") },
        SubOp::CompareXattr { name: b"x".to_vec(), comparison: Comparison::Greater, value: small("3") },
        SubOp::CompareOmap { key: b"k".to_vec(), comparison: Comparison::GreaterOrEqual, value: small("4") },
        SubOp::CompareOmap { key: b"k".to_vec(), comparison: Comparison::Less, value: small("5") },
        SubOp::CompareOmap { key: b"k".to_vec(), comparison: Comparison::LessOrEqual, value: small("6") },
        SubOp::Create { exclusive: true },
        SubOp::Write { offset: 4096, data: bulk(1) },
        SubOp::WriteFull(bulk(2)),
        SubOp::Append(small("short")),
        SubOp::Zero(extent),
        SubOp::Truncate(12),
        SubOp::Remove,
        SubOp::SetXattr { name: b"x".to_vec(), value: bulk(3) },
        SubOp::RemoveXattr(b"x".to_vec()),
        SubOp::OmapSet(omap()),
        SubOp::OmapRemoveKeys(vec![b"one".to_vec()]),
        SubOp::OmapRemoveRange(b"a".to_vec(), b"b".to_vec()),
        SubOp::OmapClear,
        SubOp::OmapSetHeader(small("header")),
    ]
}

pub fn client_op(ops: Vec<SubOp>) -> ClientOp {
    ClientOp {
        request: request(),
        lowest_open: 90,
        epoch: Epoch(17),
        pg: pg(),
        target: OpTarget::Object { name: object_name(), hash: 0x1234_5678 },
        snapshot: SnapshotId::HEAD,
        snapshot_context: snapshots(),
        flags: OpFlags::FULL_TRY,
        modified_ms: 1_700_000_000_000,
        ops,
    }
}

pub fn listing(objects_max: u32, namespace: Option<Vec<u8>>) -> ClientOp {
    let ops = vec![SubOp::ListObjects { begin: Cursor::Start, namespace, objects_max }];
    ClientOp { target: OpTarget::Pg, ..client_op(ops) }
}

pub fn client_reply(results: Vec<SubOpResult>) -> ClientReply {
    let outcome = Ok(OpSuccess { version: version(10), user_version: 8, results });
    ClientReply { request: request(), epoch: Epoch(17), outcome }
}

fn results() -> Vec<SubOpResult> {
    vec![
        SubOpResult::Done,
        SubOpResult::Data(bulk(4)),
        SubOpResult::Data(small("short")),
        SubOpResult::Stat { size: 4096, modified_ms: 1_700_000_000_000 },
        SubOpResult::Xattrs(xattrs()),
        SubOpResult::Omap(OmapPage { entries: vec![(b"k".to_vec(), bulk(5))], more: true }),
        SubOpResult::List { names: vec![object_name(), ObjectName::new("b")], next: Some(Cursor::End) },
    ]
}

fn store_ops() -> Vec<StoreOp> {
    let object = object_id();
    let extent = Extent { offset: 4096, length: 8192 };
    vec![
        StoreOp::Touch { object: object.clone() },
        StoreOp::Write { object: object.clone(), offset: 4096, data: bulk(6) },
        StoreOp::Zero { object: object.clone(), extent },
        StoreOp::Truncate { object: object.clone(), size: 9 },
        StoreOp::Remove { object: shard_id() },
        StoreOp::Clone { source: object.clone(), target: shard_id() },
        StoreOp::SetXattrs { object: object.clone(), xattrs: xattrs() },
        StoreOp::RemoveXattr { object: object.clone(), name: b"x".to_vec() },
        StoreOp::OmapSet { object: ObjectId::pg_meta(pg()), entries: omap() },
        StoreOp::OmapRemove { object: object.clone(), keys: vec![b"k".to_vec()] },
        StoreOp::OmapRemoveRange { object: object.clone(), begin: b"a".to_vec(), end: b"b".to_vec() },
        StoreOp::OmapClear { object: object.clone() },
        StoreOp::OmapSetHeader { object, header: small("header") },
    ]
}

pub fn push_chunk() -> PushChunk {
    PushChunk {
        object: object_id(),
        version: version(10),
        source: PushSource::Recovery,
        info: Some(object_info()),
        data_offset: 4096,
        data: bulk(8),
        xattrs: xattrs(),
        omap_header: small("header"),
        omap_after: b"after".to_vec(),
        omap: omap(),
        last: true,
    }
}

pub fn changed_part() -> ChangedPart {
    let extents = vec![Extent { offset: 4096, length: 1000 }, Extent { offset: 8192, length: 24 }];
    ChangedPart {
        base: version(9),
        extents,
        part: PushChunk { data_offset: 0, omap_header: small(""), omap: Default::default(), ..push_chunk() },
    }
}

pub fn pg_message(body: PgBody) -> Message {
    Message::Pg(Box::new(PgMessage { pg: pg(), epoch: Epoch(17), interval: Epoch(15), body }))
}

fn pg_bodies() -> Vec<(&'static str, PgBody)> {
    let lease = Duration::from_millis(3600);
    vec![
        ("query_info", PgBody::QueryInfo),
        ("info", PgBody::Info { info: info(), past_intervals: past_intervals(), lease_remaining: lease }),
        ("query_log", PgBody::QueryLog { since: version(4) }),
        ("log", PgBody::Log { info: info(), log: log_slice(), missing: missing() }),
        (
            "activate",
            PgBody::Activate(Box::new(ActivatePg {
                info: info(),
                log: log_slice(),
                past_intervals: past_intervals(),
                backfill: Some(Cursor::Start),
            })),
        ),
        ("activated", PgBody::Activated { info: info(), missing: missing() }),
        (
            "replicate",
            PgBody::Replicate(Box::new(Replicate {
                version: version(10),
                previous: version(9),
                entries: vec![log_entry()],
                transaction: Transaction { ops: store_ops() },
                trim_to: version(1),
                committed_to: version(8),
                lowest_open: 90,
                objects: 3,
                bytes: 70_000,
            })),
        ),
        ("replicated", PgBody::Replicated { version: version(10) }),
        ("replicate_gap", PgBody::ReplicateGap { have: version(7) }),
        ("lease_request", PgBody::LeaseRequest { sent_nanoseconds: 12345, duration: lease, committed_to: version(8) }),
        ("lease_grant", PgBody::LeaseGrant { sent_nanoseconds: 12345, duration: lease }),
        (
            "pull",
            PgBody::Pull {
                object: object_id(),
                version: version(10),
                data_offset: 4096,
                omap_after: b"after".to_vec(),
                have: None,
            },
        ),
        (
            "pull of changes",
            PgBody::Pull {
                object: object_id(),
                version: version(10),
                data_offset: 0,
                omap_after: Vec::new(),
                have: Some(version(9)),
            },
        ),
        ("push_changes", PgBody::PushChanges(Box::new(changed_part()))),
        ("changes_unusable", PgBody::ChangesUnusable { object: object_id(), version: version(10) }),
        ("push", PgBody::Push(Box::new(push_chunk()))),
        (
            "pushed",
            PgBody::Pushed {
                object: object_id(),
                version: version(10),
                data_offset: 4096,
                omap_after: b"after".to_vec(),
                complete: true,
            },
        ),
        ("pull_failed", PgBody::PullFailed { object: object_id(), version: version(10) }),
        ("backfill_scan", PgBody::BackfillScan { begin: Cursor::Before(object_id()), objects_max: 256 }),
        (
            "backfill_scanned",
            PgBody::BackfillScanned(BackfillPage {
                begin: Cursor::Start,
                end: Cursor::End,
                objects: vec![(object_id(), version(10))],
            }),
        ),
        ("backfill_progress", PgBody::BackfillProgress { cursor: Cursor::End, objects: 5, bytes: 6 }),
        ("backfill_progressed", PgBody::BackfillProgressed { cursor: Cursor::End }),
        ("reservation_request", PgBody::ReservationRequest { source: PushSource::Backfill }),
        ("reservation_grant", PgBody::ReservationGrant),
        ("reservation_release", PgBody::ReservationRelease),
        ("clean", PgBody::Clean { info: info() }),
        ("remove_stray", PgBody::RemoveStray),
        ("space", PgBody::Space { fullness: Fullness::Full }),
        ("scrub_reserve", PgBody::ScrubReserve),
        ("scrub_reserved", PgBody::ScrubReserved { granted: true }),
        ("scrub_release", PgBody::ScrubRelease),
        (
            "scrub_chunk",
            PgBody::ScrubChunk { number: 7, begin: Cursor::Start, end: Cursor::End, depth: ScrubDepth::Metadata },
        ),
        ("scrub_digests", PgBody::ScrubDigests { number: 7, end: Cursor::End, objects: vec![digest()] }),
        ("scrub_mark", PgBody::ScrubMark { object: object_id(), version: version(10), deleted: true }),
        ("scrub_marked", PgBody::ScrubMarked { object: object_id(), version: version(10), taken: true }),
        ("scrub_note", PgBody::ScrubNote(scrub_record())),
    ]
}

fn digest() -> ObjectDigest {
    ObjectDigest {
        object: object_id(),
        version: version(10),
        size: 4096,
        data_crc: 0xffff_ffff,
        xattrs_crc: 1,
        omap_crc: 2,
        damage: Some("bytes 0 to 4095 fail their checksum".into()),
    }
}

pub fn scrub_record() -> ScrubRecord {
    ScrubRecord {
        number: 3,
        scrub_version: version(10),
        scrub_stamp_ms: 1_700_000_000_000,
        deep_version: version(9),
        deep_stamp_ms: 1_700_000_000_001,
        scrub_due_ms: 1_700_000_000_002,
        deep_due_ms: 1_700_000_000_003,
        errors: 4,
        repaired: 5,
        cursor: Some(Cursor::Before(object_id())),
        cursor_depth: Some(ScrubDepth::Data),
        cursor_stamp_ms: 1_700_000_000_004,
    }
}

pub fn inconsistent_object() -> InconsistentObject {
    let errors = InconsistencyFlags::READ_ERROR;
    let broken = InconsistentCopy { osd: OsdId(1), errors, digest: Some(digest()) };
    let lacking = InconsistentCopy { osd: OsdId(2), errors: InconsistencyFlags::MISSING, digest: None };
    InconsistentObject {
        object: object_id(),
        version: version(10),
        errors: InconsistencyFlags::SIZE_MISMATCH.with(InconsistencyFlags::INFO_MISMATCH),
        proven: Some(OsdId(0)),
        copies: vec![broken, lacking],
    }
}

/// Steps that are asked of a placement group.
fn pg_ops() -> Vec<(&'static str, SubOp)> {
    vec![
        ("scrub", SubOp::ScrubPg(ScrubOrder::DeepScrub)),
        ("list inconsistent", SubOp::ListInconsistent { skip: 50, objects_max: 50 }),
        ("query", SubOp::QueryPg),
        ("mark unfound lost", SubOp::MarkUnfoundLost(UnfoundFate::Revert)),
    ]
}

/// Every message of the data plane.
pub fn messages() -> Vec<(String, Message)> {
    let mut all: Vec<(String, Message)> = vec![
        ("client_op".into(), Message::ClientOp(Box::new(client_op(sub_ops())))),
        ("client_op listing".into(), Message::ClientOp(Box::new(listing(1000, Some(b"space".to_vec()))))),
        ("client_reply".into(), Message::ClientReply(Box::new(client_reply(results())))),
    ];
    all.extend(pg_ops().into_iter().map(|(name, step)| {
        let op = ClientOp { target: OpTarget::Pg, ..client_op(vec![step]) };
        (format!("client_op {name}"), Message::ClientOp(Box::new(op)))
    }));
    let found =
        SubOpResult::Inconsistents { stamp_ms: 1_700_000_000_000, total: 9, objects: vec![inconsistent_object()] };
    all.push(("client_reply inconsistents".into(), Message::ClientReply(Box::new(client_reply(vec![found])))));
    for kind in [
        ErrorKind::Retry,
        ErrorKind::RefreshMap,
        ErrorKind::Invalid,
        ErrorKind::Denied,
        ErrorKind::NotFound,
        ErrorKind::Exists,
        ErrorKind::Full,
        ErrorKind::Damaged,
        ErrorKind::Closed,
        ErrorKind::Internal,
    ] {
        let outcome = Err(OpFailure { error: Error { kind, message: format!("it is {kind}") }, step: None });
        let reply = ClientReply { outcome, ..client_reply(Vec::new()) };
        all.push((format!("client_reply {kind}"), Message::ClientReply(Box::new(reply))));
    }
    all.extend(object_operations::messages());
    all.extend(pg_bodies().into_iter().map(|(name, body)| (format!("pg {name}"), pg_message(body))));
    all.extend([
        ("ping".into(), Message::Ping(Ping { epoch: Epoch(17), sent_nanoseconds: 1 << 40 })),
        ("ping of zeroes".into(), Message::Ping(Ping { epoch: Epoch(0), sent_nanoseconds: 0 })),
        (
            "pong".into(),
            Message::Pong(Pong {
                epoch: Epoch(17),
                sent_nanoseconds: 1 << 40,
                progress_age: Duration::from_millis(3),
                network_stack: NetworkStack::default(),
            }),
        ),
        (
            "pong with network stack".into(),
            Message::Pong(Pong {
                epoch: Epoch(17),
                sent_nanoseconds: 1 << 40,
                progress_age: Duration::ZERO,
                network_stack: NetworkStack(0xfeed_beef),
            }),
        ),
        ("map_share".into(), Message::MapShare(map_share())),
        ("map_request".into(), Message::MapRequest { have: Epoch(12) }),
        (
            "verify_request".into(),
            Message::VerifyRequest(VerifyRequest {
                sequence: 3,
                epoch: Epoch(17),
                pg: pg(),
                begin: Cursor::Start,
                objects_max: 256,
            }),
        ),
        (
            "verify_page".into(),
            Message::VerifyPage(VerifyPage {
                sequence: 3,
                last_update: version(10),
                present: true,
                objects: vec![digest()],
                next: Some(Cursor::Before(shard_id())),
            }),
        ),
    ]);
    all
}

pub fn command(prefix: String, value: String) -> ControlRequest {
    ControlRequest::Command(CommandRequest {
        id: CommandId { asker: 0xdead_beef, sequence: 2 },
        prefix,
        arguments: BTreeMap::from([("pool".to_owned(), value)]),
        input: small("input"),
    })
}

/// Every request of the control plane.
pub fn control_requests() -> Vec<(&'static str, ControlRequest)> {
    let (osd, nonce) = (OsdId(2), BootNonce(77));
    let evidence = |evidence| OsdFailure { reporter: OsdId(1), target: osd, nonce, evidence };
    let boot = OsdBoot {
        osd,
        uuid: OsdUuid(Uuid([5; 16])),
        nonce,
        address: "127.0.0.1:6800".parse().expect("an address"),
        host: "host-a".into(),
        total_bytes: 1 << 40,
        newest_map: Epoch(17),
    };
    let digest = ClusterDigest {
        osds: vec![osd_statistics()],
        pools: vec![(PoolId(1), 2, 3)],
        pg_states: vec![(PgStateFlags::ACTIVE, 128)],
        pgs_not_clean: vec![pg_statistics()],
        rates: io(),
        degraded_copies: 1,
        misplaced_copies: 2,
        copies: 3,
        unfound_objects: 4,
        scrub_errors: 0,
    };
    vec![
        ("command", command("osd pool create".into(), "demo".into())),
        ("new_client", ControlRequest::NewClient(CommandId { asker: 1, sequence: 2 })),
        ("get_maps", ControlRequest::GetMaps { have: Epoch(4) }),
        ("boot", ControlRequest::Boot(boot)),
        ("beacon", ControlRequest::Beacon { osd, nonce, epoch: Epoch(17), lowest_needed: Epoch(3), usage: usage() }),
        ("failure silent", ControlRequest::Failure(evidence(FailureEvidence::Silent(Duration::from_secs(5))))),
        ("failure refused", ControlRequest::Failure(evidence(FailureEvidence::Refused))),
        ("failure closed", ControlRequest::Failure(evidence(FailureEvidence::Closed))),
        ("failure recovered", ControlRequest::Failure(evidence(FailureEvidence::Recovered))),
        ("farewell", ControlRequest::Farewell { osd, nonce }),
        ("up_thru", ControlRequest::UpThru { osd, nonce, epoch: Epoch(17) }),
        ("pg_temp", ControlRequest::PgTemp { osd, epoch: Epoch(17), sets: vec![(pg(), vec![OsdId(1), OsdId(0)])] }),
        ("pg_created", ControlRequest::PgCreated { pgs: vec![pg()] }),
        (
            "manager_beacon",
            ControlRequest::ManagerBeacon {
                name: "x".into(),
                address: "[::1]:7000".parse().expect("an address"),
                nonce,
                digest: Some(Box::new(digest)),
            },
        ),
        (
            "statistics",
            ControlRequest::Statistics(Box::new(StatisticsReport {
                osd: osd_statistics(),
                pgs: vec![pg_statistics()],
            })),
        ),
        ("consensus", ControlRequest::Consensus { method: "append".into(), body: bulk(9) }),
        (
            "forwarded",
            ControlRequest::Forwarded {
                asker: EntityName::osd(osd),
                request: Box::new(ControlRequest::Farewell { osd, nonce }),
            },
        ),
    ]
}

/// Every reply of the control plane.
pub fn control_replies() -> Vec<(&'static str, ControlReply)> {
    vec![
        ("done", ControlReply::Done),
        ("answer", ControlReply::Answer(CommandAnswer { status: "pool created".into(), output: small("{}") })),
        ("client", ControlReply::Client(ClientId(4711))),
        ("maps", ControlReply::Maps(map_share())),
        ("consensus", ControlReply::Consensus(small("vote"))),
        ("failed", ControlReply::Failed(Error::denied("it may not"))),
    ]
}
