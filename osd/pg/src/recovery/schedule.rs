//! What is copied next: first what a client waits for, then what is missing here, then what is missing at members, then
//! the scan.

use types::{
    ObjectId, OsdId,
    simulation::{Bug, planted},
};
use wire::{PgBody, PushSource};

use super::Backfill;
use crate::{Action, peering::Stage, pg::Pg, turn::Turn};

/// How many times the usual number of objects may be in flight for clients that wait: they do not queue behind the rest.
const WANTED_IN_FLIGHT_FACTOR: usize = 4;

impl Pg {
    /// The interval begins to serve.
    pub(crate) fn begin_recovery(&mut self) {
        let targets: Vec<OsdId> = self.backfill_targets().collect();
        for osd in targets {
            if let Some(peer) = self.peers.get(&osd)
                && !peer.info.is_whole()
            {
                self.recovery.backfills.insert(osd, Backfill::new(peer.info.backfill.clone()));
            }
        }
    }

    /// Whether the object is where it should be, and is not on its way anywhere.
    pub(crate) fn is_writable(&self, object: &ObjectId) -> bool {
        !self.missing.contains(object)
            && (!self.is_on_its_way(object) || planted(Bug::CopiedObjectWritten))
            && self.write_members().iter().all(|osd| !self.lacks(*osd, object) || planted(Bug::MissingObjectWritten))
    }

    fn is_on_its_way(&self, object: &ObjectId) -> bool {
        let first = (object.clone(), OsdId(0));
        let last = (object.clone(), OsdId(u32::MAX));
        self.recovery.pushes.range(first..=last).next().is_some()
    }

    pub(crate) fn lacks(&self, osd: OsdId, object: &ObjectId) -> bool {
        self.peers.get(&osd).is_some_and(|peer| peer.missing.contains_key(object))
    }

    /// Whether a member gets writes of the object whole: the scan has passed it, or there is no scan.
    pub(crate) fn has_passed(&self, osd: OsdId, object: &ObjectId) -> bool {
        match self.recovery.backfills.get(&osd) {
            Some(_) if planted(Bug::BackfillTargetForgotten) => false,
            Some(backfill) => backfill.passed.is_past(object),
            None => true,
        }
    }

    pub(crate) fn progress_recovery(&mut self, turn: &mut Turn<'_>) {
        self.recover_wanted(turn);
        self.arrange_reservation(turn);
        match self.reserved_work() {
            Some(PushSource::Recovery) => self.recover_some(turn),
            Some(PushSource::Backfill) => {
                let targets: Vec<OsdId> = self.recovery.backfills.keys().copied().collect();
                for osd in targets {
                    self.advance_backfill(osd, turn);
                }
            }
            None => {}
        }
    }

    fn in_flight(&self) -> usize {
        self.recovery.pulls.len() + self.recovery.pushes.len()
    }

    fn recover_wanted(&mut self, turn: &mut Turn<'_>) {
        let limit = self.config.recovery_objects_in_flight * WANTED_IN_FLIGHT_FACTOR;
        for object in std::mem::take(&mut self.recovery.wanted) {
            let still = self.writes.objects.contains_key(&object.head_of_name());
            if !still || !self.missing.contains(&object) && self.is_writable(&object) {
                self.pump(&object, turn);
                continue;
            }
            if self.in_flight() < limit {
                self.recover(&object, turn);
            }
            self.recovery.wanted.insert(object);
        }
    }

    fn recover_some(&mut self, turn: &mut Turn<'_>) {
        let limit = self.config.recovery_objects_in_flight;
        let mut next = Vec::new();
        let mine = self.missing.objects().keys();
        let theirs = self.peers.values().flat_map(|peer| peer.missing.keys());
        for object in mine.chain(theirs) {
            if next.len() + self.in_flight() >= limit {
                break;
            }
            if !self.recovery.pulls.contains_key(object) && !self.is_on_its_way(object) && self.is_recoverable(object) {
                next.push(object.clone());
            }
        }
        for object in next {
            self.recover(&object, turn);
        }
    }

