//! Commands that show OSDs and the map.

use std::collections::BTreeSet;

use map::{ClusterMap, views};
use serde_json::{Value, json};
use types::{Error, OsdId, Result};
use wire::CommandAnswer;

use super::{
    Arguments, pg,
    view::{View, answer_json, answer_value, object},
};
use crate::hierarchy;

/// How many OSDs there are, are up, are in.
pub(super) fn counts(map: &ClusterMap) -> (usize, usize, usize) {
    let up = map.osds.values().filter(|osd| osd.up).count();
    let inside = map.osds.values().filter(|osd| osd.is_in()).count();
    (map.osds.len(), up, inside)
}

pub(super) fn stat(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let (count, up, inside) = counts(map);
    let mut answer = answer_json(&json!({
        "epoch": map.epoch,
        "num_osds": count,
        "num_up_osds": up,
        "osd_up_since": 0,
        "num_in_osds": inside,
        "osd_in_since": 0,
        "num_remapped_pgs": map.pg_temp.len(),
    }));
    answer.status = format!("{count} osds: {up} up, {inside} in; epoch: e{}", map.epoch);
    Ok(answer)
}

pub(super) fn ls(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let ids: Vec<Value> = view.map.map().osds.keys().map(|id| json!(id)).collect();
    Ok(answer_json(&Value::Array(ids)))
}

pub(super) fn tree(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let mut tree = views::osd_tree(map);
    if let Some(wanted) = arguments.text_if("states") {
        let is_wanted = |osd: OsdId| {
            map.osds.get(&osd).is_some_and(|state| match wanted {
                "up" => state.up,
                "down" => !state.up,
                "in" => state.is_in(),
                _ => !state.is_in(),
            })
        };
        let shows = |node: &views::TreeNode| match hierarchy::osd_of(node.id) {
            Some(osd) => is_wanted(osd),
            None => hierarchy::osds_below(&map.crush, node.id).into_iter().any(is_wanted),
        };
        tree.nodes.retain(shows);
        tree.stray.retain(shows);
    }
    answer_value(&tree)
}

pub(super) fn dump(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    answer_value(&views::osd_dump(view.map.map()))
}

fn osds_of(arguments: &Arguments) -> BTreeSet<OsdId> {
    arguments.osds("ids").iter().copied().collect()
}

pub(super) fn ok_to_stop(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let osds = osds_of(arguments);
    let report = map::ok_to_stop(view.map.map(), &pg::conditions(view), &osds);
    let mut answer = answer_value(&report)?;
    answer.status = if report.ok_to_stop {
        format!("OSD(s) {} are ok to stop without reducing availability", names(&osds))
    } else {
        format!(
            "unsafe to stop OSD(s) {}: {} placement groups would stop serving, or their state is not known",
            names(&osds),
            report.num_not_ok_pgs
        )
    };
    Ok(answer)
}

/// Ceph: data of these OSDs is elsewhere, or they never had any.
pub(super) fn destroy_report(view: &View<'_>, osds: &BTreeSet<OsdId>) -> map::DestroyReport {
    let digest = view.settled_digest();
    let stored = digest.iter().flat_map(|digest| &digest.osds).map(|row| (row.osd, u64::from(row.pgs))).collect();
    map::safe_to_destroy(view.map.map(), &pg::conditions(view), &stored, osds)
}

pub(super) fn safe_to_destroy(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let osds = osds_of(arguments);
    let report = destroy_report(view, &osds);
    let mut answer = answer_value(&report)?;
    answer.status = if report.is_safe {
        format!("OSD(s) {} are safe to destroy without reducing data durability", names(&osds))
    } else {
        format!(
            "OSD(s) {} are not safe to destroy: placement groups are on them, or nothing is known of that",
            names(&osds)
        )
    };
    Ok(answer)
}

fn names(osds: &BTreeSet<OsdId>) -> String {
    let names: Vec<String> = osds.iter().map(OsdId::to_string).collect();
    names.join(",")
}

pub(super) fn find(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let osd = arguments.osd("id");
    let state = map.osds.get(&osd).ok_or_else(|| Error::not_found(format!("osd.{osd} does not exist")))?;
    let location = map.crush.location_of(hierarchy::device_of(osd));
    Ok(answer_json(&json!({
        "osd": osd,
        "addrs": { "addrvec": state.address.iter().map(|at| json!({ "type": "ika", "addr": at, "nonce": state.nonce })).collect::<Vec<_>>() },
        "osd_fsid": state.uuid,
        "host": state.host,
        "crush_location": object(location.into_iter().map(|(kind, name)| (kind, json!(name)))),
    })))
}

pub(super) fn getmap(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    Ok(CommandAnswer {
        status: format!("got osdmap epoch {}", view.map.epoch()),
        output: map::encode_map(view.map.map()),
    })
}
