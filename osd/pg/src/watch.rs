//! Watches and notifications: who wants to hear of an object, and who has heard.
//!
//! Who watches is part of the object: it is written, replicated and recovered with it ([`wire::ObjectInfo::watchers`]),
//! so that a watch survives its primary. Where a watcher is reached and when it was last heard is the primary's memory:
//! a watcher says it with each ping, and so a new primary learns it. A watcher that is not heard for its time-out is
//! removed by a write of the primary's own.
//!
//! A notification goes to everybody who watches when it is read. It is answered when all of them have acknowledged it or
//! watch no more, or when its time is over; who has not acknowledged is named. After a change of the primary it is
//! sent again: a watcher may hear it twice, under two numbers.
//!
//! Invariants
//! 1. A watch that is known here stands in its object's info, or its removal is under way.
//! 2. Each known watch that is not being removed stands once in `expiries`.
//! 3. A notification waits only for watches that are known here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use types::{ClientId, ObjectId, Time};
use wire::{ClientOp, Notification, NotifyAnswer, OpSuccess, OpTarget, SubOp, SubOpResult, Watcher};

use crate::{
    Action, SessionId,
    peering::Stage,
    pg::Pg,
    turn::Turn,
    write::{ObjectState, OpenOp},
};

/// One client's watch of one object.
type WatchKey = (ClientId, u64);

/// What the primary knows of a watch.
#[derive(Debug)]
struct Watch {
    session: Option<SessionId>,
    timeout: Duration,
    /// `None` once its removal is under way.
    expires: Option<Time>,
}

/// A notification that somebody has not acknowledged yet.
#[derive(Debug)]
struct PendingNotify {
    open: OpenOp,
    object: ObjectId,
    payload: Bytes,
    waiting: BTreeSet<WatchKey>,
    missed: BTreeSet<WatchKey>,
    answers: Vec<NotifyAnswer>,
    deadline: Time,
    success: OpSuccess,
}

/// All of one placement group.
#[derive(Debug, Default)]
pub struct Watches {
    objects: BTreeMap<ObjectId, BTreeMap<WatchKey, Watch>>,
    expiries: BTreeSet<(Time, ObjectId, WatchKey)>,
    notifies: BTreeMap<u64, PendingNotify>,
    /// Acknowledged by all or out of time; they leave under a lease.
    finished: Vec<(OpenOp, OpSuccess)>,
    notify_next: u64,
}

impl Watches {
    /// When something is to be done.
    pub fn deadline(&self) -> Option<Time> {
        let expiry = self.expiries.first().map(|(at, ..)| *at);
        let notify = self.notifies.values().map(|notify| notify.deadline).min();
        expiry.into_iter().chain(notify).min()
    }

    /// Notifications without an answer, when the interval ends: they are begun anew, here or elsewhere.
    pub fn take_open_ops(&mut self) -> Vec<OpenOp> {
        let pending = std::mem::take(&mut self.notifies).into_values().map(|notify| notify.open);
        let finished = std::mem::take(&mut self.finished).into_iter().map(|(open, _)| open);
        pending.chain(finished).collect()
    }

    /// Who leads no more forgets: whoever does hears of the watchers by their pings. Who still leads, or leads now,
    /// begins removals anew that the interval's end has cut off.
    pub fn begin_interval(&mut self, now: Time, leads: bool) {
        if !leads {
            self.objects.clear();
            self.expiries.clear();
            return;
        }
        for (object, watches) in &mut self.objects {
            for (key, watch) in watches.iter_mut().filter(|(_, watch)| watch.expires.is_none()) {
                watch.expires = Some(now);
                self.expiries.insert((now, object.clone(), *key));
            }
        }
    }

    /// The open operation of this request, if it is a notification here.
    pub fn find_open(&mut self, request: types::RequestId) -> Option<&mut OpenOp> {
        let pending = self.notifies.values_mut().map(|notify| &mut notify.open);
        let mut open = pending.chain(self.finished.iter_mut().map(|(open, _)| open));
        open.find(|open| open.op.request == request)
    }

    /// Panics when an invariant does not hold.
    pub fn assert_invariants(&self) {
        let timed = self.objects.iter().flat_map(|(object, watches)| {
            watches.iter().filter_map(move |(key, watch)| Some((watch.expires?, object.clone(), *key)))
        });
        assert!(timed.eq(self.expiries_by_object()), "watch.expiries: each watch expires once");
        for notify in self.notifies.values() {
            let known = self.objects.get(&notify.object);
            let is_known = |key| known.is_some_and(|watches| watches.contains_key(key));
            assert!(
                notify.waiting.iter().all(is_known),
                "watch.waiting: a notification waits for watches that are known"
            );
        }
    }

