//! A run from its beginning to its record.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use types::{Cursor, OsdId, Time, limits};
use wire::{PgBody, ScrubDepth, ScrubOrder};

use super::{Phase, Place, Run};
use crate::{Action, pg::Pg, turn::Turn};

impl Pg {
    /// Called after every event of a primary that serves.
    pub(crate) fn progress_scrub(&mut self, turn: &mut Turn<'_>) {
        if self.scrub.run.is_none() {
            if self.scrub.ordered.is_none() && turn.now < self.scrub.look_at {
                return;
            }
            self.begin_run_if_due(turn);
        }
        while self.step_run(turn) {}
    }

    fn begin_run_if_due(&mut self, turn: &mut Turn<'_>) {
        if turn.now < self.scrub.put_off_until {
            return;
        }
        if !self.may_scrub() {
            self.scrub.look_at = turn.now + self.config.retry;
            return;
        }
        if self.plan_first_scrubs(turn.now) {
            self.publish_scrub_record(turn);
        }
        let Some((depth, order)) = self.scrub_wanted(turn.now) else {
            self.scrub.look_at = self.next_look(turn.now);
            return;
        };
        self.scrub.run = Some(self.new_run(depth, order, turn.now));
        if self.scrub.place == Place::None {
            self.scrub.place = Place::Asked;
            turn.act(Action::RequestScrubPlace);
        }
    }

    fn new_run(&self, depth: ScrubDepth, order: Option<ScrubOrder>, now: Time) -> Run {
        let record = &self.scrub.record;
        // A scheduled run goes on where the one before was interrupted; an operator wants to hear of the whole.
        let goes_on = order.is_none() && record.cursor_depth == Some(depth);
        let position = record.cursor.clone().filter(|_| goes_on);
        let stamp_ms = if position.is_some() { record.cursor_stamp_ms } else { self.wall_ms(now) };
        Run {
            depth,
            order,
            phase: Phase::Places,
            stamp_ms,
            version: self.log.head(),
            places: BTreeMap::new(),
            position: position.unwrap_or(Cursor::Start),
            targets: VecDeque::new(),
            suspects: BTreeSet::new(),
            suspects_beyond: 0,
            found: Vec::new(),
            attempted: BTreeSet::new(),
            repaired: 0,
            chunk: None,
            chunk_objects: self.config.scrub.chunk_objects(depth),
            preemptions: 0,
            pause_until: now,
            saved_at: now,
        }
    }

    /// One step of the run; says whether another may follow at once.
    fn step_run(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.scrub.run.is_none() {
            return false;
        }
        if !self.may_scrub() {
            self.hold_run(turn);
            return false;
        }
        let Some(run) = &self.scrub.run else { return false };
        match (run.phase, &run.chunk) {
            (Phase::Places, _) => self.gather_places(turn),
            (_, Some(_)) => self.step_chunk(turn),
            (_, None) if turn.now < run.pause_until => false,
            (Phase::Search, None) => self.search_on(turn),
            (Phase::Confirm, None) => self.confirm_on(turn),
        }
    }

    /// Somebody lacks something: the run waits until everything is there again.
    fn hold_run(&mut self, turn: &mut Turn<'_>) {
        let retry = self.config.retry;
        let Some(run) = &mut self.scrub.run else { return };
        if run.pause_until <= turn.now {
            run.pause_until = turn.now + retry;
        }
        if run.chunk.as_ref().is_some_and(|chunk| !chunk.is_marking()) {
            self.drop_chunk(turn);
        }
    }

    fn gather_places(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.scrub.place != Place::Held {
            return false;
        }
        let others: Vec<OsdId> = self.write_members();
        let Some(run) = &mut self.scrub.run else { return false };
        let mut ask = Vec::new();
        for osd in &others {
            let place = run.places.entry(*osd).or_default();
            if *place == Place::None {
                *place = Place::Asked;
                ask.push(*osd);
            }
        }
        let complete = others.iter().all(|osd| run.places.get(osd) == Some(&Place::Held));
        if complete {
            run.phase = Phase::Search;
            // An order that came while this run waited for places is for the next one.
            if self.scrub.ordered == run.order {
                self.scrub.ordered = None;
            }
        }
        for osd in ask {
            self.send(osd, PgBody::ScrubReserve, turn);
        }
        complete
    }

    /// A member's answer.
    pub(crate) fn hear_scrub_reserved(&mut self, from: OsdId, granted: bool, turn: &mut Turn<'_>) {
        let Some(run) = self.scrub.run.as_mut().filter(|run| run.phase == Phase::Places) else { return };
        if granted {
            run.places.insert(from, Place::Held);
        } else {
            self.put_scrub_off(turn);
        }
    }

    /// Some OSD has no place: all are given back, and asked for again after a while. Nobody waits with a place in hand, so
    /// two groups cannot wait for each other.
    pub(super) fn put_scrub_off(&mut self, turn: &mut Turn<'_>) {
        self.end_run(turn);
        // Neighbours in the pool come back at different times.
        self.scrub.look_at = turn.now + self.config.retry * (1 + self.pg.seed % 4);
        self.scrub.put_off_until = self.scrub.look_at;
    }

    fn end_run(&mut self, turn: &mut Turn<'_>) {
        let Some(run) = self.scrub.run.take() else { return };
        for osd in run.places.into_keys() {
            self.send(osd, PgBody::ScrubRelease, turn);
        }
        self.release_scrub_place(turn);
        self.scrub.job = None;
    }

