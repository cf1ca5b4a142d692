//! An operation arrives: is it for us, has it been done already, may its object be used?

use types::{
    Cursor, Error, ObjectId, OsdId, RequestId, SnapshotId, StoreRead, StoreReadResult, limits,
    simulation::{Bug, planted},
};
use wire::{
    ClientOp, ClientReply, OpFailure, OpFlags, OpSuccess, OpTarget, PgBody, RequestOutcome, SubOp, SubOpResult,
};

use super::{
    ActiveRead, CallOutcomes, ClassCalls, Loaded, OpenOp,
    calls::{may_change, writes},
    load::reads_of,
};
use crate::{
    Action, Fullness, SessionId,
    damage::is_damaged,
    log::outcome_of,
    peering::Stage,
    pg::{Pending, Pg},
    snapshots::{Candidates, check_snapshots, is_trim, rollback_of},
    turn::Turn,
};

impl Pg {
    pub(crate) fn handle_client_op(&mut self, session: SessionId, op: Box<ClientOp>, turn: &mut Turn<'_>) {
        // An operation sent by a map of an earlier interval could overtake one that the client sent before it. A client
        // sends everything again when the sets have changed, but it does not know of members that were restarted.
        if !self.is_primary() || op.epoch < self.clients_since && !planted(Bug::OldTargetAccepted) {
            turn.act(Action::ShareMap { session, have: op.epoch });
            return;
        }
        if self.writes.is_given_up(&op) {
            return;
        }
        let mut open = OpenOp { arrival: self.writes.arrival_next, session, op };
        self.writes.arrival_next += 1;
        if open.op.target == OpTarget::Pg {
            match self.answer_order(open, turn) {
                Some(unanswered) => open = unanswered,
                None => return,
            }
        }
        if self.peering.stage == Stage::Active {
            self.begin_op(open, turn);
            return;
        }
        if let Some(known) = self.writes.waiting.iter_mut().find(|known| known.op.request == open.op.request) {
            known.session = session;
        } else {
            // Bounded by the permits of sessions. A bound here would refuse one operation and take the next of the same
            // client, and so break their order.
            self.writes.waiting.push_back(open);
        }
    }

    /// The interval ended. Who still leads goes on with what is open; who does not sends the clients to whoever does.
    pub(crate) fn place_open_ops(&mut self, open_ops: Vec<OpenOp>, turn: &mut Turn<'_>) {
        if self.is_primary() {
            self.writes.waiting = open_ops.into();
            return;
        }
        for open in open_ops {
            turn.act(Action::ShareMap { session: open.session, have: open.op.epoch });
        }
    }

    /// The PG can serve: what waited for that goes on.
    pub(crate) fn admit_waiting(&mut self, turn: &mut Turn<'_>) {
        if self.peering.stage != Stage::Active {
            return;
        }
        for open in std::mem::take(&mut self.writes.waiting) {
            self.begin_op(open, turn);
        }
    }

    /// Begins an operation of the group's own on an object: nobody is answered, and it is not repeated after the
    /// interval's end.
    pub(crate) fn begin_own(&mut self, object: &ObjectId, op: ClientOp, turn: &mut Turn<'_>) {
        let open = OpenOp { arrival: self.writes.arrival_next, session: SessionId::OWN, op: Box::new(op) };
        self.writes.arrival_next += 1;
        self.writes.objects.entry(object.clone()).or_default().waiting.push_back(open);
        self.pump(object, turn);
    }

