//! Cluster maps to measure on: OSDs in hosts, all up and in, with pools of three copies.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use crush::CrushMap;
use map::{Change, ClusterMap, Increment, Pool, PoolFlags, PoolKind, PublishedMap, Weight};
use types::{BootNonce, ClusterId, Epoch, Error, OsdId, OsdUuid, PoolId, Result, Uuid};

/// Copies of placement groups that an OSD has on average: what operators are advised to aim at.
pub(crate) const COPIES_PER_OSD: u32 = 100;
/// Copies of a placement group.
pub(crate) const SIZE: u32 = 3;
/// The first pool.
pub(crate) const POOL: PoolId = PoolId(1);

fn host_of(osd: u32, hosts: u32) -> String {
    format!("host{}", osd % hosts)
}

fn invalid(error: crush::Error) -> Error {
    Error::invalid(error.to_string())
}

/// Puts one more OSD into the hierarchy.
pub(crate) fn place_osd(hierarchy: &mut CrushMap, osd: u32, hosts: u32) -> Result<()> {
    let device = i32::try_from(osd).map_err(|error| Error::invalid(error.to_string()))?;
    let host = host_of(osd, hosts);
    hierarchy.add_osd(device, crush::WEIGHT_ONE, &[("host", &host), ("root", "default")]).map_err(invalid)
}

/// Takes an OSD out of the hierarchy.
pub(crate) fn remove_osd(hierarchy: &mut CrushMap, osd: u32) -> Result<()> {
    let device = i32::try_from(osd).map_err(|error| Error::invalid(error.to_string()))?;
    hierarchy.remove(device).map_err(invalid)
}

/// An OSD that is there, up and in.
pub(crate) fn arrival(osd: u32, hosts: u32) -> [Change; 3] {
    let mut uuid = [0; 16];
    uuid[..4].copy_from_slice(&osd.to_le_bytes());
    let uuid = OsdUuid(Uuid(uuid));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 6800));
    let (osd, host) = (OsdId(osd), host_of(osd, hosts));
    [
        Change::OsdCreate { osd, uuid },
        Change::OsdUp { osd, uuid, address, nonce: BootNonce(1), host },
        Change::OsdWeight { osd, weight: Weight::ONE, weight_before_out: None },
    ]
}

/// A cluster with pools of so many placement groups.
pub(crate) fn cluster(osds: u32, hosts: u32, pools: &[u32]) -> Result<Arc<PublishedMap>> {
    let first = ClusterMap::first(ClusterId(Uuid([1; 16])), BTreeMap::new(), 0)?;
    let mut hierarchy = CrushMap::clone(&first.crush);
    let mut changes = Vec::new();
    for osd in 0..osds {
        place_osd(&mut hierarchy, osd, hosts)?;
        changes.extend(arrival(osd, hosts));
    }
    changes.push(Change::Crush(Arc::new(hierarchy)));
    changes.extend((1..).zip(pools).map(|(id, pg_num)| Change::PoolSet(Arc::new(pool(PoolId(id), *pg_num)))));
    PublishedMap::new(first.apply(&Increment::new(&first, 0, changes)?)?)
}

fn pool(id: PoolId, pg_num: u32) -> Pool {
    Pool {
        id,
        name: format!("data{id}"),
        kind: PoolKind::Replicated,
        size: SIZE,
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
