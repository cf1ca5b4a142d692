//! What a store has done since it was opened, as numbers that only grow: for metrics, and for measurements that compare
//! two moments.

/// What reached the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeviceCounts {
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Flushes.
    pub flushes: u64,
}

/// What the key-value half did besides taking batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyValueCounts {
    /// Bytes that it wrote to its files: flushes of its memory, and compactions.
    pub written_bytes: u64,
    /// Lookups in its cache of blocks.
    pub cache: CacheCounts,
    /// Bytes of memory that its cache and its write buffers hold now. The one number here that also falls.
    pub memory_bytes: u64,
}

/// Lookups in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Lookups answered by it.
    pub hits: u64,
    /// Lookups that it had no answer for.
    pub misses: u64,
}

/// What a store did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreCounts {
    /// The device's part.
    pub device: DeviceCounts,
    /// The key-value half's part.
    pub key_value: KeyValueCounts,
    /// Lookups of object headers in memory.
    pub headers: CacheCounts,
    /// Lookups of segments (places and checksums of 256 KiB of an object) in memory.
    pub segments: CacheCounts,
    /// Journal groups made durable: device flushes that acknowledged something.
    pub groups: u64,
    /// Transactions made durable.
    pub records: u64,
}
