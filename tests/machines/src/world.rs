//! The world: what happens when, and who hears it.

use std::{fmt, time::Duration};

use osd_pg::Ticket;
use osd_state::{Event as OsdEvent, Owner};
use tests_kit::{Arrival, Content, EventLog, EventQueue, LogDigest, Network, Packet};
use types::{BootNonce, Epoch, OsdId, PgId, PoolId, Seed, SeededRandom, StoreReadResult, Time};
use wire::{ControlReply, ControlRequest, MapShare, Message, PgStateFlags};

use crate::{
    Profile, audit,
    clients::Clients,
    faults::Faults,
    monitors::{ConsensusStep, Monitors},
    osds::Osds,
};

/// Lines of the event log kept as text for a failure's story.
const LOG_LINES_KEPT: usize = 4_000;
/// The wall clock at the simulation's beginning, in milliseconds since 1970.
const WALL_CLOCK_START_MS: u64 = 1_700_000_000_000;
/// How often the world looks whether it has converged, once faults have stopped.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// More events at one instant than any run of these profiles needs; a machine whose deadline never moves reaches it.
const EVENTS_AT_ONE_INSTANT_MAX: u64 = 100_000;
/// More events than any run of these profiles needs; a run that reaches it turns in a circle.
const EVENTS_MAX: u64 = 20_000_000;

/// Who is at one end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    Mon(usize),
    Osd(OsdId),
    Client(u32),
    /// The hand that founds the cluster and makes the pool.
    Operator,
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mon(index) => write!(f, "mon.{index}"),
            Self::Osd(osd) => write!(f, "osd.{osd}"),
            Self::Client(client) => write!(f, "client.{client}"),
            Self::Operator => f.write_str("operator"),
        }
    }
}

/// What travels.
#[derive(Debug, Clone)]
pub(crate) enum Letter {
    /// On the data plane, with the life of the process that is expected to receive it.
    Data { nonce: Option<BootNonce>, message: Box<Message> },
    /// To a monitor; passed on to the leader with who first asked.
    Ask { asker: Node, request: Box<ControlRequest> },
    /// To who asked.
    Answer { reply: Box<ControlReply> },
    /// To a monitor: every new map from now on, please.
    Subscribe { have: Epoch },
    /// Maps.
    Maps(MapShare),
}

/// What is going to happen.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Packet(Packet<Node, Letter>),
    Wake { node: Node, life: u64 },
    Flush { osd: OsdId, life: u64 },
    ReadDone { osd: OsdId, life: u64, owner: Owner, ticket: Ticket, results: Vec<types::Result<StoreReadResult>> },
    Told { osd: OsdId, life: u64, event: Box<OsdEvent> },
    Subscribe { node: Node, life: u64 },
    Consensus(ConsensusStep),
    ClientBegins { client: u32 },
    Fault,
    Restart(Node),
    Heal(Node, Node),
    MakePool,
    FaultsEnd,
    Look,
}

/// What a run was like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The event log in short; two runs of one seed have the same.
    pub digest: LogDigest,
    /// Virtual time from begin to end.
    pub virtual_time: Duration,
    /// Events that machines heard.
    pub events: u64,
    /// Operations that clients had answered.
    pub operations: usize,
    /// Faults that were made.
    pub faults: usize,
}

/// Why a run failed, with the end of its story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: Seed,
    /// What is wrong.
    pub reason: String,
    /// The last events.
    pub story: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        write!(f, "seed {}: {}", self.seed, self.reason)
    }
}

/// Everything that all parts of the world use.
pub(crate) struct Stage {
    pub queue: EventQueue<Happening>,
    pub network: Network<Node, Letter>,
    pub random: SeededRandom,
    pub log: EventLog,
}

impl Stage {
    pub fn now(&self) -> Time {
        self.queue.now()
    }

    pub fn wall_ms(&self) -> u64 {
        WALL_CLOCK_START_MS + self.now().as_nanoseconds() / 1_000_000
    }

    pub fn send(&mut self, from: Node, to: Node, letter: Letter) {
        let packets = self.network.send(self.queue.now(), &from, &to, letter);
        self.put_on_the_way(packets);
    }

    pub fn put_on_the_way(&mut self, packets: Vec<Packet<Node, Letter>>) {
        for packet in packets {
            self.queue.schedule_at(packet.at, Happening::Packet(packet));
        }
    }

    pub fn note(&mut self, line: impl fmt::Display) {
        self.log.record(self.queue.now(), line);
    }

    /// A delay between the two, in microseconds.
    pub fn delay(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(least + self.random.below(most - least + 1))
    }
}

