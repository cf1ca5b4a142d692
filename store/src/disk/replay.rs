//! Opening a store: which half belongs to which, what the journal still has to tell, and where everything is.
//!
//! Order, and why:
//! 1. Superblock and database name one store and one opening of it; anything else is refused (FOUNDATIONS 5).
//! 2. The journal is read from the tail to its end. What is wrong below the highest sequence known to be flushed is
//!    damage, what is wrong above is the end (FOUNDATIONS 4).
//! 3. All metadata changes are carried out, to the end. Only then is it known which units are still mapped.
//! 4. The metadata is walked once: it tells which units are used and shared, and which journaled units are still
//!    mapped with the journal's checksum. Those, and no others, are written back (FOUNDATIONS 2).
//! 5. Everything is flushed, and new superblocks begin behind the old journal, with the next generation.
//! 6. An empty group at the beginning makes what was found certain, and overwrites a torn group: it must not come
//!    back to life when its payload is by chance written again.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use types::{Error, Result};

use super::{
    allocator::{Allocator, SharedUnits},
    engine::{Beginning, Engine, JournalScratch, Signals},
    group::{GROUP_HEADER_BYTES, GroupHeader, Record, decode_group, encode_group},
    keys::{APPLIED_THROUGH, IDENTITY, all_segments, decode_segment_key},
    object::Segment,
    staging::UNIT_LENGTH,
    superblock::{Identity, Layout, Superblock},
};
use crate::{
    device::{AlignedBuffer, BlockDevice, DEVICE_ALIGNMENT},
    key_value::{KeyChange, KeyValue, Lookup, ReadTier},
    object_store::UNIT_BYTES,
};

/// Bytes read at once while the ring is searched.
const SEARCH_BYTES: usize = 1 << 20;
/// One unit of this many is kept back, so that removals and repairs work on a full device.
const RESERVE_SHARE: u64 = 256;
/// Version of the database's identity value.
const IDENTITY_VERSION: u8 = 1;

/// A group as found in the ring.
pub(crate) struct FoundGroup {
    pub header: GroupHeader,
    pub records: Vec<Record>,
}

/// The newest journaled bytes of a unit: where they are in the ring, and their checksum.
pub(crate) struct Journaled {
    pub position: u64,
    pub crc: u32,
    mapped: bool,
}

/// The value under [`IDENTITY`]: version, oldest reader, identity, generation.
pub(crate) fn encode_identity(identity: &Identity, generation: u64) -> Bytes {
    let mut out = vec![IDENTITY_VERSION, IDENTITY_VERSION];
    identity.encode(&mut out);
    out.extend_from_slice(&generation.to_le_bytes());
    out.into()
}

fn decode_identity(bytes: &[u8]) -> Result<(Identity, u64)> {
    let refuse = || Error::damaged("the database's identity has no known form");
    let [_, oldest_reader, rest @ ..] = bytes else { return Err(refuse()) };
    if *oldest_reader > IDENTITY_VERSION {
        return Err(Error::invalid(format!("the database needs a program that knows version {oldest_reader}")));
    }
    let (identity, rest) = rest.split_first_chunk().ok_or_else(refuse)?;
    let generation = rest.first_chunk().ok_or_else(refuse)?;
    Ok((Identity::decode(identity), u64::from_le_bytes(*generation)))
}

fn get(keys: &dyn KeyValue, key: &[u8]) -> Result<Option<Bytes>> {
    match keys.get(key, ReadTier::Disk)? {
        Lookup::Found(value) => Ok(Some(value)),
        Lookup::Absent | Lookup::NotInMemory => Ok(None),
    }
}

