//! What a placement group keeps in the omap of its metadata object, and what a restarted member finds there.
//!
//! ```text
//! key                                      value
//! epoch                                    4 bytes, big-endian: the newest map that the PG had seen
//! info                                     PgInfo
//! past                                     past intervals
//! gone                                     empty: the copy is being removed
//! log/<epoch, 4 bytes><number, 8 bytes>    LogEntry, big-endian so that key order is version order
//! req/<client, 8 bytes><sequence, 8 bytes> RequestOutcome
//! mis/<epoch, 4 bytes><number, 8 bytes>    MissingObject; the version is the one needed
//! min/<epoch, 4 bytes><number, 8 bytes>    which object that is
//! scrub                                    ScrubRecord
//! inc/<index, 4 bytes>                     InconsistentObject, as the last scrub here has listed them
//! tmp/<epoch, 4 bytes><number, 8 bytes>    the object that is being received beside its place, at this version
//! ```
//! A version belongs to one object, so it names missing and half-received objects in fewer bytes than their names
//! would take (a name and locator key together may exceed the limit of an omap key).
//!
//! One write is one store transaction: its object changes and these keys together. So after a crash the log, the
//! missing set and the objects agree with each other.

use std::collections::BTreeMap;

use bytes::Bytes;
use types::{Epoch, Error, LogVersion, ObjectId, PgId, RequestId, Result, StoreOp, Transaction};
use wire::{
    InconsistentObject, LogEntry, LogEntryKind, MissingObject, MissingSet, PastInterval, PgInfo, RequestOutcome,
    ScrubRecord, decode_inconsistent_object, decode_log_entry, decode_missing_object, decode_past_intervals,
    decode_pg_info, decode_request_outcome, decode_scrub_record, encode_inconsistent_object, encode_log_entry,
    encode_missing_object, encode_past_intervals, encode_pg_info, encode_request_outcome, encode_scrub_record,
};

const EPOCH: &[u8] = b"epoch";
const INFO: &[u8] = b"info";
const PAST: &[u8] = b"past";
/// The key that says that the copy is not whole and is to be removed.
pub const GONE: &[u8] = b"gone";
const LOG: &[u8] = b"log/";
const REQUEST: &[u8] = b"req/";
const MISSING: &[u8] = b"mis/";
const MISSING_NAME: &[u8] = b"min/";
const TEMPORARY: &[u8] = b"tmp/";
const SCRUB: &[u8] = b"scrub";
const INCONSISTENT: &[u8] = b"inc/";

fn inconsistent_key(index: usize) -> Vec<u8> {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    [INCONSISTENT, index.to_be_bytes().as_slice()].concat()
}

fn version_key(prefix: &[u8], version: LogVersion) -> Vec<u8> {
    let mut key = prefix.to_vec();
    key.extend(version.epoch.0.to_be_bytes());
    key.extend(version.number.to_be_bytes());
    key
}

fn version_of_key(key: &[u8]) -> Option<LogVersion> {
    let epoch = u32::from_be_bytes(key.get(..4)?.try_into().ok()?);
    let number = u64::from_be_bytes(key.get(4..)?.try_into().ok()?);
    Some(LogVersion::new(Epoch(epoch), number))
}

fn request_key(request: RequestId) -> Vec<u8> {
    let mut key = REQUEST.to_vec();
    key.extend(request.client.0.to_be_bytes());
    key.extend(request.sequence.to_be_bytes());
    key
}

/// An object id in the bytes of a log entry: the one encoding of ids that is fixed for the disk.
pub(crate) fn encode_object(object: &ObjectId, version: LogVersion) -> Bytes {
    encode_log_entry(&LogEntry {
        kind: LogEntryKind::Modify,
        object: object.clone(),
        version,
        prior_version: LogVersion::ZERO,
        user_version: 0,
        request: None,
        failure: None,
        modified_ms: 0,
        changed: None,
        rollback: Bytes::new(),
        outputs: Vec::new(),
    })
}

/// Keys to set and to remove with the next commit.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    keys: BTreeMap<Vec<u8>, Option<Bytes>>,
}

impl Changes {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The account.
    pub fn put_info(&mut self, info: &PgInfo) {
        self.keys.insert(INFO.to_vec(), Some(encode_pg_info(info)));
    }

    /// The past.
    pub fn put_past(&mut self, past: &[PastInterval]) {
        self.keys.insert(PAST.to_vec(), Some(encode_past_intervals(past)));
    }

    /// The newest map seen.
    pub fn put_epoch(&mut self, epoch: Epoch) {
        self.keys.insert(EPOCH.to_vec(), Some(Bytes::copy_from_slice(&epoch.0.to_be_bytes())));
    }

    /// The copy is being removed since this map.
    pub fn put_gone(&mut self, epoch: Epoch) {
        self.put_epoch(epoch);
        self.keys.insert(GONE.to_vec(), Some(Bytes::new()));
    }

    /// A log entry.
    pub fn put_log_entry(&mut self, entry: &LogEntry) {
        self.keys.insert(version_key(LOG, entry.version), Some(encode_log_entry(entry)));
    }

    /// A log entry goes.
    pub fn remove_log_entry(&mut self, version: LogVersion) {
        self.keys.insert(version_key(LOG, version), None);
    }

    /// A remembered answer.
    pub fn put_request(&mut self, outcome: &RequestOutcome) {
        self.keys.insert(request_key(outcome.request), Some(encode_request_outcome(outcome)));
    }

    /// A remembered answer goes.
    pub fn remove_request(&mut self, request: RequestId) {
        self.keys.insert(request_key(request), None);
    }

