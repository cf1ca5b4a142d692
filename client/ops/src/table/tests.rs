//! The table against maps made by hand, step by step, and against toy OSDs at random.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use map::{ClusterFlags, ClusterMap, OsdState, Pool, PoolFlags, PoolKind, Weight};
use types::{ClusterId, LogVersion, ObjectName, OsdUuid, PgId, PoolId, Seed, SeededRandom, SnapshotId, Uuid};
use wire::{OpFlags, SnapshotContext, SubOp, SubOpResult};

use super::*;

const POOL: PoolId = PoolId(1);
const PG_NUM: u32 = 2;
const OSDS: u32 = 3;

/// A cluster map with OSDs that are up and one pool whose acting sets are given.
fn map_of(epoch: u32, acting: impl Fn(u32) -> Vec<u32>) -> ClusterMap {
    let mut map = ClusterMap::first(ClusterId(Uuid([1; 16])), BTreeMap::new(), 0).unwrap();
    map.epoch = Epoch(epoch);
    for osd in 0..OSDS {
        map.osds.insert(OsdId(osd), osd_state(osd, 1));
    }
    let pool = Pool {
        id: POOL,
        name: "demo".into(),
        kind: PoolKind::Replicated,
        size: 3,
        min_size: 2,
        crush_rule: 0,
        object_hash: 2,
        pg_num: PG_NUM,
        pgp_num: PG_NUM,
        flags: PoolFlags::HASHPSPOOL,
        quota_bytes: 0,
        quota_objects: 0,
        applications: BTreeMap::new(),
        snapshot_sequence: 0,
        snapshots: BTreeMap::new(),
        removed_snapshots: types::SnapshotRanges::default(),
        options: BTreeMap::new(),
        created: Epoch(1),
        changed: Epoch(1),
    };
    map.pools.insert(POOL, Arc::new(pool));
    map.pool_next = PoolId(2);
    for seed in 0..PG_NUM {
        let set: Vec<OsdId> = acting(seed).into_iter().map(OsdId).collect();
        if !set.is_empty() {
            map.pg_temp.insert(PgId { pool: POOL, seed }, set);
        }
    }
    map
}

fn osd_state(osd: u32, life: u32) -> OsdState {
    OsdState {
        uuid: OsdUuid(Uuid([u8::try_from(osd).unwrap() + 1; 16])),
        up: true,
        weight: Weight::ONE,
        weight_before_out: None,
        primary_affinity: Weight::ONE,
        address: Some(format!("127.0.0.1:{}", 7000 + osd).parse().unwrap()),
        nonce: BootNonce(u64::from(life)),
        host: format!("host{osd}"),
        up_from: Epoch(life),
        up_thru: Epoch::ZERO,
        down_at: Epoch::ZERO,
        dead_epoch: Epoch::ZERO,
        last_clean_begin: Epoch::ZERO,
        last_clean_end: Epoch::ZERO,
        flags: ClusterFlags::default(),
        lost_at: Epoch::ZERO,
    }
}

fn publish(map: ClusterMap) -> Arc<PublishedMap> {
    PublishedMap::new(map).unwrap()
}

fn write_of(handle: u64, name: &str) -> Submission {
    Submission {
        handle,
        pool: POOL,
        target: Target::Object(ObjectName::new(name)),
        ops: vec![SubOp::Append(Bytes::copy_from_slice(&handle.to_be_bytes()))],
        flags: OpFlags::default(),
        snapshot: SnapshotId::HEAD,
        snapshot_context: SnapshotContext::default(),
        modified_ms: 0,
        deadline: None,
    }
}

fn success() -> OpSuccess {
    OpSuccess { version: LogVersion::ZERO, user_version: 1, results: vec![SubOpResult::Done] }
}

/// A table with its clock.
struct Bench {
    table: Table,
    now: Time,
}

impl Bench {
    fn new() -> Self {
        let settings = Settings { checks: Checks::On, ..Settings::default() };
        Self { table: Table::new(ClientId(7), settings), now: Time::from_milliseconds(1000) }
    }

