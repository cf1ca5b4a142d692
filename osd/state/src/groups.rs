//! The placement groups of this OSD: making them as maps name it, waking them, carrying out what they want.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use map::{Mapping, PublishedMap};
use osd_pg::{Action as PgAction, AfterCommit, Event as PgEvent, Fullness, Pg, Ticket};
use types::{
    Epoch, OsdId, PgId, Time,
    simulation::{Bug, planted},
};
use wire::Message;

use crate::{Action, ConfigChange, Osd, Owner, stored::pg_key};

/// A placement group and what the OSD keeps for it.
#[derive(Debug)]
pub(crate) struct Group {
    pub pg: Pg,
    pub deadline: Option<Time>,
    pub after_commit: BTreeMap<Ticket, Vec<AfterCommit>>,
}

impl Group {
    pub fn new(pg: Pg) -> Self {
        Self { pg, deadline: None, after_commit: BTreeMap::new() }
    }
}

impl Osd {
    /// Gives a placement group an event and carries out what it answers. Events for groups that are gone are dropped:
    /// whoever sent them sends again or hears of the map that removed the group.
    pub(crate) fn deliver(&mut self, now: Time, pg: PgId, event: PgEvent, actions: &mut Vec<Action>) {
        let Some(group) = self.groups.get_mut(&pg) else { return };
        let mut wanted = std::mem::take(&mut self.pg_actions);
        group.pg.handle(now, event, &mut wanted);
        self.carry_out(now, pg, &mut wanted, actions);
        self.pg_actions = wanted;
    }

    /// Carries out what a placement group wants, and notes when it wants to be woken.
    pub(crate) fn carry_out(&mut self, now: Time, pg: PgId, wanted: &mut Vec<PgAction>, actions: &mut Vec<Action>) {
        for action in wanted.drain(..) {
            match action {
                PgAction::Send { to, message } => self.send(to, Message::Pg(message), actions),
                PgAction::Reply { session, reply } => {
                    let message = Box::new(Message::ClientReply(reply));
                    actions.push(Action::Reply { session, message });
                }
                PgAction::Notify { session, notification } => {
                    let message = Box::new(Message::Notification(notification));
                    actions.push(Action::Reply { session, message });
                }
                PgAction::ShareMap { session, have } => self.share_map(session, have, actions),
                PgAction::Commit { ticket, transaction, then } => {
                    if !then.is_empty() {
                        let group = self.groups.get_mut(&pg).expect("the group that acts exists");
                        group.after_commit.insert(ticket, then);
                    }
                    self.commit(now, pg, ticket, transaction, actions);
                }
                PgAction::Read { ticket, reads } => actions.push(Action::Read { owner: Owner::Pg(pg), ticket, reads }),
                PgAction::Call { ticket, reads, calls } => actions.push(Action::Call { pg, ticket, reads, calls }),
                PgAction::WantUpThru(epoch) => self.requests.want_up_thru(epoch),
                PgAction::WantPgTemp(osds) => self.requests.want_pg_temp(pg, osds),
                PgAction::Created => self.requests.want_created(pg),
                PgAction::RequestLocalReservation(_) => self.reservations.request(pg),
                PgAction::ReleaseLocalReservation if planted(Bug::PlacesNotGivenBack) => {}
                PgAction::ReleaseLocalReservation => self.reservations.release(pg),
                PgAction::RequestScrubPlace => self.scrub_places.request(pg),
                PgAction::ReleaseScrubPlace => self.scrub_places.release(pg),
                PgAction::Removed => self.removed.push(pg),
            }
        }
        self.note_deadline(now, pg);
    }

    fn note_deadline(&mut self, now: Time, pg: PgId) {
        let Some(group) = self.groups.get_mut(&pg) else { return };
        let deadline = group.pg.deadline().map(|deadline| deadline.max(now));
        if deadline != group.deadline {
            if let Some(old) = group.deadline {
                self.timers.remove(&(old, pg));
            }
            if let Some(new) = deadline {
                self.timers.insert((new, pg));
            }
            group.deadline = deadline;
        }
    }

    /// Wakes every placement group whose time has come.
    pub(crate) fn wake_groups(&mut self, now: Time, actions: &mut Vec<Action>) {
        let due: Vec<PgId> = self.timers.iter().take_while(|(at, _)| *at <= now).map(|(_, pg)| *pg).collect();
        for pg in due {
            if let Some(group) = self.groups.get_mut(&pg)
                && let Some(at) = group.deadline.take()
            {
                self.timers.remove(&(at, pg));
            }
            self.deliver(now, pg, PgEvent::Tick, actions);
        }
    }

