//! Intervals: spans of epochs in which a placement group's sets did not change, and what past ones may have left.
//!
//! Owns: the present interval as a map gives it, the list of past ones, and the question which of their members a new
//! primary must hear before it may lead. Does not know: messages, logs.
//!
//! Invariants
//! 1. The list of past intervals is in epoch order and reaches, without a gap in what this member saw, to the epoch
//!    before the present interval began.
//! 2. An interval without `maybe_wrote` accepted no write: the map proves it.

use std::collections::{BTreeMap, BTreeSet};

use map::{ClusterMap, PublishedMap};
use types::{Epoch, OsdId, PgId};
use wire::{PastInterval, PgInfo};

/// Past intervals that are kept even when they cannot matter for writes any more; more are dropped from the oldest on.
const PAST_INTERVALS_MAX: usize = 1000;

/// The present interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// Its first epoch, as far as this member knows.
    pub since: Epoch,
    /// Who should hold the PG.
    pub up: Vec<Option<OsdId>>,
    /// Who serves it.
    pub acting: Vec<Option<OsdId>>,
    /// Who leads it.
    pub primary: Option<OsdId>,
    /// Who should lead it.
    pub up_primary: Option<OsdId>,
    /// Copies that the pool wants.
    pub size: u32,
    /// Copies without which no write is taken.
    pub min_size: u32,
    /// Placement groups of the pool.
    pub pg_num: u32,
    /// Since when each member has been up without a break.
    pub lives: BTreeMap<OsdId, Epoch>,
}

impl Interval {
    /// The interval that begins with this map; `None` when the map has no such PG.
    pub fn of(map: &PublishedMap, pg: PgId) -> Option<Self> {
        let pool = map.pools.get(&pg.pool).filter(|pool| pg.seed < pool.pg_num)?;
        let placement = map.place(pg);
        let members = placement.up_osds().chain(placement.acting_osds());
        let lives = members.filter_map(|osd| Some((osd, map.osds.get(&osd)?.up_from))).collect();
        Some(Self {
            lives,
            since: map.epoch(),
            up: placement.up,
            acting: placement.acting,
            primary: placement.acting_primary,
            up_primary: placement.up_primary,
            size: pool.size,
            min_size: pool.min_size,
            pg_num: pool.pg_num,
        })
    }

    /// Whether nothing that makes a new interval differs.
    ///
    /// Ceph: a new interval begins when the up set, the acting set, one of their primaries, or the pool's size,
    /// min_size or pg_num changes.
    ///
    /// Unlike Ceph: also when a member was restarted so fast that no map showed it down. It has forgotten that it serves.
    pub fn same_as(&self, other: &Self) -> bool {
        Self { since: other.since, ..self.clone() } == *other
    }

    /// Whether a client sees no difference: it knows the sets, not who was restarted. Ceph's rule as it stands.
    pub fn same_for_clients(&self, other: &Self) -> bool {
        Self { lives: other.lives.clone(), ..self.clone() }.same_as(other)
    }

    /// The acting set without holes.
    pub fn acting_osds(&self) -> impl Iterator<Item = OsdId> + '_ {
        self.acting.iter().flatten().copied()
    }

    /// The up set without holes.
    pub fn up_osds(&self) -> impl Iterator<Item = OsdId> + '_ {
        self.up.iter().flatten().copied()
    }

    /// Whether the OSD serves.
    pub fn is_acting(&self, osd: OsdId) -> bool {
        self.acting.contains(&Some(osd))
    }

    /// Whether the OSD serves or should.
    pub fn is_member(&self, osd: OsdId) -> bool {
        self.is_acting(osd) || self.up.contains(&Some(osd))
    }

    /// The past interval that this one becomes when `last_map` was its last map.
    ///
    /// Ceph: an interval may have gone read-write when enough OSDs acted, a primary led, and the primary's `up_thru`
    /// reached its first epoch while it lasted.
    pub fn into_past(self, last_map: &ClusterMap, proof: UpThru) -> PastInterval {
        let up_thru = self.primary.and_then(|osd| last_map.osds.get(&osd)).map(|state| state.up_thru);
        let enough = u32::try_from(self.acting_osds().count()).unwrap_or(u32::MAX) >= self.min_size;
        let proven = up_thru.is_some_and(|epoch| epoch >= self.since);
        PastInterval {
            first: self.since,
            last: last_map.epoch,
            maybe_wrote: enough && proven && proof == UpThru::Believed,
            up: self.up,
            acting: self.acting,
            primary: self.primary,
        }
    }
}

