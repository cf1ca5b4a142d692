//! Answering reads.
//!
//! A read looks everything up under the lock, and goes to the device without it. What it found may change under it:
//! a unit may be overwritten in place, or be freed and taken by another object. So a reader puts a mark on its
//! object, every published change of the object counts up the mark, and a checksum that is wrong while the mark has
//! moved means "again", not "damaged". Omap and listings read a view of the database taken at the moment of the
//! overlay's copy, so they need no mark.

use std::ops::Range;

use bytes::Bytes;
use types::{Cursor, Error, Extent, ObjectId, ObjectMeta, OmapPage, Result, StoreRead, StoreReadResult};

use super::{
    engine::Engine,
    keys::{OMAP_PREFIX_BYTES, cursor_key, decode_header_key, omap_key, prefix_range},
    object::{SEGMENT_UNITS, Unit},
    overlay::Pending,
    sources::{Loaded, Sources, Stop},
    staging::{UNIT_LENGTH, length_of},
};
use crate::{
    device::AlignedBuffer,
    key_value::{Lookup, ReadTier, ScanEnd},
    memory::{damaged_error, push_extent},
    object_store::UNIT_BYTES,
};

/// A reader's mark on an object, taken off when it is dropped.
struct Mark<'a> {
    engine: &'a Engine,
    object: &'a ObjectId,
}

impl<'a> Mark<'a> {
    fn put(engine: &'a Engine, object: &'a ObjectId) -> Self {
        engine.state().readers.entry(object.clone()).or_default().readers += 1;
        Self { engine, object }
    }

    fn changes(&self) -> u64 {
        self.engine.state().readers.get(self.object).map_or(0, |mark| mark.changes)
    }
}

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        let mut state = self.engine.state();
        if let Some(mark) = state.readers.get_mut(self.object) {
            mark.readers -= 1;
            if mark.readers == 0 {
                state.readers.remove(self.object);
            }
        }
    }
}

/// Where the bytes of a unit asked for come from.
enum Piece {
    Hole,
    Memory(Bytes),
    Device(Unit),
}

impl Engine {
    /// Answers; waits for the disk where it must.
    pub fn read(&self, read: &StoreRead) -> Result<StoreReadResult> {
        drop(self.wait_prepared());
        let answer = self.answer(read, ReadTier::Disk)?;
        answer.ok_or_else(|| Error::internal("a read that may use the disk found no answer"))
    }

    /// Answers from memory, or not at all.
    pub fn try_read(&self, read: &StoreRead) -> Option<Result<StoreReadResult>> {
        if !self.state().is_prepared() {
            return None;
        }
        self.answer(read, ReadTier::Memory).transpose()
    }

    fn answer(&self, read: &StoreRead, tier: ReadTier) -> Result<Option<StoreReadResult>> {
        Ok(match read {
            StoreRead::Meta { object } => self.read_meta(object, tier)?.map(StoreReadResult::Meta),
            StoreRead::Data { object, extent } => self.read_data(object, *extent, tier)?.map(StoreReadResult::Data),
            StoreRead::Extents { object, extent } => {
                self.read_extents(object, *extent, tier)?.map(StoreReadResult::Extents)
            }
            StoreRead::Omap { object, after, prefix, keys_max } => {
                self.read_omap(object, after, prefix, *keys_max, tier)?.map(StoreReadResult::Omap)
            }
            StoreRead::OmapKeys { object, keys } => self.read_omap_keys(object, keys, tier)?.map(StoreReadResult::Omap),
            StoreRead::List { begin, end, objects_max } => self.read_list(begin, end, *objects_max, tier)?,
        })
    }

