//! What a write preserves for snapshots, and the step that goes back to one.

use types::{Error, Extent, LogVersion, ObjectId, Result, SnapshotId, StoreOp, StoreReadResult, limits};
use wire::{ClientOp, ObjectInfo, Overlap, SnapshotContext, encode_object_info};

use super::{NewClone, OBJECT_INFO_XATTR, Planner, changes_only_watches};
use crate::{
    snapshots::{holds, index},
    write::{Loaded, ObjectState, writes},
};

/// Which snapshots the object must be cloned for before it changes, if it must, and what it shares with which clone then.
pub(super) fn beginning(op: &ClientOp, loaded: &Loaded) -> (Option<SnapshotContext>, Option<Overlap>) {
    let Some(existing) = &loaded.state.existing else { return (None, None) };
    if !writes(op) || changes_only_watches(&op.ops) {
        return (None, existing.info.overlap.clone());
    }
    let known = existing.info.snapshot_context.sequence;
    let newer = loaded.context.snapshots.iter().copied().filter(|snapshot| snapshot.0 > known);
    let context = SnapshotContext { sequence: loaded.context.sequence, snapshots: newer.collect() };
    if context.snapshots.is_empty() {
        return (None, existing.info.overlap.clone());
    }
    let whole = Extent { offset: 0, length: existing.meta.size };
    let extents = if whole.length > 0 { vec![whole] } else { Vec::new() };
    let overlap = Overlap { clone: SnapshotId(context.sequence), extents };
    (Some(context), Some(overlap))
}

/// Without the shortest extents beyond the bound.
pub(super) fn bounded(mut overlap: Overlap) -> Option<Overlap> {
    if overlap.extents.len() > limits::OVERLAP_EXTENTS_MAX {
        overlap.extents.sort_by_key(|extent| std::cmp::Reverse(extent.length));
        overlap.extents.truncate(limits::OVERLAP_EXTENTS_MAX);
        overlap.extents.sort_by_key(|extent| extent.offset);
    }
    (!overlap.extents.is_empty()).then_some(overlap)
}

impl Planner<'_> {
    /// The newest snapshot that the object's writers know of after this write. An object that is made anew takes over what
    /// its clones tell of the one before it.
    pub(super) fn sequence(&self, op: &ClientOp) -> u64 {
        let existing = self.loaded.state.existing.as_ref();
        let known = existing.map_or(0, |existing| existing.info.snapshot_context.sequence);
        if changes_only_watches(&op.ops) {
            return known;
        }
        let cloned = self.loaded.newest_clone.map_or(0, |clone| clone.0);
        known.max(cloned).max(self.loaded.context.sequence)
    }

    /// The clone that preserves the object as it was before this write; its changes come before all others.
    pub(super) fn make_clone(&mut self, op: &ClientOp, version: LogVersion) -> Option<NewClone> {
        let context = self.preserved.take()?;
        let existing = self.loaded.state.existing.as_ref()?;
        let object = self.object.at_snapshot(SnapshotId(context.sequence));
        let info = ObjectInfo {
            version,
            snapshot_context: context,
            watchers: Vec::new(),
            cloned_at: Some(version),
            ..existing.info.clone()
        };
        let xattrs = [(OBJECT_INFO_XATTR.to_vec(), encode_object_info(&info))].into();
        let mut first = vec![
            StoreOp::Clone { source: self.object.clone(), target: object.clone() },
            StoreOp::SetXattrs { object: object.clone(), xattrs },
        ];
        first.extend(index::enter(op.pg, &object, &info));
        self.transaction.ops.splice(0..0, first);
        Some(NewClone { object, info })
    }

    /// Ceph: where the object was written by nobody since the snapshot, nothing happens; where it did not exist then, it is
    /// removed.
    pub(super) fn roll_back(&mut self, index: usize, snapshot: SnapshotId) -> Result<()> {
        let candidate = self.loaded.candidates.get(&index).and_then(Option::as_ref);
        let there = match candidate {
            Some(clone) if clone.is_clone() => {
                let results = self.loaded.steps.get(&index).and_then(|results| results.first());
                let Some(StoreReadResult::Meta(meta)) = results else {
                    return Err(Error::internal("the store did not answer what a clone is"));
                };
                let state = ObjectState::new(meta.clone())?;
                state.existing.filter(|existing| holds(clone, existing, snapshot)).map(|existing| (clone, existing))
            }
            _ => {
                let existing = self.loaded.state.existing.as_ref();
                if existing.is_some_and(|existing| holds(self.object, existing, snapshot)) {
                    return Ok(());
                }
                None
            }
        };
        self.changed = None;
        self.bytes_touched = true;
        self.omap_touched = true;
        self.note_all_unshared();
        let target = ObjectId::clone(self.object);
        match there {
            Some((clone, existing)) => {
                self.transaction.push(StoreOp::Clone { source: clone.clone(), target });
                self.now = Some(existing.meta);
            }
            None if self.now.take().is_some() => {
                self.allocation_hint = None;
                self.watchers.clear();
                self.transaction.push(StoreOp::Remove { object: target });
            }
            None => {}
        }
        Ok(())
    }

    /// These bytes are no longer those of the newest clone.
    pub(super) fn note_unshared(&mut self, changed: Extent) {
        let Some(overlap) = &mut self.overlap else { return };
        if changed.length == 0 {
            return;
        }
        let mut kept = Vec::with_capacity(overlap.extents.len() + 1);
        for extent in overlap.extents.drain(..) {
            let before = extent.end().min(changed.offset).saturating_sub(extent.offset);
            let behind = extent.offset.max(changed.end());
            kept.push(Extent { offset: extent.offset, length: before });
            kept.push(Extent { offset: behind, length: extent.end().saturating_sub(behind) });
        }
        kept.retain(|extent| extent.length > 0);
        overlap.extents = kept;
    }

    /// Nothing is known any more of what is shared.
    pub(super) fn note_all_unshared(&mut self) {
        if let Some(overlap) = &mut self.overlap {
            overlap.extents.clear();
        }
    }
}