    fn search_on(&mut self, turn: &mut Turn<'_>) -> bool {
        let end = self.range().end();
        let Some(run) = &mut self.scrub.run else { return false };
        if run.position >= end {
            run.phase = Phase::Confirm;
            let known = self.scrub.found.iter().map(|found| &found.object);
            let targets: BTreeSet<_> = run.suspects.iter().chain(known).cloned().collect();
            run.targets = targets.into_iter().collect();
            return true;
        }
        self.begin_chunk_listing(turn);
        false
    }

    fn confirm_on(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(run) = &mut self.scrub.run else { return false };
        match run.targets.pop_front() {
            Some(object) => self.begin_target_chunk(&object, turn),
            None => self.finish_run(turn),
        }
        true
    }

    fn finish_run(&mut self, turn: &mut Turn<'_>) {
        let Some(run) = &mut self.scrub.run else { return };
        let found = std::mem::take(&mut run.found);
        let (stamp_ms, version, depth) = (run.stamp_ms, run.version, run.depth);
        let (beyond, repaired) = (run.suspects_beyond, run.repaired);
        let due = (self.due_after(ScrubDepth::Metadata, stamp_ms), self.due_after(ScrubDepth::Data, stamp_ms));
        let record = &mut self.scrub.record;
        (record.scrub_version, record.scrub_stamp_ms, record.scrub_due_ms) = (version, stamp_ms, due.0);
        if depth == ScrubDepth::Data {
            (record.deep_version, record.deep_stamp_ms, record.deep_due_ms) = (version, stamp_ms, due.1);
        }
        let listed = u64::try_from(found.len()).unwrap_or(u64::MAX);
        record.errors = listed.saturating_add(beyond);
        record.repaired += repaired;
        (record.cursor, record.cursor_depth, record.cursor_stamp_ms) = (None, None, 0);
        if listed > 0 {
            // ERROR: a person must look. What is wrong with which object is in the list.
            tracing::error!(pg = %self.pg, objects = record.errors, "a scrub found objects that it could not repair");
        }
        if repaired > 0 {
            tracing::info!(pg = %self.pg, objects = repaired, "a scrub found and repaired objects");
        }
        self.set_found(found);
        self.publish_scrub_record(turn);
        self.end_run(turn);
        self.scrub.look_at = turn.now;
    }

    /// Remembers where a restart goes on: before the first suspect, since suspects are not stored.
    pub(super) fn save_cursor(&mut self, now: Time) {
        let every = self.config.scrub.cursor_saved_every;
        let Some(run) = &mut self.scrub.run else { return };
        if run.phase != Phase::Search || run.order.is_some() || now < run.saved_at + every {
            return;
        }
        run.saved_at = now;
        let cursor = match run.suspects.first() {
            Some(suspect) => Cursor::Before(suspect.clone()).min(run.position.clone()),
            None => run.position.clone(),
        };
        let record = &mut self.scrub.record;
        (record.cursor, record.cursor_depth, record.cursor_stamp_ms) = (Some(cursor), Some(run.depth), run.stamp_ms);
        self.changes.put_scrub_record(&self.scrub.record);
    }

    /// Something about an object is not as it should be; it will be looked at again.
    pub(super) fn suspect(&mut self, object: types::ObjectId) {
        let Some(run) = &mut self.scrub.run else { return };
        if run.suspects.len() < limits::INCONSISTENT_OBJECTS_MAX {
            run.suspects.insert(object);
        } else {
            run.suspects_beyond += 1;
        }
    }

    /// Whether what is found may be repaired: an operator said so, or it is little enough to be rot and not a disaster that
    /// a person should see first.
    pub(super) fn may_repair(&self) -> bool {
        let Some(run) = &self.scrub.run else { return false };
        let suspects = u64::try_from(run.suspects.len()).unwrap_or(u64::MAX).saturating_add(run.suspects_beyond);
        run.order == Some(ScrubOrder::Repair) || suspects <= self.config.scrub.auto_repair_objects_max
    }

    /// When a scrub wants to be woken.
    pub(crate) fn scrub_deadline(&self) -> Time {
        if let Some((_, until)) = self.scrub.place_for {
            return until;
        }
        if !self.is_primary() || !self.peering.stage.is_serving() {
            return Time::FAR_FUTURE;
        }
        match &self.scrub.run {
            Some(run) if run.chunk.is_none() && run.phase > Phase::Places => run.pause_until,
            // Answers wake it, and `retry` asks for them again.
            Some(_) => Time::FAR_FUTURE,
            // An interval that ends looks at once, but places that were refused are not asked for before their time.
            None => self.scrub.look_at.max(self.scrub.put_off_until),
        }
    }

    /// Asks again what has not been answered; of one OSD, or of all that were asked at or before a time.
    pub(crate) fn repeat_scrub(&mut self, of: Option<OsdId>, asked_before: Time, turn: &mut Turn<'_>) {
        let Some(run) = &self.scrub.run else { return };
        let is_meant = |osd: &OsdId| of.is_none_or(|of| of == *osd);
        if run.phase == Phase::Places {
            let unanswered = run.places.iter().filter(|(osd, place)| is_meant(osd) && **place == Place::Asked);
            for osd in unanswered.map(|(osd, _)| *osd).collect::<Vec<_>>() {
                self.send(osd, PgBody::ScrubReserve, turn);
            }
            return;
        }
        self.repeat_chunk(of, asked_before, turn);
    }
}
