//! Whole clusters from seeds: what must hold in every one of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use osd_pg::Planted;
use tests_kit::for_each_seed_in_parallel;
use tests_machines::{Profile, run};
use types::Seed;

fn must_hold(seed: Seed, profile: &Profile) {
    if let Err(failure) = run(seed, profile) {
        panic!("{failure}");
    }
}

#[test]
fn a_quiet_cluster_serves() {
    for_each_seed_in_parallel(0..10, |seed| must_hold(seed, &Profile::quiet()));
}

#[test]
fn nothing_acknowledged_is_lost_whatever_dies() {
    for_each_seed_in_parallel(0..140, |seed| must_hold(seed, &Profile::rough()));
}

#[test]
fn nothing_acknowledged_is_lost_when_logs_are_short() {
    for_each_seed_in_parallel(1000..1060, |seed| must_hold(seed, &Profile::rough_with_short_logs()));
}

#[test]
fn one_seed_run_twice_is_one_story() {
    for_each_seed_in_parallel(0..3, |seed| {
        let first = run(seed, &Profile::rough()).unwrap_or_else(|failure| panic!("{failure}"));
        let second = run(seed, &Profile::rough()).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(first, second);
    });
}

/// A primary that answers as soon as its own disk has the write loses acknowledged writes when it dies. If the
/// simulator did not find that, its silence about the real machine would mean nothing.
#[test]
fn acknowledging_before_replicas_commit_is_found() {
    let profile = Profile { planted: Planted::AcknowledgeBeforeReplicasCommit, ..Profile::rough() };
    let found = (0..200).find(|seed| {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(Seed(*seed), &profile)));
        !matches!(outcome, Ok(Ok(_)))
    });
    let seed = found.expect("the planted bug is found within 200 seeds");
    println!("found by seed {seed}");
}