    fn expiries_by_object(&self) -> impl Iterator<Item = (Time, ObjectId, WatchKey)> {
        let mut sorted: Vec<_> = self.expiries.iter().cloned().collect();
        sorted.sort_by(|one, other| (&one.1, one.2).cmp(&(&other.1, other.2)));
        sorted.into_iter()
    }

    /// Knows a watch from now on, or hears of it again.
    fn hear(&mut self, object: &ObjectId, key: WatchKey, timeout: Duration, session: Option<SessionId>, now: Time) {
        let watches = self.objects.entry(object.clone()).or_default();
        let watch = watches.entry(key).or_insert(Watch { session: None, timeout, expires: None });
        if let Some(at) = watch.expires.replace(now + timeout) {
            self.expiries.remove(&(at, object.clone(), key));
        }
        self.expiries.insert((now + timeout, object.clone(), key));
        watch.timeout = timeout;
        if session.is_some() {
            watch.session = session;
        }
    }

    fn remove(&mut self, object: &ObjectId, key: WatchKey) {
        let Some(watches) = self.objects.get_mut(object) else { return };
        if let Some(Watch { expires: Some(at), .. }) = watches.remove(&key) {
            self.expiries.remove(&(at, object.clone(), key));
        }
        if watches.is_empty() {
            self.objects.remove(object);
        }
        for notify in self.notifies.values_mut().filter(|notify| notify.object == *object) {
            if notify.waiting.remove(&key) {
                notify.missed.insert(key);
            }
        }
    }
}

fn duration_of(watcher: &Watcher) -> Duration {
    Duration::from_millis(u64::from(watcher.timeout_ms))
}

impl Pg {
    /// The object's watchers as somebody just read or wrote them: those unknown here are given their time from now on,
    /// those that are no more are forgotten.
    pub(crate) fn note_watchers(&mut self, object: &ObjectId, state: &ObjectState, turn: &mut Turn<'_>) {
        let watchers = state.existing.as_ref().map_or(&[][..], |existing| &existing.info.watchers);
        if watchers.is_empty() && !self.watches.objects.contains_key(object) {
            return;
        }
        let known: Vec<WatchKey> =
            self.watches.objects.get(object).map(|watches| watches.keys().copied().collect()).unwrap_or_default();
        for key in &known {
            if !watchers.iter().any(|watcher| (watcher.client, watcher.cookie) == *key) {
                self.watches.remove(object, *key);
            }
        }
        for watcher in watchers {
            let key = (watcher.client, watcher.cookie);
            if !known.contains(&key) {
                self.watches.hear(object, key, duration_of(watcher), None, turn.now);
            }
        }
        self.finish_notifies(turn);
    }

    /// A watcher registered or said that it is there: it is reached by this session, also with what it has not
    /// acknowledged.
    pub(crate) fn hear_watcher(&mut self, open: &OpenOp, object: &ObjectId, state: &ObjectState, turn: &mut Turn<'_>) {
        let watchers = state.existing.as_ref().map_or(&[][..], |existing| &existing.info.watchers);
        for step in &open.op.ops {
            let (SubOp::Watch { cookie, .. } | SubOp::WatchPing { cookie }) = step else { continue };
            let key = (open.op.request.client, *cookie);
            let Some(watcher) = watchers.iter().find(|watcher| (watcher.client, watcher.cookie) == key) else {
                continue;
            };
            let watch = self.watches.objects.get(object).and_then(|watches| watches.get(&key));
            let moved = watch.is_none_or(|watch| watch.session != Some(open.session));
            self.watches.hear(object, key, duration_of(watcher), Some(open.session), turn.now);
            if moved {
                self.send_notifies_to(object, key, turn);
            }
        }
    }

    fn send_notifies_to(&self, object: &ObjectId, key: WatchKey, turn: &mut Turn<'_>) {
        let waits = |notify: &&u64| {
            let notify = &self.watches.notifies[*notify];
            notify.object == *object && notify.waiting.contains(&key)
        };
        for number in self.watches.notifies.keys().filter(waits) {
            self.send_notify(*number, key, turn);
        }
    }

    fn send_notify(&self, number: u64, key: WatchKey, turn: &mut Turn<'_>) {
        let notify = &self.watches.notifies[&number];
        let watch = self.watches.objects.get(&notify.object).and_then(|watches| watches.get(&key));
        let Some(session) = watch.and_then(|watch| watch.session) else { return };
        let notification = Notification {
            pg: self.pg,
            epoch: self.map.epoch(),
            object: notify.object.name.clone(),
            cookie: key.1,
            notify: number,
            notifier: notify.open.op.request.client,
            payload: notify.payload.clone(),
        };
        turn.act(Action::Notify { session, notification: Box::new(notification) });
    }

