//! What actors say to each other, and what a placement group keeps on disk, as domain types with their encodings.
//!
//! Owns: the messages, their versions, and their bytes. The encoding library is private to this crate. Does not
//! know: sockets, sessions, who answers what.
//!
//! Invariants
//! 1. Decoding never panics and never allocates more than the input justifies; a refusal says why.
//! 2. What arrives is within the limits of `ika_types::limits`; nobody inside checks them again.
//! 3. Every message body and every persisted value carries a version and the oldest version of a reader that
//!    understands it; unknown optional fields are skipped, unknown required ones refuse.

mod client_op;
mod control;
mod heartbeat;
mod map_share;
mod message;
mod pg_message;
mod pg_state;
mod statistics;
mod verify;

pub use client_op::{
    ClientOp, ClientReply, Comparison, OpFailure, OpFlags, OpSuccess, OpTarget, SnapshotContext, SubOp, SubOpResult,
};
pub use control::{
    CommandAnswer, CommandId, CommandRequest, ControlReply, ControlRequest, FailureEvidence, OsdBoot, OsdFailure,
};
pub use heartbeat::{Ping, Pong};
pub use map_share::MapShare;
pub use message::Message;
pub use pg_message::{
    ActivatePg, BackfillPage, PgBody, PgLogSlice, PgMessage, PushChunk, PushSource, Replicate,
};
pub use pg_state::{
    LogEntry, LogEntryKind, MissingObject, MissingSet, ObjectInfo, PastInterval, PgHistory, PgInfo, RequestOutcome,
};
pub use statistics::{ClusterDigest, IoCounters, OsdStatistics, PgStateFlags, PgStatistics, StatisticsReport};
pub use verify::{ObjectDigest, VerifyPage, VerifyRequest};
