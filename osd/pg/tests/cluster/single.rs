//! One member alone, driven by hand: everything it wants is done at once, and time stands until a test moves it.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use osd_pg::{Action, Checks, Event, Pg, PgConfig, SessionId};
use store::{MemoryStore, ObjectStore};
use types::{
    ClientId, Epoch, ErrorKind, ObjectName, OsdId, RequestId, SnapshotId, StoreRead, StoreReadResult, Time, limits,
};
use wire::{
    ClientOp, ClientReply, Notification, NotifyAnswer, OpFailure, OpFlags, OpSuccess, OpTarget, SnapshotContext, SubOp,
    SubOpResult, Watcher,
};

use crate::monitor::{Monitor, PG};

const OBJECT: &str = "o";

pub struct Single {
    pub pg: Pg,
    pub store: MemoryStore,
    pub monitor: Monitor,
    pub now: Time,
    replies: Vec<(SessionId, ClientReply)>,
    notifications: VecDeque<(SessionId, Notification)>,
    pub sequence: u64,
    pub context: SnapshotContext,
    pub snapshot: SnapshotId,
}

impl Single {
    pub fn new() -> Self {
        Self::with(Checks::EveryEvent)
    }

    fn with(checks: Checks) -> Self {
        let monitor = Monitor::new(1, 1, 1);
        let mut actions = Vec::new();
        let config = PgConfig { checks, ..PgConfig::new(OsdId(0)) };
        let now = Time::from_milliseconds(1_000);
        let pg = Pg::create(config, PG, monitor.newest().clone(), Epoch::ZERO, now, &mut actions);
        let mut single = Self {
            pg,
            store: MemoryStore::new(),
            monitor,
            now,
            replies: Vec::new(),
            notifications: VecDeque::new(),
            sequence: 0,
            context: SnapshotContext::default(),
            snapshot: SnapshotId::HEAD,
        };
        single.carry_out(actions);
        single.advance(Duration::from_secs(30));
        single
    }

    pub fn hear(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.pg.handle(self.now, event, &mut actions);
        self.carry_out(actions);
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        let mut events = VecDeque::new();
        for action in actions {
            match action {
                Action::Commit { ticket, transaction, .. } => {
                    self.store.apply(&transaction).expect("a machine's transaction is taken");
                    events.push_back(Event::Committed(ticket));
                }
                Action::Read { ticket, reads } => {
                    let results = reads.iter().map(|read| self.store.read(read)).collect();
                    events.push_back(Event::ReadDone { ticket, results });
                }
                Action::Call { ticket, reads, calls } => {
                    let results = reads.iter().map(|read| self.store.read(read)).collect();
                    let outcomes = calls.run(0, &|read: &StoreRead| self.store.read(read));
                    events.push_back(Event::Called { ticket, results, outcomes });
                }
                Action::Reply { session, reply } => self.replies.push((session, *reply)),
                Action::Notify { session, notification } => self.notifications.push_back((session, *notification)),
                Action::WantUpThru(epoch) => drop(self.monitor.up_thru.insert(OsdId(0), epoch)),
                Action::Created => self.monitor.created = true,
                Action::WantPgTemp(_)
                | Action::RequestLocalReservation(_)
                | Action::ReleaseLocalReservation
                | Action::RequestScrubPlace
                | Action::ReleaseScrubPlace
                | Action::ShareMap { .. } => {}
                Action::Send { .. } | Action::Removed => panic!("a member alone has nobody to speak to"),
            }
        }
        for event in events {
            self.hear(event);
        }
        if self.monitor.grant_wishes() {
            let map = self.monitor.newest().clone();
            self.hear(Event::NewMap(map));
        }
    }

