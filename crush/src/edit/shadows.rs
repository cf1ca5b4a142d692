//! Device classes, and the shadow trees that make `take ROOT class CLASS` an ordinary `take`.
//!
//! For each class every tree has a copy with the devices of that class only; the copy of `a` for class `ssd` is named
//! `a~ssd`. Copies are made anew after every change, under the ids that they had, because rules name them by id.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::map::{Algorithm, ChooseArg, CrushMap};

/// The ids that shadows had: bucket to class to shadow.
pub(crate) type ShadowIds = BTreeMap<i32, BTreeMap<i32, i32>>;

/// What one rebuilding of the shadow trees remembers.
struct Rebuilding {
    old_ids: ShadowIds,
    used_ids: BTreeSet<i32>,
    /// Per set of choose arguments and shadow: the sums of its weights per position, for the bucket above it.
    sums: BTreeMap<i64, BTreeMap<i32, Vec<u32>>>,
}

impl CrushMap {
    /// The id of a class; a new one if there is none of this name.
    pub(crate) fn class_id_or_new(&mut self, name: &str) -> i32 {
        if let Some(id) = self.class_by_name(name) {
            return id;
        }
        // Ceph: one above the greatest, even where a class below it is gone; ids stand in the binary form.
        let above = self.class_names.keys().next_back().map_or(Some(0), |last| last.checked_add(1));
        let id = above
            .filter(|id| *id >= 0)
            .unwrap_or_else(|| (0..).find(|id| !self.class_names.contains_key(id)).expect("fewer than 2^31 classes"));
        self.class_names.insert(id, name.to_owned());
        id
    }

    /// Makes all shadow trees anew, and forgets classes that nothing has any more.
    ///
    /// # Errors
    /// When a shadow cannot be made, which a map that was decoded from others' bytes can bring about.
    pub fn rebuild_shadows(&mut self) -> Result<(), Error> {
        let old_ids = self.shadow_buckets.clone();
        self.drop_dead_classes();
        let mut pending: Vec<i32> = self.roots().into_iter().filter(|id| self.is_shadow(*id)).collect();
        if !pending.is_empty() {
            // As Ceph does whenever it removes a tree.
            self.repair_choose_args();
        }
        while let Some(shadow) = pending.pop() {
            let Some(bucket) = self.bucket(shadow) else { continue };
            pending.extend(bucket.items.iter().filter(|item| **item < 0));
            self.drop_bucket(shadow);
            self.item_names.remove(&shadow);
            self.item_classes.remove(&shadow);
        }
        self.shadow_buckets.clear();
        self.populate_shadows(old_ids)
    }

    /// Classes without devices that no rule takes.
    fn drop_dead_classes(&mut self) {
        let alive: BTreeSet<i32> =
            self.item_classes.iter().filter(|(item, _)| **item >= 0).map(|(_, class)| *class).collect();
        let taken: BTreeSet<i32> = self.taken_items().collect();
        let shadow_buckets = &self.shadow_buckets;
        self.class_names.retain(|class, _| {
            alive.contains(class)
                || shadow_buckets.values().filter_map(|shadows| shadows.get(class)).any(|shadow| taken.contains(shadow))
        });
    }

    /// All items that rules take.
    pub(crate) fn taken_items(&self) -> impl Iterator<Item = i32> {
        self.rules.iter().flatten().flat_map(|rule| &rule.steps).filter_map(|step| match step {
            crate::map::Step::Take { item } => Some(*item),
            _ => None,
        })
    }

    /// Makes the shadow trees, under these ids where they have one.
    pub(crate) fn populate_shadows(&mut self, old_ids: ShadowIds) -> Result<(), Error> {
        let used_ids = old_ids.values().flat_map(BTreeMap::values).copied().collect();
        let mut rebuilding = Rebuilding { old_ids, used_ids, sums: BTreeMap::new() };
        let classes: Vec<i32> = self.class_names.keys().copied().collect();
        for root in self.real_roots() {
            for class in &classes {
                self.clone_for_class(root, *class, &mut rebuilding, 0)?;
            }
        }
        Ok(())
    }

    /// The shadow of a bucket, made if it does not exist; those below it first.
    fn clone_for_class(
        &mut self,
        original: i32,
        class: i32,
        rebuilding: &mut Rebuilding,
        depth: usize,
    ) -> Result<i32, Error> {
        if depth > crate::compiled::DEPTH_MAX {
            return Err(Error::invalid(format!("the tree is too deep at bucket {original}")));
        }
        let class_name = self.class_names.get(&class).expect("only classes with names are cloned");
        let name = format!("{}~{class_name}", self.name(original).unwrap_or_default());
        if let Some(id) = self.item_by_name(&name) {
            return Ok(id);
        }
        let bucket = self
            .bucket(original)
            .ok_or_else(|| Error::invalid(format!("bucket {original} is named but does not exist")))?
            .clone();
        let mut items = Vec::new();
        let mut places = Vec::new();
        for (place, (item, weight)) in bucket.weighted_items().into_iter().enumerate() {
            if item >= 0 {
                if self.item_classes.get(&item) != Some(&class) {
                    continue;
                }
                items.push((item, weight));
            } else {
                let child = self.clone_for_class(item, class, rebuilding, depth + 1)?;
                items.push((child, self.bucket(child).map_or(0, crate::map::Bucket::weight)));
            }
            places.push(place);
            if bucket.algorithm() == Algorithm::Uniform && items.last().is_some_and(|(_, weight)| *weight != 0) {
                // Ceph makes the shadow without items, so of weight 0, and can then add none of another weight.
                return Err(Error::invalid(format!(
                    "bucket {original} is uniform: it cannot hold devices with classes"
                )));
            }
        }
        let old = rebuilding.old_ids.get(&original).and_then(|shadows| shadows.get(&class)).copied();
        let id = old.unwrap_or_else(|| {
            (1..)
                .map(|number: i32| -number)
                .find(|id| self.bucket(*id).is_none() && !rebuilding.used_ids.contains(id))
                .expect("fewer than 2^31 buckets")
        });
        self.add_bucket(Some(id), bucket.algorithm(), bucket.type_id, &items)?;
        self.item_classes.insert(id, class);
        self.item_names.insert(id, name);
        self.shadow_buckets.entry(original).or_default().insert(class, id);
        self.clone_choose_args(original, id, &items, &places, rebuilding);
        Ok(id)
    }

