//! That planned replacements reach their goal and keep failure domains.

use std::{collections::BTreeSet, sync::Arc};

use types::{OsdId, PoolId, SeededRandom};

use super::*;
use crate::{
    Increment, PublishedMap, Weight, check, copies_by_osd,
    sample::{self, changed, erasure_pool, replicated_pool},
};

fn cluster(osds: u32) -> Arc<PublishedMap> {
    let map = sample::with_osds(osds);
    let mut crush = crush::CrushMap::clone(&map.crush);
    crush.create_simple_rule("erasure", "default", "host", crush::Mode::Indep, None).unwrap();
    let mut erasure = erasure_pool(2, 64);
    erasure.crush_rule = 1;
    let pools = [Change::PoolSet(Arc::new(replicated_pool(1, 128))), Change::PoolSet(Arc::new(erasure))];
    let map = changed(&map, [Change::Crush(Arc::new(crush))].into_iter().chain(pools).collect());
    PublishedMap::new(map).unwrap()
}

fn assert_hosts_distinct(mapping: &Mapping) {
    for (pg, place) in mapping.places() {
        let hosts: BTreeSet<u32> = place.up_osds().map(|osd| osd.0 / 2).collect();
        assert_eq!(hosts.len(), place.up_osds().count(), "{pg}: {:?}", place.up);
    }
}

#[test]
fn planned_replacements_reach_the_goal_and_keep_hosts_apart() {
    tests_kit::for_each_seed(0..10, |seed| {
        let mut random = SeededRandom::new(seed);
        let mut map = cluster(16);
        for _ in 0..3 {
            let osd = OsdId(u32::try_from(random.below(16)).unwrap());
            let weight = Weight(0x8000 + u32::try_from(random.below(0x8000)).unwrap());
            let change = Change::OsdWeight { osd, weight, weight_before_out: None };
            map = map.apply(&Increment::new(&map, 0, vec![change]).unwrap()).unwrap();
        }
        let mut mapping = Mapping::of(&map);
        let goal = UpmapGoal { changes_max: 300, deviation_max: 1, pools: vec![PoolId(1), PoolId(2)] };
        let changes = balance(&mapping, &goal);
        assert!(!changes.is_empty() && changes.len() <= 300);
        let before: Vec<_> = mapping.places().collect();
        let next = map.apply(&Increment::new(&map, 0, changes.clone()).unwrap()).unwrap();
        check(&next).unwrap();
        mapping.follow(&next);
        assert_hosts_distinct(&mapping);
        for ((pg, before), (_, after)) in before.iter().zip(mapping.places()) {
            assert_eq!(before.up.len(), after.up.len(), "{pg}");
        }
        let domains = |map: &PublishedMap, pool: u64| Domains::of(map, &map.pools[&PoolId(pool)]).unwrap();
        let both = BTreeMap::from([(PoolId(1), domains(&next, 1)), (PoolId(2), domains(&next, 2))]);
        assert!(Search::new(&mapping, both).furthest() <= 2 * COPY, "near the shares");
        assert_eq!(crate::stale_exceptions(&next), [], "every replacement does something");
        assert!(balance(&mapping, &goal).len() <= 1, "what was planned was all that there was to do");
    });
}

#[test]
fn changes_are_bounded_and_a_balanced_map_is_left_alone() {
    let map = cluster(12);
    let mapping = Mapping::of(&map);
    let goal = |changes_max, deviation_max| UpmapGoal { changes_max, deviation_max, pools: vec![PoolId(1)] };
    assert_eq!(balance(&mapping, &goal(3, 1)).len(), 3);
    assert_eq!(balance(&mapping, &goal(0, 1)), []);
    assert_eq!(balance(&mapping, &goal(100, 1000)), []);
    let counts = copies_by_osd(&mapping);
    let spread = counts[&PoolId(1)].values().max().unwrap() - counts[&PoolId(1)].values().min().unwrap();
    assert!(spread > 2, "chance spreads unevenly, or there would be nothing to plan");
}
