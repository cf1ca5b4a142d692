//! The journal's steps: making a group durable, and carrying out what is durable.
//!
//! One group is on its way at a time, with everything that waited when it began: under load groups grow by
//! themselves, and an idle store commits a single write at once. The next group is written only after the flush of
//! the one before, so at most the last group of a ring can be torn.

use std::time::Duration;

use bytes::Bytes;
use types::Result;

use super::{
    allocator::runs_of,
    checkpoint::Scope,
    engine::{Engine, JournalScratch},
    group::{EncodedGroup, GROUP_HEADER_BYTES, GroupHeader, Record, encode_group},
    keys::APPLIED_THROUGH,
    pace::Pace,
    staging::UNIT_LENGTH,
    state::{GroupMark, PendingFree, State},
};
use crate::{
    clock::now,
    device::{AlignedBuffer, DEVICE_ALIGNMENT},
    key_value::KeyChange,
    object_store::{CommitCallback, UNIT_BYTES},
};

/// Most bytes of one group in the ring: a write of some milliseconds, beyond which the flush costs little.
const GROUP_BYTES_MAX: usize = 4 << 20;
/// Most bytes that go straight to their places with one group, so that small writes behind it wait only so long.
const GROUP_DIRECT_BYTES_MAX: usize = 16 << 20;
/// Bytes copied together before direct runs that are not aligned are written: a whole object of the common size.
const COPY_BYTES: usize = 4 << 20;
/// Bytes of durable records with which carrying them out begins at once. Less of them wait a moment for others: a
/// batch of a hundred costs the database, and the changes of threads, less than a hundred batches.
pub(crate) const APPLY_BATCH_BYTES: usize = 64 << 10;
/// Records looked at under one hold of the state's lock: some ten microseconds, so that nobody who submits waits long.
const RECORDS_PER_LOCK: usize = 32;
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
        let written = self.wait_ring(group.buffer.len() as u64).and_then(|()| {
            let begun = now();
            self.write_group(&records, position, &group.buffer, scratch)?;
            self.device.flush()?;
            Ok(now().saturating_sub(begun))
        });
        match written {
            Ok(device_time) => self.group_committed(records, group, device_time),
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

    /// Writes a group at a ring position (around the ring's end in two pieces), and its direct runs to their places.
    /// All of it side by side: none of it counts before the flush that follows, and opening asks for all of it.
    fn write_group(&self, records: &[Record], position: u64, group: &[u8], scratch: &mut JournalScratch) -> Result<()> {
        let offset = position % self.layout.ring_bytes;
        let until_end = usize::try_from(self.layout.ring_bytes - offset).unwrap_or(usize::MAX);
        let (first, second) = group.split_at(group.len().min(until_end));
        let mut writes: Vec<(u64, &[u8])> = vec![(self.layout.ring_start + offset, first)];
        if !second.is_empty() {
            writes.push((self.layout.ring_start, second));
        }
        let runs = records.iter().flat_map(|record| &record.runs);
        let mut pieces = runs.flat_map(|run| (run.place..).zip(&run.data)).peekable();
        while pieces.peek().is_some() {
            // What a session received lies as the device wants it; the rest is copied, a part of it at a time.
            let copy = scratch.copy.get_or_insert_with(|| AlignedBuffer::zeroed(COPY_BYTES));
            let mut free = &mut copy[..];
            while let Some((place, piece)) = pieces.next_if(|(_, piece)| is_aligned(piece) || free.len() >= UNIT_LENGTH)
            {
                if is_aligned(piece) {
                    writes.push((place * UNIT_BYTES, piece));
                } else {
                    let (target, rest) = std::mem::take(&mut free).split_at_mut(UNIT_LENGTH);
                    target.copy_from_slice(piece);
                    writes.push((place * UNIT_BYTES, target));
                    free = rest;
                }
            }
            self.device.write_many(&writes)?;
            writes = Vec::new();
        }
        if writes.is_empty() { Ok(()) } else { self.device.write_many(&writes) }
    }

    fn group_committed(&self, mut records: Vec<Record>, group: EncodedGroup, device_time: Duration) {
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
        state.pace = Pace::after(&records, state.journal_queue.len(), device_time);
        let lagging = state.apply_bytes;
        for record in records {
            state.apply_bytes += record.meta_bytes();
            state.apply_queue.push_back(record);
        }
        // Woken when there is something at all, to look at the time, and when there is enough.
        let crosses = lagging < APPLY_BATCH_BYTES && state.apply_bytes >= APPLY_BATCH_BYTES;
        if lagging == 0 || crosses {
            self.signals.apply.notify_one();
        }
        self.wake_checkpoint(&mut state);
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
        let mut batch: Vec<&[KeyChange]> = Vec::new();
        for some in records.chunks(RECORDS_PER_LOCK) {
            let state = self.state();
            for record in some {
                let stays = |change: &KeyChange| !state.overlay.is_replaced(record.sequence, applied_through, change);
                batch.extend(
                    record.changes.chunk_by(|one, other| stays(one) == stays(other)).filter(|part| stays(&part[0])),
                );
            }
        }
        batch.push(&through);
        if let Err(error) = self.keys.write(&batch) {
            self.fail(&error, Vec::new());
            return false;
        }
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let mut state = self.state();
            for record in records.by_ref().take(RECORDS_PER_LOCK) {
                self.applied(&mut state, record);
            }
        }
        let mut state = self.state();
        state.applied_through = applied_through;
        self.wake_checkpoint(&mut state);
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

fn is_aligned(piece: &[u8]) -> bool {
    piece.as_ptr().addr().is_multiple_of(DEVICE_ALIGNMENT)
}
