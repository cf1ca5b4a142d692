//! OSDs: the real machine over a store that loses what was not flushed.
//!
//! This is the shell of `osd` once more, for a world without sockets and disks: it carries out the same actions and
//! decides nothing either.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use osd_pg::{Checks, PgConfig, ScrubConfig, SessionId, StoredPg, Ticket};
use osd_state::{Action, Event, Osd, OsdConfig, Owner, PG_KEY_PREFIX, Peer, StoredOsd, map_key_range};
use store::{FaultyStore, MemoryStore, ObjectStore};
use tests_kit::EventKey;
use types::{
    BootNonce, Cursor, EntityKind, EntityName, Epoch, Extent, ObjectId, OsdId, OsdUuid, PgId, StoreRead,
    StoreReadResult, Time, Uuid,
};
use wire::{ControlReply, ControlRequest, Message, NetworkStack, PgStatistics};

use crate::{
    Profile, Scenario,
    world::{Happening, Letter, Node, Stage},
};

/// Bytes of each device, for CRUSH weights: all OSDs are alike.
const DEVICE_BYTES: u64 = 1 << 40;

struct OsdNode {
    id: OsdId,
    life: u64,
    machine: Option<Osd>,
    store: FaultyStore,
    /// Whose commit a pending transaction is; the OSD's own values have no owner.
    commits: BTreeMap<u64, Option<(Owner, Ticket)>>,
    flush_scheduled: bool,
    /// Whether the host died with the process, so that nobody even refuses connections.
    host_is_dead: bool,
    sessions: BTreeMap<Node, SessionId>,
    session_next: u64,
    subscribed_to: Option<usize>,
    wake: Option<EventKey>,
    /// How often the device was replaced by an empty one.
    devices: u8,
    /// Until when the process stands still, the disk is slow, the disk is full.
    frozen_until: Time,
    slow_until: Time,
    full_until: Time,
}

/// All OSDs.
pub(crate) struct Osds {
    nodes: BTreeMap<OsdId, OsdNode>,
    scenario: Scenario,
}

impl Osds {
    pub fn new(scenario: &Scenario, stage: &mut Stage) -> Self {
        let mut osds = Self { nodes: BTreeMap::new(), scenario: scenario.clone() };
        for id in scenario.osds.keys().copied() {
            let node = OsdNode {
                id,
                life: 0,
                machine: None,
                store: FaultyStore::new(),
                commits: BTreeMap::new(),
                flush_scheduled: false,
                host_is_dead: false,
                sessions: BTreeMap::new(),
                session_next: 0,
                subscribed_to: None,
                wake: None,
                devices: 0,
                frozen_until: Time::ZERO,
                slow_until: Time::ZERO,
                full_until: Time::ZERO,
            };
            osds.nodes.insert(id, node);
            osds.restart(stage, id);
        }
        osds
    }

    pub fn ids(&self) -> Vec<OsdId> {
        self.nodes.keys().copied().collect()
    }

    /// What is stored and would survive a crash.
    pub fn content(&self, osd: OsdId) -> MemoryStore {
        self.nodes[&osd].store.applied()
    }

    /// A placement group's statistics on an OSD that has this map.
    pub fn pg_statistics(&self, osd: OsdId, epoch: Epoch, pg: PgId) -> Option<PgStatistics> {
        let machine = self.nodes.get(&osd)?.machine.as_ref()?;
        let current = machine.map().is_some_and(|map| map.epoch() == epoch);
        let group = machine.pgs().find(|group| group.info().pg == pg)?;
        (current && group.is_primary()).then(|| group.statistics())
    }

    /// The process dies; of what was not flushed a prefix survives, by the seed.
    pub fn crash(&mut self, stage: &mut Stage, osd: OsdId) {
        let node = self.nodes.get_mut(&osd).expect("the OSD is one of this world's");
        let pending = node.store.pending_count() as u64;
        let survivors = stage.random.below(pending + 1);
        node.store.crash(usize::try_from(survivors).expect("few transactions"));
        node.machine = None;
        node.host_is_dead = stage.random.chance(1, 3);
        node.life += 1;
        node.commits.clear();
        node.flush_scheduled = false;
        node.sessions.clear();
        node.subscribed_to = None;
        if let Some(wake) = node.wake.take() {
            stage.queue.cancel(wake);
        }
        stage.note(format_args!("osd.{osd} dies, {survivors} of {pending} transactions survive"));
    }

