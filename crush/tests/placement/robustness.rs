//! Bytes and texts that are no maps: refused or understood, but never a panic, never much memory, never long.

use crush::{CompiledMap, CrushMap, WEIGHT_ONE, Workspace};
use tests_kit::for_each_seed_in_parallel;
use types::SeededRandom;

use crate::random_map::RandomMap;

/// Does with a map what a reader of strangers' maps does.
fn use_map(map: &CrushMap) {
    assert_eq!(CrushMap::decode(&map.encode()).map(|map| map.encode()), Ok(map.encode()));
    let Ok(compiled) = CompiledMap::new(map) else { return };
    let weights = vec![WEIGHT_ONE; usize::try_from(map.max_devices().min(1_000)).unwrap()];
    let (mut workspace, mut result) = (Workspace::new(), Vec::new());
    for (rule, content) in map.rules() {
        // Absurd numbers of attempts are allowed up to a bound that is too slow for a test of thousands of maps.
        let tunables = map.tunables();
        let few =
            tunables.choose_total_tries.max(tunables.choose_local_tries).max(tunables.choose_local_fallback_tries);
        let many_steps = content.steps.iter().any(|step| step.to_stored().1.unsigned_abs() > 200);
        if few > 200 || many_steps {
            continue;
        }
        for x in 0..3 {
            compiled.map_rule(rule, x, 4, &weights, Some(0), &mut workspace, &mut result);
            assert!(result.len() <= 4);
        }
    }
}

fn mutate(random: &mut SeededRandom, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(6) {
        if bytes.is_empty() {
            return;
        }
        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
        let byte = random.draw().to_le_bytes()[0];
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, byte),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(byte % 5)],
            3 => {
                let to = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                bytes.swap(at, to);
            }
            4 => {
                let end = (at + usize::from(byte % 16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes[at] ^= 1 << (byte % 8),
        }
    }
}

#[test]
fn mutated_binary_maps_are_refused_or_work() {
    for_each_seed_in_parallel(0..400, |seed| {
        let mut random = SeededRandom::new(seed);
        let good = crush::text::compile(&RandomMap::new(&mut random).text).expect("random maps are good text").encode();
        for _ in 0..20 {
            let mut bytes = good.clone();
            mutate(&mut random, &mut bytes);
            if let Ok(map) = CrushMap::decode(&bytes) {
                use_map(&map);
            }
        }
    });
}

#[test]
fn random_bytes_are_refused() {
    for_each_seed_in_parallel(0..400, |seed| {
        let mut random = SeededRandom::new(seed);
        let length = random.below(400);
        let mut bytes: Vec<u8> = (0..length).map(|_| random.draw().to_le_bytes()[0]).collect();
        if random.chance(1, 2) {
            bytes.splice(0..0, 0x0001_0000u32.to_le_bytes());
        }
        if let Ok(map) = CrushMap::decode(&bytes) {
            use_map(&map);
        }
    });
}

#[test]
fn mutated_texts_are_refused_with_a_place_or_work() {
    for_each_seed_in_parallel(0..200, |seed| {
        let mut random = SeededRandom::new(seed);
        let good = RandomMap::new(&mut random).text;
        for _ in 0..10 {
            let mut words: Vec<&str> = good.split(' ').collect();
            for _ in 0..=random.below(3) {
                let at = usize::try_from(random.below(words.len() as u64)).unwrap();
                let other = usize::try_from(random.below(words.len() as u64)).unwrap();
                match random.below(4) {
                    0 => drop(words.remove(at)),
                    1 => words.swap(at, other),
                    2 => {
                        words[at] = ["{", "-1", "99999999999", "item", "\n", "é", "-2147483648", "1e30"]
                            [usize::try_from(random.below(8)).unwrap()]
                    }
                    _ => words.insert(at, words[other]),
                }
            }
            match crush::text::compile(&words.join(" ")) {
                Ok(map) => use_map(&map),
                Err(error) => assert!(error.line > 0 && error.column > 0 && !error.message.is_empty(), "seed {seed}"),
            }
        }
    });
}

#[test]
fn counts_that_lie_take_no_memory() {
    // A header that announces the greatest tables, and nothing behind it.
    for (slots, rules, devices) in [(u32::MAX, 0, 0), (0, u32::MAX, 0), (1 << 20, 256, 1 << 22), (0, 0, u32::MAX)] {
        let mut bytes = 0x0001_0000u32.to_le_bytes().to_vec();
        for word in [slots, rules, devices] {
            bytes.extend(word.to_le_bytes());
        }
        assert_eq!(CrushMap::decode(&bytes).expect_err("nothing follows").kind(), crush::ErrorKind::Damaged);
    }
}