    /// Runs `work` under the lock, with what it misses loaded in between.
    fn look_up<T>(
        &self,
        mark: &Mark<'_>,
        tier: ReadTier,
        mut work: impl FnMut(&mut Sources<'_>) -> Result<T, Stop>,
    ) -> Result<Option<T>> {
        let mut loaded = Loaded::default();
        let mut loaded_at = None;
        loop {
            let needs = {
                let mut state = self.state();
                if let Some(refusal) = &state.refusal {
                    return Err(refusal.clone());
                }
                let changes = state.readers.get(mark.object).map(|mark| mark.changes);
                if loaded_at != changes {
                    loaded = Loaded::default();
                    loaded_at = changes;
                }
                match work(&mut Sources { state: &mut state, keys: &*self.keys, loaded: &loaded }) {
                    Ok(found) => return Ok(Some(found)),
                    Err(Stop::Refused(error)) => return Err(error),
                    Err(Stop::Missing(_)) if tier == ReadTier::Memory => return Ok(None),
                    Err(Stop::Missing(needs)) => needs,
                    Err(Stop::Space) => return Err(Error::internal("a read asked for space")),
                }
            };
            for need in &needs {
                self.load(need, &mut loaded)?;
            }
        }
    }

    fn read_meta(&self, object: &ObjectId, tier: ReadTier) -> Result<Option<Option<ObjectMeta>>> {
        let mark = Mark::put(self, object);
        self.look_up(&mark, tier, |sources| {
            Ok(sources.header(object)?.map(|header| ObjectMeta {
                size: header.size,
                xattrs: header.xattrs.clone(),
                omap_header: header.omap_header.clone(),
            }))
        })
    }

    fn read_extents(&self, object: &ObjectId, extent: Extent, tier: ReadTier) -> Result<Option<Vec<Extent>>> {
        let mark = Mark::put(self, object);
        self.look_up(&mark, tier, |sources| {
            let (range, units) = units_of(object, extent, sources)?;
            let mut extents = Vec::new();
            for (unit, at) in units.iter().zip((range.start / UNIT_BYTES..).map(|unit| unit * UNIT_BYTES)) {
                if !unit.is_hole() {
                    push_extent(&mut extents, at.max(range.start), (at + UNIT_BYTES).min(range.end));
                }
            }
            Ok(extents)
        })
    }

    fn read_data(&self, object: &ObjectId, extent: Extent, tier: ReadTier) -> Result<Option<Bytes>> {
        let mark = Mark::put(self, object);
        loop {
            let planned = self.look_up(&mark, tier, |sources| {
                let changes = sources.state.readers.get(object).map_or(0, |mark| mark.changes);
                let (range, units) = units_of(object, extent, sources)?;
                let pieces: Vec<Piece> = units
                    .into_iter()
                    .map(|unit| match sources.state.unit_bytes(unit.place) {
                        _ if unit.is_hole() => Piece::Hole,
                        Some(bytes) if !unit.damaged => Piece::Memory(bytes),
                        _ => Piece::Device(unit),
                    })
                    .collect();
                Ok((range, pieces, changes))
            })?;
            let Some((range, pieces, changes)) = planned else { return Ok(None) };
            let needs_device = pieces.iter().any(|piece| matches!(piece, Piece::Device(_)));
            if needs_device && tier == ReadTier::Memory {
                return Ok(None);
            }
            match self.fetch(object, range, &pieces) {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if mark.changes() == changes => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Puts the pieces together in one buffer, which becomes the answer without a further copy.
    fn fetch(&self, object: &ObjectId, range: Range<u64>, pieces: &[Piece]) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let skipped = length_of(range.start % UNIT_BYTES);
        let wanted = skipped..skipped + length_of(range.end - range.start);
        if let [Piece::Memory(bytes)] = pieces {
            return Ok(bytes.slice(wanted));
        }
        let object_start = range.start - range.start % UNIT_BYTES;
        let mut buffer = AlignedBuffer::recycled(pieces.len() * UNIT_LENGTH);
        let mut index = 0;
        while index < pieces.len() {
            match &pieces[index] {
                Piece::Hole => {
                    buffer[index * UNIT_LENGTH..(index + 1) * UNIT_LENGTH].fill(0);
                    index += 1;
                }
                Piece::Memory(bytes) => {
                    buffer[index * UNIT_LENGTH..(index + 1) * UNIT_LENGTH].copy_from_slice(bytes);
                    index += 1;
                }
                Piece::Device(first) => {
                    let follows =
                        |(place, piece): &(u64, &Piece)| matches!(piece, Piece::Device(unit) if unit.place == *place);
                    let count = (first.place..).zip(&pieces[index..]).take_while(follows).count();
                    let target = &mut buffer[index * UNIT_LENGTH..(index + count) * UNIT_LENGTH];
                    let at = |unit: usize| object_start + (unit * UNIT_LENGTH) as u64;
                    if let Err(error) = self.device.read(first.place * UNIT_BYTES, target) {
                        let message = format!("object {object} at offset {}: {error}", at(index));
                        return Err(Error::damaged(message));
                    }
                    for (offset, piece) in pieces[index..index + count].iter().enumerate() {
                        if let Piece::Device(unit) = piece {
                            let bytes = &target[offset * UNIT_LENGTH..(offset + 1) * UNIT_LENGTH];
                            check_unit(object, at(index + offset), *unit, bytes)?;
                        }
                    }
                    index += count;
                }
            }
        }
        Ok(buffer.freeze().slice(wanted))
    }

    fn read_omap(
        &self,
        object: &ObjectId,
        after: &[u8],
        prefix: &[u8],
        keys_max: usize,
        tier: ReadTier,
    ) -> Result<Option<OmapPage>> {
        let mark = Mark::put(self, object);
        let found = self.look_up(&mark, tier, |sources| {
            let Some(header) = sources.header(object)?.filter(|header| header.has_omap) else { return Ok(None) };
            let begin = if !after.is_empty() && after >= prefix {
                let mut next = after.to_vec();
                next.push(0);
                omap_key(header.number, &next)
            } else {
                omap_key(header.number, prefix)
            };
            let (_, end) = prefix_range(&omap_key(header.number, prefix));
            Ok(Some((sources.state.overlay.part(&begin, &end), self.keys.view(), begin, end)))
        })?;
        let Some(found) = found else { return Ok(None) };
        let Some((part, view, begin, end)) = found else { return Ok(Some(OmapPage::default())) };
        let mut page = OmapPage::default();
        let scanned = part.scan(&*view, &begin, &end, tier, &mut |key, value| {
            if page.entries.len() == keys_max {
                page.more = true;
                return Ok(false);
            }
            page.entries.push((key[OMAP_PREFIX_BYTES..].to_vec(), Bytes::copy_from_slice(value)));
            Ok(true)
        })?;
        Ok((scanned == ScanEnd::Done).then_some(page))
    }

    fn read_omap_keys(&self, object: &ObjectId, keys: &[Vec<u8>], tier: ReadTier) -> Result<Option<OmapPage>> {
        let mark = Mark::put(self, object);
        let mut wanted: Vec<&Vec<u8>> = keys.iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found = self.look_up(&mark, tier, |sources| {
            let Some(header) = sources.header(object)?.filter(|header| header.has_omap) else { return Ok(None) };
            let pending = wanted.iter().map(|key| {
                let stored = omap_key(header.number, key);
                (sources.state.overlay.get(&stored), stored)
            });
            Ok(Some((pending.collect::<Vec<_>>(), self.keys.view())))
        })?;
        let Some(found) = found else { return Ok(None) };
        let Some((pending, view)) = found else { return Ok(Some(OmapPage::default())) };
        let mut page = OmapPage::default();
        for (key, (pending, stored)) in wanted.into_iter().zip(pending) {
            let value = match pending {
                Pending::Value(value) => Some(value),
                Pending::Absent => None,
                Pending::Unknown => match view.get(&stored, tier)? {
                    Lookup::Found(value) => Some(value),
                    Lookup::Absent => None,
                    Lookup::NotInMemory => return Ok(None),
                },
            };
            page.entries.extend(value.map(|value| (key.clone(), value)));
        }
        Ok(Some(page))
    }

    fn read_list(
        &self,
        begin: &Cursor,
        end: &Cursor,
        objects_max: usize,
        tier: ReadTier,
    ) -> Result<Option<StoreReadResult>> {
        let (first, last) = (cursor_key(begin), cursor_key(end));
        let (part, view) = {
            let state = self.state();
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            (state.overlay.part(&first, &last), self.keys.view())
        };
        let mut objects = Vec::new();
        let mut next = end.clone();
        let scanned = part.scan(&*view, &first, &last, tier, &mut |key, _| {
            let object = decode_header_key(key)?;
            if objects.len() == objects_max {
                next = Cursor::Before(object);
                return Ok(false);
            }
            objects.push(object);
            Ok(true)
        })?;
        Ok((scanned == ScanEnd::Done).then_some(StoreReadResult::List { objects, next }))
    }
}

/// The part of a range below an object's end, and the units that hold it.
fn units_of(object: &ObjectId, extent: Extent, sources: &mut Sources<'_>) -> Result<(Range<u64>, Vec<Unit>), Stop> {
    let Some(header) = sources.header(object)? else { return Ok((0..0, Vec::new())) };
    let range = extent.offset..extent.end().min(header.size);
    if range.is_empty() {
        return Ok((0..0, Vec::new()));
    }
    let mut units = Vec::with_capacity(length_of(range.end.div_ceil(UNIT_BYTES) - range.start / UNIT_BYTES));
    let mut missing = Vec::new();
    let mut unit = range.start / UNIT_BYTES;
    let end = range.end.div_ceil(UNIT_BYTES);
    while unit < end {
        let index = u32::try_from(unit / SEGMENT_UNITS as u64).expect("objects are bounded by OBJECT_BYTES_MAX");
        let first = length_of(unit % SEGMENT_UNITS as u64);
        let count = length_of(end - unit).min(SEGMENT_UNITS - first);
        if header.segments.contains(index) {
            match sources.segment(header.number, index) {
                Ok(segment) => units.extend_from_slice(&segment.units[first..first + count]),
                Err(Stop::Missing(needs)) => missing.extend(needs),
                Err(stop) => return Err(stop),
            }
        } else {
            units.extend(std::iter::repeat_n(Unit::HOLE, count));
        }
        unit += count as u64;
    }
    if missing.is_empty() { Ok((range, units)) } else { Err(Stop::Missing(missing)) }
}

/// Compares what was read with what it must be.
fn check_unit(object: &ObjectId, offset: u64, unit: Unit, bytes: &[u8]) -> Result<()> {
    let found = crc32fast::hash(bytes);
    if unit.damaged {
        return Err(Error::damaged(format!(
            "object {object} at offset {offset}: a part of the unit was overwritten while the rest was damaged \
             (expected checksum {:08x}, found {found:08x} now); it must be written whole",
            unit.crc
        )));
    }
    if found == unit.crc { Ok(()) } else { Err(damaged_error(object, offset, unit.crc, found)) }
}
