//! The kept table against computing everything anew, over random histories; what moves, and what is stale.

use std::{collections::BTreeMap, sync::Arc, thread};

use types::{OsdId, PgId, PoolId, SeededRandom};

use super::*;
use crate::{
    Change, ClusterMap, Death, Increment, PublishedMap, movement,
    sample::{self, changed, erasure_pool, pg, replicated_pool},
    stale_exceptions,
};

fn published(map: ClusterMap) -> Arc<PublishedMap> {
    PublishedMap::new(map).unwrap()
}

fn next(map: &Arc<PublishedMap>, changes: Vec<Change>) -> Arc<PublishedMap> {
    map.apply(&Increment::new(map, map.modified_ms, changes).unwrap()).unwrap()
}

/// So many OSDs, with a replicated and an erasure-coded pool.
fn cluster(osds: u32, pg_num: u32) -> Arc<PublishedMap> {
    let map = sample::with_osds(osds);
    let mut crush = crush::CrushMap::clone(&map.crush);
    crush.create_simple_rule("erasure", "default", "host", crush::Mode::Indep, None).unwrap();
    let mut erasure = erasure_pool(2, pg_num);
    erasure.crush_rule = 1;
    published(changed(
        &map,
        vec![
            Change::Crush(Arc::new(crush)),
            Change::PoolSet(Arc::new(replicated_pool(1, pg_num))),
            Change::PoolSet(Arc::new(erasure)),
        ],
    ))
}

fn assert_is_whole(mapping: &Mapping) {
    let anew = Mapping::of(mapping.map());
    assert_eq!(anew.pools, mapping.pools);
}

#[test]
fn a_table_that_follows_is_the_table_computed_anew() {
    let (mut computed, mut kept) = (0, 0);
    tests_kit::for_each_seed(0..40, |seed| {
        let mut random = SeededRandom::new(seed);
        let mut map = cluster(10, 32);
        let mut mapping = Mapping::of(&map);
        for _ in 0..40 {
            let changes = vec![sample::random_change(&map, &mut random)];
            let Ok(increment) = Increment::new(&map, map.modified_ms, changes) else { continue };
            let Ok(next) = map.apply(&increment) else { continue };
            let work = mapping.follow(&next);
            (computed, kept) = (computed + work.computed, kept + work.kept);
            assert_eq!(work.computed + work.kept, next.pgs().count());
            assert_is_whole(&mapping);
            for pg in next.pgs() {
                assert_eq!(mapping.place(pg), next.place(pg), "{pg}");
            }
            map = next;
        }
    });
    println!("{computed} groups computed, {kept} kept");
    assert!(kept > computed, "most changes leave most groups where they are");
}

#[test]
fn lowering_weights_computes_only_groups_that_lose_a_member() {
    tests_kit::for_each_seed(0..20, |seed| {
        let mut random = SeededRandom::new(seed);
        let mut map = cluster(40, 256);
        let mut mapping = Mapping::of(&map);
        for _ in 0..10 {
            let osd = OsdId(u32::try_from(random.below(40)).unwrap());
            let weight = Weight(u32::try_from(random.below(u64::from(map.osds[&osd].weight.0) + 1)).unwrap());
            let holders = map.pgs().filter(|pg| mapping.raw(*pg).contains(&Some(osd))).count();
            let changes = vec![Change::OsdWeight { osd, weight, weight_before_out: None }];
            let lowered = map.osds[&osd].weight != weight;
            map = next(&map, changes);
            let work = mapping.follow(&map);
            assert_eq!(work.computed, if lowered { holders } else { 0 });
            assert_is_whole(&mapping);
        }
    });
}

