//! Clones of removed snapshots go, in the background, a few at a time.
//!
//! ```text
//! the map removes snapshots -> the index is walked through their keys -> each clone loses the snapshot, in a write of the
//! group's own; a clone that preserves nothing any more is removed -> a pause -> the next few
//! ```
//! What is done is gone from the index, so a new primary goes on where the one before it was, and needs no other record.
//! Trims wait until the group is clean: then every member has every clone and its entries.

use types::{LogVersion, Result, SnapshotId, StoreRead, StoreReadResult, Time, Transaction};
use wire::{
    ClientOp, LogEntry, LogEntryKind, ObjectInfo, OpFlags, OpTarget, SnapshotContext, SubOp, SubOpResult,
    encode_object_info,
};

use super::{holds, index};
use crate::{
    peering::Stage,
    pg::{Pending, Pg},
    turn::Turn,
    write::{Loaded, OBJECT_INFO_XATTR, ObjectState, OpenOp},
};

/// Clones trimmed at once. With the pause it bounds one group to some 800 a second, when nobody else uses it.
const TRIMS_IN_FLIGHT: usize = 16;

/// How far it is, in this interval.
#[derive(Debug, Default)]
pub(crate) struct Trim {
    /// How many snapshots had been removed when the walk began; another number is a reason to walk again.
    walked_for: u64,
    /// The key behind which the walk goes on; `None` when there is nothing more.
    after: Option<Vec<u8>>,
    /// Whether the store is being asked.
    looking: bool,
    /// Trims that have not been carried out.
    open: usize,
    /// The newest trim's entry.
    version: LogVersion,
    pause_until: Time,
}

impl Pg {
    /// Called after every event of a primary that serves.
    pub(crate) fn progress_trim(&mut self, turn: &mut Turn<'_>) {
        if !self.may_trim() {
            return;
        }
        let Some(pool) = self.map.pools.get(&self.pg.pool) else { return };
        let removed = pool.removed_snapshots.count();
        if self.trim.walked_for != removed {
            self.trim.walked_for = removed;
            self.trim.after = pool.removed_snapshots.iter().next().map(|range| index::before_snapshot(range.first));
        }
        let waits = self.trim.looking || self.trim.open > 0 || self.trim.version > self.writes.committed_to;
        if waits || turn.now < self.trim.pause_until {
            return;
        }
        let Some(after) = self.trim.after.clone() else { return };
        self.trim.looking = true;
        let object = types::ObjectId::snapshot_index(self.pg);
        let read = StoreRead::Omap { object, after, prefix: Vec::new(), keys_max: TRIMS_IN_FLIGHT };
        self.read(vec![read], Pending::TrimLook, turn);
    }

    fn may_trim(&self) -> bool {
        self.peering.stage == Stage::Active && self.peering.clean && self.is_all_there()
    }

    /// When a pause ends.
    pub(crate) fn trim_deadline(&self) -> Time {
        let waits = self.trim.looking || self.trim.open > 0 || self.trim.version > self.writes.committed_to;
        if self.trim.after.is_none() || waits || !self.may_trim() {
            return Time::FAR_FUTURE;
        }
        self.trim.pause_until
    }

