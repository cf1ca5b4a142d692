//! Domain values to messages and back; the way back says why it refuses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use types::{
    BootNonce, ClientId, Epoch, Error, OsdId, OsdUuid, PgId, PoolId, Result, SnapshotId, SnapshotRange, SnapshotRanges,
    Uuid, limits,
};

use prost::Message as _;

use super::{envelope::Record, messages};
use crate::{
    BlocklistEntry, CONFIG_TEXT_BYTES_MAX, ClusterFlags, ConfigTarget, FullRatios, ManagerEntry, Managers,
    MonitorEntry, OsdState, Pool, PoolFlags, PoolKind, Weight,
};

/// Ceph's numbers for kinds of pools.
const POOL_REPLICATED: u32 = 1;
const POOL_ERASURE: u32 = 3;

/// Bytes of one pool's record. A hundred thousand snapshots to be trimmed fit; the bound keeps a record of nothing but empty
/// entries from becoming gigabytes when it is taken apart.
pub(crate) const POOL_BYTES_MAX: usize = 1 << 20;

/// Removed snapshots up to this number are written one by one, as the first format did.
const REMOVED_ONE_BY_ONE_MAX: u64 = 64;

fn removed_messages(removed: &SnapshotRanges) -> (Vec<u64>, Vec<messages::SnapshotRange>) {
    if removed.count() <= REMOVED_ONE_BY_ONE_MAX {
        return (removed.iter().flat_map(|range| range.first.0..=range.last().0).collect(), Vec::new());
    }
    let range = |range: SnapshotRange| messages::SnapshotRange { first: range.first.0, count: range.count };
    (Vec::new(), removed.iter().map(range).collect())
}

fn removed_snapshots(one_by_one: &[u64], ranges: &[messages::SnapshotRange]) -> Result<SnapshotRanges> {
    let ranges = ranges.iter().map(|range| SnapshotRange { first: SnapshotId(range.first), count: range.count });
    let set = SnapshotRanges::from_ranges(ranges.collect());
    let mut set =
        set.ok_or_else(|| Error::damaged("removed snapshots are not ascending ranges apart from each other"))?;
    for id in one_by_one {
        if !set.insert(SnapshotId(*id)) {
            return Err(Error::damaged(format!("snapshot {id} was removed twice")));
        }
    }
    Ok(set)
}

/// Bytes that a pool's record has.
pub(crate) fn pool_bytes(pool: &Pool) -> usize {
    pool_message(pool).encoded_len()
}

pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid> {
    let refuse = |_| Error::damaged(format!("a uuid has 16 bytes; here are {}", bytes.len()));
    bytes.try_into().map(Uuid).map_err(refuse)
}

pub(super) fn address_message(address: SocketAddr) -> messages::Address {
    let port = u32::from(address.port());
    match address {
        SocketAddr::V4(v4) => messages::Address { ip: v4.ip().octets().to_vec(), port, flow: 0, scope: 0 },
        SocketAddr::V6(v6) => {
            messages::Address { ip: v6.ip().octets().to_vec(), port, flow: v6.flowinfo(), scope: v6.scope_id() }
        }
    }
}

pub(super) fn address(message: &messages::Address) -> Result<SocketAddr> {
    let port =
        u16::try_from(message.port).map_err(|_| Error::damaged(format!("{} is no port number", message.port)))?;
    if let Ok(octets) = <[u8; 4]>::try_from(message.ip.as_slice()) {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port));
    }
    let octets = <[u8; 16]>::try_from(message.ip.as_slice())
        .map_err(|_| Error::damaged(format!("an address has 4 or 16 bytes; here are {}", message.ip.len())))?;
    Ok(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, message.flow, message.scope)))
}

pub(super) fn osd_id(number: u32) -> Result<OsdId> {
    if number < limits::OSD_COUNT_MAX {
        return Ok(OsdId(number));
    }
    Err(Error::damaged(format!("osd.{number} is beyond the limit of {} OSDs", limits::OSD_COUNT_MAX)))
}

pub(super) fn pg_id(pool: u64, seed: u32) -> Result<PgId> {
    if seed < limits::POOL_PG_NUM_MAX {
        return Ok(PgId { pool: PoolId(pool), seed });
    }
    Err(Error::damaged(format!(
        "placement group {pool}.{seed:x} is beyond the limit of {} in a pool",
        limits::POOL_PG_NUM_MAX
    )))
}

pub(super) fn osd_message(osd: OsdId, state: &OsdState) -> messages::Osd {
    messages::Osd {
        osd: osd.0,
        uuid: state.uuid.0.0.to_vec(),
        up: state.up,
        weight: state.weight.0,
        weight_before_out: state.weight_before_out.map(|weight| weight.0),
        primary_affinity: state.primary_affinity.0,
        address: state.address.map(address_message),
        nonce: state.nonce.0,
        host: state.host.clone(),
        up_from: state.up_from.0,
        up_thru: state.up_thru.0,
        down_at: state.down_at.0,
        dead_epoch: state.dead_epoch.0,
        last_clean_begin: state.last_clean_begin.0,
        last_clean_end: state.last_clean_end.0,
        flags: state.flags.0,
        lost_at: state.lost_at.0,
    }
}