    /// The process stands still for so long; its clock, its disk and its sockets do not.
    pub fn freeze(&mut self, stage: &mut Stage, osd: OsdId, duration: Duration) {
        stage.note(format_args!("osd.{osd} stands still for {duration:?}"));
        let node = self.node(osd);
        // A shorter second standstill must not wake it before what waits for the end of the first one: that would be overtaken.
        node.frozen_until = node.frozen_until.max(stage.now() + duration);
    }

    /// Until when the process stands still, if it does now.
    pub fn frozen_until(&self, osd: OsdId, now: Time) -> Option<Time> {
        let node = &self.nodes[&osd];
        (node.machine.is_some() && node.frozen_until > now).then_some(node.frozen_until)
    }

    /// The disk takes long for everything.
    pub fn slow_down(&mut self, stage: &mut Stage, osd: OsdId, duration: Duration) {
        stage.note(format_args!("the disk of osd.{osd} is slow for {duration:?}"));
        self.node(osd).slow_until = stage.now() + duration;
    }

    /// The disk says that it is full.
    pub fn fill(&mut self, stage: &mut Stage, osd: OsdId, duration: Duration) {
        stage.note(format_args!("the disk of osd.{osd} is full for {duration:?}"));
        self.node(osd).full_until = stage.now() + duration;
    }

    /// The disk is replaced by an empty one while the process is dead.
    pub fn wipe(&mut self, stage: &mut Stage, osd: OsdId) {
        stage.note(format_args!("the disk of osd.{osd} is replaced"));
        let node = self.node(osd);
        assert!(node.machine.is_none(), "a disk is replaced while nobody uses it");
        node.store = FaultyStore::new();
        node.devices += 1;
    }

    /// A unit of some object on this disk no longer has its checksum.
    pub fn rot(&mut self, stage: &mut Stage, osd: OsdId) {
        let store = self.content(osd);
        let everything = StoreRead::List { begin: Cursor::Start, end: Cursor::End, objects_max: usize::MAX };
        let Ok(StoreReadResult::List { objects, .. }) = store.read(&everything) else { return };
        // Each object rots on one OSD only: another copy is intact.
        let count = u32::try_from(self.nodes.len()).expect("few OSDs");
        let is_victim = |object: &ObjectId| !object.is_pg_meta() && object.hash % count == osd.0;
        let objects: Vec<ObjectId> = objects.into_iter().filter(is_victim).collect();
        if objects.is_empty() {
            return;
        }
        let chosen = &objects[usize::try_from(stage.random.below(objects.len() as u64)).expect("few objects")];
        if self.nodes[&osd].store.damage(chosen, 0) {
            stage.note(format_args!("{chosen} rots on osd.{osd}"));
        }
    }

    /// Whether a unit of some object on some disk does not have its checksum.
    pub fn are_rotten(&self) -> bool {
        let everything = Extent { offset: 0, length: u64::MAX };
        self.ids().into_iter().any(|osd| {
            let store = self.content(osd);
            let listing = StoreRead::List { begin: Cursor::Start, end: Cursor::End, objects_max: usize::MAX };
            let Ok(StoreReadResult::List { objects, .. }) = store.read(&listing) else { return false };
            let is_rotten = |object| store.read(&StoreRead::Data { object, extent: everything }).is_err();
            objects.into_iter().any(is_rotten)
        })
    }

    /// Whether this life of the process is still the present one.
    pub fn is_life(&self, osd: OsdId, life: u64) -> bool {
        self.nodes[&osd].life == life
    }

