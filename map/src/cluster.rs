//! The map's contents.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    sync::Arc,
};

use crush::CrushMap;
use serde::{Deserialize, Serialize};
use types::{BootNonce, ClientId, ClusterId, Epoch, MonId, OsdId, OsdUuid, PgId, PoolId};

use crate::{Configuration, LaterFields, Pool};

/// Stands for "no OSD at this position" in a temporary acting set of an erasure-coded pool. Ceph's `CRUSH_ITEM_NONE`.
pub const HOLE: OsdId = OsdId(0x7fff_ffff);

/// A share in 16.16 fixed point: 0x10000 is one. CRUSH weights, in/out weights and primary affinities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Weight(pub u32);

impl Weight {
    /// Nothing: an OSD that is out.
    pub const ZERO: Self = Self(0);
    /// All: an OSD that is in.
    pub const ONE: Self = Self(0x10000);
}

/// Cluster-wide switches, as a set of bits; the numbers are persistent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterFlags(pub u64);

impl ClusterFlags {
    /// Client reads and writes wait.
    pub const PAUSE: Self = Self(1);
    /// OSDs that boot stay down.
    pub const NOUP: Self = Self(1 << 1);
    /// Failure reports take nobody down.
    pub const NODOWN: Self = Self(1 << 2);
    /// Down OSDs stay in.
    pub const NOOUT: Self = Self(1 << 3);
    /// OSDs that boot are not marked in.
    pub const NOIN: Self = Self(1 << 4);
    /// No backfill starts.
    pub const NOBACKFILL: Self = Self(1 << 5);
    /// No recovery starts.
    pub const NORECOVER: Self = Self(1 << 6);
    /// No backfill of merely misplaced objects starts.
    pub const NOREBALANCE: Self = Self(1 << 7);
    /// No scrub starts.
    pub const NOSCRUB: Self = Self(1 << 8);
    /// No deep scrub starts.
    pub const NODEEP_SCRUB: Self = Self(1 << 9);

    /// Every flag with the name operators use.
    pub const NAMES: [(&'static str, Self); 10] = [
        ("pause", Self::PAUSE),
        ("noup", Self::NOUP),
        ("nodown", Self::NODOWN),
        ("noout", Self::NOOUT),
        ("noin", Self::NOIN),
        ("nobackfill", Self::NOBACKFILL),
        ("norecover", Self::NORECOVER),
        ("norebalance", Self::NOREBALANCE),
        ("noscrub", Self::NOSCRUB),
        ("nodeep-scrub", Self::NODEEP_SCRUB),
    ];

    /// Whether all bits of `other` are set here.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the bits that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(_, flag)| self.contains(*flag)).map(|(name, _)| name)
    }

    /// These and the bits of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without the bits of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Display for ClusterFlags {
    /// Names joined by commas, as `osd dump` prints them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for name in self.names() {
            write!(f, "{separator}{name}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// One OSD as the monitors see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsdState {
    /// Which life of this id; a wiped device has a new one and its placement groups count as absent.
    pub uuid: OsdUuid,
    /// Whether it serves.
    pub up: bool,
    /// In/out weight: zero is out, one is in, between is reweighted.
    pub weight: Weight,
    /// The weight to give back when it comes in again after an automatic out; `None` when it is in or an operator took it out.
    pub weight_before_out: Option<Weight>,
    /// How likely it leads placement groups.
    pub primary_affinity: Weight,
    /// Where its data plane listens, while up.
    pub address: Option<SocketAddr>,
    /// Its process's nonce, while up.
    pub nonce: BootNonce,
    /// The host it runs on, for failure reports and proofs of death.
    pub host: String,
    /// Epoch in which it was last marked up.
    pub up_from: Epoch,
    /// Last epoch of whose interval it is proven that it could have served writes.
    pub up_thru: Epoch,
    /// Epoch in which it was last marked down.
    pub down_at: Epoch,
    /// Epoch in which its last incarnation was proven dead (its address refused connections); zero: not proven.
    pub dead_epoch: Epoch,
    /// First epoch of its last clean interval.
    pub last_clean_begin: Epoch,
    /// Last epoch of its last clean interval.
    pub last_clean_end: Epoch,
    /// Cluster flags that hold for this OSD only.
    pub flags: ClusterFlags,
    /// Declared lost by an operator up to this epoch: peering need not wait for it.
    pub lost_at: Epoch,
}

impl OsdState {
    /// Whether placement may give it data.
    pub fn is_in(&self) -> bool {
        self.weight > Weight::ZERO
    }
}

/// A monitor's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonitorEntry {
    /// Its name: the letter in `mon.a`.
    pub name: String,
    /// Where its control plane listens.
    pub address: SocketAddr,
}

