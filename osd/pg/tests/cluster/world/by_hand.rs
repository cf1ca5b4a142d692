//! Stories told by hand: what happens when is chosen, and each answer is looked at.

use std::time::Duration;

use map::Death;
use osd_pg::{Event, SessionId};
use types::{ClientId, ObjectName, OsdId, RequestId, Seed, SnapshotId};
use wire::{ClientOp, ClientReply, OpFailure, OpFlags, OpSuccess, OpTarget, PgStateFlags, SnapshotContext, SubOp};

use super::{Faults, PATIENCE, World};
use crate::monitor::PG;

/// Who asks; none of the world's clients has that many requests.
const SESSION: u64 = 1;
const FIRST_SEQUENCE: u64 = 1_000;

impl World {
    pub(super) fn with_two_copies() -> Self {
        let mut worlds = (0..100).map(|seed| Self::new(Seed(seed), Faults::none()));
        let has_two = |world: &Self| world.monitor.newest().pools[&PG.pool].size == 2;
        let world = worlds.find(has_two).expect("half of the seeds have two copies");
        Self { answers: Some(Vec::new()), ..world }
    }

    pub(super) fn step_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = self.queue.now() + PATIENCE;
        while !condition(self) {
            let happening = self.queue.pop().expect("somebody always waits for something");
            if self.queue.now() >= end {
                self.fail(&format!("not in {PATIENCE:?}: {what},"));
            }
            self.happen(happening);
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.queue.now() + time;
        self.step_until("time passes", |world| world.queue.now() >= end);
    }

    pub(super) fn state(&self) -> PgStateFlags {
        self.primary().map(|pg| pg.statistics().state).unwrap_or_default()
    }

    pub(super) fn leader(&self) -> OsdId {
        self.monitor.newest().place(PG).acting_primary.expect("somebody leads")
    }

    pub(super) fn request(&mut self, sequence: u64, target: OpTarget, ops: Vec<SubOp>) -> u64 {
        let sequence = FIRST_SEQUENCE + sequence;
        let op = ClientOp {
            request: RequestId { client: ClientId(SESSION), sequence },
            lowest_open: 1,
            epoch: self.members[&self.leader()].epoch,
            pg: PG,
            target,
            snapshot: SnapshotId::HEAD,
            snapshot_context: SnapshotContext::default(),
            flags: OpFlags::default(),
            modified_ms: sequence,
            ops,
        };
        let leader = self.leader();
        self.give(leader, Event::ClientOp { session: SessionId(SESSION), op: Box::new(op) });
        sequence
    }

    pub(super) fn on_object(&mut self, sequence: u64, step: SubOp) -> u64 {
        self.on_named("o", sequence, vec![step])
    }

    pub(super) fn on_named(&mut self, name: &str, sequence: u64, steps: Vec<SubOp>) -> u64 {
        let name = ObjectName::new(name);
        let (_, hash) = self.monitor.newest().object_pg(PG.pool, &name).expect("is placed");
        self.request(sequence, OpTarget::Object { name, hash }, steps)
    }

    pub(super) fn answer(&self, sequence: u64) -> Option<&Result<OpSuccess, OpFailure>> {
        let is_it = |reply: &&ClientReply| reply.request.sequence == sequence;
        self.answers.iter().flatten().find(is_it).map(|reply| &reply.outcome)
    }

    pub(super) fn answered(&mut self, sequence: u64) -> Result<OpSuccess, OpFailure> {
        self.step_until("an answer", |world| world.answer(sequence).is_some());
        self.answer(sequence).expect("just seen").clone()
    }

    pub(super) fn die(&mut self, osd: OsdId) {
        self.crash(osd);
        self.monitor.mark_down(osd, Death::Proven);
        self.spread_maps();
    }

    /// The OSD starts and gets the newest map alone: those between were thrown away.
    pub(super) fn restart_behind_a_gap(&mut self, osd: OsdId) {
        self.restart(osd);
        let newest = self.monitor.newest().clone();
        assert!(newest.epoch() > self.members[&osd].epoch.next(), "there are epochs to miss");
        self.members.get_mut(&osd).expect("a member").epoch = newest.epoch();
        self.give(osd, Event::NewMap(newest));
    }
}