    /// Gives places that are free and forgets groups that removed themselves, until nothing more follows.
    pub(crate) fn settle_groups(&mut self, now: Time, actions: &mut Vec<Action>) {
        while let Some(pg) = self.reservations.grant() {
            if self.groups.contains_key(&pg) {
                self.deliver(now, pg, PgEvent::LocalReservationGranted, actions);
            } else {
                self.reservations.release(pg);
            }
        }
        while let Some((pg, answer)) = self.scrub_places.answer() {
            self.deliver(now, pg, PgEvent::ScrubPlace(answer), actions);
        }
        let removed = std::mem::take(&mut self.removed);
        if removed.is_empty() {
            return;
        }
        for pg in &removed {
            self.forget_group(*pg);
        }
        actions.push(Action::StoreConfig(removed.iter().map(|pg| (pg_key(*pg), None)).collect()));
        // The map may have named this OSD again while the old copy was being removed.
        if let Some(map) = self.gate.newest().cloned() {
            self.make_groups(now, &map, actions);
        }
    }

    fn forget_group(&mut self, pg: PgId) {
        if let Some(group) = self.groups.remove(&pg)
            && let Some(at) = group.deadline
        {
            self.timers.remove(&(at, pg));
        }
        self.reservations.release(pg);
        self.scrub_places.release(pg);
        self.requests.forget_pg(pg);
    }

    /// Makes the placement groups that a new map gives to this OSD, and then tells those that were there before of it.
    ///
    /// In this order, because an existing group may ask for `up_thru` by this map, and the monitors' answer counts for
    /// every group of the OSD: the making of the new ones must be in the store's order before anything that follows it.
    pub(crate) fn advance_groups(&mut self, now: Time, map: &Arc<PublishedMap>, actions: &mut Vec<Action>) {
        let existing: Vec<PgId> = self.groups.keys().copied().collect();
        if !planted(Bug::GroupsMadeLast) {
            self.make_groups(now, map, actions);
        }
        for pg in existing {
            self.deliver(now, pg, PgEvent::NewMap(map.clone()), actions);
        }
        if planted(Bug::GroupsMadeLast) {
            self.make_groups(now, map, actions);
        }
    }

    pub(crate) fn make_groups(&mut self, now: Time, map: &Arc<PublishedMap>, actions: &mut Vec<Action>) {
        let me = Some(self.config.whoami);
        let before = self.places.as_ref().map_or(Epoch::ZERO, |places| places.map().epoch());
        let groups = &self.groups;
        let absent = map.pgs().filter(|pg| !groups.contains_key(pg));
        let places = match &mut self.places {
            Some(places) => {
                places.follow(map);
                places
            }
            none => none.insert(Mapping::of(map)),
        };
        let is_named = |pg: &PgId| {
            let placement = places.place(*pg);
            placement.up.contains(&me) || placement.acting.contains(&me)
        };
        let made: Vec<PgId> = absent.filter(is_named).collect();
        if made.is_empty() {
            return;
        }
        // The registry of groups is stored before the first commit of any of them.
        let named: Vec<ConfigChange> = made.iter().map(|pg| (pg_key(*pg), Some(Bytes::new()))).collect();
        if !planted(Bug::GroupNotRegistered) {
            actions.push(Action::StoreConfig(named));
        }
        for pg in made {
            let mut wanted = std::mem::take(&mut self.pg_actions);
            let group = Pg::create(self.config.pg.clone(), pg, map.clone(), before, now, &mut wanted);
            self.groups.insert(pg, Group::new(group));
            self.carry_out(now, pg, &mut wanted, actions);
            self.pg_actions = wanted;
            if self.fullness != Fullness::Room {
                self.deliver(now, pg, PgEvent::Fullness(self.fullness), actions);
            }
        }
    }

    /// The OSDs that share a placement group with this one, by the newest map.
    pub(crate) fn partners(&self, map: &PublishedMap) -> BTreeSet<OsdId> {
        let mut partners = BTreeSet::new();
        // `make_groups` has brought the places to this map, unless this OSD has just been opened without one.
        let places = self.places.as_ref().filter(|places| places.map().epoch() == map.epoch());
        for pg in self.groups.keys().filter(|pg| map.pools.contains_key(&pg.pool)) {
            let placement = places.map_or_else(|| map.place(*pg), |places| places.place(*pg));
            partners.extend(placement.up.into_iter().chain(placement.acting).flatten());
        }
        partners
    }
}
