//! What the primary reports of its PG, in the words of Ceph's states.

use types::{Cursor, OsdId};
use wire::{IoCounters, PgStateFlags, PgStatistics, PushSource, ScrubDepth, ScrubOrder, SubOpResult};

use crate::{Fullness, peering::Stage, pg::Pg};

/// What was done since this member leads.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    io: IoCounters,
    /// Objects brought over.
    pub recovered_objects: u64,
}

impl Counters {
    pub(crate) fn note_write(&mut self, bytes: usize) {
        self.io.write_ops += 1;
        self.io.write_bytes += bytes as u64;
    }

    pub(crate) fn note_read(&mut self, results: &[SubOpResult]) {
        self.io.read_ops += 1;
        for result in results {
            if let SubOpResult::Data(data) = result {
                self.io.read_bytes += data.len() as u64;
            }
        }
    }

    pub(crate) fn note_recovered_bytes(&mut self, bytes: usize) {
        self.io.recovered_bytes += bytes as u64;
    }
}

impl Pg {
    /// Bytes brought to other members or fetched from them, since the process started.
    pub fn recovered_bytes(&self) -> u64 {
        self.counters.io.recovered_bytes
    }

    /// State flags and counts, as the primary sees them.
    pub fn statistics(&self) -> PgStatistics {
        let objects = self.info.objects;
        let lacking: usize = self.peers.values().map(|peer| peer.missing.len()).sum::<usize>() + self.missing.len();
        let acting = self.interval.acting_osds().count() as u64;
        let absent = u64::from(self.interval.size).saturating_sub(acting);
        let scans = self.recovery.backfills.len() as u64;
        let is_degraded_scan = absent > 0;
        PgStatistics {
            pg: self.pg,
            state: self.state_flags(),
            epoch: self.map.epoch(),
            last_update: self.log.head(),
            up: self.interval.up_osds().collect(),
            acting: self.interval.acting_osds().collect::<Vec<OsdId>>(),
            objects,
            bytes: self.info.bytes,
            degraded_copies: lacking as u64 + objects * absent,
            misplaced_copies: if is_degraded_scan { 0 } else { objects * scans },
            unfound_objects: if self.peering.stage.is_serving() { self.unfound() as u64 } else { 0 },
            last_epoch_clean: self.info.history.last_epoch_clean,
            io: IoCounters { recovered_objects: self.counters.recovered_objects, ..self.counters.io },
            scrub: (self.scrub.record.number > 0).then(|| self.scrub.record.clone()),
        }
    }

    fn state_flags(&self) -> PgStateFlags {
        let mut flags = self.stage_flags();
        let mut set = |flag, holds: bool| {
            if holds {
                flags = flags.with(flag);
            }
        };
        let size = usize::try_from(self.interval.size).unwrap_or(usize::MAX);
        let acting = self.interval.acting_osds().count();
        set(PgStateFlags::CREATING, self.is_creating());
        set(PgStateFlags::REMAPPED, !self.interval.up_osds().eq(self.interval.acting_osds()));
        set(PgStateFlags::UNDERSIZED, acting < size);
        if self.peering.stage.is_serving() {
            let lacking = !self.missing.is_empty() || self.peers.values().any(|peer| !peer.missing.is_empty());
            set(PgStateFlags::DEGRADED, lacking || acting < size);
            let running = self.reserved_work();
            match self.recovery.reservation.work {
                Some(PushSource::Recovery) => {
                    set(PgStateFlags::RECOVERING, running.is_some());
                    set(PgStateFlags::RECOVERY_WAIT, running.is_none());
                }
                Some(PushSource::Backfill) => {
                    set(PgStateFlags::BACKFILLING, running.is_some());
                    set(PgStateFlags::BACKFILL_WAIT, running.is_none());
                }
                None => {}
            }
            set(PgStateFlags::BACKFILL_TOOFULL, self.fullness != Fullness::Room && !self.recovery.backfills.is_empty());
            let is_clean = self.peering.clean && self.peering.stage == Stage::Active && self.is_all_there();
            set(PgStateFlags::CLEAN, is_clean);
            if let Some(run) = self.scrub.active_run() {
                set(PgStateFlags::SCRUBBING, true);
                set(PgStateFlags::DEEP, run.depth == ScrubDepth::Data);
                set(PgStateFlags::REPAIR, run.order == Some(ScrubOrder::Repair));
            }
        }
        set(PgStateFlags::INCONSISTENT, self.scrub.record.errors > 0);
        flags
    }