    fn with_map(map: ClusterMap) -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.hear(Event::NewMap(publish(map))), []);
        bench
    }

    fn hear(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.table.handle(self.now, event, &mut actions);
        actions
    }

    fn submit(&mut self, submission: Submission) -> Vec<Action> {
        self.hear(Event::Submit(Box::new(submission)))
    }

    fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now = self.now + time;
        self.hear(Event::Tick)
    }

    fn answer(&mut self, from: u32, sequence: u64, epoch: u32, outcome: Result<OpSuccess, Error>) -> Vec<Action> {
        let reply = ClientReply {
            request: RequestId { client: ClientId(7), sequence },
            epoch: Epoch(epoch),
            outcome: outcome.map_err(|error| OpFailure { error, step: None }),
        };
        self.hear(Event::Reply { from: OsdId(from), reply: Box::new(reply) })
    }
}

/// (OSD, sequence, epoch, lowest open) of each send.
fn sends(actions: &[Action]) -> Vec<(u32, u64, u32, u64)> {
    let send = |action: &Action| match action {
        Action::Send { to, op } => Some((to.0, op.request.sequence, op.epoch.0, op.lowest_open)),
        _ => None,
    };
    actions.iter().filter_map(send).collect()
}

/// (handle, error kind) of each completion.
fn completions(actions: &[Action]) -> Vec<(u64, Option<ErrorKind>)> {
    let complete = |action: &Action| match action {
        Action::Complete { handle, outcome } => {
            Some((*handle, outcome.as_ref().err().map(|failure| failure.error.kind)))
        }
        _ => None,
    };
    actions.iter().filter_map(complete).collect()
}

#[test]
fn waits_for_the_first_map_and_for_a_primary() {
    let mut bench = Bench::new();
    assert_eq!(bench.submit(write_of(1, "a")), []);
    assert_eq!(bench.hear(Event::NewMap(publish(map_of(2, |_| vec![])))), [], "no acting set, no primary");
    let actions = bench.hear(Event::NewMap(publish(map_of(3, |_| vec![1, 2]))));
    assert_eq!(sends(&actions), [(1, 1, 3, 1)]);
    let actions = bench.answer(1, 1, 3, Ok(success()));
    assert_eq!(completions(&actions), [(1, None)]);
    assert!(bench.table.is_empty());
    assert_eq!(bench.table.deadline(), None);
}

#[test]
fn waits_while_the_cluster_is_paused() {
    let mut paused = map_of(2, |_| vec![1, 2]);
    paused.flags = ClusterFlags::PAUSE;
    let mut bench = Bench::with_map(paused);
    assert_eq!(bench.submit(write_of(1, "a")), []);
    let actions = bench.hear(Event::NewMap(publish(map_of(3, |_| vec![1, 2]))));
    assert_eq!(sends(&actions), [(1, 1, 3, 1)]);
}

#[test]
fn repeats_in_order_under_the_same_ids_when_the_interval_changes() {
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1, 2]));
    bench.submit(write_of(1, "a"));
    bench.submit(write_of(2, "a"));
    bench.submit(write_of(3, "b"));
    assert_eq!(bench.hear(Event::NewMap(publish(map_of(3, |_| vec![0, 1, 2])))), [], "nothing changed");
    let actions = bench.hear(Event::NewMap(publish(map_of(4, |_| vec![2, 1]))));
    assert_eq!(sends(&actions), [(2, 1, 4, 1), (2, 2, 4, 1), (2, 3, 4, 1)]);
    // A late answer of the former primary is as good as any.
    assert_eq!(completions(&bench.answer(0, 1, 3, Ok(success()))), [(1, None)]);
    // Its late refusal is not.
    assert_eq!(bench.answer(0, 2, 3, Err(Error::refresh_map("old"))), []);
    // A change of a member that is not the primary is a new interval too.
    let actions = bench.hear(Event::NewMap(publish(map_of(5, |_| vec![2, 0]))));
    assert_eq!(sends(&actions), [(2, 2, 5, 2), (2, 3, 5, 2)]);
}

#[test]
fn a_restarted_primary_and_skipped_epochs_are_new_intervals() {
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1]));
    bench.submit(write_of(1, "a"));
    let mut map = map_of(3, |_| vec![0, 1]);
    map.osds.insert(OsdId(0), osd_state(0, 3));
    assert_eq!(sends(&bench.hear(Event::NewMap(publish(map.clone())))), [(0, 1, 3, 1)]);
    map.epoch = Epoch(5);
    assert_eq!(sends(&bench.hear(Event::NewMap(publish(map)))), [(0, 1, 5, 1)]);
}

