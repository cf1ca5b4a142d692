//! Out of one store, into another, and every way in which that is refused.

#![expect(clippy::cast_possible_truncation, reason = "numbers of a test are bounded far below every type's limit")]

use std::{
    collections::BTreeMap,
    io::Cursor,
    sync::{Arc, mpsc},
};

use bytes::Bytes;
use types::{
    ClusterId, ErrorKind, ObjectId, ObjectName, OsdId, OsdUuid, PgId, PgRange, PoolId, Result, Seed, SeededRandom,
    StoreOp, StoreRead, StoreReadResult, StoreUuid, Transaction, Uuid,
};

use super::{
    ArchiveContents, ArchiveSummary, ImportMode, ImportOutcome, ImportSettings, describe, export, import, read_header,
};
use crate::{
    device::MemoryDevice,
    disk::{DiskStore, FsckDepth, Identity, StoreOptions},
    key_value::MemoryKeyValue,
    memory::MemoryStore,
    object_store::ObjectStore,
};

const MARK: &[u8] = b"unfinished";

fn identity() -> Identity {
    Identity {
        cluster: ClusterId(Uuid([1; 16])),
        osd: OsdId(3),
        osd_uuid: OsdUuid(Uuid([2; 16])),
        store_uuid: StoreUuid(Uuid([3; 16])),
    }
}

fn pg() -> PgId {
    PgId { pool: PoolId(4), seed: 1 }
}

/// One of four placement groups of pool 4.
fn range() -> PgRange {
    PgRange::of(pg(), 4)
}

fn settings(mode: ImportMode) -> ImportSettings {
    ImportSettings { mode, cluster: identity().cluster, unfinished_mark: MARK.to_vec() }
}

fn contents() -> ArchiveContents {
    ArchiveContents { range: range(), config_keys: vec![b"pg/4.1".to_vec()], subject: b"pg 4.1".to_vec() }
}

fn apply(store: &dyn ObjectStore, ops: Vec<StoreOp>) {
    let (sender, done) = mpsc::sync_channel(1);
    store.submit(Transaction { ops }, Box::new(move |result| sender.send(result).expect("heard")));
    assert_eq!(done.recv().expect("an answer"), Ok(()));
}

fn named(number: u64) -> ObjectId {
    // Every fourth hash is in the placement group.
    ObjectId::head(PoolId(4), (number * 4 + 1) as u32, ObjectName::new(format!("object-{number}")))
}

/// A placement group's account, objects with everything that an object can have, and objects of other groups.
fn fill(store: &dyn ObjectStore) {
    let mut random = SeededRandom::new(Seed(5));
    let meta = ObjectId::pg_meta(pg());
    let log = (0..200u32).map(|number| (number.to_be_bytes().to_vec(), Bytes::from(vec![number as u8; 300]))).collect();
    apply(store, vec![StoreOp::OmapSet { object: meta, entries: log }]);
    for number in 0..12 {
        let object = named(number);
        let data = Bytes::from((0..random.below(9000)).map(|byte| (byte * 7 + number) as u8).collect::<Vec<u8>>());
        let xattrs = BTreeMap::from([(b"_".to_vec(), Bytes::from(vec![number as u8; 40]))]);
        apply(
            store,
            vec![
                StoreOp::Write { object: object.clone(), offset: random.below(3) * 10_000, data },
                StoreOp::SetXattrs { object: object.clone(), xattrs },
                StoreOp::OmapSetHeader { object: object.clone(), header: Bytes::from(vec![9; 3]) },
            ],
        );
        if number == 3 {
            let data = Bytes::from(vec![3; (2 << 20) + 77]);
            apply(store, vec![StoreOp::Write { object: object.clone(), offset: 1 << 20, data }]);
        }
        if number == 4 {
            apply(store, vec![StoreOp::Truncate { object: object.clone(), size: 5 << 20 }]);
        }
    }
    apply(store, vec![StoreOp::Clone { source: named(3), target: named(40) }]);
    let other = ObjectId::head(PoolId(4), 2, ObjectName::new("of another group"));
    apply(store, vec![StoreOp::Touch { object: other }]);
    let (sender, done) = mpsc::sync_channel(1);
    let changes = vec![(b"pg/4.1".to_vec(), Some(Bytes::new())), (b"map".to_vec(), Some(Bytes::from_static(b"x")))];
    store.submit_config(changes, Box::new(move |result| sender.send(result).expect("heard")));
    assert_eq!(done.recv().expect("an answer"), Ok(()));
}

fn exported(store: &dyn ObjectStore) -> (Vec<u8>, ArchiveSummary) {
    let mut archive = Vec::new();
    let summary = export(store, identity(), &contents(), &mut archive, &mut |_| {}).expect("export");
    (archive, summary)
}

fn put(store: &dyn ObjectStore, archive: &[u8], mode: ImportMode) -> Result<ImportOutcome> {
    import(store, identity(), &mut Cursor::new(archive), &settings(mode), &mut |_| {})
}

