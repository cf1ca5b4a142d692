//! `osd pool ls detail`, and the pools of `osd dump`.

use std::collections::BTreeMap;

use serde::Serialize;

use types::SnapshotRanges;

use crate::{ClusterMap, Pool, PoolFlags, PoolKind};

/// Names of pool flags by bit, as Ceph prints them.
const FLAG_NAMES: [(u32, &str); 17] = [
    (0, "hashpspool"),
    (1, "full"),
    (4, "nodelete"),
    (5, "nopgchange"),
    (6, "nosizechange"),
    (7, "write_fadvise_dontneed"),
    (8, "noscrub"),
    (9, "nodeep-scrub"),
    (10, "full_quota"),
    (11, "nearfull"),
    (12, "backfillfull"),
    (13, "selfmanaged_snaps"),
    (14, "pool_snaps"),
    (15, "creating"),
    (16, "eio"),
    (17, "bulk"),
    (18, "crimson"),
];

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolView {
    /// Its number, as `osd dump` calls it.
    pub pool: u64,
    /// Its number, as `osd pool ls detail` calls it.
    pub pool_id: u64,
    /// Its name.
    pub pool_name: String,
    /// Flag bits.
    pub flags: u64,
    /// Flag names, joined by commas.
    pub flags_names: String,
    /// 1 replicated, 3 erasure.
    #[serde(rename = "type")]
    pub kind: u32,
    /// Copies, or shards.
    pub size: u32,
    /// Copies that must be there for writes.
    pub min_size: u32,
    /// The rule's number.
    pub crush_rule: u32,
    /// The string hash's number.
    pub object_hash: u32,
    /// Whether placement groups are split and merged by themselves.
    pub pg_autoscale_mode: String,
    /// Placement groups.
    pub pg_num: u32,
    /// Placement groups that placement tells apart.
    pub pg_placement_num: u32,
    /// The same, while a change of it is under way; here it is done at once.
    pub pg_placement_num_target: u32,
    /// Placement groups, while a change of it is under way; here it is done at once.
    pub pg_num_target: u32,
    /// Epoch in which anything about it last changed.
    pub last_change: String,
    /// `pool` when it has named snapshots, `selfmanaged` otherwise.
    pub snap_mode: &'static str,
    /// Highest snapshot number given.
    pub snap_seq: u64,
    /// Named snapshots.
    pub pool_snaps: Vec<PoolSnapshotView>,
    /// Snapshots to be trimmed, as ranges `[first~count,…]` in hexadecimal.
    pub removed_snaps: String,
    /// Most bytes of user data; zero is no quota.
    pub quota_max_bytes: u64,
    /// Most objects; zero is no quota.
    pub quota_max_objects: u64,
    /// For erasure-coded pools the numbers of data and parity shards, as `k=2 m=1`; otherwise empty.
    pub erasure_code_profile: String,
    /// The operator's settings.
    pub options: BTreeMap<String, String>,
    /// Application tags with their values.
    pub application_metadata: BTreeMap<String, BTreeMap<String, String>>,
    /// Epoch in which it was made.
    pub created: u32,
}

/// A named snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolSnapshotView {
    /// Its number.
    pub snapid: u64,
    /// Its name.
    pub name: String,
}

/// The pools of a map, by number.
pub fn pools(map: &ClusterMap) -> Vec<PoolView> {
    map.pools.values().map(|pool| pool_view(pool)).collect()
}

fn pool_view(pool: &Pool) -> PoolView {
    let (kind, erasure_code_profile) = match pool.kind {
        PoolKind::Replicated => (1, String::new()),
        PoolKind::Erasure { data_shards, parity_shards } => (3, format!("k={data_shards} m={parity_shards}")),
    };
    let flags: Vec<_> =
        FLAG_NAMES.iter().filter(|(bit, _)| pool.flags.0 >> bit & 1 == 1).map(|(_, name)| *name).collect();
    let snapshots = pool.snapshots.iter().map(|(id, name)| PoolSnapshotView { snapid: *id, name: name.clone() });
    PoolView {
        pool: pool.id.0,
        pool_id: pool.id.0,
        pool_name: pool.name.clone(),
        flags: pool.flags.0,
        flags_names: flags.join(","),
        kind,
        size: pool.size,
        min_size: pool.min_size,
        crush_rule: pool.crush_rule,
        object_hash: pool.object_hash,
        pg_autoscale_mode: pool.options.get("pg_autoscale_mode").cloned().unwrap_or_else(|| "on".to_owned()),
        pg_num: pool.pg_num,
        pg_placement_num: pool.pgp_num,
        pg_placement_num_target: pool.pgp_num,
        pg_num_target: pool.pg_num,
        last_change: pool.changed.to_string(),
        snap_mode: if pool.snapshots.is_empty() && !pool.flags.contains(PoolFlags::POOL_SNAPSHOTS) {
            "selfmanaged"
        } else {
            "pool"
        },
        snap_seq: pool.snapshot_sequence,
        pool_snaps: snapshots.collect(),
        removed_snaps: ranges(&pool.removed_snapshots),
        quota_max_bytes: pool.quota_bytes,
        quota_max_objects: pool.quota_objects,
        erasure_code_profile,
        options: pool.options.clone(),
        application_metadata: pool.applications.clone(),
        created: pool.created.0,
    }
}

/// As Ceph prints a set of intervals.
fn ranges(removed: &SnapshotRanges) -> String {
    let runs: Vec<_> = removed.iter().map(|range| format!("{:x}~{:x}", range.first.0, range.count)).collect();
    format!("[{}]", runs.join(","))
}
