//! Whose log rules among members with different pasts, and who acts by it.

use types::{Cursor, PgId, PoolId};

use super::*;

/// Last update as (epoch, number), last epoch started, and the history's.
fn info(update: (u32, u64), started: u32, known: u32) -> PgInfo {
    let mut info = PgInfo::empty(PgId { pool: PoolId(1), seed: 0 });
    info.last_update = LogVersion::new(Epoch(update.0), update.1);
    info.last_epoch_started = Epoch(started);
    info.history.last_epoch_started = Epoch(known);
    info
}

fn chosen(infos: &[PgInfo]) -> Choice {
    let infos: Vec<(OsdId, &PgInfo)> = infos.iter().zip(0..).map(|(info, osd)| (OsdId(osd), info)).collect();
    choose(&infos, OsdId(0))
}

#[test]
fn the_newest_update_of_the_newest_interval_rules() {
    assert_eq!(chosen(&[info((3, 5), 3, 3), info((3, 7), 3, 3)]), Choice::Authority(OsdId(1)));
    // A higher update of an older interval is not acknowledged: those of the newer one went another way.
    assert_eq!(chosen(&[info((3, 9), 3, 3), info((3, 8), 5, 5)]), Choice::Authority(OsdId(1)));
    // It counts even when only its own account knows of the newer interval.
    assert_eq!(chosen(&[info((3, 9), 3, 3), info((3, 8), 5, 3)]), Choice::Authority(OsdId(1)));
}

#[test]
fn an_unfinished_copy_never_rules() {
    let mut unfinished = info((5, 9), 5, 5);
    unfinished.backfill = Cursor::Start;
    assert_eq!(chosen(&[unfinished.clone(), info((5, 8), 5, 5)]), Choice::Authority(OsdId(1)));
    assert_eq!(chosen(&[unfinished.clone(), info((3, 8), 3, 3)]), Choice::Nobody, "its interval is known to have been");
    unfinished.history.last_epoch_started = Epoch(3);
    assert_eq!(chosen(&[unfinished, info((3, 8), 3, 3)]), Choice::Authority(OsdId(1)), "nobody else took part in it");
}

#[test]
fn an_empty_copy_never_rules_over_one_that_served() {
    assert_eq!(chosen(&[info((0, 0), 0, 0), info((3, 1), 3, 3)]), Choice::Authority(OsdId(1)));
    assert_eq!(chosen(&[info((0, 0), 0, 3)]), Choice::Nobody, "somebody served and is not here");
}

#[test]
fn of_equals_the_longer_log_rules_and_then_oneself() {
    let mut longer = info((3, 5), 3, 3);
    let mut shorter = longer.clone();
    shorter.log_tail = LogVersion::new(Epoch(3), 2);
    assert_eq!(chosen(&[shorter.clone(), longer.clone()]), Choice::Authority(OsdId(1)));
    longer.log_tail = shorter.log_tail;
    assert_eq!(chosen(&[shorter, longer]), Choice::Authority(OsdId(0)));
}

#[test]
fn those_the_log_reaches_act_and_the_rest_is_filled() {
    let osds = |numbers: &[u32]| -> Vec<OsdId> { numbers.iter().map(|number| OsdId(*number)).collect() };
    let wanted = |up: &[u32], acting: &[u32], others: &[u32], authority: u32, reached: &[u32]| {
        let reaches = |osd: OsdId| reached.contains(&osd.0);
        let up = osds(up);
        acting_for(up.first().copied(), &up, &osds(acting), &osds(others), 3, OsdId(authority), reaches)
    };
    assert_eq!(wanted(&[0, 1, 2], &[0, 1, 2], &[1, 2], 1, &[0, 1, 2]), osds(&[0, 1, 2]), "nothing to change");
    assert_eq!(wanted(&[4, 1, 2], &[4, 1, 2], &[1, 2], 1, &[1, 2]), osds(&[1, 2]), "the new one is filled first");
    assert_eq!(wanted(&[4, 1, 2], &[4, 1, 2], &[0, 1, 2], 1, &[0, 1, 2]), osds(&[1, 2, 0]), "an old one helps");
    assert_eq!(wanted(&[4, 5, 6], &[4, 5, 6], &[0, 1], 0, &[0, 1]), osds(&[0, 1]), "all move");
}
