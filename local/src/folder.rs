//! The cluster's folder: what lies where, and the file that describes the cluster.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use client::{ClusterKey, Config};
use serde::{Deserialize, Serialize};
use types::{ClusterId, EntityKind, EntityName, Uuid};

use crate::port::choose_free;

/// How many of what a local cluster has. Stands in the cluster's file under `[local]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Monitors.
    pub mons: u32,
    /// OSDs.
    pub osds: u32,
    /// Hosts that CRUSH tells apart; OSDs are dealt to them in turn.
    pub hosts: u32,
    /// Bytes of each OSD's device file.
    pub osd_size_bytes: u64,
    /// Where the S3 gateway listens; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<SocketAddr>,
    /// Where the manager's dashboard listens; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<SocketAddr>,
}

/// A monitor in the cluster's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct MonitorLine {
    name: String,
    address: SocketAddr,
}

/// The cluster's file: what every client reads, and what only this crate does.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ClusterFile {
    #[serde(flatten)]
    config: Config,
    local: LocalTable,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LocalTable {
    #[serde(flatten)]
    topology: Topology,
    monitor: Vec<MonitorLine>,
}

/// How long the lock of a folder is waited for: longer than a killed process takes to end, shorter than patience.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(3);

/// A cluster's folder, locked against others who would start or stop it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    file: ClusterFile,
    _lock: File,
}

impl Folder {
    /// Opens the folder, or makes it for this topology. Says which of the two.
    pub fn open_or_make(path: &Path, topology: &Topology) -> Result<(Self, Made)> {
        fs::create_dir_all(path).with_context(|| format!("make the folder {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
        let lock = lock(&path)?;
        for name in ["run", "log"] {
            let folder = path.join(name);
            fs::create_dir_all(&folder).with_context(|| format!("make the folder {}", folder.display()))?;
        }
        match read_file(&path)? {
            Some(file) => Ok((Self { path, file, _lock: lock }, Made::Before)),
            None => {
                refuse_strangers(&path)?;
                let file = new_file(topology)?;
                write_file(&path, &file)?;
                Ok((Self { path, file, _lock: lock }, Made::Now))
            }
        }
    }

    /// Opens a folder that holds a cluster.
    pub fn open(path: &Path) -> Result<Self> {
        let missing = || format!("{} holds no cluster: there is no ika.toml in it", path.display());
        let path = path.canonicalize().with_context(missing)?;
        if !path.is_dir() {
            bail!(missing());
        }
        let Some(file) = read_file(&path)? else { bail!(missing()) };
        let lock = lock(&path)?;
        Ok(Self { path, file, _lock: lock })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How clients connect.
    pub fn config(&self) -> &Config {
        &self.file.config
    }

    /// The file that clients take by `--config`.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("ika.toml")
    }

    /// The folder of a daemon.
    pub fn data_path(&self, daemon: &str) -> PathBuf {
        self.path.join(daemon)
    }

    /// Where a daemon's process is written down.
    pub fn run_path(&self, daemon: &str) -> PathBuf {
        self.path.join("run").join(daemon)
    }

    /// A daemon's log.
    pub fn log_path(&self, daemon: &str) -> PathBuf {
        self.path.join("log").join(format!("{daemon}.log"))
    }

    /// Where the dashboard's first password is written down.
    pub fn dashboard_password_path(&self) -> PathBuf {
        self.path.join("dashboard-password")
    }

    /// Writes the dashboard's first password down, for nobody else to read.
    pub fn write_dashboard_password(&self, password: &str) -> Result<()> {
        write_private(&self.path, "dashboard-password", &format!("{password}\n"))
    }

    /// The monitors by name, with their addresses.
    pub fn monitors(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.file.local.monitor.iter().map(|line| (line.name.as_str(), line.address))
    }

    /// How many of what there are.
    pub fn topology(&self) -> Topology {
        self.file.local.topology.clone()
    }

    /// Writes down another shape.
    pub fn set_topology(&mut self, topology: Topology) -> Result<()> {
        self.file.local.topology = topology;
        write_file(&self.path, &self.file)
    }
}

/// Whether the folder held a cluster already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It did.
    Before,
    /// It was made by this call.
    Now,
}

/// Waits for the lock a little: a process that was killed may still be ending, and so may a child that it was starting.
fn lock(path: &Path) -> Result<File> {
    let name = path.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&name);
    let file = file.with_context(|| format!("open {}; is the folder writable?", name.display()))?;
    let (locked, waiting) = sync_channel(1);
    std::thread::spawn(move || {
        // A failed send is a waiter that has given up; the file is dropped, and with it the lock.
        drop(locked.send(file.lock().map(|()| file)));
    });
    match waiting.recv_timeout(LOCK_WAIT_MAX) {
        Ok(file) => file.with_context(|| format!("lock {}", name.display())),
        Err(_) => bail!("{} is being started or stopped by another process; wait for that one", path.display()),
    }
}

