//! What each change does, and that increments and full maps never part.

use std::sync::Arc;

use types::{ClientId, Epoch, ErrorKind, OsdId, PoolId, SeededRandom};

use crate::{
    Change, ClusterMap, Death, HOLE, Increment, PublishedMap, Weight, check, decode_increment, decode_map,
    encode_increment, encode_map,
    sample::{self, boot, changed, erasure_pool, pg, replicated_pool, uuid_of},
};

#[test]
fn random_increments_and_full_maps_agree() {
    let (mut applied, mut refused) = (0, 0);
    tests_kit::for_each_seed(0..60, |seed| {
        let mut random = SeededRandom::new(seed);
        let mut published = PublishedMap::new(sample::full()).unwrap();
        let mut follower: ClusterMap = decode_map(&encode_map(&published)).unwrap();
        for _ in 0..60 {
            let changes = (0..1 + random.below(3)).map(|_| sample::random_change(&published, &mut random)).collect();
            let increment = Increment::new(&published, published.modified_ms + random.below(10), changes);
            let Ok(increment) = increment else {
                refused += 1;
                continue;
            };
            let sent = decode_increment(&encode_increment(&increment)).unwrap();
            assert_eq!(sent, increment);
            let next = follower.apply(&sent).unwrap();
            let Ok(next_published) = published.apply(&increment) else {
                assert!(check(&next).is_err(), "only a map that breaks an invariant is not published");
                refused += 1;
                continue;
            };
            assert_eq!(next_published.map(), &next);
            assert_eq!(next_published.checksum(), increment.result_checksum);
            let full = decode_map(&encode_map(&next)).unwrap();
            assert_eq!(full, next);
            let from_full = PublishedMap::new(full).unwrap();
            for pg in next.pgs() {
                assert_eq!(from_full.place(pg), next_published.place(pg), "{pg}");
            }
            assert_eq!(next.epoch, published.epoch().next());
            (published, follower) = (next_published, next);
            applied += 1;
        }
    });
    println!("{applied} increments applied, {refused} refused");
    assert!(applied > 0 && refused > 0);
}

#[test]
fn only_the_next_epoch_applies_and_only_with_its_checksum() {
    let base = sample::with_osds(4);
    let increment = Increment::new(&base, 0, vec![Change::OsdPrimaryAffinity { osd: OsdId(1), affinity: Weight(5) }]);
    let increment = increment.unwrap();
    assert_eq!(increment.modified_ms, base.modified_ms, "time does not go back");
    let next = base.apply(&increment).unwrap();
    assert_eq!(next.apply(&increment).unwrap_err().kind, ErrorKind::Invalid);
    let tampered = Increment { result_checksum: increment.result_checksum ^ 1, ..increment.clone() };
    assert_eq!(base.apply(&tampered).unwrap_err().kind, ErrorKind::Damaged);
    assert_eq!(PublishedMap::new(base.clone()).unwrap().apply(&tampered).unwrap_err().kind, ErrorKind::Damaged);
    let mut diverged = base.clone();
    diverged.osds.get_mut(&OsdId(0)).unwrap().up_thru = Epoch(1);
    assert_eq!(diverged.apply(&increment).unwrap_err().kind, ErrorKind::Damaged);
    let backwards = Increment { modified_ms: base.modified_ms - 1, ..increment };
    assert_eq!(base.apply(&backwards).unwrap_err().kind, ErrorKind::Invalid);
}

fn refusal(map: &ClusterMap, change: Change) -> ErrorKind {
    Increment::new(map, 0, vec![change]).unwrap_err().kind
}

