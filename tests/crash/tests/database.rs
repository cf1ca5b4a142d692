//! The store with its real database under losses of power (FOUNDATIONS 25).
//!
//! A store runs on the recording file system, device file and database folder both, with threads and everything. Then
//! the record is cut at many places: each state that a loss of power could have left there must be a whole store, must
//! open, and must hold a prefix of the submitted transactions that contains every acknowledged one, compared with the
//! model of that moment in all that objects have.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::mpsc,
};

use bytes::Bytes;
use store::{
    ArchiveContents, DiskStore, FileDevice, FsckDepth, Identity, MemoryStore, ObjectStore, RepairMode, StoreOptions,
    export,
};
use tests_crash::{Event, History, Kept, RecordingMount};
use tests_kit::count;
use types::{
    ClusterId, Extent, ObjectId, ObjectName, OsdId, OsdUuid, PgId, PgRange, PoolId, Seed, SeededRandom, StoreOp,
    StoreRead, StoreReadResult, StoreUuid, Transaction, Uuid,
};

/// Small, so that the ring wraps and the database is flushed many times in a run.
const DEVICE_BYTES: u64 = 16 << 20;
const TRANSACTIONS: u64 = 150;
/// Objects that meet all kinds of changes.
const OBJECTS: u64 = 6;
/// Cuts of each run.
const IMAGES_PER_RUN: u64 = 5;

fn options() -> StoreOptions {
    StoreOptions { memory_bytes: 16 << 20, journal_bytes: Some(1 << 20) }
}

fn identity() -> Identity {
    Identity {
        cluster: ClusterId(Uuid([1; 16])),
        osd: OsdId(3),
        osd_uuid: OsdUuid(Uuid([2; 16])),
        store_uuid: StoreUuid(Uuid([3; 16])),
    }
}

fn paths(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("device"), folder.join("db"))
}

fn open(folder: &Path) -> types::Result<DiskStore> {
    let (device, db) = paths(folder);
    DiskStore::open(&device, &db, &options()).map(|(store, _)| store)
}

fn object(number: u64) -> ObjectId {
    let hash = u32::try_from(number).expect("few objects").wrapping_mul(0x9e37_79b1);
    ObjectId::head(PoolId(1), hash, ObjectName::new(format!("object-{number}")))
}

/// Each transaction writes its number here, so that an image tells which prefix it holds.
fn counter() -> ObjectId {
    ObjectId::head(PoolId(2), 0, ObjectName::new("counter"))
}

fn transaction(number: u64, random: &mut SeededRandom) -> Transaction {
    let mut ops = Vec::new();
    for _ in 0..1 + random.below(4) {
        let object = object(random.below(OBJECTS));
        let offset = random.below(40) * [1, 4096, 4096][usize::try_from(random.below(3)).expect("small")];
        let length = [100, 4096, 9000, 60_000][usize::try_from(random.below(4)).expect("small")];
        let key = random.below(20).to_be_bytes().to_vec();
        ops.push(match random.below(10) {
            0..=4 => {
                let byte = u8::try_from(number % 251).expect("below 251");
                StoreOp::Write { object, offset, data: Bytes::from(vec![byte; length]) }
            }
            5 => StoreOp::Truncate { object, size: offset },
            6 => StoreOp::Zero { object, extent: Extent { offset, length: length as u64 } },
            7 => StoreOp::Remove { object },
            8 => StoreOp::Clone { source: crate::object(random.below(OBJECTS)), target: object },
            _ => StoreOp::OmapSet { object, entries: [(key, Bytes::from(vec![7; 200]))].into() },
        });
    }
    let value = Bytes::copy_from_slice(&number.to_le_bytes());
    ops.push(StoreOp::SetXattrs { object: counter(), xattrs: BTreeMap::from([(b"n".to_vec(), value)]) });
    Transaction { ops }
}

/// A run: what was done to the files, the model after each transaction, and how long the record was when each began.
struct Run {
    history: History,
    models: Vec<MemoryStore>,
    submitted_at: Vec<usize>,
}

/// Commits in flight at once: enough for groups of several.
const IN_FLIGHT: usize = 6;

