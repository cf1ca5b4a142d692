//! The one thread of a shard: hears events, lets the machine decide, carries out what it says.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use anyhow::{Result, anyhow, bail};
use map::ConfigOption;
use net::data::{ConnectError, Session, SessionSender};
use osd_pg::{SessionId, Ticket};
use osd_state::{Action, Event, Osd, Owner, Peer};
use store::ObjectStore;
use telemetry::clock::{boot_clock_now, instant_of};
use tokio::sync::mpsc;
use types::{Error, OsdId, StoreRead, Time};

use crate::{
    completions::Completions,
    monitors::Monitors,
    peers::{Attempt, Peers},
};

/// Events between the sessions' tasks and the shard. Senders wait when it is full: that is the back-pressure which
/// reaches the sockets.
pub(crate) const EVENTS_MAX: usize = 1024;
/// Events taken before completions and the deadline are looked at again.
const EVENTS_PER_TURN: usize = 64;

/// What the shard's thread hears.
#[derive(Debug)]
pub(crate) enum ShardEvent {
    /// For the machine.
    Machine(Event),
    /// Somebody opened a session.
    Opened { session: SessionId, peer: Peer, sender: SessionSender },
    /// Opening a session to an OSD ended.
    PeerAttempted { osd: OsdId, attempt: Attempt, result: Box<Result<Session, ConnectError>> },
    /// A session to an OSD ended.
    PeerEnded { osd: OsdId, attempt: Attempt },
    /// No sessions can be taken any more.
    ListenerFailed(Error),
}

/// The shard: the machine and its means.
pub(crate) struct Shard {
    pub machine: Osd,
    pub store: Arc<dyn ObjectStore>,
    pub completions: Completions,
    pub sessions: BTreeMap<SessionId, SessionSender>,
    pub peers: Peers,
    pub monitors: Monitors,
    pub events: mpsc::Sender<ShardEvent>,
    pub latency: CommitLatency,
    /// Answers that were there at once, heard before anything else.
    pub ready: VecDeque<Event>,
    pub actions: Vec<Action>,
}

/// Mean time of commits between two looks.
#[derive(Debug, Default)]
pub(crate) struct CommitLatency {
    started: VecDeque<Time>,
    sum: Duration,
    count: u32,
}

impl CommitLatency {
    fn begin(&mut self, now: Time) {
        self.started.push_back(now);
    }

    /// Commits end in the order in which they began.
    fn end(&mut self, now: Time) {
        if let Some(started) = self.started.pop_front() {
            self.sum += now.since(started);
            self.count += 1;
        }
    }

    fn take(&mut self) -> Duration {
        let mean = if self.count == 0 { Duration::ZERO } else { self.sum / self.count };
        (self.sum, self.count) = (Duration::ZERO, 0);
        mean
    }
}

