//! The task that owns the table: hears callers, sessions, maps and time; carries out what the table says.
//!
//! Owns: the table, the sessions, the callers who wait. Does not know: why anything is sent or sent again.
//!
//! Invariants
//! 1. Every caller in `waiting` has its operation in the table, and the other way round.
//! 2. Maps reach the table in epoch order, every one that came.

use std::{
    collections::HashMap,
    future,
    sync::{Arc, atomic::Ordering},
};

use client_ops::{Action, Event, Settings, Table};
use map::{ClusterMap, PublishedMap};
use telemetry::clock::{boot_clock_now, instant_of};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use types::{ClientId, Error, OsdId, Result};
use wire::{MapShare, Message, VerifyPage, VerifyRequest};

use crate::{
    monitors::MapWanted,
    sessions::{Place, SessionEvent, Sessions},
    submit::{GivenUp, Outcome, Submitted},
    watch::WatchSignal,
};

/// Things of one kind that are handled before the others get their turn.
const BATCH: usize = 64;

/// What callers ask.
pub(crate) enum Request {
    Submit(Box<Submitted>),
    /// Notifications to this watch of ours go there.
    Listen {
        cookie: u64,
        listener: mpsc::Sender<WatchSignal>,
    },
    /// Nobody listens to this watch any more.
    Ignore {
        cookie: u64,
    },
    /// One page of digests from one OSD. Fails with `Retry` when the session breaks.
    Verify {
        osd: OsdId,
        request: VerifyRequest,
        answer: oneshot::Sender<Result<VerifyPage>>,
    },
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen { cookie, .. } => f.debug_tuple("Listen").field(cookie).finish(),
            Self::Ignore { cookie } => f.debug_tuple("Ignore").field(cookie).finish(),
            Self::Submit(submitted) => f.debug_tuple("Submit").field(&submitted.submission).finish(),
            Self::Verify { osd, request, .. } => f.debug_tuple("Verify").field(osd).field(request).finish(),
        }
    }
}

struct Caller {
    answer: oneshot::Sender<Outcome>,
    /// Held until the operation is over.
    _permits: [OwnedSemaphorePermit; 2],
}

/// The channels between the driver and the rest of the client.
pub(crate) struct Channels {
    pub requests: mpsc::Receiver<Request>,
    pub shares: mpsc::Receiver<MapShare>,
    pub given_up: Arc<GivenUp>,
    pub maps: watch::Sender<Arc<PublishedMap>>,
    pub map_wanted: Arc<MapWanted>,
    /// Counts sessions that ended.
    pub resets: watch::Sender<u64>,
}

/// One client's driver.
pub(crate) struct Driver {
    table: Table,
    sessions: Sessions,
    channels: Channels,
    callers: HashMap<u64, Caller>,
    verifiers: HashMap<u64, (OsdId, oneshot::Sender<Result<VerifyPage>>)>,
    next_verify: u64,
    listeners: HashMap<u64, mpsc::Sender<WatchSignal>>,
    actions: Vec<Action>,
}

impl Driver {
    /// A driver that begins with the newest map of `channels.maps`.
    pub fn new(client: ClientId, settings: Settings, sessions: Sessions, channels: Channels) -> Self {
        let mut driver = Self {
            table: Table::new(client, settings),
            sessions,
            channels,
            callers: HashMap::new(),
            verifiers: HashMap::new(),
            next_verify: 1,
            listeners: HashMap::new(),
            actions: Vec::new(),
        };
        let first = driver.map();
        driver.handle(Event::NewMap(first));
        driver
    }

