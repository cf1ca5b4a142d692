//! Full devices: refused with the right kind, nothing lost, and space comes back by removing.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use types::{ErrorKind, Extent, Result, Seed, SeededRandom, StoreOp, StoreRead, StoreReadResult, Transaction};

use super::{
    super::{engine::Engine, fsck::FsckDepth, state::Change},
    formatted, open, runs,
    workload::{compare, difference, object, random_step, settle},
};
use crate::{
    device::MemoryDevice,
    key_value::MemoryKeyValue,
    memory::MemoryStore,
    tape::{CrashStyle, Tape, TapeEvent},
};

/// Submits, brings to the end, and tells the outcome.
fn outcome(engine: &Engine, transaction: Transaction) -> Result<()> {
    let outcome = Arc::new(Mutex::new(None));
    let told = Arc::clone(&outcome);
    engine.submit(
        Change::Objects(transaction),
        Box::new(move |result| *told.lock().expect("not poisoned") = Some(result)),
    );
    settle(engine);
    let outcome = outcome.lock().expect("not poisoned").take();
    outcome.expect("the callback was called")
}

fn set_omap(number: u64, entries: u32) -> Transaction {
    let entries = (0..entries).map(|key| (key.to_be_bytes().to_vec(), Bytes::from(vec![1; 1000]))).collect();
    Transaction { ops: vec![StoreOp::OmapSet { object: object(number), entries }] }
}

fn write(number: u64, offset: u64, length: usize) -> Transaction {
    let data = Bytes::from(vec![number as u8; length]);
    Transaction { ops: vec![StoreOp::Write { object: object(number), offset, data }] }
}

#[test]
fn a_full_device_refuses_data_takes_removals_and_goes_on() {
    for seed in 0..4 {
        let mut random = SeededRandom::new(Seed(seed));
        let (device, keys) = formatted(3 << 20);
        let (device, keys) = (Arc::new(device), Arc::new(keys));
        let mut engine = open(&device, &keys).expect("open");
        let model = MemoryStore::new();
        let mut refusals = 0;
        for round in 0..60 {
            let mut number = 0;
            while number < 1000 && random.chance(99, 100) {
                let transaction = write(number, random.below(20) * 4096, 1 + random.below(50_000) as usize);
                match outcome(&engine, transaction.clone()) {
                    Ok(()) => model.apply(&transaction).expect("the model is large enough"),
                    Err(error) => {
                        assert_eq!(error.kind, ErrorKind::Full, "seed {seed}: {error}");
                        refusals += 1;
                        break;
                    }
                }
                random_step(&engine, &mut random);
                number += 1;
            }
            for _ in 0..random.below(60) {
                let transaction = Transaction { ops: vec![StoreOp::Remove { object: object(random.below(60)) }] };
                assert_eq!(outcome(&engine, transaction.clone()), Ok(()), "removals always work");
                model.apply(&transaction).expect("the model is large enough");
            }
            if random.chance(1, 10) {
                engine = open(&device, &keys).expect("reopen");
            }
            compare(&|read| engine.read(read), &model, &format!("seed {seed} round {round}"));
        }
        assert!(refusals > 5, "seed {seed}: the device was full {refusals} times");
        let report = engine.fsck(FsckDepth::Data).expect("fsck");
        assert_eq!(report.problems, []);
    }
}

