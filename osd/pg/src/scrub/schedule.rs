//! When a placement group is scrubbed: every byte within so many days, spread evenly over them.
//!
//! Each group has a time at which its next scrub is due. A new group's first one lies at a place of its own within the
//! interval, and each later one an interval after the one before began; so the scrubs of many groups stay spread, and the
//! device reads all the time a little. Times are wall clock milliseconds of whoever leads: they outlive the process. A
//! due time further away than the interval is the trace of a clock that jumped, or of a longer interval, and is cut.

use std::time::Duration;

use map::ClusterFlags;
use types::Time;
use wire::{ScrubDepth, ScrubOrder};

use crate::pg::Pg;

/// How often the schedule is looked at when nothing is due, so that changed flags and settings are met.
const LOOK_EVERY: Duration = Duration::from_secs(30);

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Pg {
    /// The wall clock of this OSD, in milliseconds since 1970.
    pub(super) fn wall_ms(&self, now: Time) -> u64 {
        self.config.scrub.wall_ms_at_zero.saturating_add(now.as_nanoseconds() / 1_000_000)
    }

    fn interval_of(&self, depth: ScrubDepth) -> Duration {
        match depth {
            ScrubDepth::Metadata => self.config.scrub.metadata_every,
            ScrubDepth::Data => self.config.scrub.data_every,
        }
    }

    /// A group that never was scrubbed gets its place within the intervals. Says whether there was anything to do.
    pub(super) fn plan_first_scrubs(&mut self, now: Time) -> bool {
        if self.scrub.record.deep_due_ms > 0 {
            return false;
        }
        let wall = self.wall_ms(now);
        // Fibonacci hashing spreads neighbours; 1/1024 of an interval is fine enough.
        let name = self.pg.pool.0.wrapping_shl(32) ^ u64::from(self.pg.seed);
        let place = name.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        let within = |interval: Duration| milliseconds(interval).saturating_mul(place + 1) / 1024;
        self.scrub.record.scrub_due_ms = wall + within(self.interval_of(ScrubDepth::Metadata));
        self.scrub.record.deep_due_ms = wall + within(self.interval_of(ScrubDepth::Data));
        true
    }

    /// When the next scrub of this depth is due, in milliseconds since 1970.
    pub(super) fn scrub_due_ms(&self, depth: ScrubDepth, now: Time) -> u64 {
        let due = match depth {
            ScrubDepth::Metadata => self.scrub.record.scrub_due_ms,
            ScrubDepth::Data => self.scrub.record.deep_due_ms,
        };
        due.min(self.wall_ms(now).saturating_add(milliseconds(self.interval_of(depth))))
    }

    /// What shall be scrubbed now, if anything. An operator's word counts more than the cluster's flags.
    pub(super) fn scrub_wanted(&self, now: Time) -> Option<(ScrubDepth, Option<ScrubOrder>)> {
        if let Some(order) = self.scrub.ordered {
            // Only reading the data again tells whether known errors are still there.
            let blind = self.scrub.record.errors > 0 && self.scrub.found.is_empty();
            let depth = match order {
                ScrubOrder::Scrub if !blind => ScrubDepth::Metadata,
                ScrubOrder::Scrub | ScrubOrder::DeepScrub | ScrubOrder::Repair => ScrubDepth::Data,
            };
            return Some((depth, Some(order)));
        }
        let wall = self.wall_ms(now);
        let is_due = |depth, flag| !self.map.flags.contains(flag) && self.scrub_due_ms(depth, now) <= wall;
        if is_due(ScrubDepth::Data, ClusterFlags::NODEEP_SCRUB) {
            return Some((ScrubDepth::Data, None));
        }
        let blind = self.scrub.record.errors > 0 && self.scrub.found.is_empty();
        (!blind && is_due(ScrubDepth::Metadata, ClusterFlags::NOSCRUB)).then_some((ScrubDepth::Metadata, None))
    }

    /// When the schedule is worth another look.
    pub(super) fn next_look(&self, now: Time) -> Time {
        let wall = self.wall_ms(now);
        let due = self.scrub_due_ms(ScrubDepth::Data, now).min(self.scrub_due_ms(ScrubDepth::Metadata, now));
        let until = Duration::from_millis(due.saturating_sub(wall)).max(self.config.retry);
        now + until.min(LOOK_EVERY)
    }

    /// When the next scrub after one that began at this wall clock time is due.
    pub(super) fn due_after(&self, depth: ScrubDepth, began_ms: u64) -> u64 {
        began_ms.saturating_add(milliseconds(self.interval_of(depth)))
    }
}
