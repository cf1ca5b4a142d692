//! Places for recovery and backfill: one here, one at each member that gets copies, so that an OSD that takes part in
//! hundreds of placement groups heals a few at a time.
//!
//! Whoever has its own place and waits long for another's gives it back for a while: two OSDs that each hold what the other
//! wants would otherwise wait for ever.

use std::{collections::BTreeMap, time::Duration};

use map::ClusterFlags;
use types::{OsdId, Time};
use wire::{PgBody, PushSource};

use crate::{Action, Fullness, pg::Pg, turn::Turn};

/// A place at an OSD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// Not wanted.
    #[default]
    None,
    /// Asked for.
    Asked,
    /// Given.
    Granted,
}

/// As primary.
#[derive(Debug, Default)]
pub struct Reservation {
    /// For which work.
    pub work: Option<PushSource>,
    local: Place,
    remote: BTreeMap<OsdId, Place>,
    waiting_since: Time,
    pause_until: Time,
}

/// As a member: what the primary asked for.
#[derive(Debug, Default)]
pub struct Given {
    to: Option<OsdId>,
    source: Option<PushSource>,
    place: Place,
}

impl Reservation {
    /// Whether the OSD's own place is held or asked for.
    pub fn holds_place(&self) -> bool {
        self.local != Place::None
    }
}

impl Given {
    /// The same for a member.
    pub fn holds_place(&self) -> bool {
        self.place != Place::None
    }
}

impl Pg {
    /// What should be done now.
    fn work_wanted(&self) -> Option<PushSource> {
        let flags = self.map.flags;
        if self.has_recoverable() {
            return (!flags.contains(ClusterFlags::NORECOVER)).then_some(PushSource::Recovery);
        }
        let acting = u32::try_from(self.interval.acting_osds().count()).unwrap_or(u32::MAX);
        let is_misplaced_only = acting >= self.interval.size;
        let held_back =
            flags.contains(ClusterFlags::NOBACKFILL) || flags.contains(ClusterFlags::NOREBALANCE) && is_misplaced_only;
        let wanted = !self.recovery.backfills.is_empty() && self.missing.is_empty() && !held_back;
        wanted.then_some(PushSource::Backfill)
    }

    /// Those that get copies by this work.
    fn receivers(&self, work: PushSource) -> Vec<OsdId> {
        match work {
            PushSource::Backfill => self.recovery.backfills.keys().copied().collect(),
            PushSource::Recovery => {
                let lacks = |osd: &OsdId| self.peers.get(osd).is_some_and(|peer| !peer.missing.is_empty());
                self.write_members().into_iter().filter(lacks).collect()
            }
        }
    }

    /// Asks for places, or gives them back when the work is done or another.
    pub(crate) fn arrange_reservation(&mut self, turn: &mut Turn<'_>) {
        let work = self.work_wanted();
        if self.recovery.reservation.work != work {
            self.release_reservation(turn);
            self.recovery.reservation.work = work;
        }
        let Some(work) = work else { return };
        let reservation = &mut self.recovery.reservation;
        match reservation.local {
            Place::None if turn.now >= reservation.pause_until => {
                reservation.local = Place::Asked;
                reservation.waiting_since = turn.now;
                turn.act(Action::RequestLocalReservation(work));
            }
            Place::None | Place::Asked => {}
            Place::Granted => self.ask_receivers(work, turn),
        }
    }

    fn ask_receivers(&mut self, work: PushSource, turn: &mut Turn<'_>) {
        for osd in self.receivers(work) {
            let place = self.recovery.reservation.remote.entry(osd).or_default();
            if *place == Place::None {
                *place = Place::Asked;
                self.send(osd, PgBody::ReservationRequest { source: work }, turn);
            }
        }
    }

    fn release_reservation(&mut self, turn: &mut Turn<'_>) {
        let old = std::mem::take(&mut self.recovery.reservation);
        if old.holds_place() {
            turn.act(Action::ReleaseLocalReservation);
        }
        for osd in old.remote.into_keys() {
            self.send(osd, PgBody::ReservationRelease, turn);
        }
    }

