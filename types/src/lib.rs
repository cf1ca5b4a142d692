//! The values everyone shares: ids, versions, names, time, errors, limits, and store transactions as data.
//!
//! Owns: newtypes with their order and their text forms. Does not know: bytes on the wire or on disk, sockets,
//! clocks, randomness. Everything here is plain data; nothing here waits or fails except constructors that
//! validate.
//!
//! Invariants
//! 1. `ObjectId` sorts by pool, bit-reversed hash, namespace, key, name, snapshot, generation, shard: one
//!    placement group is one contiguous range, for every `pg_num`.
//! 2. `LogVersion` sorts by epoch first, then by number.
//! 3. No value here carries a hidden default that means "unknown"; absence is an `Option`.

mod error;
mod id;
pub mod limits;
mod object;
mod pg;
pub mod simulation;
mod snapshot;
mod store;
mod time;
mod version;

pub use error::{Error, ErrorKind, Result};
pub use id::{
    BootNonce, ClientId, ClusterId, EntityKind, EntityName, MonId, OsdId, OsdUuid, PoolId, RequestId, SnapshotId,
    StoreUuid, Uuid,
};
pub use object::{Cursor, GENERATION_NONE, ObjectId, ObjectName, ShardId};
pub use pg::{PgId, PgRange, stable_modulo};
pub use snapshot::{SnapshotRange, SnapshotRanges};
pub use store::{Extent, ObjectMeta, OmapPage, StoreOp, StoreRead, StoreReadResult, StoreUsage, Transaction, XattrMap};
pub use time::{Seed, SeededRandom, Time};
pub use version::{Epoch, LogVersion};
