//! How full things are: the cluster, its OSDs, its pools. Figures come from beacons and from the manager's digest.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use types::{OsdId, PoolId, Result, StoreUsage};
use wire::{CommandAnswer, OsdStatistics};

use super::{
    Arguments,
    view::{View, answer_json, decimal, decimal_of, pool_by_name},
};
use crate::hierarchy;

/// Sums over the cluster.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    pub total_bytes: u64,
    pub used_bytes: u64,
    pub objects: u64,
    pub stored_bytes: u64,
}

impl Usage {
    pub fn of(view: &View<'_>) -> Self {
        let mut sum = Self::default();
        for usage in usages(view).values() {
            sum.total_bytes += usage.total_bytes;
            sum.used_bytes += usage.used_bytes;
        }
        for (_, objects, bytes) in view.digest().iter().flat_map(|digest| &digest.pools) {
            sum.objects += objects;
            sum.stored_bytes += bytes;
        }
        sum
    }

    pub fn available_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.used_bytes)
    }
}

/// How full each OSD is, by its last beacon or else by the digest.
pub(super) fn usages(view: &View<'_>) -> BTreeMap<OsdId, StoreUsage> {
    let exists = |osd: &OsdId| view.map.map().osds.contains_key(osd);
    let mut usages: BTreeMap<OsdId, StoreUsage> = view
        .digest()
        .iter()
        .flat_map(|digest| &digest.osds)
        .filter(|row| exists(&row.osd))
        .map(|row| (row.osd, row.usage))
        .collect();
    for (osd, heard) in &view.memory.osds {
        if let Some(said) = heard.said.filter(|_| exists(osd)) {
            usages.insert(*osd, said.usage);
        }
    }
    usages
}

fn pool_sums(view: &View<'_>) -> BTreeMap<PoolId, (u64, u64)> {
    view.digest()
        .iter()
        .flat_map(|digest| &digest.pools)
        .map(|(id, objects, bytes)| (*id, (*objects, *bytes)))
        .collect()
}

pub(super) fn df(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let usage = Usage::of(view);
    let sums = pool_sums(view);
    let map = view.map.map();
    let pools: Vec<Value> = map
        .pools
        .iter()
        .map(|(id, pool)| {
            let (objects, stored) = sums.get(id).copied().unwrap_or_default();
            let raw = stored.saturating_mul(u64::from(pool.size));
            // What fits if all OSDs fill alike; one that is fuller than the others makes it less.
            let max_avail = usage.available_bytes() / u64::from(pool.size.max(1));
            json!({
                "name": pool.name,
                "id": id,
                "stats": {
                    "stored": stored,
                    "objects": objects,
                    "kb_used": raw.div_ceil(1024),
                    "bytes_used": raw,
                    "percent_used": decimal_of(raw, raw.saturating_add(usage.available_bytes())),
                    "max_avail": max_avail,
                    "quota_objects": pool.quota_objects,
                    "quota_bytes": pool.quota_bytes,
                },
            })
        })
        .collect();
    Ok(answer_json(&json!({
        "stats": {
            "total_bytes": usage.total_bytes,
            "total_avail_bytes": usage.available_bytes(),
            "total_used_bytes": usage.used_bytes,
            "total_used_raw_bytes": usage.used_bytes,
            "total_used_raw_ratio": decimal_of(usage.used_bytes, usage.total_bytes),
            "num_osds": map.osds.len(),
        },
        "stats_by_class": {},
        "pools": pools,
        "digest_age_ms": view.digest_age_ms(),
    })))
}

pub(super) fn osd_df(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let usages = usages(view);
    let reported: BTreeMap<OsdId, &OsdStatistics> =
        view.digest().iter().flat_map(|digest| &digest.osds).map(|row| (row.osd, row)).collect();
    let total = Usage::of(view);
    let rows = map.crush.tree(false);
    let nodes: Vec<Value> = map
        .osds
        .iter()
        .map(|(id, state)| {
            let usage = usages.get(id).copied().unwrap_or_default();
            let row = rows.iter().find(|row| row.item == hierarchy::device_of(*id));
            // How much fuller than the mean, without dividing twice.
            let variation = decimal_of(
                usage.used_bytes.saturating_mul(total.total_bytes / 1024),
                (total.used_bytes / 1024).saturating_mul(usage.total_bytes),
            );
            json!({
                "id": id,
                "device_class": map.crush.class_of(hierarchy::device_of(*id)).unwrap_or_default(),
                "name": format!("osd.{id}"),
                "type": "osd",
                "type_id": 0,
                "crush_weight": decimal(row.map_or(0, |row| row.weight)),
                "depth": row.map_or(0, |row| row.depth),
                "pool_weights": {},
                "reweight": decimal(state.weight.0),
                "kb": usage.total_bytes / 1024,
                "kb_used": usage.used_bytes / 1024,
                "kb_used_meta": usage.metadata_bytes / 1024,
                "kb_avail": usage.total_bytes.saturating_sub(usage.used_bytes) / 1024,
                "utilization": decimal_of(usage.used_bytes.saturating_mul(100), usage.total_bytes),
                "var": variation,
                "pgs": reported.get(id).map_or(0, |row| row.pgs),
                "recovered_bytes": reported.get(id).map_or(0, |row| row.recovered_bytes),
                "status": if state.up { "up" } else { "down" },
            })
        })
        .collect();
    Ok(answer_json(&json!({
        "nodes": nodes,
        "stray": [],
        "summary": {
            "total_kb": total.total_bytes / 1024,
            "total_kb_used": total.used_bytes / 1024,
            "total_kb_avail": total.available_bytes() / 1024,
            "average_utilization": decimal_of(total.used_bytes.saturating_mul(100), total.total_bytes),
        },
    })))
}

pub(super) fn pool_stats(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let sums = pool_sums(view);
    let pools: Vec<_> = match arguments.text_if("pool_name") {
        Some(name) => vec![pool_by_name(map, name)?],
        None => map.pools.values().collect(),
    };
    let rows: Vec<Value> = pools
        .into_iter()
        .map(|pool| {
            let (objects, stored) = sums.get(&pool.id).copied().unwrap_or_default();
            json!({ "pool_name": pool.name, "pool_id": pool.id, "objects": objects, "stored": stored })
        })
        .collect();
    Ok(answer_json(&Value::Array(rows)))
}
