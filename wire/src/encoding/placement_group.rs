//! Tags of what placement groups keep and say to each other.

use super::{
    bounds::{
        check_backfill_page, check_changed_part, check_pg_body, check_push_chunk, check_verify_page,
        check_verify_request,
    },
    field::{choice, enumeration, record},
};
use crate::{
    ActivatePg, BackfillPage, ChangedPart, Fullness, LogEntry, LogEntryKind, MissingObject, ObjectDigest, ObjectInfo,
    Overlap, PastInterval, PgBody, PgHistory, PgInfo, PgLogSlice, PgMessage, PushChunk, PushSource, Replicate,
    RequestOutcome, VerifyPage, VerifyRequest,
};

record!(ObjectInfo {
    1 version, 2 user_version, 3 modified_ms, 4 size, 5 snapshot_context, 100 allocation_hint, 101 watchers,
    102 overlap, 103 cloned_at,
});
record!(Overlap { 1 clone, 2 extents });

enumeration!(LogEntryKind { 1 Modify, 2 Delete, 3 Failed });

/// A list that may be absent, which is not the same as empty.
mod changed {
    use types::{Extent, Result};

    use crate::encoding::{
        field::{Element, Field, finish},
        stream::{Decoder, Encoder, WireType},
    };

    impl Element for Vec<Extent> {
        fn put_one(&self, tag: u32, out: &mut Encoder) {
            out.nested(tag, |out| self.put(1, out));
        }
        fn take_one(wire: WireType, input: &mut Decoder<'_>) -> Result<Self> {
            input.nested(wire, |input| {
                let mut extents = None;
                while let Some((tag, wire)) = input.next_key()? {
                    match tag {
                        1 => Field::take(&mut extents, wire, input)?,
                        _ => input.skip(wire)?,
                    }
                }
                finish(extents, "LogEntry.changed")
            })
        }
    }
}

record!(LogEntry {
    1 kind, 2 object, 3 version, 4 prior_version, 5 user_version, 6 request, 7 failure, 8 modified_ms, 9 changed,
    10 rollback, 100 outputs,
});
record!(RequestOutcome { 1 request, 2 version, 3 user_version, 4 failure, 100 outputs });
record!(PgHistory {
    1 epoch_created, 2 last_epoch_started, 3 last_interval_started, 4 last_epoch_clean, 5 last_interval_clean,
    6 same_interval_since, 7 same_up_since, 8 same_primary_since,
});
record!(PgInfo {
    1 pg, 2 last_update, 3 last_complete, 4 log_tail, 5 last_user_version, 6 backfill, 7 last_epoch_started,
    8 last_interval_started, 9 objects, 10 bytes, 11 history,
});
record!(PastInterval { 1 first, 2 last, 3 up, 4 acting, 5 primary, 6 maybe_wrote });
record!(MissingObject { 1 need, 2 have, 3 deleted });

record!(PgMessage { 1 pg, 2 epoch, 3 interval, 4 body });
record!(PgLogSlice { 1 tail, 2 entries, 3 requests });
record!(ActivatePg { 1 info, 2 log, 3 past_intervals, 4 backfill });
record!(Replicate {
    1 version, 2 previous, 3 entries, 4 transaction, 5 trim_to, 6 committed_to, 7 lowest_open, 8 objects,
    9 bytes,
});
enumeration!(PushSource { 1 Recovery, 2 Backfill });
enumeration!(Fullness { 1 Room, 2 BackfillFull, 3 Full });
record!(PushChunk {
    1 object, 2 version, 3 source, 4 info, 5 data_offset, 6 data, 7 xattrs, 8 omap_header, 9 omap_after, 10 omap,
    11 last,
} check check_push_chunk);
record!(ChangedPart { 1 base, 2 extents, 3 part } check check_changed_part);
record!(BackfillPage { 1 begin, 2 end, 3 objects } check check_backfill_page);

choice!(PgBody {
    1 QueryInfo,
    2 Info { 1 info, 2 past_intervals, 3 lease_remaining },
    3 QueryLog { 1 since },
    4 Log { 1 info, 2 log, 3 missing },
    5 Activate(1 activate),
    6 Activated { 1 info, 2 missing },
    7 Replicate(1 replicate),
    8 Replicated { 1 version },
    9 ReplicateGap { 1 have },
    10 LeaseRequest { 1 sent_nanoseconds, 2 duration, 3 committed_to },
    11 LeaseGrant { 1 sent_nanoseconds, 2 duration },
    12 Pull { 1 object, 2 version, 3 data_offset, 4 omap_after, 80 have },
    13 Push(1 chunk),
    14 Pushed { 1 object, 2 version, 3 data_offset, 4 omap_after, 5 complete },
    15 PullFailed { 1 object, 2 version },
    16 BackfillScan { 1 begin, 2 objects_max },
    17 BackfillScanned(1 page),
    18 BackfillProgress { 1 cursor, 2 objects, 3 bytes },
    19 BackfillProgressed { 1 cursor },
    20 ReservationRequest { 1 source },
    21 ReservationGrant,
    22 ReservationRelease,
    23 Clean { 1 info },
    24 RemoveStray,
    50 Space { 1 fullness },
    60 ScrubReserve,
    61 ScrubReserved { 1 granted },
    62 ScrubRelease,
    63 ScrubChunk { 1 number, 2 begin, 3 end, 4 depth },
    64 ScrubDigests { 1 number, 2 end, 3 objects },
    65 ScrubMark { 1 object, 2 version, 3 deleted },
    66 ScrubMarked { 1 object, 2 version, 3 taken },
    67 ScrubNote(1 record),
    80 PushChanges(1 changed),
    81 ChangesUnusable { 1 object, 2 version },
} check check_pg_body);

record!(VerifyRequest { 1 sequence, 2 epoch, 3 pg, 4 begin, 5 objects_max } check check_verify_request);
record!(ObjectDigest { 1 object, 2 version, 3 size, 4 data_crc, 5 xattrs_crc, 6 omap_crc, 7 damage });
record!(VerifyPage { 1 sequence, 2 last_update, 3 present, 4 objects, 5 next } check check_verify_page);
