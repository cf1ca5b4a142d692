//! The door of a monitor: what arrives on the control plane, and where it goes.
//!
//! Owns: the way to the leader, from whichever monitor was asked, and patience during an election. Does not know: what
//! a request means.
//!
//! Invariants
//! 1. What another monitor passed on is never passed on again.
//! 2. Every request is such that a repeat does no harm (commands carry numbers), so it may be asked of one leader after
//!    the other.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use net::control::{ControlClient, ControlHandler};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};
use types::{EntityKind, EntityName, Epoch, Error, ErrorKind, MonId, Result};
use wire::{ControlReply, ControlRequest, MapShare};

use crate::{
    consensus::{Consensus, SharedState, Standing},
    desk::Inquiry,
    subscription,
};

/// How long a request may wait for a leader. Longer than the control client's patience with one monitor (5 s): whoever is
/// held by a monitor that is cut off goes on to the next one by himself.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long one call to another monitor may take. A synced write on a busy disk, and some more.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(4);
/// Pause before the same leader is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// The service of one monitor.
pub(crate) struct Service {
    pub id: MonId,
    /// Where the monitors that founded the cluster listen; the map, once there is one, goes before this.
    pub members: BTreeMap<MonId, SocketAddr>,
    pub consensus: Arc<dyn Consensus>,
    pub shared: Arc<SharedState>,
    pub desk: mpsc::Sender<Inquiry>,
    pub client: ControlClient,
}

/// Why a leader gave no answer.
enum Unanswered {
    /// It does not lead; wait for another standing, or a moment.
    NotLeading,
}

impl Service {
    fn address_of(&self, id: MonId) -> Option<SocketAddr> {
        let state = self.shared.read();
        let published = state.map().and_then(|map| map.map().monitors.get(&id).map(|monitor| monitor.address));
        published.or_else(|| self.members.get(&id).copied())
    }

    /// Asks this monitor's own desk.
    async fn ask_desk(
        &self,
        asker: &EntityName,
        request: &ControlRequest,
        deadline: Instant,
    ) -> Result<ControlReply, Unanswered> {
        let (answer, answered) = oneshot::channel();
        let inquiry = Inquiry { asker: asker.clone(), request: request.clone(), answer };
        let sent = timeout_at(deadline, self.desk.send(inquiry)).await;
        if !matches!(sent, Ok(Ok(()))) {
            return Err(Unanswered::NotLeading);
        }
        match timeout_at(deadline, answered).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) | Err(_) => Err(Unanswered::NotLeading),
        }
    }

    /// Passes the request on to the monitor that leads.
    async fn ask_leader(
        &self,
        leader: MonId,
        asker: &EntityName,
        request: &ControlRequest,
        deadline: Instant,
    ) -> Result<ControlReply, Unanswered> {
        let Some(address) = self.address_of(leader) else { return Err(Unanswered::NotLeading) };
        let forwarded = ControlRequest::Forwarded { asker: asker.clone(), request: Box::new(request.clone()) };
        let timeout = FORWARD_TIMEOUT.min(deadline.saturating_duration_since(Instant::now()));
        match self.client.call_at(address, forwarded, timeout).await {
            Ok(ControlReply::Failed(error)) if error.kind == ErrorKind::Closed => Err(Unanswered::NotLeading),
            Ok(reply) => Ok(reply),
            Err(error) if error.kind == ErrorKind::Retry => {
                tracing::debug!(%error, leader = leader.0, "the leader did not answer");
                Err(Unanswered::NotLeading)
            }
            Err(error) => Ok(ControlReply::Failed(error)),
        }
    }

    /// Finds the leader and asks it, until it answers or patience ends.
    async fn ask(&self, asker: EntityName, request: ControlRequest) -> ControlReply {
        let deadline = Instant::now() + PATIENCE;
        let mut standing = self.consensus.standing();
        loop {
            let known = *standing.borrow_and_update();
            let outcome = match known.leader {
                Some(leader) if leader == self.id => self.ask_desk(&asker, &request, deadline).await,
                Some(leader) => self.ask_leader(leader, &asker, &request, deadline).await,
                None => Err(Unanswered::NotLeading),
            };
            match outcome {
                Ok(reply) => return reply,
                Err(Unanswered::NotLeading) => {
                    if !self.wait_for_leader(known, &mut standing, deadline).await {
                        return ControlReply::Failed(Error::retry(
                            "no monitor leads at present; fewer than a majority of them may be up",
                        ));
                    }
                }
            }
        }
    }

    /// Waits for another standing, or for a moment when there is a leader that did not answer. Says whether there is
    /// time left.
    async fn wait_for_leader(
        &self,
        known: Standing,
        standing: &mut watch::Receiver<Standing>,
        deadline: Instant,
    ) -> bool {
        let until = if known.leader.is_some() { deadline.min(Instant::now() + PAUSE) } else { deadline };
        let changed = timeout_at(until, standing.changed()).await;
        let stopped = matches!(changed, Ok(Err(_)));
        !stopped && !known.has_stopped && Instant::now() < deadline
    }

    /// Answers what another monitor passed on, if this one leads.
    async fn answer_forwarded(&self, peer: &EntityName, asker: &EntityName, request: &ControlRequest) -> ControlReply {
        if peer.kind != EntityKind::Mon {
            return ControlReply::Failed(Error::denied(format!("{peer} is no monitor and passes nothing on")));
        }
        let deadline = Instant::now() + FORWARD_TIMEOUT;
        match self.ask_desk(asker, request, deadline).await {
            Ok(reply) => reply,
            Err(Unanswered::NotLeading) => ControlReply::Failed(Error::closed("this monitor does not lead")),
        }
    }
}

#[async_trait::async_trait]
impl ControlHandler for Service {
    async fn handle(&self, peer: EntityName, request: ControlRequest) -> ControlReply {
        match request {
            ControlRequest::GetMaps { have } => ControlReply::Maps(self.shared.read().share(have)),
            ControlRequest::Consensus { method, body } => {
                if peer.kind != EntityKind::Mon {
                    return ControlReply::Failed(Error::denied(format!("{peer} is no monitor")));
                }
                match self.consensus.hear(&method, body).await {
                    Ok(bytes) => ControlReply::Consensus(bytes),
                    Err(error) => ControlReply::Failed(error),
                }
            }
            ControlRequest::Forwarded { asker, request } => self.answer_forwarded(&peer, &asker, &request).await,
            request => self.ask(peer, request).await,
        }
    }

    async fn subscribe(&self, peer: EntityName, have: Epoch) -> mpsc::Receiver<MapShare> {
        subscription::subscribe(Arc::clone(&self.shared), self.consensus.standing(), peer, have)
    }
}
