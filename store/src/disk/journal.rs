//! The journal's steps: making a group durable, and carrying out what is durable.
//!
//! One group is on its way at a time, with everything that waited when it began: under load groups grow by
//! themselves, and an idle store commits a single write at once. The next group is written only after the flush of
//! the one before, so at most the last group of a ring can be torn.

use bytes::Bytes;
use types::Result;

use super::{
    allocator::runs_of,
    checkpoint::Scope,
    engine::{Engine, JournalScratch},
    group::{EncodedGroup, GROUP_HEADER_BYTES, GroupHeader, Record, encode_group},
    keys::APPLIED_THROUGH,
    staging::UNIT_LENGTH,
    state::{GroupMark, PendingFree, State},
};
use crate::{
    device::AlignedBuffer,
    key_value::KeyChange,
    object_store::{CommitCallback, UNIT_BYTES},
};

/// Most bytes of one group in the ring: a write of some milliseconds, beyond which the flush costs little.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Most bytes that go straight to their places with one group, so that small writes behind it wait only so long.
const GROUP_DIRECT_BYTES_MAX: usize = 16 << 20;
/// Bytes of one device write where pieces are copied together.
pub(crate) const COPY_BYTES: usize = 1 << 20;
/// Bytes copied together before direct runs are written: a whole object of the common size.
const DIRECT_COPY_BYTES: usize = 4 << 20;
/// Bytes of one of the writes they are cut into, so that a device with several channels uses them.
const DIRECT_WRITE_BYTES: usize = 512 << 10;
/// Bytes of records that are durable and not carried out at which the journal waits: the database lags.
const APPLY_BYTES_MAX: usize = 32 << 20;

impl Engine {
    /// Makes the next group durable and answers those who wait for it. `false` when nothing waited.
    pub fn step_journal(&self) -> bool {
        let mut scratch = self.journal_gate.lock().expect("a panic in a step is a broken invariant");
        let records = self.take_group();
        if records.is_empty() {
            return false;
        }
        self.commit_group(records, &mut scratch);
        true
    }

    /// Writes and flushes an empty group when the last one is not yet known to be flushed, so that a torn tail and a
    /// damaged one differ (FOUNDATIONS 4). `false` when there was no need.
    pub fn step_certain(&self) -> bool {
        let mut scratch = self.journal_gate.lock().expect("a panic in a step is a broken invariant");
        {
            let state = self.state();
            let needed = state.certain_through < state.durable_through && state.journal_queue.is_empty();
            if !needed || state.refusal.is_some() {
                return false;
            }
        }
        self.commit_group(Vec::new(), &mut scratch);
        true
    }

    fn take_group(&self) -> Vec<Record> {
        let mut state = self.state();
        while state.apply_bytes > APPLY_BYTES_MAX && state.refusal.is_none() {
            drop(state);
            self.step_apply();
            state = self.state();
        }
        if state.refusal.is_some() {
            return Vec::new();
        }
        let group_bytes_max = GROUP_BYTES_MAX.min(state.record_bytes_max * 2);
        let (mut ring_bytes, mut direct_bytes, mut count) = (GROUP_HEADER_BYTES, 0, 0);
        for record in &state.journal_queue {
            ring_bytes += record.ring_bytes();
            direct_bytes += record.runs.iter().map(|run| run.crcs.len() * UNIT_LENGTH).sum::<usize>();
            if count > 0 && (ring_bytes > group_bytes_max || direct_bytes > GROUP_DIRECT_BYTES_MAX) {
                break;
            }
            count += 1;
        }
        state.journal_queue.drain(..count).collect()
    }

    fn commit_group(&self, records: Vec<Record>, scratch: &mut JournalScratch) {
        let (position, sequence_first, flushed_through) = {
            let state = self.state();
            let sequence_first = records.first().map_or(state.durable_through + 1, |record| record.sequence);
            (state.head_position, sequence_first, state.durable_through)
        };
        let header = GroupHeader::of(
            &records,
            self.identity.store_uuid,
            self.generation,
            position,
            sequence_first,
            flushed_through,
        );
        let group = encode_group(header, &records);
        let written = self
            .wait_ring(group.buffer.len() as u64)
            .and_then(|()| self.write_runs(&records, scratch))
            .and_then(|()| self.write_ring(position, &group.buffer))
            .and_then(|()| self.device.flush());
        match written {
            Ok(()) => self.group_committed(records, group),
            Err(error) => {
                self.fail(&error, records.into_iter().filter_map(|record| record.done).collect());
            }
        }
    }

    /// Waits until the ring has space, by bringing older records to their end. Never an error for lack of space:
    /// everything durable can be carried out and trimmed without the journal.
    fn wait_ring(&self, bytes: u64) -> Result<()> {
        loop {
            let fits = {
                let state = self.state();
                if let Some(refusal) = &state.refusal {
                    return Err(refusal.clone());
                }
                state.ring_used() + bytes <= self.layout.ring_bytes
            };
            if fits {
                return Ok(());
            }
            while self.step_apply() {}
            self.step_checkpoint(Scope::Trim);
        }
    }

