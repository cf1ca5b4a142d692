//! The command lines of daemons and of local clusters; operators' commands are the `cli` crate's.

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use cli::parse_size;

use crate::stopped_store::StoppedStore;

/// Daemons, and whole clusters on this machine.
#[derive(Debug, Parser)]
#[command(name = "ika", version, about = "A distributed object and block storage system")]
pub enum Own {
    /// Bring a cluster of real processes up on this machine
    Up(Up),
    /// Stop the cluster in a folder
    Down(Down),
    /// Run a monitor
    Mon(RunOnly),
    /// Make or run an OSD
    Osd(Osd),
    /// Run a manager
    Mgr(Mgr),
    /// Run an S3 gateway
    S3(S3),
    /// Look after the store of one OSD, or measure one
    Store(Store),
}

/// Whether the words belong to this enumeration rather than to the operators' commands.
pub fn is_own(arguments: &[OsString]) -> bool {
    let word = |at: usize| arguments.get(at).and_then(|word| word.to_str()).unwrap_or_default();
    match word(1) {
        "up" | "down" | "store" => true,
        "mon" | "mgr" | "s3" => word(2) == "run",
        "osd" => matches!(word(2), "run" | "create") && arguments.iter().any(|word| word == "--data"),
        _ => false,
    }
}

/// `ika up`
#[derive(Debug, Args)]
pub struct Up {
    /// The folder that holds everything of the cluster
    #[arg(long, value_name = "DIR", default_value = "ika-data")]
    pub data: PathBuf,
    /// Monitors [default: 3]
    #[arg(long, value_name = "N")]
    pub mons: Option<u32>,
    /// OSDs [default: 3]; more than there are adds some
    #[arg(long, value_name = "N")]
    pub osds: Option<u32>,
    /// Hosts that CRUSH tells apart [default: one for each OSD]
    #[arg(long, value_name = "N")]
    pub hosts: Option<u32>,
    /// Size of each OSD's device file, like 4G or 512M [default: 10G]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub osd_size: Option<u64>,
    /// The port of the S3 gateway [default: a free one, the same at each start]
    #[arg(long, value_name = "PORT")]
    pub s3_port: Option<u16>,
    /// The port of the manager's dashboard [default: a free one, the same at each start]
    #[arg(long, value_name = "PORT")]
    pub dashboard_port: Option<u16>,
    /// Leave the cluster running and return; `ika down` stops it
    #[arg(long)]
    pub detach: bool,
}

/// `ika down`
#[derive(Debug, Args)]
pub struct Down {
    /// The folder that holds the cluster
    #[arg(long, value_name = "DIR", default_value = "ika-data")]
    pub data: PathBuf,
}

/// What every daemon is told.
#[derive(Debug, Args)]
pub struct Daemon {
    /// The cluster's file
    #[arg(long, value_name = "FILE", env = "IKA_CONFIG")]
    pub config: PathBuf,
    /// The part of the name behind the dot: a monitor's or manager's name, an OSD's number
    #[arg(long, value_name = "ID")]
    pub id: String,
    /// The daemon's own folder
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where log lines go [default: standard error]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub listen: IpAddr,
}

/// A role that can only be run.
#[derive(Debug, Args)]
pub struct RunOnly {
    /// What to do
    #[command(subcommand)]
    pub verb: RunVerb,
}

/// The one thing to do with it.
#[derive(Debug, Subcommand)]
pub enum RunVerb {
    /// Run it until it is told to end
    Run(Daemon),
}

/// `ika mgr run`
#[derive(Debug, Args)]
pub struct Mgr {
    /// What to do
    #[command(subcommand)]
    pub verb: MgrVerb,
}

/// What can be done with a manager.
#[derive(Debug, Subcommand)]
pub enum MgrVerb {
    /// Run it until it is told to end
    Run(RunMgr),
}

/// `ika mgr run`
#[derive(Debug, Args)]
pub struct RunMgr {
    /// What every daemon is told
    #[command(flatten)]
    pub daemon: Daemon,
    /// Serve the dashboard and /metrics on this port of the same address
    #[arg(long, value_name = "PORT")]
    pub dashboard_port: Option<u16>,
    /// Where browsers find the dashboard, when that is not the address that it listens on
    #[arg(long, value_name = "URL", requires = "dashboard_port")]
    pub dashboard_url: Option<String>,
}

/// `ika s3 run`
#[derive(Debug, Args)]
pub struct S3 {
    /// What to do
    #[command(subcommand)]
    pub verb: S3Verb,
}

/// What can be done with a gateway.
#[derive(Debug, Subcommand)]
pub enum S3Verb {
    /// Run it until it is told to end
    Run(RunS3),
}

