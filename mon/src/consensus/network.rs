//! The consensus library's calls to other monitors, over the control plane.
//!
//! Owns: encoding of the calls, and when each member last answered. Does not know: what they mean.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use net::control::ControlClient;
use openraft::{
    BasicNode,
    error::{InstallSnapshotError, NetworkError, RPCError, RaftError, RemoteError, SnapshotMismatch, Unreachable},
    network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory},
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse, VoteRequest,
        VoteResponse,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use telemetry::clock::boot_clock_now;
use types::{Error, MonId, Result, Time};
use wire::{ControlReply, ControlRequest};

use super::{
    encoding::{decode, encode},
    raft::Types,
};

pub(super) const APPEND: &str = "append";
pub(super) const VOTE: &str = "vote";
pub(super) const SNAPSHOT: &str = "snapshot";
/// Pause after a member could not be reached. Shorter than the least patience of an election.
const PAUSE: Duration = Duration::from_millis(200);

/// What the other side says to a piece of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SnapshotReply {
    Taken(InstallSnapshotResponse<u64>),
    Mismatch(SnapshotMismatch),
}

/// When each member last answered a call.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    last: Mutex<BTreeMap<u64, Time>>,
}

impl Contacts {
    fn note(&self, member: u64) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(member, boot_clock_now());
    }

    /// Members that answered within this time.
    pub fn within(&self, age: Duration) -> BTreeSet<MonId> {
        let now = boot_clock_now();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().filter(|(_, at)| now.since(**at) <= age).map(|(member, _)| MonId(*member)).collect()
    }
}

/// Makes connections to members.
pub(super) struct Network {
    pub client: ControlClient,
    pub contacts: Arc<Contacts>,
}

/// The connection to one member.
pub(super) struct Connection {
    member: u64,
    address: Result<SocketAddr>,
    client: ControlClient,
    contacts: Arc<Contacts>,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Connection;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Connection {
        let address =
            node.addr.parse().map_err(|_| Error::invalid(format!("monitor {target} has no address: `{}`", node.addr)));
        Connection { member: target, address, client: self.client.clone(), contacts: Arc::clone(&self.contacts) }
    }
}

impl Connection {
    async fn call<Q: Serialize, R: DeserializeOwned>(&self, method: &str, request: &Q, ttl: Duration) -> Result<R> {
        let address = self.address.clone()?;
        let body = Bytes::from(encode(request)?);
        let request = ControlRequest::Consensus { method: method.to_owned(), body };
        match self.client.call_at(address, request, ttl).await? {
            ControlReply::Consensus(body) => {
                self.contacts.note(self.member);
                decode(&body, "a monitor's answer")
            }
            ControlReply::Failed(error) => Err(error),
            other => Err(Error::internal(format!("monitor {} answers {other:?}", self.member))),
        }
    }

    fn failed<E: std::error::Error>(error: &Error) -> RPCError<u64, BasicNode, E> {
        tracing::debug!(%error, "a call to another monitor failed");
        match error.kind {
            types::ErrorKind::Retry => RPCError::Unreachable(Unreachable::new(error)),
            _ => RPCError::Network(NetworkError::new(error)),
        }
    }
}

impl RaftNetwork<Types> for Connection {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> std::result::Result<AppendEntriesResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        self.call(APPEND, &rpc, option.hard_ttl()).await.map_err(|error| Self::failed(&error))
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        option: RPCOption,
    ) -> std::result::Result<InstallSnapshotResponse<u64>, RPCError<u64, BasicNode, RaftError<u64, InstallSnapshotError>>>
    {
        match self.call(SNAPSHOT, &rpc, option.hard_ttl()).await.map_err(|error| Self::failed(&error))? {
            SnapshotReply::Taken(response) => Ok(response),
            SnapshotReply::Mismatch(mismatch) => {
                let error = RaftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch));
                Err(RPCError::RemoteError(RemoteError::new(self.member, error)))
            }
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        option: RPCOption,
    ) -> std::result::Result<VoteResponse<u64>, RPCError<u64, BasicNode, RaftError<u64>>> {
        self.call(VOTE, &rpc, option.hard_ttl()).await.map_err(|error| Self::failed(&error))
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(PAUSE))
    }
}
