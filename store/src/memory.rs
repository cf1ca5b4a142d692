//! The reference model: a store in memory that is plainly right, for comparison with the real one and for the
//! simulator.
//!
//! Owns: objects by id, each with its units of data, attributes and omap; the OSD's own values.
//! Does not know: threads, disks, time. Everything is durable at once, and `done` is called by the caller itself.
//!
//! Invariants
//! 1. Bytes of a unit past the object's size are zero, so growing needs no cleaning.
//! 2. `units_held` is the number of units of all objects. Clones count in full: the model does not share.
//! 3. A unit number is in `damaged` only while the object has that unit.
//!
//! A clone of the store is a snapshot: the object table is shared until one of the two changes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::{Bytes, BytesMut};
use types::{
    Cursor, Error, Extent, ObjectId, ObjectMeta, OmapPage, Result, StoreOp, StoreRead, StoreReadResult, StoreUsage,
    Transaction, XattrMap,
};

use crate::object_store::{CommitCallback, ConfigChanges, ObjectStore, UNIT_BYTES, check_transaction};

/// [`UNIT_BYTES`] as a length in memory.
const UNIT_LENGTH: usize = 4096;
const _: () = assert!(UNIT_LENGTH as u64 == UNIT_BYTES);

/// Bytes a memory store says it could hold unless told otherwise.
const CAPACITY_BYTES_DEFAULT: u64 = 1 << 40;

/// One object of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Object {
    size: u64,
    units: BTreeMap<u64, Bytes>,
    damaged: BTreeSet<u64>,
    xattrs: XattrMap,
    omap: BTreeMap<Vec<u8>, Bytes>,
    omap_header: Bytes,
}

impl Object {
    fn write(&mut self, offset: u64, data: &Bytes) {
        let mut position = 0;
        while position < data.len() {
            let at = offset + position as u64;
            let unit = at / UNIT_BYTES;
            let within = length_of(at % UNIT_BYTES);
            let length = (UNIT_LENGTH - within).min(data.len() - position);
            let part = data.slice(position..position + length);
            if length == UNIT_LENGTH {
                self.units.insert(unit, part);
                self.damaged.remove(&unit);
            } else {
                self.change_unit(unit, |bytes| bytes[within..within + length].copy_from_slice(&part));
            }
            position += length;
        }
        if !data.is_empty() {
            self.size = self.size.max(offset + data.len() as u64);
        }
    }

    fn zero(&mut self, extent: Extent) {
        let end = extent.end().min(self.size);
        let mut at = extent.offset;
        while at < end {
            let unit = at / UNIT_BYTES;
            let unit_end = (unit + 1) * UNIT_BYTES;
            let until = end.min(unit_end);
            if at == unit * UNIT_BYTES && until == unit_end.min(self.size) {
                self.units.remove(&unit);
                self.damaged.remove(&unit);
            } else if self.units.contains_key(&unit) {
                let (first, last) = (length_of(at % UNIT_BYTES), length_of(until - unit * UNIT_BYTES));
                self.change_unit(unit, |bytes| bytes[first..last].fill(0));
            }
            at = until;
        }
    }

    fn truncate(&mut self, size: u64) {
        if size < self.size {
            let kept = size.div_ceil(UNIT_BYTES);
            self.units.split_off(&kept);
            self.damaged.split_off(&kept);
            let within = length_of(size % UNIT_BYTES);
            if within != 0 && self.units.contains_key(&(size / UNIT_BYTES)) {
                self.change_unit(size / UNIT_BYTES, |bytes| bytes[within..].fill(0));
            }
        }
        self.size = size;
    }

    fn change_unit(&mut self, unit: u64, change: impl FnOnce(&mut [u8])) {
        let mut bytes = match self.units.get(&unit) {
            Some(old) => BytesMut::from(&old[..]),
            None => BytesMut::zeroed(UNIT_LENGTH),
        };
        change(&mut bytes);
        self.units.insert(unit, bytes.freeze());
    }