/// A manager's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagerEntry {
    /// Its name.
    pub name: String,
    /// Where its control plane listens.
    pub address: SocketAddr,
    /// Its process's nonce.
    pub nonce: BootNonce,
}

/// Which manager collects and plans, and which stand by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managers {
    /// The one that works.
    pub active: Option<ManagerEntry>,
    /// Those that would take over, by name.
    pub standbys: BTreeMap<String, ManagerEntry>,
}

/// Who is refused although it holds a key: a client that was fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlocklistEntry {
    /// One client session.
    Client(ClientId),
}

/// Shares of a device at which it counts as nearly full, too full to take backfill, and full; in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FullRatios {
    /// Health warns.
    pub nearfull_permille: u32,
    /// No backfill goes there.
    pub backfillfull_permille: u32,
    /// Writes get `Full`; deletes work.
    pub full_permille: u32,
}

impl Default for FullRatios {
    /// Ceph's defaults: 0.85, 0.90, 0.95.
    fn default() -> Self {
        Self { nearfull_permille: 850, backfillfull_permille: 900, full_permille: 950 }
    }
}

/// Everything that everyone must agree on. Numbered by epoch, changed only by increments.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterMap {
    /// Which cluster.
    pub cluster: ClusterId,
    /// This map's number.
    pub epoch: Epoch,
    /// Wall time of the increment that made this epoch, in milliseconds since 1970, as the leader stamped it.
    pub modified_ms: u64,
    /// Cluster-wide switches.
    pub flags: ClusterFlags,
    /// OSDs that exist.
    pub osds: BTreeMap<OsdId, OsdState>,
    /// Pools by number.
    pub pools: BTreeMap<PoolId, Arc<Pool>>,
    /// The number the next pool gets.
    pub pool_next: PoolId,
    /// The placement hierarchy and rules.
    pub crush: Arc<CrushMap>,
    /// Exceptions: a PG's whole raw set.
    pub pg_upmap: BTreeMap<PgId, Vec<OsdId>>,
    /// Exceptions: single replacements (from, to) in a PG's raw set.
    pub pg_upmap_items: BTreeMap<PgId, Vec<(OsdId, OsdId)>>,
    /// Exceptions: who leads.
    pub pg_upmap_primary: BTreeMap<PgId, OsdId>,
    /// Who serves while the up set fills; the OSDs asked for it. In erasure-coded pools [`HOLE`] keeps a position empty.
    pub pg_temp: BTreeMap<PgId, Vec<OsdId>>,
    /// Who leads while the up primary fills.
    pub primary_temp: BTreeMap<PgId, OsdId>,
    /// PGs of pools that were made but have not yet been peered once; their first primary may create them empty.
    pub creating_pgs: BTreeSet<PgId>,
    /// Monitors.
    pub monitors: BTreeMap<MonId, MonitorEntry>,
    /// Managers.
    pub managers: Managers,
    /// Fenced clients, with the wall time in milliseconds at which the entry expires.
    pub blocklist: BTreeMap<BlocklistEntry, u64>,
    /// Fill levels that matter.
    pub full_ratios: FullRatios,
    /// The lowest client id not yet given.
    pub client_next: ClientId,
    /// Lowest data-plane protocol that may take part.
    pub protocol_min: u32,
    /// Features that every OSD of this cluster must have: gates new behaviour (FOUNDATIONS 18).
    pub require_osd_release: u32,
    /// What operators chose.
    pub configuration: Configuration,
    /// Fields of later versions that this version does not know, as they arrived; they survive a rewrite (FOUNDATIONS 18).
    pub later_fields: Option<LaterFields>,
}

impl ClusterMap {
    /// The pool of this name.
    pub fn pool_by_name(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.values().find(|pool| pool.name == name)
    }

    /// OSDs that exist and are up, in order.
    pub fn up_osds(&self) -> impl Iterator<Item = (OsdId, &OsdState)> {
        self.osds.iter().filter(|(_, state)| state.up).map(|(osd, state)| (*osd, state))
    }

    /// OSDs that exist and are in, in order.
    pub fn in_osds(&self) -> impl Iterator<Item = (OsdId, &OsdState)> {
        self.osds.iter().filter(|(_, state)| state.is_in()).map(|(osd, state)| (*osd, state))
    }

    /// The lowest OSD number that is free.
    pub fn free_osd(&self) -> OsdId {
        let taken = self.osds.keys().zip(0u32..).take_while(|(osd, number)| osd.0 == *number).count();
        OsdId(u32::try_from(taken).expect("OSD numbers have 32 bits"))
    }

    /// Every placement group of every pool, in order.
    pub fn pgs(&self) -> impl Iterator<Item = PgId> {
        self.pools.values().flat_map(|pool| pool.pgs())
    }
}
