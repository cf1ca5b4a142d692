//! Measuring the store alone, beside what fio reaches on the same file system in the same run.
//!
//! Each round of a load measures fio's limits first and the store then, so that whatever else the machine does hits
//! both; ratios are made within a round. What a store writes later is counted in: bytes written and processor time
//! run until everything is at its place.
//!
//! Owns: what is measured and how. Does not know: how it is asked for and printed.

mod drive;
mod fio;
mod process;
mod steps;
mod target;

pub use steps::bench_steps;

use std::path::PathBuf;

use types::{Error, Result};

use crate::disk::StoreOptions;

/// Where the measured store lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BenchMedium {
    /// In files of a new folder inside of this one; removed afterwards.
    Folder(PathBuf),
    /// In memory, both halves: what remains is the store's own cost. There is no limit to compare with.
    Memory,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchWork {
    /// Blocks of objects that exist are written again, each with an attribute of 120 bytes; durable before it counts.
    Overwrite,
    /// Objects of one block are made, likewise.
    New,
    /// Blocks of objects are read; nothing of their data is in memory at the beginning.
    Read,
}

/// In which order blocks are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BenchOrder {
    /// Any block of any object.
    Random,
    /// One object after the other, from the first block to the last.
    Sequential,
}

/// One kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchLoad {
    /// What is done.
    pub work: BenchWork,
    /// Where.
    pub order: BenchOrder,
    /// Bytes of one operation; at most an object's.
    pub block_bytes: u64,
    /// Operations in flight.
    pub depth: usize,
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BenchSettings {
    /// Where.
    pub medium: BenchMedium,
    /// Each of them in turn.
    pub loads: Vec<BenchLoad>,
    /// Alternations of limit and store for each load.
    pub rounds: usize,
    /// Milliseconds of each measurement.
    pub milliseconds: u64,
    /// Bytes of all objects together; the device is half as large again, and at least 512 MiB larger.
    pub data_bytes: u64,
    /// Bytes of one object.
    pub object_bytes: u64,
    /// What the store is told.
    pub store: StoreOptions,
    /// Whether fio measures the limits.
    pub with_limits: bool,
    /// From which places are drawn.
    pub seed: u64,
}

/// A figure that the device alone reaches, as fio measures it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BenchLimit {
    /// Blocks written side by side, or read so, as many as are in flight; one fdatasync for each such batch of writes.
    Batched,
    /// The blocks of a batch as one contiguous write and one fdatasync: what no store of separate blocks can reach,
    /// since each block needs a place and a checksum written down besides.
    Joined,
}

/// What one round found.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchRound {
    /// Operations per second.
    pub rate: f64,
    /// Mean latency in microseconds.
    pub latency_mean: f64,
    /// Latency in microseconds that half, 99 % and 99.9 % of the operations kept below.
    pub latency_percentiles: [f64; 3],
    /// Microseconds of processor time per operation, of the whole process, kernel time included.
    pub processor_per_operation: f64,
    /// Bytes written to the store's device per byte asked to be written; zero for reads.
    pub device_bytes_per_byte: f64,
    /// Bytes that the key-value half wrote to its files, likewise.
    pub key_value_bytes_per_byte: f64,
    /// Bytes that the kernel counts for the process, likewise: a check of the two above.
    pub process_bytes_per_byte: f64,
    /// Transactions per journal group: what one flush made durable.
    pub records_per_group: f64,
    /// What fio reached just before, operations per second.
    pub limits: Vec<(BenchLimit, f64)>,
}

/// What all rounds of a load found.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchRow {
    /// The load.
    pub load: BenchLoad,
    /// Each round, in order.
    pub rounds: Vec<BenchRound>,
    /// Bytes of memory that the key-value half held at the end.
    pub key_value_memory_bytes: u64,
    /// Shares of lookups answered from memory since the store was opened: headers, segments, the key-value half's
    /// blocks.
    pub hit_rates: [f64; 3],
}

impl BenchRow {
    /// Median, least and most of a figure over the rounds; `None` where a round lacks it.
    pub fn spread(&self, figure: impl Fn(&BenchRound) -> Option<f64>) -> Option<[f64; 3]> {
        let mut values: Vec<f64> = self.rounds.iter().map(figure).collect::<Option<_>>()?;
        values.sort_by(f64::total_cmp);
        Some([*values.get(values.len() / 2)?, *values.first()?, *values.last()?])
    }

    /// The store's rate divided by fio's of the same round: median, least and most.
    pub fn share_of(&self, limit: BenchLimit) -> Option<[f64; 3]> {
        self.spread(|round| {
            let (_, rate) = round.limits.iter().find(|(found, _)| *found == limit)?;
            (*rate > 0.0).then(|| round.rate / rate)
        })
    }
}

