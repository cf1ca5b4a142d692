//! Devices and buckets: adding, moving, linking, removing, renaming.
//!
//! Each operation works on a copy and puts it in place at the end, so that one which fails changes nothing.

use crate::edit::Location;
use crate::error::Error;
use crate::map::{Algorithm, Bucket, CrushMap, DEVICES_MAX, Profile, Tunables};

/// Ceph's types, in the order of their numbers.
const DEFAULT_TYPES: [&str; 12] =
    ["osd", "host", "chassis", "rack", "row", "pdu", "pod", "room", "datacenter", "zone", "region", "root"];

/// The number of the type `root` among them.
const ROOT_TYPE: u16 = 11;

impl CrushMap {
    /// A map with Ceph's types, its best tunables, and an empty root `default`.
    #[must_use]
    pub fn new_default() -> Self {
        let mut map = Self::new();
        map.type_names = (0..).zip(DEFAULT_TYPES.map(str::to_owned)).collect();
        map.tunables = Tunables::of_profile(Profile::Jewel);
        map.tunables.straw_calc_version = 1;
        let root = map.add_bucket(None, Algorithm::Straw2, ROOT_TYPE, &[]).expect("an empty map has room for a root");
        map.item_names.insert(root, "default".to_owned());
        map
    }

    /// Names a type.
    ///
    /// # Errors
    /// `Exists` when the name belongs to another number, `Invalid` for a bad name.
    pub fn set_type_name(&mut self, type_id: u16, name: &str) -> Result<(), Error> {
        Self::check_name(name)?;
        if self.type_by_name(name).is_some_and(|other| other != i32::from(type_id)) {
            return Err(Error::exists(format!("there is a type '{name}' already")));
        }
        self.type_names.insert(i32::from(type_id), name.to_owned());
        Ok(())
    }

    /// The algorithm for new buckets: the best that the tunables allow.
    #[must_use]
    pub fn default_algorithm(&self) -> Algorithm {
        let allowed = self.tunables.allowed_bucket_algorithms;
        Algorithm::ALL
            .into_iter()
            .rev()
            .find(|algorithm| allowed & (1 << algorithm.number()) != 0)
            .unwrap_or(Algorithm::Straw2)
    }

    /// Adds the device `osd.ID` at a location, making the buckets that are missing.
    ///
    /// # Errors
    /// `Exists` when it is there already; `Invalid` for a bad name or a bucket of another type; `Range` for its weight.
    pub fn add_osd(&mut self, id: i32, weight: u32, location: &Location<'_>) -> Result<(), Error> {
        if id < 0 {
            return Err(Error::invalid(format!("{id} cannot be a device id: those are 0 or more")));
        }
        self.insert_item(id, weight, &format!("osd.{id}"), location, true)
    }

    /// Adds the device `osd.ID` at a location, or moves it there with its weight if it exists elsewhere. Where it exists
    /// already, nothing changes. Returns whether something did.
    ///
    /// # Errors
    /// As for [`Self::add_osd`].
    pub fn create_or_move(&mut self, id: i32, weight: u32, location: &Location<'_>) -> Result<bool, Error> {
        self.check_location(location)?;
        if self.weight_at(id, location).is_some() {
            return Ok(false);
        }
        let name = format!("osd.{id}");
        let Some(parent) = self.parent_of(id) else {
            self.add_osd(id, weight, location)?;
            return Ok(true);
        };
        // A device that moves keeps the weight that it has, not the one that it brings.
        let bucket = self.bucket(parent).expect("parents are buckets");
        let at = bucket.items.iter().position(|item| *item == id).expect("its parent holds it");
        let kept = bucket.item_weight(at);
        self.update_item(id, kept, &name, location)?;
        Ok(true)
    }

