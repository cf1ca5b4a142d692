//! Where every placement group of the cluster lives, kept from one epoch to the next.
//!
//! CRUSH is the expensive step, and most changes of a map do not touch its answers: this table keeps them and computes
//! again only what a change can have moved.
//!
//! Owns: the raw set of every placement group, and the argument which of them a change can alter. Does not know: up and
//! acting sets, which follow from the raw set and the map's other values in nanoseconds (see [`Mapping::place`]); threads,
//! which callers bring along.
//!
//! Invariants
//! 1. After `of` and after every `follow` the table is what computing all of it from that map gives.
//! 2. A table is used with the map that it was last brought to; another one is refused by a panic.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use crush::{Rule, Step};
use types::{OsdId, PgId, PoolId};

use crate::{Placement, Pool, PoolFlags, PublishedMap, Weight};

/// Stands for a hole, or for a place that a shorter set does not have.
const NOBODY: u32 = u32::MAX;

/// Placement groups in one part of the work: a millisecond or so, small enough to spread evenly over threads.
const PGS_PER_PART: u32 = 1024;

/// The raw sets of one pool, side by side; each takes as many places as the pool's size.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PoolTable {
    size: usize,
    devices: Vec<u32>,
}

/// The raw sets of every placement group by one map.
#[derive(Debug, Clone)]
pub struct Mapping {
    map: Arc<PublishedMap>,
    pools: BTreeMap<PoolId, PoolTable>,
}

/// Some placement groups of one pool: what a thread takes at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingPart {
    pool: PoolId,
    seeds: Range<u32>,
}

/// How much a step from one map to the next had to compute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MappingWork {
    /// Placement groups that CRUSH was asked for again.
    pub computed: usize,
    /// Placement groups whose raw set was kept.
    pub kept: usize,
}

impl Mapping {
    /// The table of a map, computed here and now.
    pub fn of(map: &Arc<PublishedMap>) -> Self {
        Self::of_by(map, |parts, compute| parts.iter().map(compute).collect())
    }

    /// The table of a map, computed by the caller's means: `run` calls the function for each part, on as many threads as it
    /// likes, and returns what it got in the order of the parts.
    pub fn of_by(
        map: &Arc<PublishedMap>,
        run: impl FnOnce(&[MappingPart], &(dyn Fn(&MappingPart) -> Vec<u32> + Sync)) -> Vec<Vec<u32>>,
    ) -> Self {
        let parts: Vec<MappingPart> = map.pools.values().flat_map(|pool| parts_of(pool)).collect();
        let results = run(&parts, &|part| compute_part(map, part));
        assert_eq!(results.len(), parts.len(), "every part of the mapping has its result");
        let mut pools = BTreeMap::new();
        for (part, devices) in parts.iter().zip(results) {
            let size = map.pools[&part.pool].size as usize;
            let table = pools.entry(part.pool).or_insert_with(|| PoolTable { size, devices: Vec::new() });
            table.devices.extend(devices);
        }
        Self { map: Arc::clone(map), pools }
    }

    /// The map that the table is of.
    pub fn map(&self) -> &Arc<PublishedMap> {
        &self.map
    }

    /// Brings the table to another map, usually the next one, and says how much there was to compute.
    pub fn follow(&mut self, next: &Arc<PublishedMap>) -> MappingWork {
        let same_hierarchy = Arc::ptr_eq(&self.map.crush, &next.crush) || self.map.crush == next.crush;
        let reweighted = reweighted(&self.map, next);
        let mut work = MappingWork::default();
        let mut pools = BTreeMap::new();
        for (id, pool) in &next.pools {
            let known = self.map.pools.get(id).filter(|known| same_hierarchy && places_alike(known, pool));
            let (table, computed) = match known.and(self.pools.remove(id)) {
                Some(mut table) => {
                    let computed = update(&mut table, next, pool, &reweighted);
                    (table, computed)
                }
                None => (compute_pool(next, pool), pool.pg_num as usize),
            };
            work.computed += computed;
            work.kept += pool.pg_num as usize - computed;
            pools.insert(*id, table);
        }
        self.pools = pools;
        self.map = Arc::clone(next);
        work
    }

    /// What CRUSH says of a group; empty for one that does not exist.
    pub fn raw(&self, pg: PgId) -> Vec<Option<OsdId>> {
        let Some((pool, table)) = self.map.pools.get(&pg.pool).zip(self.pools.get(&pg.pool)) else {
            return Vec::new();
        };
        let begin = pg.seed as usize * table.size;
        let Some(devices) = table.devices.get(begin..begin + table.size) else { return Vec::new() };
        let places = devices.iter().map(|device| (*device != NOBODY).then_some(OsdId(*device)));
        if pool.kind.shifts() { places.filter(Option::is_some).collect() } else { places.collect() }
    }

    /// Where a group lives: the same as the map's own answer, without asking CRUSH.
    pub fn place(&self, pg: PgId) -> Placement {
        match self.map.pools.get(&pg.pool).filter(|pool| pg.seed < pool.pg_num) {
            Some(pool) => self.map.finish_placement(pool, pg, self.raw(pg)),
            None => Placement::default(),
        }
    }

    /// Every placement group with where it lives, in order.
    pub fn places(&self) -> impl Iterator<Item = (PgId, Placement)> {
        self.map.pgs().map(|pg| (pg, self.place(pg)))
    }
}

