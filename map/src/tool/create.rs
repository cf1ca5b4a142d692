//! Making a simple map, and taking OSDs for up and in.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use crush::CrushMap;
use types::{ClusterId, Epoch, OsdId, OsdUuid, PoolId, Result, Uuid, limits};

use crate::{ClusterMap, OsdState, Pool, PoolFlags, PoolKind, Weight, conversion::from_crush};

/// Ceph's `osd_pg_bits`.
const PG_BITS: u32 = 6;

/// A map of epoch 0 with so many devices on one host, which do not exist as OSDs yet.
pub(super) fn simple_map(count: u32, now_ms: u64) -> Result<ClusterMap> {
    let mut map = ClusterMap::first(ClusterId(Uuid([0; 16])), BTreeMap::new(), now_ms)?;
    let mut hierarchy = CrushMap::clone(&map.crush);
    let location = [("host", "localhost"), ("rack", "localrack"), ("root", "default")];
    for device in 0..count.min(limits::OSD_COUNT_MAX) {
        let device = i32::try_from(device).expect("the limit on OSDs fits");
        hierarchy.add_osd(device, crush::WEIGHT_ONE, &location).map_err(from_crush)?;
    }
    map.crush = Arc::new(hierarchy);
    map.epoch = Epoch::ZERO;
    Ok(map)
}

/// Adds the pool that Ceph's tool adds.
pub(super) fn add_default_pool(map: &mut ClusterMap, count: u32, pg_bits: Option<u32>, pgp_bits: Option<u32>) {
    let pg_bits = pg_bits.unwrap_or(PG_BITS);
    let pgp_bits = pgp_bits.unwrap_or(PG_BITS).min(pg_bits);
    let shifted = |bits: u32| u32::try_from(u64::from(count) << bits.min(31)).unwrap_or(u32::MAX);
    let pool = Pool {
        id: map.pool_next,
        name: "rbd".to_owned(),
        kind: PoolKind::Replicated,
        size: 3,
        min_size: 2,
        crush_rule: 0,
        object_hash: 2,
        pg_num: shifted(pg_bits),
        pgp_num: shifted(pgp_bits),
        flags: PoolFlags::HASHPSPOOL,
        quota_bytes: 0,
        quota_objects: 0,
        applications: BTreeMap::from([("rbd".to_owned(), BTreeMap::new())]),
        snapshot_sequence: 0,
        snapshots: BTreeMap::new(),
        removed_snapshots: types::SnapshotRanges::default(),
        options: BTreeMap::new(),
        created: Epoch::ZERO,
        changed: Epoch::ZERO,
    };
    map.pool_next = PoolId(pool.id.0 + 1);
    map.pools.insert(pool.id, Arc::new(pool));
}

/// One past the highest device that exists or stands in the hierarchy.
pub(super) fn device_count(map: &ClusterMap) -> u32 {
    let by_osds = map.osds.last_key_value().map_or(0, |(osd, _)| osd.0 + 1);
    by_osds.max(u32::try_from(map.crush.max_devices()).unwrap_or(0)).min(limits::OSD_COUNT_MAX)
}

/// Takes an OSD for in; it exists from then on.
pub(super) fn mark_in(map: &mut ClusterMap, osd: OsdId) {
    map.osds.entry(osd).or_insert_with(|| supposed(osd)).weight = Weight::ONE;
}

/// Takes an OSD that exists for up.
pub(super) fn mark_up(map: &mut ClusterMap, osd: OsdId) {
    let epoch = map.epoch;
    if let Some(state) = map.osds.get_mut(&osd) {
        state.up = true;
        state.up_from = state.up_from.max(Epoch(1)).min(epoch.max(Epoch(1)));
        state.dead_epoch = Epoch::ZERO;
        // A map for trying has nobody to talk to.
        state.address.get_or_insert(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
    }
}

/// An OSD that nobody has seen.
fn supposed(osd: OsdId) -> OsdState {
    let mut uuid = [0; 16];
    uuid[12..].copy_from_slice(&osd.0.to_be_bytes());
    OsdState::new(OsdUuid(Uuid(uuid)))
}
