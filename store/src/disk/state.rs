//! What an open store knows in memory, behind one lock that is never held across device or database I/O.
//!
//! Invariants
//! 1. `applied_through <= durable_through < next_sequence`. Records between `applied_through` and `durable_through`
//!    are in `apply_queue`, those above `durable_through` in `journal_queue` or on their way to the device.
//! 2. `overlay` holds the metadata changes of exactly the records above `applied_through`.
//! 3. `unwritten` holds every journaled unit whose bytes may not be at their place, one entry per record that wrote
//!    it. A version goes when it is written back, or when a newer version or the freeing of the unit is *applied*:
//!    earlier, a crash could still need it (FOUNDATIONS 1 and 2).
//! 4. A unit is free in `allocator` only if no record that a replay could begin with refers to it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use types::{Error, ObjectId, Transaction};

use super::{
    allocator::{Allocator, Run, SharedUnits},
    cache::Cache,
    group::{DirectRun, Record},
    object::{Header, Segment},
    overlay::Overlay,
    pace::Pace,
};
use crate::object_store::{CommitCallback, ConfigChanges};

/// What somebody asked to be done.
pub(crate) enum Change {
    Objects(Transaction),
    Config(ConfigChanges),
}

impl Change {
    /// Bytes of object data it carries.
    pub fn data_bytes(&self) -> usize {
        match self {
            Self::Objects(transaction) => transaction.data_bytes(),
            Self::Config(_) => 0,
        }
    }
}

/// A change that waits to be prepared, because that needs the disk.
pub(crate) struct Submission {
    pub change: Change,
    pub done: CommitCallback,
}

/// Readers that are between looking up an object and reading its bytes, and whether it changed under them.
#[derive(Debug, Default)]
pub(crate) struct ReaderMark {
    pub readers: u32,
    pub changes: u64,
}

/// A group in the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupMark {
    pub sequence_last: u64,
    pub end_position: u64,
}

/// Units to be free once the record that freed them needs no replay.
#[derive(Debug)]
pub(crate) struct PendingFree {
    pub sequence: u64,
    pub runs: Vec<Run>,
}

/// Everything behind the lock.
pub(crate) struct State {
    /// Set by the first failure and by closing; then everything is refused with it.
    pub refusal: Option<Error>,
    /// Set when an orderly end has begun: nothing new is taken.
    pub closing: bool,
    /// Whether the device is told which units are free.
    pub discards: bool,
    /// Whether the first refused transaction stops the store, because those behind it build on it.
    pub stops_at_refusal: bool,

    pub unprepared: VecDeque<Submission>,
    /// Whether a thread prepares a change right now; changes are prepared one at a time, in order.
    pub preparing: bool,
    /// Changes submitted and prepared (or refused) so far.
    pub submitted_count: u64,
    pub prepared_count: u64,

    pub next_sequence: u64,
    pub durable_through: u64,
    pub applied_through: u64,
    /// The highest sequence that a group or superblock on the device says was flushed.
    pub certain_through: u64,
    pub journal_queue: VecDeque<Record>,
    /// What the next group waits for.
    pub pace: Pace,
    /// With how many queued records the journal's thread wants to be woken; zero while it is not asleep.
    pub journal_wakes_at: usize,
    /// Whether the checkpoint's thread was told of work since it last looked for some.
    pub checkpoint_woken: bool,
    pub apply_queue: VecDeque<Record>,
    pub apply_bytes: usize,

    pub overlay: Overlay,
    pub headers: Cache<ObjectId, Option<Arc<Header>>>,
    pub segments: Cache<(u64, u32), Arc<Segment>>,
    pub readers: HashMap<ObjectId, ReaderMark>,

    /// Journaled units by (place, sequence of the record).
    pub unwritten: BTreeMap<(u64, u64), Bytes>,
    /// Runs on their way to the device, by first place.
    pub pending_runs: BTreeMap<u64, Arc<DirectRun>>,
    pub allocator: Allocator,
    pub shared: SharedUnits,
    pub pending_free: VecDeque<PendingFree>,
    /// Units freed by records prepared so far and not yet free in `allocator`.
    pub unreleased_units: u64,
    pub reserve_units: u64,
    pub record_bytes_max: usize,
    /// Whether the database's file system is nearly full, as last measured.
    pub database_full: bool,

    pub head_position: u64,
    pub tail_position: u64,
    pub tail_sequence: u64,
    pub groups: VecDeque<GroupMark>,
    pub superblock_writes: u64,
    /// Groups and records made durable since the store was opened.
    pub group_count: u64,
    pub record_count: u64,
}

impl State {
    /// The newest bytes of a unit, where memory has them.
    pub fn unit_bytes(&self, place: u64) -> Option<Bytes> {
        if let Some((_, bytes)) = self.unwritten.range((place, 0)..=(place, u64::MAX)).next_back() {
            return Some(bytes.clone());
        }
        let (first, run) = self.pending_runs.range(..=place).next_back()?;
        let index = usize::try_from(place - first).ok()?;
        run.data.get(index).cloned()
    }

    /// Forgets the versions of a journaled unit that are older than this record's.
    pub fn drop_versions_before(&mut self, place: u64, sequence: u64) {
        while let Some((&key, _)) = self.unwritten.range((place, 0)..(place, sequence)).next() {
            self.unwritten.remove(&key);
        }
    }

    /// Bytes between the ring's tail and its head.
    pub fn ring_used(&self) -> u64 {
        self.head_position - self.tail_position
    }

    /// Whether nothing waits to be prepared, so that reads see all that was submitted.
    pub fn is_prepared(&self) -> bool {
        self.unprepared.is_empty() && !self.preparing
    }
}
