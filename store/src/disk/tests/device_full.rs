//! Full devices: refused with the right kind, nothing lost, and space comes back by removing.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use types::{ErrorKind, Extent, Result, Seed, SeededRandom, StoreOp, StoreRead, StoreReadResult, Transaction};

use super::{
    super::{engine::Engine, fsck::FsckDepth, state::Change},
    formatted, open,
    workload::{compare, object, random_step, settle},
};
use crate::memory::MemoryStore;

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
        assert_eq!(report.problems, Vec::<String>::new());
    }
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
