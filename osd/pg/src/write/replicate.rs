//! A planned write becomes a log entry, goes to every member's disk at once, and is answered when all have it.
//!
//! A failed write that could have changed something becomes an entry too (`Failed`): if its answer is lost, the repeat must
//! not succeed behind operations that the client sent later (FOUNDATIONS 12).

use bytes::Bytes;
use types::{
    LogVersion, ObjectId, OsdId, Time, Transaction,
    simulation::{Bug, planted},
};
use wire::{LogEntry, LogEntryKind, OpFailure, OpSuccess, PgBody, Replicate, SubOpResult};

use super::{
    InFlight, Loaded, OpenOp, plan,
    plan::{NewClone, Numbers},
};
use crate::{
    AfterCommit, SessionId,
    pg::{Pending, Pg},
    snapshots::is_trim,
    turn::Turn,
};

/// A write with its entry, before it is numbered among those in flight.
struct Planned {
    /// Of the clone, when one is made, and of the object.
    entries: Vec<LogEntry>,
    transaction: Transaction,
    outcome: Result<Vec<SubOpResult>, OpFailure>,
}

/// A clone is an object of its own, so it has an entry of its own, just before the one of the write that makes it.
fn entry_of_clone(clone: NewClone, write: &LogEntry) -> LogEntry {
    LogEntry {
        kind: LogEntryKind::Modify,
        object: clone.object,
        version: clone.info.version,
        prior_version: LogVersion::ZERO,
        user_version: clone.info.user_version,
        request: None,
        failure: None,
        modified_ms: write.modified_ms,
        changed: None,
        rollback: Bytes::new(),
        outputs: Vec::new(),
    }
}

impl Pg {
    /// Plans the write on what was loaded and sends it on its way.
    pub(super) fn execute_write(&mut self, open: OpenOp, object: &ObjectId, loaded: Loaded, turn: &mut Turn<'_>) {
        if is_trim(&open.op.ops) {
            return self.execute_trim(open, object, &loaded, turn);
        }
        let loaded = self.with_snapshots(&open, object, loaded);
        let version = self.log.head().next_in(self.map.epoch());
        let numbers = Numbers { version, user_version: self.info.last_user_version + 1 };
        let before = loaded.state.existing.as_ref();
        let mut entry = LogEntry {
            kind: LogEntryKind::Failed,
            object: object.clone(),
            version,
            prior_version: before.map_or(LogVersion::ZERO, |existing| existing.info.version),
            user_version: before.map_or(0, |existing| existing.info.user_version),
            request: (open.session != SessionId::OWN).then_some(open.op.request),
            failure: None,
            modified_ms: open.op.modified_ms,
            changed: None,
            rollback: Bytes::new(),
            outputs: Vec::new(),
        };
        let planned = match plan(object, &open.op, &loaded, numbers) {
            Ok(plan) => {
                let effect = plan.effect.expect("a write has an effect");
                let after = effect.next.existing.as_ref();
                entry.version = effect.version;
                entry.kind = if after.is_some() { LogEntryKind::Modify } else { LogEntryKind::Delete };
                // Removing counts as a change; who only begins or ends to watch changes nothing for users.
                entry.user_version = after.map_or(numbers.user_version, |existing| existing.info.user_version);
                entry.changed = effect.changed;
                entry.outputs = effect.outputs;
                self.info.last_user_version = self.info.last_user_version.max(entry.user_version);
                self.info.objects =
                    (self.info.objects + u64::from(after.is_some())).saturating_sub(u64::from(before.is_some()));
                let size =
                    |existing: Option<&super::object::Existing>| existing.map_or(0, |existing| existing.meta.size);
                self.info.bytes = (self.info.bytes + size(after)).saturating_sub(size(before));
                self.note_watchers(object, &effect.next, turn);
                self.hear_watcher(&open, object, &effect.next, turn);
                let queue = self.writes.objects.entry(object.clone()).or_default();
                queue.state = Some(effect.next);
                let clone = effect.clone.map(|clone| entry_of_clone(clone, &entry));
                let entries = clone.into_iter().chain([entry]).collect();
                Planned { entries, transaction: effect.transaction, outcome: Ok(plan.results) }
            }
            Err(failure) => {
                entry.failure = Some(failure.clone());
                let queue = self.writes.objects.entry(object.clone()).or_default();
                queue.state = Some(loaded.state.clone());
                Planned { entries: vec![entry], transaction: Transaction::new(), outcome: Err(failure) }
            }
        };
        let theirs = planned.transaction.clone();
        self.submit(open, planned, theirs, turn);
    }