#[test]
fn an_osd_lives() {
    let osd = OsdId(20);
    let map = sample::with_osds(2);
    assert_eq!(refusal(&map, boot(osd, 1)), ErrorKind::NotFound);
    let map = changed(&map, vec![Change::OsdCreate { osd, uuid: uuid_of(osd, 1) }]);
    let state = &map.osds[&osd];
    assert!(!state.up && !state.is_in() && state.primary_affinity == Weight::ONE);
    assert_eq!(refusal(&map, Change::OsdCreate { osd, uuid: uuid_of(osd, 1) }), ErrorKind::Exists);

    let map = changed(&map, vec![boot(osd, 1)]);
    let state = &map.osds[&osd];
    assert!(state.up && state.address.is_some() && !state.is_in());
    assert_eq!(state.up_from, map.epoch);
    assert_eq!(refusal(&map, Change::OsdRemove { osd }), ErrorKind::Invalid);
    assert_eq!(refusal(&map, Change::OsdLost { osd }), ErrorKind::Invalid);

    let clean = Change::OsdLastClean { osd, begin: Epoch(2), end: Epoch(3) };
    let map = changed(&map, vec![Change::OsdUpThru { osd, epoch: Epoch(3) }, clean]);
    let map = changed(&map, vec![Change::OsdUpThru { osd, epoch: Epoch(2) }]);
    assert_eq!(map.osds[&osd].up_thru, Epoch(3), "what was proven stays proven");

    let map = changed(&map, vec![Change::OsdDown { osd, dead: Death::Possible }]);
    let down_at = map.epoch;
    let map = changed(&map, vec![Change::OsdDown { osd, dead: Death::Proven }]);
    let state = &map.osds[&osd];
    assert!(!state.up && state.address.is_none());
    assert_eq!((state.down_at, state.dead_epoch), (down_at, map.epoch), "the proof may come later");
    let again = changed(&map, vec![Change::OsdDown { osd, dead: Death::Proven }]);
    assert_eq!(again.osds[&osd].dead_epoch, map.epoch);

    let map = changed(&map, vec![Change::OsdLost { osd }]);
    let lost_at = map.epoch;
    let same_life = changed(&map, vec![boot(osd, 1)]);
    let state = &same_life.osds[&osd];
    assert_eq!((state.up_thru, state.dead_epoch, state.lost_at), (Epoch(3), Epoch::ZERO, lost_at));
    let new_life = changed(&map, vec![boot(osd, 2)]);
    let state = &new_life.osds[&osd];
    assert_eq!((state.up_thru, state.last_clean_end, state.lost_at), (Epoch::ZERO, Epoch::ZERO, lost_at));
    assert_eq!(state.uuid, uuid_of(osd, 2));
}

#[test]
fn a_pool_lives() {
    let map = sample::with_osds(4);
    let map = changed(&map, vec![Change::PoolSet(Arc::new(replicated_pool(1, 5)))]);
    assert_eq!(map.creating_pgs.len(), 5);
    assert_eq!((map.pools[&PoolId(1)].created, map.pool_next), (map.epoch, PoolId(2)));
    let created = map.epoch;

    let peered = (0..4).map(|seed| Change::PgCreated(pg(&format!("1.{seed}")))).collect();
    let map = changed(&map, peered);
    assert_eq!(map.creating_pgs.iter().copied().collect::<Vec<_>>(), [pg("1.4")]);
    // 1.8 would split off 1.0, 1.c off 1.4: only the latter's parent is still to be made.
    let map = changed(&map, vec![Change::PoolSet(Arc::new(replicated_pool(1, 13)))]);
    assert_eq!(map.creating_pgs.iter().copied().collect::<Vec<_>>(), [pg("1.4"), pg("1.c")]);
    assert_eq!((map.pools[&PoolId(1)].created, map.pools[&PoolId(1)].changed), (created, map.epoch));

    let map = changed(
        &map,
        vec![
            Change::PgTemp(pg("1.b"), Some(vec![OsdId(0)])),
            Change::PgTemp(pg("1.2"), Some(vec![OsdId(0)])),
            Change::PgUpmapItems(pg("1.b"), Some(vec![(OsdId(0), OsdId(1))])),
        ],
    );
    let map = changed(&map, vec![Change::PoolSet(Arc::new(replicated_pool(1, 8)))]);
    assert_eq!(map.creating_pgs.iter().copied().collect::<Vec<_>>(), [pg("1.4")]);
    assert_eq!(map.pg_temp.keys().copied().collect::<Vec<_>>(), [pg("1.2")]);
    assert!(map.pg_upmap_items.is_empty());

    assert_eq!(refusal(&map, Change::PoolRemove(PoolId(2))), ErrorKind::NotFound);
    let map = changed(&map, vec![Change::PoolRemove(PoolId(1))]);
    assert!(map.pools.is_empty() && map.creating_pgs.is_empty() && map.pg_temp.is_empty());
    assert_eq!(refusal(&map, Change::PoolSet(Arc::new(replicated_pool(1, 8)))), ErrorKind::Exists);
}