    fn begin_op(&mut self, open: OpenOp, turn: &mut Turn<'_>) {
        let (name, hash) = match &open.op.target {
            OpTarget::Object { name, hash } => (name.clone(), *hash),
            OpTarget::Pg => {
                match open.op.ops.as_slice() {
                    [SubOp::MarkUnfoundLost(fate)] => self.give_up_unfound(open.clone(), *fate, turn),
                    _ => self.begin_list(open, turn),
                }
                return;
            }
        };
        if let Err(error) = check_op(&open.op) {
            self.reply(&open, Err(OpFailure { error, step: None }), turn);
            return;
        }
        let object = ObjectId::head(self.pg.pool, hash, name);
        // Nobody waits for the object to say that a watcher has heard.
        if open.op.ops.iter().all(|step| matches!(step, SubOp::NotifyAcknowledge { .. })) {
            self.hear_acknowledgement(&open, turn);
            return;
        }
        if self.is_repeat(&open, &object, turn) {
            return;
        }
        // A snapshot that was removed never comes back, so this need not be remembered either. What was done before it was
        // removed has been done.
        let is_known = self.known_outcome(open.op.request).is_some();
        if !is_known && let Err(error) = self.check_not_removed(&open.op) {
            self.reply(&open, Err(OpFailure { error, step: None }), turn);
            return;
        }
        self.writes.objects.entry(object.clone()).or_default().waiting.push_back(open);
        self.pump(&object, turn);
    }

    /// DESIGN section 6, invariant 4: a repeat is attached to the first attempt while that has no answer, and gets its answer
    /// afterwards.
    pub(crate) fn is_repeat(&mut self, open: &OpenOp, object: &ObjectId, turn: &mut Turn<'_>) -> bool {
        let request = open.op.request;
        if let Some(queue) = self.writes.objects.get_mut(object)
            && let Some(known) = queue.waiting.iter_mut().find(|known| known.op.request == request)
        {
            known.session = open.session;
            return true;
        }
        if let Some(read) = self.writes.reads.values_mut().find(|read| read.open.op.request == request) {
            read.open.session = open.session;
            return true;
        }
        if let Some(known) = self.watches.find_open(request) {
            known.session = open.session;
            return true;
        }
        if planted(Bug::RequestsForgotten) {
            return false;
        }
        if let Some(version) = self.writes.in_flight_requests.get(&request) {
            let write = self.writes.in_flight.iter_mut().find(|write| write.replicate.version == *version);
            write.expect("a request in flight belongs to a write in flight").open.session = open.session;
            return true;
        }
        let Some(known) = self.known_outcome(request) else { return false };
        // Decision 0062: an answer promises the copies of a write, not its log entry alone. It waits in the object's queue.
        if known.failure.is_none() && !self.is_writable(object) && !planted(Bug::RepeatAnsweredByLog) {
            return false;
        }
        self.reply(open, answer_again(known, open.op.ops.len()), turn);
        true
    }

    /// What became of the request, as far as the log and the memory of answers reach.
    fn known_outcome(&self, request: RequestId) -> Option<RequestOutcome> {
        if planted(Bug::RequestsForgotten) {
            return None;
        }
        let in_log = self.log.entry_of_request(request).and_then(outcome_of);
        let known = in_log.or_else(|| self.remembered.get(request).cloned());
        known.filter(|known| known.failure.is_none() || !planted(Bug::FailedWritesForgotten))
    }

    /// Begins what can begin on the object, in order.
    pub(crate) fn pump(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
        if object.is_clone() {
            return self.pump(&object.head_of_name(), turn);
        }
        while self.begin_next(object, turn) {}
        if self.writes.objects.get(object).is_some_and(super::ObjectQueue::is_idle) {
            self.writes.objects.remove(object);
        }
    }

    /// Everything that waits for something other than its object: space, a flag of the map.
    pub(crate) fn pump_all(&mut self, turn: &mut Turn<'_>) {
        let objects: Vec<ObjectId> = self.writes.objects.keys().cloned().collect();
        for object in objects {
            self.pump(&object, turn);
        }
    }

    /// Begins the operation in front, if it can begin. Says whether there may be a next one.
    fn begin_next(&mut self, object: &ObjectId, turn: &mut Turn<'_>) -> bool {
        if self.peering.stage != Stage::Active || self.map.flags.contains(map::ClusterFlags::PAUSE) {
            return false;
        }
        let Some(queue) = self.writes.objects.get(object) else { return false };
        let Some(front) = queue.waiting.front() else { return false };
        if queue.loading {
            return false;
        }
        if writes(&front.op) { self.begin_write(object, turn) } else { self.begin_read(object, turn) }
    }

