//! Sessions that this OSD keeps to others: opened when there is something to say, one for each.
//!
//! Messages that wait for a session to open are kept up to a bound. When a session breaks, everything queued is
//! dropped and the machine hears of it: it knows what must be said again.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use net::{
    Identity, PeerAddress,
    data::{ConnectError, Session, SessionSender, connect},
};
use osd_state::Event;
use tokio::sync::mpsc;
use types::{BootNonce, EntityName, OsdId, Time};
use wire::Message;

use crate::shard::ShardEvent;

/// Messages that wait for one session to open. Opening takes a round trip or fails within seconds; members repeat
/// what is dropped.
const WAITING_MESSAGES_MAX: usize = 4096;
/// How long after a failure the next attempt may begin. Short, because a restarted peer must be found again within
/// a ping.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Tells the events of one attempt from those of the one before.
pub(crate) type Attempt = u64;

#[derive(Debug)]
enum State {
    Opening(VecDeque<Message>),
    Open(SessionSender),
    FailedAt(Time),
}

#[derive(Debug)]
struct Peer {
    address: SocketAddr,
    nonce: BootNonce,
    attempt: Attempt,
    state: State,
}

/// The sessions to other OSDs.
pub(crate) struct Peers {
    identity: Rc<Identity>,
    events: mpsc::Sender<ShardEvent>,
    peers: BTreeMap<OsdId, Peer>,
    attempts: Attempt,
}

impl Peers {
    pub fn new(identity: Rc<Identity>, events: mpsc::Sender<ShardEvent>) -> Self {
        Self { identity, events, peers: BTreeMap::new(), attempts: 0 }
    }

    /// Sends, opening a session first where there is none. Says what the machine must hear.
    pub fn send(
        &mut self,
        now: Time,
        to: OsdId,
        address: SocketAddr,
        nonce: BootNonce,
        message: Message,
    ) -> Option<Event> {
        if self.peers.get(&to).is_some_and(|peer| (peer.address, peer.nonce) != (address, nonce)) {
            self.peers.remove(&to);
        }
        match self.peers.get_mut(&to).map(|peer| &mut peer.state) {
            Some(State::Open(sender)) => {
                if let Err(error) = sender.try_send(&message) {
                    tracing::info!(%error, osd = %to, "a session takes no more; it is opened anew");
                    self.fail(now, to);
                    return Some(Event::PeerReset(to));
                }
                None
            }
            Some(State::Opening(waiting)) => {
                if waiting.len() >= WAITING_MESSAGES_MAX {
                    waiting.clear();
                    return Some(Event::PeerReset(to));
                }
                waiting.push_back(message);
                None
            }
            Some(State::FailedAt(at)) if now.since(*at) < TRY_AGAIN_AFTER => None,
            Some(State::FailedAt(_)) | None => {
                self.open(to, address, nonce, message);
                None
            }
        }
    }

    fn open(&mut self, to: OsdId, address: SocketAddr, nonce: BootNonce, message: Message) {
        self.attempts += 1;
        let attempt = self.attempts;
        let state = State::Opening(VecDeque::from([message]));
        self.peers.insert(to, Peer { address, nonce, attempt, state });
        let (identity, events) = (self.identity.clone(), self.events.clone());
        tokio::task::spawn_local(async move {
            let expected = PeerAddress { entity: Some(EntityName::osd(to)), address, nonce: Some(nonce) };
            let result = Box::new(connect(&identity, &expected).await);
            drop(events.send(ShardEvent::PeerAttempted { osd: to, attempt, result }).await);
        });
    }

    /// An attempt ended. Says what the machine must hear.
    pub fn attempted(
        &mut self,
        now: Time,
        osd: OsdId,
        attempt: Attempt,
        result: Result<Session, ConnectError>,
    ) -> Option<Event> {
        let peer = self.peers.get_mut(&osd).filter(|peer| peer.attempt == attempt)?;
        let session = match result {
            Ok(session) => session,
            Err(error) => {
                tracing::debug!(%error, %osd, "no session");
                let refused = matches!(error, ConnectError::Refused);
                self.fail(now, osd);
                return Some(if refused { Event::PeerRefused(osd) } else { Event::PeerReset(osd) });
            }
        };
        let Session { sender, mut receiver, .. } = session;
        let waiting = match std::mem::replace(&mut peer.state, State::Open(sender.clone())) {
            State::Opening(waiting) => waiting,
            State::Open(_) | State::FailedAt(_) => VecDeque::new(),
        };
        let events = self.events.clone();
        tokio::task::spawn_local(async move {
            // Peers answer on their own sessions; this one is read to learn that it has ended.
            while let Some(Ok(message)) = receiver.next().await {
                tracing::debug!(?message, %osd, "dropped a message on a session that only sends");
            }
            drop(events.send(ShardEvent::PeerEnded { osd, attempt }).await);
        });
        for message in waiting {
            if let Err(error) = sender.try_send(&message) {
                tracing::info!(%error, %osd, "a session takes no more; it is opened anew");
                self.fail(now, osd);
                return Some(Event::PeerReset(osd));
            }
        }
        None
    }

    /// A session ended. Says what the machine must hear.
    pub fn ended(&mut self, now: Time, osd: OsdId, attempt: Attempt) -> Option<Event> {
        self.peers.get(&osd).filter(|peer| peer.attempt == attempt)?;
        self.fail(now, osd);
        Some(Event::PeerReset(osd))
    }

    /// Closes the session to an OSD that is down or has moved.
    pub fn disconnect(&mut self, osd: OsdId) {
        self.peers.remove(&osd);
    }

    fn fail(&mut self, now: Time, osd: OsdId) {
        if let Some(peer) = self.peers.get_mut(&osd) {
            peer.state = State::FailedAt(now);
        }
    }
}
