//! Commands that show OSDs and the map.

use std::collections::BTreeMap;

use map::{BlocklistEntry, ClusterMap, OsdState};
use serde_json::{Value, json};
use types::{Epoch, Error, OsdId, PgId, Result};
use wire::CommandAnswer;

use super::{
    Arguments, crush_tree, osd_state, pool,
    view::{View, answer_json, decimal, object},
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

fn osd_fields(node: &mut Value, state: Option<&OsdState>) {
    let Some(state) = state else {
        node["exists"] = json!(0);
        node["status"] = json!("DNE");
        return;
    };
    node["exists"] = json!(1);
    node["status"] = json!(status_word(state));
    node["reweight"] = decimal(state.weight.0);
    node["primary_affinity"] = decimal(state.primary_affinity.0);
}

fn status_word(state: &OsdState) -> &'static str {
    if state.up {
        "up"
    } else if state.lost_at > Epoch::ZERO && state.lost_at >= state.up_from {
        "destroyed"
    } else {
        "down"
    }
}

pub(super) fn tree(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let wanted = |osd: OsdId| match (arguments.text_if("states"), map.osds.get(&osd)) {
        (None, _) => true,
        (Some("up"), Some(state)) => state.up,
        (Some("down"), Some(state)) => !state.up,
        (Some("in"), Some(state)) => state.is_in(),
        (Some("out"), Some(state)) => !state.is_in(),
        (Some(_), _) => false,
    };
    let filtered = arguments.text_if("states").is_some();
    let mut nodes = Vec::new();
    for row in map.crush.tree(false) {
        let shown = match hierarchy::osd_of(row.item) {
            Some(osd) => wanted(osd),
            None => !filtered || hierarchy::osds_below(&map.crush, row.item).into_iter().any(wanted),
        };
        if !shown {
            continue;
        }
        let mut node = crush_tree::item_json(&map.crush, &row);
        if let Some(osd) = hierarchy::osd_of(row.item) {
            osd_fields(&mut node, map.osds.get(&osd));
        }
        nodes.push(node);
    }
    let stray: Vec<Value> = map
        .osds
        .iter()
        .filter(|(id, _)| !hierarchy::contains_osd(&map.crush, **id) && wanted(**id))
        .map(|(id, state)| {
            let mut node = json!({ "id": id, "name": format!("osd.{id}"), "type": "osd", "type_id": 0, "crush_weight": 0, "depth": 0 });
            osd_fields(&mut node, Some(state));
            node
        })
        .collect();
    Ok(answer_json(&json!({ "nodes": nodes, "stray": stray })))
}

fn address(address: Option<std::net::SocketAddr>, nonce: u64) -> String {
    // Ceph's way to write "none".
    address.map_or_else(|| "(unrecognized address family 0)/0".to_owned(), |address| format!("{address}/{nonce}"))
}

fn osd_json(id: OsdId, state: &OsdState) -> Value {
    let mut states = vec!["exists"];
    if state.up {
        states.push("up");
    }
    if state.lost_at > Epoch::ZERO && !state.up {
        states.push("destroyed");
    }
    json!({
        "osd": id,
        "uuid": state.uuid,
        "up": u8::from(state.up),
        "in": u8::from(state.is_in()),
        "weight": decimal(state.weight.0),
        "primary_affinity": decimal(state.primary_affinity.0),
        "last_clean_begin": state.last_clean_begin,
        "last_clean_end": state.last_clean_end,
        "up_from": state.up_from,
        "up_thru": state.up_thru,
        "down_at": state.down_at,
        "dead_epoch": state.dead_epoch,
        "lost_at": state.lost_at,
        "public_addr": address(state.address, state.nonce.0),
        "cluster_addr": address(state.address, state.nonce.0),
        "host": state.host,
        "flags": osd_state::flag_names(state.flags),
        "state": states,
    })
}

pub(super) fn dump(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let sets = |table: &BTreeMap<PgId, Vec<OsdId>>| {
        table.iter().map(|(pg, osds)| json!({ "pgid": pg, "osds": osds })).collect::<Vec<_>>()
    };
    let primaries = |table: &BTreeMap<PgId, OsdId>, key: &str| {
        table.iter().map(|(pg, osd)| json!({ "pgid": pg, key: osd })).collect::<Vec<_>>()
    };
    let upmap_items: Vec<Value> = map
        .pg_upmap_items
        .iter()
        .map(|(pg, pairs)| {
            let mappings: Vec<Value> = pairs.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect();
            json!({ "pgid": pg, "mappings": mappings })
        })
        .collect();
    let blocklist = map.blocklist.iter().map(|(entry, until_ms)| {
        let BlocklistEntry::Client(client) = entry;
        (format!("client.{client}"), json!(until_ms))
    });
    Ok(answer_json(&json!({
        "epoch": map.epoch,
        "fsid": map.cluster,
        "modified_ms": map.modified_ms,
        "checksum": format!("{:08x}", view.map.checksum()),
        "flags": osd_state::flag_names(map.flags),
        "flags_num": map.flags.0,
        "flags_set": osd_state::flag_names(map.flags).split(',').filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        "full_ratio": permille(map.full_ratios.full_permille),
        "backfillfull_ratio": permille(map.full_ratios.backfillfull_permille),
        "nearfull_ratio": permille(map.full_ratios.nearfull_permille),
        "pool_max": map.pool_next.0 - 1,
        "max_osd": map.osds.last_key_value().map_or(0, |(last, _)| last.0 + 1),
        "require_osd_release": map.require_osd_release,
        "protocol_min": map.protocol_min,
        "client_next": map.client_next,
        "pools": map.pools.values().map(|pool| pool::pool_json(map, pool)).collect::<Vec<_>>(),
        "osds": map.osds.iter().map(|(id, state)| osd_json(*id, state)).collect::<Vec<_>>(),
        "pg_upmap": sets(&map.pg_upmap),
        "pg_upmap_items": upmap_items,
        "pg_upmap_primaries": primaries(&map.pg_upmap_primary, "primary_osd"),
        "pg_temp": sets(&map.pg_temp),
        "primary_temp": primaries(&map.primary_temp, "osd"),
        "creating_pgs": map.creating_pgs,
        "blocklist": object(blocklist),
        "erasure_code_profiles": {},
    })))
}

fn permille(permille: u32) -> Value {
    super::view::decimal_of(u64::from(permille), 1000)
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
