//! Crashes: any prefix of what was done to the two halves, with everything unflushed kept, lost, torn or reordered.
//!
//! After each the store must open; hold a prefix of the submitted transactions that contains every acknowledged one,
//! whole, compared byte by byte with the model of that moment; pass its own check; and go on working. A second crash
//! during the replay must change nothing of that.
//!
//! The run is one thread, but whatever writes to the device is interrupted at random by the other steps, as if they
//! ran on threads of their own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, Weak},
};

use bytes::Bytes;
use types::{
    ObjectId, ObjectName, PoolId, Result, Seed, SeededRandom, StoreOp, StoreRead, StoreReadResult, Transaction,
};

use super::{
    super::{checkpoint::Scope, engine::Engine, fsck::FsckDepth, state::Change, superblock::SUPERBLOCK_OFFSETS},
    formatted, open, runs,
    workload::{compare, random_step, settle, transaction},
};
use crate::{
    device::MemoryDevice,
    key_value::MemoryKeyValue,
    memory::MemoryStore,
    tape::{CrashStyle, Tape, TapeEvent},
};

const DEVICE_BYTES: usize = 8 << 20;
const STEPS: u64 = 240;
const STYLES: [CrashStyle; 4] =
    [CrashStyle::Scramble, CrashStyle::Scramble, CrashStyle::LoseUnflushed, CrashStyle::KeepAll];

/// Each transaction writes its number here, so that an image tells which prefix it holds.
fn counter() -> ObjectId {
    ObjectId::head(PoolId(9), 0, ObjectName::new("counter"))
}

fn numbered(mut transaction: Transaction, number: u64) -> Transaction {
    let value = Bytes::copy_from_slice(&number.to_le_bytes());
    let xattrs = BTreeMap::from([(b"n".to_vec(), value)]);
    transaction.push(StoreOp::SetXattrs { object: counter(), xattrs });
    transaction
}

fn number_in(read: Result<StoreReadResult>) -> u64 {
    match read {
        Ok(StoreReadResult::Meta(None)) => 0,
        Ok(StoreReadResult::Meta(Some(meta))) => {
            u64::from_le_bytes(meta.xattrs[&b"n"[..]][..].try_into().expect("eight bytes"))
        }
        other => panic!("{other:?}"),
    }
}

/// A recorded run: the tape, and the model after each transaction.
struct Recorded {
    tape: Arc<Tape>,
    models: Vec<MemoryStore>,
    /// For each transaction from the first: how long the tape was when it was submitted.
    submitted_at: Vec<usize>,
}

/// The steps that hold a gate; each may run in the middle of the others, as if on a thread of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Journal,
    Apply,
    Checkpoint,
}

/// Steps inside of steps: deep enough for a group to commit and be carried out in the middle of a write-back.
const NESTED_MAX: usize = 3;

struct Driver {
    seed: Seed,
    /// Whether checkpoints happen only when the ring is full, so that each group may be the one that overwrites what
    /// the tail has just left.
    lazy: bool,
    random: Mutex<SeededRandom>,
    recorded: Mutex<Recorded>,
    running: Mutex<Vec<Step>>,
    engine: OnceLock<Weak<Engine>>,
}

impl Driver {
    fn draw(&self, bound: u64) -> u64 {
        self.random.lock().expect("not poisoned").below(bound)
    }

    fn submit(&self, engine: &Engine) {
        let mut recorded = self.recorded.lock().expect("not poisoned");
        let number = recorded.models.len() as u64;
        let transaction = numbered(transaction(&mut self.random.lock().expect("not poisoned")), number);
        let model = recorded.models.last().expect("at least the empty one").clone();
        model.apply(&transaction).expect("the model is large enough");
        recorded.models.push(model);
        let tape = Arc::clone(&recorded.tape);
        recorded.submitted_at.push(tape.length());
        drop(recorded);
        let seed = self.seed;
        engine.submit(
            Change::Objects(transaction),
            Box::new(move |result| {
                result.unwrap_or_else(|error| panic!("seed {seed}: transaction {number}: {error}"));
                tape.record(TapeEvent::Mark(number));
            }),
        );
    }