    /// The work that has all its places.
    pub(crate) fn reserved_work(&self) -> Option<PushSource> {
        let reservation = &self.recovery.reservation;
        let work = reservation.work?;
        let has = |osd: &OsdId| reservation.remote.get(osd) == Some(&Place::Granted);
        (reservation.local == Place::Granted && self.receivers(work).iter().all(has)).then_some(work)
    }

    pub(crate) fn handle_local_reservation(&mut self, turn: &mut Turn<'_>) {
        if self.is_primary() {
            if self.recovery.reservation.local == Place::Asked {
                self.recovery.reservation.local = Place::Granted;
                self.recovery.reservation.waiting_since = turn.now;
            }
        } else if let (Some(to), Place::Asked) = (self.recovery.given.to, self.recovery.given.place) {
            self.recovery.given.place = Place::Granted;
            self.send(to, PgBody::ReservationGrant, turn);
        } else if self.recovery.given.place == Place::None {
            // Nobody wants it any more.
            turn.act(Action::ReleaseLocalReservation);
        }
    }

    pub(crate) fn hear_reservation_grant(&mut self, from: OsdId, turn: &mut Turn<'_>) {
        match self.recovery.reservation.remote.get_mut(&from) {
            Some(place) => *place = Place::Granted,
            // It was given back, and that got lost.
            None => self.send(from, PgBody::ReservationRelease, turn),
        }
    }

    /// On a member: a place that is given is offered again now and then, so that none stays with a primary that has
    /// given it back by a message that got lost. Without that it would be gone until the interval ends, and on an OSD with
    /// few places nothing would be recovered any more.
    pub(crate) fn repeat_grant(&self, turn: &mut Turn<'_>) {
        if let (Some(to), Place::Granted) = (self.recovery.given.to, self.recovery.given.place) {
            self.send(to, PgBody::ReservationGrant, turn);
        }
    }

    /// On a member.
    pub(crate) fn handle_reservation_request(&mut self, from: OsdId, source: PushSource, turn: &mut Turn<'_>) {
        if !self.peering.is_replica() {
            return;
        }
        let given = &mut self.recovery.given;
        given.to = Some(from);
        given.source = Some(source);
        if given.place == Place::Granted {
            self.send(from, PgBody::ReservationGrant, turn);
        } else {
            self.grant_reservation(turn);
        }
    }

    /// Asks for a place for the primary's work, unless the device is too full for it.
    pub(crate) fn grant_reservation(&mut self, turn: &mut Turn<'_>) {
        let fullness = self.fullness;
        let given = &mut self.recovery.given;
        let Some(source) = given.source else { return };
        let has_room = source == PushSource::Recovery || fullness == Fullness::Room;
        if given.place == Place::None && has_room {
            given.place = Place::Asked;
            turn.act(Action::RequestLocalReservation(source));
        }
    }

    pub(crate) fn handle_reservation_release(&mut self, turn: &mut Turn<'_>) {
        let old = std::mem::take(&mut self.recovery.given);
        if old.holds_place() {
            turn.act(Action::ReleaseLocalReservation);
        }
    }

    /// Asks receivers again, or steps back after a long wait for them.
    pub(crate) fn repeat_reservation(&mut self, turn: &mut Turn<'_>) {
        let Some(work) = self.recovery.reservation.work else { return };
        if self.recovery.reservation.local != Place::Granted || self.reserved_work().is_some() {
            return;
        }
        // Neighbours in the pool wait for different times, so that they do not step back and return together.
        let patience = self.config.retry * (5 + self.pg.seed % 5);
        if turn.now >= self.recovery.reservation.waiting_since + patience {
            self.release_reservation(turn);
            self.recovery.reservation.work = Some(work);
            self.recovery.reservation.pause_until = turn.now + step_back(patience);
            return;
        }
        for osd in self.receivers(work) {
            if self.recovery.reservation.remote.get(&osd) == Some(&Place::Asked) {
                self.send(osd, PgBody::ReservationRequest { source: work }, turn);
            }
        }
    }
}

/// How long a primary that stepped back leaves its place to others.
fn step_back(patience: Duration) -> Duration {
    patience / 4
}
