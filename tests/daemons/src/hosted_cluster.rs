//! A cluster of real processes on hosts that a test can cut off from each other: a monitor and some OSDs on each, the
//! manager and the clients outside.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{BufRead, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use client::{Cluster, ClusterKey, CommandArguments, Config};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use telemetry::clock::boot_clock_now;
use tempfile::TempDir;
use types::{ClusterId, EntityKind, EntityName, Seed, SeededRandom, Uuid};

use crate::{
    hosts::Hosts,
    test_cluster::{log_lines, program, temporary_folder},
};

/// Where monitors listen on their hosts.
const MONITOR_PORT: u16 = 3300;
/// Bytes of each OSD's device.
const OSD_BYTES: u64 = 2 << 30;
/// How often health is asked for while a test waits for it.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);

/// The cluster. Its processes end with it.
#[derive(Debug)]
pub struct HostedCluster {
    folder: TempDir,
    program: PathBuf,
    config: Config,
    hosts: Hosts,
    osds: usize,
    daemons: BTreeMap<String, Child>,
}

impl HostedCluster {
    /// A healthy cluster with an empty pool `test`; OSDs are dealt to the hosts in turn.
    pub async fn start(hosts: u8, osds: usize) -> Result<Self> {
        let hosts = Hosts::start(hosts)?;
        let folder = temporary_folder()?;
        let monitors = (0..hosts.count()).map(|host| SocketAddr::new(hosts.address(host), MONITOR_PORT)).collect();
        let mut random = SeededRandom::new(Seed(u64::from(std::process::id())));
        let mut bytes = [0; 16];
        bytes.fill_with(|| random.draw().to_le_bytes()[0]);
        let config = Config {
            cluster: ClusterId(Uuid::from_random(bytes)),
            key: ClusterKey([7; 32]),
            name: EntityName::new(EntityKind::Client, "admin"),
            monitors,
        };
        let mut cluster = Self { folder, program: program()?, config, hosts, osds, daemons: BTreeMap::new() };
        fs::create_dir(cluster.path().join("log")).context("make the folder for logs")?;
        fs::write(cluster.path().join("ika.toml"), cluster.config.to_toml()).context("write the cluster's file")?;
        for osd in 0..osds {
            cluster.make_osd(osd)?;
        }
        let names: Vec<String> = cluster.names();
        for name in &names {
            cluster.begin(name)?;
        }
        for name in &names {
            cluster.wait_until_serving(name)?;
        }
        let client = cluster.connect().await?;
        let up = client.wait_for(move |map| map.osds.values().filter(|osd| osd.up).count() >= osds);
        tokio::time::timeout(Duration::from_secs(60), up).await.context("all OSDs are up within a minute")??;
        let arguments = CommandArguments::from([("pool".to_owned(), "test".to_owned())]);
        client.command("osd pool create", arguments, Vec::new()).await.context("make the pool")?;
        cluster.wait_for_health(Duration::from_secs(60)).await?;
        Ok(cluster)
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The hosts under it.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// How many OSDs there are.
    pub fn osds(&self) -> usize {
        self.osds
    }

    fn names(&self) -> Vec<String> {
        let monitors = ('a'..='z').take(self.hosts.count()).map(|letter| format!("mon.{letter}"));
        let osds = (0..self.osds).map(|osd| format!("osd.{osd}"));
        monitors.chain(osds).chain(["mgr.x".to_owned()]).collect()
    }

    /// The host of a daemon; the manager is outside.
    pub fn host_of(&self, name: &str) -> Option<usize> {
        match name.split_once('.')? {
            ("osd", number) => number.parse().ok().map(|number: usize| number % self.hosts.count()),
            ("mon", letter) => letter.bytes().next().map(|letter| usize::from(letter - b'a')),
            _ => None,
        }
    }

    /// A client of its own, outside all hosts.
    pub async fn connect(&self) -> Result<Cluster> {
        Cluster::connect(&self.config).await.context("connect")
    }

    fn make_osd(&self, osd: usize) -> Result<()> {
        let data = self.path().join(format!("osd.{osd}"));
        let output = self
            .ika(&["osd", "create", "--id", &osd.to_string(), "--data", &data.to_string_lossy()], |command| {
                command.args(["--config".as_ref(), self.path().join("ika.toml").as_os_str()]);
                command.args(["--size", &OSD_BYTES.to_string()]);
            })
            .context("make an OSD")?;
        ensure!(output.status.success(), "cannot make osd.{osd}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    fn ika(&self, arguments: &[&str], more: impl FnOnce(&mut Command)) -> Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        more(&mut command);
        command.output().with_context(|| format!("run ika {}", arguments.join(" ")))
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        let (role, id) = name.split_once('.').context("a daemon's name has a dot")?;
        let host = self.host_of(name);
        let (mut command, address) = match host {
            Some(host) => (self.hosts.command(host, &self.program), self.hosts.address(host)),
            None => (Command::new(&self.program), IpAddr::from(Ipv4Addr::new(10, 99, 0, 1))),
        };
        let log = self.path().join("log").join(format!("{name}.log"));
        let errors = OpenOptions::new().create(true).append(true).open(&log).context("open the log")?;
        command.args([role, "run", "--id", id, "--config"]).arg(self.path().join("ika.toml"));
        command.arg("--data").arg(self.path().join(name)).arg("--log").arg(&log);
        if role != "mon" {
            command.args(["--listen", &address.to_string()]);
        }
        if let Some(host) = host.filter(|_| role == "osd") {
            command.args(["--host", &format!("host{host}")]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn();
        self.daemons.insert(name.to_owned(), child.with_context(|| format!("start {name}"))?);
        Ok(())
    }

    fn wait_until_serving(&mut self, name: &str) -> Result<()> {
        let child = self.daemons.get_mut(name).context("it was begun")?;
        let stdout = child.stdout.take().context("its standard output is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).with_context(|| format!("listen to {name}"))?;
        ensure!(!line.trim().is_empty(), "{name} did not start");
        Ok(())
    }

    /// Starts a daemon that was killed.
    pub fn start_daemon(&mut self, name: &str) -> Result<()> {
        self.begin(name)?;
        self.wait_until_serving(name)
    }

    /// Ends a daemon as a crash would.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        let mut child = self.daemons.remove(name).with_context(|| format!("{name} does not run"))?;
        child.kill().and_then(|()| child.wait().map(drop)).with_context(|| format!("kill {name}"))
    }

    /// Sends a daemon a signal.
    fn signal(&self, name: &str, signal: Signal) -> Result<()> {
        let child = self.daemons.get(name).with_context(|| format!("{name} does not run"))?;
        let pid = i32::try_from(child.id()).context("a process id fits 31 bits")?;
        kill(Pid::from_raw(pid), signal).with_context(|| format!("send {signal} to {name}"))
    }

    /// Makes a daemon stand still.
    pub fn freeze(&self, name: &str) -> Result<()> {
        self.signal(name, Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn thaw(&self, name: &str) -> Result<()> {
        self.signal(name, Signal::SIGCONT)
    }

    /// Gives an OSD that was killed a new, empty device.
    pub fn wipe(&self, osd: usize) -> Result<()> {
        let data = self.path().join(format!("osd.{osd}"));
        fs::remove_dir_all(&data).with_context(|| format!("wipe {}", data.display()))?;
        self.make_osd(osd)
    }

    /// What `health` says.
    pub async fn health(&self, client: &Cluster) -> Result<Value> {
        let answer = client.command("health", CommandArguments::new(), Vec::new()).await.context("ask for health")?;
        serde_json::from_slice(&answer.output).context("understand the health that was told")
    }

    /// Waits until the cluster is healthy; says how long that took.
    pub async fn wait_for_health(&self, within: Duration) -> Result<Duration> {
        let client = self.connect().await?;
        let begun = boot_clock_now();
        let mut again = tokio::time::interval(HEALTH_INTERVAL);
        loop {
            again.tick().await;
            let health = self.health(&client).await?;
            let took = boot_clock_now().since(begun);
            if health["status"] == "HEALTH_OK" {
                return Ok(took);
            }
            if took >= within {
                bail!("not healthy after {within:?}: {health}");
            }
        }
    }

    /// Compares all replicas.
    pub fn verify(&self) -> Result<()> {
        let output = self.ika(&["osd", "verify"], |command| {
            command.env("IKA_CONFIG", self.path().join("ika.toml"));
        })?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "replicas differ: {said}{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Lines of this level in any daemon's log.
    pub fn log_lines(&self, level: &str) -> Result<Vec<String>> {
        log_lines(&self.path().join("log"), level)
    }
}

impl Drop for HostedCluster {
    fn drop(&mut self) {
        for (name, child) in &mut self.daemons {
            if let Err(error) = child.kill().and_then(|()| child.wait().map(drop)) {
                eprintln!("could not end {name}: {error}");
            }
        }
    }
}
