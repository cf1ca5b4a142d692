//! Both sides of every invariant.

use std::sync::Arc;

use types::{Epoch, OsdId, PoolId, limits};

use crate::{
    ClusterMap, HOLE, Pool, PoolKind, Weight, breaches, check,
    encoding::{POOL_BYTES_MAX, pool_bytes},
    sample::{self, pg, uuid_of},
};

/// The names of what is broken after `spoil`.
fn broken(spoil: impl FnOnce(&mut ClusterMap)) -> Vec<&'static str> {
    let mut map = sample::full();
    check(&map).unwrap();
    spoil(&mut map);
    breaches(&map).into_iter().map(|breach| breach.invariant).collect()
}

fn pool(map: &mut ClusterMap, id: u64) -> &mut Pool {
    Arc::make_mut(map.pools.get_mut(&PoolId(id)).unwrap())
}

fn broken_pool(id: u64, spoil: impl FnOnce(&mut Pool)) -> Vec<&'static str> {
    broken(|map| spoil(pool(map, id)))
}

#[test]
fn general_values() {
    assert_eq!(broken(|map| map.full_ratios.full_permille = 1000), [""; 0]);
    assert_eq!(broken(|map| map.full_ratios.full_permille = 1001), ["full-ratios-ascend"]);
    assert_eq!(broken(|map| map.full_ratios.nearfull_permille = 881), ["full-ratios-ascend"]);
    assert!(broken(|map| map.epoch = Epoch::ZERO).contains(&"epoch-positive"));
    let doubled = |map: &mut ClusterMap| {
        let name = map.monitors.first_key_value().unwrap().1.name.clone();
        map.monitors.last_entry().unwrap().get_mut().name = name;
    };
    assert_eq!(broken(doubled), ["monitor-name-unique"]);
    assert_eq!(broken(|map| map.managers.active.as_mut().unwrap().name = "y".to_owned()), ["manager-listed-once"]);
}

#[test]
fn osds() {
    let spoil = |spoil: fn(&mut crate::OsdState)| broken(|map| spoil(map.osds.get_mut(&OsdId(0)).unwrap()));
    assert_eq!(spoil(|osd| osd.weight = Weight(0x10001)), ["osd-weights-in-range"]);
    assert_eq!(spoil(|osd| osd.primary_affinity = Weight(0x10001)), ["osd-weights-in-range"]);
    assert_eq!(spoil(|osd| osd.address = None), ["up-osd-has-address"]);
    assert_eq!(spoil(|osd| osd.up_from = Epoch::ZERO), ["up-osd-has-up-from"]);
    assert_eq!(spoil(|osd| osd.dead_epoch = Epoch(1)), ["up-osd-not-dead"]);
    assert_eq!(spoil(|osd| osd.up_thru = Epoch(3)), [""; 0]);
    assert_eq!(spoil(|osd| osd.up_thru = Epoch(4)), ["osd-epochs-not-in-future"]);
    assert_eq!(spoil(|osd| osd.last_clean_begin = Epoch(1)), ["osd-clean-interval-ordered"]);
    assert_eq!(spoil(|osd| osd.uuid = uuid_of(OsdId(1), 1)), ["osd-uuid-unique"]);
    assert_eq!(spoil(|osd| osd.host = "h".repeat(255)), [""; 0]);
    assert_eq!(spoil(|osd| osd.host = "h".repeat(256)), ["osd-host-in-range"]);
    let far = |number| {
        broken(|map| {
            let mut state = map.osds[&OsdId(9)].clone();
            state.uuid = uuid_of(OsdId(number), 3);
            map.osds.insert(OsdId(number), state);
        })
    };
    assert_eq!(far(limits::OSD_COUNT_MAX - 1), [""; 0]);
    assert_eq!(far(limits::OSD_COUNT_MAX), ["osd-number-in-range"]);
}

