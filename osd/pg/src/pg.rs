//! The machine: its state, its ways in, and what every event ends with.
//!
//! Owns: everything of one member of one placement group. The parts are cut by what happens: `peering` agrees on
//! history, `write` and `read` serve clients, `recovery` makes copies, `stray` lets copies go.
//!
//! Invariants, asserted by name in `invariants.rs`
//! 1. A write is acknowledged only when every member that serves has it durable.
//! 2. Only the acting primary serves, and only after somebody of every past interval that may have written was heard.
//! 3. Reads leave only under a lease of the whole acting set.
//! 4. A request takes effect at most once.
//! 5. Writes of one object take effect, and are answered, in order.
//! 6. Log, missing set and account agree with each other.
//! 7. An object that is being copied is not written.
//!
//! After a crash: `Pg::open` rebuilds everything from [`StoredPg`]; nothing in flight survives, and clients ask again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use map::PublishedMap;
use types::{
    Cursor, Epoch, Error, LogVersion, ObjectId, OsdId, PgId, PgRange, Result, StoreOp, StoreRead, Time, Transaction,
    simulation::{Bug, planted, visit},
};
use wire::{PgBody, PgInfo, PgMessage};

use crate::{
    Action, AfterCommit, CallOutcomes, Checks, ClassCalls, Event, Fullness, PgConfig, SessionId, StoredPg, Ticket,
    damage::Damage,
    interval::{Interval, PastIntervals, UpThru},
    lease::Leases,
    log::PgLog,
    missing::Missing,
    peer::Peers,
    peering::{Peering, Stage},
    recovery::{Arrival, Recovery},
    requests::RememberedRequests,
    scrub::Scrub,
    snapshots::trim::Trim,
    statistics::Counters,
    stored::Changes,
    stray::Removal,
    turn::Turn,
    watch::Watches,
    write::Writes,
};

/// Map epochs that may pass before the newest one seen is stored although nothing else is: bounds how many old maps an
/// OSD must keep for its placement groups, at one small write per PG and that many maps.
const EPOCHS_UNSTORED_MAX: u32 = 16;

/// What the answer to a ticket is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pending {
    /// The present interval's beginning, and with it everything before, is durable.
    IntervalStored,
    /// The primary's own activation is durable.
    Activation,
    /// The log up to this version is durable.
    Logged(LogVersion),
    /// What a write must look at.
    WriteLoad(ObjectId),
    /// What a read asked for, by the operation's arrival.
    ReadLoad(u64),
    /// A page of a listing, by the operation's arrival.
    ListLoad(u64),
    /// A part of an object to push.
    PushLoad(ObjectId, OsdId),
    /// A part of an object that somebody pulls.
    PullLoad(Box<crate::recovery::PullRequest>),
    /// A pulled part is durable.
    PulledPart(ObjectId),
    /// Objects of a scan's page.
    ScanList(crate::recovery::ScanOwner),
    /// Their versions.
    ScanMeta(crate::recovery::ScanOwner),
    /// The older version of an object that cannot be found, by the arrival of the order to go back to it.
    RevertLoad(u64),
    /// Which object holds a snapshot that is read, or all of its name, by the operation's arrival.
    SnapshotFind(u64),
    /// What each clone of a listing is, by the operation's arrival.
    SnapshotList(u64),
    /// Which object a rollback goes back to.
    CandidateLoad(ObjectId),
    /// Which clones are trimmed next.
    TrimLook,
    /// Objects of a scrub's next chunk.
    ScrubList(u64),
    /// What a digest of that chunk is made of.
    ScrubDigest(u64),
    /// Objects to remove with the copy.
    RemovalList,
    /// They are gone.
    RemovalBatch,
    /// The copy is gone.
    RemovalLast,
}

/// One member of one placement group.
#[derive(Debug)]
pub struct Pg {
    pub(crate) config: PgConfig,
    pub(crate) pg: PgId,
    pub(crate) map: Arc<PublishedMap>,
    pub(crate) interval: Interval,
    pub(crate) interval_began: Time,
    /// The oldest map by which a client may have chosen its target, so that it would choose the same today.
    pub(crate) clients_since: Epoch,

