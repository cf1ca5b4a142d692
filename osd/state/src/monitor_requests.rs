//! What the OSD wants of the monitors, asked again until a map shows it.
//!
//! Reports are not log entries (FOUNDATIONS 9): a new leader knows nothing of them, so each wish stays here until the
//! map that this OSD holds grants it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use map::{ClusterMap, OsdState};
use types::{
    Epoch, OsdId, PgId, Time,
    simulation::{Bug, planted},
};
use wire::{ControlRequest, OsdBoot};

use crate::OsdConfig;

/// Wishes that no map has granted yet.
#[derive(Debug)]
pub(crate) struct MonitorRequests {
    interval: Duration,
    next: Time,
    up_thru: Epoch,
    pg_temp: BTreeMap<PgId, Vec<OsdId>>,
    created: BTreeSet<PgId>,
}

impl MonitorRequests {
    /// No wishes; the first round is due at once.
    pub fn new(now: Time, interval: Duration) -> Self {
        Self { interval, next: now, up_thru: Epoch::ZERO, pg_temp: BTreeMap::new(), created: BTreeSet::new() }
    }

    /// When the next round is due.
    pub fn deadline(&self) -> Time {
        self.next
    }

    /// The next round is due at once: a wish is new.
    fn hasten(&mut self) {
        self.next = Time::ZERO;
    }

    /// The OSD must be able to prove that it served since this epoch.
    pub fn want_up_thru(&mut self, epoch: Epoch) {
        if epoch > self.up_thru {
            self.up_thru = epoch;
            self.hasten();
        }
    }

    /// These should serve for now; an empty set ends it.
    pub fn want_pg_temp(&mut self, pg: PgId, osds: Vec<OsdId>) {
        if self.pg_temp.get(&pg) != Some(&osds) {
            self.pg_temp.insert(pg, osds);
            self.hasten();
        }
    }

    /// The placement group no longer exists here, or leads nothing: what it wanted is void.
    pub fn forget_pg(&mut self, pg: PgId) {
        self.pg_temp.remove(&pg);
        self.created.remove(&pg);
    }

    /// The placement group has been peered for the first time.
    pub fn want_created(&mut self, pg: PgId) {
        if self.created.insert(pg) {
            self.hasten();
        }
    }

    /// Drops what a map grants, and what it makes void: wishes for groups that this OSD no longer leads.
    pub fn note_map(&mut self, map: &ClusterMap, whoami: OsdId, leads: impl Fn(PgId) -> bool) {
        if map.osds.get(&whoami).is_some_and(|state| state.up_thru >= self.up_thru) {
            self.up_thru = Epoch::ZERO;
        }
        let none = Vec::new();
        self.pg_temp.retain(|pg, wanted| map.pg_temp.get(pg).unwrap_or(&none) != wanted && leads(*pg));
        self.created.retain(|pg| map.creating_pgs.contains(pg));
    }

    /// A round, when it is due: everything still wanted.
    pub fn round(&mut self, now: Time, config: &OsdConfig, map: Option<&ClusterMap>) -> Vec<ControlRequest> {
        if now < self.next {
            return Vec::new();
        }
        self.next = now + self.interval;
        let epoch = map.map_or(Epoch::ZERO, |map| map.epoch);
        if !is_booted(config, map) {
            return vec![ControlRequest::Boot(OsdBoot {
                osd: config.whoami,
                uuid: config.uuid,
                nonce: config.nonce,
                address: config.address,
                host: config.host.clone(),
                total_bytes: config.total_bytes,
                newest_map: epoch,
            })];
        }
        let mut requests = Vec::new();
        if self.up_thru > Epoch::ZERO {
            let (osd, nonce) = (config.whoami, config.nonce);
            requests.push(ControlRequest::UpThru { osd, nonce, epoch: self.up_thru });
        }
        if !self.pg_temp.is_empty() && !planted(Bug::PgTempDropped) {
            let sets = self.pg_temp.iter().map(|(pg, osds)| (*pg, osds.clone())).collect();
            requests.push(ControlRequest::PgTemp { osd: config.whoami, epoch, sets });
        }
        if !self.created.is_empty() && !planted(Bug::CreationNotSaid) {
            requests.push(ControlRequest::PgCreated { pgs: self.created.iter().copied().collect() });
        }
        requests
    }
}

/// Whether the map shows this life of this OSD as up, where it listens.
pub(crate) fn is_booted(config: &OsdConfig, map: Option<&ClusterMap>) -> bool {
    let is_me = |state: &OsdState| {
        state.up && state.uuid == config.uuid && state.nonce == config.nonce && state.address == Some(config.address)
    };
    map.and_then(|map| map.osds.get(&config.whoami)).is_some_and(is_me)
}
