//! Keeping sets of choose arguments whole when a weight changes: every bucket has weights in a set that has any, and the weight of
//! a bucket in it is the sum of what the set has below.
//!
//! Ceph does so bucket by bucket, in the order of their ids, at every level that the change is carried up. In a set where all
//! buckets have weights already the end is the same in any order, and it is computed from below in one go. In a set where
//! some have none yet, weights are filled in on the way, from real weights that change meanwhile and sums that were taken before:
//! there the order decides, and it is followed step by step.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::map::{Bucket, CrushMap, slot_of};

/// A bucket's sums on their way into the buckets that hold it.
struct Rising {
    bucket_id: i32,
    /// One per position, as they were when it began.
    sums: Vec<u32>,
    /// The slot to look at next.
    slot: usize,
}

/// What stays, and what is still to be filled, while one change is carried up.
struct Filling {
    /// The slots of the buckets that hold an item, in order.
    holders: BTreeMap<i32, Vec<usize>>,
    /// Per set the slots of buckets without weights.
    bare: BTreeMap<i64, BTreeSet<usize>>,
}

impl CrushMap {
    /// Whether a set has weights for some buckets and none for others.
    pub(super) fn has_partial_choose_args(&self) -> bool {
        let buckets = self.buckets().count();
        self.choose_args.values().any(|set| {
            let has_weights = |bucket: &&Bucket| set.get(bucket.id).is_some_and(|found| !found.weight_sets.is_empty());
            let filled = self.buckets().filter(has_weights).count();
            filled > 0 && filled < buckets
        })
    }

    /// As Ceph does it: sets the weight in this bucket, or in all that hold the item, and carries everything up in order. Returns in
    /// how many buckets the item was.
    pub(super) fn adjust_in_order(
        &mut self,
        item: i32,
        weight: u32,
        only: Option<i32>,
        with_weight_sets: bool,
    ) -> Result<usize, Error> {
        let mut holders: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
        for (slot, bucket) in self.buckets.iter().enumerate() {
            for item in bucket.iter().flat_map(|bucket| &bucket.items) {
                let slots = holders.entry(*item).or_default();
                if slots.last() != Some(&slot) {
                    slots.push(slot);
                }
            }
        }
        let bare = self.choose_args.iter().filter(|(_, set)| set.positions() > 0).map(|(id, set)| {
            let is_bare = |id: i32| set.get(id).is_none_or(|found| found.weight_sets.is_empty());
            let slots = self.buckets().map(|bucket| bucket.id).filter(|id| is_bare(*id)).filter_map(slot_of);
            (*id, slots.collect())
        });
        let mut filling = Filling { bare: bare.collect(), holders };
        match only {
            Some(bucket_id) => {
                self.adjust_in_bucket(&mut filling, item, weight, bucket_id, with_weight_sets).map(usize::from)
            }
            None => self.adjust_in_all(&mut filling, item, weight, with_weight_sets),
        }
    }

    /// Recursive over the levels of the tree, whose number is bounded.
    fn adjust_in_all(
        &mut self,
        filling: &mut Filling,
        item: i32,
        weight: u32,
        with_weight_sets: bool,
    ) -> Result<usize, Error> {
        let mut count = 0;
        for bucket_id in self.buckets().map(|bucket| bucket.id).collect::<Vec<_>>() {
            let is_here = self.adjust_in_bucket(filling, item, weight, bucket_id, with_weight_sets)?;
            count += usize::from(is_here);
        }
        Ok(count)
    }

    fn adjust_in_bucket(
        &mut self,
        filling: &mut Filling,
        item: i32,
        weight: u32,
        bucket_id: i32,
        with_weight_sets: bool,
    ) -> Result<bool, Error> {
        let slot = slot_of(bucket_id);
        let is_here = filling.holders.get(&item).is_some_and(|slots| slots.iter().any(|holder| Some(*holder) == slot));
        if is_here {
            self.bucket_adjust_item(bucket_id, item, weight, with_weight_sets)?;
            let total = self.bucket(bucket_id).map_or(0, Bucket::weight);
            self.adjust_in_all(filling, bucket_id, total, false)?;
        }
        for set in self.choose_args.keys().copied().collect::<Vec<_>>() {
            self.raise_sums(filling, set, bucket_id);
        }
        Ok(is_here)
    }

