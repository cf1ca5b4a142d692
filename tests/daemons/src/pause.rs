//! How long writes stop when an OSD goes: one writer for each placement group, and the longest time that any of them
//! waited for its next acknowledgement.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use client::{Cluster, Object};
use telemetry::clock::{boot_clock_now, instant_of};
use tokio::{sync::Notify, task::JoinSet};
use types::{PgId, Time};

/// Bytes of each write.
const WRITE_BYTES: usize = 4096;
/// A writer's rest between an acknowledgement and its next write. Bounds the load, and is part of what is measured: a
/// pause is at most this much shorter than what is said.
const REST: Duration = Duration::from_millis(20);
/// Acknowledgements of each placement group after the blow that prove that it serves again.
const ACKNOWLEDGED_AFTER: u64 = 3;

/// Writers on every placement group of a pool.
#[derive(Debug)]
pub struct PauseMeter {
    shared: Arc<Shared>,
    writers: JoinSet<Result<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Vec<Seen>>,
    progress: Notify,
}

/// What one writer saw since the meter was set to zero.
#[derive(Debug, Clone, Copy)]
struct Seen {
    last: Time,
    longest: Duration,
    acknowledged: u64,
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PauseMeter {
    /// Begins to write to each placement group of the pool.
    pub async fn start(cluster: &Cluster, pool: &str) -> Result<Self> {
        let pool = cluster.pool(pool).await.context("find the pool")?;
        let map = cluster.map();
        let pg_num = map.pools.get(&pool.id()).context("the pool is in the map")?.pg_num;
        let mut objects = Vec::new();
        for seed in 0..pg_num {
            let wanted = PgId { pool: pool.id(), seed };
            let mut names = (0..).map(|number| pool.object(format!("pause-{number}")));
            let object = names.find(|object| map.object_pg(pool.id(), object.name()).is_ok_and(|(pg, _)| pg == wanted));
            objects.push(object.context("some name lies in every placement group")?);
        }
        let seen = Seen { last: boot_clock_now(), longest: Duration::ZERO, acknowledged: 0 };
        let seen = Mutex::new(vec![seen; objects.len()]);
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), seen, progress: Notify::new() });
        let mut writers = JoinSet::new();
        for (number, object) in objects.into_iter().enumerate() {
            writers.spawn(write(number, object, shared.clone()));
        }
        Ok(Self { shared, writers })
    }

    /// Forgets what was seen so far.
    pub fn reset(&self) {
        let now = boot_clock_now();
        for seen in self.shared.seen().iter_mut() {
            *seen = Seen { last: now, longest: Duration::ZERO, acknowledged: 0 };
        }
    }

    /// Waits until every placement group acknowledges again; then the longest pause since the last `reset`.
    pub async fn pause(&mut self, within: Duration) -> Result<Duration> {
        let deadline = boot_clock_now() + within;
        loop {
            let seen = self.shared.seen().clone();
            if seen.iter().all(|seen| seen.acknowledged >= ACKNOWLEDGED_AFTER) {
                return Ok(seen.iter().map(|seen| seen.longest).max().unwrap_or_default());
            }
            tokio::select! {
                () = self.shared.progress.notified() => {}
                ended = self.writers.join_next() => match ended {
                    Some(Ok(Err(error))) => return Err(error),
                    Some(Err(error)) => bail!("a writer panicked: {error}"),
                    Some(Ok(Ok(()))) | None => bail!("a writer ended before it was told to"),
                },
                () = tokio::time::sleep_until(instant_of(deadline).into()) => {
                    let silent = seen.iter().filter(|seen| seen.acknowledged < ACKNOWLEDGED_AFTER).count();
                    bail!("{silent} of {} placement groups take no writes after {within:?}", seen.len());
                }
            }
        }
    }

    /// Ends the writers.
    pub async fn finish(mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(writer) = self.writers.join_next().await {
            writer.context("a writer panicked")??;
        }
        Ok(())
    }
}

async fn write(number: usize, object: Object, shared: Arc<Shared>) -> Result<()> {
    let data = Bytes::from(vec![0x5a; WRITE_BYTES]);
    while !shared.stop.load(Ordering::Relaxed) {
        object.write_full(data.clone()).await.with_context(|| format!("write {}", object.name()))?;
        let now = boot_clock_now();
        if let Some(seen) = shared.seen().get_mut(number) {
            seen.longest = seen.longest.max(now.since(seen.last));
            seen.last = now;
            seen.acknowledged += 1;
        }
        shared.progress.notify_one();
        tokio::time::sleep_until(instant_of(now + REST).into()).await;
    }
    Ok(())
}
