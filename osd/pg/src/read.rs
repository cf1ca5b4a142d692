//! Reads: from the store, and out under a lease.
//!
//! The lease is asked for after the store has answered, just before the reply: whatever the store said is then still the
//! newest acknowledged content. A read that finds no lease keeps its answer; no write of its object begins before it left.

use types::StoreReadResult;
use wire::{OpFailure, OpSuccess};

use crate::{
    pg::Pg,
    turn::Turn,
    write::{CallOutcomes, Loaded, plan, reads_of},
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
        let reads = reads_of(&read.object, &read.open.op.ops, false);
        let outcome = Loaded::new(&reads, results, None, outcomes)
            .map_err(|error| OpFailure { error, step: None })
            .and_then(|loaded| {
                let info = loaded.state.existing.as_ref().map(|existing| &existing.info);
                let version = info.map_or(types::LogVersion::ZERO, |info| info.version);
                let user_version = info.map_or(0, |info| info.user_version);
                let numbers = crate::write::Numbers { version, user_version };
                let results = plan(&read.object, &read.open.op, &loaded, numbers)?.results;
                Ok(OpSuccess { version, user_version, results })
            });
        if let Some(read) = self.writes.reads.get_mut(&arrival) {
            read.outcome = Some(outcome);
        }
        self.release_reads(turn);
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
            if let Some(queue) = self.writes.objects.get_mut(&read.object) {
                queue.reads -= 1;
            }
            self.pump(&read.object, turn);
        }
        self.release_lists(turn);
    }
}
