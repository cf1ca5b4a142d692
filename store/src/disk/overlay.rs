//! Metadata that is submitted but not yet in the key-value half: what reads must see first.
//!
//! Invariants
//! 1. An entry holds the newest value of its key, and the sequence of the record that set it. It goes when that
//!    record is carried out; if a newer one has replaced it meanwhile, it stays.
//! 2. An entry inside the range of a tombstone is newer than the tombstone.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::Result;

use crate::key_value::{KeyChange, KeyValueView, ReadTier, ScanEnd};

/// What the overlay knows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pending {
    Value(Bytes),
    Absent,
    /// The key-value half has the truth.
    Unknown,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    value: Option<Bytes>,
}

#[derive(Debug)]
struct Tombstone {
    sequence: u64,
    begin: Bytes,
    end: Bytes,
}

/// The pending part of the metadata.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    entries: BTreeMap<Bytes, Entry>,
    tombstones: Vec<Tombstone>,
}

impl Overlay {
    pub fn get(&self, key: &[u8]) -> Pending {
        if let Some(entry) = self.entries.get(key) {
            return entry.value.clone().map_or(Pending::Absent, Pending::Value);
        }
        let covered = |tombstone: &Tombstone| &*tombstone.begin <= key && key < &*tombstone.end;
        if self.tombstones.iter().any(covered) { Pending::Absent } else { Pending::Unknown }
    }

    /// Takes a record's changes on top.
    pub fn add(&mut self, sequence: u64, changes: &[KeyChange]) {
        for change in changes {
            match change {
                KeyChange::Put { key, value } => {
                    self.entries.insert(key.clone(), Entry { sequence, value: Some(value.clone()) });
                }
                KeyChange::Delete { key } => {
                    self.entries.insert(key.clone(), Entry { sequence, value: None });
                }
                KeyChange::DeleteRange { begin, end } => {
                    let covered: Vec<Bytes> =
                        self.entries.range(begin.clone()..end.clone()).map(|(key, _)| key.clone()).collect();
                    for key in covered {
                        self.entries.remove(&key);
                    }
                    self.tombstones.push(Tombstone { sequence, begin: begin.clone(), end: end.clone() });
                }
            }
        }
    }

    /// Forgets a record's changes: the key-value half has them.
    pub fn retire(&mut self, sequence: u64, changes: &[KeyChange]) {
        let mut has_range = false;
        for change in changes {
            match change {
                KeyChange::Put { key, .. } | KeyChange::Delete { key } => {
                    if self.entries.get(key).is_some_and(|entry| entry.sequence == sequence) {
                        self.entries.remove(key);
                    }
                }
                KeyChange::DeleteRange { .. } => has_range = true,
            }
        }
        if has_range {
            self.tombstones.retain(|tombstone| tombstone.sequence != sequence);
        }
    }

    /// Whether a change by this record need not be carried out, since a later one up to `through` sets the same key.
    pub fn is_replaced(&self, sequence: u64, through: u64, change: &KeyChange) -> bool {
        let (KeyChange::Put { key, .. } | KeyChange::Delete { key }) = change else { return false };
        self.entries.get(key).is_some_and(|entry| entry.sequence > sequence && entry.sequence <= through)
    }

    /// A copy of what lies in a range, to be merged with a view taken at the same moment.
    pub fn part(&self, begin: &Bytes, end: &Bytes) -> OverlayPart {
        if begin >= end {
            return OverlayPart::default();
        }
        let entries = self.entries.range(begin.clone()..end.clone());
        let tombstones = self.tombstones.iter().filter(|tombstone| tombstone.begin < *end && *begin < tombstone.end);
        OverlayPart {
            entries: entries.map(|(key, entry)| (key.clone(), entry.value.clone())).collect(),
            tombstones: tombstones.map(|tombstone| (tombstone.begin.clone(), tombstone.end.clone())).collect(),
        }
    }
}

/// What the overlay had in a range at one moment.
#[derive(Debug, Default)]
pub(crate) struct OverlayPart {
    entries: Vec<(Bytes, Option<Bytes>)>,
    tombstones: Vec<(Bytes, Bytes)>,
}