fn disk_store() -> DiskStore {
    let (device, keys) = (MemoryDevice::new(32 << 20), MemoryKeyValue::new());
    let options = StoreOptions { memory_bytes: 16 << 20, journal_bytes: Some(1 << 20) };
    DiskStore::format_parts(&device, &keys, identity(), &options).expect("format");
    DiskStore::open_parts(Arc::new(device), Arc::new(keys), &options).expect("open").0
}

#[test]
fn an_archive_carries_everything_and_is_the_same_from_any_store() {
    let (model, disk) = (MemoryStore::new(), disk_store());
    fill(&model);
    fill(&disk);
    let (archive, summary) = exported(&disk);
    assert_eq!(exported(&model).0, archive);
    assert_eq!(summary.objects, 14);
    let header = read_header(&mut &archive[..]).expect("header");
    assert_eq!((header.range, &header.subject[..]), (range(), &b"pg 4.1"[..]));

    let target = disk_store();
    assert_eq!(put(&target, &archive, ImportMode::Keep), Ok(ImportOutcome::Imported(summary)));
    assert_eq!(exported(&target), (archive.clone(), summary), "nothing was lost and nothing added");
    assert_eq!(target.read_config(b"pg/4.1"), Ok(Some(Bytes::new())));
    assert_eq!(target.read_config(b"map"), Ok(None));
    assert_eq!(put(&target, &archive, ImportMode::Keep), Ok(ImportOutcome::AlreadyThere(summary)));
    assert_eq!(target.fsck(FsckDepth::Data).expect("fsck").problems, []);

    let mut described = Vec::new();
    let mut visit = |description| {
        described.push(description);
        Ok(())
    };
    describe(&target, range(), &mut visit).expect("describe");
    assert_eq!(described.len(), 14);
    assert_eq!(described[0].omap_entries, 200);
    let sparse = described.iter().find(|one| one.object == named(4)).expect("there");
    assert_eq!(sparse.meta.size, 5 << 20);
    assert!(sparse.extents.iter().map(|extent| extent.length).sum::<u64>() < 20_000, "holes stay holes");
}

#[test]
fn objects_that_are_there_are_kept_unless_they_shall_be_replaced() {
    let source = MemoryStore::new();
    fill(&source);
    let (archive, summary) = exported(&source);
    let target = disk_store();
    fill(&target);
    apply(&target, vec![StoreOp::Write { object: named(1), offset: 0, data: Bytes::from_static(b"newer") }]);
    let before = exported(&target);
    let error = put(&target, &archive, ImportMode::Keep).expect_err("they differ");
    assert_eq!(error.kind, ErrorKind::Exists);
    assert!(error.message.contains("14 objects"), "{error}");
    assert_eq!(exported(&target), before);
    assert_eq!(put(&target, &archive, ImportMode::Replace), Ok(ImportOutcome::Imported(summary)));
    assert_eq!(exported(&target).0, archive);
    let other = ObjectId::head(PoolId(4), 2, ObjectName::new("of another group"));
    assert!(matches!(target.read(&StoreRead::Meta { object: other }), Ok(StoreReadResult::Meta(Some(_)))));
}

/// A store that ends after so many transactions, as a crash would.
struct EndsAfter {
    store: MemoryStore,
    left: std::sync::atomic::AtomicU64,
}

impl ObjectStore for EndsAfter {
    fn submit(&self, transaction: Transaction, done: crate::CommitCallback) {
        use std::sync::atomic::Ordering;
        let counted = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        match counted {
            Ok(_) => self.store.submit(transaction, done),
            Err(_) => done(Err(types::Error::closed("it ended"))),
        }
    }
    fn read(&self, read: &StoreRead) -> Result<StoreReadResult> {
        self.store.read(read)
    }
    fn try_read(&self, read: &StoreRead) -> Option<Result<StoreReadResult>> {
        self.store.try_read(read)
    }
    fn usage(&self) -> Result<types::StoreUsage> {
        self.store.usage()
    }
    fn submit_config(&self, changes: crate::ConfigChanges, done: crate::CommitCallback) {
        self.store.submit_config(changes, done);
    }
    fn read_config(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.store.read_config(key)
    }
    fn list_config(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Bytes)>> {
        self.store.list_config(prefix)
    }
    fn close(&self) -> Result<()> {
        self.store.close()
    }
}

