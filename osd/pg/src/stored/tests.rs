//! What a placement group writes of itself is read again, and anything else is damage.

use types::{ClientId, Cursor, ObjectName, PoolId};

use super::*;

#[test]
fn what_is_written_is_read_again() {
    let pg = PgId { pool: PoolId(1), seed: 2 };
    let version = LogVersion::new(Epoch(3), 4);
    // A name, namespace and key at their limits: together they are longer than an omap key may be.
    let name = ObjectName { namespace: vec![b'n'; 256], key: vec![b'k'; 2048], name: vec![b'o'; 2048] };
    let object = ObjectId::head(PoolId(1), 7, name);
    let missing = MissingObject { need: version, have: None, deleted: false };
    let request = RequestId { client: ClientId(5), sequence: 6 };
    let outcome = RequestOutcome { request, version, user_version: 9, failure: None, outputs: Vec::new() };
    let mut changes = Changes::default();
    changes.put_epoch(Epoch(8));
    changes.put_info(&PgInfo { backfill: Cursor::Start, ..PgInfo::empty(pg) });
    changes.put_missing(&object, &missing);
    changes.put_request(&outcome);
    changes.put_temporary(&object, version);
    changes.remove_missing(LogVersion::ZERO);
    let mut transaction = Transaction::new();
    changes.write_into(pg, &mut transaction);
    assert!(changes.is_empty());
    let [StoreOp::OmapRemove { keys, .. }, StoreOp::OmapSet { entries, .. }] = transaction.ops.as_slice() else {
        panic!("keys go before others are set: {transaction:?}")
    };
    assert_eq!(keys.len(), 2);
    assert!(entries.keys().all(|key| key.len() <= types::limits::OMAP_KEY_BYTES_MAX));
    let stored = StoredPg::decode(entries.clone()).expect("decode");
    assert_eq!(stored.epoch(), Some(Epoch(8)));
    assert_eq!(stored.missing, MissingSet::from([(object.clone(), missing)]));
    assert_eq!(stored.requests, [outcome]);
    assert_eq!(stored.temporary, [(version, object)]);
    assert!(!stored.gone);
}

#[test]
fn unknown_keys_and_half_of_a_pair_are_damage() {
    let refuse = |key: &[u8]| StoredPg::decode([(key.to_vec(), Bytes::new())]).expect_err("must refuse").kind;
    assert_eq!(refuse(b"nonsense"), types::ErrorKind::Damaged);
    let missing = MissingObject { need: LogVersion::ZERO, have: None, deleted: false };
    let lone = [(version_key(MISSING, LogVersion::ZERO), encode_missing_object(&missing))];
    assert_eq!(StoredPg::decode(lone).expect_err("must refuse").kind, types::ErrorKind::Damaged);
    assert_eq!(StoredPg::decode([]).expect("nothing is stored").epoch(), None);
}
