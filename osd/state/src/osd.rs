//! The OSD as a whole: one way in, one way out.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use map::{Mapping, PublishedMap};
use osd_pg::{Action as PgAction, AfterCommit, Event as PgEvent, Fullness, Pg, SessionId, Ticket};
use types::{
    BootNonce, Epoch, OsdId, PgId, Result, StoreOp, StoreUsage, Time, Transaction,
    simulation::{Bug, planted},
};
use wire::{
    ControlReply, ControlRequest, FailureEvidence, MapShare, Message, OsdFailure, OsdStatistics, Ping, Pong,
    StatisticsReport,
};

use crate::{
    Action, Event, OsdConfig, Owner, StoredOsd,
    admission::Session,
    groups::Group,
    heartbeat::{Heartbeats, NEIGHBOURS},
    map_gate::MapGate,
    monitor_requests::{MonitorRequests, is_booted},
    reservations::Reservations,
    scrub_places::ScrubPlaces,
    settings::SettingsFollowed,
    verify::{Step, Verifies},
};

/// One OSD daemon.
#[derive(Debug)]
pub struct Osd {
    pub(crate) config: OsdConfig,
    pub(crate) gate: MapGate,
    pub(crate) groups: BTreeMap<PgId, Group>,
    pub(crate) timers: BTreeSet<(Time, PgId)>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) heartbeats: Heartbeats,
    pub(crate) requests: MonitorRequests,
    pub(crate) reservations: Reservations,
    pub(crate) scrub_places: ScrubPlaces,
    pub(crate) verifies: Verifies,
    pub(crate) settings: SettingsFollowed,
    /// Groups that removed themselves during this event.
    pub(crate) removed: Vec<PgId>,
    /// Reused between events.
    pub(crate) pg_actions: Vec<PgAction>,
    /// The newest epoch that a peer was asked for.
    pub(crate) map_wanted: Epoch,
    /// Messages against the protocol, dropped.
    pub(crate) refused_messages: u64,
    /// Messages for which there was no room to wait for a map.
    pub(crate) refused_waiting: u64,
    /// Where every placement group lives by the newest map; brought along from map to map.
    pub(crate) places: Option<Mapping>,
    peers: BTreeMap<OsdId, (SocketAddr, BootNonce)>,
    started: Time,
    /// Whether the map before the newest showed this life of this OSD as up.
    booted_before: bool,
    /// Commits asked for and not yet durable, and when one last became so: how a stuck device shows.
    commits_pending: u64,
    commit_progress: Time,
    usage: StoreUsage,
    commit_latency: Duration,
    pub(crate) fullness: Fullness,
    /// The most that commits since the last measure may have added to what is used.
    unmeasured_bytes: u64,
    /// Whether a measure is on its way.
    is_measuring: bool,
    beacon_next: Time,
    statistics_next: Time,
}

impl Osd {
    /// The OSD as its store has it. What it wants at once is in `actions`.
    pub fn open(config: OsdConfig, mut stored: StoredOsd, now: Time, actions: &mut Vec<Action>) -> Result<Self> {
        let (gate, maps) = MapGate::open(&stored)?;
        let mut osd = Self {
            gate,
            groups: BTreeMap::new(),
            timers: BTreeSet::new(),
            sessions: BTreeMap::new(),
            heartbeats: Heartbeats::new(now, config.ping_interval, config.grace),
            requests: MonitorRequests::new(now, config.beacon_interval),
            reservations: Reservations::new(config.reservations_max),
            scrub_places: ScrubPlaces::new(config.scrubs_max),
            verifies: Verifies::default(),
            removed: Vec::new(),
            pg_actions: Vec::new(),
            map_wanted: Epoch::ZERO,
            refused_messages: 0,
            refused_waiting: 0,
            places: None,
            peers: BTreeMap::new(),
            started: now,
            booted_before: false,
            commits_pending: 0,
            commit_progress: now,
            settings: SettingsFollowed::default(),
            usage: StoreUsage::default(),
            commit_latency: Duration::ZERO,
            fullness: Fullness::Room,
            unmeasured_bytes: 0,
            is_measuring: false,
            beacon_next: now,
            statistics_next: now,
            config,
        };
        osd.open_groups(now, &mut stored, &maps, actions)?;
        if let Some(map) = osd.gate.newest().cloned() {
            osd.note_map(now, &map, actions);
        }
        osd.settle_groups(now, actions);
        // A restarted OSD may be full: it looks before its groups can serve.
        osd.measure(actions);
        Ok(osd)
    }

