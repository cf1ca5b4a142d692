//! Bringing carried-out records to their end: units to their places, metadata to files, the journal's tail forward.
//!
//! The order is FOUNDATIONS 1: write back what the records up to the target put into the journal, flush the device,
//! flush the key-value half, and only then move the tail, in a superblock that is flushed in turn. Freed units can be
//! taken again after that, not before: until then a replay could begin with a record that writes to them. In between,
//! where that is wanted, the device is told that nobody needs them.

use bytes::Bytes;
use types::Result;

use super::{allocator::Run, engine::Engine, staging::UNIT_LENGTH, state::State, superblock::Superblock};
use crate::object_store::UNIT_BYTES;

/// Bytes that must be free on the database's file system for data to be taken. Compactions need space before they
/// give some back; removals and recovery go on below this.
pub(crate) const DATABASE_FREE_BYTES_MIN: u64 = 256 << 20;

/// Shortest run of units that is discarded: 64 KiB. Flash is erased in larger pieces; shorter discards cost more than
/// they give.
const DISCARD_UNITS_MIN: u64 = 16;
/// Units discarded with one checkpoint: 1 GiB, so that a device that is slow at it does not hold up the journal for long.
const DISCARD_UNITS_MAX: u64 = (1 << 30) / UNIT_BYTES;

/// Units written back with one call: enough to keep a disk's queue full.
const UNITS_MAX: usize = 256;

/// How far a checkpoint goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Units to their places, so that their memory is free.
    WriteBack,
    /// All of it, so that the ring and freed units are free.
    Trim,
}

impl Engine {
    /// Whether the ring is half used, or too much memory waits to be written back.
    pub fn wants_checkpoint(&self, state: &State) -> bool {
        self.checkpoint_scope(state).is_some()
    }

    /// Wakes the checkpoint's thread when there is work for it, once.
    pub fn wake_checkpoint(&self, state: &mut State) {
        if !state.checkpoint_woken && self.wants_checkpoint(state) {
            state.checkpoint_woken = true;
            self.signals.checkpoint.notify_one();
        }
    }

    /// What the checkpoint thread should do now.
    pub fn checkpoint_scope(&self, state: &State) -> Option<Scope> {
        if state.refusal.is_some() || state.applied_through < state.tail_sequence {
            None
        } else if state.ring_used() > self.layout.ring_bytes / 2 {
            Some(Scope::Trim)
        } else if state.unwritten.len() * UNIT_LENGTH > self.write_back_bytes {
            Some(Scope::WriteBack)
        } else {
            None
        }
    }

    /// Does it, for all that is carried out now. A failure makes the store refuse everything.
    pub fn step_checkpoint(&self, scope: Scope) {
        let _gate = self.checkpoint_gate.lock().expect("a panic in a step is a broken invariant");
        if let Err(error) = self.checkpoint(scope) {
            self.fail(&error, Vec::new());
        }
    }

    fn checkpoint(&self, scope: Scope) -> Result<()> {
        let target = {
            let state = self.state();
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            state.applied_through
        };
        self.write_back(target)?;
        if scope == Scope::WriteBack {
            return Ok(());
        }
        self.device.flush()?;
        self.keys.flush()?;
        self.trim(target)?;
        let database_full = self.keys.usage()?.free_bytes < DATABASE_FREE_BYTES_MIN;
        self.state().database_full = database_full;
        Ok(())
    }

    /// Writes what the records up to the target put into the journal to its places, some at a time, by place: so the
    /// device joins neighbours, and nobody who submits waits long for the state.
    fn write_back(&self, target: u64) -> Result<()> {
        let mut first = 0;
        loop {
            let units = units_through(&self.state(), first, target);
            let Some(((last, _), _)) = units.last() else { return Ok(()) };
            first = last + 1;
            let writes: Vec<(u64, &[u8])> =
                units.iter().map(|((place, _), bytes)| (place * UNIT_BYTES, &bytes[..])).collect();
            self.device.write_many(&writes)?;
            let mut state = self.state();
            for ((place, sequence), _) in &units {
                state.drop_versions_before(*place, sequence + 1);
            }
        }
    }

    /// Moves the ring's tail past all groups up to the target, and frees what they freed.
    fn trim(&self, target: u64) -> Result<()> {
        let superblock = {
            let state = self.state();
            let last = state.groups.iter().take_while(|group| group.sequence_last <= target).last();
            Superblock {
                identity: self.identity,
                layout: self.layout,
                generation: self.generation,
                writes: state.superblock_writes + 1,
                tail_position: last.map_or(state.tail_position, |group| group.end_position),
                tail_sequence: last.map_or(state.tail_sequence, |group| group.sequence_last + 1),
                flushed_through: state.durable_through,
            }
        };
        superblock.write(&*self.device)?;
        self.device.flush()?;
        let mut state = self.state();
        state.superblock_writes = superblock.writes;
        state.tail_position = superblock.tail_position;
        state.tail_sequence = superblock.tail_sequence;
        state.certain_through = state.certain_through.max(superblock.flushed_through);
        while state.groups.front().is_some_and(|group| group.end_position <= superblock.tail_position) {
            state.groups.pop_front();
        }
        let mut freed = Vec::new();
        while state.pending_free.front().is_some_and(|freed| freed.sequence < superblock.tail_sequence) {
            let Some(record) = state.pending_free.pop_front() else { break };
            freed.extend(record.runs);
        }
        // Whoever takes a unit may write to it at once, so the device is told before anybody can.
        if state.discards {
            drop(state);
            self.discard(&mut freed);
            state = self.state();
        }
        for run in freed {
            state.unreleased_units -= run.count;
            state.allocator.free(run);
        }
        Ok(())
    }

    /// Tells the device that nobody needs these units any more. Only a hint: what it does not take is kept, and used
    /// again like any other free unit.
    fn discard(&self, runs: &mut Vec<Run>) {
        runs.sort_unstable_by_key(|run| run.first);
        runs.dedup_by(|next, run| {
            let touches = run.end() == next.first;
            if touches {
                run.count += next.count;
            }
            touches
        });
        let mut left = DISCARD_UNITS_MAX;
        for run in runs.iter().filter(|run| run.count >= DISCARD_UNITS_MIN) {
            let count = run.count.min(left);
            if count == 0 {
                return;
            }
            left -= count;
            if let Err(error) = self.device.discard(run.first * UNIT_BYTES, count * UNIT_BYTES) {
                tracing::warn!(device = self.device.name(), %error, "the device takes no discards; it gets none any more");
                self.state().discards = false;
                return;
            }
        }
    }
}

/// From this place on, some units that wait to be written back: of each the newest version that is not newer than the
/// target. They lie in the buffers of their groups, so they are aligned.
fn units_through(state: &State, first: u64, target: u64) -> Vec<((u64, u64), Bytes)> {
    let mut units: Vec<((u64, u64), Bytes)> = Vec::new();
    for ((place, sequence), bytes) in state.unwritten.range((first, 0)..) {
        if *sequence > target {
            continue;
        }
        let count = units.len();
        match units.last_mut() {
            Some(last) if last.0.0 == *place => *last = ((*place, *sequence), bytes.clone()),
            _ if count == UNITS_MAX => break,
            _ => units.push(((*place, *sequence), bytes.clone())),
        }
    }
    units
}