#[test]
fn an_import_cut_short_at_any_transaction_is_marked_and_begins_anew() {
    let source = MemoryStore::new();
    fill(&source);
    let (archive, summary) = exported(&source);
    for (mode, there) in [(ImportMode::Keep, false), (ImportMode::Replace, true)] {
        for transactions in 0.. {
            let store = MemoryStore::new();
            if there {
                fill(&store);
                apply(&store, vec![StoreOp::Remove { object: named(2) }]);
            }
            let store = EndsAfter { store, left: transactions.into() };
            let Err(error) = put(&store, &archive, mode) else {
                assert!(transactions > 20, "the archive is one of many transactions");
                break;
            };
            assert_eq!(error.kind, ErrorKind::Closed);
            let read = StoreRead::OmapKeys { object: ObjectId::pg_meta(pg()), keys: vec![MARK.to_vec()] };
            let Ok(StoreReadResult::Omap(page)) = store.read(&read) else { panic!("omap") };
            let mut objects = 0;
            let count = &mut |_| {
                objects += 1;
                Ok(())
            };
            describe(&store.store, range(), count).expect("describe");
            assert!(page.entries.len() == 1 || objects == 0 || (transactions == 0 && there), "{mode:?} {transactions}");
            if transactions == 0 && there {
                continue;
            }
            // Whatever is there is the rest of an import: it may go without being asked for.
            assert_eq!(put(&store.store, &archive, ImportMode::Keep), Ok(ImportOutcome::Imported(summary)));
            assert_eq!(exported(&store.store).0, archive, "{mode:?} {transactions}");
        }
    }
}

#[test]
fn another_clusters_archive_is_refused_unless_it_is_named() {
    let source = MemoryStore::new();
    fill(&source);
    let (archive, summary) = exported(&source);
    let own = Identity { cluster: ClusterId(Uuid([9; 16])), ..identity() };
    let target = MemoryStore::new();
    let own_cluster = ImportSettings { cluster: own.cluster, ..settings(ImportMode::Keep) };
    let error = import(&target, own, &mut Cursor::new(&archive), &own_cluster, &mut |_| {}).expect_err("refused");
    assert!(error.kind == ErrorKind::Invalid && error.message.contains("09090909"), "{error}");
    let named = import(&target, own, &mut Cursor::new(&archive), &settings(ImportMode::Keep), &mut |_| {});
    assert_eq!(named, Ok(ImportOutcome::Imported(summary)));
}

#[test]
fn nothing_changes_for_an_archive_with_a_wrong_bit_or_a_missing_end() {
    let source = MemoryStore::new();
    fill(&source);
    let (archive, _) = exported(&source);
    let mut random = SeededRandom::new(Seed(8));
    let target = MemoryStore::new();
    for round in 0..400 {
        let mut spoiled = archive.clone();
        let at = random.below(archive.len() as u64) as usize;
        if round % 4 == 0 {
            spoiled.truncate(at);
        } else {
            // Half of them in the first kilobyte, where the header and the small records are.
            let at = if round % 2 == 0 { at } else { at % 1024 };
            spoiled[at] ^= 1 << random.below(8);
        }
        let error = put(&target, &spoiled, ImportMode::Keep).expect_err("refused");
        assert!(matches!(error.kind, ErrorKind::Damaged | ErrorKind::Invalid), "round {round} at {at}: {error}");
    }
    assert_eq!(describe(&target, range(), &mut |_| panic!("an object is there")), Ok(()));
}

#[test]
fn a_damaged_object_ends_the_export_with_its_name() {
    let store = MemoryStore::new();
    fill(&store);
    assert!(store.damage(&named(3), 1 << 20));
    let error = export(&store, identity(), &contents(), &mut std::io::sink(), &mut |_| {}).expect_err("damaged");
    assert!(error.kind == ErrorKind::Damaged && error.message.contains("object-3"), "{error}");
}

/// The bytes of format 1. A change here is a new format: the version goes up and the old one stays readable.
#[test]
fn the_bytes_of_format_1() {
    let store = MemoryStore::new();
    let object = named(0);
    apply(
        &store,
        vec![
            StoreOp::Write { object: object.clone(), offset: 4096, data: Bytes::from_static(b"data") },
            StoreOp::SetXattrs { object: object.clone(), xattrs: [(b"_".to_vec(), Bytes::from_static(b"v"))].into() },
            StoreOp::OmapSet { object, entries: [(b"k".to_vec(), Bytes::from_static(b"w"))].into() },
        ],
    );
    let contents = ArchiveContents { config_keys: Vec::new(), ..contents() };
    let mut archive = Vec::new();
    export(&store, identity(), &contents, &mut archive, &mut |_| {}).expect("export");
    let hex: String = archive.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN.concat());
}

const GOLDEN: [&str; 6] = [
    // The start.
    "696b616172636876010001004f000000",
    // The header.
    "01010101010101010101010101010101020202020202020202020202020202020303030303030303030303030303030303000000\
     040000000000000000000080ffffffbf06706720342e31eb4b5b93",
    // The object.
    "0135000000195b76772c4f000000000000000480000000000000006f626a6563742d300000fffffffffffffffeffffffffffffff\
     ff7f84200001015f0176",
    // Its data.
    "0206000000c96f336d802064617461",
    // Its omap.
    "0304000000ebb08a70016b0177",
    // The end.
    "0530000000b071186d010000000000000004000000000000001df6fb456be55da03d22275ce34963bc617c5371e1ec399e879731\
     d19eca652b",
];