#[test]
fn pauses_longer_each_time_a_session_breaks_and_keeps_the_order() {
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1]));
    bench.submit(write_of(1, "a"));
    bench.submit(write_of(2, "a"));
    assert_eq!(bench.hear(Event::SessionReset(OsdId(0))), []);
    assert_eq!(bench.submit(write_of(3, "b")), [], "new ones wait for the session too");
    let wake = bench.table.deadline().unwrap();
    assert_eq!(wake.since(bench.now), Duration::from_millis(50));
    let actions = bench.pass(Duration::from_millis(50));
    assert_eq!(sends(&actions), [(0, 1, 2, 1), (0, 2, 2, 1), (0, 3, 2, 1)]);
    assert_eq!(bench.hear(Event::SessionReset(OsdId(0))), []);
    assert_eq!(bench.table.deadline().unwrap().since(bench.now), Duration::from_millis(100));
    assert_eq!(sends(&bench.pass(Duration::from_millis(100))).len(), 3);
    bench.answer(0, 1, 2, Ok(success()));
    bench.hear(Event::SessionReset(OsdId(0)));
    assert_eq!(bench.table.deadline().unwrap().since(bench.now), Duration::from_millis(50), "an answer counts");
}

#[test]
fn what_follows_a_refused_operation_on_its_object_is_repeated_behind_it() {
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1]));
    bench.submit(write_of(1, "a"));
    bench.submit(write_of(2, "a"));
    assert_eq!(bench.answer(0, 1, 2, Err(Error::retry("busy"))), []);
    assert_eq!(bench.submit(write_of(3, "a")), [], "not before the first");
    let actions = bench.pass(Duration::from_millis(50));
    assert_eq!(sends(&actions), [(0, 1, 2, 1), (0, 2, 2, 1), (0, 3, 2, 1)]);
}

#[test]
fn a_refusal_for_a_newer_map_waits_for_that_map() {
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1]));
    bench.submit(write_of(1, "a"));
    let actions = bench.answer(0, 1, 4, Err(Error::refresh_map("newer")));
    assert_eq!(actions, [Action::WantMap { have: Epoch(2) }]);
    assert_eq!(bench.hear(Event::NewMap(publish(map_of(3, |_| vec![0, 1])))), []);
    let actions = bench.hear(Event::NewMap(publish(map_of(4, |_| vec![0, 1]))));
    assert_eq!(sends(&actions), [(0, 1, 4, 1)]);
}

#[test]
fn silence_repeats_and_long_waiting_warns() {
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1]));
    bench.submit(write_of(1, "a"));
    let actions = bench.pass(Duration::from_secs(10));
    assert_eq!(sends(&actions), [(0, 1, 2, 1)]);
    assert!(actions.contains(&Action::WantMap { have: Epoch(2) }));
    assert_eq!(bench.pass(Duration::from_secs(19)), []);
    let actions = bench.pass(Duration::from_secs(1));
    assert!(actions.contains(&Action::Warn { handle: 1, waiting_ms: 30_000 }));
    assert_eq!(sends(&actions), [(0, 1, 2, 1)]);
}

#[test]
fn a_deadline_says_what_is_known_and_keeps_the_id_of_a_write_open() {
    let mut bench = Bench::with_map(map_of(2, |seed| if seed == 0 { vec![0, 1] } else { vec![] }));
    let map = publish(map_of(2, |_| vec![]));
    let name_in = |seed: u32| {
        (0..).map(|n: u32| n.to_string()).find(|n| map.object_pg(POOL, &ObjectName::new(n)).unwrap().0.seed == seed)
    };
    let (served, unserved) = (name_in(0).unwrap(), name_in(1).unwrap());
    let deadline = Some(bench.now + Duration::from_secs(5));
    bench.submit(Submission { deadline, ..write_of(1, &served) });
    bench.submit(Submission { deadline, ..write_of(2, &unserved) });
    let read = SubOp::Stat;
    bench.submit(Submission { deadline, ops: vec![read], ..write_of(3, &served) });
    let actions = bench.pass(Duration::from_secs(5));
    let messages: BTreeMap<u64, String> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Complete { handle, outcome: Err(failure) } => Some((*handle, failure.error.message.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(completions(&actions).len(), 3);
    assert!(messages[&1].contains("outcome unknown"), "{messages:?}");
    assert!(messages[&2].contains("nothing was written"), "{messages:?}");
    assert!(messages[&3].contains("read can be repeated"), "{messages:?}");
    // The first write may be under way: its id stays open until it is answered; nothing is told to anybody.
    assert_eq!(sends(&bench.submit(write_of(4, &served))), [(0, 4, 2, 1)]);
    assert_eq!(bench.answer(0, 1, 2, Ok(success())), []);
    assert_eq!(sends(&bench.submit(write_of(5, &served))), [(0, 5, 2, 4)]);
}

#[test]
fn a_cancelled_write_is_never_sent_again_and_its_id_closes_with_its_interval_or_in_time() {
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1]));
    bench.submit(write_of(1, "a"));
    assert_eq!(bench.hear(Event::Cancel { handle: 1 }), []);
    assert_eq!(bench.hear(Event::Cancel { handle: 1 }), [], "twice is once");
    assert_eq!(sends(&bench.submit(write_of(2, "a"))), [(0, 2, 2, 1)]);
    let actions = bench.hear(Event::NewMap(publish(map_of(3, |_| vec![1, 0]))));
    assert_eq!(sends(&actions), [(1, 2, 3, 2)]);
    bench.hear(Event::Cancel { handle: 2 });
    bench.pass(Duration::from_secs(59));
    assert_eq!(sends(&bench.submit(write_of(3, "a"))), [(1, 3, 3, 2)]);
    bench.pass(Duration::from_secs(1));
    assert_eq!(sends(&bench.submit(write_of(4, "a"))), [(1, 4, 3, 3)]);
}

