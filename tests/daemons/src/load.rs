//! A load whose every acknowledged write is known.
//!
//! Each writer owns some objects, replaces one, appends to another, over and over, and reads now and then. What was
//! acknowledged is remembered; at the end every object must hold exactly that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use client::{Cluster, Pool};
use tokio::{sync::Notify, task::JoinSet};
use types::{Seed, SeededRandom};

/// Objects that each writer replaces.
const REGISTERS: u64 = 40;
/// Bytes of an appended record.
const RECORD_BYTES: usize = 16;
/// An append object is left when it has so many records, and a new one begun.
const RECORDS_PER_LOG: u64 = 500;

/// What a load did.
#[derive(Debug, Clone, Default)]
pub struct LoadReport {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// The longest time that one write took.
    pub longest: Duration,
}

/// A load that runs until it is told to finish.
#[derive(Debug)]
pub struct Load {
    writers: JoinSet<Result<Writer>>,
    shared: Arc<Shared>,
    pool: Pool,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    progress: Notify,
}

/// One writer and what it knows to be true.
#[derive(Debug)]
struct Writer {
    number: u64,
    registers: Vec<Option<Bytes>>,
    logs: Vec<u64>,
    longest: Duration,
}

impl Load {
    /// Starts so many writers on a pool.
    pub async fn start(cluster: &Cluster, pool: &str, writers: u64, seed: Seed) -> Result<Self> {
        let pool = cluster.pool(pool).await.context("find the pool")?;
        Self::start_on(pool, writers, seed)
    }

    /// Starts so many writers on a pool, or on a namespace of one.
    pub fn start_on(pool: Pool, writers: u64, seed: Seed) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut random = SeededRandom::new(seed);
        let mut set = JoinSet::new();
        for number in 0..writers {
            let writer = Writer {
                number,
                registers: vec![None; usize::try_from(REGISTERS)?],
                logs: vec![0],
                longest: Duration::ZERO,
            };
            set.spawn(writer.run(pool.clone(), shared.clone(), random.fork()));
        }
        Ok(Self { writers: set, shared, pool })
    }

    /// Writes acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many more writes have been acknowledged: proof that the cluster serves.
    pub async fn wait_for_more(&mut self, more: u64, within: Duration) -> Result<()> {
        let goal = self.acknowledged() + more;
        let reached = async {
            while self.acknowledged() < goal {
                tokio::select! {
                    () = self.shared.progress.notified() => {}
                    ended = self.writers.join_next() => match ended {
                        Some(Ok(Err(error))) => return Err(error),
                        Some(Err(error)) => bail!("a writer panicked: {error}"),
                        Some(Ok(Ok(_))) | None => bail!("a writer ended before it was told to"),
                    },
                }
            }
            Ok(())
        };
        match tokio::time::timeout(within, reached).await {
            Ok(result) => result,
            Err(_) => bail!("{} of {goal} writes acknowledged after {within:?} more", self.acknowledged()),
        }
    }

    /// Stops the writers, and compares every object with what was acknowledged.
    pub async fn finish(mut self) -> Result<LoadReport> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut report = LoadReport { acknowledged: 0, longest: Duration::ZERO };
        while let Some(writer) = self.writers.join_next().await {
            let writer = writer.context("a writer panicked")??;
            writer.check(&self.pool).await?;
            report.longest = report.longest.max(writer.longest);
        }
        report.acknowledged = self.acknowledged();
        Ok(report)
    }
}

impl Writer {
    async fn run(mut self, pool: Pool, shared: Arc<Shared>, mut random: SeededRandom) -> Result<Self> {
        while !shared.stop.load(Ordering::Relaxed) {
            let began = telemetry::clock::boot_clock_now();
            if random.chance(2, 3) {
                self.replace(&pool, &mut random).await?;
            } else {
                self.append(&pool).await?;
            }
            self.longest = self.longest.max(telemetry::clock::boot_clock_now().since(began));
            shared.acknowledged.fetch_add(1, Ordering::Relaxed);
            shared.progress.notify_one();
            if random.chance(1, 20) {
                let register = usize::try_from(random.below(REGISTERS))?;
                self.check_register(&pool, register).await?;
            }
        }
        Ok(self)
    }

    async fn replace(&mut self, pool: &Pool, random: &mut SeededRandom) -> Result<()> {
        let register = usize::try_from(random.below(REGISTERS))?;
        let length = usize::try_from(1 + random.below(16_000))?;
        let word = random.draw().to_le_bytes();
        let value: Bytes = word.iter().copied().cycle().take(length).collect();
        let object = pool.object(self.register_name(register));
        object.write_full(value.clone()).await.with_context(|| format!("replace {}", self.register_name(register)))?;
        self.registers[register] = Some(value);
        Ok(())
    }

    async fn append(&mut self, pool: &Pool) -> Result<()> {
        let log = self.logs.len() - 1;
        let record = record(self.number, self.logs[log]);
        pool.object(self.log_name(log))
            .append(record)
            .await
            .with_context(|| format!("append to {}", self.log_name(log)))?;
        self.logs[log] += 1;
        if self.logs[log] == RECORDS_PER_LOG {
            self.logs.push(0);
        }
        Ok(())
    }

    async fn check(&self, pool: &Pool) -> Result<()> {
        for register in 0..self.registers.len() {
            self.check_register(pool, register).await?;
        }
        for (log, count) in self.logs.iter().enumerate().filter(|(_, count)| **count > 0) {
            let name = self.log_name(log);
            let found = pool.object(&name).read_all().await.with_context(|| format!("read {name}"))?;
            let expected: Vec<u8> = (0..*count).flat_map(|index| record(self.number, index)).collect();
            ensure!(
                found == expected,
                "{name} has {} bytes, not the {} that were appended",
                found.len(),
                expected.len()
            );
        }
        Ok(())
    }

    async fn check_register(&self, pool: &Pool, register: usize) -> Result<()> {
        let Some(expected) = &self.registers[register] else { return Ok(()) };
        let name = self.register_name(register);
        let found = pool.object(&name).read_all().await.with_context(|| format!("read {name}"))?;
        ensure!(found == expected, "{name} does not hold what was acknowledged last");
        Ok(())
    }

    fn register_name(&self, register: usize) -> String {
        format!("writer-{}-register-{register}", self.number)
    }

    fn log_name(&self, log: usize) -> String {
        format!("writer-{}-log-{log}", self.number)
    }
}

/// A record that says whose it is and which: what is twice or out of order shows.
fn record(writer: u64, index: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    bytes.extend_from_slice(&writer.to_le_bytes());
    bytes.extend_from_slice(&index.to_le_bytes());
    bytes.into()
}
