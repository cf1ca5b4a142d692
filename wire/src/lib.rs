//! What actors say to each other, and what a placement group keeps on disk, as domain types with their encodings.
//!
//! Owns: the messages, their versions, and their bytes. The encoding is private to this crate. Does not know:
//! sockets, sessions, who answers what.
//!
//! Invariants
//! 1. Decoding never panics and never allocates more than the input justifies; a refusal says why.
//! 2. What arrives is within the limits of `types::limits`; nobody inside checks them again.
//! 3. Every message body and every persisted value carries a version and the oldest version of a reader that
//!    understands it; unknown optional fields are skipped, unknown required ones refuse.

mod client_op;
mod control;
mod encoding;
mod heartbeat;
mod map_share;
mod message;
mod pg_message;
mod pg_state;
mod scrub;
mod statistics;
mod verify;

pub use client_op::{
    AllocationHint, ChecksumKind, ClientOp, ClientReply, CloneRecord, Comparison, Notification, NotifyAnswer,
    OpFailure, OpFlags, OpSuccess, OpTarget, SnapshotContext, SubOp, SubOpResult, Watcher,
};
pub use control::{
    CommandAnswer, CommandId, CommandRequest, ControlReply, ControlRequest, FailureEvidence, OsdBoot, OsdFailure,
};
pub use encoding::{
    EncodedMessage, decode_control_reply, decode_control_request, decode_history, decode_inconsistent_object,
    decode_log_entry, decode_map_share, decode_message, decode_missing_object, decode_object_info,
    decode_past_intervals, decode_pg_info, decode_request_outcome, decode_scrub_record, encode_control_reply,
    encode_control_request, encode_history, encode_inconsistent_object, encode_log_entry, encode_map_share,
    encode_message, encode_missing_object, encode_object_info, encode_past_intervals, encode_pg_info,
    encode_request_outcome, encode_scrub_record,
};
pub use heartbeat::{NetworkStack, Ping, Pong};
pub use map_share::MapShare;
pub use message::Message;
pub use pg_message::{
    ActivatePg, BackfillPage, ChangedPart, Fullness, PgBody, PgLogSlice, PgMessage, PushChunk, PushSource, Replicate,
};
pub use pg_state::{
    LogEntry, LogEntryKind, MissingObject, MissingSet, ObjectInfo, Overlap, PastInterval, PgHistory, PgInfo,
    RequestOutcome,
};
pub use scrub::{
    InconsistencyFlags, InconsistentCopy, InconsistentObject, ScrubDepth, ScrubOrder, ScrubRecord, UnfoundFate,
};
pub use statistics::{ClusterDigest, IoCounters, OsdStatistics, PgStateFlags, PgStatistics, StatisticsReport};
pub use verify::{ObjectDigest, VerifyPage, VerifyRequest};
