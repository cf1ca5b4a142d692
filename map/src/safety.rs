//! Whether OSDs may be stopped, and whether they may be destroyed.
//!
//! Owns: the two judgements, with Ceph's rules and field names. Does not know: where the conditions of placement groups come
//! from, or how old they are; whoever collects them refuses to ask with old ones.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use types::{OsdId, PgId};

use crate::ClusterMap;

/// What is known of a placement group's present state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PgCondition {
    /// Whether it serves.
    pub active: bool,
    /// Whether all copies are whole and where they belong.
    pub clean: bool,
    /// Who serves it now.
    pub acting: BTreeSet<OsdId>,
    /// Who should hold it.
    pub up: BTreeSet<OsdId>,
    /// Those of the acting set that miss no object. The same as `acting` unless it is degraded.
    pub whole: BTreeSet<OsdId>,
}

/// Whether some OSDs may be stopped together without any placement group ceasing to serve.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct StopReport {
    /// The answer.
    pub ok_to_stop: bool,
    /// The OSDs that were asked about.
    pub osds: BTreeSet<OsdId>,
    /// Placement groups that would go on serving.
    pub num_ok_pgs: usize,
    /// Placement groups that would not, or of which nothing is known.
    pub num_not_ok_pgs: usize,
    /// Nothing is known of these.
    pub unknown: Vec<PgId>,
    /// These do not serve even now.
    pub bad_already_inactive: Vec<PgId>,
    /// These would have fewer whole copies than their pool's `min_size`.
    pub bad_become_inactive: Vec<PgId>,
    /// These would go on serving, but with fewer copies than now.
    pub ok_become_degraded: Vec<PgId>,
    /// These have too few copies already and would have still fewer, but go on serving.
    pub ok_become_more_degraded: Vec<PgId>,
}

/// Judges whether `osds` may be stopped together.
///
/// Ceph: of a degraded placement group only those copies count that miss nothing; any placement group of which nothing is known
/// makes the answer no.
pub fn ok_to_stop(map: &ClusterMap, conditions: &BTreeMap<PgId, PgCondition>, osds: &BTreeSet<OsdId>) -> StopReport {
    let mut report = StopReport { osds: osds.clone(), ..StopReport::default() };
    for pool in map.pools.values() {
        for pg in pool.pgs() {
            let Some(condition) = conditions.get(&pg) else {
                report.unknown.push(pg);
                continue;
            };
            if condition.acting.is_disjoint(osds) {
                continue;
            }
            let left = condition.whole.difference(osds).count();
            let inactive_now = !condition.active;
            let inactive_then = left < pool.min_size as usize;
            if inactive_now {
                report.bad_already_inactive.push(pg);
            }
            if inactive_then {
                report.bad_become_inactive.push(pg);
            }
            if inactive_now || inactive_then {
                report.num_not_ok_pgs += 1;
                continue;
            }
            report.num_ok_pgs += 1;
            if condition.whole.len() < pool.size as usize {
                report.ok_become_more_degraded.push(pg);
            } else {
                report.ok_become_degraded.push(pg);
            }
        }
    }
    report.num_not_ok_pgs += report.unknown.len();
    report.ok_to_stop = report.num_not_ok_pgs == 0;
    report
}

/// Whether OSDs may be destroyed without any data losing a copy that it needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DestroyReport {
    /// The answer for all of them together.
    pub is_safe: bool,
    /// These may.
    pub safe_to_destroy: BTreeSet<OsdId>,
    /// Placement groups are, or should be, on these.
    pub active: BTreeSet<OsdId>,
    /// Not all placement groups are clean, and nothing is known of what these hold.
    pub missing_stats: BTreeSet<OsdId>,
    /// Not all placement groups are clean, and these still hold some.
    pub stored_pgs: BTreeSet<OsdId>,
}

/// Judges whether `osds` may be destroyed. `stored` says how many placement groups each OSD holds, of those that report.
pub fn safe_to_destroy(
    map: &ClusterMap,
    conditions: &BTreeMap<PgId, PgCondition>,
    stored: &BTreeMap<OsdId, u64>,
    osds: &BTreeSet<OsdId>,
) -> DestroyReport {
    let mut report = DestroyReport::default();
    let all_clean =
        map.pgs().all(|pg| conditions.get(&pg).is_some_and(|condition| condition.active && condition.clean));
    for osd in osds.iter().copied() {
        let used = conditions.values().any(|condition| condition.acting.contains(&osd) || condition.up.contains(&osd));
        let reported = stored.get(&osd).filter(|_| map.is_up(osd));
        let place = if !map.osds.contains_key(&osd) {
            &mut report.safe_to_destroy
        } else if used {
            &mut report.active
        } else if all_clean {
            &mut report.safe_to_destroy
        } else {
            match reported {
                None => &mut report.missing_stats,
                Some(0) => &mut report.safe_to_destroy,
                Some(_) => &mut report.stored_pgs,
            }
        };
        place.insert(osd);
    }
    report.is_safe = report.safe_to_destroy.len() == osds.len();
    report
}

#[cfg(test)]
mod tests;
