//! Operations in flight, as their client sees them.
//!
//! Owns: the operations that callers wait for, their order, their targets, their repeats; the ids of writes that
//! callers gave up while a copy may be under way. Does not know: sessions beyond "it broke", what steps mean.
//!
//! An operation keeps its request id for ever: whoever repeats it asks for the first answer (FOUNDATIONS 12). It
//! is sent again when its interval changes, when its session breaks, when it is refused for now, and after long
//! silence. So that operations on one object take effect in the order submitted, they leave in that order, and
//! whatever was sent behind a repeated operation is repeated behind it. This relies on a primary that, having
//! refused an operation for its epoch, refuses everything of the same or a lower epoch.
//!
//! Invariants
//! 1. Each operation that is not given up has exactly one handle and stands in exactly one lane.
//! 2. What is `Sent` went to the primary of its placement group by the newest map, with an epoch not above it.
//! 3. When an operation leaves, everything before it in its lane has left.
//! 4. Sequences only grow; an id below `lowest_open` is never sent again.
//! 5. Each operation stands once in the index of wake times, so `deadline()` misses none.
//!
//! A write that its caller gives up after it was sent is never sent again, but its id stays open until its answer
//! came, its interval ended (the next primary refuses its epoch), its pool is gone, or `abandoned_keep` has passed:
//! while a copy is under way, nobody may forget that it took effect. After a crash nothing of this survives: the
//! next process is another client.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use map::PublishedMap;
use types::{
    BootNonce, ClientId, Epoch, Error, ErrorKind, OsdId, RequestId, Time,
    simulation::{Bug, planted},
};
use wire::{ClientOp, ClientReply, OpFailure, OpSuccess, OpTarget};

use crate::{
    Action, Checks, Event, Settings, Submission, Target, check_operation,
    operation::{Lane, Operation, Stage},
    settings::doubled,
    target::{Interval, Placements},
};

#[cfg(test)]
mod tests;

/// The operations of one client.
#[derive(Debug)]
pub struct Table {
    client: ClientId,
    settings: Settings,
    placements: Placements,
    /// Open operations by sequence, those given up included.
    operations: BTreeMap<u64, Operation>,
    /// Callers' numbers of those not given up.
    handles: BTreeMap<u64, u64>,
    /// Sequences in the order submitted, those given up excluded.
    lanes: BTreeMap<Arc<Lane>, BTreeSet<u64>>,
    /// OSDs whose sessions broke lately; bounded by the map's OSDs.
    peers: BTreeMap<OsdId, Peer>,
    wakes: BTreeSet<(Time, u64)>,
    /// Payload bytes of the operations not given up.
    bytes: usize,
    next_sequence: u64,
    /// The epoch for which `WantMap` was asked already.
    map_asked: Option<Epoch>,
}

/// An OSD whose session broke and which has not answered since.
#[derive(Debug)]
struct Peer {
    nonce: BootNonce,
    failures: u32,
    ready_at: Time,
}

/// Whether an operation may leave.
enum Readiness {
    Ready {
        to: OsdId,
        interval: Arc<Interval>,
        target: OpTarget,
    },
    /// Not before this time.
    At(Time),
    /// Only a map changes it.
    NeedsMap,
    Failed(Error),
}

impl Table {
    /// An empty table of a client to whom the monitors gave this number.
    pub fn new(client: ClientId, settings: Settings) -> Self {
        Self {
            client,
            settings,
            placements: Placements::default(),
            operations: BTreeMap::new(),
            handles: BTreeMap::new(),
            lanes: BTreeMap::new(),
            peers: BTreeMap::new(),
            wakes: BTreeSet::new(),
            bytes: 0,
            next_sequence: 1,
            map_asked: None,
        }
    }