    /// One random piece of work, outside of everything or in the middle of what runs.
    fn work(&self, engine: &Engine) {
        let running = self.running.lock().expect("not poisoned").clone();
        // Freed units are taken again at once where the store believes that they may be.
        if self.draw(2) == 0 {
            engine.state().allocator.rewind();
        }
        let step = match self.draw(10) {
            0..=2 => return self.submit(engine),
            3 if running.is_empty() => {
                engine.step_prepare();
                return;
            }
            3..=6 => Step::Journal,
            7 | 8 => Step::Apply,
            _ if self.lazy => Step::Journal,
            _ => Step::Checkpoint,
        };
        // A journal step with a full ring would itself run the step that is waiting for it here.
        let roomy = engine.state().ring_used() < engine.layout.ring_bytes / 2;
        if running.contains(&step) || (!running.is_empty() && step == Step::Journal && !roomy) {
            return;
        }
        self.running.lock().expect("not poisoned").push(step);
        match step {
            Step::Journal if self.draw(6) == 0 => _ = engine.step_certain(),
            Step::Journal => _ = engine.step_journal(),
            Step::Apply => _ = engine.step_apply(),
            Step::Checkpoint if self.draw(2) == 0 => engine.step_checkpoint(Scope::WriteBack),
            Step::Checkpoint => engine.step_checkpoint(Scope::Trim),
        }
        self.running.lock().expect("not poisoned").pop();
    }

    /// In the middle of a device operation.
    fn interrupt(&self) {
        let depth = self.running.lock().expect("not poisoned").len();
        if let Some(engine) = self.engine.get().and_then(Weak::upgrade)
            && (1..NESTED_MAX).contains(&depth)
            && self.draw(3) == 0
        {
            for _ in 0..=self.draw(5) {
                self.work(&engine);
            }
        }
    }
}

fn record(seed: Seed) -> Recorded {
    let (device, keys) = formatted(DEVICE_BYTES);
    let tape = Tape::new(device.content(), keys.content());
    let device = Arc::new(MemoryDevice::recorded(device.content(), Arc::clone(&tape)));
    let keys = Arc::new(MemoryKeyValue::recorded(keys.content(), Arc::clone(&tape)));
    let engine = Arc::new(open(&device, &keys).expect("open"));
    // A device in memory spoils what is discarded.
    engine.state().discards = seed.0.is_multiple_of(2);
    let driver = Arc::new(Driver {
        seed,
        lazy: seed.0.is_multiple_of(3),
        random: Mutex::new(SeededRandom::new(seed)),
        recorded: Mutex::new(Recorded { tape, models: vec![MemoryStore::new()], submitted_at: Vec::new() }),
        running: Mutex::new(Vec::new()),
        engine: OnceLock::new(),
    });
    driver.engine.set(Arc::downgrade(&engine)).expect("set once");
    let interrupted = Arc::clone(&driver);
    device.set_hook(move || interrupted.interrupt());
    let steps = if driver.lazy { 3 * STEPS } else { STEPS };
    for _ in 0..steps {
        driver.work(&engine);
    }
    device.set_hook(|| {});
    let recorded = driver.recorded.lock().expect("not poisoned");
    Recorded {
        tape: Arc::clone(&recorded.tape),
        models: recorded.models.clone(),
        submitted_at: recorded.submitted_at.clone(),
    }
}

/// Opens an image and checks all that is promised of it; returns the number of transactions it holds.
fn check_image(recorded: &Recorded, end: usize, engine: &Engine, context: &str) -> u64 {
    let number = number_in(engine.read(&StoreRead::Meta { object: counter() }));
    let acknowledged = recorded.tape.marks(end).into_iter().max().unwrap_or(0);
    let submitted = recorded.submitted_at.iter().take_while(|at| **at <= end).count() as u64;
    assert!(
        (acknowledged..=submitted).contains(&number),
        "{context}: holds {number}, acknowledged {acknowledged}, submitted {submitted}"
    );
    let model = &recorded.models[number as usize];
    compare(&|read| engine.read(read), model, context);
    number
}

