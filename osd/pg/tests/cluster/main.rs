//! One placement group on five OSDs in one thread: real machines, memory stores that lose what was not committed, a network
//! that breaks sessions, a monitor that changes maps, and clients that check every answer.
//!
//! After the faults stop everything must heal: active and clean, every request answered, all copies equal.
//! `IKA_SEED=7` replays one seed, `IKA_TRACE=1` prints what happens.

mod album;
mod client;
mod member;
mod monitor;
mod single;
mod snapshots;
mod world;

use types::Seed;
use world::{Faults, World};

fn run(seed: Seed, faults: Faults) {
    let mut world = World::new(seed, faults);
    world.run();
}

#[test]
fn a_quiet_cluster_serves() {
    tests_kit::for_each_seed_in_parallel(0..10, |seed| run(seed, Faults::none()));
}

#[test]
fn a_flaky_network_loses_nothing() {
    tests_kit::for_each_seed_in_parallel(0..tests_kit::count(60, 500), |seed| run(seed, Faults::network()));
}

#[test]
fn datagrams_that_come_twice_and_late_do_no_harm() {
    tests_kit::for_each_seed_in_parallel(0..tests_kit::count(60, 500), |seed| run(seed, Faults::datagrams()));
}

#[test]
fn crashes_lose_nothing_that_was_acknowledged() {
    tests_kit::for_each_seed_in_parallel(0..tests_kit::count(120, 1000), |seed| run(seed, Faults::crashes()));
}

#[test]
fn a_partitioned_primary_serves_no_old_content() {
    tests_kit::for_each_seed_in_parallel(0..tests_kit::count(80, 500), |seed| run(seed, Faults::partitions()));
}

#[test]
fn copies_move_and_wiped_devices_are_filled() {
    tests_kit::for_each_seed_in_parallel(0..tests_kit::count(80, 500), |seed| run(seed, Faults::moves()));
}

/// Blocks rot while clients read and write: nobody ever gets a wrong byte, and scheduled scrubs find and repair all of it.
#[test]
fn scrubs_find_and_repair_what_rots() {
    tests_kit::for_each_seed_in_parallel(0..tests_kit::count(30, 300), |seed| run(seed, Faults::rot()));
}

#[test]
fn what_rots_while_members_die_and_move_is_repaired_in_the_end() {
    tests_kit::for_each_seed_in_parallel(0..tests_kit::count(60, 500), |seed| run(seed, Faults::rot_and_crashes()));
}

#[test]
fn everything_at_once() {
    tests_kit::for_each_seed_in_parallel(0..tests_kit::count(120, 1000), |seed| run(seed, Faults::all()));
}

#[test]
fn two_runs_of_one_seed_are_identical() {
    let digest = || {
        let mut world = World::new(Seed(4), Faults::all());
        world.run();
        world.digest()
    };
    assert_eq!(digest(), digest());
}
