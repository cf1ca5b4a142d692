//! Starting a cluster: make what is missing, start what does not run, wait until it serves.

use std::{
    fs::OpenOptions,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use client::{Cluster, PasswordHash};
use telemetry::clock::boot_clock_now;

use crate::{
    Daemon, Folder, Role, RunningProcess, Topology,
    plan::{create_arguments, daemons, run_arguments},
    port::{check_free, choose_free},
    process::Starting,
    ready::{provide_pool, wait_for_daemons, wait_for_health},
    stop::stop_all,
};

/// How long a started cluster may take until it is healthy. On two busy cores a start takes a few seconds.
const READY_DEADLINE: Duration = Duration::from_secs(120);
/// Bytes that must stay free on the file system beside the device files: metadata, logs, monitors.
const SPARE_BYTES: u64 = 1 << 30;
/// The smallest device file that makes sense: journal, metadata reserve and some data.
const OSD_SIZE_BYTES_MIN: u64 = 1 << 30;

/// What an operator asks for. What is `None` is as it was, or the default for a new cluster.
#[derive(Debug, Clone)]
pub struct UpOptions {
    /// The folder.
    pub data: PathBuf,
    /// The binary that the daemons run.
    pub program: PathBuf,
    /// Monitors; 3.
    pub mons: Option<u32>,
    /// OSDs; 3.
    pub osds: Option<u32>,
    /// Hosts that CRUSH tells apart; as many as OSDs.
    pub hosts: Option<u32>,
    /// Bytes of each OSD's device; 10 GiB.
    pub osd_size_bytes: Option<u64>,
    /// A pool that shall exist.
    pub pool: Option<String>,
    /// An S3 gateway that shall run.
    pub s3: Option<PortChoice>,
    /// A dashboard that the manager shall serve.
    pub dashboard: Option<PortChoice>,
}

/// Where something shall listen on 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// Where it did before, or else on a free port.
    Any,
    /// There.
    Exactly(u16),
}

impl UpOptions {
    /// The defaults, in this folder, with this binary.
    pub fn new(data: impl Into<PathBuf>, program: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            program: program.into(),
            mons: None,
            osds: None,
            hosts: None,
            osd_size_bytes: None,
            pool: None,
            s3: None,
            dashboard: None,
        }
    }
}

/// A cluster that serves. Holds the folder's lock; dropping it stops nothing.
#[derive(Debug)]
pub struct Started {
    /// The folder.
    pub folder: Folder,
    /// Daemons that were started by this call.
    pub started: Vec<String>,
    /// Daemons that ran before.
    pub running: Vec<String>,
    /// A client.
    pub cluster: Cluster,
}

impl Started {
    /// Stops every daemon. Says how many ran.
    pub async fn stop(&self) -> Result<usize> {
        stop_all(&self.folder).await
    }
}

/// Brings the cluster up and waits until it is healthy. `tell` hears what is being done, a line at a time.
pub async fn up(options: &UpOptions, mut tell: impl FnMut(&str)) -> Result<Started> {
    let wanted = wanted_topology(options)?;
    let (mut folder, _) = Folder::open_or_make(&options.data, &wanted)?;
    agree_on_topology(&mut folder, options)?;
    create_osds(&folder, &options.program, &mut tell)?;
    let is_gateway = |daemon: &Daemon| daemon.role == Role::S3;
    let (mut started, mut running) = start_daemons(&folder, &options.program, |daemon| !is_gateway(daemon), &mut tell)?;
    let deadline = boot_clock_now() + READY_DEADLINE;
    let cluster = Cluster::connect(folder.config()).await.context("connect to the monitors")?;
    tell("waiting until all daemons are up");
    wait_for_daemons(&cluster, folder.topology().osds, deadline).await?;
    if folder.topology().dashboard.is_some() {
        provide_dashboard_password(&folder, &cluster).await?;
    }
    // A gateway makes pools and writes to them before it serves.
    let (more_started, more_running) = start_daemons(&folder, &options.program, is_gateway, &mut tell)?;
    started.extend(more_started);
    running.extend(more_running);
    if let Some(pool) = &options.pool {
        provide_pool(&cluster, pool).await?;
    }
    tell("waiting until the cluster is healthy");
    wait_for_health(&cluster, deadline).await?;
    Ok(Started { folder, started, running, cluster })
}

