//! The table of divergent cases: own log, authoritative log, and what must come of it.

use bytes::Bytes;
use types::{Epoch, ObjectName, PoolId};

use super::*;

fn object(name: &str) -> ObjectId {
    ObjectId::head(PoolId(1), 7, ObjectName::new(name))
}

fn version(text: &str) -> LogVersion {
    let (epoch, number) = text.split_once('\'').expect("epoch'number");
    LogVersion::new(Epoch(epoch.parse().expect("a number")), number.parse().expect("a number"))
}

/// `1'2 m a 1'1`: version, modify or delete or failed, object, prior version.
fn entry(text: &str) -> LogEntry {
    let words: Vec<&str> = text.split(' ').collect();
    LogEntry {
        kind: match words[1] {
            "m" => LogEntryKind::Modify,
            "d" => LogEntryKind::Delete,
            _ => LogEntryKind::Failed,
        },
        object: object(words[2]),
        version: version(words[0]),
        prior_version: version(words[3]),
        user_version: 0,
        request: None,
        failure: None,
        modified_ms: 0,
        changed: None,
        rollback: Bytes::new(),
        outputs: Vec::new(),
    }
}

struct Case {
    own: &'static [&'static str],
    authority: &'static [&'static str],
    missing_before: &'static [(&'static str, &'static str, Option<&'static str>)],
    cursor: Cursor,
}

/// Object, version needed, version had.
type Lacking = (String, String, Option<String>);

/// What must go from the store, and what is missing afterwards: object, needed, had.
fn outcome(case: &Case) -> (Vec<String>, Vec<Lacking>) {
    let mut changes = Changes::default();
    let mut log = PgLog::new(LogVersion::ZERO, case.own.iter().map(|text| entry(text)).collect());
    let mut missing = Missing::default();
    for (name, need, have) in case.missing_before {
        let known = MissingObject { need: version(need), have: have.map(version), deleted: false };
        missing.insert(object(name), known, &mut changes);
    }
    let entries: Vec<LogEntry> = case.authority.iter().map(|text| entry(text)).collect();
    let head = entries.last().map_or(LogVersion::ZERO, |entry| entry.version);
    let slice = PgLogSlice { tail: LogVersion::ZERO, entries, requests: Vec::new() };
    let remove =
        merge(&mut log, &mut missing, &case.cursor, &slice, Divergence::Undone, &mut changes).expect("the logs join");
    log.assert_invariants();
    assert_eq!(log.head(), head);
    let text = |object: &ObjectId| object.name.to_string();
    let lacking = missing
        .objects()
        .iter()
        .map(|(object, known)| (text(object), known.need.to_string(), known.have.map(|have| have.to_string())));
    (remove.iter().map(text).collect(), lacking.collect())
}

fn lacks(name: &str, need: &str, have: Option<&str>) -> Lacking {
    (name.to_owned(), need.to_owned(), have.map(str::to_owned))
}

fn case(own: &'static [&'static str], authority: &'static [&'static str]) -> Case {
    Case { own, authority, missing_before: &[], cursor: Cursor::End }
}

#[test]
fn what_is_new_is_missing_with_what_was_there_before() {
    let found = outcome(&case(&["1'1 m a 0'0"], &["1'1 m a 0'0", "2'2 m a 1'1", "2'3 m b 0'0", "2'4 m a 2'2"]));
    assert_eq!(found, (vec![], vec![lacks("a", "2'4", Some("1'1")), lacks("b", "2'3", None)]));
}

#[test]
fn a_new_deletion_is_carried_out_at_once() {
    let found = outcome(&case(&["1'1 m a 0'0"], &["1'1 m a 0'0", "2'2 m a 1'1", "2'3 d a 2'2"]));
    assert_eq!(found, (vec!["a".to_owned()], vec![]));
    let found = outcome(&case(&["1'1 m a 0'0"], &["1'1 m a 0'0", "2'2 d a 1'1", "2'3 m a 0'0"]));
    assert_eq!(found, (vec!["a".to_owned()], vec![lacks("a", "2'3", None)]));
}