fn crash_once(recorded: &Recorded, end: usize, style: CrashStyle, random: &mut SeededRandom, context: &str) {
    let context = format!("{context} end {end} {style:?}");
    let (device, keys) = recorded.tape.crash_image(end, style, random);

    // The opening is recorded in turn, and crashes too.
    let tape = Tape::new(device.content(), keys.content());
    let device = Arc::new(MemoryDevice::recorded(device.content(), Arc::clone(&tape)));
    let keys = Arc::new(MemoryKeyValue::recorded(keys.content(), Arc::clone(&tape)));
    let engine = open(&device, &keys).unwrap_or_else(|error| panic!("{context}: {error}"));
    let number = check_image(recorded, end, &engine, &context);

    let again = random.below(tape.length() as u64 + 1) as usize;
    let (device, keys) = tape.crash_image(again, STYLES[random.below(4) as usize], random);
    let second = open(&Arc::new(device), &Arc::new(keys))
        .unwrap_or_else(|error| panic!("{context}: again after {again} of the replay's events: {error}"));
    let context = format!("{context} again {again}");
    assert_eq!(check_image(recorded, end, &second, &context), number, "{context}: replaying is not destructive");

    let model = recorded.models[number as usize].clone();
    for _ in 0..6 {
        let transaction = transaction(random);
        model.apply(&transaction).expect("the model is large enough");
        let failed = context.clone();
        second.submit(
            Change::Objects(transaction),
            Box::new(move |result| result.unwrap_or_else(|error| panic!("{failed}: {error}"))),
        );
        random_step(&second, random);
    }
    settle(&second);
    compare(&|read| second.read(read), &model, &format!("{context} going on"));
    let report = second.fsck(FsckDepth::Data).expect("fsck");
    assert_eq!(report.problems, [], "{context}");
}

#[test]
fn a_crash_leaves_a_prefix_with_everything_acknowledged() {
    let images = runs(10, 20);
    for seed in 0..runs(15, 100) {
        let mut random = SeededRandom::new(Seed(!seed));
        let recorded = record(Seed(seed));
        let length = recorded.tape.length();
        let flushes = recorded.tape.positions(|event| matches!(event, TapeEvent::DeviceFlush));
        let superblocks = recorded.tape.positions(
            |event| matches!(event, TapeEvent::DeviceWrite { offset, .. } if SUPERBLOCK_OFFSETS.contains(offset)),
        );
        for _ in 0..images {
            // Most of them where most may be lost or torn: just before a flush, and around a new tail.
            let among =
                |places: &[usize], random: &mut SeededRandom| places[random.below(places.len() as u64) as usize];
            let end = match random.below(4) {
                0 => random.below(length as u64 + 1) as usize,
                1 | 2 => among(&flushes, &mut random),
                _ => (among(&superblocks, &mut random) + random.below(5) as usize).min(length),
            };
            let style = STYLES[random.below(4) as usize];
            crash_once(&recorded, end, style, &mut random, &format!("seed {seed}"));
        }
    }
}

/// Between two flushes a device may lose any part of what was written: here each prefix of it is what is left, and once
/// more with that prefix lost, torn and reordered.
#[test]
fn every_prefix_of_what_was_written_since_a_flush_is_a_state_to_go_on_from() {
    let mut images = 0;
    for seed in 1000..1000 + runs(5, 50) {
        let mut random = SeededRandom::new(Seed(!seed));
        let recorded = record(Seed(seed));
        let flushes = recorded.tape.positions(|event| matches!(event, TapeEvent::DeviceFlush));
        let writes = recorded.tape.positions(|event| matches!(event, TapeEvent::DeviceWrite { .. }));
        // The longest window of the run, where a checkpoint writes back, and some others.
        let window = |index: usize| (flushes[index] + 1, flushes.get(index + 1).copied().unwrap_or(flushes[index] + 1));
        let writes_in = |(begin, end): (usize, usize)| writes.iter().filter(|at| (begin..end).contains(*at)).count();
        let longest = (0..flushes.len() - 1).max_by_key(|index| writes_in(window(*index))).expect("flushes");
        let mut windows = vec![longest];
        windows.extend((0..2).map(|_| random.below(flushes.len() as u64 - 1) as usize));
        for (begin, end) in windows.into_iter().map(window) {
            for at in writes.iter().copied().filter(|at| (begin..end).contains(at)) {
                for style in [CrashStyle::KeepAll, CrashStyle::Scramble] {
                    crash_once(&recorded, at + 1, style, &mut random, &format!("seed {seed} prefix"));
                    images += 1;
                }
            }
        }
    }
    assert!(images >= runs(50, 500), "{images} images");
}
