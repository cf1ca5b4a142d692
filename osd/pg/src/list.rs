//! Listing a placement group's objects, in object order, page by page.
//!
//! What a page shows must be acknowledged: an object whose creation is still on its way to disks is visible in the store
//! here, so the page leaves only when everything that was on its way when the store answered is on everybody's disk.

use std::collections::BTreeSet;

use types::{Cursor, Error, GENERATION_NONE, ObjectId, SnapshotId, StoreRead, StoreReadResult, limits};
use wire::{OpFailure, OpSuccess, SubOp, SubOpResult};

use crate::{
    pg::{Pending, Pg},
    turn::Turn,
    write::{ActiveList, OpenOp},
};

/// Whether users see the object: no metadata, no half-received copy, no snapshot.
pub fn is_users(object: &ObjectId) -> bool {
    !object.is_pg_meta() && object.generation == GENERATION_NONE && object.snapshot == SnapshotId::HEAD
}

impl Pg {
    pub(crate) fn begin_list(&mut self, open: OpenOp, turn: &mut Turn<'_>) {
        let [SubOp::ListObjects { begin, objects_max, .. }] = open.op.ops.as_slice() else {
            let error = Error::invalid("a placement group is asked for one listing at a time and for nothing else");
            self.reply(&open, Err(OpFailure { error, step: None }), turn);
            return;
        };
        let range = self.range();
        let read = StoreRead::List {
            begin: begin.clone().max(range.begin()),
            end: range.end(),
            objects_max: usize::try_from(*objects_max).unwrap_or(usize::MAX).clamp(1, limits::PAGE_KEYS_MAX),
        };
        self.read(vec![read], Pending::ListLoad(open.arrival), turn);
        self.writes.lists.insert(open.arrival, ActiveList { open, outcome: None });
    }

    pub(crate) fn continue_list(
        &mut self,
        arrival: u64,
        results: Vec<types::Result<StoreReadResult>>,
        turn: &mut Turn<'_>,
    ) {
        let Some(list) = self.writes.lists.get(&arrival) else { return };
        let [SubOp::ListObjects { begin, namespace, .. }] = list.open.op.ops.as_slice() else { return };
        let page = match results.into_iter().next() {
            Some(Ok(StoreReadResult::List { objects, next })) => Ok((objects, next)),
            Some(Err(error)) => Err(error),
            _ => Err(Error::internal("the store did not answer a question for a listing with one")),
        };
        let (objects, next) = match page {
            Ok(page) => page,
            Err(error) => {
                if let Some(list) = self.writes.lists.remove(&arrival) {
                    self.reply(&list.open, Err(OpFailure { error, step: None }), turn);
                }
                return;
            }
        };
        // What is missing here exists all the same: somebody else has it.
        let missing = self.missing.objects().keys();
        let within = missing.filter(|object| !begin.is_past(object) && next.is_past(object)).cloned();
        let shown: BTreeSet<ObjectId> = objects.into_iter().chain(within).filter(is_users).collect();
        let names = shown
            .into_iter()
            .map(|object| object.name)
            .filter(|name| namespace.as_ref().is_none_or(|wanted| name.namespace == *wanted))
            .collect();
        let next = (next != Cursor::End && next < self.range().end()).then_some(next);
        let head = self.log.head();
        if let Some(list) = self.writes.lists.get_mut(&arrival) {
            list.outcome = Some((head, vec![SubOpResult::List { names, next }]));
        }
        self.release_reads(turn);
    }

    /// Called when a lease allows reads.
    pub(crate) fn release_lists(&mut self, turn: &mut Turn<'_>) {
        let committed = self.writes.committed_to;
        let is_ready = |list: &ActiveList| list.outcome.as_ref().is_some_and(|(version, _)| *version <= committed);
        let ready: Vec<u64> =
            self.writes.lists.iter().filter(|(_, list)| is_ready(list)).map(|(arrival, _)| *arrival).collect();
        for arrival in ready {
            let Some(list) = self.writes.lists.remove(&arrival) else { continue };
            let Some((version, results)) = list.outcome else { continue };
            let success = OpSuccess { version, user_version: self.info.last_user_version, results };
            self.reply(&list.open, Ok(success), turn);
        }
    }
}
