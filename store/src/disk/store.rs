//! [`DiskStore`]: an engine, its threads, and the ways to make, open, look at and end it.

use std::{
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use types::{Error, Result, StoreRead, StoreReadResult, StoreUsage, Transaction};

use super::{
    checkpoint::Scope,
    engine::Engine,
    fsck::{self, FsckDepth, FsckReport, HearProgress, Problem, RepairMode},
    journal::APPLY_BATCH_BYTES,
    pace::Pace,
    replay::{self, EngineMemory},
    state::{Change, State},
    superblock::{Identity, SUPERBLOCK_OFFSETS, Superblock},
};
use crate::{
    counts::StoreCounts,
    device::{AlignedBuffer, BlockDevice, DEVICE_ALIGNMENT, FileDevice},
    key_value::{KeyValue, RocksKeyValue},
    object_store::{CommitCallback, ConfigChanges, ObjectStore},
};

/// How long an idle store waits before it makes its journal's end certain. Long enough that a client's next write
/// does it instead, short enough that a power failure right after a write is the only case left.
const IDLE_BEFORE_CERTAIN: Duration = Duration::from_millis(200);

/// How long a durable record waits for others before it is carried out. Until then it is answered from memory.
const BEFORE_APPLY: Duration = Duration::from_millis(5);

/// Memory of one OSD's store unless told otherwise.
const MEMORY_BYTES_DEFAULT: usize = 1 << 30;
/// The least that works at all.
const MEMORY_BYTES_MIN: usize = 16 << 20;

/// How a store is made and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of memory for everything: half for the database, a quarter each for headers and segments, and for units
    /// that wait to be written back.
    pub memory_bytes: usize,
    /// Bytes of the journal ring, when a store is made; without a number a sixteenth of the device, at most 256 MiB.
    pub journal_bytes: Option<u64>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { memory_bytes: MEMORY_BYTES_DEFAULT, journal_bytes: None }
    }
}

impl StoreOptions {
    pub(crate) fn checked(&self) -> Result<Self> {
        if self.memory_bytes < MEMORY_BYTES_MIN {
            return Err(Error::invalid(format!(
                "a store needs at least {MEMORY_BYTES_MIN} bytes of memory; {} are given",
                self.memory_bytes
            )));
        }
        Ok(*self)
    }

    pub(crate) fn engine_memory(&self) -> EngineMemory {
        EngineMemory { cache_bytes: self.memory_bytes / 4, write_back_bytes: self.memory_bytes / 4 }
    }
}

/// What a superblock tells of a store, without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreInfo {
    /// Whose it is.
    pub identity: Identity,
    /// How often it was opened.
    pub generation: u64,
    /// Bytes of the device when it was formatted.
    pub device_bytes: u64,
    /// Bytes of the journal ring.
    pub journal_bytes: u64,
    /// Bytes of the data area.
    pub data_bytes: u64,
    /// The first record the journal still has to tell.
    pub journal_sequence: u64,
}

/// The store on a device with a database folder beside it.
pub struct DiskStore {
    engine: Arc<Engine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl DiskStore {
    /// Makes an empty store. Refuses a device that holds one, and a folder that holds a database.
    pub fn format(device: &Path, db: &Path, identity: Identity, options: &StoreOptions) -> Result<()> {
        let options = options.checked()?;
        let device = FileDevice::open(device)?;
        match Superblock::read(&device) {
            Err(error) if error.kind == types::ErrorKind::NotFound => {}
            Ok(found) => {
                return Err(Error::exists(format!(
                    "device {} holds the store of osd.{} of cluster {}; wipe it first if nobody needs it",
                    device.name(),
                    found.identity.osd,
                    found.identity.cluster
                )));
            }
            Err(error) => return Err(error),
        }
        let keys = RocksKeyValue::create(db, options.memory_bytes / 2)?;
        replay::format(&device, &keys, identity, options.journal_bytes)
    }

    /// Makes an empty store on these halves, whatever they hold.
    pub fn format_parts(
        device: &dyn BlockDevice,
        keys: &dyn KeyValue,
        identity: Identity,
        options: &StoreOptions,
    ) -> Result<()> {
        replay::format(device, keys, identity, options.checked()?.journal_bytes)
    }

    /// Makes a device hold no store any more. Its data is as lost as the store's.
    pub fn wipe(device: &Path) -> Result<()> {
        let device = FileDevice::open(device)?;
        let zeroes = AlignedBuffer::zeroed(DEVICE_ALIGNMENT);
        for offset in SUPERBLOCK_OFFSETS {
            device.write(offset, &zeroes)?;
        }
        device.flush()
    }

    /// What the device says of the store on it. Locks the device: the store must not be open.
    pub fn info(device: &Path) -> Result<StoreInfo> {
        let superblock = Superblock::read(&FileDevice::open(device)?)?;
        Ok(StoreInfo {
            identity: superblock.identity,
            generation: superblock.generation,
            device_bytes: superblock.layout.device_bytes,
            journal_bytes: superblock.layout.ring_bytes,
            data_bytes: superblock.layout.data_units * crate::object_store::UNIT_BYTES,
            journal_sequence: superblock.tail_sequence,
        })
    }

    /// Opens a store, replaying its journal.
    pub fn open(device: &Path, db: &Path, options: &StoreOptions) -> Result<(Self, Identity)> {
        let options = options.checked()?;
        let device = FileDevice::open(device)?;
        // The device first: it says in words what is wrong when the two do not belong together.
        Superblock::read(&device)?;
        let keys = RocksKeyValue::open(db, options.memory_bytes / 2)?;
        Self::open_parts(Arc::new(device), Arc::new(keys), &options)
    }

    /// Opens a store on these halves.
    pub fn open_parts(
        device: Arc<dyn BlockDevice>,
        keys: Arc<dyn KeyValue>,
        options: &StoreOptions,
    ) -> Result<(Self, Identity)> {
        let engine = Arc::new(replay::open(device, keys, options.checked()?.engine_memory())?);
        let identity = engine.identity;
        let store = Self { engine: Arc::clone(&engine), threads: Mutex::new(Vec::new()) };
        let bodies = [
            ("store-prepare", run_prepare as ThreadBody),
            ("store-journal", run_journal),
            ("store-apply", run_apply),
            ("store-trim", run_checkpoint),
        ];
        for (name, body) in bodies {
            let engine = Arc::clone(&engine);
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || body(&engine))
                .map_err(|error| Error::internal(format!("start the thread {name}: {error}")))?;
            store.threads().push(thread);
        }
        Ok((store, identity))
    }

