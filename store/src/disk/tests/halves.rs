//! Two halves, one store: whatever does not belong together is refused with the reason; and after the first failure
//! everything is refused.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use types::{ErrorKind, Seed, SeededRandom, StoreOp, StoreRead, StoreReadResult, StoreUuid, Transaction, Uuid};

use super::{
    super::{checkpoint::Scope, replay, state::Change, superblock::Identity},
    RING_BYTES, formatted, identity, open,
    workload::{difference, object, random_step, settle, transaction},
};
use crate::{device::MemoryDevice, key_value::MemoryKeyValue, memory::MemoryStore};

fn touch(number: u64) -> Change {
    Change::Objects(Transaction { ops: vec![StoreOp::Touch { object: object(number) }] })
}

#[test]
fn the_database_of_another_store_is_refused_with_the_reason() {
    let (device, _) = formatted(6 << 20);
    let other = Identity { store_uuid: StoreUuid(Uuid([9; 16])), ..identity() };
    let keys = MemoryKeyValue::new();
    replay::format(&MemoryDevice::new(6 << 20), &keys, other, Some(RING_BYTES)).expect("format");
    let device = Arc::new(device);
    let Err(error) = open(&device, &Arc::new(keys)) else { panic!("must not open") };
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.message.contains("09090909-0909-0909-0909-090909090909"), "{error}");
    let Err(error) = open(&device, &Arc::new(MemoryKeyValue::new())) else { panic!("must not open") };
    assert!(error.message.contains("belongs to no store"), "{error}");
}

#[test]
fn an_old_copy_of_either_half_is_refused() {
    let (device, keys) = formatted(6 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    drop(open(&device, &keys).expect("open"));
    let (old_device, old_keys) = (device.content(), keys.content());
    for _ in 0..2 {
        let engine = open(&device, &keys).expect("open");
        engine.submit(touch(1), Box::new(|result| assert_eq!(result, Ok(()))));
        settle(&engine);
        engine.step_checkpoint(Scope::Trim);
    }
    let with_old_keys = open(&device, &Arc::new(MemoryKeyValue::with_content(old_keys)));
    let with_old_device = open(&Arc::new(MemoryDevice::with_content(old_device)), &keys);
    for refused in [with_old_keys, with_old_device] {
        let Err(error) = refused else { panic!("must not open") };
        assert_eq!(error.kind, ErrorKind::Invalid);
        assert!(error.message.contains("old copy"), "{error}");
    }
    assert!(open(&device, &keys).is_ok());
}

#[test]
fn a_database_that_lost_what_the_journal_no_longer_tells_is_refused() {
    let (device, keys) = formatted(6 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let engine = open(&device, &keys).expect("open");
    let opened_keys = keys.content();
    engine.submit(touch(1), Box::new(|result| assert_eq!(result, Ok(()))));
    settle(&engine);
    engine.step_checkpoint(Scope::Trim);
    drop(engine);
    let Err(error) = open(&device, &Arc::new(MemoryKeyValue::with_content(opened_keys))) else {
        panic!("must not open")
    };
    assert_eq!(error.kind, ErrorKind::Damaged);
    assert!(error.message.contains("the journal begins at 2"), "{error}");
}

#[test]
fn after_the_first_failure_everything_is_refused_and_nothing_acknowledged_is_lost() {
    for operations in 0..40 {
        let seed = Seed(operations);
        let mut random = SeededRandom::new(seed);
        let (device, keys) = formatted(6 << 20);
        let (device, keys) = (Arc::new(device), Arc::new(keys));
        let engine = open(&device, &keys).expect("open");
        let models = (0..31).scan(MemoryStore::new(), |model, number| {
            let before = model.clone();
            let transaction = transaction(&mut random);
            model.apply(&transaction).expect("the model is large enough");
            Some((number, before, transaction))
        });
        let models: Vec<_> = models.collect();
        device.fail_after(operations);
        let (committed, failed) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        for (number, _, transaction) in &models[..30] {
            let (committed, failed, number) = (Arc::clone(&committed), Arc::clone(&failed), *number);
            engine.submit(
                Change::Objects(transaction.clone()),
                Box::new(move |result| match result {
                    Ok(()) => assert_eq!(committed.fetch_add(1, Ordering::Relaxed), number, "in order"),
                    Err(error) => {
                        assert_eq!(error.kind, ErrorKind::Closed, "{error}");
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }),
            );
            random_step(&engine, &mut random);
        }
        settle(&engine);
        device.fail_after(0);
        engine.step_checkpoint(Scope::Trim);
        let (committed, failed) = (committed.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
        assert_eq!(committed + failed, 30, "seed {seed}: every callback is called once");
        let refusal = engine.read(&StoreRead::Meta { object: object(1) }).expect_err("refused");
        assert!(refusal.kind == ErrorKind::Closed && refusal.message.contains("device memory"), "{refusal}");
        assert!(engine.read_config(b"x").is_err());
        drop(engine);

        device.fail_after(u64::MAX);
        let engine = open(&device, &keys).expect("reopen");
        // Nothing crashed, so what reached the device is there: at least what was acknowledged, perhaps a group more.
        let held = (committed as usize..31)
            .find(|number| difference(&|read| engine.read(read), &models[*number].1, None).is_none());
        assert!(held.is_some(), "seed {seed}: {committed} were acknowledged, and no prefix from there on is held");
    }
}

#[test]
fn a_failing_database_stops_the_store_too() {
    let (device, keys) = formatted(6 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let engine = open(&device, &keys).expect("open");
    keys.fail();
    engine.submit(touch(1), Box::new(|result| assert_eq!(result, Ok(()), "the journal has it")));
    settle(&engine);
    assert_eq!(engine.read_config(b"x").expect_err("refused").kind, ErrorKind::Closed);
    drop(engine);
    let working = Arc::new(MemoryKeyValue::with_content(keys.content()));
    let engine = open(&device, &working).expect("reopen");
    let Ok(StoreReadResult::Meta(Some(meta))) = engine.read(&StoreRead::Meta { object: object(1) }) else {
        panic!("the acknowledged object is there")
    };
    assert_eq!((meta.size, meta.omap_header), (0, Bytes::new()));
}