/// The world.
pub(crate) struct World {
    pub profile: Profile,
    pub stage: Stage,
    pub monitors: Monitors,
    pub osds: Osds,
    pub clients: Clients,
    pub faults: Faults,
    faults_ended: Option<Time>,
    pool: Option<PoolId>,
    events: u64,
}

/// Runs one seed to its end. A machine's broken invariant panics; everything else is a failure with its story.
pub fn run(seed: Seed, profile: &Profile) -> Result<Report, Failure> {
    let mut world = World::new(seed, profile);
    match world.live() {
        Ok(()) => Ok(Report {
            digest: world.stage.log.digest(),
            virtual_time: world.stage.now().since(Time::ZERO),
            events: world.events,
            operations: world.clients.answered(),
            faults: world.faults.made(),
        }),
        Err(reason) => {
            let story = world.stage.log.lines().map(str::to_owned).collect();
            Err(Failure { seed, reason, story })
        }
    }
}

impl World {
    fn new(seed: Seed, profile: &Profile) -> Self {
        let mut random = SeededRandom::new(seed);
        let network = Network::new(random.fork(), profile.link);
        let mut stage = Stage { queue: EventQueue::new(), network, random, log: EventLog::new(LOG_LINES_KEPT) };
        let monitors = Monitors::new(profile, &mut stage);
        let osds = Osds::new(profile, &mut stage);
        let clients = Clients::new(profile);
        stage.queue.schedule_at(Time::from_milliseconds(100), Happening::MakePool);
        stage.queue.schedule_at(Time::ZERO + profile.faults_for, Happening::FaultsEnd);
        Self {
            profile: profile.clone(),
            stage,
            monitors,
            osds,
            clients,
            faults: Faults::new(),
            faults_ended: None,
            pool: None,
            events: 0,
        }
    }

