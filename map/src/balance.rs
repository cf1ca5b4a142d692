//! Spreading placement groups more evenly, by single replacements.
//!
//! Owns: the search for replacements, and the rule that none of them breaks a failure domain. Does not know: how much data a
//! group holds, or when the cluster is calm enough for movement; whoever asks decides that.
//!
//! The search is greedy and deterministic: from the OSD that is furthest above its share one copy goes to the OSD that is
//! furthest below its own and may take it, until all are near enough or the changes are used up.
//!
//! Invariants
//! 1. Each change takes effect exactly: the group's up set afterwards is the one before with one OSD replaced.
//! 2. Where a rule spreads copies over buckets of a type, they are still in different buckets of that type, and in the same
//!    bucket of each type that an earlier step of the rule chose.
//! 3. Every change brings the two OSDs nearer to their shares, taken together.

use std::collections::BTreeMap;

use crush::Step;
use types::{OsdId, PgId, PoolId};

use crate::{Change, ClusterMap, Mapping, Placement, Pool, movement::rule_weights};

/// How far, and at what price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpmapGoal {
    /// At most so many placement groups are changed.
    pub changes_max: u32,
    /// It is enough when no OSD has so many copies more or less than its share.
    pub deviation_max: u32,
    /// In these pools, all counted together.
    pub pools: Vec<PoolId>,
}

/// Copies in 2^16ths, so that shares need no floating point.
const COPY: i128 = 1 << 16;

/// Replacements that bring the map nearer to the goal; none when it is reached, or when nothing helps.
///
/// Pools whose rules choose in more than one go (several takes or emits) are left as they are: what may replace what in them
/// is not plain.
pub fn balance(mapping: &Mapping, goal: &UpmapGoal) -> Vec<Change> {
    let map = mapping.map();
    let pools = goal.pools.iter().filter_map(|pool| map.pools.get(pool));
    let domains: BTreeMap<PoolId, Domains> =
        pools.filter_map(|pool| Some((pool.id, Domains::of(map, pool)?))).collect();
    let mut search = Search::new(mapping, domains);
    let mut changed: BTreeMap<PgId, Vec<(OsdId, OsdId)>> = BTreeMap::new();
    let deviation_max = i128::from(goal.deviation_max) * COPY;
    while changed.len() < goal.changes_max as usize && search.furthest() > deviation_max {
        let Some((pg, pairs)) = search.step() else { break };
        changed.insert(pg, pairs);
    }
    let change = |(pg, pairs): (PgId, Vec<_>)| Change::PgUpmapItems(pg, Some(pairs).filter(|pairs| !pairs.is_empty()));
    changed.into_iter().map(change).collect()
}

/// Which buckets the rule of a pool tells apart, and where every OSD stands in them.
#[derive(Debug)]
struct Domains {
    /// Per OSD that the rule can reach the bucket of each type that the rule chooses, in the rule's order.
    buckets: BTreeMap<OsdId, Vec<Option<i32>>>,
    /// Whether copies must be in different buckets of the last type: it is not the device itself.
    last_is_bucket: bool,
}

impl Domains {
    fn of(map: &ClusterMap, pool: &Pool) -> Option<Self> {
        let rule = map.crush.rule(pool.crush_rule)?;
        let (mut takes, mut emits, mut types) = (Vec::new(), 0, Vec::new());
        for step in &rule.steps {
            match *step {
                Step::Take { item } => takes.push(item),
                Step::Emit => emits += 1,
                Step::ChooseFirstN { type_id, .. }
                | Step::ChooseIndep { type_id, .. }
                | Step::ChooseLeafFirstN { type_id, .. }
                | Step::ChooseLeafIndep { type_id, .. } => types.push(type_id),
                _ => {}
            }
        }
        let [root] = takes.as_slice() else { return None };
        if emits != 1 || rule.rule_type.is_msr() {
            return None;
        }
        let last_is_bucket = *types.last()? != 0;
        let mut buckets = BTreeMap::new();
        let mut pending = vec![(*root, vec![None; types.len()])];
        while let Some((item, mut above)) = pending.pop() {
            if let Ok(osd) = u32::try_from(item).map(OsdId) {
                buckets.insert(osd, above);
                continue;
            }
            let Some(bucket) = map.crush.bucket(item) else { continue };
            for (type_id, place) in types.iter().zip(&mut above) {
                if *type_id == i32::from(bucket.type_id()) {
                    *place = Some(item);
                }
            }
            pending.extend(bucket.items().iter().map(|item| (*item, above.clone())));
        }
        Some(Self { buckets, last_is_bucket })
    }

    /// Whether `to` may stand where `from` stands among the members.
    fn allow(&self, members: &[Option<OsdId>], from: OsdId, to: OsdId) -> bool {
        let (Some(old), Some(new)) = (self.buckets.get(&from), self.buckets.get(&to)) else { return false };
        let (Some((old_last, old_outer)), Some((new_last, new_outer))) = (old.split_last(), new.split_last()) else {
            return false;
        };
        let others = members.iter().flatten().filter(|osd| **osd != from);
        let mut taken = others.filter_map(|osd| self.buckets.get(osd)?.last());
        old_outer == new_outer
            && (!self.last_is_bucket
                || new_last == old_last
                || new_last.is_some() && taken.all(|last| last != new_last))
    }
}

