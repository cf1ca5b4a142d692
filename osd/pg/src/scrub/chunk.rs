//! One chunk: a part of the range that nobody writes while all members digest it.

use std::collections::{BTreeMap, BTreeSet};

use types::{Cursor, ObjectId, OsdId, Result, StoreRead, StoreReadResult, Time};
use wire::{ObjectDigest, PgBody, ScrubDepth};

use super::{
    Chunk, Digests, Phase, Step,
    compare::{Copy, Verdict, compare},
    name_range, past_name,
};
use crate::{
    pg::{Pending, Pg},
    turn::Turn,
};

impl Pg {
    fn chunk(&mut self) -> Option<&mut Chunk> {
        self.scrub.run.as_mut()?.chunk.as_mut()
    }

    fn new_chunk(&mut self, begin: Cursor, end: Cursor, depth: ScrubDepth, step: Step, now: Time) -> u64 {
        self.scrub.chunks += 1;
        let number = self.scrub.chunks;
        let chunk =
            Chunk { number, begin, end, depth, step, own: None, theirs: BTreeMap::new(), asked_at: now, bytes: 0 };
        if let Some(run) = &mut self.scrub.run {
            run.chunk = Some(chunk);
        }
        number
    }

    /// The search goes on: which objects come next?
    pub(super) fn begin_chunk_listing(&mut self, turn: &mut Turn<'_>) {
        let range = self.range();
        let Some(run) = &self.scrub.run else { return };
        let begin = run.position.clone().max(range.begin());
        let (depth, objects_max) = (run.depth, run.chunk_objects);
        let number = self.new_chunk(begin.clone(), range.end(), depth, Step::Listing, turn.now);
        let read = StoreRead::List { begin, end: range.end(), objects_max };
        self.read(vec![read], Pending::ScrubList(number), turn);
    }

    /// The store has answered. A chunk ends behind all of a name, because a write of an object may change its snapshots.
    pub(crate) fn continue_chunk_listing(&mut self, number: u64, results: Vec<Result<StoreReadResult>>, now: Time) {
        let pause = self.config.retry;
        let Some(run) = &mut self.scrub.run else { return };
        let Some(chunk) = run.chunk.as_mut().filter(|chunk| chunk.number == number) else { return };
        match results.into_iter().next() {
            Some(Ok(StoreReadResult::List { objects, next })) => {
                if next < chunk.end
                    && let Some(last) = objects.last()
                {
                    chunk.end = past_name(last).max(next).min(chunk.end.clone());
                }
                chunk.step = Step::Quieting;
            }
            other => {
                tracing::warn!(pg = %self.pg, ?other, "cannot list the objects of a scrub");
                run.chunk = None;
                run.pause_until = now + pause;
            }
        }
    }

    /// One object with its snapshots is looked at again.
    pub(super) fn begin_target_chunk(&mut self, object: &ObjectId, turn: &mut Turn<'_>) {
        let (begin, end) = name_range(object);
        self.new_chunk(begin, end, ScrubDepth::Data, Step::Quieting, turn.now);
    }

    pub(super) fn step_chunk(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some(chunk) = self.chunk() else { return false };
        match &chunk.step {
            Step::Listing => false,
            Step::Quieting => self.ask_digests(turn),
            Step::Comparing => self.compare_chunk(turn),
            Step::Marking(_) => self.finish_marking(turn),
        }
    }

    /// Whether every write in the chunk is on everybody's disk, and none is about to begin.
    fn is_quiet(&self) -> bool {
        let Some(chunk) = self.scrub.run.as_ref().and_then(|run| run.chunk.as_ref()) else { return false };
        let busy = |queue: &crate::write::ObjectQueue| queue.loading || queue.in_flight > 0;
        !self.writes.objects.iter().any(|(object, queue)| chunk.contains(object) && busy(queue))
    }

    fn ask_digests(&mut self, turn: &mut Turn<'_>) -> bool {
        if !self.is_quiet() {
            return false;
        }
        let members = self.write_members();
        let Some(chunk) = self.chunk() else { return false };
        chunk.step = Step::Comparing;
        chunk.asked_at = turn.now;
        chunk.theirs = members.iter().map(|osd| (*osd, None)).collect();
        let (number, begin, end, depth) = (chunk.number, chunk.begin.clone(), chunk.end.clone(), chunk.depth);
        for osd in members {
            let body = PgBody::ScrubChunk { number, begin: begin.clone(), end: end.clone(), depth };
            self.send(osd, body, turn);
        }
        self.begin_digests(number, None, &begin, &end, depth, turn);
        false
    }

    pub(super) fn take_own_digests(&mut self, number: u64, digests: Digests, bytes: u64) {
        if let Some(chunk) = self.chunk().filter(|chunk| chunk.number == number) {
            chunk.own = Some(digests);
            chunk.bytes = bytes;
        }
    }

    /// A member's digests.
    pub(crate) fn hear_scrub_digests(&mut self, from: OsdId, number: u64, end: Cursor, objects: Vec<ObjectDigest>) {
        if let Some(chunk) = self.chunk().filter(|chunk| chunk.number == number)
            && let Some(slot) = chunk.theirs.get_mut(&from)
            && slot.is_none()
        {
            *slot = Some(Digests::new(end, objects));
        }
    }

