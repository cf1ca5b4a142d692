//! Commands about the cluster as such: its id, its versions, its log, this table.

use std::collections::BTreeMap;

use map::ClusterMap;
use serde_json::{Value, json};
use types::{Error, Result};
use wire::CommandAnswer;

use super::{
    Arguments, TABLE,
    view::{View, answer_json, answer_status},
};
use crate::{draft::Draft, entry::LogLevel, state::LOG_LINE_BYTES_MAX};

/// Lines of the log shown unless another number is asked for. Ceph's default.
const LOG_LINES_DEFAULT: u64 = 20;

pub(super) fn fsid(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    Ok(answer_json(&json!({ "fsid": view.map.map().cluster })))
}

pub(super) fn versions(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    // Daemons do not report their versions one by one: the gate says what all of them understand.
    let version = format!("ika {}", env!("CARGO_PKG_VERSION"));
    let counts = |count: usize| if count == 0 { json!({}) } else { json!({ version.clone(): count }) };
    let up = map.osds.values().filter(|osd| osd.up).count();
    let managers = map.managers.standbys.len() + usize::from(map.managers.active.is_some());
    Ok(answer_json(&json!({
        "mon": counts(map.monitors.len()),
        "mgr": counts(managers),
        "osd": counts(up),
        "overall": counts(map.monitors.len() + managers + up),
    })))
}

pub(super) fn features(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map = view.map.map();
    Ok(answer_json(&json!({
        "protocol_min": map.protocol_min,
        "require_osd_release": map.require_osd_release,
    })))
}

pub(super) fn log_last(view: &View<'_>, arguments: &Arguments) -> Result<CommandAnswer> {
    let wanted = arguments.integer_if("num").unwrap_or(LOG_LINES_DEFAULT);
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let mut lines: Vec<Value> = view
        .state
        .log()
        .rev()
        .take(wanted)
        .map(|line| json!({ "stamp_ms": line.time_ms, "priority": format!("[{}]", line.level.name()), "message": line.text }))
        .collect();
    lines.reverse();
    Ok(answer_json(&Value::Array(lines)))
}

pub(super) fn log_line(_: &View<'_>, draft: &mut Draft, arguments: &Arguments) -> Result<CommandAnswer> {
    let text = arguments.words("logtext").join(" ");
    if text.len() > LOG_LINE_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the line has {} bytes; at most {LOG_LINE_BYTES_MAX} are taken",
            text.len()
        )));
    }
    draft.log(LogLevel::Info, text);
    Ok(answer_status("written"))
}

pub(super) fn descriptions(_: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let described: Vec<Value> = TABLE.iter().map(super::table::CommandSpec::describe).collect();
    Ok(answer_json(&Value::Array(described)))
}

pub(super) fn node_ls(view: &View<'_>, _: &Arguments) -> Result<CommandAnswer> {
    let map: &ClusterMap = view.map.map();
    let mut osds: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (id, osd) in &map.osds {
        osds.entry(osd.host.clone()).or_default().push(id.0);
    }
    let mut mons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for monitor in map.monitors.values() {
        mons.entry(monitor.address.ip().to_string()).or_default().push(&monitor.name);
    }
    let mut managers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for manager in map.managers.active.iter().chain(map.managers.standbys.values()) {
        managers.entry(manager.address.ip().to_string()).or_default().push(&manager.name);
    }
    Ok(answer_json(&json!({ "mon": mons, "osd": osds, "mgr": managers })))
}