/// A dashboard without a password gets one, which is written down before it counts.
async fn provide_dashboard_password(folder: &Folder, cluster: &Cluster) -> Result<()> {
    if cluster.dashboard_password().await.context("look for the dashboard's password")?.is_some() {
        return Ok(());
    }
    let password = client::draw_password()?;
    folder.write_dashboard_password(&password)?;
    let hash = PasswordHash::of(&password)?;
    cluster.set_dashboard_password(&hash).await.context("set the dashboard's password")
}

fn wanted_topology(options: &UpOptions) -> Result<Topology> {
    let mons = options.mons.unwrap_or(3);
    let osds = options.osds.unwrap_or(3);
    let hosts = options.hosts.unwrap_or(osds);
    let osd_size_bytes = options.osd_size_bytes.unwrap_or(10 << 30);
    if !(1..=7).contains(&mons) {
        bail!("--mons is {mons}; a quorum has 1 to 7 monitors, best an odd number");
    }
    if !(1..=64).contains(&osds) {
        bail!("--osds is {osds}; one machine takes 1 to 64");
    }
    if !(1..=osds).contains(&hosts) {
        bail!("--hosts is {hosts}; with {osds} OSDs it is 1 to {osds}");
    }
    if osd_size_bytes < OSD_SIZE_BYTES_MIN {
        bail!("--osd-size is {osd_size_bytes} bytes; the least is {OSD_SIZE_BYTES_MIN} (1G)");
    }
    let s3 = options.s3.map(|port| choose_address(port, None)).transpose()?;
    let dashboard = options.dashboard.map(|port| choose_address(port, None)).transpose()?;
    Ok(Topology { mons, osds, hosts, osd_size_bytes, s3, dashboard })
}

/// Where something listens from now on.
fn choose_address(port: PortChoice, before: Option<SocketAddr>) -> Result<SocketAddr> {
    match (port, before) {
        (PortChoice::Exactly(port), _) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        (PortChoice::Any, Some(before)) => Ok(before),
        (PortChoice::Any, None) => choose_free(1)?.pop().context("a free port was asked for"),
    }
}

/// An existing cluster keeps its shape, except that OSDs may be added, and gateway and dashboard may move.
fn agree_on_topology(folder: &mut Folder, options: &UpOptions) -> Result<()> {
    let has = folder.topology();
    if let Some(mons) = options.mons.filter(|mons| *mons != has.mons) {
        bail!("{} has {} monitors, not {mons}; leave --mons away", folder.path().display(), has.mons);
    }
    if let Some(osds) = options.osds.filter(|osds| *osds < has.osds) {
        bail!("{} has {} OSDs, and `up` takes none away; --osds {osds} is too few", folder.path().display(), has.osds);
    }
    let osds = options.osds.unwrap_or(has.osds);
    let hosts = options.hosts.unwrap_or(has.hosts.max(if osds > has.osds { osds } else { 0 }));
    // The size is for OSDs that are still to be made, as after a start that found too little space.
    let osd_size_bytes = options.osd_size_bytes.unwrap_or(has.osd_size_bytes);
    let choose = |port: Option<PortChoice>, before| match port {
        Some(port) => choose_address(port, before).map(Some),
        None => Ok(before),
    };
    let s3 = choose(options.s3, has.s3)?;
    let dashboard = choose(options.dashboard, has.dashboard)?;
    let wanted = Topology { osds, hosts, osd_size_bytes, s3, dashboard, ..has.clone() };
    if wanted != has {
        folder.set_topology(wanted)?;
    }
    Ok(())
}

