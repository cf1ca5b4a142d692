//! The world: what happens when, and who hears it.

use std::{collections::BTreeMap, fmt, time::Duration};

use osd_pg::Ticket;
use osd_state::{Event as OsdEvent, Owner};
use tests_kit::{Arrival, Content, EventQueue, HostClock, Network, Packet};
use types::{BootNonce, Epoch, OsdId, PgId, PoolId, Seed, SeededRandom, StoreReadResult, Time};
use wire::{ControlReply, ControlRequest, MapShare, Message, PgStatistics};

use crate::{
    Scenario, audit,
    clients::Clients,
    faults::Faults,
    monitors::{ConsensusStep, Monitors},
    operator::Operator,
    osds::Osds,
    recorder::Recorder,
    run::Report,
};

/// The wall clock at the simulation's beginning, in milliseconds since 1970.
const WALL_CLOCK_START_MS: u64 = 1_700_000_000_000;
/// How often the world looks whether it has converged, once faults have stopped.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// When a process that stopped by its own will is started again: systemd's patience, roughly.
const STARTED_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// More events at one instant than any run of these profiles needs; a machine whose deadline never moves reaches it.
const EVENTS_AT_ONE_INSTANT_MAX: u64 = 100_000;
/// More maps than faults and operators of any profile make: many at the beginning, few in each second after it.
const EPOCHS_AT_ONCE_MAX: u32 = 150;
/// See [`EPOCHS_AT_ONCE_MAX`].
const EPOCHS_PER_SECOND_MAX: u32 = 8;
/// More events than any run of these profiles needs; a run that reaches it turns in a circle.
const EVENTS_MAX: u64 = 20_000_000;

/// Who is at one end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A monitor, by its place.
    Mon(usize),
    /// An OSD.
    Osd(OsdId),
    /// A client, by its place.
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
    /// To who asked; of a command with its number, as a call has its answer.
    Answer { reply: Box<ControlReply>, command: Option<u64> },
    /// To a monitor: every new map from now on, please.
    Subscribe { have: Epoch },
    /// Maps.
    Maps(MapShare),
}

/// What is going to happen.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Packet(Packet<Node, Letter>),
    Wake {
        node: Node,
        life: u64,
    },
    Flush {
        osd: OsdId,
        life: u64,
    },
    ReadDone {
        osd: OsdId,
        life: u64,
        owner: Owner,
        ticket: Ticket,
        results: Vec<types::Result<StoreReadResult>>,
    },
    /// The process ends by its own will, and is started again by whoever watches over it.
    Stopped {
        osd: OsdId,
        life: u64,
    },
    Told {
        osd: OsdId,
        life: u64,
        event: Box<OsdEvent>,
    },
    Subscribe {
        node: Node,
        life: u64,
    },
    Consensus(ConsensusStep),
    ClientBegins {
        client: u32,
    },
    Fault,
    PowerFails,
    Restart(Node),
    Heal(Node, Node),
    Found,
    OperatorWaits {
        sequence: u64,
    },
    FaultsEnd,
    Look,
}

/// Everything that all parts of the world use.
pub(crate) struct Stage {
    pub queue: EventQueue<Happening>,
    pub network: Network<Node, Letter>,
    pub random: SeededRandom,
    pub recorder: Recorder,
    /// Whether power fails after the next acknowledged write.
    pub is_trapped: bool,
    clocks: BTreeMap<Node, HostClock>,
    mons: usize,
}

impl Stage {
    pub fn now(&self) -> Time {
        self.queue.now()
    }

    pub fn wall_ms(&self) -> u64 {
        WALL_CLOCK_START_MS + self.now().as_nanoseconds() / 1_000_000
    }

    /// The clock of a node's host.
    pub fn clock_of(&self, node: Node) -> HostClock {
        self.clocks.get(&node).copied().unwrap_or_default()
    }

    pub fn some_monitor(&mut self) -> usize {
        usize::try_from(self.random.below(self.mons as u64)).expect("few monitors")
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
        self.recorder.note(self.queue.now(), line);
    }

    pub fn note_message(&mut self, from: Node, to: Node, message: &Message) {
        if self.recorder.listens() {
            self.recorder.note(self.queue.now(), format_args!("{from} -> {to} {}", crate::recorder::summary(message)));
        }
    }

    /// What machines have visited since the last call goes to whoever counts it.
    pub fn hear_visits(&mut self) {
        self.recorder.hear_visits(self.queue.now());
    }

    /// A delay between the two, in microseconds.
    pub fn delay(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(least + self.random.below(most - least + 1))
    }
}