    fn begin_write(&mut self, object: &ObjectId, turn: &mut Turn<'_>) -> bool {
        let Some(queue) = self.writes.objects.get(object) else { return false };
        let Some(front) = queue.waiting.front() else { return false };
        if self.must_put_trim_off(front) {
            self.put_trim_off();
            return self.pop_waiting(object).is_some();
        }
        if queue.reads > 0 {
            return false;
        }
        let unwritable = self.unwritable(object, &front.op);
        if !unwritable.is_empty() {
            self.recovery.wanted.extend(unwritable);
            return false;
        }
        let Some(front) = queue.waiting.front() else { return false };
        let is_own = front.session == SessionId::OWN;
        if let Some(known) = self.known_outcome(front.op.request).filter(|_| !is_own) {
            let Some(open) = self.pop_waiting(object) else { return false };
            self.reply(&open, answer_again(known, open.op.ops.len()), turn);
            return true;
        }
        if self.is_held_by_scrub(object) && !self.preempt_scrub(turn.now) {
            return false;
        }
        let Some(queue) = self.writes.objects.get(object) else { return false };
        let Some(front) = queue.waiting.front() else { return false };
        if self.is_full() && takes_space(&front.op) {
            if !front.op.flags.contains(OpFlags::FULL_TRY) {
                return false;
            }
            let error = Error::full(format!("the devices or the quota of pool {} are full", self.pg.pool));
            let Some(open) = self.pop_waiting(object) else { return false };
            self.reply(&open, Err(OpFailure { error, step: None }), turn);
            return true;
        }
        if self.find_candidates(object, turn) {
            return false;
        }
        let Some(queue) = self.writes.objects.get(object) else { return false };
        let Some(front) = queue.waiting.front() else { return false };
        let none = Candidates::new();
        let mut asked =
            reads_of(object, &front.op.ops, queue.state.is_some(), queue.candidates.as_ref().unwrap_or(&none));
        let is_absent = queue.state.as_ref().is_none_or(|state| state.existing.is_none());
        if is_absent && self.has_snapshots(&front.op) {
            asked.push((None, newer_clones(object, self.context_of(&front.op, 0).sequence)));
        }
        let calls = ClassCalls::of(object, &front.op, queue.state.as_ref());
        if !asked.is_empty() || calls.is_some() {
            let reads = asked.iter().map(|(_, read)| read.clone()).collect();
            if let Some(queue) = self.writes.objects.get_mut(object) {
                queue.loading = true;
                queue.asked = asked;
            }
            self.read_and_call(reads, calls, Pending::WriteLoad(object.clone()), turn);
            return false;
        }
        let state = queue.state.clone().unwrap_or_default();
        let candidates = queue.candidates.clone().unwrap_or_default();
        let Some(open) = self.pop_waiting(object) else { return false };
        self.execute_write(open, object, Loaded { state, candidates, ..Loaded::default() }, turn);
        true
    }

    /// What must be recovered, or have arrived, before the write in front may begin.
    fn unwritable(&self, object: &ObjectId, op: &ClientOp) -> Vec<ObjectId> {
        if rollback_of(&op.ops).is_some() || is_trim(&op.ops) {
            return self.unwritable_of_name(object);
        }
        if self.is_writable(object) { Vec::new() } else { vec![object.clone()] }
    }

    fn begin_read(&mut self, object: &ObjectId, turn: &mut Turn<'_>) -> bool {
        let Some(queue) = self.writes.objects.get(object) else { return false };
        if queue.in_flight > 0 && !planted(Bug::ReadDuringWrite) {
            return false;
        }
        let Some(front) = queue.waiting.front() else { return false };
        let looks_at_clones =
            front.op.snapshot != SnapshotId::HEAD || matches!(front.op.ops[..], [SubOp::ListSnapshots { .. }]);
        if looks_at_clones {
            let missing = self.missing_of_name(object);
            if !missing.is_empty() {
                self.recovery.wanted.extend(missing);
                return false;
            }
        } else if self.missing.contains(object) && !planted(Bug::MissingObjectRead) {
            self.recovery.wanted.insert(object.clone());
            return false;
        }
        let Some(open) = self.pop_waiting(object) else { return false };
        if let Some(queue) = self.writes.objects.get_mut(object) {
            queue.reads += 1;
        }
        let arrival = open.arrival;
        let (object, source, listed) = (object.clone(), object.clone(), Vec::new());
        self.writes.reads.insert(arrival, ActiveRead { open, object, source, listed, outcome: None });
        if looks_at_clones {
            self.find_snapshot(arrival, turn);
        } else {
            self.load_read(arrival, turn);
        }
        true
    }