    /// Hears one event and says what shall be done.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Submit(submission) => self.handle_submit(now, *submission, actions),
            Event::Cancel { handle } => self.handle_cancel(now, handle, actions),
            Event::NewMap(map) => self.handle_new_map(now, map, actions),
            Event::Reply { from, reply } => self.handle_reply(now, from, *reply, actions),
            Event::SessionReset(osd) => self.handle_session_reset(now, osd, actions),
            Event::Tick => self.handle_tick(now, actions),
        }
        if self.settings.checks == Checks::On {
            self.assert_invariants();
        }
    }

    /// When the table wants `Event::Tick`, if at all.
    pub fn deadline(&self) -> Option<Time> {
        self.wakes.first().map(|(time, _)| *time)
    }

    /// How many callers wait.
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether no caller waits.
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// The epoch of the newest map heard of.
    pub fn epoch(&self) -> Epoch {
        self.placements.epoch()
    }

    fn handle_submit(&mut self, now: Time, submission: Submission, actions: &mut Vec<Action>) {
        let handle = submission.handle;
        assert!(!self.handles.contains_key(&handle), "a handle names one operation at a time");
        let refuse = |error: Error| Action::Complete { handle, outcome: Err(OpFailure { error, step: None }) };
        let bytes = match self.check_submission(&submission) {
            Ok(bytes) => bytes,
            Err(error) => return actions.push(refuse(error)),
        };
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let lane = Arc::new(Lane::of(submission.pool, &submission.target, sequence));
        let warn_at = now + self.settings.warn_after;
        let operation = Operation {
            lane: Arc::clone(&lane),
            is_write: Operation::writes(&submission.ops),
            submission,
            bytes,
            submitted: now,
            stage: Stage::Waiting { not_before: now, wants: Epoch::ZERO },
            interval: None,
            silences: 0,
            refusals: 0,
            warnings: 0,
            warn_at,
            wake: warn_at,
        };
        self.bytes += bytes;
        self.wakes.insert((operation.wake, sequence));
        self.handles.insert(handle, sequence);
        self.operations.insert(sequence, operation);
        self.lanes.entry(Arc::clone(&lane)).or_default().insert(sequence);
        self.pump_lane(now, &lane, actions);
    }

    fn check_submission(&self, submission: &Submission) -> types::Result<usize> {
        let bytes = check_operation(&submission.target, &submission.ops)?;
        if let Target::Pg(pg) = submission.target
            && pg.pool != submission.pool
        {
            return Err(Error::invalid(format!("placement group {pg} is not of pool {}", submission.pool)));
        }
        if self.placements.map().is_some() && !self.placements.has_pool(submission.pool) {
            return Err(no_pool(submission));
        }
        let full = self.handles.len() >= self.settings.operations_max
            || !self.handles.is_empty() && self.bytes.saturating_add(bytes) > self.settings.bytes_max;
        if full {
            return Err(Error::retry("too many operations or bytes are in flight; wait for some to complete"));
        }
        Ok(bytes)
    }

    fn handle_cancel(&mut self, now: Time, handle: u64, actions: &mut Vec<Action>) {
        // It may have completed while the caller made up its mind.
        if let Some(&sequence) = self.handles.get(&handle) {
            self.give_up(now, sequence, actions);
        }
    }

    fn handle_new_map(&mut self, now: Time, map: Arc<PublishedMap>, actions: &mut Vec<Action>) {
        let have = self.placements.epoch();
        if self.placements.map().is_some() && map.epoch() <= have {
            return;
        }
        // An interval that began and ended between the two maps cannot be seen in the newer one.
        let skipped = self.placements.map().is_some() && map.epoch() != have.next();
        self.placements.replace(map);
        self.map_asked = None;
        let placements = &self.placements;
        self.peers.retain(|osd, peer| placements.nonce(*osd) == Some(peer.nonce));

        let sequences: Vec<u64> = self.operations.keys().copied().collect();
        let mut lanes = BTreeSet::new();
        for sequence in sequences {
            let operation = self.operations.get_mut(&sequence).expect("collected above, removed only here");
            let submission = &operation.submission;
            if !self.placements.has_pool(submission.pool) {
                let error = no_pool(submission);
                self.finish(sequence, Err(OpFailure { error, step: None }), actions);
                continue;
            }
            let moved = match self.placements.locate(submission.pool, &submission.target) {
                Ok((interval, _)) => operation.interval.as_ref() != Some(&interval),
                Err(_) => true,
            };
            match operation.stage {
                Stage::Abandoned { .. } => {
                    if moved {
                        self.forget(sequence);
                    }
                    continue;
                }
                Stage::Sent { .. } => {
                    if skipped || moved {
                        operation.stage = Stage::Waiting { not_before: now, wants: Epoch::ZERO };
                        operation.silences = 0;
                    }
                }
                Stage::Waiting { not_before, wants } => {
                    let heard = wants > Epoch::ZERO && wants <= self.placements.epoch();
                    let not_before = if heard { now } else { not_before };
                    let wants = if heard { Epoch::ZERO } else { wants };
                    operation.stage = Stage::Waiting { not_before, wants };
                }
            }
            lanes.insert(Arc::clone(&operation.lane));
        }
        for lane in lanes {
            self.pump_lane(now, &lane, actions);
        }
    }

    fn handle_reply(&mut self, now: Time, from: OsdId, reply: ClientReply, actions: &mut Vec<Action>) {
        self.peers.remove(&from);
        let sequence = reply.request.sequence;
        if reply.request.client != self.client {
            return;
        }
        // The answer to a repeat, or to what was given up long ago.
        let Some(operation) = self.operations.get_mut(&sequence) else { return };
        let refusal = match &reply.outcome {
            Err(failure) => refusal_of(failure.error.kind),
            Ok(_) => None,
        };
        let Some(refusal) = refusal else {
            if operation.is_abandoned() {
                return self.forget(sequence);
            }
            // Also from a former primary: what it answered was true before its interval ended.
            let lane = Arc::clone(&operation.lane);
            self.finish(sequence, reply.outcome, actions);
            return self.pump_lane(now, &lane, actions);
        };
        // A refusal speaks of one sending only; of a former target's it is old news.
        let Stage::Sent { to, epoch, .. } = operation.stage else { return };
        if to != from {
            return;
        }
        operation.silences = 0;
        let have = self.placements.epoch();
        let pause = doubled(self.settings.pause_min, operation.refusals, self.settings.pause_max);
        operation.stage = match refusal {
            Refusal::Map if reply.epoch > have => {
                Stage::Waiting { not_before: now + self.settings.pause_max, wants: reply.epoch }
            }
            // It left before the map that we have by now.
            Refusal::Map if epoch < have => Stage::Waiting { not_before: now, wants: Epoch::ZERO },
            Refusal::Map | Refusal::Later => {
                operation.refusals = operation.refusals.saturating_add(1);
                Stage::Waiting { not_before: now + pause, wants: Epoch::ZERO }
            }
        };
        let lane = Arc::clone(&operation.lane);
        if refusal == Refusal::Map {
            self.ask_for_map(actions);
        }
        self.pump_lane(now, &lane, actions);
    }

    fn handle_session_reset(&mut self, now: Time, osd: OsdId, actions: &mut Vec<Action>) {
        // Nothing is under way to an OSD that the map has down (invariant 2).
        let Some(nonce) = self.placements.nonce(osd) else { return };
        let peer = self.peers.entry(osd).or_insert(Peer { nonce, failures: 0, ready_at: now });
        peer.ready_at = now + doubled(self.settings.pause_min, peer.failures, self.settings.pause_max);
        peer.failures = peer.failures.saturating_add(1);
        let mut lanes = BTreeSet::new();
        for operation in self.operations.values_mut() {
            if matches!(operation.stage, Stage::Sent { to, .. } if to == osd) {
                operation.stage = Stage::Waiting { not_before: now, wants: Epoch::ZERO };
                operation.silences = 0;
                lanes.insert(Arc::clone(&operation.lane));
            }
        }
        for lane in lanes {
            self.pump_lane(now, &lane, actions);
        }
    }

    fn handle_tick(&mut self, now: Time, actions: &mut Vec<Action>) {
        while let Some(&(time, sequence)) = self.wakes.first()
            && time <= now
        {
            let silence = self.silence_end(sequence);
            let operation = self.operations.get_mut(&sequence).expect("the index holds open operations");
            if operation.is_abandoned() {
                self.forget(sequence);
                continue;
            }
            if let Some(deadline) = operation.submission.deadline
                && deadline <= now
            {
                let (was_sent, is_write) = (operation.was_sent(), operation.is_write);
                let waited = now.since(operation.submitted);
                let handle = operation.submission.handle;
                self.give_up(now, sequence, actions);
                let error = timed_out(waited, was_sent, is_write);
                actions.push(Action::Complete { handle, outcome: Err(OpFailure { error, step: None }) });
                continue;
            }
            let lane = Arc::clone(&operation.lane);
            let mut stuck = false;
            if operation.warn_at <= now {
                let waiting_ms = u64::try_from(now.since(operation.submitted).as_millis()).unwrap_or(u64::MAX);
                actions.push(Action::Warn { handle: operation.submission.handle, waiting_ms });
                operation.warnings = operation.warnings.saturating_add(1);
                operation.warn_at =
                    now + doubled(self.settings.warn_after, operation.warnings, self.settings.warn_after * 64);
                stuck = true;
            }
            if silence.is_some_and(|silence| silence <= now) {
                operation.silences = operation.silences.saturating_add(1);
                operation.stage = Stage::Waiting { not_before: now, wants: Epoch::ZERO };
                stuck = true;
            }
            if stuck {
                self.map_asked = None;
                self.ask_for_map(actions);
            }
            self.pump_lane(now, &lane, actions);
        }
    }

    /// When an operation that was sent has been silent for too long.
    fn silence_end(&self, sequence: u64) -> Option<Time> {
        let operation = self.operations.get(&sequence)?;
        let Stage::Sent { at, .. } = operation.stage else { return None };
        Some(at + doubled(self.settings.silence_min, operation.silences, self.settings.silence_max))
    }

    /// Sends what may leave of the lane, in order, and sets the wake time of everything in it.
    fn pump_lane(&mut self, now: Time, lane: &Lane, actions: &mut Vec<Action>) {
        let Some(sequences) = self.lanes.get(lane) else { return };
        let sequences: Vec<u64> = sequences.iter().copied().collect();
        let mut blocked = false;
        let mut repeat = false;
        for sequence in sequences {
            let is_sent = matches!(self.operations.get(&sequence), Some(op) if matches!(op.stage, Stage::Sent { .. }));
            let mut wake = None;
            if (!blocked || planted(Bug::LaneOvertaken)) && (!is_sent || repeat && !planted(Bug::RepeatAlone)) {
                match self.readiness(now, sequence) {
                    Readiness::Ready { to, interval, target } => {
                        self.transmit(now, sequence, to, interval, target, actions);
                        repeat = true;
                    }
                    Readiness::At(time) => {
                        blocked = true;
                        wake = Some(time);
                    }
                    Readiness::NeedsMap => blocked = true,
                    Readiness::Failed(error) => {
                        self.finish(sequence, Err(OpFailure { error, step: None }), actions);
                        continue;
                    }
                }
            }
            let wake = self.silence_end(sequence).or(wake);
            self.set_wake(sequence, wake);
        }
    }

    fn readiness(&mut self, now: Time, sequence: u64) -> Readiness {
        let operation = self.operations.get(&sequence).expect("lanes hold open operations");
        let submission = &operation.submission;
        if self.placements.paused() {
            return Readiness::NeedsMap;
        }
        if let Stage::Waiting { not_before, .. } = operation.stage
            && not_before > now
        {
            return Readiness::At(not_before);
        }
        if !self.placements.has_pool(submission.pool) {
            return Readiness::Failed(no_pool(submission));
        }
        let (interval, target) = match self.placements.locate(submission.pool, &submission.target) {
            Ok(located) => located,
            Err(error) => return Readiness::Failed(error),
        };
        let Some((to, _)) = interval.primary else { return Readiness::NeedsMap };
        match self.peers.get(&to) {
            Some(peer) if peer.ready_at > now => Readiness::At(peer.ready_at),
            _ => Readiness::Ready { to, interval, target },
        }
    }

    fn transmit(
        &mut self,
        now: Time,
        sequence: u64,
        to: OsdId,
        interval: Arc<Interval>,
        target: OpTarget,
        actions: &mut Vec<Action>,
    ) {
        let lowest_open = self.lowest_open();
        let epoch = self.placements.epoch();
        let operation = self.operations.get_mut(&sequence).expect("lanes hold open operations");
        let submission = &operation.submission;
        let op = ClientOp {
            request: RequestId {
                client: self.client,
                sequence: sequence - u64::from(planted(Bug::RequestIdReused)) * (sequence % 2),
            },
            lowest_open,
            epoch,
            pg: interval.pg,
            target,
            snapshot: submission.snapshot,
            snapshot_context: submission.snapshot_context.clone(),
            flags: submission.flags,
            modified_ms: submission.modified_ms,
            ops: submission.ops.clone(),
        };
        operation.stage = Stage::Sent { to, epoch, at: now };
        operation.interval = Some(interval);
        actions.push(Action::Send { to, op: Box::new(op) });
        if self.settings.checks == Checks::On {
            self.assert_left_in_order(sequence);
        }
    }

    /// Every id below this was answered or can have no copy under way.
    fn lowest_open(&self) -> u64 {
        let open = self.operations.keys().next().filter(|_| !planted(Bug::RequestsGivenUpTooEarly));
        open.copied().unwrap_or(self.next_sequence)
    }

    /// Takes an operation from its caller. What may be under way keeps its id open.
    fn give_up(&mut self, now: Time, sequence: u64, actions: &mut Vec<Action>) {
        let operation = self.operations.get_mut(&sequence).expect("only open operations are given up");
        let lane = Arc::clone(&operation.lane);
        if !(operation.is_write && operation.was_sent()) {
            // Nobody remembers reads, and what never left needs no remembering.
            self.forget(sequence);
            return self.pump_lane(now, &lane, actions);
        }
        let until = now + self.settings.abandoned_keep;
        operation.stage = Stage::Abandoned { until };
        operation.submission.ops = Vec::new();
        self.bytes -= std::mem::take(&mut operation.bytes);
        let handle = operation.submission.handle;
        self.handles.remove(&handle);
        self.leave_lane(sequence, &lane);
        self.set_wake(sequence, None);
        let abandoned = self.operations.len() - self.handles.len();
        if abandoned > self.settings.operations_max {
            // The bound wins over an id that is a minute old at worst; the oldest has the least chance of a copy.
            let oldest = self.operations.iter().find(|(_, operation)| operation.is_abandoned()).map(|(id, _)| *id);
            self.forget(oldest.expect("there are more than the bound"));
        }
        self.pump_lane(now, &lane, actions);
    }

    /// The operation is over: tells its caller, if it still has one.
    fn finish(&mut self, sequence: u64, outcome: Result<OpSuccess, OpFailure>, actions: &mut Vec<Action>) {
        let operation = self.operations.get(&sequence).expect("only open operations finish");
        let handle = operation.submission.handle;
        if !operation.is_abandoned() {
            actions.push(Action::Complete { handle, outcome });
        }
        self.forget(sequence);
    }

    /// Removes every trace of an operation.
    fn forget(&mut self, sequence: u64) {
        let operation = self.operations.remove(&sequence).expect("only open operations are forgotten");
        self.wakes.remove(&(operation.wake, sequence));
        if !operation.is_abandoned() {
            self.bytes -= operation.bytes;
            self.handles.remove(&operation.submission.handle);
            self.leave_lane(sequence, &operation.lane);
        }
    }

    fn leave_lane(&mut self, sequence: u64, lane: &Lane) {
        let sequences = self.lanes.get_mut(lane).expect("an operation that is not given up stands in its lane");
        sequences.remove(&sequence);
        if sequences.is_empty() {
            self.lanes.remove(lane);
        }
    }

    /// Files the operation under the earliest time at which something is to be done about it.
    fn set_wake(&mut self, sequence: u64, stage: Option<Time>) {
        let operation = self.operations.get_mut(&sequence).expect("only open operations wake");
        let wake = match operation.stage {
            Stage::Abandoned { until } => until,
            _ => [stage, operation.submission.deadline].into_iter().flatten().fold(operation.warn_at, Time::min),
        };
        if wake != operation.wake {
            self.wakes.remove(&(operation.wake, sequence));
            operation.wake = wake;
            self.wakes.insert((wake, sequence));
        }
    }

    /// Once for each map, until an operation is stuck with it.
    fn ask_for_map(&mut self, actions: &mut Vec<Action>) {
        let have = self.placements.epoch();
        if self.map_asked != Some(have) {
            self.map_asked = Some(have);
            actions.push(Action::WantMap { have });
        }
    }

    fn assert_left_in_order(&self, sequence: u64) {
        let lane = &self.operations[&sequence].lane;
        for earlier in self.lanes[lane].range(..sequence) {
            let stage = self.operations[earlier].stage;
            assert!(matches!(stage, Stage::Sent { .. }), "{sequence} left before {earlier}, which is {stage:?}");
        }
    }

    /// Panics when the table contradicts itself.
    pub fn assert_invariants(&self) {
        let mut in_lanes = 0;
        for (lane, sequences) in &self.lanes {
            assert!(!sequences.is_empty(), "an empty lane is removed");
            in_lanes += sequences.len();
            for sequence in sequences {
                assert_eq!(&self.operations[sequence].lane, lane, "an operation stands in its own lane");
            }
        }
        let mut bytes = 0;
        let mut with_caller = 0;
        for (sequence, operation) in &self.operations {
            assert!(*sequence < self.next_sequence, "sequences are given once");
            assert!(self.wakes.contains(&(operation.wake, *sequence)), "every operation wakes");
            if operation.is_abandoned() {
                assert!(operation.is_write && operation.was_sent(), "only writes under way stay open");
                continue;
            }
            bytes += operation.bytes;
            with_caller += 1;
            assert_eq!(self.handles.get(&operation.submission.handle), Some(sequence), "a caller waits for it");
            if let Stage::Sent { to, epoch, .. } = operation.stage {
                assert!(epoch <= self.placements.epoch(), "sent by a map that exists");
                let interval = operation.interval.as_ref().expect("what was sent has an interval");
                assert_eq!(interval.primary.map(|(osd, _)| osd), Some(to), "sent to the primary");
                assert_eq!(self.placements.nonce(to), interval.primary.map(|(_, nonce)| nonce), "of the newest map");
            }
        }
        assert_eq!(in_lanes, with_caller, "each operation stands in one lane");
        assert_eq!(self.handles.len(), with_caller, "each handle names one operation");
        assert_eq!(self.wakes.len(), self.operations.len(), "each operation wakes once");
        assert_eq!(self.bytes, bytes, "bytes are counted once");
        assert!(with_caller <= self.settings.operations_max, "the bound on operations holds");
    }
}

/// Why an operation was not taken, when that may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// One of the two maps is too old.
    Map,
    /// Not now.
    Later,
}

fn refusal_of(kind: ErrorKind) -> Option<Refusal> {
    match kind {
        ErrorKind::RefreshMap => Some(Refusal::Map),
        ErrorKind::Retry | ErrorKind::Closed => Some(Refusal::Later),
        _ => None,
    }
}

fn no_pool(submission: &Submission) -> Error {
    Error::not_found(format!("pool {} does not exist", submission.pool))
}

fn timed_out(waited: std::time::Duration, was_sent: bool, is_write: bool) -> Error {
    let seconds = waited.as_secs();
    Error::retry(match (was_sent, is_write) {
        (true, true) => format!("no answer after {seconds} s; outcome unknown: the write may have taken effect"),
        (true, false) => format!("no answer after {seconds} s; the read can be repeated"),
        (false, true) => format!("no OSD served the object's placement group for {seconds} s; nothing was written"),
        (false, false) => format!("no OSD served the object's placement group for {seconds} s"),
    })
}
