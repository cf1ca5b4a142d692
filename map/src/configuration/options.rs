//! The table of options: every one that exists, declared once.
//!
//! At most 60 may ever stand here. A new one must argue why no value fits everybody; it names its unit, its range, its
//! default with the reason, the first release that knows it, and what it does in one line.

use types::limits;

use super::Unit;

/// When a new value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// As soon as the daemon has the map.
    AtOnce,
    /// When the daemon starts the next time.
    AfterRestart,
}

/// One declared option.
#[derive(Debug)]
pub struct OptionSpec {
    /// What it is called; Ceph's name where Ceph has such an option.
    pub name: &'static str,
    /// Its kind and range.
    pub unit: Unit,
    /// What counts when nobody set it, in the unit's own number.
    pub default: u64,
    /// When a change counts.
    pub takes: Takes,
    /// The release that first knew it.
    pub since: &'static str,
    /// What it does, in one line.
    pub effect: &'static str,
}

macro_rules! options {
    ($($(#[$meta:meta])* $variant:ident = $spec:expr;)*) => {
        /// An option by its place in the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ConfigOption {
            $($(#[$meta])* $variant,)*
        }

        impl ConfigOption {
            /// Every option, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The declaration.
            pub fn spec(self) -> &'static OptionSpec {
                match self {
                    $(Self::$variant => {
                        const SPEC: OptionSpec = $spec;
                        &SPEC
                    })*
                }
            }
        }
    };
}

impl ConfigOption {
    /// The option of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|option| option.spec().name == name)
    }
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

const fn live(name: &'static str, unit: Unit, default: u64, effect: &'static str) -> OptionSpec {
    OptionSpec { name, unit, default, takes: Takes::AtOnce, since: "0.1", effect }
}

options! {
    /// Lines of a daemon's log.
    LogLevel = live(
        "log_level",
        Unit::Choice(&["error", "warn", "info", "debug", "trace"]),
        2,
        "what a daemon writes into its log: lines of this level and above",
    );
    /// The last net for silent OSDs. Other OSDs notice a death within `osd_heartbeat_grace`, long before.
    OsdReportTimeout = live(
        "mon_osd_report_timeout",
        Unit::Duration { min: SECOND, max: DAY },
        30 * SECOND,
        "an OSD that told the monitors nothing for so long is down",
    );
    /// Ceph's default, ten minutes: longer than a restart of the host, shorter than anybody wants to wait for copies.
    OsdDownOutInterval = live(
        "mon_osd_down_out_interval",
        Unit::Duration { min: 0, max: 365 * DAY },
        10 * MINUTE,
        "a down OSD is marked out after this time, and its data is copied elsewhere",
    );
    /// Four seconds, as long as a read lease: whoever is silent for longer could not serve anyhow (FOUNDATIONS 16).
    OsdHeartbeatGrace = live(
        "osd_heartbeat_grace",
        Unit::Duration { min: 4 * SECOND, max: 10 * MINUTE },
        4 * SECOND,
        "how long an OSD may be silent before another one reports it",
    );
    /// Four: enough to use the devices of a small cluster, few enough to leave them to clients.
    OsdMaxBackfills = live(
        "osd_max_backfills",
        Unit::Count { min: 1, max: 256 },
        4,
        "placement groups that recover or backfill at once on an OSD, as primary or target",
    );
    /// Eight: enough to hide the latency of one.
    OsdRecoveryMaxActive = live(
        "osd_recovery_max_active",
        Unit::Count { min: 1, max: 256 },
        8,
        "objects that a placement group recovers at once",
    );
    /// Two: one reporter alone may itself be the one that is cut off.
    OsdMinDownReporters = live(
        "mon_osd_min_down_reporters",
        Unit::Count { min: 1, max: 100 },
        2,
        "so many OSDs must report another one before it is down",
    );
    /// A day, as Ceph has it: metadata is little, and a copy that went missing should not stay so for long.
    OsdScrubInterval = live(
        "osd_scrub_min_interval",
        Unit::Duration { min: MINUTE, max: 365 * DAY },
        DAY,
        "within this time the metadata of all copies is compared",
    );
    /// Fourteen days: rot that sits for longer may meet a second one, and reading a device once in that time costs it little.
    OsdDeepScrubInterval = live(
        "osd_deep_scrub_interval",
        Unit::Duration { min: MINUTE, max: 365 * DAY },
        14 * DAY,
        "within this time every stored byte is read again",
    );
    /// Two: one as primary and one for another primary.
    OsdMaxScrubs = live(
        "osd_max_scrubs",
        Unit::Count { min: 1, max: 64 },
        2,
        "placement groups that are scrubbed at once on an OSD, as primary or other member",
    );
    /// Five, as Ceph has it: more is not rot but a disaster, which a person should see first.
    OsdScrubAutoRepairErrors = live(
        "osd_scrub_auto_repair_num_errors",
        Unit::Count { min: 0, max: 1000 },
        5,
        "a scrub that finds at most so many bad objects repairs them without being told",
    );
    /// Reporters send theirs again while what they saw holds.
    OsdFailureReportLifetime = live(
        "mon_osd_failure_report_lifetime",
        Unit::Duration { min: SECOND, max: DAY },
        30 * SECOND,
        "for how long a report on another OSD counts",
    );
    /// Beyond a quarter of all OSDs it is more likely that the network is broken than that the devices are.
    OsdMinInRatio = live(
        "mon_osd_min_in_ratio",
        Unit::Share,
        750,
        "nobody is marked out by time when less than this share of all OSDs would stay in",
    );
    /// Managers send a beacon every second or two.
    MgrBeaconGrace = live(
        "mon_mgr_beacon_grace",
        Unit::Duration { min: SECOND, max: DAY },
        10 * SECOND,
        "the active manager is replaced when it was silent for so long",
    );
    /// Several report intervals.
    StatisticsStaleAfter = live(
        "mon_statistics_stale_after",
        Unit::Duration { min: SECOND, max: DAY },
        30 * SECOND,
        "statistics older than this are shown as stale, placement group states as unknown",
    );
    /// Three copies: one may be lost while another one is being made again.
    PoolDefaultSize = live(
        "osd_pool_default_size",
        Unit::Count { min: 1, max: limits::POOL_SIZE_MAX as u64 },
        3,
        "copies in a new pool",
    );
    /// Ceph's default.
    PoolDefaultPgNum = live(
        "osd_pool_default_pg_num",
        Unit::Count { min: 1, max: limits::POOL_PG_NUM_MAX as u64 },
        32,
        "placement groups in a new pool",
    );
    /// Ceph's default: each placement group costs memory and messages on each of its OSDs.
    PgsPerOsdMax = live(
        "mon_max_pg_per_osd",
        Unit::Count { min: 1, max: 100_000 },
        250,
        "copies of placement groups that an OSD should hold at most; bounds new pools",
    );
    /// On, unlike Ceph: removal asks for the name twice and for a confirmation in any case.
    PoolRemovalAllowed = live(
        "mon_allow_pool_delete",
        Unit::Switch,
        1,
        "whether pools may be removed at all",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_small_its_names_are_unique_and_its_defaults_are_in_range() {
        assert!(ConfigOption::ALL.len() <= 60, "at most 60 options");
        for option in ConfigOption::ALL {
            let spec = option.spec();
            assert_eq!(ConfigOption::by_name(spec.name), Some(*option), "{}", spec.name);
            let text = spec.unit.text(spec.default);
            assert_eq!(spec.unit.parse(&text).unwrap(), spec.default, "{}", spec.name);
            assert!(!spec.effect.ends_with('.') && spec.effect.len() < 100, "{}", spec.name);
        }
    }
}