/// `ika s3 run`
#[derive(Debug, Args)]
pub struct RunS3 {
    /// The cluster's file
    #[arg(long, value_name = "FILE", env = "IKA_CONFIG")]
    pub config: PathBuf,
    /// Its name. Two gateways of one name must not run at the same time: the newer one takes over
    #[arg(long, value_name = "ID")]
    pub id: String,
    /// Where log lines go [default: standard error]
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub listen: IpAddr,
    /// The port to listen on
    #[arg(long, value_name = "PORT", default_value_t = 7480)]
    pub port: u16,
    /// Where clients find it, when that is not the address that it listens on
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The region that clients are shown
    #[arg(long, value_name = "NAME", default_value = s3::REGION_DEFAULT)]
    pub region: String,
    /// Serve /metrics on this port of the same address
    #[arg(long, value_name = "PORT")]
    pub metrics_port: Option<u16>,
}

/// `ika osd run`, `ika osd create`
#[derive(Debug, Args)]
pub struct Osd {
    /// What to do
    #[command(subcommand)]
    pub verb: OsdVerb,
}

/// What can be done with an OSD's device.
#[derive(Debug, Subcommand)]
pub enum OsdVerb {
    /// Run it until it is told to end
    Run(RunOsd),
    /// Make a device for it and format it
    Create(CreateOsd),
}

/// `ika osd run`
#[derive(Debug, Args)]
pub struct RunOsd {
    /// What every daemon is told
    #[command(flatten)]
    pub daemon: Daemon,
    /// The host's name, as CRUSH shall know it [default: this host's]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Tell the device which space is free, for flash and thin devices
    #[arg(long)]
    pub discard: bool,
}

/// `ika osd create`
#[derive(Debug, Args)]
pub struct CreateOsd {
    /// What every daemon is told
    #[command(flatten)]
    pub daemon: Daemon,
    /// Size of the device file `block` in the folder; without it `block` must be there, a file or a link to a device
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub size: Option<u64>,
}

/// `ika store`
#[derive(Debug, Args)]
pub struct Store {
    /// What to do
    #[command(subcommand)]
    pub verb: StoreVerb,
}

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub enum StoreVerb {
    /// Measure a new store beside what fio reaches on the same file system; it is removed afterwards
    Bench(Bench),
    /// With the store of an OSD that does not run
    #[command(flatten)]
    Stopped(StoppedStore),
}

/// Where a measured store lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Medium {
    /// In files of the folder
    Folder,
    /// In memory: the store's own cost, for profiles
    Memory,
}

/// What a measurement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Write blocks that exist, each durable before it counts
    Overwrite,
    /// Make objects of one block
    New,
    /// Read blocks whose data is not in memory
    Read,
}

/// `ika store bench`
#[derive(Debug, Args)]
pub struct Bench {
    /// The folder whose file system is measured; a folder of its own is made in it and removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Where the store lives
    #[arg(long, value_enum, default_value_t = Medium::Folder)]
    pub medium: Medium,
    /// What is done, several by comma [default: the five loads that figures are promised for]
    #[arg(long, value_enum, value_delimiter = ',', requires_all = ["block", "depth"])]
    pub work: Vec<Work>,
    /// Bytes of one operation, several by comma: 4K to the size of an object
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = parse_size, requires = "work")]
    pub block: Vec<u64>,
    /// Operations in flight, several by comma
    #[arg(long, value_name = "N", value_delimiter = ',', requires = "work")]
    pub depth: Vec<usize>,
    /// Take blocks in order instead of any
    #[arg(long, requires = "work")]
    pub sequential: bool,
    /// Alternations of fio and store for each load
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub rounds: usize,
    /// Milliseconds of each measurement
    #[arg(long, value_name = "N", default_value_t = 3000)]
    pub milliseconds: u64,
    /// Bytes of all objects together
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "1G")]
    pub data: u64,
    /// Bytes of one object
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "4M")]
    pub object: u64,
    /// The store's memory budget [default: the OSD's]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Size of the store's journal [default: the OSD's]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub journal: Option<u64>,
    /// Do not run fio
    #[arg(long)]
    pub no_fio: bool,
    /// From which places are drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print JSON, every round of it
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_words_are_told_from_operators() {
        let words = |text: &str| -> Vec<OsString> { text.split(' ').map(OsString::from).collect() };
        assert!(is_own(&words("ika up --detach")));
        assert!(is_own(&words("ika osd run --config x --id 0 --data y")));
        assert!(is_own(&words("ika store fsck osd.0 --deep")));
        assert!(is_own(&words("ika s3 run --config x --id a")));
        assert!(!is_own(&words("ika s3 env")));
        assert!(!is_own(&words("ika osd tree")));
        assert!(!is_own(&words("ika status")));
        assert!(!is_own(&words("ika mon stat")));
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Own::command().debug_assert();
    }
}
