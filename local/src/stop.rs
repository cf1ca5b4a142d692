//! Stopping: politely first, in an order that lets everyone say farewell.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use telemetry::clock::boot_clock_now;

use crate::{Daemon, Folder, Role, RunningProcess, plan::daemons};

/// How long a daemon may take to end after it was asked to; flushing a store takes seconds at worst.
const STOP_DEADLINE: Duration = Duration::from_secs(30);
/// How often an ending process is looked at: it is not our child when it was started by an earlier `ika up`.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How a daemon is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopOrder {
    /// SIGTERM, so that it says farewell and closes its store.
    Politely,
    /// SIGKILL, as a crash would.
    AtOnce,
}

/// Stops every daemon of the cluster in this folder. Says how many ran.
pub async fn down(path: &Path) -> Result<usize> {
    let folder = Folder::open(path)?;
    stop_all(&folder).await
}

/// Gateways first, while they can still finish their requests; monitors last, while the others say farewell.
pub(crate) async fn stop_all(folder: &Folder) -> Result<usize> {
    let of = |wanted: &[Role]| -> Vec<Daemon> {
        daemons(folder).into_iter().filter(|daemon| wanted.contains(&daemon.role)).collect()
    };
    let (mut stopped, mut stubborn) = (0, Vec::new());
    for group in [of(&[Role::S3]), of(&[Role::Osd, Role::Mgr]), of(&[Role::Mon])] {
        stopped += stop_group(folder, &group, &mut stubborn).await?;
    }
    // Told at the end: one that does not end must not keep the others running.
    if !stubborn.is_empty() {
        bail!("{}", stubborn.join("\n"));
    }
    Ok(stopped)
}

async fn stop_group(folder: &Folder, group: &[Daemon], stubborn: &mut Vec<String>) -> Result<usize> {
    let mut running = Vec::new();
    for daemon in group {
        if let Some(process) = RunningProcess::find(&folder.run_path(&daemon.name))? {
            process.signal(Signal::SIGTERM)?;
            running.push((daemon, process));
        }
    }
    for (daemon, process) in &running {
        match wait_until_ended(&daemon.name, *process).await {
            Ok(()) => remove_run_file(&folder.run_path(&daemon.name))?,
            Err(error) => stubborn.push(error.to_string()),
        }
    }
    Ok(running.len())
}

/// Ends one daemon of a folder by name and waits until it has ended.
pub async fn stop_daemon(path: &Path, name: &str, order: StopOrder) -> Result<()> {
    let run_path = path.join("run").join(name);
    let Some(process) = RunningProcess::find(&run_path)? else { bail!("{name} does not run") };
    process.signal(match order {
        StopOrder::Politely => Signal::SIGTERM,
        StopOrder::AtOnce => Signal::SIGKILL,
    })?;
    wait_until_ended(name, process).await?;
    remove_run_file(&run_path)
}

/// Ends every daemon of a folder at once, as a power cut would.
pub async fn kill(path: &Path) -> Result<()> {
    let folder = Folder::open(path)?;
    let mut running = Vec::new();
    for daemon in daemons(&folder) {
        if let Some(process) = RunningProcess::find(&folder.run_path(&daemon.name))? {
            process.signal(Signal::SIGKILL)?;
            running.push((daemon.name, process));
        }
    }
    for (name, process) in running {
        wait_until_ended(&name, process).await?;
        remove_run_file(&folder.run_path(&name))?;
    }
    Ok(())
}

async fn wait_until_ended(name: &str, process: RunningProcess) -> Result<()> {
    let deadline = boot_clock_now() + STOP_DEADLINE;
    let mut look = tokio::time::interval(LOOK_AGAIN_AFTER);
    while process.is_running() {
        if boot_clock_now() >= deadline {
            bail!("{name} (process {}) does not end; its log says why, `kill -9 {0}` ends it", process.pid);
        }
        look.tick().await;
    }
    Ok(())
}

fn remove_run_file(run_path: &Path) -> Result<()> {
    match fs::remove_file(run_path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", run_path.display()))
        }
        _ => Ok(()),
    }
}
