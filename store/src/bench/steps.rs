//! The engine's steps from one thread, in one order: the same instructions each time, for counting them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use types::{Error, Result, Seed, SeededRandom};

use super::target::{identity, object, pattern, write};
use crate::{
    device::MemoryDevice,
    disk::{DiskStore, SteppedStore, StoreOptions},
    key_value::KeyValue,
};

/// Bytes of the device in memory.
const DEVICE_BYTES: usize = 256 << 20;
const OBJECTS: u64 = 16;
const OBJECT_BYTES: u64 = 4 << 20;
const BLOCK_BYTES: u64 = 4096;

/// Overwrites so many random blocks of 4 KiB, `depth` of them with each journal group, on a device in memory and this
/// key-value half, which must be empty. All work happens on the caller's thread, but for what the key-value half
/// itself does on others.
pub fn bench_steps(keys: Arc<dyn KeyValue>, transactions: u64, depth: u64) -> Result<()> {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    let options = StoreOptions::default();
    DiskStore::format_parts(&*device, &*keys, identity(), &options)?;
    let store = SteppedStore::open(device, keys, &options)?;
    let whole = pattern(OBJECT_BYTES)?;
    for number in 0..OBJECTS {
        store.submit(write(&object(number), 0, whole.clone()), Box::new(drop));
        store.step();
    }
    store.settle()?;
    overwrite(&store, transactions, depth)
}

/// The part whose instructions count; a function of its own, so that tools find it by name.
#[inline(never)]
fn overwrite(store: &SteppedStore, transactions: u64, depth: u64) -> Result<()> {
    let block = pattern(BLOCK_BYTES)?;
    let mut random = SeededRandom::new(Seed(1));
    let committed = Arc::new(AtomicU64::new(0));
    for number in 1..=transactions {
        let place = random.below(OBJECTS * OBJECT_BYTES / BLOCK_BYTES);
        let (number_of_object, offset) = (place % OBJECTS, place / OBJECTS * BLOCK_BYTES);
        let counted = Arc::clone(&committed);
        let done = move |result: Result<()>| _ = counted.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
        store.submit(write(&object(number_of_object), offset, block.clone()), Box::new(done));
        if number % depth == 0 {
            store.step();
        }
    }
    store.settle()?;
    match committed.load(Ordering::Relaxed) {
        count if count == transactions => Ok(()),
        count => Err(Error::internal(format!("{count} of {transactions} transactions were committed"))),
    }
}
