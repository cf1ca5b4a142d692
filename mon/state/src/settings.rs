//! What an operator may tune about the monitors' decisions, with the argument for each default.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use types::{Error, Result, limits};

/// Settings of the decisions that the leading monitor takes. Durations are in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// An OSD that sent no beacon for so long is down. Beacons come every few seconds; other OSDs notice a death
    /// within `grace` long before, so this is only the last net, for when too few of them are left to report.
    pub osd_beacon_grace_ms: u64,
    /// A down OSD is marked out after this time, and its data is copied elsewhere. Ceph: `mon_osd_down_out_interval`.
    pub osd_down_out_interval_ms: u64,
    /// So many OSDs must report another one before it is down. Ceph: `mon_osd_min_down_reporters`.
    pub osd_failure_reporters_min: u32,
    /// A failure report counts for so long; reporters send theirs again while it holds.
    pub osd_failure_report_lifetime_ms: u64,
    /// Nobody is marked out by time when less than this share of all OSDs would stay in. Ceph: `mon_osd_min_in_ratio`.
    pub osd_in_permille_min: u32,
    /// The active manager is replaced when it sent no beacon for so long.
    pub manager_beacon_grace_ms: u64,
    /// Statistics older than this are shown as stale: placement group states then count as unknown.
    pub digest_stale_after_ms: u64,
    /// Copies in a new pool. Ceph: `osd_pool_default_size`.
    pub pool_default_size: u32,
    /// Placement groups in a new pool. Ceph: `osd_pool_default_pg_num`.
    pub pool_default_pg_num: u32,
    /// Copies of placement groups that an OSD should hold at most; bounds new pools. Ceph: `mon_max_pg_per_osd`.
    pub pgs_per_osd_max: u32,
    /// Whether pools may be removed at all. Ceph: `mon_allow_pool_delete`, there off by default; the name given twice
    /// and the confirmation are asked for in any case.
    pub pool_removal_allowed: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            osd_beacon_grace_ms: 30_000,
            osd_down_out_interval_ms: 600_000,
            osd_failure_reporters_min: 2,
            osd_failure_report_lifetime_ms: 30_000,
            osd_in_permille_min: 750,
            manager_beacon_grace_ms: 10_000,
            digest_stale_after_ms: 30_000,
            pool_default_size: 3,
            pool_default_pg_num: 32,
            pgs_per_osd_max: 250,
            pool_removal_allowed: true,
        }
    }
}

impl Settings {
    /// Refuses values that make no sense, naming the setting and its range.
    ///
    /// # Errors
    /// `Invalid` with the first wrong setting.
    pub fn check(&self) -> Result<()> {
        let day_ms = 24 * 3600 * 1000;
        within("osd_beacon_grace_ms", self.osd_beacon_grace_ms, 1000, day_ms)?;
        within("osd_down_out_interval_ms", self.osd_down_out_interval_ms, 0, 365 * day_ms)?;
        within("osd_failure_reporters_min", u64::from(self.osd_failure_reporters_min), 1, 100)?;
        within("osd_failure_report_lifetime_ms", self.osd_failure_report_lifetime_ms, 1000, day_ms)?;
        within("osd_in_permille_min", u64::from(self.osd_in_permille_min), 0, 1000)?;
        within("manager_beacon_grace_ms", self.manager_beacon_grace_ms, 1000, day_ms)?;
        within("digest_stale_after_ms", self.digest_stale_after_ms, 1000, day_ms)?;
        within("pool_default_size", u64::from(self.pool_default_size), 1, u64::from(limits::POOL_SIZE_MAX))?;
        within("pool_default_pg_num", u64::from(self.pool_default_pg_num), 1, u64::from(limits::POOL_PG_NUM_MAX))?;
        within("pgs_per_osd_max", u64::from(self.pgs_per_osd_max), 1, 100_000)
    }

    pub(crate) fn osd_beacon_grace(&self) -> Duration {
        Duration::from_millis(self.osd_beacon_grace_ms)
    }

    pub(crate) fn osd_down_out_interval(&self) -> Duration {
        Duration::from_millis(self.osd_down_out_interval_ms)
    }

    pub(crate) fn osd_failure_report_lifetime(&self) -> Duration {
        Duration::from_millis(self.osd_failure_report_lifetime_ms)
    }

    pub(crate) fn manager_beacon_grace(&self) -> Duration {
        Duration::from_millis(self.manager_beacon_grace_ms)
    }

    pub(crate) fn digest_stale_after(&self) -> Duration {
        Duration::from_millis(self.digest_stale_after_ms)
    }
}

fn within(name: &str, value: u64, min: u64, max: u64) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} = {value} is out of range; it would be from {min} to {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn just_inside_passes_and_just_outside_names_the_setting() {
        let mut settings = Settings::default();
        settings.check().unwrap();
        settings.osd_in_permille_min = 1000;
        settings.check().unwrap();
        settings.osd_in_permille_min = 1001;
        let refused = settings.check().unwrap_err();
        assert_eq!(refused.message, "osd_in_permille_min = 1001 is out of range; it would be from 0 to 1000");
    }
}
