//! Writes that meet a damaged block of the primary's copy.

use bytes::Bytes;
use types::{ErrorKind, Extent, ObjectId, ObjectName};
use wire::{PgStateFlags, SubOp, SubOpResult};

use super::World;
use crate::monitor::PG;

/// A compare-and-swap came right behind a write that failed, so that the object's state was still in memory and its version
/// was not asked of the store; the log did not reach back to it either. Without a version nothing could be fetched, and
/// the client was told of damage although a good copy was there (seed 626 of the simulator's profile `rotting`).
#[test]
fn a_write_behind_a_failed_one_gets_a_good_copy_of_what_is_damaged() {
    let mut world = World::with_two_copies();
    let clean = PgStateFlags::ACTIVE.with(PgStateFlags::CLEAN);
    world.spread_maps();
    world.step_until("clean", |world| world.state().contains(clean));
    let old = world.on_object(1, SubOp::WriteFull(Bytes::from_static(b"old")));
    world.answered(old).expect("is written");
    // More than the log keeps.
    for sequence in 2..40 {
        let other = world.on_named("other", sequence, vec![SubOp::Append(Bytes::from_static(b"x"))]);
        world.answered(other).expect("is written");
    }
    let name = ObjectName::new("o");
    let (_, hash) = world.monitor.newest().object_pg(PG.pool, &name).expect("is placed");
    let leader = world.leader();
    assert!(world.members[&leader].store.damage(&ObjectId::head(PG.pool, hash, name), 0), "a block rots");
    let fails = world.on_object(40, SubOp::Create { exclusive: true });
    let compare = SubOp::CompareExtent { offset: 0, data: Bytes::from_static(b"old") };
    let swap = world.on_named("o", 41, vec![compare, SubOp::WriteFull(Bytes::from_static(b"new"))]);
    assert_eq!(world.answered(fails).map_err(|failure| failure.error.kind), Err(ErrorKind::Exists));
    world.answered(swap).expect("the other copy is good");
    let read = world.on_object(42, SubOp::Read(Extent { offset: 0, length: 100 }));
    let seen = world.answered(read).expect("is read");
    assert_eq!(seen.results, [SubOpResult::Data(Bytes::from_static(b"new"))]);
    world.step_until("healed", World::is_healed);
    world.judge_copies();
}