    /// Puts a bucket's sums into what holds it, up to the roots, and fills every bucket that is passed without weights.
    fn raise_sums(&mut self, filling: &mut Filling, set_id: i64, bucket_id: i32) {
        let Filling { holders, bare } = filling;
        let (Some(set), Some(bare)) = (self.choose_args.get_mut(&set_id), bare.get_mut(&set_id)) else { return };
        let positions = set.positions();
        let sums_of = |argument: &crate::map::ChooseArg| -> Vec<u32> {
            let sum = |weights: &Vec<u32>| weights.iter().fold(0u32, |sum, weight| sum.wrapping_add(*weight));
            argument.weight_sets.iter().map(sum).collect()
        };
        let first = set.get(bucket_id).map(sums_of).filter(|sums| !sums.is_empty());
        // An explicit stack: bare buckets follow each other to any depth.
        let mut stack: Vec<Rising> = first.map(|sums| Rising { bucket_id, sums, slot: 0 }).into_iter().collect();
        while let Some(rising) = stack.last_mut() {
            let next_bare = bare.range(rising.slot..).next().copied();
            let held = holders.get(&rising.bucket_id).map_or(&[][..], Vec::as_slice);
            let next_holder = held.iter().find(|slot| **slot >= rising.slot).copied();
            let Some(slot) = next_bare.into_iter().chain(next_holder).min() else {
                stack.pop();
                continue;
            };
            rising.slot = slot + 1;
            let Some(bucket) = &self.buckets[slot] else { continue };
            let rising_id = rising.bucket_id;
            let mut argument = set.get(bucket.id).cloned().unwrap_or_default();
            let mut is_changed = bare.remove(&slot);
            if is_changed {
                let weights = (0..bucket.items.len()).map(|index| bucket.item_weight(index)).collect();
                argument.weight_sets = vec![weights; positions];
            }
            let fits = argument.weight_sets.len() == rising.sums.len();
            if fits {
                for (weights, sum) in argument.weight_sets.iter_mut().zip(&rising.sums) {
                    for (weight, _) in weights.iter_mut().zip(&bucket.items).filter(|(_, item)| **item == rising_id) {
                        *weight = *sum;
                        is_changed = true;
                    }
                }
            }
            let sums = sums_of(&argument);
            set.set(bucket.id, argument);
            if is_changed && fits {
                stack.push(Rising { bucket_id: bucket.id, sums, slot: 0 });
            }
        }
    }

    /// Makes every set of choose arguments that has weights whole: each bucket has weights in it (its real ones, if it had none), and the weight
    /// of a bucket is the sum of what the set has in it.
    // Ceph: "update weight-sets so they continue to sum". It does so on every change of a weight, for all buckets.
    pub(super) fn settle_choose_args(&mut self) {
        if self.choose_args.is_empty() {
            return;
        }
        let order = self.buckets_from_below();
        for set in self.choose_args.values_mut() {
            let positions = set.positions();
            if positions == 0 {
                continue;
            }
            let mut sums: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
            for slot in &order {
                let Some(bucket) = self.buckets[*slot].as_ref() else { continue };
                let mut argument = set.get(bucket.id).cloned().unwrap_or_default();
                if argument.weight_sets.is_empty() {
                    let weights = (0..bucket.items.len()).map(|index| bucket.item_weight(index)).collect();
                    argument.weight_sets = vec![weights; positions];
                }
                for (position, weights) in argument.weight_sets.iter_mut().enumerate() {
                    for (weight, item) in weights.iter_mut().zip(&bucket.items) {
                        if let Some(sum) = sums.get(item).and_then(|sums| sums.get(position)) {
                            *weight = *sum;
                        }
                    }
                }
                let sum = |weights: &Vec<u32>| weights.iter().fold(0u32, |sum, weight| sum.wrapping_add(*weight));
                sums.insert(bucket.id, argument.weight_sets.iter().map(sum).collect());
                set.set(bucket.id, argument);
            }
        }
    }

    /// The slots of all buckets, those below others first.
    fn buckets_from_below(&self) -> Vec<usize> {
        let mut order = Vec::new();
        let mut is_done = vec![false; self.buckets.len()];
        for root in self.buckets() {
            let mut path = vec![(root, 0)];
            while let Some((bucket, next)) = path.pop() {
                let slot = slot_of(bucket.id).expect("buckets have negative ids");
                if is_done[slot] {
                    continue;
                }
                match bucket.items.get(next) {
                    None => {
                        is_done[slot] = true;
                        order.push(slot);
                    }
                    Some(item) => {
                        path.push((bucket, next + 1));
                        path.extend(self.bucket(*item).map(|child| (child, 0)));
                    }
                }
            }
        }
        order
    }
}
