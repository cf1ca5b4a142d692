//! Which daemons a local cluster has, and the command line of each.

use std::ffi::OsString;

use crate::Folder;

/// What a daemon is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A monitor.
    Mon,
    /// An OSD.
    Osd,
    /// A manager.
    Mgr,
    /// An S3 gateway.
    S3,
}

/// One daemon of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// What it is.
    pub role: Role,
    /// Its full name: `mon.a`, `osd.0`, `mgr.x`, `s3.a`.
    pub name: String,
    /// The part behind the dot.
    pub id: String,
}

impl Daemon {
    fn new(role: Role, id: impl Into<String>) -> Self {
        let word = match role {
            Role::Mon => "mon",
            Role::Osd => "osd",
            Role::Mgr => "mgr",
            Role::S3 => "s3",
        };
        let id = id.into();
        Self { role, name: format!("{word}.{id}"), id }
    }
}

/// All daemons, in the order in which they start.
pub(crate) fn daemons(folder: &Folder) -> Vec<Daemon> {
    let mons = folder.monitors().map(|(name, _)| Daemon::new(Role::Mon, name));
    let osds = (0..folder.topology().osds).map(|id| Daemon::new(Role::Osd, id.to_string()));
    let s3 = folder.topology().s3.map(|_| Daemon::new(Role::S3, "a"));
    mons.chain(osds).chain([Daemon::new(Role::Mgr, "x")]).chain(s3).collect()
}

/// The arguments that run a daemon.
pub(crate) fn run_arguments(folder: &Folder, daemon: &Daemon) -> Vec<OsString> {
    let word = match daemon.role {
        Role::Mon => "mon",
        Role::Osd => "osd",
        Role::Mgr => "mgr",
        Role::S3 => "s3",
    };
    let mut arguments: Vec<OsString> = vec![word.into(), "run".into(), "--config".into()];
    arguments.push(folder.config_path().into());
    arguments.extend(["--id".into(), daemon.id.clone().into()]);
    match folder.topology().s3.filter(|_| daemon.role == Role::S3) {
        // A gateway keeps nothing of its own.
        Some(address) => {
            arguments.extend(["--listen".to_owned(), address.ip().to_string()].map(OsString::from));
            arguments.extend(["--port".to_owned(), address.port().to_string()].map(OsString::from));
        }
        None => arguments.extend(["--data".into(), folder.data_path(&daemon.name).into()]),
    }
    if let Some(address) = folder.topology().dashboard.filter(|_| daemon.role == Role::Mgr) {
        arguments.extend(["--dashboard-port".to_owned(), address.port().to_string()].map(OsString::from));
    }
    arguments.push("--log".into());
    arguments.push(folder.log_path(&daemon.name).into());
    if daemon.role == Role::Osd {
        arguments.extend(["--host".into(), host_of(folder, daemon).into()]);
    }
    arguments
}

/// The arguments that make an OSD.
pub(crate) fn create_arguments(folder: &Folder, osd: &Daemon) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["osd".into(), "create".into(), "--config".into()];
    arguments.push(folder.config_path().into());
    arguments.extend(["--id".into(), osd.id.clone().into(), "--data".into()]);
    arguments.push(folder.data_path(&osd.name).into());
    arguments.extend(["--size".into(), folder.topology().osd_size_bytes.to_string().into()]);
    arguments
}

fn host_of(folder: &Folder, osd: &Daemon) -> String {
    let number: u32 = osd.id.parse().expect("an OSD of a plan has a number");
    format!("host{}", number % folder.topology().hosts.max(1))
}