    /// Whether every OSD lives, has the map of this epoch, and is up in it as this process on this device. A replaced one
    /// is not while the map still shows the one before it, and then groups count as clean that are not.
    pub fn all_have(&self, epoch: Epoch) -> bool {
        let has = |node: &OsdNode| {
            let has_map = |machine: &Osd| machine.map().is_some_and(|map| map.epoch() == epoch);
            node.machine.as_ref().is_some_and(|machine| machine.is_booted() && has_map(machine))
        };
        self.nodes.values().all(has)
    }

    /// Where each copy of a placement group stands, for the reader of a story.
    pub fn describe_pg(&self, pg: PgId) -> Vec<String> {
        let groups = self.nodes.values().filter_map(|node| {
            let group = node.machine.as_ref()?.pgs().find(|group| group.id() == pg)?;
            let info = group.info();
            Some(format!(
                "osd.{} {} {pg}: interval e{}, log ({}, {}], complete to {}, copy to {:?}, {}",
                node.id,
                group.state_name(),
                group.interval(),
                info.log_tail,
                info.last_update,
                info.last_complete,
                info.backfill,
                group.statistics().state,
            ))
        });
        groups.collect()
    }

    fn node(&mut self, osd: OsdId) -> &mut OsdNode {
        self.nodes.get_mut(&osd).expect("the OSD is one of this world's")
    }

    pub fn restart(&mut self, stage: &mut Stage, osd: OsdId) {
        let scenario = &self.scenario;
        let node = self.nodes.get_mut(&osd).expect("the OSD is one of this world's");
        node.life += 1;
        node.frozen_until = Time::ZERO;
        let pg = PgConfig {
            checks: Checks::EveryEvent,
            log_entries_max: scenario.log_entries_max,
            log_entries_min: scenario.log_entries_max / 2,
            requests_remembered_max: scenario.requests_remembered_max,
            scan_page_objects: scenario.scan_page_objects,
            recovery_chunk_bytes: scenario.recovery_chunk_bytes,
            scrub: scrub_of(scenario.profile),
            ..PgConfig::new(osd)
        };
        let mut uuid = [0; 16];
        uuid[0] = u8::try_from(osd.0).expect("few OSDs");
        uuid[1] = node.devices;
        let uuid = OsdUuid(Uuid::from_random(uuid));
        let host = scenario.osds[&osd].host;
        let (name, nonce) = (format!("host{host}"), nonce_of(osd, node.life));
        let mut config = OsdConfig::new(osd, uuid, nonce, name, address_of(osd), DEVICE_BYTES, pg);
        // A death is proven by whoever is on the same machine; zero would be unknown.
        config.network_stack = NetworkStack(u64::from(host) + 1);
        let stored = read_stored(&node.store);
        let mut actions = Vec::new();
        let now = stage.clock_of(Node::Osd(osd)).local(stage.now());
        let machine = Osd::open(config, stored, now, &mut actions).expect("what the store holds can be opened");
        node.machine = Some(machine);
        let (name, life) = (Node::Osd(osd), node.life);
        stage.note(format_args!("{name} starts"));
        let delay = stage.delay(1_000, 50_000);
        stage.queue.schedule_after(delay, Happening::Subscribe { node: name, life });
        let sent_to = node.carry_out(stage, actions, VecDeque::new());
        for (other, nonce) in sent_to {
            self.refuse_if_dead(stage, osd, other, nonce);
        }
    }

    pub fn subscribe(&mut self, stage: &mut Stage, node: Node, life: u64) {
        let Node::Osd(osd) = node else { return };
        let node = self.nodes.get_mut(&osd).expect("the OSD is one of this world's");
        let Some(machine) = node.machine.as_ref().filter(|_| node.life == life) else { return };
        let have = machine.map().map_or(Epoch::ZERO, |map| map.epoch());
        let mon = stage.some_monitor();
        node.subscribed_to = Some(mon);
        stage.send(Node::Osd(osd), Node::Mon(mon), Letter::Subscribe { have });
    }

    pub fn wake(&mut self, stage: &mut Stage, osd: OsdId, life: u64) {
        self.node(osd).wake = None;
        self.tell(stage, osd, life, Event::Tick);
    }

