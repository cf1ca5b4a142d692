//! Snapshots: what an object was when a snapshot was made (docs/internals/snapshots.md, decision 0071).
//!
//! Owns: which snapshots a write preserves, how the clone that holds one is found, and the trimming of clones whose
//! snapshots were removed. Does not know: how a clone is copied to a member; a clone is an object like any other.
//!
//! Invariants
//! 1. A clone's number is greater than those of all older clones of its name, and it preserves only snapshots that are
//!    greater than those and not greater than itself.
//! 2. A clone is written twice at most ways: by the write that makes it, and by trims, which take snapshots from its list.
//! 3. For each snapshot of each clone's list, every whole copy has an entry in its index. What the index says beyond
//!    that does no harm: a trim looks at the clone.
//!
//! After a crash: the index and the clones are one transaction; a trim goes on with what the index still names.

pub mod find;
pub mod index;
pub mod trim;

use std::collections::BTreeMap;

use types::{Cursor, Error, ObjectId, Result, SnapshotId, StoreReadResult};
use wire::{ClientOp, SnapshotContext, SubOp};

use crate::{pg::Pg, write::Existing};

/// Per step that goes back to a snapshot: the object that may hold it, a clone or the live object.
pub type Candidates = BTreeMap<usize, Option<ObjectId>>;

/// The step that goes back to a snapshot, with its index; an operation has one at most.
pub fn rollback_of(ops: &[SubOp]) -> Option<(usize, SnapshotId)> {
    ops.iter().enumerate().find_map(|(index, step)| match step {
        SubOp::Rollback(snapshot) => Some((index, *snapshot)),
        _ => None,
    })
}

/// Whether the operation is a trim of the group's own.
pub fn is_trim(ops: &[SubOp]) -> bool {
    matches!(ops, [SubOp::TrimClone { .. }])
}

/// Whether what is there is what its name was at a snapshot.
pub fn holds(object: &ObjectId, existing: &Existing, snapshot: SnapshotId) -> bool {
    let context = &existing.info.snapshot_context;
    if object.is_clone() { context.snapshots.contains(&snapshot) } else { context.sequence < snapshot.0 }
}

/// The objects of a listing that belong to the name, in order.
pub fn listed_of_name(object: &ObjectId, results: Vec<Result<StoreReadResult>>) -> Result<Vec<ObjectId>> {
    match results.into_iter().next() {
        Some(Ok(StoreReadResult::List { objects, .. })) => {
            let is_whole = |listed: &ObjectId| listed.generation == types::GENERATION_NONE;
            Ok(objects.into_iter().filter(|listed| is_whole(listed) && listed.is_of_same_name(object)).collect())
        }
        Some(Err(error)) => Err(error),
        _ => Err(Error::internal("the store did not answer a question for a listing with one")),
    }
}

/// Before everything of this name.
pub fn before_name(object: &ObjectId) -> Cursor {
    let first = ObjectId { generation: 0, shard: types::ShardId(i8::MIN), ..object.at_snapshot(SnapshotId(0)) };
    Cursor::Before(ObjectId { generation: 0, ..first })
}

impl Pg {
    /// The snapshots newer than `since` that a write preserves, and the newest number of all: as the pool says, or as the
    /// client does where clients manage them. What was removed is not preserved any more.
    pub(crate) fn context_of(&self, op: &ClientOp, since: u64) -> SnapshotContext {
        let Some(pool) = self.map.pools.get(&self.pg.pool) else { return SnapshotContext::default() };
        if pool.flags.contains(map::PoolFlags::POOL_SNAPSHOTS) {
            let newer = pool.snapshots.range(since.saturating_add(1)..).rev();
            let snapshots = newer.map(|(id, _)| SnapshotId(*id)).collect();
            return SnapshotContext { sequence: pool.snapshot_sequence, snapshots };
        }
        let context = &op.snapshot_context;
        let newer = context.snapshots.iter().copied().filter(|snapshot| snapshot.0 > since);
        let snapshots = newer.filter(|snapshot| !pool.removed_snapshots.contains(*snapshot)).collect();
        SnapshotContext { sequence: context.sequence, snapshots }
    }

    /// Whether objects of the pool may have clones.
    pub(crate) fn has_snapshots(&self, op: &ClientOp) -> bool {
        let pool = self.map.pools.get(&self.pg.pool);
        op.snapshot_context.sequence > 0 || pool.is_some_and(|pool| pool.snapshot_sequence > 0)
    }

