//! Agreement by the Raft library, over the durable log store and the control plane.
//!
//! Owns: the library's configuration and its start, and who leads by its word. This is the only module, with its
//! siblings, that knows the library.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Cursor,
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use mon_state::{Applied, Outcome};
use net::control::ControlClient;
use openraft::{
    BasicNode, Config, Raft, RaftMetrics, SnapshotPolicy,
    error::{InstallSnapshotError, RaftError},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle, time};
use types::{Epoch, Error, MonId, Result};

use super::{
    Consensus, Standing,
    encoding::{decode, encode},
    log_store::LogStore,
    network::{APPEND, Contacts, Network, SNAPSHOT, SnapshotReply, VOTE},
    state_machine::{SharedState, StateMachine},
};
use crate::settings::{Member, Timing};

/// Of the entries between two snapshots, one in so many stays behind the newest one, so that a follower that was away for
/// a moment needs no snapshot.
const ENTRIES_KEPT_DIVISOR: u64 = 5;
/// Bytes of a snapshot in one message; well below `CONTROL_MESSAGE_BYTES_MAX`.
const SNAPSHOT_CHUNK_BYTES: u64 = 8 << 20;
/// For one chunk of a snapshot to arrive and be written.
const SNAPSHOT_TIMEOUT_MS: u64 = 10_000;
/// Entries in one call to a follower.
const ENTRIES_PER_CALL_MAX: u64 = 32;
/// How often the standing is looked at even when nothing was told.
const STANDING_INTERVAL: Duration = Duration::from_millis(500);
/// A leader that no quorum acknowledged for so long may be cut off. Two least patiences of an election.
const QUORUM_LOST_AFTER_MS: u64 = 3000;
/// A member that did not answer for so long counts as down: eight heartbeats.
const CONTACT_LOST_AFTER: Duration = Duration::from_millis(2000);

/// An entry of `mon-state`, encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload(pub Vec<u8>);

/// What applying an entry came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Response {
    pub sequence: u64,
    pub is_done: bool,
    pub epoch: Epoch,
}

openraft::declare_raft_types!(
    /// What the library works on.
    pub(crate) Types:
        D = Payload,
        R = Response,
        NodeId = u64,
        Node = BasicNode,
        Entry = openraft::Entry<Types>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

pub(super) type LogEntry = openraft::Entry<Types>;

/// What a consensus is started with.
pub(crate) struct RaftSettings<'a> {
    pub id: MonId,
    pub members: &'a [Member],
    pub timing: Timing,
    pub entries_per_snapshot: u64,
    pub store: &'a Path,
    pub client: ControlClient,
}

/// Agreement by Raft.
pub(crate) struct RaftConsensus {
    id: MonId,
    raft: Raft<Types>,
    contacts: Arc<Contacts>,
    standing: watch::Sender<Standing>,
    watcher: JoinHandle<()>,
}

impl RaftConsensus {
    /// Opens the store and takes part. The first start founds the group of these members.
    pub async fn start(settings: RaftSettings<'_>) -> Result<(Self, Arc<SharedState>)> {
        let store = LogStore::open(settings.store)?;
        let machine = StateMachine::load(store.clone())?;
        let shared = machine.shared();
        let config = Config {
            cluster_name: "ika".to_owned(),
            heartbeat_interval: settings.timing.heartbeat_ms,
            election_timeout_min: settings.timing.election_min_ms,
            election_timeout_max: settings.timing.election_max_ms,
            install_snapshot_timeout: SNAPSHOT_TIMEOUT_MS,
            max_payload_entries: ENTRIES_PER_CALL_MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(settings.entries_per_snapshot),
            max_in_snapshot_log_to_keep: settings.entries_per_snapshot / ENTRIES_KEPT_DIVISOR,
            snapshot_max_chunk_size: SNAPSHOT_CHUNK_BYTES,
            ..Config::default()
        };
        let config =
            config.validate().map_err(|error| Error::invalid(format!("the consensus settings do not fit: {error}")))?;
        let contacts = Arc::new(Contacts::default());
        let network = Network { client: settings.client, contacts: Arc::clone(&contacts) };
        let raft = Raft::new(settings.id.0, Arc::new(config), network, store, machine)
            .await
            .map_err(|error| Error::damaged(format!("start the consensus: {error}")))?;
        let founded =
            raft.is_initialized().await.map_err(|error| Error::damaged(format!("start the consensus: {error}")))?;
        if !founded {
            let members: BTreeMap<u64, BasicNode> = settings
                .members
                .iter()
                .map(|member| (member.id.0, BasicNode { addr: member.address.to_string() }))
                .collect();
            if let Err(error) = raft.initialize(members).await {
                // Another member may have been faster: then the group is there, which is what was wanted.
                tracing::info!(%error, "the group of monitors was founded by another one");
            }
        }
        let standing = watch::Sender::new(Standing::default());
        let watcher = tokio::spawn(watch_standing(settings.id, raft.metrics(), standing.clone()));
        Ok((Self { id: settings.id, raft, contacts, standing, watcher }, shared))
    }
}

