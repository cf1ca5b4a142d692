//! Where in the tree something is to be: a bucket name per type.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::map::CrushMap;

/// A place in the tree, as pairs of type and bucket name: `[("host", "a"), ("rack", "r1"), ("root", "default")]`. The lowest
/// type that is named holds the item; those above are made where they do not exist.
pub type Location<'a> = [(&'a str, &'a str)];

/// Whether this can be the name of a bucket, device, type, class or rule: letters, digits, `-`, `_` and `.`.
#[must_use]
pub fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

impl CrushMap {
    pub(crate) fn check_name(name: &str) -> Result<(), Error> {
        if is_valid_name(name) {
            return Ok(());
        }
        Err(Error::invalid(format!("'{name}' cannot be a name: only letters, digits, '-', '_' and '.' are allowed")))
    }

    /// The buckets that a location names, by type number from the lowest up. Type 0 and unknown types are not among them.
    pub(crate) fn location_by_type<'a>(&self, location: &Location<'a>) -> Vec<(i32, &'a str)> {
        let by_type: BTreeMap<&str, &str> = location.iter().copied().collect();
        self.type_names
            .iter()
            .filter(|(type_id, _)| **type_id != 0)
            .filter_map(|(type_id, type_name)| Some((*type_id, *by_type.get(type_name.as_str())?)))
            .collect()
    }

    pub(crate) fn check_location(&self, location: &Location<'_>) -> Result<(), Error> {
        for (type_name, bucket_name) in location {
            Self::check_name(type_name)?;
            Self::check_name(bucket_name)?;
        }
        Ok(())
    }

    /// The weight that the item has in the lowest bucket of the location, if it is there.
    #[must_use]
    pub fn weight_at(&self, item: i32, location: &Location<'_>) -> Option<u32> {
        let (_, bucket_name) = *self.location_by_type(location).first()?;
        let bucket = self.bucket(self.item_by_name(bucket_name)?)?;
        let index = bucket.items.iter().position(|candidate| *candidate == item)?;
        Some(bucket.item_weight(index))
    }

    /// The first bucket that holds the item.
    #[must_use]
    pub fn parent_of(&self, item: i32) -> Option<i32> {
        self.buckets().find(|bucket| !self.is_shadow(bucket.id) && bucket.items.contains(&item)).map(|bucket| bucket.id)
    }

    /// The type and name of every bucket above an item, from the nearest up.
    #[must_use]
    pub fn location_of(&self, item: i32) -> Vec<(String, String)> {
        let mut location = Vec::new();
        let mut at = item;
        while let Some(parent) = self.parent_of(at) {
            let bucket = self.bucket(parent).expect("parents are buckets");
            let type_name = self.type_name(i32::from(bucket.type_id)).unwrap_or_default().to_owned();
            location.push((type_name, self.name(parent).unwrap_or_default().to_owned()));
            at = parent;
            if location.len() > crate::compiled::DEPTH_MAX {
                break;
            }
        }
        location
    }

    /// Whether some bucket holds the item.
    pub(crate) fn is_held(&self, item: i32) -> bool {
        self.buckets().any(|bucket| bucket.items.contains(&item))
    }

    /// Whether `item` is `root` or below it.
    #[must_use]
    pub fn subtree_contains(&self, root: i32, item: i32) -> bool {
        let mut pending = vec![root];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(at) = pending.pop() {
            if at == item {
                return true;
            }
            if seen.insert(at)
                && let Some(bucket) = self.bucket(at)
            {
                pending.extend(&bucket.items);
            }
        }
        false
    }

    /// The buckets that no bucket holds, ascending, which puts the newest first.
    pub(crate) fn roots(&self) -> Vec<i32> {
        let held: std::collections::BTreeSet<i32> =
            self.buckets().flat_map(|bucket| bucket.items.iter().copied()).collect();
        let mut roots: Vec<i32> = self.buckets().map(|bucket| bucket.id).filter(|id| !held.contains(id)).collect();
        roots.sort_unstable();
        roots
    }

    /// The roots that are not shadows.
    pub(crate) fn real_roots(&self) -> Vec<i32> {
        self.roots().into_iter().filter(|id| !self.is_shadow(*id)).collect()
    }
}