fn read_file(path: &Path) -> Result<Option<ClusterFile>> {
    let name = path.join("ika.toml");
    match fs::read_to_string(&name) {
        Ok(text) => {
            let file = toml::from_str(&text)
                .with_context(|| format!("read {}; it was written by `ika up` and must be whole", name.display()))?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", name.display())),
    }
}

/// A folder with other things in it and no cluster file is not ours to fill.
fn refuse_strangers(path: &Path) -> Result<()> {
    let ours = ["run", "log", "lock", "ika.toml.new"];
    for entry in fs::read_dir(path).with_context(|| format!("list {}", path.display()))? {
        let name = entry.with_context(|| format!("list {}", path.display()))?.file_name();
        if !ours.iter().any(|known| *known == name) {
            bail!(
                "{} holds `{}` but no ika.toml; give an empty or new folder with --data",
                path.display(),
                name.to_string_lossy()
            );
        }
    }
    Ok(())
}

fn new_file(topology: &Topology) -> Result<ClusterFile> {
    let addresses = choose_free(usize::try_from(topology.mons)?)?;
    let letters = ('a'..='z').map(String::from);
    let monitor = letters.zip(&addresses).map(|(name, address)| MonitorLine { name, address: *address }).collect();
    Ok(ClusterFile {
        config: Config {
            cluster: ClusterId(Uuid::from_random(random_bytes()?)),
            key: ClusterKey(random_bytes()?),
            name: EntityName::new(EntityKind::Client, "admin"),
            monitors: addresses,
        },
        local: LocalTable { topology: topology.clone(), monitor },
    })
}

/// Writes beside and renames, so that a reader never sees half a file. It holds the key: nobody else may read it.
fn write_file(path: &Path, file: &ClusterFile) -> Result<()> {
    let text = toml::to_string(file).context("write the cluster's file")?;
    write_private(path, "ika.toml", &text)
}

fn write_private(path: &Path, name: &str, text: &str) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let (new, name) = (path.join(format!("{name}.new")), path.join(name));
    let mut out = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&new)
        .with_context(|| format!("write {}", new.display()))?;
    out.write_all(text.as_bytes()).with_context(|| format!("write {}", new.display()))?;
    out.sync_all().with_context(|| format!("flush {}", new.display()))?;
    fs::rename(&new, &name).with_context(|| format!("put {} in its place", name.display()))?;
    File::open(path).and_then(|folder| folder.sync_all()).with_context(|| format!("flush {}", path.display()))
}

fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    getrandom::fill(&mut bytes).context("ask the kernel for random bytes")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPOLOGY: Topology =
        Topology { mons: 3, osds: 3, hosts: 3, osd_size_bytes: 1 << 30, s3: None, dashboard: None };

    #[test]
    fn a_folder_is_made_once_and_found_again() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let path = place.path().join("cluster");
        let (folder, made) = Folder::open_or_make(&path, &TOPOLOGY).expect("make");
        assert_eq!((made, folder.topology()), (Made::Now, TOPOLOGY));
        let monitors: Vec<_> = folder.monitors().map(|(name, address)| (name.to_owned(), address)).collect();
        assert_eq!(monitors.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        drop(folder);
        let other = Topology { osds: 5, ..TOPOLOGY };
        let (folder, made) = Folder::open_or_make(&path, &other).expect("open");
        assert_eq!((made, folder.topology()), (Made::Before, TOPOLOGY));
        assert_eq!(folder.monitors().map(|(name, address)| (name.to_owned(), address)).collect::<Vec<_>>(), monitors);
    }

    #[test]
    fn a_folder_in_use_and_a_folder_of_others_are_refused() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let path = place.path().join("cluster");
        let held = Folder::open_or_make(&path, &TOPOLOGY).expect("make");
        let error = Folder::open(&path).expect_err("locked");
        assert!(error.to_string().contains("being started or stopped"), "{error:#}");
        drop(held);
        let strange = place.path().join("strange");
        fs::create_dir(&strange).expect("make");
        fs::write(strange.join("thesis.txt"), "years of work").expect("write");
        let error = Folder::open_or_make(&strange, &TOPOLOGY).expect_err("not ours");
        assert!(error.to_string().contains("thesis.txt"), "{error:#}");
        let error = Folder::open(&strange).expect_err("no cluster");
        assert!(error.to_string().contains("holds no cluster"), "{error:#}");
    }

    #[test]
    fn an_interrupted_making_is_completed() {
        let place = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(place.path().join("run")).expect("make");
        fs::write(place.path().join("ika.toml.new"), "cluster = \"half a fi").expect("write");
        let (_, made) = Folder::open_or_make(place.path(), &TOPOLOGY).expect("make");
        assert_eq!(made, Made::Now);
    }
}