    /// Asks for what a read wants of the object that it has found.
    pub(crate) fn load_read(&mut self, arrival: u64, turn: &mut Turn<'_>) {
        let Some(read) = self.writes.reads.get(&arrival) else { return };
        let reads = reads_of(&read.source, &read.open.op.ops, false, &Candidates::new());
        let reads = reads.into_iter().map(|(_, read)| read).collect();
        let calls = ClassCalls::of(&read.source, &read.open.op, None);
        self.read_and_call(reads, calls, Pending::ReadLoad(arrival), turn);
    }

    pub(crate) fn pop_waiting(&mut self, object: &ObjectId) -> Option<OpenOp> {
        let queue = self.writes.objects.get_mut(object)?;
        queue.candidates = None;
        queue.waiting.pop_front()
    }

    /// The store has answered what a write must look at.
    pub(crate) fn continue_write(
        &mut self,
        object: &ObjectId,
        results: Vec<types::Result<StoreReadResult>>,
        outcomes: CallOutcomes,
        turn: &mut Turn<'_>,
    ) {
        let Some(queue) = self.writes.objects.get_mut(object) else { return };
        queue.loading = false;
        let asked = std::mem::take(&mut queue.asked);
        // A copy is replaced when nothing is on its way to it: the write before this one wakes it.
        let is_awaited = queue.in_flight > 0;
        if let Some(damaged) = damaged_object(&asked, &results)
            && (is_awaited || self.fetch_instead(&damaged, &results, turn))
        {
            return;
        }
        let Some(queue) = self.writes.objects.get(object) else { return };
        // A scan may have begun to copy the object meanwhile: then the write begins anew afterwards.
        let is_writable = queue.waiting.front().is_some_and(|front| self.unwritable(object, &front.op).is_empty());
        let (known, candidates) = (queue.state.clone(), queue.candidates.clone().unwrap_or_default());
        if is_writable && let Some(open) = self.pop_waiting(object) {
            match Loaded::new(&asked, results, known, outcomes) {
                Ok(loaded) => self.execute_write(open, object, Loaded { candidates, ..loaded }, turn),
                // What the store cannot read is the same at a repeat; nothing took effect.
                Err(error) => {
                    if is_trim(&open.op.ops) {
                        tracing::warn!(pg = %self.pg, %object, %error, "cannot read a clone that is to be trimmed");
                        self.leave_trim();
                    }
                    self.reply(&open, Err(OpFailure { error, step: None }), turn);
                }
            }
        }
        self.pump(object, turn);
    }

    /// Whether a write could find no room: here, at any member that must commit it, or in the pool's quota.
    fn is_full(&self) -> bool {
        let pool = self.map.pools.get(&self.pg.pool);
        let is_member_full = |osd: OsdId| self.peers.get(&osd).is_some_and(|peer| peer.fullness == Fullness::Full);
        self.fullness == Fullness::Full
            || self.others_acting().chain(self.backfill_targets()).any(is_member_full)
            || pool.is_some_and(|pool| pool.flags.contains(map::PoolFlags::FULL_QUOTA))
    }

