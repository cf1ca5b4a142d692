//! The store's machinery without its threads: submit, and steps that each move the work on by one piece.
//!
//! Way of a change: `submit` prepares it (or queues it for `step_prepare`, when that needs the disk) -> `step_journal`
//! makes a group durable and answers -> `step_apply` carries it out in the key-value half -> `step_checkpoint` writes
//! units back, flushes, and trims the journal. Threads run the steps in `disk.rs`; tests run them in any order they
//! like; and a step that needs another one first (no space in the ring: checkpoint) runs it itself.
//!
//! Locks: the gates of the steps, taken in the order prepare, journal, apply, checkpoint; then the state's lock, held
//! for lookups and bookkeeping only, never across I/O; callbacks run outside of all locks but gates.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use bytes::Bytes;
use types::{Error, Result, StoreUsage};

use super::{
    checkpoint::DATABASE_FREE_BYTES_MIN,
    group::Record,
    keys::{config_key, header_key, omap_range, prefix_range, segment_key},
    object::{Header, Segment},
    placement::check_record,
    sources::{Loaded, Need, Sources, Stop, missing_segment},
    staging::{Staging, UNIT_LENGTH},
    state::{Change, State, Submission},
    superblock::{Identity, Layout},
};
use crate::{
    counts::StoreCounts,
    device::{AlignedBuffer, BlockDevice},
    key_value::{KeyChange, KeyValue, Lookup, ReadTier, ScanEnd},
    object_store::{CommitCallback, ConfigChanges, UNIT_BYTES, check_transaction},
};

/// Units kept from data that others build on: such data was let in while there was room, so it may use what else is
/// kept back. These are for removals that must write a part of a unit; 16 are as many as one transaction has objects.
const LAST_UNITS: u64 = 16;

/// What the threads wait for.
#[derive(Default)]
pub(crate) struct Signals {
    pub prepare: Condvar,
    pub journal: Condvar,
    pub apply: Condvar,
    pub checkpoint: Condvar,
    /// A change was prepared or refused: readers that wait for it look again.
    pub prepared: Condvar,
}

/// Memory that the journal's steps use again and again.
#[derive(Default)]
pub(crate) struct JournalScratch {
    pub copy: Option<AlignedBuffer>,
}

/// One open store.
pub(crate) struct Engine {
    pub device: Arc<dyn BlockDevice>,
    pub keys: Arc<dyn KeyValue>,
    pub identity: Identity,
    pub generation: u64,
    pub layout: Layout,
    /// Bytes of units waiting to be written back at which that begins.
    pub write_back_bytes: usize,
    pub state: Mutex<State>,
    pub signals: Signals,
    pub journal_gate: Mutex<JournalScratch>,
    pub apply_gate: Mutex<()>,
    pub checkpoint_gate: Mutex<()>,
}