/// The state of the search: a map that is changed as it goes.
struct Search<'a> {
    mapping: &'a Mapping,
    map: ClusterMap,
    domains: BTreeMap<PoolId, Domains>,
    /// Copies above (or below) the share, in 2^16ths.
    deviations: BTreeMap<OsdId, i128>,
    /// Groups that an OSD should hold.
    groups: BTreeMap<OsdId, Vec<PgId>>,
}

impl<'a> Search<'a> {
    fn new(mapping: &'a Mapping, domains: BTreeMap<PoolId, Domains>) -> Self {
        let map = mapping.map().map().clone();
        let mut deviations: BTreeMap<OsdId, i128> = BTreeMap::new();
        let mut groups: BTreeMap<OsdId, Vec<PgId>> = BTreeMap::new();
        for pool in domains.keys().filter_map(|pool| map.pools.get(pool)) {
            let weights = rule_weights(&map, pool.crush_rule);
            let weights: BTreeMap<_, _> = weights.into_iter().filter(|(osd, _)| map.is_up(*osd)).collect();
            let sum: i128 = weights.values().map(|weight| i128::from(*weight)).sum();
            let mut copies: i128 = 0;
            for pg in pool.pgs() {
                for osd in mapping.place(pg).up_osds() {
                    *deviations.entry(osd).or_default() += COPY;
                    groups.entry(osd).or_default().push(pg);
                    copies += 1;
                }
            }
            for (osd, weight) in weights.into_iter().filter(|(_, weight)| *weight > 0) {
                *deviations.entry(osd).or_default() -= copies * COPY * i128::from(weight) / sum;
            }
        }
        Self { mapping, map, domains, deviations, groups }
    }

    /// How far the furthest OSD is from its share.
    fn furthest(&self) -> i128 {
        self.deviations.values().map(|deviation| deviation.abs()).max().unwrap_or(0)
    }

    /// Makes the best replacement, and says which group now has which replacements.
    fn step(&mut self) -> Option<(PgId, Vec<(OsdId, OsdId)>)> {
        let mut ranked: Vec<(i128, OsdId)> = self.deviations.iter().map(|(osd, above)| (*above, *osd)).collect();
        ranked.sort_unstable();
        for (above, from) in ranked.iter().rev().copied() {
            for (below, to) in ranked.iter().copied() {
                // One copy must bring both together nearer to their shares.
                if above - below <= COPY {
                    break;
                }
                let groups = self.groups.get(&from).cloned().unwrap_or_default();
                if let Some(found) = groups.into_iter().find_map(|pg| self.replace(pg, from, to)) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Replaces one OSD of a group by another, if that may be and does what it should.
    fn replace(&mut self, pg: PgId, from: OsdId, to: OsdId) -> Option<(PgId, Vec<(OsdId, OsdId)>)> {
        let pool = self.map.pools.get(&pg.pool)?.clone();
        let before = self.place(&pool, pg);
        if before.up.contains(&Some(to)) || !self.domains.get(&pg.pool)?.allow(&before.up, from, to) {
            return None;
        }
        let old = self.map.pg_upmap_items.get(&pg).cloned();
        let mut pairs = old.clone().unwrap_or_default();
        // A copy that was replaced before is replaced anew; one that comes home needs no replacement.
        match pairs.iter_mut().find(|(_, target)| *target == from) {
            Some(pair) => pair.1 = to,
            None => pairs.push((from, to)),
        }
        pairs.retain(|(source, target)| source != target);
        set_pairs(&mut self.map, pg, &pairs);
        let after = self.place(&pool, pg);
        let mut expected: Vec<_> =
            before.up.iter().map(|osd| if *osd == Some(from) { Some(to) } else { *osd }).collect();
        let mut found = after.up.clone();
        if pool.kind.shifts() {
            // Affinity may let another member lead.
            expected.sort_unstable();
            found.sort_unstable();
        }
        if expected != found || pairs.len() > crate::UPMAP_ITEMS_PER_PG_MAX {
            set_pairs(&mut self.map, pg, &old.unwrap_or_default());
            return None;
        }
        *self.deviations.entry(from).or_default() -= COPY;
        *self.deviations.entry(to).or_default() += COPY;
        self.groups.entry(from).or_default().retain(|group| *group != pg);
        self.groups.entry(to).or_default().push(pg);
        Some((pg, pairs))
    }

    fn place(&self, pool: &Pool, pg: PgId) -> Placement {
        self.map.finish_placement(pool, pg, self.mapping.raw(pg))
    }
}

fn set_pairs(map: &mut ClusterMap, pg: PgId, pairs: &[(OsdId, OsdId)]) {
    if pairs.is_empty() {
        map.pg_upmap_items.remove(&pg);
    } else {
        map.pg_upmap_items.insert(pg, pairs.to_vec());
    }
}

#[cfg(test)]
mod tests;
