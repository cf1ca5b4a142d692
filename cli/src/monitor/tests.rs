//! Answers of monitors and the text that is made of them.

use serde_json::json;

use super::plain;

#[test]
fn status_has_the_shape_of_cephs() {
    let status = json!({
        "fsid": "8f14e45f-ceea-467f-a0e6-d3b0b1a2c3d4",
        "health": { "status": "HEALTH_WARN", "checks": {
            "OSD_DOWN": { "severity": "HEALTH_WARN", "summary": { "message": "1 osds down", "count": 1 },
                          "detail": [{ "message": "osd.2 is down" }] } } },
        "quorum_names": ["a", "b"],
        "quorum_leader_name": "a",
        "monmap": { "num_mons": 3, "mons": [{ "name": "a" }, { "name": "b" }, { "name": "c" }] },
        "osdmap": { "num_osds": 3, "num_up_osds": 2, "num_in_osds": 3, "num_remapped_pgs": 0 },
        "mgrmap": { "active_name": "x", "num_standbys": 0 },
        "pgmap": {
            "pgs_by_state": [{ "state_name": "active+clean", "count": 30 },
                             { "state_name": "active+undersized+degraded", "count": 2 }],
            "num_pgs": 32, "num_pools": 1, "num_objects": 1500, "data_bytes": 6442450944u64,
            "bytes_used": 19327352832u64, "bytes_avail": 12884901888u64, "bytes_total": 32212254720u64,
            "degraded_objects": 12, "degraded_total": 4500, "degraded_ratio": 0.00267,
            "read_bytes_sec": 0, "write_bytes_sec": 4194304, "read_op_per_sec": 0, "write_op_per_sec": 1,
        },
        "digest_age_ms": 1234,
    });
    let expected = "  cluster:
    id:     8f14e45f-ceea-467f-a0e6-d3b0b1a2c3d4
    health: HEALTH_WARN
            1 osds down

  services:
    mon: 3 daemons, quorum a,b (leader a), out of quorum: c
    mgr: x(active)
    osd: 3 osds: 2 up, 3 in

  data:
    pools:   1 pools, 32 pgs
    objects: 1.5k objects, 6 GiB
    usage:   18 GiB used, 12 GiB / 30 GiB avail
    pgs:     12/4500 objects degraded (0.267%)
             30 active+clean
             2 active+undersized+degraded

  io:
    client:   4 MiB/s wr, 1 op/s wr

  data and io are 1.2 s old
";
    assert_eq!(plain(&["status"], "", &status), expected);
    assert_eq!(plain(&["health"], "", &status["health"]), "HEALTH_WARN 1 osds down");
    assert_eq!(
        plain(&["health", "detail"], "", &status["health"]),
        "HEALTH_WARN 1 osds down\n[WRN] OSD_DOWN: 1 osds down\n    osd.2 is down\n"
    );
}

#[test]
fn the_tree_is_indented_and_buckets_weigh_what_they_hold() {
    let tree = json!({ "nodes": [
        { "id": -1, "name": "default", "type": "root", "children": [-2] },
        { "id": -2, "name": "host0", "type": "host", "children": [1, 0] },
        { "id": 0, "name": "osd.0", "type": "osd", "crush_weight": 0.5, "status": "up", "reweight": 1.0,
          "primary_affinity": 1.0, "device_class": "hdd" },
        { "id": 1, "name": "osd.1", "type": "osd", "crush_weight": 0.25, "status": "down", "reweight": 0.0,
          "primary_affinity": 1.0 },
    ], "stray": [] });
    let expected = "ID  CLASS   WEIGHT  TYPE NAME       STATUS  REWEIGHT  PRI-AFF
-1         0.75000  root default
-2         0.75000      host host0
 0  hdd    0.50000          osd.0   up       1.00000  1.00000
 1         0.25000          osd.1   down     0.00000  1.00000
";
    assert_eq!(plain(&["osd", "tree"], "", &tree), expected);
}

#[test]
fn tables_and_general_answers() {
    let df = json!({
        "stats": { "total_bytes": 1u64 << 30, "total_avail_bytes": 1u64 << 29, "total_used_raw_bytes": 1u64 << 29,
                   "total_used_raw_ratio": 0.5 },
        "pools": [{ "name": "demo", "id": 1, "stats": { "stored": 1 << 20, "objects": 7, "bytes_used": 3 << 20,
                    "percent_used": 0.00586, "max_avail": 1 << 27 } }],
    });
    let text = plain(&["df"], "", &df);
    assert!(text.contains("1 GiB  512 MiB  512 MiB  50.00\n"), "{text}");
    assert!(text.contains("demo   1   1 MiB        7  3 MiB   0.59    128 MiB\n"), "{text}");

    let dump = json!({ "pg_map": { "pg_stats": [
        { "pgid": "1.0", "state": "active+clean", "up": [0, 1, 2], "up_primary": 0, "acting": [0, 1, 2],
          "acting_primary": 0 },
    ] } });
    let text = plain(&["pg", "dump"], "", &dump);
    assert!(text.ends_with("active+clean  [0,1,2]p0  [0,1,2]p0\n"), "{text}");

    assert_eq!(plain(&["osd", "pool", "ls"], "", &json!(["demo", "other"])), "demo\nother\n");
    assert_eq!(plain(&["osd", "pool", "get", "demo", "size"], "", &json!({ "pool": "demo", "size": 3 })), "size: 3\n");
    assert_eq!(plain(&["osd", "stat"], "3 osds: 3 up", &json!({ "epoch": 1 })), "3 osds: 3 up");
    assert_eq!(plain(&["fsid"], "", &json!({ "fsid": "x" })), "{\n  \"fsid\": \"x\"\n}");
}

#[test]
fn settings_are_tables_and_their_history_shows_both_sides() {
    let dump = json!([{ "section": "osd", "mask": "host:a", "name": "log_level", "value": "debug" }]);
    assert_eq!(plain(&["config", "dump"], "", &dump), "WHO  MASK    OPTION     VALUE\nosd  host:a  log_level  debug\n");
    let log = json!([{
        "version": 7, "stamp_ms": 1_700_000_000_123u64, "by": "client.admin", "name": "reset to 2",
        "changes": [
            { "name": "osd.1/log_level", "previous_value": "trace", "new_value": null },
            { "name": "mon/mon_osd_report_timeout", "previous_value": "1min", "new_value": "90s" },
        ],
    }]);
    assert_eq!(
        plain(&["config", "log"], "", &log),
        "--- 7 --- 2023-11-14T22:13:20.123+0000 client.admin  (reset to 2)\n\
         - osd.1/log_level = trace\n\
         - mon/mon_osd_report_timeout = 1min\n\
         + mon/mon_osd_report_timeout = 90s\n"
    );
}