#[test]
fn pools() {
    assert_eq!(broken_pool(1, |pool| pool.size = 10), [""; 0]);
    assert_eq!(broken_pool(1, |pool| pool.size = 11), ["pool-size-in-range"]);
    assert_eq!(broken_pool(1, |pool| pool.min_size = 3), [""; 0]);
    assert_eq!(broken_pool(1, |pool| pool.min_size = 4), ["pool-min-size-in-range"]);
    assert_eq!(broken_pool(1, |pool| pool.min_size = 0), ["pool-min-size-in-range"]);
    // Erasure-coded: size is k + m, and k + 1 is the least that takes writes.
    assert_eq!(broken_pool(2, |pool| pool.size = 4), ["pool-size-in-range"]);
    assert_eq!(broken_pool(2, |pool| pool.min_size = 2), ["pool-min-size-in-range"]);
    let without_parity = PoolKind::Erasure { data_shards: 3, parity_shards: 0 };
    assert!(broken_pool(2, |pool| pool.kind = without_parity).contains(&"pool-size-in-range"));
    let overflowing = PoolKind::Erasure { data_shards: u32::MAX, parity_shards: 4 };
    assert!(broken_pool(2, |pool| pool.kind = overflowing).contains(&"pool-size-in-range"));

    assert_eq!(broken_pool(1, |pool| pool.pg_num = limits::POOL_PG_NUM_MAX), [""; 0]);
    assert_eq!(broken_pool(1, |pool| pool.pg_num = limits::POOL_PG_NUM_MAX + 1), ["pool-pg-num-in-range"]);
    assert_eq!(broken_pool(1, |pool| pool.pgp_num = 13), ["pool-pgp-num-in-range"]);
    assert_eq!(broken_pool(1, |pool| pool.pgp_num = 0), ["pool-pgp-num-in-range"]);
    assert_eq!(broken_pool(1, |pool| pool.object_hash = 1), [""; 0]);
    assert_eq!(broken_pool(1, |pool| pool.object_hash = 3), ["pool-object-hash-known"]);
    assert_eq!(broken_pool(1, |pool| pool.crush_rule = 5), ["pool-rule-exists"]);
    assert_eq!(broken_pool(1, |pool| pool.changed = Epoch(9)), ["pool-epochs-not-in-future"]);
    let never_given = |pool: &mut Pool| assert!(pool.removed_snapshots.insert(types::SnapshotId(8)));
    assert_eq!(broken_pool(1, never_given), ["pool-snapshots-given"]);
    assert_eq!(broken_pool(1, |pool| pool.snapshot_sequence = 4), ["pool-snapshots-given"]);
    assert_eq!(broken_pool(1, |pool| pool.name = "pool2".to_owned()), ["pool-name-unique"]);
    assert_eq!(broken_pool(1, |pool| pool.name = "n".repeat(256)), [""; 0]);
    assert_eq!(broken_pool(1, |pool| pool.name = "n".repeat(257)), ["pool-name-in-range"]);
    assert_eq!(broken_pool(1, |pool| pool.name = String::new()), ["pool-name-in-range"]);
    // Together with the rest of the pool, so many letters more are just inside, and just outside.
    let room = POOL_BYTES_MAX - pool_bytes(&sample::full().pools[&PoolId(1)]) - 2;
    let lengthen = |letters: usize| {
        broken_pool(1, move |pool| pool.options.values_mut().for_each(|value| *value = "x".repeat(letters)))
    };
    assert_eq!(lengthen(room), [""; 0]);
    assert_eq!(lengthen(room + 8), ["pool-record-in-range"]);
    assert!(broken(|map| map.pool_next = PoolId(2)).contains(&"pool-number-given"));
}

#[test]
fn exceptions() {
    let osd = OsdId;
    assert_eq!(
        broken(|map| {
            map.creating_pgs.insert(pg("1.c"));
        }),
        ["exception-pg-exists"]
    );
    assert_eq!(
        broken(|map| {
            map.primary_temp.insert(pg("3.0"), osd(1));
        }),
        ["exception-pg-exists"]
    );
    assert_eq!(
        broken(|map| {
            map.primary_temp.insert(pg("1.0"), osd(8));
        }),
        ["exception-osds-exist"]
    );
    assert_eq!(
        broken(|map| {
            map.pg_upmap_primary.insert(pg("1.0"), osd(8));
        }),
        ["exception-osds-exist"]
    );
    let temporary = |name, osds| {
        broken(move |map| {
            map.pg_temp.insert(pg(name), osds);
        })
    };
    assert_eq!(temporary("1.0", vec![osd(1), osd(2), osd(3)]), [""; 0]);
    assert_eq!(temporary("1.0", vec![osd(1), osd(2), osd(3), osd(4)]), ["exception-set-size-in-range"]);
    assert_eq!(temporary("1.0", vec![osd(1), osd(1)]), ["exception-osds-distinct"]);
    assert_eq!(temporary("1.0", vec![osd(1), osd(8)]), ["exception-osds-exist"]);
    assert_eq!(temporary("1.0", vec![osd(1), HOLE]), ["exception-holes-in-erasure-only"]);
    assert_eq!(temporary("2.0", vec![osd(1), HOLE, osd(2)]), [""; 0]);
    assert_eq!(temporary("2.0", vec![HOLE, HOLE]), ["exception-set-size-in-range"]);
    let replaced = |pairs| {
        broken(move |map| {
            map.pg_upmap_items.insert(pg("1.0"), pairs);
        })
    };
    assert_eq!(replaced(vec![(osd(1), osd(2))]), [""; 0]);
    assert_eq!(replaced(vec![(osd(1), osd(1))]), ["replacement-changes"]);
    assert_eq!(replaced(vec![(osd(1), osd(8))]), ["exception-osds-exist"]);
    assert_eq!(replaced(vec![(osd(1), osd(2)); 64]), [""; 0]);
    assert_eq!(replaced(vec![(osd(1), osd(2)); 65]), ["replacement-count-in-range"]);
    assert_eq!(replaced(vec![]), ["replacement-count-in-range"]);
}
