//! A transaction in the making: objects as its operations have left them so far, nothing of it visible yet.
//!
//! Invariants
//! 1. Staged data is whole units: parts are completed with what was there before.
//! 2. Bytes of a unit past the object's size are zero.
//! 3. A header's segment set tells which segment keys are stored *before* this transaction's segment changes; they
//!    are brought together when the transaction is finished (`placement.rs`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::{Bytes, BytesMut};
use types::{Error, Extent, ObjectId, StoreOp};

use super::{
    allocator::Run,
    group::{DirectRun, JournaledUnit},
    keys::{omap_key, omap_range, segment_key},
    object::{Header, SEGMENT_UNITS, Segment, Unit},
    sources::{Need, Sources, Stop},
};
use crate::{key_value::KeyChange, object_store::UNIT_BYTES};

/// [`UNIT_BYTES`] as a length in memory.
pub(crate) const UNIT_LENGTH: usize = 4096;
const _: () = assert!(UNIT_LENGTH as u64 == UNIT_BYTES);
const UNITS_PER_SEGMENT: u64 = SEGMENT_UNITS as u64;

/// What a transaction will do besides changing headers and segments.
#[derive(Default)]
pub(crate) struct Effects {
    pub sequence: u64,
    pub changes: Vec<KeyChange>,
    pub units: Vec<JournaledUnit>,
    pub runs: Vec<Arc<DirectRun>>,
    /// Changes of the number of references to units.
    pub references: HashMap<u64, i64>,
    /// Whether it may take units of the reserve: it writes no data, so it must not fail for lack of space.
    pub may_use_reserve: bool,
    /// Units taken from the allocator, given back if the transaction does not come about.
    pub allocated: Vec<Run>,
    created: u64,
}

impl Effects {
    fn refer(&mut self, unit: Unit, change: i64) {
        if !unit.is_hole() {
            *self.references.entry(unit.place).or_default() += change;
        }
    }

    /// The bytes of a unit that this transaction itself has given its place, which a clone makes it do early.
    fn placed(&self, place: u64) -> Option<&Bytes> {
        if let Some(unit) = self.units.iter().rev().find(|unit| unit.place == place) {
            return Some(&unit.data);
        }
        self.runs.iter().find_map(|run| run.data.get(usize::try_from(place.checked_sub(run.place)?).ok()?))
    }

    /// A number for a new object: the record's sequence makes it unique for ever.
    fn new_number(&mut self) -> Result<u64, Stop> {
        const OBJECTS_BITS: u32 = 16;
        let index = self.created;
        self.created += 1;
        if index >> OBJECTS_BITS != 0 {
            return Err(Error::invalid("one transaction creates more than 65,536 objects; divide it").into());
        }
        Ok(self.sequence << OBJECTS_BITS | index)
    }
}

/// 64 units of a staged object.
pub(crate) struct StagedSegment {
    pub mapping: Arc<Segment>,
    /// New bytes that have no place yet, by unit, ascending.
    pub data: Vec<(usize, Bytes)>,
    pub changed: bool,
}

impl StagedSegment {
    fn staged(&self, index: usize) -> Option<&Bytes> {
        self.data.binary_search_by_key(&index, |(unit, _)| *unit).ok().map(|found| &self.data[found].1)
    }

    fn stage(&mut self, index: usize, bytes: Bytes) {
        match self.data.binary_search_by_key(&index, |(unit, _)| *unit) {
            Ok(found) => self.data[found].1 = bytes,
            Err(place) => self.data.insert(place, (index, bytes)),
        }
        self.changed = true;
    }

    fn drop_unit(&mut self, index: usize, effects: &mut Effects) {
        self.data.retain(|(unit, _)| *unit != index);
        let unit = self.mapping.units[index];
        if !unit.is_hole() {
            effects.refer(unit, -1);
            Arc::make_mut(&mut self.mapping).units[index] = Unit::HOLE;
            self.changed = true;
        }
    }

    /// Changes a part of a unit; what is damaged stays so.
    fn patch(
        &mut self,
        index: usize,
        sources: &Sources<'_>,
        effects: &Effects,
        change: impl FnOnce(&mut [u8]),
    ) -> Result<(), Stop> {
        let mut bytes = match self.staged(index) {
            Some(bytes) => BytesMut::from(&bytes[..]),
            None if self.mapping.units[index].is_hole() => BytesMut::zeroed(UNIT_LENGTH),
            None => match effects
                .placed(self.mapping.units[index].place)
                .cloned()
                .map_or_else(|| sources.unit(self.mapping.units[index]), |bytes| Ok(Some(bytes)))?
            {
                Some(bytes) => BytesMut::from(&bytes[..]),
                None => {
                    if !self.mapping.units[index].damaged {
                        Arc::make_mut(&mut self.mapping).units[index].damaged = true;
                        self.changed = true;
                    }
                    return Ok(());
                }
            },
        };
        change(&mut bytes);
        self.stage(index, bytes.freeze());
        Ok(())
    }