    /// Brings the object here, or from here to whoever lacks it.
    fn recover(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
        if self.missing.contains(object) {
            self.begin_pull(object, turn);
            return;
        }
        for osd in self.write_members() {
            if self.lacks(osd, object) && !self.recovery.pushes.contains_key(&(object.clone(), osd)) {
                self.begin_push(object, osd, PushSource::Recovery, None, turn);
            }
        }
    }

    /// Whether a copy of it can be had now.
    fn is_recoverable(&self, object: &ObjectId) -> bool {
        !self.missing.contains(object) || self.source_of(object).is_some()
    }

    /// Whether some object can be recovered by log.
    pub(crate) fn has_recoverable(&self) -> bool {
        let members = self.write_members();
        let lacking = members.iter().filter_map(|osd| self.peers.get(osd)).flat_map(|peer| peer.missing.keys());
        self.missing.objects().keys().chain(lacking).any(|object| self.is_recoverable(object))
            || !self.recovery.pulls.is_empty()
    }

    /// Objects of which no copy can be found now.
    pub(crate) fn unfound_objects(&self) -> impl Iterator<Item = &ObjectId> {
        let is_unfound =
            |object: &&ObjectId| !self.recovery.pulls.contains_key(*object) && !self.is_recoverable(object);
        self.missing.objects().keys().filter(is_unfound)
    }

    /// How many those are.
    pub(crate) fn unfound(&self) -> usize {
        self.unfound_objects().count()
    }

    pub(crate) fn is_all_there(&self) -> bool {
        let members = self.write_members();
        self.missing.is_empty()
            && self.recovery.backfills.is_empty()
            && members.iter().all(|osd| {
                self.peers.get(osd).is_some_and(|peer| peer.missing.is_empty()) || planted(Bug::CleanTooEarly)
            })
    }

    /// Nothing is missing: the up set takes over, and when it serves the PG is clean.
    pub(crate) fn progress_clean(&mut self, turn: &mut Turn<'_>) {
        if !self.is_all_there() {
            return;
        }
        // Ceph: a temporary set is given back when the up set would be chosen today, and kept when it would be chosen
        // again: else a group whose up set is too small would ask for it and give it back without end.
        if self.interval.up != self.interval.acting || self.interval.up_primary != self.interval.primary {
            let acts_as_up = self.interval.up_primary == self.interval.primary
                && self.interval.up.len() == self.interval.acting.len()
                && self.interval.up_osds().all(|osd| self.interval.is_acting(osd));
            let wish = self.acting_wish(self.config.whoami).or_else(|| acts_as_up.then(Vec::new));
            if let Some(wish) = wish.filter(|_| self.interval.up_osds().next().is_some()) {
                if self.peering.acting_wanted.as_ref() != Some(&wish) {
                    self.peering.acting_wanted = Some(wish.clone());
                    turn.act(Action::WantPgTemp(wish));
                }
                return;
            }
        }
        let acting = u32::try_from(self.interval.acting_osds().count()).unwrap_or(u32::MAX);
        if self.peering.stage != Stage::Active || acting < self.interval.size {
            return;
        }
        if !self.peering.clean {
            self.mark_clean(turn);
        }
        self.remove_strays(turn);
    }

    fn mark_clean(&mut self, turn: &mut Turn<'_>) {
        self.peering.clean = true;
        self.info.history.last_epoch_clean = self.map.epoch();
        self.info.history.last_interval_clean = self.interval.since;
        self.info_changed = true;
        self.past.clear();
        self.changes.put_past(self.past.list());
        for osd in self.write_members() {
            self.say_clean(osd, turn);
        }
    }

    pub(crate) fn say_clean(&self, osd: OsdId, turn: &mut Turn<'_>) {
        self.send(osd, PgBody::Clean { info: self.info.clone() }, turn);
        self.tell_scrub_record(osd, turn);
    }

    /// Whoever has a copy and is not needed for it may remove it.
    fn remove_strays(&mut self, turn: &mut Turn<'_>) {
        let strays: Vec<OsdId> = self.peers.keys().copied().filter(|osd| !self.interval.is_member(*osd)).collect();
        for osd in strays {
            // It announces itself again if this gets lost.
            self.peers.remove(&osd);
            self.send(osd, PgBody::RemoveStray, turn);
        }
    }
}