fn parts_of(pool: &Pool) -> impl Iterator<Item = MappingPart> + use<> {
    let (id, pg_num) = (pool.id, pool.pg_num);
    (0..pg_num.div_ceil(PGS_PER_PART)).map(move |part| {
        let begin = part * PGS_PER_PART;
        MappingPart { pool: id, seeds: begin..begin.saturating_add(PGS_PER_PART).min(pg_num) }
    })
}

fn compute_part(map: &PublishedMap, part: &MappingPart) -> Vec<u32> {
    let pool = &map.pools[&part.pool];
    let mut placer = map.placer();
    let mut devices = Vec::with_capacity(part.seeds.len() * pool.size as usize);
    for seed in part.seeds.clone() {
        let raw = placer.raw(pool, PgId { pool: pool.id, seed });
        devices.extend(places_of(pool, &raw));
    }
    devices
}

fn compute_pool(map: &PublishedMap, pool: &Pool) -> PoolTable {
    let devices = parts_of(pool).flat_map(|part| compute_part(map, &part)).collect();
    PoolTable { size: pool.size as usize, devices }
}

/// A raw set in exactly as many places as the pool has.
fn places_of(pool: &Pool, raw: &[Option<OsdId>]) -> impl Iterator<Item = u32> {
    (0..pool.size as usize).map(|place| raw.get(place).copied().flatten().map_or(NOBODY, |osd| osd.0))
}

/// Whether CRUSH is asked the same questions for both.
fn places_alike(before: &Pool, after: &Pool) -> bool {
    let questions = |pool: &Pool| {
        let hashed = pool.flags.contains(PoolFlags::HASHPSPOOL);
        (pool.kind.shifts(), pool.size, pool.crush_rule, pool.pg_num, pool.pgp_num, hashed)
    };
    questions(before) == questions(after)
}

/// OSDs that are less in than before, and those that are more in.
#[derive(Debug, Default)]
struct Reweighted {
    lowered: BTreeSet<OsdId>,
    raised: BTreeSet<OsdId>,
}

fn reweighted(before: &PublishedMap, after: &PublishedMap) -> Reweighted {
    let mut found = Reweighted::default();
    let weight = |map: &PublishedMap, osd: &OsdId| map.osds.get(osd).map_or(Weight::ZERO, |state| state.weight);
    for osd in before.osds.keys().chain(after.osds.keys()) {
        match weight(before, osd).cmp(&weight(after, osd)) {
            std::cmp::Ordering::Equal => continue,
            std::cmp::Ordering::Greater => found.lowered.insert(*osd),
            std::cmp::Ordering::Less => found.raised.insert(*osd),
        };
    }
    found
}

/// Computes again what the new in/out weights can have moved in one pool, and says how many groups that were.
fn update(table: &mut PoolTable, map: &PublishedMap, pool: &Pool, reweighted: &Reweighted) -> usize {
    let Some(rule) = map.crush.rule(pool.crush_rule) else { return 0 };
    let matters = |osd: &&OsdId| is_reachable(map, rule, **osd);
    let lowered: BTreeSet<u32> = reweighted.lowered.iter().filter(matters).map(|osd| osd.0).collect();
    // One that is more in than before may now be chosen wherever it was passed over, and nobody noted where that was.
    let any_raised = reweighted.raised.iter().any(|osd| matters(&osd));
    if any_raised || !lowered.is_empty() && !every_accepted_device_is_in_the_result(rule) {
        *table = compute_pool(map, pool);
        return pool.pg_num as usize;
    }
    if lowered.is_empty() || table.size == 0 {
        return 0;
    }
    let mut placer = map.placer();
    let mut computed = 0;
    for (seed, devices) in pool.pgs().zip(table.devices.chunks_exact_mut(table.size)) {
        if devices.iter().any(|device| lowered.contains(device)) {
            let raw = placer.raw(pool, seed);
            devices.iter_mut().zip(places_of(pool, &raw)).for_each(|(place, device)| *place = device);
            computed += 1;
        }
    }
    computed
}

/// Whether a device that a mapping by this rule accepted is always in what comes out. Then lowering the device's weight
/// leaves all other mappings as they were: they had not met it, or had passed it over already, and pass it over again.
///
/// That is so for rules with one emit whose last choice, and no earlier one, is of devices: nothing is cut off behind it.
/// Multi-step-retry rules may discard what they had accepted.
fn every_accepted_device_is_in_the_result(rule: &Rule) -> bool {
    let is_choice = |step: &Step| match *step {
        Step::ChooseFirstN { type_id, .. } | Step::ChooseIndep { type_id, .. } => Some(type_id == 0),
        Step::ChooseLeafFirstN { .. } | Step::ChooseLeafIndep { .. } => Some(true),
        _ => None,
    };
    let choices: Vec<bool> = rule.steps.iter().filter_map(is_choice).collect();
    let emits = rule.steps.iter().filter(|step| **step == Step::Emit).count();
    let takes = rule.steps.iter().filter(|step| matches!(step, Step::Take { .. })).count();
    let devices_last = choices.split_last().is_some_and(|(last, earlier)| *last && !earlier.contains(&true));
    !rule.rule_type.is_msr() && emits == 1 && takes == 1 && devices_last
}

/// Whether the OSD is below anything that the rule takes.
fn is_reachable(map: &PublishedMap, rule: &Rule, osd: OsdId) -> bool {
    let Ok(device) = i32::try_from(osd.0) else { return false };
    rule.steps.iter().any(|step| match step {
        Step::Take { item } => map.crush.subtree_contains(*item, device),
        _ => false,
    })
}

#[cfg(test)]
mod tests;
