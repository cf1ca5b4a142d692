//! Items of one bucket: adding, removing, weighing, with the choose arguments kept in step.

use crate::bucket::straw_lengths;
use crate::error::Error;
use crate::map::{Algorithm, Bucket, BucketContents, ChooseArg, CrushMap, add_to_tree, slot_of, tree_node_of};

impl CrushMap {
    /// A new bucket with these items in the first free slot; the table doubles when it is full.
    pub(crate) fn add_bucket(
        &mut self,
        id: Option<i32>,
        algorithm: Algorithm,
        type_id: u16,
        items: &[(i32, u32)],
    ) -> Result<i32, Error> {
        let slot = match id {
            Some(id) => {
                slot_of(id).ok_or_else(|| Error::invalid(format!("{id} cannot be a bucket id: those are negative")))?
            }
            None => self.buckets.iter().position(Option::is_none).unwrap_or(self.buckets.len()),
        };
        if slot >= crate::map::BUCKET_SLOTS_MAX {
            return Err(Error::invalid(format!(
                "bucket ids must be above {}: the map cannot have more buckets",
                -1 - i64::try_from(crate::map::BUCKET_SLOTS_MAX).expect("a small constant")
            )));
        }
        while slot >= self.buckets.len() {
            self.buckets.resize((self.buckets.len() * 2).max(8), None);
        }
        if self.buckets[slot].is_some() {
            return Err(Error::exists(format!("there is a bucket {} already", -1 - i64::try_from(slot).unwrap_or(0))));
        }
        let id = -1 - i32::try_from(slot).expect("bounded above");
        self.buckets[slot] = Some(Bucket::new(id, type_id, algorithm, items, self.tunables.straw_calc_version)?);
        Ok(id)
    }

    /// As `add_bucket`, and the sets of choose arguments get weights for it.
    pub(crate) fn add_bucket_with_arguments(
        &mut self,
        algorithm: Algorithm,
        type_id: u16,
        items: &[(i32, u32)],
    ) -> Result<i32, Error> {
        let id = self.add_bucket(None, algorithm, type_id, items)?;
        if items.is_empty() {
            return Ok(id);
        }
        let weights: Vec<u32> = items.iter().map(|(_, weight)| *weight).collect();
        for set in self.choose_args.values_mut() {
            let positions = set.positions().max(1);
            set.set(id, ChooseArg { weight_sets: vec![weights.clone(); positions], ids: Vec::new() });
        }
        Ok(id)
    }

    /// Takes the bucket out of its slot. The caller has taken it out of its parents.
    pub(crate) fn drop_bucket(&mut self, id: i32) {
        if let Some(slot) = slot_of(id).and_then(|slot| self.buckets.get_mut(slot)) {
            *slot = None;
        }
        for set in self.choose_args.values_mut() {
            set.set(id, ChooseArg::default());
        }
    }

    fn bucket_or_error(&mut self, id: i32) -> Result<&mut Bucket, Error> {
        self.bucket_mut(id).ok_or_else(|| Error::not_found(format!("there is no bucket {id}")))
    }

    /// Appends an item to a bucket.
    pub(crate) fn bucket_add_item(&mut self, bucket_id: i32, item: i32, weight: u32) -> Result<(), Error> {
        let version = self.tunables.straw_calc_version;
        self.bucket_or_error(bucket_id)?.add_item(item, weight, version)?;
        for set in self.choose_args.values_mut() {
            set.change(bucket_id, |argument| {
                argument.weight_sets.iter_mut().for_each(|weights| weights.push(weight));
                if !argument.ids.is_empty() {
                    argument.ids.push(item);
                }
            });
        }
        Ok(())
    }

    /// Removes an item from a bucket.
    pub(crate) fn bucket_remove_item(&mut self, bucket_id: i32, item: i32) -> Result<(), Error> {
        let version = self.tunables.straw_calc_version;
        let at = self.bucket_or_error(bucket_id)?.remove_item(item, version)?;
        for set in self.choose_args.values_mut() {
            set.change(bucket_id, |argument| {
                for weights in &mut argument.weight_sets {
                    if at < weights.len() {
                        weights.remove(at);
                    }
                }
                if at < argument.ids.len() {
                    argument.ids.remove(at);
                }
            });
        }
        Ok(())
    }

    /// Sets the weight of an item in a bucket, and in the sets of choose arguments if asked to.
    pub(crate) fn bucket_adjust_item(
        &mut self,
        bucket_id: i32,
        item: i32,
        weight: u32,
        with_weight_sets: bool,
    ) -> Result<(), Error> {
        let version = self.tunables.straw_calc_version;
        let at = self.bucket_or_error(bucket_id)?.adjust_item(item, weight, version)?;
        if with_weight_sets {
            for set in self.choose_args.values_mut() {
                set.change(bucket_id, |argument| {
                    argument
                        .weight_sets
                        .iter_mut()
                        .filter_map(|weights| weights.get_mut(at))
                        .for_each(|old| *old = weight);
                });
            }
        }
        Ok(())
    }
}

impl crate::map::ChooseArgs {
    /// Changes the replacement for this bucket, if there is one.
    pub(crate) fn change(&mut self, bucket_id: i32, change: impl FnOnce(&mut ChooseArg)) {
        let slot = slot_of(bucket_id).and_then(|slot| u32::try_from(slot).ok());
        if let Some(argument) = slot.and_then(|slot| self.by_slot.get_mut(&slot)) {
            change(argument);
        }
    }
}

