//! Flipped bits: whatever bit of the device rots, nobody is told wrong bytes; and a torn tail is told from damage.

use std::sync::Arc;

use bytes::Bytes;
use types::{ErrorKind, Extent, Seed, SeededRandom, StoreOp, StoreRead, StoreReadResult, Transaction};

use super::{
    super::{checkpoint::Scope, engine::Engine, state::Change, superblock::Superblock},
    formatted, open, runs,
    workload::{difference, object, random_step, settle, transaction},
};
use crate::{
    device::{BlockDevice, MemoryDevice},
    key_value::MemoryKeyValue,
    memory::MemoryStore,
};

fn write(number: u64, offset: u64, byte: u8, length: usize) -> Transaction {
    let data = Bytes::from(vec![byte; length]);
    Transaction { ops: vec![StoreOp::Write { object: object(number), offset, data }] }
}

fn submit(engine: &Engine, transaction: Transaction) {
    engine.submit(Change::Objects(transaction), Box::new(|result| assert_eq!(result, Ok(()))));
}

#[test]
fn no_flipped_bit_leads_to_wrong_bytes() {
    let (mut refused, mut damaged, mut unharmed) = (0, 0, 0);
    for seed in 0..runs(20, 50) {
        let mut random = SeededRandom::new(Seed(seed));
        let (device, keys) = formatted(6 << 20);
        let (device, keys) = (Arc::new(device), Arc::new(keys));
        let engine = open(&device, &keys).expect("open");
        let model = MemoryStore::new();
        for _ in 0..60 {
            let transaction = transaction(&mut random);
            model.apply(&transaction).expect("the model is large enough");
            submit(&engine, transaction);
            random_step(&engine, &mut random);
        }
        settle(&engine);
        engine.step_certain();
        let superblock = Superblock::read(&*device).expect("superblock");
        let content = device.content();
        for flip in 0..runs(50, 200) {
            // A third each on superblocks, on the live part of the ring, and on the data area.
            let at = match random.below(3) {
                0 => random.below(4096) + (64 << 10) * random.below(2),
                1 => {
                    let state = engine.state();
                    let used = state.ring_used().max(1);
                    superblock.layout.ring_start
                        + (state.tail_position + random.below(used)) % superblock.layout.ring_bytes
                }
                _ => {
                    let data = content.len() as u64 - superblock.layout.data_start;
                    superblock.layout.data_start + random.below(data)
                }
            };
            let context = format!("seed {seed} flip {flip} at {at}");
            let rotten = MemoryDevice::with_content(content.clone());
            rotten.flip_bit(at as usize, random.below(8) as u8);
            let copy = MemoryKeyValue::with_content(keys.content());
            match open(&Arc::new(rotten), &Arc::new(copy)) {
                Err(error) => {
                    assert!(matches!(error.kind, ErrorKind::Damaged | ErrorKind::Invalid), "{context}: {error}");
                    refused += 1;
                }
                Ok(engine) => {
                    let mut reads_damaged = 0;
                    let difference = difference(&|read| engine.read(read), &model, Some(&mut reads_damaged));
                    assert_eq!(difference, None, "{context}");
                    damaged += reads_damaged;
                    unharmed += u64::from(reads_damaged == 0);
                }
            }
        }
    }
    assert!(refused > 0 && damaged > 0 && unharmed > 0, "refused {refused} damaged {damaged} unharmed {unharmed}");
}