    /// From now on the first transaction that is refused, for whatever reason, stops the store: everything behind it is
    /// refused with kind `Closed`, so that what is stored is a prefix of what was submitted. For users whose
    /// transactions build on each other; they must know by [`ObjectStore::usage`] in time that there is no room. In
    /// return data may use what is otherwise kept back from it.
    pub fn stop_at_refusal(&self) {
        self.engine.stop_at_refusal();
    }

    /// From now on the device is told which space is free (discard, trim), in batches with each checkpoint. For flash
    /// and thin devices; a file gives the space back to its file system, which may then be short of it later.
    pub fn discard_free_space(&self) {
        self.engine.state().discards = true;
    }

    /// Checks the store against itself. Nothing should be submitted meanwhile.
    pub fn fsck(&self, depth: FsckDepth) -> Result<FsckReport> {
        self.engine.fsck(depth)
    }

    /// Checks a store that is not open, and puts right what `mode` says. Without a repair nothing is written.
    pub fn fsck_offline(
        device: &Path,
        db: &Path,
        options: &StoreOptions,
        (depth, mode): (FsckDepth, RepairMode),
        hear: &mut HearProgress<'_>,
    ) -> Result<FsckReport> {
        let options = options.checked()?;
        let device_path = device;
        let device = FileDevice::open(device)?;
        Superblock::read(&device)?;
        let keys = match mode {
            RepairMode::Apply => RocksKeyValue::open(db, options.memory_bytes / 2)?,
            RepairMode::Never | RepairMode::DryRun => RocksKeyValue::open_read_only(db, options.memory_bytes / 2)?,
        };
        let mut report = fsck::repair(&device, &keys, depth, mode, hear)?;
        drop((device, keys));
        let spoiled = |problem: &Problem| matches!(problem, Problem::Superblock { .. });
        if mode == RepairMode::Apply
            && report.problems.iter().any(spoiled)
            && !report.problems.iter().any(|problem| matches!(problem, Problem::Unreadable(_)))
        {
            // Opening writes both superblocks.
            Self::open(device_path, db, &options)?.0.close()?;
            report.repairs.push("wrote both superblocks anew".to_owned());
            report.problems.retain(|problem| !spoiled(problem));
            report.problem_count -= 1;
        }
        Ok(report)
    }

    /// What it did since it was opened.
    pub fn counts(&self) -> StoreCounts {
        self.engine.counts()
    }

    /// Waits until everything submitted so far is at its place on the device and the journal is empty.
    pub fn settle(&self) -> Result<()> {
        self.engine.settle()
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().expect("no holder of this lock panics")
    }

    /// Makes the threads end; what is not durable is told so.
    fn stop(&self, reason: Error) {
        let waiting = {
            let mut state = self.engine.state();
            let refusal = state.refusal.get_or_insert(reason).clone();
            self.engine.notify_all();
            (super::engine::take_waiting(&mut state), refusal)
        };
        for done in waiting.0 {
            done(Err(waiting.1.clone()));
        }
        for thread in std::mem::take(&mut *self.threads()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store has panicked");
            }
        }
    }
}

impl Drop for DiskStore {
    /// Without `close` this is like a crash of the process: what is durable stays, the journal is replayed later.
    fn drop(&mut self) {
        self.stop(Error::closed("the store was dropped"));
    }
}

impl ObjectStore for DiskStore {
    fn submit(&self, transaction: Transaction, done: CommitCallback) {
        self.engine.submit(Change::Objects(transaction), done);
    }

