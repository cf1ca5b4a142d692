//! The corpus and seeded mutations of it, on the stable toolchain: no panic, bounded memory and time, per target.
//!
//! `IKA_SEED=N` replays one seed; `./dev test --long` runs many more of them.

use std::{fs, path::Path};

use tests_fuzz::{CountingAllocator, Target, measure, mutate, target};
use tests_kit::{count, for_each_seed_in_parallel};
use types::SeededRandom;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Inputs made from one seed.
const INPUTS_PER_SEED: usize = 20;

/// The committed inputs of a target, in the order of their names.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("read {}: {error}", folder.display()));
    let mut inputs: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.expect("the folder is readable"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file")))
        .collect();
    inputs.sort();
    inputs
}

fn try_input(target: &Target, what: &str, input: &[u8]) {
    let spent = measure(|| (target.run)(input));
    if let Some(sentence) = target.budget.overdrawn(input.len(), spent) {
        panic!("{what}: {sentence}");
    }
}

fn replay(name: &str) {
    let target = target(name);
    // Tables that are made once per process are nobody's input's cost.
    (target.run)(b"");
    let inputs = corpus(target);
    assert!(!inputs.is_empty(), "{name} has no corpus");
    for (file, input) in &inputs {
        try_input(target, file, input);
    }
    let inputs: Vec<Vec<u8>> = inputs.into_iter().map(|(_, input)| input).collect();
    for_each_seed_in_parallel(0..count(1000, 100_000), |seed| {
        let mut random = SeededRandom::new(seed);
        for number in 0..INPUTS_PER_SEED {
            let at = usize::try_from(random.below(inputs.len() as u64)).expect("an index");
            let mut input = inputs[at].clone();
            mutate(&mut random, &mut input, &inputs);
            try_input(target, &format!("input {number} of seed {seed}"), &input);
        }
    });
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            let replayed = [$(stringify!($name)),*];
            for target in &tests_fuzz::TARGETS {
                assert!(replayed.contains(&target.name), "{} has no replay here", target.name);
                let program = format!("libfuzzer/fuzz_targets/{}.rs", target.name);
                assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&program).is_file(), "{program} is missing");
            }
        }
    };
}

replays! {
    crush_text crush_binary map_full map_increment message control persisted handshake frames superblock journal_group
    store_value
}
