//! What operators chose about the monitors' decisions.
//!
//! The options with their ranges and defaults are declared in the map crate; here they get the names of what they decide.

use std::time::Duration;

use map::{ClusterMap, ConfigOption, ConfigSubject, EffectiveSettings};
use types::{EntityKind, EntityName, MonId};

/// Settings of the decisions that the leading monitor takes, at one epoch.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    effective: EffectiveSettings,
}

impl Settings {
    /// The leader's settings by this map. A leader that is not listed has those of any monitor.
    pub fn of(map: &ClusterMap, leader: Option<MonId>) -> Self {
        let name = leader.and_then(|leader| map.monitors.get(&leader)).map_or("", |entry| entry.name.as_str());
        let subject = ConfigSubject::new(EntityName::new(EntityKind::Mon, name));
        Self { effective: map.configuration.effective(&subject) }
    }

    /// Silence after which an OSD is down.
    pub fn osd_beacon_grace(&self) -> Duration {
        self.effective.duration(ConfigOption::OsdReportTimeout)
    }

    /// Time after which a down OSD is out; zero: never.
    pub fn osd_down_out_interval(&self) -> Duration {
        self.effective.duration(ConfigOption::OsdDownOutInterval)
    }

    /// Reporters that take an OSD down.
    pub fn osd_failure_reporters_min(&self) -> u32 {
        self.effective.count(ConfigOption::OsdMinDownReporters)
    }

    /// For how long a report counts.
    pub fn osd_failure_report_lifetime(&self) -> Duration {
        self.effective.duration(ConfigOption::OsdFailureReportLifetime)
    }

    /// Thousandths of all OSDs that stay in whatever time says.
    pub fn osd_in_permille_min(&self) -> u64 {
        self.effective.value(ConfigOption::OsdMinInRatio)
    }

    /// Silence after which a manager is replaced.
    pub fn manager_beacon_grace(&self) -> Duration {
        self.effective.duration(ConfigOption::MgrBeaconGrace)
    }

    /// Age from which statistics count as unknown.
    pub fn digest_stale_after(&self) -> Duration {
        self.effective.duration(ConfigOption::StatisticsStaleAfter)
    }

    /// Copies in a new pool.
    pub fn pool_default_size(&self) -> u32 {
        self.effective.count(ConfigOption::PoolDefaultSize)
    }

    /// Placement groups in a new pool.
    pub fn pool_default_pg_num(&self) -> u32 {
        self.effective.count(ConfigOption::PoolDefaultPgNum)
    }

    /// Copies of placement groups that an OSD should hold at most.
    pub fn pgs_per_osd_max(&self) -> u32 {
        self.effective.count(ConfigOption::PgsPerOsdMax)
    }

    /// Whether pools may be removed.
    pub fn is_pool_removal_allowed(&self) -> bool {
        self.effective.is_on(ConfigOption::PoolRemovalAllowed)
    }
}