    fn live(&mut self) -> Result<(), String> {
        let mut instant = (Time::ZERO, 0);
        while let Some(happening) = self.stage.queue.pop() {
            self.events += 1;
            instant = if instant.0 == self.stage.now() { (instant.0, instant.1 + 1) } else { (self.stage.now(), 0) };
            if instant.1 > EVENTS_AT_ONE_INSTANT_MAX {
                return Err(format!("time stands still at {}, with {happening:?}", instant.0));
            }
            if self.events > EVENTS_MAX {
                return Err(format!("{EVENTS_MAX} events and no end"));
            }
            if let Happening::Look = happening {
                if self.has_converged() {
                    return self.judge();
                }
                let ended = self.faults_ended.expect("the world looks after faults have ended");
                if self.stage.now().since(ended) > self.profile.converge_within {
                    return Err(format!("not converged: {}", self.what_is_missing()));
                }
                self.stage.queue.schedule_after(LOOK_EVERY, Happening::Look);
                continue;
            }
            self.happen(happening)?;
        }
        Err("nothing is left to happen, and the world has not converged".to_owned())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Packet(packet) => {
                if let Some(arrival) = self.stage.network.arrive(packet) {
                    self.arrive(arrival)?;
                }
            }
            Happening::Wake { node: Node::Osd(osd), life } => self.osds.wake(&mut self.stage, osd, life),
            Happening::Wake { node: Node::Client(client), .. } => self.clients.wake(&mut self.stage, client)?,
            Happening::Wake { node: Node::Mon(_) | Node::Operator, life } => {
                self.monitors.wake(&mut self.stage, life);
            }
            Happening::Flush { osd, life } => self.osds.flush(&mut self.stage, osd, life),
            Happening::ReadDone { osd, life, owner, ticket, results } => {
                self.osds.tell(&mut self.stage, osd, life, OsdEvent::ReadDone { owner, ticket, results });
            }
            Happening::Told { osd, life, event } => self.osds.tell(&mut self.stage, osd, life, *event),
            Happening::Subscribe { node: Node::Client(client), .. } => self.clients.subscribe(&mut self.stage, client),
            Happening::Subscribe { node, life } => self.osds.subscribe(&mut self.stage, node, life),
            Happening::Consensus(step) => self.monitors.step(&mut self.stage, step)?,
            Happening::ClientBegins { client } => self.clients.begin(&mut self.stage, client)?,
            Happening::Fault => self.make_fault(),
            Happening::Restart(node) => self.restart(node),
            Happening::Heal(from, to) => self.stage.network.heal(&from, &to),
            Happening::MakePool => self.make_pool(),
            Happening::FaultsEnd => self.end_faults(),
            Happening::Look => {}
        }
        Ok(())
    }

    fn arrive(&mut self, arrival: Arrival<Node, Letter>) -> Result<(), String> {
        let Arrival { from, to, content } = arrival;
        match (to, content) {
            (Node::Mon(index), Content::Message(letter)) => self.monitors.receive(&mut self.stage, index, from, letter),
            (Node::Mon(index), Content::SessionReset) => self.monitors.forget(index, from),
            (Node::Osd(osd), Content::Message(letter)) => self.osds.receive(&mut self.stage, osd, from, letter),
            (Node::Osd(osd), Content::SessionReset) => self.osds.reset(&mut self.stage, osd, from),
            (Node::Client(client), Content::Message(letter)) => {
                self.clients.receive(&mut self.stage, client, from, letter)?;
            }
            (Node::Client(client), Content::SessionReset) => self.clients.reset(&mut self.stage, client, from)?,
            (Node::Operator, Content::Message(letter)) => self.hear_as_operator(letter)?,
            (Node::Operator, Content::SessionReset) => {}
        }
        Ok(())
    }

    /// Asks for the pool until it is there: the operator's words are repeated under one number, so it is made once.
    fn make_pool(&mut self) {
        let map = self.monitors.newest_map();
        if let Some(pool) = map.as_ref().and_then(|map| map.pools.values().next()) {
            self.pool = Some(pool.id);
            self.stage.note(format!("pool {} is there", pool.id));
            self.clients.start(&mut self.stage, pool.id);
            if let Some(every) = self.profile.fault_every {
                self.stage.queue.schedule_after(every, Happening::Fault);
            }
            return;
        }
        let booted = map.map_or(0, |map| map.osds.values().filter(|osd| osd.up).count());
        if booted == usize::try_from(self.profile.osds).expect("few") {
            self.monitors.ask_as_operator(
                &mut self.stage,
                "osd pool create",
                &[
                    ("pool", "p".to_owned()),
                    ("pg_num", self.profile.pg_num.to_string()),
                    ("size", self.profile.size.to_string()),
                ],
            );
        }
        self.stage.queue.schedule_after(Duration::from_millis(500), Happening::MakePool);
    }

    fn hear_as_operator(&mut self, letter: Letter) -> Result<(), String> {
        let Letter::Answer { reply } = letter else { return Ok(()) };
        match *reply {
            ControlReply::Failed(error) if error.kind != types::ErrorKind::Retry => {
                Err(format!("the operator was refused: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn end_faults(&mut self) {
        self.stage.note("faults end");
        self.stage.network.heal_all();
        self.faults_ended = Some(self.stage.now());
        for node in self.faults.down() {
            self.restart(node);
        }
        self.stage.queue.schedule_after(LOOK_EVERY, Happening::Look);
    }

    pub fn faults_go_on(&self) -> bool {
        self.faults_ended.is_none()
    }

    fn has_converged(&self) -> bool {
        self.clients.are_done() && self.unclean().is_some_and(|unclean| unclean.is_empty())
    }

    /// Placement groups whose primary does not call them active and clean by the newest map; `None` before the pool.
    fn unclean(&self) -> Option<Vec<(PgId, String)>> {
        let pool = self.pool?;
        let map = self.monitors.newest_map()?;
        let clean = PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN);
        let groups = (0..self.profile.pg_num).map(|seed| PgId { pool, seed });
        let unclean = groups.filter_map(|pg| {
            let place = map.place(pg);
            let Some(primary) = place.acting_primary else { return Some((pg, "has no primary".to_owned())) };
            match self.osds.pg_statistics(primary, map.epoch(), pg) {
                Some(statistics) if statistics.state == clean && place.up == place.acting => None,
                Some(statistics) => Some((pg, format!("is {} on osd.{primary}", statistics.state))),
                None => Some((pg, format!("is unknown to osd.{primary}, or it lacks epoch {}", map.epoch()))),
            }
        });
        Some(unclean.collect())
    }

    fn what_is_missing(&self) -> String {
        let groups = match self.unclean() {
            None => "the pool was never made".to_owned(),
            Some(groups) => groups.iter().map(|(pg, what)| format!("{pg} {what}")).collect::<Vec<_>>().join(", "),
        };
        format!("{groups}; clients: {}; monitors: {}", self.clients.what_is_missing(), self.monitors.describe())
    }

    fn judge(&mut self) -> Result<(), String> {
        self.clients.judge()?;
        self.monitors.judge()?;
        let map = self.monitors.newest_map().ok_or("the monitors have no map")?;
        let pool = self.pool.ok_or("the pool was never made")?;
        audit::compare_replicas(&map, pool, &self.osds)?;
        audit::compare_with_histories(&map, pool, &self.osds, &self.clients)
    }
}
