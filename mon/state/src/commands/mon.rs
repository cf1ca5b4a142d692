//! Commands about monitors and managers.

use map::ManagerEntry;
use serde_json::{Value, json};
use types::{MonId, Result};
use wire::CommandAnswer;

use super::{
    Arguments,
    view::{View, answer_json, answer_status},
};

/// The name of a monitor, or its number when the map does not have it.
pub(super) fn name_of(view: &View<'_>, id: MonId) -> String {
    view.map.map().monitors.get(&id).map_or_else(|| id.to_string(), |monitor| monitor.name.clone())
}

/// The names of the monitors that agree at present.
pub(super) fn quorum_names(view: &View<'_>) -> Vec<String> {
    view.memory.quorum.members.iter().map(|id| name_of(view, *id)).collect()
}

pub(super) fn monmap(view: &View<'_>) -> Value {
    let map = view.map.map();
    let mons: Vec<Value> = map
        .monitors
        .iter()
        .map(|(id, monitor)| {
            json!({
                "rank": id, "name": monitor.name, "addr": monitor.address, "public_addr": monitor.address,
                "public_addrs": { "addrvec": [{ "type": "grpc", "addr": monitor.address, "nonce": 0 }] },
            })
        })
        .collect();
    json!({ "epoch": map.epoch, "fsid": map.cluster, "mons": mons })
}

pub(super) fn mon_dump(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let mut dump = monmap(view);
    dump["quorum"] = json!(view.memory.quorum.members);
    Ok(answer_json(&dump))
}

pub(super) fn mon_stat(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    let quorum = quorum_names(view);
    let leader = view.memory.quorum.leader.map(|id| name_of(view, id));
    let mut answer = answer_json(&json!({
        "epoch": map.epoch,
        "num_mons": map.monitors.len(),
        "leader": leader,
        "quorum": view.memory.quorum.members.iter().map(|id| json!({ "rank": id, "name": name_of(view, *id) })).collect::<Vec<_>>(),
    }));
    answer.status = format!(
        "{} mons, election epoch {}, leader {}, quorum {}",
        map.monitors.len(),
        view.memory.quorum.term,
        leader.as_deref().unwrap_or("none"),
        quorum.join(",")
    );
    Ok(answer)
}

pub(super) fn quorum_status(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    Ok(answer_json(&json!({
        "election_epoch": view.memory.quorum.term,
        "quorum": view.memory.quorum.members,
        "quorum_names": quorum_names(view),
        "quorum_leader_name": view.memory.quorum.leader.map(|id| name_of(view, id)),
        "monmap": monmap(view),
    })))
}

fn manager(entry: &ManagerEntry) -> Value {
    json!({ "name": entry.name, "addr": entry.address, "nonce": entry.nonce })
}

pub(super) fn mgr_dump(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let managers = &view.map.map().managers;
    let active = managers.active.as_ref();
    Ok(answer_json(&json!({
        "epoch": view.map.epoch(),
        "available": active.is_some(),
        "active_name": active.map_or("", |active| active.name.as_str()),
        "active_addr": active.map(|active| active.address),
        "active": active.map(manager),
        "standbys": managers.standbys.values().map(manager).collect::<Vec<_>>(),
    })))
}

pub(super) fn mgr_stat(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let managers = &view.map.map().managers;
    let Some(active) = &managers.active else {
        return Ok(answer_status("no manager is active"));
    };
    Ok(answer_json(&json!({
        "epoch": view.map.epoch(),
        "available": true,
        "active_name": active.name,
        "num_standby": managers.standbys.len(),
    })))
}
