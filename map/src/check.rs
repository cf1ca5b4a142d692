//! What holds for every map that is published.
//!
//! The monitors check what they are about to publish; everyone else checks what arrives. Each invariant has a name, which
//! stands in front of the sentence, so that a log line, a test and this list speak of the same thing.
//!
//! Owns: the list. Does not know: how a map came to be, or whether a change was wise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use types::{Epoch, Error, OsdId, PgId, Result, limits};

use crate::{
    CONFIG_TEXT_BYTES_MAX, CONFIG_VALUES_MAX, ClusterMap, HOLE, OsdState, Pool, PoolKind, Weight,
    encoding::{POOL_BYTES_MAX, pool_bytes},
    placement::{OBJECT_HASH_LINUX, OBJECT_HASH_RJENKINS},
};

/// Pools in a cluster. The largest known clusters have some hundreds; the bound keeps the whole table walkable.
pub const POOLS_MAX: usize = 1 << 14;

/// Shards of an erasure-coded pool. Wider codes than Ceph's users have (20 or so) repair too slowly to be of use.
pub const ERASURE_SHARDS_MAX: u32 = 64;

/// Single replacements for one placement group: each position can be replaced once to any effect.
pub const UPMAP_ITEMS_PER_PG_MAX: usize = ERASURE_SHARDS_MAX as usize;

/// Bytes of a host's name in the map: the longest name that DNS knows.
pub const HOST_NAME_BYTES_MAX: usize = 255;

/// One invariant that a map breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The invariant's stable name.
    pub invariant: &'static str,
    /// What is wrong, with the thing's name.
    pub detail: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// Refuses a map that breaks an invariant, naming the first.
///
/// # Errors
/// `Invalid`, with the invariant's name and what is wrong.
pub fn check(map: &ClusterMap) -> Result<()> {
    match breaches(map).first() {
        None => Ok(()),
        Some(breach) => Err(Error::invalid(format!("the map of epoch {} breaks {breach}", map.epoch))),
    }
}

/// Every invariant that a map breaks.
pub fn breaches(map: &ClusterMap) -> Vec<Breach> {
    let mut list = Breaches::default();
    check_general(map, &mut list);
    check_osds(map, &mut list);
    check_pools(map, &mut list);
    check_exceptions(map, &mut list);
    list.found
}

#[derive(Default)]
struct Breaches {
    found: Vec<Breach>,
}

impl Breaches {
    /// Notes a breach unless the condition holds.
    fn expect(&mut self, holds: bool, invariant: &'static str, detail: impl FnOnce() -> String) {
        if !holds {
            self.found.push(Breach { invariant, detail: detail() });
        }
    }
}

fn check_general(map: &ClusterMap, list: &mut Breaches) {
    list.expect(map.epoch > Epoch::ZERO, "epoch-positive", || "the first epoch is 1".to_owned());
    let ratios = map.full_ratios;
    let ascending = ratios.nearfull_permille <= ratios.backfillfull_permille
        && ratios.backfillfull_permille <= ratios.full_permille
        && ratios.full_permille <= 1000;
    list.expect(ascending, "full-ratios-ascend", || {
        format!(
            "nearfull {}, backfillfull {}, full {} of 1000",
            ratios.nearfull_permille, ratios.backfillfull_permille, ratios.full_permille
        )
    });
    let mut names = BTreeSet::new();
    for (id, monitor) in &map.monitors {
        list.expect(names.insert(&monitor.name), "monitor-name-unique", || {
            format!("monitor {id} is named {} like another one", monitor.name)
        });
    }
    list.expect(map.configuration.len() <= CONFIG_VALUES_MAX, "configuration-in-range", || {
        format!("{} settings are more than {CONFIG_VALUES_MAX}", map.configuration.len())
    });
    for (option, target, value) in map.configuration.iter() {
        let lengths = [option.len(), target.to_string().len(), value.len()];
        list.expect(
            lengths.iter().all(|length| (1..=CONFIG_TEXT_BYTES_MAX).contains(length)),
            "configuration-texts-in-range",
            || format!("the setting {option} of {target} has texts of {lengths:?} bytes"),
        );
    }
    for (name, standby) in &map.managers.standbys {
        let active = map.managers.active.as_ref().is_some_and(|active| active.name == *name);
        list.expect(*name == standby.name && !active, "manager-listed-once", || {
            format!("manager {name} stands by under another name or is active too")
        });
    }
}

