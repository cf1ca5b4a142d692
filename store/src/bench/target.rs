//! The measured store: made, filled, measured, removed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use types::{
    ClusterId, Error, Extent, ObjectId, ObjectName, OsdId, OsdUuid, PoolId, Result, Seed, SeededRandom, StoreOp,
    StoreRead, StoreUuid, Transaction, Uuid,
};

use super::{
    BenchLimit, BenchLoad, BenchMedium, BenchOrder, BenchRound, BenchRow, BenchSettings, BenchWork,
    drive::{self, Driven},
    fio::Fio,
    process::{processor, written_bytes},
};
use crate::{
    counts::{CacheCounts, StoreCounts},
    device::{AlignedBuffer, BlockDevice, FileDevice, MemoryDevice},
    disk::{DiskStore, Identity},
    key_value::{KeyValue, MemoryKeyValue},
    object_store::ObjectStore,
};

/// Bytes of the attribute written with each block: what an OSD keeps of an object.
const ATTRIBUTE_BYTES: usize = 120;
/// Space beside the objects: the journal, and units that wait to be free.
const SPARE_BYTES_MIN: u64 = 512 << 20;
/// Large writes in flight while the store is filled.
const FILL_DEPTH: usize = 4;
/// Hash that spreads numbers over all of 32 bits: 2^32 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b1;

/// Where a store's two halves are.
enum Halves {
    Files { folder: PathBuf },
    Memory { device: Arc<dyn BlockDevice>, keys: Arc<dyn KeyValue> },
}

/// A store under measurement.
pub(super) struct Target<'a> {
    settings: &'a BenchSettings,
    halves: Halves,
    store: Option<DiskStore>,
    fio: Option<Fio>,
    /// Objects of one block made so far.
    made: u64,
}

