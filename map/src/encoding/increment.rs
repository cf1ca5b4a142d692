//! An increment: its general values, then one record per change.

use std::sync::Arc;

use bytes::Bytes;
use crush::CrushMap;
use types::{BootNonce, ClientId, Epoch, Error, MonId, OsdUuid, PoolId, Result};

use super::{
    envelope::{Kind, Reader, Record, VERSION_CONFIGURATION, VERSION_FIRST, Writer},
    messages, values,
};
use crate::{Change, ClusterFlags, Death, Increment, Weight, conversion::from_crush};

/// Record numbers of an increment, persistent. From 16 on a number means one kind of change.
mod record {
    pub(super) const GENERAL: u32 = 1;
    pub(super) const FLAGS: u32 = 16;
    pub(super) const OSD_CREATE: u32 = 17;
    pub(super) const OSD_UP: u32 = 18;
    /// First number: 1 when the death is proven.
    pub(super) const OSD_DOWN: u32 = 19;
    /// First number: weight; second: the one before it went out.
    pub(super) const OSD_WEIGHT: u32 = 20;
    pub(super) const OSD_PRIMARY_AFFINITY: u32 = 21;
    pub(super) const OSD_UP_THRU: u32 = 22;
    /// First number: begin; second: end.
    pub(super) const OSD_LAST_CLEAN: u32 = 23;
    pub(super) const OSD_FLAGS: u32 = 24;
    pub(super) const OSD_LOST: u32 = 25;
    pub(super) const OSD_REMOVE: u32 = 26;
    pub(super) const POOL_SET: u32 = 27;
    pub(super) const POOL_REMOVE: u32 = 28;
    pub(super) const CRUSH: u32 = 29;
    pub(super) const PG_UPMAP: u32 = 30;
    pub(super) const PG_UPMAP_ITEMS: u32 = 31;
    pub(super) const PG_UPMAP_PRIMARY: u32 = 32;
    pub(super) const PG_TEMP: u32 = 33;
    pub(super) const PRIMARY_TEMP: u32 = 34;
    pub(super) const PG_CREATED: u32 = 35;
    pub(super) const MONITOR: u32 = 36;
    pub(super) const MANAGERS: u32 = 37;
    pub(super) const BLOCKLISTED: u32 = 38;
    pub(super) const FULL_RATIOS: u32 = 39;
    pub(super) const CLIENT_NEXT: u32 = 40;
    pub(super) const GATES: u32 = 41;
    pub(super) const CONFIGURATION: u32 = 42;
}

/// Changes in one increment. Enough for an exception for each placement group of 10,000 OSDs at once; the bound keeps records
/// of a few bytes each from becoming gigabytes of changes.
pub const CHANGES_MAX: usize = 1 << 20;

/// The canonical bytes of an increment.
pub fn encode_increment(increment: &Increment) -> Bytes {
    let configures = |change: &Change| matches!(change, Change::Configuration { .. });
    let version = if increment.changes.iter().any(configures) { VERSION_CONFIGURATION } else { VERSION_FIRST };
    let mut writer = Writer::new(Kind::Increment, version);
    let general = messages::IncrementGeneral {
        epoch: increment.epoch.0,
        modified_ms: increment.modified_ms,
        result_checksum: increment.result_checksum,
    };
    writer.message(record::GENERAL, &general);
    for change in &increment.changes {
        write_change(&mut writer, change);
    }
    writer.finish()
}

/// The increment of these bytes.
///
/// # Errors
/// `Damaged` for bytes that no version would have written, `Invalid` for those that only a later version can read.
pub fn decode_increment(bytes: &[u8]) -> Result<Increment> {
    let increment = decode_records(bytes).map_err(|error| error.context("decode map increment"))?;
    if encode_increment(&increment) != bytes {
        return Err(Error::damaged("decode map increment: the bytes are not in canonical form"));
    }
    Ok(increment)
}

fn decode_records(bytes: &[u8]) -> Result<Increment> {
    let mut reader = Reader::new(Kind::Increment, bytes)?;
    let first = reader.next_record()?.ok_or_else(|| Error::damaged("there is no record"))?;
    if first.number != record::GENERAL {
        return Err(first.damaged("the first record holds the general values"));
    }
    let general: messages::IncrementGeneral = first.message()?;
    let mut changes = Vec::new();
    while let Some(record) = reader.next_record()? {
        if changes.len() >= CHANGES_MAX {
            return Err(record.damaged(format!("an increment has at most {CHANGES_MAX} changes")));
        }
        changes.push(read_change(&record)?);
    }
    Ok(Increment {
        epoch: Epoch(general.epoch),
        modified_ms: general.modified_ms,
        result_checksum: general.result_checksum,
        changes,
    })
}

