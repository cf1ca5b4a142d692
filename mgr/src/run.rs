//! The life of a manager process.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use client::Cluster;
use map::{ConfigOption, ConfigSubject, PublishedMap};
use net::{
    ClusterKey, Identity,
    control::{ControlClient, ControlHandler, ControlServer},
};
use telemetry::clock::boot_clock_now;
use tokio::sync::mpsc;
use types::{BootNonce, EntityKind, EntityName, Epoch, Error};
use wire::{ControlReply, ControlRequest, MapShare};

use crate::{Collector, ManagerSettings};

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
    let address = server.local_address();
    serving(address);
    let control = ControlClient::new(identity, settings.config.monitors.clone());
    let working = work(&settings, &control, &collector, address, nonce);
    tokio::select! {
        result = working => result?,
        () = shutdown => {}
    }
    drop(stop);
    Ok(server.stopped().await?)
}

async fn work(
    settings: &ManagerSettings,
    control: &ControlClient,
    collector: &Mutex<Collector>,
    address: SocketAddr,
    nonce: BootNonce,
) -> Result<()> {
    let cluster = Cluster::connect(&settings.config).await.context("connect to the monitors")?;
    let mut beacon = tokio::time::interval(BEACON_INTERVAL);
    beacon.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beacon.tick().await;
        let map = cluster.map();
        follow_log_level(&map, &settings.name);
        let active = map.managers.active.as_ref().is_some_and(|manager| manager.nonce == nonce);
        // A standby hears no reports and knows nothing.
        let digest = active.then(|| {
            let mut collector = collector.lock().unwrap_or_else(PoisonError::into_inner);
            Box::new(collector.digest(boot_clock_now(), &map))
        });
        let request = ControlRequest::ManagerBeacon { name: settings.name.clone(), address, nonce, digest };
        if let Err(error) = control.call(request, ANSWER_DEADLINE).await {
            tracing::info!(%error, "no monitor took the beacon");
        }
    }
}

fn follow_log_level(map: &PublishedMap, name: &str) {
    let subject = ConfigSubject::new(EntityName::new(EntityKind::Mgr, name));
    let settings = map.map().configuration.effective(&subject);
    if let Err(error) = telemetry::logging::set_level(settings.word(ConfigOption::LogLevel)) {
        tracing::warn!(%error, "the log keeps its level");
    }
}

fn random_bytes() -> Result<[u8; 8]> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("ask the kernel for random bytes")?;
    Ok(bytes)
}
