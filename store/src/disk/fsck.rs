//! Checking a store against itself: metadata against metadata, places against the data area, bytes against checksums.
//!
//! A check reads only, the journal included: what the journal still has to tell is laid over the database in memory.
//! It goes through the metadata once, object by object, and with [`FsckDepth::Data`] once more for the bytes, in the
//! order of their places. Memory is bounded: eight bytes for each object, one bit for each unit.
//!
//! What a check finds is data ([`Problem`]); `fsck/repair.rs` knows which of it can be put right without inventing
//! anything.

mod problem;
mod repair;
#[cfg(test)]
mod tests;
mod walk;

use std::{collections::HashMap, sync::Arc};

use types::{Error, Result};

pub use self::problem::{FoundBytes, Problem, SegmentPlace, UnitPlace};
pub(crate) use self::repair::repair;
use self::walk::Walk;
use super::{
    engine::Engine,
    metadata::Metadata,
    overlay::Overlay,
    replay::{FoundGroup, Journal, Journaled, applied_through, check_halves},
    superblock::{SUPERBLOCK_OFFSETS, Superblock},
};
use crate::{device::BlockDevice, key_value::KeyValue};

/// Problems that a report tells one by one; further ones are only counted.
pub(crate) const PROBLEMS_TOLD_MAX: usize = 1000;

/// How much a check reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsckDepth {
    /// All metadata.
    Metadata,
    /// All data as well.
    Data,
}

/// What a check is about to do with what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepairMode {
    /// Only tell the problems.
    Never,
    /// Tell what a repair would do, and change nothing.
    DryRun,
    /// Put right what can be put right without inventing anything.
    Apply,
}

/// What a check is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsckStage {
    /// Walking the objects.
    Objects,
    /// Looking for what belongs to no object.
    Orphans,
    /// Reading units of data.
    Data,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsckProgress {
    /// What it is doing.
    pub stage: FsckStage,
    /// Objects, keys or units done in this stage.
    pub done: u64,
    /// Of how many, where that is known.
    pub total: Option<u64>,
}

/// Hears how far a check is.
pub type HearProgress<'a> = dyn FnMut(FsckProgress) + 'a;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FsckReport {
    /// Objects that exist.
    pub objects: u64,
    /// Omap entries of all objects.
    pub omap_entries: u64,
    /// The OSD's own values.
    pub config_entries: u64,
    /// Units that hold data.
    pub units_used: u64,
    /// References to units; more than units where clones share.
    pub unit_references: u64,
    /// Units read and compared with their checksums.
    pub units_read: u64,
    /// Journal records that the database lacked; the next opening carries them out.
    pub journal_records: u64,
    /// Everything that is wrong, up to 1,000 things.
    pub problems: Vec<Problem>,
    /// How many things are wrong.
    pub problem_count: u64,
    /// What a repair did, or would do.
    pub repairs: Vec<String>,
}

impl FsckReport {
    fn add(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_TOLD_MAX {
            self.problems.push(problem);
        }
    }
}

/// A report, and what a repair must know besides.
pub(crate) struct Checked {
    pub report: FsckReport,
    /// `None` when the store could not be read far enough to tell.
    pub found: Option<Found>,
}

/// What a check has learned of a store that can be read.
pub(crate) struct Found {
    pub superblock: Superblock,
    pub groups: Vec<FoundGroup>,
    pub last_sequence: u64,
    /// How far the database had come.
    pub applied: u64,
    pub walk: WalkOutcome,
}

impl Found {
    /// The metadata that was checked, to be looked at again.
    fn metadata<'a>(&self, keys: &'a dyn KeyValue) -> Metadata<'a> {
        Metadata { view: keys.view(), pending: pending_changes(&self.groups, self.applied) }
    }
}

/// What a walk through the metadata has learned.
pub(crate) struct WalkOutcome {
    pub allocator: super::allocator::Allocator,
    pub shared: super::allocator::SharedUnits,
    /// Whether every key could be read: only then is what nothing refers to surely a leak.
    pub is_complete: bool,
}

/// Checks a store that is not open.
pub(crate) fn check(
    device: &dyn BlockDevice,
    keys: &dyn KeyValue,
    depth: FsckDepth,
    hear: &mut HearProgress<'_>,
) -> Result<Checked> {
    let mut report = FsckReport::default();
    let superblock = check_superblocks(device, &mut report)?;
    match check_inside(device, keys, &superblock, depth, &mut report, hear) {
        Ok(found) => Ok(Checked { report, found: Some(found) }),
        Err(error) => {
            report.add(Problem::Unreadable(error));
            Ok(Checked { report, found: None })
        }
    }
}

