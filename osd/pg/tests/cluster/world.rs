//! Everything that happens, in order of virtual time.

mod by_hand;
mod damaged;
mod faults;
mod judge;
mod missed_maps;
mod unfound;

pub use faults::Faults;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use map::Death;
use osd_pg::{Action, Event, Pg, ScrubPlace, SessionId, Ticket};
use store::ObjectStore;
use tests_kit::{Chance, Content, EventLog, EventQueue, Link, LogDigest, Network, Packet};
use types::{Epoch, OsdId, Seed, SeededRandom, StoreRead, Time};
use wire::{ClientOp, ClientReply, PgBody, PgInfo, PgMessage};

use crate::{
    client::{Client, History},
    member::Member,
    monitor::{Monitor, PG},
};

const OSDS: u32 = 5;
const CLIENTS: u64 = 3;
/// How long clients begin new work, and faults happen.
const BUSY: Duration = Duration::from_secs(60);
/// How long healing may take after that.
const PATIENCE: Duration = Duration::from_secs(240);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    Osd(OsdId),
    Client(u64),
}

#[derive(Debug, Clone)]
enum Message {
    Pg(Box<PgMessage>),
    Op(Box<ClientOp>),
    Reply(Box<ClientReply>),
    NewerMap,
}

enum Happening {
    Packet(Packet<Node, Message>),
    Flush(OsdId, u64),
    Read(OsdId, u64, Ticket, Vec<StoreRead>),
    Tick(OsdId, u64),
    Reservation(OsdId, u64, u64),
    ScrubPlace(OsdId, u64),
    Grant,
    MapTo(Node),
    ClientWork(u64),
    ClientPatience(u64),
    Crash,
    Restart(OsdId),
    Boot(OsdId, u64),
    MarkDown(OsdId, Death),
    Partition,
    Heal,
    Move,
    Wipe,
    Rot,
    FaultsEnd,
    Done,
}

pub struct World {
    queue: EventQueue<Happening>,
    random: SeededRandom,
    network: Network<Node, Message>,
    monitor: Monitor,
    members: BTreeMap<OsdId, Member>,
    clients: BTreeMap<u64, Client>,
    history: History,
    faults: Faults,
    faults_ended: bool,
    cut_off: BTreeSet<OsdId>,
    deadlines: BTreeMap<OsdId, Time>,
    grant_is_due: bool,
    rotted: usize,
    scrubbed_since_ms: u64,
    log: EventLog,
    seed: Seed,
    trace: bool,
    /// What clients were answered, for tests that ask by hand.
    answers: Option<Vec<ClientReply>>,
}

impl World {
    pub fn new(seed: Seed, faults: Faults) -> Self {
        let mut random = SeededRandom::new(seed);
        // With two copies and one of them rotten, the other's OSD must not die.
        let size = if faults.rot { 3 } else { 2 + u32::try_from(random.below(2)).expect("small") };
        let min_size = if size == 2 { 1 } else { 2 };
        let monitor = Monitor::new(OSDS, size, min_size);
        let epoch = monitor.maps[0].epoch();
        let mut network = Network::new(random.fork(), faults.link);
        for client in 0..CLIENTS {
            // Clients meet sessions that break; datagrams are for members.
            let link = Link { loss: Chance::per_ten_thousand(20), ..Link::healthy() };
            for osd in (0..OSDS).map(OsdId) {
                network.set_link(Node::Client(client), Node::Osd(osd), link);
                network.set_link(Node::Osd(osd), Node::Client(client), link);
            }
        }
        let members = (0..OSDS).map(OsdId).map(|osd| (osd, Member::new(osd, epoch))).collect();
        // Rot with deaths does not always heal yet (docs/reliability.md); its seeds stay what they are until it does.
        let has_album = !faults.rot || !faults.crashes;
        let clients = (0..CLIENTS).map(|id| (id, Client::new(id, epoch, random.fork(), has_album))).collect();
        Self {
            queue: EventQueue::new(),
            network,
            monitor,
            members,
            clients,
            history: History::new(0),
            faults,
            faults_ended: false,
            cut_off: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            grant_is_due: false,
            rotted: 0,
            scrubbed_since_ms: 0,
            log: EventLog::new(1000),
            seed,
            trace: std::env::var("IKA_TRACE").is_ok(),
            answers: None,
            random,
        }
    }