#[test]
fn pools_that_are_not_there_are_not_found() {
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1]));
    let actions = bench.submit(Submission { pool: PoolId(9), ..write_of(1, "a") });
    assert_eq!(completions(&actions), [(1, Some(ErrorKind::NotFound))]);
    bench.submit(write_of(2, "a"));
    let mut map = map_of(3, |_| vec![]);
    map.pools.clear();
    let actions = bench.hear(Event::NewMap(publish(map)));
    assert_eq!(completions(&actions), [(2, Some(ErrorKind::NotFound))]);
    let pg = PgId { pool: POOL, seed: PG_NUM };
    let list = SubOp::ListObjects { begin: types::Cursor::Start, namespace: None, objects_max: 10 };
    let mut bench = Bench::with_map(map_of(2, |_| vec![0, 1]));
    let actions = bench.submit(Submission { target: Target::Pg(pg), ops: vec![list], ..write_of(1, "") });
    assert_eq!(completions(&actions), [(1, Some(ErrorKind::NotFound))]);
}

#[test]
fn bounds_hold_on_both_sides() {
    let settings = Settings { operations_max: 2, bytes_max: 20, checks: Checks::On, ..Settings::default() };
    let mut bench = Bench { table: Table::new(ClientId(7), settings), now: Time::ZERO };
    assert_eq!(bench.submit(write_of(1, "a")), []);
    assert_eq!(bench.submit(write_of(2, "a")), []);
    assert_eq!(completions(&bench.submit(write_of(3, "a"))), [(3, Some(ErrorKind::Retry))], "two operations");
    bench.hear(Event::Cancel { handle: 2 });
    let large = vec![SubOp::Append(Bytes::from_static(&[0; 13]))];
    let actions = bench.submit(Submission { ops: large, ..write_of(4, "a") });
    assert_eq!(completions(&actions), [(4, Some(ErrorKind::Retry))], "8 and 13 bytes are more than 20");
    let fitting = vec![SubOp::Append(Bytes::from_static(&[0; 12]))];
    assert_eq!(bench.submit(Submission { ops: fitting, ..write_of(5, "a") }), []);
}

/// OSDs that share one truth: what is applied is applied everywhere. They gate by epochs, refuse what is for an
/// earlier interval, remember every request, queue while inactive, and lose what is under way when sessions break.
struct ToyCluster {
    random: SeededRandom,
    map: Arc<PublishedMap>,
    /// First epoch of each PG's interval.
    since: BTreeMap<u32, Epoch>,
    active: BTreeSet<u32>,
    /// OSDs that refuse everything until their sessions end.
    closing: BTreeSet<u32>,
    /// The map that each OSD has.
    epochs: BTreeMap<u32, Epoch>,
    to_osd: BTreeMap<u32, VecDeque<ClientOp>>,
    to_client: BTreeMap<u32, VecDeque<ClientReply>>,
    /// Waiting at the OSD.
    held: BTreeMap<u32, VecDeque<ClientOp>>,
    answers: BTreeMap<u64, OpSuccess>,
    /// Handles in the order applied.
    applied: BTreeMap<ObjectName, Vec<u64>>,
    lowest_open: u64,
}

