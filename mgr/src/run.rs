//! The life of a manager process.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use client::Cluster;
use map::{ConfigOption, ConfigSubject};
use net::{
    ClusterKey, Identity,
    control::{ControlClient, ControlHandler, ControlServer},
};
use telemetry::clock::{boot_clock_now, wall_clock_milliseconds};
use tokio::{net::TcpListener, sync::mpsc};
use types::{BootNonce, EntityKind, EntityName, Epoch, Error};
use wire::{ControlReply, ControlRequest, MapShare};

use crate::{
    Collector, ManagerSettings,
    board::Board,
    http::{Site, router, serve},
    inquiries,
};

/// How often the monitors hear that this manager lives, and what it knows.
const BEACON_INTERVAL: Duration = Duration::from_secs(1);
/// How long the monitors have for an answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Hears OSDs.
struct Handler {
    collector: Arc<Mutex<Collector>>,
}

#[async_trait::async_trait]
impl ControlHandler for Handler {
    async fn handle(&self, peer: EntityName, request: ControlRequest) -> ControlReply {
        let ControlRequest::Statistics(report) = request else {
            return ControlReply::Failed(Error::invalid("a manager takes statistics; ask a monitor for this"));
        };
        if peer.osd_id() != Some(report.osd.osd) {
            return ControlReply::Failed(Error::denied(format!("{peer} cannot report for osd.{}", report.osd.osd)));
        }
        self.collector.lock().unwrap_or_else(PoisonError::into_inner).note(boot_clock_now(), *report);
        ControlReply::Done
    }

    async fn subscribe(&self, _peer: EntityName, _have: Epoch) -> mpsc::Receiver<MapShare> {
        // A manager publishes no maps: the stream ends at once and the asker goes to a monitor.
        mpsc::channel(1).1
    }
}

/// Runs a manager until `shutdown` ends. `serving` is called once, with the address, when OSDs can report.
pub async fn run(
    settings: ManagerSettings,
    serving: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let nonce = BootNonce(u64::from_le_bytes(random_bytes()?));
    let identity = Identity {
        cluster: settings.config.cluster,
        entity: EntityName::new(EntityKind::Mgr, settings.name.clone()),
        nonce,
        key: ClusterKey::new(settings.config.key.0),
    };
    let collector = Arc::new(Mutex::new(Collector::default()));
    let handler = Arc::new(Handler { collector: collector.clone() });
    let (stop, stopping) = tokio::sync::oneshot::channel::<()>();
    // A dropped sender is a stop as well.
    let stopped = async move { drop(stopping.await) };
    let server = ControlServer::start(SocketAddr::new(settings.listen, 0), identity.clone(), handler, stopped)
        .context("listen for reports")?;
    let dashboard = match &settings.dashboard {
        Some(dashboard) => Some(listen(SocketAddr::new(settings.listen, dashboard.port)).await?),
        None => None,
    };
    let address = server.local_address();
    serving(address);
    let control = ControlClient::new(identity, settings.config.monitors.clone());
    let working = work(&settings, &control, &collector, (address, nonce), dashboard);
    tokio::select! {
        result = working => result?,
        () = shutdown => {}
    }
    drop(stop);
    Ok(server.stopped().await?)
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("listen on {address} for the dashboard; --dashboard-port gives another port"))
}

async fn work(
    settings: &ManagerSettings,
    control: &ControlClient,
    collector: &Mutex<Collector>,
    own: (SocketAddr, BootNonce),
    dashboard: Option<TcpListener>,
) -> Result<()> {
    let cluster = Cluster::connect(&settings.config).await.context("connect to the monitors")?;
    let board = Arc::new(Board::default());
    let beating = beat(settings, &cluster, control, collector, own, &board);
    let Some((listener, dashboard)) = dashboard.zip(settings.dashboard.as_ref()) else { match beating.await {} };
    let address = listener.local_addr().context("ask for the port's number")?;
    let url = dashboard.url.clone().unwrap_or_else(|| format!("http://{address}/"));
    tracing::info!(url, "the dashboard serves");
    let site = Site::new(Arc::clone(&board), cluster.clone(), settings.config.key, url.clone());
    tokio::select! {
        never = beating => match never {},
        never = serve(listener, router(site)) => match never {},
        never = inquiries::ask_monitors(&cluster, &board, &url) => match never {},
        never = inquiries::ask_for_buckets(&cluster, &board, dashboard.buckets.as_deref()) => match never {},
    }
}

/// Tells the monitors that this manager lives, and pages and monitors what it knows.
async fn beat(
    settings: &ManagerSettings,
    cluster: &Cluster,
    control: &ControlClient,
    collector: &Mutex<Collector>,
    (address, nonce): (SocketAddr, BootNonce),
    board: &Board,
) -> Infallible {
    let subject = ConfigSubject::new(EntityName::new(EntityKind::Mgr, settings.name.clone()));
    let mut beacon = tokio::time::interval(BEACON_INTERVAL);
    beacon.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beacon.tick().await;
        let map = cluster.map();
        let level = map.map().configuration.effective(&subject).word(ConfigOption::LogLevel);
        telemetry::logging::follow_level(level);
        let active = map.managers.active.as_ref().is_some_and(|manager| manager.nonce == nonce);
        // A standby hears no reports and knows nothing.
        let digest = active.then(|| {
            let figures = {
                let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
                collector.figures(boot_clock_now(), &map)
            };
            let digest = Box::new(figures.digest.clone());
            board.publish(wall_clock_milliseconds(), Arc::clone(&map), figures);
            digest
        });
        if !active {
            board.stand_by();
        }
        let request = ControlRequest::ManagerBeacon { name: settings.name.clone(), address, nonce, digest };
        if let Err(error) = control.call(request, ANSWER_DEADLINE).await {
            tracing::info!(%error, "no monitor took the beacon");
        }
    }
}

fn random_bytes() -> Result<[u8; 8]> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("ask the kernel for random bytes")?;
    Ok(bytes)
}