#[test]
fn threads_compute_the_same_table() {
    let map = cluster(12, 3000);
    let by_threads = Mapping::of_by(&map, |parts, compute| {
        thread::scope(|scope| {
            let workers: Vec<_> = parts.iter().map(|part| scope.spawn(move || compute(part))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        })
    });
    assert_eq!(by_threads.pools, Mapping::of(&map).pools);
    assert_eq!(by_threads.raw(PgId { pool: PoolId(1), seed: 3000 }), []);
    assert_eq!(by_threads.place(PgId { pool: PoolId(9), seed: 0 }), Placement::default());
}

#[test]
fn what_moves_is_near_what_must() {
    let before = cluster(20, 1024);
    let mut mapping = Mapping::of(&before);
    let unmoved = mapping.clone();
    assert_eq!(movement(&mapping, &unmoved, |_| 10).moved, crate::Volume::default());

    let after = next(&before, vec![Change::OsdWeight { osd: OsdId(3), weight: Weight::ZERO, weight_before_out: None }]);
    mapping.follow(&after);
    let moved = movement(&unmoved, &mapping, |_| 10);
    assert_eq!((moved.pgs, moved.total.copies, moved.total.bytes), (2048, 6144, 61_440));
    assert_eq!(moved.moved.bytes, 10 * moved.moved.copies);
    // A twentieth of 6,144 copies must go, give or take what chance had put there.
    assert_eq!(moved.lower_bound.copies, 306);
    assert!((250..400).contains(&moved.moved.copies), "{}", moved.moved.copies);
    let left = &moved.osds[&OsdId(3)];
    assert_eq!(left.arriving.copies, 0);
    let holders = unmoved.places().filter(|(_, place)| place.up.contains(&Some(OsdId(3)))).count();
    assert_eq!(left.leaving.copies, holders as u64);
    let arriving: u64 = moved.osds.values().map(|osd| osd.arriving.copies).sum();
    assert_eq!(arriving, moved.moved.copies);
}

#[test]
fn splitting_moves_nothing_while_pgp_num_stays() {
    let before = cluster(10, 32);
    let mut mapping = Mapping::of(&before);
    let first = mapping.clone();
    let mut pool = Pool::clone(&before.pools[&PoolId(1)]);
    pool.pg_num = 48;
    let split = next(&before, vec![Change::PoolSet(Arc::new(pool.clone()))]);
    mapping.follow(&split);
    let moved = movement(&first, &mapping, |_| 12);
    assert_eq!((moved.pgs, moved.pgs_moved, moved.lower_bound.copies), (80, 0, 0));
    assert_eq!(moved.total.bytes, 3 * (32 + 32) * 12);
    pool.pgp_num = 48;
    let spread = next(&split, vec![Change::PoolSet(Arc::new(pool))]);
    let second = mapping.clone();
    mapping.follow(&spread);
    assert!(movement(&second, &mapping, |_| 12).pgs_moved > 0);
}

#[test]
fn what_is_stale_is_removed_and_nothing_moves_by_that() {
    let map = cluster(10, 32);
    let mapping = Mapping::of(&map);
    let members = |text: &str| -> Vec<OsdId> { mapping.raw(pg(text)).into_iter().flatten().collect() };
    let outside = |text: &str| (0..10).map(OsdId).find(|osd| !members(text).contains(osd)).unwrap();
    let swapped = vec![members("1.1")[1], members("1.1")[0]];
    let spoiled = next(
        &map,
        vec![
            Change::PgTemp(pg("1.0"), Some(members("1.0"))),
            Change::PgTemp(pg("1.1"), Some(swapped.clone())),
            Change::PrimaryTemp(pg("1.2"), Some(members("1.2")[0])),
            Change::PrimaryTemp(pg("1.3"), Some(members("1.3")[1])),
            Change::PgUpmap(pg("1.4"), Some(members("1.4"))),
            Change::PgUpmapItems(
                pg("1.5"),
                Some(vec![(outside("1.5"), members("1.5")[0]), (members("1.5")[0], outside("1.5"))]),
            ),
            Change::PgUpmapPrimary(pg("1.6"), Some(outside("1.6"))),
            Change::PgUpmapPrimary(pg("1.7"), Some(members("1.7")[2])),
        ],
    );
    let stale = stale_exceptions(&spoiled);
    let kept = Some(vec![(members("1.5")[0], outside("1.5"))]);
    assert_eq!(
        stale,
        [
            Change::PgTemp(pg("1.0"), None),
            Change::PrimaryTemp(pg("1.2"), None),
            Change::PgUpmap(pg("1.4"), None),
            Change::PgUpmapItems(pg("1.5"), kept),
            Change::PgUpmapPrimary(pg("1.6"), None),
        ]
    );
    let cleaned = next(&spoiled, stale);
    for pg in spoiled.pgs() {
        assert_eq!(spoiled.place(pg), cleaned.place(pg), "{pg}");
    }
    assert_eq!(stale_exceptions(&cleaned), []);
    // When everybody of a temporary set goes down it is stale too.
    let down = swapped.iter().map(|osd| Change::OsdDown { osd: *osd, dead: Death::Possible }).collect();
    assert!(stale_exceptions(&next(&cleaned, down)).contains(&Change::PgTemp(pg("1.1"), None)));
}

#[test]
fn copies_are_counted_by_osd() {
    let mapping = Mapping::of(&cluster(10, 32));
    let counts: BTreeMap<_, _> = crate::copies_by_osd(&mapping);
    assert_eq!(counts[&PoolId(1)].values().sum::<u64>(), 96);
    assert_eq!(counts[&PoolId(2)].values().sum::<u64>(), 96);
}