    fn read(&self, id: &ObjectId, extent: Extent) -> Result<Bytes> {
        let end = extent.end().min(self.size);
        if extent.offset >= end {
            return Ok(Bytes::new());
        }
        if let Some(unit) = self.damaged.range(extent.offset / UNIT_BYTES..end.div_ceil(UNIT_BYTES)).next() {
            let found = self.units.get(unit).map_or(0, |bytes| crc32fast::hash(bytes));
            return Err(damaged_error(id, unit * UNIT_BYTES, !found, found));
        }
        let first = extent.offset / UNIT_BYTES;
        if end <= (first + 1) * UNIT_BYTES
            && let Some(unit) = self.units.get(&first)
        {
            let from = length_of(extent.offset % UNIT_BYTES);
            return Ok(unit.slice(from..from + length_of(end - extent.offset)));
        }
        let mut bytes = BytesMut::zeroed(length_of(end - extent.offset));
        for (unit, content) in self.units.range(first..end.div_ceil(UNIT_BYTES)) {
            let unit_offset = unit * UNIT_BYTES;
            let from = extent.offset.max(unit_offset);
            let until = end.min(unit_offset + UNIT_BYTES);
            bytes[length_of(from - extent.offset)..length_of(until - extent.offset)]
                .copy_from_slice(&content[length_of(from - unit_offset)..length_of(until - unit_offset)]);
        }
        Ok(bytes.freeze())
    }

    fn extents(&self, extent: Extent) -> Vec<Extent> {
        let end = extent.end().min(self.size);
        let mut extents: Vec<Extent> = Vec::new();
        if extent.offset >= end {
            return extents;
        }
        for unit in self.units.range(extent.offset / UNIT_BYTES..end.div_ceil(UNIT_BYTES)).map(|(unit, _)| unit) {
            push_extent(&mut extents, extent.offset.max(unit * UNIT_BYTES), end.min((unit + 1) * UNIT_BYTES));
        }
        extents
    }

    fn omap_page(&self, after: &[u8], prefix: &[u8], keys_max: usize) -> OmapPage {
        let start = if !after.is_empty() && after >= prefix { Bound::Excluded(after) } else { Bound::Included(prefix) };
        let mut page = OmapPage::default();
        for (key, value) in self.omap.range::<[u8], _>((start, Bound::Unbounded)) {
            if !key.starts_with(prefix) {
                break;
            }
            if page.entries.len() == keys_max {
                page.more = true;
                break;
            }
            page.entries.push((key.clone(), value.clone()));
        }
        page
    }

    fn units_held(&self) -> u64 {
        self.units.len() as u64
    }
}

/// Adds a range behind the others, merged with the last where they touch.
pub(crate) fn push_extent(extents: &mut Vec<Extent>, from: u64, until: u64) {
    match extents.last_mut() {
        Some(last) if last.end() == from => last.length += until - from,
        _ => extents.push(Extent { offset: from, length: until - from }),
    }
}

/// What a read that meets a damaged unit answers.
pub(crate) fn damaged_error(object: &ObjectId, offset: u64, expected: u32, found: u32) -> Error {
    Error::damaged(format!(
        "object {object} at offset {offset}: the stored unit should have checksum {expected:08x}, and has {found:08x}"
    ))
}

/// A length within an object, as a length in memory.
fn length_of(bytes: u64) -> usize {
    usize::try_from(bytes).expect("objects are bounded by OBJECT_BYTES_MAX, which fits memory")
}

#[derive(Debug, Clone, Default)]
struct State {
    objects: Arc<BTreeMap<ObjectId, Arc<Object>>>,
    config: Arc<BTreeMap<Vec<u8>, Bytes>>,
    units_held: u64,
    capacity_bytes: u64,
    closed: bool,
}

