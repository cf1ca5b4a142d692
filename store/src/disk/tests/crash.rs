//! Crashes: any prefix of what was done to the two halves, with everything unflushed kept, lost, torn or reordered.
//!
//! After each the store must open; hold a prefix of the submitted transactions that contains every acknowledged one,
//! whole, compared byte by byte with the model of that moment; pass its own check; and go on working. A second crash
//! during the replay must change nothing of that.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use types::{
    ObjectId, ObjectName, PoolId, Result, Seed, SeededRandom, StoreOp, StoreRead, StoreReadResult, Transaction,
};

use super::{
    super::{engine::Engine, fsck::FsckDepth, state::Change},
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
const STEPS: u64 = 160;
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

fn record(seed: Seed, random: &mut SeededRandom) -> Recorded {
    let (device, keys) = formatted(DEVICE_BYTES);
    let tape = Tape::new(device.content(), keys.content());
    let device = Arc::new(MemoryDevice::recorded(device.content(), Arc::clone(&tape)));
    let keys = Arc::new(MemoryKeyValue::recorded(keys.content(), Arc::clone(&tape)));
    let engine = open(&device, &keys).expect("open");
    let model = MemoryStore::new();
    let mut recorded = Recorded { tape: Arc::clone(&tape), models: vec![model.clone()], submitted_at: Vec::new() };
    for _ in 0..STEPS {
        if random.chance(1, 3) {
            let number = recorded.models.len() as u64;
            let transaction = numbered(transaction(random), number);
            model.apply(&transaction).expect("the model is large enough");
            recorded.models.push(model.clone());
            recorded.submitted_at.push(tape.length());
            let tape = Arc::clone(&tape);
            engine.submit(
                Change::Objects(transaction),
                Box::new(move |result| {
                    result.unwrap_or_else(|error| panic!("seed {seed}: transaction {number}: {error}"));
                    tape.record(TapeEvent::Mark(number));
                }),
            );
        } else {
            random_step(&engine, random);
        }
    }
    recorded
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

fn crash_once(recorded: &Recorded, end: usize, random: &mut SeededRandom, context: &str) {
    let style = STYLES[random.below(4) as usize];
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
    assert_eq!(report.problems, Vec::<String>::new(), "{context}");
}

#[test]
fn a_crash_leaves_a_prefix_with_everything_acknowledged() {
    let images = runs(10, 60);
    for seed in 0..runs(40, 100) {
        let mut random = SeededRandom::new(Seed(seed));
        let recorded = record(Seed(seed), &mut random);
        for _ in 0..images {
            let end = random.below(recorded.tape.length() as u64 + 1) as usize;
            crash_once(&recorded, end, &mut random, &format!("seed {seed}"));
        }
    }
}
