//! A full map: which record holds what.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use crush::CrushMap;
use types::{ClientId, ClusterId, Epoch, Error, MonId, PoolId, Result};

use super::{
    envelope::{Kind, Reader, Record, VERSION, VERSION_CONFIGURATION, VERSION_FIRST, Writer, checksum_of},
    messages, values,
};
use crate::{CONFIG_VALUES_MAX, ClusterFlags, ClusterMap, Configuration, Managers, conversion::from_crush};

/// Record numbers of a map, persistent.
mod record {
    pub(super) const GENERAL: u32 = 1;
    pub(super) const OSD: u32 = 2;
    pub(super) const POOL: u32 = 3;
    /// Ceph's binary placement map, as it is.
    pub(super) const CRUSH: u32 = 4;
    pub(super) const PG_UPMAP: u32 = 5;
    pub(super) const PG_UPMAP_ITEMS: u32 = 6;
    pub(super) const PG_UPMAP_PRIMARY: u32 = 7;
    pub(super) const PG_TEMP: u32 = 8;
    pub(super) const PRIMARY_TEMP: u32 = 9;
    pub(super) const CREATING_PGS: u32 = 10;
    pub(super) const MONITOR: u32 = 11;
    pub(super) const MANAGERS: u32 = 12;
    pub(super) const BLOCKLISTED: u32 = 13;
    pub(super) const CONFIGURATION: u32 = 14;
    /// The highest number that this version knows.
    pub(super) const LAST: u32 = CONFIGURATION;
}

/// Entries in any one table of a map. Four million placement groups are ten times a cluster of 10,000 OSDs; the bound keeps
/// a few bytes per entry in bad input from becoming gigabytes here.
pub(crate) const TABLE_ENTRIES_MAX: usize = 1 << 22;

/// Records of a later version in a map: this version does not know what they mean, and writes them as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaterFields {
    version: u16,
    records: Bytes,
}

/// The canonical bytes of a map.
pub fn encode_map(map: &ClusterMap) -> Bytes {
    let own = if map.configuration.is_empty() { VERSION_FIRST } else { VERSION_CONFIGURATION };
    let mut writer = Writer::new(Kind::Map, map.later_fields.as_ref().map_or(own, |later| later.version));
    writer.message(
        record::GENERAL,
        &messages::General {
            cluster: map.cluster.0.0.to_vec(),
            epoch: map.epoch.0,
            modified_ms: map.modified_ms,
            flags: map.flags.0,
            pool_next: map.pool_next.0,
            client_next: map.client_next.0,
            protocol_min: map.protocol_min,
            require_osd_release: map.require_osd_release,
            full_ratios: values::full_ratios_message(map.full_ratios),
        },
    );
    for (osd, state) in &map.osds {
        writer.message(record::OSD, &values::osd_message(*osd, state));
    }
    for pool in map.pools.values() {
        writer.message(record::POOL, &values::pool_message(pool));
    }
    writer.raw(record::CRUSH, &map.crush.encode());
    for (pg, osds) in &map.pg_upmap {
        writer.message(record::PG_UPMAP, &values::pg_osds_message(*pg, osds));
    }
    for (pg, pairs) in &map.pg_upmap_items {
        writer.message(record::PG_UPMAP_ITEMS, &values::pg_replacements_message(*pg, pairs));
    }
    for (pg, osd) in &map.pg_upmap_primary {
        writer.message(record::PG_UPMAP_PRIMARY, &values::pg_osd_message(*pg, Some(*osd)));
    }
    for (pg, osds) in &map.pg_temp {
        writer.message(record::PG_TEMP, &values::pg_osds_message(*pg, osds));
    }
    for (pg, osd) in &map.primary_temp {
        writer.message(record::PRIMARY_TEMP, &values::pg_osd_message(*pg, Some(*osd)));
    }
    let mut creating: BTreeMap<PoolId, Vec<u32>> = BTreeMap::new();
    for pg in &map.creating_pgs {
        creating.entry(pg.pool).or_default().push(pg.seed);
    }
    for (pool, seeds) in creating {
        writer.message(record::CREATING_PGS, &messages::PoolSeeds { pool: pool.0, seeds });
    }
    for (id, entry) in &map.monitors {
        let entry = Some(values::monitor_entry_message(entry));
        writer.message(record::MONITOR, &messages::Monitor { id: id.0, entry });
    }
    writer.message(record::MANAGERS, &values::managers_message(&map.managers));
    for (entry, until_ms) in &map.blocklist {
        writer.message(record::BLOCKLISTED, &values::blocklisted_message(*entry, Some(*until_ms)));
    }
    for (option, target, value) in map.configuration.iter() {
        writer.message(record::CONFIGURATION, &values::configured_message(option, target, Some(value)));
    }
    if let Some(later) = &map.later_fields {
        writer.records(&later.records);
    }
    writer.finish()
}

/// The map of these bytes.
///
/// # Errors
/// `Damaged` for bytes that no version would have written, `Invalid` for those that only a later version can read.
pub fn decode_map(bytes: &[u8]) -> Result<ClusterMap> {
    let map = decode_records(bytes).map_err(|error| error.context("decode cluster map"))?;
    if encode_map(&map) != bytes {
        return Err(Error::damaged("decode cluster map: the bytes are not in canonical form"));
    }
    Ok(map)
}

impl ClusterMap {
    /// The CRC-32 of the canonical bytes: equal maps have equal checksums.
    pub fn checksum(&self) -> u32 {
        checksum_of(&encode_map(self))
    }
}