    /// What the plan must know of the name's snapshots besides.
    fn with_snapshots(&self, open: &OpenOp, object: &ObjectId, mut loaded: Loaded) -> Loaded {
        let existing = loaded.state.existing.as_ref();
        let since = existing.map_or(0, |existing| existing.info.snapshot_context.sequence);
        loaded.context = self.context_of(&open.op, since);
        // A clone that is missing here is not listed, but its number is known.
        if existing.is_none() {
            let missing = self.missing_of_name(object).into_iter().filter(ObjectId::is_clone);
            loaded.newest_clone = missing.map(|clone| clone.snapshot).chain(loaded.newest_clone).max();
        }
        loaded
    }

    /// The write of a trim.
    pub(crate) fn submit_trim(
        &mut self,
        open: OpenOp,
        entry: LogEntry,
        transaction: Transaction,
        results: Vec<SubOpResult>,
        turn: &mut Turn<'_>,
    ) {
        let theirs = transaction.clone();
        self.submit(open, Planned { entries: vec![entry], transaction, outcome: Ok(results) }, theirs, turn);
    }

    /// An entry by which an object that cannot be found is given up. `theirs` empty: every other member lacks the object
    /// still, at the new version.
    pub(crate) fn submit_given_up(
        &mut self,
        open: OpenOp,
        entry: LogEntry,
        (own, theirs): (Transaction, Transaction),
        results: Vec<SubOpResult>,
        turn: &mut Turn<'_>,
    ) {
        self.submit(open, Planned { entries: vec![entry], transaction: own, outcome: Ok(results) }, theirs, turn);
    }

    /// Local commit and messages to all leave together.
    fn submit(&mut self, open: OpenOp, planned: Planned, theirs: Transaction, turn: &mut Turn<'_>) {
        let Planned { entries, transaction, outcome } = planned;
        let entry = entries.last().expect("a write has an entry");
        let (object, version) = (entry.object.clone(), entry.version);
        let user_version = entry.user_version;
        if let [clone, _] = &entries[..] {
            self.leave_name_of(&clone.object);
        }
        let previous = self.log.head();
        let trim_to = self.log.trim_target(
            self.config.log_entries_max,
            self.config.log_entries_min,
            self.config.log_bytes_max,
            self.writes.committed_to,
        );
        let replicate = Replicate {
            version,
            previous,
            entries,
            transaction: theirs,
            trim_to,
            committed_to: self.writes.committed_to,
            lowest_open: open.op.lowest_open,
            objects: self.info.objects,
            bytes: self.info.bytes,
        };
        self.take_entries(&replicate);
        let log_only: Vec<OsdId> = self.backfill_targets().filter(|osd| !self.has_passed(*osd, &object)).collect();
        if open.session != SessionId::OWN {
            self.writes.in_flight_requests.insert(open.op.request, version);
        }
        let object = object.head_of_name();
        self.writes.objects.entry(object.clone()).or_default().in_flight += 1;
        self.counters.note_write(transaction.data_bytes());
        let write = InFlight {
            open,
            object,
            replicate: Box::new(replicate),
            log_only,
            outcome,
            user_version,
            sent_at: turn.now,
        };
        for osd in self.write_members() {
            self.send_write(osd, &write, turn);
        }
        self.writes.in_flight.push_back(write);
        self.commit(transaction, Pending::Logged(version), Vec::new(), turn);
    }

    fn send_write(&self, osd: OsdId, write: &InFlight, turn: &mut Turn<'_>) {
        let mut replicate = write.replicate.clone();
        if write.log_only.contains(&osd) {
            replicate.transaction = Transaction::new();
        }
        self.send(osd, PgBody::Replicate(replicate), turn);
    }

    /// Log, account and memory of requests after a write: the same on every member.
    fn take_entries(&mut self, write: &Replicate) {
        for entry in &write.entries {
            self.note_scanned_change(entry);
            self.note_given_up(entry);
            self.log.append(entry.clone(), &mut self.changes);
            if let Some(request) = entry.request {
                self.remembered.forget_below(request.client, write.lowest_open, &mut self.changes);
            }
            self.info.last_user_version = self.info.last_user_version.max(entry.user_version);
        }
        let outcomes = self.log.trim(write.trim_to, &mut self.changes);
        if !planted(Bug::TrimmedAnswersForgotten) {
            self.remember(&outcomes);
        }
        self.info.objects = write.objects;
        self.info.bytes = write.bytes;
        self.info.last_update = self.log.head();
        self.info.log_tail = self.log.tail();
        self.info_changed = true;
    }

