//! The small messages that records are made of. Field numbers are persistent: none is ever given another meaning.

/// Values of a map of which there is one.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct General {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) cluster: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(super) epoch: u32,
    #[prost(uint64, tag = "3")]
    pub(super) modified_ms: u64,
    #[prost(uint64, tag = "4")]
    pub(super) flags: u64,
    #[prost(uint64, tag = "5")]
    pub(super) pool_next: u64,
    #[prost(uint64, tag = "6")]
    pub(super) client_next: u64,
    #[prost(uint32, tag = "7")]
    pub(super) protocol_min: u32,
    #[prost(uint32, tag = "8")]
    pub(super) require_osd_release: u32,
    #[prost(message, required, tag = "9")]
    pub(super) full_ratios: FullRatios,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct FullRatios {
    #[prost(uint32, tag = "1")]
    pub(super) nearfull_permille: u32,
    #[prost(uint32, tag = "2")]
    pub(super) backfillfull_permille: u32,
    #[prost(uint32, tag = "3")]
    pub(super) full_permille: u32,
}

/// A socket's address: 4 or 16 bytes, a port, and for the longer kind flow and scope.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Address {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) ip: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub(super) port: u32,
    #[prost(uint32, tag = "3")]
    pub(super) flow: u32,
    #[prost(uint32, tag = "4")]
    pub(super) scope: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Osd {
    #[prost(uint32, tag = "1")]
    pub(super) osd: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) uuid: Vec<u8>,
    #[prost(bool, tag = "3")]
    pub(super) up: bool,
    #[prost(uint32, tag = "4")]
    pub(super) weight: u32,
    #[prost(uint32, optional, tag = "5")]
    pub(super) weight_before_out: Option<u32>,
    #[prost(uint32, tag = "6")]
    pub(super) primary_affinity: u32,
    #[prost(message, optional, tag = "7")]
    pub(super) address: Option<Address>,
    #[prost(fixed64, tag = "8")]
    pub(super) nonce: u64,
    #[prost(string, tag = "9")]
    pub(super) host: String,
    #[prost(uint32, tag = "10")]
    pub(super) up_from: u32,
    #[prost(uint32, tag = "11")]
    pub(super) up_thru: u32,
    #[prost(uint32, tag = "12")]
    pub(super) down_at: u32,
    #[prost(uint32, tag = "13")]
    pub(super) dead_epoch: u32,
    #[prost(uint32, tag = "14")]
    pub(super) last_clean_begin: u32,
    #[prost(uint32, tag = "15")]
    pub(super) last_clean_end: u32,
    #[prost(uint64, tag = "16")]
    pub(super) flags: u64,
    #[prost(uint32, tag = "17")]
    pub(super) lost_at: u32,
}

/// A word with its value.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Setting {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// An application tag.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Application {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) settings: Vec<Setting>,
}

/// A named snapshot.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PoolSnapshot {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
}

/// Consecutive snapshots.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SnapshotRange {
    #[prost(uint64, tag = "1")]
    pub(super) first: u64,
    #[prost(uint64, tag = "2")]
    pub(super) count: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Pool {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    /// 1 replicated, 3 erasure: Ceph's numbers.
    #[prost(uint32, tag = "3")]
    pub(super) kind: u32,
    #[prost(uint32, tag = "4")]
    pub(super) data_shards: u32,
    #[prost(uint32, tag = "5")]
    pub(super) parity_shards: u32,
    #[prost(uint32, tag = "6")]
    pub(super) size: u32,
    #[prost(uint32, tag = "7")]
    pub(super) min_size: u32,
    #[prost(uint32, tag = "8")]
    pub(super) crush_rule: u32,
    #[prost(uint32, tag = "9")]
    pub(super) object_hash: u32,
    #[prost(uint32, tag = "10")]
    pub(super) pg_num: u32,
    #[prost(uint32, tag = "11")]
    pub(super) pgp_num: u32,
    #[prost(uint64, tag = "12")]
    pub(super) flags: u64,
    #[prost(uint64, tag = "13")]
    pub(super) quota_bytes: u64,
    #[prost(uint64, tag = "14")]
    pub(super) quota_objects: u64,
    #[prost(message, repeated, tag = "15")]
    pub(super) applications: Vec<Application>,
    #[prost(uint64, tag = "16")]
    pub(super) snapshot_sequence: u64,
    #[prost(message, repeated, tag = "17")]
    pub(super) snapshots: Vec<PoolSnapshot>,
    /// One by one, while they are few.
    #[prost(uint64, repeated, tag = "18")]
    pub(super) removed_snapshots: Vec<u64>,
    #[prost(message, repeated, tag = "19")]
    pub(super) options: Vec<Setting>,
    #[prost(uint32, tag = "20")]
    pub(super) created: u32,
    #[prost(uint32, tag = "21")]
    pub(super) changed: u32,
    /// Removed snapshots when they are too many to be listed one by one.
    #[prost(message, repeated, tag = "22")]
    pub(super) removed_ranges: Vec<SnapshotRange>,
}

