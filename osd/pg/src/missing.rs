//! What a member's log says it should have and its store has not, and how another log is merged into its own.
//!
//! Owns: the missing set, and the rules by which a merge changes log and missing set. Does not know: who has the
//! objects, how they come.
//!
//! Invariants
//! 1. Before the copy's cursor, each object is in the store at its newest version, or it is in the set.
//! 2. Behind the cursor nothing is in the set: the scan brings what lies there.
//! 3. A deletion is never missing: whoever learns of it by log removes the object in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use types::{
    Cursor, Error, LogVersion, ObjectId, Result,
    simulation::{Bug, planted},
};
use wire::{LogEntry, LogEntryKind, MissingObject, MissingSet, PgLogSlice};

use crate::{log::PgLog, stored::Changes};

/// The set.
#[derive(Debug, Clone, Default)]
pub struct Missing {
    objects: MissingSet,
}

impl Missing {
    /// From what was stored.
    pub fn new(objects: MissingSet) -> Self {
        Self { objects }
    }

    /// As a value to send.
    pub fn objects(&self) -> &MissingSet {
        &self.objects
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// What is known of the object.
    pub fn get(&self, object: &ObjectId) -> Option<&MissingObject> {
        self.objects.get(object)
    }

    /// Whether the object is missing.
    pub fn contains(&self, object: &ObjectId) -> bool {
        self.objects.contains_key(object)
    }

    /// The object is missing, in this way.
    pub fn insert(&mut self, object: ObjectId, missing: MissingObject, changes: &mut Changes) {
        self.remove(&object, changes);
        changes.put_missing(&object, &missing);
        self.objects.insert(object, missing);
    }

    /// The object is there, or should not be.
    pub fn remove(&mut self, object: &ObjectId, changes: &mut Changes) {
        if let Some(old) = self.objects.remove(object) {
            changes.remove_missing(old.need);
        }
    }

    /// Nothing is missing any more.
    pub fn clear(&mut self, changes: &mut Changes) {
        for missing in std::mem::take(&mut self.objects).into_values() {
            changes.remove_missing(missing.need);
        }
    }

    /// The version up to which every object is as the log says.
    pub fn complete_to(&self, log: &PgLog) -> LogVersion {
        let Some(first) = self.objects.values().map(|missing| missing.need).min() else { return log.head() };
        log.entries().rev().map(|entry| entry.version).find(|version| *version < first).unwrap_or(log.tail())
    }
}

/// Whether divergent entries are undone; only a planted bug keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Divergence {
    /// They are.
    Undone,
    /// A test wants to see what happens when they are not.
    Kept,
}

/// Makes `log` agree with the authoritative `slice` and says which objects the store must remove for it.
///
/// What the authoritative log does not have is undone (DESIGN section 6, invariant 6): the object goes back to the
/// version before, which somebody else still has, or goes away when there was none. What it has more is missing here.
pub fn merge(
    log: &mut PgLog,
    missing: &mut Missing,
    cursor: &Cursor,
    slice: &PgLogSlice,
    divergence: Divergence,
    changes: &mut Changes,
) -> Result<BTreeSet<ObjectId>> {
    let common = newest_common(log, slice).ok_or_else(|| {
        Error::internal(format!(
            "the authoritative log begins after {} and shares nothing with the log here, which ends at {}",
            slice.tail,
            log.head()
        ))
    })?;
    log.extend_back(slice, changes);
    let divergent = log.cut(common, changes);
    let new: Vec<&LogEntry> = slice.entries.iter().filter(|entry| entry.version > common).collect();
    let mut remove = BTreeSet::new();
    // Content that is neither of the authoritative log nor of the version before: no part of it may be built upon.
    let mut spoilt = BTreeSet::new();
    if divergence == Divergence::Undone {
        let written_again: BTreeSet<&ObjectId> =
            new.iter().filter(|entry| entry.kind != LogEntryKind::Failed).map(|entry| &entry.object).collect();
        for (object, prior) in first_priors(&divergent) {
            if !cursor.is_past(&object) {
                continue;
            }
            if written_again.contains(&object) {
                spoilt.insert(object);
            } else {
                undo(object, prior, missing, &mut remove, changes);
            }
        }
    }
    for entry in new {
        if cursor.is_past(&entry.object) {
            note_new(entry, missing, &mut spoilt, &mut remove, changes);
        }
        log.append(entry.clone(), changes);
    }
    Ok(remove)
}

/// The newest version that both have. Versions are unique, so one that both have means the same history up to it.
fn newest_common(log: &PgLog, slice: &PgLogSlice) -> Option<LogVersion> {
    let in_slice = |version: LogVersion| {
        version == slice.tail || slice.entries.binary_search_by_key(&version, |entry| entry.version).is_ok()
    };
    let own = log.entries().rev().map(|entry| entry.version).chain([log.tail()]);
    own.into_iter().find(|version| in_slice(*version))
}

/// For each object that divergent entries changed: the version it had before the first of them.
fn first_priors(divergent: &[LogEntry]) -> BTreeMap<ObjectId, LogVersion> {
    let mut priors = BTreeMap::new();
    for entry in divergent.iter().filter(|entry| entry.kind != LogEntryKind::Failed) {
        priors.entry(entry.object.clone()).or_insert(entry.prior_version);
    }
    priors
}

/// Ceph: a divergent entry's object is removed when it did not exist before, is left when the prior version is still
/// what the store has, and is missing at the prior version otherwise.
fn undo(
    object: ObjectId,
    prior: LogVersion,
    missing: &mut Missing,
    remove: &mut BTreeSet<ObjectId>,
    changes: &mut Changes,
) {
    if prior == LogVersion::ZERO {
        missing.remove(&object, changes);
        remove.insert(object);
        return;
    }
    let have = match missing.get(&object) {
        Some(known) => known.have,
        None if planted(Bug::UndoneObjectKept) => Some(prior),
        None => {
            remove.insert(object.clone());
            None
        }
    };
    if have == Some(prior) {
        missing.remove(&object, changes);
    } else {
        missing.insert(object, MissingObject { need: prior, have, deleted: false }, changes);
    }
}

fn note_new(
    entry: &LogEntry,
    missing: &mut Missing,
    spoilt: &mut BTreeSet<ObjectId>,
    remove: &mut BTreeSet<ObjectId>,
    changes: &mut Changes,
) {
    match entry.kind {
        LogEntryKind::Failed => {}
        LogEntryKind::Delete => {
            missing.remove(&entry.object, changes);
            spoilt.remove(&entry.object);
            if !planted(Bug::DeletedObjectKept) {
                remove.insert(entry.object.clone());
            }
        }
        LogEntryKind::Modify => {
            let existed = entry.prior_version != LogVersion::ZERO;
            let have = match missing.get(&entry.object) {
                _ if spoilt.contains(&entry.object) || remove.contains(&entry.object) => None,
                Some(known) => known.have,
                None => existed.then_some(entry.prior_version),
            };
            let known = MissingObject { need: entry.version, have, deleted: false };
            if !planted(Bug::MissingNotMerged) {
                missing.insert(entry.object.clone(), known, changes);
            }
        }
    }
}

#[cfg(test)]
mod tests;
