//! The object store under one OSD: every acknowledged byte, at the speed of the device.
//!
//! Owns: objects (bytes, attributes, omap) and the OSD's own small values, on one device with a key-value folder
//! beside it. Does not know: clusters, maps, placement groups, networks.
//!
//! One trait, [`ObjectStore`], and its implementations: [`DiskStore`] (the real one), [`MemoryStore`] (the reference
//! model) and [`FaultyStore`] (the model with chosen faults, for the simulator). Under the real one lie two more
//! traits, [`BlockDevice`] and [`KeyValue`], each with a twin in memory that can lose what was not flushed.

mod archive;
mod bench;
mod clock;
mod counts;
mod device;
mod disk;
mod faulty;
mod key_value;
mod memory;
mod object_store;
mod tape;
#[doc(hidden)]
pub mod untrusted;

pub use archive::{
    ArchiveContents, ArchiveHeader, ArchiveSummary, ImportMode, ImportOutcome, ImportSettings, ObjectDescription,
    describe, export, import, read_header,
};
pub use bench::{
    BenchLimit, BenchLoad, BenchMedium, BenchOrder, BenchRound, BenchRow, BenchSettings, BenchWork, bench, bench_steps,
};
pub use counts::{CacheCounts, DeviceCounts, KeyValueCounts, StoreCounts};
pub use device::{AlignedBuffer, BlockDevice, DEVICE_ALIGNMENT, FileDevice, MemoryDevice};
pub use disk::{
    DiskStore, FoundBytes, FsckDepth, FsckProgress, FsckReport, FsckStage, HearProgress, Identity, Problem, RepairMode,
    SegmentPlace, StoreInfo, StoreOptions, UnitPlace,
};
pub use faulty::FaultyStore;
pub use key_value::{
    KeyChange, KeyValue, KeyValueUsage, KeyValueView, Lookup, MemoryKeyValue, ReadTier, RocksKeyValue, ScanEnd,
};
pub use memory::MemoryStore;
pub use object_store::{CommitCallback, ConfigChanges, ObjectStore, UNIT_BYTES, check_transaction};
pub use tape::{CrashStyle, Tape, TapeEvent};
