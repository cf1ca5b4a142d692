//! Whole clusters from seeds: what must hold in every one of them. More seeds: `./dev sim`.

use tests_kit::for_each_seed_in_parallel;
use tests_machines::{Profile, run};
use types::Seed;

/// Every profile has its turn; the number is what fits a minute of two processors beside everything else.
const SEEDS: std::ops::Range<u64> = 0..400;

fn must_hold(seed: Seed, profile: &Profile) {
    if let Err(failure) = run(seed, profile) {
        panic!("{failure}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_whatever_happens() {
    for_each_seed_in_parallel(SEEDS, |seed| must_hold(seed, Profile::of_seed(seed.0)));
}

/// Blocks rot under clients, deaths and scrubs; in the end every byte was read again and is right.
#[test]
fn what_rots_is_found_and_repaired() {
    let rotting = Profile::named("rotting").expect("there is such a profile");
    for_each_seed_in_parallel(0..60, |seed| must_hold(seed, rotting));
}

#[test]
fn one_seed_run_twice_is_one_story() {
    for_each_seed_in_parallel(0..20, |seed| {
        let profile = Profile::named("everything").expect("there is such a profile");
        let first = run(seed, profile).unwrap_or_else(|failure| panic!("{failure}"));
        let second = run(seed, profile).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(first, second);
    });
}
