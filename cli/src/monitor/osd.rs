//! `osd tree` and `osd df`, in the shape of Ceph's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{number, scalar};
use crate::figures::{
    Side::{Left, Right},
    bytes, table,
};

pub(super) fn tree(value: &Value) -> String {
    let nodes = || value["nodes"].as_array().into_iter().flatten();
    let by_id: BTreeMap<i64, &Value> = nodes().filter_map(|node| Some((node["id"].as_i64()?, node))).collect();
    let parents: BTreeMap<i64, i64> = nodes()
        .flat_map(|node| {
            let parent = node["id"].as_i64();
            let children = node["children"].as_array().into_iter().flatten();
            children.filter_map(move |child| Some((child.as_i64()?, parent?)))
        })
        .collect();
    let row = |node: &Value| {
        let id = node["id"].as_i64().unwrap_or_default();
        let depth = std::iter::successors(Some(id), |id| parents.get(id).copied()).take(64).count() - 1;
        let kind = scalar(&node["type"]);
        let name = if kind == "osd" { scalar(&node["name"]) } else { format!("{kind} {}", scalar(&node["name"])) };
        let is_osd = kind == "osd";
        let only_osd = |text: String| if is_osd { text } else { String::new() };
        vec![
            id.to_string(),
            node["device_class"].as_str().unwrap_or_default().to_owned(),
            format!("{:.5}", weight(node, &by_id, 0)),
            format!("{}{name}", "    ".repeat(depth)),
            only_osd(scalar(&node["status"])),
            only_osd(format!("{:.5}", node["reweight"].as_f64().unwrap_or_default())),
            only_osd(format!("{:.5}", node["primary_affinity"].as_f64().unwrap_or_default())),
        ]
    };
    let head = [
        ("ID", Right),
        ("CLASS", Left),
        ("WEIGHT", Right),
        ("TYPE NAME", Left),
        ("STATUS", Left),
        ("REWEIGHT", Right),
        ("PRI-AFF", Right),
    ];
    let stray = value["stray"].as_array().into_iter().flatten();
    table(&head, nodes().chain(stray).map(row))
}

/// A bucket weighs what its children weigh together. Bounded in depth, should the answer hold a circle.
fn weight(node: &Value, by_id: &BTreeMap<i64, &Value>, depth: usize) -> f64 {
    match node["children"].as_array() {
        Some(children) if depth < 64 => children
            .iter()
            .filter_map(|child| by_id.get(&child.as_i64()?))
            .map(|child| weight(child, by_id, depth + 1))
            .sum(),
        _ => node["crush_weight"].as_f64().unwrap_or_default(),
    }
}

pub(super) fn df(value: &Value) -> String {
    let kib = |value: &Value| bytes(number(value).saturating_mul(1024));
    let row = |node: &Value| {
        vec![
            scalar(&node["id"]),
            scalar(&node["device_class"]),
            format!("{:.5}", node["crush_weight"].as_f64().unwrap_or_default()),
            format!("{:.5}", node["reweight"].as_f64().unwrap_or_default()),
            kib(&node["kb"]),
            kib(&node["kb_used"]),
            kib(&node["kb_used_meta"]),
            kib(&node["kb_avail"]),
            format!("{:.2}", node["utilization"].as_f64().unwrap_or_default()),
            format!("{:.2}", node["var"].as_f64().unwrap_or_default()),
            scalar(&node["pgs"]),
            scalar(&node["status"]),
        ]
    };
    let head = [
        ("ID", Right),
        ("CLASS", Left),
        ("WEIGHT", Right),
        ("REWEIGHT", Right),
        ("SIZE", Right),
        ("RAW USE", Right),
        ("META", Right),
        ("AVAIL", Right),
        ("%USE", Right),
        ("VAR", Right),
        ("PGS", Right),
        ("STATUS", Left),
    ];
    let summary = &value["summary"];
    let total = vec![
        String::new(),
        String::new(),
        String::new(),
        "TOTAL".to_owned(),
        kib(&summary["total_kb"]),
        kib(&summary["total_kb_used"]),
        String::new(),
        kib(&summary["total_kb_avail"]),
        format!("{:.2}", summary["average_utilization"].as_f64().unwrap_or_default()),
        String::new(),
        String::new(),
        String::new(),
    ];
    table(&head, value["nodes"].as_array().into_iter().flatten().map(row).chain([total]))
}
