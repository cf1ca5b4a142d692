//! What would move: how much data a step from one map to another sends over the network, and how little could do.
//!
//! Owns: the count, by placement group, by byte and by OSD, and the lower bound. Does not know: how many bytes a group
//! has (the caller does), how long it takes, or whether the step is wise.
//!
//! A copy moves when it should be on an OSD that did not have it: of up sets, in erasure-coded pools place by place. A
//! copy that merely disappears (its OSD is down) has not moved. Where the number of placement groups changes, each group
//! of the finer division is compared with the group of the coarser one that holds its objects.

use std::collections::{BTreeMap, BTreeSet};

use crush::Step;
use types::{OsdId, PgId, PoolId, stable_modulo};

use crate::{ClusterMap, Mapping, Pool, Weight};

/// Copies and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Volume {
    /// Copies (shards, in erasure-coded pools) of placement groups.
    pub copies: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Volume {
    fn add(&mut self, bytes: u64) {
        self.copies += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What arrives at an OSD and what leaves it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct OsdMovement {
    /// Arrives.
    pub arriving: Volume,
    /// Leaves.
    pub leaving: Volume,
}

/// What moves between two maps.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Movement {
    /// Placement groups compared.
    pub pgs: u64,
    /// Placement groups of which a copy moves.
    pub pgs_moved: u64,
    /// All copies, after the step.
    pub total: Volume,
    /// Copies that move.
    pub moved: Volume,
    /// The least that must move for every OSD to end up with its share by weight, had every OSD its share before.
    ///
    /// No placement can be better on average; rules about failure domains can force more. Rules that take from several
    /// roots are counted as if they took from all of them together.
    pub lower_bound: Volume,
    /// Per OSD, those that are concerned.
    pub osds: BTreeMap<OsdId, OsdMovement>,
}

/// Compares two maps, each with its whole mapping. `bytes_of` tells how many bytes one copy of a group has, by the map before.
///
/// Pools that only one of the maps has are left out: their data is made or deleted, not moved.
pub fn movement(before: &Mapping, after: &Mapping, bytes_of: impl Fn(PgId) -> u64) -> Movement {
    let mut result = Movement::default();
    for (id, pool_after) in &after.map().pools {
        if let Some(pool_before) = before.map().pools.get(id) {
            let bytes = compare_pool(&mut result, (before, pool_before), (after, pool_after), &bytes_of);
            add_lower_bound(&mut result.lower_bound, (before, pool_before), (after, pool_after), bytes);
        }
    }
    result
}

/// Adds a pool's movement, and returns the bytes of one copy of all of it.
fn compare_pool(
    result: &mut Movement,
    (before, pool_before): (&Mapping, &Pool),
    (after, pool_after): (&Mapping, &Pool),
    bytes_of: &impl Fn(PgId) -> u64,
) -> u64 {
    let pool = pool_after.id;
    let finest = pool_before.pg_num.max(pool_after.pg_num);
    // Groups of the finer division per group before, to share its bytes among them.
    let mut parts: BTreeMap<u32, u64> = BTreeMap::new();
    for seed in 0..finest {
        *parts.entry(stable_modulo(seed, pool_before.pg_num)).or_default() += 1;
    }
    let mut pool_bytes: u64 = 0;
    for seed in 0..finest {
        let old = PgId { pool, seed: stable_modulo(seed, pool_before.pg_num) };
        let new = PgId { pool, seed: stable_modulo(seed, pool_after.pg_num) };
        let bytes = bytes_of(old) / parts.get(&old.seed).copied().unwrap_or(1);
        pool_bytes = pool_bytes.saturating_add(bytes);
        let (had, has) = (before.place(old).up, after.place(new).up);
        let by_place = !pool_after.kind.shifts();
        let arriving = difference(&has, &had, by_place);
        result.pgs += 1;
        result.pgs_moved += u64::from(!arriving.is_empty());
        has.iter().flatten().for_each(|_| result.total.add(bytes));
        for osd in arriving {
            result.moved.add(bytes);
            result.osds.entry(osd).or_default().arriving.add(bytes);
        }
        for osd in difference(&had, &has, by_place) {
            result.osds.entry(osd).or_default().leaving.add(bytes);
        }
    }
    pool_bytes
}

/// Who is in the first set and not in the second; place by place, or anywhere.
fn difference(first: &[Option<OsdId>], second: &[Option<OsdId>], by_place: bool) -> Vec<OsdId> {
    let is_kept = |place: usize, osd: &OsdId| {
        if by_place { second.get(place) == Some(&Some(*osd)) } else { second.contains(&Some(*osd)) }
    };
    let places = first.iter().enumerate().filter_map(|(place, osd)| Some((place, (*osd)?)));
    places.filter(|(place, osd)| !is_kept(*place, osd)).map(|(_, osd)| osd).collect()
}

/// Parts of one in shares of weight: fine enough for 100,000 OSDs, and products with bytes fit 128 bits.
const SHARE_ONE: u128 = 1 << 32;

/// Adds what OSDs gain of a pool when each has its share by weight before and after.
fn add_lower_bound(
    bound: &mut Volume,
    (before, pool_before): (&Mapping, &Pool),
    (after, pool_after): (&Mapping, &Pool),
    pool_bytes: u64,
) {
    let had = shares(before.map(), pool_before);
    let has = shares(after.map(), pool_after);
    let gain: u128 = has.iter().map(|(osd, share)| share.saturating_sub(had.get(osd).copied().unwrap_or(0))).sum();
    let of = |whole: u64| u64::try_from(u128::from(whole) * gain / SHARE_ONE).unwrap_or(u64::MAX);
    let finest = pool_before.pg_num.max(pool_after.pg_num);
    bound.copies += of(u64::from(finest));
    bound.bytes = bound.bytes.saturating_add(of(pool_bytes));
}

/// How many copies of the whole pool each OSD should hold: its part of the weight below what the pool's rule takes.
fn shares(map: &ClusterMap, pool: &Pool) -> BTreeMap<OsdId, u128> {
    let weights = rule_weights(map, pool.crush_rule);
    let sum: u128 = weights.values().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return BTreeMap::new();
    }
    let share = |weight: u64| u128::from(weight) * SHARE_ONE * u128::from(pool.size) / sum;
    weights.into_iter().map(|(osd, weight)| (osd, share(weight))).collect()
}