impl ToyCluster {
    fn acting(&self, seed: u32) -> Vec<u32> {
        self.map.place(PgId { pool: POOL, seed }).acting.iter().flatten().map(|osd| osd.0).collect()
    }

    fn reply(&mut self, osd: u32, op: &ClientOp, outcome: Result<OpSuccess, Error>) {
        let epoch = self.epochs[&osd];
        let outcome = outcome.map_err(|error| OpFailure { error, step: None });
        self.to_client.entry(osd).or_default().push_back(ClientReply { request: op.request, epoch, outcome });
    }

    /// What the OSD does with an operation. Answers whether it holds it.
    fn serve(&mut self, osd: u32, op: ClientOp) {
        if self.closing.contains(&osd) {
            return self.reply(osd, &op, Err(Error::closed("the OSD stops")));
        }
        if op.epoch > self.epochs[&osd] {
            return self.held.entry(osd).or_default().push_back(op);
        }
        let seed = op.pg.seed;
        if self.epochs[&osd] < self.since[&seed] {
            // Its replicas are in a newer interval: what it takes now never commits.
            return;
        }
        if self.acting(seed).first() != Some(&osd) || op.epoch < self.since[&seed] {
            return self.reply(osd, &op, Err(Error::refresh_map("another interval")));
        }
        if !self.active.contains(&seed) {
            return self.held.entry(osd).or_default().push_back(op);
        }
        let sequence = op.request.sequence;
        if let Some(answer) = self.answers.get(&sequence).cloned() {
            return self.reply(osd, &op, Ok(answer));
        }
        if sequence < self.lowest_open {
            return;
        }
        let OpTarget::Object { name, .. } = &op.target else { panic!("only objects here") };
        self.lowest_open = self.lowest_open.max(op.lowest_open);
        let [SubOp::Append(data)] = op.ops.as_slice() else { panic!("only appends here") };
        let handle = u64::from_be_bytes(data.as_ref().try_into().unwrap());
        self.applied.entry(name.clone()).or_default().push(handle);
        self.answers.insert(sequence, success());
        self.reply(osd, &op, Ok(success()));
    }

    fn release(&mut self, osd: u32) {
        for op in std::mem::take(self.held.entry(osd).or_default()) {
            self.serve(osd, op);
        }
    }

    fn change_map(&mut self) -> Arc<PublishedMap> {
        let next = self.map.epoch().next();
        let changed = u32::try_from(self.random.below(u64::from(PG_NUM))).unwrap();
        let first = u32::try_from(self.random.below(u64::from(OSDS))).unwrap();
        let empty = self.random.chance(1, 5);
        let map = map_of(next.0, |seed| match seed == changed {
            true if empty => vec![],
            true => vec![first, (first + 1) % OSDS],
            false => self.acting(seed),
        });
        let before = self.acting(changed);
        self.map = publish(map);
        if self.acting(changed) != before {
            self.since.insert(changed, next);
            self.active.remove(&changed);
            for held in self.held.values_mut() {
                held.retain(|op| op.pg.seed != changed || op.epoch >= next);
            }
        }
        Arc::clone(&self.map)
    }
}

