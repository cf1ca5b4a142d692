//! Answers that outlive the trimming of their log entries (FOUNDATIONS 12), so that a repeated request is answered
//! and not carried out again.
//!
//! Invariants
//! 1. At most `max` answers are kept; those of the oldest versions go first.
//! 2. An answer goes earlier only when its client said that it has it (`lowest_open`).

use std::collections::BTreeMap;

use types::{ClientId, LogVersion, RequestId};
use wire::RequestOutcome;

use crate::stored::Changes;

/// The table.
#[derive(Debug, Clone, Default)]
pub struct RememberedRequests {
    outcomes: BTreeMap<RequestId, RequestOutcome>,
    by_version: BTreeMap<LogVersion, RequestId>,
}

impl RememberedRequests {
    /// From what was stored.
    pub fn new(outcomes: Vec<RequestOutcome>) -> Self {
        let by_version = outcomes.iter().map(|outcome| (outcome.version, outcome.request)).collect();
        Self { outcomes: outcomes.into_iter().map(|outcome| (outcome.request, outcome)).collect(), by_version }
    }

    /// The answer to this request.
    pub fn get(&self, request: RequestId) -> Option<&RequestOutcome> {
        self.outcomes.get(&request)
    }

    /// All, by request.
    pub fn to_vec(&self) -> Vec<RequestOutcome> {
        self.outcomes.values().cloned().collect()
    }

    /// Remembers an answer; forgets the oldest ones beyond `max`.
    pub fn insert(&mut self, outcome: RequestOutcome, max: usize, changes: &mut Changes) {
        if self.outcomes.get(&outcome.request) == Some(&outcome) {
            return;
        }
        self.remove(outcome.request, changes);
        changes.put_request(&outcome);
        self.by_version.insert(outcome.version, outcome.request);
        self.outcomes.insert(outcome.request, outcome);
        while self.outcomes.len() > max {
            let Some((_, oldest)) = self.by_version.first_key_value() else { break };
            self.remove(*oldest, changes);
        }
    }

    /// Forgets what the client says it has the answers of.
    pub fn forget_below(&mut self, client: ClientId, lowest_open: u64, changes: &mut Changes) {
        let bound = |sequence| RequestId { client, sequence };
        let done: Vec<RequestId> =
            self.outcomes.range(bound(0)..bound(lowest_open)).map(|(request, _)| *request).collect();
        for request in done {
            self.remove(request, changes);
        }
    }

    fn remove(&mut self, request: RequestId, changes: &mut Changes) {
        if let Some(outcome) = self.outcomes.remove(&request) {
            self.by_version.remove(&outcome.version);
            changes.remove_request(request);
        }
    }

    /// Panics when an invariant does not hold.
    pub fn assert_invariants(&self, max: usize) {
        assert!(self.outcomes.len() <= max, "requests.bounded: {} remembered of {max}", self.outcomes.len());
        assert_eq!(self.outcomes.len(), self.by_version.len(), "requests.indexed");
    }
}

#[cfg(test)]
mod tests {
    use types::Epoch;

    use super::*;

    fn outcome(client: u64, sequence: u64, number: u64) -> RequestOutcome {
        RequestOutcome {
            request: RequestId { client: ClientId(client), sequence },
            version: LogVersion::new(Epoch(1), number),
            user_version: number,
            failure: None,
            outputs: Vec::new(),
        }
    }

    #[test]
    fn the_oldest_answers_go_when_there_are_too_many() {
        let (mut table, mut changes) = (RememberedRequests::default(), Changes::default());
        for number in 1..=5 {
            table.insert(outcome(1, number, number), 3, &mut changes);
            table.assert_invariants(3);
        }
        assert!(table.get(outcome(1, 2, 2).request).is_none());
        assert_eq!(table.get(outcome(1, 3, 3).request), Some(&outcome(1, 3, 3)));
    }

    #[test]
    fn a_client_that_has_its_answers_frees_only_its_own() {
        let (mut table, mut changes) = (RememberedRequests::default(), Changes::default());
        for number in 1..=4 {
            table.insert(outcome(number % 2, number, number), 10, &mut changes);
        }
        table.forget_below(ClientId(1), 3, &mut changes);
        let left: Vec<u64> = table.to_vec().iter().map(|outcome| outcome.version.number).collect();
        assert_eq!(left, [2, 4, 3]);
    }
}