/// Changes of one bucket. Sums change by differences, as Ceph's do: in a map whose sums were not right before, they are wrong by
/// the same amount after, and it places as before.
impl Bucket {
    fn index_of(&self, item: i32) -> Result<usize, Error> {
        self.items
            .iter()
            .position(|candidate| *candidate == item)
            .ok_or_else(|| Error::not_found(format!("item {item} is not in bucket {}", self.id)))
    }

    /// The bucket's weight when one item's changes from the first to the second of these.
    fn total_after(&self, old: u32, new: u32) -> Result<u32, Error> {
        let total = i64::from(self.weight) - i64::from(old) + i64::from(new);
        u32::try_from(total.max(0))
            .map_err(|_| Error::range(format!("the weights in bucket {} add up to 65536 or more", self.id)))
    }

    fn add_item(&mut self, item: i32, weight: u32, straw_calc_version: u8) -> Result<(), Error> {
        let total = self.total_after(0, weight)?;
        match &mut self.contents {
            BucketContents::Uniform { item_weight } => {
                if *item_weight != weight {
                    return Err(Error::invalid(format!(
                        "bucket {} is uniform: all its items must have the same weight",
                        self.id
                    )));
                }
            }
            BucketContents::List { weights, sums } => {
                sums.push(sums.last().copied().unwrap_or(0).wrapping_add(weight));
                weights.push(weight);
            }
            BucketContents::Tree { .. } => {
                let mut items = self.weighted_items();
                items.push((item, weight));
                return self.rebuild(&items, straw_calc_version);
            }
            BucketContents::Straw { weights, straws } => {
                weights.push(weight);
                *straws = straw_lengths(weights, straw_calc_version);
            }
            BucketContents::Straw2 { weights } => weights.push(weight),
        }
        self.items.push(item);
        self.weight = total;
        Ok(())
    }

    /// Removes the item; returns where it was.
    fn remove_item(&mut self, item: i32, straw_calc_version: u8) -> Result<usize, Error> {
        let at = self.index_of(item)?;
        let weight = self.item_weight(at);
        let total = self.total_after(weight, 0)?;
        match &mut self.contents {
            BucketContents::Uniform { .. } => {}
            BucketContents::List { weights, sums } => {
                weights.remove(at);
                sums.remove(at);
                sums[at..].iter_mut().for_each(|sum| *sum = sum.wrapping_sub(weight));
            }
            BucketContents::Tree { .. } => {
                self.remove_from_tree(at, straw_calc_version)?;
                return Ok(at);
            }
            BucketContents::Straw { weights, straws } => {
                weights.remove(at);
                *straws = straw_lengths(weights, straw_calc_version);
            }
            BucketContents::Straw2 { weights } => {
                weights.remove(at);
            }
        }
        self.items.remove(at);
        self.weight = total;
        Ok(at)
    }

    /// A tree places by place, so the others keep theirs: what is removed leaves device 0 without weight behind, and only at
    /// the end such places go.
    fn remove_from_tree(&mut self, at: usize, straw_calc_version: u8) -> Result<(), Error> {
        let mut items = self.weighted_items();
        items[at] = (0, 0);
        while items.last().is_some_and(|(_, weight)| *weight == 0) {
            items.pop();
        }
        self.rebuild(&items, straw_calc_version)
    }

    /// Sets the weight of the item; returns where it is. In a uniform bucket that is the weight of all its items.
    fn adjust_item(&mut self, item: i32, weight: u32, straw_calc_version: u8) -> Result<usize, Error> {
        let at = self.index_of(item)?;
        let old = self.item_weight(at);
        let mut total = self.total_after(old, weight)?;
        match &mut self.contents {
            BucketContents::Uniform { item_weight } => {
                *item_weight = weight;
                let size = u32::try_from(self.items.len()).expect("buckets have at most a million items");
                total = weight.checked_mul(size).ok_or_else(|| {
                    Error::range(format!("the weights in bucket {} add up to 65536 or more", self.id))
                })?;
            }
            BucketContents::List { weights, sums } => {
                weights[at] = weight;
                sums[at..].iter_mut().for_each(|sum| *sum = sum.wrapping_sub(old).wrapping_add(weight));
            }
            BucketContents::Tree { nodes } => add_to_tree(nodes, at, weight.wrapping_sub(old)),
            BucketContents::Straw { weights, straws } => {
                weights[at] = weight;
                *straws = straw_lengths(weights, straw_calc_version);
            }
            BucketContents::Straw2 { weights } => weights[at] = weight,
        }
        self.weight = total;
        Ok(at)
    }

    /// Sets the weight of the item at this index and, of what derives from it, only the lengths of straws.
    // Ceph: `crush_reweight_bucket` leaves the sums of lists and the inner nodes of trees as they were.
    pub(crate) fn put_weights(&mut self, new: &[(usize, u32)], straw_calc_version: u8) -> Result<(), Error> {
        for (index, weight) in new {
            match &mut self.contents {
                BucketContents::Uniform { .. } => {}
                BucketContents::Tree { nodes } => nodes[tree_node_of(*index)] = *weight,
                BucketContents::List { weights, .. }
                | BucketContents::Straw { weights, .. }
                | BucketContents::Straw2 { weights } => weights[*index] = *weight,
            }
        }
        if let BucketContents::Straw { weights, straws } = &mut self.contents {
            *straws = straw_lengths(weights, straw_calc_version);
        }
        let total: u64 = (0..self.items.len()).map(|index| u64::from(self.item_weight(index))).sum();
        self.weight = u32::try_from(total)
            .map_err(|_| Error::range(format!("the weights in bucket {} add up to 65536 or more", self.id)))?;
        Ok(())
    }
}
