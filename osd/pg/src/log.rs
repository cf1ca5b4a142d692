//! The log of a placement group: what happened to which object, newest last, bounded.
//!
//! Owns: the entries above the tail and two indexes over them. Does not know: objects' content, the store.
//!
//! Invariants
//! 1. Entries are in version order, all above the tail; the head is the last one's version, or the tail.
//! 2. `objects` names the newest entry that changed each object; `requests` the entry of each request.
//! 3. Every change is noted in [`Changes`], so that the store holds the same log as memory after the next commit.

use std::collections::{BTreeMap, VecDeque};

use types::{
    LogVersion, ObjectId, RequestId,
    simulation::{Bug, planted},
};
use wire::{LogEntry, LogEntryKind, PgLogSlice, RequestOutcome};

use crate::stored::Changes;

/// Bytes of a log entry besides names: versions, request, times, indexes.
const ENTRY_BYTES_FIXED: usize = 160;

/// Versions after which an asserting machine looks at the whole log again.
const WHOLE_CHECK_EVERY: u64 = 32;

/// The log.
#[derive(Debug, Clone, Default)]
pub struct PgLog {
    tail: LogVersion,
    entries: VecDeque<LogEntry>,
    objects: BTreeMap<ObjectId, LogVersion>,
    requests: BTreeMap<RequestId, LogVersion>,
    bytes: usize,
}

/// What the log remembers of a request.
pub fn outcome_of(entry: &LogEntry) -> Option<RequestOutcome> {
    entry.request.map(|request| RequestOutcome {
        request,
        version: entry.version,
        user_version: entry.user_version,
        failure: entry.failure.clone(),
        outputs: entry.outputs.clone(),
    })
}

fn entry_bytes(entry: &LogEntry) -> usize {
    let name = &entry.object.name;
    let outputs: usize = entry.outputs.iter().map(|(_, output)| output.len()).sum();
    ENTRY_BYTES_FIXED + name.namespace.len() + name.key.len() + name.name.len() + entry.rollback.len() + outputs
}

impl PgLog {
    /// From what was stored.
    pub fn new(tail: LogVersion, entries: Vec<LogEntry>) -> Self {
        let mut log = Self { tail, entries: entries.into(), ..Self::default() };
        log.index();
        log
    }

    fn index(&mut self) {
        self.objects.clear();
        self.requests.clear();
        self.bytes = 0;
        for entry in &self.entries {
            if entry.kind != LogEntryKind::Failed {
                self.objects.insert(entry.object.clone(), entry.version);
            }
            if let Some(request) = entry.request {
                self.requests.insert(request, entry.version);
            }
            self.bytes += entry_bytes(entry);
        }
    }

    /// The version before the first entry.
    pub fn tail(&self) -> LogVersion {
        self.tail
    }

    /// The newest version.
    pub fn head(&self) -> LogVersion {
        self.entries.back().map_or(self.tail, |entry| entry.version)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &LogEntry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// The entry of this version.
    pub fn entry(&self, version: LogVersion) -> Option<&LogEntry> {
        let at = self.entries.binary_search_by_key(&version, |entry| entry.version).ok()?;
        self.entries.get(at)
    }

    /// Whether this version is in the log's history as far as it reaches.
    pub fn knows(&self, version: LogVersion) -> bool {
        version == self.tail || self.entry(version).is_some()
    }

    /// The newest entry that changed the object.
    pub fn newest_of(&self, object: &ObjectId) -> Option<&LogEntry> {
        self.objects.get(object).and_then(|version| self.entry(*version))
    }

    /// The entry that a request became.
    pub fn entry_of_request(&self, request: RequestId) -> Option<&LogEntry> {
        self.requests.get(&request).and_then(|version| self.entry(*version))
    }

    /// Adds an entry behind the others.
    pub fn append(&mut self, entry: LogEntry, changes: &mut Changes) {
        assert!(entry.version > self.head(), "an entry is newer than those before it");
        changes.put_log_entry(&entry);
        if entry.kind != LogEntryKind::Failed {
            self.objects.insert(entry.object.clone(), entry.version);
        }
        if let Some(request) = entry.request {
            self.requests.insert(request, entry.version);
        }
        self.bytes += entry_bytes(&entry);
        self.entries.push_back(entry);
    }

    /// Forgets entries up to this version, inclusive; gives back what must be remembered of them.
    pub fn trim(&mut self, to: LogVersion, changes: &mut Changes) -> Vec<RequestOutcome> {
        let mut outcomes = Vec::new();
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.version <= to) {
            changes.remove_log_entry(entry.version);
            if self.objects.get(&entry.object) == Some(&entry.version) {
                self.objects.remove(&entry.object);
            }
            if let Some(request) = entry.request
                && self.requests.get(&request) == Some(&entry.version)
            {
                self.requests.remove(&request);
            }
            self.bytes -= entry_bytes(&entry);
            self.tail = entry.version;
            outcomes.extend(outcome_of(&entry));
        }
        outcomes
    }

