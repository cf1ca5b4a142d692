//! Figures, not verdicts: run with `cargo test -p ika-store measure -- --ignored --nocapture`.
//!
//! `IKA_MEASURE_FOLDER` names the folder whose file system is measured; without it the system's folder for
//! temporary files. The limit beside each figure is a plain write and flush of the same bytes to the same file.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Instant,
};

use bytes::Bytes;
use types::{Extent, ObjectId, ObjectName, PoolId, Result, Seed, SeededRandom, StoreOp, StoreRead, Transaction};

use super::{
    super::{DiskStore, StoreOptions},
    identity,
};
use crate::{
    device::{AlignedBuffer, BlockDevice, FileDevice},
    key_value::RocksKeyValue,
    object_store::ObjectStore,
};

const OBJECTS: u64 = 64;
const OBJECT_BYTES: u64 = 4 << 20;

/// Counts what reaches the device.
struct Counted {
    device: FileDevice,
    written: AtomicU64,
    flushes: AtomicU64,
}

impl BlockDevice for Counted {
    fn name(&self) -> String {
        self.device.name()
    }
    fn size_bytes(&self) -> u64 {
        self.device.size_bytes()
    }
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.device.read(offset, buffer)
    }
    fn write(&self, offset: u64, buffer: &[u8]) -> Result<()> {
        self.written.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        self.device.write(offset, buffer)
    }
    fn write_many(&self, writes: &[(u64, &[u8])]) -> Result<()> {
        let bytes = writes.iter().map(|(_, buffer)| buffer.len() as u64).sum();
        self.written.fetch_add(bytes, Ordering::Relaxed);
        self.device.write_many(writes)
    }
    fn flush(&self) -> Result<()> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.device.flush()
    }
}

fn object(number: u64) -> ObjectId {
    ObjectId::head(PoolId(1), (number as u32).wrapping_mul(0x9e37_79b1), ObjectName::new(format!("object-{number}")))
}

fn write(number: u64, offset: u64, data: Bytes) -> Transaction {
    let version = Bytes::copy_from_slice(&[7; 120]);
    Transaction {
        ops: vec![
            StoreOp::Write { object: object(number), offset, data },
            StoreOp::SetXattrs { object: object(number), xattrs: [(b"_".to_vec(), version)].into() },
        ],
    }
}

/// Processor seconds of this process so far.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("proc");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("ticks") / 100.0).sum()
}

struct Figures<'a> {
    device: &'a Counted,
    begin: Instant,
    processor: f64,
    written: u64,
    flushes: u64,
}

#[expect(clippy::disallowed_methods, reason = "measuring needs a clock")]
fn now() -> Instant {
    Instant::now()
}

impl<'a> Figures<'a> {
    fn begin(device: &'a Counted) -> Self {
        Self {
            device,
            begin: now(),
            processor: processor_seconds(),
            written: device.written.load(Ordering::Relaxed),
            flushes: device.flushes.load(Ordering::Relaxed),
        }
    }

    fn tell(self, what: &str, operations: u64, bytes: u64) {
        let seconds = now().duration_since(self.begin).as_secs_f64();
        let written = self.device.written.load(Ordering::Relaxed) - self.written;
        println!(
            "{what:34} {:9.0}/s {:8.1} MB/s {:7.1} us cpu/op  device bytes/byte {:5.2}  ops/flush {:6.1}",
            operations as f64 / seconds,
            bytes as f64 / seconds / 1e6,
            (processor_seconds() - self.processor) * 1e6 / operations as f64,
            written as f64 / bytes as f64,
            operations as f64 / (self.device.flushes.load(Ordering::Relaxed) - self.flushes).max(1) as f64,
        );
    }
}

/// Keeps `depth` transactions in flight.
fn in_flight(store: &DiskStore, depth: usize, count: u64, mut next: impl FnMut() -> Transaction) {
    let (sender, committed) = mpsc::sync_channel::<Result<()>>(depth);
    for index in 0..count {
        if index >= depth as u64 {
            committed.recv().expect("a result").expect("committed");
        }
        let sender = sender.clone();
        store.submit(next(), Box::new(move |result| sender.send(result).expect("room")));
    }
    for _ in 0..count.min(depth as u64) {
        committed.recv().expect("a result").expect("committed");
    }
}

