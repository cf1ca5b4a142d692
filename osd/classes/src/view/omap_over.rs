//! Omap entries that were changed and not stored yet, over those that are stored.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use types::{OmapPage, Result};

/// The changes since the stored state.
#[derive(Debug)]
pub(super) struct OmapOver {
    /// Whether stored entries are seen at all.
    stored_seen: bool,
    /// Stored entries in these ranges (begin inclusive, end exclusive) are not seen any more.
    removed: Vec<(Vec<u8>, Vec<u8>)>,
    /// What each changed key is now; `None` is gone.
    changed: BTreeMap<Vec<u8>, Option<Bytes>>,
}

impl OmapOver {
    pub fn new(stored_seen: bool) -> Self {
        Self { stored_seen, removed: Vec::new(), changed: BTreeMap::new() }
    }

    pub fn clear(&mut self) {
        self.stored_seen = false;
        self.removed.clear();
        self.changed.clear();
    }

    pub fn set(&mut self, entries: &BTreeMap<Vec<u8>, Bytes>) {
        self.changed.extend(entries.iter().map(|(key, value)| (key.clone(), Some(value.clone()))));
    }

    pub fn remove(&mut self, keys: &[Vec<u8>]) {
        self.changed.extend(keys.iter().map(|key| (key.clone(), None)));
    }

    pub fn remove_range(&mut self, begin: &[u8], end: &[u8]) {
        if begin >= end {
            return;
        }
        self.changed.retain(|key, _| key.as_slice() < begin || key.as_slice() >= end);
        self.removed.push((begin.to_vec(), end.to_vec()));
    }

    /// Whether what is stored under the key is seen.
    fn shows(&self, key: &[u8]) -> bool {
        let gone = |(begin, end): &(Vec<u8>, Vec<u8>)| begin.as_slice() <= key && key < end.as_slice();
        self.stored_seen && !self.changed.contains_key(key) && !self.removed.iter().any(gone)
    }

    pub fn value(&self, key: &[u8], stored: impl FnOnce() -> Result<Option<Bytes>>) -> Result<Option<Bytes>> {
        match self.changed.get(key) {
            Some(changed) => Ok(changed.clone()),
            None if self.shows(key) => stored(),
            None => Ok(None),
        }
    }

    /// A page of what is seen. `stored` gives stored entries behind a key, at most so many.
    pub fn page(
        &self,
        after: &[u8],
        prefix: &[u8],
        keys_max: usize,
        stored: impl Fn(&[u8], usize) -> Result<OmapPage>,
    ) -> Result<OmapPage> {
        let mut seen: BTreeMap<Vec<u8>, Bytes> = BTreeMap::new();
        // Entries behind this key have not been asked for; what is changed behind it must wait for the next page.
        let mut reached: Option<Vec<u8>> = None;
        if self.stored_seen {
            let mut from = after.to_vec();
            loop {
                let page = stored(&from, keys_max)?;
                let last = page.entries.last().map(|(key, _)| key.clone());
                seen.extend(page.entries.into_iter().filter(|(key, _)| self.shows(key)));
                match last {
                    Some(last) if page.more && seen.len() < keys_max => from = last,
                    Some(last) if page.more => {
                        reached = Some(last);
                        break;
                    }
                    _ => break,
                }
            }
        }
        let begin = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(after) };
        let changed = self.changed.range::<[u8], _>((begin, Bound::Unbounded));
        for (key, value) in changed.filter(|(key, _)| key.starts_with(prefix)) {
            if reached.as_ref().is_some_and(|reached| key > reached) {
                break;
            }
            if let Some(value) = value {
                seen.insert(key.clone(), value.clone());
            }
        }
        let more = seen.len() > keys_max || reached.is_some();
        Ok(OmapPage { entries: seen.into_iter().take(keys_max).collect(), more })
    }
}
