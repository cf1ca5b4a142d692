//! `ika up` and `ika down`: words in, words out.

use std::io::Write;

use anyhow::{Context, Result};
use local::{PortChoice, Started, UpOptions};
use telemetry::logging::{Destination, LineKind};

use crate::{
    arguments::{Down, Up},
    daemon::shutdown_signal,
};

/// The pool that a fresh cluster comes with.
const DEMO_POOL: &str = "demo";

/// Brings the cluster up; in the foreground it runs until Ctrl-C.
pub fn up(arguments: &Up) -> Result<()> {
    start_log("up")?;
    let options = UpOptions {
        data: arguments.data.clone(),
        program: std::env::current_exe().context("find this program's own file")?,
        mons: arguments.mons,
        osds: arguments.osds,
        hosts: arguments.hosts,
        osd_size_bytes: arguments.osd_size,
        pool: Some(DEMO_POOL.to_owned()),
        s3: Some(arguments.s3_port.map_or(PortChoice::Any, PortChoice::Exactly)),
        dashboard: Some(arguments.dashboard_port.map_or(PortChoice::Any, PortChoice::Exactly)),
    };
    runtime()?.block_on(async {
        let shutdown = shutdown_signal()?;
        let starting = local::up(&options, |line| eprintln!("ika: {line}"));
        tokio::pin!(shutdown);
        let started = tokio::select! {
            started = starting => started?,
            () = &mut shutdown => anyhow::bail!("interrupted; what was started goes on: `ika down --data {}` stops it", options.data.display()),
        };
        print_welcome(&started).context("print")?;
        if arguments.detach {
            return Ok(());
        }
        println!("Ctrl-C stops the cluster; its data stays.");
        shutdown.await;
        eprintln!("ika: stopping");
        started.stop().await?;
        Ok(())
    })
}

/// Stops the cluster.
pub fn down(arguments: &Down) -> Result<()> {
    start_log("down")?;
    let stopped = runtime()?.block_on(local::down(&arguments.data))?;
    if stopped == 0 {
        println!("nothing ran in {}", arguments.data.display());
    } else {
        println!("stopped {stopped} daemons; the data in {} stays", arguments.data.display());
    }
    Ok(())
}

fn print_welcome(started: &Started) -> std::io::Result<()> {
    let folder = &started.folder;
    let topology = folder.topology();
    let mut out = std::io::stdout().lock();
    writeln!(out, "A cluster of {} monitors, {} OSDs and a manager is healthy.", topology.mons, topology.osds)?;
    if !started.running.is_empty() {
        writeln!(out, "  ran before   {}", started.running.join(", "))?;
    }
    writeln!(out, "  folder       {}", folder.path().display())?;
    for (name, address) in folder.monitors() {
        writeln!(out, "  mon.{name}        {address}")?;
    }
    if let Some(address) = topology.s3 {
        writeln!(out, "  s3.a         http://{address}")?;
    }
    if let Some(address) = topology.dashboard {
        let password = folder.dashboard_password_path();
        writeln!(out, "  dashboard    http://{address}/ (the password is in {})", password.display())?;
    }
    writeln!(out, "  credentials  {} (cluster id and key; keep it private)", folder.config_path().display())?;
    writeln!(out, "\nTo try:")?;
    writeln!(out, "  export IKA_CONFIG={}", folder.config_path().display())?;
    let program = std::env::current_exe().unwrap_or_else(|_| "ika".into());
    let program = program.display();
    writeln!(out, "  {program} status")?;
    writeln!(out, "  {program} object -p {DEMO_POOL} put greeting /etc/hostname")?;
    writeln!(out, "  {program} object -p {DEMO_POOL} get greeting -")?;
    writeln!(out, "  {program} object -p {DEMO_POOL} bench 5 write -b 4096 -t 16")?;
    if topology.s3.is_some() {
        writeln!(out, "  eval \"$({program} s3 env)\"; aws s3 mb s3://first")?;
    }
    out.flush()
}

fn start_log(name: &str) -> Result<()> {
    if std::env::var_os(telemetry::logging::FILTER_VARIABLE).is_none() {
        return Ok(());
    }
    telemetry::logging::start("ika", name, Destination::Stderr, LineKind::Text).context("start the log")
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")
}
