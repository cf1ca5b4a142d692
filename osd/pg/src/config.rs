//! What a placement group is told at its start: identity, durations and bounds.

use std::time::Duration;

use map::{ConfigOption, EffectiveSettings};
use types::{BootNonce, OsdId, limits};
use wire::ScrubDepth;

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
    /// When and how members read their copies again.
    pub scrub: ScrubConfig,
    /// Between two handfuls of clones that are trimmed; longer while clients use the group. Ceph: `osd_snap_trim_sleep`.
    pub snapshot_trim_pause: Duration,
}

/// When scrubs happen and what they may cost.
#[derive(Debug, Clone)]
pub struct ScrubConfig {
    /// What the wall clock shows when [`types::Time`] is zero, in milliseconds since 1970: due times outlive the process.
    pub wall_ms_at_zero: u64,
    /// Within how long the metadata of every object is compared. Ceph: a day.
    pub metadata_every: Duration,
    /// Within how long every byte is read again. Rot that sits longer than this may meet a second one.
    pub data_every: Duration,
    /// Objects in a chunk of a scrub of metadata. Ceph: `osd_scrub_chunk_max`. A client that writes one of them waits for
    /// at most the reading of so many.
    pub metadata_chunk_objects: usize,
    /// The same for a scrub of data, of which each may take the reading of a whole object.
    pub data_chunk_objects: usize,
    /// How fast one scrub reads, on the average: what is left of the device belongs to clients.
    pub bytes_per_second: u64,
    /// Between two chunks at least: scrubs of metadata cost little, but not nothing.
    pub pause_min: Duration,
    /// How many times longer the pauses are while clients use the placement group.
    pub busy_factor: u32,
    /// How often clients' writes may take a chunk's place before it takes theirs. Ceph: `osd_scrub_max_preemptions`.
    pub preemptions_max: u32,
    /// Objects that one scrub repairs without being told. Ceph: `osd_scrub_auto_repair_num_errors`. More than this is not
    /// rot but a disaster, which a person should see first.
    pub auto_repair_objects_max: u64,
    /// How long a member keeps a place for a primary that says nothing.
    pub silence_max: Duration,
    /// How often the position is stored: what a restart reads twice at most.
    pub cursor_saved_every: Duration,
    /// What was given at the start, once settings have been followed.
    pub at_start: Option<ScrubGoals>,
}

/// What a scrub aims at, as given at the start.
#[derive(Debug, Clone, Copy)]
pub struct ScrubGoals {
    metadata_every: Duration,
    data_every: Duration,
    auto_repair_objects_max: u64,
}

impl ScrubConfig {
    /// Takes over what operators chose; what they did not choose is as it was at the start.
    fn follow(&mut self, settings: &EffectiveSettings) {
        let start = *self.at_start.get_or_insert(ScrubGoals {
            metadata_every: self.metadata_every,
            data_every: self.data_every,
            auto_repair_objects_max: self.auto_repair_objects_max,
        });
        let is_set = |option| settings.set_by(option).is_some();
        let duration = |option, start| if is_set(option) { settings.duration(option) } else { start };
        self.metadata_every = duration(ConfigOption::OsdScrubInterval, start.metadata_every);
        self.data_every = duration(ConfigOption::OsdDeepScrubInterval, start.data_every);
        let errors = ConfigOption::OsdScrubAutoRepairErrors;
        self.auto_repair_objects_max =
            if is_set(errors) { u64::from(settings.count(errors)) } else { start.auto_repair_objects_max };
    }

    /// Objects in a chunk of this depth.
    pub(crate) fn chunk_objects(&self, depth: ScrubDepth) -> usize {
        match depth {
            ScrubDepth::Metadata => self.metadata_chunk_objects,
            ScrubDepth::Data => self.data_chunk_objects,
        }
        .max(1)
    }

    /// The pause after a chunk of which this member read so many bytes, while clients use so many objects.
    pub(crate) fn pause_after(&self, bytes: u64, objects_in_use: usize) -> Duration {
        let milliseconds = bytes.saturating_mul(1000) / self.bytes_per_second.max(1);
        let pause = Duration::from_millis(milliseconds).max(self.pause_min);
        if objects_in_use == 0 { pause } else { pause * self.busy_factor }
    }
}

impl Default for ScrubConfig {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            wall_ms_at_zero: 0,
            metadata_every: DAY,
            data_every: Duration::from_secs(14 * 24 * 3600),
            metadata_chunk_objects: 25,
            data_chunk_objects: 4,
            bytes_per_second: 64 << 20,
            pause_min: Duration::from_millis(10),
            busy_factor: 4,
            preemptions_max: 5,
            auto_repair_objects_max: 5,
            silence_max: Duration::from_secs(60),
            cursor_saved_every: Duration::from_secs(60),
            at_start: None,
        }
    }
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
            scrub: ScrubConfig::default(),
            snapshot_trim_pause: Duration::from_millis(20),
        }
    }
}

impl PgConfig {
    /// Takes over what operators chose.
    pub fn follow(&mut self, settings: &EffectiveSettings) {
        self.recovery_objects_in_flight = settings.places(ConfigOption::OsdRecoveryMaxActive);
        self.scrub.follow(settings);
    }
}

/// A granted duration as its giver counts it: ten per cent longer, because two clocks do not run equally fast.
pub(crate) fn with_margin(duration: Duration) -> Duration {
    duration + duration / 10
}