#[test]
fn exceptions_go_with_the_osd_that_they_name() {
    let down = |osd| Change::OsdDown { osd, dead: Death::Possible };
    let map = changed(
        &sample::with_osds(6),
        vec![
            Change::PoolSet(Arc::new(replicated_pool(1, 8))),
            Change::PoolSet(Arc::new(erasure_pool(2, 8))),
            Change::PgUpmap(pg("1.0"), Some(vec![OsdId(0), OsdId(5)])),
            Change::PgUpmapItems(pg("1.1"), Some(vec![(OsdId(0), OsdId(5)), (OsdId(1), OsdId(2))])),
            Change::PgUpmapItems(pg("1.2"), Some(vec![(OsdId(5), OsdId(1))])),
            Change::PgUpmapPrimary(pg("1.3"), Some(OsdId(5))),
            Change::PrimaryTemp(pg("1.3"), Some(OsdId(5))),
            Change::PgTemp(pg("1.4"), Some(vec![OsdId(5), OsdId(3)])),
            Change::PgTemp(pg("1.5"), Some(vec![OsdId(5)])),
            Change::PgTemp(pg("2.4"), Some(vec![OsdId(5), HOLE, OsdId(3)])),
            Change::PgTemp(pg("2.5"), Some(vec![OsdId(5), HOLE])),
            down(OsdId(5)),
        ],
    );
    check(&map).unwrap();
    let map = changed(&map, vec![Change::OsdRemove { osd: OsdId(5) }]);
    check(&map).unwrap();
    assert!(map.pg_upmap.is_empty() && map.pg_upmap_primary.is_empty() && map.primary_temp.is_empty());
    assert_eq!(map.pg_upmap_items.into_iter().collect::<Vec<_>>(), [(pg("1.1"), vec![(OsdId(1), OsdId(2))])]);
    let temporary = [(pg("1.4"), vec![OsdId(3)]), (pg("2.4"), vec![HOLE, HOLE, OsdId(3)])];
    assert_eq!(map.pg_temp.into_iter().collect::<Vec<_>>(), temporary);
}

#[test]
fn an_empty_exception_is_its_removal() {
    let map = sample::full();
    let map = changed(
        &map,
        vec![
            Change::PgTemp(pg("1.3"), Some(Vec::new())),
            Change::PgUpmap(pg("1.0"), Some(Vec::new())),
            Change::PgUpmapItems(pg("1.1"), Some(Vec::new())),
            Change::PgUpmapPrimary(pg("1.2"), None),
            Change::PrimaryTemp(pg("1.4"), None),
        ],
    );
    assert!(map.pg_upmap.is_empty() && map.pg_upmap_items.is_empty() && map.pg_upmap_primary.is_empty());
    assert!(map.primary_temp.is_empty());
    assert_eq!(map.pg_temp.keys().copied().collect::<Vec<_>>(), [pg("2.1")]);
}

#[test]
fn what_only_grows_is_not_taken_back() {
    let map = changed(&sample::empty(), vec![Change::ClientNext(ClientId(50))]);
    assert_eq!(refusal(&map, Change::ClientNext(ClientId(49))), ErrorKind::Invalid);
    let map = changed(&map, vec![Change::Gates { protocol_min: 2, require_osd_release: 3 }]);
    assert_eq!(refusal(&map, Change::Gates { protocol_min: 1, require_osd_release: 3 }), ErrorKind::Invalid);
    assert_eq!(refusal(&map, Change::Gates { protocol_min: 2, require_osd_release: 2 }), ErrorKind::Invalid);
}
