//! Keeping so many operations in flight, and their latencies.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use types::{Result, StoreRead, Transaction};

use crate::{clock::now, object_store::ObjectStore};

/// What a drive found.
pub(super) struct Driven {
    /// Time until the last operation had ended.
    pub time: Duration,
    /// Of each operation, in nanoseconds, ascending.
    pub latencies: Vec<u64>,
}

impl Driven {
    fn new(time: Duration, mut latencies: Vec<u64>) -> Self {
        latencies.sort_unstable();
        Self { time, latencies }
    }

    /// The latency in microseconds that so many thousandths of the operations kept below.
    pub fn percentile(&self, thousandths: usize) -> f64 {
        let rank = (self.latencies.len() * thousandths).div_ceil(1000).max(1);
        self.latencies.get(rank - 1).copied().unwrap_or(0) as f64 / 1e3
    }

    pub fn mean(&self) -> f64 {
        let sum: u64 = self.latencies.iter().sum();
        sum as f64 / 1e3 / self.latencies.len().max(1) as f64
    }
}

/// Operations that have ended and whose result nobody has looked at.
#[derive(Default)]
struct Ended {
    queue: Mutex<VecDeque<(Duration, Result<()>)>>,
    arrived: Condvar,
}

impl Ended {
    fn queue(&self) -> MutexGuard<'_, VecDeque<(Duration, Result<()>)>> {
        self.queue.lock().expect("no holder of this lock panics")
    }

    fn push(&self, begun: Duration, result: Result<()>) {
        let mut queue = self.queue();
        queue.push_back((begun, result));
        if queue.len() == 1 {
            self.arrived.notify_one();
        }
    }

    fn take(&self) -> VecDeque<(Duration, Result<()>)> {
        let waited = self.arrived.wait_while(self.queue(), |queue| queue.is_empty());
        std::mem::take(&mut *waited.expect("no holder of this lock panics"))
    }
}

/// Submits transactions from this thread, `depth` in flight, for so long.
pub(super) fn write(
    store: &dyn ObjectStore,
    depth: usize,
    time: Duration,
    mut next: impl FnMut() -> Transaction,
) -> Result<Driven> {
    let ended = Arc::new(Ended::default());
    let begin = now();
    let mut latencies = Vec::new();
    let mut in_flight = 0;
    let mut last = begin;
    loop {
        while in_flight < depth && last - begin < time {
            let (ended, begun) = (Arc::clone(&ended), now());
            store.submit(next(), Box::new(move |result| ended.push(begun, result)));
            in_flight += 1;
        }
        if in_flight == 0 {
            return Ok(Driven::new(last - begin, latencies));
        }
        let done = ended.take();
        last = now();
        for (begun, result) in done {
            result?;
            in_flight -= 1;
            latencies.push(nanoseconds(last - begun));
        }
    }
}

/// Reads from `depth` threads, for so long. `read` gets a number that counts up.
pub(super) fn read(
    store: &dyn ObjectStore,
    depth: usize,
    time: Duration,
    next: &(impl Fn(u64) -> StoreRead + Sync),
) -> Result<Driven> {
    let (number, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let begin = now();
    let latencies: Result<Vec<Vec<u64>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..depth)
            .map(|_| {
                scope.spawn(|| {
                    let mut latencies = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        let begun = now();
                        store.read(&next(number.fetch_add(1, Ordering::Relaxed)))?;
                        let end = now();
                        latencies.push(nanoseconds(end - begun));
                        if end - begin >= time {
                            over.store(true, Ordering::Relaxed);
                        }
                    }
                    Ok(latencies)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a reading thread does not panic")).collect()
    });
    let time = now() - begin;
    Ok(Driven::new(time, latencies?.concat()))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_all_operations() {
        let driven = Driven::new(Duration::from_secs(1), (1..=1000).rev().map(|us| us * 1000).collect());
        assert_eq!(driven.percentile(500), 500.0);
        assert_eq!(driven.percentile(999), 999.0);
        assert_eq!(driven.mean(), 500.5);
        let one = Driven::new(Duration::from_secs(1), vec![5000]);
        assert_eq!((one.percentile(500), one.percentile(999)), (5.0, 5.0));
    }
}
