//! The real thing: threads, a file with O_DIRECT, RocksDB.

use std::{
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::{Arc, mpsc},
};

use bytes::Bytes;
use types::{ErrorKind, Extent, Seed, SeededRandom, StoreOp, StoreRead, StoreReadResult, Transaction};

use super::{
    super::{DiskStore, FsckDepth, RepairMode, StoreOptions},
    identity, runs,
    workload::{compare, object, read, transaction},
};
use crate::{device::FileDevice, memory::MemoryStore, object_store::ObjectStore};

struct Place {
    _folder: tempfile::TempDir,
    device: PathBuf,
    db: PathBuf,
}

fn options() -> StoreOptions {
    StoreOptions { memory_bytes: 32 << 20, journal_bytes: Some(4 << 20) }
}

fn place(device_bytes: u64) -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let (device, db) = (folder.path().join("device"), folder.path().join("db"));
    FileDevice::create_file(&device, device_bytes).expect("create");
    Place { _folder: folder, device, db }
}

fn formatted(device_bytes: u64) -> Place {
    let place = place(device_bytes);
    DiskStore::format(&place.device, &place.db, identity(), &options()).expect("format");
    place
}

fn open(place: &Place) -> DiskStore {
    let (store, found) = DiskStore::open(&place.device, &place.db, &options()).expect("open");
    assert_eq!(found, identity());
    store
}

#[test]
fn answers_as_the_model_does_with_threads_files_and_rocksdb() {
    for seed in 0..runs(3, 30) {
        let mut random = SeededRandom::new(Seed(seed));
        let place = formatted(96 << 20);
        let mut store = open(&place);
        let model = MemoryStore::new();
        let (sender, committed) = mpsc::sync_channel(10_000);
        let mut submitted = 0;
        for step in 0..600 {
            let context = format!("seed {seed} step {step}");
            match random.below(60) {
                0..=29 => {
                    let transaction = transaction(&mut random);
                    model.apply(&transaction).expect("the model is large enough");
                    let sender = sender.clone();
                    store.submit(transaction, Box::new(move |result| sender.send(result).expect("room")));
                    submitted += 1;
                }
                30 if random.chance(1, 3) => {
                    // Every other time without an orderly end.
                    if random.chance(1, 2) {
                        store.close().expect("close");
                        assert_eq!(store.close().expect_err("closed").kind, ErrorKind::Closed);
                    } else {
                        for _ in 0..std::mem::take(&mut submitted) {
                            assert_eq!(committed.recv().expect("a result"), Ok(()), "{context}");
                        }
                    }
                    drop(store);
                    store = open(&place);
                    compare(&|read| store.read(read), &model, &context);
                }
                31..=50 => {
                    let read = read(&mut random);
                    assert!(store.read(&read) == model.read(&read), "{context}: {read:?}");
                }
                _ => {
                    let changes = vec![(vec![random.below(9) as u8], Some(Bytes::from_static(b"value")))];
                    model.apply_config(&changes);
                    let sender = sender.clone();
                    store.submit_config(changes, Box::new(move |result| sender.send(result).expect("room")));
                    submitted += 1;
                    assert_eq!(store.list_config(&[]), model.list_config(&[]), "{context}");
                }
            }
        }
        for _ in 0..submitted {
            assert_eq!(committed.recv().expect("a result"), Ok(()));
        }
        compare(&|read| store.read(read), &model, "at the end");
        assert_eq!(store.fsck(FsckDepth::Data).expect("fsck").problems, []);
        store.close().expect("close");
        drop(store);
        let what = (FsckDepth::Data, RepairMode::Never);
        let report = DiskStore::fsck_offline(&place.device, &place.db, &options(), what, &mut |_| {}).expect("fsck");
        assert_eq!(report.problem_count, 0);
    }
}

#[test]
fn many_threads_write_and_read_their_own_writes() {
    let place = formatted(96 << 20);
    let store = Arc::new(open(&place));
    std::thread::scope(|scope| {
        for writer in 0..8u64 {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                for round in 0..100u64 {
                    let byte = (writer * 31 + round) as u8;
                    let length = if round % 10 == 0 { 200_000 } else { 4096 };
                    let data = Bytes::from(vec![byte; length]);
                    let write = StoreOp::Write { object: object(writer), offset: 8192, data };
                    let (sender, committed) = mpsc::sync_channel(1);
                    store.submit(
                        Transaction { ops: vec![write] },
                        Box::new(move |result| sender.send(result).expect("room")),
                    );
                    let extent = Extent { offset: 8192, length: 4096 };
                    let read = store.read(&StoreRead::Data { object: object(writer), extent });
                    assert_eq!(read, Ok(StoreReadResult::Data(vec![byte; 4096].into())));
                    assert_eq!(committed.recv().expect("a result"), Ok(()));
                }
            });
        }
    });
    store.close().expect("close");
}

#[test]
fn discarded_space_goes_back_to_the_file_system() {
    let place = formatted(96 << 20);
    let blocks = || std::fs::metadata(&place.device).expect("metadata").blocks() * 512;
    let store = open(&place);
    store.discard_free_space();
    let commit = |ops: Vec<StoreOp>| {
        let (sender, committed) = mpsc::sync_channel(1);
        store.submit(Transaction { ops }, Box::new(move |result| sender.send(result).expect("room")));
        assert_eq!(committed.recv().expect("a result"), Ok(()));
    };
    let full = blocks();
    let data = Bytes::from(vec![5; 20 << 20]);
    commit(vec![StoreOp::Write { object: object(1), offset: 0, data: data.clone() }]);
    commit(vec![StoreOp::Write { object: object(2), offset: 0, data: data.clone() }]);
    commit(vec![StoreOp::Remove { object: object(1) }]);
    store.close().expect("close");
    assert!(blocks() <= full - (20 << 20), "{} bytes of {full} are left", blocks());
    drop(store);
    let store = open(&place);
    let read = StoreRead::Data { object: object(2), extent: Extent { offset: 0, length: 20 << 20 } };
    assert_eq!(store.read(&read), Ok(StoreReadResult::Data(data)));
    assert_eq!(store.fsck(FsckDepth::Data).expect("fsck").problems, []);
}

#[test]
fn a_device_is_opened_once_and_formatted_once() {
    let place = formatted(48 << 20);
    let store = open(&place);
    let Err(error) = DiskStore::open(&place.device, &place.db, &options()) else { panic!("must not open") };
    assert!(error.message.contains("another process has it open"), "{error}");
    store.close().expect("close");
    drop(store);
    let error = DiskStore::format(&place.device, &place.db, identity(), &options()).expect_err("holds a store");
    assert_eq!(error.kind, ErrorKind::Exists);
    let info = DiskStore::info(&place.device).expect("info");
    assert_eq!((info.identity, info.generation, info.journal_bytes), (identity(), 2, 4 << 20));
    DiskStore::wipe(&place.device).expect("wipe");
    assert_eq!(DiskStore::info(&place.device).expect_err("wiped").kind, ErrorKind::NotFound);
}
