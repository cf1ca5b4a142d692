//! Running one daemon: its log, its runtime, its signals.

use std::{io::Write, sync::Arc};

use anyhow::{Context, Result, anyhow};
use async_trait::async_trait;
use client::{Cluster, Config};
use mgr::{BucketRow, BucketSource, DashboardSettings, ManagerSettings};
use net::ClusterKey;
use osd::{CreateSettings, FreeSpace, OsdSettings};
use store::StoreOptions;
use telemetry::logging::{Destination, LineKind};
use tokio::signal::unix::{SignalKind, signal};
use types::OsdId;

use crate::arguments::{CreateOsd, Daemon, Mgr, MgrVerb, Osd, OsdVerb, RunOnly, RunOsd, RunVerb, S3, S3Verb};

/// Runs a monitor.
pub fn run_mon(arguments: &RunOnly) -> Result<()> {
    let RunVerb::Run(daemon) = &arguments.verb;
    let config = begin("mon", daemon)?;
    let settings = mon::MonSettings::new(
        config.cluster,
        ClusterKey::new(config.key.0),
        daemon.id.clone(),
        daemon.data.clone(),
        config.monitors.clone(),
    )?;
    let serving = |address: std::net::SocketAddr| say_serving(&format!("mon.{} serves on {address}", daemon.id));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async { mon::run(settings, serving, shutdown_signal()?).await })
}

/// Makes or runs an OSD.
pub fn osd(arguments: &Osd) -> Result<()> {
    match &arguments.verb {
        OsdVerb::Run(run) => run_osd(run),
        OsdVerb::Create(create) => create_osd(create),
    }
}

fn create_osd(arguments: &CreateOsd) -> Result<()> {
    let config = Config::load(&arguments.daemon.config)?;
    osd::create(&CreateSettings {
        cluster: config.cluster,
        id: osd_id(&arguments.daemon)?,
        data: arguments.daemon.data.clone(),
        size: arguments.size,
        store: StoreOptions::default(),
    })?;
    println!("osd.{} is made in {}", arguments.daemon.id, arguments.daemon.data.display());
    Ok(())
}

fn run_osd(arguments: &RunOsd) -> Result<()> {
    let daemon = &arguments.daemon;
    let config = begin("osd", daemon)?;
    let host = match &arguments.host {
        Some(host) => host.clone(),
        None => this_host()?,
    };
    let settings = OsdSettings {
        cluster: config.cluster,
        key: ClusterKey::new(config.key.0),
        monitors: config.monitors.clone(),
        id: osd_id(daemon)?,
        data: daemon.data.clone(),
        host,
        listen: daemon.listen,
        store: StoreOptions::default(),
        free_space: if arguments.discard { FreeSpace::Discarded } else { FreeSpace::Kept },
    };
    let serving = |address: std::net::SocketAddr| say_serving(&format!("osd.{} serves on {address}", daemon.id));
    current_thread()?.block_on(async { osd::run(settings, serving, shutdown_signal()?).await })
}

/// Runs a manager.
pub fn run_mgr(arguments: &Mgr) -> Result<()> {
    let MgrVerb::Run(run) = &arguments.verb;
    let daemon = &run.daemon;
    let config = begin("mgr", daemon)?;
    let dashboard = run.dashboard_port.map(|port| DashboardSettings {
        port,
        url: run.dashboard_url.clone(),
        buckets: Some(Arc::new(GatewayBuckets)),
    });
    let settings = ManagerSettings { config, name: daemon.id.clone(), listen: daemon.listen, dashboard };
    let serving = |address: std::net::SocketAddr| say_serving(&format!("mgr.{} serves on {address}", daemon.id));
    current_thread()?.block_on(async { mgr::run(settings, serving, shutdown_signal()?).await })
}

/// The manager does not know the gateway; here both are known.
#[derive(Debug)]
struct GatewayBuckets;

#[async_trait]
impl BucketSource for GatewayBuckets {
    async fn buckets(&self, cluster: &Cluster, count_max: usize) -> client::Result<Vec<BucketRow>> {
        let Some(s3) = s3::Administration::open_existing(cluster.clone()).await? else { return Ok(Vec::new()) };
        let row = |usage: s3::BucketUsage| BucketRow {
            name: usage.bucket.name,
            owner: usage.bucket.owner,
            objects: usage.objects,
            bytes: usage.bytes,
            created_ms: usage.bucket.created_ms,
        };
        Ok(s3.buckets(count_max).await?.into_iter().map(row).collect())
    }
}

/// Runs an S3 gateway.
pub fn run_s3(arguments: &S3) -> Result<()> {
    let S3Verb::Run(options) = &arguments.verb;
    let destination = options.log.clone().map_or(Destination::Stderr, Destination::File);
    telemetry::logging::start("s3", &options.id, destination, LineKind::Text).context("start the log")?;
    let config = Config::load(&options.config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        let shutdown = shutdown_signal()?;
        let listener = s3::listen((options.listen, options.port).into()).await?;
        let address = listener.local_addr().context("ask for the port's number")?;
        let metrics = match options.metrics_port {
            Some(port) => Some(s3::listen((options.listen, port).into()).await?),
            None => None,
        };
        let settings = s3::Settings {
            name: format!("s3.{}", options.id),
            endpoint: options.endpoint.clone().unwrap_or_else(|| format!("http://{address}")),
            region: options.region.clone(),
        };
        tokio::pin!(shutdown);
        let opened = async {
            let cluster = Cluster::connect(&config).await.context("connect to the monitors")?;
            s3::Server::open(cluster, settings).await.context("open the gateway's pools")
        };
        // Without a quorum, or with a full cluster, this may take for ever.
        let server = tokio::select! {
            server = opened => server?,
            () = &mut shutdown => return Ok(()),
        };
        let figures = metrics.as_ref().map(tokio::net::TcpListener::local_addr).transpose();
        let figures = figures.context("ask for the number of the port of metrics")?;
        let figures = figures.map(|address| format!(", its metrics on {address}")).unwrap_or_default();
        say_serving(&format!("s3.{} serves on {address}{figures}", options.id));
        Ok(server.run(listener, metrics, shutdown).await?)
    })
}

/// Ends with the first SIGTERM or SIGINT.
pub fn shutdown_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn begin(role: &str, daemon: &Daemon) -> Result<Config> {
    let destination = daemon.log.clone().map_or(Destination::Stderr, Destination::File);
    telemetry::logging::start(role, &daemon.id, destination, LineKind::Text).context("start the log")?;
    Ok(Config::load(&daemon.config)?)
}

fn osd_id(daemon: &Daemon) -> Result<OsdId> {
    let number = daemon.id.parse().map_err(|_| anyhow!("--id is `{}`; an OSD's is a number", daemon.id))?;
    Ok(OsdId(number))
}

fn this_host() -> Result<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").context("ask for the host's name")?;
    Ok(name.trim().to_owned())
}

/// Whoever started this daemon waits for this line; nobody may be listening any more.
fn say_serving(line: &str) {
    tracing::info!("{line}");
    let mut out = std::io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        tracing::debug!(%error, "nobody listens on standard output");
    }
}

fn current_thread() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("start the runtime")
}
