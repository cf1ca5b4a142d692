//! What a placement group is told at its start: identity, durations and bounds.

use std::time::Duration;

use map::{ConfigOption, EffectiveSettings};
use types::{BootNonce, OsdId, limits};

/// Whether the machine asserts its invariants by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checks {
    /// After every event: tests and simulation.
    EveryEvent,
    /// Production.
    #[default]
    Never,
}

/// Identity, durations and bounds of one placement group's member.
#[derive(Debug, Clone)]
pub struct PgConfig {
    /// This OSD.
    pub whoami: OsdId,
    /// This life of the OSD's process. A restarted process takes no part until the map shows it as up in this life: until
    /// then others may still count on what the life before had promised. `None` leaves that to the OSD.
    pub nonce: Option<BootNonce>,
    /// Whether invariants are asserted after every event.
    pub checks: Checks,
    /// How long a grant lets the primary serve reads. FOUNDATIONS 16: at most the heartbeat grace of 4 s.
    pub lease: Duration,
    /// How often grants are renewed: several times per lease, so that one lost message costs nothing.
    pub lease_renewal: Duration,
    /// What a restarted member says is left of a grant that it may have forgotten: a whole lease with its margin.
    pub prior_lease: Duration,
    /// When an unanswered message of peering or recovery is sent again, beyond what a broken connection triggers.
    pub retry: Duration,
    /// When an unacknowledged write is sent again, beyond what a broken connection triggers. Long: a slow disk is not a loss.
    pub replicate_retry: Duration,
    /// How often a stray tells the primary that it is there.
    pub stray_announcement: Duration,
    /// Entries above which the log is trimmed.
    pub log_entries_max: usize,
    /// Entries that trimming leaves.
    pub log_entries_min: usize,
    /// Bytes above which the log is trimmed.
    pub log_bytes_max: usize,
    /// Answers that are remembered beyond the log.
    pub requests_remembered_max: usize,
    /// Objects that one PG recovers or backfills at once: enough to hide the latency of one, few enough to leave
    /// disks to clients.
    pub recovery_objects_in_flight: usize,
    /// Bytes of one recovery chunk.
    pub recovery_chunk_bytes: u64,
    /// Objects in one page of a scan.
    pub scan_page_objects: usize,
}

impl PgConfig {
    /// The defaults of FOUNDATIONS for this OSD.
    pub fn new(whoami: OsdId) -> Self {
        let lease = Duration::from_secs(4);
        Self {
            whoami,
            nonce: None,
            checks: Checks::Never,
            lease,
            lease_renewal: Duration::from_secs(1),
            prior_lease: with_margin(lease),
            retry: Duration::from_secs(1),
            replicate_retry: Duration::from_secs(10),
            stray_announcement: Duration::from_secs(10),
            log_entries_max: limits::PG_LOG_ENTRIES_MAX,
            log_entries_min: limits::PG_LOG_ENTRIES_MIN,
            log_bytes_max: limits::PG_LOG_BYTES_MAX,
            requests_remembered_max: limits::PG_REQUESTS_REMEMBERED_MAX,
            recovery_objects_in_flight: EffectiveSettings::default().places(ConfigOption::OsdRecoveryMaxActive),
            recovery_chunk_bytes: limits::RECOVERY_CHUNK_BYTES,
            scan_page_objects: limits::SCAN_PAGE_OBJECTS,
        }
    }
}

impl PgConfig {
    /// Takes over what operators chose.
    pub fn follow(&mut self, settings: &EffectiveSettings) {
        self.recovery_objects_in_flight = settings.places(ConfigOption::OsdRecoveryMaxActive);
    }
}

/// A granted duration as its giver counts it: ten per cent longer, because two clocks do not run equally fast.
pub(crate) fn with_margin(duration: Duration) -> Duration {
    duration + duration / 10
}
