//! Agreeing on history: how the members of a new interval come to one log before anybody is served.
//!
//! ```text
//! primary:  GetInfo -> (Down | Incomplete | WaitActing) -> GetLog -> WaitProof -> Activating -> Active | Peered
//! others:   Waiting -> Replica
//! ```
//! Owns: the stage of the interval and who has been asked what. Does not know: how writes and copies are made.
//!
//! Invariants
//! 1. Only the primary leaves `GetInfo`, and only with its own beginning of the interval on disk.
//! 2. `Activating` is reached only when the map proves `up_thru >= since`, when reads by earlier primaries have ended, and
//!    when somebody of every past interval that may have written has testified.
//! 3. `Active` is reached only when everyone who must commit writes has the authoritative log on disk.

mod activate;
mod authority;
mod get_info;
mod get_log;
mod proof;
mod replica;

use std::collections::{BTreeMap, BTreeSet};

use types::{Epoch, OsdId, Time};

use crate::{pg::Pg, turn::Turn};

/// Where a member stands in the present interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Stage {
    /// Not the primary, and not told to serve: a stray, a member before its activation, or not booted yet.
    #[default]
    Waiting,
    /// Serves under the primary.
    Replica,
    /// Primary: asks everybody who may know something.
    GetInfo,
    /// Primary: nobody of some past interval that may have written is there to testify, or the past is unknown.
    Down,
    /// Primary: of those that answered nobody has a whole copy of the newest history.
    Incomplete,
    /// Primary: waits for the map that lets another set serve.
    WaitActing,
    /// Primary: waits for the authoritative log.
    GetLog,
    /// Primary: waits for the map's proof that it may serve, and for the end of earlier leases.
    WaitProof,
    /// Primary: waits until everybody has the authoritative log on disk.
    Activating,
    /// Primary: serves.
    Active,
    /// Primary: has fewer members than writes need; makes copies only.
    Peered,
}

impl Stage {
    /// Whether the members agree and copies can be made.
    pub fn is_serving(self) -> bool {
        matches!(self, Self::Active | Self::Peered)
    }
}

/// What is known and awaited in the present interval.
#[derive(Debug, Default)]
pub struct Peering {
    /// Where this member stands.
    pub stage: Stage,
    /// Whether the interval's beginning is on disk here.
    pub interval_stored: bool,
    /// Primary: who was asked for its account, and when.
    pub queried: BTreeMap<OsdId, Time>,
    /// Primary: OSDs whose return would unblock.
    pub blocked_by: BTreeSet<OsdId>,
    /// Primary: the acting set that is wished for.
    pub acting_wanted: Option<Vec<OsdId>>,
    /// Primary: whose log is asked for, and when.
    pub log_from: Option<(OsdId, Time)>,
    /// Primary: when reads by earlier primaries have ended.
    pub readable_after: Option<Time>,
    /// Primary: whether its own activation is on disk. Others: the same.
    pub activation_stored: bool,
    /// Others: the activation that was carried out, by its epoch.
    pub activated_in: Option<Epoch>,
    /// Primary: whether the monitors were told that the PG exists.
    pub created_said: bool,
    /// Whether the interval has been found clean.
    pub clean: bool,
}

impl Peering {
    /// Whether this member serves under a primary.
    pub fn is_replica(&self) -> bool {
        self.stage == Stage::Replica
    }
}

impl Pg {
    /// Whether the PG has never served anybody, by the map: it may be made empty.
    ///
    /// The primary serves only under a map that no longer says so. Hence while any map says so, no earlier primary had
    /// served, and nothing of the past matters.
    pub(crate) fn is_creating(&self) -> bool {
        self.map.creating_pgs.contains(&self.pg)
    }

    /// Goes through the stages as far as what is known allows.
    pub(crate) fn progress_peering(&mut self, turn: &mut Turn<'_>) {
        if self.peering.stage == Stage::Waiting {
            self.peering.stage = Stage::GetInfo;
        }
        loop {
            let before = self.peering.stage;
            match before {
                // The log comes by message, the last two by nothing but a new interval.
                Stage::Waiting | Stage::Replica | Stage::GetLog | Stage::Active | Stage::Peered => {}
                Stage::GetInfo | Stage::Down | Stage::Incomplete | Stage::WaitActing => self.progress_get_info(turn),
                Stage::WaitProof => self.progress_proof(turn),
                Stage::Activating => self.progress_activating(turn),
            }
            if self.peering.stage == before {
                return;
            }
        }
    }

    /// A map that changes nothing about the sets may still take away who was heard, or bring somebody back.
    pub(crate) fn note_map_of_same_interval(&mut self, turn: &mut Turn<'_>) {
        let map = self.map.clone();
        let is_member = |osd: OsdId| self.interval.is_member(osd);
        let gone: Vec<OsdId> = self.peers.keys().copied().filter(|osd| !is_member(*osd) && !map.is_up(*osd)).collect();
        for osd in gone {
            self.peers.remove(&osd);
            self.forget_source(osd);
        }
        self.peering.queried.retain(|osd, _| map.is_up(*osd));
        if let Some((from, _)) = self.peering.log_from
            && !self.map.is_up(from)
        {
            self.peering.log_from = None;
            self.peering.stage = Stage::GetInfo;
        }
        // The proof that an earlier primary is dead may come after the map that marked it down: then nobody waits for it.
        if self.peering.stage == Stage::WaitProof {
            self.begin_proof(turn);
        }
        // A flag or a quota may have let operations wait.
        self.pump_all(turn);
    }
}
