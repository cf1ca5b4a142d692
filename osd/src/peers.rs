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

/// Attempts in a row that are made unasked when a host takes a connection and drops it at once: a process that is just
/// dying does that, and a moment later its host refuses, which is what we want to know.
const UNASKED_ATTEMPTS_MAX: u32 = 5;

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
    /// Attempts that were made unasked since the last session.
    unasked: u32,
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
                self.open(to, address, nonce, 0, VecDeque::from([message]));
                None
            }
        }
    }

    fn open(&mut self, to: OsdId, address: SocketAddr, nonce: BootNonce, unasked: u32, waiting: VecDeque<Message>) {
        self.attempts += 1;
        let attempt = self.attempts;
        let state = State::Opening(waiting);
        self.peers.insert(to, Peer { address, nonce, attempt, unasked, state });
        let (identity, events) = (self.identity.clone(), self.events.clone());
        tokio::task::spawn_local(async move {
            if unasked > 1 {
                let again = telemetry::clock::boot_clock_now() + TRY_AGAIN_AFTER;
                tokio::time::sleep_until(telemetry::clock::instant_of(again).into()).await;
            }
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
        let nonce = peer.nonce;
        let session = match result {
            Ok(session) => session,
            Err(error) => {
                tracing::debug!(%error, %osd, "no session");
                let dropped = matches!(error, ConnectError::Other(_));
                if dropped && peer.unasked < UNASKED_ATTEMPTS_MAX {
                    let (address, unasked) = (peer.address, peer.unasked + 1);
                    self.open(osd, address, nonce, unasked, VecDeque::new());
                    return Some(Event::PeerReset(osd));
                }
                let refused = matches!(error, ConnectError::Refused);
                self.fail(now, osd);
                return Some(if refused { Event::PeerRefused { osd, nonce } } else { Event::PeerReset(osd) });
            }
        };
        let Session { sender, mut receiver, .. } = session;
        peer.unasked = 0;
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

    /// A session ended. Says what the machine must hear. A new one is begun at once: if the other's process died, its
    /// host refuses, and everybody knows within milliseconds instead of a ping's time.
    pub fn ended(&mut self, osd: OsdId, attempt: Attempt) -> Option<Event> {
        let peer = self.peers.get(&osd).filter(|peer| peer.attempt == attempt)?;
        let was_open = matches!(peer.state, State::Open(_));
        let (address, nonce) = (peer.address, peer.nonce);
        if was_open {
            self.open(osd, address, nonce, 1, VecDeque::new());
        }
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