    /// A missing object.
    pub fn put_missing(&mut self, object: &ObjectId, missing: &MissingObject) {
        self.keys.insert(version_key(MISSING, missing.need), Some(encode_missing_object(missing)));
        self.keys.insert(version_key(MISSING_NAME, missing.need), Some(encode_object(object, missing.need)));
    }

    /// An object is no longer missing at this version.
    pub fn remove_missing(&mut self, need: LogVersion) {
        self.keys.insert(version_key(MISSING, need), None);
        self.keys.insert(version_key(MISSING_NAME, need), None);
    }

    /// An object is being received beside its place.
    pub fn put_temporary(&mut self, object: &ObjectId, version: LogVersion) {
        self.keys.insert(version_key(TEMPORARY, version), Some(encode_object(object, version)));
    }

    /// It is no longer.
    pub fn remove_temporary(&mut self, version: LogVersion) {
        self.keys.insert(version_key(TEMPORARY, version), None);
    }

    /// The record of scrubs.
    pub fn put_scrub_record(&mut self, record: &ScrubRecord) {
        self.keys.insert(SCRUB.to_vec(), Some(encode_scrub_record(record)));
    }

    /// The list of inconsistent objects, in place of one of so many.
    pub fn put_inconsistent_objects(&mut self, old_count: usize, found: &[InconsistentObject]) {
        for (index, object) in found.iter().enumerate() {
            self.keys.insert(inconsistent_key(index), Some(encode_inconsistent_object(object)));
        }
        for index in found.len()..old_count {
            self.keys.insert(inconsistent_key(index), None);
        }
    }

    /// Moves the changes into a transaction.
    pub fn write_into(&mut self, pg: PgId, transaction: &mut Transaction) {
        let meta = ObjectId::pg_meta(pg);
        let (mut entries, mut keys) = (BTreeMap::new(), Vec::new());
        for (key, value) in std::mem::take(&mut self.keys) {
            match value {
                Some(value) => {
                    entries.insert(key, value);
                }
                None => keys.push(key),
            }
        }
        if !keys.is_empty() {
            transaction.push(StoreOp::OmapRemove { object: meta.clone(), keys });
        }
        if !entries.is_empty() {
            transaction.push(StoreOp::OmapSet { object: meta, entries });
        }
    }
}

/// What the store holds of a placement group.
#[derive(Debug, Clone, Default)]
pub struct StoredPg {
    pub(crate) epoch: Option<Epoch>,
    pub(crate) info: Option<PgInfo>,
    pub(crate) past: Vec<PastInterval>,
    pub(crate) gone: bool,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) requests: Vec<RequestOutcome>,
    pub(crate) missing: MissingSet,
    pub(crate) temporary: Vec<(LogVersion, ObjectId)>,
    pub(crate) scrub: ScrubRecord,
    pub(crate) inconsistent: Vec<InconsistentObject>,
}

impl StoredPg {
    /// From all omap entries of [`ObjectId::pg_meta`], in key order. A copy that committed nothing has none.
    pub fn decode(entries: impl IntoIterator<Item = (Vec<u8>, Bytes)>) -> Result<Self> {
        let mut stored = Self::default();
        let mut missing = BTreeMap::new();
        let mut names = BTreeMap::new();
        for (key, value) in entries {
            let unknown = || Error::damaged(format!("the placement group has an unknown key `{}`", key.escape_ascii()));
            let version = |digits: &[u8]| version_of_key(digits).ok_or_else(unknown);
            if key == EPOCH {
                let bytes: [u8; 4] = value.as_ref().try_into().map_err(|_| unknown())?;
                stored.epoch = Some(Epoch(u32::from_be_bytes(bytes)));
            } else if key == INFO {
                stored.info = Some(decode_pg_info(&value)?);
            } else if key == PAST {
                stored.past = decode_past_intervals(&value)?;
            } else if key == GONE {
                stored.gone = true;
            } else if key.starts_with(LOG) {
                stored.log.push(decode_log_entry(&value)?);
            } else if key.starts_with(REQUEST) {
                stored.requests.push(decode_request_outcome(&value)?);
            } else if let Some(digits) = key.strip_prefix(MISSING) {
                missing.insert(version(digits)?, decode_missing_object(&value)?);
            } else if let Some(digits) = key.strip_prefix(MISSING_NAME) {
                names.insert(version(digits)?, decode_log_entry(&value)?.object);
            } else if let Some(digits) = key.strip_prefix(TEMPORARY) {
                stored.temporary.push((version(digits)?, decode_log_entry(&value)?.object));
            } else if key == SCRUB {
                stored.scrub = decode_scrub_record(&value)?;
            } else if key.starts_with(INCONSISTENT) {
                stored.inconsistent.push(decode_inconsistent_object(&value)?);
            } else {
                return Err(unknown());
            }
        }
        for (need, object) in names {
            let entry = missing.remove(&need).ok_or_else(|| {
                Error::damaged(format!("object {object} is named as missing at {need} without an account of it"))
            })?;
            stored.missing.insert(object, entry);
        }
        if let Some(need) = missing.keys().next() {
            return Err(Error::damaged(format!("an object is missing at {need} and nothing says which")));
        }
        Ok(stored)
    }

    /// The copy's account of itself; `None` when nothing is stored, or when it is being removed.
    pub fn info(&self) -> Option<&PgInfo> {
        self.info.as_ref().filter(|_| !self.gone)
    }

    /// The newest map that the copy had seen; `None` when nothing is stored.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }
}

#[cfg(test)]
mod tests;
