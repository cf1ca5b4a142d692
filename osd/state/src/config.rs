//! What an OSD is told at its start, and the durations it lives by.

use std::{net::SocketAddr, time::Duration};

use map::{ConfigOption, EffectiveSettings};
use osd_pg::PgConfig;
use types::{BootNonce, OsdId, OsdUuid};
use wire::NetworkStack;

/// Identity and settings of one life of an OSD process.
#[derive(Debug, Clone)]
pub struct OsdConfig {
    /// Its number.
    pub whoami: OsdId,
    /// The life of its device.
    pub uuid: OsdUuid,
    /// The life of its process.
    pub nonce: BootNonce,
    /// Its host's name.
    pub host: String,
    /// Where its data plane listens.
    pub address: SocketAddr,
    /// Which network stack that is; unknown unless the shell says it.
    pub network_stack: NetworkStack,
    /// The size of its device in bytes.
    pub total_bytes: u64,
    /// How often peers are asked whether they live. FOUNDATIONS 16: 1 s.
    pub ping_interval: Duration,
    /// How long a peer may be silent before it is reported. FOUNDATIONS 16: 4 s.
    pub grace: Duration,
    /// How often the monitors hear that this OSD lives, and how often an unanswered request to them is repeated.
    pub beacon_interval: Duration,
    /// How often the manager hears statistics.
    pub statistics_interval: Duration,
    /// Placement groups that may recover or backfill here at once, as primary or target: bounds the load that
    /// healing puts beside clients.
    pub reservations_max: usize,
    /// Placement groups that may be scrubbed here at once, as primary or as another member. Ceph: `osd_max_scrubs`.
    pub scrubs_max: usize,
    /// What every placement group is told.
    pub pg: PgConfig,
}

impl OsdConfig {
    /// The defaults of FOUNDATIONS for this identity; `pg` is the template for its placement groups.
    pub fn new(
        whoami: OsdId,
        uuid: OsdUuid,
        nonce: BootNonce,
        host: String,
        address: SocketAddr,
        total_bytes: u64,
        pg: PgConfig,
    ) -> Self {
        let chosen = EffectiveSettings::default();
        Self {
            whoami,
            uuid,
            nonce,
            host,
            address,
            network_stack: NetworkStack::default(),
            total_bytes,
            ping_interval: Duration::from_secs(1),
            grace: chosen.duration(ConfigOption::OsdHeartbeatGrace),
            beacon_interval: Duration::from_secs(1),
            statistics_interval: Duration::from_secs(2),
            reservations_max: chosen.places(ConfigOption::OsdMaxBackfills),
            scrubs_max: chosen.places(ConfigOption::OsdMaxScrubs),
            // A restarted group takes no part until the map shows this life of the process.
            pg: PgConfig { nonce: Some(nonce), ..pg },
        }
    }
}