fn decode_records(bytes: &[u8]) -> Result<ClusterMap> {
    let mut reader = Reader::new(Kind::Map, bytes)?;
    let first = reader.next_record()?.ok_or_else(|| Error::damaged("there is no record"))?;
    if first.number != record::GENERAL {
        return Err(first.damaged("the first record holds the general values"));
    }
    let mut map = general(first.message()?).map_err(|error| first.damaged(error))?;
    let (mut crush, mut later) = (None, Vec::new());
    while let Some(record) = reader.next_record()? {
        match record.number {
            record::CRUSH => {
                let decoded = CrushMap::decode(record.content).map_err(|error| record.damaged(from_crush(error)))?;
                crush = Some(Arc::new(decoded));
            }
            number if number > record::LAST && reader.version > VERSION => later.extend_from_slice(record.whole),
            _ => add_record(&mut map, &record)?,
        }
    }
    map.crush = crush.ok_or_else(|| Error::damaged("the placement hierarchy is missing"))?;
    if reader.version > VERSION {
        map.later_fields = Some(LaterFields { version: reader.version, records: later.into() });
    }
    Ok(map)
}

/// A map that has its general values and nothing else.
fn general(message: messages::General) -> Result<ClusterMap> {
    Ok(ClusterMap {
        cluster: ClusterId(values::uuid(&message.cluster)?),
        epoch: Epoch(message.epoch),
        modified_ms: message.modified_ms,
        flags: ClusterFlags(message.flags),
        osds: BTreeMap::new(),
        pools: BTreeMap::new(),
        pool_next: PoolId(message.pool_next),
        crush: Arc::new(CrushMap::new()),
        pg_upmap: BTreeMap::new(),
        pg_upmap_items: BTreeMap::new(),
        pg_upmap_primary: BTreeMap::new(),
        pg_temp: BTreeMap::new(),
        primary_temp: BTreeMap::new(),
        creating_pgs: BTreeSet::new(),
        monitors: BTreeMap::new(),
        managers: Managers::default(),
        blocklist: BTreeMap::new(),
        full_ratios: values::full_ratios(message.full_ratios),
        client_next: ClientId(message.client_next),
        protocol_min: message.protocol_min,
        require_osd_release: message.require_osd_release,
        configuration: Configuration::default(),
        later_fields: None,
    })
}

/// Puts one record where it belongs. What comes twice or out of order is found when the canonical form is compared.
fn add_record(map: &mut ClusterMap, record: &Record<'_>) -> Result<()> {
    let at = |error: Error| record.damaged(error);
    match record.number {
        record::OSD => {
            let (osd, state) = values::osd(record.message()?).map_err(at)?;
            map.osds.insert(osd, state);
        }
        record::POOL => {
            let pool = values::pool(record).map_err(at)?;
            map.pools.insert(pool.id, Arc::new(pool));
            bound(record, map.pools.len(), crate::check::POOLS_MAX)?;
        }
        record::PG_UPMAP => {
            let (pg, osds) = values::pg_osds(record.message()?).map_err(at)?;
            map.pg_upmap.insert(pg, osds);
            bound(record, map.pg_upmap.len(), TABLE_ENTRIES_MAX)?;
        }
        record::PG_UPMAP_ITEMS => {
            let (pg, pairs) = values::pg_replacements(record.message()?).map_err(at)?;
            map.pg_upmap_items.insert(pg, pairs);
            bound(record, map.pg_upmap_items.len(), TABLE_ENTRIES_MAX)?;
        }
        record::PG_UPMAP_PRIMARY | record::PRIMARY_TEMP => {
            let (pg, osd) = values::pg_osd(record.message()?).map_err(at)?;
            let osd = osd.ok_or_else(|| record.damaged("no OSD is named"))?;
            let table =
                if record.number == record::PRIMARY_TEMP { &mut map.primary_temp } else { &mut map.pg_upmap_primary };
            table.insert(pg, osd);
            bound(record, table.len(), TABLE_ENTRIES_MAX)?;
        }
        record::PG_TEMP => {
            let (pg, osds) = values::pg_osds(record.message()?).map_err(at)?;
            map.pg_temp.insert(pg, osds);
            bound(record, map.pg_temp.len(), TABLE_ENTRIES_MAX)?;
        }
        record::CREATING_PGS => {
            let message: messages::PoolSeeds = record.message()?;
            bound(record, message.seeds.len() + map.creating_pgs.len(), TABLE_ENTRIES_MAX)?;
            for seed in message.seeds {
                map.creating_pgs.insert(values::pg_id(message.pool, seed).map_err(at)?);
            }
        }
        record::MONITOR => {
            let message: messages::Monitor = record.message()?;
            let entry = message.entry.ok_or_else(|| record.damaged("the monitor has no address"))?;
            map.monitors.insert(MonId(message.id), values::monitor_entry(entry).map_err(at)?);
        }
        record::MANAGERS => map.managers = values::managers(record.message()?).map_err(at)?,
        record::BLOCKLISTED => {
            let (entry, until_ms) = values::blocklisted(record.message()?).map_err(at)?;
            let until_ms = until_ms.ok_or_else(|| record.damaged("the entry says no time"))?;
            map.blocklist.insert(entry, until_ms);
        }
        record::CONFIGURATION => {
            let (option, target, value) = values::configured(record.message()?).map_err(at)?;
            let value = value.ok_or_else(|| record.damaged("the setting has no value"))?;
            map.configuration.set(&option, &target, Some(value));
            bound(record, map.configuration.len(), CONFIG_VALUES_MAX)?;
        }
        _ => return Err(record.damaged("this version of the format has no such record")),
    }
    Ok(())
}

fn bound(record: &Record<'_>, count: usize, limit: usize) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(record.damaged(format!("the table has more than {limit} entries")))
}
