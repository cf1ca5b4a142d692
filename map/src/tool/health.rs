//! `--health`: what is wrong with a map, as far as the map alone can tell, under Ceph's codes and in its JSON.
//!
//! A cluster's health is more than that (the monitors know who is out of quorum and what is degraded); this is for maps without one.

use std::collections::BTreeMap;

use serde::Serialize;
use types::OsdId;

use super::create::device_count;
use crate::{ClusterFlags, ClusterMap};

#[derive(Serialize)]
pub(super) struct Check {
    severity: &'static str,
    summary: Summary,
    detail: Vec<Line>,
}

#[derive(Serialize)]
struct Summary {
    message: String,
    count: usize,
}

#[derive(Serialize)]
struct Line {
    message: String,
}

/// Checks by their codes.
pub(super) type Checks = BTreeMap<&'static str, Check>;

/// Everything that is wrong.
pub(super) fn checks(map: &ClusterMap) -> Checks {
    let mut checks = Checks::new();
    let mut add = |code, summary: &dyn Fn(usize) -> String, lines: Vec<String>| {
        if !lines.is_empty() {
            let count = lines.len();
            let detail = lines.into_iter().map(|message| Line { message }).collect();
            let summary = Summary { message: summary(count), count };
            checks.insert(code, Check { severity: "HEALTH_WARN", summary, detail });
        }
    };
    add("OSD_DOWN", &|count| format!("{count} osds down"), down(map));
    add("OSD_ORPHAN", &|count| format!("{count} osds exist in the crush map but not in the osdmap"), orphans(map));
    let uneven = "pool(s) have non-power-of-two pg_num";
    add("POOL_PG_NUM_NOT_POWER_OF_TWO", &|count| format!("{count} {uneven}"), uneven_pools(map));
    let flags: Vec<&str> =
        ClusterFlags::NAMES.iter().filter(|(_, flag)| map.flags.contains(*flag)).map(|(name, _)| *name).collect();
    if !flags.is_empty() {
        let summary = Summary { message: format!("{} flag(s) set", flags.join(",")), count: 0 };
        checks.insert("OSDMAP_FLAGS", Check { severity: "HEALTH_WARN", summary, detail: Vec::new() });
    }
    checks
}

/// OSDs that are in and not up.
fn down(map: &ClusterMap) -> Vec<String> {
    let is_down = |(_, state): &(OsdId, &crate::OsdState)| !state.up;
    let line = |(osd, _): (OsdId, _)| {
        let place = i32::try_from(osd.0).map(|device| map.crush.location_of(device)).unwrap_or_default();
        let place: Vec<String> = place.iter().rev().map(|(level, bucket)| format!("{level}={bucket}")).collect();
        format!("osd.{osd} ({}) is down", place.join(","))
    };
    map.in_osds().filter(is_down).map(line).collect()
}

/// Devices of the hierarchy that are no OSDs.
fn orphans(map: &ClusterMap) -> Vec<String> {
    let stands_there = |osd: &OsdId| i32::try_from(osd.0).is_ok_and(|device| map.crush.parent_of(device).is_some());
    (0..device_count(map))
        .map(OsdId)
        .filter(|osd| !map.osds.contains_key(osd) && stands_there(osd))
        .map(|osd| format!("osd.{osd} exists in crush map but not in osdmap"))
        .collect()
}

fn uneven_pools(map: &ClusterMap) -> Vec<String> {
    map.pools
        .values()
        .filter(|pool| !pool.pg_num.is_power_of_two())
        .map(|pool| format!("pool '{}' pg_num {} is not a power of two", pool.name, pool.pg_num))
        .collect()
}
