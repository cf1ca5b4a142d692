//! `status`: the cluster at a glance, in the fields of Ceph's.

use serde_json::{Value, json};
use types::Result;
use wire::CommandAnswer;

use super::{
    Arguments, df, health, mon, osd_look, pg,
    view::{View, answer_json, decimal_of},
};

pub(super) fn status(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let (osds, up, inside) = osd_look::counts(map);
    let managers = &map.managers;
    Ok(answer_json(&json!({
        "fsid": map.cluster,
        "health": health::health_json(view)?,
        "election_epoch": view.memory.quorum.term,
        "quorum": view.memory.quorum.members,
        "quorum_names": mon::quorum_names(view),
        "quorum_leader_name": view.memory.quorum.leader.map(|id| mon::name_of(view, id)),
        "monmap": { "epoch": map.epoch, "num_mons": map.monitors.len(), "mons": mon::monmap(view)["mons"] },
        "osdmap": {
            "epoch": map.epoch,
            "num_osds": osds,
            "num_up_osds": up,
            "osd_up_since": 0,
            "num_in_osds": inside,
            "osd_in_since": 0,
            "num_remapped_pgs": map.pg_temp.len(),
        },
        "pgmap": pgmap(view),
        "fsmap": { "epoch": 0, "by_rank": [], "up:standby": 0 },
        "mgrmap": {
            "available": managers.active.is_some(),
            "active_name": managers.active.as_ref().map(|active| active.name.as_str()),
            "num_standbys": managers.standbys.len(),
            "modules": [],
            "services": {},
        },
        "servicemap": { "epoch": 0, "modified": "", "services": {} },
        "progress_events": {},
        "digest_age_ms": view.digest_age_ms(),
    })))
}

fn pgmap(view: &View<'_>) -> Value {
    let map = view.map.map();
    let usage = df::Usage::of(view);
    let by_state: Vec<Value> =
        pg::states(view).iter().map(|(name, count)| json!({ "state_name": name, "count": count })).collect();
    let mut pgmap = json!({
        "pgs_by_state": by_state,
        "num_pgs": view.pg_count(),
        "num_pools": map.pools.len(),
        "num_objects": usage.objects,
        "data_bytes": usage.stored_bytes,
        "bytes_used": usage.used_bytes,
        "bytes_avail": usage.available_bytes(),
        "bytes_total": usage.total_bytes,
    });
    // Rates and counts of a stale digest would be wrong rather than old.
    let Some(digest) = view.fresh_digest() else { return pgmap };
    let counts = [("degraded", digest.degraded_copies), ("misplaced", digest.misplaced_copies)];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        pgmap[format!("{name}_objects")] = json!(count);
        pgmap[format!("{name}_total")] = json!(digest.copies);
        pgmap[format!("{name}_ratio")] = decimal_of(count, digest.copies);
    }
    if digest.unfound_objects > 0 {
        pgmap["unfound_objects"] = json!(digest.unfound_objects);
    }
    let rates = [
        ("read_bytes_sec", digest.rates.read_bytes),
        ("write_bytes_sec", digest.rates.write_bytes),
        ("read_op_per_sec", digest.rates.read_ops),
        ("write_op_per_sec", digest.rates.write_ops),
        ("recovering_objects_per_sec", digest.rates.recovered_objects),
        ("recovering_bytes_per_sec", digest.rates.recovered_bytes),
    ];
    for (name, rate) in rates {
        pgmap[name] = json!(rate);
    }
    pgmap
}