/// The newest superblock; a spoiled copy is a problem, two spoiled copies are no store.
fn check_superblocks(device: &dyn BlockDevice, report: &mut FsckReport) -> Result<Superblock> {
    for (copy, offset) in ["A", "B"].into_iter().zip(SUPERBLOCK_OFFSETS) {
        if Superblock::read_copy(device, offset)?.is_none() {
            report.add(Problem::Superblock { copy, offset });
        }
    }
    Superblock::read(device)
}

fn check_inside(
    device: &dyn BlockDevice,
    keys: &dyn KeyValue,
    superblock: &Superblock,
    depth: FsckDepth,
    report: &mut FsckReport,
    hear: &mut HearProgress<'_>,
) -> Result<Found> {
    check_halves(superblock, keys)?;
    let journal = Journal { device, layout: superblock.layout, superblock };
    let (groups, _) = journal.find_groups()?;
    let last_sequence = groups.last().map_or(superblock.tail_sequence - 1, |group| group.header.sequence_last());
    let applied = applied_through(keys, superblock, last_sequence)?;
    report.journal_records = last_sequence - applied;
    let metadata = Metadata { view: keys.view(), pending: pending_changes(&groups, applied) };
    let journaled = journal.newest_units(&groups);
    let journaled = JournaledUnits { journal: &journal, units: &journaled };
    let walk = Walk::new(&metadata, device, &superblock.layout, Some(&journaled), report, hear).run(depth)?;
    Ok(Found { superblock: superblock.clone(), groups, last_sequence, applied, walk })
}

/// The changes of the records that a database which has come to `applied` lacks.
pub(crate) fn pending_changes(groups: &[FoundGroup], applied: u64) -> Overlay {
    let mut pending = Overlay::default();
    for record in groups.iter().flat_map(|group| &group.records).filter(|record| record.sequence > applied) {
        pending.add(record.sequence, &record.changes);
    }
    pending
}

/// Units whose newest bytes may still be in the ring only.
pub(crate) struct JournaledUnits<'a> {
    journal: &'a Journal<'a>,
    units: &'a HashMap<u64, Journaled>,
}

impl JournaledUnits<'_> {
    /// Whether the ring holds these bytes of a unit, whole.
    fn holds(&self, place: u64, crc: u32, buffer: &mut [u8]) -> bool {
        let Some(found) = self.units.get(&place).filter(|found| found.crc == crc) else { return false };
        self.journal.read(found.position, buffer).is_ok() && crc32fast::hash(buffer) == crc
    }
}

impl Engine {
    /// Checks everything that is stored, and what is in memory against it. Nobody should change anything meanwhile.
    pub fn fsck(&self, depth: FsckDepth) -> Result<FsckReport> {
        drop(self.wait_prepared());
        while self.step_journal() {}
        while self.step_apply() {}
        self.step_checkpoint(super::checkpoint::Scope::Trim);
        self.check_open()?;
        let mut report = FsckReport::default();
        let metadata = Metadata { view: self.keys.view(), pending: Overlay::default() };
        let hear = &mut |_| {};
        let walk = Walk::new(&metadata, &*self.device, &self.layout, None, &mut report, hear).run(depth)?;
        self.check_allocation(walk, &mut report);
        Ok(report)
    }

    /// Compares the bitmap and the counts of shared units in memory with what the metadata says.
    fn check_allocation(&self, mut walk: WalkOutcome, report: &mut FsckReport) {
        let state = self.state();
        for unit in state.pending_free.iter().flat_map(|freed| &freed.runs).flat_map(|run| run.first..run.end()) {
            walk.allocator.set_used(unit);
        }
        for unit in walk.allocator.differences(&state.allocator) {
            report.add(Problem::Allocation { unit, is_referred_to: walk.allocator.is_used(unit) });
        }
        for unit in walk.shared.differences(&state.shared) {
            let (references, counted) = (walk.shared.further(unit) + 1, state.shared.further(unit) + 1);
            report.add(Problem::References { unit, references, counted });
        }
    }
}

/// Objects by index, so that many units can name theirs.
type ObjectHandle = Arc<types::ObjectId>;

/// The error of a check that its caller must not go on after.
fn cannot_go_on(what: &str, error: &Error) -> Error {
    Error { kind: error.kind, message: format!("{what}: {}", error.message) }
}
