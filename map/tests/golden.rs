//! Placement against Ceph's own answers: `tests/vectors/osdmaps.jsonl.gz` holds what `osdmaptool --test-map-pgs-dump-all` and
//! `ceph osd map` of Ceph 16.2.15 say of ten maps with exceptions, down, reweighted and out OSDs, and affinities.

#![expect(clippy::unwrap_used, reason = "the vectors have the form that their README says, or the test fails")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use crush::CrushMap;
use flate2::read::GzDecoder;
use map::{
    Change, ClusterFlags, ClusterMap, Increment, Mapping, OsdState, Pool, PoolFlags, PoolKind, PublishedMap, Weight,
};
use serde_json::Value;
use types::{BootNonce, ClusterId, Epoch, MonId, ObjectName, OsdId, OsdUuid, PgId, PoolId, SeededRandom, Uuid};

fn vectors() -> Vec<Value> {
    let bytes: &[u8] = include_bytes!("vectors/osdmaps.jsonl.gz");
    let lines = BufReader::new(GzDecoder::new(bytes)).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number from zero"))
}

fn small(value: &Value) -> u32 {
    u32::try_from(number(value)).unwrap()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn pg(value: &Value) -> PgId {
    value.as_str().unwrap().parse().unwrap()
}

fn osds(value: &Value) -> Vec<Option<OsdId>> {
    items(value).iter().map(osd).collect()
}

fn osd(value: &Value) -> Option<OsdId> {
    u32::try_from(value.as_i64().unwrap()).ok().map(OsdId)
}

fn osd_state(id: u32, row: &[Value]) -> OsdState {
    let mut uuid = [7; 16];
    uuid[..4].copy_from_slice(&id.to_le_bytes());
    OsdState {
        uuid: OsdUuid(Uuid(uuid)),
        up: number(&row[1]) == 1,
        weight: Weight(small(&row[2])),
        weight_before_out: None,
        primary_affinity: Weight(small(&row[3])),
        address: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 6800))),
        nonce: BootNonce(1),
        host: "host".to_owned(),
        up_from: Epoch(1),
        up_thru: Epoch::ZERO,
        down_at: Epoch::ZERO,
        dead_epoch: Epoch::ZERO,
        last_clean_begin: Epoch::ZERO,
        last_clean_end: Epoch::ZERO,
        flags: ClusterFlags::default(),
        lost_at: Epoch::ZERO,
    }
}

fn pool(value: &Value) -> Pool {
    let size = small(&value["size"]);
    let min_size = small(&value["min_size"]);
    let kind = match number(&value["type"]) {
        1 => PoolKind::Replicated,
        _ => PoolKind::Erasure { data_shards: min_size - 1, parity_shards: size + 1 - min_size },
    };
    Pool {
        id: PoolId(number(&value["pool"])),
        name: value["pool_name"].as_str().unwrap().to_owned(),
        kind,
        size,
        min_size,
        crush_rule: small(&value["crush_rule"]),
        object_hash: small(&value["object_hash"]),
        pg_num: small(&value["pg_num"]),
        pgp_num: small(&value["pg_placement_num"]),
        flags: PoolFlags(number(&value["flags"])),
        quota_bytes: 0,
        quota_objects: 0,
        applications: BTreeMap::new(),
        snapshot_sequence: 0,
        snapshots: BTreeMap::new(),
        removed_snapshots: types::SnapshotRanges::default(),
        options: BTreeMap::new(),
        created: Epoch(1),
        changed: Epoch(1),
    }
}

fn cluster_map(vector: &Value) -> ClusterMap {
    let mut map = ClusterMap::first(ClusterId(Uuid([1; 16])), BTreeMap::<MonId, _>::new(), 0).unwrap();
    map.crush = Arc::new(CrushMap::decode(&STANDARD.decode(vector["crush_b64"].as_str().unwrap()).unwrap()).unwrap());
    for row in items(&vector["osds"]) {
        let id = small(&row[0]);
        map.osds.insert(OsdId(id), osd_state(id, items(row)));
    }
    for value in items(&vector["pools"]) {
        let pool = pool(value);
        map.pool_next = PoolId(pool.id.0 + 1);
        map.pools.insert(pool.id, Arc::new(pool));
    }
    let set = |list: &Value| osds(list).into_iter().map(|osd| osd.unwrap_or(map::HOLE)).collect::<Vec<_>>();
    for entry in items(&vector["pg_upmap"]) {
        map.pg_upmap.insert(pg(&entry["pgid"]), set(&entry["osds"]));
    }
    for entry in items(&vector["pg_temp"]) {
        map.pg_temp.insert(pg(&entry["pgid"]), set(&entry["osds"]));
    }
    for entry in items(&vector["pg_upmap_items"]) {
        let pairs = items(&entry["mappings"]);
        let pairs = pairs.iter().map(|pair| (osd(&pair["from"]).unwrap(), osd(&pair["to"]).unwrap())).collect();
        map.pg_upmap_items.insert(pg(&entry["pgid"]), pairs);
    }
    for pair in items(&vector["primary_temp"]).chunks_exact(2) {
        map.primary_temp.insert(pg(&pair[0]), osd(&pair[1]).unwrap());
    }
    map
}