    /// A notification has been read: its object exists, and `success` is what it answers but for its result.
    pub(crate) fn begin_notify(
        &mut self,
        open: OpenOp,
        object: &ObjectId,
        (timeout, payload): (Duration, Bytes),
        success: OpSuccess,
        turn: &mut Turn<'_>,
    ) {
        // Unique among all primaries of the group: no two lead in one epoch.
        self.watches.notify_next += 1;
        let number = u64::from(self.interval.since.0) << 32 | self.watches.notify_next;
        let keys: BTreeSet<WatchKey> = self
            .watches
            .objects
            .get(object)
            .map(|watches| watches.iter().filter(|(_, watch)| watch.expires.is_some()).map(|(key, _)| *key).collect())
            .unwrap_or_default();
        let notify = PendingNotify {
            open,
            object: object.clone(),
            payload,
            waiting: keys.clone(),
            missed: BTreeSet::new(),
            answers: Vec::new(),
            deadline: turn.now + timeout,
            success,
        };
        self.watches.notifies.insert(number, notify);
        for key in keys {
            self.send_notify(number, key, turn);
        }
        self.finish_notifies(turn);
    }

    /// A watcher has heard a notification. Late and repeated words change nothing.
    pub(crate) fn hear_acknowledgement(&mut self, open: &OpenOp, turn: &mut Turn<'_>) {
        for step in &open.op.ops {
            let SubOp::NotifyAcknowledge { notify, cookie, payload } = step else { continue };
            let client = open.op.request.client;
            if let Some(pending) = self.watches.notifies.get_mut(notify)
                && pending.waiting.remove(&(client, *cookie))
            {
                pending.answers.push(NotifyAnswer { client, cookie: *cookie, payload: payload.clone() });
            }
        }
        let results = vec![SubOpResult::Done; open.op.ops.len()];
        let success = OpSuccess { version: types::LogVersion::ZERO, user_version: 0, results };
        self.reply(open, Ok(success), turn);
        self.finish_notifies(turn);
    }

    fn finish_notifies(&mut self, turn: &mut Turn<'_>) {
        let is_over = |notify: &PendingNotify| notify.waiting.is_empty() || notify.deadline <= turn.now;
        let over: Vec<u64> =
            self.watches.notifies.iter().filter(|(_, notify)| is_over(notify)).map(|(number, _)| *number).collect();
        for number in over {
            let Some(notify) = self.watches.notifies.remove(&number) else { continue };
            let mut answers = notify.answers;
            answers.sort_by_key(|answer| (answer.client, answer.cookie));
            let missed = notify.missed.into_iter().chain(notify.waiting).collect::<BTreeSet<_>>();
            let missed = missed.into_iter().collect();
            let results = vec![SubOpResult::Notified { answers, missed }];
            self.watches.finished.push((notify.open, OpSuccess { results, ..notify.success }));
        }
        self.release_notifies(turn);
    }

    /// Called when a lease allows reads: who watched was read, and is answered as a read is.
    pub(crate) fn release_notifies(&mut self, turn: &mut Turn<'_>) {
        if !self.may_read(turn.now) {
            return;
        }
        for (open, success) in std::mem::take(&mut self.watches.finished) {
            self.reply(&open, Ok(success), turn);
        }
    }

    /// The clock: watches that were not heard are removed, notifications whose time is over are answered.
    pub(crate) fn tick_watches(&mut self, turn: &mut Turn<'_>) {
        if self.peering.stage != Stage::Active {
            return;
        }
        while let Some((at, object, key)) = self.watches.expiries.first().cloned()
            && at <= turn.now
        {
            self.watches.expiries.pop_first();
            if let Some(watch) = self.watches.objects.get_mut(&object).and_then(|watches| watches.get_mut(&key)) {
                watch.expires = None;
            }
            self.remove_watch(&object, key, turn);
        }
        self.finish_notifies(turn);
    }

    /// A write of the primary's own: nobody is answered, and a new primary finds the watch again if it is lost.
    fn remove_watch(&mut self, object: &ObjectId, (client, cookie): WatchKey, turn: &mut Turn<'_>) {
        let op = ClientOp {
            request: types::RequestId { client, sequence: 0 },
            lowest_open: 0,
            epoch: self.map.epoch(),
            pg: self.pg,
            target: OpTarget::Object { name: object.name.clone(), hash: object.hash },
            snapshot: types::SnapshotId::HEAD,
            snapshot_context: wire::SnapshotContext::default(),
            flags: wire::OpFlags::default(),
            modified_ms: 0,
            ops: vec![SubOp::Unwatch { cookie }],
        };
        self.begin_own(object, op, turn);
    }

    /// A session is gone: its watchers are waited for until their time is over.
    pub(crate) fn lose_watchers(&mut self, session: SessionId) {
        for watch in self.watches.objects.values_mut().flat_map(BTreeMap::values_mut) {
            if watch.session == Some(session) {
                watch.session = None;
            }
        }
    }
}
