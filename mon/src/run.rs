//! A monitor's life: started, serving, stopped.
//!
//! Owns: the order in which the parts begin and end. What a crash leaves behind: see `data_folder` and `consensus`.

use std::{collections::BTreeMap, future::Future, io::Read, net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use map::{ClusterMap, ConfigOption, ConfigSubject, MonitorEntry};
use net::{
    Identity,
    control::{ControlClient, ControlServer},
};
use telemetry::clock::wall_clock_milliseconds;
use tokio::sync::{mpsc, watch};
use types::{BootNonce, EntityKind, EntityName};

use crate::{
    MonSettings,
    consensus::{Consensus, RaftConsensus, RaftSettings, SharedState},
    data_folder::DataFolder,
    desk::{Desk, INQUIRIES_MAX},
    service::Service,
};

/// Runs a monitor until `shutdown` resolves. `serving` is told once where it serves.
///
/// Starting again on the same folder goes on where it ended; a new folder is made.
///
/// # Errors
/// A folder that cannot be used or belongs to somebody else, an address that is taken, a store that is damaged, a
/// consensus that had to stop.
pub async fn run(
    settings: MonSettings,
    serving: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    settings.check()?;
    let folder = DataFolder::open(&settings)?;
    let own = settings.own()?.clone();
    let identity = Identity {
        cluster: settings.cluster,
        entity: EntityName::new(EntityKind::Mon, own.name.clone()),
        nonce: boot_nonce()?,
        key: settings.key.clone(),
    };
    let addresses: Vec<SocketAddr> = settings.members.iter().map(|member| member.address).collect();
    // Two clients: words of the consensus never wait behind a request that is passed on.
    let consensus_client = ControlClient::new(identity.clone(), addresses.clone());
    let forward_client = ControlClient::new(identity.clone(), addresses);
    let (consensus, shared) = RaftConsensus::start(RaftSettings {
        id: own.id,
        members: &settings.members,
        timing: settings.timing,
        entries_per_snapshot: settings.entries_per_snapshot,
        store: &folder.store(),
        client: consensus_client,
    })
    .await?;
    let consensus: Arc<dyn Consensus> = Arc::new(consensus);
    let (inquiries, heard) = mpsc::channel(INQUIRIES_MAX);
    let desk = Desk::new(own.id, first_map(&settings)?, Arc::clone(&consensus), Arc::clone(&shared), heard);
    let desk = tokio::spawn(desk.run());
    let level = tokio::spawn(follow_log_level(Arc::clone(&shared), own.name.clone()));
    let service = Service {
        id: own.id,
        members: settings.members.iter().map(|member| (member.id, member.address)).collect(),
        consensus: Arc::clone(&consensus),
        shared,
        desk: inquiries,
        client: forward_client,
    };
    let (stop, stopping) = watch::channel(false);
    let stopped = async move {
        let mut stopping = stopping;
        // The sender is dropped at the latest when this function ends, which is a stop as well.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let server = ControlServer::start(own.address, identity, Arc::new(service), stopped)
        .with_context(|| format!("mon.{} cannot serve", own.name))?;
    tracing::info!(
        name = own.name,
        cluster = %settings.cluster,
        address = %server.local_address(),
        version = env!("CARGO_PKG_VERSION"),
        "the monitor serves"
    );
    serving(server.local_address());
    let mut standing = consensus.standing();
    let ended = tokio::select! {
        () = shutdown => Ok(()),
        _ = standing.wait_for(|known| known.has_stopped) => {
            Err(anyhow::anyhow!("the consensus of mon.{} stopped; its log says why", own.name))
        }
    };
    stop.send_replace(true);
    consensus.stop().await;
    server.stopped().await?;
    desk.abort();
    level.abort();
    tracing::info!(name = own.name, "the monitor has stopped");
    ended
}

/// Logs as much as the cluster's settings say, now and later.
async fn follow_log_level(shared: Arc<SharedState>, name: String) {
    let subject = ConfigSubject::new(EntityName::new(EntityKind::Mon, name));
    let mut epochs = shared.epoch();
    loop {
        epochs.borrow_and_update();
        let settings = shared.read().map().map(|map| map.map().configuration.effective(&subject)).unwrap_or_default();
        telemetry::logging::follow_level(settings.word(ConfigOption::LogLevel));
        if epochs.changed().await.is_err() {
            return;
        }
    }
}

/// A number for this life of the process, from the kernel's random source.
fn boot_nonce() -> Result<BootNonce> {
    let mut bytes = [0; 8];
    let source = "/dev/urandom";
    std::fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .with_context(|| format!("read {source}"))?;
    // Zero would mean "any process".
    Ok(BootNonce(u64::from_le_bytes(bytes).max(1)))
}

/// The map that this monitor would found the cluster with.
fn first_map(settings: &MonSettings) -> Result<ClusterMap> {
    let monitors: BTreeMap<_, _> = settings
        .members
        .iter()
        .map(|member| (member.id, MonitorEntry { name: member.name.clone(), address: member.address }))
        .collect();
    Ok(ClusterMap::first(settings.cluster, monitors, wall_clock_milliseconds())?)
}