/// Who leads, by the library's metrics.
fn standing_of(id: MonId, metrics: &RaftMetrics<u64, BasicNode>) -> Standing {
    let leads = metrics.current_leader == Some(id.0);
    let cut_off = leads && metrics.millis_since_quorum_ack.is_some_and(|age_ms| age_ms > QUORUM_LOST_AFTER_MS);
    let has_stopped = metrics.running_state.is_err();
    let leader = metrics.current_leader.filter(|_| !cut_off && !has_stopped).map(MonId);
    Standing { leader, term: metrics.current_term, has_stopped }
}

async fn watch_standing(
    id: MonId,
    mut metrics: watch::Receiver<RaftMetrics<u64, BasicNode>>,
    standing: watch::Sender<Standing>,
) {
    let mut ticks = time::interval(STANDING_INTERVAL);
    loop {
        let next = standing_of(id, &metrics.borrow_and_update());
        standing.send_if_modified(|known| {
            let changed = *known != next;
            if changed {
                tracing::info!(leader = next.leader.map(|leader| leader.0), term = next.term, "who leads has changed");
            }
            *known = next;
            changed
        });
        tokio::select! {
            changed = metrics.changed() => {
                if changed.is_err() {
                    standing.send_replace(Standing { leader: None, has_stopped: true, ..next });
                    return;
                }
            }
            _ = ticks.tick() => {}
        }
    }
}

fn not_leading(error: &impl std::fmt::Display) -> Error {
    Error::retry(format!("this monitor could not have it agreed on: {error}"))
}

#[async_trait::async_trait]
impl Consensus for RaftConsensus {
    async fn propose(&self, entry: Bytes) -> Result<Applied> {
        let written = self.raft.client_write(Payload(entry.to_vec())).await;
        let response = written.map_err(|error| not_leading(&error))?.data;
        let outcome = if response.is_done { Outcome::Done } else { Outcome::Retry };
        Ok(Applied { sequence: response.sequence, outcome, epoch: response.epoch })
    }

    async fn read_index(&self) -> Result<()> {
        self.raft.ensure_linearizable().await.map(drop).map_err(|error| not_leading(&error))
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    fn followers(&self) -> BTreeSet<MonId> {
        if self.standing.borrow().leader != Some(self.id) {
            return BTreeSet::new();
        }
        let mut members = self.contacts.within(CONTACT_LOST_AFTER);
        members.insert(self.id);
        members
    }

    async fn hear(&self, method: &str, body: Bytes) -> Result<Bytes> {
        let refused = |error: &dyn std::fmt::Display| Error::retry(format!("this monitor cannot answer: {error}"));
        let reply = match method {
            APPEND => {
                let request = decode(&body, "append call")?;
                let response = self.raft.append_entries(request).await.map_err(|error| refused(&error))?;
                encode(&response)?
            }
            VOTE => {
                let request = decode(&body, "vote call")?;
                encode(&self.raft.vote(request).await.map_err(|error| refused(&error))?)?
            }
            SNAPSHOT => {
                let request = decode(&body, "snapshot call")?;
                let reply = match self.raft.install_snapshot(request).await {
                    Ok(response) => SnapshotReply::Taken(response),
                    Err(RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch))) => {
                        SnapshotReply::Mismatch(mismatch)
                    }
                    Err(error @ RaftError::Fatal(_)) => return Err(refused(&error)),
                };
                encode(&reply)?
            }
            other => return Err(Error::invalid(format!("monitors do not call `{other}`"))),
        };
        Ok(reply.into())
    }

    async fn stop(&self) {
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "the consensus task did not end well");
        }
        self.watcher.abort();
    }
}