fn check_osds(map: &ClusterMap, list: &mut Breaches) {
    let mut uuids = BTreeMap::new();
    for (osd, state) in &map.osds {
        list.expect(osd.0 < limits::OSD_COUNT_MAX, "osd-number-in-range", || {
            format!("osd.{osd} is beyond the limit of {}", limits::OSD_COUNT_MAX)
        });
        if let Some(other) = uuids.insert(state.uuid, *osd) {
            list.expect(false, "osd-uuid-unique", || format!("osd.{other} and osd.{osd} have one uuid"));
        }
        check_osd(map.epoch, *osd, state, list);
    }
}

fn check_osd(epoch: Epoch, osd: OsdId, state: &OsdState, list: &mut Breaches) {
    let weights = [Some(state.weight), state.weight_before_out, Some(state.primary_affinity)];
    list.expect(weights.iter().flatten().all(|weight| *weight <= Weight::ONE), "osd-weights-in-range", || {
        format!("a weight or the affinity of osd.{osd} is more than one")
    });
    list.expect(!state.up || state.address.is_some(), "up-osd-has-address", || {
        format!("osd.{osd} is up but has no address")
    });
    list.expect(!state.up || state.up_from > Epoch::ZERO, "up-osd-has-up-from", || {
        format!("osd.{osd} is up but was never marked up")
    });
    list.expect(!state.up || state.dead_epoch == Epoch::ZERO, "up-osd-not-dead", || {
        format!("osd.{osd} is up and proven dead")
    });
    let epochs = [
        state.up_from,
        state.up_thru,
        state.down_at,
        state.dead_epoch,
        state.last_clean_begin,
        state.last_clean_end,
        state.lost_at,
    ];
    list.expect(epochs.iter().all(|known| *known <= epoch), "osd-epochs-not-in-future", || {
        format!("osd.{osd} names an epoch after this one")
    });
    list.expect(state.last_clean_begin <= state.last_clean_end, "osd-clean-interval-ordered", || {
        format!("the last clean interval of osd.{osd} ends before it begins")
    });
    list.expect(state.host.len() <= HOST_NAME_BYTES_MAX, "osd-host-in-range", || {
        format!("the host name of osd.{osd} has {} bytes", state.host.len())
    });
}

fn check_pools(map: &ClusterMap, list: &mut Breaches) {
    list.expect(map.pools.len() <= POOLS_MAX, "pool-count-in-range", || {
        format!("{} pools are more than {POOLS_MAX}", map.pools.len())
    });
    let mut names = BTreeMap::new();
    for (id, pool) in &map.pools {
        list.expect(*id == pool.id && id.0 > 0 && *id < map.pool_next, "pool-number-given", || {
            format!("pool {id} calls itself {}, and the next number is {}", pool.id, map.pool_next)
        });
        let bounded = !pool.name.is_empty() && pool.name.len() <= limits::POOL_NAME_BYTES_MAX;
        list.expect(bounded, "pool-name-in-range", || format!("the name of pool {id} has {} bytes", pool.name.len()));
        if let Some(other) = names.insert(&pool.name, *id) {
            list.expect(false, "pool-name-unique", || format!("pools {other} and {id} are both named {}", pool.name));
        }
        check_pool(map, pool, list);
    }
}

