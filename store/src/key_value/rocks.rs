//! RocksDB as the key-value half. Only this file knows it.
//!
//! It runs without its own log (the store's journal is its log) and with one column family, so that one flush puts
//! a prefix of all batches into files named by a synced MANIFEST: the contract of [`super::KeyValue`].

use std::{ops::ControlFlow, path::Path};

use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, FlushOptions, LogLevel, Options, ReadOptions,
    SnapshotWithThreadMode, WriteBatch, WriteOptions,
    statistics::{StatsLevel, Ticker},
};
use types::{Error, Result};

use super::{KeyChange, KeyValue, KeyValueUsage, KeyValueView, Lookup, ReadTier, ScanEnd};
use crate::counts::{CacheCounts, KeyValueCounts};

/// A share of the memory budget: cached blocks get three quarters, write buffers one.
const WRITE_BUFFER_SHARE: usize = 4;

/// RocksDB in a folder.
pub struct RocksKeyValue {
    db: DB,
    folder: std::path::PathBuf,
    write_options: WriteOptions,
    /// Holds the statistics.
    options: Options,
}

/// Whether the folder must or must not hold a database already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existing {
    Required,
    Refused,
}

impl RocksKeyValue {
    /// Makes a new database; the folder must not hold one.
    pub fn create(folder: &Path, memory_bytes: usize) -> Result<Self> {
        Self::open_with(folder, memory_bytes, Existing::Refused)
    }

    /// Opens the database in the folder.
    pub fn open(folder: &Path, memory_bytes: usize) -> Result<Self> {
        Self::open_with(folder, memory_bytes, Existing::Required)
    }

    /// Opens the database in the folder to look at it: no content changes, and writes are refused.
    pub fn open_read_only(folder: &Path, memory_bytes: usize) -> Result<Self> {
        let options = Self::options(memory_bytes, Existing::Required);
        let db = DB::open_for_read_only(&options, folder, false)
            .map_err(|error| failed(&format!("open {} to look at it", folder.display()), &error))?;
        Ok(Self { db, folder: folder.to_owned(), write_options: WriteOptions::new(), options })
    }

    fn open_with(folder: &Path, memory_bytes: usize, existing: Existing) -> Result<Self> {
        let options = Self::options(memory_bytes, existing);
        let db = DB::open(&options, folder).map_err(|error| failed(&format!("open {}", folder.display()), &error))?;
        let mut write_options = WriteOptions::new();
        write_options.disable_wal(true);
        Ok(Self { db, folder: folder.to_owned(), write_options, options })
    }

    fn options(memory_bytes: usize, existing: Existing) -> Options {
        let write_buffers = memory_bytes / WRITE_BUFFER_SHARE;
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(memory_bytes - write_buffers));
        // Headers and segments have 100 to 500 bytes: 8 KiB blocks hold some twenty, half the index of 4 KiB ones.
        table.set_block_size(8 << 10);
        // New objects look up names that do not exist; ten bits per key answer 99 % of that without the disk.
        table.set_bloom_filter(10.0, false);
        // Index and filters are charged to the cache, so that the budget holds with 10 million objects too.
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        table.set_format_version(5);

        let mut options = Options::default();
        options.create_if_missing(existing == Existing::Refused);
        options.set_error_if_exists(existing == Existing::Refused);
        // One family needs no atomic flush; it is set so that a second family later cannot break rule 1 by omission.
        options.set_atomic_flush(true);
        options.set_paranoid_checks(true);
        // Two buffers: one fills while the other is flushed. The store forces a flush at half a ring anyway.
        options.set_write_buffer_size(write_buffers / 2);
        options.set_max_write_buffer_number(2);
        options.set_block_based_table_factory(&table);
        // Metadata compresses to about half; LZ4 costs less than the I/O it saves.
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_level_compaction_dynamic_level_bytes(true);
        // One flush and one compaction at a time: several OSDs share a host's cores.
        options.set_max_background_jobs(2);
        // Compactions write in steps instead of one burst that would delay the journal's flushes.
        options.set_bytes_per_sync(1 << 20);
        // Deleting obsolete files happens in the background, not in the thread that ends a scan.
        options.set_avoid_unnecessary_blocking_io(true);
        // A bound on open files per OSD; index blocks of closed tables are read again through the cache.
        options.set_max_open_files(512);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(4 << 20);
        options.set_log_level(LogLevel::Warn);
        options.set_stats_dump_period_sec(0);
        // Counters only: hit rates and bytes written cost an addition each, clocks and histograms would cost more.
        options.enable_statistics();
        options.set_statistics_level(StatsLevel::ExceptHistogramOrTimers);
        options
    }

    fn scan_with(
        snapshot: &SnapshotWithThreadMode<'_, DB>,
        begin: &[u8],
        end: &[u8],
        tier: ReadTier,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<ScanEnd> {
        if begin >= end {
            return Ok(ScanEnd::Done);
        }
        let mut options = read_options(tier);
        options.set_iterate_upper_bound(end.to_vec());
        let mut iterator = snapshot.raw_iterator_opt(options);
        iterator.seek(begin);
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue()
            && let Some((key, value)) = iterator.item()
        {
            if visit(key, value) {
                iterator.next();
            } else {
                flow = ControlFlow::Break(());
            }
        }
        match iterator.status() {
            Ok(()) => Ok(ScanEnd::Done),
            Err(error) if error.kind() == rocksdb::ErrorKind::Incomplete => Ok(ScanEnd::NotInMemory),
            Err(error) => Err(failed("scan", &error)),
        }
    }
}