    /// Refuses what names a snapshot that was removed: nobody keeps it any more.
    pub(crate) fn check_not_removed(&self, op: &ClientOp) -> Result<()> {
        let Some(pool) = self.map.pools.get(&self.pg.pool) else { return Ok(()) };
        let named = rollback_of(&op.ops).map(|(_, snapshot)| snapshot).into_iter();
        let mut named = named.chain((op.snapshot != SnapshotId::HEAD).then_some(op.snapshot));
        match named.find(|snapshot| pool.removed_snapshots.contains(*snapshot)) {
            Some(snapshot) => Err(Error::not_found(format!("snapshot {snapshot} was removed"))),
            None => Ok(()),
        }
    }

    /// Objects of this name that are missing here.
    pub(crate) fn missing_of_name(&self, object: &ObjectId) -> Vec<ObjectId> {
        let Cursor::Before(first) = before_name(object) else { return Vec::new() };
        self.missing.objects().range(first..=object.head_of_name()).map(|(missing, _)| missing.clone()).collect()
    }

    /// Whether every object of this name is where it should be, and none is on its way: a write that makes the live object of
    /// a clone needs both everywhere. Gives back what must be recovered first.
    pub(crate) fn unwritable_of_name(&self, object: &ObjectId) -> Vec<ObjectId> {
        let Cursor::Before(first) = before_name(object) else { return Vec::new() };
        let head = object.head_of_name();
        let mut names: std::collections::BTreeSet<ObjectId> = self.missing_of_name(object).into_iter().collect();
        for peer in self.write_members().iter().filter_map(|osd| self.peers.get(osd)) {
            names.extend(peer.missing.range(first.clone()..=head.clone()).map(|(missing, _)| missing.clone()));
        }
        let pushed = (first, types::OsdId(0))..=(head.clone(), types::OsdId(u32::MAX));
        names.extend(self.recovery.pushes.range(pushed).map(|((object, _), _)| object.clone()));
        if !self.is_writable(&head) {
            names.insert(head);
        }
        names.into_iter().collect()
    }
}

/// What is wrong with an operation's snapshots, whatever the object and the map are.
pub fn check_snapshots(op: &ClientOp) -> Result<()> {
    let context = &op.snapshot_context;
    let newest = context.snapshots.first().map_or(0, |newest| newest.0);
    let is_ordered = context.snapshots.is_sorted_by(|newer, older| newer > older);
    let is_real = context.snapshots.last().is_none_or(|oldest| oldest.0 > 0) && context.sequence < SnapshotId::HEAD.0;
    if newest > context.sequence || !is_ordered || !is_real {
        return Err(Error::invalid(
            "the snapshots to preserve would be given newest first, each once, none newer than the context's sequence",
        ));
    }
    let is_of_group = |step: &SubOp| matches!(step, SubOp::TrimClone { .. });
    if op.ops.iter().any(is_of_group) {
        return Err(Error::invalid("placement groups trim their clones themselves, when a snapshot is removed"));
    }
    let lists = op.ops.iter().any(|step| matches!(step, SubOp::ListSnapshots { .. }));
    if lists && (op.ops.len() > 1 || op.snapshot != SnapshotId::HEAD) {
        return Err(Error::invalid(
            "a listing of an object's snapshots is the only step of its operation, of no snapshot",
        ));
    }
    if op.snapshot != SnapshotId::HEAD {
        check_read_at(op)?;
    }
    check_rollback(&op.ops)
}

fn check_read_at(op: &ClientOp) -> Result<()> {
    if op.snapshot.0 == 0 || op.snapshot > SnapshotId::HEAD {
        return Err(Error::invalid(format!("{} is no snapshot", op.snapshot)));
    }
    let of_live_object =
        |step: &SubOp| matches!(step, SubOp::Notify { .. } | SubOp::WatchPing { .. } | SubOp::ListWatchers);
    if crate::write::writes(op) || op.ops.iter().any(of_live_object) {
        return Err(Error::invalid("an object at a snapshot is only read"));
    }
    Ok(())
}

fn check_rollback(ops: &[SubOp]) -> Result<()> {
    let Some((index, snapshot)) = rollback_of(ops) else { return Ok(()) };
    if snapshot.0 == 0 || snapshot >= SnapshotId::HEAD {
        return Err(Error::invalid(format!("{snapshot} is no snapshot to go back to")));
    }
    if ops[..index].iter().any(crate::write::may_change)
        || ops[index + 1..].iter().any(|step| matches!(step, SubOp::Rollback(_)))
    {
        return Err(Error::invalid("going back to a snapshot comes before every other change of its operation"));
    }
    if ops.iter().any(|step| matches!(step, SubOp::Call { .. })) {
        return Err(Error::invalid("no method of a class is called in an operation that goes back to a snapshot"));
    }
    Ok(())
}