    fn compare_chunk(&mut self, turn: &mut Turn<'_>) -> bool {
        let Some((verdicts, bound)) = self.judge_chunk() else { return false };
        let Some(run) = &mut self.scrub.run else { return false };
        let Some(chunk) = run.chunk.take() else { return false };
        if run.phase == Phase::Confirm {
            self.take_verdicts(chunk, verdicts, turn);
            return true;
        }
        run.position = bound;
        run.preemptions = 0;
        run.chunk_objects = (run.chunk_objects * 2).min(self.config.scrub.chunk_objects(run.depth));
        run.pause_until = turn.now + self.config.scrub.pause_after(chunk.bytes, self.writes.objects.len());
        for verdict in verdicts {
            self.suspect(verdict.found.object);
        }
        self.save_cursor(turn.now);
        self.pump_all(turn);
        true
    }

    /// All answers are in: what is wrong, and up to where everybody has answered.
    fn judge_chunk(&self) -> Option<(Vec<Verdict>, Cursor)> {
        let chunk = self.scrub.run.as_ref()?.chunk.as_ref()?;
        let own = chunk.own.as_ref()?;
        let mut answers = vec![(self.config.whoami, own)];
        for (osd, digests) in &chunk.theirs {
            answers.push((*osd, digests.as_ref()?));
        }
        let bound = answers.iter().map(|(_, digests)| &digests.end).min()?.clone();
        // Every range but the last name's ends where the group's does.
        let bound = if bound >= self.range().end().min(chunk.end.clone()) { chunk.end.clone() } else { bound };
        let objects: BTreeSet<&ObjectId> = answers.iter().flat_map(|(_, digests)| digests.objects.keys()).collect();
        let within = objects.into_iter().filter(|object| bound.is_past(object));
        let verdicts = within.filter_map(|object| {
            let copies: Vec<Copy<'_>> =
                answers.iter().map(|(osd, digests)| (*osd, digests.objects.get(object))).collect();
            compare(object, self.log.newest_of(object), &copies)
        });
        Some((verdicts.collect(), bound))
    }

    /// The chunk is given up; its objects may be written.
    pub(super) fn drop_chunk(&mut self, turn: &mut Turn<'_>) {
        let Some(run) = &mut self.scrub.run else { return };
        let Some(chunk) = run.chunk.take() else { return };
        if run.phase == Phase::Confirm {
            // Its only name is looked at again.
            if let Cursor::Before(first) = &chunk.begin {
                run.targets.push_front(first.clone());
            }
        }
        self.scrub.job = None;
        self.pump_all(turn);
    }

    /// A client wants to write what a chunk holds. Says whether it may go on at once; after a number of times it waits for
    /// the rest of the chunk instead, so that a busy object is scrubbed too.
    pub(crate) fn preempt_scrub(&mut self, now: Time) -> bool {
        let (retry, preemptions_max) = (self.config.retry, self.config.scrub.preemptions_max);
        let Some(run) = &mut self.scrub.run else { return true };
        let Some(chunk) = &run.chunk else { return true };
        if chunk.is_marking() || run.preemptions >= preemptions_max {
            return false;
        }
        if run.phase == Phase::Confirm
            && let Cursor::Before(first) = &chunk.begin
        {
            run.targets.push_front(first.clone());
        }
        run.preemptions += 1;
        run.chunk = None;
        run.chunk_objects = (run.chunk_objects / 2).max(1);
        run.pause_until = now + retry / 10;
        self.scrub.job = None;
        true
    }

    pub(super) fn repeat_chunk(&mut self, of: Option<OsdId>, asked_before: Time, turn: &mut Turn<'_>) {
        let Some(chunk) = self.chunk().filter(|chunk| chunk.asked_at <= asked_before) else { return };
        chunk.asked_at = turn.now;
        let is_meant = |osd: &OsdId| of.is_none_or(|of| of == *osd);
        let (osds, body): (Vec<OsdId>, PgBody) = match &chunk.step {
            Step::Listing | Step::Quieting => return,
            Step::Comparing => {
                let silent = chunk.theirs.iter().filter(|(_, digests)| digests.is_none()).map(|(osd, _)| *osd);
                let (begin, end) = (chunk.begin.clone(), chunk.end.clone());
                let body = PgBody::ScrubChunk { number: chunk.number, begin, end, depth: chunk.depth };
                (silent.filter(is_meant).collect(), body)
            }
            Step::Marking(marking) => (marking.awaited.iter().copied().filter(is_meant).collect(), marking.order()),
        };
        let retell_own = matches!(chunk.step, Step::Comparing) && chunk.own.is_none();
        let (number, begin, end, depth) = (chunk.number, chunk.begin.clone(), chunk.end.clone(), chunk.depth);
        for osd in osds {
            self.send(osd, body.clone(), turn);
        }
        // The store could not list: it is asked again.
        if retell_own && self.scrub.job.is_none() {
            self.begin_digests(number, None, &begin, &end, depth, turn);
        }
    }
}