/// The world.
pub(crate) struct World {
    pub scenario: Scenario,
    pub stage: Stage,
    pub monitors: Monitors,
    pub osds: Osds,
    pub clients: Clients,
    pub operator: Operator,
    pub faults: Faults,
    faults_ended: Option<Time>,
    founded: bool,
    pool: Option<PoolId>,
    events: u64,
    digest: u64,
}

impl World {
    pub fn new(seed: Seed, scenario: Scenario, recorder: Recorder) -> Self {
        let mut random = SeededRandom::new(seed);
        let mut network = Network::new(random.fork(), scenario.link);
        if let Some(link) = scenario.osd_link {
            let osds: Vec<Node> = scenario.osds.keys().copied().map(Node::Osd).collect();
            for from in &osds {
                osds.iter().filter(|to| *to != from).for_each(|to| network.set_link(*from, *to, link));
            }
        }
        let (clocks, mons) = (scenario.clocks.clone(), scenario.mons);
        let mut stage = Stage { queue: EventQueue::new(), network, random, recorder, is_trapped: false, clocks, mons };
        let monitors = Monitors::new(&scenario, &mut stage);
        let osds = Osds::new(&scenario, &mut stage);
        let clients = Clients::new(&scenario);
        stage.queue.schedule_at(Time::from_milliseconds(100), Happening::Found);
        Self {
            scenario,
            stage,
            monitors,
            osds,
            clients,
            operator: Operator::default(),
            faults: Faults::default(),
            faults_ended: None,
            founded: false,
            pool: None,
            events: 0,
            digest: 0,
        }
    }

    /// Lives until everything has converged and is judged, or until `until`.
    pub fn live(&mut self, until: Time) -> Result<(), String> {
        let mut instant = (Time::ZERO, 0);
        while let Some(happening) = self.stage.queue.pop() {
            if self.stage.now() > until {
                return Ok(());
            }
            self.events += 1;
            self.note_digest();
            instant = if instant.0 == self.stage.now() { (instant.0, instant.1 + 1) } else { (self.stage.now(), 0) };
            if instant.1 > EVENTS_AT_ONE_INSTANT_MAX {
                return Err(format!("time stands still at {}, with {happening:?}", instant.0));
            }
            let seconds = u32::try_from(self.stage.now().as_nanoseconds() / 1_000_000_000).unwrap_or(u32::MAX);
            let epoch = if self.events.is_multiple_of(256) { self.monitors.newest_epoch().0 } else { 0 };
            if epoch > EPOCHS_AT_ONCE_MAX + seconds.saturating_mul(EPOCHS_PER_SECOND_MAX) {
                return Err(format!("the map does not come to rest: epoch {epoch} after {seconds} s"));
            }
            if self.events > EVENTS_MAX {
                return Err(format!("{EVENTS_MAX} events and no end"));
            }
            if let Happening::Look = happening {
                if self.has_converged() && !self.clients.look_at_all(&mut self.stage)? && self.has_converged() {
                    return self.judge();
                }
                let ended = self.faults_ended.expect("the world looks after faults have ended");
                if self.stage.now().since(ended) > self.scenario.converge_within {
                    return Err(format!("not converged: {}", self.what_is_missing()));
                }
                self.stage.queue.schedule_after(LOOK_EVERY, Happening::Look);
                continue;
            }
            if let Some(thaw) = self.frozen_until(&happening) {
                self.stage.queue.schedule_at(thaw, happening);
                continue;
            }
            self.happen(happening)?;
        }
        Err("nothing is left to happen, and the world has not converged".to_owned())
    }

    /// What the run was like so far.
    pub fn report(&self) -> Report {
        Report {
            digest: self.digest,
            virtual_time: self.stage.now().since(Time::ZERO),
            events: self.events,
            operations: self.clients.answered(),
            faults: self.faults.made().clone(),
        }
    }

