//! A small cluster for tests: three OSDs on two hosts, one pool of four placement groups, and what they would report.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use map::PublishedMap;
use map::{Change, ClusterMap, Increment, ManagerEntry, Managers, MonitorEntry, Pool, PoolFlags, PoolKind, Weight};
use types::{BootNonce, ClusterId, Epoch, LogVersion, MonId, OsdId, OsdUuid, PgId, PoolId, StoreUsage, Uuid};
use wire::{IoCounters, OsdStatistics, PgStateFlags, PgStatistics, StatisticsReport};

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

/// The map: `mgr.x` is active, `mgr.y` stands by, osd.2 is down.
pub(crate) fn map() -> Arc<PublishedMap> {
    let monitors = [("a", 3300), ("b", 3301)].into_iter().zip(0..);
    let monitors = monitors
        .map(|((name, port), id)| (MonId(id), MonitorEntry { name: name.to_owned(), address: address(port) }))
        .collect();
    let map = ClusterMap::first(ClusterId(Uuid([0xab; 16])), monitors, 1_700_000_000_000).unwrap();
    let mut crush = (*map.crush).clone();
    let mut changes = Vec::new();
    for number in 0..3_u16 {
        let osd = OsdId(number.into());
        let host = format!("host{}", number % 2);
        crush.add_osd(number.into(), 0x10000, &[("host", &host), ("root", "default")]).unwrap();
        let uuid = OsdUuid(Uuid([u8::try_from(number).unwrap() + 1; 16]));
        changes.push(Change::OsdCreate { osd, uuid });
        changes.push(Change::OsdUp {
            osd,
            uuid,
            address: address(6800 + number),
            nonce: BootNonce(u64::from(number) + 1),
            host,
        });
        changes.push(Change::OsdWeight { osd, weight: Weight::ONE, weight_before_out: None });
    }
    changes.push(Change::OsdDown { osd: OsdId(2), dead: map::Death::Possible });
    changes.push(Change::Crush(Arc::new(crush)));
    changes.push(Change::PoolSet(Arc::new(pool())));
    let manager =
        |name: &str, port| ManagerEntry { name: name.to_owned(), address: address(port), nonce: BootNonce(9) };
    changes.push(Change::Managers(Managers {
        active: Some(manager("x", 7001)),
        standbys: BTreeMap::from([("y".to_owned(), manager("y", 7002))]),
    }));
    let increment = Increment::new(&map, map.modified_ms + 1, changes).unwrap();
    PublishedMap::new(map.apply(&increment).unwrap()).unwrap()
}

fn pool() -> Pool {
    Pool {
        id: PoolId(1),
        name: "a \"pool\"".to_owned(),
        kind: PoolKind::Replicated,
        size: 2,
        min_size: 1,
        crush_rule: 0,
        object_hash: 2,
        pg_num: 4,
        pgp_num: 4,
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

/// A report of an OSD that leads every group and has written so many times to the first.
pub(crate) fn report(osd: OsdId, map: &PublishedMap, write_ops: u64) -> StatisticsReport {
    let pgs = map.pgs().map(|pg| PgStatistics {
        pg,
        state: PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN),
        epoch: map.epoch(),
        last_update: LogVersion::ZERO,
        up: Vec::new(),
        acting: vec![osd],
        objects: 10,
        bytes: 4096,
        degraded_copies: 0,
        misplaced_copies: 0,
        unfound_objects: 0,
        last_epoch_clean: Epoch::ZERO,
        io: match pg {
            PgId { seed: 0, .. } => IoCounters { write_ops, write_bytes: write_ops * 10, ..IoCounters::default() },
            _ => IoCounters::default(),
        },
        scrub: None,
    });
    let usage = StoreUsage { total_bytes: 1 << 30, used_bytes: 1 << 28, metadata_bytes: 1 << 20 };
    let own = OsdStatistics { osd, usage, pgs: 4, commit_latency_microseconds: 1500, slow_ops: 0, recovered_bytes: 7 };
    StatisticsReport { osd: own, pgs: pgs.collect() }
}
