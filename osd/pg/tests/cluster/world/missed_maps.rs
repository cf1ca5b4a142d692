//! An OSD that comes back so late that nobody can tell it every map since.

use std::time::Duration;

use bytes::Bytes;
use types::Extent;
use wire::{PgStateFlags, SubOp, SubOpResult};

use super::World;
use crate::monitor::PG;

/// An OSD that restarts while its peers have only a whole map once jumped over the epochs between. It did not know that
/// somebody else had served in them, and led with what it had: everything acknowledged meanwhile was undone.
#[test]
fn who_has_missed_maps_does_not_lead_until_somebody_tells_what_was() {
    let mut world = World::with_two_copies();
    let clean = PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN);
    world.spread_maps();
    world.step_until("clean", |world| world.state().contains(clean));
    let leader = world.leader();
    let other = world.monitor.newest().place(PG).acting_osds().find(|osd| *osd != leader).expect("two copies");
    world.die(leader);
    world.step_until("served by the other", |world| {
        world.leader() == other && world.state().contains(PgStateFlags::ACTIVE)
    });
    let write = world.on_object(1, SubOp::WriteFull(Bytes::from_static(b"meanwhile")));
    world.answered(write).expect("is written");
    world.die(other);
    world.restart_behind_a_gap(leader);
    world.step_until("it leads", |world| {
        world.monitor.newest().place(PG).acting_primary == Some(leader) && world.primary().is_some()
    });
    let read = world.on_object(2, SubOp::Read(Extent { offset: 0, length: 100 }));
    world.pass(Duration::from_secs(20));
    assert!(world.answer(read).is_none(), "nobody there knows what happened in the epochs that are missed");
    assert!(!world.state().contains(PgStateFlags::ACTIVE));
    world.restart(other);
    let seen = world.answered(read).expect("is read");
    assert_eq!(seen.results, [SubOpResult::Data(Bytes::from_static(b"meanwhile"))]);
    world.step_until("healed", World::is_healed);
    world.judge_copies();
}
