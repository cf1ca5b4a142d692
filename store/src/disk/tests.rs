//! The store against its model: random transactions, crashes at every point, corruption, full devices, wrong halves.
//!
//! All of it runs the engine's steps from one thread, in an order drawn from the seed, on twins in memory; the last
//! module runs the real thing, with threads, files and RocksDB. `IKA_LONG=1` multiplies the counts.

#![expect(clippy::cast_possible_truncation, reason = "random draws are bounded far below every type's limit")]

mod corruption;
mod crash;
mod device_full;
mod golden;
mod halves;
mod model;
mod real;
pub(super) mod workload;

use std::sync::Arc;

use types::{ClusterId, OsdId, OsdUuid, StoreUuid, Uuid};

use super::{
    engine::Engine,
    replay::{self, EngineMemory},
    superblock::Identity,
};
use crate::{
    device::{BlockDevice, MemoryDevice},
    key_value::{KeyValue, MemoryKeyValue},
};

/// The smallest ring: it wraps often.
const RING_BYTES: u64 = 1 << 20;

fn identity() -> Identity {
    Identity {
        cluster: ClusterId(Uuid([1; 16])),
        osd: OsdId(3),
        osd_uuid: OsdUuid(Uuid([2; 16])),
        store_uuid: StoreUuid(Uuid([3; 16])),
    }
}

/// Caches so small that most things come from the database, and write-back that begins soon.
fn small_memory() -> EngineMemory {
    EngineMemory { cache_bytes: 16 << 10, write_back_bytes: 128 << 10 }
}

pub(super) fn formatted(device_bytes: usize) -> (MemoryDevice, MemoryKeyValue) {
    let device = MemoryDevice::new(device_bytes);
    let keys = MemoryKeyValue::new();
    replay::format(&device, &keys, identity(), Some(RING_BYTES)).expect("format");
    (device, keys)
}

pub(super) fn open(device: &Arc<MemoryDevice>, keys: &Arc<MemoryKeyValue>) -> types::Result<Engine> {
    let device: Arc<dyn BlockDevice> = Arc::clone(device) as _;
    let keys: Arc<dyn KeyValue> = Arc::clone(keys) as _;
    replay::open(device, keys, small_memory())
}

/// A count for the default run, and a larger one for the long run.
fn runs(default: u64, long: u64) -> u64 {
    if std::env::var_os("IKA_LONG").is_some() { long } else { default }
}