/// Measures; tells each row as soon as it is there.
pub fn bench(settings: &BenchSettings, mut tell: impl FnMut(&BenchRow)) -> Result<()> {
    check(settings)?;
    let mut target = target::Target::new(settings)?;
    for load in &settings.loads {
        let mut rounds = Vec::new();
        for round in 0..settings.rounds {
            let limits = target.limits(*load)?;
            rounds.push(target.measure(*load, round as u64, limits)?);
        }
        tell(&target.row(*load, rounds));
    }
    target.remove()
}

fn check(settings: &BenchSettings) -> Result<()> {
    let refuse = |why: String| Err(Error::invalid(why));
    if settings.rounds == 0 || settings.milliseconds == 0 {
        return refuse("a measurement needs at least one round and some time".to_owned());
    }
    if settings.object_bytes == 0 || settings.data_bytes < settings.object_bytes {
        return refuse(format!(
            "{} bytes of objects of {} bytes each are none at all",
            settings.data_bytes, settings.object_bytes
        ));
    }
    for load in &settings.loads {
        let divides = load.block_bytes > 0 && settings.object_bytes.is_multiple_of(load.block_bytes);
        if !divides || !load.block_bytes.is_multiple_of(4096) {
            return refuse(format!(
                "blocks of {} bytes: they must be multiples of 4 KiB that divide an object of {} bytes",
                load.block_bytes, settings.object_bytes
            ));
        }
        if load.depth == 0 {
            return refuse("at least one operation must be in flight".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(loads: Vec<BenchLoad>) -> BenchSettings {
        BenchSettings {
            medium: BenchMedium::Memory,
            loads,
            rounds: 2,
            milliseconds: 20,
            data_bytes: 8 << 20,
            object_bytes: 1 << 20,
            store: StoreOptions { memory_bytes: 64 << 20, journal_bytes: Some(4 << 20) },
            with_limits: false,
            seed: 1,
        }
    }

    fn load(work: BenchWork, order: BenchOrder, block_bytes: u64, depth: usize) -> BenchLoad {
        BenchLoad { work, order, block_bytes, depth }
    }

    #[test]
    fn every_kind_of_load_is_measured_and_its_bytes_are_counted() {
        let loads = vec![
            load(BenchWork::Overwrite, BenchOrder::Random, 4096, 8),
            load(BenchWork::Overwrite, BenchOrder::Sequential, 1 << 20, 2),
            load(BenchWork::New, BenchOrder::Random, 4096, 4),
            load(BenchWork::Read, BenchOrder::Random, 4096, 4),
            load(BenchWork::Read, BenchOrder::Sequential, 1 << 20, 1),
        ];
        let mut rows = Vec::new();
        bench(&settings(loads.clone()), |row| rows.push(row.clone())).expect("bench");
        assert_eq!(rows.iter().map(|row| row.load).collect::<Vec<_>>(), loads);
        for row in &rows {
            assert_eq!(row.rounds.len(), 2);
            for round in &row.rounds {
                assert!(round.rate > 0.0 && round.latency_mean > 0.0 && round.processor_per_operation > 0.0, "{row:?}");
                let amplified = round.device_bytes_per_byte;
                match row.load.work {
                    BenchWork::Read => assert!(amplified == 0.0, "{row:?}"),
                    // At least once; at most header, payload and write-back of one unit each.
                    _ => assert!((1.0..=3.2).contains(&amplified), "{row:?}"),
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_measured_is_refused_with_the_reason() {
        let odd = settings(vec![load(BenchWork::Read, BenchOrder::Random, 5000, 1)]);
        assert!(bench(&odd, |_| {}).expect_err("odd").message.contains("multiples of 4 KiB"));
        let none = BenchSettings { rounds: 0, ..settings(Vec::new()) };
        assert!(bench(&none, |_| {}).is_err());
    }

    #[test]
    fn a_spread_is_median_least_and_most() {
        let round = |rate: f64, limit: f64| BenchRound {
            rate,
            latency_mean: 0.0,
            latency_percentiles: [0.0; 3],
            processor_per_operation: 0.0,
            device_bytes_per_byte: 0.0,
            key_value_bytes_per_byte: 0.0,
            process_bytes_per_byte: 0.0,
            records_per_group: 0.0,
            limits: vec![(BenchLimit::Batched, limit)],
        };
        let row = BenchRow {
            load: load(BenchWork::Read, BenchOrder::Random, 4096, 1),
            rounds: vec![round(30.0, 40.0), round(10.0, 40.0), round(20.0, 20.0)],
            key_value_memory_bytes: 0,
            hit_rates: [0.0; 3],
        };
        assert_eq!(row.spread(|round| Some(round.rate)), Some([20.0, 10.0, 30.0]));
        assert_eq!(row.share_of(BenchLimit::Batched), Some([0.75, 0.25, 1.0]));
        assert_eq!(row.share_of(BenchLimit::Joined), None);
    }
}
