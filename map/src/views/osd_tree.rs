//! `osd tree`: the placement hierarchy with the state of its OSDs.

use std::collections::{BTreeMap, BTreeSet};

use crush::TreeRow;
use serde::Serialize;
use types::OsdId;

use super::fraction;
use crate::{ClusterMap, Weight};

/// The whole tree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OsdTree {
    /// Buckets and OSDs from the roots down; below a bucket by name, and OSDs by class and number.
    pub nodes: Vec<TreeNode>,
    /// OSDs that exist but stand nowhere in the hierarchy.
    pub stray: Vec<TreeNode>,
}

/// A bucket or an OSD. What only one of the two has is `None` in the other and left out of the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TreeNode {
    /// The OSD's number, or the bucket's, which is negative.
    pub id: i32,
    /// The OSD's device class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_class: Option<String>,
    /// `osd.N`, or the bucket's name.
    pub name: String,
    /// The type's name.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The type's number; zero for OSDs.
    pub type_id: i32,
    /// The OSD's weight in its bucket.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "fraction::serialize_some")]
    pub crush_weight: Option<f64>,
    /// How many buckets are above the OSD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// Weights that choose arguments replace this item's weight by, one list per set, by position; nothing for a root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_weights: Option<BTreeMap<String, Vec<f64>>>,
    /// One when the OSD exists, zero when only the hierarchy has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exists: Option<u32>,
    /// `up` or `down`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// In/out weight.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "fraction::serialize_some")]
    pub reweight: Option<f64>,
    /// Primary affinity.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "fraction::serialize_some")]
    pub primary_affinity: Option<f64>,
    /// What is in the bucket; in Ceph's order, which is the reverse of the nodes'.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<Vec<i32>>,
}

/// The tree of a map.
pub fn osd_tree(map: &ClusterMap) -> OsdTree {
    let rows = map.crush.tree(false);
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for row in rows.iter().rev() {
        if let Some(parent) = row.parent {
            children.entry(parent).or_default().push(row.item);
        }
    }
    let listed: BTreeSet<i32> = rows.iter().map(|row| row.item).collect();
    let is_listed = |osd: &OsdId| i32::try_from(osd.0).is_ok_and(|item| listed.contains(&item));
    let node = |row: &TreeRow| tree_node(map, row, &children);
    let stray = map.osds.keys().filter(|osd| !is_listed(osd)).filter_map(|osd| {
        let item = i32::try_from(osd.0).ok()?;
        Some(node(&TreeRow { item, parent: None, depth: 0, weight: 0 }))
    });
    OsdTree { stray: stray.collect(), nodes: rows.iter().map(node).collect() }
}

fn tree_node(map: &ClusterMap, row: &TreeRow, children: &BTreeMap<i32, Vec<i32>>) -> TreeNode {
    let type_id = map.crush.item_type(row.item).unwrap_or(0);
    let osd = u32::try_from(row.item).ok().map(OsdId);
    let name = match osd {
        Some(osd) => format!("osd.{osd}"),
        None => map.crush.name(row.item).unwrap_or_default().to_owned(),
    };
    let state = osd.and_then(|osd| map.osds.get(&osd));
    let up = state.is_some_and(|state| state.up);
    TreeNode {
        id: row.item,
        device_class: map.crush.class_of(row.item).map(str::to_owned),
        name,
        type_name: map.crush.type_name(type_id).unwrap_or_default().to_owned(),
        type_id,
        crush_weight: osd.map(|_| f64::from(row.weight) / 65_536.0),
        depth: osd.map(|_| row.depth),
        pool_weights: row.parent.map(|parent| pool_weights(map, parent, row.item)),
        exists: osd.map(|_| u32::from(state.is_some())),
        status: osd.map(|_| if up { "up" } else { "down" }),
        reweight: osd.map(|_| state.map_or(Weight::ZERO, |state| state.weight).as_fraction()),
        primary_affinity: osd.map(|_| state.map_or(Weight::ONE, |state| state.primary_affinity).as_fraction()),
        children: (row.item < 0).then(|| children.get(&row.item).cloned().unwrap_or_default()),
    }
}

/// What choose arguments say of an item below its bucket, by pool name (`(compat)` for the default set).
fn pool_weights(map: &ClusterMap, parent: i32, item: i32) -> BTreeMap<String, Vec<f64>> {
    let position = map.crush.bucket(parent).and_then(|bucket| bucket.items().iter().position(|other| *other == item));
    let Some(position) = position else { return BTreeMap::new() };
    let name_of = |set: i64| {
        if set == -1 {
            return "(compat)".to_owned();
        }
        let pool = u64::try_from(set).ok().and_then(|pool| map.pools.get(&types::PoolId(pool)));
        pool.map_or_else(|| set.to_string(), |pool| pool.name.clone())
    };
    let sets = map.crush.choose_args().iter().filter_map(|(set, arguments)| {
        let weight_sets = &arguments.get(parent)?.weight_sets;
        let weights = weight_sets.iter().filter_map(|weights| weights.get(position));
        let weights: Vec<f64> = weights.map(|weight| f64::from(*weight) / 65_536.0).collect();
        (!weights.is_empty()).then(|| (name_of(*set), weights))
    });
    sets.collect()
}
