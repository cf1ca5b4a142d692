//! Sets of snapshots that only grow: those that were removed from a pool.
//!
//! Numbers of snapshots are given in order and never again, so that what was removed becomes few long ranges with time,
//! whatever the number of snapshots that ever were.

use serde::{Deserialize, Serialize};

use crate::SnapshotId;

/// Consecutive snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotRange {
    /// The first.
    pub first: SnapshotId,
    /// How many; at least one.
    pub count: u64,
}

impl SnapshotRange {
    /// The last one.
    pub fn last(&self) -> SnapshotId {
        SnapshotId(self.first.0.saturating_add(self.count.saturating_sub(1)))
    }
}

/// A set of snapshots as ranges: ascending, none empty, none touching the next.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotRanges {
    ranges: Vec<SnapshotRange>,
}

impl SnapshotRanges {
    /// Whether the snapshot is in the set.
    pub fn contains(&self, snapshot: SnapshotId) -> bool {
        self.at_or_after(snapshot).is_some_and(|range| range.first <= snapshot)
    }

    /// The first range that ends at this snapshot or behind it.
    pub fn at_or_after(&self, snapshot: SnapshotId) -> Option<SnapshotRange> {
        let at = self.ranges.partition_point(|range| range.last() < snapshot);
        self.ranges.get(at).copied()
    }

    /// Adds a snapshot. Says whether it was not there.
    pub fn insert(&mut self, snapshot: SnapshotId) -> bool {
        let at = self.ranges.partition_point(|range| range.last() < snapshot);
        if self.ranges.get(at).is_some_and(|range| range.first <= snapshot) {
            return false;
        }
        let touches_next = self.ranges.get(at).is_some_and(|range| range.first.0 == snapshot.0.saturating_add(1));
        let before = at.checked_sub(1).filter(|before| self.ranges[*before].last().0.saturating_add(1) == snapshot.0);
        match (before, touches_next) {
            (Some(before), true) => {
                let next = self.ranges.remove(at);
                self.ranges[before].count += 1 + next.count;
            }
            (Some(before), false) => self.ranges[before].count += 1,
            (None, true) => self.ranges[at] = SnapshotRange { first: snapshot, count: self.ranges[at].count + 1 },
            (None, false) => self.ranges.insert(at, SnapshotRange { first: snapshot, count: 1 }),
        }
        true
    }

    /// The ranges in order.
    pub fn iter(&self) -> impl Iterator<Item = SnapshotRange> + '_ {
        self.ranges.iter().copied()
    }

    /// How many ranges there are: what the set costs.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many snapshots are in it.
    pub fn count(&self) -> u64 {
        self.ranges.iter().fold(0, |sum, range| sum.saturating_add(range.count))
    }

    /// The highest snapshot in it.
    pub fn last(&self) -> Option<SnapshotId> {
        self.ranges.last().map(SnapshotRange::last)
    }

    /// From ranges in order; `None` when they are not, or one is empty or touches the next.
    pub fn from_ranges(ranges: Vec<SnapshotRange>) -> Option<Self> {
        let is_whole = |range: &SnapshotRange| range.count > 0 && range.first.0.checked_add(range.count).is_some();
        let apart = |first: &SnapshotRange, second: &SnapshotRange| first.last().0.saturating_add(1) < second.first.0;
        (ranges.iter().all(is_whole) && ranges.is_sorted_by(apart)).then_some(Self { ranges })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::SeededRandom;

    #[test]
    fn a_set_of_ranges_is_a_set() {
        for seed in 0..50 {
            let mut random = SeededRandom::new(crate::Seed(seed));
            let (mut set, mut model) = (SnapshotRanges::default(), BTreeSet::new());
            for _ in 0..200 {
                let snapshot = SnapshotId(random.below(60));
                assert_eq!(set.insert(snapshot), model.insert(snapshot));
                assert_eq!(set.count(), model.len() as u64);
                assert_eq!(SnapshotRanges::from_ranges(set.iter().collect()), Some(set.clone()), "ranges stay apart");
            }
            for snapshot in (0..62).map(SnapshotId) {
                assert_eq!(set.contains(snapshot), model.contains(&snapshot));
            }
            assert_eq!(set.last(), model.last().copied());
        }
    }

    #[test]
    fn ranges_out_of_order_are_no_set() {
        let range = |first, count| SnapshotRange { first: SnapshotId(first), count };
        for wrong in [vec![range(3, 0)], vec![range(3, 2), range(5, 1)], vec![range(4, 1), range(1, 1)]] {
            assert_eq!(SnapshotRanges::from_ranges(wrong), None);
        }
        assert_eq!(SnapshotRanges::from_ranges(vec![range(u64::MAX, 2)]), None);
    }
}