    /// Inserts a device or bucket at a location: below the lowest bucket that is named, which is made if missing, as are those
    /// above it.
    ///
    /// # Errors
    /// `Exists`, `Cycle`, `Invalid` or `Range`, with the reason.
    pub fn insert_item(
        &mut self,
        item: i32,
        weight: u32,
        name: &str,
        location: &Location<'_>,
        with_weight_sets: bool,
    ) -> Result<(), Error> {
        Self::check_name(name)?;
        self.check_location(location)?;
        if item >= DEVICES_MAX {
            return Err(Error::invalid(format!("device ids must be below {DEVICES_MAX}, but {item} is not")));
        }
        let mut changed = self.clone();
        match changed.item_by_name(name) {
            Some(other) if other != item => {
                return Err(Error::exists(format!("device name '{name}' already exists as id {other}")));
            }
            Some(_) => {}
            None => {
                changed.item_names.insert(item, name.to_owned());
            }
        }
        changed.attach(item, name, location)?;
        let mut is_there = false;
        for (_, bucket_name) in changed.location_by_name(location) {
            if let Some(bucket) = changed.item_by_name(bucket_name)
                && changed.bucket(bucket).is_some()
            {
                let here = changed.adjust_item_weight_in_bucket(item, weight, bucket, item >= 0 && with_weight_sets)?;
                is_there |= here;
            }
        }
        if !is_there {
            return Err(Error::invalid(format!("the location of '{name}' names no bucket of a known type")));
        }
        changed.max_devices = changed.max_devices.max(item.saturating_add(1));
        changed.rebuild_shadows()?;
        *self = changed;
        Ok(())
    }

