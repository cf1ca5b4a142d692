//! Reads: from the store, and out under a lease.
//!
//! The lease is asked for after the store has answered, just before the reply: whatever the store said is then still the
//! newest acknowledged content. A read that finds no lease keeps its answer; no write of its object begins before it left.

use std::time::Duration;

use types::{ObjectId, SnapshotId, StoreReadResult};
use wire::{OpFailure, OpSuccess, SubOp};

use crate::{
    damage::is_damaged,
    pg::Pg,
    snapshots::{Candidates, holds},
    turn::Turn,
    write::{CallOutcomes, Existing, Loaded, plan, reads_of},
};

impl Pg {
    /// The store has answered a read.
    pub(crate) fn continue_read(
        &mut self,
        arrival: u64,
        results: Vec<types::Result<StoreReadResult>>,
        outcomes: CallOutcomes,
        turn: &mut Turn<'_>,
    ) {
        let Some(read) = self.writes.reads.get(&arrival) else { return };
        if is_damaged(&results) {
            let object = read.source.clone();
            if self.fetch_instead(&object, &results, turn) {
                self.read_later(arrival, turn);
                return;
            }
        }
        let Some(read) = self.writes.reads.get(&arrival) else { return };
        let reads = reads_of(&read.source, &read.open.op.ops, false, &Candidates::new());
        let snapshot = read.open.op.snapshot;
        let mut watched = None;
        let outcome = Loaded::new(&reads, results, None, outcomes)
            .map_err(|error| OpFailure { error, step: None })
            .and_then(|mut loaded| {
                // What is there may have been written since the snapshot was made, or belong to other snapshots.
                let is_of_snapshot = |existing: &mut Existing| holds(&read.source, existing, snapshot);
                if snapshot != SnapshotId::HEAD
                    && loaded.state.existing.take_if(|there| !is_of_snapshot(there)).is_some()
                {
                    loaded.steps.clear();
                }
                let info = loaded.state.existing.as_ref().map(|existing| &existing.info);
                let version = info.map_or(types::LogVersion::ZERO, |info| info.version);
                let user_version = info.map_or(0, |info| info.user_version);
                let numbers = crate::write::Numbers { version, user_version };
                let results = plan(&read.source, &read.open.op, &loaded, numbers)?.results;
                watched = info.is_some_and(|info| !info.watchers.is_empty()).then_some(loaded.state);
                Ok(OpSuccess { version, user_version, results })
            });
        if let Some(state) = watched {
            let (open, object) = (read.open.clone(), read.object.clone());
            self.note_watchers(&object, &state, turn);
            self.hear_watcher(&open, &object, &state, turn);
        }
        if let Some(read) = self.writes.reads.get_mut(&arrival) {
            read.outcome = Some(outcome);
        }
        self.tell_watchers(arrival, turn);
        self.release_reads(turn);
    }

    /// A notification that found its object goes to who watches, and is answered when they have heard it.
    fn tell_watchers(&mut self, arrival: u64, turn: &mut Turn<'_>) {
        let Some(read) = self.writes.reads.get(&arrival) else { return };
        let [SubOp::Notify { timeout_ms, payload }] = read.open.op.ops.as_slice() else { return };
        let Some(Ok(success)) = read.outcome.clone() else { return };
        let told = (Duration::from_millis(u64::from(*timeout_ms)), payload.clone());
        let Some(read) = self.writes.reads.remove(&arrival) else { return };
        self.end_read(&read.object, turn);
        self.begin_notify(read.open, &read.object, told, success, turn);
    }

    /// The read waits for a good copy, in its place among the operations on its object.
    pub(crate) fn read_later(&mut self, arrival: u64, turn: &mut Turn<'_>) {
        let Some(read) = self.writes.reads.remove(&arrival) else { return };
        let object = read.object;
        if let Some(queue) = self.writes.objects.get_mut(&object) {
            queue.reads -= 1;
            let at = queue.waiting.partition_point(|waiting| waiting.arrival < arrival);
            queue.waiting.insert(at, read.open);
        }
        self.recovery.wanted.insert(read.source);
        self.pump(&object, turn);
    }

    /// Lets out what has an answer, if a lease allows it now.
    pub(crate) fn release_reads(&mut self, turn: &mut Turn<'_>) {
        if !self.may_read(turn.now) {
            return;
        }
        let ready: Vec<u64> =
            self.writes.reads.iter().filter(|(_, read)| read.outcome.is_some()).map(|(arrival, _)| *arrival).collect();
        for arrival in ready {
            let Some(read) = self.writes.reads.remove(&arrival) else { continue };
            let Some(outcome) = read.outcome else { continue };
            self.counters.note_read(outcome.as_ref().map_or(&[], |success| success.results.as_slice()));
            self.reply(&read.open, outcome, turn);
            self.end_read(&read.object, turn);
        }
        self.release_notifies(turn);
        self.release_lists(turn);
    }

    /// A read of the object is over: what waits for that goes on.
    fn end_read(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
        if let Some(queue) = self.writes.objects.get_mut(object) {
            queue.reads -= 1;
        }
        self.pump(object, turn);
    }
}
