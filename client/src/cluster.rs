//! A connection to a cluster.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use client_ops::{Checks, Settings};
use map::{ClusterMap, PublishedMap};
use net::Identity;
use telemetry::clock::boot_clock_now;
use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
};
use types::{BootNonce, ClientId, Epoch, Error, Result, Time};
use wire::{ControlReply, ControlRequest, MapShare};

use crate::{
    Config, Pool,
    commands::Asker,
    driver::{Channels, Driver},
    monitors::{MapWanted, Monitors, follow_maps},
    sessions::Sessions,
    submit::Submitter,
};

/// Requests of callers that wait for the driver; each holds its permits already.
const REQUESTS_MAX: usize = 1024;
/// Map shares that wait for the driver.
const SHARES_MAX: usize = 16;

/// Bounds and policy of a connection.
#[derive(Debug, Clone)]
pub struct Options {
    /// Operations in flight; more callers wait.
    pub operations_max: usize,
    /// Payload bytes in flight; more callers wait.
    pub bytes_max: usize,
    /// How long any operation or command may take before it fails with `Retry`; without it, all wait for the
    /// cluster. A write that timed out may have taken effect.
    pub timeout: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        let settings = Settings::default();
        Self { operations_max: settings.operations_max, bytes_max: settings.bytes_max, timeout: None }
    }
}

/// A connection to a cluster. Clones share it; it ends with the last of them, pools and objects included.
#[derive(Debug, Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: ClientId,
    monitors: Arc<Monitors>,
    submitter: Submitter,
    maps: watch::Receiver<Arc<PublishedMap>>,
    /// Counts sessions that ended.
    resets: watch::Receiver<u64>,
    shares: mpsc::Sender<MapShare>,
    asker: Asker,
    unique: AtomicU64,
    timeout: Option<Duration>,
    follower: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The driver ends by itself: nobody can ask it anything any more.
        self.follower.abort();
    }
}

impl Cluster {
    /// Connects with default bounds and without time-outs.
    pub async fn connect(config: &Config) -> Result<Self> {
        Self::connect_with(config, Options::default()).await
    }

