//! The primary gives everybody the authoritative log and begins to serve once all have it on disk.

use types::{
    Cursor, LogVersion, OsdId,
    simulation::{Bug, planted},
};
use wire::{ActivatePg, MissingSet, PgBody, PgInfo};

use super::Stage;
use crate::{
    Action,
    pg::{Pending, Pg},
    turn::Turn,
};

impl Pg {
    /// Everything is proven: the interval gets its beginning in everybody's account.
    pub(crate) fn activate(&mut self, turn: &mut Turn<'_>) {
        if self.is_creating() {
            // Nothing of the past matters to a PG that never served.
            self.past.clear();
            self.changes.put_past(self.past.list());
        }
        self.info.last_epoch_started = self.map.epoch();
        self.info.last_interval_started = self.interval.since;
        self.info.backfill = Cursor::End;
        self.adopt_history();
        self.info_changed = true;
        self.peering.stage = Stage::Activating;
        self.commit(types::Transaction::new(), Pending::Activation, Vec::new(), turn);
        for osd in self.write_members() {
            self.order_activation(osd, turn);
        }
    }

    /// The common past, from whoever knows most of it.
    fn adopt_history(&mut self) {
        let created = self.map.pools.get(&self.pg.pool).map(|pool| pool.created);
        let history = &mut self.info.history;
        if let Some(created) = created {
            history.epoch_created = created;
        }
        for peer in self.peers.values().map(|peer| &peer.info.history) {
            if peer.last_epoch_started > history.last_epoch_started {
                history.last_epoch_started = peer.last_epoch_started;
                history.last_interval_started = peer.last_interval_started;
            }
            if peer.last_epoch_clean > history.last_epoch_clean {
                history.last_epoch_clean = peer.last_epoch_clean;
                history.last_interval_clean = peer.last_interval_clean;
            }
        }
    }

    /// Where a member's scan goes on, if it must be scanned at all.
    fn scan_start(&self, info: &PgInfo) -> Option<Cursor> {
        let reached = info.last_update >= self.log.tail();
        match (reached, info.is_whole()) {
            (true, true) => None,
            (true, false) => Some(info.backfill.clone()),
            (false, _) => Some(Cursor::Start),
        }
    }

    fn order_activation(&mut self, osd: OsdId, turn: &mut Turn<'_>) {
        let Some(peer) = self.peers.get(&osd) else { return };
        let backfill = self.scan_start(&peer.info);
        let since = if backfill == Some(Cursor::Start) { LogVersion::ZERO } else { peer.info.last_update };
        let log = if since == LogVersion::ZERO {
            self.log.slice_after(self.log.tail(), self.remembered.to_vec())
        } else {
            self.log.slice_after(since, self.remembered.to_vec())
        };
        let order = ActivatePg { info: self.info.clone(), log, past_intervals: self.past.list().to_vec(), backfill };
        self.send(osd, PgBody::Activate(Box::new(order)), turn);
        if let Some(peer) = self.peers.get_mut(&osd) {
            peer.asked_at = turn.now;
        }
    }

    pub(crate) fn repeat_activation(&mut self, osd: OsdId, turn: &mut Turn<'_>) {
        if self.peers.get(&osd).is_some_and(|peer| !peer.activated) && self.write_members().contains(&osd) {
            self.order_activation(osd, turn);
        }
    }

    /// A member has the log on disk.
    pub(crate) fn hear_activated(&mut self, from: OsdId, info: PgInfo, missing: MissingSet, turn: &mut Turn<'_>) {
        if self.peering.stage != Stage::Activating || info.last_epoch_started != self.info.last_epoch_started {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&from).filter(|peer| !peer.activated) {
            peer.activated = true;
            peer.committed = info.last_update;
            peer.info = info;
            peer.missing = missing;
            if self.interval.is_acting(from) {
                self.request_lease(from, turn);
            }
        }
    }

    pub(crate) fn note_own_activation(&mut self) {
        self.peering.activation_stored = true;
        self.writes.own_committed = self.log.head();
    }

    pub(crate) fn progress_activating(&mut self, turn: &mut Turn<'_>) {
        let is_activated =
            |osd: &OsdId| self.peers.get(osd).is_some_and(|peer| peer.activated) || planted(Bug::ActivatedWithoutAll);
        if !self.peering.activation_stored || !self.write_members().iter().all(is_activated) {
            return;
        }
        if self.is_creating() {
            if !self.peering.created_said {
                self.peering.created_said = true;
                turn.act(Action::Created);
            }
            return;
        }
        self.info.history.last_epoch_started = self.info.last_epoch_started;
        self.info.history.last_interval_started = self.info.last_interval_started;
        self.info_changed = true;
        self.writes.committed_to = self.log.head();
        let acting = u32::try_from(self.interval.acting_osds().count()).unwrap_or(u32::MAX);
        let is_enough = acting >= self.interval.min_size || planted(Bug::MinSizeIgnored);
        self.peering.stage = if is_enough { Stage::Active } else { Stage::Peered };
        self.begin_recovery();
        self.request_leases(turn);
        self.admit_waiting(turn);
    }
}
