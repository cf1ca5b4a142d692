//! Snapshots of pools: made and removed, with names by operators or with numbers by clients.
//!
//! Owns: which number a snapshot gets, that none is given twice, and that the two modes never mix in one pool. Does not
//! know: what preserves a snapshot or trims it; placement groups learn both from the map (docs/internals/snapshots.md).

use std::sync::Arc;

use map::{Change, Pool, PoolFlags};
use serde_json::json;
use types::{Epoch, Error, Result, SnapshotId, limits};
use wire::CommandAnswer;

use super::{
    Arguments,
    view::{View, pool_by_name},
};
use crate::draft::Draft;

/// Bytes of the names of all snapshots of one pool. With [`REMOVED_RANGES_MAX`] a pool's record stays within the map's
/// bound of 1 MiB.
const NAMES_BYTES_MAX: usize = 256 << 10;
/// Ranges of removed snapshots of one pool, at most 24 bytes each. To reach it somebody must keep every other one of
/// 40,000 snapshots.
const REMOVED_RANGES_MAX: usize = 20_000;

pub(super) fn make_named(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (mut pool, name) = (pool_of(draft, arguments)?, arguments.text("snap"));
    check_name(name)?;
    // Ceph: a pool that clients make snapshots in never takes named ones, even when all of theirs were removed: their
    // contexts would be passed over from one write to the next.
    if pool.flags.contains(PoolFlags::SELF_MANAGED_SNAPSHOTS) {
        return Err(Error::invalid(format!(
            "clients manage the snapshots of pool '{}'; a pool has either theirs or named ones",
            pool.name
        )));
    }
    // Unlike Ceph, whose answer is success: whoever asks for a snapshot of now would take an old one for it.
    if pool.snapshots.values().any(|present| present == name) {
        return Err(Error::exists(format!("pool '{}' has a snapshot '{name}' already", pool.name)));
    }
    let names_bytes: usize = pool.snapshots.values().map(String::len).sum();
    if pool.snapshots.len() >= limits::SNAPSHOTS_IN_CONTEXT_MAX || names_bytes + name.len() > NAMES_BYTES_MAX {
        return Err(Error::invalid(format!(
            "pool '{}' has {} snapshots with names of {names_bytes} bytes; at most {} with {NAMES_BYTES_MAX} bytes are \
             kept, so remove some",
            pool.name,
            pool.snapshots.len(),
            limits::SNAPSHOTS_IN_CONTEXT_MAX
        )));
    }
    pool.flags = pool.flags.with(PoolFlags::POOL_SNAPSHOTS);
    let id = next_number(&mut pool)?;
    pool.snapshots.insert(id.0, name.to_owned());
    let sentence = format!("created snapshot '{name}' of pool '{}'", pool.name);
    publish(draft, pool, id, sentence)
}

pub(super) fn remove_named(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (mut pool, name) = (pool_of(draft, arguments)?, arguments.text("snap"));
    let found = pool.snapshots.iter().find(|(_, present)| *present == name).map(|(id, _)| SnapshotId(*id));
    let Some(id) = found else {
        let names = pool.snapshots.values().map(String::as_str);
        let hint = super::suggest::nearest(name, names).map(|other| format!("; did you mean '{other}'?"));
        return Err(Error::not_found(format!(
            "pool '{}' has no snapshot '{name}'{}",
            pool.name,
            hint.unwrap_or_default()
        )));
    };
    pool.snapshots.remove(&id.0);
    note_removed(&mut pool, id)?;
    let sentence = format!("removed snapshot '{name}' of pool '{}'", pool.name);
    publish(draft, pool, id, sentence)
}

pub(super) fn make_numbered(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let mut pool = pool_of(draft, arguments)?;
    if pool.flags.contains(PoolFlags::POOL_SNAPSHOTS) {
        return Err(Error::invalid(format!(
            "pool '{}' has named snapshots; a pool has either those or its clients'",
            pool.name
        )));
    }
    pool.flags = pool.flags.with(PoolFlags::SELF_MANAGED_SNAPSHOTS);
    let id = next_number(&mut pool)?;
    let sentence = format!("created snapshot {id} in pool '{}'", pool.name);
    publish(draft, pool, id, sentence)
}

pub(super) fn remove_numbered(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let (mut pool, id) = (pool_of(draft, arguments)?, SnapshotId(arguments.integer("snapid")));
    if !pool.flags.contains(PoolFlags::SELF_MANAGED_SNAPSHOTS) {
        return Err(Error::invalid(format!("clients manage no snapshots in pool '{}'", pool.name)));
    }
    if id.0 > pool.snapshot_sequence {
        return Err(Error::not_found(format!("pool '{}' never had a snapshot {id}", pool.name)));
    }
    // Whoever died between the removal and its own note of it removes once more.
    if pool.removed_snapshots.contains(id) {
        let sentence = format!("snapshot {id} of pool '{}' was removed before", pool.name);
        return Ok(answer(pool.changed, &pool, id, sentence));
    }
    note_removed(&mut pool, id)?;
    let sentence = format!("removed snapshot {id} of pool '{}'", pool.name);
    publish(draft, pool, id, sentence)
}

fn pool_of(draft: &Draft, arguments: &Arguments) -> Result<Pool> {
    pool_by_name(draft.map(), arguments.text("pool")).map(|pool| Pool::clone(pool))
}

fn check_name(name: &str) -> Result<()> {
    let is_plain = !name.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    if name.is_empty() || !is_plain {
        return Err(Error::invalid(format!(
            "`{name}` is no name of a snapshot; it has 1 to {} bytes, no blanks and no control characters",
            limits::SNAPSHOT_NAME_BYTES_MAX
        )));
    }
    Ok(())
}

/// A number that was never given in this pool.
fn next_number(pool: &mut Pool) -> Result<SnapshotId> {
    let next = pool.snapshot_sequence.saturating_add(1);
    if next >= SnapshotId::HEAD.0 {
        return Err(Error::invalid(format!("pool '{}' has given all numbers of snapshots", pool.name)));
    }
    pool.snapshot_sequence = next;
    Ok(SnapshotId(next))
}

fn note_removed(pool: &mut Pool, id: SnapshotId) -> Result<()> {
    pool.removed_snapshots.insert(id);
    if pool.removed_snapshots.len() > REMOVED_RANGES_MAX {
        return Err(Error::invalid(format!(
            "removed snapshots of pool '{}' would be in more than {REMOVED_RANGES_MAX} ranges; first remove one whose \
             neighbour was removed",
            pool.name
        )));
    }
    Ok(())
}

fn publish(draft: &mut Draft, pool: Pool, id: SnapshotId, sentence: String) -> Result<CommandAnswer> {
    let answer = answer(draft.map().epoch, &pool, id, sentence);
    draft.change(Change::PoolSet(Arc::new(pool)))?;
    Ok(answer)
}

/// The epoch is that of a map that shows it: a client that has it sends nothing to an OSD that has not. It must be one that
/// comes, or the client would wait for ever; so it is not the draft's when the draft changes nothing.
fn answer(epoch: Epoch, pool: &Pool, id: SnapshotId, status: String) -> CommandAnswer {
    let output = json!({ "pool": pool.name, "pool_id": pool.id, "snapid": id, "epoch": epoch });
    CommandAnswer { status, output: output.to_string().into() }
}
