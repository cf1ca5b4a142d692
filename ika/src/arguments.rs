//! The command lines of daemons and of local clusters; operators' commands are the `cli` crate's.

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use cli::parse_size;

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
    Mgr(RunOnly),
}

/// Whether the words belong to this enumeration rather than to the operators' commands.
pub fn is_own(arguments: &[OsString]) -> bool {
    let word = |at: usize| arguments.get(at).and_then(|word| word.to_str()).unwrap_or_default();
    match word(1) {
        "up" | "down" => true,
        "mon" | "mgr" => word(2) == "run",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_words_are_told_from_operators() {
        let words = |text: &str| -> Vec<OsString> { text.split(' ').map(OsString::from).collect() };
        assert!(is_own(&words("ika up --detach")));
        assert!(is_own(&words("ika osd run --config x --id 0 --data y")));
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