    /// A member gets a write. It takes them in order; a repeat is answered again once it is on disk.
    pub(crate) fn handle_replicate(&mut self, from: OsdId, write: Replicate, turn: &mut Turn<'_>) {
        if !self.peering.is_replica() || !self.peering.activation_stored {
            return;
        }
        if write.version <= self.log.head() {
            if write.version <= self.writes.own_committed || planted(Bug::RepeatedWriteAnsweredAtOnce) {
                let version = self.writes.own_committed.max(write.version);
                self.send(from, PgBody::Replicated { version }, turn);
            }
            return;
        }
        if write.previous != self.log.head() && !planted(Bug::GapTaken) {
            self.send(from, PgBody::ReplicateGap { have: self.log.head() }, turn);
            return;
        }
        self.take_entries(&write);
        let body = PgBody::Replicated { version: write.version };
        if planted(Bug::MemberAnswersBeforeCommit) {
            self.send(from, body.clone(), turn);
        }
        let then = vec![AfterCommit::Send { to: from, message: self.message(body) }];
        self.commit(write.transaction, Pending::Logged(write.version), then, turn);
    }

    /// The log here is on disk up to this version.
    pub(crate) fn note_own_commit(&mut self, version: LogVersion, turn: &mut Turn<'_>) {
        self.writes.own_committed = self.writes.own_committed.max(version);
        self.answer_committed(turn);
    }

    pub(crate) fn hear_replicated(&mut self, from: OsdId, version: LogVersion, turn: &mut Turn<'_>) {
        if let Some(peer) = self.peers.get_mut(&from).filter(|peer| peer.activated) {
            peer.committed = peer.committed.max(version.min(self.log.head()));
            peer.info.last_update = peer.info.last_update.max(peer.committed);
        }
        self.answer_committed(turn);
    }

    /// What everybody who must commit a write has on disk (FOUNDATIONS 13).
    pub(crate) fn committed_by_all(&self) -> LogVersion {
        let mut members = self.write_members();
        members.truncate(members.len() - usize::from(planted(Bug::AcknowledgeOneMemberEarly) && !members.is_empty()));
        let theirs = members.iter().map(|osd| self.peers.get(osd).map_or(LogVersion::ZERO, |peer| peer.committed));
        let theirs = theirs.filter(|_| !planted(Bug::AcknowledgeOnOwnCommit));
        let own = if planted(Bug::AcknowledgeWithoutOwnCommit) { self.log.head() } else { self.writes.own_committed };
        theirs.fold(own, LogVersion::min)
    }

    /// Answers, in version order, what everybody has.
    fn answer_committed(&mut self, turn: &mut Turn<'_>) {
        if !self.peering.stage.is_serving() {
            return;
        }
        let committed = self.committed_by_all();
        self.writes.committed_to = self.writes.committed_to.max(committed);
        let mut touched = Vec::new();
        while let Some(write) = self.writes.in_flight.pop_front_if(|write| write.replicate.version <= committed) {
            if write.open.session != SessionId::OWN {
                self.writes.in_flight_requests.remove(&write.open.op.request);
            }
            if let Some(queue) = self.writes.objects.get_mut(&write.object) {
                queue.in_flight -= 1;
            }
            let (version, user_version) = (write.replicate.version, write.user_version);
            let outcome = write.outcome.map(|results| OpSuccess { version, user_version, results });
            self.reply(&write.open, outcome, turn);
            touched.push(write.object);
        }
        for object in touched {
            self.pump(&object, turn);
        }
        self.release_reads(turn);
    }

    /// A member lacks what comes after this version.
    pub(crate) fn resend_writes(&mut self, to: OsdId, have: LogVersion, turn: &mut Turn<'_>) {
        if !self.peering.stage.is_serving() || !self.write_members().contains(&to) {
            return;
        }
        let now = turn.now;
        for write in self.writes.in_flight.iter_mut().filter(|write| write.replicate.version > have) {
            write.sent_at = now;
        }
        for write in self.writes.in_flight.iter().filter(|write| write.replicate.version > have) {
            self.send_write(to, write, turn);
        }
    }

    /// The oldest write that nobody acknowledged for long is sent again: its receiver says what else it lacks.
    pub(crate) fn repeat_oldest_write(&mut self, turn: &mut Turn<'_>) {
        let is_due = |sent_at: Time| turn.now >= sent_at + self.config.replicate_retry;
        let Some(oldest) = self.writes.in_flight.front().filter(|write| is_due(write.sent_at)) else { return };
        let version = oldest.replicate.version;
        let lacks = |osd: &OsdId| self.peers.get(osd).is_some_and(|peer| peer.committed < version);
        for osd in self.write_members().into_iter().filter(lacks) {
            self.send_write(osd, oldest, turn);
        }
        if let Some(oldest) = self.writes.in_flight.front_mut() {
            oldest.sent_at = turn.now;
        }
    }
}