fn raw(folder: &Path) {
    let path = folder.join("raw");
    FileDevice::create_file(&path, 256 << 20).expect("create");
    let device = FileDevice::open(&path).expect("open");
    let large = AlignedBuffer::zeroed(4 << 20);
    for index in 0..64 {
        device.write(index * (4 << 20), &large).expect("write");
    }
    let counted = Counted { device, written: AtomicU64::new(0), flushes: AtomicU64::new(0) };
    let mut random = SeededRandom::new(Seed(1));
    let figures = Figures::begin(&counted);
    for _ in 0..2000 {
        counted.write(random.below(65_000) * 4096, &large[..4096]).expect("write");
        counted.flush().expect("flush");
    }
    figures.tell("limit: 4 KiB write+flush", 2000, 2000 * 4096);
    let figures = Figures::begin(&counted);
    for _ in 0..1000 {
        counted.write(random.below(1000) * 131_072, &large[..131_072]).expect("write");
        counted.flush().expect("flush");
    }
    figures.tell("limit: 32*4 KiB write+flush (of 4k)", 32_000, 32_000 * 4096);
    let figures = Figures::begin(&counted);
    for index in 0..200 {
        counted.write(index % 64 * (4 << 20), &large).expect("write");
        counted.flush().expect("flush");
    }
    figures.tell("limit: 4 MiB write+flush", 200, 200 * (4 << 20));
    let counted = &counted;
    let figures = Figures::begin(counted);
    std::thread::scope(|scope| {
        for seed in 0..32 {
            scope.spawn(move || {
                let mut random = SeededRandom::new(Seed(seed));
                let mut buffer = AlignedBuffer::zeroed(4096);
                for _ in 0..1000 {
                    counted.read(random.below(65_000) * 4096, &mut buffer).expect("read");
                }
            });
        }
    });
    figures.tell("limit: 4 KiB read, depth 32", 32_000, 32_000 * 4096);
    let figures = Figures::begin(counted);
    std::thread::scope(|scope| {
        for reader in 0..4 {
            scope.spawn(move || {
                let mut buffer = AlignedBuffer::zeroed(4 << 20);
                for index in 0..16 {
                    counted.read((index * 4 + reader) * (4 << 20), &mut buffer).expect("read");
                }
            });
        }
    });
    figures.tell("limit: 4 MiB reads, depth 4", 64, 64 * (4 << 20));
    std::fs::remove_file(path).expect("remove");
}

#[test]
#[ignore = "tells figures and has no verdict; it writes gigabytes"]
fn measure() {
    let folder = match std::env::var_os("IKA_MEASURE_FOLDER") {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .expect("a folder");
    raw(folder.path());
    let path = folder.path().join("device");
    FileDevice::create_file(&path, 2 << 30).expect("create");
    let file = FileDevice::open(&path).expect("open");
    // Written once, so that the file system's first allocation is not measured.
    let zeroes = AlignedBuffer::zeroed(4 << 20);
    for index in 0..512 {
        file.write(index * (4 << 20), &zeroes).expect("write");
    }
    let device = Arc::new(Counted { device: file, written: AtomicU64::new(0), flushes: AtomicU64::new(0) });
    let options = StoreOptions::default();
    let keys = Arc::new(RocksKeyValue::create(&folder.path().join("db"), options.memory_bytes / 2).expect("database"));
    DiskStore::format_parts(&*device, &*keys, identity(), &options).expect("format");
    let (store, _) = DiskStore::open_parts(Arc::clone(&device) as _, keys, &options).expect("open");

    let large = Bytes::from(vec![7; OBJECT_BYTES as usize]);
    let figures = Figures::begin(&device);
    let mut number = 0;
    in_flight(&store, 4, OBJECTS, || {
        number += 1;
        write(number - 1, 0, large.clone())
    });
    figures.tell("4 MiB new objects, depth 4", OBJECTS, OBJECTS * OBJECT_BYTES);
    let figures = Figures::begin(&device);
    in_flight(&store, 4, 2 * OBJECTS, || {
        number += 1;
        write(number % OBJECTS, 0, large.clone())
    });
    figures.tell("4 MiB overwrites, depth 4", 2 * OBJECTS, 2 * OBJECTS * OBJECT_BYTES);

    let mut random = SeededRandom::new(Seed(1));
    let small = Bytes::from(vec![9; 4096]);
    for (depth, count) in [(1, 4000), (4, 8000), (32, 100_000), (64, 100_000)] {
        let figures = Figures::begin(&device);
        in_flight(&store, depth, count, || {
            write(random.below(OBJECTS), random.below(OBJECT_BYTES / 4096) * 4096, small.clone())
        });
        figures.tell(&format!("4 KiB overwrites, depth {depth}"), count, count * 4096);
    }
    let figures = Figures::begin(&device);
    let mut number = 1000;
    in_flight(&store, 32, 40_000, || {
        number += 1;
        write(number, 0, small.clone())
    });
    figures.tell("4 KiB new objects, depth 32", 40_000, 40_000 * 4096);

    store.fsck(super::super::FsckDepth::Metadata).expect("fsck also writes everything back");
    let store = &store;
    let figures = Figures::begin(&device);
    std::thread::scope(|scope| {
        for seed in 0..32 {
            scope.spawn(move || {
                let mut random = SeededRandom::new(Seed(seed));
                for _ in 0..1000 {
                    let extent = Extent { offset: random.below(OBJECT_BYTES / 4096) * 4096, length: 4096 };
                    store.read(&StoreRead::Data { object: object(random.below(OBJECTS)), extent }).expect("read");
                }
            });
        }
    });
    figures.tell("4 KiB random reads, depth 32", 32_000, 32_000 * 4096);
    let figures = Figures::begin(&device);
    std::thread::scope(|scope| {
        for reader in 0..4 {
            scope.spawn(move || {
                for number in 0..OBJECTS / 4 {
                    let extent = Extent { offset: 0, length: OBJECT_BYTES };
                    let object = object(number * 4 + reader);
                    store.read(&StoreRead::Data { object, extent }).expect("read");
                }
            });
        }
    });
    figures.tell("4 MiB reads, depth 4", OBJECTS, OBJECTS * OBJECT_BYTES);
    store.close().expect("close");
}
