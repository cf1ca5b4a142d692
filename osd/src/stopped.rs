//! What an operator can do with the store of an OSD that does not run: see its placement groups, take them out, and put
//! them in.
//!
//! A placement group that is put in must mean here what it meant where it came from: the same cluster, the same pool
//! with as many placement groups, and a past that this OSD's maps reach back to. Without the last, the copy could not
//! tell who may have written after it, and might be believed although it is old.

use std::{
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use map::PublishedMap;
use osd_pg::GONE_KEY;
use osd_state::{StoredOsd, map_key_range, pg_key};
use serde::{Deserialize, Serialize};
use store::{
    ArchiveContents, ArchiveHeader, ArchiveSummary, DiskStore, Identity, ImportMode, ImportOutcome, ImportSettings,
    ObjectDescription, ObjectStore, StoreOptions,
};
use types::{ClusterId, Epoch, Error, LogVersion, PgId, PgRange, Result};

use crate::{
    settings::{device_path, metadata_path},
    stored::{list_pgs, read_pg},
};

/// Where the two halves of a store are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePaths {
    /// The device.
    pub device: PathBuf,
    /// The database's folder.
    pub db: PathBuf,
}

impl StorePaths {
    /// The halves in an OSD's folder; or a device, and the folder `db` beside it unless another one is named.
    pub fn of(place: &Path, db: Option<&Path>) -> Self {
        let device = if place.is_dir() { device_path(place) } else { place.to_owned() };
        let beside = || metadata_path(device.parent().unwrap_or(Path::new("")));
        let db = db.map_or_else(beside, Path::to_owned);
        Self { device, db }
    }
}

/// A placement group as it lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedPg {
    /// Which.
    pub pg: PgId,
    /// The newest map that it had seen; `None` when it is registered and has never committed anything.
    pub epoch: Option<Epoch>,
    /// Its newest log entry; `None` when the copy is being removed.
    pub last_update: Option<LogVersion>,
    /// Objects, as it counts them.
    pub objects: u64,
    /// Bytes of user data, as it counts them.
    pub bytes: u64,
}

/// What an archive of a placement group says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveSubject {
    /// Which.
    pub pgid: PgId,
    /// Its pool's name.
    pub pool: String,
    /// How many placement groups the pool had.
    pub pg_num: u32,
    /// The newest map that it had seen.
    pub epoch: Epoch,
}

impl ArchiveSubject {
    /// As an archive has it.
    pub fn decode(header: &ArchiveHeader) -> Result<Self> {
        serde_json::from_slice(&header.subject)
            .map_err(|error| Error::invalid(format!("the archive is of no placement group: {error}")))
    }
}

/// Whether the pool of an archive must be known by the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolCheck {
    /// It must.
    SameName,
    /// Its number is enough.
    AnyName,
}

/// How an archive is put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRequest {
    /// The placement group that the archive must be of; `None` takes the archive's word.
    pub pg: Option<PgId>,
    /// Take an archive of this cluster instead of the store's own.
    pub cluster: Option<ClusterId>,
    /// What happens to a copy that is there.
    pub mode: ImportMode,
    /// Whether the pool must have its name.
    pub pool: PoolCheck,
}

/// An OSD's store, opened while the OSD does not run. Close it, so that the next opening has nothing to replay.
pub struct StoppedOsd {
    store: DiskStore,
    identity: Identity,
    maps: Option<(Epoch, Arc<PublishedMap>)>,
}

impl StoppedOsd {
    /// Opens the store; the device's lock refuses it while the OSD runs.
    pub fn open(paths: &StorePaths, options: &StoreOptions) -> Result<Self> {
        let (store, identity) = DiskStore::open(&paths.device, &paths.db, options)?;
        let maps = StoredOsd::new(store.list_config(map_key_range())?, Vec::new())?.maps()?;
        Ok(Self { store, identity, maps })
    }

    /// Ends in order.
    pub fn close(self) -> Result<()> {
        self.store.close()
    }

    /// The epoch of the newest map.
    pub fn newest_epoch(&self) -> Option<Epoch> {
        self.maps.as_ref().map(|(_, newest)| newest.epoch())
    }

    /// The store's use of its space.
    pub fn usage(&self) -> Result<types::StoreUsage> {
        self.store.usage()
    }

    /// Its placement groups.
    pub fn pgs(&self) -> Result<Vec<StoppedPg>> {
        let look = |pg| {
            let stored = read_pg(&self.store, pg)?;
            let info = stored.info();
            Ok(StoppedPg {
                pg,
                epoch: stored.epoch(),
                last_update: info.map(|info| info.last_update),
                objects: info.map_or(0, |info| info.objects),
                bytes: info.map_or(0, |info| info.bytes),
            })
        };
        list_pgs(&self.store)?.into_iter().map(look).collect()
    }

    fn newest_map(&self) -> Result<&(Epoch, Arc<PublishedMap>)> {
        let none = || Error::invalid("the OSD has seen no map yet; let it join its cluster first");
        self.maps.as_ref().ok_or_else(none)
    }