    /// The location's pairs in the order of type names, without those that a later pair of the same type replaces.
    fn location_by_name<'a>(&self, location: &Location<'a>) -> Vec<(&'a str, &'a str)> {
        let by_type: std::collections::BTreeMap<&str, &str> = location.iter().copied().collect();
        by_type.into_iter().collect()
    }

    /// Puts the item, without weight, into the lowest existing bucket of the location, below new buckets for the types under it.
    fn attach(&mut self, item: i32, name: &str, location: &Location<'_>) -> Result<(), Error> {
        let mut current = item;
        for (type_id, bucket_name) in self.location_by_type(location) {
            let type_number =
                u16::try_from(type_id).map_err(|_| Error::invalid(format!("type {type_id} is too large")))?;
            let Some(id) = self.item_by_name(bucket_name) else {
                let made = self.add_bucket_with_arguments(self.default_algorithm(), type_number, &[(current, 0)])?;
                self.item_names.insert(made, bucket_name.to_owned());
                current = made;
                continue;
            };
            let Some(bucket) = self.bucket(id) else {
                return Err(Error::invalid(format!("'{bucket_name}' is not a bucket")));
            };
            if bucket.type_id != type_number {
                return Err(Error::invalid(format!(
                    "bucket '{bucket_name}' is of type {}, not {}",
                    self.type_name(i32::from(bucket.type_id)).unwrap_or("?"),
                    self.type_name(type_id).unwrap_or("?")
                )));
            }
            if bucket.items.contains(&current) {
                return Err(Error::invalid(format!("'{name}' is in '{bucket_name}' already")));
            }
            if self.subtree_contains(id, current) {
                return Err(Error::invalid(format!("'{name}' is below '{bucket_name}' already")));
            }
            if self.subtree_contains(current, id) {
                return Err(Error::cycle(format!("'{bucket_name}' would come to lie below itself")));
            }
            return self.bucket_add_item(id, current, 0);
        }
        Ok(())
    }

    /// Makes the item be at this location with this weight and name: changes it where it is, or inserts it and removes it from
    /// elsewhere. Returns whether something changed.
    ///
    /// # Errors
    /// As for [`Self::insert_item`].
    pub fn update_item(&mut self, item: i32, weight: u32, name: &str, location: &Location<'_>) -> Result<bool, Error> {
        Self::check_name(name)?;
        self.check_location(location)?;
        let mut changed = self.clone();
        match changed.weight_at(item, location) {
            Some(old) => {
                if old == weight && changed.name(item) == Some(name) {
                    return Ok(false);
                }
                if old != weight {
                    for (_, bucket_name) in changed.location_by_name(location) {
                        if let Some(bucket) =
                            changed.item_by_name(bucket_name).filter(|id| changed.bucket(*id).is_some())
                        {
                            changed.adjust_item_weight_in_bucket(item, weight, bucket, true)?;
                        }
                    }
                }
                if changed.name(item) != Some(name) {
                    changed.give_name(item, name)?;
                }
                changed.rebuild_shadows()?;
            }
            None => {
                if changed.is_held(item) {
                    changed.remove_item(item, true)?;
                }
                changed.insert_item(item, weight, name, location, true)?;
            }
        }
        *self = changed;
        Ok(true)
    }

    fn give_name(&mut self, item: i32, name: &str) -> Result<(), Error> {
        if let Some(other) = self.item_by_name(name).filter(|other| *other != item) {
            return Err(Error::exists(format!("the name '{name}' belongs to item {other} already")));
        }
        self.item_names.insert(item, name.to_owned());
        Ok(())
    }

    /// Makes an empty bucket of a type that lies nowhere yet. Returns its id.
    ///
    /// # Errors
    /// `Exists` when the name is taken, `Invalid` for an unknown type or a bad name.
    pub fn create_bucket(&mut self, name: &str, type_name: &str) -> Result<i32, Error> {
        Self::check_name(name)?;
        if self.item_by_name(name).is_some() {
            return Err(Error::exists(format!("there is an item '{name}' already")));
        }
        let type_id = self
            .type_by_name(type_name)
            .and_then(|id| u16::try_from(id).ok())
            .ok_or_else(|| Error::invalid(format!("there is no type '{type_name}'")))?;
        if type_id == 0 {
            return Err(Error::invalid(format!("'{type_name}' is the type of devices; a bucket needs another")));
        }
        // It gets shadows with the next change: nothing can be taken from it before.
        let id = self.add_bucket_with_arguments(self.default_algorithm(), type_id, &[])?;
        self.item_names.insert(id, name.to_owned());
        Ok(id)
    }

    /// Moves a bucket with all below it to another place.
    ///
    /// # Errors
    /// `NotFound` when there is no such bucket, else as for [`Self::insert_item`].
    pub fn move_bucket(&mut self, id: i32, location: &Location<'_>) -> Result<(), Error> {
        let Some(bucket) = self.bucket(id) else {
            return Err(Error::not_found(format!("there is no bucket {id}")));
        };
        let weight = bucket.weight;
        let name = self.name(id).unwrap_or_default().to_owned();
        let mut changed = self.clone();
        if let Some(parent) = changed.parent_of(id) {
            changed.adjust_item_weight_in_bucket(id, 0, parent, true)?;
            changed.bucket_remove_item(parent, id)?;
        }
        changed.insert_item(id, weight, &name, location, false)?;
        *self = changed;
        Ok(())
    }

    /// Makes a bucket be at one more place, without leaving where it is.
    ///
    /// # Errors
    /// `NotFound` when there is no such bucket, else as for [`Self::insert_item`].
    pub fn link_bucket(&mut self, id: i32, location: &Location<'_>) -> Result<(), Error> {
        let Some(bucket) = self.bucket(id) else {
            return Err(Error::not_found(format!("there is no bucket {id}")));
        };
        let (weight, name) = (bucket.weight, self.name(id).unwrap_or_default().to_owned());
        self.insert_item(id, weight, &name, location, true)
    }

    /// Takes an item out of one bucket (`from`), or out of all.
    ///
    /// # Errors
    /// `NotFound` when it is not there.
    pub fn unlink(&mut self, item: i32, from: Option<i32>) -> Result<(), Error> {
        let mut changed = self.clone();
        match from {
            None => changed.remove_item(item, true)?,
            Some(bucket) => {
                changed.adjust_item_weight_in_bucket(item, 0, bucket, true)?;
                changed.bucket_remove_item(bucket, item)?;
                if item >= 0 && !changed.is_held(item) {
                    changed.item_names.remove(&item);
                    changed.item_classes.remove(&item);
                }
                changed.rebuild_shadows()?;
            }
        }
        *self = changed;
        Ok(())
    }

    /// Removes a device or an empty bucket from the map.
    ///
    /// # Errors
    /// `NotFound` when there is none of this id, `NotEmpty` for a bucket with items, `InUse` when a rule takes it.
    pub fn remove(&mut self, item: i32) -> Result<(), Error> {
        let mut changed = self.clone();
        changed.remove_item(item, false)?;
        *self = changed;
        Ok(())
    }

    /// Whether a rule takes the bucket or one of its shadows.
    pub(crate) fn is_taken(&self, item: i32) -> bool {
        let shadows = self.shadow_buckets.get(&item);
        self.taken_items().any(|taken| {
            taken == item || shadows.is_some_and(|shadows| shadows.values().any(|shadow| *shadow == taken))
        }) || self.shadow_buckets.values().any(|shadows| shadows.values().any(|shadow| *shadow == item))
    }

    fn remove_item(&mut self, item: i32, unlink_only: bool) -> Result<(), Error> {
        let described = self.name(item).map_or_else(|| format!("item {item}"), |name| format!("'{name}'"));
        if item < 0 && !unlink_only && self.bucket(item).is_some_and(|bucket| !bucket.items.is_empty()) {
            return Err(Error::not_empty(format!("{described} still has items in it")));
        }
        if self.is_taken(item) {
            return Err(Error::in_use(format!("{described} is used by a rule")));
        }
        let holders: Vec<i32> = self
            .buckets()
            .filter(|bucket| bucket.items.contains(&item))
            .map(Bucket::id)
            .filter(|id| !self.is_shadow(*id))
            .collect();
        if holders.is_empty() && !self.item_names.contains_key(&item) {
            return Err(Error::not_found(format!("there is no item {item}")));
        }
        for holder in holders {
            self.adjust_item_weight_in_bucket(item, 0, holder, true)?;
            self.bucket_remove_item(holder, item)?;
        }
        if item < 0 && !unlink_only {
            self.drop_bucket(item);
        }
        if item >= 0 || !unlink_only {
            self.item_names.remove(&item);
        }
        // A device that only moves keeps its class.
        if !unlink_only {
            self.item_classes.remove(&item);
        }
        self.rebuild_shadows()
    }

    /// Gives a bucket another name; its shadows follow.
    ///
    /// # Errors
    /// `NotFound` for the old name, `Exists` or `Invalid` for the new one.
    pub fn rename_bucket(&mut self, from: &str, to: &str) -> Result<(), Error> {
        Self::check_name(to)?;
        let id = self
            .item_by_name(from)
            .filter(|id| *id < 0)
            .ok_or_else(|| Error::not_found(format!("there is no bucket '{from}'")))?;
        if self.item_by_name(to).is_some() {
            return Err(Error::exists(format!("there is an item '{to}' already")));
        }
        let mut changed = self.clone();
        changed.item_names.insert(id, to.to_owned());
        changed.rebuild_shadows()?;
        *self = changed;
        Ok(())
    }

    /// Exchanges two buckets: each takes the other's items and name, and stays where it is.
    ///
    /// # Errors
    /// `NotFound` when one does not exist, `Cycle` when one is below the other.
    pub fn swap_buckets(&mut self, first: i32, second: i32) -> Result<(), Error> {
        let (Some(one), Some(other)) = (self.bucket(first), self.bucket(second)) else {
            return Err(Error::not_found(format!("{first} and {second} are not both buckets")));
        };
        if self.subtree_contains(first, second) || self.subtree_contains(second, first) {
            return Err(Error::cycle(format!("one of the buckets {first} and {second} is below the other")));
        }
        let (items_of_first, items_of_second) = (one.weighted_items(), other.weighted_items());
        let mut changed = self.clone();
        for (bucket, items) in [(first, &items_of_first), (second, &items_of_second)] {
            for (item, _) in items {
                changed.adjust_item_weight_in_bucket(*item, 0, bucket, true)?;
                changed.bucket_remove_item(bucket, *item)?;
            }
        }
        for (bucket, items) in [(first, &items_of_second), (second, &items_of_first)] {
            for (item, weight) in items {
                changed.bucket_add_item(bucket, *item, 0)?;
                changed.adjust_item_weight_in_bucket(*item, *weight, bucket, true)?;
            }
        }
        let name_of_first = changed.item_names.remove(&first);
        let name_of_second = changed.item_names.remove(&second);
        changed.item_names.extend(name_of_second.map(|name| (first, name)));
        changed.item_names.extend(name_of_first.map(|name| (second, name)));
        changed.rebuild_shadows()?;
        *self = changed;
        Ok(())
    }
}
