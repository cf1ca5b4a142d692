//! The twin in memory: the same contract, failures on demand, and its history on a tape for crash images.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::Bytes;
use types::{Error, Result};

use super::{KeyChange, KeyValue, KeyValueUsage, KeyValueView, Lookup, ReadTier, ScanEnd};
use crate::{
    counts::KeyValueCounts,
    tape::{Tape, TapeEvent},
};

type Content = BTreeMap<Bytes, Bytes>;

/// Bytes that a key-value part in memory says it could hold.
const CAPACITY_BYTES: u64 = 1 << 40;

/// A key-value part in memory.
#[derive(Default)]
pub struct MemoryKeyValue {
    content: Mutex<Arc<Content>>,
    failing: Mutex<bool>,
    tape: Option<Arc<Tape>>,
}

impl MemoryKeyValue {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// One with this content.
    pub fn with_content(content: Vec<(Bytes, Bytes)>) -> Self {
        Self { content: Mutex::new(Arc::new(content.into_iter().collect())), ..Self::default() }
    }

    /// One that records what is done to it.
    pub fn recorded(content: Vec<(Bytes, Bytes)>, tape: Arc<Tape>) -> Self {
        Self { tape: Some(tape), ..Self::with_content(content) }
    }

    /// All keys and values, in key order.
    pub fn content(&self) -> Vec<(Bytes, Bytes)> {
        self.lock().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// From now on every write and flush fails.
    pub fn fail(&self) {
        *self.failing.lock().expect("no holder of this lock panics") = true;
    }

    pub(crate) fn apply(&self, changes: &[KeyChange]) {
        let mut guard = self.lock();
        let content = Arc::make_mut(&mut guard);
        for change in changes {
            match change {
                KeyChange::Put { key, value } => {
                    content.insert(key.clone(), value.clone());
                }
                KeyChange::Delete { key } => {
                    content.remove(key);
                }
                KeyChange::DeleteRange { begin, end } => {
                    let doomed: Vec<Bytes> =
                        content.range(begin.clone()..end.clone()).map(|(key, _)| key.clone()).collect();
                    for key in doomed {
                        content.remove(&key);
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Content>> {
        self.content.lock().expect("no holder of this lock panics")
    }

    fn check_working(&self) -> Result<()> {
        if *self.failing.lock().expect("no holder of this lock panics") {
            return Err(Error::closed("write to the key-value part in memory: it fails as it was told to"));
        }
        Ok(())
    }
}

impl KeyValue for MemoryKeyValue {
    fn get(&self, key: &[u8], tier: ReadTier) -> Result<Lookup> {
        let content = Arc::clone(&self.lock());
        KeyValueView::get(&content, key, tier)
    }

    fn view(&self) -> Box<dyn KeyValueView + '_> {
        Box::new(Arc::clone(&self.lock()))
    }

    fn write(&self, changes: &[&[KeyChange]]) -> Result<()> {
        self.check_working()?;
        let changes: Vec<KeyChange> = changes.iter().flat_map(|part| part.iter().cloned()).collect();
        self.apply(&changes);
        if let Some(tape) = &self.tape {
            tape.record(TapeEvent::KeyWrite(Arc::new(changes)));
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.check_working()?;
        if let Some(tape) = &self.tape {
            tape.record(TapeEvent::KeyFlush);
        }
        Ok(())
    }

    fn usage(&self) -> Result<KeyValueUsage> {
        let used_bytes = self.lock().iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        Ok(KeyValueUsage { used_bytes, free_bytes: CAPACITY_BYTES.saturating_sub(used_bytes) })
    }

    /// It writes to nowhere and misses nothing.
    fn counts(&self) -> KeyValueCounts {
        KeyValueCounts::default()
    }
}

impl KeyValueView for Arc<Content> {
    fn get(&self, key: &[u8], _tier: ReadTier) -> Result<Lookup> {
        let content: &Content = self;
        Ok(content.get(key).map_or(Lookup::Absent, |value| Lookup::Found(value.clone())))
    }

    fn scan(
        &self,
        begin: &[u8],
        end: &[u8],
        _tier: ReadTier,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<ScanEnd> {
        if begin < end {
            for (key, value) in self.range(Bytes::copy_from_slice(begin)..Bytes::copy_from_slice(end)) {
                if !visit(key, value) {
                    break;
                }
            }
        }
        Ok(ScanEnd::Done)
    }
}