    /// FNV-1a over when what number of things was ahead: two runs that part show it soon.
    fn note_digest(&mut self) {
        for word in [self.stage.now().as_nanoseconds(), self.stage.queue.len() as u64] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// When a process that stands still will hear of it.
    fn frozen_until(&self, happening: &Happening) -> Option<Time> {
        let osd = match happening {
            Happening::Packet(Packet { to: Node::Osd(osd), .. })
            | Happening::Wake { node: Node::Osd(osd), .. }
            | Happening::Subscribe { node: Node::Osd(osd), .. }
            | Happening::Flush { osd, .. }
            | Happening::ReadDone { osd, .. }
            | Happening::Told { osd, .. } => *osd,
            _ => return None,
        };
        self.osds.frozen_until(osd, self.stage.now())
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
            Happening::Stopped { osd, life } => {
                if self.osds.is_life(osd, life) {
                    self.kill_for(Node::Osd(osd), STARTED_AGAIN_AFTER);
                }
            }
            Happening::Told { osd, life, event } => self.osds.tell(&mut self.stage, osd, life, *event),
            Happening::Subscribe { node: Node::Client(client), .. } => self.clients.subscribe(&mut self.stage, client),
            Happening::Subscribe { node, life } => self.osds.subscribe(&mut self.stage, node, life),
            Happening::Consensus(step) => self.monitors.step(&mut self.stage, step)?,
            Happening::ClientBegins { client } => self.clients.begin(&mut self.stage, client)?,
            Happening::Fault => self.make_fault(),
            Happening::PowerFails if self.faults_go_on() => self.kill_everything(),
            Happening::PowerFails => {}
            Happening::Restart(node) => self.restart(node),
            Happening::Heal(from, to) => self.stage.network.heal(&from, &to),
            Happening::Found => self.found(),
            Happening::OperatorWaits { sequence } => self.operator.ask_again(&mut self.stage, sequence),
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
            (Node::Operator, Content::Message(Letter::Answer { reply, command: Some(sequence) })) => {
                self.operator.hear(&mut self.stage, sequence, &reply)?;
            }
            (Node::Operator, Content::Message(_) | Content::SessionReset) => {}
        }
        Ok(())
    }

    /// Waits for all OSDs, has the pool made, and lets the clients begin once it is there.
    fn found(&mut self) {
        let map = self.monitors.newest_map();
        if let Some(pool) = map.as_ref().and_then(|map| map.pools.values().next())
            && self.operator.is_idle()
        {
            self.pool = Some(pool.id);
            self.stage.note(format_args!("pool {} is there", pool.id));
            self.clients.start(&mut self.stage, pool.id);
            let quiet = self.scenario.profile.faults.is_empty();
            let faults_for = if quiet { Duration::ZERO } else { self.scenario.faults_for };
            self.stage.queue.schedule_after(faults_for, Happening::FaultsEnd);
            self.plan_fault();
            return;
        }
        let booted = map.map_or(0, |map| map.osds.values().filter(|osd| osd.up).count());
        if booted == self.scenario.osds.len() && !self.founded {
            self.founded = true;
            self.operator.found(&self.scenario);
            self.operator.ask_if_idle(&mut self.stage);
        }
        self.stage.queue.schedule_after(Duration::from_millis(200), Happening::Found);
    }

    fn end_faults(&mut self) {
        self.stage.note("faults end");
        self.stage.network.heal_all();
        self.faults_ended = Some(self.stage.now());
        for node in self.faults.down() {
            self.restart(node);
        }
        self.operator.settle(&mut self.stage, &self.scenario);
        self.stage.queue.schedule_after(LOOK_EVERY, Happening::Look);
    }

    pub fn faults_go_on(&self) -> bool {
        self.faults_ended.is_none()
    }

    fn has_converged(&self) -> bool {
        self.clients.are_done()
            && self.operator.is_idle()
            && self.monitors.all_agree()
            && self.osds.all_have(self.monitors.newest_epoch())
            && self.unclean().is_some_and(|unclean| unclean.is_empty())
    }

    /// Placement groups whose primary does not call them active and clean by the newest map; `None` before the pool.
    pub fn unclean(&self) -> Option<Vec<(PgId, String)>> {
        self.pool?;
        let map = self.monitors.newest_map()?;
        // Once faults have ended, what could rot must have been read again. Clocks run exactly where blocks rot.
        let since = self.faults_ended.filter(|_| self.scenario.profile.rots());
        let since_ms = since.map(|ended| ended.as_nanoseconds() / 1_000_000);
        let is_read_again = |statistics: &PgStatistics| {
            let record = statistics.scrub.as_ref();
            since_ms.is_none_or(|since| record.is_some_and(|record| record.deep_stamp_ms > since && record.errors == 0))
        };
        let unclean = map.pgs().filter_map(|pg| {
            let place = map.place(pg);
            let Some(primary) = place.acting_primary else { return Some((pg, "has no primary".to_owned())) };
            match self.osds.pg_statistics(primary, map.epoch(), pg) {
                Some(statistics) if statistics.state.is_healthy() && place.up == place.acting => {
                    (!is_read_again(&statistics)).then(|| (pg, format!("was not scrubbed: {:?}", statistics.scrub)))
                }
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
        let operator = if self.operator.is_idle() { "idle" } else { "waiting" };
        format!(
            "{groups}; clients: {}; monitors: {}; operator: {operator}",
            self.clients.what_is_missing(),
            self.monitors.describe()
        )
    }

    fn judge(&mut self) -> Result<(), String> {
        self.clients.judge()?;
        self.monitors.judge()?;
        let map = self.monitors.newest_map().ok_or("the monitors have no map")?;
        self.operator.judge(map.pools.values().map(|pool| pool.name.clone()))?;
        audit::compare_replicas(&map, &self.osds)
    }
}