    fn read(&self, read: &StoreRead) -> Result<StoreReadResult> {
        self.engine.read(read)
    }

    fn try_read(&self, read: &StoreRead) -> Option<Result<StoreReadResult>> {
        self.engine.try_read(read)
    }

    fn usage(&self) -> Result<StoreUsage> {
        self.engine.check_open()?;
        self.engine.usage()
    }

    fn submit_config(&self, changes: ConfigChanges, done: CommitCallback) {
        self.engine.submit_config(changes, done);
    }

    fn read_config(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.engine.read_config(key)
    }

    fn list_config(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>> {
        self.engine.list_config(prefix)
    }

    fn close(&self) -> Result<()> {
        let engine = &self.engine;
        {
            let mut state = engine.state();
            if let Some(refusal) = &state.refusal {
                return Err(refusal.clone());
            }
            state.closing = true;
        }
        drop(engine.wait_prepared());
        while engine.step_journal() {}
        while engine.step_apply() {}
        engine.step_checkpoint(Scope::Trim);
        let result = engine.check_open();
        self.stop(Error::closed("the store is closed; open it again"));
        result
    }
}

/// What a thread of the store does until the store refuses everything.
type ThreadBody = fn(&Engine);

/// Runs `step` whenever there is work, until the store refuses everything.
fn run(engine: &Engine, signal: &Condvar, has_work: impl Fn(&mut State) -> bool, mut step: impl FnMut()) {
    loop {
        {
            let mut state = engine.state();
            while state.refusal.is_none() && !has_work(&mut state) {
                state = signal.wait(state).expect("a panic under the state's lock is a broken invariant");
            }
            if state.refusal.is_some() {
                return;
            }
        }
        step();
    }
}

fn run_prepare(engine: &Engine) {
    let has_work = |state: &mut State| !state.unprepared.is_empty() && !state.preparing;
    run(engine, &engine.signals.prepare, has_work, || {
        engine.step_prepare();
    });
}

/// A batch is carried out when it is large, or when its oldest record has waited for a moment.
fn run_apply(engine: &Engine) {
    let is_enough = |state: &State| state.refusal.is_some() || state.apply_bytes >= APPLY_BATCH_BYTES;
    run(
        engine,
        &engine.signals.apply,
        |state| !state.apply_queue.is_empty(),
        || {
            let waited =
                engine.signals.apply.wait_timeout_while(engine.state(), BEFORE_APPLY, |state| !is_enough(state));
            drop(waited.expect("a panic under the state's lock is a broken invariant"));
            engine.step_apply();
        },
    );
}

fn run_checkpoint(engine: &Engine) {
    run(
        engine,
        &engine.signals.checkpoint,
        |state| {
            state.checkpoint_woken = false;
            engine.wants_checkpoint(state)
        },
        || {
            let scope = engine.checkpoint_scope(&engine.state());
            if let Some(scope) = scope {
                engine.step_checkpoint(scope);
            }
        },
    );
}

fn run_journal(engine: &Engine) {
    // Waits for a group to grow are shorter than the 50 microseconds by which the kernel rounds timers up.
    if let Err(error) = nix::sys::prctl::set_timerslack(1) {
        tracing::debug!(%error, "timers of the journal stay coarse");
    }
    while let Some(work) = next_journal_work(engine) {
        match work {
            JournalWork::Group => engine.step_journal(),
            JournalWork::Certain => engine.step_certain(),
        };
    }
}

/// What the journal's thread does next.
enum JournalWork {
    Group,
    Certain,
}

/// Waits for a group: as long as its pace says for those that are likely to come, and without an end for the first.
fn next_journal_work(engine: &Engine) -> Option<JournalWork> {
    let mut state = engine.state();
    let pace = std::mem::replace(&mut state.pace, Pace::AT_ONCE);
    if pace.records > 1 {
        state = sleep_until_queued(engine, state, pace.records, pace.patience);
    }
    loop {
        if state.refusal.is_some() {
            return None;
        }
        if !state.journal_queue.is_empty() {
            return Some(JournalWork::Group);
        }
        let uncertain = state.certain_through < state.durable_through;
        let wait = if uncertain { IDLE_BEFORE_CERTAIN } else { Duration::MAX };
        state = sleep_until_queued(engine, state, 1, wait);
        if uncertain && state.journal_queue.is_empty() && state.refusal.is_none() {
            return Some(JournalWork::Certain);
        }
    }
}

/// Sleeps until so many records are queued, at most for so long.
fn sleep_until_queued<'a>(
    engine: &'a Engine,
    mut state: MutexGuard<'a, State>,
    records: usize,
    wait: Duration,
) -> MutexGuard<'a, State> {
    state.journal_wakes_at = records;
    let too_few = |state: &mut State| state.refusal.is_none() && state.journal_queue.len() < records;
    let (mut state, _) = engine
        .signals
        .journal
        .wait_timeout_while(state, wait, too_few)
        .expect("a panic under the state's lock is a broken invariant");
    state.journal_wakes_at = 0;
    state
}
