//! Tags of scrubs.

use super::field::{enumeration, newtype, record};
use crate::{
    InconsistencyFlags, InconsistentCopy, InconsistentObject, ScrubDepth, ScrubOrder, ScrubRecord, UnfoundFate,
};

enumeration!(ScrubDepth { 1 Metadata, 2 Data });
enumeration!(ScrubOrder { 1 Scrub, 2 DeepScrub, 3 Repair });
enumeration!(UnfoundFate { 1 Revert, 2 Delete });
newtype!(InconsistencyFlags);
record!(ScrubRecord {
    1 number, 2 scrub_version, 3 scrub_stamp_ms, 4 deep_version, 5 deep_stamp_ms, 6 scrub_due_ms, 7 deep_due_ms,
    8 errors, 9 repaired, 10 cursor, 11 cursor_depth, 12 cursor_stamp_ms,
});
record!(InconsistentCopy { 1 osd, 2 errors, 3 digest });
record!(InconsistentObject { 1 object, 2 version, 3 errors, 4 proven, 5 copies });