pub(super) fn osd(message: messages::Osd) -> Result<(OsdId, OsdState)> {
    let state = OsdState {
        uuid: OsdUuid(uuid(&message.uuid)?),
        up: message.up,
        weight: Weight(message.weight),
        weight_before_out: message.weight_before_out.map(Weight),
        primary_affinity: Weight(message.primary_affinity),
        address: message.address.as_ref().map(address).transpose()?,
        nonce: BootNonce(message.nonce),
        host: message.host,
        up_from: Epoch(message.up_from),
        up_thru: Epoch(message.up_thru),
        down_at: Epoch(message.down_at),
        dead_epoch: Epoch(message.dead_epoch),
        last_clean_begin: Epoch(message.last_clean_begin),
        last_clean_end: Epoch(message.last_clean_end),
        flags: ClusterFlags(message.flags),
        lost_at: Epoch(message.lost_at),
    };
    Ok((osd_id(message.osd)?, state))
}

fn settings<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> Vec<messages::Setting> {
    pairs.into_iter().map(|(name, value)| messages::Setting { name: name.clone(), value: value.clone() }).collect()
}

pub(super) fn pool_message(pool: &Pool) -> messages::Pool {
    let (kind, data_shards, parity_shards) = match pool.kind {
        PoolKind::Replicated => (POOL_REPLICATED, 0, 0),
        PoolKind::Erasure { data_shards, parity_shards } => (POOL_ERASURE, data_shards, parity_shards),
    };
    let applications = pool
        .applications
        .iter()
        .map(|(name, pairs)| messages::Application { name: name.clone(), settings: settings(pairs) })
        .collect();
    let snapshots =
        pool.snapshots.iter().map(|(id, name)| messages::PoolSnapshot { id: *id, name: name.clone() }).collect();
    let (removed_snapshots, removed_ranges) = removed_messages(&pool.removed_snapshots);
    messages::Pool {
        id: pool.id.0,
        name: pool.name.clone(),
        kind,
        data_shards,
        parity_shards,
        size: pool.size,
        min_size: pool.min_size,
        crush_rule: pool.crush_rule,
        object_hash: pool.object_hash,
        pg_num: pool.pg_num,
        pgp_num: pool.pgp_num,
        flags: pool.flags.0,
        quota_bytes: pool.quota_bytes,
        quota_objects: pool.quota_objects,
        applications,
        snapshot_sequence: pool.snapshot_sequence,
        snapshots,
        removed_snapshots,
        removed_ranges,
        options: settings(&pool.options),
        created: pool.created.0,
        changed: pool.changed.0,
    }
}

pub(super) fn pool(record: &Record<'_>) -> Result<Pool> {
    if record.content.len() > POOL_BYTES_MAX {
        return Err(Error::damaged(format!(
            "a pool has at most {POOL_BYTES_MAX} bytes; here are {}",
            record.content.len()
        )));
    }
    let message: messages::Pool = record.message()?;
    let kind = match message.kind {
        POOL_REPLICATED => PoolKind::Replicated,
        POOL_ERASURE => PoolKind::Erasure { data_shards: message.data_shards, parity_shards: message.parity_shards },
        other => return Err(Error::damaged(format!("pool {} is of unknown kind {other}", message.id))),
    };
    let pairs = |settings: Vec<messages::Setting>| settings.into_iter().map(|pair| (pair.name, pair.value)).collect();
    Ok(Pool {
        id: PoolId(message.id),
        name: message.name,
        kind,
        size: message.size,
        min_size: message.min_size,
        crush_rule: message.crush_rule,
        object_hash: message.object_hash,
        pg_num: message.pg_num,
        pgp_num: message.pgp_num,
        flags: PoolFlags(message.flags),
        quota_bytes: message.quota_bytes,
        quota_objects: message.quota_objects,
        applications: message.applications.into_iter().map(|tag| (tag.name, pairs(tag.settings))).collect(),
        snapshot_sequence: message.snapshot_sequence,
        snapshots: message.snapshots.into_iter().map(|snapshot| (snapshot.id, snapshot.name)).collect(),
        removed_snapshots: removed_snapshots(&message.removed_snapshots, &message.removed_ranges)?,
        options: pairs(message.options),
        created: Epoch(message.created),
        changed: Epoch(message.changed),
    })
}

pub(super) fn pg_osds_message(pg: PgId, osds: &[OsdId]) -> messages::PgOsds {
    messages::PgOsds { pool: pg.pool.0, seed: pg.seed, osds: osds.iter().map(|osd| osd.0).collect() }
}

