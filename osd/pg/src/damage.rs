//! A block of this copy fails its checksum while somebody needs it: the answer comes from another copy, and so does the
//! repair (DESIGN section 7, "a bad block is an error with a name, an answer from another copy, and a repair").
//!
//! The copy here counts as missing at its version; the operation waits as for any missing object, recovery fetches it
//! first, and puts a good copy in place of the bad one. Where nobody can give one, the copy is what it is: blocks that
//! are intact are served, and the others are an error.

use std::collections::{BTreeMap, BTreeSet};

use types::{ErrorKind, LogVersion, ObjectId, Result, StoreReadResult};
use wire::{InconsistencyFlags, InconsistentCopy, InconsistentObject, LogEntryKind, MissingObject};

use crate::{pg::Pg, turn::Turn, write::ObjectState};

/// Damage that was met in this interval.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    /// Being fetched from others, at this version.
    fetched: BTreeMap<ObjectId, LogVersion>,
    /// Nobody could give it.
    hopeless: BTreeSet<ObjectId>,
}

/// Whether the store says that what was asked for is damaged.
pub(crate) fn is_damaged(results: &[Result<StoreReadResult>]) -> bool {
    results.iter().any(|result| result.as_ref().is_err_and(|error| error.kind == ErrorKind::Damaged))
}

impl Pg {
    /// The store cannot read the object's copy here. Says whether a good one is on its way, so that it is worth waiting.
    pub(crate) fn fetch_instead(
        &mut self,
        object: &ObjectId,
        results: &[Result<StoreReadResult>],
        turn: &mut Turn<'_>,
    ) -> bool {
        if self.missing.contains(object) {
            return true;
        }
        let queue = object.head_of_name();
        let in_flight = self.writes.objects.get(&queue).map_or(0, |queue| queue.in_flight);
        if self.damage.hopeless.contains(object) || in_flight > 0 || !self.is_past_cursor(object) {
            return false;
        }
        let Some(version) = self.version_here(object, results) else { return false };
        let missing = MissingObject { need: version, have: None, deleted: false };
        self.missing.insert(object.clone(), missing, &mut self.changes);
        if self.source_of(object).is_none() {
            self.missing.remove(object, &mut self.changes);
            self.give_damaged_up(object.clone(), version);
            return false;
        }
        tracing::warn!(pg = %self.pg, %object, %version, "the copy here is damaged; another one takes its place");
        self.info_changed = true;
        self.damage.fetched.insert(object.clone(), version);
        self.forget_pushes(object);
        if self.writes.objects.contains_key(&queue) {
            self.recovery.wanted.insert(object.clone());
        }
        self.begin_pull(object, turn);
        true
    }

    /// The version of the copy here: as its info says, or as the log does, which may not reach back to it.
    fn version_here(&self, object: &ObjectId, results: &[Result<StoreReadResult>]) -> Option<LogVersion> {
        let by_info = results.iter().find_map(|result| match result {
            Ok(StoreReadResult::Meta(Some(meta))) => ObjectState::new(Some(meta.clone())).ok()?.existing,
            _ => None,
        });
        // A write that finds the object's state still in memory does not ask the store for it.
        let by_queue = || {
            let queue = self.writes.objects.get(object)?;
            queue.state.as_ref()?.existing.clone()
        };
        let by_log = self.log.newest_of(object).filter(|entry| entry.kind == LogEntryKind::Modify);
        match (by_info.or_else(by_queue), by_log) {
            // A copy that is older than the log says is not merely damaged; scrub will tell.
            (Some(existing), Some(entry)) if existing.info.version != entry.version => None,
            (Some(existing), _) => Some(existing.info.version),
            (None, Some(entry)) => Some(entry.version),
            (None, None) => None,
        }
    }

    /// An object that is being pushed must come here first.
    fn forget_pushes(&mut self, object: &ObjectId) {
        self.recovery.pushes.retain(|(pushed, _), _| pushed != object);
    }

    /// Somebody who was asked cannot give it. When nobody is left, the copy here is better than none.
    pub(crate) fn note_source_failed(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
        let Some(version) = self.damage.fetched.get(object).copied() else { return };
        let is_same = self.missing.get(object).is_some_and(|missing| missing.need == version);
        if !is_same || self.source_of(object).is_some() {
            return;
        }
        self.missing.remove(object, &mut self.changes);
        self.info_changed = true;
        self.give_damaged_up(object.clone(), version);
        self.pump(object, turn);
    }

    fn give_damaged_up(&mut self, object: ObjectId, version: LogVersion) {
        self.damage.fetched.remove(&object);
        if !self.damage.hopeless.insert(object.clone()) {
            return;
        }
        // ERROR: a person must look. Bytes that were acknowledged cannot be read from any copy.
        tracing::error!(pg = %self.pg, %object, %version, "every copy is damaged; its intact blocks can still be read");
        let errors = InconsistencyFlags::READ_ERROR;
        let copy = InconsistentCopy { osd: self.config.whoami, errors, digest: None };
        self.note_inconsistent(InconsistentObject { object, version, errors, proven: None, copies: vec![copy] });
    }

    /// The good copy is in its place.
    pub(crate) fn note_fetched(&mut self, object: &ObjectId) {
        if self.damage.fetched.remove(object).is_some() {
            self.note_repaired();
        }
    }
}