    /// Lets time pass, with everything that is to be done meanwhile.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(deadline) = self.pg.deadline()
            && deadline <= end
        {
            self.now = self.now.max(deadline);
            self.hear(Event::Tick);
        }
        self.now = end;
    }

    /// Sends an operation of a client, whose session has its number.
    fn send(&mut self, client: u64, ops: Vec<SubOp>) -> u64 {
        self.sequence += 1;
        let name = ObjectName::new(OBJECT);
        let (_, hash) = self.monitor.newest().object_pg(PG.pool, &name).expect("is placed");
        let op = ClientOp {
            request: RequestId { client: ClientId(client), sequence: self.sequence },
            lowest_open: 1,
            epoch: self.monitor.newest().epoch(),
            pg: PG,
            target: OpTarget::Object { name, hash },
            snapshot: self.snapshot,
            snapshot_context: self.context.clone(),
            flags: OpFlags::default(),
            modified_ms: 7,
            ops,
        };
        self.hear(Event::ClientOp { session: SessionId(client), op: Box::new(op) });
        self.sequence
    }

    fn outcome(&mut self, sequence: u64) -> Option<Result<OpSuccess, OpFailure>> {
        let at = self.replies.iter().position(|(_, reply)| reply.request.sequence == sequence)?;
        Some(self.replies.remove(at).1.outcome)
    }

    pub fn ask(&mut self, client: u64, ops: Vec<SubOp>) -> Result<OpSuccess, OpFailure> {
        let sequence = self.send(client, ops);
        self.outcome(sequence).expect("is answered at once")
    }

    pub fn one(&mut self, client: u64, op: SubOp) -> Result<SubOpResult, ErrorKind> {
        let outcome = self.ask(client, vec![op]).map_err(|failure| failure.error.kind)?;
        Ok(outcome.results.into_iter().next().expect("one step has one result"))
    }

    fn watch(&mut self, client: u64, cookie: u64, timeout_ms: u32) {
        assert_eq!(self.one(client, SubOp::Watch { cookie, timeout_ms }), Ok(SubOpResult::Done));
    }

    fn watchers(&mut self) -> Vec<Watcher> {
        match self.one(9, SubOp::ListWatchers) {
            Ok(SubOpResult::Watchers(watchers)) => watchers,
            other => panic!("{other:?} are no watchers"),
        }
    }

    fn acknowledge(&mut self, text: &'static str) {
        let (session, told) = self.notifications.pop_front().expect("somebody is told");
        let (notify, cookie) = (told.notify, told.cookie);
        let answer = SubOp::NotifyAcknowledge { notify, cookie, payload: Bytes::from_static(text.as_bytes()) };
        assert_eq!(self.one(session.0, answer), Ok(SubOpResult::Done));
    }
}

fn created() -> Single {
    created_in(Single::new())
}

fn created_in(mut single: Single) -> Single {
    single.one(1, SubOp::Create { exclusive: true }).expect("is made");
    single
}

fn notify(timeout_ms: u32) -> Vec<SubOp> {
    vec![SubOp::Notify { timeout_ms, payload: Bytes::from_static(b"news") }]
}

fn notified(outcome: Option<Result<OpSuccess, OpFailure>>) -> (Vec<NotifyAnswer>, Vec<(ClientId, u64)>) {
    match outcome.expect("is answered").expect("succeeds").results.as_slice() {
        [SubOpResult::Notified { answers, missed }] => (answers.clone(), missed.clone()),
        other => panic!("{other:?} is no outcome of a notification"),
    }
}

#[test]
fn everybody_who_watches_is_told_and_answers() {
    let mut single = created();
    let before = single.ask(1, vec![SubOp::Stat]).expect("is there").user_version;
    single.watch(1, 5, 30_000);
    single.watch(2, 5, 30_000);
    assert_eq!(single.ask(1, vec![SubOp::Stat]).expect("is there").user_version, before, "watching changes nothing");
    let asked = single.send(3, notify(10_000));
    assert_eq!(single.notifications.len(), 2);
    assert_eq!(single.notifications[0].1.payload, "news");
    assert_eq!(single.notifications[0].1.notifier, ClientId(3));
    single.acknowledge("one");
    assert!(single.outcome(asked).is_none(), "one has not heard it");
    single.acknowledge("two");
    let (answers, missed) = notified(single.outcome(asked));
    let texts: Vec<_> = answers.iter().map(|answer| (answer.client.0, answer.payload.clone())).collect();
    assert_eq!(texts, [(1, Bytes::from_static(b"one")), (2, Bytes::from_static(b"two"))]);
    assert!(missed.is_empty());
}

