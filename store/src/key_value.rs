//! The key-value half of a store: the few things that are asked of it, in one trait.
//!
//! Contract of every implementation: batches take effect whole and in the order written; reads see them at once.
//! After a crash the content is that of a prefix of the batches, which contains at least all that were written
//! before the last `flush` that returned. There is no log: what is lost comes again from the store's journal.

mod memory;
mod rocks;

pub use memory::MemoryKeyValue;
pub use rocks::RocksKeyValue;

use bytes::Bytes;
use types::Result;

use crate::counts::KeyValueCounts;

/// One change. There is no merge operator: replaying a change twice must change nothing (FOUNDATIONS 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// Sets a value.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// Removes the keys from `begin` (inclusive) to `end` (exclusive).
    DeleteRange {
        /// First key removed.
        begin: Bytes,
        /// First key kept.
        end: Bytes,
    },
}

/// How far a read may go for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadTier {
    /// Only what memory has; for threads that must not wait.
    Memory,
    /// To the disk where needed.
    Disk,
}

/// The answer to a lookup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The key's value.
    Found(Bytes),
    /// There is no such key.
    Absent,
    /// Only the disk knows, and it was not to be asked.
    NotInMemory,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanEnd {
    /// At the end of the range, or because the visitor had enough.
    Done,
    /// Only the disk knows more, and it was not to be asked.
    NotInMemory,
}

/// Space that a key-value half uses and has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyValueUsage {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that could still be used.
    pub free_bytes: u64,
}

/// An ordered map from bytes to bytes. Errors have kind `Closed` (it failed) or `Damaged` (stored bytes are wrong).
pub trait KeyValue: Send + Sync {
    /// One value.
    fn get(&self, key: &[u8], tier: ReadTier) -> Result<Lookup>;

    /// The content as it is now, unmoved by later writes.
    fn view(&self) -> Box<dyn KeyValueView + '_>;

    /// Carries out these changes as one batch, in order.
    fn write(&self, changes: &[&[KeyChange]]) -> Result<()>;

    /// Makes every batch written before this call durable.
    fn flush(&self) -> Result<()>;

    /// Space used and left.
    fn usage(&self) -> Result<KeyValueUsage>;

    /// What it did since it was opened.
    fn counts(&self) -> KeyValueCounts;
}

/// A key-value half at one moment.
pub trait KeyValueView {
    /// One value.
    fn get(&self, key: &[u8], tier: ReadTier) -> Result<Lookup>;

    /// Visits keys and values in key order, from `begin` (inclusive) to `end` (exclusive), until `visit` says `false`.
    fn scan(
        &self,
        begin: &[u8],
        end: &[u8],
        tier: ReadTier,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<ScanEnd>;
}
