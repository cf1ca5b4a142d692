//! What the leader alone remembers: reports that whoever sent them sends again (FOUNDATIONS 9).
//!
//! Owns: when each OSD and manager was last heard, who reported whom, the newest digest, the block of client ids in
//! hand. Does not know: what follows from that; the services beside it decide. All of it is lost with leadership.
//!
//! Invariants
//! 1. Failure reports are of OSDs that exist, one for each (target, reporter); so their number is bounded by the map.
//! 2. Managers that were silent for ten graces are forgotten; at most [`MANAGERS_MAX`] are known at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use map::ManagerEntry;
use types::{BootNonce, ClientId, Epoch, MonId, OsdId, StoreUsage, Time};
use wire::{ClusterDigest, FailureEvidence};

/// Managers known at a time. Real clusters run two or three.
pub(crate) const MANAGERS_MAX: usize = 64;
/// Nonces of replaced processes remembered for each OSD: enough to recognise a cloned device that tries again.
pub(crate) const REPLACED_NONCES_MAX: usize = 8;
/// Client ids reserved by one increment. Large enough that clients that come and go do not make epochs; small beside
/// 2^64, from which each change of leader loses a block.
pub(crate) const CLIENT_BLOCK: u64 = 4096;

/// An OSD's last beacon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heard {
    pub at: Time,
    pub nonce: BootNonce,
    /// What it said, unless it only booted so far.
    pub said: Option<Said>,
}

/// What an OSD says in a beacon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said {
    pub lowest_needed: Epoch,
    pub usage: StoreUsage,
}

/// One OSD's report on another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    pub at: Time,
    pub evidence: FailureEvidence,
}

/// A manager's last beacon.
#[derive(Debug, Clone)]
pub(crate) struct ManagerHeard {
    pub at: Time,
    pub entry: ManagerEntry,
}

/// Which monitors agree at present, as the consensus library knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quorum {
    /// Who leads.
    pub leader: Option<MonId>,
    /// Who follows closely, the leader included.
    pub members: BTreeSet<MonId>,
    /// The library's term: Ceph calls it the election epoch.
    pub term: u64,
}

/// Client ids that are reserved and not yet given.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ClientBlock {
    pub next: u64,
    pub end: u64,
}

impl ClientBlock {
    pub fn take(&mut self) -> Option<ClientId> {
        if self.next >= self.end {
            return None;
        }
        let id = ClientId(self.next);
        self.next += 1;
        Some(id)
    }
}

/// The leader's memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    pub osds: BTreeMap<OsdId, Heard>,
    pub failures: BTreeMap<OsdId, BTreeMap<OsdId, Report>>,
    /// Since when an OSD is seen down and in.
    pub down_since: BTreeMap<OsdId, Time>,
    /// Processes that another process of the same OSD replaced, oldest first.
    pub replaced: BTreeMap<OsdId, Vec<BootNonce>>,
    pub managers: BTreeMap<String, ManagerHeard>,
    pub digest: Option<(Time, Arc<ClusterDigest>)>,
    pub clients: ClientBlock,
    pub quorum: Quorum,
    /// The epoch of the published map, and since when this leader knows it.
    pub epoch_since: Option<(Epoch, Time)>,
    /// Since when this leader leads.
    pub begun: Option<Time>,
    /// When health is looked at again.
    pub health_next: Option<Time>,
    /// The epoch whose exceptions to placement were last looked through.
    pub exceptions_seen_in: Option<Epoch>,
}

impl Memory {
    /// Notes the published epoch.
    pub fn note_epoch(&mut self, now: Time, epoch: Epoch) {
        self.begun.get_or_insert(now);
        if self.epoch_since.is_none_or(|(known, _)| known != epoch) {
            self.epoch_since = Some((epoch, now));
        }
    }

    /// Remembers that another process took this OSD's place.
    pub fn remember_replaced(&mut self, osd: OsdId, nonce: BootNonce) {
        let replaced = self.replaced.entry(osd).or_default();
        if !replaced.contains(&nonce) {
            replaced.push(nonce);
        }
        if replaced.len() > REPLACED_NONCES_MAX {
            replaced.remove(0);
        }
    }

    pub fn is_replaced(&self, osd: OsdId, nonce: BootNonce) -> bool {
        self.replaced.get(&osd).is_some_and(|nonces| nonces.contains(&nonce))
    }

    /// Gives everybody a fresh grace: this process itself was not running, so silence proves nothing.
    pub fn forgive_silence(&mut self, now: Time) {
        for heard in self.osds.values_mut() {
            heard.at = now;
        }
        for manager in self.managers.values_mut() {
            manager.at = now;
        }
        self.failures.clear();
    }
}
