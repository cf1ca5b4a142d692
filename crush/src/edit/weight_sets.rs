//! Weight sets: weights beside the real ones, that balance what chance makes uneven. They are a part of choose arguments.

use crate::error::Error;
use crate::map::{Algorithm, Bucket, ChooseArg, ChooseArgs, CrushMap};

/// Positions of a result that may have weights of their own. More than any pool has members.
const POSITIONS_MAX: usize = 64;

impl CrushMap {
    /// Makes a set with the real weights of every bucket of straw2, shadows included, for so many positions.
    ///
    /// # Errors
    /// `Exists` when there is one of this id, `Invalid` for no or too many positions.
    pub fn create_weight_set(&mut self, set: i64, positions: usize) -> Result<(), Error> {
        if self.choose_args.contains_key(&set) {
            return Err(Error::exists(format!("there is a weight set {set} already")));
        }
        if !(1..=POSITIONS_MAX).contains(&positions) {
            return Err(Error::invalid(format!("a weight set is for 1 to {POSITIONS_MAX} positions, not {positions}")));
        }
        let mut arguments = ChooseArgs::default();
        for bucket in self.buckets().filter(|bucket| bucket.algorithm() == Algorithm::Straw2) {
            let weights: Vec<u32> = bucket.weighted_items().into_iter().map(|(_, weight)| weight).collect();
            if !weights.is_empty() {
                let argument = ChooseArg { weight_sets: vec![weights; positions], ids: Vec::new() };
                arguments.set(bucket.id(), argument);
            }
        }
        self.choose_args.insert(set, arguments);
        Ok(())
    }

    /// Removes a set.
    ///
    /// # Errors
    /// `NotFound` when there is none of this id.
    pub fn remove_weight_set(&mut self, set: i64) -> Result<(), Error> {
        match self.choose_args.remove(&set) {
            Some(_) => Ok(()),
            None => Err(Error::not_found(format!("there is no weight set {set}"))),
        }
    }

    /// Gives an item other weights in a set, one per position or one for all of them, and carries the sums up. The real
    /// weights stay.
    ///
    /// # Errors
    /// `NotFound` when there is no such set or nothing in it holds the item, `Invalid` when the count of weights is wrong,
    /// `Range` when a sum does not fit.
    pub fn reweight_in_set(&mut self, set: i64, item: i32, weights: &[u32]) -> Result<(), Error> {
        let arguments =
            self.choose_args.get(&set).ok_or_else(|| Error::not_found(format!("there is no weight set {set}")))?;
        let positions = arguments.positions();
        let weights = match *weights {
            [one] => vec![one; positions],
            _ if weights.len() == positions => weights.to_vec(),
            _ => {
                return Err(Error::invalid(format!(
                    "weight set {set} has {positions} positions; {} weights were given",
                    weights.len()
                )));
            }
        };
        let mut changed = arguments.clone();
        if self.put_in_set(&mut changed, item, &weights)? == 0 {
            return Err(Error::not_found(format!("no bucket of weight set {set} holds item {item}")));
        }
        self.choose_args.insert(set, changed);
        Ok(())
    }

    /// Puts the weights where the item is held, and the sums where its holders are; recursive, which the checked depth of a
    /// map bounds. Returns in how many buckets the item has weights.
    fn put_in_set(&self, arguments: &mut ChooseArgs, item: i32, weights: &[u32]) -> Result<usize, Error> {
        let holders: Vec<&Bucket> = self.buckets().filter(|bucket| bucket.items().contains(&item)).collect();
        let mut count = 0;
        for holder in holders {
            let Some(mut argument) = arguments.get(holder.id()).cloned() else { continue };
            let mut sums = Vec::with_capacity(weights.len());
            for (list, weight) in argument.weight_sets.iter_mut().zip(weights) {
                for (place, _) in holder.items().iter().enumerate().filter(|(_, held)| **held == item) {
                    if let Some(old) = list.get_mut(place) {
                        *old = *weight;
                    }
                }
                let sum: u64 = list.iter().map(|weight| u64::from(*weight)).sum();
                sums.push(u32::try_from(sum).map_err(|_| {
                    Error::range(format!("the weights of bucket {} in the set add up to 65536 or more", holder.id()))
                })?);
            }
            arguments.set(holder.id(), argument);
            count += 1;
            self.put_in_set(arguments, holder.id(), &sums)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Mode;
    use crate::map::WEIGHT_ONE;
    use crate::{CompiledMap, ErrorKind, Workspace};

    fn map() -> CrushMap {
        let mut map = CrushMap::new_default();
        for osd in 0..6 {
            let host = format!("h{}", osd / 2);
            map.add_osd(osd, WEIGHT_ONE, &[("host", &host), ("root", "default")]).unwrap();
        }
        map.create_simple_rule("r", "default", "host", Mode::FirstN, None).unwrap();
        map
    }

    fn chosen(map: &CrushMap, set: Option<i64>) -> Vec<Vec<i32>> {
        let (compiled, mut workspace) = (CompiledMap::new(map).unwrap(), Workspace::new());
        let mut place = |x| {
            let mut result = Vec::new();
            compiled.map_rule(0, x, 2, &[WEIGHT_ONE; 6], set, &mut workspace, &mut result);
            result
        };
        (0..500).map(&mut place).collect()
    }

    #[test]
    fn a_new_set_changes_nothing_and_a_weight_in_it_only_what_it_is_asked_for() {
        let mut map = map();
        map.create_weight_set(-1, 1).unwrap();
        assert_eq!(map.create_weight_set(-1, 1).unwrap_err().kind(), ErrorKind::Exists);
        assert_eq!(chosen(&map, Some(-1)), chosen(&map, None));
        map.reweight_in_set(-1, 0, &[0]).unwrap();
        assert!(chosen(&map, Some(-1)).iter().all(|devices| !devices.contains(&0)));
        assert!(chosen(&map, None).iter().any(|devices| devices.contains(&0)));
        let root = map.item_by_name("default").unwrap();
        let sums = &map.choose_args()[&-1].get(root).unwrap().weight_sets[0];
        assert_eq!(sums, &[WEIGHT_ONE, 2 * WEIGHT_ONE, 2 * WEIGHT_ONE]);
        assert_eq!(CrushMap::decode(&map.encode()), Ok(map.clone()));
        assert_eq!(map.reweight_in_set(-1, 0, &[1, 2]).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(map.reweight_in_set(-1, 77, &[1]).unwrap_err().kind(), ErrorKind::NotFound);
        map.remove_weight_set(-1).unwrap();
        assert_eq!(map.remove_weight_set(-1).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn sums_that_do_not_fit_are_refused_and_change_nothing() {
        let mut map = map();
        map.create_weight_set(3, 2).unwrap();
        let before = map.clone();
        assert_eq!(map.create_weight_set(4, 65).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(map.reweight_in_set(3, 0, &[u32::MAX]).unwrap_err().kind(), ErrorKind::Range);
        assert_eq!(map, before);
    }
}
