//! What must hold after every event. Each assertion begins with its name.

use types::{Cursor, LogVersion};

use crate::{SessionId, peering::Stage, pg::Pg, stray::assert_nothing_left};

impl Pg {
    /// Panics when something does not hold that must. Called after every event under [`crate::Checks::EveryEvent`].
    pub fn assert_invariants(&self) {
        if self.removal.is_some() {
            assert_nothing_left(self);
            return;
        }
        self.log.assert_invariants();
        self.remembered.assert_invariants(self.config.requests_remembered_max);
        self.assert_account();
        self.assert_roles();
        self.assert_writes();
        self.assert_recovery();
        self.watches.assert_invariants();
        self.assert_scrub();
    }

    /// Invariant 6 of `pg.rs`.
    fn assert_account(&self) {
        assert!(
            self.info_changed || self.info.last_update == self.log.head() && self.info.log_tail == self.log.tail(),
            "account.log: the account says ({}, {}] and the log is ({}, {}]",
            self.info.log_tail,
            self.info.last_update,
            self.log.tail(),
            self.log.head()
        );
        for (object, missing) in self.missing.objects() {
            assert!(
                missing.need <= self.log.head(),
                "missing.known: {object} is needed at {} beyond the log",
                missing.need
            );
            assert!(self.is_past_cursor(object), "missing.cursor: {object} lies behind the cursor");
            assert!(missing.have != Some(missing.need), "missing.lacked: {object} is there at {}", missing.need);
            if let Some(newest) = self.log.newest_of(object) {
                assert!(missing.need >= newest.version, "missing.newest: {object} is needed at {}", missing.need);
            }
        }
    }

    /// Invariant 2 of `pg.rs`.
    fn assert_roles(&self) {
        let stage = self.peering.stage;
        if self.is_primary() {
            assert!(stage != Stage::Replica, "role.primary: the primary is not a replica of itself");
        } else {
            assert!(stage <= Stage::Replica, "role.member: only the primary is in stage {stage:?}");
            assert!(self.writes.in_flight.is_empty(), "role.member: only the primary writes");
            assert!(self.writes.waiting.is_empty(), "role.member: only the primary keeps clients waiting");
        }
        if stage >= Stage::Activating {
            assert!(self.peering.interval_stored, "peering.stored: the interval's beginning is on disk");
            assert!(self.info.backfill == Cursor::End, "peering.whole: a primary's copy is whole");
            let state = self.map.osds.get(&self.config.whoami);
            let proven = state.is_some_and(|state| state.up_thru >= self.interval.since);
            assert!(proven, "peering.proven: the map proves that the primary may serve");
        }
        if stage == Stage::Active {
            let acting = u32::try_from(self.interval.acting_osds().count()).unwrap_or(u32::MAX);
            assert!(acting >= self.interval.min_size, "peering.enough: {acting} members act");
            assert!(!self.is_creating(), "peering.created: the map says that the PG exists");
        }
        if stage.is_serving() {
            for osd in self.write_members() {
                let activated = self.peers.get(&osd).is_some_and(|peer| peer.activated);
                assert!(activated, "peering.activated: osd.{osd} has the authoritative log on disk");
            }
        }
    }

    /// Invariants 1, 4 and 5 of `pg.rs`.
    fn assert_writes(&self) {
        let mut before = LogVersion::ZERO;
        for write in &self.writes.in_flight {
            let version = write.replicate.version;
            assert!(version > before, "writes.order: {version} follows {before}");
            assert!(self.log.knows(version), "writes.logged: {version} is in the log");
            let known = self.writes.in_flight_requests.get(&write.open.op.request);
            let is_own = write.open.session == SessionId::OWN;
            assert!(is_own || known == Some(&version), "writes.once: a request in flight is known");
            before = version;
        }
        if self.peering.stage.is_serving() {
            let committed = self.committed_by_all();
            assert!(
                self.writes.committed_to <= committed,
                "writes.committed: {} was said too early",
                self.writes.committed_to
            );
        }
        for (object, queue) in &self.writes.objects {
            let in_flight = self.writes.in_flight.iter().filter(|write| write.object == *object).count();
            assert_eq!(queue.in_flight as usize, in_flight, "writes.counted: {object}");
            let reads = self.writes.reads.values().filter(|read| read.object == *object).count();
            assert_eq!(queue.reads as usize, reads, "reads.counted: {object}");
            assert!(queue.in_flight == 0 || queue.reads == 0, "writes.exclusive: {object} is read while it is written");
        }
        for (version, request) in self.writes.in_flight_requests.iter().map(|(request, version)| (version, request)) {
            assert!(self.remembered.get(*request).is_none(), "writes.once: {request} at {version} was answered before");
        }
    }

    /// Those of `scrub.rs`.
    fn assert_scrub(&self) {
        let Some(run) = &self.scrub.run else { return };
        assert!(self.is_primary(), "scrub.primary: only the primary scrubs");
        assert!(self.peering.stage == Stage::Active, "scrub.active: only a PG that serves is scrubbed");
        for write in self.writes.in_flight.iter().filter(|_| run.is_comparing()) {
            assert!(
                !self.is_held_by_scrub(&write.object),
                "scrub.still: {} is written while it is compared",
                write.object
            );
        }
    }

    /// Invariant 7 of `pg.rs`, and those of `recovery.rs`.
    fn assert_recovery(&self) {
        for object in self.recovery.pulls.keys() {
            assert!(self.missing.contains(object), "recovery.pull: {object} is missing here");
        }
        for (object, target) in self.recovery.pushes.keys() {
            let lacks = self.lacks(*target, object);
            let scanned = self.recovery.backfills.get(target).is_some_and(|scan| scan.in_flight.contains(object));
            assert!(lacks || scanned, "recovery.push: osd.{target} lacks {object}");
            assert!(!self.missing.contains(object), "recovery.source: {object} is here");
        }
        for (target, backfill) in &self.recovery.backfills {
            for object in &backfill.in_flight {
                assert!(backfill.passed.is_past(object), "backfill.passed: {object} is on its way to osd.{target}");
                assert!(!backfill.told.is_past(object), "backfill.cursor: {object} has not arrived at osd.{target}");
            }
            assert!(backfill.stored <= backfill.told, "backfill.cursor: osd.{target} stored what it was told");
        }
    }
}