impl<'a> Target<'a> {
    /// Makes the store and writes every object once.
    pub fn new(settings: &'a BenchSettings) -> Result<Self> {
        let spare = (settings.data_bytes / 2).max(SPARE_BYTES_MIN);
        let device_bytes = settings.data_bytes + spare;
        let (halves, fio) = match &settings.medium {
            BenchMedium::Memory => {
                let length = usize::try_from(device_bytes)
                    .map_err(|_| Error::invalid(format!("{device_bytes} bytes of device do not fit this machine")))?;
                let device: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(length));
                let keys: Arc<dyn KeyValue> = Arc::new(MemoryKeyValue::new());
                DiskStore::format_parts(&*device, &*keys, identity(), &settings.store)?;
                (Halves::Memory { device, keys }, None)
            }
            BenchMedium::Folder(parent) => {
                let folder = parent.join(format!("store-bench-{}", std::process::id()));
                std::fs::create_dir_all(&folder)
                    .map_err(|error| Error::invalid(format!("make the folder {}: {error}", folder.display())))?;
                let device = folder.join("device");
                FileDevice::create_file(&device, device_bytes)?;
                write_once(&device)?;
                DiskStore::format(&device, &folder.join("db"), identity(), &settings.store)?;
                let fio = settings.with_limits.then(|| Fio::new(folder.join("limit"), settings.data_bytes));
                (Halves::Files { folder }, fio.transpose()?)
            }
        };
        let mut target = Self { settings, halves, store: None, fio, made: 0 };
        target.fill()?;
        Ok(target)
    }

    /// Removes whatever was made.
    pub fn remove(&mut self) -> Result<()> {
        self.close()?;
        if let Halves::Files { folder } = &self.halves {
            std::fs::remove_dir_all(folder)
                .map_err(|error| Error::internal(format!("remove {}: {error}", folder.display())))?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.store.take().map_or(Ok(()), |store| store.close())
    }

    fn open(&mut self) -> Result<()> {
        let options = &self.settings.store;
        let (store, _) = match &self.halves {
            Halves::Files { folder } => DiskStore::open(&folder.join("device"), &folder.join("db"), options)?,
            Halves::Memory { device, keys } => DiskStore::open_parts(Arc::clone(device), Arc::clone(keys), options)?,
        };
        self.store = Some(store);
        Ok(())
    }

    fn store(&self) -> Result<&DiskStore> {
        self.store.as_ref().ok_or_else(|| Error::internal("the measured store is not open"))
    }

    fn fill(&mut self) -> Result<()> {
        self.open()?;
        let data = pattern(self.settings.object_bytes)?;
        let objects = self.objects();
        let store = self.store()?;
        let mut number = 0;
        // Driven in steps of one object each, so that exactly all of them are written.
        while number < objects {
            let mut left = FILL_DEPTH.min(usize::try_from(objects - number).unwrap_or(usize::MAX));
            let depth = left;
            drive::write(store, depth, Duration::from_nanos(1), || {
                left -= 1;
                number += 1;
                write(&object(number - 1), 0, data.clone())
            })?;
            assert_eq!(left, 0, "the first batch is submitted whole before the time is looked at");
        }
        store.settle()
    }

    fn objects(&self) -> u64 {
        self.settings.data_bytes / self.settings.object_bytes
    }

    /// What fio reaches with this load now.
    pub fn limits(&self, load: BenchLoad) -> Result<Vec<(BenchLimit, f64)>> {
        self.fio.as_ref().map_or(Ok(Vec::new()), |fio| fio.limits(load, self.settings.milliseconds))
    }

    /// One round of a load.
    pub fn measure(&mut self, load: BenchLoad, round: u64, limits: Vec<(BenchLimit, f64)>) -> Result<BenchRound> {
        if load.work == BenchWork::Read {
            self.close()?;
            self.open()?;
        }
        let before = Moment::of(self.store()?)?;
        let driven = match load.work {
            BenchWork::Read => self.read(load, round)?,
            BenchWork::Overwrite | BenchWork::New => self.write(load, round)?,
        };
        let store = self.store()?;
        store.settle()?;
        let after = Moment::of(store)?;
        if self.made > 0 {
            self.remove_made()?;
        }
        let operations = driven.latencies.len().max(1) as f64;
        let asked_bytes =
            if load.work == BenchWork::Read { f64::INFINITY } else { operations * load.block_bytes as f64 };
        let device = after.counts.device.written_bytes - before.counts.device.written_bytes;
        let key_value = after.counts.key_value.written_bytes - before.counts.key_value.written_bytes;
        let groups = (after.counts.groups - before.counts.groups).max(1);
        Ok(BenchRound {
            rate: operations / driven.time.as_secs_f64(),
            latency_mean: driven.mean(),
            latency_percentiles: [500, 990, 999].map(|share| driven.percentile(share)),
            processor_per_operation: (after.processor - before.processor).as_secs_f64() * 1e6 / operations,
            device_bytes_per_byte: device as f64 / asked_bytes,
            key_value_bytes_per_byte: key_value as f64 / asked_bytes,
            process_bytes_per_byte: (after.written_bytes - before.written_bytes) as f64 / asked_bytes,
            records_per_group: (after.counts.records - before.counts.records) as f64 / groups as f64,
            limits,
        })
    }

    fn write(&mut self, load: BenchLoad, round: u64) -> Result<Driven> {
        let data = pattern(load.block_bytes)?;
        let mut blocks = Blocks::new(self.settings, load, round);
        let mut made = self.made;
        let store = self.store()?;
        let time = Duration::from_millis(self.settings.milliseconds);
        let driven = drive::write(store, load.depth, time, || match load.work {
            BenchWork::New => {
                made += 1;
                write(&new_object(made), 0, data.clone())
            }
            BenchWork::Overwrite | BenchWork::Read => {
                let (number, offset) = blocks.next();
                write(&object(number), offset, data.clone())
            }
        })?;
        self.made = made;
        Ok(driven)
    }

    /// Objects that a measurement has made go again, so that the next one finds the same space.
    fn remove_made(&mut self) -> Result<()> {
        let numbers: Vec<u64> = (1..=std::mem::take(&mut self.made)).collect();
        let store = self.store()?;
        for some in numbers.chunks(64) {
            let ops = some.iter().map(|number| StoreOp::Remove { object: new_object(*number) }).collect();
            let mut transaction = Some(Transaction { ops });
            drive::write(store, 1, Duration::from_nanos(1), || transaction.take().unwrap_or_default())?;
        }
        store.settle()
    }

    fn read(&self, load: BenchLoad, round: u64) -> Result<Driven> {
        let (settings, blocks) = (self.settings, self.settings.data_bytes / load.block_bytes);
        let per_object = settings.object_bytes / load.block_bytes;
        let time = Duration::from_millis(settings.milliseconds);
        drive::read(self.store()?, load.depth, time, &|number| {
            let block = match load.order {
                BenchOrder::Sequential => number % blocks,
                BenchOrder::Random => {
                    SeededRandom::new(Seed(settings.seed ^ round << 48 ^ number.wrapping_mul(SPREAD))).below(blocks)
                }
            };
            let extent = Extent { offset: block % per_object * load.block_bytes, length: load.block_bytes };
            StoreRead::Data { object: object(block / per_object), extent }
        })
    }

    /// A load's rounds, with what is known at their end.
    pub fn row(&self, load: BenchLoad, rounds: Vec<BenchRound>) -> BenchRow {
        let counts = self.store.as_ref().map(DiskStore::counts).unwrap_or_default();
        let rate = |cache: CacheCounts| cache.hits as f64 / (cache.hits + cache.misses).max(1) as f64;
        BenchRow {
            load,
            rounds,
            key_value_memory_bytes: counts.key_value.memory_bytes,
            hit_rates: [rate(counts.headers), rate(counts.segments), rate(counts.key_value.cache)],
        }
    }
}