    /// Takes off all entries above this version; gives them back, oldest first.
    pub fn cut(&mut self, above: LogVersion, changes: &mut Changes) -> Vec<LogEntry> {
        let at = self.entries.partition_point(|entry| entry.version <= above);
        let cut: Vec<LogEntry> = self.entries.drain(at..).collect();
        for entry in &cut {
            changes.remove_log_entry(entry.version);
        }
        if !cut.is_empty() {
            self.index();
        }
        cut
    }

    /// Takes over what the slice has from before this log's tail, so that it reaches members that are further behind.
    pub fn extend_back(&mut self, slice: &PgLogSlice, changes: &mut Changes) {
        let joins = slice.tail < self.tail && slice.entries.iter().any(|entry| entry.version == self.tail);
        if !joins {
            return;
        }
        for entry in slice.entries.iter().rev().filter(|entry| entry.version <= self.tail) {
            changes.put_log_entry(entry);
            self.entries.push_front(entry.clone());
        }
        self.tail = slice.tail;
        self.index();
    }

    /// Becomes this slice.
    pub fn replace(&mut self, slice: &PgLogSlice, changes: &mut Changes) {
        for entry in &self.entries {
            changes.remove_log_entry(entry.version);
        }
        self.tail = slice.tail;
        self.entries = slice.entries.iter().cloned().collect();
        for entry in &self.entries {
            changes.put_log_entry(entry);
        }
        self.index();
    }

    /// What comes after this version; all when that is not known here.
    pub fn slice_after(&self, since: LogVersion, requests: Vec<RequestOutcome>) -> PgLogSlice {
        let tail = if self.knows(since) { since } else { self.tail };
        let at = self.entries.partition_point(|entry| entry.version <= tail);
        PgLogSlice { tail, entries: self.entries.range(at..).cloned().collect(), requests }
    }

    /// Up to where the log should be trimmed so that it keeps `keep` entries, never past `committed`.
    pub fn trim_target(
        &self,
        entries_max: usize,
        entries_min: usize,
        bytes_max: usize,
        committed: LogVersion,
    ) -> LogVersion {
        if self.entries.len() <= entries_max && self.bytes <= bytes_max {
            return self.tail;
        }
        let mut surplus = self.entries.len().saturating_sub(entries_min);
        let mut bytes = self.bytes;
        let mut target = self.tail;
        for entry in &self.entries {
            let is_open = entry.version > committed && !planted(Bug::TrimBeyondCommitted);
            if (surplus == 0 && bytes <= bytes_max) || is_open {
                break;
            }
            surplus = surplus.saturating_sub(1);
            bytes -= entry_bytes(entry);
            target = entry.version;
        }
        target
    }

    /// Panics when an invariant does not hold. Called after every event, so it looks at the newest entry, where changes
    /// are, and at everything each time the log has grown by [`WHOLE_CHECK_EVERY`].
    pub fn assert_invariants(&self) {
        if self.head().number.is_multiple_of(WHOLE_CHECK_EVERY) {
            self.assert_whole();
        }
        assert!(self.objects.len() <= self.entries.len(), "log.objects: more objects than entries");
        let Some(newest) = self.entries.back() else { return };
        let before = self.entries.len().checked_sub(2).map_or(self.tail, |at| self.entries[at].version);
        assert!(newest.version > before, "log.order: entry {} follows {before}", newest.version);
        let indexed = self.objects.get(&newest.object) == Some(&newest.version);
        assert!(indexed || newest.kind == LogEntryKind::Failed, "log.objects: the newest entry is indexed");
    }

    /// The same for the whole log.
    pub fn assert_whole(&self) {
        let mut before = self.tail;
        for entry in &self.entries {
            assert!(entry.version > before, "log.order: entry {} follows {before}", entry.version);
            before = entry.version;
        }
        for (object, version) in &self.objects {
            let entry = self.entry(*version).expect("log.objects: an indexed entry exists");
            assert_eq!(&entry.object, object, "log.objects: the index names the object's entry");
        }
    }
}

#[cfg(test)]
mod tests;
