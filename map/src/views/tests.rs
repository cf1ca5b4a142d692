//! The views of a map with something in every field, against what Ceph's tools would print of it.

use serde_json::{Value, json};
use types::OsdId;

use super::*;
use crate::{Change, sample};

fn json_of(view: &impl serde::Serialize) -> Value {
    serde_json::to_value(view).unwrap()
}

#[test]
fn times_are_dates() {
    assert_eq!(timestamp(0), "1970-01-01T00:00:00.000000+0000");
    assert_eq!(timestamp(951_782_400_000), "2000-02-29T00:00:00.000000+0000");
    assert_eq!(timestamp(1_700_000_000_123), "2023-11-14T22:13:20.123000+0000");
    assert_eq!(timestamp(4_107_542_399_999), "2100-02-28T23:59:59.999000+0000");
    assert_eq!(timestamp(4_107_542_400_000), "2100-03-01T00:00:00.000000+0000");
}

#[test]
fn the_tree_has_cephs_fields() {
    let tree = json_of(&osd_tree(&sample::full()));
    let nodes = tree["nodes"].as_array().unwrap();
    assert_eq!(
        nodes[0],
        json!({"id": -1, "name": "default", "type": "root", "type_id": 11, "children": [-5, -4, -3, -2]})
    );
    assert_eq!(
        nodes[1],
        json!({"id": -2, "name": "host0", "type": "host", "type_id": 1, "pool_weights": {}, "children": [1, 0]})
    );
    assert_eq!(
        nodes[3],
        json!({"id": 1, "name": "osd.1", "type": "osd", "type_id": 0, "crush_weight": 1, "depth": 2,
            "pool_weights": {}, "exists": 1, "status": "down", "reweight": 0, "primary_affinity": 1})
    );
    assert_eq!(nodes[5]["primary_affinity"], json!(0.5));
    let gone = nodes.iter().find(|node| node["id"] == 7).unwrap();
    assert_eq!((&gone["exists"], &gone["status"]), (&json!(0), &json!("down")));
    let stray = tree["stray"].as_array().unwrap();
    assert_eq!(stray.len(), 1);
    assert_eq!((&stray[0]["name"], &stray[0]["crush_weight"]), (&json!("osd.9"), &json!(0)));
}

#[test]
fn the_dump_has_cephs_fields() {
    let map = sample::full();
    let dump = json_of(&osd_dump(&map));
    assert_eq!(dump["epoch"], 3);
    assert_eq!(dump["fsid"], "abababab-abab-abab-abab-abababababab");
    assert_eq!(dump["modified"], "2023-11-14T22:13:20.002000+0000");
    assert_eq!((&dump["flags"], &dump["flags_set"]), (&json!("noout,noscrub"), &json!(["noout", "noscrub"])));
    let ratios = [&dump["nearfull_ratio"], &dump["backfillfull_ratio"], &dump["full_ratio"]];
    assert_eq!(ratios, [&json!(0.8), &json!(0.88), &json!(0.96)]);
    assert_eq!((&dump["pool_max"], &dump["max_osd"]), (&json!(3), &json!(10)));
    assert_eq!(dump["pg_upmap"], json!([{"pgid": "1.0", "osds": [0, 2, 4]}]));
    let replacements = json!([{"from": 0, "to": 5}, {"from": 2, "to": 4}]);
    assert_eq!(dump["pg_upmap_items"], json!([{"pgid": "1.1", "mappings": replacements}]));
    assert_eq!(dump["pg_upmap_primaries"], json!([{"pgid": "1.2", "primary_osd": 5}]));
    let hole = 2_147_483_647;
    assert_eq!(dump["pg_temp"], json!([{"pgid": "1.3", "osds": [2, 4]}, {"pgid": "2.1", "osds": [2, hole, 4]}]));
    assert_eq!(dump["primary_temp"], json!(["1.4", 6]));
    assert_eq!(dump["blocklist"], json!({"client.17": "2023-11-14T22:19:20.000000+0000"}));

    let osds = dump["osds"].as_array().unwrap();
    assert_eq!(osds.len(), 8);
    let up = &osds[2];
    assert_eq!((&up["osd"], &up["up"], &up["in"], &up["weight"]), (&json!(2), &json!(1), &json!(1), &json!(1)));
    assert_eq!(up["public_addr"], "10.0.0.1:6802/3");
    assert_eq!(up["public_addrs"], json!({"addrvec": [{"type": "v2", "addr": "10.0.0.1:6802", "nonce": 3}]}));
    assert_eq!(up["state"], json!(["exists", "up"]));
    assert_eq!((&up["last_clean_begin"], &up["last_clean_end"]), (&json!(1), &json!(2)));
    assert_eq!(osds[1]["state"], json!(["exists", "autoout"]));
    assert_eq!(osds[1]["public_addr"], ":/0");
    assert_eq!(osds[4]["state"], json!(["exists", "up", "noup"]));
    assert_eq!(dump["osd_xinfo"][1], json!({"osd": 1, "old_weight": 1, "dead_epoch": 3}));
}

#[test]
fn pools_have_cephs_fields() {
    let map = sample::full();
    let pools = json_of(&pools(&map));
    let expected = json!({
        "pool": 1, "pool_id": 1, "pool_name": "pool1", "flags": 1, "flags_names": "hashpspool", "type": 1, "size": 3,
        "min_size": 2, "crush_rule": 0, "object_hash": 2, "pg_autoscale_mode": "on", "pg_num": 12,
        "pg_placement_num": 12, "pg_placement_num_target": 12, "pg_num_target": 12, "last_change": "3",
        "snap_mode": "pool", "snap_seq": 7, "pool_snaps": [{"snapid": 5, "name": "monday"}],
        "removed_snaps": "[3~2]", "quota_max_bytes": 1_099_511_627_776_u64, "quota_max_objects": 1_000_000,
        "erasure_code_profile": "", "options": {"compression_mode": "none"},
        "application_metadata": {"rbd": {"key": "value"}}, "created": 3,
    });
    assert_eq!(pools[0], expected);
    assert_eq!((&pools[1]["type"], &pools[1]["erasure_code_profile"]), (&json!(3), &json!("k=2 m=1")));
}

#[test]
fn lookups_find_what_is_there() {
    let map = sample::full();
    assert_eq!(map.pool_by_name("pool2").unwrap().id.0, 2);
    assert!(map.pool_by_name("pool3").is_none());
    assert_eq!(map.free_osd(), OsdId(7));
    assert_eq!(map.up_osds().count(), 5);
    assert_eq!(map.in_osds().count(), 6);
    assert_eq!(map.pgs().count(), 20);
    let next =
        sample::changed(&map, vec![Change::OsdCreate { osd: map.free_osd(), uuid: sample::uuid_of(OsdId(7), 4) }]);
    assert_eq!(next.free_osd(), OsdId(8));
}
