//! Maps for tests: a small cluster with something in every field, and random changes for it.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use types::{BootNonce, ClientId, ClusterId, Epoch, MonId, OsdId, OsdUuid, PgId, PoolId, SeededRandom, Uuid};

use crate::{
    BlocklistEntry, Change, ClusterFlags, ClusterMap, Death, FullRatios, HOLE, Increment, ManagerEntry, Managers,
    MonitorEntry, Pool, PoolFlags, PoolKind, Weight,
};

pub(crate) fn pg(text: &str) -> PgId {
    text.parse().unwrap()
}

pub(crate) fn uuid_of(osd: OsdId, life: u8) -> OsdUuid {
    let mut bytes = [life; 16];
    bytes[..4].copy_from_slice(&osd.0.to_le_bytes());
    OsdUuid(Uuid(bytes))
}

pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), port))
}

pub(crate) fn boot(osd: OsdId, life: u8) -> Change {
    Change::OsdUp {
        osd,
        uuid: uuid_of(osd, life),
        address: address(6800 + u16::try_from(osd.0).unwrap()),
        nonce: BootNonce(u64::from(osd.0) + 1),
        host: format!("host{}", osd.0 / 2),
    }
}

pub(crate) fn replicated_pool(id: u64, pg_num: u32) -> Pool {
    Pool {
        id: PoolId(id),
        name: format!("pool{id}"),
        kind: PoolKind::Replicated,
        size: 3,
        min_size: 2,
        crush_rule: 0,
        object_hash: 2,
        pg_num,
        pgp_num: pg_num,
        flags: PoolFlags::HASHPSPOOL,
        quota_bytes: 0,
        quota_objects: 0,
        applications: BTreeMap::new(),
        snapshot_sequence: 0,
        snapshots: BTreeMap::new(),
        removed_snapshots: types::SnapshotRanges::default(),
        options: BTreeMap::new(),
        created: Epoch::ZERO,
        changed: Epoch::ZERO,
    }
}

pub(crate) fn erasure_pool(id: u64, pg_num: u32) -> Pool {
    Pool { kind: PoolKind::Erasure { data_shards: 2, parity_shards: 1 }, min_size: 3, ..replicated_pool(id, pg_num) }
}

pub(crate) fn empty() -> ClusterMap {
    let monitors = (0..3).map(|number: u16| {
        let entry = MonitorEntry { name: format!("m{number}"), address: address(3300 + number) };
        (MonId(u64::from(number)), entry)
    });
    ClusterMap::first(ClusterId(Uuid([0xab; 16])), monitors.collect(), 1_700_000_000_000).unwrap()
}

pub(crate) fn changed(map: &ClusterMap, changes: Vec<Change>) -> ClusterMap {
    let increment = Increment::new(map, map.modified_ms + 1, changes).unwrap();
    map.apply(&increment).unwrap()
}

/// `count` OSDs, two to a host, up and in.
pub(crate) fn with_osds(count: u32) -> ClusterMap {
    let mut map = empty();
    let mut crush = crush::CrushMap::clone(&map.crush);
    let mut changes = Vec::new();
    for osd in (0..count).map(OsdId) {
        let host = format!("host{}", osd.0 / 2);
        crush.add_osd(i32::try_from(osd.0).unwrap(), 0x10000, &[("host", &host), ("root", "default")]).unwrap();
        changes.push(Change::OsdCreate { osd, uuid: uuid_of(osd, 1) });
        changes.push(boot(osd, 1));
        changes.push(Change::OsdWeight { osd, weight: Weight::ONE, weight_before_out: None });
    }
    changes.push(Change::Crush(Arc::new(crush)));
    map = changed(&map, changes);
    map
}