impl State {
    fn apply(&mut self, op: &StoreOp) {
        match op {
            StoreOp::Touch { object } => self.change(object, |_| {}),
            StoreOp::Write { object, offset, data } => self.change(object, |content| content.write(*offset, data)),
            StoreOp::Zero { object, extent } => self.change(object, |content| content.zero(*extent)),
            StoreOp::Truncate { object, size } => self.change(object, |content| content.truncate(*size)),
            StoreOp::Remove { object } => self.replace(object, None),
            StoreOp::Clone { source, target } => {
                if source != target {
                    let content = self.objects.get(source).cloned();
                    self.replace(target, content);
                }
            }
            StoreOp::SetXattrs { object, xattrs } => self.change(object, |content| {
                content.xattrs.extend(xattrs.iter().map(|(name, value)| (name.clone(), value.clone())));
            }),
            StoreOp::RemoveXattr { object, name } => self.change(object, |content| {
                content.xattrs.remove(name);
            }),
            StoreOp::OmapSet { object, entries } => self.change(object, |content| {
                content.omap.extend(entries.iter().map(|(key, value)| (key.clone(), value.clone())));
            }),
            StoreOp::OmapRemove { object, keys } => self.change(object, |content| {
                for key in keys {
                    content.omap.remove(key);
                }
            }),
            StoreOp::OmapRemoveRange { object, begin, end } => self.change(object, |content| {
                if begin < end {
                    content.omap.retain(|key, _| key < begin || key >= end);
                }
            }),
            StoreOp::OmapClear { object } => self.change(object, |content| {
                content.omap.clear();
                content.omap_header = Bytes::new();
            }),
            StoreOp::OmapSetHeader { object, header } => {
                self.change(object, |content| content.omap_header = header.clone());
            }
        }
    }

    fn change(&mut self, id: &ObjectId, change: impl FnOnce(&mut Object)) {
        let objects = Arc::make_mut(&mut self.objects);
        let object = match objects.get_mut(id) {
            Some(object) => object,
            None => objects.entry(id.clone()).or_default(),
        };
        let object = Arc::make_mut(object);
        let before = object.units_held();
        change(object);
        self.units_held = self.units_held + object.units_held() - before;
    }

    fn replace(&mut self, id: &ObjectId, content: Option<Arc<Object>>) {
        let added = content.as_ref().map_or(0, |object| object.units_held());
        if content.is_none() && !self.objects.contains_key(id) {
            return;
        }
        let objects = Arc::make_mut(&mut self.objects);
        let old = match content {
            Some(object) => objects.insert(id.clone(), object),
            None => objects.remove(id),
        };
        self.units_held = self.units_held + added - old.map_or(0, |object| object.units_held());
    }

    fn read(&self, read: &StoreRead) -> Result<StoreReadResult> {
        let get = |object: &ObjectId| self.objects.get(object);
        Ok(match read {
            StoreRead::Meta { object } => StoreReadResult::Meta(get(object).map(|content| ObjectMeta {
                size: content.size,
                xattrs: content.xattrs.clone(),
                omap_header: content.omap_header.clone(),
            })),
            StoreRead::Data { object, extent } => StoreReadResult::Data(match get(object) {
                Some(content) => content.read(object, *extent)?,
                None => Bytes::new(),
            }),
            StoreRead::Extents { object, extent } => {
                StoreReadResult::Extents(get(object).map_or_else(Vec::new, |content| content.extents(*extent)))
            }
            StoreRead::Omap { object, after, prefix, keys_max } => StoreReadResult::Omap(
                get(object).map_or_else(OmapPage::default, |content| content.omap_page(after, prefix, *keys_max)),
            ),
            StoreRead::OmapKeys { object, keys } => {
                let wanted: BTreeSet<&Vec<u8>> = keys.iter().collect();
                let entries = get(object).map_or_else(Vec::new, |content| {
                    wanted.into_iter().filter_map(|key| Some((key.clone(), content.omap.get(key)?.clone()))).collect()
                });
                StoreReadResult::Omap(OmapPage { entries, more: false })
            }
            StoreRead::List { begin, end, objects_max } => self.list(begin, end, *objects_max),
        })
    }