#[test]
fn who_does_not_answer_in_time_is_named() {
    let mut single = created();
    single.watch(1, 5, 30_000);
    single.watch(2, 6, 30_000);
    let asked = single.send(3, notify(10_000));
    single.acknowledge("one");
    single.advance(Duration::from_millis(9_999));
    assert!(single.outcome(asked).is_none(), "just inside");
    single.advance(Duration::from_millis(1));
    let (answers, missed) = notified(single.outcome(asked));
    assert_eq!((answers.len(), missed), (1, vec![(ClientId(2), 6)]));
    single.acknowledge("late");
    let asked = single.send(3, notify(0));
    assert_eq!(notified(single.outcome(asked)).1.len(), 2, "nobody is waited for");
}

#[test]
fn a_watch_that_is_silent_for_its_time_ends_and_one_that_speaks_does_not() {
    let mut single = created();
    single.watch(1, 5, 10_000);
    single.watch(2, 5, 10_000);
    for _ in 0..4 {
        single.advance(Duration::from_millis(5_000));
        assert_eq!(single.one(2, SubOp::WatchPing { cookie: 5 }), Ok(SubOpResult::Done));
    }
    assert_eq!(single.watchers(), [Watcher { client: ClientId(2), cookie: 5, timeout_ms: 10_000 }]);
    assert_eq!(single.one(1, SubOp::WatchPing { cookie: 5 }), Err(ErrorKind::NotFound));
    single.advance(Duration::from_millis(9_999));
    assert_eq!(single.watchers().len(), 1, "just inside");
    single.advance(Duration::from_millis(1));
    assert!(single.watchers().is_empty(), "just outside");
    let asked = single.send(3, notify(10_000));
    assert_eq!(notified(single.outcome(asked)), (vec![], vec![]));
}

#[test]
fn a_watcher_that_comes_back_over_another_session_hears_what_it_missed() {
    let mut single = created();
    single.watch(1, 5, 30_000);
    single.hear(Event::SessionClosed(SessionId(1)));
    let asked = single.send(3, notify(10_000));
    assert!(single.notifications.is_empty(), "nobody is reached");
    assert!(single.outcome(asked).is_none(), "but somebody watches");
    single.one(1, SubOp::WatchPing { cookie: 5 }).expect("is back");
    single.acknowledge("back");
    assert_eq!(notified(single.outcome(asked)).0.len(), 1);
}

#[test]
fn a_watch_survives_the_primary_and_its_silence_is_counted_anew() {
    let mut single = created();
    single.watch(1, 5, 10_000);
    // Another machine opens what the store holds.
    let mut actions = Vec::new();
    let meta = StoreRead::Omap {
        object: types::ObjectId::pg_meta(PG),
        after: Vec::new(),
        prefix: Vec::new(),
        keys_max: 10_000,
    };
    let Ok(StoreReadResult::Omap(page)) = single.store.read(&meta) else { panic!("the metadata is an omap") };
    let stored = osd_pg::StoredPg::decode(page.entries).expect("is readable");
    let config = PgConfig { checks: Checks::EveryEvent, ..PgConfig::new(OsdId(0)) };
    let seen = stored.epoch().expect("was stored");
    let map = single.monitor.map_of(seen);
    single.pg = Pg::open(config, PG, stored, map, single.now, &mut actions).expect("opens");
    single.carry_out(actions);
    for map in single.monitor.maps.clone().into_iter().filter(|map| map.epoch() > seen) {
        single.hear(Event::NewMap(map));
    }
    single.advance(Duration::from_secs(8));
    let asked = single.send(3, notify(60_000));
    assert!(single.outcome(asked).is_none(), "the watcher is waited for, from now on");
    single.advance(Duration::from_millis(9_000));
    single.one(1, SubOp::WatchPing { cookie: 5 }).expect("is there still");
    single.acknowledge("here");
    assert_eq!(notified(single.outcome(asked)).0.len(), 1);
    single.advance(Duration::from_secs(10));
    assert!(single.watchers().is_empty());
}