/// Writes an empty store on both halves.
pub(crate) fn format(
    device: &dyn BlockDevice,
    keys: &dyn KeyValue,
    identity: Identity,
    ring_bytes: Option<u64>,
) -> Result<()> {
    let layout = Layout::plan(device.size_bytes(), ring_bytes)?;
    let zeroes = AlignedBuffer::zeroed(SEARCH_BYTES);
    let mut at = 0;
    while at < layout.data_start {
        let length = (layout.data_start - at).min(SEARCH_BYTES as u64);
        device.write(at, &zeroes[..usize::try_from(length).expect("at most SEARCH_BYTES")])?;
        at += length;
    }
    device.flush()?;
    let put = |key: &'static [u8], value: Bytes| KeyChange::Put { key: Bytes::from_static(key), value };
    let applied = put(APPLIED_THROUGH, Bytes::copy_from_slice(&0u64.to_le_bytes()));
    keys.write(&[&[put(IDENTITY, encode_identity(&identity, 1)), applied]])?;
    keys.flush()?;
    let superblock = Superblock {
        identity,
        layout,
        generation: 1,
        writes: 1,
        tail_position: 0,
        tail_sequence: 1,
        flushed_through: 0,
    };
    write_both(device, superblock)
}

/// Writes both copies, one after the other.
fn write_both(device: &dyn BlockDevice, mut superblock: Superblock) -> Result<()> {
    for _ in 0..2 {
        superblock.writes += 1;
        superblock.write(device)?;
        device.flush()?;
    }
    Ok(())
}

/// Memory that an engine may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineMemory {
    pub cache_bytes: usize,
    pub write_back_bytes: usize,
}

/// Opens a store on its two halves.
pub(crate) fn open(device: Arc<dyn BlockDevice>, keys: Arc<dyn KeyValue>, memory: EngineMemory) -> Result<Engine> {
    let superblock = Superblock::read(&*device)?;
    let database_generation = check_halves(&superblock, &*keys)?;
    let journal = Journal { device: &*device, layout: superblock.layout, superblock: &superblock };
    let (groups, end_position) = journal.find_groups()?;
    let last_sequence = groups.last().map_or(superblock.tail_sequence - 1, |group| group.header.sequence_last());
    redo_metadata(&*keys, &superblock, &groups, last_sequence)?;

    let mut journaled = journal.newest_units(&groups);
    let (allocator, shared) = walk_metadata(&*keys, &superblock.layout, &mut journaled)?;
    journal.write_back(&journaled)?;
    device.flush()?;
    keys.flush()?;

    let renewed = Superblock {
        // The device is never more than one opening ahead, however often an opening is cut short.
        generation: database_generation + 1,
        tail_position: end_position,
        tail_sequence: last_sequence + 1,
        flushed_through: last_sequence,
        ..superblock.clone()
    };
    let (identity, layout, generation) = (renewed.identity, renewed.layout, renewed.generation);
    let superblock_writes = renewed.writes + 2;
    write_both(&*device, renewed)?;
    keys.write(&[&[KeyChange::Put {
        key: Bytes::from_static(IDENTITY),
        value: encode_identity(&identity, generation),
    }]])?;
    keys.flush()?;

    let header = GroupHeader::of(&[], identity.store_uuid, generation, end_position, last_sequence + 1, last_sequence);
    let group = encode_group(header, &[]);
    device.write(layout.ring_start + end_position % layout.ring_bytes, &group.buffer)?;
    device.flush()?;

    let beginning = Beginning {
        last_sequence,
        position: end_position,
        superblock_writes,
        reserve_units: (layout.data_units / RESERVE_SHARE).max(16),
        record_bytes_max: usize::try_from(layout.record_bytes_max()).unwrap_or(usize::MAX),
        cache_bytes: memory.cache_bytes,
    };
    let mut state = beginning.state(allocator, shared);
    state.head_position = end_position + group.buffer.len() as u64;
    state.groups.push_back(super::state::GroupMark { sequence_last: last_sequence, end_position: state.head_position });
    Ok(Engine {
        device,
        keys,
        identity,
        generation,
        layout,
        write_back_bytes: memory.write_back_bytes,
        state: Mutex::new(state),
        signals: Signals::default(),
        journal_gate: Mutex::new(JournalScratch::default()),
        apply_gate: Mutex::new(()),
        checkpoint_gate: Mutex::new(()),
    })
}