fn read_options(tier: ReadTier) -> ReadOptions {
    let mut options = ReadOptions::default();
    if tier == ReadTier::Memory {
        options.set_read_tier(rocksdb::ReadTier::BlockCache);
    }
    options
}

fn looked_up<V: AsRef<[u8]>>(found: std::result::Result<Option<V>, rocksdb::Error>) -> Result<Lookup> {
    match found {
        Ok(Some(value)) => Ok(Lookup::Found(Bytes::copy_from_slice(value.as_ref()))),
        Ok(None) => Ok(Lookup::Absent),
        Err(error) if error.kind() == rocksdb::ErrorKind::Incomplete => Ok(Lookup::NotInMemory),
        Err(error) => Err(failed("read a key", &error)),
    }
}

fn failed(doing: &str, error: &rocksdb::Error) -> Error {
    let message = format!("{doing} in the store's database: {error}");
    if error.kind() == rocksdb::ErrorKind::Corruption { Error::damaged(message) } else { Error::closed(message) }
}

impl KeyValue for RocksKeyValue {
    fn get(&self, key: &[u8], tier: ReadTier) -> Result<Lookup> {
        looked_up(self.db.get_pinned_opt(key, &read_options(tier)))
    }

    fn view(&self) -> Box<dyn KeyValueView + '_> {
        Box::new(self.db.snapshot())
    }

    fn write(&self, changes: &[&[KeyChange]]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for change in changes.iter().flat_map(|part| part.iter()) {
            match change {
                KeyChange::Put { key, value } => batch.put(key, value),
                KeyChange::Delete { key } => batch.delete(key),
                KeyChange::DeleteRange { begin, end } => batch.delete_range(begin, end),
            }
        }
        self.db.write_opt(batch, &self.write_options).map_err(|error| failed("write a batch", &error))
    }

    fn flush(&self) -> Result<()> {
        let mut options = FlushOptions::default();
        options.set_wait(true);
        self.db.flush_opt(&options).map_err(|error| failed("flush", &error))
    }

    fn usage(&self) -> Result<KeyValueUsage> {
        let used =
            self.db.property_int_value("rocksdb.total-sst-files-size").map_err(|error| failed("measure", &error))?;
        let space = nix::sys::statvfs::statvfs(&self.folder)
            .map_err(|error| Error::closed(format!("measure {}: {error}", self.folder.display())))?;
        Ok(KeyValueUsage {
            used_bytes: used.unwrap_or(0),
            free_bytes: space.blocks_available().saturating_mul(space.fragment_size()),
        })
    }

    fn counts(&self) -> KeyValueCounts {
        let ticker = |ticker| self.options.get_ticker_count(ticker);
        let property = |name| self.db.property_int_value(name).ok().flatten().unwrap_or(0);
        KeyValueCounts {
            written_bytes: ticker(Ticker::FlushWriteBytes) + ticker(Ticker::CompactWriteBytes),
            cache: CacheCounts { hits: ticker(Ticker::BlockCacheHit), misses: ticker(Ticker::BlockCacheMiss) },
            memory_bytes: property("rocksdb.block-cache-usage") + property("rocksdb.cur-size-all-mem-tables"),
        }
    }
}

impl KeyValueView for SnapshotWithThreadMode<'_, DB> {
    fn get(&self, key: &[u8], tier: ReadTier) -> Result<Lookup> {
        looked_up(self.get_pinned_opt(key, read_options(tier)))
    }

    fn scan(
        &self,
        begin: &[u8],
        end: &[u8],
        tier: ReadTier,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<ScanEnd> {
        RocksKeyValue::scan_with(self, begin, end, tier, visit)
    }
}
