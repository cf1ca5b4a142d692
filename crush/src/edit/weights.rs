//! Weights: setting them, and carrying the change up to the roots.

use crate::error::Error;
use crate::map::{Bucket, BucketContents, CrushMap};

impl CrushMap {
    /// Sets the weight of an item in every bucket that holds it, and of these buckets in theirs, up to the roots. Returns in
    /// how many buckets it was.
    pub(crate) fn adjust_item_weight(
        &mut self,
        item: i32,
        weight: u32,
        with_weight_sets: bool,
    ) -> Result<usize, Error> {
        if self.has_partial_choose_args() {
            return self.adjust_in_order(item, weight, None, with_weight_sets);
        }
        let count = self.carry_up(item, weight, with_weight_sets)?;
        if count > 0 {
            self.settle_choose_args();
        }
        Ok(count)
    }

    /// Sets the weight of an item in one bucket, and carries the change up. Returns whether it is there.
    pub(crate) fn adjust_item_weight_in_bucket(
        &mut self,
        item: i32,
        weight: u32,
        bucket_id: i32,
        with_weight_sets: bool,
    ) -> Result<bool, Error> {
        let bucket =
            self.bucket(bucket_id).ok_or_else(|| Error::not_found(format!("there is no bucket {bucket_id}")))?;
        if !bucket.items.contains(&item) {
            return Ok(false);
        }
        if self.has_partial_choose_args() {
            return Ok(self.adjust_in_order(item, weight, Some(bucket_id), with_weight_sets)? > 0);
        }
        self.bucket_adjust_item(bucket_id, item, weight, with_weight_sets)?;
        let total = self.bucket(bucket_id).map_or(0, Bucket::weight);
        self.carry_up(bucket_id, total, false)?;
        self.settle_choose_args();
        Ok(true)
    }

    fn carry_up(&mut self, item: i32, weight: u32, with_weight_sets: bool) -> Result<usize, Error> {
        let holders: Vec<i32> =
            self.buckets().filter(|bucket| bucket.items.contains(&item)).map(|bucket| bucket.id).collect();
        for holder in &holders {
            self.bucket_adjust_item(*holder, item, weight, with_weight_sets)?;
            let total = self.bucket(*holder).map_or(0, Bucket::weight);
            self.carry_up(*holder, total, false)?;
        }
        Ok(holders.len())
    }

    /// Sets the weight of a device or bucket wherever it is, and carries the change up.
    ///
    /// # Errors
    /// `NotFound` when nothing holds it, `Range` when a sum does not fit.
    pub fn reweight(&mut self, item: i32, weight: u32) -> Result<(), Error> {
        let mut changed = self.clone();
        if changed.adjust_item_weight(item, weight, true)? == 0 {
            return Err(Error::not_found(format!("item {item} is in no bucket")));
        }
        changed.rebuild_shadows()?;
        *self = changed;
        Ok(())
    }

    /// Sets the weight of every device below a bucket. Returns how many there are.
    ///
    /// # Errors
    /// `NotFound` when there is no such bucket, `Range` when a sum does not fit.
    pub fn reweight_subtree(&mut self, bucket_id: i32, weight: u32) -> Result<usize, Error> {
        let mut changed = self.clone();
        if changed.bucket(bucket_id).is_none() {
            return Err(Error::not_found(format!("there is no bucket {bucket_id}")));
        }
        let mut count = 0;
        let mut pending = vec![bucket_id];
        while let Some(id) = pending.pop() {
            let items = changed.bucket(id).map(|bucket| bucket.items.clone()).unwrap_or_default();
            let (devices, buckets): (Vec<i32>, Vec<i32>) = items.into_iter().partition(|item| *item >= 0);
            for device in devices {
                changed.adjust_item_weight_in_bucket(device, weight, id, true)?;
                count += 1;
            }
            pending.extend(buckets);
        }
        changed.rebuild_shadows()?;
        *self = changed;
        Ok(count)
    }

    /// Computes the weight of every bucket in its parents anew, from the devices up.
    ///
    /// # Errors
    /// `Range` when a sum does not fit.
    pub fn reweight_all(&mut self) -> Result<(), Error> {
        let mut changed = self.clone();
        for root in changed.real_roots() {
            changed.reweight_bucket(root)?;
            for set in changed.choose_args.keys().copied().collect::<Vec<_>>() {
                changed.reweight_set(set, root);
            }
        }
        changed.rebuild_shadows()?;
        *self = changed;
        Ok(())
    }

    /// Takes the weights of the buckets in this bucket from themselves; recursive, which the checked depth of a map bounds.
    fn reweight_bucket(&mut self, bucket_id: i32) -> Result<u32, Error> {
        let Some(bucket) = self.bucket(bucket_id) else { return Ok(0) };
        let items = bucket.items.clone();
        let mut below = Vec::new();
        for (index, item) in items.iter().enumerate().filter(|(_, item)| **item < 0) {
            below.push((index, self.reweight_bucket(*item)?));
        }
        let version = self.tunables.straw_calc_version;
        let bucket = self.bucket_mut(bucket_id).expect("found above");
        if let BucketContents::Uniform { item_weight } = &mut bucket.contents {
            // A uniform bucket can only take the average; it does if most of its items are buckets.
            if below.len() > items.len() - below.len() {
                let sum: u64 = below.iter().map(|(_, weight)| u64::from(*weight)).sum();
                let average = sum / u64::try_from(below.len()).expect("not that many");
                *item_weight = u32::try_from(average).expect("an average of 32-bit numbers");
            }
            let total = u64::from(*item_weight) * u64::try_from(items.len()).expect("not that many");
            bucket.weight = u32::try_from(total)
                .map_err(|_| Error::range(format!("the weights in bucket {bucket_id} add up to 65536 or more")))?;
            return Ok(bucket.weight);
        }
        bucket.put_weights(&below, version)?;
        Ok(bucket.weight)
    }

    /// The same for a set of choose arguments. Returns the sum of the bucket's weights in it, 0 if it has none.
    // Ceph computes all positions from the first and stores the result in the first; so it is with maps that it has changed.
    fn reweight_set(&mut self, set: i64, bucket_id: i32) -> u32 {
        let items = self.bucket(bucket_id).map(|bucket| bucket.items.clone()).unwrap_or_default();
        let below: Vec<(usize, u32)> = items
            .iter()
            .enumerate()
            .filter(|(_, item)| **item < 0)
            .map(|(index, item)| (index, self.reweight_set(set, *item)))
            .collect();
        let mut total = 0u32;
        if let Some(arguments) = self.choose_args.get_mut(&set) {
            arguments.change(bucket_id, |argument| {
                let Some(weights) = argument.weight_sets.first_mut() else { return };
                for (index, sum) in below {
                    if let Some(old) = weights.get_mut(index) {
                        *old = sum;
                    }
                }
                total = weights.iter().fold(0, |sum, weight| sum.wrapping_add(*weight));
            });
        }
        total
    }
}