fn create_osds(folder: &Folder, program: &Path, tell: &mut impl FnMut(&str)) -> Result<()> {
    let is_made = |osd: &Daemon| folder.data_path(&osd.name).join("created").exists();
    let missing: Vec<Daemon> =
        daemons(folder).into_iter().filter(|daemon| daemon.role == Role::Osd && !is_made(daemon)).collect();
    check_space(folder, &missing)?;
    for osd in missing {
        tell(&format!("making {}", osd.name));
        let output = Command::new(program)
            .args(create_arguments(folder, &osd))
            .output()
            .with_context(|| format!("make {}", osd.name))?;
        // What an interrupted start was still making may have been finished by its own child meanwhile.
        if !output.status.success() && !is_made(&osd) {
            bail!("cannot make {}: {}", osd.name, String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    Ok(())
}

fn check_space(folder: &Folder, missing: &[Daemon]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let statistics = nix::sys::statvfs::statvfs(folder.path())
        .with_context(|| format!("ask how full the file system of {} is", folder.path().display()))?;
    let available = statistics.blocks_available().saturating_mul(statistics.fragment_size());
    // What an interrupted start reserved is there already and will be used again.
    let reserved = |osd: &Daemon| {
        std::fs::metadata(folder.data_path(&osd.name).join("block")).map_or(0, |metadata| metadata.len())
    };
    let size = folder.topology().osd_size_bytes;
    let needed: u64 = missing.iter().map(|osd| size.saturating_sub(reserved(osd))).sum::<u64>() + SPARE_BYTES;
    if needed > available {
        bail!(
            "{} OSDs of {} MiB and 1 GiB to spare need {} MiB, and {} has {} MiB; give a smaller --osd-size or another --data",
            missing.len(),
            size >> 20,
            needed >> 20,
            folder.path().display(),
            available >> 20
        );
    }
    Ok(())
}

/// Starts what does not run: all at once, then waits for each to say that it serves. On trouble the ones started here
/// are stopped again, so that nothing half started is left behind.
fn start_daemons(
    folder: &Folder,
    program: &Path,
    which: impl Fn(&Daemon) -> bool,
    tell: &mut impl FnMut(&str),
) -> Result<(Vec<String>, Vec<String>)> {
    let (mut starting, mut running) = (Vec::new(), Vec::new());
    for daemon in daemons(folder).into_iter().filter(which) {
        if RunningProcess::find(&folder.run_path(&daemon.name))?.is_some() {
            running.push(daemon.name);
            continue;
        }
        starting.push(daemon);
    }
    for (name, address) in folder.monitors() {
        if starting.iter().any(|daemon| daemon.role == Role::Mon && daemon.id == name) {
            check_free(address, &format!("mon.{name}"))?;
        }
    }
    for (role, address) in [(Role::S3, folder.topology().s3), (Role::Mgr, folder.topology().dashboard)] {
        let daemon = starting.iter().find(|daemon| daemon.role == role);
        if let (Some(daemon), Some(address)) = (daemon, address) {
            check_free(address, &daemon.name)?;
        }
    }
    let result = begin_all(folder, program, &starting, tell);
    if let Err(error) = result {
        for daemon in &starting {
            if let Some(process) = RunningProcess::find(&folder.run_path(&daemon.name))? {
                process.signal(nix::sys::signal::Signal::SIGTERM)?;
            }
        }
        return Err(error);
    }
    Ok((starting.into_iter().map(|daemon| daemon.name).collect(), running))
}

fn begin_all(folder: &Folder, program: &Path, daemons: &[Daemon], tell: &mut impl FnMut(&str)) -> Result<()> {
    let mut begun = Vec::new();
    for daemon in daemons {
        tell(&format!("starting {}", daemon.name));
        let log = folder.log_path(&daemon.name);
        let errors = OpenOptions::new().create(true).append(true).open(&log);
        let errors = errors.with_context(|| format!("open {}", log.display()))?;
        let arguments = run_arguments(folder, daemon);
        begun.push(Starting::begin(&daemon.name, program, arguments, &folder.run_path(&daemon.name), errors)?);
    }
    let deadline = boot_clock_now() + READY_DEADLINE;
    for starting in begun {
        let log = folder.log_path(&starting.name);
        starting.wait(&log, deadline)?;
    }
    Ok(())
}

/// Starts one daemon of a cluster that was made before, and waits until it says that it serves.
pub fn start_daemon(path: &Path, program: &Path, name: &str) -> Result<()> {
    let folder = Folder::open(path)?;
    let daemon = daemons(&folder).into_iter().find(|daemon| daemon.name == name);
    let Some(daemon) = daemon else { bail!("{} has no daemon `{name}`", path.display()) };
    if let Some(process) = RunningProcess::find(&folder.run_path(name))? {
        bail!("{name} runs already, as process {}", process.pid);
    }
    begin_all(&folder, program, &[daemon], &mut |line| tracing::debug!(line))
}