    // Durable, as of the last commit asked for.
    pub(crate) info: PgInfo,
    pub(crate) past: PastIntervals,
    pub(crate) log: PgLog,
    pub(crate) missing: Missing,
    pub(crate) remembered: RememberedRequests,
    pub(crate) changes: Changes,
    pub(crate) info_changed: bool,
    pub(crate) epoch_stored: Epoch,

    // Of this interval.
    pub(crate) peering: Peering,
    pub(crate) peers: Peers,
    pub(crate) leases: Leases,
    pub(crate) writes: Writes,
    pub(crate) recovery: Recovery,
    pub(crate) damage: Damage,
    pub(crate) removal: Option<Removal>,
    pub(crate) watches: Watches,

    pub(crate) trim: Trim,

    // Partly durable, partly of this interval.
    pub(crate) scrub: Scrub,

    // Of this life of the process.
    pub(crate) fullness: Fullness,
    /// Whether this device was not `Room` at any time since the PG was opened, so that primaries are told.
    pub(crate) is_space_told: bool,
    pub(crate) counters: Counters,
    pub(crate) retry_at: Time,
    pub(crate) tickets: BTreeMap<Ticket, Pending>,
    pub(crate) ticket_next: u64,
}

impl Pg {
    /// A member that has nothing stored yet: the first map that names this OSD for the PG.
    /// `before` is the epoch of the map that the OSD had before this one, zero when it had none: by every later one a
    /// client may have chosen, and nothing that it sent then has been turned away here.
    pub fn create(
        config: PgConfig,
        pg: PgId,
        map: Arc<PublishedMap>,
        before: Epoch,
        now: Time,
        actions: &mut Vec<Action>,
    ) -> Self {
        let mut info = PgInfo::empty(pg);
        // The epoch this copy was made in, until the first activation puts the PG's own there: it tells since when the
        // copy can testify (see `interval::testimony`).
        info.history.epoch_created = map.epoch();
        let grants_end = now;
        let mut this = Self::bare(config, pg, map.clone(), info, now, grants_end);
        let mut turn = Turn { now, actions };
        match Interval::of(&map, pg) {
            Some(interval) => this.begin_interval(interval, &mut turn),
            None => this.begin_removal(&mut turn),
        }
        this.clients_since = before.next().min(map.epoch());
        this.finish_event(&mut turn);
        this
    }

    /// A member after a restart, as its store left it. `map` is the map of the epoch in `stored`; every later map
    /// follows in order as [`Event::NewMap`].
    pub fn open(
        config: PgConfig,
        pg: PgId,
        stored: StoredPg,
        map: Arc<PublishedMap>,
        now: Time,
        actions: &mut Vec<Action>,
    ) -> Result<Self> {
        if stored.gone {
            return Ok(Self::open_gone(config, pg, map, now, actions));
        }
        let info = stored.info.ok_or_else(|| Error::damaged("the placement group has no account of itself"))?;
        // What was granted before the restart is forgotten; a whole grant may be outstanding (FOUNDATIONS 11).
        let outstanding = if planted(Bug::LeaseForgottenAtStart) { Duration::ZERO } else { config.prior_lease };
        let grants_end = now + outstanding;
        let mut this = Self::bare(config, pg, map.clone(), info, now, grants_end);
        this.past = PastIntervals::new(if planted(Bug::PastForgottenAtStart) { Vec::new() } else { stored.past });
        this.log = PgLog::new(this.info.log_tail, stored.log);
        if !planted(Bug::MissingForgottenAtStart) {
            this.missing = Missing::new(stored.missing);
        }
        if !planted(Bug::AnswersForgottenAtStart) {
            this.remembered = RememberedRequests::new(stored.requests);
        }
        this.recovery.forgotten_parts = stored.temporary;
        this.scrub = Scrub::new(stored.scrub, stored.inconsistent);
        if this.log.head() != this.info.last_update {
            return Err(Error::damaged(format!(
                "the log ends at {} and the account of the placement group says {}",
                this.log.head(),
                this.info.last_update
            )));
        }
        let mut turn = Turn { now, actions };
        match Interval::of(&map, pg) {
            Some(mut interval) => {
                // The interval may have begun before the map that is given, never after what was stored of it.
                let since = this.info.history.same_interval_since;
                if since > Epoch::ZERO && since <= interval.since {
                    interval.since = since;
                }
                this.begin_interval(interval, &mut turn);
            }
            None => this.begin_removal(&mut turn),
        }
        this.finish_event(&mut turn);
        Ok(this)
    }