    /// Opens each group by the map it had seen last, and brings it through every later one.
    fn open_groups(
        &mut self,
        now: Time,
        stored: &mut StoredOsd,
        maps: &[Arc<PublishedMap>],
        actions: &mut Vec<Action>,
    ) -> Result<()> {
        let Some(oldest) = maps.first() else { return Ok(()) };
        for (pg, stored_pg) in std::mem::take(&mut stored.pgs) {
            // A group that was registered but never committed anything has nothing to say: it is made anew below.
            let Some(seen) = stored_pg.epoch() else { continue };
            let at = maps.iter().rposition(|map| map.epoch() <= seen).unwrap_or(0);
            let map = maps.get(at).unwrap_or(oldest).clone();
            let mut wanted = Vec::new();
            let group = Pg::open(self.config.pg.clone(), pg, stored_pg, map, now, &mut wanted)
                .map_err(|error| error.context(format!("open placement group {pg}")))?;
            self.groups.insert(pg, Group::new(group));
            self.carry_out(now, pg, &mut wanted, actions);
            for map in &maps[at + 1..] {
                self.deliver(now, pg, PgEvent::NewMap(map.clone()), actions);
            }
        }
        if let Some(newest) = maps.last() {
            self.advance_groups_made_since(now, newest, actions);
        }
        Ok(())
    }

    fn advance_groups_made_since(&mut self, now: Time, newest: &Arc<PublishedMap>, actions: &mut Vec<Action>) {
        self.set_peers(newest, actions);
        self.make_groups(now, newest, actions);
    }