    /// The store has answered which clones come next.
    pub(crate) fn continue_trim(&mut self, results: Vec<Result<StoreReadResult>>, turn: &mut Turn<'_>) {
        self.trim.looking = false;
        let page = match results.into_iter().next() {
            Some(Ok(StoreReadResult::Omap(page))) => page,
            other => {
                tracing::warn!(pg = %self.pg, ?other, "cannot read which clones are to be trimmed");
                self.trim.pause_until = turn.now + self.config.retry;
                return;
            }
        };
        let Some(pool) = self.map.pools.get(&self.pg.pool) else { return };
        let removed = pool.removed_snapshots.clone();
        let mut next = page.more.then(|| page.entries.last().map(|(key, _)| key.clone())).flatten();
        let mut clones = Vec::new();
        for (key, value) in page.entries {
            let (snapshot, cloned_at, clone) = match index::decode(&key, &value) {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::warn!(pg = %self.pg, %error, "an entry of the index of snapshots is passed over");
                    continue;
                }
            };
            if !removed.contains(snapshot) {
                // Between here and the next removed snapshot everything is kept.
                let behind = removed.at_or_after(SnapshotId(snapshot.0.saturating_add(1)));
                next = behind.map(|range| index::before_snapshot(range.first));
                break;
            }
            clones.push((clone, snapshot, cloned_at));
        }
        self.trim.after = next;
        if !clones.is_empty() {
            let pause = self.config.snapshot_trim_pause;
            let busy = if self.writes.objects.is_empty() { 1 } else { self.config.scrub.busy_factor };
            self.trim.pause_until = turn.now + pause * busy;
        }
        self.trim.open += clones.len();
        for (clone, snapshot, cloned_at) in clones {
            self.begin_trim(&clone, SubOp::TrimClone { clone: clone.snapshot, snapshot, cloned_at }, turn);
        }
    }

    fn begin_trim(&mut self, clone: &types::ObjectId, step: SubOp, turn: &mut Turn<'_>) {
        let head = clone.head_of_name();
        let op = ClientOp {
            request: types::RequestId { client: types::ClientId(0), sequence: 0 },
            lowest_open: 0,
            epoch: self.map.epoch(),
            pg: self.pg,
            target: OpTarget::Object { name: head.name.clone(), hash: head.hash },
            snapshot: SnapshotId::HEAD,
            snapshot_context: SnapshotContext::default(),
            flags: OpFlags::default(),
            modified_ms: 0,
            ops: vec![step],
        };
        self.begin_own(&head, op, turn);
    }

    /// A trim comes to its turn when the group is not clean any more: it is left for later.
    pub(crate) fn must_put_trim_off(&self, open: &OpenOp) -> bool {
        super::is_trim(&open.op.ops) && !self.may_trim()
    }

    /// A trim is over without an entry.
    pub(crate) fn put_trim_off(&mut self) {
        self.trim.open = self.trim.open.saturating_sub(1);
        // Walked again from the beginning, when the group is clean again.
        self.trim.walked_for = 0;
    }

    /// A clone cannot be trimmed now; what the index says of it stays.
    pub(crate) fn leave_trim(&mut self) {
        self.trim.open = self.trim.open.saturating_sub(1);
    }

    /// Takes the snapshot from the clone.
    pub(crate) fn execute_trim(
        &mut self,
        open: OpenOp,
        object: &types::ObjectId,
        loaded: &Loaded,
        turn: &mut Turn<'_>,
    ) {
        let [SubOp::TrimClone { clone, snapshot, cloned_at }] = open.op.ops[..] else { return };
        self.trim.open = self.trim.open.saturating_sub(1);
        let queue = self.writes.objects.entry(object.clone()).or_default();
        queue.state = Some(loaded.state.clone());
        let clone = object.at_snapshot(clone);
        let mut transaction = Transaction { ops: vec![index::leave(self.pg, snapshot, cloned_at)] };
        let state = match loaded.steps.get(&0).and_then(|results| results.first()) {
            Some(StoreReadResult::Meta(meta)) => ObjectState::new(meta.clone()),
            _ => Err(types::Error::internal("the store did not answer what a clone is")),
        };
        let existing = match state {
            Ok(state) => state.existing.filter(|existing| holds(&clone, existing, snapshot)),
            Err(error) => {
                tracing::warn!(pg = %self.pg, object = %clone, %error, "cannot read a clone that is to be trimmed");
                return;
            }
        };
        let Some(existing) = existing else {
            // The clone went in another way; only the entry here had stayed.
            self.commit(transaction, Pending::Logged(self.log.head()), Vec::new(), turn);
            return;
        };
        let version = self.log.head().next_in(self.map.epoch());
        let mut context = existing.info.snapshot_context.clone();
        context.snapshots.retain(|kept| *kept != snapshot);
        let kind = if context.snapshots.is_empty() { LogEntryKind::Delete } else { LogEntryKind::Modify };
        let entry = LogEntry {
            kind,
            object: clone.clone(),
            version,
            prior_version: existing.info.version,
            user_version: existing.info.user_version,
            request: None,
            failure: None,
            modified_ms: existing.info.modified_ms,
            changed: None,
            rollback: bytes::Bytes::new(),
            outputs: Vec::new(),
        };
        transaction.push(match kind {
            LogEntryKind::Delete => types::StoreOp::Remove { object: clone },
            _ => {
                let info = ObjectInfo { version, snapshot_context: context, ..existing.info };
                let xattrs = [(OBJECT_INFO_XATTR.to_vec(), encode_object_info(&info))].into();
                types::StoreOp::SetXattrs { object: clone, xattrs }
            }
        });
        self.trim.version = version;
        self.submit_trim(open, entry, transaction, vec![SubOpResult::Done], turn);
    }
}
