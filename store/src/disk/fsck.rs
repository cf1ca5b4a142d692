//! Checking a store against itself: metadata against metadata, places against the data area, bytes against checksums.
//!
//! Reads only. Runs on a store that nobody else changes meanwhile (it was just opened, so the journal is replayed and
//! the database holds everything).

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use types::{ObjectId, Result};

use super::{
    engine::Engine,
    keys::{all_headers, all_omap, all_segments, decode_header_key, decode_omap_number, decode_segment_key},
    object::{Header, SEGMENT_UNITS, Segment},
    staging::UNIT_LENGTH,
};
use crate::{device::AlignedBuffer, key_value::ReadTier, object_store::UNIT_BYTES};

/// Problems that a report tells in words; further ones are only counted.
const PROBLEMS_TOLD_MAX: usize = 1000;

/// How much a check reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsckDepth {
    /// All metadata.
    Metadata,
    /// All data as well.
    Data,
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Objects that exist.
    pub objects: u64,
    /// Omap entries of all objects.
    pub omap_entries: u64,
    /// Units that hold data.
    pub units_used: u64,
    /// References to units; more than units where clones share.
    pub unit_references: u64,
    /// Units read and compared with their checksums.
    pub units_read: u64,
    /// Everything that is wrong, in words, up to 1,000 of them.
    pub problems: Vec<String>,
    /// How many things are wrong.
    pub problem_count: u64,
}

impl FsckReport {
    fn add(&mut self, problem: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(problem);
        }
    }
}

impl Engine {
    /// Checks everything that is stored.
    pub fn fsck(&self, depth: FsckDepth) -> Result<FsckReport> {
        drop(self.wait_prepared());
        while self.step_journal() {}
        while self.step_apply() {}
        self.step_checkpoint(super::checkpoint::Scope::Trim);
        self.check_open()?;
        let mut report = FsckReport::default();
        let mut headers = self.fsck_headers(&mut report)?;
        let references = self.fsck_segments(&mut headers, depth, &mut report)?;
        for (object, header) in headers.values() {
            for index in header.segments.iter() {
                report.add(format!("object {object} has no segment {index}, although its header tells of it"));
            }
        }
        self.fsck_omap(&headers, &mut report)?;
        self.fsck_allocator(&references, &mut report);
        Ok(report)
    }

    fn scan(&self, range: &(Bytes, Bytes), mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let mut outcome = Ok(());
        self.keys.view().scan(&range.0, &range.1, ReadTier::Disk, &mut |key, value| {
            outcome = visit(key, value);
            outcome.is_ok()
        })?;
        outcome
    }

    fn fsck_headers(&self, report: &mut FsckReport) -> Result<HashMap<u64, (ObjectId, Header)>> {
        let mut headers = HashMap::new();
        self.scan(&all_headers(), |key, value| {
            let decoded = decode_header_key(key).and_then(|object| {
                let header = Header::decode(Bytes::copy_from_slice(value))?;
                Ok((object, header))
            });
            match decoded {
                Ok((object, header)) => {
                    report.objects += 1;
                    let number = header.number;
                    if let Some((other, _)) = headers.insert(number, (object.clone(), header)) {
                        report.add(format!("objects {other} and {object} both have the number {number}"));
                    }
                }
                Err(error) => report.add(format!("a header: {error}")),
            }
            Ok(())
        })?;
        Ok(headers)
    }

    /// Checks segments, taking each out of its header's set; what remains in the sets is missing.
    fn fsck_segments(
        &self,
        headers: &mut HashMap<u64, (ObjectId, Header)>,
        depth: FsckDepth,
        report: &mut FsckReport,
    ) -> Result<BTreeMap<u64, u32>> {
        let mut references: BTreeMap<u64, u32> = BTreeMap::new();
        let mut buffer = AlignedBuffer::zeroed(UNIT_LENGTH);
        self.scan(&all_segments(), |key, value| {
            let decoded =
                decode_segment_key(key).and_then(|key| Ok((key, Segment::decode(Bytes::copy_from_slice(value))?)));
            let ((number, index), segment) = match decoded {
                Ok(decoded) => decoded,
                Err(error) => {
                    report.add(format!("a segment: {error}"));
                    return Ok(());
                }
            };
            let Some((object, header)) = headers.get_mut(&number) else {
                report.add(format!("segment {index} belongs to object number {number}, which does not exist"));
                return Ok(());
            };
            if !header.segments.remove(index) {
                report.add(format!("object {object} has a segment {index} that its header does not tell of"));
            }
            for (at, unit) in segment.units.iter().enumerate().filter(|(_, unit)| !unit.is_hole()) {
                let offset = (u64::from(index) * SEGMENT_UNITS as u64 + at as u64) * UNIT_BYTES;
                if offset >= header.size {
                    report.add(format!("object {object} has data at offset {offset}, past its end {}", header.size));
                }
                *references.entry(unit.place).or_default() += 1;
                report.unit_references += 1;
                if unit.damaged {
                    report.add(format!("object {object} at offset {offset}: known to be damaged"));
                } else if depth == FsckDepth::Data {
                    report.units_read += 1;
                    match self.device.read(unit.place * UNIT_BYTES, &mut buffer) {
                        Ok(()) if crc32fast::hash(&buffer) == unit.crc => {}
                        Ok(()) => report.add(format!(
                            "object {object} at offset {offset}: the unit should have checksum {:08x}, and has {:08x}",
                            unit.crc,
                            crc32fast::hash(&buffer)
                        )),
                        Err(error) => report.add(format!("object {object} at offset {offset}: {error}")),
                    }
                }
            }
            Ok(())
        })?;
        report.units_used = references.len() as u64;
        Ok(references)
    }

    fn fsck_omap(&self, headers: &HashMap<u64, (ObjectId, Header)>, report: &mut FsckReport) -> Result<()> {
        self.scan(&all_omap(), |key, _| {
            report.omap_entries += 1;
            match decode_omap_number(key) {
                Ok(number) if headers.get(&number).is_some_and(|(_, header)| header.has_omap) => {}
                Ok(number) => {
                    report.add(format!(
                        "an omap entry belongs to object number {number}, which has none or does not exist"
                    ));
                }
                Err(error) => report.add(error.message),
            }
            Ok(())
        })
    }

    fn fsck_allocator(&self, references: &BTreeMap<u64, u32>, report: &mut FsckReport) {
        let state = self.state();
        let used = state.allocator.unit_count() - state.allocator.free_units();
        if used != report.units_used + state.unreleased_units {
            report.add(format!("{used} units are marked as used, and {} are referred to", report.units_used));
        }
        for (place, count) in references {
            if !state.allocator.contains(*place) || !state.allocator.is_used(*place) {
                report.add(format!("unit {place} is referred to and not marked as used"));
            } else if state.shared.further(*place) + 1 != *count {
                let counted = state.shared.further(*place) + 1;
                report.add(format!("unit {place} has {count} references, and {counted} are counted"));
            }
        }
    }
}
