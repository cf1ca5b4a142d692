//! The newest version of an object is with one OSD alone, and that one is gone: nobody is served anything else in its place
//! until an operator says so, and then every copy agrees, also the one that comes back.

use std::time::Duration;

use bytes::Bytes;
use map::Change;
use types::{ErrorKind, Extent, OsdId};
use wire::{OpFailure, OpSuccess, OpTarget, PgStateFlags, SubOp, SubOpResult, UnfoundFate};

use super::World;
use crate::monitor::PG;

const OLD: &str = "old";

impl World {
    /// Everybody knows that the newest version of the object exists, and who had it is dead.
    fn lose_the_newest(&mut self) -> OsdId {
        let clean = PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN);
        self.spread_maps();
        self.step_until("clean", |world| world.state().contains(clean));
        let old = self.on_object(1, SubOp::WriteFull(Bytes::from_static(OLD.as_bytes())));
        self.answered(old).expect("is written");
        let holder = self.leader();
        let other = self.monitor.newest().place(PG).acting_osds().find(|osd| *osd != holder).expect("two copies");
        self.die(other);
        self.step_until("served by one", |world| {
            world.monitor.newest().place(PG).acting_osds().count() == 1 && world.state().contains(PgStateFlags::ACTIVE)
        });
        let new = self.on_object(2, SubOp::WriteFull(Bytes::from_static(b"the newest")));
        self.answered(new).expect("is written");
        let alone = self.primary().expect("leads").interval();
        self.restart(other);
        self.step_until("both have the log", |world| {
            let is_later = world.primary().is_some_and(|pg| pg.interval() > alone);
            is_later && world.state().contains(PgStateFlags::ACTIVE)
        });
        assert_eq!(self.primary().expect("leads").statistics().degraded_copies, 1, "the object was not copied yet");
        assert_eq!(self.leader(), holder);
        self.die(holder);
        self.pass(Duration::from_secs(10));
        assert_eq!(self.leader(), other);
        assert!(!self.state().contains(PgStateFlags::ACTIVE), "who may have the newest is waited for");
        holder
    }

    fn give_up(&mut self, sequence: u64, fate: UnfoundFate) -> Result<OpSuccess, OpFailure> {
        let sequence = self.request(sequence, OpTarget::Pg, vec![SubOp::MarkUnfoundLost(fate)]);
        self.answered(sequence)
    }

    /// Gives the object up; says what who had waited for it reads then.
    fn end_as(mut self, fate: UnfoundFate) -> Result<SubOpResult, ErrorKind> {
        let holder = self.lose_the_newest();
        self.monitor.publish(vec![Change::OsdLost { osd: holder }]);
        self.spread_maps();
        self.step_until("the rest serves", |world| world.state().contains(PgStateFlags::ACTIVE));
        // Everybody who has a copy is asked first.
        self.step_until("nobody has it", |world| {
            world.primary().is_some_and(|pg| pg.statistics().unfound_objects == 1)
        });
        let read = self.on_object(3, SubOp::Read(Extent { offset: 0, length: 100 }));
        self.pass(Duration::from_secs(5));
        assert!(self.answer(read).is_none(), "nothing is served in place of what is lost");
        let done = self.give_up(5, fate).expect("is given up");
        assert_eq!(done.results, [SubOpResult::Data(Bytes::from_static(b"1"))]);
        let seen = self.answered(read);
        let again = self.give_up(6, fate).expect("nothing is left to give up");
        assert_eq!(again.results, [SubOpResult::Data(Bytes::from_static(b"0"))]);
        // The holder's device was not lost after all. What it has is of a past that was given up.
        self.restart(holder);
        self.step_until("healed", Self::is_healed);
        self.judge_copies();
        seen.map(|success| success.results[0].clone()).map_err(|failure| failure.error.kind)
    }
}

#[test]
fn what_cannot_be_found_goes_back_to_the_version_before() {
    let seen = World::with_two_copies().end_as(UnfoundFate::Revert);
    assert_eq!(seen, Ok(SubOpResult::Data(Bytes::from_static(OLD.as_bytes()))));
}

#[test]
fn what_cannot_be_found_is_removed_by_an_operators_word() {
    assert_eq!(World::with_two_copies().end_as(UnfoundFate::Delete), Err(ErrorKind::NotFound));
}