impl Engine {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a panic under the state's lock is a broken invariant; nothing may go on after it")
    }

    /// Why the store refuses work now, if it does.
    pub fn check_open(&self) -> Result<()> {
        match &self.state().refusal {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(()),
        }
    }

    /// Takes a change. When memory has all it needs, reads see it as soon as this returns.
    pub fn submit(&self, change: Change, done: CommitCallback) {
        if let Change::Objects(transaction) = &change
            && let Err(error) = check_transaction(transaction)
        {
            return self.refuse(error, done);
        }
        let mut state = self.state();
        if let Some(refusal) = refusal_of(&state) {
            drop(state);
            return done(Err(refusal));
        }
        state.submitted_count += 1;
        if state.is_prepared() {
            match self.prepare(&mut state, &change, &Loaded::default()) {
                Ok(record) => return self.queue_record(state, record, done),
                Err(Stop::Refused(error)) => {
                    state.prepared_count += 1;
                    drop(state);
                    return self.refuse(error, done);
                }
                Err(Stop::Missing(_) | Stop::Space) => {}
            }
        }
        state.unprepared.push_back(Submission { change, done });
        self.signals.prepare.notify_one();
    }

    /// Tells that a transaction cannot be carried out; the others go on, unless they build on it.
    fn refuse(&self, error: Error, done: CommitCallback) {
        if self.state().stops_at_refusal {
            self.fail(&error.context("carry out a transaction that others build on"), vec![done]);
        } else {
            done(Err(error));
        }
    }

    /// From now on the first transaction that is refused stops the store, and only [`LAST_UNITS`] are kept from data.
    pub fn stop_at_refusal(&self) {
        let mut state = self.state();
        state.stops_at_refusal = true;
        state.reserve_units = state.reserve_units.min(LAST_UNITS);
    }

    fn queue_record(&self, mut state: MutexGuard<'_, State>, mut record: Record, done: CommitCallback) {
        record.done = Some(done);
        state.prepared_count += 1;
        state.journal_queue.push_back(record);
        if state.journal_wakes_at > 0 && state.journal_queue.len() >= state.journal_wakes_at {
            state.journal_wakes_at = 0;
            drop(state);
            self.signals.journal.notify_one();
        }
    }

    /// Makes a record of a change and publishes it, or says what is in the way and changes nothing.
    fn prepare(&self, state: &mut State, change: &Change, loaded: &Loaded) -> Result<Record, Stop> {
        let sequence = state.next_sequence;
        let record = match change {
            Change::Config(changes) => {
                let changes = changes.iter().map(|(key, value)| match value {
                    Some(value) => KeyChange::Put { key: config_key(key), value: value.clone() },
                    None => KeyChange::Delete { key: config_key(key) },
                });
                let record = Record { sequence, changes: changes.collect(), ..Record::default() };
                check_record(&record, state)?;
                state.overlay.add(sequence, &record.changes);
                record
            }
            Change::Objects(transaction) => {
                let writes = transaction.data_bytes();
                if writes > 0 && state.database_full && !state.stops_at_refusal {
                    return Err(Error::full("the store's database has no space left for metadata of new data").into());
                }
                let mut staging = Staging::new(sequence, writes == 0);
                let mut sources = Sources { state: &mut *state, keys: &*self.keys, loaded };
                let applied = transaction.ops.iter().try_for_each(|op| staging.apply(op, &mut sources));
                match applied.and_then(|()| staging.finish(&mut sources)) {
                    Ok(mut record) => {
                        staging.publish(&mut record, state);
                        record
                    }
                    Err(stop) => {
                        staging.abandon(state);
                        return Err(stop);
                    }
                }
            }
        };
        state.next_sequence += 1;
        Ok(record)
    }

    /// Prepares the oldest queued change, with the disk's help. `false` when there is none to take.
    pub fn step_prepare(&self) -> bool {
        let mut state = self.state();
        if state.preparing {
            return false;
        }
        let Some(Submission { change, done }) = state.unprepared.pop_front() else { return false };
        state.preparing = true;
        let mut loaded = Loaded::default();
        let mut made_space = false;
        let outcome = loop {
            if let Some(refusal) = &state.refusal {
                break Err(refusal.clone());
            }
            match self.prepare(&mut state, &change, &loaded) {
                Ok(record) => break Ok(record),
                Err(Stop::Refused(error)) => break Err(error),
                Err(Stop::Missing(needs)) => {
                    drop(state);
                    let result = needs.iter().try_for_each(|need| self.load(need, &mut loaded));
                    state = self.state();
                    if let Err(error) = result {
                        break Err(error);
                    }
                }
                Err(Stop::Space) => {
                    if made_space || state.unreleased_units == 0 {
                        break Err(full_error(&state));
                    }
                    drop(state);
                    self.make_space();
                    made_space = true;
                    state = self.state();
                }
            }
        };
        state.preparing = false;
        match outcome {
            Ok(record) => self.queue_record(state, record, done),
            Err(error) => {
                state.prepared_count += 1;
                drop(state);
                self.refuse(error, done);
            }
        }
        self.signals.prepared.notify_all();
        true
    }

    /// Brings everything submitted so far to its end, so that what it freed is free.
    fn make_space(&self) {
        while self.step_journal() {}
        while self.step_apply() {}
        self.step_checkpoint(super::checkpoint::Scope::Trim);
    }

    /// Waits until everything submitted before is prepared, helping where nobody else does it.
    pub fn wait_prepared(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let target = state.submitted_count;
        while state.prepared_count < target && state.refusal.is_none() {
            if state.preparing {
                state = self
                    .signals
                    .prepared
                    .wait(state)
                    .expect("a panic under the state's lock is a broken invariant; nothing may go on after it");
            } else {
                drop(state);
                self.step_prepare();
                state = self.state();
            }
        }
        state
    }

    /// Loads one thing from the disk. Called without the state's lock.
    pub fn load(&self, need: &Need, loaded: &mut Loaded) -> Result<()> {
        match need {
            Need::Header(object) => {
                let header = self.stored(&header_key(object))?.map(Header::decode).transpose()?.map(Arc::new);
                loaded.headers.insert(object.clone(), header);
            }
            Need::Segment { number, index } => {
                let encoded = self.stored(&segment_key(*number, *index))?;
                let encoded = encoded.ok_or_else(|| missing_segment(*number, *index))?;
                loaded.segments.insert((*number, *index), Arc::new(Segment::decode(encoded)?));
            }
            Need::Unit(unit) => {
                let mut buffer = AlignedBuffer::zeroed(UNIT_LENGTH);
                let read = self.device.read(unit.place * UNIT_BYTES, &mut buffer);
                let whole = read.is_ok() && crc32fast::hash(&buffer) == unit.crc;
                loaded.units.insert(unit.place, whole.then(|| buffer.freeze()));
            }
            Need::Omap { number } => {
                let (begin, end) = omap_range(*number);
                let mut omap = std::collections::BTreeMap::new();
                let (part, view) = {
                    let state = self.state();
                    (state.overlay.part(&begin, &end), self.keys.view())
                };
                part.scan(&*view, &begin, &end, ReadTier::Disk, &mut |key, value| {
                    omap.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
                    Ok(true)
                })?;
                loaded.omaps.insert(*number, omap);
            }
        }
        Ok(())
    }

    fn stored(&self, key: &[u8]) -> Result<Option<Bytes>> {
        match self.keys.get(key, ReadTier::Disk)? {
            Lookup::Found(value) => Ok(Some(value)),
            Lookup::Absent => Ok(None),
            Lookup::NotInMemory => {
                Err(Error::internal("the database did not look on its disk although it was asked to"))
            }
        }
    }

    /// From now on everything is refused, and all who wait are told so.
    pub fn fail(&self, error: &Error, mut waiting: Vec<CommitCallback>) {
        let mut state = self.state();
        let refusal = match &state.refusal {
            Some(refusal) => refusal.clone(),
            None => {
                tracing::error!(device = self.device.name(), %error, "the store refuses everything from now on");
                let message =
                    format!("the store refuses everything until it is opened again, since it failed to {error}");
                state.refusal.insert(Error::closed(message)).clone()
            }
        };
        waiting.extend(take_waiting(&mut state));
        self.notify_all();
        drop(state);
        for done in waiting {
            done(Err(refusal.clone()));
        }
    }

    pub fn notify_all(&self) {
        let signals = &self.signals;
        for signal in [&signals.prepare, &signals.journal, &signals.apply, &signals.checkpoint, &signals.prepared] {
            signal.notify_all();
        }
    }

    pub fn usage(&self) -> Result<StoreUsage> {
        let metadata = self.keys.usage()?;
        let state = self.state();
        let total = state.allocator.unit_count() * UNIT_BYTES;
        // Units that removals gave back count as free: a write that needs them makes them so first.
        let free = (state.allocator.free_units() + state.unreleased_units) * UNIT_BYTES;
        let waiting: usize = state.unprepared.iter().map(|submission| submission.change.data_bytes()).sum();
        // The worse of the two halves: data without room for its metadata is no room.
        let is_database_full = metadata.free_bytes < 2 * DATABASE_FREE_BYTES_MIN;
        let used = if is_database_full { total } else { total.saturating_sub(free).saturating_add(waiting as u64) };
        Ok(StoreUsage { total_bytes: total, used_bytes: used.min(total), metadata_bytes: metadata.used_bytes })
    }

    pub fn counts(&self) -> StoreCounts {
        let (device, key_value) = (self.device.counts(), self.keys.counts());
        let state = self.state();
        StoreCounts {
            device,
            key_value,
            headers: state.headers.counts(),
            segments: state.segments.counts(),
            groups: state.group_count,
            records: state.record_count,
        }
    }

    /// Brings everything submitted so far to its end: durable, carried out, at its place, and trimmed.
    pub fn settle(&self) -> Result<()> {
        drop(self.wait_prepared());
        self.make_space();
        self.check_open()
    }

    pub fn submit_config(&self, changes: ConfigChanges, done: CommitCallback) {
        self.submit(Change::Config(changes), done);
    }

    pub fn read_config(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let key = config_key(key);
        let (begin, mut end) = (key.clone(), key.to_vec());
        end.push(0);
        Ok(self.scan_config(&begin, &end.into())?.pop().map(|(_, value)| value))
    }

    pub fn list_config(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>> {
        let (begin, end) = prefix_range(&config_key(prefix));
        self.scan_config(&begin, &end)
    }

    fn scan_config(&self, begin: &Bytes, end: &Bytes) -> Result<Vec<(Vec<u8>, Bytes)>> {
        let (part, view) = {
            let state = self.wait_prepared();
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            (state.overlay.part(begin, end), self.keys.view())
        };
        let mut found = Vec::new();
        let scanned = part.scan(&*view, begin, end, ReadTier::Disk, &mut |key, value| {
            found.push((key[1..].to_vec(), Bytes::copy_from_slice(value)));
            Ok(true)
        })?;
        assert_eq!(scanned, ScanEnd::Done, "a scan that may use the disk ends");
        Ok(found)
    }
}