    /// Runs until nobody can ask anything any more.
    pub async fn run(mut self) {
        loop {
            let deadline = self.table.deadline();
            let tick = async move {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(instant_of(deadline).into()).await,
                    None => future::pending().await,
                }
            };
            tokio::select! {
                request = self.channels.requests.recv() => {
                    let Some(request) = request else { return };
                    self.handle_request(request);
                    for _ in 1..BATCH {
                        let Ok(request) = self.channels.requests.try_recv() else { break };
                        self.handle_request(request);
                    }
                }
                event = self.sessions.next() => {
                    self.handle_session(event);
                    for _ in 1..BATCH {
                        let Some(event) = self.sessions.try_next() else { break };
                        self.handle_session(event);
                    }
                }
                Some(share) = self.channels.shares.recv() => self.handle_share(&share),
                () = self.channels.given_up.changed.notified() => {
                    for handle in self.channels.given_up.take() {
                        if self.callers.remove(&handle).is_some() {
                            self.handle(Event::Cancel { handle });
                        }
                    }
                }
                () = tick => self.handle(Event::Tick),
            }
        }
    }

    fn map(&self) -> Arc<PublishedMap> {
        Arc::clone(&self.channels.maps.borrow())
    }

    fn handle_request(&mut self, request: Request) {
        match request {
            Request::Submit(submitted) => {
                let Submitted { submission, answer, permits } = *submitted;
                if answer.is_closed() {
                    return;
                }
                self.callers.insert(submission.handle, Caller { answer, _permits: permits });
                self.handle(Event::Submit(Box::new(submission)));
            }
            Request::Listen { cookie, listener } => drop(self.listeners.insert(cookie, listener)),
            Request::Ignore { cookie } => drop(self.listeners.remove(&cookie)),
            Request::Verify { osd, mut request, answer } => {
                let Some(place) = place_of(self.map().map(), osd) else {
                    // A caller that went away needs no answer.
                    let _ = answer.send(Err(Error::retry(format!("osd.{osd} is down"))));
                    return;
                };
                request.sequence = self.next_verify;
                self.next_verify += 1;
                self.verifiers.insert(request.sequence, (osd, answer));
                if self.sessions.send(osd, &place, Message::VerifyRequest(request)).is_err() {
                    self.handle_reset(osd, "the OSD does not read");
                }
            }
        }
    }

    fn handle_session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Message { osd, message } => self.handle_message(osd, message),
            SessionEvent::Closed { osd, session, reason } => {
                if self.sessions.ended(osd, session) {
                    self.handle_reset(osd, &reason);
                }
            }
        }
    }

    fn handle_message(&mut self, osd: OsdId, message: Message) {
        match message {
            Message::ClientReply(reply) => self.handle(Event::Reply { from: osd, reply }),
            Message::MapShare(share) => self.handle_share(&share),
            Message::MapRequest { have } => {
                let map = self.map();
                if map.epoch() > have
                    && let Some(place) = place_of(map.map(), osd)
                {
                    let full = Some((map.epoch(), map::encode_map(map.map())));
                    let share = MapShare { newest: map.epoch(), full, increments: Vec::new() };
                    if self.sessions.send(osd, &place, Message::MapShare(share)).is_err() {
                        self.handle_reset(osd, "the OSD does not read");
                    }
                }
            }
            Message::Notification(notification) => {
                let Some(listener) = self.listeners.get(&notification.cookie) else { return };
                if listener.try_send(WatchSignal::Notification(notification)).is_err() {
                    // Its notifier hears that this watch missed it.
                    tracing::warn!("a watch has too many notifications that nobody took; one is dropped");
                }
            }
            Message::VerifyPage(page) => {
                if let Some((_, answer)) = self.verifiers.remove(&page.sequence) {
                    // A caller that went away needs no answer.
                    let _ = answer.send(Ok(page));
                }
            }
            other => tracing::warn!(%osd, message = ?other, "an OSD says what is not for clients"),
        }
    }

    fn handle_reset(&mut self, osd: OsdId, reason: &str) {
        tracing::debug!(%osd, reason, "operations under way to an OSD are sent again");
        let broken: Vec<u64> =
            self.verifiers.iter().filter(|(_, (asked, _))| *asked == osd).map(|(sequence, _)| *sequence).collect();
        for sequence in broken {
            if let Some((_, answer)) = self.verifiers.remove(&sequence) {
                let _ = answer.send(Err(Error::retry(format!("the session with osd.{osd} ended: {reason}"))));
            }
        }
        self.channels.resets.send_modify(|resets| *resets += 1);
        self.handle(Event::SessionReset(osd));
    }

    fn handle_share(&mut self, share: &MapShare) {
        let before = self.map();
        let maps = match advance(&before, share) {
            Ok(maps) => maps,
            Err(error) => {
                tracing::warn!(%error, have = %before.epoch(), "maps that came cannot be used; asking for a whole one");
                self.channels.map_wanted.whole.store(true, Ordering::Relaxed);
                self.channels.map_wanted.changed.notify_one();
                return;
            }
        };
        for map in maps {
            self.channels.maps.send_replace(Arc::clone(&map));
            self.sessions.keep_only(|osd| place_of(map.map(), osd));
            self.handle(Event::NewMap(Arc::clone(&map)));
        }
        let stale = self.verifiers.iter().filter(|(_, (osd, _))| place_of(self.map().map(), *osd).is_none());
        for sequence in stale.map(|(sequence, _)| *sequence).collect::<Vec<u64>>() {
            if let Some((osd, answer)) = self.verifiers.remove(&sequence) {
                let _ = answer.send(Err(Error::retry(format!("osd.{osd} went down"))));
            }
        }
    }

    /// Select, handle, execute: this is the second and the third.
    fn handle(&mut self, event: Event) {
        self.table.handle(boot_clock_now(), event, &mut self.actions);
        let mut broken = Vec::new();
        for action in self.actions.drain(..) {
            match action {
                Action::Send { to, op } => {
                    let place = place_of(self.channels.maps.borrow().map(), to);
                    let place = place.expect("the table sends to OSDs that its map has up");
                    if self.sessions.send(to, &place, Message::ClientOp(op)).is_err() {
                        broken.push(to);
                    }
                }
                Action::Complete { handle, outcome } => {
                    if let Some(caller) = self.callers.remove(&handle) {
                        // A caller that just went away needs no answer.
                        let _ = caller.answer.send(outcome);
                    }
                }
                Action::WantMap { have } => {
                    tracing::debug!(%have, "a newer map is needed");
                    self.channels.map_wanted.changed.notify_one();
                }
                Action::Warn { handle, waiting_ms } => {
                    tracing::warn!(operation = handle, waiting_ms, "an operation waits for the cluster");
                }
            }
        }
        for osd in broken {
            self.handle_reset(osd, "the OSD does not read");
        }
    }
}