/// Whether `up_thru` counts; only a planted bug says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpThru {
    /// It does.
    Believed,
    /// A test wants to see what happens when it does not.
    Ignored,
}

/// The past intervals that a member knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PastIntervals {
    list: Vec<PastInterval>,
}

impl PastIntervals {
    /// From what was stored or sent.
    pub fn new(list: Vec<PastInterval>) -> Self {
        Self { list }
    }

    /// In epoch order.
    pub fn list(&self) -> &[PastInterval] {
        &self.list
    }

    /// An interval ended.
    pub fn push(&mut self, interval: PastInterval, last_epoch_started: Epoch) {
        self.list.push(interval);
        if self.list.len() > PAST_INTERVALS_MAX {
            let oldest_needed = self.list.iter().position(|past| past.last >= last_epoch_started);
            let surplus = self.list.len() - PAST_INTERVALS_MAX;
            self.list.drain(..surplus.min(oldest_needed.unwrap_or(surplus)));
        }
    }

    /// They no longer matter.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// The epoch since which every interval before `present` is known.
    pub fn known_since(&self, present: Epoch) -> Epoch {
        self.list.first().map_or(present, |past| past.first.min(present))
    }

    /// Takes over another member's list when it reaches further back. Says whether it did.
    pub fn adopt(&mut self, other: &[PastInterval], present: Epoch) -> bool {
        let reaches_back = other.first().is_some_and(|past| past.first < self.known_since(present));
        if reaches_back {
            self.list = other.iter().filter(|past| past.first < present).cloned().collect();
        }
        reaches_back
    }

    /// Those that may have accepted writes and ended after the PG was last active on all its members.
    ///
    /// Ceph: whatever was written before `last_epoch_started` is in the log of every member of that interval.
    pub fn that_matter(&self, last_epoch_started: Epoch) -> impl DoubleEndedIterator<Item = &PastInterval> {
        self.list.iter().filter(move |past| past.maybe_wrote && past.last >= last_epoch_started)
    }
}

/// What a member of a past interval can testify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Testimony {
    /// Its copy existed in the interval: what was acknowledged then is in its log.
    Witness,
    /// It is there but its copy is younger than the interval, or it has none.
    Absent,
    /// It has not answered yet.
    Awaited,
}

/// What a member's account testifies about an interval.
///
/// A copy that was ever activated holds everything up to then, and has existed since. One that never was testifies only
/// since the epoch it was made in, which is in `epoch_created` until the first activation replaces it by the PG's own.
/// FOUNDATIONS 23: the copy of a wiped device counts as absent, not as empty.
pub fn testimony(info: &PgInfo, interval: &PastInterval) -> Testimony {
    let made = info.history.epoch_created;
    let existed = made > Epoch::ZERO && made <= interval.last;
    if info.last_epoch_started > Epoch::ZERO || existed { Testimony::Witness } else { Testimony::Absent }
}

/// Whom a new primary must hear, and whether that can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prior {
    /// Members of the present and of past intervals that are up.
    pub probe: BTreeSet<OsdId>,
    /// OSDs of which at least one must come back, or be declared lost, before the PG can be led.
    pub blocked_by: BTreeSet<OsdId>,
}

impl Prior {
    /// Asks for every interval that matters whether one of its members is there to testify.
    ///
    /// Ceph: an OSD that no longer exists is not waited for, and one declared lost after the interval began counts as heard.
    pub fn build(
        past: &PastIntervals,
        present: &Interval,
        map: &ClusterMap,
        last_epoch_started: Epoch,
        testimony: impl Fn(OsdId, &PastInterval) -> Testimony,
    ) -> Self {
        let mut prior = Self::default();
        prior.probe.extend(present.acting_osds().chain(present.up_osds()));
        for interval in past.that_matter(last_epoch_started) {
            let (mut heard, mut silent) = (false, BTreeSet::new());
            for osd in interval.acting.iter().flatten().copied() {
                let Some(state) = map.osds.get(&osd) else { continue };
                if state.up {
                    prior.probe.insert(osd);
                }
                let lost = state.lost_at > interval.first;
                match (state.up, testimony(osd, interval)) {
                    (true, Testimony::Witness | Testimony::Awaited) => heard = true,
                    _ if lost => heard = true,
                    _ => {
                        silent.insert(osd);
                    }
                }
            }
            if !heard {
                prior.blocked_by.extend(silent);
            }
        }
        prior
    }
}

#[cfg(test)]
mod tests;