#[test]
fn maps_that_loop_or_are_too_deep_are_refused_with_the_reason() {
    // Ids may be used before the bucket is defined only in binary maps, so a cycle is made there.
    let text = "type 0 osd\ntype 1 host\ntype 11 root\ndevice 0 osd.0\nhost a {\nid -1\nalg straw2\nitem osd.0 weight 1\n}\n\
                root b {\nid -2\nalg straw2\nitem a weight 1\n}\n";
    let good = crush::text::compile(text).expect("a good map").encode();
    let item = 0i32.to_le_bytes();
    // The first bucket's only item stands behind algorithm, id, type, algorithm, hash, weight and size.
    let at = 16 + 4 + 4 + 2 + 1 + 1 + 4 + 4;
    assert_eq!(good[at..at + 4], item);
    let mut looping = good.clone();
    looping[at..at + 4].copy_from_slice(&(-2i32).to_le_bytes());
    let error = CrushMap::decode(&looping).expect_err("-1 holds -2 holds -1");
    assert!(error.message().contains("below itself"), "{error}");

    let mut deep = String::from("type 0 osd\ntype 1 level\ndevice 0 osd.0\nlevel l0 {\nalg straw2\nitem osd.0\n}\n");
    for level in 1..100 {
        deep += &format!("level l{level} {{\nalg straw2\nitem l{}\n}}\n", level - 1);
    }
    let error = crush::text::compile(&deep).expect_err("too deep");
    assert!(error.message.contains("deeper"), "{error}");
}

/// The text of a map of eight hosts of eight devices, with a rule of these attempts.
fn map_with_tries(tries: u32, leaf_tries: u32, how: &str) -> String {
    let mut text = String::from("type 0 osd\ntype 1 host\ntype 11 root\n");
    (0..64).for_each(|device| text += &format!("device {device} osd.{device}\n"));
    for host in 0..8 {
        let items: String = (host * 8..host * 8 + 8).map(|device| format!("item osd.{device} weight 1\n")).collect();
        text += &format!("host h{host} {{\nalg straw2\n{items}}}\n");
    }
    let items: String = (0..8).map(|host| format!("item h{host} weight 8\n")).collect();
    text += &format!("root r {{\nalg straw2\n{items}}}\n");
    text + &format!(
        "rule patient {{\nid 0\ntype replicated\nmin_size 1\nmax_size 9\nstep set_choose_tries {tries}\nstep set_chooseleaf_tries \
         {leaf_tries}\nstep take r\nstep chooseleaf {how} 0 type host\nstep emit\n}}\n"
    )
}

/// A rule may ask for thousands of attempts, each with thousands of its own. Both sides of the bound, and that the slowest mapping that
/// is let through gives up: without an end to the work, this one would look at 2^24 times 16 items for each of its 9 places.
#[test]
fn attempts_multiply_up_to_a_bound_and_a_mapping_gives_up_in_the_end() {
    for how in ["firstn", "indep"] {
        let compile = |tries, leaf_tries| {
            let map = crush::text::compile(&map_with_tries(tries, leaf_tries, how)).expect("a good text");
            CompiledMap::new(&map)
        };
        let error = compile(1 << 12, (1 << 12) + 1).expect_err("too many");
        assert!(error.message().contains("attempts at one place"), "{error}");
        let error = compile((1 << 16) + 1, 1).expect_err("too many");
        assert!(error.message().contains("attempts"), "{error}");
        let compiled = compile(1 << 12, 1 << 12).expect("just so many");
        let (mut workspace, mut result) = (Workspace::new(), Vec::new());
        compiled.map_rule(0, 7, 9, &[0; 64], None, &mut workspace, &mut result);
        assert!(
            result.iter().all(|device| *device == crush::ITEM_NONE),
            "{how}: all are out, but {result:?} was chosen"
        );
        // The next mapping has all its work before it again.
        compiled.map_rule(0, 7, 3, &[WEIGHT_ONE; 64], None, &mut workspace, &mut result);
        assert!(result.len() == 3 && !result.contains(&crush::ITEM_NONE), "{how}: {result:?}");
    }
}