    /// The flush that was under way ends: everything submitted before it began and now is durable.
    pub fn flush(&mut self, stage: &mut Stage, osd: OsdId, life: u64) {
        let node = self.nodes.get_mut(&osd).expect("the OSD is one of this world's");
        if node.life != life {
            return;
        }
        node.flush_scheduled = false;
        let numbers = node.store.flush(usize::MAX);
        for number in numbers {
            if let Some(Some((owner, ticket))) = self.nodes.get_mut(&osd).and_then(|node| node.commits.remove(&number))
            {
                self.tell(stage, osd, life, Event::Committed { owner, ticket });
            }
        }
    }

    pub fn receive(&mut self, stage: &mut Stage, osd: OsdId, from: Node, letter: Letter) {
        let node = self.nodes.get_mut(&osd).expect("the OSD is one of this world's");
        if node.machine.is_none() {
            return;
        }
        let life = node.life;
        match letter {
            Letter::Maps(share) => self.tell(stage, osd, life, Event::Maps(share)),
            Letter::Answer { reply, .. } => {
                if let ControlReply::Failed(error) = *reply {
                    stage.note(format_args!("osd.{osd} was refused: {error}"));
                } else {
                    self.tell(stage, osd, life, Event::MonitorsAnswered(reply));
                }
            }
            Letter::Data { nonce, message } => {
                if nonce.is_some_and(|nonce| nonce != nonce_of(osd, life)) {
                    // The greeting expects another life of this process: no session comes about.
                    let packets = stage.network.reset(stage.now(), &from, &Node::Osd(osd));
                    stage.put_on_the_way(packets);
                    return;
                }
                if !node.sessions.contains_key(&from) {
                    node.session_next += 1;
                    let session = SessionId(node.session_next);
                    node.sessions.insert(from, session);
                    let nonce = match from {
                        Node::Osd(other) => nonce_of(other, self.nodes[&other].life),
                        _ => BootNonce(0),
                    };
                    let peer = peer_of(from, nonce);
                    self.tell(stage, osd, life, Event::SessionOpened { session, peer });
                }
                let session = self.nodes[&osd].sessions[&from];
                stage.note_message(from, Node::Osd(osd), &message);
                self.tell(stage, osd, life, Event::Message { session, message });
            }
            Letter::Ask { .. } | Letter::Subscribe { .. } => {}
        }
    }

    pub fn reset(&mut self, stage: &mut Stage, osd: OsdId, from: Node) {
        let node = self.nodes.get_mut(&osd).expect("the OSD is one of this world's");
        if node.machine.is_none() {
            return;
        }
        let life = node.life;
        if let Some(session) = node.sessions.remove(&from) {
            self.tell(stage, osd, life, Event::SessionClosed(session));
        }
        match from {
            Node::Osd(other) => self.tell(stage, osd, life, Event::PeerReset(other)),
            Node::Mon(mon) if self.nodes[&osd].subscribed_to == Some(mon) => {
                let delay = stage.delay(200_000, 400_000);
                stage.queue.schedule_after(delay, Happening::Subscribe { node: Node::Osd(osd), life });
            }
            Node::Mon(_) | Node::Client(_) | Node::Operator => {}
        }
    }

    /// Gives the machine an event, in the life for which it was meant.
    pub fn tell(&mut self, stage: &mut Stage, osd: OsdId, life: u64, event: Event) {
        let node = self.nodes.get_mut(&osd).expect("the OSD is one of this world's");
        if node.life != life || node.machine.is_none() {
            return;
        }
        let sent_to = node.carry_out(stage, Vec::new(), VecDeque::from([event]));
        for (other, nonce) in sent_to {
            self.refuse_if_dead(stage, osd, other, nonce);
        }
    }

    /// A host whose process is dead refuses connections; a host that is dead itself says nothing.
    fn refuse_if_dead(&mut self, stage: &mut Stage, osd: OsdId, other: OsdId, nonce: BootNonce) {
        let peer = &self.nodes[&other];
        if peer.machine.is_some() || peer.host_is_dead {
            return;
        }
        let life = self.nodes[&osd].life;
        let delay = stage.delay(100, 5_000);
        let event = Box::new(Event::PeerRefused { osd: other, nonce });
        stage.queue.schedule_after(delay, Happening::Told { osd, life, event });
    }
}