    /// Writes all direct runs to their places.
    fn write_runs(&self, records: &[Record], scratch: &mut JournalScratch) -> Result<()> {
        let runs = records.iter().flat_map(|record| &record.runs);
        let mut pieces = runs.flat_map(|run| (run.place..).zip(&run.data)).peekable();
        while pieces.peek().is_some() {
            // Network memory is not aligned for the device; one copy is a tenth of the write's time.
            let copy = scratch.copy.get_or_insert_with(|| AlignedBuffer::zeroed(DIRECT_COPY_BYTES));
            let mut places = Vec::with_capacity(DIRECT_COPY_BYTES / UNIT_LENGTH);
            for (target, (place, piece)) in copy.chunks_exact_mut(UNIT_LENGTH).zip(&mut pieces) {
                target.copy_from_slice(piece);
                places.push(place);
            }
            let mut writes: Vec<(u64, &[u8])> = Vec::new();
            let mut first = 0;
            while first < places.len() {
                let adjoining = (places[first]..).zip(&places[first..]).take_while(|(next, place)| next == *place);
                let count = adjoining.take(DIRECT_WRITE_BYTES / UNIT_LENGTH).count();
                writes.push((places[first] * UNIT_BYTES, &copy[first * UNIT_LENGTH..(first + count) * UNIT_LENGTH]));
                first += count;
            }
            self.device.write_many(&writes)?;
        }
        Ok(())
    }

    /// Writes at a ring position; around the ring's end in two pieces.
    fn write_ring(&self, position: u64, bytes: &[u8]) -> Result<()> {
        let offset = position % self.layout.ring_bytes;
        let until_end = usize::try_from(self.layout.ring_bytes - offset).unwrap_or(usize::MAX);
        let (first, second) = bytes.split_at(bytes.len().min(until_end));
        self.device.write(self.layout.ring_start + offset, first)?;
        if second.is_empty() { Ok(()) } else { self.device.write(self.layout.ring_start, second) }
    }

    fn group_committed(&self, mut records: Vec<Record>, group: EncodedGroup) {
        let EncodedGroup { header, buffer } = group;
        let callbacks: Vec<CommitCallback> = records.iter_mut().filter_map(|record| record.done.take()).collect();
        let end_position = header.position + buffer.len() as u64;
        let buffer = (header.payload_units > 0).then(|| buffer.freeze());
        let mut state = self.state();
        // From here on the units' bytes are those in the group's own buffer: the network's frames are let go, and
        // what is written back lies aligned.
        let mut at = header.payload_offset();
        for record in &mut records {
            for unit in &mut record.units {
                let buffer = buffer.as_ref().expect("there are payload units");
                unit.data = Bytes::new();
                if let Some(bytes) = state.unwritten.get_mut(&(unit.place, record.sequence)) {
                    *bytes = buffer.slice(at..at + UNIT_LENGTH);
                }
                at += UNIT_LENGTH;
            }
            for run in &record.runs {
                state.pending_runs.remove(&run.place);
            }
        }
        state.group_count += 1;
        state.record_count += records.len() as u64;
        state.head_position = end_position;
        state.durable_through = header.sequence_last();
        state.certain_through = header.flushed_through;
        state.groups.push_back(GroupMark { sequence_last: header.sequence_last(), end_position });
        for record in records {
            state.apply_bytes += record.meta_bytes();
            state.apply_queue.push_back(record);
        }
        self.signals.apply.notify_one();
        if self.wants_checkpoint(&state) {
            self.signals.checkpoint.notify_one();
        }
        drop(state);
        for done in callbacks {
            done(Ok(()));
        }
    }

    /// Carries out in the key-value half what is durable. `false` when there is nothing.
    pub fn step_apply(&self) -> bool {
        let _gate = self.apply_gate.lock().expect("a panic in a step is a broken invariant");
        let records: Vec<Record> = {
            let mut state = self.state();
            if state.refusal.is_some() {
                return false;
            }
            state.apply_bytes = 0;
            state.apply_queue.drain(..).collect()
        };
        let Some(last) = records.last() else { return false };
        let applied_through = last.sequence;
        let through = [KeyChange::Put {
            key: Bytes::from_static(APPLIED_THROUGH),
            value: Bytes::copy_from_slice(&applied_through.to_le_bytes()),
        }];
        let batch: Vec<&[KeyChange]> = records.iter().map(|record| &record.changes[..]).chain([&through[..]]).collect();
        if let Err(error) = self.keys.write(&batch) {
            self.fail(&error, Vec::new());
            return false;
        }
        let mut state = self.state();
        for record in records {
            self.applied(&mut state, record);
        }
        state.applied_through = applied_through;
        if self.wants_checkpoint(&state) {
            self.signals.checkpoint.notify_one();
        }
        true
    }

    fn applied(&self, state: &mut State, mut record: Record) {
        state.overlay.retire(record.sequence, &record.changes);
        for unit in &record.units {
            state.drop_versions_before(unit.place, record.sequence);
        }
        for place in &record.freed {
            state.drop_versions_before(*place, record.sequence + 1);
        }
        if !record.freed.is_empty() {
            let runs = runs_of(&mut record.freed);
            state.pending_free.push_back(PendingFree { sequence: record.sequence, runs });
        }
    }
}