    fn holds(&self, index: usize) -> bool {
        !self.mapping.units[index].is_hole() || self.staged(index).is_some()
    }
}

/// An object as the transaction has left it so far.
pub(crate) struct StagedObject {
    pub id: ObjectId,
    pub existed: bool,
    pub header: Option<Header>,
    pub changed: bool,
    pub segments: BTreeMap<u32, StagedSegment>,
}

impl StagedObject {
    pub fn load(id: &ObjectId, sources: &mut Sources<'_>) -> Result<Self, Stop> {
        let header = sources.header(id)?;
        Ok(Self {
            id: id.clone(),
            existed: header.is_some(),
            header: header.map(|header| Header::clone(&header)),
            changed: false,
            segments: BTreeMap::new(),
        })
    }

    fn header(&mut self, effects: &mut Effects) -> Result<&mut Header, Stop> {
        if self.header.is_none() {
            self.header = Some(Header { number: effects.new_number()?, ..Header::default() });
            self.changed = true;
        }
        Ok(self.header.as_mut().expect("it was made above if it was not there"))
    }

    fn segment(&mut self, index: u32, sources: &mut Sources<'_>) -> Result<&mut StagedSegment, Stop> {
        use std::collections::btree_map::Entry;
        match self.segments.entry(index) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let mapping = match &self.header {
                    Some(header) if header.segments.contains(index) => sources.segment(header.number, index)?,
                    _ => Arc::new(Segment::EMPTY),
                };
                Ok(entry.insert(StagedSegment { mapping, data: Vec::new(), changed: false }))
            }
        }
    }

    /// Stages every stored segment, or names all that must be loaded for it.
    fn stage_segments(&mut self, from: u32, sources: &mut Sources<'_>) -> Result<(), Stop> {
        let Some(header) = &self.header else { return Ok(()) };
        let stored: Vec<u32> = header.segments.iter().filter(|index| *index >= from).collect();
        let mut missing = Vec::new();
        for index in stored {
            match self.segment(index, sources) {
                Ok(_) => {}
                Err(Stop::Missing(needs)) => missing.extend(needs),
                Err(stop) => return Err(stop),
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(Stop::Missing(missing)) }
    }

    fn write(
        &mut self,
        offset: u64,
        data: &Bytes,
        sources: &mut Sources<'_>,
        effects: &mut Effects,
    ) -> Result<(), Stop> {
        let header = self.header(effects)?;
        let end = offset + data.len() as u64;
        if !data.is_empty() && end > header.size {
            header.size = end;
            self.changed = true;
        }
        let mut position = 0;
        while position < data.len() {
            let (segment, unit, within) = locate(offset + position as u64);
            let length = (UNIT_LENGTH - within).min(data.len() - position);
            let staged = self.segment(segment, sources)?;
            let part = data.slice(position..position + length);
            if length == UNIT_LENGTH {
                staged.stage(unit, part);
            } else {
                staged.patch(unit, sources, effects, |bytes| bytes[within..within + length].copy_from_slice(&part))?;
            }
            position += length;
        }
        Ok(())
    }

    fn zero(&mut self, extent: Extent, sources: &mut Sources<'_>, effects: &mut Effects) -> Result<(), Stop> {
        let size = self.header(effects)?.size;
        let end = extent.end().min(size);
        let mut at = extent.offset;
        while at < end {
            let (index, unit, within) = locate(at);
            if !self.may_hold(index) {
                at = (u64::from(index) + 1) * UNITS_PER_SEGMENT * UNIT_BYTES;
                continue;
            }
            let unit_start = at - at % UNIT_BYTES;
            let until = end.min(unit_start + UNIT_BYTES);
            let staged = self.segment(index, sources)?;
            if at == unit_start && until == size.min(unit_start + UNIT_BYTES) {
                staged.drop_unit(unit, effects);
            } else if staged.holds(unit) {
                let last = within + length_of(until - at);
                staged.patch(unit, sources, effects, |bytes| bytes[within..last].fill(0))?;
            }
            at = until;
        }
        Ok(())
    }

    fn truncate(&mut self, size: u64, sources: &mut Sources<'_>, effects: &mut Effects) -> Result<(), Stop> {
        let old_size = self.header(effects)?.size;
        if size < old_size {
            let (first, _, within) = locate(size);
            self.stage_segments(first, sources)?;
            let kept = size.div_ceil(UNIT_BYTES);
            for (index, staged) in self.segments.range_mut(first..) {
                for unit in 0..SEGMENT_UNITS {
                    if u64::from(*index) * UNITS_PER_SEGMENT + unit as u64 >= kept {
                        staged.drop_unit(unit, effects);
                    }
                }
            }
            if within != 0 && self.may_hold(first) {
                let (_, unit, _) = locate(size);
                let staged = self.segment(first, sources)?;
                if staged.holds(unit) {
                    staged.patch(unit, sources, effects, |bytes| bytes[within..].fill(0))?;
                }
            }
        }
        if size != old_size {
            self.header(effects)?.size = size;
            self.changed = true;
        }
        Ok(())
    }

    fn may_hold(&self, index: u32) -> bool {
        self.segments.contains_key(&index) || self.header.as_ref().is_some_and(|header| header.segments.contains(index))
    }

    fn remove(&mut self, sources: &mut Sources<'_>, effects: &mut Effects) -> Result<(), Stop> {
        self.stage_segments(0, sources)?;
        let Some(header) = self.header.take() else { return Ok(()) };
        for (index, staged) in std::mem::take(&mut self.segments) {
            for unit in staged.mapping.units {
                effects.refer(unit, -1);
            }
            if header.segments.contains(index) {
                effects.changes.push(KeyChange::Delete { key: segment_key(header.number, index) });
            }
        }
        if header.has_omap {
            let (begin, end) = omap_range(header.number);
            effects.changes.push(KeyChange::DeleteRange { begin, end });
        }
        self.changed = true;
        Ok(())
    }

    /// Becomes an equal of `source`, whose staged data has its places already.
    fn become_clone(
        &mut self,
        source: &mut Self,
        sources: &mut Sources<'_>,
        effects: &mut Effects,
    ) -> Result<(), Stop> {
        source.stage_segments(0, sources)?;
        let omap = match &source.header {
            Some(header) if header.has_omap => omap_of(header.number, source.existed, sources, effects)?,
            _ => BTreeMap::new(),
        };
        self.remove(sources, effects)?;
        let Some(header) = &source.header else { return Ok(()) };
        let number = effects.new_number()?;
        for (index, staged) in &source.segments {
            for unit in staged.mapping.units {
                effects.refer(unit, 1);
            }
            let mapping = Arc::clone(&staged.mapping);
            self.segments.insert(*index, StagedSegment { mapping, data: Vec::new(), changed: true });
        }
        let prefix = omap_key(header.number, &[]).len();
        for (key, value) in &omap {
            effects.changes.push(KeyChange::Put { key: omap_key(number, &key[prefix..]), value: value.clone() });
        }
        let segments = super::object::SegmentSet::default();
        self.header = Some(Header { number, segments, ..header.clone() });
        self.changed = true;
        Ok(())
    }
}

