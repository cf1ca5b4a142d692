//! Latencies of many operations in little memory.
//!
//! Counts in buckets whose width is 1/64 of their power of two, so that a percentile is at most 1.6 % off; sum, least
//! and most are exact.

use std::time::Duration;

const STEPS_BITS: u32 = 6;
const STEPS: usize = 1 << STEPS_BITS;
/// Nanoseconds up to 2^42, over an hour.
const POWERS: usize = 42;

/// How long operations took.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    least: u64,
    most: u64,
}

impl Latencies {
    pub fn new() -> Self {
        Self { counts: vec![0; STEPS * POWERS], count: 0, sum: 0, least: u64::MAX, most: 0 }
    }

    pub fn add(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket_of(nanoseconds).min(self.counts.len() - 1);
        self.counts[bucket] += 1;
        self.count += 1;
        self.sum += u128::from(nanoseconds);
        self.least = self.least.min(nanoseconds);
        self.most = self.most.max(nanoseconds);
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn mean(&self) -> Duration {
        let mean = self.sum / u128::from(self.count.max(1));
        Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX))
    }

    pub fn least(&self) -> Duration {
        Duration::from_nanos(if self.count == 0 { 0 } else { self.least })
    }

    pub fn most(&self) -> Duration {
        Duration::from_nanos(self.most)
    }

    /// The time within which so many thousandths of the operations were done.
    pub fn permille(&self, permille: u64) -> Duration {
        let rank = (u128::from(self.count) * u128::from(permille)).div_ceil(1000);
        let mut seen = 0u128;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if seen >= rank && *count > 0 {
                return Duration::from_nanos(upper_end(bucket).clamp(self.least, self.most));
            }
        }
        self.most()
    }
}

fn bucket_of(nanoseconds: u64) -> usize {
    let power = nanoseconds.max(1).ilog2();
    if power < STEPS_BITS {
        return usize::try_from(nanoseconds).expect("below 64");
    }
    let step = (nanoseconds >> (power - STEPS_BITS)) & (STEPS as u64 - 1);
    let row = usize::try_from(power - STEPS_BITS + 1).expect("at most 64");
    row * STEPS + usize::try_from(step).expect("below 64")
}

/// The largest value that falls into the bucket.
fn upper_end(bucket: usize) -> u64 {
    let (row, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    if row == 0 {
        return step;
    }
    let shift = u32::try_from(row - 1).expect("at most 64");
    ((STEPS as u64 + step + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use types::{Seed, SeededRandom};

    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        let mut random = SeededRandom::new(Seed(5));
        for _ in 0..10_000 {
            let shift = random.below(42);
            let value = random.draw() >> (22 + shift);
            let bucket = bucket_of(value);
            assert!(value <= upper_end(bucket), "{value}");
            assert!(bucket == 0 || value > upper_end(bucket - 1), "{value}");
        }
    }

    #[test]
    fn percentiles_are_near_the_exact_ones() {
        let mut latencies = Latencies::new();
        let mut exact: Vec<u64> = Vec::new();
        let mut random = SeededRandom::new(Seed(6));
        for _ in 0..20_000 {
            let value = 1_000 + random.below(1_000_000) * random.below(100);
            exact.push(value);
            latencies.add(Duration::from_nanos(value));
        }
        exact.sort_unstable();
        for (permille, index) in [(500, 9_999), (950, 18_999), (990, 19_799), (999, 19_979)] {
            let (shown, exact) = (latencies.permille(permille).as_nanos(), u128::from(exact[index]));
            assert!(shown >= exact && shown <= exact + exact / 50, "{permille}: {shown} against {exact}");
        }
        assert_eq!(latencies.most().as_nanos(), u128::from(exact[19_999]));
        assert_eq!(latencies.least().as_nanos(), u128::from(exact[0]));
        assert_eq!(latencies.count(), 20_000);
        assert_eq!(Latencies::new().permille(500), Duration::ZERO);
    }
}
