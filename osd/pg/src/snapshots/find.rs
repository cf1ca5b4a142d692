//! Which object holds what a name was at a snapshot, and which clones a name has.
//!
//! The first object of the name whose number is not smaller than the snapshot's: a clone that lists the snapshot, or the
//! live object when nobody who knew of the snapshot has written it since. Else the name did not exist then.

use types::{Cursor, Error, ObjectId, Result, SnapshotId, StoreRead, StoreReadResult, limits};
use wire::{CloneRecord, OpFailure, OpSuccess, SubOp, SubOpResult};

use super::{before_name, listed_of_name, rollback_of};
use crate::{
    damage::is_damaged,
    pg::{Pending, Pg},
    turn::Turn,
    write::ObjectState,
};

/// Objects listed to find the first whole one: a copy that is being received may lie beside it.
const LISTED_FOR_ONE: usize = 4;

/// The question for the object that may hold the snapshot.
fn candidates_read(object: &ObjectId, snapshot: SnapshotId) -> StoreRead {
    let first = ObjectId { generation: 0, ..object.at_snapshot(snapshot) };
    let end = Cursor::after(&object.head_of_name());
    StoreRead::List { begin: Cursor::Before(first), end, objects_max: LISTED_FOR_ONE }
}

impl Pg {
    /// A read of a snapshot has begun: where is it?
    pub(crate) fn find_snapshot(&mut self, arrival: u64, turn: &mut Turn<'_>) {
        let Some(read) = self.writes.reads.get(&arrival) else { return };
        let question = match read.open.op.ops.as_slice() {
            [SubOp::ListSnapshots { after }] => {
                let begin = match after.0 {
                    0 => before_name(&read.object),
                    _ => Cursor::after(&read.object.at_snapshot(*after)),
                };
                let end = Cursor::after(&read.object);
                StoreRead::List { begin, end, objects_max: limits::CLONES_PAGE_MAX + 2 }
            }
            _ => candidates_read(&read.object, read.open.op.snapshot),
        };
        self.read(vec![question], Pending::SnapshotFind(arrival), turn);
    }

    /// The store has listed what the name has.
    pub(crate) fn continue_find(&mut self, arrival: u64, results: Vec<Result<StoreReadResult>>, turn: &mut Turn<'_>) {
        let Some(read) = self.writes.reads.get_mut(&arrival) else { return };
        let listed = match listed_of_name(&read.object, results) {
            Ok(listed) => listed,
            Err(error) => {
                read.outcome = Some(Err(OpFailure { error, step: None }));
                self.release_reads(turn);
                return;
            }
        };
        if matches!(read.open.op.ops.as_slice(), [SubOp::ListSnapshots { .. }]) {
            let reads = listed.iter().map(|object| StoreRead::Meta { object: object.clone() }).collect();
            read.listed = listed;
            self.read(reads, Pending::SnapshotList(arrival), turn);
            return;
        }
        read.source = listed.into_iter().next().unwrap_or_else(|| read.object.clone());
        self.load_read(arrival, turn);
    }

    /// The store has said what each clone is.
    pub(crate) fn continue_snapshot_list(
        &mut self,
        arrival: u64,
        results: Vec<Result<StoreReadResult>>,
        turn: &mut Turn<'_>,
    ) {
        let Some(read) = self.writes.reads.get(&arrival) else { return };
        if is_damaged(&results) {
            let damaged = read.listed.iter().zip(&results).find(|(_, result)| is_damaged(std::slice::from_ref(result)));
            let damaged = damaged.map(|(object, _)| object.clone());
            if damaged.is_some_and(|object| self.fetch_instead(&object, &results, turn)) {
                self.read_later(arrival, turn);
                return;
            }
        }
        let Some(read) = self.writes.reads.get_mut(&arrival) else { return };
        let page = page_of(&read.listed, results).map(|(version, result)| OpSuccess {
            version,
            user_version: 0,
            results: vec![result],
        });
        read.outcome = Some(page.map_err(|error| OpFailure { error, step: None }));
        self.release_reads(turn);
    }

    /// Asks which object a rollback in front of the queue goes back to, unless that is known. Says whether it waits.
    pub(crate) fn find_candidates(&mut self, object: &ObjectId, turn: &mut Turn<'_>) -> bool {
        let Some(queue) = self.writes.objects.get_mut(object) else { return false };
        let Some(front) = queue.waiting.front() else { return false };
        let Some((_, snapshot)) = rollback_of(&front.op.ops) else { return false };
        if queue.candidates.is_some() {
            return false;
        }
        queue.loading = true;
        self.read(vec![candidates_read(object, snapshot)], Pending::CandidateLoad(object.clone()), turn);
        true
    }

    /// The store has listed what a rollback may go back to.
    pub(crate) fn continue_candidates(
        &mut self,
        object: &ObjectId,
        results: Vec<Result<StoreReadResult>>,
        turn: &mut Turn<'_>,
    ) {
        let Some(queue) = self.writes.objects.get_mut(object) else { return };
        queue.loading = false;
        match listed_of_name(object, results) {
            Ok(listed) => {
                let step = queue.waiting.front().and_then(|front| rollback_of(&front.op.ops));
                queue.candidates = step.map(|(index, _)| [(index, listed.into_iter().next())].into());
            }
            Err(error) => {
                if let Some(open) = self.pop_waiting(object) {
                    self.reply(&open, Err(OpFailure { error, step: None }), turn);
                }
            }
        }
        self.pump(object, turn);
    }
}

/// The clones as they are listed, with the newest version of all.
fn page_of(listed: &[ObjectId], results: Vec<Result<StoreReadResult>>) -> Result<(types::LogVersion, SubOpResult)> {
    let mut states = Vec::with_capacity(listed.len());
    for (object, result) in listed.iter().zip(results) {
        let StoreReadResult::Meta(meta) = result? else {
            return Err(Error::internal("the store answered another question than it was asked"));
        };
        states.extend(ObjectState::new(meta)?.existing.map(|existing| (object, existing)));
    }
    if states.is_empty() {
        return Err(Error::not_found("the object does not exist and has no clones"));
    }
    // The object behind a page is needed for what the last clone shares with it.
    let clones = states.iter().filter(|(object, _)| object.is_clone()).count();
    let shown = if clones > limits::CLONES_PAGE_MAX { limits::CLONES_PAGE_MAX } else { states.len() };
    let version = states.iter().map(|(_, existing)| existing.info.version).max().unwrap_or_default();
    let mut records = Vec::with_capacity(shown);
    for (at, (object, existing)) in states.iter().take(shown).enumerate() {
        let newer = states.get(at + 1).and_then(|(_, newer)| newer.info.overlap.as_ref());
        let overlap = newer.filter(|overlap| overlap.clone == object.snapshot);
        let snapshots = if object.is_clone() { existing.info.snapshot_context.snapshots.clone() } else { Vec::new() };
        records.push(CloneRecord {
            clone: object.snapshot,
            snapshots,
            size: existing.meta.size,
            overlap: overlap.map(|overlap| overlap.extents.clone()).unwrap_or_default(),
        });
    }
    let head = states.last().filter(|(object, _)| !object.is_clone());
    let sequence = head.map_or(0, |(_, existing)| existing.info.snapshot_context.sequence);
    let next = (shown < states.len()).then(|| records.last().map(|last| last.clone)).flatten();
    Ok((version, SubOpResult::Snapshots { sequence, clones: records, next }))
}