fn run_against_toys(seed: Seed) {
    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
    let map = publish(map_of(2, |seed| vec![seed % OSDS, (seed + 1) % OSDS]));
    let mut toys = ToyCluster {
        random: SeededRandom::new(seed),
        map: Arc::clone(&map),
        since: (0..PG_NUM).map(|pg| (pg, Epoch(2))).collect(),
        active: (0..PG_NUM).collect(),
        closing: BTreeSet::new(),
        epochs: (0..OSDS).map(|osd| (osd, Epoch(2))).collect(),
        to_osd: (0..OSDS).map(|osd| (osd, VecDeque::new())).collect(),
        to_client: BTreeMap::new(),
        held: BTreeMap::new(),
        answers: BTreeMap::new(),
        applied: BTreeMap::new(),
        lowest_open: 0,
    };
    let mut bench = Bench::new();
    let mut queue = VecDeque::from([map]);
    let mut outcomes: BTreeMap<u64, Option<ErrorKind>> = BTreeMap::new();
    let mut given_up = BTreeSet::new();
    let mut handle = 0;
    let mut step = 0;
    while step < 2000 || !bench.table.is_empty() {
        step += 1;
        assert!(step < 20_000, "seed {seed}: it never comes to rest");
        let calm = step >= 2000 && toys.closing.is_empty();
        let mut osd = u32::try_from(toys.random.below(u64::from(OSDS))).unwrap();
        bench.now = bench.now + Duration::from_millis(toys.random.below(if calm { 200 } else { 20 }));
        let choice = match (calm, step) {
            (true, _) => 3 + toys.random.below(6),
            (false, 2000..) => {
                osd = *toys.closing.first().expect("it is not calm");
                9
            }
            (false, _) => toys.random.below(11),
        };
        let event = match choice {
            0 if handle < 600 => {
                handle += 1;
                let name = NAMES[usize::try_from(toys.random.below(5)).unwrap()];
                let deadline = toys.random.chance(1, 6).then(|| bench.now + Duration::from_millis(150));
                Some(Event::Submit(Box::new(Submission { deadline, ..write_of(handle, name) })))
            }
            1 if toys.random.chance(1, 4) && handle > 0 => {
                let handle = 1 + toys.random.below(handle);
                given_up.insert(handle);
                Some(Event::Cancel { handle })
            }
            2 if toys.random.chance(1, 6) => {
                queue.push_back(toys.change_map());
                None
            }
            3 => queue.pop_front().map(Event::NewMap),
            4 | 5 => {
                if let Some(op) = toys.to_osd.get_mut(&osd).and_then(VecDeque::pop_front) {
                    toys.serve(osd, op);
                }
                None
            }
            6 => {
                let newest = toys.map.epoch();
                toys.epochs.insert(osd, newest);
                toys.release(osd);
                None
            }
            7 => {
                let pg = u32::try_from(toys.random.below(u64::from(PG_NUM))).unwrap();
                toys.active.insert(pg);
                for osd in 0..OSDS {
                    toys.release(osd);
                }
                if calm && toys.acting(pg).is_empty() {
                    queue.push_back(toys.change_map());
                }
                None
            }
            8 => toys
                .to_client
                .get_mut(&osd)
                .and_then(VecDeque::pop_front)
                .map(|reply| Event::Reply { from: OsdId(osd), reply: Box::new(reply) }),
            9 if toys.random.chance(1, 8) => {
                toys.closing.remove(&osd);
                toys.to_osd.insert(osd, VecDeque::new());
                toys.to_client.remove(&osd);
                Some(Event::SessionReset(OsdId(osd)))
            }
            10 if toys.random.chance(1, 40) => {
                toys.closing.insert(osd);
                None
            }
            _ => Some(Event::Tick),
        };
        let mut actions = event.map_or_else(Vec::new, |event| bench.hear(event));
        if bench.table.deadline().is_some_and(|deadline| deadline <= bench.now) {
            actions.extend(bench.hear(Event::Tick));
        }
        for action in actions {
            match action {
                Action::Send { to, op } => toys.to_osd.get_mut(&to.0).unwrap().push_back(*op),
                Action::Complete { handle, outcome } => {
                    let kind = outcome.err().map(|failure| failure.error.kind);
                    assert_eq!(outcomes.insert(handle, kind), None, "seed {seed}: {handle} completes twice");
                }
                Action::WantMap { .. } | Action::Warn { .. } => {}
            }
        }
    }
    let mut seen = BTreeSet::new();
    for (name, handles) in &toys.applied {
        let swapped = handles.windows(2).find(|pair| pair[0] > pair[1]);
        let given_up = |handle: &u64| given_up.contains(handle) || outcomes[handle].is_some();
        let fates = swapped.map(|pair| pair.iter().map(given_up).collect::<Vec<_>>());
        assert_eq!(swapped, None, "seed {seed}: {name} took effect out of order; given up: {fates:?}");
        for handle in handles {
            assert!(seen.insert(*handle), "seed {seed}: {handle} took effect twice");
        }
    }
    for handle in 1..=handle {
        match outcomes.get(&handle) {
            Some(None) => assert!(seen.contains(&handle), "seed {seed}: {handle} was acknowledged and is lost"),
            Some(Some(kind)) => assert_eq!(*kind, ErrorKind::Retry, "seed {seed}: {handle}"),
            None => assert!(given_up.contains(&handle), "seed {seed}: {handle} was never answered"),
        }
    }
    assert!(seen.len() > 20, "seed {seed}: only {} writes took effect", seen.len());
}

#[test]
fn random_faults_never_lose_repeat_or_reorder_writes() {
    for seed in 0..100 {
        run_against_toys(Seed(seed));
    }
}
