//! Which maps begin a new interval, and which members of past ones must be heard.

use types::{LogVersion, PgId, PoolId};

use super::*;

fn osds(numbers: &[u32]) -> Vec<Option<OsdId>> {
    numbers.iter().map(|number| Some(OsdId(*number))).collect()
}

fn past(first: u32, last: u32, acting: &[u32], maybe_wrote: bool) -> PastInterval {
    PastInterval {
        first: Epoch(first),
        last: Epoch(last),
        up: osds(acting),
        acting: osds(acting),
        primary: acting.first().map(|number| OsdId(*number)),
        maybe_wrote,
    }
}

fn present(since: u32, acting: &[u32]) -> Interval {
    Interval {
        since: Epoch(since),
        up: osds(acting),
        acting: osds(acting),
        primary: acting.first().map(|number| OsdId(*number)),
        up_primary: acting.first().map(|number| OsdId(*number)),
        size: 3,
        min_size: 2,
        pg_num: 1,
        lives: BTreeMap::new(),
    }
}

/// A map in which these are up, with their `up_thru` and `lost_at`; four OSDs exist.
fn map(epoch: u32, up: &[u32], up_thru: u32, lost: &[(u32, u32)]) -> ClusterMap {
    let cluster = types::ClusterId(types::Uuid([1; 16]));
    let map = ClusterMap::first(cluster, BTreeMap::new(), 0).expect("first map");
    let create = |number: u8| map::Change::OsdCreate {
        osd: OsdId(u32::from(number)),
        uuid: types::OsdUuid(types::Uuid([number; 16])),
    };
    let step = map::Increment::new(&map, 0, (0..4).map(create).collect()).expect("a change");
    let mut map = map.apply(&step).expect("four OSDs");
    map.epoch = Epoch(epoch);
    for (osd, state) in &mut map.osds {
        state.up = up.contains(&osd.0);
        state.up_thru = Epoch(up_thru);
        let lost_at = lost.iter().find(|(lost, _)| *lost == osd.0);
        state.lost_at = lost_at.map_or(Epoch::ZERO, |(_, at)| Epoch(*at));
    }
    map
}

fn blocked(past: Vec<PastInterval>, map: &ClusterMap, started: u32) -> Vec<u32> {
    let intervals = PastIntervals::new(past);
    let prior = Prior::build(&intervals, &present(20, &[3]), map, Epoch(started), |_, _| Testimony::Awaited);
    prior.blocked_by.iter().map(|osd| osd.0).collect()
}

#[test]
fn an_interval_wrote_only_when_enough_acted_and_the_primary_was_proven() {
    let wrote = |acting: &[u32], up_thru| {
        present(10, acting).into_past(&map(15, &[0, 1, 2], up_thru, &[]), UpThru::Believed).maybe_wrote
    };
    assert!(wrote(&[0, 1, 2], 10));
    assert!(wrote(&[0, 1], 12));
    assert!(!wrote(&[0, 1, 2], 9), "nothing proves that the primary served since epoch 10");
    assert!(!wrote(&[0], 10), "one member is fewer than min_size");
    assert!(!wrote(&[], 10));
}

#[test]
fn a_restart_without_a_pause_begins_a_new_interval() {
    let one = present(10, &[0, 1]);
    let mut other = present(12, &[0, 1]);
    assert!(one.same_as(&other), "the first epoch alone makes no difference");
    other.lives.insert(OsdId(1), Epoch(12));
    assert!(!one.same_as(&other));
}

#[test]
fn somebody_of_each_interval_that_may_have_written_must_be_there() {
    let two = || vec![past(5, 9, &[0, 1], true), past(10, 19, &[2], true)];
    assert_eq!(blocked(two(), &map(20, &[1, 2, 3], 0, &[]), 5), Vec::<u32>::new());
    assert_eq!(blocked(two(), &map(20, &[2, 3], 0, &[]), 5), [0, 1]);
    assert_eq!(blocked(two(), &map(20, &[0, 3], 0, &[]), 5), [2]);
    assert_eq!(blocked(two(), &map(20, &[2, 3], 0, &[]), 10), Vec::<u32>::new(), "what ended before the last start");
    let idle = vec![past(5, 9, &[0, 1], false)];
    assert_eq!(blocked(idle, &map(20, &[3], 0, &[]), 5), Vec::<u32>::new());
}

#[test]
fn a_lost_osd_is_not_waited_for_and_a_removed_one_neither() {
    let one = || vec![past(5, 9, &[0, 1], true)];
    assert_eq!(blocked(one(), &map(20, &[3], 0, &[(0, 5)]), 5), [0, 1], "lost before the interval wrote anything");
    assert_eq!(blocked(one(), &map(20, &[3], 0, &[(0, 6)]), 5), Vec::<u32>::new());
    let mut without = map(20, &[3], 0, &[]);
    without.osds.remove(&OsdId(0));
    assert_eq!(blocked(one(), &without, 5), [1]);
    without.osds.remove(&OsdId(1));
    assert_eq!(blocked(one(), &without, 5), Vec::<u32>::new());
}

#[test]
fn a_wiped_copy_testifies_for_nothing_before_it_was_made() {
    let interval = past(5, 9, &[0], true);
    let mut info = PgInfo::empty(PgId { pool: PoolId(1), seed: 0 });
    assert_eq!(testimony(&info, &interval), Testimony::Absent);
    info.history.epoch_created = Epoch(12);
    assert_eq!(testimony(&info, &interval), Testimony::Absent);
    info.history.epoch_created = Epoch(9);
    assert_eq!(testimony(&info, &interval), Testimony::Witness);
    info.history.epoch_created = Epoch(12);
    info.last_epoch_started = Epoch(3);
    info.last_update = LogVersion::new(Epoch(3), 1);
    assert_eq!(testimony(&info, &interval), Testimony::Witness);
}

#[test]
fn the_list_that_reaches_further_back_is_taken_over() {
    let mut own = PastIntervals::new(vec![past(12, 19, &[3], false)]);
    assert_eq!(own.known_since(Epoch(20)), Epoch(12));
    assert!(!own.adopt(&[past(15, 19, &[3], false)], Epoch(20)));
    let longer = [past(4, 11, &[0, 1], true), past(12, 19, &[3], false), past(20, 22, &[3], false)];
    assert!(own.adopt(&longer, Epoch(20)));
    assert_eq!(own.list(), &longer[..2]);
    assert_eq!(PastIntervals::default().known_since(Epoch(7)), Epoch(7));
}