    /// Gives the shadow the original's weights in every set of choose arguments.
    fn clone_choose_args(
        &mut self,
        original: i32,
        shadow: i32,
        items: &[(i32, u32)],
        places: &[usize],
        rebuilding: &mut Rebuilding,
    ) {
        for (set_id, set) in &mut self.choose_args {
            let Some(argument) = set.get(original).filter(|argument| !argument.weight_sets.is_empty()) else {
                set.set(shadow, ChooseArg::default());
                continue;
            };
            let known = rebuilding.sums.entry(*set_id).or_default();
            let weight_sets: Vec<Vec<u32>> = argument
                .weight_sets
                .iter()
                .enumerate()
                .map(|(position, weights)| {
                    items
                        .iter()
                        .zip(places)
                        .map(|((item, _), place)| {
                            let weight = if *item >= 0 {
                                weights.get(*place)
                            } else {
                                known.get(item).and_then(|sums| sums.get(position))
                            };
                            weight.copied().unwrap_or(0)
                        })
                        .collect()
                })
                .collect();
            // Ceph remembers the sum of the last position only, and takes the others as zero in the buckets above. Maps are
            // made with that, so it stays.
            let last = weight_sets.len() - 1;
            let mut sums = vec![0; weight_sets.len()];
            sums[last] = weight_sets[last].iter().fold(0u32, |sum, weight| sum.wrapping_add(*weight));
            known.insert(shadow, sums);
            set.set(shadow, ChooseArg { weight_sets, ids: Vec::new() });
        }
    }

    /// Gives a device a class; `None` takes its class away.
    ///
    /// # Errors
    /// `NotFound` when there is no such device, `Invalid` for a bad class name, `InUse` when the device has another class.
    pub fn set_device_class(&mut self, device: i32, class: Option<&str>) -> Result<(), Error> {
        if device < 0 || !self.item_names.contains_key(&device) {
            return Err(Error::not_found(format!("there is no device {device}")));
        }
        let mut changed = self.clone();
        match class {
            None => {
                changed.item_classes.remove(&device);
            }
            Some(name) => {
                Self::check_name(name)?;
                if let Some(old) = self.class_of(device).filter(|old| *old != name) {
                    return Err(Error::in_use(format!(
                        "device {device} has the class '{old}' already; remove it before you set another"
                    )));
                }
                let id = changed.class_id_or_new(name);
                changed.item_classes.insert(device, id);
            }
        }
        changed.rebuild_shadows()?;
        *self = changed;
        Ok(())
    }

    /// Makes a class without devices. It stays while a rule takes it or a device has it.
    ///
    /// # Errors
    /// `Exists` when there is one of this name, `Invalid` for a bad name.
    pub fn create_class(&mut self, name: &str) -> Result<(), Error> {
        Self::check_name(name)?;
        if self.class_by_name(name).is_some() {
            return Err(Error::exists(format!("there is a class '{name}' already")));
        }
        let mut changed = self.clone();
        changed.class_id_or_new(name);
        let ids = changed.shadow_buckets.clone();
        changed.populate_shadows(ids)?;
        *self = changed;
        Ok(())
    }

    /// Takes a class away from all its devices, and forgets it.
    ///
    /// # Errors
    /// `NotFound` when there is none of this name, `InUse` when a rule takes it.
    pub fn remove_class(&mut self, name: &str) -> Result<(), Error> {
        let class = self.class_by_name(name).ok_or_else(|| Error::not_found(format!("there is no class '{name}'")))?;
        let taken: BTreeSet<i32> = self.taken_items().collect();
        if self.shadow_buckets.values().filter_map(|shadows| shadows.get(&class)).any(|shadow| taken.contains(shadow)) {
            return Err(Error::in_use(format!("class '{name}' is used by a rule")));
        }
        let mut changed = self.clone();
        changed.item_classes.retain(|item, of| *item < 0 || *of != class);
        changed.rebuild_shadows()?;
        *self = changed;
        Ok(())
    }

    /// Renames a class; its shadow trees keep their ids.
    ///
    /// # Errors
    /// `NotFound` for the old name, `Exists` or `Invalid` for the new one.
    pub fn rename_class(&mut self, from: &str, to: &str) -> Result<(), Error> {
        Self::check_name(to)?;
        let class = self.class_by_name(from).ok_or_else(|| Error::not_found(format!("there is no class '{from}'")))?;
        if self.class_by_name(to).is_some() {
            return Err(Error::exists(format!("there is a class '{to}' already")));
        }
        self.class_names.insert(class, to.to_owned());
        for (bucket, shadows) in &self.shadow_buckets {
            if let Some(shadow) = shadows.get(&class) {
                let original = self.item_names.get(bucket).cloned().unwrap_or_default();
                self.item_names.insert(*shadow, format!("{original}~{to}"));
            }
        }
        Ok(())
    }
}