/// Where the map says that an OSD listens.
fn place_of(map: &ClusterMap, osd: OsdId) -> Option<Place> {
    let state = map.osds.get(&osd).filter(|state| state.up)?;
    Some(Place { address: state.address?, nonce: state.nonce })
}

/// The maps that a share adds, in epoch order.
fn advance(current: &Arc<PublishedMap>, share: &MapShare) -> Result<Vec<Arc<PublishedMap>>> {
    let mut maps: Vec<Arc<PublishedMap>> = Vec::new();
    let mut last = Arc::clone(current);
    if let Some((epoch, bytes)) = &share.full
        && *epoch > last.epoch()
    {
        last = first_map(bytes, *epoch, current.map())?;
        maps.push(Arc::clone(&last));
    }
    for (epoch, bytes) in &share.increments {
        if *epoch <= last.epoch() {
            continue;
        }
        if *epoch != last.epoch().next() {
            return Err(Error::refresh_map(format!("epoch {} is followed by {epoch}", last.epoch())));
        }
        last = last.apply(&map::decode_increment(bytes)?)?;
        maps.push(Arc::clone(&last));
    }
    Ok(maps)
}

fn first_map(bytes: &[u8], epoch: types::Epoch, current: &ClusterMap) -> Result<Arc<PublishedMap>> {
    let map = map::decode_map(bytes)?;
    if map.cluster != current.cluster || map.epoch != epoch {
        return Err(Error::invalid(format!(
            "a map of cluster {} epoch {} came for epoch {epoch} of cluster {}",
            map.cluster, map.epoch, current.cluster
        )));
    }
    PublishedMap::new(map)
}
