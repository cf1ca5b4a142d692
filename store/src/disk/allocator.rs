//! Which units of the data area are free.
//!
//! Owns: one bit per unit, and the counts of further references to shared units. Both are rebuilt from the metadata
//! when a store opens, so nothing of it is stored and nothing can disagree with the metadata.
//! Does not know: when a freed unit may be used again; the checkpoint tells it (FOUNDATIONS 2).
//!
//! Invariants
//! 1. `free_units` is the number of zero bits below `unit_count`.
//! 2. A unit with further references is used.

use std::collections::BTreeMap;

/// Consecutive units on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub first: u64,
    pub count: u64,
}

impl Run {
    pub fn end(&self) -> u64 {
        self.first + self.count
    }
}

/// Words of the bitmap searched for long runs before short ones are taken: 1 GiB of device, some microseconds.
const LONG_SEARCH_WORDS: usize = 4096;

/// The bitmap, next-fit: it goes on where it last found space, so that what is written together lies together.
#[derive(Debug, Clone)]
pub(crate) struct Allocator {
    first_unit: u64,
    unit_count: u64,
    used: Vec<u64>,
    free_units: u64,
    cursor: u64,
}

impl Allocator {
    /// All of `unit_count` units from `first_unit` on are free.
    pub fn new(first_unit: u64, unit_count: u64) -> Self {
        let words = usize::try_from(unit_count.div_ceil(64)).expect("a bitmap of the device fits memory");
        Self { first_unit, unit_count, used: vec![0; words], free_units: unit_count, cursor: 0 }
    }

    pub fn unit_count(&self) -> u64 {
        self.unit_count
    }

    pub fn free_units(&self) -> u64 {
        self.free_units
    }

    pub fn contains(&self, unit: u64) -> bool {
        unit >= self.first_unit && unit - self.first_unit < self.unit_count
    }

    pub fn is_used(&self, unit: u64) -> bool {
        let (word, bit) = Self::position(unit - self.first_unit);
        self.used[word] >> bit & 1 != 0
    }

    /// Units that are used here and free there, or the other way round. Both are of one data area.
    pub fn differences(&self, other: &Self) -> impl Iterator<Item = u64> {
        let words = (0u64..).zip(self.used.iter().zip(&other.used));
        let different = words.map(|(index, (own, others))| (index, own ^ others)).filter(|(_, bits)| *bits != 0);
        let units = different
            .flat_map(|(index, bits)| (0..64).filter(move |bit| bits >> bit & 1 != 0).map(move |bit| index * 64 + bit));
        units.map(|unit| unit + self.first_unit)
    }

    /// Takes exactly `count` units, in as few runs as a short search finds; `None` when there are not as many.
    pub fn allocate(&mut self, count: u64) -> Option<Vec<Run>> {
        if count > self.free_units {
            return None;
        }
        let mut runs = Vec::new();
        let mut missing = count;
        let mut searched_words = 0;
        let mut at = self.cursor;
        let mut wrapped = false;
        while missing > 0 {
            let Some(run) = self.find_free(at, missing) else {
                assert!(!wrapped, "the bitmap holds as many free units as it counts");
                wrapped = true;
                at = 0;
                continue;
            };
            searched_words += usize::try_from((run.first - at) / 64).unwrap_or(usize::MAX) + 1;
            at = run.end();
            if run.count < missing.min(16) && searched_words < LONG_SEARCH_WORDS && !wrapped && missing > 1 {
                continue;
            }
            self.mark(run, true);
            missing -= run.count;
            runs.push(Run { first: run.first + self.first_unit, count: run.count });
        }
        self.cursor = at;
        Some(runs)
    }

    /// Searches from the beginning again, so that tests see units used again as early as that may happen.
    #[cfg(test)]
    pub fn rewind(&mut self) {
        self.cursor = 0;
    }

    /// Marks a unit as used; `false` when it already was.
    pub fn set_used(&mut self, unit: u64) -> bool {
        if self.is_used(unit) {
            return false;
        }
        self.mark(Run { first: unit - self.first_unit, count: 1 }, true);
        true
    }

    /// Gives units back.
    pub fn free(&mut self, run: Run) {
        self.mark(Run { first: run.first - self.first_unit, count: run.count }, false);
    }

    /// The first free run at or behind `from`, at most `count_max` long. Relative unit numbers.
    fn find_free(&self, from: u64, count_max: u64) -> Option<Run> {
        let mut at = from;
        while at < self.unit_count {
            let (word, bit) = Self::position(at);
            let free = !self.used[word] >> bit;
            if free == 0 {
                at = (at / 64 + 1) * 64;
                continue;
            }
            at += u64::from(free.trailing_zeros());
            if at >= self.unit_count {
                return None;
            }
            let mut end = at;
            while end < self.unit_count && end - at < count_max {
                let (word, bit) = Self::position(end);
                let used = self.used[word] >> bit;
                let step = u64::from(used.trailing_zeros()).min(64 - u64::from(bit));
                if step == 0 {
                    break;
                }
                end += step;
            }
            let end = end.min(self.unit_count).min(at + count_max);
            return Some(Run { first: at, count: end - at });
        }
        None
    }

