//! Random transactions and reads, compared with the model after every step, with reopening in between.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use types::{Seed, SeededRandom};

use super::{
    super::{fsck::FsckDepth, state::Change},
    formatted, open, runs,
    workload::{compare, random_step, read, settle, transaction},
};
use crate::{memory::MemoryStore, object_store::ObjectStore};

const STEPS: u64 = 500;

#[test]
fn answers_as_the_model_does() {
    for seed in 0..runs(100, 1000) {
        run(Seed(seed));
    }
}

fn run(seed: Seed) {
    let mut random = SeededRandom::new(seed);
    let (device, keys) = formatted(24 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let mut engine = open(&device, &keys).expect("open");
    engine.state().discards = true;
    let model = MemoryStore::new();
    let committed = Arc::new(AtomicU64::new(0));
    let mut submitted = 0;
    for step in 0..STEPS {
        let context = format!("seed {seed} step {step}");
        match random.below(40) {
            0..=11 => {
                let transaction = transaction(&mut random);
                submitted += 1;
                model.apply(&transaction).expect("the model is large enough");
                let (committed, context) = (Arc::clone(&committed), context.clone());
                engine.submit(
                    Change::Objects(transaction),
                    Box::new(move |result| {
                        result.unwrap_or_else(|error| panic!("{context}: {error}"));
                        committed.fetch_add(1, Ordering::Relaxed);
                    }),
                );
            }
            12 => {
                let key = vec![b'k', random.below(4) as u8];
                let value = random.chance(2, 3).then(|| Bytes::from(random.draw().to_le_bytes().to_vec()));
                model.apply_config(&[(key.clone(), value.clone())]);
                engine.submit_config(vec![(key, value)], Box::new(|result| assert_eq!(result, Ok(()))));
            }
            13..=18 => {
                let read = read(&mut random);
                let expected = model.read(&read);
                if let Some(found) = engine.try_read(&read) {
                    assert!(found == expected, "{context}: try_read {read:?}");
                }
                assert!(engine.read(&read) == expected, "{context}: {read:?}");
            }
            19 => {
                assert_eq!(engine.list_config(b"k"), model.list_config(b"k"), "{context}");
                assert_eq!(engine.read_config(&[b'k', 1]), model.read_config(&[b'k', 1]), "{context}");
            }
            20 if random.chance(1, 4) => {
                settle(&engine);
                if random.chance(1, 2) {
                    engine.step_checkpoint(super::super::checkpoint::Scope::Trim);
                }
                engine = open(&device, &keys).unwrap_or_else(|error| panic!("{context}: reopen: {error}"));
                engine.state().discards = random.chance(1, 2);
                compare(&|read| engine.read(read), &model, &context);
            }
            _ => random_step(&engine, &mut random),
        }
    }
    settle(&engine);
    compare(&|read| engine.read(read), &model, &format!("seed {seed} at the end"));
    let report = engine.fsck(FsckDepth::Data).expect("fsck");
    assert_eq!(report.problems, [], "seed {seed}");
    assert_eq!(committed.load(Ordering::Relaxed), submitted, "seed {seed}: every callback is called once");
}
