//! Both judgements on a small cluster, on each side of every rule.

use std::sync::Arc;

use super::*;
use crate::{
    Change, Death,
    sample::{self, changed, pg, replicated_pool},
};

fn set<const N: usize>(osds: [u32; N]) -> BTreeSet<OsdId> {
    osds.into_iter().map(OsdId).collect()
}

fn clean<const N: usize>(osds: [u32; N]) -> PgCondition {
    PgCondition { active: true, clean: true, acting: set(osds), up: set(osds), whole: set(osds) }
}

/// One pool of size 3 and `min_size` 2 with two placement groups.
fn cluster() -> (ClusterMap, BTreeMap<PgId, PgCondition>) {
    let map = changed(&sample::with_osds(8), vec![Change::PoolSet(Arc::new(replicated_pool(1, 2)))]);
    (map, BTreeMap::from([(pg("1.0"), clean([0, 1, 2])), (pg("1.1"), clean([2, 3, 4]))]))
}

#[test]
fn one_of_three_may_stop_and_two_may_not() {
    let (map, conditions) = cluster();
    let report = ok_to_stop(&map, &conditions, &set([2]));
    assert!(report.ok_to_stop);
    assert_eq!((report.num_ok_pgs, report.ok_become_degraded), (2, vec![pg("1.0"), pg("1.1")]));
    assert!(ok_to_stop(&map, &conditions, &set([0, 3])).ok_to_stop, "one of each group");
    let report = ok_to_stop(&map, &conditions, &set([2, 3]));
    assert!(!report.ok_to_stop);
    assert_eq!((report.bad_become_inactive, report.num_ok_pgs, report.num_not_ok_pgs), (vec![pg("1.1")], 1, 1));
    assert!(ok_to_stop(&map, &conditions, &set([7])).ok_to_stop, "nothing is on it");
}

#[test]
fn of_a_degraded_group_only_whole_copies_count() {
    let (map, mut conditions) = cluster();
    let degraded = conditions.get_mut(&pg("1.0")).unwrap();
    degraded.clean = false;
    degraded.whole.remove(&OsdId(1));
    assert_eq!(ok_to_stop(&map, &conditions, &set([0])).bad_become_inactive, [pg("1.0")]);
    let report = ok_to_stop(&map, &conditions, &set([1]));
    assert!(report.ok_to_stop, "the copy that misses objects is not the one that is needed");
    assert_eq!(report.ok_become_more_degraded, [pg("1.0")]);
}

#[test]
fn unknown_and_inactive_groups_make_the_answer_no() {
    let (map, mut conditions) = cluster();
    conditions.get_mut(&pg("1.0")).unwrap().active = false;
    assert_eq!(ok_to_stop(&map, &conditions, &set([0])).bad_already_inactive, [pg("1.0")]);
    assert!(ok_to_stop(&map, &conditions, &set([4])).ok_to_stop, "it is not on the group that does not serve");
    conditions.remove(&pg("1.0"));
    let report = ok_to_stop(&map, &conditions, &set([4]));
    assert!(!report.ok_to_stop);
    assert_eq!(report.unknown, [pg("1.0")]);
}

#[test]
fn destroying_waits_for_what_is_stored() {
    let (map, mut conditions) = cluster();
    let stored = BTreeMap::from([(OsdId(5), 0), (OsdId(6), 2)]);
    let judge = |map: &ClusterMap, conditions: &_, osds: &_| safe_to_destroy(map, conditions, &stored, osds);
    let report = judge(&map, &conditions, &set([2, 6, 20]));
    assert!(!report.is_safe);
    assert_eq!((report.active, report.safe_to_destroy), (set([2]), set([6, 20])));
    assert!(judge(&map, &conditions, &set([5, 6, 7])).is_safe, "all is clean");

    conditions.get_mut(&pg("1.0")).unwrap().clean = false;
    let report = judge(&map, &conditions, &set([5, 6, 7]));
    assert!(!report.is_safe);
    assert_eq!((report.safe_to_destroy, report.stored_pgs, report.missing_stats), (set([5]), set([6]), set([7])));
    // What a dead OSD last reported is no knowledge of what it holds.
    let down = changed(&map, vec![Change::OsdDown { osd: OsdId(5), dead: Death::Possible }]);
    assert_eq!(judge(&down, &conditions, &set([5])).missing_stats, set([5]));
    // One that should hold a group does not go, even when it has not arrived there yet.
    conditions.get_mut(&pg("1.0")).unwrap().up.insert(OsdId(5));
    assert_eq!(judge(&map, &conditions, &set([5])).active, set([5]));
}