fn write_change(writer: &mut Writer, change: &Change) {
    let number = |value: u64| messages::Number { value };
    let osd_numbers =
        |osd: types::OsdId, first: u64, second: Option<u64>| messages::OsdNumbers { osd: osd.0, first, second };
    match change {
        Change::Flags(flags) => writer.message(record::FLAGS, &number(flags.0)),
        Change::OsdCreate { osd, uuid } => {
            writer.message(record::OSD_CREATE, &messages::OsdCreate { osd: osd.0, uuid: uuid.0.0.to_vec() });
        }
        Change::OsdUp { osd, uuid, address, nonce, host } => writer.message(
            record::OSD_UP,
            &messages::OsdUp {
                osd: osd.0,
                uuid: uuid.0.0.to_vec(),
                address: values::address_message(*address),
                nonce: nonce.0,
                host: host.clone(),
            },
        ),
        Change::OsdDown { osd, dead } => {
            writer.message(record::OSD_DOWN, &osd_numbers(*osd, u64::from(*dead == Death::Proven), None));
        }
        Change::OsdWeight { osd, weight, weight_before_out } => {
            let before = weight_before_out.map(|weight| u64::from(weight.0));
            writer.message(record::OSD_WEIGHT, &osd_numbers(*osd, u64::from(weight.0), before));
        }
        Change::OsdPrimaryAffinity { osd, affinity } => {
            writer.message(record::OSD_PRIMARY_AFFINITY, &osd_numbers(*osd, u64::from(affinity.0), None));
        }
        Change::OsdUpThru { osd, epoch } => {
            writer.message(record::OSD_UP_THRU, &osd_numbers(*osd, u64::from(epoch.0), None));
        }
        Change::OsdLastClean { osd, begin, end } => {
            let numbers = osd_numbers(*osd, u64::from(begin.0), Some(u64::from(end.0)));
            writer.message(record::OSD_LAST_CLEAN, &numbers);
        }
        Change::OsdFlags { osd, flags } => writer.message(record::OSD_FLAGS, &osd_numbers(*osd, flags.0, None)),
        Change::OsdLost { osd } => writer.message(record::OSD_LOST, &osd_numbers(*osd, 0, None)),
        Change::OsdRemove { osd } => writer.message(record::OSD_REMOVE, &osd_numbers(*osd, 0, None)),
        Change::PoolSet(pool) => writer.message(record::POOL_SET, &values::pool_message(pool)),
        Change::PoolRemove(pool) => writer.message(record::POOL_REMOVE, &number(pool.0)),
        Change::Crush(crush) => writer.raw(record::CRUSH, &crush.encode()),
        Change::PgUpmap(pg, osds) => {
            let osds = osds.as_deref().unwrap_or_default();
            writer.message(record::PG_UPMAP, &values::pg_osds_message(*pg, osds));
        }
        Change::PgUpmapItems(pg, pairs) => {
            let pairs = pairs.as_deref().unwrap_or_default();
            writer.message(record::PG_UPMAP_ITEMS, &values::pg_replacements_message(*pg, pairs));
        }
        Change::PgUpmapPrimary(pg, osd) => {
            writer.message(record::PG_UPMAP_PRIMARY, &values::pg_osd_message(*pg, *osd));
        }
        Change::PgTemp(pg, osds) => {
            writer.message(record::PG_TEMP, &values::pg_osds_message(*pg, osds.as_deref().unwrap_or_default()));
        }
        Change::PrimaryTemp(pg, osd) => writer.message(record::PRIMARY_TEMP, &values::pg_osd_message(*pg, *osd)),
        Change::PgCreated(pg) => writer.message(record::PG_CREATED, &values::pg_osd_message(*pg, None)),
        Change::Monitor(id, entry) => {
            let entry = entry.as_ref().map(values::monitor_entry_message);
            writer.message(record::MONITOR, &messages::Monitor { id: id.0, entry });
        }
        Change::Managers(managers) => writer.message(record::MANAGERS, &values::managers_message(managers)),
        Change::Blocklist(entry, until_ms) => {
            writer.message(record::BLOCKLISTED, &values::blocklisted_message(*entry, *until_ms));
        }
        Change::FullRatios(ratios) => writer.message(record::FULL_RATIOS, &values::full_ratios_message(*ratios)),
        Change::Configuration { option, target, value } => {
            writer.message(record::CONFIGURATION, &values::configured_message(option, target, value.as_deref()));
        }
        Change::ClientNext(client) => writer.message(record::CLIENT_NEXT, &number(client.0)),
        Change::Gates { protocol_min, require_osd_release } => {
            let gates = messages::Gates { protocol_min: *protocol_min, require_osd_release: *require_osd_release };
            writer.message(record::GATES, &gates);
        }
    }
}