    fn list(&self, begin: &Cursor, end: &Cursor, objects_max: usize) -> StoreReadResult {
        let start = match begin {
            Cursor::Start => Bound::Unbounded,
            Cursor::Before(first) => Bound::Included(first),
            Cursor::End => return StoreReadResult::List { objects: Vec::new(), next: end.clone() },
        };
        let mut objects = Vec::new();
        for object in self.objects.range((start, Bound::Unbounded)).map(|(object, _)| object) {
            if !end.is_past(object) {
                break;
            }
            if objects.len() == objects_max {
                return StoreReadResult::List { objects, next: Cursor::Before(object.clone()) };
            }
            objects.push(object.clone());
        }
        StoreReadResult::List { objects, next: end.clone() }
    }
}

/// The store in memory. Deterministic, without threads; `clone` is a snapshot that shares what neither changes.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { state: Mutex::new(State { capacity_bytes: CAPACITY_BYTES_DEFAULT, ..State::default() }) }
    }

    /// Carries out a transaction, whole or (kinds `Invalid`, `Full`) not at all.
    ///
    /// Full: the bytes written, with nothing said to be freed by the same transaction, exceed what is left.
    /// A transaction without data is never refused for space.
    pub fn apply(&self, transaction: &Transaction) -> Result<()> {
        check_transaction(transaction)?;
        let mut state = self.state();
        let written = transaction.data_bytes() as u64;
        let left = state.capacity_bytes.saturating_sub(state.units_held * UNIT_BYTES);
        if written > left {
            return Err(Error::full(format!("{written} bytes do not fit: {left} bytes are left on this store")));
        }
        for op in &transaction.ops {
            state.apply(op);
        }
        Ok(())
    }

    /// Carries out changes to the OSD's own values.
    pub fn apply_config(&self, changes: &[(Vec<u8>, Option<Bytes>)]) {
        let mut state = self.state();
        let config = Arc::make_mut(&mut state.config);
        for (key, value) in changes {
            match value {
                Some(value) => config.insert(key.clone(), value.clone()),
                None => config.remove(key),
            };
        }
    }

    /// Sets how many bytes of object data fit.
    pub fn set_capacity(&self, capacity_bytes: u64) {
        self.state().capacity_bytes = capacity_bytes;
    }

    /// Damages the unit that holds this byte, as bit rot would. `false` when there is no data at that place.
    pub fn damage(&self, object: &ObjectId, offset: u64) -> bool {
        let mut state = self.state();
        let unit = offset / UNIT_BYTES;
        if !state.objects.get(object).is_some_and(|content| content.units.contains_key(&unit)) {
            return false;
        }
        state.change(object, |content| {
            content.damaged.insert(unit);
        });
        true
    }

    /// Whether two stores hold the same objects and values, damage included.
    pub fn is_same(&self, other: &Self) -> bool {
        let (own, other) = (self.state().clone(), other.state().clone());
        own.objects == other.objects && own.config == other.config
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics: the model's steps are total")
    }

    fn check_open(&self) -> Result<()> {
        if self.state().closed { Err(Error::closed("the store is closed; open it again")) } else { Ok(()) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()) }
    }
}

impl ObjectStore for MemoryStore {
    fn submit(&self, transaction: Transaction, done: CommitCallback) {
        let result = self.check_open().and_then(|()| self.apply(&transaction));
        done(result);
    }

    fn read(&self, read: &StoreRead) -> Result<StoreReadResult> {
        self.check_open()?;
        self.state().read(read)
    }

    fn try_read(&self, read: &StoreRead) -> Option<Result<StoreReadResult>> {
        Some(self.read(read))
    }

    fn usage(&self) -> Result<StoreUsage> {
        self.check_open()?;
        let state = self.state();
        Ok(StoreUsage {
            total_bytes: state.capacity_bytes,
            used_bytes: state.units_held * UNIT_BYTES,
            metadata_bytes: 0,
        })
    }

    fn submit_config(&self, changes: ConfigChanges, done: CommitCallback) {
        let result = self.check_open().map(|()| self.apply_config(&changes));
        done(result);
    }

    fn read_config(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.check_open()?;
        Ok(self.state().config.get(key).cloned())
    }

    fn list_config(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>> {
        self.check_open()?;
        let state = self.state();
        let from = state.config.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
        Ok(from
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn close(&self) -> Result<()> {
        self.check_open()?;
        self.state().closed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
