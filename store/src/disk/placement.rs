//! Giving staged data its places, and turning a finished staging into a record.
//!
//! Long runs of whole units go straight to freshly allocated units: the device writes them once. Short ones ride in
//! the journal, to the place they had if no other object shares it: the commit is one device write, and several
//! overwrites of one unit are written back once.

use std::sync::Arc;

use bytes::Bytes;
use types::{Error, Result};

use super::{
    allocator::Run,
    group::{DirectRun, JournaledUnit, Record},
    keys::{header_key, segment_key},
    object::{SEGMENT_UNITS, Unit},
    sources::{Sources, Stop, keep_header, keep_segment},
    staging::{Effects, Staging, UNIT_LENGTH, length_of},
    state::State,
};
use crate::key_value::KeyChange;

/// Fewest consecutive units that go straight to the device: 32 KiB. Below, the second device write of the journal's
/// way costs less than a separate write before the commit.
const DIRECT_UNITS_MIN: usize = 8;

/// Takes units. Data stops before the reserve; upkeep (a part of a shared unit zeroed) may use it.
fn allocate(sources: &mut Sources<'_>, effects: &mut Effects, count: usize) -> Result<Vec<Run>, Stop> {
    let count = count as u64;
    let state = &mut *sources.state;
    let reserve = if effects.may_use_reserve { 0 } else { state.reserve_units };
    if state.allocator.free_units() < count + reserve {
        return Err(Stop::Space);
    }
    let runs = state.allocator.allocate(count).ok_or(Stop::Space)?;
    effects.allocated.extend(&runs);
    Ok(runs)
}

impl Staging {
    /// Gives all staged data of one object its places.
    pub fn place(&mut self, object: usize, sources: &mut Sources<'_>) -> Result<(), Stop> {
        let journal_bytes_max = sources.state.record_bytes_max / 2;
        let object = &mut self.objects[object];
        let mut pending: Vec<(u64, Bytes)> = Vec::new();
        for (segment, staged) in &mut object.segments {
            let first = u64::from(*segment) * SEGMENT_UNITS as u64;
            pending.extend(staged.data.drain(..).map(|(unit, bytes)| (first + unit as u64, bytes)));
        }
        let mut rest = &mut pending[..];
        while !rest.is_empty() {
            let first = rest[0].0;
            let length = (first..).zip(rest.iter()).take_while(|(expected, (unit, _))| expected == unit).count();
            let (run, after) = rest.split_at_mut(length);
            rest = after;
            let direct = run.len() >= DIRECT_UNITS_MIN
                || self.effects.units.len() * UNIT_LENGTH + run.len() * UNIT_LENGTH > journal_bytes_max;
            if direct {
                place_directly(object, run, sources, &mut self.effects)?;
            } else {
                place_in_journal(object, run, sources, &mut self.effects)?;
            }
        }
        Ok(())
    }

    /// Makes the record: every object placed, headers and segments among the changes.
    pub fn finish(&mut self, sources: &mut Sources<'_>) -> Result<Record, Stop> {
        for index in 0..self.objects.len() {
            self.place(index, sources)?;
        }
        for object in &mut self.objects {
            let Some(header) = &mut object.header else {
                if object.existed {
                    self.effects.changes.push(KeyChange::Delete { key: header_key(&object.id) });
                }
                continue;
            };
            for (index, staged) in &object.segments {
                if !staged.changed {
                    continue;
                }
                let key = segment_key(header.number, *index);
                if !staged.mapping.is_empty() {
                    object.changed |= header.segments.insert(*index);
                    self.effects.changes.push(KeyChange::Put { key, value: staged.mapping.encode() });
                } else if header.segments.remove(*index) {
                    object.changed = true;
                    self.effects.changes.push(KeyChange::Delete { key });
                }
            }
            if object.changed {
                self.effects.changes.push(KeyChange::Put { key: header_key(&object.id), value: header.encode() });
            }
        }
        let effects = &mut self.effects;
        let record = Record {
            sequence: effects.sequence,
            changes: std::mem::take(&mut effects.changes),
            units: std::mem::take(&mut effects.units),
            runs: std::mem::take(&mut effects.runs),
            freed: Vec::new(),
            done: None,
        };
        check_record(&record, sources.state)?;
        Ok(record)
    }

