//! Which copy is believed.

use bytes::Bytes;
use types::{Epoch, ObjectName, PoolId};

use super::*;

fn object() -> ObjectId {
    ObjectId::head(PoolId(1), 7, ObjectName::new("o"))
}

fn version(number: u64) -> LogVersion {
    LogVersion::new(Epoch(3), number)
}

fn digest(number: u64, data_crc: u32) -> ObjectDigest {
    ObjectDigest {
        object: object(),
        version: version(number),
        size: 10,
        data_crc,
        xattrs_crc: 1,
        omap_crc: 2,
        damage: None,
    }
}

fn damaged(number: u64) -> ObjectDigest {
    ObjectDigest { damage: Some("offset 0: wrong checksum".to_owned()), ..digest(number, 0) }
}

fn entry(kind: LogEntryKind, number: u64) -> LogEntry {
    LogEntry {
        kind,
        object: object(),
        version: version(number),
        prior_version: LogVersion::ZERO,
        user_version: number,
        request: None,
        failure: None,
        modified_ms: 0,
        changed: None,
        rollback: Bytes::new(),
        outputs: Vec::new(),
    }
}

fn judge(newest: Option<LogEntry>, copies: &[Option<ObjectDigest>]) -> Option<Verdict> {
    let copies: Vec<Copy<'_>> = (0..).map(OsdId).zip(copies.iter().map(Option::as_ref)).collect();
    compare(&object(), newest.as_ref(), &copies)
}

#[test]
fn equal_intact_copies_are_consistent() {
    assert_eq!(judge(None, &[Some(digest(5, 9)), Some(digest(5, 9)), Some(digest(5, 9))]), None);
    assert_eq!(judge(Some(entry(LogEntryKind::Modify, 5)), &[Some(digest(5, 9)), Some(digest(5, 9))]), None);
}

#[test]
fn a_copy_that_cannot_be_read_is_the_bad_one_even_when_most_are() {
    let verdict = judge(None, &[Some(damaged(5)), Some(digest(5, 9)), Some(damaged(5))]).expect("inconsistent");
    assert_eq!(verdict.found.proven, Some(OsdId(1)));
    assert_eq!(verdict.cure.expect("curable").bad, [OsdId(0), OsdId(2)]);
    assert_eq!(verdict.found.copies[0].errors, InconsistencyFlags::READ_ERROR);
    assert!(verdict.found.copies[1].errors.is_empty());
}

#[test]
fn without_an_intact_copy_there_is_no_cure() {
    let verdict = judge(None, &[Some(damaged(5)), None]).expect("inconsistent");
    assert_eq!((verdict.cure, verdict.found.proven), (None, None));
}

/// A majority of equal copies is no proof: the one that differs may be the one that was acknowledged last.
#[test]
fn two_against_one_is_no_proof() {
    let verdict = judge(None, &[Some(digest(5, 9)), Some(digest(5, 9)), Some(digest(5, 8))]).expect("inconsistent");
    assert_eq!((verdict.cure, verdict.found.proven), (None, None));
    assert!(verdict.found.errors.contains(InconsistencyFlags::DATA_DIGEST_MISMATCH));
}

#[test]
fn the_log_tells_which_version_is_right() {
    let copies = [Some(digest(4, 9)), Some(digest(5, 8)), Some(digest(6, 7))];
    let verdict = judge(Some(entry(LogEntryKind::Modify, 5)), &copies).expect("inconsistent");
    assert_eq!(verdict.found.proven, Some(OsdId(1)));
    assert_eq!(
        verdict.cure.expect("curable"),
        Cure { bad: vec![OsdId(0), OsdId(2)], version: version(5), deleted: false }
    );
    // Without the entry the newest is.
    let verdict = judge(None, &copies).expect("inconsistent");
    assert_eq!(verdict.found.proven, Some(OsdId(2)));
}

#[test]
fn a_lost_copy_is_made_anew_and_one_that_was_removed_goes() {
    let verdict = judge(None, &[None, None, Some(digest(5, 9))]).expect("inconsistent");
    assert_eq!(verdict.found.copies[0].errors, InconsistencyFlags::MISSING);
    assert_eq!(verdict.cure.expect("curable").bad, [OsdId(0), OsdId(1)]);
    let verdict = judge(Some(entry(LogEntryKind::Delete, 6)), &[None, None, Some(digest(5, 9))]).expect("inconsistent");
    assert_eq!(verdict.cure.expect("curable"), Cure { bad: vec![OsdId(2)], version: version(6), deleted: true });
    assert_eq!(judge(Some(entry(LogEntryKind::Delete, 6)), &[None, None]), None);
}