/// The omap of an object as the transaction has left it so far, by stored key.
fn omap_of(
    number: u64,
    existed: bool,
    sources: &Sources<'_>,
    effects: &Effects,
) -> Result<BTreeMap<Bytes, Bytes>, Stop> {
    let mut omap = match sources.loaded.omaps.get(&number) {
        Some(omap) => omap.clone(),
        None if existed => return Err(Need::Omap { number }.into()),
        None => BTreeMap::new(),
    };
    let (first, last) = omap_range(number);
    for change in &effects.changes {
        match change {
            KeyChange::Put { key, value } if first <= *key && *key < last => {
                omap.insert(key.clone(), value.clone());
            }
            KeyChange::Delete { key } => {
                omap.remove(key);
            }
            KeyChange::DeleteRange { begin, end } => omap.retain(|key, _| key < begin || key >= end),
            KeyChange::Put { .. } => {}
        }
    }
    Ok(omap)
}

/// Segment, unit within the segment, and byte within the unit of an offset within an object.
pub(crate) fn locate(offset: u64) -> (u32, usize, usize) {
    let unit = offset / UNIT_BYTES;
    let segment = u32::try_from(unit / UNITS_PER_SEGMENT).expect("objects are bounded by OBJECT_BYTES_MAX");
    (segment, length_of(unit % UNITS_PER_SEGMENT), length_of(offset % UNIT_BYTES))
}

/// A length within an object, as a length in memory.
pub(crate) fn length_of(bytes: u64) -> usize {
    usize::try_from(bytes).expect("objects are bounded by OBJECT_BYTES_MAX, which fits memory")
}