/// The weight of each OSD that a rule can choose: what the hierarchy says times how much of it is in.
pub(crate) fn rule_weights(map: &ClusterMap, rule: u32) -> BTreeMap<OsdId, u64> {
    let mut weights = BTreeMap::new();
    let Some(rule) = map.crush.rule(rule) else { return weights };
    for step in &rule.steps {
        let Step::Take { item } = step else { continue };
        let mut pending = vec![*item];
        let mut seen = BTreeSet::new();
        while let Some(bucket) = pending.pop().filter(|item| seen.insert(*item)).and_then(|item| map.crush.bucket(item))
        {
            for (item, weight) in bucket.weighted_items() {
                let Ok(osd) = u32::try_from(item).map(OsdId) else {
                    pending.push(item);
                    continue;
                };
                let share_in = map.osds.get(&osd).map_or(Weight::ZERO, |state| state.weight);
                *weights.entry(osd).or_insert(0) += (u64::from(weight) * u64::from(share_in.0)) >> 16;
            }
        }
    }
    weights
}

/// Placement groups per pool and OSD: how many copies each OSD should hold by its up sets.
pub fn copies_by_osd(mapping: &Mapping) -> BTreeMap<PoolId, BTreeMap<OsdId, u64>> {
    let mut counts: BTreeMap<PoolId, BTreeMap<OsdId, u64>> = BTreeMap::new();
    for (pg, place) in mapping.places() {
        let of_pool = counts.entry(pg.pool).or_default();
        place.up_osds().for_each(|osd| *of_pool.entry(osd).or_default() += 1);
    }
    counts
}