    /// The removal of a copy goes on.
    fn open_gone(config: PgConfig, pg: PgId, map: Arc<PublishedMap>, now: Time, actions: &mut Vec<Action>) -> Self {
        let mut this = Self::bare(config, pg, map.clone(), PgInfo::empty(pg), now, now);
        if let Some(interval) = Interval::of(&map, pg) {
            this.interval = interval;
        }
        let mut turn = Turn { now, actions };
        this.begin_removal(&mut turn);
        this.finish_event(&mut turn);
        this
    }

    fn bare(config: PgConfig, pg: PgId, map: Arc<PublishedMap>, info: PgInfo, now: Time, grants_end: Time) -> Self {
        let interval = Interval {
            since: map.epoch(),
            up: Vec::new(),
            acting: Vec::new(),
            primary: None,
            up_primary: None,
            size: 0,
            min_size: 0,
            pg_num: pg.seed + 1,
            lives: BTreeMap::new(),
        };
        Self {
            pg,
            map,
            interval,
            interval_began: now,
            clients_since: Epoch::ZERO,
            info,
            past: PastIntervals::default(),
            log: PgLog::default(),
            missing: Missing::default(),
            remembered: RememberedRequests::default(),
            changes: Changes::default(),
            info_changed: true,
            epoch_stored: Epoch::ZERO,
            peering: Peering::default(),
            peers: Peers::new(),
            leases: Leases::new(grants_end),
            writes: Writes::default(),
            recovery: Recovery::default(),
            damage: Damage::default(),
            scrub: Scrub::default(),
            trim: Trim::default(),
            removal: None,
            watches: Watches::default(),
            fullness: Fullness::default(),
            is_space_told: false,
            counters: Counters::default(),
            retry_at: now + config.retry,
            tickets: BTreeMap::new(),
            ticket_next: 1,
            config,
        }
    }

