//! The map that a new cluster begins with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crush::{CrushMap, Mode};
use types::{ClientId, ClusterId, Epoch, MonId, PoolId, Result};

use crate::{ClusterFlags, ClusterMap, Configuration, FullRatios, Managers, MonitorEntry, conversion::from_crush};

/// The root that OSDs land under unless somebody says otherwise. Ceph's name.
const ROOT: &str = "default";

/// The rule that pools use unless somebody says otherwise. Ceph's name.
const RULE: &str = "replicated_rule";

/// The protocol version that this release speaks at least.
const FIRST_PROTOCOL: u32 = 1;

/// The features that every release has: the gate of the first format.
const FIRST_RELEASE: u32 = 1;

impl ClusterMap {
    /// Epoch 1: these monitors, no OSDs, no pools, a placement hierarchy with an empty root `default` of Ceph's types, and
    /// rule 0, `replicated_rule`, that puts each copy on another host.
    ///
    /// # Errors
    /// `Internal` when the placement hierarchy cannot be made, which would be a fault of this release.
    pub fn first(cluster: ClusterId, monitors: BTreeMap<MonId, MonitorEntry>, modified_ms: u64) -> Result<Self> {
        Ok(Self {
            cluster,
            epoch: Epoch(1),
            modified_ms,
            flags: ClusterFlags::default(),
            osds: BTreeMap::new(),
            pools: BTreeMap::new(),
            pool_next: PoolId(1),
            crush: Arc::new(first_hierarchy()?),
            pg_upmap: BTreeMap::new(),
            pg_upmap_items: BTreeMap::new(),
            pg_upmap_primary: BTreeMap::new(),
            pg_temp: BTreeMap::new(),
            primary_temp: BTreeMap::new(),
            creating_pgs: BTreeSet::new(),
            monitors,
            managers: Managers::default(),
            blocklist: BTreeMap::new(),
            full_ratios: FullRatios::default(),
            client_next: ClientId(1),
            protocol_min: FIRST_PROTOCOL,
            require_osd_release: FIRST_RELEASE,
            configuration: Configuration::default(),
            later_fields: None,
        })
    }
}

fn first_hierarchy() -> Result<CrushMap> {
    let mut hierarchy = CrushMap::new_default();
    hierarchy.create_simple_rule(RULE, ROOT, "host", Mode::FirstN, None).map_err(from_crush)?;
    Ok(hierarchy)
}