/// The story of OSDs that fill faster than anybody looks: no pause between writes, no word about how full it is, to the
/// last unit; then the power goes. What was acknowledged is there, what was refused is not, removals work, and it goes on.
#[test]
fn filled_as_fast_as_writes_come_then_crashed_then_emptied_and_filled_again() {
    for seed in 0..runs(4, 40) {
        let mut random = SeededRandom::new(Seed(seed));
        let (device, keys) = formatted(4 << 20);
        let tape = Tape::new(device.content(), keys.content());
        let device = Arc::new(MemoryDevice::recorded(device.content(), Arc::clone(&tape)));
        let keys = Arc::new(MemoryKeyValue::recorded(keys.content(), Arc::clone(&tape)));
        let engine = open(&device, &keys).expect("open");
        let outcomes: Arc<Mutex<Vec<Option<Result<()>>>>> = Arc::default();
        let mut transactions = Vec::new();
        let submit = |transaction: Transaction, transactions: &mut Vec<Transaction>| {
            let number = transactions.len();
            transactions.push(transaction.clone());
            outcomes.lock().expect("not poisoned").push(None);
            let (outcomes, tape) = (Arc::clone(&outcomes), Arc::clone(&tape));
            engine.submit(
                Change::Objects(transaction),
                Box::new(move |result| {
                    if result.is_ok() {
                        tape.record(TapeEvent::Mark(number as u64));
                    }
                    outcomes.lock().expect("not poisoned")[number] = Some(result);
                }),
            );
        };
        for _ in 0..120 {
            let number = transactions.len() as u64;
            let length = 1 + random.below(120_000) as usize;
            submit(write(number, random.below(4) * 4096, length), &mut transactions);
            if random.chance(1, 8) {
                random_step(&engine, &mut random);
            }
        }
        // The last units, one by one.
        for _ in 0..400 {
            let number = transactions.len() as u64;
            submit(write(number, 0, 4096), &mut transactions);
        }
        settle(&engine);
        let state = engine.state();
        assert_eq!(state.allocator.free_units(), state.reserve_units, "seed {seed}: to the last unit");
        drop(state);
        let outcomes: Vec<Result<()>> =
            outcomes.lock().expect("not poisoned").iter().cloned().map(|one| one.expect("answered once")).collect();
        let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert!(refused > 100, "seed {seed}: {refused} refusals");
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(error.kind, ErrorKind::Full, "seed {seed}: {error}");
        }
        // Every state between two transactions that were taken.
        let model = MemoryStore::new();
        let mut models = vec![(None, model.clone())];
        for (number, transaction) in transactions.iter().enumerate().filter(|(number, _)| outcomes[*number].is_ok()) {
            model.apply(transaction).expect("the model is large enough");
            models.push((Some(number as u64), model.clone()));
        }
        for image in 0..6 {
            let end = if image == 0 { tape.length() } else { random.below(tape.length() as u64 + 1) as usize };
            let style = [CrashStyle::KeepAll, CrashStyle::LoseUnflushed, CrashStyle::Scramble][image % 3];
            let context = format!("seed {seed} end {end} {style:?}");
            let acknowledged = tape.marks(end).into_iter().max();
            let (device, keys) = tape.crash_image(end, style, &mut random);
            let (device, keys) = (Arc::new(device), Arc::new(keys));
            let engine = open(&device, &keys).unwrap_or_else(|error| panic!("{context}: {error}"));
            let held = models.iter().position(|(last, model)| {
                *last >= acknowledged && difference(&|read| engine.read(read), model, None).is_none()
            });
            let held = held.unwrap_or_else(|| panic!("{context}: no state from {acknowledged:?} on is held"));
            let model = models[held].1.clone();
            for number in 0..transactions.len() as u64 {
                let remove = Transaction { ops: vec![StoreOp::Remove { object: object(number) }] };
                assert_eq!(outcome(&engine, remove.clone()), Ok(()), "{context}: removals always work");
                model.apply(&remove).expect("the model takes it");
            }
            assert_eq!(outcome(&engine, write(7, 0, 1 << 20)), Ok(()), "{context}: space is there again");
            model.apply(&write(7, 0, 1 << 20)).expect("the model takes it");
            compare(&|read| engine.read(read), &model, &context);
            assert_eq!(engine.fsck(FsckDepth::Data).expect("fsck").problems, [], "{context}");
        }
    }
}

/// The story: a replica's log entries 7 and 8 were on their way to a full device; 7 was refused, 8 found room in a unit
/// that it overwrote, and after a restart the log went from 6 to 8 as if nothing were missing.
#[test]
fn where_transactions_build_on_each_other_a_refused_one_lets_none_behind_it_in() {
    for (limit, too_much) in [("space", write(9, 0, 3 << 20)), ("journal", set_omap(9, 70))] {
        let (device, keys) = formatted(3 << 20);
        let (device, keys) = (Arc::new(device), Arc::new(keys));
        let engine = open(&device, &keys).expect("open");
        engine.stop_at_refusal();
        assert_eq!(outcome(&engine, write(1, 0, 4096)), Ok(()));
        let outcomes: Arc<Mutex<Vec<Result<()>>>> = Arc::default();
        for transaction in [write(2, 0, 4096), too_much, write(3, 0, 4096)] {
            let told = Arc::clone(&outcomes);
            engine.submit(
                Change::Objects(transaction),
                Box::new(move |result| told.lock().expect("not poisoned").push(result)),
            );
        }
        settle(&engine);
        let outcomes = std::mem::take(&mut *outcomes.lock().expect("not poisoned"));
        let kinds: Vec<_> =
            outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(|error| error.kind).collect();
        assert!(outcomes.len() == 3 && kinds.iter().all(|kind| *kind == ErrorKind::Closed), "{limit}: {outcomes:?}");
        assert!(kinds.len() >= 2, "{limit}: the refused one and the one behind it: {outcomes:?}");
        drop(engine);
        let engine = open(&device, &keys).expect("open again");
        let exists = |number| {
            let found = engine.read(&StoreRead::Meta { object: object(number) });
            matches!(found, Ok(StoreReadResult::Meta(Some(_))))
        };
        assert!(exists(1) && !exists(9) && !exists(3), "{limit}: a prefix");
    }
}