impl OsdNode {
    /// Hears events and carries out actions until nothing follows at once. Says to which lives of which OSDs something
    /// was sent.
    fn carry_out(
        &mut self,
        stage: &mut Stage,
        mut actions: Vec<Action>,
        mut ready: VecDeque<Event>,
    ) -> Vec<(OsdId, BootNonce)> {
        let mut sent_to = Vec::new();
        let mut machine = self.machine.take().expect("only a living OSD hears anything");
        let clock = stage.clock_of(Node::Osd(self.id));
        let now = clock.local(stage.now());
        loop {
            for action in actions.drain(..) {
                self.carry_out_one(stage, action, &mut ready, &mut sent_to);
            }
            let Some(event) = ready.pop_front() else { break };
            machine.handle(now, event, &mut actions);
            machine.assert_invariants();
            stage.hear_visits();
        }
        if let Some(wake) = self.wake.take() {
            stage.queue.cancel(wake);
        }
        if let Some(deadline) = machine.deadline() {
            let wake = Happening::Wake { node: Node::Osd(self.id), life: self.life };
            self.wake = Some(stage.queue.schedule_at(clock.global(deadline), wake));
        }
        self.machine = Some(machine);
        sent_to
    }

    fn carry_out_one(
        &mut self,
        stage: &mut Stage,
        action: Action,
        ready: &mut VecDeque<Event>,
        sent_to: &mut Vec<(OsdId, BootNonce)>,
    ) {
        let me = Node::Osd(self.id);
        match action {
            Action::Reply { session, message } => {
                let to = self.sessions.iter().find(|(_, known)| **known == session).map(|(node, _)| *node);
                let is_reply = matches!(&*message, Message::ClientReply(reply) if reply.outcome.is_ok());
                if is_reply && std::mem::take(&mut stage.is_trapped) {
                    // Long enough for the answer to arrive, short enough for disks to be behind.
                    let delay = stage.delay(300, 1_500);
                    stage.queue.schedule_after(delay, Happening::PowerFails);
                }
                if let Some(to) = to {
                    stage.send(me, to, Letter::Data { nonce: None, message });
                }
            }
            Action::Send { to, nonce, message, .. } => {
                sent_to.push((to, nonce));
                stage.send(me, Node::Osd(to), Letter::Data { nonce: Some(nonce), message });
            }
            Action::Disconnect(other) => {
                let packets = stage.network.reset(stage.now(), &me, &Node::Osd(other));
                stage.put_on_the_way(packets);
            }
            Action::Commit { owner, ticket, transaction } => {
                let number = self.store.submit_numbered(transaction).expect("a machine's transaction is taken");
                self.commits.insert(number, Some((owner, ticket)));
                self.schedule_flush(stage);
            }
            Action::StoreConfig(changes) => {
                let number = self.store.submit_config_numbered(changes).expect("the OSD's own values are taken");
                self.commits.insert(number, None);
                self.schedule_flush(stage);
            }
            Action::Read { owner, ticket, reads } => {
                let results: Vec<_> = reads.iter().map(|read| self.store.read(read)).collect();
                let is_slow = stage.now() < self.slow_until;
                if !is_slow && stage.random.chance(3, 4) {
                    ready.push_back(Event::ReadDone { owner, ticket, results });
                    return;
                }
                let delay = if is_slow { stage.delay(10_000, 400_000) } else { stage.delay(50, 3_000) };
                let (osd, life) = (self.id, self.life);
                stage.queue.schedule_after(delay, Happening::ReadDone { osd, life, owner, ticket, results });
            }
            Action::Call { pg, ticket, reads, calls } => {
                // A class may read several times; a slow disk shows in the answer as a whole.
                let ask = |read: &StoreRead| self.store.read(read);
                let results: Vec<_> = reads.iter().map(ask).collect();
                let outcomes = calls.run(stage.wall_ms(), &ask);
                let event = Event::Called { pg, ticket, results, outcomes };
                if stage.now() >= self.slow_until && stage.random.chance(3, 4) {
                    ready.push_back(event);
                    return;
                }
                let delay = stage.delay(50, 3_000);
                let (osd, life, event) = (self.id, self.life, Box::new(event));
                stage.queue.schedule_after(delay, Happening::Told { osd, life, event });
            }
            Action::AskMonitors(request) => self.ask(stage, request),
            Action::Report { .. } | Action::Settings(_) => {}
            Action::MeasureUsage => {
                let mut usage = self.store.usage().expect("the store answers");
                if stage.now() < self.full_until {
                    usage.used_bytes = usage.total_bytes;
                }
                ready.push_back(Event::Usage { usage, commit_latency: Duration::ZERO });
            }
            Action::Stop { reason } => {
                stage.note(format_args!("osd.{} stops: {reason}", self.id));
                let (osd, life) = (self.id, self.life);
                stage.queue.schedule_after(Duration::ZERO, Happening::Stopped { osd, life });
            }
        }
    }