/// Every kind of change at least once: the map that comes out has a value in every field.
pub(crate) fn every_change() -> Vec<Change> {
    let mut pool = replicated_pool(1, 12);
    pool.quota_bytes = 1 << 40;
    pool.quota_objects = 1_000_000;
    pool.applications.insert("rbd".to_owned(), BTreeMap::from([("key".to_owned(), "value".to_owned())]));
    pool.snapshot_sequence = 7;
    pool.snapshots.insert(5, "monday".to_owned());
    pool.removed_snapshots.insert(types::SnapshotId(3));
    pool.removed_snapshots.insert(types::SnapshotId(4));
    pool.options.insert("compression_mode".to_owned(), "none".to_owned());
    let manager =
        |name: &str, port| ManagerEntry { name: name.to_owned(), address: address(port), nonce: BootNonce(9) };
    let standby = manager("y", 7002);
    vec![
        Change::Flags(ClusterFlags::NOOUT.with(ClusterFlags::NOSCRUB)),
        Change::PoolSet(Arc::new(pool)),
        Change::PoolSet(Arc::new(erasure_pool(2, 8))),
        Change::PoolSet(Arc::new(replicated_pool(3, 4))),
        Change::PoolRemove(PoolId(3)),
        Change::OsdCreate { osd: OsdId(9), uuid: uuid_of(OsdId(9), 1) },
        Change::OsdDown { osd: OsdId(1), dead: Death::Proven },
        Change::OsdWeight { osd: OsdId(1), weight: Weight::ZERO, weight_before_out: Some(Weight::ONE) },
        Change::OsdDown { osd: OsdId(3), dead: Death::Possible },
        Change::OsdLost { osd: OsdId(3) },
        Change::OsdDown { osd: OsdId(7), dead: Death::Possible },
        Change::OsdRemove { osd: OsdId(7) },
        Change::OsdPrimaryAffinity { osd: OsdId(2), affinity: Weight(0x8000) },
        Change::OsdUpThru { osd: OsdId(2), epoch: Epoch(2) },
        Change::OsdLastClean { osd: OsdId(2), begin: Epoch(1), end: Epoch(2) },
        Change::OsdFlags { osd: OsdId(4), flags: ClusterFlags::NOUP },
        Change::PgUpmap(pg("1.0"), Some(vec![OsdId(0), OsdId(2), OsdId(4)])),
        Change::PgUpmapItems(pg("1.1"), Some(vec![(OsdId(0), OsdId(5)), (OsdId(2), OsdId(4))])),
        Change::PgUpmapPrimary(pg("1.2"), Some(OsdId(5))),
        Change::PgTemp(pg("1.3"), Some(vec![OsdId(2), OsdId(4)])),
        Change::PgTemp(pg("2.1"), Some(vec![OsdId(2), HOLE, OsdId(4)])),
        Change::PrimaryTemp(pg("1.4"), Some(OsdId(6))),
        Change::PgCreated(pg("1.5")),
        Change::Monitor(
            MonId(3),
            Some(MonitorEntry { name: "m3".to_owned(), address: SocketAddr::from((Ipv6Addr::LOCALHOST, 3303)) }),
        ),
        Change::Monitor(MonId(0), None),
        Change::Managers(Managers {
            active: Some(manager("x", 7001)),
            standbys: BTreeMap::from([(standby.name.clone(), standby)]),
        }),
        Change::Blocklist(BlocklistEntry::Client(ClientId(17)), Some(1_700_000_360_000)),
        Change::FullRatios(FullRatios { nearfull_permille: 800, backfillfull_permille: 880, full_permille: 960 }),
        Change::ClientNext(ClientId(1001)),
        Change::Gates { protocol_min: 1, require_osd_release: 1 },
    ]
}

/// A map with a value in every field.
pub(crate) fn full() -> ClusterMap {
    changed(&with_osds(8), every_change())
}

/// A change that fits the map more often than not.
pub(crate) fn random_change(map: &ClusterMap, random: &mut SeededRandom) -> Change {
    let osd = OsdId(u32::try_from(random.below(10)).unwrap());
    let other = OsdId(u32::try_from(random.below(10)).unwrap());
    let third = OsdId(u32::try_from(random.below(10)).unwrap());
    let pool = PoolId(1 + random.below(map.pool_next.0));
    let pg_num = map.pools.get(&pool).map_or(4, |pool| pool.pg_num);
    let pg = PgId { pool, seed: u32::try_from(random.below(u64::from(pg_num) + 1)).unwrap() };
    let weight = |random: &mut SeededRandom| Weight(u32::try_from(random.below(5) * 0x4000).unwrap());
    let keep = random.chance(3, 4);
    match random.below(21) {
        0 => Change::Flags(ClusterFlags(random.below(1 << 10))),
        1 => Change::OsdCreate { osd, uuid: uuid_of(osd, 1) },
        2 | 3 => boot(osd, u8::try_from(1 + random.below(2)).unwrap()),
        4 | 5 => Change::OsdDown { osd, dead: if keep { Death::Possible } else { Death::Proven } },
        6 => Change::OsdWeight { osd, weight: weight(random), weight_before_out: keep.then_some(Weight::ONE) },
        7 => Change::OsdPrimaryAffinity { osd, affinity: weight(random) },
        8 => Change::OsdUpThru { osd, epoch: map.epoch },
        9 => Change::OsdRemove { osd },
        10 => {
            let mut next = map.pools.get(&pool).map_or_else(|| replicated_pool(pool.0, 4), |pool| Pool::clone(pool));
            next.pg_num = 1 + u32::try_from(random.below(16)).unwrap();
            next.pgp_num = next.pg_num;
            Change::PoolSet(Arc::new(next))
        }
        11 => Change::PoolSet(Arc::new(if keep {
            replicated_pool(map.pool_next.0, 8)
        } else {
            erasure_pool(map.pool_next.0, 8)
        })),
        12 => Change::PoolRemove(pool),
        13 => Change::PgUpmap(pg, keep.then(|| vec![osd, other, third])),
        14 => Change::PgUpmapItems(pg, keep.then(|| vec![(osd, other)])),
        15 => Change::PgUpmapPrimary(pg, keep.then_some(osd)),
        16 => Change::PgTemp(pg, keep.then(|| vec![osd, other])),
        17 => Change::PrimaryTemp(pg, keep.then_some(osd)),
        18 => Change::PgCreated(pg),
        19 => Change::Configuration {
            option: "log_level".to_owned(),
            target: ["global", "osd.1"][usize::from(keep)].parse().unwrap(),
            value: random.chance(2, 3).then(|| "debug".to_owned()),
        },
        _ => Change::Blocklist(BlocklistEntry::Client(ClientId(random.below(4))), keep.then_some(random.below(1000))),
    }
}
