//! A monitor's folder: whose it is, and that only one process uses it.
//!
//! ```text
//! monitor.json   cluster, number and name; written last, so its presence means that the folder is complete
//! lock           locked while a process runs
//! store/         log, vote and snapshot (RocksDB)
//! ```
//!
//! Owns: making and checking that. What a crash leaves behind: without `monitor.json` nothing was promised yet, and the
//! next start makes it again.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use types::{ClusterId, Error, MonId, Result};

use crate::MonSettings;

const IDENTITY_FILE: &str = "monitor.json";
const LOCK_FILE: &str = "lock";
const STORE_FOLDER: &str = "store";
/// The layout of the folder.
const VERSION: u32 = 1;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    version: u32,
    cluster: ClusterId,
    id: MonId,
    name: String,
}

/// A folder that this process owns until the value is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: Flock<File>,
}

impl DataFolder {
    /// Locks the folder, and makes it when it is new.
    pub fn open(settings: &MonSettings) -> Result<Self> {
        let path = settings.data.clone();
        let failed =
            |doing: &str, error: std::io::Error| Error::invalid(format!("{doing} {}: {error}", path.display()));
        fs::create_dir_all(&path).map_err(|error| failed("make the folder", error))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK_FILE))
            .map_err(|error| failed("open the lock in", error))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|_| Error::invalid(format!("another monitor uses {} at present", path.display())))?;
        let own = settings.own()?;
        let owner = Owner { version: VERSION, cluster: settings.cluster, id: own.id, name: own.name.clone() };
        match read_owner(&path)? {
            Some(found) => check_owner(&path, &found, &owner)?,
            None => make(&path, &owner).map_err(|error| failed("make the monitor's folder", error))?,
        }
        Ok(Self { path, _lock: lock })
    }

    /// Where the key/value store lives.
    pub fn store(&self) -> PathBuf {
        self.path.join(STORE_FOLDER)
    }
}

fn read_owner(path: &Path) -> Result<Option<Owner>> {
    let file = path.join(IDENTITY_FILE);
    match fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| Error::damaged(format!("read {}: {error}", file.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            refuse_foreign(path)?;
            Ok(None)
        }
        Err(error) => Err(Error::invalid(format!("read {}: {error}", file.display()))),
    }
}

/// Without its identity a folder may hold only what an interrupted start leaves.
fn refuse_foreign(path: &Path) -> Result<()> {
    let entries = fs::read_dir(path).map_err(|error| Error::invalid(format!("read {}: {error}", path.display())))?;
    for entry in entries {
        let entry = entry.map_err(|error| Error::invalid(format!("read {}: {error}", path.display())))?;
        let name = entry.file_name();
        let known = [LOCK_FILE, "monitor.json.new"].iter().any(|known| name == *known);
        if !known {
            return Err(Error::invalid(format!(
                "{} holds `{}` but no {IDENTITY_FILE}, so it is no monitor's folder; name an empty or a new one",
                path.display(),
                name.to_string_lossy()
            )));
        }
    }
    Ok(())
}

fn check_owner(path: &Path, found: &Owner, wanted: &Owner) -> Result<()> {
    if found.version > VERSION {
        return Err(Error::invalid(format!(
            "{} has layout {}, this program knows up to {VERSION}; use a newer one",
            path.display(),
            found.version
        )));
    }
    if (found.cluster, found.id, &found.name) == (wanted.cluster, wanted.id, &wanted.name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} belongs to mon.{} of cluster {}, not to mon.{} of cluster {}",
        path.display(),
        found.name,
        found.cluster,
        wanted.name,
        wanted.cluster
    )))
}

/// Writes the identity so that it is there whole or not at all, also after a crash.
fn make(path: &Path, owner: &Owner) -> std::io::Result<()> {
    let new = path.join("monitor.json.new");
    let mut file = File::create(&new)?;
    file.write_all(serde_json::to_string_pretty(owner)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path.join(IDENTITY_FILE))?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use net::ClusterKey;

    use super::*;

    fn settings(data: &Path, name: &str) -> MonSettings {
        let addresses = (1..=3u16).map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], 3300 + port))).collect();
        let cluster = ClusterId(types::Uuid::from_random([1; 16]));
        MonSettings::new(cluster, ClusterKey::new([2; 32]), name.to_owned(), data.to_owned(), addresses).unwrap()
    }

    #[test]
    fn a_folder_is_made_once_and_belongs_to_one_monitor_and_one_process() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().join("deep/mon.a");
        let first = DataFolder::open(&settings(&data, "a")).unwrap();
        let busy = DataFolder::open(&settings(&data, "a")).unwrap_err();
        assert!(busy.message.starts_with("another monitor uses"), "{busy}");
        drop(first);
        drop(DataFolder::open(&settings(&data, "a")).unwrap());
        let other = DataFolder::open(&settings(&data, "b")).unwrap_err();
        assert!(other.message.contains("belongs to mon.a of cluster"), "{other}");
    }

    #[test]
    fn an_interrupted_start_is_finished_and_a_foreign_folder_is_refused() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("monitor.json.new"), "{\"ver").unwrap();
        drop(DataFolder::open(&settings(place.path(), "a")).unwrap());
        let foreign = tempfile::tempdir().unwrap();
        fs::write(foreign.path().join("thesis.tex"), "…").unwrap();
        let refused = DataFolder::open(&settings(foreign.path(), "a")).unwrap_err();
        assert!(refused.message.contains("holds `thesis.tex` but no monitor.json"), "{refused}");
    }
}