    fn ask(&mut self, stage: &mut Stage, request: Box<ControlRequest>) {
        let mon = stage.some_monitor();
        let me = Node::Osd(self.id);
        stage.send(me, Node::Mon(mon), Letter::Ask { asker: me, request });
    }

    fn schedule_flush(&mut self, stage: &mut Stage) {
        if self.flush_scheduled {
            return;
        }
        self.flush_scheduled = true;
        let delay = if stage.now() < self.slow_until {
            stage.delay(50_000, 2_500_000)
        } else if stage.random.chance(1, 50) {
            stage.delay(50_000, 1_000_000)
        } else {
            stage.delay(200, 4_000)
        };
        stage.queue.schedule_after(delay, Happening::Flush { osd: self.id, life: self.life });
    }
}

fn address_of(osd: OsdId) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 6800 + u16::try_from(osd.0).expect("few OSDs")))
}

fn nonce_of(osd: OsdId, life: u64) -> BootNonce {
    BootNonce(u64::from(osd.0) << 32 | life)
}

fn peer_of(node: Node, nonce: BootNonce) -> Peer {
    let entity = match node {
        Node::Osd(osd) => EntityName::osd(osd),
        other => EntityName::new(EntityKind::Client, other.to_string()),
    };
    Peer { entity, nonce }
}

fn read_stored(store: &FaultyStore) -> StoredOsd {
    let maps = store.list_config(map_key_range()).expect("a reopened store answers");
    let keys = store.list_config(PG_KEY_PREFIX).expect("a reopened store answers");
    let pgs = keys.into_iter().map(|(key, _)| {
        let pg = StoredOsd::pg_of_key(&key).expect("the OSD wrote this key");
        let read =
            StoreRead::Omap { object: ObjectId::pg_meta(pg), after: vec![], prefix: vec![], keys_max: usize::MAX };
        let Ok(StoreReadResult::Omap(page)) = store.read(&read) else { panic!("an omap is read as an omap") };
        (pg, StoredPg::decode(page.entries).expect("what the group wrote can be read"))
    });
    StoredOsd::new(maps, pgs.collect()).expect("the OSD wrote these maps")
}

/// Where blocks rot, scrubs follow each other within seconds; elsewhere they come as they do in production.
fn scrub_of(profile: Profile) -> ScrubConfig {
    if !profile.rots() {
        return ScrubConfig::default();
    }
    ScrubConfig {
        metadata_every: Duration::from_secs(5),
        data_every: Duration::from_secs(9),
        metadata_chunk_objects: 3,
        data_chunk_objects: 2,
        auto_repair_objects_max: 1000,
        cursor_saved_every: Duration::from_millis(50),
        ..ScrubConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_of_one_osd_and_different_osds_have_different_nonces() {
        assert_ne!(nonce_of(OsdId(1), 1), nonce_of(OsdId(1), 2));
        assert_ne!(nonce_of(OsdId(1), 1), nonce_of(OsdId(2), 1));
    }
}