/// Why new work is refused, if it is.
fn refusal_of(state: &State) -> Option<Error> {
    let closing = || state.closing.then(|| Error::closed("the store is closing"));
    state.refusal.clone().or_else(closing)
}

fn full_error(state: &State) -> Error {
    Error::full(format!(
        "the store is full: {} of its {} units are free, and {} of them are kept so that removals always work",
        state.allocator.free_units(),
        state.allocator.unit_count(),
        state.reserve_units
    ))
}

/// Everyone who waits for something that is still in a queue before the journal.
pub(crate) fn take_waiting(state: &mut State) -> Vec<CommitCallback> {
    let records = std::mem::take(&mut state.journal_queue);
    let submissions = std::mem::take(&mut state.unprepared);
    state.prepared_count += submissions.len() as u64;
    records.into_iter().filter_map(|record| record.done).chain(submissions.into_iter().map(|one| one.done)).collect()
}

/// An empty state around what a store on disk says; the queues and caches begin empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beginning {
    pub last_sequence: u64,
    pub position: u64,
    pub superblock_writes: u64,
    pub reserve_units: u64,
    pub record_bytes_max: usize,
    pub cache_bytes: usize,
}

impl Beginning {
    pub fn state(self, allocator: super::allocator::Allocator, shared: super::allocator::SharedUnits) -> State {
        use super::cache::Cache;
        State {
            refusal: None,
            closing: false,
            discards: false,
            stops_at_refusal: false,
            unprepared: VecDeque::new(),
            preparing: false,
            submitted_count: 0,
            prepared_count: 0,
            next_sequence: self.last_sequence + 1,
            durable_through: self.last_sequence,
            applied_through: self.last_sequence,
            certain_through: self.last_sequence,
            journal_queue: VecDeque::new(),
            pace: super::pace::Pace::AT_ONCE,
            journal_wakes_at: 0,
            checkpoint_woken: false,
            apply_queue: VecDeque::new(),
            apply_bytes: 0,
            overlay: super::overlay::Overlay::default(),
            headers: Cache::new(self.cache_bytes / 2),
            segments: Cache::new(self.cache_bytes / 2),
            readers: HashMap::new(),
            unwritten: std::collections::BTreeMap::new(),
            pending_runs: std::collections::BTreeMap::new(),
            allocator,
            shared,
            pending_free: VecDeque::new(),
            unreleased_units: 0,
            reserve_units: self.reserve_units,
            record_bytes_max: self.record_bytes_max,
            database_full: false,
            head_position: self.position,
            tail_position: self.position,
            tail_sequence: self.last_sequence + 1,
            groups: VecDeque::new(),
            superblock_writes: self.superblock_writes,
            group_count: 0,
            record_count: 0,
        }
    }
}