    fn mark(&mut self, run: Run, used: bool) {
        let mut at = run.first;
        while at < run.end() {
            let (word, bit) = Self::position(at);
            let length = (64 - u64::from(bit)).min(run.end() - at);
            let mask = if length == 64 { u64::MAX } else { ((1 << length) - 1) << bit };
            let clean = if used { self.used[word] & mask == 0 } else { self.used[word] & mask == mask };
            assert!(clean, "units {at}+{length} of the data area change to used={used} once, not twice");
            self.used[word] ^= mask;
            at += length;
        }
        if used {
            self.free_units -= run.count;
        } else {
            self.free_units += run.count;
        }
    }

    fn position(relative: u64) -> (usize, u32) {
        let word = usize::try_from(relative / 64).expect("the bitmap is in memory");
        (word, (relative % 64) as u32)
    }
}

/// References to units beyond the first: clones share units. Kept by groups of 64, since shared units lie together.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedUnits {
    groups: BTreeMap<u64, Box<[u32; 64]>>,
}

impl SharedUnits {
    /// References beyond the first.
    pub fn further(&self, unit: u64) -> u32 {
        self.groups.get(&(unit / 64)).map_or(0, |group| group[(unit % 64) as usize])
    }

    /// Units whose counts differ.
    pub fn differences(&self, other: &Self) -> Vec<u64> {
        let groups: std::collections::BTreeSet<u64> = self.groups.keys().chain(other.groups.keys()).copied().collect();
        let units = groups.into_iter().flat_map(|group| group * 64..(group + 1) * 64);
        units.filter(|unit| self.further(*unit) != other.further(*unit)).collect()
    }

    /// Sets the references beyond the first.
    pub fn set_further(&mut self, unit: u64, count: u32) {
        if count == 0 && !self.groups.contains_key(&(unit / 64)) {
            return;
        }
        let group = self.groups.entry(unit / 64).or_insert_with(|| Box::new([0; 64]));
        group[(unit % 64) as usize] = count;
        if count == 0 && group.iter().all(|further| *further == 0) {
            self.groups.remove(&(unit / 64));
        }
    }
}

/// Sorted unit numbers as runs.
pub(crate) fn runs_of(units: &mut [u64]) -> Vec<Run> {
    units.sort_unstable();
    let mut runs: Vec<Run> = Vec::new();
    for unit in units.iter() {
        match runs.last_mut() {
            Some(last) if last.end() == *unit => last.count += 1,
            _ => runs.push(Run { first: *unit, count: 1 }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use types::{Seed, SeededRandom};

    use super::*;

    #[test]
    fn never_gives_a_unit_twice_and_gives_the_last_one() {
        let mut random = SeededRandom::new(Seed(3));
        for unit_count in [1, 63, 64, 65, 1000] {
            let mut allocator = Allocator::new(10, unit_count);
            let mut held: BTreeSet<u64> = BTreeSet::new();
            for _ in 0..2000 {
                if random.chance(1, 2) {
                    let count = 1 + random.below(unit_count.min(40));
                    let Some(runs) = allocator.allocate(count) else {
                        assert!(allocator.free_units() < count);
                        continue;
                    };
                    assert_eq!(runs.iter().map(|run| run.count).sum::<u64>(), count);
                    for unit in runs.iter().flat_map(|run| run.first..run.end()) {
                        assert!(allocator.contains(unit) && held.insert(unit));
                    }
                } else {
                    let mut given: Vec<u64> = held.iter().copied().filter(|_| random.chance(1, 3)).collect();
                    for run in runs_of(&mut given) {
                        allocator.free(run);
                        (run.first..run.end()).for_each(|unit| assert!(held.remove(&unit)));
                    }
                }
                assert_eq!(allocator.free_units(), unit_count - held.len() as u64);
            }
        }
    }

    #[test]
    fn an_empty_area_gives_one_run() {
        let mut allocator = Allocator::new(100, 10_000);
        assert_eq!(allocator.allocate(1024), Some(vec![Run { first: 100, count: 1024 }]));
        assert_eq!(allocator.allocate(3), Some(vec![Run { first: 1124, count: 3 }]));
    }

    #[test]
    fn shared_units_are_forgotten_with_their_last_further_reference() {
        let mut shared = SharedUnits::default();
        shared.set_further(130, 2);
        assert_eq!((shared.further(130), shared.further(131)), (2, 0));
        shared.set_further(130, 0);
        assert!(shared.groups.is_empty());
    }
}
