//! Sessions with OSDs: opened on demand, one for each OSD, dropped when they break.
//!
//! Owns: a task and a queue for each OSD. Does not know: what messages say; whether anything must be sent again.
//!
//! Invariants
//! 1. Messages to one OSD leave in the order given, until the session breaks; then all that was not answered may be
//!    lost, and [`SessionEvent::Closed`] says so exactly once.
//! 2. Giving a message never waits. A queue that is full ends its session: the OSD does not read.

use std::collections::BTreeMap;

use net::{Identity, PeerAddress, data};
use tokio::{sync::mpsc, task::JoinHandle};
use types::{BootNonce, EntityName, Error, OsdId};
use wire::{ClientReply, Message, OpFailure};

/// Messages that wait for one OSD: four times what a client may have in flight, for repeats.
const QUEUE_MESSAGES_MAX: usize = 4096;
/// Messages of all sessions that wait for the driver; beyond it sessions stop reading.
const EVENTS_MAX: usize = 1024;

/// What comes out of sessions.
#[derive(Debug)]
pub(crate) enum SessionEvent {
    Message { osd: OsdId, message: Message },
    Closed { osd: OsdId, session: u64, reason: String },
}

/// Where an OSD is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub address: std::net::SocketAddr,
    pub nonce: BootNonce,
}

#[derive(Debug)]
struct Open {
    number: u64,
    place: Place,
    queue: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a message was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

/// All sessions of one client.
#[derive(Debug)]
pub(crate) struct Sessions {
    identity: Identity,
    open: BTreeMap<OsdId, Open>,
    next_number: u64,
    events: mpsc::Sender<SessionEvent>,
    receiver: mpsc::Receiver<SessionEvent>,
}

impl Sessions {
    pub fn new(identity: Identity) -> Self {
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        Self { identity, open: BTreeMap::new(), next_number: 1, events, receiver }
    }

    /// The next thing that a session has to say. Dropping the future loses nothing.
    pub async fn next(&mut self) -> SessionEvent {
        self.receiver.recv().await.expect("a sender is kept here")
    }

    /// More of it, if it is there.
    pub fn try_next(&mut self) -> Option<SessionEvent> {
        self.receiver.try_recv().ok()
    }

    /// Queues a message; opens the session when there is none to this place.
    pub fn send(&mut self, osd: OsdId, place: &Place, message: Message) -> Result<(), QueueFull> {
        if self.open.get(&osd).is_some_and(|open| open.place != *place) {
            self.close(osd);
        }
        let open = self.open.entry(osd).or_insert_with(|| {
            let number = self.next_number;
            self.next_number += 1;
            let (queue, messages) = mpsc::channel(QUEUE_MESSAGES_MAX);
            let peer =
                PeerAddress { entity: Some(EntityName::osd(osd)), address: place.address, nonce: Some(place.nonce) };
            let session = run(self.identity.clone(), peer, osd, number, messages, self.events.clone());
            Open { number, place: place.clone(), queue, task: tokio::spawn(session) }
        });
        match open.queue.try_send(message) {
            Ok(()) => Ok(()),
            // Its end is on its way as an event, which repeats what is queued now.
            Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.close(osd);
                Err(QueueFull)
            }
        }
    }

    /// Whether the end of this session is news: not when it was closed from here.
    pub fn ended(&mut self, osd: OsdId, session: u64) -> bool {
        let is_open = self.open.get(&osd).is_some_and(|open| open.number == session);
        if is_open {
            self.open.remove(&osd);
        }
        is_open
    }

    /// Ends sessions with OSDs that are elsewhere now, or nowhere.
    pub fn keep_only(&mut self, place_of: impl Fn(OsdId) -> Option<Place>) {
        self.open.retain(|osd, open| place_of(*osd).as_ref() == Some(&open.place));
    }

    fn close(&mut self, osd: OsdId) {
        self.open.remove(&osd);
    }
}

async fn run(
    identity: Identity,
    peer: PeerAddress,
    osd: OsdId,
    session: u64,
    messages: mpsc::Receiver<Message>,
    events: mpsc::Sender<SessionEvent>,
) {
    let reason = match data::connect(&identity, &peer).await {
        Ok(session) => exchange(session, osd, messages, &events).await,
        Err(error) => error.to_string(),
    };
    tracing::debug!(%osd, reason, "the session with an OSD ended");
    // Only the driver receives; when it is gone, so is whoever waited.
    let _ = events.send(SessionEvent::Closed { osd, session, reason }).await;
}

/// Carries messages both ways until one way ends. Answers why.
async fn exchange(
    session: data::Session,
    osd: OsdId,
    mut messages: mpsc::Receiver<Message>,
    events: &mpsc::Sender<SessionEvent>,
) -> String {
    let data::Session { sender, mut receiver, .. } = session;
    let outgoing = async {
        while let Some(message) = messages.recv().await {
            match sender.send(&message).await {
                Ok(()) => {}
                Err(data::SendError::TooLarge(reason)) => {
                    let Message::ClientOp(op) = &message else { continue };
                    let error = Error::invalid(format!("the operation does not fit a message: {reason}"));
                    let outcome = Err(OpFailure { error, step: None });
                    let reply = ClientReply { request: op.request, epoch: op.epoch, outcome };
                    let message = Message::ClientReply(Box::new(reply));
                    if events.send(SessionEvent::Message { osd, message }).await.is_err() {
                        break;
                    }
                }
                Err(data::SendError::Full | data::SendError::Closed) => return "the session closed".to_owned(),
            }
        }
        "the client closed it".to_owned()
    };
    let incoming = async {
        loop {
            match receiver.next().await {
                Some(Ok(message)) => {
                    if events.send(SessionEvent::Message { osd, message }).await.is_err() {
                        return "the client closed it".to_owned();
                    }
                }
                Some(Err(error)) => return error.to_string(),
                None => return "the OSD closed it".to_owned(),
            }
        }
    };
    tokio::select! {
        reason = outgoing => reason,
        reason = incoming => reason,
    }
}
