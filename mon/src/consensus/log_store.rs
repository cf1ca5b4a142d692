//! The durable log and vote, in RocksDB.
//!
//! Keys: in `log` the index as eight bytes, big endian; in `meta` the names below. Values are versioned bytes of the
//! library's own types.
//!
//! Invariants
//! 1. Appended entries and votes are synced before anybody hears of them: every write that is promised is a synced one.
//! 2. Writes follow one another in the order in which the library asked; each is awaited.
//! 3. The log has no hole: what is truncated or purged goes in one batch.
//!
//! After a crash: what was synced is there, perhaps with more entries behind it; the library sorts out which count.

use std::{fmt::Debug, ops::Bound, ops::RangeBounds, path::Path, sync::Arc};

use openraft::{
    AnyError, LogId, LogState, OptionalSend, RaftLogReader, StorageError, StorageIOError, Vote,
    storage::{LogFlushed, RaftLogStorage},
};
use rocksdb::{ColumnFamily, DB, Direction, IteratorMode, Options, WriteBatch, WriteOptions};
use serde::{Serialize, de::DeserializeOwned};
use types::{Error, Result};

use super::{
    encoding::{decode, encode},
    raft::{LogEntry, Types},
};

const LOG: &str = "log";
const META: &str = "meta";
const VOTE: &[u8] = b"vote";
const COMMITTED: &[u8] = b"committed";
const PURGED: &[u8] = b"purged";
/// The newest snapshot's description and its bytes.
pub(super) const SNAPSHOT_META: &[u8] = b"snapshot_meta";
pub(super) const SNAPSHOT: &[u8] = b"snapshot";
/// Bytes of recent writes in memory. Entries are small and purged often.
const WRITE_BUFFER_BYTES: usize = 8 << 20;
/// Entries read for a follower at a time, in number and in bytes: with one entry more, which may have 20 MiB at the very
/// worst (`mon-state` bounds it), a call still fits `CONTROL_MESSAGE_BYTES_MAX`.
const ENTRIES_READ_MAX: u64 = 32;
const ENTRIES_READ_BYTES: usize = 16 << 20;

type StoreResult<T> = std::result::Result<T, StorageError<u64>>;

/// The key/value store under log and snapshot.
#[derive(Clone)]
pub(crate) struct LogStore {
    db: Arc<DB>,
}

pub(super) fn any(error: &Error) -> AnyError {
    AnyError::new(error)
}

fn from_rocks(doing: &str, error: &rocksdb::Error) -> Error {
    Error::damaged(format!("{doing}: {error}"))
}

