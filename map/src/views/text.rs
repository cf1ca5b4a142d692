//! `osd tree` and `osd dump` for people: the same lines that Ceph prints.

use std::fmt::Write as _;

use types::OsdId;

use super::{osd_tree, pools, timestamp};
use crate::{BlocklistEntry, ClusterMap, HOLE, OsdState, Weight};

/// Spaces that a level of the tree is indented by.
const INDENT: usize = 4;

const TREE_TITLES: [&str; 7] = ["ID", "CLASS", "WEIGHT", "TYPE NAME", "STATUS", "REWEIGHT", "PRI-AFF"];

/// The one column of the tree whose cells begin at the left.
const NAME_COLUMN: usize = 3;

/// The tree as a table.
pub fn osd_tree_text(map: &ClusterMap) -> String {
    let tree = osd_tree(map);
    let depths: Vec<usize> = map.crush.tree(false).iter().map(|row| row.depth).collect();
    let bucket_weight = |id: i32| map.crush.bucket(id).map_or(0.0, |bucket| f64::from(bucket.weight()) / 65_536.0);
    let stray_depths = std::iter::repeat_n(0, tree.stray.len());
    let nodes = tree.nodes.iter().chain(&tree.stray).zip(depths.into_iter().chain(stray_depths));
    let rows: Vec<[String; 7]> = nodes
        .map(|(node, depth)| {
            let indent = " ".repeat(INDENT * depth);
            let is_bucket = node.id < 0;
            let name = if is_bucket { format!("{} {}", node.type_name, node.name) } else { node.name.clone() };
            let (status, reweight, affinity) = match (node.exists, node.status) {
                (Some(1), Some(status)) => (status, five_decimals(node.reweight), five_decimals(node.primary_affinity)),
                (Some(_), _) => ("DNE", "0".to_owned(), String::new()),
                (None, _) => ("", String::new(), String::new()),
            };
            let weight = node.crush_weight.unwrap_or_else(|| bucket_weight(node.id));
            let class = node.device_class.clone().unwrap_or_default();
            let name = format!("{indent}{name}");
            [node.id.to_string(), class, five_decimals(Some(weight)), name, status.to_owned(), reweight, affinity]
        })
        .collect();
    let mut widths = TREE_TITLES.map(str::len);
    for row in &rows {
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.len()));
    }
    let mut text = line(TREE_TITLES.iter().zip(widths).map(|(title, width)| format!("{title:<width$}")));
    for row in rows {
        text.push_str(&line(row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column == NAME_COLUMN { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        })));
    }
    text
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let mut line = cells.collect::<Vec<_>>().join("  ");
    line.push('\n');
    line
}

/// A weight as Ceph's tables show it.
fn five_decimals(weight: Option<f64>) -> String {
    match weight {
        Some(weight) if weight >= 0.000_001 => format!("{weight:.5}"),
        Some(_) => "0".to_owned(),
        None => String::new(),
    }
}

/// The dump as lines.
pub fn osd_dump_text(map: &ClusterMap) -> String {
    let mut text = String::new();
    write_dump(map, &mut text).expect("a string takes all that is written to it");
    text
}

