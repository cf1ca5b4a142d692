//! One OSD around its member of the placement group: store, maps in order, messages that wait for their map.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use osd_pg::{AfterCommit, Checks, Event, Pg, PgConfig, ScrubConfig, StoredPg, Ticket};
use store::{FaultyStore, ObjectStore};
use types::{BootNonce, Epoch, LogVersion, ObjectId, OsdId, StoreRead, StoreReadResult, Time};

use crate::monitor::PG;

pub struct Member {
    pub osd: OsdId,
    pub store: FaultyStore,
    pub runs: bool,
    pub nonce: BootNonce,
    /// The newest map that this OSD has stored.
    pub epoch: Epoch,
    pub pg: Option<Pg>,
    pub waiting: VecDeque<(Epoch, Event)>,
    pub commits: VecDeque<(u64, Ticket, Vec<AfterCommit>)>,
    pub reservation: u64,
    /// When grants that a life before this one may have given have ended.
    pub restart_lease_end: Time,
    /// Counts lives: what was scheduled for an earlier one is void.
    pub life: u64,
}

impl Member {
    pub fn new(osd: OsdId, epoch: Epoch) -> Self {
        Self {
            osd,
            store: FaultyStore::new(),
            runs: true,
            nonce: BootNonce(1),
            epoch,
            pg: None,
            waiting: VecDeque::new(),
            commits: VecDeque::new(),
            reservation: 0,
            restart_lease_end: Time::ZERO,
            life: 1,
        }
    }

    pub fn config(&self) -> PgConfig {
        PgConfig {
            nonce: Some(self.nonce),
            checks: Checks::EveryEvent,
            log_entries_max: 24,
            log_entries_min: 12,
            requests_remembered_max: 400,
            recovery_objects_in_flight: 3,
            recovery_chunk_bytes: 64,
            scan_page_objects: 4,
            scrub: ScrubConfig {
                metadata_every: Duration::from_secs(3),
                data_every: Duration::from_secs(7),
                metadata_chunk_objects: 3,
                data_chunk_objects: 2,
                auto_repair_objects_max: 1000,
                cursor_saved_every: Duration::from_millis(20),
                ..ScrubConfig::default()
            },
            ..PgConfig::new(self.osd)
        }
    }

    /// What the store holds of the PG after a restart.
    pub fn stored(&self) -> StoredPg {
        let mut entries = Vec::new();
        let mut after = Vec::new();
        loop {
            let read = StoreRead::Omap { object: ObjectId::pg_meta(PG), after, prefix: Vec::new(), keys_max: 50 };
            let Ok(StoreReadResult::Omap(page)) = self.store.read(&read) else { panic!("read the omap of the PG") };
            after = page.entries.last().map(|(key, _)| key.clone()).unwrap_or_default();
            entries.extend(page.entries);
            if !page.more {
                return StoredPg::decode(entries).expect("what a PG stored it can read");
            }
        }
    }

    /// Every object of the PG but its metadata.
    pub fn objects(&self) -> Vec<ObjectId> {
        let list = StoreRead::List { begin: types::Cursor::Start, end: types::Cursor::End, objects_max: 100_000 };
        let Ok(StoreReadResult::List { objects, .. }) = self.store.read(&list) else { panic!("list objects") };
        objects.into_iter().filter(|object| !object.is_pg_meta()).collect()
    }

    /// Every clone with what it is.
    pub fn clones(&self) -> Vec<(ObjectId, wire::ObjectInfo)> {
        let info = |object: &ObjectId| match self.store.read(&StoreRead::Meta { object: object.clone() }) {
            Ok(StoreReadResult::Meta(Some(meta))) => {
                wire::decode_object_info(&meta.xattrs[osd_pg::OBJECT_INFO_XATTR]).expect("a clone says what it is")
            }
            other => panic!("{other:?} is no clone"),
        };
        let clones = self.objects().into_iter().filter(ObjectId::is_clone);
        clones
            .filter(|object| object.generation == types::GENERATION_NONE)
            .map(|clone| (clone.clone(), info(&clone)))
            .collect()
    }

    /// Keys of the index of snapshots.
    pub fn snapshot_index(&self) -> Vec<Vec<u8>> {
        let object = ObjectId::snapshot_index(PG);
        let read = StoreRead::Omap { object, after: Vec::new(), prefix: Vec::new(), keys_max: 100_000 };
        let Ok(StoreReadResult::Omap(page)) = self.store.read(&read) else { panic!("read the index of snapshots") };
        page.entries.into_iter().map(|(key, _)| key).collect()
    }

    /// The version of the object's copy here.
    pub fn version_of(&self, object: &ObjectId) -> Option<LogVersion> {
        match self.store.read(&StoreRead::Meta { object: object.clone() }) {
            Ok(StoreReadResult::Meta(Some(meta))) => {
                let info =
                    wire::decode_object_info(&meta.xattrs[osd_pg::OBJECT_INFO_XATTR]).expect("own info is readable");
                Some(info.version)
            }
            _ => None,
        }
    }

    /// Whether a block of some object fails its checksum.
    pub fn is_rotten(&self) -> bool {
        let extent = types::Extent { offset: 0, length: 1 << 20 };
        self.objects().into_iter().any(|object| self.store.read(&StoreRead::Data { object, extent }).is_err())
    }

    /// The same, as bytes to compare.
    pub fn content(&self) -> BTreeMap<ObjectId, String> {
        let mut content = BTreeMap::new();
        for object in self.objects() {
            let extent = types::Extent { offset: 0, length: 1 << 20 };
            let reads = [
                StoreRead::Meta { object: object.clone() },
                StoreRead::Data { object: object.clone(), extent },
                StoreRead::Omap { object: object.clone(), after: Vec::new(), prefix: Vec::new(), keys_max: 100_000 },
            ];
            let answers: Vec<_> = reads.iter().map(|read| self.store.read(read)).collect();
            content.insert(object, format!("{answers:?}"));
        }
        content
    }
}
