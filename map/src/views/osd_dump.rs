//! `osd dump`: everything of the map that concerns OSDs, pools and placement.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::Serialize;
use types::{OsdId, PgId};

use super::{PoolView, fraction, pools, timestamp};
use crate::{BlocklistEntry, ClusterMap, OsdState, Weight};

/// The whole dump.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OsdDump {
    /// The map's number.
    pub epoch: u32,
    /// Which cluster.
    pub fsid: String,
    /// Wall time of the change that made this epoch.
    pub modified: String,
    /// Cluster-wide switches, joined by commas.
    pub flags: String,
    /// The same as bits; the numbers are this system's own.
    pub flags_num: u64,
    /// The same as a list.
    pub flags_set: Vec<&'static str>,
    /// Share at which a device takes no more writes.
    #[serde(serialize_with = "fraction::serialize")]
    pub full_ratio: f64,
    /// Share at which a device takes no backfill.
    #[serde(serialize_with = "fraction::serialize")]
    pub backfillfull_ratio: f64,
    /// Share at which health warns.
    #[serde(serialize_with = "fraction::serialize")]
    pub nearfull_ratio: f64,
    /// Highest pool number ever given.
    pub pool_max: u64,
    /// Highest OSD number plus one.
    pub max_osd: u32,
    /// Features that every OSD must have; a number here.
    pub require_osd_release: u32,
    /// Pools.
    pub pools: Vec<PoolView>,
    /// OSDs.
    pub osds: Vec<OsdView>,
    /// More about OSDs.
    pub osd_xinfo: Vec<OsdExtra>,
    /// Whole-set exceptions.
    pub pg_upmap: Vec<PgOsdsView>,
    /// Replacement exceptions.
    pub pg_upmap_items: Vec<PgReplacementsView>,
    /// Exceptions about who leads.
    pub pg_upmap_primaries: Vec<PgPrimaryView>,
    /// Temporary acting sets.
    pub pg_temp: Vec<PgOsdsView>,
    /// Temporary primaries: placement group, OSD, placement group, OSD and so on in one list, as Ceph prints it.
    pub primary_temp: Vec<PgOrOsd>,
    /// Who is refused, with the time until when.
    pub blocklist: BTreeMap<String, String>,
    /// Placement groups that are still to be made.
    pub creating_pgs: Vec<PgId>,
    /// Lowest data-plane protocol that may take part.
    pub protocol_min: u32,
}

/// An OSD.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OsdView {
    /// Its number.
    pub osd: u32,
    /// Which life of it.
    pub uuid: String,
    /// One when up.
    pub up: u32,
    /// One when in.
    #[serde(rename = "in")]
    pub is_in: u32,
    /// In/out weight.
    #[serde(serialize_with = "fraction::serialize")]
    pub weight: f64,
    /// Primary affinity.
    #[serde(serialize_with = "fraction::serialize")]
    pub primary_affinity: f64,
    /// First epoch of the last clean interval.
    pub last_clean_begin: u32,
    /// Its last epoch.
    pub last_clean_end: u32,
    /// Epoch in which it was marked up.
    pub up_from: u32,
    /// Last epoch of whose interval it could have served writes.
    pub up_thru: u32,
    /// Epoch in which it was marked down.
    pub down_at: u32,
    /// Epoch up to which its data was declared lost.
    pub lost_at: u32,
    /// Where clients find it.
    pub public_addrs: AddressVector,
    /// Where other OSDs find it: the same place.
    pub cluster_addrs: AddressVector,
    /// The same as text: address, `/`, nonce.
    pub public_addr: String,
    /// The same as text.
    pub cluster_addr: String,
    /// Words: `exists`, `up`, `autoout`, and flags that hold for it alone.
    pub state: Vec<&'static str>,
    /// The host that it runs on.
    pub host: String,
}

/// Addresses for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddressVector {
    /// The addresses; none while the OSD is down.
    pub addrvec: Vec<AddressEntry>,
}

/// One address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddressEntry {
    /// The protocol.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Address and port.
    pub addr: String,
    /// The process's nonce.
    pub nonce: u64,
}

/// What Ceph keeps of an OSD beside its state.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OsdExtra {
    /// Its number.
    pub osd: u32,
    /// The weight to give back when it comes in again; zero when there is none.
    #[serde(serialize_with = "fraction::serialize")]
    pub old_weight: f64,
    /// Epoch in which its last incarnation was proven dead; zero when it was not.
    pub dead_epoch: u32,
}

/// A placement group with its exceptional set; a hole is 2147483647.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PgOsdsView {
    /// Which.
    pub pgid: PgId,
    /// The set.
    pub osds: Vec<u32>,
}

/// A placement group with replacements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PgReplacementsView {
    /// Which.
    pub pgid: PgId,
    /// The replacements, in order.
    pub mappings: Vec<ReplacementView>,
}

/// One replacement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ReplacementView {
    /// Who is replaced.
    pub from: u32,
    /// By whom.
    pub to: u32,
}