#[test]
fn ending_a_watch_and_removing_the_object_release_who_waits() {
    let mut single = created();
    single.watch(1, 5, 30_000);
    single.watch(2, 6, 30_000);
    let asked = single.send(3, notify(10_000));
    single.one(1, SubOp::Unwatch { cookie: 5 }).expect("ends");
    single.one(1, SubOp::Unwatch { cookie: 5 }).expect("ends again");
    assert!(single.outcome(asked).is_none());
    single.one(4, SubOp::Remove).expect("is removed");
    let (answers, missed) = notified(single.outcome(asked));
    assert_eq!((answers.len(), missed), (0, vec![(ClientId(1), 5), (ClientId(2), 6)]));
    for op in [SubOp::ListWatchers, SubOp::WatchPing { cookie: 6 }, SubOp::Unwatch { cookie: 6 }] {
        assert_eq!(single.one(2, op), Err(ErrorKind::NotFound));
    }
    assert_eq!(single.one(1, SubOp::Watch { cookie: 1, timeout_ms: 1_000 }), Err(ErrorKind::NotFound));
    let refused = single.ask(3, notify(1_000)).expect_err("there is nothing to watch");
    assert_eq!((refused.error.kind, refused.step), (ErrorKind::NotFound, Some(0)));
}

#[test]
fn watch_steps_do_not_mix_where_they_have_no_meaning() {
    let mut single = created();
    let mut ops = notify(1_000);
    ops.push(SubOp::Stat);
    assert_eq!(single.ask(1, ops).expect_err("two steps").error.kind, ErrorKind::Invalid);
    let acknowledge = SubOp::NotifyAcknowledge { notify: 1, cookie: 1, payload: Bytes::new() };
    let mixed = single.ask(1, vec![acknowledge.clone(), SubOp::Stat]).expect_err("another step");
    assert_eq!(mixed.error.kind, ErrorKind::Invalid);
    assert_eq!(single.one(1, acknowledge), Ok(SubOpResult::Done), "late words change nothing");
}

#[test]
fn both_sides_of_the_bound_on_watchers() {
    // With checks after each of thousands of events this would take a quarter of a minute.
    let mut single = created_in(Single::with(Checks::Never));
    for cookie in 0..limits::WATCHERS_PER_OBJECT_MAX as u64 {
        single.watch(1, cookie, 30_000);
    }
    assert_eq!(single.one(1, SubOp::Watch { cookie: u64::MAX, timeout_ms: 30_000 }), Err(ErrorKind::Full));
    single.watch(1, 0, 60_000);
    let asked = single.send(2, notify(60_000));
    while !single.notifications.is_empty() {
        single.acknowledge("heard");
    }
    assert_eq!(notified(single.outcome(asked)).0.len(), limits::WATCHERS_PER_OBJECT_MAX);
}

#[test]
fn a_repeated_call_gets_the_first_output() {
    let mut single = created();
    let (class, method) = ("numeric".to_owned(), "add".to_owned());
    let add = SubOp::Call { class, method, input: Bytes::from_static(br#"{"key": "n", "value": "2"}"#) };
    assert_eq!(single.one(1, add.clone()), Ok(SubOpResult::Data(Bytes::from_static(b"2"))));
    let second = single.send(1, vec![add.clone()]);
    single.outcome(second).expect("is answered").expect("succeeds");
    assert_eq!(single.one(1, add.clone()), Ok(SubOpResult::Data(Bytes::from_static(b"6"))));
    // The answer was lost on its way; the client asks again under the same number.
    single.sequence = second - 1;
    assert_eq!(single.one(1, add), Ok(SubOpResult::Data(Bytes::from_static(b"4"))));
    let value = SubOp::OmapGetKeys(vec![b"n".to_vec()]);
    single.sequence += 10;
    let Ok(SubOpResult::Omap(page)) = single.one(1, value) else { panic!("the counter is there") };
    assert_eq!(page.entries[0].1, "6", "nothing was counted twice");
}