    /// Hears one event and says what shall be done. Never waits, never fails: trouble is an action too.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        visit(|| self.visit_of(&event));
        let mut turn = Turn { now, actions };
        match event {
            Event::NewMap(map) => self.handle_new_map(map, &mut turn),
            Event::ClientOp { session, op } => self.handle_client_op(session, op, &mut turn),
            Event::Peer { from, message } => self.handle_peer(from, *message, &mut turn),
            Event::PeerReset(osd) => self.handle_peer_reset(osd, &mut turn),
            Event::SessionClosed(session) => self.handle_session_closed(session),
            Event::Committed(ticket) => self.handle_committed(ticket, &mut turn),
            Event::ReadDone { ticket, results } => {
                self.handle_read_done(ticket, results, CallOutcomes::new(), &mut turn);
            }
            Event::Called { ticket, results, outcomes } => {
                self.handle_read_done(ticket, results, outcomes, &mut turn);
            }
            Event::LocalReservationGranted => self.handle_local_reservation(&mut turn),
            Event::ScrubPlace(answer) => self.handle_scrub_place(answer, &mut turn),
            Event::Fullness(fullness) => self.handle_fullness(fullness, &mut turn),
            Event::Settings(settings) => self.config.follow(&settings),
            Event::Tick => self.handle_tick(&mut turn),
        }
        self.finish_event(&mut turn);
    }

    /// When the machine wants [`Event::Tick`], if at all.
    pub fn deadline(&self) -> Option<Time> {
        if self.removal.is_some() {
            return None;
        }
        let mut deadline = self.retry_at.min(self.scrub_deadline());
        if self.is_primary() {
            deadline = deadline.min(self.trim_deadline());
            deadline = deadline.min(self.leases.renew_at.unwrap_or(Time::FAR_FUTURE));
            if self.peering.stage == Stage::Active {
                deadline = deadline.min(self.watches.deadline().unwrap_or(Time::FAR_FUTURE));
            }
            // Without the proof there is nothing to wake for: it comes with a map.
            if self.peering.stage == Stage::WaitProof && self.is_proven() {
                deadline = deadline.min(self.peering.readable_after.unwrap_or(Time::FAR_FUTURE));
            }
        }
        Some(deadline)
    }

    /// Whether this member leads by the newest map.
    pub fn is_primary(&self) -> bool {
        self.removal.is_none() && self.interval.primary == Some(self.config.whoami) && self.is_booted()
    }

    /// Whether the map shows this life of the process as up; before that others count on the life before.
    pub(crate) fn is_booted(&self) -> bool {
        let state = self.map.osds.get(&self.config.whoami);
        let is_this_life = |nonce| self.config.nonce.is_none_or(|own| own == nonce) || planted(Bug::UnbootedTakesPart);
        state.is_some_and(|state| state.up && is_this_life(state.nonce))
    }

    /// First epoch of the present interval, as far as this member knows.
    pub fn interval(&self) -> Epoch {
        self.interval.since
    }

    /// The member's account.
    pub fn info(&self) -> &PgInfo {
        &self.info
    }

    /// Which PG this is.
    pub fn id(&self) -> PgId {
        self.pg
    }

    /// The oldest map that this member may need after a restart, or that somebody may need for its history.
    pub fn lowest_needed_epoch(&self) -> Epoch {
        let history = &self.info.history;
        self.epoch_stored.min(history.last_epoch_clean.max(history.epoch_created))
    }

    // Maps and intervals.

    fn handle_new_map(&mut self, map: Arc<PublishedMap>, turn: &mut Turn<'_>) {
        let last = std::mem::replace(&mut self.map, map);
        if self.removal.is_some() {
            return;
        }
        let Some(next) = Interval::of(&self.map, self.pg) else {
            self.begin_removal(turn);
            return;
        };
        let has_jumped = self.map.epoch() > last.epoch().next();
        if has_jumped {
            self.begin_interval_after_jump(next, last.epoch(), turn);
        } else if next.same_as(&self.interval) {
            self.note_map_of_same_interval(turn);
        } else {
            let proof = if planted(Bug::UpThruForgotten) { UpThru::Ignored } else { UpThru::Believed };
            let past = self.interval.clone().into_past(&last, proof);
            if !planted(Bug::PastIntervalDropped) {
                self.past.push(past, self.info.history.last_epoch_started);
            }
            self.begin_interval(next, turn);
        }
        if self.map.epoch().0 - self.epoch_stored.0 >= EPOCHS_UNSTORED_MAX {
            self.note_epoch();
        }
    }

    /// Maps were skipped, since the monitors do not have them any more. Whatever may have happened in their epochs, this member
    /// knows nothing of it: its past begins now, and as primary it waits for somebody whose past reaches back far enough.
    fn begin_interval_after_jump(&mut self, interval: Interval, last: Epoch, turn: &mut Turn<'_>) {
        let is_same = interval.same_for_clients(&self.interval);
        self.past.clear();
        self.begin_interval(interval, turn);
        // What clients sent by the skipped maps has waited for this one, in their order; nothing of it was turned away.
        if !is_same {
            self.clients_since = last.next();
        }
    }

    fn note_epoch(&mut self) {
        self.epoch_stored = self.map.epoch();
        self.changes.put_epoch(self.epoch_stored);
    }

    /// Everything that belonged to the interval before ends here.
    fn begin_interval(&mut self, interval: Interval, turn: &mut Turn<'_>) {
        let history = &mut self.info.history;
        if interval.up != self.interval.up || history.same_up_since == Epoch::ZERO {
            history.same_up_since = interval.since;
        }
        if interval.primary != self.interval.primary || history.same_primary_since == Epoch::ZERO {
            history.same_primary_since = interval.since;
        }
        history.same_interval_since = interval.since;
        if !interval.same_for_clients(&self.interval) {
            self.clients_since = interval.since;
        }
        self.interval = interval;
        self.interval_began = turn.now;
        self.tickets.clear();
        self.peers.clear();
        self.peering = Peering::default();
        self.leases.end_interval();
        let mut open_ops = self.writes.take_open_ops();
        open_ops.extend(self.watches.take_open_ops());
        open_ops.sort_by_key(|open| open.arrival);
        // What the group wanted of itself it wants again when there is still a reason.
        open_ops.retain(|open| open.session != SessionId::OWN);
        self.trim = Trim::default();
        self.watches.begin_interval(turn.now, self.is_primary());
        let mut transaction = Transaction::new();
        self.abandon_recovery(&mut transaction, turn);
        self.damage = Damage::default();
        self.end_scrub_interval(turn);
        self.place_open_ops(open_ops, turn);
        self.changes.put_past(self.past.list());
        self.info_changed = true;
        self.note_epoch();
        // An account is given only of what is durable: nobody may build on what a crash here could take away.
        let then = match self.interval.primary {
            Some(primary) if primary != self.config.whoami && self.is_booted() => {
                let body = self.own_account(turn.now);
                if planted(Bug::AccountBeforeCommit) {
                    self.send(primary, body.clone(), turn);
                }
                vec![AfterCommit::Send { to: primary, message: self.message(body) }]
            }
            _ => Vec::new(),
        };
        self.commit(transaction, Pending::IntervalStored, then, turn);
        self.retry_at = turn.now + self.config.retry;
    }

    // The store.

    pub(crate) fn ticket(&mut self, pending: Pending) -> Ticket {
        let ticket = Ticket(self.ticket_next);
        self.ticket_next += 1;
        self.tickets.insert(ticket, pending);
        ticket
    }

    /// Asks for a commit of these changes together with all changes of what the PG keeps of itself.
    pub(crate) fn commit(
        &mut self,
        mut transaction: Transaction,
        pending: Pending,
        then: Vec<AfterCommit>,
        turn: &mut Turn<'_>,
    ) {
        self.write_changes(&mut transaction);
        let ticket = self.ticket(pending);
        turn.act(Action::Commit { ticket, transaction, then });
    }

    fn write_changes(&mut self, transaction: &mut Transaction) {
        if self.info_changed {
            self.info_changed = false;
            self.info.last_update = self.log.head();
            self.info.log_tail = self.log.tail();
            self.info.last_complete = self.missing.complete_to(&self.log);
            self.changes.put_info(&self.info);
        }
        self.changes.write_into(self.pg, transaction);
    }

    pub(crate) fn read(&mut self, reads: Vec<StoreRead>, pending: Pending, turn: &mut Turn<'_>) {
        let ticket = self.ticket(pending);
        turn.act(Action::Read { ticket, reads });
    }

    /// Asks for what an operation must look at: the store's answers, and its class methods run beside the object.
    pub(crate) fn read_and_call(
        &mut self,
        reads: Vec<StoreRead>,
        calls: Option<Box<ClassCalls>>,
        pending: Pending,
        turn: &mut Turn<'_>,
    ) {
        let ticket = self.ticket(pending);
        turn.act(match calls {
            Some(calls) => Action::Call { ticket, reads, calls },
            None => Action::Read { ticket, reads },
        });
    }

    fn handle_committed(&mut self, ticket: Ticket, turn: &mut Turn<'_>) {
        let Some(pending) = self.tickets.remove(&ticket) else { return };
        match pending {
            Pending::IntervalStored => self.peering.interval_stored = true,
            Pending::Activation => self.note_own_activation(),
            Pending::Logged(version) => self.note_own_commit(version, turn),
            Pending::PulledPart(object) => self.continue_pull(&object, turn),
            Pending::RemovalBatch => self.continue_removal(turn),
            Pending::RemovalLast => turn.act(Action::Removed),
            Pending::WriteLoad(_)
            | Pending::ReadLoad(_)
            | Pending::ListLoad(_)
            | Pending::PushLoad(..)
            | Pending::PullLoad(_)
            | Pending::ScanList(_)
            | Pending::ScanMeta(_)
            | Pending::RevertLoad(_)
            | Pending::SnapshotFind(_)
            | Pending::SnapshotList(_)
            | Pending::CandidateLoad(_)
            | Pending::TrimLook
            | Pending::ScrubList(_)
            | Pending::ScrubDigest(_)
            | Pending::RemovalList => unreachable!("a ticket of a question is answered by `ReadDone`"),
        }
    }

    fn handle_read_done(
        &mut self,
        ticket: Ticket,
        results: Vec<Result<types::StoreReadResult>>,
        outcomes: CallOutcomes,
        turn: &mut Turn<'_>,
    ) {
        let Some(pending) = self.tickets.remove(&ticket) else { return };
        match pending {
            Pending::WriteLoad(object) => self.continue_write(&object, results, outcomes, turn),
            Pending::ReadLoad(arrival) => self.continue_read(arrival, results, outcomes, turn),
            Pending::ListLoad(arrival) => self.continue_list(arrival, results, turn),
            Pending::PushLoad(object, target) => self.continue_push(&object, target, results, turn),
            Pending::PullLoad(request) => self.answer_pull(*request, results, turn),
            Pending::ScanList(owner) => self.continue_scan(owner, results, turn),
            Pending::ScanMeta(owner) => self.finish_scan(owner, results, turn),
            Pending::RemovalList => self.remove_listed(results, turn),
            Pending::SnapshotFind(arrival) => self.continue_find(arrival, results, turn),
            Pending::SnapshotList(arrival) => self.continue_snapshot_list(arrival, results, turn),
            Pending::CandidateLoad(object) => self.continue_candidates(&object, results, turn),
            Pending::TrimLook => self.continue_trim(results, turn),
            Pending::RevertLoad(arrival) => self.continue_revert(arrival, results, turn),
            Pending::ScrubList(number) => self.continue_chunk_listing(number, results, turn.now),
            Pending::ScrubDigest(number) => self.continue_digests(number, results, turn),
            Pending::IntervalStored
            | Pending::Activation
            | Pending::Logged(_)
            | Pending::PulledPart(_)
            | Pending::RemovalBatch
            | Pending::RemovalLast => unreachable!("a ticket of a commit is answered by `Committed`"),
        }
    }

    // Messages.

    pub(crate) fn message(&self, body: PgBody) -> Box<PgMessage> {
        Box::new(PgMessage { pg: self.pg, epoch: self.map.epoch(), interval: self.interval.since, body })
    }

    pub(crate) fn send(&self, to: OsdId, body: PgBody, turn: &mut Turn<'_>) {
        turn.act(Action::Send { to, message: self.message(body) });
    }

    fn handle_peer(&mut self, from: OsdId, message: PgMessage, turn: &mut Turn<'_>) {
        // The sets did not change since the sender's map, or the message is of an interval that has ended.
        let is_old = message.epoch < self.interval.since && !planted(Bug::OldMessagesHeard);
        let is_current = !is_old && message.epoch <= self.map.epoch();
        if self.removal.is_some() {
            if is_current && matches!(message.body, PgBody::QueryInfo) {
                self.send(from, Self::absent_account(self.pg), turn);
            }
            return;
        }
        if !is_current || !self.map.is_up(from) || !self.is_booted() {
            return;
        }
        if self.is_primary() {
            self.handle_from_member(from, message.body, turn);
        } else if self.interval.primary == Some(from) {
            self.handle_from_primary(from, message.body, turn);
        }
    }

    /// To the primary.
    fn handle_from_member(&mut self, from: OsdId, body: PgBody, turn: &mut Turn<'_>) {
        match body {
            PgBody::Info { info, past_intervals, lease_remaining } => {
                self.hear_info(from, info, &past_intervals, lease_remaining, turn);
            }
            PgBody::Log { info, log, missing } => self.hear_log(from, info, &log, missing, turn),
            PgBody::Activated { info, missing } => self.hear_activated(from, info, missing, turn),
            PgBody::Replicated { version } => self.hear_replicated(from, version, turn),
            PgBody::Space { fullness } => self.hear_space(from, fullness, turn),
            PgBody::ReplicateGap { have } => self.resend_writes(from, have, turn),
            PgBody::LeaseGrant { sent_nanoseconds, duration } => {
                self.hear_grant(from, Time::from_nanoseconds(sent_nanoseconds), duration, turn);
            }
            PgBody::Push(chunk) => self.hear_push(from, Arrival::whole(*chunk), turn),
            PgBody::PushChanges(changed) => self.hear_push(from, Arrival::changes(*changed), turn),
            PgBody::ChangesUnusable { object, version } => self.hear_changes_unusable(from, &object, version, turn),
            PgBody::Pushed { object, version, data_offset, omap_after, complete } => {
                self.hear_pushed(from, &object, version, data_offset, omap_after, complete, turn);
            }
            PgBody::PullFailed { object, version } => self.hear_pull_failed(from, &object, version, turn),
            PgBody::BackfillScanned(page) => self.hear_scanned(from, page),
            PgBody::BackfillProgressed { cursor } => self.hear_progressed(from, &cursor),
            PgBody::ReservationGrant => self.hear_reservation_grant(from, turn),
            PgBody::ScrubReserved { granted } => self.hear_scrub_reserved(from, granted, turn),
            PgBody::ScrubDigests { number, end, objects } => self.hear_scrub_digests(from, number, end, objects),
            PgBody::ScrubMarked { object, version, taken } => self.hear_scrub_marked(from, &object, version, taken),
            PgBody::ScrubNote(record) => self.hear_scrub_record(record),
            // Only a primary says these; the sender's view of who leads is not ours and will be corrected by its map.
            PgBody::QueryInfo
            | PgBody::QueryLog { .. }
            | PgBody::Activate(_)
            | PgBody::Replicate(_)
            | PgBody::LeaseRequest { .. }
            | PgBody::Pull { .. }
            | PgBody::BackfillScan { .. }
            | PgBody::BackfillProgress { .. }
            | PgBody::ReservationRequest { .. }
            | PgBody::ReservationRelease
            | PgBody::Clean { .. }
            | PgBody::ScrubReserve
            | PgBody::ScrubRelease
            | PgBody::ScrubChunk { .. }
            | PgBody::ScrubMark { .. }
            | PgBody::RemoveStray => {}
        }
    }

    /// From the primary.
    fn handle_from_primary(&mut self, from: OsdId, body: PgBody, turn: &mut Turn<'_>) {
        match body {
            PgBody::QueryInfo => self.answer_info(from, turn),
            PgBody::QueryLog { since } => self.answer_log(from, since, turn),
            PgBody::Activate(order) => self.handle_activate(from, *order, turn),
            PgBody::Replicate(write) => self.handle_replicate(from, *write, turn),
            PgBody::LeaseRequest { sent_nanoseconds, duration, .. } => {
                self.grant_lease(from, sent_nanoseconds, duration, turn);
            }
            PgBody::Pull { object, version, data_offset, omap_after, have } => {
                self.handle_pull(from, object, version, data_offset, omap_after, have, turn);
            }
            PgBody::Push(chunk) => self.hear_push(from, Arrival::whole(*chunk), turn),
            PgBody::PushChanges(changed) => self.hear_push(from, Arrival::changes(*changed), turn),
            PgBody::BackfillScan { begin, objects_max } => self.handle_scan(from, begin, objects_max, turn),
            // The counts in it are for whoever looks at the wire: this copy's come with the writes.
            PgBody::BackfillProgress { cursor, .. } => self.handle_backfill_progress(from, cursor, turn),
            PgBody::ReservationRequest { source } => self.handle_reservation_request(from, source, turn),
            PgBody::ReservationRelease => self.handle_reservation_release(turn),
            PgBody::Clean { info } => self.handle_clean(&info),
            PgBody::RemoveStray => self.handle_remove_stray(turn),
            PgBody::ScrubReserve => self.handle_scrub_reserve(from, turn),
            PgBody::ScrubRelease => self.release_scrub_place(turn),
            PgBody::ScrubChunk { number, begin, end, depth } => {
                self.handle_scrub_chunk(from, number, &begin, &end, depth, turn);
            }
            PgBody::ScrubMark { object, version, deleted } => {
                self.handle_scrub_mark(from, object, version, deleted, turn);
            }
            PgBody::ScrubNote(record) => self.hear_scrub_record(record),
            // Only members say these to a primary.
            PgBody::Info { .. }
            | PgBody::Log { .. }
            | PgBody::Activated { .. }
            | PgBody::Replicated { .. }
            | PgBody::Space { .. }
            | PgBody::ReplicateGap { .. }
            | PgBody::LeaseGrant { .. }
            | PgBody::Pushed { .. }
            | PgBody::PullFailed { .. }
            | PgBody::ChangesUnusable { .. }
            | PgBody::BackfillScanned(_)
            | PgBody::BackfillProgressed { .. }
            | PgBody::ScrubReserved { .. }
            | PgBody::ScrubDigests { .. }
            | PgBody::ScrubMarked { .. }
            | PgBody::ReservationGrant => {}
        }
    }

    fn handle_peer_reset(&mut self, osd: OsdId, turn: &mut Turn<'_>) {
        if self.is_primary() {
            self.repeat_to(osd, turn);
        } else if self.removal.is_none() && self.interval.primary == Some(osd) && !self.peering.is_replica() {
            self.announce(turn);
        }
    }

    // Time.

    fn handle_tick(&mut self, turn: &mut Turn<'_>) {
        if self.removal.is_some() {
            return;
        }
        self.renew_leases(turn);
        self.tick_watches(turn);
        self.expire_scrub_place(turn);
        if turn.now < self.retry_at {
            return;
        }
        if self.is_primary() {
            self.retry_at = turn.now + self.config.retry;
            self.retry(turn);
        } else {
            self.retry_at = turn.now + self.config.stray_announcement;
            if self.peering.is_replica() {
                self.repeat_grant(turn);
            } else {
                self.announce(turn);
            }
        }
    }

    /// Everything that may have become possible, and the commit of what has changed.
    fn finish_event(&mut self, turn: &mut Turn<'_>) {
        if self.removal.is_none() {
            self.progress(turn);
            if self.info_changed || !self.changes.is_empty() {
                let version = self.log.head();
                self.commit(Transaction::new(), Pending::Logged(version), Vec::new(), turn);
            }
        }
        if self.config.checks == Checks::EveryEvent {
            self.assert_invariants();
        }
    }

    fn progress(&mut self, turn: &mut Turn<'_>) {
        if !self.is_primary() {
            return;
        }
        self.progress_peering(turn);
        if self.peering.stage.is_serving() {
            self.progress_recovery(turn);
            self.progress_clean(turn);
            self.progress_scrub(turn);
            self.progress_trim(turn);
        }
    }

    // Shared small questions.

    /// The range of objects that belong to the PG.
    pub(crate) fn range(&self) -> PgRange {
        PgRange::of(self.pg, self.interval.pg_num)
    }

    /// Whether the copy here is, or can become by its log, whole.
    pub(crate) fn is_past_cursor(&self, object: &ObjectId) -> bool {
        self.info.backfill == Cursor::End || self.info.backfill.is_past(object)
    }

    pub(crate) fn others_acting(&self) -> impl Iterator<Item = OsdId> + '_ {
        self.interval.acting_osds().filter(|osd| *osd != self.config.whoami)
    }

    /// Those of the up set that do not act: they are filled by scanning.
    pub(crate) fn backfill_targets(&self) -> impl Iterator<Item = OsdId> + '_ {
        self.interval.up_osds().filter(|osd| *osd != self.config.whoami && !self.interval.is_acting(*osd))
    }

    /// Everyone who must commit a write besides the primary.
    pub(crate) fn write_members(&self) -> Vec<OsdId> {
        self.others_acting().chain(self.backfill_targets()).collect()
    }
}

/// Removes objects, in object order.
pub(crate) fn remove_ops(objects: impl IntoIterator<Item = ObjectId>) -> Transaction {
    Transaction { ops: objects.into_iter().map(|object| StoreOp::Remove { object }).collect() }
}