    /// Hears one event and says what shall be done.
    pub fn handle(&mut self, now: Time, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Maps(share) => self.take_maps(now, &share, actions),
            Event::SessionOpened { session, peer } => {
                self.sessions.insert(session, Session { peer, told: Epoch::ZERO });
            }
            Event::SessionClosed(session) => self.close_session(now, session, actions),
            Event::Message { session, message } => self.receive(now, session, message, actions),
            Event::PeerReset(osd) => {
                let pgs: Vec<PgId> = self.groups.keys().copied().collect();
                for pg in pgs {
                    self.deliver(now, pg, PgEvent::PeerReset(osd), actions);
                }
            }
            Event::PeerRefused { osd, nonce } => self.report_refused(osd, nonce, actions),
            Event::Committed { owner, ticket } => self.committed(now, owner, ticket, actions),
            Event::ReadDone { owner: Owner::Pg(pg), ticket, results } => {
                self.deliver(now, pg, PgEvent::ReadDone { ticket, results }, actions);
            }
            Event::Called { pg, ticket, results, outcomes } => {
                self.deliver(now, pg, PgEvent::Called { ticket, results, outcomes }, actions);
            }
            Event::ReadDone { owner: Owner::Osd, ticket, results } => match self.verifies.answered(ticket, results) {
                Some(Step::Read(reads)) => actions.push(Action::Read { owner: Owner::Osd, ticket, reads }),
                Some(Step::Finished(session, page)) => {
                    actions.push(Action::Reply { session, message: Box::new(Message::VerifyPage(page)) });
                }
                None => {}
            },
            Event::MonitorsAnswered(reply) => {
                if let ControlReply::Maps(share) = *reply {
                    self.take_maps(now, &share, actions);
                }
            }
            Event::Usage { usage, commit_latency } => self.note_usage(now, usage, commit_latency, actions),
            Event::Tick => self.tick(now, actions),
        }
        self.settle_groups(now, actions);
    }

    /// When the OSD wants `Event::Tick`.
    pub fn deadline(&self) -> Option<Time> {
        let groups = self.timers.first().map_or(Time::FAR_FUTURE, |(at, _)| *at);
        let own = self.heartbeats.deadline().min(self.requests.deadline()).min(self.beacon_next);
        Some(groups.min(own).min(self.statistics_next))
    }

    /// The newest map.
    pub fn map(&self) -> Option<&Arc<PublishedMap>> {
        self.gate.newest()
    }

    /// Whether the newest map shows this life of this OSD as up.
    pub fn is_booted(&self) -> bool {
        is_booted(&self.config, self.gate.newest().map(|map| map.map()))
    }

    /// Where another OSD is registered, while it is up.
    pub fn peer_address(&self, osd: OsdId) -> Option<(SocketAddr, BootNonce)> {
        self.peers.get(&osd).copied()
    }

    /// The placement groups here.
    pub fn pgs(&self) -> impl Iterator<Item = &Pg> {
        self.groups.values().map(|group| &group.pg)
    }

    /// What the OSD would tell the manager now.
    pub fn statistics(&self) -> StatisticsReport {
        let microseconds = u64::try_from(self.commit_latency.as_micros()).unwrap_or(u64::MAX);
        StatisticsReport {
            osd: OsdStatistics {
                osd: self.config.whoami,
                usage: self.usage,
                pgs: u32::try_from(self.groups.len()).unwrap_or(u32::MAX),
                commit_latency_microseconds: microseconds,
                slow_ops: 0,
                recovered_bytes: self.pgs().map(Pg::recovered_bytes).sum(),
            },
            pgs: self.pgs().filter(|pg| pg.is_primary()).map(Pg::statistics).collect(),
        }
    }

    /// What must hold between events; asserted by whoever checks. Groups assert their own after each of their events,
    /// when they are told to ([`osd_pg::Checks`]).
    pub fn assert_invariants(&self) {
        for (pg, group) in &self.groups {
            assert_eq!(*pg, group.pg.info().pg, "a group is kept under its own id");
            if let Some(at) = group.deadline {
                assert!(self.timers.contains(&(at, *pg)), "a group that wants to be woken has a timer");
            }
        }
    }

    pub(crate) fn send(&mut self, to: OsdId, message: Message, actions: &mut Vec<Action>) {
        // To an OSD that is down nothing is sent: the map that says so has told every group, or will.
        let Some((address, nonce)) = self.peer_address(to) else { return };
        actions.push(Action::Send { to, address, nonce, message: Box::new(message) });
    }

    /// How long the device has been busy without finishing anything. The thread that answers pings is the shard
    /// itself, so a stuck shard needs no figure: it does not answer.
    pub(crate) fn progress_age(&self, now: Time) -> Duration {
        if self.commits_pending == 0 { Duration::ZERO } else { now.since(self.commit_progress) }
    }

    /// Asks the store for a commit.
    pub(crate) fn commit(
        &mut self,
        now: Time,
        pg: PgId,
        ticket: Ticket,
        change: Transaction,
        actions: &mut Vec<Action>,
    ) {
        if self.commits_pending == 0 {
            self.commit_progress = now;
        }
        self.commits_pending += 1;
        self.unmeasured_bytes = self.unmeasured_bytes.saturating_add(space_bound(&change));
        actions.push(Action::Commit { owner: Owner::Pg(pg), ticket, transaction: change });
        // A device may fill between two beacons: as soon as it could have, it is looked at, before the next write is taken.
        if !self.is_measuring && self.fullness_of(self.unmeasured_bytes) > self.fullness {
            self.measure(actions);
        }
    }

    /// A restarted OSD does not know what leases it granted: it assumes one full lease from its start.
    pub(crate) fn restart_lease(&self, now: Time) -> Duration {
        self.config.pg.lease.saturating_sub(now.since(self.started))
    }

    fn lowest_needed(&self) -> Epoch {
        let newest = self.gate.epoch();
        self.groups.values().map(|group| group.pg.lowest_needed_epoch()).min().unwrap_or(newest)
    }

    fn take_maps(&mut self, now: Time, share: &MapShare, actions: &mut Vec<Action>) {
        let taken = match self.gate.take(share, self.lowest_needed()) {
            Ok(taken) => taken,
            Err(error) => {
                // Our copy or the sender's diverged: only the monitors' full map can be trusted now.
                tracing::error!(%error, epoch = %self.gate.epoch(), "refuse a map, ask the monitors for a full one");
                actions.push(Action::AskMonitors(Box::new(ControlRequest::GetMaps { have: Epoch::ZERO })));
                return;
            }
        };
        if share.newest > self.gate.epoch() && taken.maps.is_empty() && self.map_wanted < share.newest {
            self.map_wanted = share.newest;
            actions.push(Action::AskMonitors(Box::new(ControlRequest::GetMaps { have: self.gate.epoch() })));
        }
        if !taken.changes.is_empty() && !planted(Bug::MapsNotStored) {
            actions.push(Action::StoreConfig(taken.changes));
        }
        let skipped = if planted(Bug::MapsSkipped) { taken.maps.len().saturating_sub(1) } else { 0 };
        for map in &taken.maps[skipped..] {
            self.set_peers(map, actions);
            self.advance_groups(now, map, actions);
        }
        if let Some(newest) = taken.maps.last() {
            self.note_map(now, newest, actions);
            self.stop_if_replaced(newest, actions);
            for (session, message) in self.gate.release() {
                self.receive(now, session, message, actions);
            }
        }
    }

    /// Who is up, and where, by this map. Sessions to those that are gone, or that are another process now, end.
    fn set_peers(&mut self, map: &PublishedMap, actions: &mut Vec<Action>) {
        let before = std::mem::replace(&mut self.peers, up_addresses(map, self.config.whoami));
        let gone = before.iter().filter(|(osd, place)| self.peers.get(osd) != Some(place));
        actions.extend(gone.map(|(osd, _)| Action::Disconnect(*osd)));
    }

    fn note_map(&mut self, now: Time, map: &Arc<PublishedMap>, actions: &mut Vec<Action>) {
        let whoami = self.config.whoami;
        let groups = &self.groups;
        let leads = |pg: PgId| groups.get(&pg).is_some_and(|group| group.pg.is_primary());
        self.requests.note_map(map.map(), whoami, leads);
        let mut watch = self.partners(map);
        watch.extend(self.peers.range(OsdId(whoami.0.saturating_add(1))..).take(NEIGHBOURS).map(|(osd, _)| *osd));
        watch.extend(self.peers.keys().take(NEIGHBOURS.saturating_sub(watch.len())).copied());
        watch.retain(|osd| self.peers.contains_key(osd));
        self.heartbeats.watch(now, &watch);
        self.follow_settings(now, map, actions);
        // Nobody answers an OSD that is down by the map; whoever has just come up asks again at once.
        let booted = self.is_booted();
        if booted && !self.booted_before {
            self.heartbeats.hasten(now);
        }
        self.booted_before = booted;
        self.note_fullness(now, actions);
    }

    /// Only by a map that has just come: an old one from the store says who was up then, and an OSD on a new device that
    /// believed it would stop at every start, before it could hear that the old device is down.
    fn stop_if_replaced(&self, map: &PublishedMap, actions: &mut Vec<Action>) {
        let whoami = self.config.whoami;
        if let Some(state) = map.osds.get(&whoami)
            && state.up
            && state.uuid != self.config.uuid
        {
            let reason = format!(
                "osd.{whoami} is up on another device (uuid {}); this one has {}",
                state.uuid, self.config.uuid
            );
            actions.push(Action::Stop { reason });
        }
    }

    fn close_session(&mut self, now: Time, session: SessionId, actions: &mut Vec<Action>) {
        self.sessions.remove(&session);
        self.gate.forget_session(session);
        self.verifies.forget_session(session);
        let pgs: Vec<PgId> = self.groups.keys().copied().collect();
        for pg in pgs {
            self.deliver(now, pg, PgEvent::SessionClosed(session), actions);
        }
    }

    fn committed(&mut self, now: Time, owner: Owner, ticket: Ticket, actions: &mut Vec<Action>) {
        self.commits_pending = self.commits_pending.saturating_sub(1);
        self.commit_progress = now;
        let Owner::Pg(pg) = owner else { return };
        let Some(group) = self.groups.get_mut(&pg) else { return };
        let then = group.after_commit.remove(&ticket).unwrap_or_default();
        self.deliver(now, pg, PgEvent::Committed(ticket), actions);
        for after in then {
            let AfterCommit::Send { to, message } = after;
            self.send(to, Message::Pg(message), actions);
        }
    }

    fn tick(&mut self, now: Time, actions: &mut Vec<Action>) {
        self.wake_groups(now, actions);
        self.ping_round(now, actions);
        let map = self.gate.newest().cloned();
        let requests = self.requests.round(now, &self.config, map.as_ref().map(|map| map.map()));
        actions.extend(requests.into_iter().map(|request| Action::AskMonitors(Box::new(request))));
        if now >= self.beacon_next {
            self.beacon_next = now + self.config.beacon_interval;
            self.beacon(actions);
        }
        if now >= self.statistics_next {
            self.statistics_next = now + self.config.statistics_interval;
            if self.is_booted()
                && let Some(manager) = map.as_ref().and_then(|map| map.managers.active.as_ref())
            {
                let report = Box::new(self.statistics());
                actions.push(Action::Report { manager: manager.address, report });
            }
        }
    }

    /// The answer tells of everything that was committed before.
    fn measure(&mut self, actions: &mut Vec<Action>) {
        self.is_measuring = true;
        self.unmeasured_bytes = 0;
        actions.push(Action::MeasureUsage);
    }

    fn beacon(&mut self, actions: &mut Vec<Action>) {
        self.measure(actions);
        if self.gate.is_waited_for() {
            actions.push(Action::AskMonitors(Box::new(ControlRequest::GetMaps { have: self.gate.epoch() })));
        }
        if self.is_booted() {
            actions.push(Action::AskMonitors(Box::new(ControlRequest::Beacon {
                osd: self.config.whoami,
                nonce: self.config.nonce,
                epoch: self.gate.epoch(),
                lowest_needed: self.lowest_needed(),
                usage: self.usage,
            })));
        }
    }

    fn ping_round(&mut self, now: Time, actions: &mut Vec<Action>) {
        let Some(round) = self.heartbeats.round(now) else { return };
        let ping = Ping { epoch: self.gate.epoch(), sent_nanoseconds: now.as_nanoseconds() };
        for osd in round.ping {
            self.send(osd, Message::Ping(ping), actions);
        }
        for (osd, silence) in round.silent {
            self.report(osd, FailureEvidence::Silent(silence), actions);
        }
    }

    pub(crate) fn hear_pong(
        &mut self,
        now: Time,
        from: OsdId,
        nonce: BootNonce,
        pong: &Pong,
        actions: &mut Vec<Action>,
    ) {
        self.heartbeats.note_network_stack(from, nonce, pong.network_stack);
        // An OSD that answers but does nothing is missing all the same (FOUNDATIONS 16).
        if pong.progress_age > self.config.grace {
            return;
        }
        if self.heartbeats.heard(now, from) {
            self.report(from, FailureEvidence::Recovered, actions);
        }
    }

    fn report_refused(&mut self, osd: OsdId, nonce: BootNonce, actions: &mut Vec<Action>) {
        // What an earlier life of the process left behind says nothing about the life that the map knows now.
        if self.peer_address(osd).is_none_or(|(_, known)| known != nonce) {
            return;
        }
        // Only whoever lives in the same network stack can tell a closed port from a network that answers in its place
        // (FOUNDATIONS 11); this life of the process said itself where it lives.
        let lived_here = self.heartbeats.network_stack(osd, nonce).is_same_as(self.config.network_stack);
        self.heartbeats.note_reported(osd);
        self.report(osd, if lived_here { FailureEvidence::Refused } else { FailureEvidence::Closed }, actions);
    }

    fn report(&mut self, target: OsdId, evidence: FailureEvidence, actions: &mut Vec<Action>) {
        let Some((_, nonce)) = self.peer_address(target) else { return };
        let failure = OsdFailure { reporter: self.config.whoami, target, nonce, evidence };
        actions.push(Action::AskMonitors(Box::new(ControlRequest::Failure(failure))));
    }

    fn note_usage(&mut self, now: Time, usage: StoreUsage, commit_latency: Duration, actions: &mut Vec<Action>) {
        self.usage = usage;
        self.is_measuring = false;
        self.commit_latency = commit_latency;
        self.note_fullness(now, actions);
    }

    /// The class of the device with so many bytes more than were measured.
    fn fullness_of(&self, unmeasured_bytes: u64) -> Fullness {
        let Some(ratios) = self.gate.newest().map(|map| map.full_ratios) else { return Fullness::Room };
        let used = u128::from(self.usage.used_bytes.saturating_add(unmeasured_bytes)) * 1000;
        let at_least = |permille: u32| used >= u128::from(self.usage.total_bytes) * u128::from(permille);
        if self.usage.total_bytes == 0 {
            Fullness::Room
        } else if at_least(ratios.full_permille) {
            Fullness::Full
        } else if at_least(ratios.backfillfull_permille) {
            Fullness::BackfillFull
        } else {
            Fullness::Room
        }
    }

    fn note_fullness(&mut self, now: Time, actions: &mut Vec<Action>) {
        let fullness = self.fullness_of(self.unmeasured_bytes);
        if fullness == self.fullness {
            return;
        }
        self.fullness = fullness;
        let pgs: Vec<PgId> = self.groups.keys().copied().collect();
        for pg in pgs {
            self.deliver(now, pg, PgEvent::Fullness(fullness), actions);
        }
    }
}

/// Bytes of data that a transaction may add to a device at most: the store places data in units of 4 KiB, and a write
/// or a change of size touches up to two units besides those that it fills.
fn space_bound(change: &Transaction) -> u64 {
    const UNIT_BYTES: u64 = 4096;
    let bound = |op: &StoreOp| match op {
        StoreOp::Write { data, .. } => data.len() as u64 + 2 * UNIT_BYTES,
        StoreOp::Zero { .. } | StoreOp::Truncate { .. } => 2 * UNIT_BYTES,
        _ => 0,
    };
    change.ops.iter().map(bound).sum()
}

fn up_addresses(map: &PublishedMap, whoami: OsdId) -> BTreeMap<OsdId, (SocketAddr, BootNonce)> {
    let up = map.osds.iter().filter(|(osd, state)| state.up && **osd != whoami);
    up.filter_map(|(osd, state)| Some((*osd, (state.address?, state.nonce)))).collect()
}