fn check_pool(map: &ClusterMap, pool: &Pool, list: &mut Breaches) {
    let name = || format!("pool {} (`{}`)", pool.id, pool.name);
    let (size_fits, min_size_least) = match pool.kind {
        PoolKind::Replicated => ((1..=limits::POOL_SIZE_MAX).contains(&pool.size), 1),
        PoolKind::Erasure { data_shards, parity_shards } => {
            let shards = data_shards.checked_add(parity_shards);
            let fits = data_shards > 0 && parity_shards > 0 && shards == Some(pool.size);
            // One shard more than the data needs: with exactly k, the next loss would lose acknowledged writes.
            (fits && pool.size <= ERASURE_SHARDS_MAX, data_shards.saturating_add(1))
        }
    };
    list.expect(size_fits, "pool-size-in-range", || format!("{} has size {} for {:?}", name(), pool.size, pool.kind));
    list.expect((min_size_least..=pool.size).contains(&pool.min_size), "pool-min-size-in-range", || {
        format!("{} has min_size {}; it would be {min_size_least} to {}", name(), pool.min_size, pool.size)
    });
    list.expect((1..=limits::POOL_PG_NUM_MAX).contains(&pool.pg_num), "pool-pg-num-in-range", || {
        format!("{} has {} placement groups", name(), pool.pg_num)
    });
    list.expect((1..=pool.pg_num).contains(&pool.pgp_num), "pool-pgp-num-in-range", || {
        format!("{} has pgp_num {} with pg_num {}", name(), pool.pgp_num, pool.pg_num)
    });
    list.expect(
        [OBJECT_HASH_LINUX, OBJECT_HASH_RJENKINS].contains(&pool.object_hash),
        "pool-object-hash-known",
        || format!("{} has object hash {}", name(), pool.object_hash),
    );
    list.expect(map.crush.rule(pool.crush_rule).is_some(), "pool-rule-exists", || {
        format!("{} uses rule {}, which does not exist", name(), pool.crush_rule)
    });
    list.expect(pool.created <= map.epoch && pool.changed <= map.epoch, "pool-epochs-not-in-future", || {
        format!("{} names an epoch after this one", name())
    });
    list.expect(pool_bytes(pool) <= POOL_BYTES_MAX, "pool-record-in-range", || {
        format!("{} has {} bytes; the limit is {POOL_BYTES_MAX}", name(), pool_bytes(pool))
    });
    let last = pool.snapshots.last_key_value().map(|(last, _)| *last);
    let last = last.into_iter().chain(pool.removed_snapshots.last().map(|last| last.0)).max();
    let removed = |id: &u64| pool.removed_snapshots.contains(types::SnapshotId(*id));
    let given = last.is_none_or(|last| last <= pool.snapshot_sequence) && !pool.snapshots.keys().any(removed);
    list.expect(given, "pool-snapshots-given", || {
        format!("{} has snapshots that were not given, or were removed", name())
    });
}

fn check_exceptions(map: &ClusterMap, list: &mut Breaches) {
    let exists = |osd: OsdId| map.osds.contains_key(&osd);
    let pool_of = |pg: PgId| map.pools.get(&pg.pool).filter(|pool| pg.seed < pool.pg_num);
    let tables = map.pg_upmap.keys().chain(map.pg_upmap_items.keys()).chain(map.pg_upmap_primary.keys());
    let tables = tables.chain(map.pg_temp.keys()).chain(map.primary_temp.keys()).chain(&map.creating_pgs);
    for pg in tables {
        list.expect(pool_of(*pg).is_some(), "exception-pg-exists", || format!("placement group {pg} does not exist"));
    }
    for (pg, osds) in map.pg_upmap.iter().chain(&map.pg_temp) {
        let Some(pool) = pool_of(*pg) else { continue };
        let members: BTreeSet<_> = osds.iter().filter(|osd| **osd != HOLE).collect();
        let holes = osds.iter().filter(|osd| **osd == HOLE).count();
        list.expect(members.iter().all(|osd| exists(**osd)), "exception-osds-exist", || {
            format!("an exception for {pg} names an OSD that does not exist")
        });
        list.expect(members.len() + holes == osds.len(), "exception-osds-distinct", || {
            format!("an exception for {pg} names an OSD twice")
        });
        list.expect(holes == 0 || !pool.kind.shifts(), "exception-holes-in-erasure-only", || {
            format!("an exception for {pg} has a hole, but its pool is replicated")
        });
        list.expect(!members.is_empty() && osds.len() <= pool.size as usize, "exception-set-size-in-range", || {
            format!("an exception for {pg} names {} OSDs; its pool has size {}", members.len(), pool.size)
        });
    }
    for (pg, pairs) in &map.pg_upmap_items {
        let known = pairs.iter().all(|(from, to)| exists(*from) && exists(*to));
        list.expect(known, "exception-osds-exist", || {
            format!("a replacement for {pg} names an OSD that does not exist")
        });
        list.expect(pairs.iter().all(|(from, to)| from != to), "replacement-changes", || {
            format!("a replacement for {pg} replaces an OSD by itself")
        });
        list.expect((1..=UPMAP_ITEMS_PER_PG_MAX).contains(&pairs.len()), "replacement-count-in-range", || {
            format!("{pg} has {} replacements", pairs.len())
        });
    }
    for (pg, osd) in map.pg_upmap_primary.iter().chain(&map.primary_temp) {
        list.expect(exists(*osd), "exception-osds-exist", || format!("osd.{osd} should lead {pg} but does not exist"));
    }
}

#[cfg(test)]
mod tests;
