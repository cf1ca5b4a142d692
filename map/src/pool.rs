//! Pools: how many copies, by which rule, in how many placement groups.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{PoolId, SnapshotRanges};

/// How a pool keeps its objects safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// Whole copies.
    Replicated,
    /// Data and parity shards.
    Erasure {
        /// Data shards.
        data_shards: u32,
        /// Parity shards.
        parity_shards: u32,
    },
}

/// Yes-or-no properties of a pool, as a set of bits; the numbers are persistent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PoolFlags(pub u64);

impl PoolFlags {
    /// The pool id is mixed into the placement seed, so that pools do not overlap PG by PG. Ceph's bit.
    pub const HASHPSPOOL: Self = Self(1);
    /// The pool has reached its quota: writes wait, or get `Full` if they ask for that; removals work.
    pub const FULL_QUOTA: Self = Self(1 << 10);
    /// Clients make snapshots and say with each write which ones it preserves. Ceph's bit.
    pub const SELF_MANAGED_SNAPSHOTS: Self = Self(1 << 13);
    /// Snapshots have names and are of the whole pool; each write preserves them all. Ceph's bit.
    pub const POOL_SNAPSHOTS: Self = Self(1 << 14);
    /// The pool must not be removed.
    pub const NO_DELETE: Self = Self(1 << 4);

    /// Whether all bits of `other` are set here.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With the bits of `other` set too.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With the bits of `other` cleared.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// What an operator may set on a pool, by name; unknown names are refused by the monitors, kept by everyone else.
pub type PoolOptions = BTreeMap<String, String>;

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its number, never reused.
    pub id: PoolId,
    /// Its name, unique.
    pub name: String,
    /// How it keeps objects safe.
    pub kind: PoolKind,
    /// Copies, or shards.
    pub size: u32,
    /// Copies that must be there for writes to be taken.
    pub min_size: u32,
    /// CRUSH rule id.
    pub crush_rule: u32,
    /// Which string hash places names: 2 is rjenkins, 1 is linux. Ceph's numbers.
    pub object_hash: u32,
    /// Placement groups.
    pub pg_num: u32,
    /// Placement groups that placement tells apart; at most `pg_num`.
    pub pgp_num: u32,
    /// Yes-or-no properties.
    pub flags: PoolFlags,
    /// Most bytes of user data; zero is no quota.
    pub quota_bytes: u64,
    /// Most objects; zero is no quota.
    pub quota_objects: u64,
    /// Application tags with their key-value pairs: `rbd`, `rgw`, `cephfs` or any other word.
    pub applications: BTreeMap<String, BTreeMap<String, String>>,
    /// Highest snapshot id given.
    pub snapshot_sequence: u64,
    /// Named pool snapshots by id.
    pub snapshots: BTreeMap<u64, String>,
    /// Snapshots that were removed. It only grows: placement groups learn from it what to trim, whenever they come back.
    pub removed_snapshots: SnapshotRanges,
    /// Operator's settings.
    pub options: PoolOptions,
    /// Epoch in which the pool was made.
    pub created: types::Epoch,
    /// Epoch in which anything about it last changed.
    pub changed: types::Epoch,
}
