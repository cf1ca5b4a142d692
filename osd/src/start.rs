//! The life of an OSD process: open the store, read what it holds, serve, say farewell.

use std::{net::SocketAddr, rc::Rc, sync::Arc};

use anyhow::{Context, Result, anyhow, bail};
use net::{Identity, control::ControlClient, data::Listener};
use osd_pg::{PgConfig, ScrubConfig};
use osd_state::{Osd, OsdConfig};
use store::{DiskStore, ObjectStore};
use telemetry::clock::boot_clock_now;
use tokio::sync::mpsc;
use types::{BootNonce, EntityName};
use wire::ControlRequest;

use crate::{
    create::random_bytes,
    monitors::Monitors,
    network_stack,
    peers::Peers,
    sessions::accept,
    settings::{FreeSpace, OsdSettings, device_path, metadata_path},
    shard::{EVENTS_MAX, Shard},
    stored::read_stored,
};

/// Runs an OSD until `shutdown` ends, then says farewell and closes the store. Returns early, with the reason, when
/// going on would be unsafe. `serving` is called once, with the address, when sessions are taken. Must run on a
/// current-thread runtime: the shard owns everything on one thread.
pub async fn run(
    settings: OsdSettings,
    serving: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    tokio::task::LocalSet::new().run_until(serve(settings, serving, shutdown)).await
}

async fn serve(
    settings: OsdSettings,
    serving: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let device = device_path(&settings.data);
    let (store, found) = DiskStore::open(&device, &metadata_path(&settings.data), &settings.store)
        .with_context(|| format!("open {}", device.display()))?;
    if found.osd != settings.id || found.cluster != settings.cluster {
        bail!(
            "{} belongs to osd.{} of cluster {}, not to osd.{} of cluster {}",
            device.display(),
            found.osd,
            found.cluster,
            settings.id,
            settings.cluster
        );
    }
    // Each transaction of a placement group builds on the one before: one that were left out would leave a hole.
    store.stop_at_refusal();
    if settings.free_space == FreeSpace::Discarded {
        store.discard_free_space();
    }
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let nonce = BootNonce(u64::from_le_bytes(random_bytes()?));
    let identity =
        Identity { cluster: settings.cluster, entity: EntityName::osd(settings.id), nonce, key: settings.key.clone() };
    let listener = Listener::bind(SocketAddr::new(settings.listen, 0), identity.clone())?;
    let address = listener.local_address();
    let total_bytes = store.usage()?.total_bytes;
    let pg = PgConfig::new(settings.id);
    let mut config = OsdConfig::new(
        settings.id,
        found.osd_uuid,
        nonce,
        settings.host.clone(),
        address,
        total_bytes,
        PgConfig { scrub: ScrubConfig { wall_ms_at_zero: wall_ms_at_zero(), ..ScrubConfig::default() }, ..pg },
    );
    config.network_stack = network_stack::own();
    let stored = read_stored(store.as_ref())?;
    let mut actions = Vec::new();
    let machine = Osd::open(config, stored, boot_clock_now(), &mut actions)?;
    tracing::info!(osd = %settings.id, %address, pgs = machine.pgs().count(), "serving");

    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    let control = ControlClient::new(identity.clone(), settings.monitors.clone());
    let monitors = Monitors::new(control, events.clone());
    let peers = Peers::new(Rc::new(identity), events.clone());
    let accepting = tokio::task::spawn_local(accept(listener, events.clone()));
    let mut shard = Shard::new(machine, actions, store.clone(), peers, monitors.clone(), events);
    if let Some(map) = shard.machine.map() {
        monitors.note_epoch(map.epoch());
    }
    serving(address);
    let subscribing = tokio::task::spawn_local(monitors.clone().subscribe());
    let outcome = shard.run(inbox, shutdown).await;
    accepting.abort();
    if outcome.is_ok() && shard.machine.is_booted() {
        monitors.farewell(ControlRequest::Farewell { osd: settings.id, nonce }).await;
    }
    subscribing.abort();
    let closed = tokio::task::spawn_blocking(move || store.close()).await.map_err(|error| anyhow!("close: {error}"))?;
    outcome?;
    closed.map_err(|error| anyhow!("close the store: {error}"))
}

/// What the wall clock showed when the machine's clock was at zero.
fn wall_ms_at_zero() -> u64 {
    let since_zero = boot_clock_now().as_nanoseconds() / 1_000_000;
    telemetry::clock::wall_clock_milliseconds().saturating_sub(since_zero)
}