    pub fn digest(&self) -> LogDigest {
        self.log.digest()
    }

    fn note(&mut self, what: impl std::fmt::Display) {
        let now = self.queue.now();
        if self.trace {
            println!("{now} {what}");
        }
        self.log.record(now, what);
    }

    fn delay(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_micros(least_ms * 1000 + self.random.below((most_ms - least_ms) * 1000 + 1))
    }

    fn after(&mut self, least_ms: u64, most_ms: u64, happening: Happening) {
        let delay = self.delay(least_ms, most_ms);
        self.queue.schedule_after(delay, happening);
    }

    pub fn run(&mut self) {
        self.spread_maps();
        for client in 0..CLIENTS {
            self.after(1000, 2000, Happening::ClientWork(client));
            self.queue.schedule_after(Duration::from_secs(3), Happening::ClientPatience(client));
        }
        if self.faults.crashes {
            self.after(2000, 6000, Happening::Crash);
        }
        if self.faults.partitions {
            self.after(2000, 8000, Happening::Partition);
        }
        if self.faults.moves {
            self.after(2000, 8000, Happening::Move);
        }
        if self.faults.wipes {
            self.after(8000, 20_000, Happening::Wipe);
        }
        if self.faults.rot {
            self.after(2000, 4000, Happening::Rot);
        }
        self.queue.schedule_at(Time::ZERO + BUSY, Happening::FaultsEnd);
        self.queue.schedule_at(Time::ZERO + BUSY + PATIENCE, Happening::Done);
        while let Some(happening) = self.queue.pop() {
            if matches!(happening, Happening::Done) {
                self.fail("did not heal");
            }
            self.happen(happening);
            if self.faults_ended && self.is_healed() {
                break;
            }
        }
        self.judge();
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Packet(packet) => self.arrive(packet),
            Happening::Flush(osd, life) => self.flush(osd, life),
            Happening::Read(osd, life, ticket, reads) => self.read(osd, life, ticket, &reads),
            Happening::Tick(osd, life) => {
                self.deadlines.remove(&osd);
                if self.members[&osd].life == life {
                    self.give(osd, Event::Tick);
                }
            }
            Happening::Reservation(osd, life, reservation) => {
                let member = &self.members[&osd];
                if member.life == life && member.reservation == reservation {
                    self.give(osd, Event::LocalReservationGranted);
                }
            }
            Happening::ScrubPlace(osd, life) => {
                if self.members[&osd].life == life {
                    self.give(osd, Event::ScrubPlace(ScrubPlace::Granted));
                }
            }
            Happening::Grant => {
                self.grant_is_due = false;
                if self.monitor.grant_wishes() {
                    self.spread_maps();
                }
            }
            Happening::MapTo(node) => self.map_to(node),
            Happening::ClientWork(id) => self.client_work(id),
            Happening::ClientPatience(id) => {
                self.ask_again(id);
                self.queue.schedule_after(Duration::from_secs(3), Happening::ClientPatience(id));
            }
            Happening::Crash => self.crash_somebody(),
            Happening::Restart(osd) => self.restart(osd),
            Happening::Boot(osd, life) => self.boot(osd, life),
            // One that is wrongly thought dead while something is rotten would be the second fault.
            Happening::MarkDown(osd, _) if self.members[&osd].runs && self.is_something_rotten() => {}
            Happening::MarkDown(osd, dead) => {
                self.note(format_args!("osd.{osd} is marked down, {dead:?}"));
                self.monitor.mark_down(osd, dead);
                self.spread_maps();
            }
            Happening::Partition => self.partition(),
            Happening::Heal => {
                self.note("the network heals");
                self.network.heal_all();
                self.cut_off.clear();
                self.spread_maps();
            }
            Happening::Move => self.move_somebody(),
            Happening::Wipe => self.wipe_somebody(),
            Happening::Rot => self.rot_something(),
            Happening::FaultsEnd => self.end_faults(),
            Happening::Done => {}
        }
    }

    // Maps.

    fn spread_maps(&mut self) {
        let newest = self.monitor.newest().clone();
        self.note(format_args!(
            "map {} up {:?} acting {:?} temp {:?}",
            newest.epoch(),
            newest.place(PG).up,
            newest.place(PG).acting,
            newest.pg_temp.get(&PG)
        ));
        for osd in (0..OSDS).map(OsdId) {
            self.after(1, 60, Happening::MapTo(Node::Osd(osd)));
        }
        for client in 0..CLIENTS {
            // One of them hears late of everything: it goes on asking a primary that no longer is one.
            let latest = if client == 0 { 6000 } else { 200 };
            self.after(1, latest, Happening::MapTo(Node::Client(client)));
        }
    }

    fn map_to(&mut self, node: Node) {
        match node {
            Node::Client(id) => {
                let newest = self.monitor.newest().clone();
                let client = self.clients.get_mut(&id).expect("a client");
                let old = client.epoch;
                client.epoch = newest.epoch();
                let place = |epoch| self.monitor.map_of(Epoch(epoch)).place(PG);
                let has_changed = (old.0..newest.epoch().0).any(|epoch| place(epoch) != place(epoch + 1));
                if has_changed || old == newest.epoch() {
                    self.ask_again(id);
                }
            }
            Node::Osd(osd) => {
                let newest = self.monitor.newest().epoch();
                while self.members[&osd].runs && !self.cut_off.contains(&osd) && self.members[&osd].epoch < newest {
                    self.next_map(osd);
                }
            }
        }
    }

    fn next_map(&mut self, osd: OsdId) {
        let member = self.members.get_mut(&osd).expect("a member");
        member.epoch = member.epoch.next();
        let map = self.monitor.map_of(member.epoch);
        if member.pg.is_some() {
            self.give(osd, Event::NewMap(map.clone()));
        }
        self.make_if_named(osd);
        let member = self.members.get_mut(&osd).expect("a member");
        let epoch = member.epoch;
        let (ready, waiting) =
            std::mem::take(&mut member.waiting).into_iter().partition(|(wanted, _)| *wanted <= epoch);
        member.waiting = waiting;
        for (_, event) in ready {
            self.give_from_outside(osd, event);
        }
        let is_newest = epoch == self.monitor.newest().epoch();
        let member = &self.members[&osd];
        let state = &map.osds[&osd];
        if is_newest && (!state.up || state.nonce != member.nonce) {
            let life = member.life;
            self.after(50, 1500, Happening::Boot(osd, life));
        }
    }

    fn make_if_named(&mut self, osd: OsdId) {
        let now = self.queue.now();
        let member = self.members.get_mut(&osd).expect("a member");
        let map = self.monitor.map_of(member.epoch);
        let placement = map.place(PG);
        let named = placement.up.contains(&Some(osd)) || placement.acting.contains(&Some(osd));
        if member.runs && member.pg.is_none() && named && map.pools.contains_key(&PG.pool) {
            let before = Epoch(member.epoch.0 - 1);
            let mut actions = Vec::new();
            member.pg = Some(Pg::create(member.config(), PG, map, before, now, &mut actions));
            self.carry_out(osd, actions);
        }
    }

    // Members.

    fn give(&mut self, osd: OsdId, event: Event) {
        let now = self.queue.now();
        let member = self.members.get_mut(&osd).expect("a member");
        let Some(pg) = &mut member.pg else { return };
        let mut actions = Vec::new();
        pg.handle(now, event, &mut actions);
        self.carry_out(osd, actions);
    }

    fn give_from_outside(&mut self, osd: OsdId, event: Event) {
        let member = &self.members[&osd];
        if member.pg.is_some() {
            self.give(osd, event);
        } else if let Event::Peer { from, message } = event
            && matches!(message.body, PgBody::QueryInfo)
        {
            let lease_remaining = member.restart_lease_end.since(self.queue.now());
            let body = PgBody::Info { info: PgInfo::empty(PG), past_intervals: Vec::new(), lease_remaining };
            let epoch = member.epoch;
            let message = PgMessage { pg: PG, epoch, interval: epoch, body };
            self.post(Node::Osd(osd), Node::Osd(from), Message::Pg(Box::new(message)));
        }
    }

    fn carry_out(&mut self, osd: OsdId, actions: Vec<Action>) {
        let life = self.members[&osd].life;
        for action in actions {
            match action {
                Action::Send { to, message } => {
                    if self.trace {
                        self.note(format_args!("osd.{osd} -> osd.{to} {}", words(&message)));
                    }
                    self.post(Node::Osd(osd), Node::Osd(to), Message::Pg(message));
                }
                Action::Reply { session, reply } => {
                    self.judge_promise(osd, session, &reply);
                    if let Some(answers) = &mut self.answers {
                        answers.push(ClientReply::clone(&reply));
                    }
                    self.post(Node::Osd(osd), Node::Client(session.0), Message::Reply(reply));
                }
                Action::ShareMap { session, .. } => {
                    self.post(Node::Osd(osd), Node::Client(session.0), Message::NewerMap);
                }
                Action::Commit { ticket, transaction, then } => {
                    let member = self.members.get_mut(&osd).expect("a member");
                    let number = member.store.submit_numbered(transaction).expect("the store takes every transaction");
                    member.commits.push_back((number, ticket, then));
                    self.after(0, 8, Happening::Flush(osd, life));
                }
                Action::Read { ticket, reads } => self.after(0, 4, Happening::Read(osd, life, ticket, reads)),
                Action::Notify { .. } => unreachable!("this world's clients do not watch"),
                Action::Call { .. } => unreachable!("this world's clients call no class"),
                Action::WantUpThru(epoch) => {
                    let newest = self.monitor.up_thru.entry(osd).or_default();
                    *newest = epoch.max(*newest);
                    self.wish();
                }
                Action::WantPgTemp(wanted) => {
                    self.note(format_args!("osd.{osd} wants {wanted:?} to act"));
                    self.monitor.pg_temp = Some((osd, wanted));
                    self.wish();
                }
                Action::Created => {
                    self.monitor.created = true;
                    self.wish();
                }
                Action::RequestLocalReservation(_) => {
                    let member = self.members.get_mut(&osd).expect("a member");
                    member.reservation += 1;
                    let reservation = member.reservation;
                    self.after(1, 300, Happening::Reservation(osd, life, reservation));
                }
                Action::ReleaseLocalReservation => {
                    self.members.get_mut(&osd).expect("a member").reservation += 1;
                }
                // One group in the world: there always is a place.
                Action::RequestScrubPlace => self.after(0, 5, Happening::ScrubPlace(osd, life)),
                Action::ReleaseScrubPlace => {}
                Action::Removed => {
                    self.note(format_args!("osd.{osd} has removed its copy"));
                    let member = self.members.get_mut(&osd).expect("a member");
                    assert!(member.content().is_empty(), "a removed copy leaves nothing");
                    member.pg = None;
                    self.make_if_named(osd);
                }
            }
        }
        self.note_deadline(osd);
    }

    fn note_deadline(&mut self, osd: OsdId) {
        let member = &self.members[&osd];
        let life = member.life;
        if let Some(at) = member.pg.as_ref().and_then(Pg::deadline)
            && self.deadlines.get(&osd).is_none_or(|known| at < *known)
        {
            self.deadlines.insert(osd, at);
            self.queue.schedule_at(at, Happening::Tick(osd, life));
        }
    }

    fn flush(&mut self, osd: OsdId, life: u64) {
        let member = self.members.get_mut(&osd).expect("a member");
        if member.life != life {
            return;
        }
        let flushed = member.store.flush(1);
        for number in flushed {
            let member = self.members.get_mut(&osd).expect("a member");
            let (expected, ticket, then) = member.commits.pop_front().expect("each commit is flushed once");
            assert_eq!(number, expected);
            self.give(osd, Event::Committed(ticket));
            for osd_pg::AfterCommit::Send { to, message } in then {
                if self.trace {
                    self.note(format_args!("osd.{osd} -> osd.{to} {}", words(&message)));
                }
                self.post(Node::Osd(osd), Node::Osd(to), Message::Pg(message));
            }
        }
    }

    fn read(&mut self, osd: OsdId, life: u64, ticket: Ticket, reads: &[StoreRead]) {
        let member = &self.members[&osd];
        if member.life == life {
            let results = reads.iter().map(|read| member.store.read(read)).collect();
            self.give(osd, Event::ReadDone { ticket, results });
        }
    }

    fn wish(&mut self) {
        if !self.grant_is_due {
            self.grant_is_due = true;
            self.after(5, 400, Happening::Grant);
        }
    }

    // The network.

    fn post(&mut self, from: Node, to: Node, message: Message) {
        let now = self.queue.now();
        let packets = self.network.send(now, &from, &to, message);
        self.queue_packets(packets);
    }

    fn queue_packets(&mut self, packets: Vec<Packet<Node, Message>>) {
        for packet in packets {
            self.queue.schedule_at(packet.at, Happening::Packet(packet));
        }
    }

    fn arrive(&mut self, packet: Packet<Node, Message>) {
        let Some(arrival) = self.network.arrive(packet) else { return };
        match (arrival.to, arrival.from, arrival.content) {
            (Node::Osd(osd), Node::Osd(from), Content::Message(Message::Pg(message))) => {
                let epoch = message.epoch;
                self.deliver(osd, epoch, Event::Peer { from, message });
            }
            (Node::Osd(osd), Node::Client(id), Content::Message(Message::Op(op))) => {
                let epoch = op.epoch;
                self.deliver(osd, epoch, Event::ClientOp { session: SessionId(id), op });
            }
            (Node::Osd(osd), Node::Osd(from), Content::SessionReset) => self.give(osd, Event::PeerReset(from)),
            (Node::Osd(osd), Node::Client(id), Content::SessionReset) => {
                self.give(osd, Event::SessionClosed(SessionId(id)));
            }
            (Node::Client(id), _, Content::Message(Message::Reply(reply))) => {
                let now = self.queue.now();
                let client = self.clients.get_mut(&id).expect("a client");
                client.hear(now, *reply, &mut self.history);
            }
            (Node::Client(id), _, Content::Message(Message::NewerMap)) => {
                self.after(1, 50, Happening::MapTo(Node::Client(id)));
            }
            (Node::Client(id), _, Content::SessionReset) => self.ask_again(id),
            _ => {}
        }
    }

    fn deliver(&mut self, osd: OsdId, epoch: Epoch, event: Event) {
        let member = self.members.get_mut(&osd).expect("a member");
        if !member.runs {
            return;
        }
        if epoch > member.epoch {
            member.waiting.push_back((epoch, event));
            self.after(1, 30, Happening::MapTo(Node::Osd(osd)));
            return;
        }
        self.give_from_outside(osd, event);
    }

    // Clients.

    fn client_work(&mut self, id: u64) {
        if self.faults_ended {
            return;
        }
        self.after(5, 100, Happening::ClientWork(id));
        let now = self.queue.now();
        let client = self.clients.get_mut(&id).expect("a client");
        let map = self.monitor.map_of(client.epoch);
        if client.may_begin() && map.pools.contains_key(&PG.pool) {
            let op = client.begin(now, &map, &mut self.history);
            let removals = std::mem::take(&mut client.album.removals);
            self.ask(id, op);
            if !removals.is_empty() {
                removals.into_iter().for_each(|snapshot| self.monitor.remove_snapshot(snapshot));
                self.spread_maps();
            }
        }
    }

    fn ask(&mut self, id: u64, op: ClientOp) {
        let map = self.monitor.map_of(op.epoch);
        if let Some(primary) = map.place(PG).acting_primary {
            self.post(Node::Client(id), Node::Osd(primary), Message::Op(Box::new(op)));
        }
    }

    fn ask_again(&mut self, id: u64) {
        let client = self.clients.get_mut(&id).expect("a client");
        for op in client.again() {
            self.ask(id, op);
        }
    }
}

fn words(message: &PgMessage) -> String {
    let text = format!("{:?}", message.body);
    let text: String = text.chars().take(300).collect();
    format!("[{} {}] {text}", message.epoch, message.interval)
}
