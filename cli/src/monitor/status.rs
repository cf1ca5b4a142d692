//! `status`, in the shape of Ceph's.

use serde_json::Value;

use super::{health, number, scalar};
use crate::figures::{bytes, count};

pub(super) fn text(status: &Value) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };

    line("  cluster:".into());
    line(format!("    id:     {}", scalar(&status["fsid"])));
    line(format!("    health: {}", scalar(&status["health"]["status"])));
    for (_, check) in health::checks(&status["health"]) {
        line(format!("            {}", scalar(&check["summary"]["message"])));
    }
    line(String::new());
    line("  services:".into());
    for service in services(status) {
        line(format!("    {service}"));
    }
    line(String::new());
    line("  data:".into());
    let map = &status["pgmap"];
    line(format!("    pools:   {} pools, {} pgs", number(&map["num_pools"]), number(&map["num_pgs"])));
    line(format!("    objects: {} objects, {}", count(number(&map["num_objects"])), bytes(number(&map["data_bytes"]))));
    line(format!(
        "    usage:   {} used, {} / {} avail",
        bytes(number(&map["bytes_used"])),
        bytes(number(&map["bytes_avail"])),
        bytes(number(&map["bytes_total"]))
    ));
    for (index, pgs) in placement_groups(map).iter().enumerate() {
        line(format!("    {} {pgs}", if index == 0 { "pgs:    " } else { "        " }));
    }
    let io = io(map);
    if !io.is_empty() {
        line(String::new());
        line("  io:".into());
        for io in io {
            line(format!("    {io}"));
        }
    }
    line(String::new());
    line(match status["digest_age_ms"].as_u64() {
        Some(age) => format!("  data and io are {}.{} s old", age / 1000, age / 100 % 10),
        None => "  no manager has reported data and io yet".into(),
    });
    text
}

fn services(status: &Value) -> Vec<String> {
    let names = |value: &Value| value.as_array().into_iter().flatten().map(scalar).collect::<Vec<_>>();
    let quorum = names(&status["quorum_names"]);
    let mons = status["monmap"]["mons"].as_array().into_iter().flatten().map(|mon| scalar(&mon["name"]));
    let missing: Vec<String> = mons.filter(|name| !quorum.contains(name)).collect();
    let mut mon = format!("mon: {} daemons, quorum {}", number(&status["monmap"]["num_mons"]), quorum.join(","));
    if let Some(leader) = status["quorum_leader_name"].as_str() {
        mon += &format!(" (leader {leader})");
    }
    if !missing.is_empty() {
        mon += &format!(", out of quorum: {}", missing.join(", "));
    }
    let manager = &status["mgrmap"];
    let mgr = match (manager["active_name"].as_str(), number(&manager["num_standbys"])) {
        (None, _) => "mgr: no daemon is active".to_owned(),
        (Some(active), 0) => format!("mgr: {active}(active)"),
        (Some(active), standbys) => format!("mgr: {active}(active), {standbys} standbys"),
    };
    let map = &status["osdmap"];
    let mut osd = format!(
        "osd: {} osds: {} up, {} in",
        number(&map["num_osds"]),
        number(&map["num_up_osds"]),
        number(&map["num_in_osds"])
    );
    if number(&map["num_remapped_pgs"]) > 0 {
        osd += &format!("; {} remapped pgs", number(&map["num_remapped_pgs"]));
    }
    vec![mon, mgr, osd]
}

fn placement_groups(map: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, of) in [("degraded", "objects"), ("misplaced", "objects")] {
        let some = number(&map[format!("{name}_{of}")]);
        if some > 0 {
            let percent = map[format!("{name}_ratio")].as_f64().unwrap_or_default() * 100.0;
            lines.push(format!("{some}/{} objects {name} ({percent:.3}%)", number(&map[format!("{name}_total")])));
        }
    }
    if number(&map["unfound_objects"]) > 0 {
        lines.push(format!("{} objects unfound", number(&map["unfound_objects"])));
    }
    let states = map["pgs_by_state"].as_array().into_iter().flatten();
    lines.extend(states.map(|state| format!("{} {}", number(&state["count"]), scalar(&state["state_name"]))));
    lines
}

fn io(map: &Value) -> Vec<String> {
    let rate = |name: &str| number(&map[name]);
    let mut client = Vec::new();
    for (name, word) in [("read_bytes_sec", "rd"), ("write_bytes_sec", "wr")] {
        if rate(name) > 0 {
            client.push(format!("{}/s {word}", bytes(rate(name))));
        }
    }
    for (name, word) in [("read_op_per_sec", "rd"), ("write_op_per_sec", "wr")] {
        if rate(name) > 0 {
            client.push(format!("{} op/s {word}", count(rate(name))));
        }
    }
    let mut lines = Vec::new();
    if !client.is_empty() {
        lines.push(format!("client:   {}", client.join(", ")));
    }
    let (objects, recovered) = (rate("recovering_objects_per_sec"), rate("recovering_bytes_per_sec"));
    if objects > 0 || recovered > 0 {
        lines.push(format!("recovery: {}/s, {} objects/s", bytes(recovered), count(objects)));
    }
    lines
}
