//! Pools: `df`, `osd pool ls detail`, `osd pool get`.

use serde_json::Value;

use super::{number, scalar};
use crate::figures::{
    Side::{Left, Right},
    bytes, count, table,
};

pub(super) fn df(value: &Value) -> String {
    let stats = &value["stats"];
    let ratio = stats["total_used_raw_ratio"].as_f64().unwrap_or_default() * 100.0;
    let raw = table(
        &[("SIZE", Right), ("AVAIL", Right), ("USED", Right), ("%USED", Right)],
        [vec![
            bytes(number(&stats["total_bytes"])),
            bytes(number(&stats["total_avail_bytes"])),
            bytes(number(&stats["total_used_raw_bytes"])),
            format!("{ratio:.2}"),
        ]],
    );
    let row = |pool: &Value| {
        let stats = &pool["stats"];
        vec![
            scalar(&pool["name"]),
            scalar(&pool["id"]),
            bytes(number(&stats["stored"])),
            count(number(&stats["objects"])),
            bytes(number(&stats["bytes_used"])),
            format!("{:.2}", stats["percent_used"].as_f64().unwrap_or_default() * 100.0),
            bytes(number(&stats["max_avail"])),
        ]
    };
    let head = [
        ("POOL", Left),
        ("ID", Right),
        ("STORED", Right),
        ("OBJECTS", Right),
        ("USED", Right),
        ("%USED", Right),
        ("MAX AVAIL", Right),
    ];
    let pools = table(&head, value["pools"].as_array().into_iter().flatten().map(row));
    format!("--- RAW STORAGE ---\n{raw}\n--- POOLS ---\n{pools}")
}

pub(super) fn detail(value: &Value) -> String {
    let line = |pool: &Value| {
        let kind = if number(&pool["type"]) == 3 { "erasure" } else { "replicated" };
        format!(
            "pool {} '{}' {kind} size {} min_size {} crush_rule {} pg_num {} pgp_num {} flags {} last_change {}\n",
            scalar(&pool["pool_id"]),
            scalar(&pool["pool_name"]),
            scalar(&pool["size"]),
            scalar(&pool["min_size"]),
            scalar(&pool["crush_rule"]),
            scalar(&pool["pg_num"]),
            scalar(&pool["pg_placement_num"]),
            scalar(&pool["flags_names"]),
            scalar(&pool["last_change"]),
        )
    };
    value.as_array().into_iter().flatten().map(line).collect()
}

/// Every setting that is not the pool's own name or number.
pub(super) fn settings(value: &Value) -> String {
    let is_setting = |(name, _): &(&String, &Value)| !matches!(name.as_str(), "pool" | "pool_id");
    let settings = value.as_object().into_iter().flatten().filter(is_setting);
    settings.map(|(name, value)| format!("{name}: {}\n", scalar(value))).collect()
}
