//! An operation arrives: is it for us, has it been done already, may its object be used?

use types::{
    Error, ObjectId, OsdId,
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
        let in_log = self.log.entry_of_request(request).and_then(outcome_of);
        if let Some(known) = in_log.or_else(|| self.remembered.get(request).cloned())
            && !(planted(Bug::FailedWritesForgotten) && known.failure.is_some())
        {
            self.reply(open, answer_again(known, open.op.ops.len()), turn);
            return true;
        }
        false
    }

    /// Begins what can begin on the object, in order.
    pub(crate) fn pump(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
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
        let is_writable = self.is_writable(object);
        let Some(queue) = self.writes.objects.get(object) else { return false };
        if queue.reads > 0 {
            return false;
        }
        if !is_writable {
            self.recovery.wanted.insert(object.clone());
            return false;
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
        let reads = reads_of(object, &front.op.ops, queue.state.is_some());
        let calls = ClassCalls::of(object, &front.op, queue.state.as_ref());
        if !reads.is_empty() || calls.is_some() {
            let reads = reads.into_iter().map(|(_, read)| read).collect();
            if let Some(queue) = self.writes.objects.get_mut(object) {
                queue.loading = true;
            }
            self.read_and_call(reads, calls, Pending::WriteLoad(object.clone()), turn);
            return false;
        }
        let state = queue.state.clone().unwrap_or_default();
        let Some(open) = self.pop_waiting(object) else { return false };
        self.execute_write(open, object, &Loaded { state, ..Loaded::default() }, turn);
        true
    }

    fn begin_read(&mut self, object: &ObjectId, turn: &mut Turn<'_>) -> bool {
        let Some(queue) = self.writes.objects.get(object) else { return false };
        if queue.in_flight > 0 && !planted(Bug::ReadDuringWrite) {
            return false;
        }
        if self.missing.contains(object) && !planted(Bug::MissingObjectRead) {
            self.recovery.wanted.insert(object.clone());
            return false;
        }
        let Some(open) = self.pop_waiting(object) else { return false };
        if let Some(queue) = self.writes.objects.get_mut(object) {
            queue.reads += 1;
        }
        let reads = reads_of(object, &open.op.ops, false).into_iter().map(|(_, read)| read).collect();
        let calls = ClassCalls::of(object, &open.op, None);
        self.read_and_call(reads, calls, Pending::ReadLoad(open.arrival), turn);
        self.writes.reads.insert(open.arrival, ActiveRead { open, object: object.clone(), outcome: None });
        true
    }

    fn pop_waiting(&mut self, object: &ObjectId) -> Option<OpenOp> {
        self.writes.objects.get_mut(object)?.waiting.pop_front()
    }

    /// The store has answered what a write must look at.
    pub(crate) fn continue_write(
        &mut self,
        object: &ObjectId,
        results: Vec<types::Result<types::StoreReadResult>>,
        outcomes: CallOutcomes,
        turn: &mut Turn<'_>,
    ) {
        let is_writable = self.is_writable(object);
        let Some(queue) = self.writes.objects.get_mut(object) else { return };
        queue.loading = false;
        if is_damaged(&results) && self.fetch_instead(object, &results, turn) {
            return;
        }
        let Some(queue) = self.writes.objects.get_mut(object) else { return };
        // A scan may have begun to copy the object meanwhile: then the write begins anew afterwards.
        if is_writable && let Some(open) = queue.waiting.pop_front() {
            let known = queue.state.clone();
            let reads = reads_of(object, &open.op.ops, known.is_some());
            match Loaded::new(&reads, results, known, outcomes) {
                Ok(loaded) => self.execute_write(open, object, &loaded, turn),
                // What the store cannot read is the same at a repeat; nothing took effect.
                Err(error) => self.reply(&open, Err(OpFailure { error, step: None }), turn),
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
    if op.snapshot != types::SnapshotId::HEAD {
        return Err(Error::invalid("this pool has no snapshots"));
    }
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
        )
    };
    !op.ops.iter().filter(|step| may_change(step)).all(frees)
}
