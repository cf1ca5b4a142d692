//! Tags of clients' operations and their answers.

use types::{Error, Result};

use super::{
    bounds::{check_client_op, check_client_reply, check_notification, check_sub_op, check_sub_op_result},
    field::{Element, Record, choice, enumeration, newtype, record, required_field},
    stream::{Decoder, Encoder, WireType},
};
use crate::{
    AllocationHint, ChecksumKind, ClientOp, ClientReply, CloneRecord, Comparison, Notification, NotifyAnswer,
    OpFailure, OpFlags, OpSuccess, OpTarget, SnapshotContext, SubOp, SubOpResult, Watcher,
};

newtype!(OpFlags);
enumeration!(Comparison { 1 Equal, 2 NotEqual, 3 Greater, 4 GreaterOrEqual, 5 Less, 6 LessOrEqual });
enumeration!(ChecksumKind { 1 XxHash32, 2 XxHash64, 3 Crc32c });
record!(AllocationHint { 1 object_bytes, 2 write_bytes, 3 flags });

record!(CloneRecord { 1 clone, 2 snapshots, 3 size, 4 overlap });
record!(Watcher { 1 client, 2 cookie, 3 timeout_ms });
record!(NotifyAnswer { 1 client, 2 cookie, 3 payload });
record!(Notification {
    1 pg, 2 epoch, 3 object, 4 cookie, 5 notify, 6 notifier, 7 payload,
} check check_notification);

choice!(SubOp {
    1 Read(1 extent),
    2 Stat,
    3 GetXattr(1 name),
    4 GetXattrs,
    5 OmapGet { 1 after, 2 prefix, 3 keys_max },
    6 OmapGetKeys(1 keys),
    7 OmapGetHeader,
    8 AssertExists,
    9 AssertVersion(1 version),
    10 CompareExtent { 1 offset, 2 data },
    11 CompareXattr { 1 name, 2 comparison, 3 value },
    12 CompareOmap { 1 key, 2 comparison, 3 value },
    13 Create { 1 exclusive },
    14 Write { 1 offset, 2 data },
    15 WriteFull(1 data),
    16 Append(1 data),
    17 Zero(1 extent),
    18 Truncate(1 size),
    19 Remove,
    20 SetXattr { 1 name, 2 value },
    21 RemoveXattr(1 name),
    22 OmapSet(1 entries),
    23 OmapRemoveKeys(1 keys),
    24 OmapRemoveRange(1 begin, 2 end),
    25 OmapClear,
    26 OmapSetHeader(1 header),
    27 ListObjects { 1 begin, 2 namespace, 3 objects_max },
    60 ScrubPg(1 order),
    61 ListInconsistent { 1 skip, 2 objects_max },
    62 QueryPg,
    63 MarkUnfoundLost(1 fate),
    100 Call { 1 class, 2 method, 3 input },
    101 WriteSame { 1 extent, 2 data },
    102 Checksum { 1 kind, 2 seed, 3 extent, 4 chunk },
    103 SparseRead(1 extent),
    104 MapExtents(1 extent),
    105 CompareXattrNumber { 1 name, 2 comparison, 3 value },
    106 OmapGetRange { 1 begin, 2 end, 3 keys_max },
    107 OmapGetNames { 1 after, 2 prefix, 3 keys_max },
    108 ClearXattrs,
    109 SetAllocationHint(1 hint),
    110 Watch { 1 cookie, 2 timeout_ms },
    111 Unwatch { 1 cookie },
    112 WatchPing { 1 cookie },
    113 ListWatchers,
    114 Notify { 1 timeout_ms, 2 payload },
    115 NotifyAcknowledge { 1 notify, 2 cookie, 3 payload },
    116 Rollback(1 snapshot),
    117 ListSnapshots { 1 after },
    118 TrimClone { 1 clone, 2 snapshot, 3 cloned_at },
} check check_sub_op);

record!(SnapshotContext { 1 sequence, 2 snapshots });
choice!(OpTarget { 1 Object { 1 name, 2 hash }, 2 Pg });
record!(ClientOp {
    1 request, 2 lowest_open, 3 epoch, 4 pg, 5 target, 6 snapshot, 7 snapshot_context, 8 flags, 9 modified_ms, 10 ops,
} check check_client_op);

choice!(SubOpResult {
    1 Done,
    2 Data(1 data),
    3 Stat { 1 size, 2 modified_ms },
    4 Xattrs(1 xattrs),
    5 Omap(1 page),
    6 List { 1 names, 2 next },
    60 Inconsistents { 1 stamp_ms, 2 total, 3 objects },
    100 Sparse { 1 extents, 2 data },
    101 Extents(1 extents),
    102 Watchers(1 watchers),
    103 Notified { 1 answers, 2 missed },
    104 Snapshots { 1 sequence, 2 clones, 3 next },
} check check_sub_op_result);
record!(OpSuccess { 1 version, 2 user_version, 3 results });
record!(OpFailure { 1 error, 2 step });
record!(ClientReply { 1 request, 2 epoch, 3 outcome } check check_client_reply);

/// A record with one field: 1 the success, 2 the failure.
impl Element for Result<OpSuccess, OpFailure> {
    fn put_one(&self, tag: u32, out: &mut Encoder) {
        out.nested(tag, |out| match self {
            Ok(success) => success.put_one(1, out),
            Err(failure) => failure.put_one(2, out),
        });
    }
    fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
        input.nested(wire, |input| {
            let outcome = match input.next_key()? {
                Some((1, wire)) => Ok(input.nested(wire, OpSuccess::take_fields)?),
                Some((2, wire)) => Err(input.nested(wire, OpFailure::take_fields)?),
                _ => return Err(Error::invalid("an outcome is neither success nor failure")),
            };
            if input.next_key()?.is_some() {
                return Err(Error::invalid("an outcome is two things at once"));
            }
            Ok(outcome)
        })
    }
}
required_field!(Result<OpSuccess, OpFailure>);