fn read_change(record: &Record<'_>) -> Result<Change> {
    let at = |error: Error| record.damaged(error);
    let number = || record.message::<messages::Number>().map(|number| number.value);
    let change = match record.number {
        record::FLAGS => Change::Flags(ClusterFlags(number()?)),
        record::OSD_CREATE => {
            let message: messages::OsdCreate = record.message()?;
            let uuid = OsdUuid(values::uuid(&message.uuid).map_err(at)?);
            Change::OsdCreate { osd: values::osd_id(message.osd).map_err(at)?, uuid }
        }
        record::OSD_UP => {
            let message: messages::OsdUp = record.message()?;
            Change::OsdUp {
                osd: values::osd_id(message.osd).map_err(at)?,
                uuid: OsdUuid(values::uuid(&message.uuid).map_err(at)?),
                address: values::address(&message.address).map_err(at)?,
                nonce: BootNonce(message.nonce),
                host: message.host,
            }
        }
        record::OSD_DOWN..=record::OSD_REMOVE => read_osd_numbers(record)?,
        record::POOL_SET => Change::PoolSet(Arc::new(values::pool(record).map_err(at)?)),
        record::POOL_REMOVE => Change::PoolRemove(PoolId(number()?)),
        record::CRUSH => {
            Change::Crush(Arc::new(CrushMap::decode(record.content).map_err(|error| at(from_crush(error)))?))
        }
        record::PG_UPMAP => {
            let (pg, osds) = values::pg_osds(record.message()?).map_err(at)?;
            Change::PgUpmap(pg, some_unless_empty(osds))
        }
        record::PG_UPMAP_ITEMS => {
            let (pg, pairs) = values::pg_replacements(record.message()?).map_err(at)?;
            Change::PgUpmapItems(pg, some_unless_empty(pairs))
        }
        record::PG_UPMAP_PRIMARY => {
            let (pg, osd) = values::pg_osd(record.message()?).map_err(at)?;
            Change::PgUpmapPrimary(pg, osd)
        }
        record::PG_TEMP => {
            let (pg, osds) = values::pg_osds(record.message()?).map_err(at)?;
            Change::PgTemp(pg, some_unless_empty(osds))
        }
        record::PRIMARY_TEMP => {
            let (pg, osd) = values::pg_osd(record.message()?).map_err(at)?;
            Change::PrimaryTemp(pg, osd)
        }
        record::PG_CREATED => Change::PgCreated(values::pg_osd(record.message()?).map_err(at)?.0),
        record::MONITOR => {
            let message: messages::Monitor = record.message()?;
            let entry = message.entry.map(values::monitor_entry).transpose().map_err(at)?;
            Change::Monitor(MonId(message.id), entry)
        }
        record::MANAGERS => Change::Managers(values::managers(record.message()?).map_err(at)?),
        record::BLOCKLISTED => {
            let (entry, until_ms) = values::blocklisted(record.message()?).map_err(at)?;
            Change::Blocklist(entry, until_ms)
        }
        record::FULL_RATIOS => Change::FullRatios(values::full_ratios(record.message()?)),
        record::CONFIGURATION => {
            let (option, target, value) = values::configured(record.message()?).map_err(at)?;
            Change::Configuration { option, target, value }
        }
        record::CLIENT_NEXT => Change::ClientNext(ClientId(number()?)),
        record::GATES => {
            let message: messages::Gates = record.message()?;
            Change::Gates { protocol_min: message.protocol_min, require_osd_release: message.require_osd_release }
        }
        _ => {
            return Err(Error::invalid(format!(
                "record {} at byte {}: this program does not know such a change; a later version does",
                record.number, record.offset
            )));
        }
    };
    Ok(change)
}

/// A change that names an OSD and numbers.
fn read_osd_numbers(record: &Record<'_>) -> Result<Change> {
    let message: messages::OsdNumbers = record.message()?;
    let osd = values::osd_id(message.osd).map_err(|error| record.damaged(error))?;
    let narrow =
        |value: u64| u32::try_from(value).map_err(|_| record.damaged(format!("{value} is more than 32 bits hold")));
    Ok(match record.number {
        record::OSD_DOWN => {
            Change::OsdDown { osd, dead: if message.first == 0 { Death::Possible } else { Death::Proven } }
        }
        record::OSD_WEIGHT => Change::OsdWeight {
            osd,
            weight: Weight(narrow(message.first)?),
            weight_before_out: message.second.map(narrow).transpose()?.map(Weight),
        },
        record::OSD_PRIMARY_AFFINITY => Change::OsdPrimaryAffinity { osd, affinity: Weight(narrow(message.first)?) },
        record::OSD_UP_THRU => Change::OsdUpThru { osd, epoch: Epoch(narrow(message.first)?) },
        record::OSD_LAST_CLEAN => Change::OsdLastClean {
            osd,
            begin: Epoch(narrow(message.first)?),
            end: Epoch(narrow(message.second.unwrap_or(0))?),
        },
        record::OSD_FLAGS => Change::OsdFlags { osd, flags: ClusterFlags(message.first) },
        record::OSD_LOST => Change::OsdLost { osd },
        _ => Change::OsdRemove { osd },
    })
}

fn some_unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