    /// A member says how full its device is.
    pub(crate) fn hear_space(&mut self, from: OsdId, fullness: Fullness, turn: &mut Turn<'_>) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        if std::mem::replace(&mut peer.fullness, fullness) == Fullness::Full && fullness != Fullness::Full {
            self.pump_all(turn);
        }
    }

    pub(crate) fn handle_fullness(&mut self, fullness: Fullness, turn: &mut Turn<'_>) {
        self.fullness = fullness;
        self.is_space_told |= fullness != Fullness::Room;
        // What is on its way here meanwhile goes into the part of the device that is kept for it.
        if let Some(primary) = self.interval.primary.filter(|_| self.peering.is_replica()) {
            self.send(primary, PgBody::Space { fullness }, turn);
        }
        self.pump_all(turn);
        self.grant_reservation(turn);
    }

    pub(crate) fn handle_session_closed(&mut self, session: SessionId) {
        // Reads of nobody need not be done. Writes have begun to count: their client asks again over another session.
        self.lose_watchers(session);
        self.writes.waiting.retain(|open| open.session != session || writes(&open.op));
    }

    pub(crate) fn reply(&self, open: &OpenOp, outcome: Result<OpSuccess, OpFailure>, turn: &mut Turn<'_>) {
        if open.session == SessionId::OWN {
            return;
        }
        let reply = ClientReply { request: open.op.request, epoch: self.map.epoch(), outcome };
        turn.act(Action::Reply { session: open.session, reply: Box::new(reply) });
    }
}

/// The first answer, as far as it is remembered.
fn answer_again(known: RequestOutcome, steps: usize) -> Result<OpSuccess, OpFailure> {
    if let Some(failure) = known.failure {
        return Err(failure);
    }
    let mut results = vec![SubOpResult::Done; steps];
    for (step, output) in known.outputs {
        if let Some(result) = usize::try_from(step).ok().and_then(|step| results.get_mut(step)) {
            *result = SubOpResult::Data(output);
        }
    }
    Ok(OpSuccess { version: known.version, user_version: known.user_version, results })
}

/// What is wrong with the operation itself, whatever the object is: the same at every repeat, so it need not be remembered.
fn check_op(op: &ClientOp) -> Result<(), Error> {
    check_snapshots(op)?;
    if op.ops.is_empty() {
        return Err(Error::invalid("an operation has at least one step"));
    }
    if op.ops.iter().any(SubOp::is_of_pg) {
        return Err(Error::invalid("such a step is asked of a placement group, not of an object"));
    }
    let notifies = |step: &SubOp| matches!(step, SubOp::Notify { .. });
    if op.ops.len() > 1 && op.ops.iter().any(notifies) {
        return Err(Error::invalid("a notification is the only step of its operation"));
    }
    let acknowledges = |step: &SubOp| matches!(step, SubOp::NotifyAcknowledge { .. });
    if op.ops.iter().any(acknowledges) && !op.ops.iter().all(acknowledges) {
        return Err(Error::invalid("acknowledgements of notifications stand among themselves"));
    }
    Ok(())
}

/// The question for clones newer than a write's snapshots, of an object that does not exist: who made those knew of newer
/// snapshots, and no number is given twice.
fn newer_clones(object: &ObjectId, sequence: u64) -> StoreRead {
    let first = ObjectId { generation: 0, ..object.at_snapshot(SnapshotId(sequence.saturating_add(1))) };
    StoreRead::List {
        begin: Cursor::Before(first),
        end: Cursor::Before(object.clone()),
        objects_max: limits::SCAN_PAGE_OBJECTS,
    }
}

/// Which object it is that the store cannot read.
fn damaged_object(
    asked: &[(Option<usize>, StoreRead)],
    results: &[Result<StoreReadResult, Error>],
) -> Option<ObjectId> {
    let mut pairs = asked.iter().zip(results);
    let (_, read) = pairs.find(|(_, result)| is_damaged(std::slice::from_ref(result)))?.0;
    match read {
        StoreRead::Meta { object }
        | StoreRead::Data { object, .. }
        | StoreRead::Extents { object, .. }
        | StoreRead::Omap { object, .. }
        | StoreRead::OmapKeys { object, .. } => Some(object.clone()),
        StoreRead::List { .. } => None,
    }
}

/// Whether the operation may need more space than it frees.
fn takes_space(op: &ClientOp) -> bool {
    let frees = |step: &SubOp| {
        matches!(
            step,
            SubOp::Remove
                | SubOp::Truncate(_)
                | SubOp::RemoveXattr(_)
                | SubOp::ClearXattrs
                | SubOp::Unwatch { .. }
                | SubOp::OmapRemoveKeys(_)
                | SubOp::OmapRemoveRange(..)
                | SubOp::OmapClear
                | SubOp::TrimClone { .. }
        )
    };
    !op.ops.iter().filter(|step| may_change(step)).all(frees)
}