fn run(seed: Seed) -> Option<Run> {
    let folder = tempfile::tempdir().expect("a folder");
    let mount = match RecordingMount::begin(folder.path()) {
        Ok(mount) => mount,
        Err(error) => {
            eprintln!("skipped: this user cannot mount a file system here: {error}");
            return None;
        }
    };
    let (device, db) = paths(folder.path());
    FileDevice::create_file(&device, DEVICE_BYTES).expect("make the device");
    DiskStore::format(&device, &db, identity(), &options()).expect("format");
    mount.record();

    let mut random = SeededRandom::new(seed);
    let mut store = open(folder.path()).expect("open");
    let (mut models, mut submitted_at) = (vec![MemoryStore::new()], Vec::new());
    let reopened_at = TRANSACTIONS / 4 + random.below(TRANSACTIONS / 2);
    let (sender, committed) = mpsc::sync_channel(IN_FLIGHT);
    let mut open_count = 0;
    for number in 1..=TRANSACTIONS {
        while open_count == IN_FLIGHT || (open_count > 0 && number == reopened_at) {
            committed.recv().expect("an answer");
            open_count -= 1;
        }
        if number == reopened_at {
            // Half the time without an orderly end.
            if random.chance(1, 2) {
                store.close().expect("close");
            }
            drop(store);
            store = open(folder.path()).expect("open again");
        }
        let transaction = transaction(number, &mut random);
        let model = models.last().expect("the empty one at least").clone();
        model.apply(&transaction).expect("the model takes it");
        models.push(model);
        submitted_at.push(mount.length());
        let (answer, mark) = (sender.clone(), mount.marker());
        let done = move |result: types::Result<()>| {
            // What was still on its way when the store was dropped at the end is not acknowledged.
            if result.is_ok() {
                mark(number);
            }
            answer.send(()).expect("there is room");
        };
        open_count += 1;
        store.submit(transaction, Box::new(done));
    }
    drop(store);
    let history = mount.end().expect("unmount").expect("recorded");
    Some(Run { history, models, submitted_at })
}

/// Everything that objects have, as one digest for each pool.
fn digests(store: &dyn ObjectStore) -> types::Result<Vec<[u8; 32]>> {
    let of_pool = |pool| {
        let range = PgRange::of(PgId { pool: PoolId(pool), seed: 0 }, 1);
        let contents = ArchiveContents { range, config_keys: Vec::new(), subject: Vec::new() };
        export(store, identity(), &contents, &mut std::io::sink(), &mut |_| {}).map(|summary| summary.digest)
    };
    [1, 2].into_iter().map(of_pool).collect()
}

fn number_in(store: &dyn ObjectStore) -> u64 {
    match store.read(&StoreRead::Meta { object: counter() }) {
        Ok(StoreReadResult::Meta(None)) => 0,
        Ok(StoreReadResult::Meta(Some(meta))) => {
            u64::from_le_bytes(meta.xattrs[&b"n"[..]][..].try_into().expect("eight bytes"))
        }
        other => panic!("{other:?}"),
    }
}

fn check_image(run: &Run, end: usize, kept: Kept, random: &mut SeededRandom, context: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    run.history.image(end, kept, random).copy_to(folder.path()).expect("write the image");
    let (device, db) = paths(folder.path());
    let what = (FsckDepth::Data, RepairMode::Never);
    let report = DiskStore::fsck_offline(&device, &db, &options(), what, &mut |_| {});
    let report = report.unwrap_or_else(|error| panic!("{context}: fsck: {error}"));
    // A superblock that was being written may be torn; the other one tells everything.
    let problems: Vec<_> = report.problems.iter().filter(|problem| problem.name() != "superblock").collect();
    assert!(problems.is_empty(), "{context}: {problems:?}");

    let store = open(folder.path()).unwrap_or_else(|error| panic!("{context}: open: {error}"));
    let number = number_in(&store);
    let acknowledged = run.history.marks(end).max().unwrap_or(0);
    let submitted = run.submitted_at.iter().take_while(|at| **at <= end).count() as u64;
    assert!(
        (acknowledged..=submitted).contains(&number),
        "{context}: holds {number}, acknowledged {acknowledged}, submitted {submitted}"
    );
    let model = &run.models[usize::try_from(number).expect("few transactions")];
    assert_eq!(digests(&store), digests(model), "{context}: transaction {number}");
    assert_eq!(store.fsck(FsckDepth::Data).expect("fsck").problems, [], "{context}");
    store.close().unwrap_or_else(|error| panic!("{context}: close: {error}"));
}

#[test]
fn a_loss_of_power_leaves_a_prefix_with_everything_acknowledged() {
    for seed in 0..count(1, 20) {
        let Some(run) = run(Seed(seed)) else { return };
        let events = run.history.events();
        let places = |wanted: fn(&Event) -> bool| -> Vec<usize> {
            events.iter().enumerate().filter(|(_, event)| wanted(event)).map(|(index, _)| index).collect()
        };
        let syncs = places(|event| matches!(event, Event::Sync(_) | Event::SyncFolder(_)));
        let names =
            places(|event| matches!(event, Event::Rename { .. } | Event::MakeFile { .. } | Event::Unlink { .. }));
        let writes = places(|event| matches!(event, Event::Write { .. }));
        assert!(names.len() > 5 && syncs.len() > 50 && writes.len() > 100, "the run does all kinds of things");
        let mut random = SeededRandom::new(Seed(!seed));
        for image in 0..IMAGES_PER_RUN {
            let among = [&syncs, &names, &writes][usize::try_from(image % 3).expect("small")];
            let at = among[usize::try_from(random.below(among.len() as u64)).expect("small")];
            // Just before a flush, where the most may be lost; just behind a new name or a write.
            let end = if image % 3 == 0 { at } else { at + 1 };
            let kept =
                [Kept::Any, Kept::Any, Kept::Nothing, Kept::Any, Kept::All][usize::try_from(image).expect("small")];
            check_image(&run, end, kept, &mut random, &format!("seed {seed} end {end} of {} {kept:?}", events.len()));
        }
    }
}