#[test]
fn damage_names_object_offset_expected_and_found_and_heals_by_a_whole_write() {
    let (device, keys) = formatted(6 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let engine = open(&device, &keys).expect("open");
    submit(&engine, write(1, 0, 7, 20_000));
    settle(&engine);
    engine.step_checkpoint(Scope::Trim);
    let content = device.content();
    let place = content.windows(100).rposition(|window| window == [7; 100]).expect("the data is on the device");
    device.flip_bit(place, 3);
    let read = StoreRead::Data { object: object(1), extent: Extent { offset: 0, length: 20_000 } };
    let error = engine.read(&read).expect_err("damaged");
    assert_eq!(error.kind, ErrorKind::Damaged);
    for part in ["object-1", "offset 16384", "should have checksum", "and has"] {
        assert!(error.message.contains(part), "{error}");
    }
    let before = StoreRead::Data { object: object(1), extent: Extent { offset: 0, length: 16_384 } };
    assert_eq!(engine.read(&before), Ok(StoreReadResult::Data(vec![7; 16_384].into())));

    submit(&engine, write(1, 17_000, 8, 10));
    settle(&engine);
    assert_eq!(engine.read(&read).expect_err("a part does not heal").kind, ErrorKind::Damaged);
    device.flip_bit(place, 3);
    assert_eq!(engine.read(&read).expect_err("the lost part stays lost").kind, ErrorKind::Damaged);
    submit(&engine, write(1, 16_384, 9, 4096));
    settle(&engine);
    let found = engine.read(&read).expect("healed");
    assert_eq!(found, StoreReadResult::Data([vec![7; 16_384], vec![9; 3616]].concat().into()));
}

/// The positions of the groups that hold transactions, after a run of single commits.
fn committed_singly(device: &Arc<MemoryDevice>, keys: &Arc<MemoryKeyValue>) -> Vec<u64> {
    let engine = open(device, keys).expect("open");
    let mut positions = Vec::new();
    for number in 0..4 {
        positions.push(engine.state().head_position);
        submit(&engine, write(number, 0, 1, 4096));
        settle(&engine);
    }
    positions
}

#[test]
fn a_torn_tail_is_the_end_and_a_torn_middle_is_damage() {
    let (device, keys) = formatted(6 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let keys_before = keys.content();
    let positions = committed_singly(&device, &keys);
    let ring_start = Superblock::read(&*device).expect("superblock").layout.ring_start;
    // The database as it was: all metadata must come from the journal.
    let identity = keys.content().into_iter().filter(|(key, _)| &key[..] == b"I");
    let old_keys: Vec<_> = keys_before.into_iter().filter(|(key, _)| &key[..] != b"I").chain(identity).collect();
    let content = device.content();
    let reopened = |spoiled: u64| {
        let device = MemoryDevice::with_content(content.clone());
        device.flip_bit((ring_start + spoiled) as usize + 70, 1);
        open(&Arc::new(device), &Arc::new(MemoryKeyValue::with_content(old_keys.clone())))
    };

    let engine = reopened(positions[3]).expect("the last group may be torn");
    let exists =
        |number| matches!(engine.read(&StoreRead::Meta { object: object(number) }), Ok(StoreReadResult::Meta(Some(_))));
    assert!(exists(2) && !exists(3));
    let Err(error) = reopened(positions[1]) else { panic!("a flushed group must not be taken for the end") };
    assert_eq!(error.kind, ErrorKind::Damaged);
    assert!(error.message.contains("record 2"), "{error}");
}

#[test]
fn an_idle_store_makes_its_tail_certain() {
    let (device, keys) = formatted(6 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let old_keys = keys.content();
    let position = {
        let engine = open(&device, &keys).expect("open");
        let position = engine.state().head_position;
        submit(&engine, write(1, 0, 1, 100));
        settle(&engine);
        assert!(engine.step_certain());
        assert!(!engine.step_certain(), "once is enough");
        position
    };
    let identity = keys.content().into_iter().filter(|(key, _)| &key[..] == b"I");
    let old_keys: Vec<_> = old_keys.into_iter().filter(|(key, _)| &key[..] != b"I").chain(identity).collect();
    let ring_start = Superblock::read(&*device).expect("superblock").layout.ring_start;
    device.flip_bit((ring_start + position) as usize + 100, 0);
    let Err(error) = open(&device, &Arc::new(MemoryKeyValue::with_content(old_keys))) else {
        panic!("an acknowledged transaction would be lost without a word")
    };
    assert_eq!(error.kind, ErrorKind::Damaged);
}

#[test]
fn a_damaged_payload_in_the_journal_damages_its_object_only() {
    let (device, keys) = formatted(6 << 20);
    let (device, keys) = (Arc::new(device), Arc::new(keys));
    let positions = committed_singly(&device, &keys);
    let ring_start = Superblock::read(&*device).expect("superblock").layout.ring_start;
    device.flip_bit((ring_start + positions[1]) as usize + 4096 + 500, 1);
    let engine = open(&device, &keys).expect("bad payload does not stop the store");
    let read =
        |number| engine.read(&StoreRead::Data { object: object(number), extent: Extent { offset: 0, length: 4096 } });
    assert_eq!(read(1).expect_err("its bytes are lost").kind, ErrorKind::Damaged);
    for number in [0, 2, 3] {
        assert_eq!(read(number), Ok(StoreReadResult::Data(vec![1; 4096].into())));
    }
    assert_eq!(device.name(), "memory");
}
