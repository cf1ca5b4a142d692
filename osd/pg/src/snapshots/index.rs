//! The index from snapshots to the clones that preserve them: the omap of a metadata object of the placement group.
//!
//! ```text
//! key    <snapshot, 8 bytes><epoch, 4 bytes><number, 8 bytes>   big-endian; the version is of the entry that made the clone
//! value  which object, in the bytes of a log entry
//! ```
//! A clone's key never changes while it preserves the snapshot, so that every copy has the same ones. All of a removed
//! snapshot stands together; to trim is to walk a range of keys.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{Epoch, Error, LogVersion, ObjectId, PgId, Result, SnapshotId, StoreOp};
use wire::{ObjectInfo, decode_log_entry};

use crate::stored::encode_object;

/// Sorts before every key of the snapshot, and behind every key of those before it.
pub fn before_snapshot(snapshot: SnapshotId) -> Vec<u8> {
    snapshot.0.to_be_bytes().to_vec()
}

fn key(snapshot: SnapshotId, cloned_at: LogVersion) -> Vec<u8> {
    let mut key = before_snapshot(snapshot);
    key.extend(cloned_at.epoch.0.to_be_bytes());
    key.extend(cloned_at.number.to_be_bytes());
    key
}

/// What an entry says: the snapshot, when its clone was made, and which object that is.
pub fn decode(key: &[u8], value: &Bytes) -> Result<(SnapshotId, LogVersion, ObjectId)> {
    let refuse = || Error::damaged(format!("the index of snapshots has an unknown key `{}`", key.escape_ascii()));
    let (snapshot, version) = key.split_first_chunk::<8>().ok_or_else(refuse)?;
    let (epoch, number) = version.split_first_chunk::<4>().ok_or_else(refuse)?;
    let number: [u8; 8] = number.try_into().map_err(|_| refuse())?;
    let version = LogVersion::new(Epoch(u32::from_be_bytes(*epoch)), u64::from_be_bytes(number));
    Ok((SnapshotId(u64::from_be_bytes(*snapshot)), version, decode_log_entry(value)?.object))
}

/// Enters a clone under each snapshot that it preserves; `None` when it is none.
pub fn enter(pg: PgId, clone: &ObjectId, info: &ObjectInfo) -> Option<StoreOp> {
    let cloned_at = info.cloned_at.filter(|_| clone.is_clone())?;
    let value = encode_object(clone, cloned_at);
    let snapshots = info.snapshot_context.snapshots.iter();
    let entries: BTreeMap<Vec<u8>, Bytes> =
        snapshots.map(|snapshot| (key(*snapshot, cloned_at), value.clone())).collect();
    (!entries.is_empty()).then(|| StoreOp::OmapSet { object: ObjectId::snapshot_index(pg), entries })
}

/// Takes a clone out from under one snapshot.
pub fn leave(pg: PgId, snapshot: SnapshotId, cloned_at: LogVersion) -> StoreOp {
    StoreOp::OmapRemove { object: ObjectId::snapshot_index(pg), keys: vec![key(snapshot, cloned_at)] }
}