fn write_dump(map: &ClusterMap, text: &mut String) -> std::fmt::Result {
    let share = |permille: u32| f64::from(permille) / 1000.0;
    writeln!(text, "epoch {}", map.epoch)?;
    writeln!(text, "fsid {}", map.cluster)?;
    writeln!(text, "modified {}", timestamp(map.modified_ms))?;
    writeln!(text, "flags {}", map.flags)?;
    writeln!(text, "full_ratio {}", share(map.full_ratios.full_permille))?;
    writeln!(text, "backfillfull_ratio {}", share(map.full_ratios.backfillfull_permille))?;
    writeln!(text, "nearfull_ratio {}", share(map.full_ratios.nearfull_permille))?;
    writeln!(text, "require_osd_release {}", map.require_osd_release)?;
    writeln!(text)?;
    write_pools(map, text)?;
    writeln!(text)?;
    let by_osds = map.osds.last_key_value().map_or(0, |(osd, _)| osd.0 + 1);
    writeln!(text, "max_osd {}", by_osds.max(u32::try_from(map.crush.max_devices()).unwrap_or(0)))?;
    for (osd, state) in &map.osds {
        write_osd(*osd, state, text)?;
    }
    writeln!(text)?;
    let list = |osds: &[OsdId]| {
        let number = |osd: &OsdId| if *osd == HOLE { "NONE".to_owned() } else { osd.to_string() };
        osds.iter().map(number).collect::<Vec<_>>().join(",")
    };
    for (pg, osds) in &map.pg_upmap {
        writeln!(text, "pg_upmap {pg} [{}]", list(osds))?;
    }
    for (pg, pairs) in &map.pg_upmap_items {
        let pairs: Vec<OsdId> = pairs.iter().flat_map(|(from, to)| [*from, *to]).collect();
        writeln!(text, "pg_upmap_items {pg} [{}]", list(&pairs))?;
    }
    for (pg, osd) in &map.pg_upmap_primary {
        writeln!(text, "pg_upmap_primary {pg} {osd}")?;
    }
    for (pg, osds) in &map.pg_temp {
        writeln!(text, "pg_temp {pg} [{}]", list(osds))?;
    }
    for (pg, osd) in &map.primary_temp {
        writeln!(text, "primary_temp {pg} {osd}")?;
    }
    for (entry, until_ms) in &map.blocklist {
        let BlocklistEntry::Client(client) = entry;
        writeln!(text, "blocklist client.{client} expires {}", timestamp(*until_ms))?;
    }
    Ok(())
}

fn write_pools(map: &ClusterMap, text: &mut String) -> std::fmt::Result {
    for pool in pools(map) {
        let (kind, profile) = match pool.erasure_code_profile.as_str() {
            "" => ("replicated", String::new()),
            profile => ("erasure", format!(" profile {profile}")),
        };
        let hash = if pool.object_hash == crate::placement::OBJECT_HASH_LINUX { "linux" } else { "rjenkins" };
        write!(
            text,
            "pool {} '{}' {kind}{profile} size {} min_size {} crush_rule {} object_hash {hash} pg_num {} pgp_num {} \
             autoscale_mode {} last_change {} flags {}",
            pool.pool,
            pool.pool_name,
            pool.size,
            pool.min_size,
            pool.crush_rule,
            pool.pg_num,
            pool.pg_placement_num,
            pool.pg_autoscale_mode,
            pool.last_change,
            pool.flags_names
        )?;
        if pool.quota_max_bytes > 0 {
            write!(text, " max_bytes {}", pool.quota_max_bytes)?;
        }
        if pool.quota_max_objects > 0 {
            write!(text, " max_objects {}", pool.quota_max_objects)?;
        }
        if !pool.application_metadata.is_empty() {
            let names: Vec<&str> = pool.application_metadata.keys().map(String::as_str).collect();
            write!(text, " application {}", names.join(","))?;
        }
        writeln!(text)?;
        for snapshot in &pool.pool_snaps {
            writeln!(text, "\tsnap {} '{}'", snapshot.snapid, snapshot.name)?;
        }
    }
    Ok(())
}

fn write_osd(osd: OsdId, state: &OsdState, text: &mut String) -> std::fmt::Result {
    let up = if state.up { "up  " } else { "down" };
    let is_in = if state.is_in() { "in " } else { "out" };
    write!(text, "osd.{osd} {up} {is_in} weight {}", crate::tool::general(state.weight.as_fraction()))?;
    if state.primary_affinity != Weight::ONE {
        write!(text, " primary_affinity {}", crate::tool::general(state.primary_affinity.as_fraction()))?;
    }
    write!(
        text,
        " up_from {} up_thru {} down_at {} last_clean_interval [{},{})",
        state.up_from, state.up_thru, state.down_at, state.last_clean_begin, state.last_clean_end
    )?;
    if state.lost_at.0 > 0 {
        write!(text, " lost_at {}", state.lost_at)?;
    }
    if let Some(address) = state.address {
        write!(text, " {address}/{}", state.nonce)?;
    }
    let up = if state.up { ",up" } else { "" };
    writeln!(text, " exists{up} {}", state.uuid)
}
