//! Putting right what can be put right without inventing anything.
//!
//! | problem | what is done |
//! | --- | --- |
//! | a segment or omap entries that no read can reach | removed, when every key could be read |
//! | data past an object's end | removed |
//! | bytes that are not those that were written, or are lost | marked as damaged: reads say so until another copy replaces them |
//! | one of two superblocks | written anew from the other |
//!
//! Everything else is left as it is, since only another copy knows the truth. The bitmap of used units and the counts
//! of shared ones need no repair: they are made anew from the metadata at every opening.
//!
//! Order: the journal's changes first, so that they cannot come over the repairs later; then the repairs; then a flush.
//! Each is the same when done twice, so a crash in between only means doing it again.

use std::collections::BTreeMap;

use types::{Error, Result};

use super::{Checked, Found, FsckDepth, FsckReport, HearProgress, Problem, RepairMode, SegmentPlace, UnitPlace, check};
use crate::{
    device::BlockDevice,
    disk::{
        keys::{header_key, omap_range, segment_key},
        metadata::Metadata,
        object::{Header, SEGMENT_UNITS, Segment, Unit},
        replay::redo_metadata,
    },
    key_value::{KeyChange, KeyValue},
    object_store::UNIT_BYTES,
};

/// Rounds of checking and repairing: each takes up to 1,000 problems, so that 100,000 are put right at once. A store
/// with more of them is better made anew from the other copies.
const ROUNDS_MAX: u32 = 100;

/// Checks, and puts right or tells what would be put right. The report is of the last check.
pub(crate) fn repair(
    device: &dyn BlockDevice,
    keys: &dyn KeyValue,
    depth: FsckDepth,
    mode: RepairMode,
    hear: &mut HearProgress<'_>,
) -> Result<FsckReport> {
    let mut deeds = Vec::new();
    for round in 1.. {
        let Checked { mut report, found } = check(device, keys, depth, hear)?;
        let plan = match &found {
            Some(found) if mode != RepairMode::Never => Plan::of(&report, found, &found.metadata(keys))?,
            _ => Plan::default(),
        };
        deeds.extend(plan.deeds);
        if mode == RepairMode::Apply
            && let Some(found) = &found
            && !plan.changes.is_empty()
            && round <= ROUNDS_MAX
        {
            redo_metadata(keys, &found.superblock, &found.groups, found.last_sequence)?;
            keys.write(&[&plan.changes])?;
            keys.flush()?;
            continue;
        }
        report.repairs = deeds;
        return Ok(report);
    }
    Err(Error::internal("the rounds of a repair are counted without end"))
}

/// Changes, and what they do in words.
#[derive(Default)]
struct Plan {
    changes: Vec<KeyChange>,
    deeds: Vec<String>,
}

/// What becomes of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nothing is there any more.
    Hole,
    /// Marked as damaged, at the place it has.
    Damaged,
    /// Marked as damaged, at a place of its own, since the one it had is no place.
    DamagedElsewhere,
}

impl Plan {
    fn of(report: &FsckReport, found: &Found, metadata: &Metadata<'_>) -> Result<Self> {
        let mut plan = Self::default();
        let mut units: BTreeMap<SegmentPlace, Vec<(usize, Fate)>> = BTreeMap::new();
        let note = |unit: &UnitPlace, fate| (unit.segment, (unit_index(unit), fate));
        for problem in &report.problems {
            let noted = match problem {
                Problem::SegmentStray { segment, .. } if found.walk.is_complete => {
                    plan.changes.push(KeyChange::Delete { key: segment_key(segment.number, segment.index) });
                    plan.deeds.push(format!("removed what no read can reach ({problem})"));
                    continue;
                }
                Problem::OmapStray { number } if found.walk.is_complete => {
                    let (begin, end) = omap_range(*number);
                    plan.changes.push(KeyChange::DeleteRange { begin, end });
                    plan.deeds.push(format!("removed what no read can reach ({problem})"));
                    continue;
                }
                Problem::UnitPastEnd { unit, .. } => {
                    plan.deeds.push(format!("removed the data past the end ({problem})"));
                    note(unit, Fate::Hole)
                }
                Problem::UnitDamaged { unit, .. } => {
                    plan.deeds.push(format!("marked as damaged ({problem})"));
                    note(unit, Fate::Damaged)
                }
                Problem::UnitOutside { unit, .. } => {
                    plan.deeds.push(format!("marked as damaged ({problem})"));
                    note(unit, Fate::DamagedElsewhere)
                }
                Problem::SegmentLost { object, segment, .. } => {
                    let Some(header) = metadata.get(&header_key(object))? else { continue };
                    let size = Header::decode(header)?.size;
                    plan.deeds.push(format!("marked as damaged ({problem})"));
                    let first = u64::from(segment.index) * SEGMENT_UNITS as u64;
                    let inside = (0..SEGMENT_UNITS).filter(|unit| (first + *unit as u64) * UNIT_BYTES < size);
                    let lost = inside.map(|unit| (unit, Fate::DamagedElsewhere));
                    units.entry(*segment).or_default().extend(lost);
                    continue;
                }
                _ => continue,
            };
            units.entry(noted.0).or_default().push(noted.1);
        }
        plan.mark_units(units, found, metadata)?;
        Ok(plan)
    }

    fn mark_units(
        &mut self,
        units: BTreeMap<SegmentPlace, Vec<(usize, Fate)>>,
        found: &Found,
        metadata: &Metadata<'_>,
    ) -> Result<()> {
        let mut allocator = found.walk.allocator.clone();
        for (place, fates) in units {
            let key = segment_key(place.number, place.index);
            // What is missing or does not decode is lost whole; each of its units has a fate of its own.
            let stored = metadata.get(&key)?.and_then(|value| Segment::decode(value).ok());
            let mut segment = stored.unwrap_or(Segment::EMPTY);
            for (index, fate) in fates {
                let unit = &mut segment.units[index];
                *unit = match fate {
                    Fate::Hole => Unit::HOLE,
                    Fate::Damaged => Unit { damaged: true, ..*unit },
                    Fate::DamagedElsewhere => {
                        let runs = allocator.allocate(1).ok_or_else(|| {
                            Error::full("mark lost data as damaged: no unit is free that could stand for it")
                        })?;
                        Unit { place: runs[0].first, crc: 0, damaged: true }
                    }
                };
            }
            // An empty segment stays: its header tells of it, and one that is told of and missing would be lost data.
            self.changes.push(KeyChange::Put { key, value: segment.encode() });
        }
        Ok(())
    }
}

fn unit_index(unit: &UnitPlace) -> usize {
    usize::try_from(unit.offset / UNIT_BYTES % SEGMENT_UNITS as u64).expect("it is below SEGMENT_UNITS")
}