    /// The objects of a placement group, by the newest map that the OSD has seen.
    pub fn range(&self, pg: PgId) -> Result<PgRange> {
        let (_, map) = self.newest_map()?;
        let pool = map.pools.get(&pg.pool);
        let pool =
            pool.ok_or_else(|| Error::not_found(format!("there is no pool {} in epoch {}", pg.pool, map.epoch())))?;
        if pg.seed >= pool.pg_num {
            return Err(Error::not_found(format!(
                "pool {} has {} placement groups in epoch {}; there is no {pg}",
                pool.name,
                pool.pg_num,
                map.epoch()
            )));
        }
        Ok(PgRange::of(pg, pool.pg_num))
    }

    /// Describes the objects of a placement group one by one, its own account first.
    pub fn describe(&self, pg: PgId, visit: &mut dyn FnMut(ObjectDescription) -> Result<()>) -> Result<()> {
        store::describe(&self.store, self.range(pg)?, visit)
    }

    /// Takes a placement group out.
    pub fn export(
        &self,
        pg: PgId,
        out: &mut dyn Write,
        hear: &mut dyn FnMut(&ArchiveSummary),
    ) -> Result<ArchiveSummary> {
        let range = self.range(pg)?;
        let (_, map) = self.newest_map()?;
        let stored = read_pg(&self.store, pg)?;
        let epoch = stored.epoch().filter(|_| stored.info().is_some());
        let epoch = epoch.ok_or_else(|| Error::not_found(format!("the store has no whole copy of {pg}")))?;
        let pool = &map.pools[&pg.pool];
        let subject = ArchiveSubject { pgid: pg, pool: pool.name.clone(), pg_num: pool.pg_num, epoch };
        let subject = serde_json::to_vec(&subject)
            .map_err(|error| Error::internal(format!("describe the placement group: {error}")))?;
        let contents = ArchiveContents { range, config_keys: vec![pg_key(pg)], subject };
        store::export(&self.store, self.identity, &contents, out, hear)
    }

    /// Puts a placement group in.
    pub fn import<Input: Read + Seek>(
        &self,
        input: &mut Input,
        request: &ImportRequest,
        hear: &mut dyn FnMut(&ArchiveSummary),
    ) -> Result<(ArchiveSubject, ImportOutcome)> {
        input.rewind().map_err(|error| Error::invalid(format!("go back in the archive: {error}")))?;
        let header = store::read_header(input)?;
        let subject = ArchiveSubject::decode(&header)?;
        self.check_subject(&subject, &header, request)?;
        let settings = ImportSettings {
            mode: request.mode,
            cluster: request.cluster.unwrap_or(self.identity.cluster),
            unfinished_mark: GONE_KEY.to_vec(),
        };
        let outcome = store::import(&self.store, self.identity, input, &settings, hear)?;
        Ok((subject, outcome))
    }

    fn check_subject(&self, subject: &ArchiveSubject, header: &ArchiveHeader, request: &ImportRequest) -> Result<()> {
        let pg = subject.pgid;
        if let Some(wanted) = request.pg.filter(|wanted| *wanted != pg) {
            return Err(Error::invalid(format!("the archive is of placement group {pg}, not of {wanted}")));
        }
        let range = self.range(pg)?;
        let (oldest, map) = self.newest_map()?;
        let pool = &map.pools[&pg.pool];
        if pool.name != subject.pool && request.pool == PoolCheck::SameName {
            return Err(Error::invalid(format!(
                "pool {} is `{}` here and `{}` in the archive; say that its name does not matter if it was renamed",
                pg.pool, pool.name, subject.pool
            )));
        }
        if range != header.range {
            return Err(Error::invalid(format!(
                "pool `{}` has {} placement groups here and {} in the archive: {pg} is not the same objects",
                pool.name, pool.pg_num, subject.pg_num
            )));
        }
        if subject.epoch < *oldest || subject.epoch > map.epoch() {
            return Err(Error::invalid(format!(
                "the archive's copy has seen epoch {}, and this OSD has the maps {oldest} to {}: what happened in between \
                 would be unknown to it",
                subject.epoch,
                map.epoch()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_osds_folder_or_a_device_with_its_database_beside_it() {
        let folder = std::env::temp_dir();
        let found = StorePaths::of(&folder, None);
        assert_eq!((found.device, found.db), (folder.join("block"), folder.join("db")));
        let found = StorePaths::of(Path::new("/no/such/device"), None);
        assert_eq!(found.db, Path::new("/no/such/db"));
        let found = StorePaths::of(Path::new("/no/such/device"), Some(Path::new("/elsewhere")));
        assert_eq!(found.db, Path::new("/elsewhere"));
    }

    #[test]
    fn a_subject_is_the_same_text_in_every_release() {
        let subject = ArchiveSubject {
            pgid: "3.1f".parse().expect("a placement group"),
            pool: "demo".to_owned(),
            pg_num: 32,
            epoch: Epoch(17),
        };
        let text = r#"{"pgid":"3.1f","pool":"demo","pg_num":32,"epoch":17}"#;
        assert_eq!(serde_json::to_string(&subject).expect("text"), text);
        assert_eq!(serde_json::from_str::<ArchiveSubject>(text).expect("a subject"), subject);
    }
}