    /// Makes a finished staging visible: from here on reads see it.
    pub fn publish(self, record: &mut Record, state: &mut State) {
        let sequence = record.sequence;
        for (place, change) in &self.effects.references {
            let references = 1 + i64::from(state.shared.further(*place)) + change;
            assert!(references >= 0, "unit {place} has more references dropped than it had");
            match u32::try_from(references - 1) {
                Ok(further) => state.shared.set_further(*place, further),
                Err(_) => {
                    state.shared.set_further(*place, 0);
                    record.freed.push(*place);
                    state.unreleased_units += 1;
                }
            }
        }
        state.overlay.add(sequence, &record.changes);
        for unit in &record.units {
            state.unwritten.insert((unit.place, sequence), unit.data.clone());
        }
        for run in &record.runs {
            state.pending_runs.insert(run.place, Arc::clone(run));
        }
        for object in self.objects {
            if let Some(mark) = state.readers.get_mut(&object.id) {
                mark.changes += 1;
            }
            if let Some(header) = &object.header {
                for (index, staged) in object.segments {
                    keep_segment(state, header.number, index, staged.mapping);
                }
            }
            if object.changed || object.existed != object.header.is_some() {
                keep_header(state, &object.id, object.header.map(Arc::new));
            }
        }
    }

    /// Undoes what a staging that does not come about has taken.
    pub fn abandon(self, state: &mut State) {
        for run in self.effects.allocated {
            state.allocator.free(run);
        }
    }
}

/// Refuses what does not fit the ring (FOUNDATIONS 19).
pub(crate) fn check_record(record: &Record, state: &State) -> Result<()> {
    let (bytes, bytes_max) = (record.ring_bytes(), state.record_bytes_max);
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the transaction needs {bytes} bytes in the journal; the limit of this store is {bytes_max}"
    )))
}

type Pending = [(u64, Bytes)];

fn place_directly(
    object: &mut super::staging::StagedObject,
    data: &mut Pending,
    sources: &mut Sources<'_>,
    effects: &mut Effects,
) -> Result<(), Stop> {
    let runs = allocate(sources, effects, data.len())?;
    let mut rest = &mut data[..];
    for run in runs {
        let count = usize::try_from(run.count).expect("a run is a part of an object's units");
        let (part, after) = rest.split_at_mut(count);
        rest = after;
        let mut direct =
            DirectRun { place: run.first, crcs: Vec::with_capacity(count), data: Vec::with_capacity(count) };
        for (place, (unit, bytes)) in (run.first..).zip(part) {
            let crc = crc32fast::hash(bytes);
            direct.crcs.push(crc);
            direct.data.push(std::mem::take(bytes));
            map_unit(object, *unit, Unit { place, crc, damaged: false }, effects);
        }
        effects.runs.push(Arc::new(direct));
    }
    Ok(())
}

fn place_in_journal(
    object: &mut super::staging::StagedObject,
    data: &mut Pending,
    sources: &mut Sources<'_>,
    effects: &mut Effects,
) -> Result<(), Stop> {
    let keeps_place = |old: Unit, state: &State, effects: &Effects| {
        let change = effects.references.get(&old.place).copied().unwrap_or(0);
        !old.is_hole() && !old.damaged && i64::from(state.shared.further(old.place)) + change == 0
    };
    let moving = data.iter().filter(|(unit, _)| !keeps_place(mapped(object, *unit), sources.state, effects)).count();
    let runs = if moving == 0 { Vec::new() } else { allocate(sources, effects, moving)? };
    let mut places = runs.iter().flat_map(|run| run.first..run.end());
    for (unit, bytes) in data {
        let old = mapped(object, *unit);
        let place = if keeps_place(old, sources.state, effects) {
            old.place
        } else {
            places.next().expect("as many were allocated as units move, and references change below only for others")
        };
        let crc = crc32fast::hash(bytes);
        effects.units.push(JournaledUnit { place, crc, data: std::mem::take(bytes) });
        map_unit(object, *unit, Unit { place, crc, damaged: false }, effects);
    }
    Ok(())
}

fn position(unit: u64) -> (u32, usize) {
    let segment = u32::try_from(unit / SEGMENT_UNITS as u64).expect("objects are bounded by OBJECT_BYTES_MAX");
    (segment, length_of(unit % SEGMENT_UNITS as u64))
}

fn mapped(object: &super::staging::StagedObject, unit: u64) -> Unit {
    let (segment, index) = position(unit);
    object.segments[&segment].mapping.units[index]
}

fn map_unit(object: &mut super::staging::StagedObject, unit: u64, to: Unit, effects: &mut Effects) {
    let (segment, index) = position(unit);
    let staged = object.segments.get_mut(&segment).expect("its data came from this segment");
    let old = staged.mapping.units[index];
    if old.place != to.place && !old.is_hole() {
        *effects.references.entry(old.place).or_default() -= 1;
    }
    Arc::make_mut(&mut staged.mapping).units[index] = to;
    staged.changed = true;
}