#[test]
fn data_that_others_build_on_may_use_what_is_kept_back() {
    let (device, keys) = formatted(6 << 20);
    let engine = open(&Arc::new(device), &Arc::new(keys)).expect("open");
    let mut number = 0;
    while outcome(&engine, write(number, 0, 4096)).is_ok() {
        number += 1;
    }
    let kept = engine.state().reserve_units;
    assert_eq!(engine.state().allocator.free_units(), kept);
    let used = engine.usage().expect("usage").used_bytes;
    assert_eq!(outcome(&engine, Transaction { ops: vec![StoreOp::Remove { object: object(0) }] }), Ok(()));
    assert_eq!(engine.usage().expect("usage").used_bytes, used - 4096, "what is given back counts as free at once");
    engine.stop_at_refusal();
    assert_eq!(outcome(&engine, write(0, 0, 4096)), Ok(()));
    assert_eq!(engine.state().reserve_units, kept.min(16));
}

#[test]
fn what_is_freed_is_found_again_without_waiting_for_a_checkpoint() {
    let (device, keys) = formatted(3 << 20);
    let engine = open(&Arc::new(device), &Arc::new(keys)).expect("open");
    // Each rewrite needs as much as there is; what the last one freed must come back by itself.
    for _ in 0..30 {
        assert_eq!(outcome(&engine, write(1, 0, 900 << 10)), Ok(()));
    }
    assert_eq!(outcome(&engine, write(2, 0, 1500 << 10)).expect_err("too much").kind, ErrorKind::Full);
}

#[test]
fn clones_share_space_until_they_differ() {
    let (device, keys) = formatted(8 << 20);
    let engine = open(&Arc::new(device), &Arc::new(keys)).expect("open");
    let used = || {
        assert!(!engine.step_apply());
        engine.step_checkpoint(super::super::checkpoint::Scope::Trim);
        engine.usage().expect("usage").used_bytes
    };
    assert_eq!(outcome(&engine, write(1, 0, 1 << 20)), Ok(()));
    for target in 2..6 {
        let clone = StoreOp::Clone { source: object(1), target: object(target) };
        assert_eq!(outcome(&engine, Transaction { ops: vec![clone] }), Ok(()));
    }
    assert_eq!(used(), 1 << 20);
    assert_eq!(outcome(&engine, write(1, 8192, 4096)), Ok(()));
    assert_eq!(used(), (1 << 20) + 4096);
    let read = StoreRead::Data { object: object(5), extent: Extent { offset: 0, length: 1 << 20 } };
    assert_eq!(engine.read(&read), Ok(StoreReadResult::Data(vec![1; 1 << 20].into())));
    for number in 1..5 {
        let remove = StoreOp::Remove { object: object(number) };
        assert_eq!(outcome(&engine, Transaction { ops: vec![remove] }), Ok(()));
    }
    assert_eq!(used(), 1 << 20);
    assert_eq!(engine.read(&read), Ok(StoreReadResult::Data(vec![1; 1 << 20].into())));
    assert_eq!(outcome(&engine, Transaction { ops: vec![StoreOp::Remove { object: object(5) }] }), Ok(()));
    assert_eq!(used(), 0);
}

#[test]
fn a_transaction_larger_than_a_record_may_be_is_refused_whole() {
    let (device, keys) = formatted(8 << 20);
    let engine = open(&Arc::new(device), &Arc::new(keys)).expect("open");
    let entries = |count: u32| (0..count).map(|key| (key.to_be_bytes().to_vec(), Bytes::from(vec![1; 1000]))).collect();
    let set = |count| Transaction {
        ops: vec![
            StoreOp::Touch { object: object(2) },
            StoreOp::OmapSet { object: object(1), entries: entries(count) },
        ],
    };
    let error = outcome(&engine, set(70)).expect_err("more than a sixteenth of the ring");
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(engine.read(&StoreRead::Meta { object: object(2) }), Ok(StoreReadResult::Meta(None)));
    assert_eq!(outcome(&engine, set(60)), Ok(()));
}