impl Shard {
    /// Runs until the shutdown future ends, or something makes going on unsafe.
    pub async fn run(
        &mut self,
        mut inbox: mpsc::Receiver<ShardEvent>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<()> {
        let mut shutdown = std::pin::pin!(shutdown);
        let completions = self.completions.clone();
        self.carry_out(boot_clock_now())?;
        loop {
            let deadline = instant_of(self.machine.deadline().unwrap_or(Time::FAR_FUTURE));
            tokio::select! {
                () = &mut shutdown => return Ok(()),
                () = completions.arrived() => {}
                event = inbox.recv() => {
                    let event = event.ok_or_else(|| anyhow!("the shard's queue closed"))?;
                    self.hear(event)?;
                    for _ in 1..EVENTS_PER_TURN {
                        let Ok(event) = inbox.try_recv() else { break };
                        self.hear(event)?;
                    }
                }
                () = tokio::time::sleep_until(deadline.into()) => {}
            }
            self.hear_completions()?;
            let now = boot_clock_now();
            if self.machine.deadline().is_some_and(|deadline| deadline <= now) {
                self.give(now, Event::Tick)?;
            }
        }
    }

    fn hear(&mut self, event: ShardEvent) -> Result<()> {
        let now = boot_clock_now();
        let event = match event {
            ShardEvent::Machine(event) => {
                if let Event::SessionClosed(session) = &event {
                    self.sessions.remove(session);
                }
                Some(event)
            }
            ShardEvent::Opened { session, peer, sender } => {
                self.sessions.insert(session, sender);
                Some(Event::SessionOpened { session, peer })
            }
            ShardEvent::PeerAttempted { osd, attempt, result } => self.peers.attempted(now, osd, attempt, *result),
            ShardEvent::PeerEnded { osd, attempt } => self.peers.ended(osd, attempt),
            ShardEvent::ListenerFailed(error) => bail!("listen for sessions: {error}"),
        };
        event.map_or(Ok(()), |event| self.give(now, event))
    }

    fn hear_completions(&mut self) -> Result<()> {
        for (whose, result) in self.completions.take() {
            // A store that could not write is not to be trusted with anything more: the OSD goes down.
            result.map_err(|error| anyhow!("the store failed: {error}"))?;
            if let Some((owner, ticket)) = whose {
                let now = boot_clock_now();
                self.latency.end(now);
                self.give(now, Event::Committed { owner, ticket })?;
            }
        }
        Ok(())
    }

    /// Gives the machine an event and carries out what it says, with everything that follows at once.
    fn give(&mut self, now: Time, event: Event) -> Result<()> {
        self.machine.handle(now, event, &mut self.actions);
        self.carry_out(now)?;
        while let Some(event) = self.ready.pop_front() {
            self.machine.handle(now, event, &mut self.actions);
            self.carry_out(now)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, now: Time) -> Result<()> {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Reply { session, message } => {
                    if let Some(sender) = self.sessions.get(&session)
                        && let Err(error) = sender.try_send(&message)
                    {
                        tracing::info!(%error, session = session.0, "a session takes no answer; it is closed");
                        self.sessions.remove(&session);
                        self.ready.push_back(Event::SessionClosed(session));
                    }
                }
                Action::Send { to, address, nonce, message } => {
                    self.ready.extend(self.peers.send(now, to, address, nonce, *message));
                }
                Action::Disconnect(osd) => self.peers.disconnect(osd),
                Action::Commit { owner, ticket, transaction } => {
                    self.latency.begin(now);
                    let completions = self.completions.clone();
                    let done = move |result| completions.push((Some((owner, ticket)), result));
                    self.store.submit(transaction, Box::new(done));
                }
                Action::StoreConfig(changes) => {
                    let completions = self.completions.clone();
                    self.store.submit_config(changes, Box::new(move |result| completions.push((None, result))));
                }
                Action::Read { owner, ticket, reads } => self.read(owner, ticket, reads),
                Action::Call { pg, ticket, reads, calls } => self.call(pg, ticket, reads, calls),
                Action::AskMonitors(request) => self.monitors.ask(*request),
                Action::Report { manager, report } => self.monitors.report(manager, *report),
                Action::MeasureUsage => {
                    let usage = self.store.usage().map_err(|error| anyhow!("measure the store: {error}"))?;
                    self.ready.push_back(Event::Usage { usage, commit_latency: self.latency.take() });
                }
                Action::Settings(settings) => {
                    telemetry::logging::follow_level(settings.word(ConfigOption::LogLevel));
                }
                Action::Stop { reason } => bail!("{reason}"),
            }
        }
        self.actions = actions;
        if let Some(map) = self.machine.map() {
            self.monitors.note_epoch(map.epoch());
        }
        Ok(())
    }

    /// Answers from memory where possible; what has to wait for the device does so on another thread.
    fn read(&mut self, owner: Owner, ticket: Ticket, reads: Vec<StoreRead>) {
        let at_once: Option<Vec<_>> = reads.iter().map(|read| self.store.try_read(read)).collect();
        if let Some(results) = at_once {
            self.ready.push_back(Event::ReadDone { owner, ticket, results });
            return;
        }
        let (store, events) = (self.store.clone(), self.events.clone());
        tokio::task::spawn_local(async move {
            let blocking = move || reads.iter().map(|read| store.read(read)).collect();
            match tokio::task::spawn_blocking(blocking).await {
                Ok(results) => {
                    let event = ShardEvent::Machine(Event::ReadDone { owner, ticket, results });
                    // A closed queue is a shard that has ended.
                    drop(events.send(event).await);
                }
                Err(error) => tracing::error!(%error, "a read did not end; its operation waits for a restart"),
            }
        });
    }
}

impl Shard {
    /// The means of a shard around its machine.
    pub fn new(
        machine: Osd,
        actions: Vec<Action>,
        store: Arc<dyn ObjectStore>,
        peers: Peers,
        monitors: Monitors,
        events: mpsc::Sender<ShardEvent>,
    ) -> Self {
        Self {
            machine,
            store,
            completions: Completions::default(),
            sessions: BTreeMap::new(),
            peers,
            monitors,
            events,
            latency: CommitLatency::default(),
            ready: VecDeque::new(),
            actions,
        }
    }
}