impl LogStore {
    /// Opens the store, and makes it when it is new.
    pub fn open(path: &Path) -> Result<Self> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_write_buffer_size(WRITE_BUFFER_BYTES);
        options.set_keep_log_file_num(2);
        options.set_max_total_wal_size(4 * WRITE_BUFFER_BYTES as u64);
        options.set_max_background_jobs(1);
        let db = DB::open_cf(&options, path, [LOG, META])
            .map_err(|error| from_rocks(&format!("open the monitor's store {}", path.display()), &error))?;
        Ok(Self { db: Arc::new(db) })
    }

    fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("the store was opened with this family")
    }

    /// Writes a batch and syncs it, on a thread that may block.
    pub(super) async fn write(&self, build: impl FnOnce(&Self, &mut WriteBatch), sync: bool) -> Result<()> {
        let mut batch = WriteBatch::default();
        build(self, &mut batch);
        let db = Arc::clone(&self.db);
        let written = tokio::task::spawn_blocking(move || {
            let mut options = WriteOptions::default();
            options.set_sync(sync);
            db.write_opt(batch, &options)
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(from_rocks("write the monitor's store", &error)),
            Err(error) => Err(Error::internal(format!("write the monitor's store: {error}"))),
        }
    }

    pub(super) fn put_meta(&self, batch: &mut WriteBatch, key: &[u8], value: &[u8]) {
        batch.put_cf(self.family(META), key, value);
    }

    pub(super) fn get_meta(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.db.get_cf(self.family(META), key).map_err(|error| from_rocks("read the monitor's store", &error))
    }

    fn get_value<T: DeserializeOwned>(&self, key: &[u8], what: &str) -> Result<Option<T>> {
        self.get_meta(key)?.map(|bytes| decode(&bytes, what)).transpose()
    }

    async fn set_value<T: Serialize>(&self, key: &[u8], value: &T, sync: bool) -> Result<()> {
        let bytes = encode(value)?;
        self.write(|store, batch| store.put_meta(batch, key, &bytes), sync).await
    }

    fn last_entry(&self) -> Result<Option<LogEntry>> {
        let mut iterator = self.db.iterator_cf(self.family(LOG), IteratorMode::End);
        match iterator.next() {
            None => Ok(None),
            Some(Ok((_, value))) => decode(&value, "log entry").map(Some),
            Some(Err(error)) => Err(from_rocks("read the log", &error)),
        }
    }

    /// Entries from `begin` up to before `end`; ends earlier when they have more than so many bytes.
    fn entries(&self, begin: u64, end: Option<u64>, bytes_max: usize) -> Result<Vec<LogEntry>> {
        let mut bytes = 0;
        let mode = IteratorMode::From(&begin.to_be_bytes(), Direction::Forward);
        let mut entries = Vec::new();
        for item in self.db.iterator_cf(self.family(LOG), mode) {
            let (key, value) = item.map_err(|error| from_rocks("read the log", &error))?;
            let key: [u8; 8] =
                key.as_ref().try_into().map_err(|_| Error::damaged("read the log: a key has not eight bytes"))?;
            if end.is_some_and(|end| u64::from_be_bytes(key) >= end) {
                break;
            }
            entries.push(decode(&value, "log entry")?);
            bytes += value.len();
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(entries)
    }
}

impl RaftLogReader<Types> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> StoreResult<Vec<LogEntry>> {
        let begin = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => Some(index + 1),
            Bound::Excluded(index) => Some(*index),
            Bound::Unbounded => None,
        };
        self.entries(begin, end, usize::MAX).map_err(|error| StorageIOError::read_logs(any(&error)).into())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> StoreResult<Vec<LogEntry>> {
        let end = end.min(start.saturating_add(ENTRIES_READ_MAX));
        self.entries(start, Some(end), ENTRIES_READ_BYTES)
            .map_err(|error| StorageIOError::read_logs(any(&error)).into())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> StoreResult<LogState<Types>> {
        let read = || -> Result<LogState<Types>> {
            let purged: Option<LogId<u64>> = self.get_value(PURGED, "purged position")?;
            let last = self.last_entry()?.map(|entry| entry.log_id);
            Ok(LogState { last_purged_log_id: purged, last_log_id: last.or(purged) })
        };
        read().map_err(|error| StorageIOError::read_logs(any(&error)).into())
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> StoreResult<()> {
        self.set_value(VOTE, vote, true).await.map_err(|error| StorageIOError::write_vote(any(&error)).into())
    }

    async fn read_vote(&mut self) -> StoreResult<Option<Vote<u64>>> {
        self.get_value(VOTE, "vote").map_err(|error| StorageIOError::read_vote(any(&error)).into())
    }

    async fn save_committed(&mut self, committed: Option<LogId<u64>>) -> StoreResult<()> {
        // Not synced: an older position after a crash only means that fewer entries are applied at once on start.
        self.set_value(COMMITTED, &committed, false).await.map_err(|error| StorageIOError::write(any(&error)).into())
    }

    async fn read_committed(&mut self) -> StoreResult<Option<LogId<u64>>> {
        let committed: Result<Option<Option<LogId<u64>>>> = self.get_value(COMMITTED, "committed position");
        committed.map(Option::flatten).map_err(|error| StorageIOError::read(any(&error)).into())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> StoreResult<()>
    where
        I: IntoIterator<Item = LogEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut pairs = Vec::new();
        for entry in entries {
            let bytes = encode(&entry).map_err(|error| StorageIOError::write_log_entry(entry.log_id, any(&error)))?;
            pairs.push((entry.log_id.index.to_be_bytes(), bytes));
        }
        let build = |store: &Self, batch: &mut WriteBatch| {
            for (key, bytes) in &pairs {
                batch.put_cf(store.family(LOG), key, bytes);
            }
        };
        match self.write(build, true).await {
            Ok(()) => {
                callback.log_io_completed(Ok(()));
                Ok(())
            }
            Err(error) => {
                callback.log_io_completed(Err(std::io::Error::other(error.clone())));
                Err(StorageIOError::write_logs(any(&error)).into())
            }
        }
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> StoreResult<()> {
        let begin = log_id.index.to_be_bytes();
        let build = |store: &Self, batch: &mut WriteBatch| {
            batch.delete_range_cf(store.family(LOG), begin, u64::MAX.to_be_bytes());
        };
        self.write(build, true).await.map_err(|error| StorageIOError::write_logs(any(&error)).into())
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> StoreResult<()> {
        let end = (log_id.index + 1).to_be_bytes();
        let purged = encode(&log_id).map_err(|error| StorageIOError::write_logs(any(&error)))?;
        let build = |store: &Self, batch: &mut WriteBatch| {
            store.put_meta(batch, PURGED, &purged);
            batch.delete_range_cf(store.family(LOG), 0u64.to_be_bytes(), end);
        };
        self.write(build, true).await.map_err(|error| StorageIOError::write_logs(any(&error)).into())
    }
}