/// The numbers are taken as they are: a temporary set may hold [`crate::HOLE`], and `check` knows which OSDs exist.
pub(super) fn pg_osds(message: messages::PgOsds) -> Result<(PgId, Vec<OsdId>)> {
    Ok((pg_id(message.pool, message.seed)?, message.osds.into_iter().map(OsdId).collect()))
}

pub(super) fn pg_replacements_message(pg: PgId, pairs: &[(OsdId, OsdId)]) -> messages::PgReplacements {
    let (from, to) = pairs.iter().map(|(from, to)| (from.0, to.0)).unzip();
    messages::PgReplacements { pool: pg.pool.0, seed: pg.seed, from, to }
}

pub(super) fn pg_replacements(message: messages::PgReplacements) -> Result<(PgId, Vec<(OsdId, OsdId)>)> {
    if message.from.len() != message.to.len() {
        return Err(Error::damaged("replacements have as many sources as targets"));
    }
    let pairs = message.from.into_iter().zip(message.to).map(|(from, to)| (OsdId(from), OsdId(to))).collect();
    Ok((pg_id(message.pool, message.seed)?, pairs))
}

pub(super) fn pg_osd_message(pg: PgId, osd: Option<OsdId>) -> messages::PgOsd {
    messages::PgOsd { pool: pg.pool.0, seed: pg.seed, osd: osd.map(|osd| osd.0) }
}

pub(super) fn pg_osd(message: messages::PgOsd) -> Result<(PgId, Option<OsdId>)> {
    Ok((pg_id(message.pool, message.seed)?, message.osd.map(osd_id).transpose()?))
}

pub(super) fn monitor_entry_message(entry: &MonitorEntry) -> messages::MonitorEntry {
    messages::MonitorEntry { name: entry.name.clone(), address: address_message(entry.address) }
}

pub(super) fn monitor_entry(message: messages::MonitorEntry) -> Result<MonitorEntry> {
    Ok(MonitorEntry { address: address(&message.address)?, name: message.name })
}

fn manager_entry_message(entry: &ManagerEntry) -> messages::ManagerEntry {
    messages::ManagerEntry { name: entry.name.clone(), address: address_message(entry.address), nonce: entry.nonce.0 }
}

fn manager_entry(message: messages::ManagerEntry) -> Result<ManagerEntry> {
    Ok(ManagerEntry { address: address(&message.address)?, name: message.name, nonce: BootNonce(message.nonce) })
}

pub(super) fn managers_message(managers: &Managers) -> messages::Managers {
    messages::Managers {
        active: managers.active.as_ref().map(manager_entry_message),
        standbys: managers.standbys.values().map(manager_entry_message).collect(),
    }
}

pub(super) fn managers(message: messages::Managers) -> Result<Managers> {
    let standbys = message.standbys.into_iter().map(|standby| {
        let entry = manager_entry(standby)?;
        Ok((entry.name.clone(), entry))
    });
    Ok(Managers { active: message.active.map(manager_entry).transpose()?, standbys: standbys.collect::<Result<_>>()? })
}

pub(super) fn blocklisted_message(entry: BlocklistEntry, until_ms: Option<u64>) -> messages::Blocklisted {
    match entry {
        BlocklistEntry::Client(client) => messages::Blocklisted { client: Some(client.0), until_ms },
    }
}

pub(super) fn blocklisted(message: messages::Blocklisted) -> Result<(BlocklistEntry, Option<u64>)> {
    let client = message.client.ok_or_else(|| Error::damaged("a blocklist entry names nobody that is known here"))?;
    Ok((BlocklistEntry::Client(ClientId(client)), message.until_ms))
}

pub(super) fn full_ratios_message(ratios: FullRatios) -> messages::FullRatios {
    messages::FullRatios {
        nearfull_permille: ratios.nearfull_permille,
        backfillfull_permille: ratios.backfillfull_permille,
        full_permille: ratios.full_permille,
    }
}

pub(super) fn full_ratios(message: messages::FullRatios) -> FullRatios {
    FullRatios {
        nearfull_permille: message.nearfull_permille,
        backfillfull_permille: message.backfillfull_permille,
        full_permille: message.full_permille,
    }
}

pub(super) fn configured_message(option: &str, target: &ConfigTarget, value: Option<&str>) -> messages::Configured {
    messages::Configured { option: option.to_owned(), target: target.to_string(), value: value.map(str::to_owned) }
}

pub(super) fn configured(message: messages::Configured) -> Result<(String, ConfigTarget, Option<String>)> {
    let texts = [Some(&message.option), Some(&message.target), message.value.as_ref()];
    if texts.into_iter().flatten().any(|text| text.is_empty() || text.len() > CONFIG_TEXT_BYTES_MAX) {
        return Err(Error::damaged(format!("a setting's texts have 1 to {CONFIG_TEXT_BYTES_MAX} bytes")));
    }
    Ok((message.option, message.target.parse()?, message.value))
}