#[test]
fn a_divergent_creation_is_removed() {
    let found = outcome(&case(&["1'1 m a 0'0", "1'2 m b 0'0", "1'3 m b 1'2"], &["1'1 m a 0'0"]));
    assert_eq!(found, (vec!["b".to_owned()], vec![]));
}

#[test]
fn a_divergent_change_needs_the_version_before() {
    let found = outcome(&case(&["1'1 m a 0'0", "1'2 m a 1'1", "1'3 m a 1'2"], &["1'1 m a 0'0"]));
    assert_eq!(found, (vec!["a".to_owned()], vec![lacks("a", "1'1", None)]));
}

#[test]
fn a_divergent_deletion_brings_the_object_back() {
    let found = outcome(&case(&["1'1 m a 0'0", "1'2 d a 1'1"], &["1'1 m a 0'0"]));
    assert_eq!(found, (vec!["a".to_owned()], vec![lacks("a", "1'1", None)]));
}

#[test]
fn a_divergent_entry_under_a_newer_one_leaves_nothing_to_build_upon() {
    let found = outcome(&case(&["1'1 m a 0'0", "1'2 m a 1'1"], &["1'1 m a 0'0", "2'2 m a 1'1"]));
    assert_eq!(found, (vec![], vec![lacks("a", "2'2", None)]));
    let found = outcome(&case(&["1'1 m a 0'0", "1'2 m a 1'1"], &["1'1 m a 0'0", "2'2 d a 1'1"]));
    assert_eq!(found, (vec!["a".to_owned()], vec![]));
}

#[test]
fn an_object_that_was_missing_at_a_divergent_version_may_be_there_after_all() {
    let own: &[&str] = &["1'1 m a 0'0", "1'2 m a 1'1"];
    let had = Case { missing_before: &[("a", "1'2", Some("1'1"))], ..case(own, &["1'1 m a 0'0"]) };
    assert_eq!(outcome(&had), (vec![], vec![]));
    let had_nothing = Case { missing_before: &[("a", "1'2", None)], ..case(own, &["1'1 m a 0'0"]) };
    assert_eq!(outcome(&had_nothing), (vec![], vec![lacks("a", "1'1", None)]));
}

#[test]
fn a_failed_write_touches_no_object() {
    let found = outcome(&case(&["1'1 m a 0'0", "1'2 f a 0'0"], &["1'1 m a 0'0", "2'2 f a 0'0"]));
    assert_eq!(found, (vec![], vec![]));
}

#[test]
fn behind_the_cursor_nothing_is_missing_and_nothing_is_removed() {
    let own: &[&str] = &["1'1 m a 0'0", "1'2 m b 0'0"];
    let begun = Case { cursor: Cursor::Start, ..case(own, &["1'1 m a 0'0", "2'2 m c 0'0", "2'3 d a 1'1"]) };
    assert_eq!(outcome(&begun), (vec![], vec![]));
    let half =
        Case { cursor: Cursor::Before(object("b")), ..case(own, &["1'1 m a 0'0", "2'2 m a 1'1", "2'3 m b 0'0"]) };
    assert_eq!(outcome(&half), (vec![], vec![lacks("a", "2'2", Some("1'1"))]));
}

#[test]
fn logs_that_share_nothing_are_refused() {
    let mut changes = Changes::default();
    let mut log = PgLog::new(version("1'5"), vec![entry("1'6 m a 0'0")]);
    let slice = PgLogSlice { tail: version("3'9"), entries: vec![entry("3'10 m a 0'0")], requests: Vec::new() };
    let cursor = Cursor::End;
    let merged = merge(&mut log, &mut Missing::default(), &cursor, &slice, Divergence::Undone, &mut changes);
    assert_eq!(merged.expect_err("must refuse").kind, types::ErrorKind::Internal);
    assert_eq!(log.head(), version("1'6"));
}
