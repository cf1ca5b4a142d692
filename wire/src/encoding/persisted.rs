//! What placement groups keep on disk: values of omap keys and the reserved attribute, each with its version.
//!
//! A value that cannot be read is `Damaged`: the store vouches for its bytes, so somebody wrote nonsense, or a newer
//! program whose values this one must not guess at.

use bytes::Bytes;
use types::{Error, Result};

use super::{
    field::{Record, record},
    message::check_version,
    stream::{Decoder, Encoder},
};
use crate::{
    InconsistentObject, LogEntry, MissingObject, ObjectInfo, PastInterval, PgHistory, PgInfo, RequestOutcome,
    ScrubRecord,
};

/// A list of intervals as one value.
struct PastIntervals {
    intervals: Vec<PastInterval>,
}
record!(PastIntervals { 1 intervals });

/// Versions: (written here, oldest reader that understands what is written here).
const OBJECT_INFO: (u8, u8) = (1, 1);
const LOG_ENTRY: (u8, u8) = (1, 1);
const PG_INFO: (u8, u8) = (1, 1);
const HISTORY: (u8, u8) = (1, 1);
const REQUEST_OUTCOME: (u8, u8) = (1, 1);
const PAST_INTERVALS: (u8, u8) = (1, 1);
const MISSING_OBJECT: (u8, u8) = (1, 1);
const SCRUB_RECORD: (u8, u8) = (1, 1);
const INCONSISTENT_OBJECT: (u8, u8) = (1, 1);

fn encode((version, oldest_reader): (u8, u8), capacity: usize, value: &impl Record) -> Bytes {
    let mut out = Encoder::inline(capacity);
    out.raw_byte(version);
    out.raw_byte(oldest_reader);
    value.put_fields(&mut out);
    out.finish().0.into()
}

fn decode<T: Record>(what: &str, (version, _): (u8, u8), bytes: &[u8]) -> Result<T> {
    let mut payload = Bytes::new();
    let mut input = Decoder::new(bytes, &mut payload);
    check_version(what, &mut input, version)
        .and_then(|()| T::take_fields(&mut input))
        .map_err(|error| Error::damaged(format!("read a stored {what}: {}", error.message)))
}

macro_rules! persisted {
    ($($type:ident $version:ident $capacity:literal $what:literal $encode:ident $decode:ident;)*) => {$(
        #[doc = concat!("The bytes of a stored ", $what, ".")]
        pub fn $encode(value: &$type) -> Bytes {
            encode($version, $capacity, value)
        }

        #[doc = concat!("The ", $what, " of these bytes; `Damaged` when they are none.")]
        pub fn $decode(bytes: &[u8]) -> Result<$type> {
            decode($what, $version, bytes)
        }
    )*};
}

persisted! {
    ObjectInfo OBJECT_INFO 64 "object info" encode_object_info decode_object_info;
    LogEntry LOG_ENTRY 160 "log entry" encode_log_entry decode_log_entry;
    PgInfo PG_INFO 128 "account of a placement group" encode_pg_info decode_pg_info;
    PgHistory HISTORY 48 "history of a placement group" encode_history decode_history;
    RequestOutcome REQUEST_OUTCOME 48 "request outcome" encode_request_outcome decode_request_outcome;
    MissingObject MISSING_OBJECT 32 "missing object" encode_missing_object decode_missing_object;
    ScrubRecord SCRUB_RECORD 96 "record of scrubs" encode_scrub_record decode_scrub_record;
    InconsistentObject INCONSISTENT_OBJECT 256 "inconsistent object" encode_inconsistent_object decode_inconsistent_object;
}

/// The bytes of a stored list of past intervals.
pub fn encode_past_intervals(intervals: &[PastInterval]) -> Bytes {
    encode(PAST_INTERVALS, 128, &PastIntervals { intervals: intervals.to_vec() })
}

/// The past intervals of these bytes; `Damaged` when they are none.
pub fn decode_past_intervals(bytes: &[u8]) -> Result<Vec<PastInterval>> {
    Ok(decode::<PastIntervals>("list of past intervals", PAST_INTERVALS, bytes)?.intervals)
}