    fn stage_flags(&self) -> PgStateFlags {
        match self.peering.stage {
            Stage::Waiting | Stage::Replica => PgStateFlags::default(),
            Stage::GetInfo | Stage::GetLog | Stage::WaitActing | Stage::Activating => PgStateFlags::PEERING,
            Stage::WaitProof => PgStateFlags::PEERING.with(PgStateFlags::WAIT),
            Stage::Down => PgStateFlags::PEERING.with(PgStateFlags::DOWN),
            Stage::Incomplete => PgStateFlags::PEERING.with(PgStateFlags::INCOMPLETE),
            Stage::Active => PgStateFlags::ACTIVE,
            Stage::Peered => PgStateFlags::PEERED,
        }
    }

    /// Everything that tells where the PG stands, as text for a human.
    pub fn dump(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let cursor = |cursor: &Cursor| match cursor {
            Cursor::Start => "start".to_owned(),
            Cursor::Before(object) => format!("before {object}"),
            Cursor::End => "end".to_owned(),
        };
        let mut line = |what: &str, value: String| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{what}: {value}");
        };
        line("pg", self.pg.to_string());
        line("epoch", self.map.epoch().to_string());
        line(
            "interval",
            format!("since {}, up {:?}, acting {:?}", self.interval.since, self.interval.up, self.interval.acting),
        );
        line("primary", format!("{:?}", self.interval.primary));
        line("stage", format!("{:?}", self.peering.stage));
        line("blocked by", format!("{:?}", self.peering.blocked_by));
        line("log", format!("({}, {}], {} entries", self.log.tail(), self.log.head(), self.log.len()));
        line("committed here", self.writes.own_committed.to_string());
        line("committed by all", self.writes.committed_to.to_string());
        line("copy", cursor(&self.info.backfill));
        line("missing", self.missing.len().to_string());
        line("last epoch started", self.info.last_epoch_started.to_string());
        line("history", format!("{:?}", self.info.history));
        for past in self.past.list() {
            let wrote = if past.maybe_wrote { "may have written" } else { "did not write" };
            line("past interval", format!("{} to {}, acting {:?}, {wrote}", past.first, past.last, past.acting));
        }
        for (osd, peer) in &self.peers {
            let missing = peer.missing.len();
            let at =
                format!("{} of log, copy to {}, {missing} missing", peer.info.last_update, cursor(&peer.info.backfill));
            line("peer", format!("osd.{osd}: {at}, committed {}, activated {}", peer.committed, peer.activated));
        }
        let (pulls, pushes) = (self.recovery.pulls.len(), self.recovery.pushes.len());
        line("recovery", format!("{pulls} pulls, {pushes} pushes, {:?}", self.recovery.reservation));
        for (osd, backfill) in &self.recovery.backfills {
            line(
                "backfill",
                format!("osd.{osd}: passed {}, stored {}", cursor(&backfill.passed), cursor(&backfill.stored)),
            );
        }
        line("scrub", format!("{:?}, {:?}", self.scrub.record, self.scrub.run));
        let waiting = self.writes.waiting.len();
        line(
            "operations",
            format!(
                "{waiting} waiting, {} writes in flight, {} objects in use",
                self.writes.in_flight.len(),
                self.writes.objects.len()
            ),
        );
        text
    }
}