#[test]
fn every_placement_group_lives_where_ceph_says() {
    let mut compared = 0;
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let published = PublishedMap::new(cluster_map(&vector)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut placer = published.placer();
        for (key, expected) in vector["pgs"].as_object().unwrap() {
            let pg: PgId = key.parse().unwrap();
            let place = placer.place(pg);
            assert_eq!(place, published.place(pg), "{name} {pg}: a workspace's past does not matter");
            let expected = items(expected);
            assert_eq!(place.raw, osds(&expected[0]), "{name} {pg} raw");
            assert_eq!(place.up, osds(&expected[1]), "{name} {pg} up");
            assert_eq!(place.acting, osds(&expected[2]), "{name} {pg} acting");
            assert_eq!(place.raw.iter().flatten().next().copied(), osd(&expected[3]), "{name} {pg} raw primary");
            assert_eq!(place.up_primary, osd(&expected[4]), "{name} {pg} up primary");
            assert_eq!(place.acting_primary, osd(&expected[5]), "{name} {pg} acting primary");
            compared += 1;
        }
    }
    assert_eq!(compared, 3510);
}

#[test]
fn every_object_hashes_as_ceph_says() {
    let mut compared = 0;
    for vector in vectors() {
        let published = PublishedMap::new(cluster_map(&vector)).unwrap();
        for row in items(&vector["objects"]) {
            let [id, namespace, name, raw, expected] = items(row) else { panic!("{row} has five columns") };
            let object = ObjectName {
                namespace: namespace.as_str().unwrap().as_bytes().to_vec(),
                key: Vec::new(),
                name: name.as_str().unwrap().as_bytes().to_vec(),
            };
            let (found, hash) = published.object_pg(PoolId(number(id)), &object).unwrap();
            assert_eq!(PgId { pool: found.pool, seed: hash }, pg(raw), "{row}");
            assert_eq!(found, pg(expected), "{row}");
            let by_key = ObjectName { name: b"another".to_vec(), key: object.name, ..object };
            assert_eq!(published.object_pg(PoolId(number(id)), &by_key).unwrap(), (found, hash), "{row}");
            compared += 1;
        }
    }
    assert_eq!(compared, 7500);
}

#[test]
fn a_mapping_follows_lowered_weights_over_every_kind_of_rule() {
    let vectors = vectors();
    let (mut computed, mut kept) = (0, 0);
    tests_kit::for_each_seed(0..5, |seed| {
        let mut random = SeededRandom::new(seed);
        for vector in &vectors {
            let mut published = PublishedMap::new(cluster_map(vector)).unwrap();
            let mut mapping = Mapping::of(&published);
            for _ in 0..6 {
                let osd = OsdId(u32::try_from(random.below(published.osds.len() as u64)).unwrap());
                let weight = published.osds[&osd].weight.0;
                // Mostly lowered; raised now and then.
                let weight = match random.below(4) {
                    0 => Weight::ONE,
                    1 => Weight::ZERO,
                    _ => Weight(u32::try_from(random.below(u64::from(weight) + 1)).unwrap()),
                };
                let changes = vec![Change::OsdWeight { osd, weight, weight_before_out: None }];
                published = published.apply(&Increment::new(&published, 0, changes).unwrap()).unwrap();
                let work = mapping.follow(&published);
                (computed, kept) = (computed + work.computed, kept + work.kept);
                let mut placer = published.placer();
                for pg in published.pgs() {
                    assert_eq!(mapping.place(pg), placer.place(pg), "{} {pg}", vector["name"]);
                }
            }
        }
    });
    println!("{computed} groups computed, {kept} kept");
    assert!(kept > 0 && computed > 0);
}