/// A placement group with a list of OSDs; as a change an empty list removes.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PgOsds {
    #[prost(uint64, tag = "1")]
    pub(super) pool: u64,
    #[prost(uint32, tag = "2")]
    pub(super) seed: u32,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) osds: Vec<u32>,
}

/// A placement group with replacements; as a change empty lists remove.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PgReplacements {
    #[prost(uint64, tag = "1")]
    pub(super) pool: u64,
    #[prost(uint32, tag = "2")]
    pub(super) seed: u32,
    #[prost(uint32, repeated, tag = "3")]
    pub(super) from: Vec<u32>,
    #[prost(uint32, repeated, tag = "4")]
    pub(super) to: Vec<u32>,
}

/// A placement group with an OSD; as a change none removes.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct PgOsd {
    #[prost(uint64, tag = "1")]
    pub(super) pool: u64,
    #[prost(uint32, tag = "2")]
    pub(super) seed: u32,
    #[prost(uint32, optional, tag = "3")]
    pub(super) osd: Option<u32>,
}

/// Placement groups of a pool.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PoolSeeds {
    #[prost(uint64, tag = "1")]
    pub(super) pool: u64,
    #[prost(uint32, repeated, tag = "2")]
    pub(super) seeds: Vec<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct MonitorEntry {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, required, tag = "2")]
    pub(super) address: Address,
}

/// A monitor; as a change without entry it leaves.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Monitor {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) entry: Option<MonitorEntry>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ManagerEntry {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, required, tag = "2")]
    pub(super) address: Address,
    #[prost(fixed64, tag = "3")]
    pub(super) nonce: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Managers {
    #[prost(message, optional, tag = "1")]
    pub(super) active: Option<ManagerEntry>,
    #[prost(message, repeated, tag = "2")]
    pub(super) standbys: Vec<ManagerEntry>,
}

/// Who is refused and until when; as a change without time it is allowed again.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Blocklisted {
    #[prost(uint64, optional, tag = "1")]
    pub(super) client: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(super) until_ms: Option<u64>,
}

/// Values of an increment of which there is one.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct IncrementGeneral {
    #[prost(uint32, tag = "1")]
    pub(super) epoch: u32,
    #[prost(uint64, tag = "2")]
    pub(super) modified_ms: u64,
    #[prost(fixed32, tag = "3")]
    pub(super) result_checksum: u32,
}

/// A number.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Number {
    #[prost(uint64, tag = "1")]
    pub(super) value: u64,
}

/// An OSD with numbers whose meaning the record's number tells.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct OsdNumbers {
    #[prost(uint32, tag = "1")]
    pub(super) osd: u32,
    #[prost(uint64, tag = "2")]
    pub(super) first: u64,
    #[prost(uint64, optional, tag = "3")]
    pub(super) second: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OsdCreate {
    #[prost(uint32, tag = "1")]
    pub(super) osd: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) uuid: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OsdUp {
    #[prost(uint32, tag = "1")]
    pub(super) osd: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) uuid: Vec<u8>,
    #[prost(message, required, tag = "3")]
    pub(super) address: Address,
    #[prost(fixed64, tag = "4")]
    pub(super) nonce: u64,
    #[prost(string, tag = "5")]
    pub(super) host: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Gates {
    #[prost(uint32, tag = "1")]
    pub(super) protocol_min: u32,
    #[prost(uint32, tag = "2")]
    pub(super) require_osd_release: u32,
}

/// A setting for somebody. Without a value: it is forgotten.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Configured {
    #[prost(string, tag = "1")]
    pub(super) option: String,
    #[prost(string, tag = "2")]
    pub(super) target: String,
    #[prost(string, optional, tag = "3")]
    pub(super) value: Option<String>,
}