/// All objects that a transaction has touched so far, and what it will do besides.
#[derive(Default)]
pub(crate) struct Staging {
    pub objects: Vec<StagedObject>,
    pub effects: Effects,
}

impl Staging {
    pub fn new(sequence: u64, may_use_reserve: bool) -> Self {
        Self { objects: Vec::new(), effects: Effects { sequence, may_use_reserve, ..Effects::default() } }
    }

    /// The staged object's index; a transaction touches few objects, so they are searched in line.
    fn index_of(&mut self, id: &ObjectId, sources: &mut Sources<'_>) -> Result<usize, Stop> {
        if let Some(index) = self.objects.iter().position(|object| object.id == *id) {
            return Ok(index);
        }
        self.objects.push(StagedObject::load(id, sources)?);
        Ok(self.objects.len() - 1)
    }

    /// Carries out one operation on the staged objects.
    pub fn apply(&mut self, op: &StoreOp, sources: &mut Sources<'_>) -> Result<(), Stop> {
        let id = match op {
            StoreOp::Clone { source, target } => return self.clone_object(source, target, sources),
            StoreOp::Touch { object }
            | StoreOp::Write { object, .. }
            | StoreOp::Zero { object, .. }
            | StoreOp::Truncate { object, .. }
            | StoreOp::Remove { object }
            | StoreOp::SetXattrs { object, .. }
            | StoreOp::RemoveXattr { object, .. }
            | StoreOp::OmapSet { object, .. }
            | StoreOp::OmapRemove { object, .. }
            | StoreOp::OmapRemoveRange { object, .. }
            | StoreOp::OmapClear { object }
            | StoreOp::OmapSetHeader { object, .. } => object,
        };
        let index = self.index_of(id, sources)?;
        let object = &mut self.objects[index];
        let effects = &mut self.effects;
        match op {
            StoreOp::Remove { .. } => return object.remove(sources, effects),
            StoreOp::Write { offset, data, .. } => return object.write(*offset, data, sources, effects),
            StoreOp::Zero { extent, .. } => return object.zero(*extent, sources, effects),
            StoreOp::Truncate { size, .. } => return object.truncate(*size, sources, effects),
            _ => {}
        }
        let header = object.header(effects)?;
        let mut header_changed = true;
        match op {
            StoreOp::SetXattrs { xattrs, .. } => {
                // Copied, because they stay in the cache: a slice would keep the whole network frame alive.
                let copies = xattrs.iter().map(|(name, value)| (name.clone(), Bytes::copy_from_slice(value)));
                header.xattrs.extend(copies);
            }
            StoreOp::RemoveXattr { name, .. } => header_changed = header.xattrs.remove(name).is_some(),
            StoreOp::OmapSet { entries, .. } => {
                header_changed = !header.has_omap && !entries.is_empty();
                header.has_omap |= !entries.is_empty();
                let puts = entries
                    .iter()
                    .map(|(key, value)| KeyChange::Put { key: omap_key(header.number, key), value: value.clone() });
                effects.changes.extend(puts);
            }
            StoreOp::OmapRemove { keys, .. } => {
                header_changed = false;
                if header.has_omap {
                    let deletes = keys.iter().map(|key| KeyChange::Delete { key: omap_key(header.number, key) });
                    effects.changes.extend(deletes);
                }
            }
            StoreOp::OmapRemoveRange { begin, end, .. } => {
                header_changed = false;
                if header.has_omap && begin < end {
                    let (begin, end) = (omap_key(header.number, begin), omap_key(header.number, end));
                    effects.changes.push(KeyChange::DeleteRange { begin, end });
                }
            }
            StoreOp::OmapClear { .. } => {
                header.omap_header = Bytes::new();
                if header.has_omap {
                    let (begin, end) = omap_range(header.number);
                    effects.changes.push(KeyChange::DeleteRange { begin, end });
                    header.has_omap = false;
                }
            }
            StoreOp::OmapSetHeader { header: omap_header, .. } => {
                header.omap_header = Bytes::copy_from_slice(omap_header);
            }
            _ => header_changed = false,
        }
        object.changed |= header_changed;
        Ok(())
    }

    fn clone_object(&mut self, source: &ObjectId, target: &ObjectId, sources: &mut Sources<'_>) -> Result<(), Stop> {
        if source == target {
            return Ok(());
        }
        let source = self.index_of(source, sources)?;
        let target = self.index_of(target, sources)?;
        self.place(source, sources)?;
        let [source, target] =
            self.objects.get_disjoint_mut([source, target]).expect("two different objects have two indices");
        target.become_clone(source, sources, &mut self.effects)
    }
}