/// Takes a key and a value; `false` ends the scan.
type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool> + 'a;

impl OverlayPart {
    /// Visits keys and values of overlay and view together, in key order, until `visit` says `false`.
    pub fn scan(
        self,
        view: &dyn KeyValueView,
        begin: &[u8],
        end: &[u8],
        tier: ReadTier,
        visit: &mut Visit<'_>,
    ) -> Result<ScanEnd> {
        let mut pending = self.entries.into_iter().peekable();
        let mut outcome = Ok(true);
        let scanned = view.scan(begin, end, tier, &mut |key, value| {
            while let Some((own, value)) = pending.next_if(|(own, _)| &**own < key) {
                if let Some(value) = value {
                    outcome = visit(&own, &value);
                    if outcome != Ok(true) {
                        return false;
                    }
                }
            }
            outcome = match pending.next_if(|(own, _)| &**own == key) {
                Some((own, Some(value))) => visit(&own, &value),
                Some((_, None)) => Ok(true),
                None if self.tombstones.iter().any(|(begin, end)| &**begin <= key && key < &**end) => Ok(true),
                None => visit(key, value),
            };
            outcome == Ok(true)
        })?;
        if scanned == ScanEnd::NotInMemory {
            return Ok(ScanEnd::NotInMemory);
        }
        while outcome == Ok(true)
            && let Some((own, value)) = pending.next()
        {
            if let Some(value) = value {
                outcome = visit(&own, &value);
            }
        }
        outcome.map(|_| ScanEnd::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_value::{KeyValue, MemoryKeyValue};

    fn key(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn put(text: &'static str, value: &'static str) -> KeyChange {
        KeyChange::Put { key: key(text), value: key(value) }
    }

    fn scan(overlay: &Overlay, stored: &MemoryKeyValue, count_max: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        let (begin, end) = (key("a"), key("z"));
        let part = overlay.part(&begin, &end);
        let end = part.scan(&*stored.view(), &begin, &end, ReadTier::Disk, &mut |key, value| {
            found.push((key.to_vec(), value.to_vec()));
            Ok(found.len() < count_max)
        });
        assert_eq!(end, Ok(ScanEnd::Done));
        found
    }

    #[test]
    fn a_scan_sees_pending_changes_over_stored_ones() {
        let stored = MemoryKeyValue::new();
        stored.write(&[&[put("b", "old"), put("c", "old"), put("d", "old"), put("f", "old")]]).expect("write");
        let mut overlay = Overlay::default();
        let changes = [put("b", "gone"), KeyChange::DeleteRange { begin: key("b"), end: key("e") }, put("c", "new")];
        overlay.add(1, &changes);
        overlay.add(2, &[put("a", "new"), KeyChange::Delete { key: key("f") }, put("g", "new")]);
        let text = |pairs: &[(&str, &str)]| -> Vec<_> {
            pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
        };
        assert_eq!(scan(&overlay, &stored, 9), text(&[("a", "new"), ("c", "new"), ("g", "new")]));
        assert_eq!(scan(&overlay, &stored, 2), text(&[("a", "new"), ("c", "new")]));
        assert_eq!(overlay.get(b"b"), Pending::Absent);
        assert_eq!(overlay.get(b"f"), Pending::Absent);
        assert_eq!(overlay.get(b"h"), Pending::Unknown);
        stored.write(&[&changes]).expect("write");
        overlay.retire(1, &changes);
        assert_eq!(overlay.get(b"c"), Pending::Unknown);
        assert_eq!(scan(&overlay, &stored, 9), text(&[("a", "new"), ("c", "new"), ("g", "new")]));
    }

    #[test]
    fn a_value_replaced_before_its_record_was_carried_out_stays() {
        let mut overlay = Overlay::default();
        overlay.add(1, &[put("a", "1")]);
        overlay.add(2, &[put("a", "2")]);
        overlay.retire(1, &[put("a", "1")]);
        assert_eq!(overlay.get(b"a"), Pending::Value(key("2")));
        overlay.retire(2, &[put("a", "2")]);
        assert!(overlay.entries.is_empty());
    }
}