/// An element of the list of temporary primaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PgOrOsd {
    /// Which group.
    Pg(PgId),
    /// Who leads the group before it in the list.
    Osd(u32),
}

/// A placement group with the OSD that should lead it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PgPrimaryView {
    /// Which.
    pub pgid: PgId,
    /// Who.
    pub primary_osd: u32,
}

impl Weight {
    /// As a fraction of one, for people and scripts; never for placement.
    pub fn as_fraction(self) -> f64 {
        f64::from(self.0) / 65_536.0
    }
}

/// The dump of a map.
pub fn osd_dump(map: &ClusterMap) -> OsdDump {
    let share = |permille: u32| f64::from(permille) / 1000.0;
    let primaries = map.pg_upmap_primary.iter().map(|(pg, osd)| PgPrimaryView { pgid: *pg, primary_osd: osd.0 });
    let replacements = map.pg_upmap_items.iter().map(|(pg, pairs)| PgReplacementsView {
        pgid: *pg,
        mappings: pairs.iter().map(|(from, to)| ReplacementView { from: from.0, to: to.0 }).collect(),
    });
    let blocklist = map.blocklist.iter().map(|(entry, until_ms)| match entry {
        BlocklistEntry::Client(client) => (format!("client.{client}"), timestamp(*until_ms)),
    });
    let extra = |(osd, state): (&OsdId, &OsdState)| OsdExtra {
        osd: osd.0,
        old_weight: state.weight_before_out.unwrap_or(Weight::ZERO).as_fraction(),
        dead_epoch: state.dead_epoch.0,
    };
    OsdDump {
        epoch: map.epoch.0,
        fsid: map.cluster.to_string(),
        modified: timestamp(map.modified_ms),
        flags: map.flags.to_string(),
        flags_num: map.flags.0,
        flags_set: map.flags.names().collect(),
        full_ratio: share(map.full_ratios.full_permille),
        backfillfull_ratio: share(map.full_ratios.backfillfull_permille),
        nearfull_ratio: share(map.full_ratios.nearfull_permille),
        pool_max: map.pool_next.0.saturating_sub(1),
        max_osd: map.osds.last_key_value().map_or(0, |(osd, _)| osd.0 + 1),
        require_osd_release: map.require_osd_release,
        pools: pools(map),
        osds: map.osds.iter().map(|(osd, state)| osd_view(*osd, state)).collect(),
        osd_xinfo: map.osds.iter().map(extra).collect(),
        pg_upmap: pg_osds(&map.pg_upmap),
        pg_upmap_items: replacements.collect(),
        pg_upmap_primaries: primaries.collect(),
        pg_temp: pg_osds(&map.pg_temp),
        primary_temp: map.primary_temp.iter().flat_map(|(pg, osd)| [PgOrOsd::Pg(*pg), PgOrOsd::Osd(osd.0)]).collect(),
        blocklist: blocklist.collect(),
        creating_pgs: map.creating_pgs.iter().copied().collect(),
        protocol_min: map.protocol_min,
    }
}

fn pg_osds(table: &BTreeMap<PgId, Vec<OsdId>>) -> Vec<PgOsdsView> {
    let view =
        |(pg, osds): (&PgId, &Vec<OsdId>)| PgOsdsView { pgid: *pg, osds: osds.iter().map(|osd| osd.0).collect() };
    table.iter().map(view).collect()
}

fn osd_view(osd: OsdId, state: &OsdState) -> OsdView {
    let nonce = state.nonce.0;
    let entry = |address: SocketAddr| AddressEntry { kind: "v2", addr: address.to_string(), nonce };
    let addresses = AddressVector { addrvec: state.address.map(entry).into_iter().collect() };
    // Ceph prints this for an OSD without address.
    let text = state.address.map_or_else(|| ":/0".to_owned(), |address| format!("{address}/{nonce}"));
    let out_by_itself = state.weight == Weight::ZERO && state.weight_before_out.is_some();
    let words = [("exists", true), ("up", state.up), ("autoout", out_by_itself)];
    let words = words.into_iter().filter(|(_, holds)| *holds).map(|(word, _)| word);
    OsdView {
        osd: osd.0,
        uuid: state.uuid.to_string(),
        up: u32::from(state.up),
        is_in: u32::from(state.is_in()),
        weight: state.weight.as_fraction(),
        primary_affinity: state.primary_affinity.as_fraction(),
        last_clean_begin: state.last_clean_begin.0,
        last_clean_end: state.last_clean_end.0,
        up_from: state.up_from.0,
        up_thru: state.up_thru.0,
        down_at: state.down_at.0,
        lost_at: state.lost_at.0,
        public_addrs: addresses.clone(),
        cluster_addrs: addresses,
        public_addr: text.clone(),
        cluster_addr: text,
        state: words.chain(state.flags.names()).collect(),
        host: state.host.clone(),
    }
}
