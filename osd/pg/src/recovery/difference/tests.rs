//! The log tells what changed, or nothing at all.

use types::{Epoch, ObjectName, PoolId};
use wire::LogEntry;

use super::*;
use crate::stored::Changes;

fn version(number: u64) -> LogVersion {
    LogVersion { epoch: Epoch(3), number }
}

fn extent(offset: u64, length: u64) -> Extent {
    Extent { offset, length }
}

fn object() -> ObjectId {
    ObjectId::head(PoolId(1), 7, ObjectName::new("thing"))
}

fn entry(number: u64, prior: u64, changed: Option<Vec<Extent>>) -> LogEntry {
    LogEntry {
        kind: LogEntryKind::Modify,
        object: object(),
        version: version(number),
        prior_version: if prior == 0 { LogVersion::ZERO } else { version(prior) },
        user_version: number,
        request: None,
        failure: None,
        modified_ms: 0,
        changed,
        rollback: Bytes::new(),
        outputs: Vec::new(),
    }
}

fn log(entries: impl IntoIterator<Item = LogEntry>) -> PgLog {
    let mut log = PgLog::default();
    for entry in entries {
        log.append(entry, &mut Changes::default());
    }
    log
}

#[test]
fn the_union_of_what_the_entries_changed_is_sent() {
    let log = log([
        entry(1, 0, None),
        entry(2, 1, Some(vec![extent(4096, 4096)])),
        entry(3, 2, Some(vec![extent(0, 100), extent(8192, 10)])),
        entry(4, 3, Some(vec![extent(50, 100), extent(1 << 20, 0)])),
    ]);
    let difference = Difference::of(&log, &object(), version(1), version(4)).expect("the log tells it all");
    assert_eq!(difference.extents, [extent(0, 150), extent(4096, 4106)]);
    let nothing_new = Difference::of(&log, &object(), version(4), version(4)).expect("nothing changed since");
    assert_eq!(nothing_new.extents, []);
}

#[test]
fn what_is_not_certain_is_copied_whole() {
    let bytes = Some(vec![extent(0, 1)]);
    let more_than_bytes = log([entry(1, 0, None), entry(2, 1, None), entry(3, 2, bytes.clone())]);
    assert_eq!(Difference::of(&more_than_bytes, &object(), version(1), version(3)), None);
    assert!(Difference::of(&more_than_bytes, &object(), version(2), version(3)).is_some());
    let trimmed = log([entry(5, 4, bytes.clone()), entry(6, 5, bytes.clone())]);
    assert_eq!(Difference::of(&trimmed, &object(), version(3), version(6)), None, "the log does not reach back");
    let made_anew = log([entry(2, 1, bytes.clone()), entry(4, 0, bytes)]);
    assert_eq!(Difference::of(&made_anew, &object(), version(2), version(4)), None, "it was removed between");
    assert_eq!(Difference::of(&made_anew, &object(), LogVersion::ZERO, version(4)), None);
    assert_eq!(Difference::of(&made_anew, &object(), version(1), version(2)), None, "there is a newer version");
}

#[test]
fn parts_follow_each_other_without_gap_and_within_bounds() {
    let difference =
        Difference { base: version(1), to: version(2), extents: vec![extent(10, 5), extent(20, 30), extent(100, 1)] };
    let mut position = Position::default();
    let mut sent = Vec::new();
    loop {
        let part = difference.part(&position, 12);
        assert!(part.extents.iter().map(|extent| extent.length).sum::<u64>() <= 12);
        sent.extend(part.extents.clone());
        position.data_offset = part.extents.last().map_or(position.data_offset, Extent::end);
        if part.last {
            break;
        }
    }
    assert_eq!(union(sent), difference.extents);
    let scattered = (0..1000).map(|number| extent(number * 10, 1)).collect();
    let many = Difference { base: version(1), to: version(2), extents: scattered };
    let part = many.part(&Position::default(), u64::MAX);
    assert_eq!((part.extents.len(), part.last), (limits::CHANGED_EXTENTS_PER_PART_MAX, false));
}
