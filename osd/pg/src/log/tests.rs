//! The log keeps its indexes, never trims too much, and joins only what fits.

use bytes::Bytes;
use types::{ClientId, Epoch, ObjectName, PoolId};

use super::*;

fn entry(epoch: u32, number: u64, name: &str) -> LogEntry {
    LogEntry {
        kind: LogEntryKind::Modify,
        object: ObjectId::head(PoolId(1), 7, ObjectName::new(name)),
        version: LogVersion::new(Epoch(epoch), number),
        prior_version: LogVersion::ZERO,
        user_version: number,
        request: Some(RequestId { client: ClientId(1), sequence: number }),
        failure: None,
        modified_ms: 0,
        changed: None,
        rollback: Bytes::new(),
        outputs: Vec::new(),
    }
}

fn log(names: &[&str]) -> PgLog {
    let entries = names.iter().zip(1..).map(|(name, number)| entry(1, number, name)).collect();
    PgLog::new(LogVersion::ZERO, entries)
}

fn version(number: u64) -> LogVersion {
    LogVersion::new(Epoch(1), number)
}

#[test]
fn the_indexes_follow_what_is_appended_trimmed_and_cut() {
    let (mut log, mut changes) = (log(&["a", "b", "a"]), Changes::default());
    let a = entry(1, 1, "a").object;
    assert_eq!(log.newest_of(&a).map(|entry| entry.version), Some(version(3)));
    log.cut(version(2), &mut changes);
    assert_eq!(log.newest_of(&a).map(|entry| entry.version), Some(version(1)));
    let outcomes = log.trim(version(1), &mut changes);
    assert_eq!(outcomes.len(), 1);
    assert!(log.newest_of(&a).is_none());
    assert!(log.entry_of_request(outcomes[0].request).is_none());
    assert_eq!((log.tail(), log.head()), (version(1), version(2)));
    log.append(entry(2, 3, "c"), &mut changes);
    log.assert_invariants();
    assert_eq!(log.slice_after(version(2), Vec::new()).entries, [entry(2, 3, "c")]);
    assert_eq!(log.slice_after(version(9), Vec::new()).entries.len(), 2, "an unknown version gets all");
}

#[test]
fn trimming_never_takes_what_is_not_committed_everywhere() {
    let log = log(&["a", "b", "c", "d", "e"]);
    let all = usize::MAX;
    assert_eq!(log.trim_target(5, 2, all, version(5)), LogVersion::ZERO, "five of five are not too many");
    assert_eq!(log.trim_target(4, 2, all, version(5)), version(3));
    assert_eq!(log.trim_target(4, 2, all, version(1)), version(1));
    assert_eq!(log.trim_target(9, 9, 2 * (ENTRY_BYTES_FIXED + 1), version(5)), version(3), "by bytes");
}

#[test]
fn a_log_is_extended_back_only_by_one_that_joins_it() {
    let mut changes = Changes::default();
    let mut short = log(&["a", "b", "c"]);
    short.trim(version(2), &mut changes);
    let mut stranger = log(&["a"]).slice_after(LogVersion::ZERO, Vec::new());
    short.extend_back(&stranger, &mut changes);
    assert_eq!(short.tail(), version(2));
    stranger = log(&["a", "b"]).slice_after(LogVersion::ZERO, Vec::new());
    short.extend_back(&stranger, &mut changes);
    assert_eq!((short.tail(), short.len()), (LogVersion::ZERO, 3));
    short.assert_invariants();
}