impl Drop for Target<'_> {
    /// After an error the files go too; `remove` has told of its own errors.
    fn drop(&mut self) {
        self.store = None;
        if let Halves::Files { folder } = &self.halves
            && folder.exists()
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            tracing::warn!(folder = %folder.display(), %error, "the measured store's files stay behind");
        }
    }
}

/// Counters at one moment.
struct Moment {
    counts: StoreCounts,
    processor: Duration,
    written_bytes: u64,
}

impl Moment {
    fn of(store: &DiskStore) -> Result<Self> {
        Ok(Self { counts: store.counts(), processor: processor()?, written_bytes: written_bytes()? })
    }
}

/// The places that an overwriting load takes.
struct Blocks {
    order: BenchOrder,
    block_bytes: u64,
    per_object: u64,
    count: u64,
    number: u64,
    random: SeededRandom,
}

impl Blocks {
    fn new(settings: &BenchSettings, load: BenchLoad, round: u64) -> Self {
        let per_object = settings.object_bytes / load.block_bytes;
        Self {
            order: load.order,
            block_bytes: load.block_bytes,
            per_object,
            count: settings.data_bytes / settings.object_bytes * per_object,
            number: 0,
            random: SeededRandom::new(Seed(settings.seed ^ round << 48)),
        }
    }

    /// Number of the object, and offset in it.
    fn next(&mut self) -> (u64, u64) {
        let block = match self.order {
            BenchOrder::Random => self.random.below(self.count),
            BenchOrder::Sequential => self.number % self.count,
        };
        self.number += 1;
        (block / self.per_object, block % self.per_object * self.block_bytes)
    }
}

pub(super) fn identity() -> Identity {
    let uuid = |byte| Uuid([byte; 16]);
    Identity { cluster: ClusterId(uuid(1)), osd: OsdId(0), osd_uuid: OsdUuid(uuid(2)), store_uuid: StoreUuid(uuid(3)) }
}

pub(super) fn object(number: u64) -> ObjectId {
    named(number, format!("object-{number}"))
}

fn new_object(number: u64) -> ObjectId {
    named(number, format!("new-{number}"))
}

fn named(number: u64, name: String) -> ObjectId {
    let hash = u32::try_from(number.wrapping_mul(SPREAD) & u64::from(u32::MAX)).expect("masked to 32 bits");
    ObjectId::head(PoolId(1), hash, ObjectName::new(name))
}

pub(super) fn write(object: &ObjectId, offset: u64, data: Bytes) -> Transaction {
    let attribute = Bytes::from_static(&[7; ATTRIBUTE_BYTES]);
    Transaction {
        ops: vec![
            StoreOp::Write { object: object.clone(), offset, data },
            StoreOp::SetXattrs { object: object.clone(), xattrs: [(b"_".to_vec(), attribute)].into() },
        ],
    }
}

/// Bytes that no layer could make shorter, aligned as those that a session receives.
pub(super) fn pattern(length: u64) -> Result<Bytes> {
    let length = usize::try_from(length).map_err(|_| Error::invalid(format!("a block of {length} bytes")))?;
    let mut buffer = AlignedBuffer::zeroed(length);
    let mut random = SeededRandom::new(Seed(9));
    for word in buffer.chunks_exact_mut(8) {
        word.copy_from_slice(&random.below(u64::MAX).to_le_bytes());
    }
    Ok(buffer.freeze().slice(..length))
}

/// Writes all of a file, so that the file system's first allocation is not measured.
fn write_once(device: &std::path::Path) -> Result<()> {
    let device = FileDevice::open(device)?;
    let zeroes = AlignedBuffer::zeroed(4 << 20);
    let mut at = 0;
    while at < device.size_bytes() {
        let length = (device.size_bytes() - at).min(zeroes.len() as u64);
        device.write(at, &zeroes[..usize::try_from(length).unwrap_or(zeroes.len())])?;
        at += length;
    }
    device.flush()
}