    /// Connects: gets a client's number and the newest map from a monitor that answers.
    pub async fn connect_with(config: &Config, options: Options) -> Result<Self> {
        let random = random_bits()?;
        let identity = Identity {
            cluster: config.cluster,
            entity: config.name.clone(),
            nonce: BootNonce(random.max(1)),
            key: net::ClusterKey::new(config.key.0),
        };
        let asker = Asker::new(random);
        let monitors = Arc::new(Monitors::new(identity.clone(), config.monitors.clone()));
        let deadline = options.timeout.map(|timeout| boot_clock_now() + timeout);
        let client = match monitors.ask(ControlRequest::NewClient(asker.next()), deadline).await? {
            ControlReply::Client(client) => client,
            _ => return Err(misfit()),
        };
        let map = first_map(&monitors, config, deadline).await?;

        let (maps, maps_seen) = watch::channel(map);
        let (requests, requests_heard) = mpsc::channel(REQUESTS_MAX);
        let (resets, resets_seen) = watch::channel(0);
        let (shares, shares_heard) = mpsc::channel(SHARES_MAX);
        let submitter = Submitter::new(requests, options.operations_max, options.bytes_max, options.timeout);
        let map_wanted = Arc::new(MapWanted::default());
        let channels = Channels {
            requests: requests_heard,
            shares: shares_heard,
            given_up: Arc::clone(&submitter.given_up),
            maps,
            map_wanted: Arc::clone(&map_wanted),
            resets,
        };
        let settings = Settings {
            operations_max: options.operations_max,
            bytes_max: options.bytes_max,
            checks: Checks::Off,
            ..Settings::default()
        };
        let driver = Driver::new(client, settings, Sessions::new(identity), channels);
        tokio::spawn(driver.run());
        let follower = follow_maps(Arc::clone(&monitors), maps_seen.clone(), shares.clone(), map_wanted);
        let follower = tokio::spawn(follower).abort_handle();
        let shared = Shared {
            client,
            monitors,
            submitter,
            maps: maps_seen,
            resets: resets_seen,
            shares,
            asker,
            unique: AtomicU64::new(1),
            timeout: options.timeout,
            follower,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The number that the monitors gave this client.
    pub fn client_id(&self) -> ClientId {
        self.shared.client
    }

    /// The newest map that this client has heard of.
    pub fn map(&self) -> Arc<PublishedMap> {
        Arc::clone(&self.shared.maps.borrow())
    }

    /// Waits for a map of which the condition holds, beginning with the newest.
    pub async fn wait_for(&self, mut condition: impl FnMut(&ClusterMap) -> bool) -> Result<Arc<PublishedMap>> {
        let mut maps = self.shared.maps.clone();
        let map = maps.wait_for(|map| condition(map.map())).await;
        map.map(|map| Arc::clone(&map)).map_err(|_| Error::closed("the connection to the cluster was closed"))
    }

    /// Gets a map that is at least as new as the newest when this was called.
    pub async fn refresh_map(&self) -> Result<Arc<PublishedMap>> {
        let have = self.map().epoch();
        let share = match self.ask_monitors(ControlRequest::GetMaps { have }).await? {
            ControlReply::Maps(share) => share,
            _ => return Err(misfit()),
        };
        let newest = share.newest;
        let closed = || Error::closed("the connection to the cluster was closed");
        self.shared.shares.send(share).await.map_err(|_| closed())?;
        self.wait_for(|map| map.epoch >= newest).await
    }

    /// The pool of that name; `NotFound` when there is none in the newest map.
    pub async fn pool(&self, name: &str) -> Result<Pool> {
        let find = |map: &ClusterMap| map.pools.values().find(|pool| pool.name == name).map(|pool| pool.id);
        let id = match find(self.map().map()) {
            Some(id) => Some(id),
            None => find(self.refresh_map().await?.map()),
        };
        let id = id.ok_or_else(|| Error::not_found(format!("pool `{name}` does not exist")))?;
        Ok(Pool::new(self.clone(), id, name))
    }

    /// A word that nobody else was or will be given: this client's number and its count.
    pub(crate) fn unique(&self) -> String {
        format!("{:x}-{:x}", self.shared.client.0, self.unique_number())
    }

    /// A number that nobody else of this client was or will be given.
    pub(crate) fn unique_number(&self) -> u64 {
        self.shared.unique.fetch_add(1, Ordering::Relaxed)
    }

    /// The newest maps, as they come.
    pub(crate) fn maps(&self) -> watch::Receiver<Arc<PublishedMap>> {
        self.shared.maps.clone()
    }

    /// A count of the sessions that ended, as they do.
    pub(crate) fn resets(&self) -> watch::Receiver<u64> {
        self.shared.resets.clone()
    }

    pub(crate) fn submitter(&self) -> &Submitter {
        &self.shared.submitter
    }

    pub(crate) fn asker(&self) -> &Asker {
        &self.shared.asker
    }

    pub(crate) async fn ask_monitors(&self, request: ControlRequest) -> Result<ControlReply> {
        let deadline = self.shared.timeout.map(|timeout| boot_clock_now() + timeout);
        self.shared.monitors.ask(request, deadline).await
    }
}

async fn first_map(monitors: &Monitors, config: &Config, deadline: Option<Time>) -> Result<Arc<PublishedMap>> {
    let share = match monitors.ask(ControlRequest::GetMaps { have: Epoch::ZERO }, deadline).await? {
        ControlReply::Maps(share) => share,
        _ => return Err(misfit()),
    };
    let (_, bytes) = share.full.ok_or_else(|| Error::internal("the monitor sent no whole map to a new client"))?;
    let map = map::decode_map(&bytes)?;
    if map.cluster != config.cluster {
        return Err(Error::denied(format!("the monitors are of cluster {}, not {}", map.cluster, config.cluster)));
    }
    let mut map = PublishedMap::new(map)?;
    for (epoch, bytes) in &share.increments {
        if *epoch > map.epoch() {
            map = map.apply(&map::decode_increment(bytes)?)?;
        }
    }
    Ok(map)
}

fn misfit() -> Error {
    Error::internal("the monitor's answer does not fit the question")
}

fn random_bits() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal(format!("read the operating system's randomness: {error}")))?;
    Ok(u64::from_le_bytes(bytes))
}