/// Refuses halves of different stores, and an old copy of one half. Returns how often the database was opened.
pub(crate) fn check_halves(superblock: &Superblock, keys: &dyn KeyValue) -> Result<u64> {
    let encoded = get(keys, IDENTITY)?
        .ok_or_else(|| Error::invalid("the database folder belongs to no store: it has no identity in it"))?;
    let (identity, generation) = decode_identity(&encoded)?;
    let device = &superblock.identity;
    if identity != *device {
        return Err(Error::invalid(format!(
            "the device belongs to osd.{} of cluster {} (osd uuid {}, store uuid {}), the database folder to osd.{} of \
             cluster {} (osd uuid {}, store uuid {}); open the two that belong together",
            device.osd,
            device.cluster,
            device.osd_uuid,
            device.store_uuid,
            identity.osd,
            identity.cluster,
            identity.osd_uuid,
            identity.store_uuid
        )));
    }
    // The superblock is renewed first, so a crash in between leaves the database one opening behind.
    if generation != superblock.generation && generation + 1 != superblock.generation {
        return Err(Error::invalid(format!(
            "the device was opened {} times and the database folder {generation} times; one of them is an old copy",
            superblock.generation
        )));
    }
    Ok(generation)
}

/// How far the database has come; refuses one that does not fit a journal which ends at `last_sequence`.
pub(crate) fn applied_through(keys: &dyn KeyValue, superblock: &Superblock, last_sequence: u64) -> Result<u64> {
    let applied = get(keys, APPLIED_THROUGH)?
        .and_then(|value| value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)))
        .ok_or_else(|| Error::damaged("the database does not say how far it has come"))?;
    if applied + 1 < superblock.tail_sequence {
        return Err(Error::damaged(format!(
            "the database has come to {applied}, and the journal begins at {}: what lies between is lost, the database \
             folder is an old copy",
            superblock.tail_sequence
        )));
    }
    if applied > last_sequence {
        return Err(Error::damaged(format!(
            "the database has come to {applied}, and the journal ends at {last_sequence}: the device lost what it had \
             flushed, or is an old copy"
        )));
    }
    Ok(applied)
}

/// Carries out the metadata changes that the database lacks.
pub(crate) fn redo_metadata(
    keys: &dyn KeyValue,
    superblock: &Superblock,
    groups: &[FoundGroup],
    last_sequence: u64,
) -> Result<()> {
    let applied = applied_through(keys, superblock, last_sequence)?;
    for group in groups {
        let mut changes: Vec<&[KeyChange]> = Vec::new();
        for record in group.records.iter().filter(|record| record.sequence > applied) {
            changes.push(&record.changes);
        }
        if changes.is_empty() {
            continue;
        }
        let through = [KeyChange::Put {
            key: Bytes::from_static(APPLIED_THROUGH),
            value: Bytes::copy_from_slice(&group.header.sequence_last().to_le_bytes()),
        }];
        changes.push(&through);
        keys.write(&changes)?;
    }
    Ok(())
}

/// Finds out which units are used and shared, and which journaled units the metadata still maps.
fn walk_metadata(
    keys: &dyn KeyValue,
    layout: &Layout,
    journaled: &mut HashMap<u64, Journaled>,
) -> Result<(Allocator, SharedUnits)> {
    let mut allocator = Allocator::new(layout.first_unit(), layout.data_units);
    let mut shared = SharedUnits::default();
    let mut outcome = Ok(());
    let (begin, end) = all_segments();
    keys.view().scan(&begin, &end, ReadTier::Disk, &mut |key, value| {
        outcome = decode_segment_key(key).and_then(|(number, index)| {
            let segment = Segment::decode(Bytes::copy_from_slice(value))?;
            for unit in segment.units.iter().filter(|unit| !unit.is_hole()) {
                if !allocator.contains(unit.place) {
                    return Err(Error::damaged(format!(
                        "segment {index} of object number {number} lies at unit {}, outside of the data area",
                        unit.place
                    )));
                }
                if !allocator.set_used(unit.place) {
                    shared.set_further(unit.place, shared.further(unit.place) + 1);
                }
                if let Some(found) = journaled.get_mut(&unit.place) {
                    found.mapped |= found.crc == unit.crc && !unit.damaged;
                }
            }
            Ok(())
        });
        outcome.is_ok()
    })?;
    outcome?;
    Ok((allocator, shared))
}

