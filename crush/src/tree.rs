//! The tree as rows, in the order in which operators are used to see it.

use std::collections::BTreeMap;

use crate::map::{Bucket, CrushMap};

/// One line of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeRow {
    /// The device or bucket.
    pub item: i32,
    /// The bucket that it is listed under; `None` for a root.
    pub parent: Option<i32>,
    /// How many buckets are above it.
    pub depth: usize,
    /// Its weight there, 16.16.
    pub weight: u32,
}

impl CrushMap {
    /// All items from the roots down; below a bucket the buckets by name, and devices by class and id. With `with_shadows` the
    /// shadow trees of device classes are listed too.
    #[must_use]
    pub fn tree(&self, with_shadows: bool) -> Vec<TreeRow> {
        let mut rows = Vec::new();
        for root in self.roots().into_iter().filter(|root| with_shadows || !self.is_shadow(*root)) {
            let weight = self.bucket(root).map_or(0, Bucket::weight);
            let mut pending = vec![TreeRow { item: root, parent: None, depth: 0, weight }];
            while let Some(row) = pending.pop() {
                rows.push(row);
                if row.depth > crate::compiled::DEPTH_MAX {
                    continue;
                }
                let Some(bucket) = self.bucket(row.item) else { continue };
                let sorted: BTreeMap<String, (i32, u32)> = bucket
                    .weighted_items()
                    .into_iter()
                    .rev()
                    .map(|(item, weight)| (self.sort_key(item), (item, weight)))
                    .collect();
                pending.extend(sorted.into_values().rev().map(|(item, weight)| TreeRow {
                    item,
                    parent: Some(row.item),
                    depth: row.depth + 1,
                    weight,
                }));
            }
        }
        rows
    }

    fn sort_key(&self, item: i32) -> String {
        if item >= 0 {
            format!("{}_osd.{item:08}", self.class_of(item).unwrap_or_default())
        } else {
            format!("_{}", self.name(item).unwrap_or_default())
        }
    }
}