/// The ring of a store that is being opened or looked at.
pub(crate) struct Journal<'a> {
    pub device: &'a dyn BlockDevice,
    pub layout: Layout,
    pub superblock: &'a Superblock,
}

impl Journal<'_> {
    /// Reads from a position on.
    pub fn read(&self, position: u64, buffer: &mut [u8]) -> Result<()> {
        let offset = position % self.layout.ring_bytes;
        let until_end = usize::try_from(self.layout.ring_bytes - offset).unwrap_or(usize::MAX);
        let (first, second) = {
            let middle = buffer.len().min(until_end);
            buffer.split_at_mut(middle)
        };
        self.device.read(self.layout.ring_start + offset, first)?;
        if second.is_empty() { Ok(()) } else { self.device.read(self.layout.ring_start, second) }
    }

    /// The header at a position, if it is one of this store and says that it belongs there.
    fn header_of(&self, position: u64, bytes: &[u8]) -> Option<GroupHeader> {
        let header = GroupHeader::decode(bytes)?;
        let room = self.superblock.tail_position + self.layout.ring_bytes - position;
        let fits = header.position == position
            && header.store_uuid == self.superblock.identity.store_uuid
            && header.meta_bytes <= SEARCH_BYTES.max(usize::try_from(self.layout.ring_bytes).ok()?)
            && header.payload_units as u64 <= room / UNIT_BYTES
            && header.group_bytes() as u64 <= room;
        fits.then_some(header)
    }

    /// The whole group at a position, if there is one with the sequence expected.
    fn group_at(&self, position: u64, sequence: u64) -> Result<Option<FoundGroup>> {
        let mut block = AlignedBuffer::zeroed(DEVICE_ALIGNMENT);
        self.read(position, &mut block)?;
        let Some(header) = self.header_of(position, &block).filter(|header| header.sequence_first == sequence) else {
            return Ok(None);
        };
        let mut meta = AlignedBuffer::zeroed(header.payload_offset());
        self.read(position, &mut meta)?;
        Ok(decode_group(&header, &meta.freeze()).map(|records| FoundGroup { header, records }))
    }

    /// All groups from the tail to the end of the journal, and where that is.
    pub fn find_groups(&self) -> Result<(Vec<FoundGroup>, u64)> {
        let mut groups: Vec<FoundGroup> = Vec::new();
        let mut position = self.superblock.tail_position;
        let mut sequence = self.superblock.tail_sequence;
        let mut flushed_through = self.superblock.flushed_through;
        let ring_end = self.superblock.tail_position + self.layout.ring_bytes;
        while position < ring_end
            && let Some(group) = self.group_at(position, sequence)?
        {
            flushed_through = flushed_through.max(group.header.flushed_through);
            position += group.header.group_bytes() as u64;
            sequence = group.header.sequence_last() + 1;
            groups.push(group);
        }
        // What was read so far ends here; a later group that is whole tells whether the journal does, too.
        flushed_through = flushed_through.max(self.flushed_through_behind(position, ring_end)?);
        if flushed_through >= sequence {
            return Err(Error::damaged(format!(
                "the journal is damaged at record {sequence} (ring position {position}), although records up to \
                 {flushed_through} were flushed; this store must be recovered from the other copies"
            )));
        }
        while let Some(group) = groups.last()
            && group.header.record_count > 0
            && group.header.sequence_last() > flushed_through
            && !self.has_whole_payload(group)?
        {
            position = group.header.position;
            groups.pop();
        }
        Ok((groups, position))
    }

    /// The highest `flushed_through` of the whole groups behind a position, in this lap.
    fn flushed_through_behind(&self, position: u64, ring_end: u64) -> Result<u64> {
        let mut highest = 0;
        let mut buffer = AlignedBuffer::zeroed(SEARCH_BYTES);
        let mut at = position;
        while at < ring_end {
            let length = usize::try_from(ring_end - at).unwrap_or(usize::MAX).min(SEARCH_BYTES);
            self.read(at, &mut buffer[..length])?;
            for (index, block) in buffer[..length].chunks_exact(DEVICE_ALIGNMENT).enumerate() {
                let place = at + (index * DEVICE_ALIGNMENT) as u64;
                if place > position
                    && let Some(header) = self.header_of(place, &block[..GROUP_HEADER_BYTES])
                    && self.group_at(place, header.sequence_first)?.is_some()
                {
                    highest = highest.max(header.flushed_through);
                }
            }
            at += length as u64;
        }
        Ok(highest)
    }

    /// Whether all data of a group that was perhaps not flushed is there: in the ring and at its places.
    ///
    /// A unit written straight to its place and then again, through the journal, by a later record of the same group
    /// may have been written back already; its bytes in the ring count.
    fn has_whole_payload(&self, group: &FoundGroup) -> Result<bool> {
        let journaled: HashSet<u64> =
            group.records.iter().flat_map(|record| &record.units).map(|unit| unit.place).collect();
        let mut position = group.header.position + group.header.payload_offset() as u64;
        let mut unit_bytes = AlignedBuffer::zeroed(UNIT_LENGTH);
        for unit in group.records.iter().flat_map(|record| &record.units) {
            self.read(position, &mut unit_bytes)?;
            if crc32fast::hash(&unit_bytes) != unit.crc {
                return Ok(false);
            }
            position += UNIT_BYTES;
        }
        for run in group.records.iter().flat_map(|record| &record.runs) {
            for (place, crc) in (run.place..).zip(&run.crcs) {
                if journaled.contains(&place) {
                    continue;
                }
                if (place + 1) * UNIT_BYTES > self.layout.device_bytes {
                    return Ok(false);
                }
                self.device.read(place * UNIT_BYTES, &mut unit_bytes)?;
                if crc32fast::hash(&unit_bytes) != *crc {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// For every journaled unit, its newest bytes.
    pub fn newest_units(&self, groups: &[FoundGroup]) -> HashMap<u64, Journaled> {
        let mut newest = HashMap::new();
        for group in groups {
            let mut position = group.header.position + group.header.payload_offset() as u64;
            for unit in group.records.iter().flat_map(|record| &record.units) {
                newest.insert(unit.place, Journaled { position, crc: unit.crc, mapped: false });
                position += UNIT_BYTES;
            }
        }
        newest
    }

    /// Writes those that are still mapped to their places. A unit whose journaled bytes are damaged is left as it is:
    /// unless it was written back before, reads will find its checksum wrong and say so.
    fn write_back(&self, journaled: &HashMap<u64, Journaled>) -> Result<()> {
        let mut places: Vec<(&u64, &Journaled)> = journaled.iter().filter(|(_, unit)| unit.mapped).collect();
        places.sort_unstable_by_key(|(place, _)| **place);
        let mut bytes = AlignedBuffer::zeroed(UNIT_LENGTH);
        for (place, unit) in places {
            self.read(unit.position, &mut bytes)?;
            if crc32fast::hash(&bytes) == unit.crc {
                self.device.write(place * UNIT_BYTES, &bytes)?;
            } else {
                tracing::warn!(device = self.device.name(), place, "a unit's bytes in the journal are damaged");
            }
        }
        Ok(())
    }
}
